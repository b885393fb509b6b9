/* SPDX-License-Identifier: Apache-2.0
 *
 * test_sched.c: leases, copies, expiry, and a whole grid in virtual time, some of it lying.
 */
#include "coordinator/sched.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static uint64_t next(void *state)
{
	return rng_next(state);
}

static void draw_id(unsigned char id[LEASE_ID_BYTES])
{
	static uint64_t n;
	uint64_t a = ++n, b = 0x5eed;

	memcpy(id, &a, 8);
	memcpy(id + 8, &b, 8);
}

struct world {
	struct sched s;
	uint64_t rng;
	int64_t now;
	uint32_t out[64];
};

static void world_new(struct world *w, uint64_t seed)
{
	*w = (struct world){ .rng = seed, .now = 1000 };
	sched_init(&w->s, BY_NETWORK, (struct chance){ next, &w->rng });
}

static uint32_t add_worker(struct world *w, int n, network net)
{
	struct id id = { { 0 } };

	memcpy(id.b, &n, sizeof(n));
	uint32_t at = sched_add_worker(&w->s, &id);
	struct worker *k = &w->s.workers[at];

	k->has_asked = true;
	k->profiles = 1u << PROFILE_COMPUTE | 1u << PROFILE_FILES;
	k->slots = k->cpus = 4;
	k->memory_mib = k->disk_mib = 4096;
	snprintf(k->platform, sizeof(k->platform), "x86_64-linux");
	k->seen_ms = w->now;
	k->voter.net = net;
	return at;
}

static uint32_t add_job(
	struct world *w, int n, int submitter, int64_t count, int quorum, int64_t priority)
{
	struct job j = { .count = count,
		.quorum = quorum,
		.max_results = quorum + 4,
		.priority = priority,
		.memory_mib = 512,
		.disk_mib = 64,
		.threads = 1,
		.n_programs = 1 };

	memcpy(j.id.b, &n, sizeof(n));
	memcpy(j.submitter.b, &submitter, sizeof(submitter));
	snprintf(j.programs[0].platform, sizeof(j.programs[0].platform), "x86_64-linux");
	return sched_add_job(&w->s, &j, n);
}

static size_t lease(struct world *w, uint32_t worker, size_t want)
{
	w->s.workers[worker].seen_ms = w->now;
	return sched_lease(&w->s, worker, want, w->now, w->out, draw_id);
}

static enum verdict_what returns(struct world *w, uint32_t lease_at, const char *outcome)
{
	struct digest d = digest_of(outcome, strlen(outcome));

	return sched_result(&w->s, lease_at, VOTE, true, &d, 0, w->now).what;
}

static void a_task_has_one_live_lease(void **state)
{
	(void)state;
	struct world w;

	world_new(&w, 1);
	uint32_t a = add_worker(&w, 1, 0), b = add_worker(&w, 2, 0);
	add_job(&w, 1, 1, 1, 2, 0);
	assert_int_equal(lease(&w, a, 8), 1);
	assert_int_equal(lease(&w, a, 8), 0);
	assert_int_equal(lease(&w, b, 8), 0);
	sched_release(&w.s);
}

static void the_second_copy_comes_after_the_first_result_and_goes_elsewhere(void **state)
{
	(void)state;
	struct world w;

	world_new(&w, 2);
	uint32_t a = add_worker(&w, 1, 0), b = add_worker(&w, 2, 0);
	uint32_t j = add_job(&w, 1, 1, 1, 2, 0);
	lease(&w, a, 1);
	assert_int_equal(returns(&w, w.out[0], "x"), NEED_MORE);
	assert_int_equal(w.s.jobs[j].tally[TASK_CHECKING], 1);
	assert_int_equal(lease(&w, a, 8), 0);
	assert_int_equal(lease(&w, b, 8), 1);
	assert_int_equal(returns(&w, w.out[0], "x"), AGREED_VALID);
	assert_true(sched_job_over(&w.s.jobs[j]));
	sched_drop_job(&w.s, j);
	assert_int_equal(w.s.active, 0);
	sched_release(&w.s);
}

static void a_second_copy_never_goes_to_the_same_network(void **state)
{
	(void)state;
	struct world w;

	world_new(&w, 3);
	uint32_t a = add_worker(&w, 1, network_of("192.0.2.1")),
		 b = add_worker(&w, 2, network_of("192.0.2.2")),
		 c = add_worker(&w, 3, network_of("198.51.100.1"));
	add_job(&w, 1, 1, 1, 2, 0);
	lease(&w, a, 1);
	returns(&w, w.out[0], "x");
	assert_int_equal(lease(&w, b, 1), 0);
	assert_int_equal(lease(&w, c, 1), 1);
	sched_release(&w.s);
}

static void a_relayed_copy_and_its_relays_wait_for_a_third(void **state)
{
	(void)state;
	struct world w;
	char why[100];

	world_new(&w, 7);
	uint32_t a = add_worker(&w, 1, network_of("198.51.100.1")),
		 b = add_worker(&w, 2, NETWORK_UNKNOWN);
	w.s.workers[b].voter.relay = w.s.workers[a].voter.self;
	uint32_t j = add_job(&w, 1, 1, 2, 2, 0);

	assert_int_equal(lease(&w, a, 1), 1);
	assert_int_equal(returns(&w, w.out[0], "x"), NEED_MORE);
	assert_int_equal(lease(&w, b, 2), 1); /* the task that A has not done */
	assert_int_equal(returns(&w, w.out[0], "x"), NEED_MORE);
	assert_int_equal(lease(&w, a, 2), 0);
	assert_int_equal(lease(&w, b, 2), 0);
	sched_waiting(&w.s, &w.s.jobs[j], w.now, why, sizeof(why));
	assert_string_equal(why, "needs 2 independent workers, has 1");
	uint32_t e = add_worker(&w, 3, NETWORK_UNKNOWN); /* relayed by somebody else */
	w.s.workers[e].voter.relay = 12345;
	assert_int_equal(lease(&w, e, 2), 1); /* only beside A's */
	uint32_t d = add_worker(&w, 4, network_of("203.0.113.1"));
	sched_give_back(&w.s, w.out[0]);
	assert_int_equal(lease(&w, d, 2), 2);
	uint32_t last = w.out[1];
	assert_int_equal(returns(&w, w.out[0], "x"), AGREED_VALID);
	assert_int_equal(returns(&w, last, "x"), AGREED_VALID);
	sched_release(&w.s);
}

