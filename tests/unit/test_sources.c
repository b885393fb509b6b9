/* SPDX-License-Identifier: Apache-2.0
 *
 * test_sources.c: what a job that is waited for says to who waits.
 */
#include "coordinator/found.h"
#include "coordinator/sources.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct job_row row(const char *state, int64_t failed)
{
	struct job_row r = { .id = { { 0xab, 0xcd } }, .count = 9, .failed = failed };

	snprintf(r.state, sizeof(r.state), "%s", state);
	return r;
}

static void a_source_is_waited_for_until_it_is_done(void **state)
{
	(void)state;
	char why[SOURCES_WHY_MAX];
	struct job_row active = row("active", 0), done = row("done", 0);

	assert_int_equal(source_judge(&active, true, why), SOURCE_WAIT);
	assert_int_equal(source_judge(&done, true, why), SOURCE_READY);
	assert_int_equal(source_judge(&done, false, why), SOURCE_READY);
}

static void failures_count_only_where_all_tasks_are_needed(void **state)
{
	(void)state;
	char why[SOURCES_WHY_MAX];
	struct job_row one = row("done", 1), more = row("done", 3), active = row("active", 3);

	assert_int_equal(source_judge(&one, false, why), SOURCE_READY);
	assert_int_equal(source_judge(&one, true, why), SOURCE_NEVER);
	assert_string_equal(why, "job abcd00000000, which it waits for, has 1 failed task");
	assert_int_equal(source_judge(&more, true, why), SOURCE_NEVER);
	assert_string_equal(why, "job abcd00000000, which it waits for, has 3 failed tasks");
	assert_int_equal(source_judge(&active, true, why),
		SOURCE_WAIT); /* its own max_failures may end it */
}

static void a_cancelled_source_is_the_end_in_any_case(void **state)
{
	(void)state;
	char why[SOURCES_WHY_MAX];
	struct job_row r = row("cancelled", 0);

	assert_int_equal(source_judge(&r, true, why), SOURCE_NEVER);
	assert_int_equal(source_judge(&r, false, why), SOURCE_NEVER);
	assert_string_equal(why, "job abcd00000000, which it waits for, was cancelled");
}

static void what_was_found_is_found_again_by_all_of_its_name(void **state)
{
	(void)state;
	struct digest a = digest_of("a", 1), b = digest_of("b", 1);
	struct blob x = { .digest = digest_of("x", 1), .size = 1 }, got;
	struct found *f = found_new();

	assert_false(found_get(f, &a, 0, "stdout", &got));
	found_put(f, &a, 7, "files/x", &x);
	assert_true(found_get(f, &a, 7, "files/x", &got));
	assert_memory_equal(&got, &x, sizeof(x));
	assert_false(found_get(f, &b, 7, "files/x", &got));
	assert_false(found_get(f, &a, 8, "files/x", &got));
	assert_false(found_get(f, &a, 7, "files/y", &got));
	for (int64_t i = 0; i < 4L * FOUND_MAX; i++)
		found_put(f, &b, i, "stdout", &x); /* it grows no further */
	assert_true(found_get(f, &b, 4L * FOUND_MAX - 1, "stdout", &got));
	found_free(f);
}

/* The most that one lease message can be asked to say stays below its bound. */
static void sixty_four_leases_with_all_they_are_given_fit_a_message(void **state)
{
	(void)state;
	struct key *k = key_new();
	struct epoch epoch = { INT64_C(1) << 50, "00112233445566778899aabbccddeeff" };
	json_t *m = msg_new_epoch(MSG_LEASE, key_id(k), key_id(k), INT64_C(1) << 50, &epoch),
	       *list = json_array();
	struct blob most = { .size = BLOB_SIZE_MAX };
	char id[ID_TEXT + 1], *line = NULL;
	struct err e;

	id_text(id, key_id(k));
	for (int i = 0; i < LEASES_PER_ASK; i++)
		json_array_append_new(list,
			json_pack("{s:s,s:i,s:i,s:o}", "id", "00112233445566778899aabbccddeeff",
				"index", JOB_TASKS_MAX - 1, "ttl_ms", LEASE_TERM_MS, "stdin",
				blob_to_json(&most)));
	json_object_set_new(m, "worker", json_string(id));
	json_object_set_new(m, "job", json_string(id));
	json_object_set_new(m, "leases", list);
	json_object_set_new(m, "now", json_integer(INT64_C(1) << 50));
	json_object_set_new(m, "inputs", blob_to_json(&most));
	assert_int_equal(msg_seal(&line, m, NULL, k, &e), 0);
	free(line);
	key_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_found_is_found_again_by_all_of_its_name),
		cmocka_unit_test(a_source_is_waited_for_until_it_is_done),
		cmocka_unit_test(failures_count_only_where_all_tasks_are_needed),
		cmocka_unit_test(a_cancelled_source_is_the_end_in_any_case),
		cmocka_unit_test(sixty_four_leases_with_all_they_are_given_fit_a_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
