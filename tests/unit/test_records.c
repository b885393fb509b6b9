/* SPDX-License-Identifier: Apache-2.0
 *
 * test_records.c: the peer records that the coordinator gives to newcomers, and that no flood of them takes it all.
 */
#include "coordinator/records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NOW ((int64_t)1800000000000)
#define HOUR ((int64_t)3600 * 1000)

static struct id grid;
static struct heard_by by;

static char *record(const struct key *k, int64_t seq, const char *address, int64_t expires)
{
	json_t *j = msg_new_request(MSG_PEER, &grid, key_id(k), NOW, seq);
	json_t *more = json_pack("{s:[s], s:i, s:[s], s:s, s:s, s:b, s:I}", "addresses", address,
		"slots", 1, "profiles", "compute", "platform", "x86_64-linux", "platform_class",
		"x86_64-v3", "relay", 0, "expires", (json_int_t)expires);
	char *line = NULL;
	struct err e;

	json_object_update(j, more);
	json_decref(more);
	assert_int_equal(msg_seal(&line, j, NULL, k, &e), 0);
	return line;
}

static enum news_verdict take(
	struct records *r, const struct key *k, int64_t seq, const char *address, int64_t expires)
{
	auto_free char *line = record(k, seq, address, expires);

	return records_take(r, &by, line, strlen(line), NOW);
}

/* How many of all that it has are at an address that begins so. */
static int count(struct records *r, const char *prefix)
{
	int n = 0;

	for (int i = 0; i < 400; i++) { /* one at a time, by chance: its share */
		struct say s = { 0 };
		struct heard h;
		struct err e;

		records_add(r, &s, &(struct say){ .want = 1 }, NOW);
		if (s.n_peers && !heard_open(&by, &h, s.peers[0].line, s.peers[0].len, &e))
			n += !strncmp(h.at[0].host, prefix, strlen(prefix));
		say_release(&s);
	}
	return n;
}

static void a_flood_from_one_block_leaves_the_others_their_places(void **state)
{
	struct records *r = records_new(7);
	char address[48];

	(void)state;
	for (int i = 0; i < 300; i++) {
		struct key *k = key_new();

		snprintf(address, sizeof(address), i < 20 ? "50.%d.1.1:4000" : "60.1.%d.2:4000",
			i % 250);
		assert_int_equal(take(r, k, 1, address, NOW + HOUR), NEWS_NEW);
		key_free(k);
	}
	int honest = count(r, "50."), flood = count(r, "60.1.");
	assert_true(honest > 280); /* 20 of 24 places: 333 of 400 expected */
	assert_in_range(flood, 1, 120);
	records_free(r);
}

static void who_moves_takes_a_place_in_its_new_block(void **state)
{
	struct records *r = records_new(7);
	struct key *keys[8];
	char address[48];

	(void)state;
	for (int i = 0; i < 8; i++) {
		keys[i] = key_new();
		snprintf(address, sizeof(address), "50.%d.1.1:4000", i);
		assert_int_equal(take(r, keys[i], 1, address, NOW + HOUR), NEWS_NEW);
		assert_int_equal(
			take(r, keys[i], 1, address, NOW + 2 * HOUR), NEWS_KNOWN); /* not newer */
	}
	for (int i = 0; i < 8; i++) {
		snprintf(address, sizeof(address), "60.1.1.%d:4000", i + 1);
		assert_int_equal(take(r, keys[i], 2, address, NOW + HOUR), NEWS_NEW);
		key_free(keys[i]);
	}
	assert_int_equal(count(r, "50."), 0);
	assert_int_equal(count(r, "60."), 400);
	records_free(r);
}

static void what_nobody_could_dial_or_believe_is_not_kept(void **state)
{
	struct records *r = records_new(7);
	struct key *k = key_new();

	(void)state;
	assert_int_equal(take(r, k, 1, "224.0.0.1:4000", NOW + HOUR), NEWS_NO);
	assert_int_equal(take(r, k, 1, "50.1.1.1:4000", NOW), NEWS_NO);
	assert_int_equal(take(r, k, 1, "50.1.1.1:4000", NOW + 49 * HOUR), NEWS_NO);
	auto_free char *line = record(k, 1, "50.1.1.1:4000", NOW + HOUR);
	char *sig = strstr(line, "\"sig\":\"") + 7;
	sig[0] = sig[0] == 'A' ? 'B' : 'A';
	assert_int_equal(records_take(r, &by, line, strlen(line), NOW), NEWS_FORGED);
	assert_int_equal(records_take(r, &by, line, RECORDS_LINE_MAX + 1, NOW), NEWS_BAD);
	assert_int_equal(count(r, ""), 0);
	key_free(k);
	records_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flood_from_one_block_leaves_the_others_their_places),
		cmocka_unit_test(who_moves_takes_a_place_in_its_new_block),
		cmocka_unit_test(what_nobody_could_dial_or_believe_is_not_kept),
	};
	struct key *root = key_new();
	int bad;

	grid = *key_id(root);
	by = (struct heard_by){ .grid_id = grid };
	bad = cmocka_run_group_tests(tests, NULL, NULL);
	key_free(root);
	return bad;
}
