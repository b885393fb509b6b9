/* SPDX-License-Identifier: Apache-2.0
 *
 * test_agent.c: the worker's decisions, against a coordinator and boxes that are a few lines in virtual time.
 */
#include "worker/agent.h"
#include "worker/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* --- a world: a coordinator with `left` tasks and boxes that take `task_ms` ------------------------------ */

#define WORLD_TASKS 4096

struct world {
	struct agent a;
	int64_t now;
	int left;           /* tasks that it may still lease */
	int64_t task_ms, rtt_ms;
	int64_t ttl_ms;
	int jobs;           /* tasks are spread over so many */
	bool silent, park;
	int issued;
	struct { char lease[33]; int64_t ends; bool live; } box[WORLD_TASKS];
	int running, most_running, asks, seals, stops, exits;
	int64_t answer_at;  /* of the ask that is out; -1: none */
	int64_t park_until;
	struct agent_ask ask;
	struct agent_return returned[AGENT_RETURNS_MAX];
	int returns_heard;
	int64_t idle_slot_ms; /* slot-milliseconds without a box while the coordinator had work */
	char cancel[33];
	size_t biggest_batch;
	bool mixed;
	char job_of[WORLD_TASKS];
	int64_t ack_at[WORLD_TASKS];
	bool held_seen_while_sealed;
	int64_t ack_ms;
};

static void world_init(struct world *w, int slots, int left, int64_t task_ms)
{
	struct agent_limits l = { .slots = slots, .memory_mib = 4096 };

	memset(w, 0, sizeof(*w));
	w->now = 1000;
	w->left = left;
	w->task_ms = task_ms;
	w->rtt_ms = 10;
	w->ack_ms = 20;
	w->ttl_ms = 60000;
	w->jobs = 1;
	w->answer_at = -1;
	w->park = true;
	agent_init(&w->a, &l, 7, w->now);
}

static int lease_number(const char *lease)
{
	return atoi(lease);
}

static void name_lease(char out[33], int n)
{
	snprintf(out, 33, "%032d", n);
}

static void answer(struct world *w)
{
	static struct agent_lease leases[AGENT_WANT_MAX];
	struct agent_answer r = { .leases = leases };
	char ended[1][33];

	w->answer_at = -1;
	w->returns_heard += (int)w->ask.n_returned;
	r.renewed = (const char(*)[33])w->ask.held;
	r.n_renewed = w->ask.n_held;
	if (w->cancel[0]) {
		memcpy(ended[0], w->cancel, 33);
		w->cancel[0] = 0;
		r.ended = (const char(*)[33])ended;
		r.n_ended = 1;
	}
	for (int i = 0; i < w->ask.want && w->left; i++, w->left--) {
		struct agent_lease *l = &leases[r.n_leases++];

		memset(l, 0, sizeof(*l));
		w->job_of[w->issued] = (char)(w->issued % w->jobs);
		l->job.b[0] = (unsigned char)w->job_of[w->issued];
		l->index = w->issued;
		name_lease(l->lease, w->issued++);
		l->ttl_ms = w->ttl_ms;
	}
	agent_heard(&w->a, &r, w->now);
}

static void begin_ask(struct world *w, const struct agent_ask *ask)
{
	w->asks++;
	w->ask = *ask;
	for (size_t i = 0; i < ask->n_returned; i++)
		w->returned[i] = ask->returned[i];
	w->answer_at = w->now + w->rtt_ms;
	w->park_until = w->now + ask->wait_ms;
}

static void begin_box(struct world *w, const char *lease)
{
	int i = lease_number(lease);

	w->box[i].live = true;
	w->box[i].ends = w->now + w->task_ms;
	w->running++;
	if (w->running > w->most_running)
		w->most_running = w->running;
}

