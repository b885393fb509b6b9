/* SPDX-License-Identifier: Apache-2.0
 *
 * test_seek.c: who is asked for a blob and who is told of one, when, and that no flood of claims takes memory or place.
 */
#include "worker/seek.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define NOW ((int64_t)1000000)

static struct digest blob(unsigned n)
{
	return digest_of(&n, sizeof(n));
}

static struct link node(unsigned n)
{
	static const struct id grid = { { 7 } };
	struct id id = { { 0 } };
	struct endpoint at = { .port = (uint16_t)(1000 + n) };

	memcpy(id.b, &n, sizeof(n));
	snprintf(at.host, sizeof(at.host), "10.%u.%u.%u", n >> 16 & 255, n >> 8 & 255, n & 255);
	return link_to(&id, &grid, &at);
}

/* What is here: of one blob so many pieces of ten. */
struct here {
	struct digest digest;
	int64_t pieces;
};

static int64_t count(void *arg, const struct digest *d, bool *whole)
{
	const struct here *h = arg;

	if (!digest_equal(&h->digest, d))
		return 0;
	*whole = h->pieces == 10;
	return h->pieces;
}

static void nothing_is_said_while_nothing_is_fetched(void **state)
{
	struct seek *k = xcalloc(1, sizeof(*k));
	struct here here = { blob(1), 10 };
	struct link at = node(1);
	struct seek_self self = { count, &here, &at };
	struct say say = { 0 };

	(void)state;
	assert_int_equal(seek_due(k, NOW), -1);
	assert_false(seek_question(k, &say, &self, NOW));
	struct digest d = blob(2);
	assert_true(seek_want(k, &d, NOW));
	assert_int_equal(seek_due(k, NOW), 0);
	assert_int_equal(seek_due(k, NOW + SEEK_LIVE_MS), -1); /* nobody wanted it again */
	assert_false(seek_question(k, &say, &self, NOW + SEEK_LIVE_MS));
	say_release(&say);
	free(k);
}

static void a_fetched_blob_is_sought_and_told_of_until_it_is_whole(void **state)
{
	struct seek *k = xcalloc(1, sizeof(*k));
	struct here here = { blob(1), 0 };
	struct link at = node(1);
	struct seek_self self = { count, &here, &at };
	struct say say = { 0 };

	(void)state;
	assert_true(seek_want(k, &here.digest, NOW));
	assert_false(seek_want(k, &here.digest, NOW + 1));
	assert_true(seek_question(k, &say, &self, NOW));
	assert_int_equal(say.n_seek, 1);
	assert_int_equal(say.n_have, 1);
	assert_int_equal(say.have[0].pieces, 0);
	assert_true(link_equal(&say.have[0].at, &at));
	assert_int_equal(seek_due(k, NOW), SEEK_AGAIN_MS);
	say_release(&say);
	here.pieces = 10;
	assert_true(seek_question(k, &say, &self, NOW + SEEK_AGAIN_MS));
	assert_int_equal(say.n_seek, 0);
	assert_int_equal(say.n_have, 1);
	assert_int_equal(say.have[0].pieces, 10);
	say_release(&say);
	assert_int_equal(seek_due(k, NOW + SEEK_AGAIN_MS), -1);
	free(k);
}

static void what_is_hidden_or_cannot_be_had_from_us_is_not_told(void **state)
{
	struct seek *k = xcalloc(1, sizeof(*k));
	struct here here = { blob(1), -1 };
	struct link at = node(1);
	struct seek_self hides = { count, &here, &at }, nowhere = { count, &here, NULL };
	struct say say = { 0 }, q = { 0 }, out = { 0 };

	(void)state;
	seek_want(k, &here.digest, NOW);
	assert_true(seek_question(k, &say, &hides, NOW));
	assert_int_equal(say.n_have, 0);
	say_add_seek(&q, &here.digest);
	seek_answer(k, &q, &out, &hides, NOW);
	assert_int_equal(out.n_have, 0);
	say_release(&say);
	here.pieces = 5; /* but we only dial out */
	assert_true(seek_question(k, &say, &nowhere, NOW));
	assert_int_equal(say.n_have, 0);
	say_release(&say);
	say_release(&q);
	free(k);
}

static void who_asks_is_told_of_us_first_and_of_whom_we_heard(void **state)
{
	struct seek *k = xcalloc(1, sizeof(*k));
	struct here here = { blob(1), 4 };
	struct seek_self self = { count, &here, NULL };
	struct digest other = blob(2);
	struct link a = node(2), b = node(3), c = node(4);
	struct say q = { 0 }, out = { 0 };

	(void)state;
	seek_hear(k, &other, 3, &a, NOW);
	seek_hear(k, &other, 9, &b, NOW);
	seek_hear(k, &here.digest, 1, &c, NOW);
	seek_hear(k, &here.digest, 2, &c, NOW + 1); /* the same node again */
	say_add_seek(&q, &other);
	say_add_seek(&q, &here.digest);
	seek_answer(k, &q, &out, &self, NOW + 2);
	assert_int_equal(out.n_have, 4);
	assert_true(out.have[0].self && out.have[0].pieces == 4);
	assert_true(digest_equal(&out.have[3].digest, &here.digest) && out.have[3].pieces == 2);
	say_release(&out);
	seek_answer(k, &q, &out, &self, NOW + 1 + SEEK_KEPT_MS); /* that was too long ago */
	assert_int_equal(out.n_have, 1);
	say_release(&out);
	say_release(&q);
	free(k);
}

