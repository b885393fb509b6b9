/* SPDX-License-Identifier: Apache-2.0
 *
 * test_users.c: who uses a blob is found whole in a small grid, and at a bounded cost in a large one.
 */
#include "coordinator/users.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define NOW ((int64_t)1800000000000)

/* n_jobs jobs and leases, the i-th of worker i and job i, modulo. */
static struct sched *sched_of(size_t n_jobs, size_t n_workers, size_t n_leases)
{
	struct sched *d = xcalloc(1, sizeof(*d));

	d->n_jobs = n_jobs;
	d->n_workers = n_workers;
	d->n_leases = n_leases;
	d->workers = xcalloc(n_workers, sizeof(*d->workers));
	d->leases = xcalloc(n_leases, sizeof(*d->leases));
	for (size_t i = 0; i < n_workers; i++) {
		strcpy(d->workers[i].address, "203.0.113.5:9000");
		d->workers[i].seen_ms = NOW;
		d->workers[i].has_asked = true;
	}
	for (size_t i = 0; i < n_leases; i++)
		d->leases[i] = (struct lease){ .worker = (uint32_t)(i % n_workers),
			.job = (uint32_t)(i % n_jobs) };
	return d;
}

static void drop(struct sched *d)
{
	free(d->workers);
	free(d->leases);
	free(d);
}

/* The job whose number is the blob's first two bytes; 0xffff: all. */
static bool uses(void *arg, uint32_t job, const struct digest *d)
{
	unsigned of = d->b[0] << 8 | d->b[1];

	(void)arg;
	return of == 0xffff || of == job;
}

static struct digest blob_of(unsigned job)
{
	return (struct digest){ { (unsigned char)(job >> 8), (unsigned char)job } };
}

static bool has(const struct users *u, uint32_t worker)
{
	for (size_t i = 0; i < u->n; i++)
		if (u->by[i].worker == worker)
			return true;
	return false;
}

static void one_look_finds_all_of_a_small_grid_and_each_once(void **state)
{
	struct sched *d = sched_of(4, 20, 1000);
	struct finding *f = finding_new(1, uses, NULL);
	struct digest blob = blob_of(3);

	(void)state;
	d->workers[7].address[0] = '\0';
	d->leases[11].worker = NOBODY; /* 49 others are of worker 11 and job 3 */
	const struct users *u = finding_users(f, d, &blob, NOW);
	assert_int_equal(u->n, 4); /* 3, 11, 15, 19: those of job 3 but 7, which nobody can reach */
	for (uint32_t w = 3; w < 20; w += 4)
		assert_true(has(u, w) == (w != 7));
	assert_int_equal(finding_cost(f).jobs, 4);
	/* the leases end: they had it lately, until that is long ago */
	d->n_leases = 0;
	for (int i = 1; i < 5; i++)
		assert_int_equal(finding_users(f, d, &blob, NOW + i * USERS_AGE_MS)->n, 4);
	for (size_t i = 0; i < d->n_workers; i++)
		d->workers[i].seen_ms = NOW + USERS_LATELY_MS;
	assert_int_equal(finding_users(f, d, &blob, NOW + USERS_LATELY_MS + 1)->n, 0);
	finding_free(f);
	drop(d);
}

static void a_look_at_a_large_grid_costs_no_more_than_its_part(void **state)
{
	struct sched *d = sched_of(4096, 100000, 100000);
	struct finding *f = finding_new(1, uses, NULL);
	struct digest blob = blob_of(4000);
	uint64_t before = 0, jobs = 0;
	size_t looks = 0, most = 0;

	(void)state;
	while (looks < 100000 / USERS_LOOK_MAX + 1) {
		const struct users *u =
			finding_users(f, d, &blob, NOW + (int64_t)looks * USERS_PART_MS);
		struct finding_cost c = finding_cost(f);

		assert_true(c.leases - before <= USERS_LOOK_MAX);
		assert_true(c.jobs - jobs <= 4096);
		before = c.leases;
		jobs = c.jobs;
		most = u->n;
		looks++;
	}
	assert_int_equal(most, 24); /* 4000, 8096, … 98208 */
	finding_free(f);
	drop(d);
}

/* A thousand blobs asked about by ten thousand asks within a window: no look is good for the next, and still. */
static void a_flood_of_asks_on_many_blobs_has_one_bound(void **state)
{
	struct sched *d = sched_of(4096, 1000, 100000);
	struct finding *f = finding_new(1, uses, NULL);

	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		struct digest blob = blob_of(i % 1000);

		finding_users(f, d, &blob, NOW + i % USERS_WINDOW_MS);
	}
	assert_true(finding_cost(f).leases <= 2 * USERS_WINDOW_MAX);
	finding_free(f);
	drop(d);
}

static void of_a_blob_that_all_use_some_are_kept(void **state)
{
	struct sched *d = sched_of(4096, 100000, 100000);
	struct finding *f = finding_new(1, uses, NULL);
	struct digest blob = blob_of(0xffff);
	const struct users *u = NULL;

	(void)state;
	for (int64_t i = 0; i < 20; i++)
		u = finding_users(f, d, &blob, NOW + i * USERS_PART_MS);
	assert_int_equal(u->n, USERS_KEPT);
	for (size_t i = 0; i < u->n; i++)
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(u->by[i].worker, u->by[k].worker);
	d->n_workers = 10; /* what is not there is not named */
	d->n_leases = 0;
	u = finding_users(f, d, &blob, NOW + 100000);
	for (size_t i = 0; i < u->n; i++)
		assert_true(u->by[i].worker < 10);
	finding_free(f);
	drop(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_look_finds_all_of_a_small_grid_and_each_once),
		cmocka_unit_test(a_look_at_a_large_grid_costs_no_more_than_its_part),
		cmocka_unit_test(a_flood_of_asks_on_many_blobs_has_one_bound),
		cmocka_unit_test(of_a_blob_that_all_use_some_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