static void seal_batch(struct world *w, const struct act *act)
{
	w->seals++;
	if (act->n_leases > w->biggest_batch)
		w->biggest_batch = act->n_leases;
	for (size_t i = 0; i < act->n_leases; i++) {
		int n = lease_number(act->leases[i]);

		w->mixed |= w->job_of[n] != (char)act->job.b[0];
		w->ack_at[n] = w->now + w->ack_ms;
	}
}

static void perform(struct world *w)
{
	struct act act;
	int n;

	while (agent_next(&w->a, &act, w->now)) {
		switch (act.kind) {
		case ACT_ASK:
			begin_ask(w, act.ask);
			break;
		case ACT_FETCH:
			agent_fetched(&w->a, act.lease, 1, 100, w->now);
			break;
		case ACT_RUN:
			begin_box(w, act.lease);
			break;
		case ACT_STOP:
			n = lease_number(act.lease);
			w->stops++;
			w->running -= w->box[n].live;
			w->box[n].live = false;
			agent_stopped(&w->a, act.lease, w->now);
			break;
		case ACT_SEAL:
			seal_batch(w, &act);
			break;
		default:
			w->exits++;
			return;
		}
	}
}

static void end_boxes(struct world *w)
{
	struct agent_exit x = { .bytes = 1000, .wall_ms = w->task_ms };
	char lease[33];

	for (int i = 0; i < w->issued; i++) {
		name_lease(lease, i);
		if (w->box[i].live && w->box[i].ends <= w->now) {
			w->box[i].live = false;
			w->running--;
			agent_exited(&w->a, lease, &x, w->now);
		}
		if (w->ack_at[i] && w->ack_at[i] <= w->now) {
			w->ack_at[i] = 0;
			agent_acked(&w->a, lease, w->now);
		}
	}
}

/* One millisecond of the world. */
static void tick(struct world *w)
{
	w->now++;
	if (w->answer_at >= 0 && w->now >= w->answer_at) {
		if (w->silent) {
			w->answer_at = -1;
			agent_unheard(&w->a, false, 0, w->now);
		} else if (!w->park || w->left || w->now >= w->park_until || w->cancel[0]) {
			answer(w);
		}
	}
	end_boxes(w);
	perform(w);
	if (w->left)
		w->idle_slot_ms += w->a.limits.slots - w->running;
}

static void run(struct world *w, int64_t ms)
{
	for (int64_t end = w->now + ms; w->now < end && !w->exits;)
		tick(w);
}

static struct world *make(int slots, int left, int64_t task_ms)
{
	struct world *w = calloc(1, sizeof(*w));

	world_init(w, slots, left, task_ms);
	return w;
}

/* --- claims ----------------------------------------------------------------------------------------------- */

static void slots_never_idle_while_leases_wait(void **state)
{
	struct world *w = make(3, 400, 150);

	(void)state;
	run(w, 12000);
	assert_int_equal(w->most_running, 3);
	assert_true(w->idle_slot_ms < 60); /* the first round trip, and no more */
	free(w);
}

static void short_tasks_are_held_by_the_dozen(void **state)
{
	struct world *w = make(2, 2000, 5);

	(void)state;
	run(w, 3000);
	assert_true(w->a.n_done > 900); /* of at most 1200 */
	assert_true(w->asks < 200);
	free(w);
}

static void a_cancelled_lease_is_dropped(void **state)
{
	struct world *w = make(1, 1, 100000);

	(void)state;
	run(w, 100);
	assert_int_equal(w->running, 1);
	name_lease(w->cancel, 0);
	run(w, 21000);
	assert_int_equal(w->stops, 1);
	assert_int_equal(w->running, 0);
	assert_int_equal(w->seals, 0);
	assert_int_equal(w->returns_heard, 0);
	assert_int_equal(agent_count(&w->a, TASK_NONE), AGENT_TASKS_MAX);
	free(w);
}

