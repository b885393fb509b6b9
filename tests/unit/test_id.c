/* SPDX-License-Identifier: Apache-2.0
 *
 * test_id.c: ids, links and endpoints: round trips and refusals.
 */
#include "common/id.h"
#include "tests/unit/vectors.h"

#define A "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define B "ff112233445566778899aabbccddeeff00112233445566778899aabbccddee00"

static void an_id_has_one_spelling(void **state)
{
	(void)state;
	struct id a, b;
	char text[ID_TEXT + 1];

	assert_true(id_parse(&a, A));
	id_text(text, &a);
	assert_string_equal(text, A);
	assert_true(id_parse(&b, B));
	assert_false(id_equal(&a, &b));
	assert_true(id_compare(&a, &b) < 0);
	assert_false(id_parse(&a, ""));
	assert_false(id_parse(&a, A "0"));
	assert_false(id_parse(&a, &A[1]));
	assert_false(
		id_parse(&a, "00112233445566778899AABBccddeeff00112233445566778899aabbccddeeff"));
}

static void a_prefix_has_8_to_64_digits(void **state)
{
	(void)state;
	assert_true(id_is_prefix("01234567"));
	assert_true(id_is_prefix(A));
	assert_false(id_is_prefix("0123456"));
	assert_false(id_is_prefix(A "0"));
	assert_false(id_is_prefix("0123456G"));
	assert_false(id_is_prefix("0123456789 "));
	assert_false(id_is_prefix(""));
}

static void links_round_trip(void **state)
{
	(void)state;
	static const char *const good[] = {
		"talkoot://example.org:7411/" A,
		"talkoot://" B "@example.org:7411/" A,
		"talkoot://127.0.0.1:1/" A,
		"talkoot://[::1]:65535/" A,
		"talkoot://" B "@[2001:db8::1]:443/" A,
	};
	struct link l;
	struct err e;
	char text[LINK_TEXT_MAX + 1];

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(link_parse(&l, good[i], &e), 0);
		link_text(text, &l);
		assert_string_equal(text, good[i]);
	}
}

static void without_a_node_the_grid_is_the_node(void **state)
{
	(void)state;
	struct link l;
	struct err e;
	char text[LINK_TEXT_MAX + 1];

	assert_int_equal(link_parse(&l, "talkoot://h:1/" A, &e), 0);
	assert_true(id_equal(&l.node, &l.grid));
	assert_int_equal(link_parse(&l, "talkoot://" A "@h:1/" A, &e), 0);
	link_text(text, &l);
	assert_string_equal(text, "talkoot://h:1/" A);
	assert_int_equal(link_parse(&l, "talkoot://" B "@h:1/" A, &e), 0);
	assert_false(id_equal(&l.node, &l.grid));
}

static void a_link_is_a_node_at_an_endpoint(void **state)
{
	struct endpoint at, again;
	struct link l, made, other;
	struct err e;

	(void)state;
	assert_int_equal(link_parse(&l, "talkoot://" B "@[2001:db8::1]:7070/" A, &e), 0);
	at = link_at(&l);
	assert_string_equal(at.host, "2001:db8::1");
	assert_int_equal(at.port, 7070);
	made = link_to(&l.node, &l.grid, &at);
	assert_true(link_equal(&made, &l));
	assert_true(id_equal(&made.grid, &l.grid));
	again = at;
	again.port++;
	other = link_to(&l.node, &l.grid, &again);
	assert_false(link_equal(&other, &l));
	other = link_to(&l.grid, &l.grid, &at);
	assert_false(link_equal(&other, &l));
	snprintf(again.host, sizeof(again.host), "h");
	again.port = at.port;
	other = link_to(&l.node, &l.grid, &again);
	assert_false(link_equal(&other, &l));
}