/* Issued while it came directly, then it came through A: it is A's neighbour now, and stays it. */
static void a_lease_becomes_relayed_with_its_worker_and_stays_so(void **state)
{
	(void)state;
	struct world w;

	world_new(&w, 8);
	network n1 = network_of("198.51.100.1"), n2 = network_of("203.0.113.1");
	uint32_t a = add_worker(&w, 1, n1), b = add_worker(&w, 2, n2);
	add_job(&w, 1, 1, 1, 2, 0);
	assert_int_equal(lease(&w, b, 1), 1);
	uint32_t l = w.out[0];
	assert_false(sched_relayed(&w.s, l));
	w.s.workers[b].voter.relay = w.s.workers[a].voter.self;
	w.s.workers[b].voter.net = NETWORK_UNKNOWN;
	assert_true(sched_relayed(&w.s, l));
	w.s.workers[b].voter.relay = 0;
	w.s.workers[b].voter.net = n2;
	assert_false(sched_relayed(&w.s, l));
	assert_int_equal(returns(&w, l, "x"), NEED_MORE);
	assert_int_equal(lease(&w, a, 1), 0);
	sched_release(&w.s);
}

static void an_expired_lease_is_reissued(void **state)
{
	(void)state;
	struct world w;
	unsigned char id[LEASE_ID_BYTES];

	world_new(&w, 4);
	uint32_t a = add_worker(&w, 1, 0), b = add_worker(&w, 2, 0);
	add_job(&w, 1, 1, 1, 1, 0);
	lease(&w, a, 1);
	memcpy(id, w.s.leases[w.out[0]].id, sizeof(id));
	w.now += LEASE_TERM_MS - 1;
	assert_int_equal(sched_overdue(&w.s, w.now), NOBODY);
	w.now++;
	assert_int_equal(sched_overdue(&w.s, w.now), w.out[0]);
	assert_int_equal(sched_expire(&w.s, w.out[0]).what, NEED_MORE);
	assert_int_equal(sched_find_lease(&w.s, id), NOBODY);
	assert_int_equal(lease(&w, b, 1), 1);
	assert_int_equal(returns(&w, w.out[0], "x"), AGREED_VALID);
	sched_release(&w.s);
}

static void a_renewed_lease_lasts(void **state)
{
	(void)state;
	struct world w;

	world_new(&w, 5);
	uint32_t a = add_worker(&w, 1, 0);
	add_job(&w, 1, 1, 2, 1, 0);
	lease(&w, a, 2);
	w.now += 40000;
	sched_renew(&w.s, w.out[0], w.now);
	w.now += 40000;
	assert_int_equal(sched_overdue(&w.s, w.now), w.out[1]);
	sched_expire(&w.s, w.out[1]);
	assert_int_equal(sched_overdue(&w.s, w.now), NOBODY);
	sched_release(&w.s);
}

static void one_worker_alone_is_told_why_and_a_second_finishes(void **state)
{
	(void)state;
	struct world w;
	char why[160];
	size_t n;

	world_new(&w, 6);
	uint32_t a = add_worker(&w, 1, 0), j = add_job(&w, 1, 1, 5000, 2, 0);
	while ((n = lease(&w, a, 64)) > 0)
		for (size_t i = 0; i < n; i++)
			returns(&w, w.out[i], "x");
	assert_in_range(w.s.jobs[j].tally[TASK_CHECKING], WINDOW_MIN, WINDOW_MIN + LEASES_PER_ASK);
	sched_waiting(&w.s, &w.s.jobs[j], w.now, why, sizeof(why));
	assert_string_equal(why, "needs 2 independent workers, has 1");

	uint32_t idle = add_worker(&w, 3, 0);
	w.s.workers[idle].state = PAUSE;
	sched_waiting(&w.s, &w.s.jobs[j], w.now, why, sizeof(why));
	assert_string_equal(why, "needs 2 independent workers, has 1");
	uint32_t b = add_worker(&w, 2, 0);
	for (int round = 0; round < 100000 && !sched_job_over(&w.s.jobs[j]); round++) {
		n = lease(&w, round % 2 ? a : b, 64);
		for (size_t i = 0; i < n; i++)
			returns(&w, w.out[i], "x");
		w.now += 5;
	}
	assert_int_equal(w.s.jobs[j].tally[TASK_VALID], 5000);
	sched_release(&w.s);
}

static void lacks(struct world *w, uint32_t job, const char *expected)
{
	char why[LACKING_MAX];

	sched_lacking(&w->s, &w->s.jobs[job], w->now, why, sizeof(why));
	if (*expected ? !strstr(why, expected) : *why != '\0')
		fail_msg("\"%s\" does not say \"%s\"", why, expected);
}