static void a_cancelled_lease_is_heard_of_while_all_slots_are_taken(void **state)
{
	struct world *w = make(1, 2, 100000);

	(void)state;
	run(w, 5000);
	assert_int_equal(w->running, 1);
	assert_true(w->answer_at >= 0 && w->ask.want == 0 && w->ask.wait_ms > 10000);
	name_lease(w->cancel, 0);
	run(w, 100);
	assert_int_equal(w->stops, 1);
	assert_int_equal(w->running, 1); /* the next one */
	free(w);
}

static void an_ask_that_listens_gives_way_to_one_that_wants(void **state)
{
	struct world *w = make(1, 2, 3000);

	(void)state;
	run(w, 2500);
	assert_int_equal(w->ask.want, 0);
	run(w, 700);
	assert_true(w->ask.want > 0);
	free(w);
}

static void news_of_the_worker_is_said_at_once_and_once(void **state)
{
	struct world *w = make(1, 0, 3000);

	(void)state;
	run(w, 2500);
	int asks = w->asks;
	assert_true(w->answer_at >= 0 && w->ask.wait_ms > 10000); /* idle: one waits at the coordinator's */
	agent_news(&w->a);
	run(w, 50);
	assert_int_equal(w->asks, asks + 1);
	run(w, 1000);
	assert_int_equal(w->asks, asks + 1);
	free(w);
}

static void results_of_two_jobs_never_share_an_envelope(void **state)
{
	struct world *w = make(4, 500, 7);

	(void)state;
	w->jobs = 2;
	run(w, 4000);
	assert_int_equal(w->a.n_acked, 500);
	assert_false(w->mixed);
	assert_true(w->biggest_batch > 5);
	free(w);
}

static void small_jobs_are_sent_at_once(void **state)
{
	struct world *w = make(2, 1, 30);

	(void)state;
	run(w, 80);
	assert_int_equal(w->a.n_acked, 1);
	free(w);
}

static void no_envelope_grows_beyond_its_limit(void **state)
{
	struct world *w = make(40, 40, 10);
	struct agent_exit x = { .bytes = 300 * KIB, .wall_ms = 10 };
	struct act act;
	char lease[33];
	size_t total = 0;

	(void)state;
	run(w, 15);
	assert_int_equal(w->running, 40);
	for (int i = 0; i < 40; i++) {
		name_lease(lease, i);
		agent_exited(&w->a, lease, &x, w->now);
	}
	while (agent_next(&w->a, &act, w->now + AGENT_BATCH_MS) && act.kind == ACT_SEAL) {
		assert_true(act.n_leases <= 2);
		total += act.n_leases;
	}
	assert_int_equal(total, 40);
	free(w);
}

static void back_off_grows_and_jitters(void **state)
{
	uint64_t one = 1, two = 2;
	int64_t last = 0;
	bool differ = false;

	(void)state;
	for (int tries = 1; tries < 60; tries++) {
		int64_t a = backoff_ms(tries, &one), b = backoff_ms(tries, &two);

		assert_in_range(a, BACKOFF_MIN_MS, BACKOFF_MAX_MS);
		if (tries < 6)
			assert_true(a > last);
		last = a * 2 / 3;
		differ |= a != b;
	}
	assert_true(differ);
}

static void a_silent_coordinator_stops_nothing_and_gets_everything_later(void **state)
{
	struct world *w = make(2, 4, 5000);

	(void)state;
	run(w, 100);
	w->silent = true;
	run(w, 120000);
	assert_int_equal(w->a.n_done, 4);
	w->silent = false;
	run(w, 31000);
	assert_int_equal(w->a.tries, 0);
	free(w);
}

static void an_unheard_ask_is_said_again_in_the_same_bytes(void **state)
{
	struct world *w = make(2, 4, 5000);

	(void)state;
	w->silent = true;
	run(w, 2000);
	assert_true(w->asks >= 2);
	assert_true(w->ask.again);
	agent_set_mode(&w->a, AGENT_PAUSE, w->now); /* news: other bytes */
	tick(w);
	assert_false(w->ask.again);
	assert_int_equal(w->ask.mode, AGENT_PAUSE);
	free(w);
}

