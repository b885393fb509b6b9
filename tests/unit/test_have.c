/* SPDX-License-Identifier: Apache-2.0
 *
 * test_have.c: have-maps, and the body and answer of `POST /v1/swarm`.
 */
#include "common/have.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ASK "\"grid\":\"" A "\",\"node\":\"" A "\",\"digest\":\"sha256:" A "\""

static void bit_0_of_byte_0_is_the_highest_and_piece_0(void **state)
{
	unsigned char map[2] = { 0 };

	(void)state;
	have_set(map, 0);
	have_set(map, 9);
	assert_int_equal(map[0], 0x80);
	assert_int_equal(map[1], 0x40);
	assert_true(have_get(map, 0) && have_get(map, 9) && !have_get(map, 1));
	have_clear(map, 0);
	assert_int_equal(have_count(map, 16), 1);
}

static void spare_bits_must_be_zero_and_the_length_exact(void **state)
{
	unsigned char map[HAVE_BYTES_MAX];

	(void)state;
	for (size_t pieces = 1; pieces <= 40; pieces++) {
		have_fill(map, pieces);
		assert_int_equal(have_count(map, pieces), pieces);
		assert_true(have_fits(map, have_bytes(pieces), pieces));
		assert_false(have_fits(map, have_bytes(pieces) + 1, pieces));
		assert_true(pieces % 8 == 1 || !have_fits(map, have_bytes(pieces), pieces - 1));
	}
	assert_false(have_fits(map, HAVE_BYTES_MAX + 1, HAVE_PIECES_MAX + 1));
}

static void an_ask_comes_back_as_it_was(void **state)
{
	struct swarm_ask a = { .n_have = 2,
		.known = 5,
		.want = { 3, 2047 },
		.n_want = 2,
		.wait_ms = 30000 },
			 b;
	struct err e;

	(void)state;
	a.have[1] = 0x40;
	a.digest.b[0] = 7;
	a.has_address = !endpoint_parse(&a.address, "[fe80::1]:7070", &e);
	auto_free char *text = swarm_ask_text(&a);
	assert_int_equal(swarm_ask_read(&b, text, strlen(text), &e), 0);
	assert_memory_equal(a.have, b.have, sizeof(a.have));
	assert_true(b.n_have == 2 && b.known == 5 && b.n_want == 2 && b.want[1] == 2047 &&
		    b.wait_ms == 30000);
	assert_true(digest_equal(&a.digest, &b.digest) && b.has_address && b.address.port == 7070);
}

static void what_is_beyond_its_bounds_is_refused_and_named(void **state)
{
	static const struct {
		const char *text, *field;
	} bad[] = {
		{ "{" ASK ",\"have\":\"\"}", "wait_ms" },
		{ "{" ASK ",\"have\":\"\",\"wait_ms\":30001}", "wait_ms" },
		{ "{" ASK ",\"have\":1,\"wait_ms\":0}", "have" },
		{ "{" ASK ",\"have\":\"gB==\",\"wait_ms\":0}", "have" }, /* not the one spelling */
		{ "{" ASK ",\"have\":\"\",\"wait_ms\":0,\"want\":[2048]}", "want[0]" },
		{ "{" ASK ",\"have\":\"\",\"wait_ms\":0,\"want\":[0,1,2,3,4,5,6,7,8]}", "want" },
		{ "{" ASK ",\"have\":\"\",\"wait_ms\":0,\"address\":\"1.2.3.4:0\"}", "address" },
		{ "{" ASK ",\"have\":\"\",\"wait_ms\":0,\"known\":-1}", "known" },
	};
	struct swarm_ask a;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(swarm_ask_read(&a, bad[i].text, strlen(bad[i].text), &e), -1);
		assert_string_equal(e.field, bad[i].field);
	}
	auto_free char *huge = xcalloc(SWARM_TEXT_MAX + 2, 1);
	memset(huge, ' ', SWARM_TEXT_MAX + 1);
	assert_int_equal(swarm_ask_read(&a, huge, SWARM_TEXT_MAX + 1, &e), -1);
	assert_int_equal(e.code, ERR_TOO_BIG);
}

static void only_a_first_seeds_answer_has_an_offer_be_it_empty(void **state)
{
	struct swarm_answer a = { .has = true, .seeds = true, .n_have = 1, .next_ms = 9 }, b;
	struct err e;

	(void)state;
	auto_free char *text = swarm_answer_text(&a);
	assert_int_equal(swarm_answer_read(&b, text, strlen(text), &e), 0);
	assert_true(b.has && b.seeds && !b.n_offer && b.next_ms == 9);
	assert_int_equal(swarm_answer_read(&b, "{\"peers\":[],\"next_ms\":0}", 24, &e), 0);
	assert_false(b.has || b.seeds);
	assert_int_equal(
		swarm_answer_read(&b, "{\"peers\":[\"http://x\"],\"next_ms\":0}", 34, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bit_0_of_byte_0_is_the_highest_and_piece_0),
		cmocka_unit_test(spare_bits_must_be_zero_and_the_length_exact),
		cmocka_unit_test(an_ask_comes_back_as_it_was),
		cmocka_unit_test(what_is_beyond_its_bounds_is_refused_and_named),
		cmocka_unit_test(only_a_first_seeds_answer_has_an_offer_be_it_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