static void what_no_worker_meets_is_said_before_a_job_is_taken(void **state)
{
	(void)state;
	struct world w;
	char why[LACKING_MAX];

	world_new(&w, 9);
	uint32_t j = add_job(&w, 1, 1, 1, 2, 0);
	struct needs needs = w.s.jobs[j].needs;
	sched_unmet(&w.s, &needs, w.now, why, sizeof(why));
	assert_string_equal(why, "");
	uint32_t a = add_worker(&w, 1, 0);
	sched_unmet(&w.s, &needs, w.now, why, sizeof(why));
	assert_string_equal(why, "");
	needs.memory_mib = 4098;
	sched_unmet(&w.s, &needs, w.now, why, sizeof(why));
	assert_string_equal(why, "gives a task 4098 MiB of memory");
	w.s.workers[a].profiles = 1u << PROFILE_COMPUTE;
	needs.profile = PROFILE_IMAGE;
	sched_unmet(&w.s, &needs, w.now, why, sizeof(why));
	assert_non_null(strstr(why, "can set up a box of the job's profile"));
	sched_release(&w.s);
}

static void what_a_job_lacks_is_said_in_words(void **state)
{
	(void)state;
	struct world w;

	world_new(&w, 9);
	uint32_t j = add_job(&w, 1, 1, 1, 2, 0);
	struct needs *needs = &w.s.jobs[j].needs;
	lacks(&w, j, "no worker has come yet");
	uint32_t a = add_worker(&w, 1, 0);
	lacks(&w, j, "1 worker is online, 1 can run it");
	w.s.workers[a].state = PAUSE;
	lacks(&w, j, "none takes work now");
	w.s.workers[a].state = RUN;
	needs->threads = 5;
	lacks(&w, j, "none has 5 processors");
	needs->disk_mib = 4097;
	lacks(&w, j, "none gives a task 4097 MiB of disk");
	needs->memory_mib = 4098;
	lacks(&w, j, "none gives a task 4098 MiB of memory");
	uint64_t other = 7;
	snprintf(needs->local[needs->n_local++], sizeof(needs->local[0]), "scans");
	lacks(&w, j, "none has the data scans for its submitter");
	needs->bits = JOB_BIT_JIT;
	lacks(&w, j, "none allows the bits that the job asks for");
	w.s.workers[a].only = &other;
	w.s.workers[a].n_only = 1;
	lacks(&w, j, "none takes its submitter's jobs");
	w.s.workers[a].only = NULL;
	w.s.workers[a].n_only = needs->n_local = needs->bits = 0;
	snprintf(w.s.workers[a].platform, sizeof(w.s.workers[a].platform), "riscv64-linux");
	lacks(&w, j, "none runs programs for x86_64-linux");
	w.s.workers[a].profiles = 1u << PROFILE_COMPUTE;
	needs->profile = PROFILE_FILES;
	lacks(&w, j, "none can set up a box of the job's profile");
	w.s.workers[a].profiles = 0;
	lacks(&w, j, "1 worker is online, but none can set up a box: `talkoot-worker check`");
	w.now += ONLINE_MS;
	lacks(&w, j, "none of the 1 workers that came before is online");
	needs->profile = PROFILE_COMPUTE;
	needs->threads = needs->disk_mib = needs->memory_mib = 1;
	add_worker(&w, 2, 0);
	add_worker(&w, 3, 0);
	lacks(&w, j, "");
	sched_release(&w.s);
}

static void a_worker_gets_only_what_it_can_run(void **state)
{
	(void)state;
	struct world w;

	world_new(&w, 7);
	uint32_t a = add_worker(&w, 1, 0), j = add_job(&w, 1, 1, 1, 1, 0);
	struct worker *k = &w.s.workers[a];
	struct worker whole = *k;

	k->memory_mib = 511;
	assert_int_equal(lease(&w, a, 1), 0);
	assert_false(sched_anyone_can(&w.s, &w.s.jobs[j].needs));
	*k = whole;
	k->profiles = 1u << PROFILE_FILES;
	assert_int_equal(lease(&w, a, 1), 0);
	*k = whole;
	snprintf(k->platform, sizeof(k->platform), "aarch64-linux");
	assert_int_equal(lease(&w, a, 1), 0);
	*k = whole;
	assert_true(sched_anyone_can(&w.s, &w.s.jobs[j].needs));
	assert_int_equal(lease(&w, a, 1), 1);
	sched_release(&w.s);
}

/* Chain one: a and b, whose result rests on a's checkpoint. Chain two must be neither's. */
static void who_wrote_a_checkpoint_counts_as_an_author_from_the_next_result_on(void **state)
{
	(void)state;
	struct world w;

	world_new(&w, 9);
	uint32_t a = add_worker(&w, 1, 0), b = add_worker(&w, 2, 0), c = add_worker(&w, 3, 0);
	uint32_t j = add_job(&w, 1, 1, 1, 2, 0);
	assert_int_equal(lease(&w, a, 1), 1);
	assert_true(sched_author(&w.s, j, 0, &w.s.workers[a].voter));
	sched_give_back(&w.s, w.out[0]);
	assert_int_equal(w.s.jobs[j].tally[TASK_PENDING], 1); /* a checkpoint is no vote */
	assert_int_equal(lease(&w, a, 1), 1); /* its own it may go on from */
	sched_give_back(&w.s, w.out[0]);
	assert_int_equal(lease(&w, b, 1), 1); /* and so may another */
	assert_int_equal(returns(&w, w.out[0], "x"), NEED_MORE);
	assert_int_equal(lease(&w, a, 1), 0);
	assert_int_equal(lease(&w, b, 1), 0);
	assert_int_equal(lease(&w, c, 1), 1);
	assert_true(sched_author(&w.s, j, 0, &w.s.workers[c].voter));
	assert_int_equal(returns(&w, w.out[0], "x"), AGREED_VALID);
	sched_release(&w.s);
}

