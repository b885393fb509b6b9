/* SPDX-License-Identifier: Apache-2.0
 *
 * agent.c: what happened, and what it does to the tasks that a worker holds.
 *
 * Events move tasks by the table `steps`; choose.c then says what to do. Nothing in the two reads a
 * clock, a socket or a file, and chance comes from the seed: same events, same acts.
 *
 * Always: a lease is in at most one entry; what an ask lists as held or returned is all that the
 * coordinator thinks we have, but for what it has ended.
 */
#include "worker/agent_in.h"
#include "worker/backoff.h"

#include <assert.h>
#include <string.h>

/* --- tasks by state ----------------------------------------------------------------------------- */

struct agent_task *agent_find(struct agent *a, const char *lease)
{
	for (size_t i = 0; i < AGENT_TASKS_MAX; i++)
		if (a->tasks[i].state != TASK_NONE && !strcmp(a->tasks[i].lease, lease))
			return &a->tasks[i];
	return NULL;
}

size_t agent_count(const struct agent *a, enum task_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < AGENT_TASKS_MAX; i++)
		n += a->tasks[i].state == state;
	return n;
}

/* --- the table: what an event does to a task ----------------------------------------------------- */

typedef void step(struct agent *a, struct agent_task *t, int64_t now);

static void move(struct agent_task *t, enum task_state to, int64_t now)
{
	t->state = to;
	t->since_ms = now;
}

static void drop(struct agent *a, struct agent_task *t, int64_t now)
{
	(void)a, (void)now;
	memset(t, 0, sizeof(*t));
}

static void quit(struct agent *a, struct agent_task *t, int64_t now)
{
	(void)a;
	move(t, TASK_QUITTING, now);
	t->stop = true;
}

static void fetch(struct agent *a, struct agent_task *t, int64_t now)
{
	(void)a;
	move(t, TASK_FETCHING, now);
}

static void run(struct agent *a, struct agent_task *t, int64_t now)
{
	(void)a;
	move(t, TASK_RUNNING, now);
}

static void ready(struct agent *a, struct agent_task *t, int64_t now)
{
	(void)a;
	move(t, TASK_READY, now);
}

static void keep_result(struct agent *a, struct agent_task *t, int64_t now)
{
	a->n_done++;
	move(t, TASK_DONE, now);
}

static void seal(struct agent *a, struct agent_task *t, int64_t now)
{
	(void)a;
	move(t, TASK_SEALED, now);
}

static void reseal_later(struct agent *a, struct agent_task *t, int64_t now)
{
	(void)a;
	move(t, TASK_DONE, now + AGENT_RESEAL_MS);
}

static void acked(struct agent *a, struct agent_task *t, int64_t now)
{
	a->n_acked++;
	drop(a, t, now);
}

/* A result in hand (done, sealed) outlives its lease: it still goes out, as `late` if need be. */
static step *const steps[N_TASK_STATES][N_AGENT_EVENTS] = {
	[TASK_LEASED] = { [E_FETCH] = fetch, [E_FAILED] = drop, [E_ENDED] = drop, [E_BACK] = drop },
	[TASK_FETCHING] = { [E_FETCHED] = ready, [E_FAILED] = drop, [E_ENDED] = quit, [E_BACK] = quit },
	[TASK_READY] = { [E_RUN] = run, [E_FAILED] = drop, [E_ENDED] = quit, [E_BACK] = quit },
	[TASK_RUNNING] = { [E_EXITED] = keep_result, [E_FAILED] = drop, [E_ENDED] = quit, [E_BACK] = quit },
	[TASK_QUITTING] = { [E_STOPPED] = drop },
	[TASK_DONE] = { [E_SEALED] = seal },
	[TASK_SEALED] = { [E_ACKED] = acked, [E_UNSEALED] = reseal_later },
};

bool agent_happen(struct agent *a, struct agent_task *t, enum agent_event event, int64_t now)
{
	step *s = t ? steps[t->state][event] : NULL;

	if (s)
		s(a, t, now);
	return s != NULL;
}

/* --- giving back ---------------------------------------------------------------------------------- */