static void bad_links_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "talkoot:", "talkoot://", "talkoot:///" A,
		"http://h:1/" A, "TALKOOT://h:1/" A, "talkoot://h:1/", "talkoot://h:1",
		"talkoot://h:1/" A "/", "talkoot://h:1/" A "?", "talkoot://h:0/" A,
		"talkoot://h:65536/" A, "talkoot://h:01/" A, "talkoot://h:-1/" A, "talkoot://h:/" A,
		"talkoot://h/" A, "talkoot://:1/" A, "talkoot://@h:1/" A, "talkoot://x@h:1/" A,
		"talkoot://" A "@/" A, "talkoot://" A "@" B "@h:1/" A, "talkoot://h h:1/" A,
		"talkoot://h%00:1/" A, "talkoot://[::1:1/" A, "talkoot://::1:1/" A,
		"talkoot://[::g]:1/" A, "talkoot://[]:1/" A, "talkoot://[:1/" A,
		"talkoot://[fe80::1%25eth0]:1/" A, "talkoot://-h:1/" A, " talkoot://h:1/" A,
		"talkoot://h:1/" A "\n", "talkoot://h\xff:1/" A };
	struct link l;
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (!link_parse(&l, bad[i], &e))
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(e.code, ERR_MALFORMED);
		assert_true(strlen(e.msg) > 10);
	}
}

static void the_longest_host_fits_and_one_more_does_not(void **state)
{
	(void)state;
	char host[LINK_HOST_MAX + 2];
	char text[LINK_TEXT_MAX + 1];
	struct link l;
	struct err e;

	memset(host, 'h', sizeof(host));
	host[LINK_HOST_MAX] = '\0';
	auto_free char *good = xprintf("talkoot://" B "@%s:65535/" A, host);
	assert_int_equal(link_parse(&l, good, &e), 0);
	link_text(text, &l);
	assert_string_equal(text, good);
	host[LINK_HOST_MAX] = 'h';
	host[LINK_HOST_MAX + 1] = '\0';
	auto_free char *bad = xprintf("talkoot://%s:1/" A, host);
	assert_int_equal(link_parse(&l, bad, &e), -1);
	auto_free char *huge = xmalloc(100001);
	memset(huge, 'h', 100000);
	memcpy(huge + 99998, ":1", 3);
	struct endpoint p;
	assert_int_equal(endpoint_parse(&p, huge, &e), -1);
}

static void endpoints_round_trip(void **state)
{
	(void)state;
	static const char *const good[] = { "0.0.0.0:0", "[::]:0", "localhost:7411",
		"a-b.example:65535", "[::1]:80" };
	static const char *const bad[] = { "", ":", ":80", "80", "h", "h:", "h:x", "h:65536",
		"::1:80", "[::1]", "[::1]80", "h:80 ", "h:80:", "[h]:80", "/:80" };
	char text[LINK_HOST_MAX + 9];
	struct endpoint p;
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(endpoint_parse(&p, good[i], &e), 0);
		endpoint_text(text, &p);
		assert_string_equal(text, good[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(endpoint_parse(&p, bad[i], &e), -1);
}

static void loopback_is_known_in_every_spelling(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool loopback;
	} cases[] = { { "127.0.0.1:1", true }, { "127.9.9.9:1", true }, { "[::1]:1", true },
		{ "localhost:1", true }, { "LocalHost:1", true }, { "[0:0:0:0:0:0:0:1]:1", true },
		{ "[::ffff:127.0.0.1]:1", true }, { "0.0.0.0:1", false }, { "[::]:1", false },
		{ "128.0.0.1:1", false }, { "localhost.example:1", false },
		{ "[::ffff:10.0.0.1]:1", false }, { "[::2]:1", false } };
	struct endpoint p;
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(endpoint_parse(&p, cases[i].text, &e), 0);
		assert_int_equal(endpoint_is_loopback(&p), cases[i].loopback);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_has_one_spelling),
		cmocka_unit_test(a_prefix_has_8_to_64_digits),
		cmocka_unit_test(links_round_trip),
		cmocka_unit_test(without_a_node_the_grid_is_the_node),
		cmocka_unit_test(a_link_is_a_node_at_an_endpoint),
		cmocka_unit_test(bad_links_are_refused),
		cmocka_unit_test(the_longest_host_fits_and_one_more_does_not),
		cmocka_unit_test(endpoints_round_trip),
		cmocka_unit_test(loopback_is_known_in_every_spelling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