static void those_with_most_pieces_are_tried_first(void **state)
{
	struct seek *k = xcalloc(1, sizeof(*k));
	struct digest d = blob(1);
	struct link out[SEEK_EACH], n[3] = { node(1), node(2), node(3) };

	(void)state;
	seek_hear(k, &d, 1, &n[0], NOW);
	seek_hear(k, &d, 9, &n[1], NOW);
	seek_hear(k, &d, 4, &n[2], NOW);
	assert_int_equal(seek_list(k, &d, out, SEEK_EACH, NOW), 3);
	assert_true(link_equal(&out[0], &n[1]) && link_equal(&out[1], &n[2]));
	assert_int_equal(seek_list(k, &d, out, 1, NOW), 1);
	assert_true(link_equal(&out[0], &n[1]));
	free(k);
}

/* A flood on one blob leaves the claims on another alone; and an answer has its bound. */
static void a_flood_of_claims_has_its_share_and_no_more(void **state)
{
	struct seek *k = xcalloc(1, sizeof(*k));
	struct here none = { blob(0), 0 };
	struct seek_self self = { count, &none, NULL };
	struct digest honest = blob(1), flooded = blob(2);
	struct link good = node(1), out[SEEK_EACH];
	struct say q = { 0 }, answer = { 0 };

	(void)state;
	seek_hear(k, &honest, 10, &good, NOW);
	for (unsigned i = 0; i < 10000; i++) {
		struct link l = node(10 + i);

		seek_hear(k, &flooded, 2048, &l, NOW + i);
	}
	assert_int_equal(seek_list(k, &honest, out, SEEK_EACH, NOW + 10000), 1);
	assert_int_equal(seek_list(k, &flooded, out, SEEK_EACH, NOW + 10000), SEEK_EACH);
	for (unsigned i = 0; i < SAY_SEEK_MAX; i++) {
		struct digest d = blob(2 + i);

		for (unsigned n = 0; n < 100; n++) {
			struct link l = node(n);
			seek_hear(k, &d, 1, &l, NOW + 10000 + n);
		}
		say_add_seek(&q, &d);
	}
	seek_answer(k, &q, &answer, &self, NOW + 20000);
	assert_int_equal(answer.n_have, SAY_HAVE_MAX);
	for (unsigned i = 0; i < 100; i++) {
		struct digest d = blob(100 + i);
		assert_true(seek_want(k, &d, NOW) == (i < SAY_SEEK_MAX));
	}
	say_release(&answer);
	say_release(&q);
	free(k);
}

/* What is said of blobs comes back as it was said, within the bytes a message may have. */
static void words_on_blobs_are_read_as_they_were_written(void **state)
{
	struct say s = { 0 }, back;
	struct err e;

	(void)state;
	for (unsigned i = 0; i < 2 * SAY_HAVE_MAX; i++) {
		struct said_have h = {
			.digest = blob(i), .pieces = i, .self = i % 2, .at = node(i)
		};

		say_add_seek(&s, &h.digest);
		say_add_have(&s, &h);
	}
	auto_free char *text = say_write(&s);
	assert_true(strlen(text) < SAY_HINT_BYTES);
	assert_int_equal(say_read(&back, text, strlen(text), &e), 0);
	assert_int_equal(back.n_seek, SAY_SEEK_MAX);
	assert_int_equal(back.n_have, SAY_HAVE_MAX);
	for (size_t i = 0; i < SAY_HAVE_MAX; i++) {
		assert_true(digest_equal(&back.have[i].digest, &s.have[i].digest));
		assert_int_equal(back.have[i].pieces, i);
		assert_true(back.have[i].self == i % 2);
		assert_true(back.have[i].self || link_equal(&back.have[i].at, &s.have[i].at));
	}
	say_release(&back);
	say_release(&s);
}

static void words_on_blobs_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = { "\"seek\":[1]", "\"seek\":[\"sha256:00\"]",
		"\"seek\":{}", "\"have\":[{}]",
		"\"have\":[{\"digest\":\"sha256:"
		"0000000000000000000000000000000000000000000000000000000000000000\",\"pieces\":"
		"2049}]",
		"\"have\":[{\"digest\":\"sha256:"
		"0000000000000000000000000000000000000000000000000000000000000000\",\"pieces\":1,"
		"\"at\":\"http://10.0.0.1/\"}]" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		auto_free char *text = xprintf("{\"hash\":\"0000000000000000\",%s}", bad[i]);
		struct say s;
		struct err e;

		assert_int_equal(say_read(&s, text, strlen(text), &e), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_said_while_nothing_is_fetched),
		cmocka_unit_test(a_fetched_blob_is_sought_and_told_of_until_it_is_whole),
		cmocka_unit_test(what_is_hidden_or_cannot_be_had_from_us_is_not_told),
		cmocka_unit_test(who_asks_is_told_of_us_first_and_of_whom_we_heard),
		cmocka_unit_test(those_with_most_pieces_are_tried_first),
		cmocka_unit_test(a_flood_of_claims_has_its_share_and_no_more),
		cmocka_unit_test(words_on_blobs_are_read_as_they_were_written),
		cmocka_unit_test(words_on_blobs_that_are_none_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
