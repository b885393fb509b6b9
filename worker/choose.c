/* SPDX-License-Identifier: Apache-2.0
 *
 * choose.c: what a worker does next: the acting half of the agent, as pure as the other.
 *
 * agent_next() looks at what there is in a fixed order (stop, seal, run, fetch, ask, exit) and takes the first
 * act that is due.
 */
#include "worker/agent_in.h"

#include <string.h>

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

/* --- acts: stop, seal, run, fetch ----------------------------------------------------------------- */

static bool give_task(struct act *act, enum act_kind kind, const struct agent_task *t)
{
	act->kind = kind;
	act->job = t->job;
	act->index = t->index;
	act->given = t->given;
	memcpy(act->lease, t->lease, sizeof(act->lease));
	return true;
}

static bool next_stop(struct agent *a, struct act *act, int64_t now)
{
	if (a->mode == AGENT_STOP && now >= a->stopped_ms + AGENT_GRACE_MS)
		agent_back_all(a, TASK_RUNNING, agent_mode_name(a->mode), now);
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

/* The batch that `lead` would go out with; false while it should wait for more. A statement speaks of each
 * task once, so a second lease of one goes with the next envelope. */
static bool batch(const struct agent *a, const struct agent_task *lead, struct act *act, int64_t now)
{
	int64_t indices[AGENT_BATCH_MAX];
	size_t bytes = 0, k;
	bool full = false, old = false;

	act->n_leases = 0;
	for (const struct agent_task *t = a->tasks; t < a->tasks + AGENT_TASKS_MAX && !full; t++) {
		if (!same_batch(t, lead, now))
			continue;
		for (k = 0; k < act->n_leases && indices[k] != t->index; k++)
			;
		if (k < act->n_leases)
			continue;
		if (act->n_leases && bytes + t->bytes > (size_t)AGENT_BATCH_BYTES) {
			full = true;
			break;
		}
		old |= now - t->since_ms >= AGENT_BATCH_MS;
		bytes += t->bytes;
		indices[act->n_leases] = t->index;
		memcpy(act->leases[act->n_leases++], t->lease, sizeof(t->lease));
		full = act->n_leases == AGENT_BATCH_MAX;
	}
	return full || old || a->mode == AGENT_STOP || !others_live(a, &lead->job);
}

static bool next_seal(struct agent *a, struct act *act, int64_t now)
{
	const struct agent_task *waits[8]; /* leads of batches that are not due: no need to ask again */
	size_t n = 0;

	for (struct agent_task *t = a->tasks; t < a->tasks + AGENT_TASKS_MAX; t++) {
		bool known = t->state != TASK_DONE || t->since_ms > now;

		for (size_t i = 0; i < n && !known; i++)
			known = same_batch(t, waits[i], now);
		if (known)
			continue;
		if (!batch(a, t, act, now)) {
			if (n < ARRAY_LEN(waits))
				waits[n++] = t;
			continue;
		}
		act->kind = ACT_SEAL;
		act->job = t->job;
		for (size_t i = 0; i < act->n_leases; i++)
			agent_happen(a, agent_find(a, act->leases[i]), E_SEALED, now);
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
	agent_happen(a, t, E_RUN, now);
	return give_task(act, ACT_RUN, t);
}

static bool next_fetch(struct agent *a, struct act *act, int64_t now)
{
	struct agent_task *t = first(a, TASK_LEASED);

	if (!t)
		return false;
	agent_happen(a, t, E_FETCH, now);
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

/* Long tasks: with nothing to ask for, an ask waits at the coordinator's so that an end is heard at once. */
static bool listens(const struct agent *a, int64_t now)
{
	return now >= a->heard_ms + AGENT_LISTEN_MS && first_renewal(a) != INT64_MAX;
}

/* What is given back is not said before it has stopped here: its checkpoint goes first, and nobody else begins
 * meanwhile. */
static bool has_stopped(const struct agent *a, const struct agent_return *r)
{
	for (const struct agent_task *t = a->tasks; t < a->tasks + AGENT_TASKS_MAX; t++)
		if (t->state == TASK_QUITTING && !strcmp(t->lease, r->lease))
			return false;
	return true;
}

static bool any_return(const struct agent *a)
{
	for (size_t i = 0; i < a->n_returns; i++)
		if (has_stopped(a, &a->returns[i]))
			return true;
	return false;
}

/* Those that may be said to the front; how many. */
static size_t list_returns(struct agent *a)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n_returns; i++) {
		struct agent_return r = a->returns[i];

		r.listed = has_stopped(a, &r);
		a->returns[i] = r;
		if (r.listed) {
			a->returns[i] = a->returns[n];
			a->returns[n++] = r;
		}
	}
	return n;
}

static bool ask_due(const struct agent *a, int64_t now)
{
	bool changed = a->ask.mode != a->mode && !a->told_mode;
	bool returns = any_return(a);
	bool urgent = !a->told_mode || a->news || returns || first_renewal(a) <= now;

	bool work = now >= a->next_ms && wants(a, now);

	if (a->asking) /* only a poll that waits is cut short */
		return changed || (a->ask.wait_ms && (a->news || (returns && now - a->asked_ms >= AGENT_LISTEN_MS) ||
							     (!a->ask.want && work)));
	if (a->tries)
		return now >= a->next_ms;
	return urgent || work || listens(a, now) || now >= a->asked_ms + AGENT_HEARTBEAT_MS;
}

static void fill_ask(struct agent *a, int64_t now)
{
	int64_t renew = first_renewal(a) - now;
	int target = 0;

	a->news = false;
	a->ask.mode = a->mode;
	a->ask.n_returned = list_returns(a);
	a->ask.want = wanted(a, now, &target);
	a->ask.wait_ms = (!a->ask.want && !listens(a, now)) || a->ask.n_returned || !a->told_mode || a->tries ? 0 : AGENT_WAIT_MS;
	if (a->ask.wait_ms > renew)
		a->ask.wait_ms = renew > 0 ? renew : 0;
	a->ask.n_held = 0;
	for (const struct agent_task *t = a->tasks; t < a->tasks + AGENT_TASKS_MAX; t++)
		if (renew_at(t) != INT64_MAX)
			memcpy(a->ask.held[a->ask.n_held++], t->lease, sizeof(t->lease));
	a->ask.returned = a->returns;
	a->asked_ms = now;
}

static bool next_ask(struct agent *a, struct act *act, int64_t now)
{
	if (!ask_due(a, now))
		return false;
	/* Said again it cannot lose leases; one that wanted none has nothing to lose, and says the news. */
	a->ask.again = a->unheard && !a->asking && a->ask.mode == a->mode && a->ask.want > 0;
	if (!a->ask.again)
		fill_ask(a, now);
	a->asking = true;
	a->sent_ms = now;
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

	sooner(&at, a->next_ms, now);
	if (!a->asking) {
		sooner(&at, first_renewal(a), now);
		sooner(&at, a->heard_ms + AGENT_LISTEN_MS, now);
		sooner(&at, a->asked_ms + AGENT_HEARTBEAT_MS, now);
	} else if (a->n_returns) {
		sooner(&at, a->asked_ms + AGENT_LISTEN_MS, now);
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