/* a is caught and banned; b's result rests on what a wrote, so who depends on a must not confirm it. */
static void a_banned_author_stays_one(void **state)
{
	(void)state;
	struct world w;

	world_new(&w, 9);
	uint32_t a = add_worker(&w, 1, 777), b = add_worker(&w, 2, 0), friend = add_worker(&w, 4, 777), c = add_worker(&w, 3, 0);
	uint32_t j = add_job(&w, 1, 1, 1, 2, 0);
	assert_int_equal(lease(&w, a, 1), 1);
	assert_true(sched_author(&w.s, j, 0, &w.s.workers[a].voter));
	sched_give_back(&w.s, w.out[0]);
	assert_int_equal(lease(&w, b, 1), 1);
	assert_true(sched_is_author(&w.s, w.out[0], a));
	assert_false(sched_is_author(&w.s, w.out[0], c));
	assert_int_equal(returns(&w, w.out[0], "x"), NEED_MORE);
	w.s.workers[a].banned = true;
	sched_unvote(&w.s, a);
	assert_int_equal(lease(&w, friend, 1), 0);
	assert_int_equal(lease(&w, c, 1), 1);
	sched_release(&w.s);
}

static void a_task_has_a_bounded_number_of_authors(void **state)
{
	(void)state;
	struct world w;

	world_new(&w, 10);
	uint32_t j = add_job(&w, 1, 1, 1, 2, 0);
	for (int i = 0; i < AUTHORS_MAX; i++) {
		uint32_t at = add_worker(&w, i + 1, 0);
		struct voter v = w.s.workers[at].voter;

		assert_true(sched_author(&w.s, j, 0, &v));
		assert_true(sched_author(&w.s, j, 0, &v)); /* a newer one of the same is no further author */
	}
	uint32_t last = add_worker(&w, 99, 0);
	struct voter one_more = w.s.workers[last].voter;
	assert_false(sched_author(&w.s, j, 0, &one_more));
	sched_release(&w.s);
}

static void a_worker_gets_only_what_its_volunteer_allows(void **state)
{
	(void)state;
	struct world w;
	struct id mine = { { 0 } }, other = { { 9 } };
	int one = 1;

	memcpy(mine.b, &one, sizeof(one)); /* as add_job() makes it */
	world_new(&w, 8);
	uint32_t a = add_worker(&w, 1, 0), j = add_job(&w, 1, 1, 1, 1, 0);
	struct worker *k = &w.s.workers[a];
	k->only = xcalloc(2, sizeof(*k->only));
	k->only[k->n_only++] = node_tag(&other);
	assert_int_equal(lease(&w, a, 1), 0);
	assert_false(sched_anyone_can(&w.s, &w.s.jobs[j].needs));
	k->only[k->n_only++] = node_tag(&mine);
	w.s.jobs[j].needs.bits = JOB_BIT_JIT | JOB_BIT_PROC;
	k->bits = JOB_BIT_JIT;
	assert_int_equal(lease(&w, a, 1), 0);
	k->bits |= JOB_BIT_PROC;
	assert_int_equal(lease(&w, a, 1), 1);
	sched_release(&w.s);
}

static void submitters_share_and_priority_orders_ones_own(void **state)
{
	(void)state;
	struct world w;

	world_new(&w, 8);
	uint32_t a = add_worker(&w, 1, 0);
	w.s.workers[a].slots = 100;
	w.s.workers[a].returned = 1;
	for (int i = 0; i < 20; i++)
		add_job(&w, i, 1, 100, 1, i == 7 ? 10 : 0);
	uint32_t other = add_job(&w, 100, 2, 100, 1, 0);
	assert_int_equal(lease(&w, a, 40), 40);
	assert_int_equal(w.s.jobs[other].leased, 20);
	assert_int_equal(w.s.jobs[7].leased, 20);
	sched_release(&w.s);
}

static void a_hoarder_holds_little(void **state)
{
	(void)state;
	struct world w;

	world_new(&w, 9);
	uint32_t a = add_worker(&w, 1, 0);
	add_job(&w, 1, 1, 1000, 1, 0);
	assert_int_equal(lease(&w, a, 64), 10);
	assert_int_equal(lease(&w, a, 64), 0);
	uint32_t b = add_worker(&w, 2, 0);
	w.s.workers[b].slots = 4096;
	assert_int_equal(lease(&w, b, 64), LEASES_NEWCOMER);
	assert_int_equal(lease(&w, b, 64), 0);
	sched_release(&w.s);
}

/* The order of indices does not depend on what was done before. */
static void window_order_reveals_nothing(void **state)
{
	(void)state;
	struct world w;
	int quarter[4] = { 0 }, ordered = 0, pairs = 0;
	int64_t last = -1;

	world_new(&w, 10);
	uint32_t a = add_worker(&w, 1, 0), b = add_worker(&w, 2, 0);
	w.s.workers[a].slots = w.s.workers[b].slots = 100;
	add_job(&w, 1, 1, 1000, 2, 0);
	for (int round = 0; round < 100; round++) {
		size_t n = lease(&w, a, 8);

		for (size_t i = 0; i < n; i++) {
			int64_t index = w.s.leases[w.out[i]].index;

			quarter[index / 250]++;
			pairs += last >= 0;
			ordered += last >= 0 && index > last;
			last = index;
			returns(&w, w.out[i], "x");
		}
		n = round < 20 ? 0 : lease(&w, b, 8);
		for (size_t i = 0; i < n; i++)
			returns(&w, w.out[i], "x");
	}
	for (int i = 0; i < 4; i++)
		assert_in_range(quarter[i], 150, 250);
	assert_in_range(ordered * 100 / pairs, 40, 60);
	sched_release(&w.s);
}

