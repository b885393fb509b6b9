/* SPDX-License-Identifier: Apache-2.0
 *
 * test_reach.c: when a worker asks whether it can be reached, and what it believes.
 */
#include "common/dialback.h"
#include "tests/unit/vectors.h"
#include "worker/reach.h"

static struct reach fresh(void)
{
	struct reach r;

	reach_init(&r, 1, 1000);
	return r;
}

static void a_worker_asks_at_once_and_then_seldom(void **state)
{
	(void)state;
	struct reach r = fresh();

	assert_int_equal(r.state, REACH_UNKNOWN);
	assert_int_equal(reach_wait(&r, 1000), 0);
	assert_true(reach_told(&r, true, 2000));
	assert_int_equal(r.state, REACH_YES);
	assert_in_range(reach_wait(&r, 2000), REACH_YES_MS, REACH_YES_MS * 11 / 10);
	assert_false(reach_told(&r, true, 9000)); /* no news */
}

static void a_first_no_is_believed_a_later_one_only_twice_running(void **state)
{
	(void)state;
	struct reach r = fresh();

	assert_true(reach_told(&r, false, 0));
	assert_int_equal(r.state, REACH_NO);
	assert_in_range(reach_wait(&r, 0), REACH_NO_MS, REACH_NO_MS * 11 / 10);
	assert_true(reach_told(&r, true, 0));
	assert_false(reach_told(&r, false, 0));
	assert_int_equal(r.state, REACH_YES);
	assert_in_range(reach_wait(&r, 0), REACH_DOUBT_MS, REACH_DOUBT_MS * 11 / 10);
	assert_false(reach_told(&r, true, 0)); /* the doubt is over */
	assert_false(reach_told(&r, false, 0));
	assert_true(reach_told(&r, false, 0));
	assert_int_equal(r.state, REACH_NO);
}

static void no_answer_changes_nothing_and_is_tried_ever_more_seldom(void **state)
{
	(void)state;
	struct reach r = fresh();
	int64_t last = 0, wait = 0;

	reach_told(&r, true, 0);
	for (int i = 0; i < 100; i++) {
		reach_unanswered(&r, 0, 0);
		wait = reach_wait(&r, 0);
		assert_true(wait * 11 / 10 + 1 >= last && wait <= REACH_RETRY_MAX_MS * 11 / 10);
		assert_true(wait >= REACH_RETRY_MIN_MS);
		last = wait;
	}
	assert_true(wait >= REACH_RETRY_MAX_MS);
	assert_int_equal(r.state, REACH_YES);
	reach_told(&r, true, 0);
	reach_unanswered(&r, 0, 0);
	assert_in_range(reach_wait(&r, 0), REACH_RETRY_MIN_MS, REACH_RETRY_MIN_MS * 11 / 10);
	reach_unanswered(&r, 30000, 0);
	assert_in_range(reach_wait(&r, 0), 30000, 33000);
	reach_unanswered(&r, INT64_MAX, 0);
	assert_true(reach_wait(&r, 0) <= REACH_RETRY_MAX_MS * 11 / 10);
}

static void a_request_names_a_node_and_a_port(void **state)
{
	(void)state;
#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	static const char *const wrong[] = { "", "{}", "[]", "{\"node\":\"" HEX "\"}",
		"{\"port\":1}", "{\"node\":\"" HEX "\",\"port\":0}",
		"{\"node\":\"" HEX "\",\"port\":65536}", "{\"node\":\"" HEX "\",\"port\":\"1\"}",
		"{\"node\":\"" HEX "\",\"port\":1.0}", "{\"node\":\"x\",\"port\":1}",
		"{\"node\":\"" HEX "\",\"port\":1,\"port\":2}" };
	static const char good[] = "{\"node\":\"" HEX "\",\"port\":65535,\"host\":\"192.0.2.1\"}";
	struct id id;
	uint16_t port;
	struct err e;
	char text[ID_TEXT + 1];

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(dialback_read(&id, &port, wrong[i], strlen(wrong[i]), &e), -1);
	assert_int_equal(dialback_read(&id, &port, good, strlen(good), &e), 0);
	id_text(text, &id);
	assert_string_equal(text, HEX);
	assert_int_equal(port, 65535);
}

static void an_answer_says_where_and_whether(void **state)
{
	(void)state;
	static const char *const wrong[] = { "", "{}", "{\"reached\":true}",
		"{\"reached\":1,\"address\":\"192.0.2.1:7\"}",
		"{\"reached\":true,\"address\":\"\"}",
		"{\"reached\":true,\"address\":\"192.0.2.1\"}",
		"{\"reached\":true,\"address\":\"a b:1\"}" };
	static const char good[] = "{\"reached\":true,\"address\":\"[2001:db8::1]:7\"}";
	struct endpoint at;
	bool reached = false;
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(
			dialback_read_answer(&reached, &at, wrong[i], strlen(wrong[i]), &e), -1);
	assert_int_equal(dialback_read_answer(&reached, &at, good, strlen(good), &e), 0);
	assert_true(reached);
	assert_string_equal(at.host, "2001:db8::1");
	assert_int_equal(at.port, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_asks_at_once_and_then_seldom),
		cmocka_unit_test(a_first_no_is_believed_a_later_one_only_twice_running),
		cmocka_unit_test(no_answer_changes_nothing_and_is_tried_ever_more_seldom),
		cmocka_unit_test(a_request_names_a_node_and_a_port),
		cmocka_unit_test(an_answer_says_where_and_whether),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
