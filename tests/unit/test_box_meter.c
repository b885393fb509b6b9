/* SPDX-License-Identifier: Apache-2.0
 *
 * test_box_meter.c: what counts as used when processes come and go, and what the kernel's own memory for a
 * box is charged.
 */
#include "sandbox/crowd.h"
#include "sandbox/hoard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static int64_t look(struct crowd *c, const struct crowd_one *now, size_t n, int64_t waited_us)
{
	return crowd_look(c, now, n, waited_us, true);
}

static void who_was_waited_for_counts_once(void **state)
{
	const struct crowd_one two[] = { { 10, 500 }, { 11, 300 } };
	struct crowd c = { 0 };

	(void)state;
	assert_int_equal(look(&c, two, 2, 0), 0);
	/* 11 ended with 400 and its parent waited for it */
	assert_int_equal(look(&c, two, 1, 400), 400);
	assert_false(crowd_forgets(&c));
	assert_int_equal(look(&c, two, 0, 400), 800);
	crowd_release(&c);
}

static void who_was_forgotten_counts_as_last_seen(void **state)
{
	const struct crowd_one two[] = { { 10, 500 }, { 11, 300 } }, later[] = { { 10, 900 } };
	struct crowd c = { 0 };

	(void)state;
	look(&c, two, 2, 0);
	assert_int_equal(look(&c, later, 1, 0), 300);
	assert_true(crowd_forgets(&c));
	assert_int_equal(look(&c, later, 0, 0), 1200);
	assert_int_equal(look(&c, later, 0, 0), 1200);
	crowd_release(&c);
}

static void a_number_that_was_given_again_is_another_process(void **state)
{
	const struct crowd_one first = { 10, 500 }, second = { 10, 20 };
	struct crowd c = { 0 };

	(void)state;
	look(&c, &first, 1, 0);
	assert_int_equal(look(&c, &second, 1, 0), 500);
	assert_int_equal(look(&c, &second, 0, 0), 520);
	crowd_release(&c);
}

static void a_sum_of_waiting_that_ended_unwaited_for_is_kept(void **state)
{
	const struct crowd_one parent = { 10, 1 };
	struct crowd c = { 0 };

	(void)state;
	look(&c, &parent, 1, 7000);
	assert_int_equal(look(&c, &parent, 0, 0), 7000);
	assert_int_equal(look(&c, &parent, 0, 400), 7400);
	assert_true(crowd_forgets(&c));
	crowd_release(&c);
}

static void a_torn_look_proves_no_loss(void **state)
{
	const struct crowd_one parent = { 10, 1 };
	struct crowd c = { 0 };

	(void)state;
	look(&c, &parent, 1, 7000);
	crowd_look(&c, &parent, 1, 0, false);
	assert_int_equal(look(&c, &parent, 1, 7100), 7100);
	assert_false(crowd_forgets(&c));
	crowd_release(&c);
}

/* However processes are made, waited for, forgotten and looked at: never more than they used, and at
 * least half of what was seen of those that ended. */
static void no_history_is_charged_more_than_it_used(void **state)
{
	enum { N = 12, ROUNDS = 400 };

	(void)state;
	for (unsigned seed = 1; seed <= 50; seed++) {
		struct crowd_one now[N];
		int64_t own[N] = { 0 }, seen[N] = { 0 }, waited = 0, used = 0, dead_seen = 0,
			got = 0;
		struct crowd c = { 0 };
		pid_t pids[N], next = 100;

		srand(seed);
		for (int i = 0; i < N; i++)
			pids[i] = next++;
		for (int r = 0; r < ROUNDS; r++) {
			int i = rand() % N, us = rand() % 5000;
			size_t n = 0;

			own[i] += us;
			used += us;
			if (rand() % 4 == 0) { /* it ends, and a new one takes its place */
				waited += rand() % 2 ? own[i] : 0;
				dead_seen += seen[i];
				own[i] = seen[i] = 0;
				pids[i] = next++;
			}
			if (rand() % 3 != 0)
				continue;
			for (int k = 0; k < N; k++) {
				size_t at = n++;

				for (; at > 0 && now[at - 1].pid > pids[k]; at--)
					now[at] = now[at - 1];
				now[at] = (struct crowd_one){ pids[k], seen[k] = own[k] };
			}
			got = crowd_look(&c, now, n, waited, true);
			for (int k = 0; k < N; k++)
				got += own[k];
			if (got > used || got < dead_seen / 2)
				fail_msg("seed %u round %d: %lld of %lld", seed, r, (long long)got,
					(long long)used);
		}
		crowd_release(&c);
	}
}

static const struct box_limits usual = { 3600, 7200, 512, 256, 64, 32, 1, false };

static void what_honest_programs_hold_is_free(void **state)
{
	/* 32 processes, each with its loop of events and the six streams of a child */
	const struct hoard h = { 32 * 8, 32 * 8, 0, 0, 32 * 8, HOARD_RECORD_KIB };

	(void)state;
	assert_int_equal(hoard_charge_kib(&h, &usual), 0);
}

static void what_is_beyond_is_charged_as_full(void **state)
{
	const struct hoard h = { 32 * 8 + 10, 32 * 8 + 3, 4096, 512, 2100, HOARD_RECORD_KIB };

	(void)state;
	assert_int_equal(hoard_charge_kib(&h, &usual),
		10 * HOARD_SOCKET_KIB + 3 * HOARD_PIPE_KIB + (2100 - 32 * 8) * HOARD_RECORD_KIB +
			(4096 * HOARD_MAPPING_BYTES + 512 * HOARD_WATCH_BYTES) / 1024);
}

/* One that has built a name of megabytes has few free. */
static void what_a_file_of_proc_keeps_grows_with_the_names(void **state)
{
	const struct hoard h = { 0, 0, 0, 0, 100, 8192 };

	(void)state;
	assert_int_equal(hoard_charge_kib(&h, &usual), 100 * 8192 - 512 * 1024 / HOARD_FREE_PART);
}

static void a_small_box_has_less_free(void **state)
{
	struct box_limits small = usual;
	const struct hoard h = { 100, 0, 0, 0, 0, 0 };

	(void)state;
	small.memory_mib = 32;
	assert_int_equal(hoard_charge_kib(&h, &small), 100 * HOARD_SOCKET_KIB - 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_was_waited_for_counts_once),
		cmocka_unit_test(who_was_forgotten_counts_as_last_seen),
		cmocka_unit_test(a_number_that_was_given_again_is_another_process),
		cmocka_unit_test(a_sum_of_waiting_that_ended_unwaited_for_is_kept),
		cmocka_unit_test(a_torn_look_proves_no_loss),
		cmocka_unit_test(no_history_is_charged_more_than_it_used),
		cmocka_unit_test(what_honest_programs_hold_is_free),
		cmocka_unit_test(what_is_beyond_is_charged_as_full),
		cmocka_unit_test(what_a_file_of_proc_keeps_grows_with_the_names),
		cmocka_unit_test(a_small_box_has_less_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