void agent_give_back(struct agent *a, const char *lease, const char *why)
{
	struct agent_return *r = &a->returns[a->n_returns];

	for (size_t i = 0; i < a->n_returns; i++)
		if (!strcmp(a->returns[i].lease, lease))
			return;
	if (a->n_returns == AGENT_RETURNS_MAX) /* then it expires by itself */
		return;
	memset(r, 0, sizeof(*r));
	snprintf(r->lease, sizeof(r->lease), "%s", lease);
	snprintf(r->why, sizeof(r->why), "%s", why);
	a->n_returns++;
}

static void back(struct agent *a, struct agent_task *t, const char *why, int64_t now)
{
	char lease[LEASE_HEX + 1];

	memcpy(lease, t->lease, sizeof(lease));
	if (agent_happen(a, t, E_BACK, now))
		agent_give_back(a, lease, why);
}

void agent_back_all(struct agent *a, enum task_state last, const char *why, int64_t now)
{
	for (size_t i = 0; i < AGENT_TASKS_MAX; i++)
		if (a->tasks[i].state != TASK_NONE && a->tasks[i].state <= last)
			back(a, &a->tasks[i], why, now);
}

/* What the ask that was heard had listed is given back now. */
static void forget_returned(struct agent *a)
{
	size_t kept = 0;

	for (size_t i = 0; i < a->n_returns; i++)
		if (!a->returns[i].listed)
			a->returns[kept++] = a->returns[i];
	a->n_returns = kept;
}

/* --- events ----------------------------------------------------------------------------------------- */

void agent_init(struct agent *a, const struct agent_limits *limits, uint64_t seed, int64_t now)
{
	assert(limits->slots > 0);
	memset(a, 0, sizeof(*a));
	a->limits = *limits;
	a->seed = seed;
	a->next_ms = a->idle_ms = now;
}

static void take_lease(struct agent *a, const struct agent_lease *l, int64_t now)
{
	struct agent_task *t;

	if (agent_find(a, l->lease))
		return;
	if (a->mode != AGENT_RUN) {
		agent_give_back(a, l->lease, agent_mode_name(a->mode));
		return;
	}
	for (t = a->tasks; t < a->tasks + AGENT_TASKS_MAX && t->state != TASK_NONE; t++)
		;
	if (t == a->tasks + AGENT_TASKS_MAX) {
		agent_give_back(a, l->lease, "more than asked for");
		return;
	}
	memcpy(t->lease, l->lease, sizeof(t->lease));
	t->job = l->job;
	t->index = l->index;
	t->given = l->given;
	t->ttl_ms = l->ttl_ms;
	t->renewed_ms = a->asked_ms;
	t->order = a->orders++;
	move(t, TASK_LEASED, now);
}

void agent_heard(struct agent *a, const struct agent_answer *answer, int64_t now)
{
	struct agent_task *t;
	bool empty = !answer->n_leases && a->ask.want && now - a->asked_ms < 50;

	a->asking = a->unheard = false;
	a->tries = 0;
	a->heard_ms = now;
	a->silent_ms = 0;
	a->told_mode = a->ask.mode == a->mode;
	forget_returned(a);
	for (size_t i = 0; i < answer->n_renewed; i++)
		if ((t = agent_find(a, answer->renewed[i])))
			t->renewed_ms = a->asked_ms;
	for (size_t i = 0; i < answer->n_ended; i++)
		agent_happen(a, agent_find(a, answer->ended[i]), E_ENDED, now);
	for (size_t i = 0; i < answer->n_leases; i++)
		take_lease(a, &answer->leases[i], now);
	/* An empty answer that came at once would make a loop without a pause. */
	a->patience_ms = a->next_ms = now + answer->next_ms;
	if (empty && answer->next_ms < 100)
		a->next_ms = now + 100 + (int64_t)rng_below(&a->seed, 100);
}

void agent_unheard(struct agent *a, bool anew, int64_t retry_ms, int64_t now)
{
	int64_t wait = backoff_ms(++a->tries, &a->seed);

	a->asking = false;
	a->unheard = !anew;
	if (anew && a->tries == 1)
		wait = 0;
	else if (!a->silent_ms)
		a->silent_ms = now;
	a->patience_ms = now + retry_ms;
	a->next_ms = now + (wait > retry_ms ? wait : retry_ms);
}