static void a_banned_workers_votes_never_came(void **state)
{
	(void)state;
	struct world w;

	world_new(&w, 11);
	uint32_t a = add_worker(&w, 1, 0), b = add_worker(&w, 2, 0), c = add_worker(&w, 3, 0);
	uint32_t j = add_job(&w, 1, 1, 1, 2, 0);
	lease(&w, a, 1);
	returns(&w, w.out[0], "lie");
	sched_unvote(&w.s, a);
	assert_int_equal(w.s.jobs[j].tally[TASK_PENDING], 1);
	lease(&w, b, 1);
	assert_int_equal(returns(&w, w.out[0], "lie"), NEED_MORE);
	lease(&w, c, 1);
	assert_int_equal(returns(&w, w.out[0], "lie"), AGREED_VALID);
	sched_release(&w.s);
}

static void a_cancelled_job_ends_in_bounded_steps(void **state)
{
	(void)state;
	struct world w;
	int64_t done[1000];

	world_new(&w, 12);
	uint32_t a = add_worker(&w, 1, 0), j = add_job(&w, 1, 1, 2500, 1, 0);
	assert_int_equal(lease(&w, a, 3), 3);
	returns(&w, w.out[0], "x");
	sched_give_back(&w.s, w.out[1]);
	sched_give_back(&w.s, w.out[2]);
	assert_int_equal(sched_cancel(&w.s, j, done, 1000), 1000);
	assert_int_equal(lease(&w, a, 3), 0);
	assert_int_equal(sched_cancel(&w.s, j, done, 1000), 1000);
	assert_int_equal(sched_cancel(&w.s, j, done, 1000), 499);
	assert_true(sched_job_over(&w.s.jobs[j]));
	sched_release(&w.s);
}

static void a_million_tasks_are_no_burden(void **state)
{
	(void)state;
	struct world w;

	world_new(&w, 13);
	uint32_t a = add_worker(&w, 1, 0), j = add_job(&w, 1, 1, 1000000, 1, 0);
	w.s.workers[a].slots = 100;
	w.s.workers[a].returned = 1;
	for (int i = 0; i < 2000; i++) {
		size_t n = lease(&w, a, 64);

		for (size_t k = 0; k < n; k++)
			returns(&w, w.out[k], "x");
	}
	assert_int_equal(w.s.jobs[j].tally[TASK_VALID], 128000);
	sched_release(&w.s);
}

/* --- a grid in virtual time --------------------------------------------------------------- */
#define GRID 300
#define HELD 8

struct agent {
	uint32_t worker;
	bool lies, crashes;
	unsigned char held[HELD][LEASE_ID_BYTES];
	int64_t done_at[HELD];
	size_t n;
};

struct tally {
	int valid, wrong, failed;
};

static void agent_returns(struct world *w, struct agent *a, size_t k, struct tally *t)
{
	uint32_t at = sched_find_lease(&w->s, a->held[k]);
	char text[64], honest[64];

	memmove(a->held[k], a->held[a->n - 1], LEASE_ID_BYTES);
	a->done_at[k] = a->done_at[--a->n];
	if (at == NOBODY)
		return; /* too late */
	long index = (long)w->s.leases[at].index;
	snprintf(honest, sizeof(honest), "true %ld", index);
	/* the liars agree with each other */
	snprintf(text, sizeof(text), "%s %ld", a->lies ? "lie" : "true", index);
	struct digest d = digest_of(text, strlen(text)), h = digest_of(honest, strlen(honest));
	bool attempt = rng_below(&w->rng, 50) == 0;
	struct verdict v = sched_result(&w->s, at, attempt ? ATTEMPT : VOTE, true, &d, 0, w->now);

	t->valid += v.what == AGREED_VALID;
	t->wrong += v.what == AGREED_VALID && !digest_equal(&v.outcome, &h);
	t->failed += v.what == NO_AGREEMENT || v.what == NO_RESULT;
}

static void agent_asks(struct world *w, struct agent *a)
{
	for (size_t k = 0; k < a->n; k++) {
		uint32_t at = sched_find_lease(&w->s, a->held[k]);

		if (at != NOBODY && !a->crashes)
			sched_renew(&w->s, at, w->now);
	}
	size_t n = lease(w, a->worker, HELD - a->n);
	for (size_t i = 0; i < n; i++) {
		memcpy(a->held[a->n], w->s.leases[w->out[i]].id, LEASE_ID_BYTES);
		a->done_at[a->n++] =
			w->now + 1000 + (int64_t)rng_below(&w->rng, a->crashes ? 500000 : 90000);
	}
}

static void check_world(const struct world *w, uint32_t j)
{
	const struct sjob *job = &w->s.jobs[j];
	int64_t leased = 0, sum = 0;

	for (int64_t i = 0; i < job->count; i++) {
		const struct task *t = &job->tasks[i];

		leased += t->leased;
		assert_false(t->leased && t->in_window);
		if (t->leased)
			assert_int_equal(w->s.leases[t->place].index, i);
		if (t->in_window)
			assert_int_equal(job->window[t->place], i);
	}
	for (int k = 0; k < N_TASK_STATES; k++)
		sum += job->tally[k];
	assert_int_equal(sum, job->count);
	assert_int_equal(leased, job->leased);
	assert_int_equal(w->s.live, leased);
}

static void populate(struct world *w, struct agent *agents, int liars)
{
	for (int i = 0; i < GRID; i++) {
		/* every network has three workers; the liars are spread over the networks */
		agents[i].worker = add_worker(w, i + 1, (network)4 << 56 | (network)(i / 3 + 1));
		agents[i].lies = i % (GRID / liars) == 0;
		agents[i].crashes = rng_below(&w->rng, 5) == 0;
	}
}