static void an_old_seq_is_answered_by_a_new_ask_at_once(void **state)
{
	struct world *w = make(2, 4, 5000);
	struct act act;

	(void)state;
	assert_true(agent_next(&w->a, &act, w->now) && act.kind == ACT_ASK);
	agent_unheard(&w->a, true, 0, w->now);
	assert_true(agent_next(&w->a, &act, w->now) && act.kind == ACT_ASK);
	assert_false(act.ask->again);
	free(w);
}

static void a_hint_ends_a_back_off_and_not_what_the_coordinator_asked_for(void **state)
{
	struct world *w = make(1, 1, 1000);
	struct act act;

	(void)state;
	assert_true(agent_next(&w->a, &act, w->now) && act.kind == ACT_ASK);
	agent_hint(&w->a, w->now); /* one is out: nothing changes */
	for (int i = 0; i < 8; i++)
		agent_unheard(&w->a, false, 0, w->now);
	assert_true(w->a.next_ms - w->now >= 20000);
	agent_hint(&w->a, w->now);
	assert_int_equal(w->a.next_ms, w->a.sent_ms + AGENT_HINT_MS);
	agent_hint(&w->a, w->now + 1000); /* another one brings it no nearer */
	assert_int_equal(w->a.next_ms, w->a.sent_ms + AGENT_HINT_MS);

	agent_unheard(&w->a, false, 25000, w->now);
	agent_hint(&w->a, w->now + 6000);
	assert_true(w->a.next_ms >= w->now + 25000);
	free(w);
}

static void hints_without_end_make_no_more_asks_than_one_in_five_seconds(void **state)
{
	struct world *w = make(1, 1, 1000);

	(void)state;
	w->silent = true;
	run(w, 120000); /* the back-off is at its longest */
	int before = w->asks;
	for (int i = 0; i < 600; i++) {
		agent_hint(&w->a, w->now);
		run(w, 100);
	}
	assert_in_range(w->asks - before, 5, 60000 / AGENT_HINT_MS + 1);
	free(w);
}

static void leases_are_renewed_at_a_third_of_their_term(void **state)
{
	struct world *w = make(1, 2, 70000);

	(void)state;
	run(w, 60000);
	for (size_t i = 0; i < AGENT_TASKS_MAX; i++)
		if (w->a.tasks[i].state != TASK_NONE)
			assert_true(w->now - w->a.tasks[i].renewed_ms <= 21000);
	assert_int_equal(w->stops, 0);
	free(w);
}

static void a_paused_worker_gives_back_what_has_not_started(void **state)
{
	struct world *w = make(2, 10, 3000);

	(void)state;
	run(w, 100);
	agent_set_mode(&w->a, AGENT_PAUSE, w->now);
	run(w, 100);
	assert_int_equal(w->returns_heard, 2);
	assert_int_equal(w->running, 2);
	run(w, 5000);
	assert_int_equal(w->running, 0);
	assert_int_equal(w->a.n_acked, 2);
	agent_set_mode(&w->a, AGENT_RUN, w->now);
	run(w, 100);
	assert_int_equal(w->running, 2);
	free(w);
}

static void finish_delivers_what_runs_and_exits(void **state)
{
	struct world *w = make(2, 10, 3000);

	(void)state;
	run(w, 100);
	agent_set_mode(&w->a, AGENT_FINISH, w->now);
	run(w, 2000);
	assert_int_equal(w->exits, 0);
	run(w, 3000);
	assert_int_equal(w->exits, 1);
	assert_int_equal(w->a.n_acked, 2);
	free(w);
}

static void sigterm_gives_everything_back_within_five_seconds(void **state)
{
	struct world *w = make(2, 10, 100000);
	int64_t at;

	(void)state;
	run(w, 100);
	at = w->now;
	agent_set_mode(&w->a, AGENT_STOP, at);
	run(w, 10000);
	assert_int_equal(w->exits, 1);
	assert_true(w->now - at < 5000);
	assert_int_equal(w->returns_heard, 4);
	assert_int_equal(w->running, 0);
	free(w);
}

