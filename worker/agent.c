/* SPDX-License-Identifier: Apache-2.0
 *
 * agent.c: what a worker does next.
 *
 * Two halves: events, which move tasks by the table `steps`, and agent_next(), which looks at what
 * there is in a fixed order (stop, seal, run, fetch, ask, exit) and takes the first act that is due. Nothing
 * here reads a clock, a socket or a file, and chance comes from the seed: same events, same acts.
 *
 * Always: a lease is in at most one entry; entries in `held` plus given back are all the leases that the
 * coordinator thinks we have, but for those that it has ended.
 */
#include "worker/agent.h"

#include <assert.h>
#include <string.h>

/* --- tasks by state ----------------------------------------------------------------------------- */

static struct agent_task *find(struct agent *a, const char *lease)
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

static bool is_live(const struct agent_task *t)
{
	return t->state >= TASK_LEASED && t->state <= TASK_QUITTING;
}

static size_t count_live(const struct agent *a)
{
	size_t n = 0;

	for (size_t i = 0; i < AGENT_TASKS_MAX; i++)
		n += is_live(&a->tasks[i]);
	return n;
}

static size_t count_used(const struct agent *a)
{
	return AGENT_TASKS_MAX - agent_count(a, TASK_NONE);
}

/* The one in `state` that was leased first, or NULL. */
static struct agent_task *first(struct agent *a, enum task_state state)
{
	struct agent_task *t, *best = NULL;

	for (t = a->tasks; t < a->tasks + AGENT_TASKS_MAX; t++)
		if (t->state == state && (!best || t->order < best->order))
			best = t;
	return best;
}

static bool has_work(const struct agent *a)
{
	return count_used(a) || a->unsent || a->n_returns;
}

/* --- the table: what an event does to a task ----------------------------------------------------- */

enum event { E_FETCHED, E_FAILED, E_EXITED, E_SEALED, E_UNSEALED, E_STOPPED, E_ACKED, E_ENDED, E_BACK, N_EVENTS };

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
static step *const steps[N_TASK_STATES][N_EVENTS] = {
	[TASK_LEASED] = { [E_FAILED] = drop, [E_ENDED] = drop, [E_BACK] = drop },
	[TASK_FETCHING] = { [E_FETCHED] = ready, [E_FAILED] = drop, [E_ENDED] = quit, [E_BACK] = quit },
	[TASK_READY] = { [E_FAILED] = drop, [E_ENDED] = quit, [E_BACK] = quit },
	[TASK_RUNNING] = { [E_EXITED] = keep_result, [E_FAILED] = drop, [E_ENDED] = quit, [E_BACK] = quit },
	[TASK_QUITTING] = { [E_STOPPED] = drop },
	[TASK_DONE] = { [E_SEALED] = seal },
	[TASK_SEALED] = { [E_ACKED] = acked, [E_UNSEALED] = reseal_later },
};

/* False when the table has no such step: an event that came too late, which is nobody's fault. */
static bool happen(struct agent *a, struct agent_task *t, enum event event, int64_t now)
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
	if (happen(a, t, E_BACK, now))
		agent_give_back(a, lease, why);
}

/* Give back everything up to state `last`. */
static void back_all(struct agent *a, enum task_state last, const char *why, int64_t now)
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

int64_t backoff_ms(int tries, uint64_t *seed)
{
	int64_t base = AGENT_BACKOFF_MIN_MS;

	while (--tries > 0 && base < AGENT_BACKOFF_MAX_MS * 2 / 3)
		base *= 2;
	if (base > AGENT_BACKOFF_MAX_MS * 2 / 3)
		base = AGENT_BACKOFF_MAX_MS * 2 / 3;
	return base + (int64_t)rng_below(seed, (uint64_t)base / 2 + 1);
}

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

	if (find(a, l->lease))
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
	a->silent_ms = 0;
	a->told_mode = a->ask.mode == a->mode;
	forget_returned(a);
	for (size_t i = 0; i < answer->n_renewed; i++)
		if ((t = find(a, answer->renewed[i])))
			t->renewed_ms = a->asked_ms;
	for (size_t i = 0; i < answer->n_ended; i++)
		happen(a, find(a, answer->ended[i]), E_ENDED, now);
	for (size_t i = 0; i < answer->n_leases; i++)
		take_lease(a, &answer->leases[i], now);
	/* An empty answer that came at once would make a loop without a pause. */
	a->next_ms = now + answer->next_ms;
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
	struct agent_task *t = find(a, lease);

	if (!t || t->state != TASK_FETCHING)
		return;
	t->threads = threads < 1 ? 1 : threads > a->limits.slots ? a->limits.slots : threads;
	t->memory_mib = memory_mib;
	if (memory_mib > a->limits.memory_mib)
		back(a, t, "needs more memory than this worker may use", now);
	else
		happen(a, t, E_FETCHED, now);
}