static void simulate(uint64_t seed, int liars, struct tally *t)
{
	struct world w;
	static struct agent agents[GRID];

	memset(agents, 0, sizeof(agents));
	world_new(&w, seed);
	populate(&w, agents, liars);
	uint32_t j = add_job(&w, 1, 1, 2000, 3, 0);
	for (int step = 0; step < 400000 && !sched_job_over(&w.s.jobs[j]); step++) {
		struct agent *a = &agents[rng_below(&w.rng, GRID)];
		uint32_t at;

		w.now += (int64_t)rng_below(&w.rng, 50);
		while ((at = sched_overdue(&w.s, w.now)) != NOBODY)
			t->failed += sched_expire(&w.s, at).what != NEED_MORE;
		for (size_t k = a->n; k-- > 0;)
			if (a->done_at[k] <= w.now)
				agent_returns(&w, a, k, t);
		agent_asks(&w, a);
		if (step % 5000 == 0)
			check_world(&w, j);
	}
	check_world(&w, j);
	if (!sched_job_over(&w.s.jobs[j]))
		print_error("seed %lu: the job never ended\n", (unsigned long)seed);
	assert_true(sched_job_over(&w.s.jobs[j]));
	assert_int_equal(w.s.live, 0);
	sched_release(&w.s);
}

/* A wrong verdict needs three liars among a task's copies before three honest ones, in any of ten orders: so
 * 20,000 L(L-1)(L-2) / N^3 of 2000 tasks, where N agents return results and L of them lie. A fifth crashes, so N is
 * some 240 and L 4.8 on average: 0.09 wrong ones expected, 0.17 where all six liars return. */
static void a_grid_with_liars_comes_to_true_verdicts(void **state)
{
	(void)state;
	const char *given = getenv("SEED");
	uint64_t base = given ? strtoull(given, NULL, 10) : random_seed() % 1000000;

	for (uint64_t i = 0; i < 3; i++) {
		struct tally t = { 0 };

		simulate(base + i, 6, &t);
		if (t.wrong > 6 || t.valid < 1980)
			print_error("seed %lu: %d valid, %d wrong, %d failed\n",
				(unsigned long)(base + i), t.valid, t.wrong, t.failed);
		assert_in_range(
			t.wrong, 0, 6); /* more: less than once in 10^8, even at 0.3 expected */
		assert_true(t.valid >= 1980);
	}
}

/* Always the same grids, so here the bound may be close: 1.8 are expected of 20, and with two copies instead of three
 * there were 36. */
static void liars_win_as_rarely_as_chance_lets_them(void **state)
{
	struct tally t = { 0 };

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++)
		simulate(seed, 6, &t);
	if (t.wrong > 6)
		print_error("%d wrong of %d\n", t.wrong, t.valid);
	assert_in_range(t.wrong, 0, 6);
}

static void a_job_that_waits_gives_no_lease(void **state)
{
	(void)state;
	struct world w;

	world_new(&w, 30);
	uint32_t a = add_worker(&w, 1, 0), j = add_job(&w, 1, 1, 5, 1, 0);
	w.s.jobs[j].waits = true;
	assert_int_equal(lease(&w, a, 8), 0);
	assert_int_equal(w.s.jobs[j].n_window, 0);
	w.s.jobs[j].waits = false;
	assert_int_equal(lease(&w, a, 8), 5);
	sched_release(&w.s);
}

/* --- data of a worker's own --------------------------------------------------------------- */
static uint32_t local_job(struct world *w, int64_t count)
{
	uint32_t at = add_job(w, 9, 1, count, 1, 0);
	struct needs *n = &w->s.jobs[at].needs;

	snprintf(n->local[n->n_local++], sizeof(n->local[0]), "scans");
	n->submitter = (struct id){ { 7 } };
	return at;
}

static uint32_t add_holder(struct world *w, int n, const char *name, unsigned char key)
{
	uint32_t at = add_worker(w, n, 0);
	struct locals *l = w->s.workers[at].locals = xcalloc(1, sizeof(*l));

	snprintf(l->names[l->n++], sizeof(l->names[0]), "%s", name);
	l->keys[l->n_keys++] = (struct id){ { key } };
	return at;
}

static void local_data_is_read_where_it_is_by_whom_it_is_for(void **state)
{
	(void)state;
	struct world w;
	char why[160];

	world_new(&w, 31);
	uint32_t none = add_worker(&w, 1, 0), other = add_holder(&w, 2, "photos", 7), stranger = add_holder(&w, 3, "scans", 8),
		 holder = add_holder(&w, 4, "scans", 7), j = local_job(&w, 2);
	assert_int_equal(lease(&w, none, 8), 0);
	assert_int_equal(lease(&w, other, 8), 0);
	assert_int_equal(lease(&w, stranger, 8), 0);
	sched_waiting(&w.s, &w.s.jobs[j], w.now, why, sizeof(why));
	assert_string_equal(why, "1 task needs another worker that has the data scans and lets its submitter read it (one "
				 "task a worker)");
	assert_int_equal(lease(&w, holder, 8), 1);
	sched_release(&w.s);
}

static void of_a_local_job_a_worker_gets_one_task(void **state)
{
	(void)state;
	struct world w;

	world_new(&w, 32);
	uint32_t a = add_holder(&w, 1, "scans", 7), b = add_holder(&w, 2, "scans", 7), j = local_job(&w, 3);
	assert_int_equal(lease(&w, a, 8), 1);
	assert_int_equal(lease(&w, a, 8), 0);
	sched_give_back(&w.s, w.out[0]); /* what it did nothing with does not count */
	assert_int_equal(lease(&w, a, 8), 1);
	w.now += LEASE_TERM_MS;
	assert_int_equal(sched_expire(&w.s, sched_overdue(&w.s, w.now)).what, NEED_MORE);
	assert_int_equal(lease(&w, a, 8), 1);
	assert_int_equal(returns(&w, w.out[0], "x"), AGREED_VALID);
	assert_int_equal(lease(&w, a, 8), 0);
	assert_int_equal(lease(&w, b, 8), 1);
	assert_int_equal(returns(&w, w.out[0], "x"), AGREED_VALID);
	assert_int_equal(w.s.jobs[j].tally[TASK_PENDING], 1);
	uint32_t c = add_holder(&w, 3, "scans", 7);
	sched_restore_had(&w.s, j, c);
	sched_restore_had(&w.s, j, NOBODY);
	assert_int_equal(lease(&w, c, 8), 0);
	sched_release(&w.s);
}