static void sigterm_ends_although_nobody_answers(void **state)
{
	struct world *w = make(2, 10, 100000);
	int64_t at;

	(void)state;
	run(w, 100);
	w->silent = true;
	at = w->now;
	agent_set_mode(&w->a, AGENT_STOP, at);
	run(w, 10000);
	assert_int_equal(w->exits, 1);
	assert_true(w->now - at < 5000);
	free(w);
}

static void an_idle_worker_exits_when_told_to(void **state)
{
	struct world *w = make(2, 2, 2000);

	(void)state;
	w->a.limits.exit_idle_ms = 1000;
	run(w, 2500);
	assert_int_equal(w->exits, 0);
	run(w, 2000);
	assert_int_equal(w->exits, 1);
	free(w);
}

static void an_idle_worker_with_unsent_results_stays(void **state)
{
	struct world *w = make(2, 0, 2000);

	(void)state;
	w->a.limits.exit_idle_ms = 1000;
	agent_outbox(&w->a, 1, w->now);
	run(w, 5000);
	assert_int_equal(w->exits, 0);
	agent_outbox(&w->a, 0, w->now);
	run(w, 1500);
	assert_int_equal(w->exits, 1);
	free(w);
}

static void a_full_disk_asks_for_nothing_for_a_while(void **state)
{
	struct world *w = make(2, 2, 100);
	struct act act;
	char words[AGENT_WORDS_MAX];

	(void)state;
	assert_true(agent_next(&w->a, &act, w->now) && act.kind == ACT_ASK);
	begin_ask(w, act.ask);
	w->left = 1;
	answer(w);
	assert_true(agent_next(&w->a, &act, w->now) && act.kind == ACT_FETCH);
	agent_failed(&w->a, act.lease, "no room", true, w->now);
	w->left = 10;
	run(w, 20000);
	assert_int_equal(w->running, 0);
	assert_int_equal(w->returns_heard, 1);
	agent_words(&w->a, words, w->now);
	assert_non_null(strstr(words, "disk"));
	run(w, 11000);
	assert_true(w->a.n_done > 0);
	free(w);
}

static void a_result_that_cannot_be_written_is_tried_again(void **state)
{
	struct world *w = make(1, 1, 50);
	struct act act;

	(void)state;
	run(w, 50);
	w->now += 100;
	end_boxes(w);
	assert_true(agent_next(&w->a, &act, w->now) && act.kind == ACT_SEAL);
	agent_unsealed(&w->a, act.leases[0], w->now);
	while (agent_next(&w->a, &act, w->now))
		assert_int_not_equal(act.kind, ACT_SEAL);
	w->now += AGENT_RESEAL_MS;
	assert_true(agent_next(&w->a, &act, w->now) && act.kind == ACT_SEAL);
	free(w);
}

static void an_ended_lease_with_a_result_in_hand_is_still_reported(void **state)
{
	struct world *w = make(1, 1, 50);

	(void)state;
	w->ack_ms = 30000;
	run(w, 200);
	assert_int_equal(agent_count(&w->a, TASK_SEALED), 1);
	name_lease(w->cancel, 0);
	run(w, 25000);
	assert_int_equal(agent_count(&w->a, TASK_SEALED), 1);
	run(w, 6000);
	assert_int_equal(w->a.n_acked, 1);
	free(w);
}