void agent_failed(struct agent *a, const char *lease, const char *why, bool full, int64_t now)
{
	if (!happen(a, find(a, lease), E_FAILED, now))
		return;
	agent_give_back(a, lease, why);
	if (full)
		a->full_ms = now + AGENT_FULL_MS;
	else
		trouble(a, now);
}

void agent_exited(struct agent *a, const char *lease, const struct agent_exit *x, int64_t now)
{
	struct agent_task *t = find(a, lease);

	if (!happen(a, t, E_EXITED, now))
		return;
	t->policy = x->policy;
	t->bytes = x->bytes;
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
	if (happen(a, find(a, lease), E_UNSEALED, now))
		a->full_ms = now + AGENT_FULL_MS;
}

void agent_stopped(struct agent *a, const char *lease, int64_t now)
{
	happen(a, find(a, lease), E_STOPPED, now);
}

void agent_acked(struct agent *a, const char *lease, int64_t now)
{
	happen(a, find(a, lease), E_ACKED, now);
}

void agent_outbox(struct agent *a, size_t unsent, int64_t now)
{
	if (unsent || a->unsent)
		a->idle_ms = now;
	a->unsent = unsent;
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
		back_all(a, TASK_READY, agent_mode_name(mode), now);
}

/* --- acts: stop, seal, run, fetch ----------------------------------------------------------------- */

static bool give_task(struct act *act, enum act_kind kind, const struct agent_task *t)
{
	act->kind = kind;
	act->job = t->job;
	act->index = t->index;
	memcpy(act->lease, t->lease, sizeof(act->lease));
	return true;
}

static bool next_stop(struct agent *a, struct act *act, int64_t now)
{
	if (a->mode == AGENT_STOP && now >= a->stopped_ms + AGENT_GRACE_MS)
		back_all(a, TASK_RUNNING, agent_mode_name(a->mode), now);
	for (struct agent_task *t = a->tasks; t < a->tasks + AGENT_TASKS_MAX; t++)
		if (t->stop) {
			t->stop = false;
			return give_task(act, ACT_STOP, t);
		}
	return false;
}

static bool same_batch(const struct agent_task *t, const struct agent_task *lead, int64_t now)
{
	return t->state == TASK_DONE && t->since_ms <= now && digest_equal(&t->job, &lead->job) &&
	       digest_equal(&t->policy, &lead->policy);
}

static bool others_live(const struct agent *a, const struct digest *job)
{
	for (size_t i = 0; i < AGENT_TASKS_MAX; i++)
		if (is_live(&a->tasks[i]) && digest_equal(&a->tasks[i].job, job))
			return true;
	return false;
}

/* The batch that `lead` would go out with; false while it should wait for more. */
static bool batch(struct agent *a, const struct agent_task *lead, struct act *act, int64_t now)
{
	size_t bytes = 0;
	bool full = false, old = false;

	act->n_leases = 0;
	for (struct agent_task *t = a->tasks; t < a->tasks + AGENT_TASKS_MAX; t++) {
		if (!same_batch(t, lead, now))
			continue;
		if (act->n_leases == AGENT_BATCH_MAX ||
			(act->n_leases && bytes + t->bytes > (size_t)AGENT_BATCH_BYTES)) {
			full = true;
			break;
		}
		old |= now - t->since_ms >= AGENT_BATCH_MS;
		bytes += t->bytes;
		memcpy(act->leases[act->n_leases++], t->lease, sizeof(t->lease));
	}
	full |= act->n_leases == AGENT_BATCH_MAX;
	return full || old || a->mode == AGENT_STOP || !others_live(a, &lead->job);
}

