/* SPDX-License-Identifier: Apache-2.0
 *
 * test_nearby.c: what is said on the local network has one spelling, and nobody can be made to say much.
 */
#include "worker/nearby.h"
#include "tests/unit/vectors.h"

static struct id id_of(unsigned char b)
{
	struct id id;

	memset(id.b, b, sizeof(id.b));
	return id;
}

static struct nearby note(
	enum nearby_kind kind, unsigned char grid, unsigned char node, uint16_t port)
{
	return (struct nearby){ kind, id_of(grid), id_of(node), port };
}

static const char search[] =
	"TALKOOT-SEARCH 1\r\n"
	"Grid: 0101010101010101010101010101010101010101010101010101010101010101\r\n"
	"Node: abababababababababababababababababababababababababababababababab\r\n"
	"Port: 07070\r\n\r\n";

static void a_datagram_is_text_that_comes_back(void **state)
{
	(void)state;
	struct nearby n = note(NEARBY_SEARCH, 1, 0xab, 7070), back;
	char text[NEARBY_MAX + 1];

	assert_int_equal(nearby_write(text, &n), strlen(search));
	assert_string_equal(text, search);
	for (int kind = NEARBY_SEARCH; kind <= NEARBY_HERE; kind++)
		for (unsigned port = 0; port <= 65535; port += 13107) {
			n = note((enum nearby_kind)kind, 7, 9, (uint16_t)port);
			size_t len = nearby_write(text, &n);
			assert_true(nearby_read(&back, text, len));
			assert_int_equal(back.kind, kind);
			assert_int_equal(back.port, port);
			assert_true(id_equal(&back.grid, &n.grid) && id_equal(&back.node, &n.node));
		}
}

static void an_answer_is_never_longer_than_the_question(void **state)
{
	(void)state;
	struct nearby q = note(NEARBY_SEARCH, 1, 2, 0), a = note(NEARBY_HERE, 1, 3, 65535);
	char text[NEARBY_MAX + 1];
	size_t asked = nearby_write(text, &q);

	assert_true(nearby_write(text, &a) < asked);
}

static void any_changed_byte_is_another_datagram_or_none(void **state)
{
	(void)state;
	size_t n = strlen(search);
	char text[NEARBY_MAX + 2], again[NEARBY_MAX + 1];
	struct nearby out;

	for (size_t i = 0; i < n; i++)
		for (int c = 0; c < 256; c++) {
			memcpy(text, search, n);
			text[i] = (char)c;
			if (nearby_read(&out, text, n)) {
				assert_int_equal(nearby_write(again, &out), n);
				assert_memory_equal(again, text, n);
			}
		}
	for (size_t cut = 0; cut < n; cut++)
		assert_false(nearby_read(&out, search, cut));
	snprintf(text, sizeof(text), "%s\n", search);
	assert_false(nearby_read(&out, text, n + 1));
	memset(text, 'x', sizeof(text));
	assert_false(nearby_read(&out, text, NEARBY_MAX));
	assert_false(nearby_read(&out, text, NEARBY_MAX + 1));
	memcpy(text, search, n);
	memcpy(strstr(text, "07070"), "99999", 5); /* beyond a port */
	assert_false(nearby_read(&out, text, n));
}

static void only_our_grid_and_others_than_us_count(void **state)
{
	(void)state;
	struct nearby_rules r = { .seed = 1 };
	struct nearby me = note(NEARBY_HERE, 1, 1, 100), other = note(NEARBY_SEARCH, 2, 2, 200);

	assert_int_equal(nearby_hear(&r, &me, &other, true, "10.0.0.2", 0), 0);
	other = note(NEARBY_SEARCH, 1, 1, 200);
	assert_int_equal(nearby_hear(&r, &me, &other, true, "10.0.0.2", 0), 0);
	other = note(NEARBY_SEARCH, 1, 2, 200);
	assert_int_equal(
		nearby_hear(&r, &me, &other, true, "10.0.0.2", 0), NEARBY_TELL | NEARBY_ANSWER);
	/* a question to us alone, or an answer to everybody, is none */
	other = note(NEARBY_SEARCH, 1, 3, 200);
	assert_int_equal(nearby_hear(&r, &me, &other, false, "10.0.0.3", 0), 0);
	other = note(NEARBY_HERE, 1, 3, 200);
	assert_int_equal(nearby_hear(&r, &me, &other, true, "10.0.0.3", 0), 0);
	assert_int_equal(nearby_hear(&r, &me, &other, false, "10.0.0.3", 0), NEARBY_TELL);
}

static void who_does_not_listen_is_answered_and_not_told_on(void **state)
{
	(void)state;
	struct nearby_rules r = { .seed = 1 };
	struct nearby me = note(NEARBY_HERE, 1, 1, 100), other = note(NEARBY_SEARCH, 1, 2, 0);

	assert_int_equal(nearby_hear(&r, &me, &other, true, "10.0.0.2", 0), NEARBY_ANSWER);
	me.port = 0; /* and we, when we do not, say nothing */
	other = note(NEARBY_SEARCH, 1, 3, 5);
	assert_int_equal(nearby_hear(&r, &me, &other, true, "10.0.0.3", 0), NEARBY_TELL);
}