static void a_cancelled_job_is_stopped_and_the_others_go_on(void **state)
{
	struct world *w = make(2, 0, 50);
	struct agent_lease l[2] = { { .index = 1, .ttl_ms = 60000 }, { .index = 2, .ttl_ms = 60000 } };
	struct agent_answer r = { .leases = l, .n_leases = 2 };

	(void)state;
	name_lease(l[0].lease, 100);
	name_lease(l[1].lease, 101);
	l[0].job.b[0] = 1;
	l[1].job.b[0] = 2;
	w->a.asking = true;
	agent_heard(&w->a, &r, 0);
	assert_int_equal(agent_count(&w->a, TASK_LEASED), 2);
	agent_cancelled(&w->a, &l[0].job, 1);
	agent_cancelled(&w->a, &(struct digest){ { 3 } }, 1);
	assert_int_equal(agent_count(&w->a, TASK_LEASED), 1);
	agent_cancelled(&w->a, &l[1].job, 1);
	assert_int_equal(agent_count(&w->a, TASK_LEASED), 0);
	free(w);
}

static void a_task_too_big_for_the_worker_goes_back(void **state)
{
	struct world *w = make(1, 0, 50);
	struct agent_lease l = { .index = 1, .ttl_ms = 60000 };
	struct agent_answer r = { .leases = &l, .n_leases = 1 };
	struct act act;

	(void)state;
	name_lease(l.lease, 1);
	assert_true(agent_next(&w->a, &act, w->now) && act.kind == ACT_ASK);
	agent_heard(&w->a, &r, w->now);
	assert_true(agent_next(&w->a, &act, w->now) && act.kind == ACT_FETCH);
	agent_fetched(&w->a, l.lease, 1, 1 << 20, w->now);
	assert_true(agent_next(&w->a, &act, w->now) && act.kind == ACT_STOP);
	agent_stopped(&w->a, l.lease, w->now);
	assert_true(agent_next(&w->a, &act, w->now) && act.kind == ACT_ASK);
	assert_int_equal(act.ask->n_returned, 1);
	free(w);
}

static void a_broken_box_slows_the_worker_down(void **state)
{
	struct world *w = make(1, 0, 50);
	struct agent_exit x = { .broken = "no \xc3\xa9 box" };
	struct agent_lease l[6];
	struct agent_answer r = { .leases = l, .n_leases = 6 };
	char words[AGENT_WORDS_MAX];
	struct act act;
	int ran = 0;

	(void)state;
	memset(l, 0, sizeof(l));
	for (int i = 0; i < 6; i++)
		name_lease(l[i].lease, i);
	assert_true(agent_next(&w->a, &act, w->now) && act.kind == ACT_ASK);
	agent_heard(&w->a, &r, w->now);
	while (agent_next(&w->a, &act, w->now)) {
		if (act.kind == ACT_FETCH)
			agent_fetched(&w->a, act.lease, 1, 1, w->now);
		if (act.kind == ACT_RUN) {
			agent_words(&w->a, words, w->now);
			assert_string_equal(words, ran ? "running 1 task; the last one could not be started here: "
							 "no ?? box" :
							 "running 1 task");
			agent_exited(&w->a, act.lease, &x, w->now);
			ran++;
		}
	}
	assert_int_equal(ran, 6);
	assert_true(w->a.rest_ms > w->now);
	agent_words(&w->a, words, w->now);
	assert_string_equal(words, "waiting: the last tasks could not be started here: no ?? box");
	free(w);
}

static void an_idle_worker_says_whether_its_owner_paused_or_suspended_it(void **state)
{
	struct world *w = make(1, 0, 50);
	char words[AGENT_WORDS_MAX];

	(void)state;
	agent_set_mode(&w->a, AGENT_PAUSE, w->now);
	agent_words(&w->a, words, w->now);
	assert_string_equal(words, "paused by its owner; `resume` goes on");
	w->a.suspended = true;
	agent_words(&w->a, words, w->now);
	assert_string_equal(words, "suspended by its owner; `resume` goes on");
	free(w);
}