static bool next_seal(struct agent *a, struct act *act, int64_t now)
{
	for (struct agent_task *t = a->tasks; t < a->tasks + AGENT_TASKS_MAX; t++) {
		if (t->state != TASK_DONE || t->since_ms > now || !batch(a, t, act, now))
			continue;
		act->kind = ACT_SEAL;
		act->job = t->job;
		for (size_t i = 0; i < act->n_leases; i++)
			happen(a, find(a, act->leases[i]), E_SEALED, now);
		return true;
	}
	return false;
}

/* The first one ready runs first: a big one is not overtaken for ever by small ones. */
static bool next_run(struct agent *a, struct act *act, int64_t now)
{
	struct agent_task *t = first(a, TASK_READY);
	int slots = a->limits.slots;
	int64_t memory = a->limits.memory_mib;

	if (!t || a->mode != AGENT_RUN)
		return false;
	for (const struct agent_task *u = a->tasks; u < a->tasks + AGENT_TASKS_MAX; u++)
		if (u->state == TASK_RUNNING || u->state == TASK_QUITTING) {
			slots -= u->threads;
			memory -= u->memory_mib;
		}
	if (t->threads > slots || t->memory_mib > memory)
		return false;
	move(t, TASK_RUNNING, now);
	return give_task(act, ACT_RUN, t);
}

static bool next_fetch(struct agent *a, struct act *act, int64_t now)
{
	struct agent_task *t = first(a, TASK_LEASED);

	if (!t)
		return false;
	move(t, TASK_FETCHING, now);
	return give_task(act, ACT_FETCH, t);
}

/* --- acts: ask -------------------------------------------------------------------------------------- */

/* So many that slots never wait: twice the slots, and of short tasks what lasts AGENT_AHEAD_MS. */
static int wanted(const struct agent *a, int64_t now, int *target)
{
	int slots = a->limits.slots, live = (int)count_live(a), used = (int)count_used(a), n = slots * 2;

	if (a->mode != AGENT_RUN || now < a->full_ms || now < a->rest_ms)
		return 0;
	if (a->pace_ms && slots + slots * AGENT_AHEAD_MS / a->pace_ms > n)
		n = (int)(slots + slots * AGENT_AHEAD_MS / a->pace_ms);
	if (n > slots + AGENT_WANT_MAX && n > slots * 2)
		n = slots + AGENT_WANT_MAX > slots * 2 ? slots + AGENT_WANT_MAX : slots * 2;
	*target = n;
	n -= live;
	if (n > AGENT_WANT_MAX)
		n = AGENT_WANT_MAX;
	return n < 0 ? 0 : n > AGENT_TASKS_MAX - used ? AGENT_TASKS_MAX - used : n;
}

/* Whether it is worth an ask: a slot is idle, or a quarter of what we like to hold is gone. */
static bool wants(const struct agent *a, int64_t now)
{
	int target = 0, want = wanted(a, now, &target);

	return want > 0 && (want * 4 >= target || target - want < a->limits.slots);
}

static int64_t renew_at(const struct agent_task *t)
{
	return t->state == TASK_NONE || t->state == TASK_QUITTING ? INT64_MAX :
								     t->renewed_ms + t->ttl_ms / 3;
}

static int64_t first_renewal(const struct agent *a)
{
	int64_t at = INT64_MAX;

	for (size_t i = 0; i < AGENT_TASKS_MAX; i++)
		if (renew_at(&a->tasks[i]) < at)
			at = renew_at(&a->tasks[i]);
	return at;
}

static bool ask_due(const struct agent *a, int64_t now)
{
	bool changed = a->ask.mode != a->mode && !a->told_mode;
	bool urgent = !a->told_mode || a->n_returns || first_renewal(a) <= now;

	if (a->asking) /* only a poll that waits for work is cut short */
		return changed || (a->n_returns && a->ask.wait_ms && now - a->asked_ms >= 1000);
	if (a->tries)
		return now >= a->next_ms;
	return urgent || (now >= a->next_ms && wants(a, now)) || now >= a->asked_ms + AGENT_HEARTBEAT_MS;
}