static void an_address_gets_one_answer_a_minute(void **state)
{
	(void)state;
	struct nearby_rules r = { .seed = 1 };
	struct nearby me = note(NEARBY_HERE, 1, 1, 100);

	for (int i = 0; i < 100; i++) {
		struct nearby other = note(NEARBY_SEARCH, 1, (unsigned char)(2 + i), 0);

		assert_int_equal(nearby_hear(&r, &me, &other, true, "10.0.0.2", i * 599),
			i ? 0 : NEARBY_ANSWER);
	}
	struct nearby other = note(NEARBY_SEARCH, 1, 2, 0);
	assert_int_equal(
		nearby_hear(&r, &me, &other, true, "10.0.0.2", NEARBY_ANSWER_MS), NEARBY_ANSWER);
}

static void a_flood_of_addresses_and_nodes_is_answered_within_bounds(void **state)
{
	(void)state;
	struct nearby_rules r = { .seed = 1 };
	struct nearby me = note(NEARBY_HERE, 1, 1, 100);
	int answers = 0, told = 0;

	for (int i = 0; i < 10000; i++) {
		struct nearby other = note(NEARBY_SEARCH, 1, 2, 7);
		char address[40];

		memcpy(other.node.b, &i, sizeof(i));
		snprintf(address, sizeof(address), "10.0.%d.%d", i / 256, i % 256);
		unsigned todo = nearby_hear(&r, &me, &other, true, address, 1000 + i / 10);
		answers += !!(todo & NEARBY_ANSWER);
		told += !!(todo & NEARBY_TELL);
	}
	assert_int_equal(answers, RECENT_MAX);
	assert_int_equal(told, RECENT_MAX);
}

static void searches_are_a_minute_apart_or_more(void **state)
{
	(void)state;
	uint64_t seed = random_seed();
	struct nearby_rules r = { .seed = seed };

	print_message("seed %llu\n", (unsigned long long)seed);
	assert_int_equal(nearby_wait(&r, false, 5), 0);
	for (int64_t now = 5; now < 100 * NEARBY_CALM_MS;) {
		nearby_searched(&r, now);
		int64_t lonely = nearby_wait(&r, true, now), calm = nearby_wait(&r, false, now);

		assert_in_range(lonely, NEARBY_LONELY_MS, NEARBY_LONELY_MS + NEARBY_JITTER_MS);
		assert_int_equal(calm - lonely, NEARBY_CALM_MS - NEARBY_LONELY_MS);
		assert_int_equal(nearby_wait(&r, true, now + lonely - 1), 1);
		assert_int_equal(nearby_wait(&r, true, now + lonely), 0);
		now += calm;
	}
}

static void what_was_allowed_is_refused_until_its_time(void **state)
{
	(void)state;
	struct recent r = { 0 };

	assert_true(recent_allow(&r, "a", 1, 0, 100));
	assert_false(recent_allow(&r, "a", 1, 99, 100));
	assert_true(recent_allow(&r, "ab", 2, 99, 100));
	assert_true(recent_allow(&r, "a", 1, 100, 100));
	for (unsigned char i = 1; i < RECENT_MAX - 1; i++)
		assert_true(recent_allow(&r, &i, 1, 150, 100));
	assert_false(recent_allow(&r, "new", 3, 160, 100)); /* all places are fresh */
	assert_true(recent_allow(&r, "new", 3, 199, 100));  /* "ab" is not any more */
	assert_false(recent_allow(&r, "a", 1, 199, 100));
}

static void only_who_is_on_the_interfaces_network_is_nearby(void **state)
{
	(void)state;
	assert_true(nearby_is_local(0x0a4d0001, 0xffffff00, 0x0a4d0063));
	assert_false(nearby_is_local(0x0a4d0001, 0xffffff00, 0x0a4d0163));
	assert_false(nearby_is_local(0x0a4d0001, 0xffffff00, 0xc6336407));
	assert_true(nearby_is_local(0x7f000001, 0xff000000, 0x7f000001));
	assert_false(nearby_is_local(0x0a4d0001, 0, 0xc6336407)); /* no mask: nobody knows */
	assert_false(nearby_is_local(0x0a4d0001, 0xffffffff, 0x0a4d0001));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_datagram_is_text_that_comes_back),
		cmocka_unit_test(an_answer_is_never_longer_than_the_question),
		cmocka_unit_test(any_changed_byte_is_another_datagram_or_none),
		cmocka_unit_test(only_our_grid_and_others_than_us_count),
		cmocka_unit_test(who_does_not_listen_is_answered_and_not_told_on),
		cmocka_unit_test(only_who_is_on_the_interfaces_network_is_nearby),
		cmocka_unit_test(an_address_gets_one_answer_a_minute),
		cmocka_unit_test(a_flood_of_addresses_and_nodes_is_answered_within_bounds),
		cmocka_unit_test(searches_are_a_minute_apart_or_more),
		cmocka_unit_test(what_was_allowed_is_refused_until_its_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