static void the_same_lease_twice_is_one_task(void **state)
{
	struct world *w = make(2, 0, 50);
	struct agent_lease l[2];
	struct agent_answer r = { .leases = l, .n_leases = 2 };
	struct act act;

	(void)state;
	memset(l, 0, sizeof(l));
	name_lease(l[0].lease, 1);
	name_lease(l[1].lease, 1);
	assert_true(agent_next(&w->a, &act, w->now) && act.kind == ACT_ASK);
	agent_heard(&w->a, &r, w->now);
	assert_int_equal(agent_count(&w->a, TASK_LEASED), 1);
	free(w);
}

static void an_empty_answer_does_not_make_a_busy_loop(void **state)
{
	struct world *w = make(2, 0, 50);

	(void)state;
	w->park = false;
	run(w, 10000);
	assert_true(w->asks < 120);
	assert_true(w->asks > 20);
	free(w);
}

static void wake_is_never_later_than_what_is_due(void **state)
{
	struct world *w = make(3, 60, 333);

	(void)state;
	tick(w);
	for (int i = 0; i < 20000; i++) {
		int64_t at = w->now + agent_wake(&w->a, w->now);
		int before = w->asks + w->seals;
		bool event = w->answer_at >= 0; /* an answer may come any time */

		for (int k = 0; k < w->issued; k++)
			event |= (w->box[k].live && w->box[k].ends == w->now + 1) ||
				 w->ack_at[k] == w->now + 1;
		tick(w);
		if (w->asks + w->seals != before && !event)
			assert_true(at <= w->now);
	}
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_never_idle_while_leases_wait),
		cmocka_unit_test(short_tasks_are_held_by_the_dozen),
		cmocka_unit_test(a_cancelled_lease_is_dropped),
		cmocka_unit_test(a_cancelled_lease_is_heard_of_while_all_slots_are_taken),
		cmocka_unit_test(an_ask_that_listens_gives_way_to_one_that_wants),
		cmocka_unit_test(results_of_two_jobs_never_share_an_envelope),
		cmocka_unit_test(small_jobs_are_sent_at_once),
		cmocka_unit_test(no_envelope_grows_beyond_its_limit),
		cmocka_unit_test(back_off_grows_and_jitters),
		cmocka_unit_test(a_silent_coordinator_stops_nothing_and_gets_everything_later),
		cmocka_unit_test(an_unheard_ask_is_said_again_in_the_same_bytes),
		cmocka_unit_test(an_old_seq_is_answered_by_a_new_ask_at_once),
		cmocka_unit_test(a_hint_ends_a_back_off_and_not_what_the_coordinator_asked_for),
		cmocka_unit_test(hints_without_end_make_no_more_asks_than_one_in_five_seconds),
		cmocka_unit_test(leases_are_renewed_at_a_third_of_their_term),
		cmocka_unit_test(a_paused_worker_gives_back_what_has_not_started),
		cmocka_unit_test(finish_delivers_what_runs_and_exits),
		cmocka_unit_test(sigterm_gives_everything_back_within_five_seconds),
		cmocka_unit_test(sigterm_ends_although_nobody_answers),
		cmocka_unit_test(an_idle_worker_exits_when_told_to),
		cmocka_unit_test(an_idle_worker_with_unsent_results_stays),
		cmocka_unit_test(a_full_disk_asks_for_nothing_for_a_while),
		cmocka_unit_test(a_result_that_cannot_be_written_is_tried_again),
		cmocka_unit_test(an_ended_lease_with_a_result_in_hand_is_still_reported),
		cmocka_unit_test(a_cancelled_job_is_stopped_and_the_others_go_on),
		cmocka_unit_test(a_task_too_big_for_the_worker_goes_back),
		cmocka_unit_test(a_broken_box_slows_the_worker_down),
		cmocka_unit_test(news_of_the_worker_is_said_at_once_and_once),
		cmocka_unit_test(an_idle_worker_says_whether_its_owner_paused_or_suspended_it),
		cmocka_unit_test(the_same_lease_twice_is_one_task),
		cmocka_unit_test(an_empty_answer_does_not_make_a_busy_loop),
		cmocka_unit_test(wake_is_never_later_than_what_is_due),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