/* An attempt that a limit ended is an answer: the task goes to another, and so does every other task. */
static void a_local_task_that_was_ended_by_a_limit_goes_to_another(void **state)
{
	(void)state;
	struct world w;
	struct digest d = digest_of("", 0);

	world_new(&w, 33);
	uint32_t a = add_holder(&w, 1, "scans", 7), b = add_holder(&w, 2, "scans", 7);
	local_job(&w, 2);
	assert_int_equal(lease(&w, a, 8), 1);
	assert_int_equal(sched_result(&w.s, w.out[0], ATTEMPT, false, &d, 0, w.now).what, NEED_MORE);
	assert_int_equal(lease(&w, a, 8), 0);
	assert_int_equal(lease(&w, b, 8), 1);
	sched_release(&w.s);
}

/* --- agreement by tolerance --------------------------------------------------------------- */
struct knowledge {
	bool known;
	int asked;
};

/* Outcomes agree whose first bytes are near; nothing is known before `known`. */
static enum related near(void *arg, const struct sjob *j, const struct vote *a, const struct vote *b)
{
	struct knowledge *k = arg;

	(void)j;
	k->asked++;
	return !k->known ? UNRELATED : abs(a->outcome.b[0] - b->outcome.b[0]) <= 1 ? AGREE : DIFFER;
}

static struct verdict returns_number(struct world *w, uint32_t lease_at, unsigned char number)
{
	struct digest d = { { number } };

	return sched_result(&w->s, lease_at, VOTE, true, &d, number, w->now);
}

static void what_is_undecided_is_not_leased_until_it_is_settled(void **state)
{
	(void)state;
	struct knowledge k = { false, 0 };
	struct vote x, y;
	uint32_t job;
	int64_t index;
	struct world w;

	world_new(&w, 40);
	uint32_t a = add_worker(&w, 1, 0), b = add_worker(&w, 2, 0), d = add_worker(&w, 3, 0);
	uint32_t at = add_job(&w, 1, 1, 1, 2, 0);

	w.s.relating = (struct relating){ near, &k };
	w.s.jobs[at].tolerant = true;
	assert_int_equal(lease(&w, a, 8), 1);
	assert_int_equal(returns_number(&w, w.out[0], 10).what, NEED_MORE);
	assert_int_equal(k.asked, 0); /* one vote has nobody to agree with */
	assert_int_equal(lease(&w, b, 8), 1);
	assert_int_equal(returns_number(&w, w.out[0], 12).what, NEED_MORE);
	assert_int_equal(w.s.n_undecided, 1);
	assert_int_equal(w.s.jobs[at].tally[TASK_CHECKING], 1);
	assert_int_equal(lease(&w, d, 8), 0);
	assert_true(sched_unrelated(&w.s, 0, &job, &x, &y));
	assert_true(job == at && x.ref == 10 && y.ref == 12);
	k.known = true;
	assert_false(sched_unrelated(&w.s, 0, &job, &x, &y));
	assert_int_equal(sched_settle(&w.s, 0, &job, &index).what, NEED_MORE);
	assert_int_equal(w.s.n_undecided, 0);
	assert_int_equal(lease(&w, d, 8), 1);
	struct verdict v = returns_number(&w, w.out[0], 11);
	assert_int_equal(v.what, AGREED_VALID);
	assert_true(v.counted[0] == 10 && v.counted[1] == 11);
	sched_release(&w.s);
}

/* Equal outcomes agree without anybody being asked; an attempt before them does not take a vote's place. */
static void equal_outcomes_of_a_tolerant_job_need_no_comparison(void **state)
{
	(void)state;
	struct knowledge k = { false, 0 };
	struct digest zero = { { 0 } };
	struct world w;

	world_new(&w, 41);
	uint32_t a = add_worker(&w, 1, 0), b = add_worker(&w, 2, 0), d = add_worker(&w, 3, 0);
	uint32_t at = add_job(&w, 1, 1, 1, 2, 0);

	w.s.relating = (struct relating){ near, &k };
	w.s.jobs[at].tolerant = true;
	lease(&w, a, 8);
	sched_result(&w.s, w.out[0], ATTEMPT, false, &zero, 1, w.now);
	lease(&w, b, 8);
	returns_number(&w, w.out[0], 10);
	lease(&w, d, 8);
	struct verdict v = returns_number(&w, w.out[0], 10);
	assert_int_equal(v.what, AGREED_VALID);
	assert_int_equal(v.n_counted, 2);
	assert_int_equal(k.asked, 0);
	sched_release(&w.s);
}