/* Inputs that do not come and boxes that do not start: after the third in a row, take it slower. */
static void trouble(struct agent *a, int64_t now)
{
	if (++a->trouble >= 3)
		a->rest_ms = now + backoff_ms(a->trouble - 2, &a->seed);
}

void agent_fetched(struct agent *a, const char *lease, int threads, int64_t memory_mib, int64_t now)
{
	struct agent_task *t = agent_find(a, lease);

	if (!t || t->state != TASK_FETCHING)
		return;
	t->threads = threads < 1 ? 1 : threads > a->limits.slots ? a->limits.slots : threads;
	t->memory_mib = memory_mib;
	if (memory_mib > a->limits.memory_mib)
		back(a, t, "needs more memory than this worker may use", now);
	else
		agent_happen(a, t, E_FETCHED, now);
}

void agent_failed(struct agent *a, const char *lease, const char *why, bool full, int64_t now)
{
	if (!agent_happen(a, agent_find(a, lease), E_FAILED, now))
		return;
	agent_give_back(a, lease, why);
	if (full) {
		a->full_ms = now + AGENT_FULL_MS;
		return;
	}
	a->broken[0] = '\0';
	trouble(a, now);
}

/* Plain ASCII, whatever a program named in it is called: it goes into JSON. */
static void note_broken(struct agent *a, const char *why)
{
	size_t n = 0;

	for (; why[n] && n < sizeof(a->broken) - 1; n++)
		a->broken[n] = why[n] >= ' ' && why[n] <= '~' ? why[n] : '?';
	a->broken[n] = '\0';
}

void agent_exited(struct agent *a, const char *lease, const struct agent_exit *x, int64_t now)
{
	struct agent_task *t = agent_find(a, lease);

	if (!agent_happen(a, t, E_EXITED, now))
		return;
	t->policy = x->policy;
	t->bytes = x->bytes;
	note_broken(a, x->broken ? x->broken : "");
	if (x->broken) {
		trouble(a, now);
		return;
	}
	a->trouble = 0;
	a->rest_ms = 0;
	a->pace_ms = a->pace_ms ? (a->pace_ms * 7 + x->wall_ms) / 8 : x->wall_ms;
	if (a->pace_ms < 1)
		a->pace_ms = 1;
}

void agent_unsealed(struct agent *a, const char *lease, int64_t now)
{
	if (agent_happen(a, agent_find(a, lease), E_UNSEALED, now))
		a->full_ms = now + AGENT_FULL_MS;
}

void agent_stopped(struct agent *a, const char *lease, int64_t now)
{
	agent_happen(a, agent_find(a, lease), E_STOPPED, now);
}

void agent_acked(struct agent *a, const char *lease, int64_t now)
{
	agent_happen(a, agent_find(a, lease), E_ACKED, now);
}

void agent_outbox(struct agent *a, size_t unsent, int64_t now)
{
	if (unsent || a->unsent)
		a->idle_ms = now;
	a->unsent = unsent;
}

void agent_news(struct agent *a)
{
	a->news = true;
}

void agent_cancelled(struct agent *a, const struct digest *job, int64_t now)
{
	for (size_t i = 0; i < AGENT_TASKS_MAX; i++)
		if (a->tasks[i].state != TASK_NONE && digest_equal(&a->tasks[i].job, job))
			agent_happen(a, &a->tasks[i], E_ENDED, now);
}

void agent_nudge(struct agent *a, int64_t now)
{
	if (!a->asking)
		a->next_ms = now;
}

void agent_hint(struct agent *a, int64_t now)
{
	int64_t at = a->sent_ms + AGENT_HINT_MS;

	if (at < a->patience_ms)
		at = a->patience_ms;
	if (at < now)
		at = now;
	if (!a->asking && at < a->next_ms)
		a->next_ms = at;
}

void agent_set_mode(struct agent *a, enum agent_mode mode, int64_t now)
{
	if (a->mode == mode || a->mode == AGENT_STOP || (a->mode == AGENT_FINISH && mode < AGENT_FINISH))
		return;
	a->mode = mode;
	a->told_mode = false;
	a->next_ms = now; /* whoever changed it waits for it: no pace, no back-off */
	a->idle_ms = now;
	if (mode == AGENT_STOP)
		a->stopped_ms = now;
	if (mode != AGENT_RUN)
		agent_back_all(a, TASK_READY, agent_mode_name(mode), now);
}