static void fill_ask(struct agent *a, int64_t now)
{
	int64_t renew = first_renewal(a) - now;
	int target = 0;

	a->ask.mode = a->mode;
	a->ask.want = wanted(a, now, &target);
	a->ask.wait_ms = !a->ask.want || a->n_returns || !a->told_mode ? 0 : AGENT_WAIT_MS;
	if (a->ask.wait_ms > renew)
		a->ask.wait_ms = renew > 0 ? renew : 0;
	a->ask.n_held = 0;
	for (const struct agent_task *t = a->tasks; t < a->tasks + AGENT_TASKS_MAX; t++)
		if (renew_at(t) != INT64_MAX)
			memcpy(a->ask.held[a->ask.n_held++], t->lease, sizeof(t->lease));
	for (size_t i = 0; i < a->n_returns; i++)
		a->returns[i].listed = true;
	a->ask.returned = a->returns;
	a->ask.n_returned = a->n_returns;
	a->asked_ms = now;
}

static bool next_ask(struct agent *a, struct act *act, int64_t now)
{
	if (!ask_due(a, now))
		return false;
	a->ask.again = a->unheard && a->ask.mode == a->mode;
	if (!a->ask.again)
		fill_ask(a, now);
	a->asking = true;
	act->kind = ACT_ASK;
	act->ask = &a->ask;
	return true;
}

/* --- acts: exit --------------------------------------------------------------------------------------- */

static bool may_exit(const struct agent *a, int64_t now)
{
	bool said = a->told_mode && !a->n_returns;
	size_t sealed = agent_count(a, TASK_SEALED);
	bool nobody = a->tries && !a->asking; /* there to tell; what is sealed is on disk */

	if (a->mode == AGENT_STOP && now >= a->stopped_ms + AGENT_STOP_MS)
		return true;
	if (a->mode < AGENT_FINISH || count_used(a) > sealed)
		return false;
	if (a->mode == AGENT_STOP && nobody)
		return true;
	return !a->unsent && !sealed && (said || nobody);
}

static bool next_exit(struct agent *a, struct act *act, int64_t now)
{
	if (a->leaving || !may_exit(a, now))
		return false;
	a->leaving = true;
	act->kind = ACT_EXIT;
	return true;
}

bool agent_next(struct agent *a, struct act *act, int64_t now)
{
	typedef bool look(struct agent * a, struct act * act, int64_t now);
	static look *const looks[] = { next_stop, next_seal, next_run, next_fetch, next_ask, next_exit };

	act->kind = ACT_NONE;
	if (has_work(a))
		a->idle_ms = now;
	else if (a->mode == AGENT_RUN && a->limits.exit_idle_ms &&
		 now - a->idle_ms >= a->limits.exit_idle_ms)
		agent_set_mode(a, AGENT_FINISH, now);
	for (size_t i = 0; i < ARRAY_LEN(looks); i++)
		if (looks[i](a, act, now))
			return true;
	return false;
}

static void sooner(int64_t *at, int64_t when, int64_t now)
{
	if (when > now && when < *at)
		*at = when;
}

int64_t agent_wake(const struct agent *a, int64_t now)
{
	int64_t at = now + AGENT_HEARTBEAT_MS;

	if (!a->asking) {
		sooner(&at, a->next_ms, now);
		sooner(&at, first_renewal(a), now);
		sooner(&at, a->asked_ms + AGENT_HEARTBEAT_MS, now);
	} else if (a->n_returns) {
		sooner(&at, a->asked_ms + 1000, now);
	}
	sooner(&at, a->full_ms, now);
	sooner(&at, a->rest_ms, now);
	for (size_t i = 0; i < AGENT_TASKS_MAX; i++)
		if (a->tasks[i].state == TASK_DONE) {
			sooner(&at, a->tasks[i].since_ms, now);
			sooner(&at, a->tasks[i].since_ms + AGENT_BATCH_MS, now);
		}
	if (a->limits.exit_idle_ms)
		sooner(&at, a->idle_ms + a->limits.exit_idle_ms, now);
	if (a->mode == AGENT_STOP) {
		sooner(&at, a->stopped_ms + AGENT_GRACE_MS, now);
		sooner(&at, a->stopped_ms + AGENT_STOP_MS, now);
	}
	return at - now;
}
