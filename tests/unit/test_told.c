/* SPDX-License-Identifier: Apache-2.0
 *
 * test_told.c: what a worker tells of jobs.
 */
#include "worker/told.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct reader {
	int reads;
	bool readable;
};

static bool read_one(void *arg, struct told_job *out)
{
	struct reader *r = arg;

	r->reads++;
	out->count = r->reads;
	return r->readable;
}

static struct digest number(int i)
{
	struct digest d = { .b = { (unsigned char)i, (unsigned char)(i >> 8) } };

	return d;
}

static void a_job_is_read_once_however_often_it_is_told(void **state)
{
	auto_free struct told_kept *k = xcalloc(1, sizeof(*k));
	struct reader r = { 0, true };

	(void)state;
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < TOLD_KEPT_MAX; i++) {
			struct digest id = number(i);
			const struct told_job *j = told_once(k, &id, read_one, &r);

			assert_true(digest_equal(&j->id, &id));
			assert_int_equal(j->count, i + 1);
		}
	assert_int_equal(r.reads, TOLD_KEPT_MAX);
}

static void what_cannot_be_read_is_not_kept_and_a_new_job_takes_the_oldest_s_place(void **state)
{
	auto_free struct told_kept *k = xcalloc(1, sizeof(*k));
	struct reader bad = { 0, false }, good = { 0, true };
	struct digest id = number(7);

	(void)state;
	assert_null(told_once(k, &id, read_one, &bad));
	assert_null(told_once(k, &id, read_one, &bad));
	assert_int_equal(bad.reads, 2);
	for (int i = 0; i <= TOLD_KEPT_MAX; i++) {
		id = number(i);
		told_once(k, &id, read_one, &good);
	}
	id = number(1);
	told_once(k, &id, read_one, &good);
	assert_int_equal(good.reads, TOLD_KEPT_MAX + 1);
	id = number(0);
	told_once(k, &id, read_one, &good);
	assert_int_equal(good.reads, TOLD_KEPT_MAX + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_is_read_once_however_often_it_is_told),
		cmocka_unit_test(
			what_cannot_be_read_is_not_kept_and_a_new_job_takes_the_oldest_s_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