/* Who wrote a checkpoint is no party to an agreement, and none of the next copy. */
static void an_author_has_no_vote_in_what_agrees(void **state)
{
	(void)state;
	struct knowledge k = { true, 0 };
	struct world w;

	world_new(&w, 43);
	uint32_t a = add_worker(&w, 1, 0), b = add_worker(&w, 2, 0), d = add_worker(&w, 3, 0);
	uint32_t at = add_job(&w, 1, 1, 1, 2, 0);

	w.s.relating = (struct relating){ near, &k };
	w.s.jobs[at].tolerant = true;
	assert_true(sched_author(&w.s, at, 0, &w.s.workers[a].voter));
	assert_int_equal(lease(&w, b, 8), 1);
	assert_int_equal(returns_number(&w, w.out[0], 10).what, NEED_MORE);
	assert_int_equal(k.asked, 0);
	assert_int_equal(lease(&w, a, 8), 0);
	assert_int_equal(lease(&w, d, 8), 1);
	assert_true(sched_author(&w.s, at, 0, &w.s.workers[d].voter));
	struct verdict v = returns_number(&w, w.out[0], 11);
	assert_int_equal(v.what, AGREED_VALID);
	assert_true(v.n_counted == 2 && v.counted[0] == 10 && v.counted[1] == 11);
	assert_int_equal(k.asked, 1);
	sched_release(&w.s);
}

static void what_lacks_a_class_is_said(void **state)
{
	(void)state;
	char why[LACKING_MAX];
	struct world w;

	world_new(&w, 44);
	uint32_t a = add_worker(&w, 1, 0), b = add_worker(&w, 2, 0), at = add_job(&w, 1, 1, 1, 2, 0);

	w.s.jobs[at].rule.same_class = true;
	w.s.workers[a].voter.kind = 1;
	w.s.workers[b].voter.kind = 2;
	sched_lacking(&w.s, &w.s.jobs[at], w.now, why, sizeof(why));
	assert_string_equal(why, "2 workers are online, 2 can run it; two of one network, or of one owner, count as one, and only "
				 "those of one platform class count together");
	w.s.workers[b].voter.kind = 1;
	sched_lacking(&w.s, &w.s.jobs[at], w.now, why, sizeof(why));
	assert_string_equal(why, "");
	sched_release(&w.s);
}

static void a_task_is_pinned_to_the_class_of_its_first_vote(void **state)
{
	(void)state;
	struct digest zero = { { 0 } };
	struct world w;

	world_new(&w, 42);
	uint32_t a = add_worker(&w, 1, 0), b = add_worker(&w, 2, 0), d = add_worker(&w, 3, 0), f = add_worker(&w, 4, 0);
	uint32_t at = add_job(&w, 1, 1, 1, 2, 0);

	w.s.jobs[at].rule.same_class = true;
	w.s.workers[a].voter.kind = 1;
	w.s.workers[b].voter.kind = 2;
	w.s.workers[d].voter.kind = w.s.workers[f].voter.kind = 3;
	assert_int_equal(lease(&w, a, 8), 1);
	sched_result(&w.s, w.out[0], ATTEMPT, false, &zero, 1, w.now); /* pins nothing */
	assert_int_equal(lease(&w, b, 8), 1);
	assert_int_equal(sched_expire(&w.s, w.out[0]).what, NEED_MORE); /* nor does this */
	assert_int_equal(lease(&w, d, 8), 1);
	assert_int_equal(returns(&w, w.out[0], "x"), NEED_MORE);
	assert_int_equal(lease(&w, b, 8), 0);
	assert_int_equal(lease(&w, f, 8), 1);
	sched_give_back(&w.s, w.out[0]);
	sched_unvote(&w.s, d); /* and nothing is pinned any more */
	assert_int_equal(lease(&w, b, 8), 1);
	sched_release(&w.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_task_has_one_live_lease),
		cmocka_unit_test(the_second_copy_comes_after_the_first_result_and_goes_elsewhere),
		cmocka_unit_test(a_second_copy_never_goes_to_the_same_network),
		cmocka_unit_test(a_relayed_copy_and_its_relays_wait_for_a_third),
		cmocka_unit_test(a_lease_becomes_relayed_with_its_worker_and_stays_so),
		cmocka_unit_test(an_expired_lease_is_reissued),
		cmocka_unit_test(a_renewed_lease_lasts),
		cmocka_unit_test(one_worker_alone_is_told_why_and_a_second_finishes),
		cmocka_unit_test(what_a_job_lacks_is_said_in_words),
		cmocka_unit_test(what_no_worker_meets_is_said_before_a_job_is_taken),
		cmocka_unit_test(a_worker_gets_only_what_it_can_run),
		cmocka_unit_test(a_worker_gets_only_what_its_volunteer_allows),
		cmocka_unit_test(who_wrote_a_checkpoint_counts_as_an_author_from_the_next_result_on),
		cmocka_unit_test(a_banned_author_stays_one),
		cmocka_unit_test(a_task_has_a_bounded_number_of_authors),
		cmocka_unit_test(submitters_share_and_priority_orders_ones_own),
		cmocka_unit_test(a_hoarder_holds_little),
		cmocka_unit_test(window_order_reveals_nothing),
		cmocka_unit_test(a_banned_workers_votes_never_came),
		cmocka_unit_test(a_cancelled_job_ends_in_bounded_steps),
		cmocka_unit_test(a_million_tasks_are_no_burden),
		cmocka_unit_test(a_job_that_waits_gives_no_lease),
		cmocka_unit_test(local_data_is_read_where_it_is_by_whom_it_is_for),
		cmocka_unit_test(of_a_local_job_a_worker_gets_one_task),
		cmocka_unit_test(a_local_task_that_was_ended_by_a_limit_goes_to_another),
		cmocka_unit_test(a_grid_with_liars_comes_to_true_verdicts),
		cmocka_unit_test(liars_win_as_rarely_as_chance_lets_them),
		cmocka_unit_test(what_is_undecided_is_not_leased_until_it_is_settled),
		cmocka_unit_test(equal_outcomes_of_a_tolerant_job_need_no_comparison),
		cmocka_unit_test(an_author_has_no_vote_in_what_agrees),
		cmocka_unit_test(what_lacks_a_class_is_said),
		cmocka_unit_test(a_task_is_pinned_to_the_class_of_its_first_vote),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
