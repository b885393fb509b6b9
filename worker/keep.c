/* SPDX-License-Identifier: Apache-2.0
 *
 * keep.c: see keep.h.
 */
#include "worker/keep.h"
#include "worker/backoff.h"

#include <string.h>

void keep_init(struct keep *k, uint64_t seed)
{
	memset(k, 0, sizeof(*k));
	k->seed = seed;
}

static struct keep_lodger *find(struct keep *k, uint32_t id)
{
	for (size_t i = 0; i < KEEP_LODGERS_MAX; i++)
		if (k->lodgers[i].state != LODGER_NONE && k->lodgers[i].id == id)
			return &k->lodgers[i];
	return NULL;
}

/* The one that came first. */
static struct keep_lodger *first(struct keep *k, enum lodger_state state)
{
	struct keep_lodger *found = NULL;

	for (size_t i = 0; i < KEEP_LODGERS_MAX; i++) {
		struct keep_lodger *l = &k->lodgers[i];

		if (l->state == state && (!found || (int32_t)(l->id - found->id) < 0))
			found = l;
	}
	return found;
}

static bool is_empty(const struct keep *k)
{
	for (size_t i = 0; i < KEEP_LODGERS_MAX; i++)
		if (k->lodgers[i].state != LODGER_NONE)
			return false;
	return true;
}

static void leave(struct keep *k, struct keep_lodger *l, int64_t now)
{
	*l = (struct keep_lodger){ .state = LODGER_NONE };
	k->idle_ms = now;
}

/* --- lodgers ----------------------------------------------------------------------------------------------- */

uint32_t keep_add(struct keep *k)
{
	for (size_t i = 0; i < KEEP_LODGERS_MAX; i++) {
		if (k->lodgers[i].state != LODGER_NONE)
			continue;
		do
			k->last_id++;
		while (!k->last_id || find(k, k->last_id));
		k->lodgers[i] = (struct keep_lodger){ .state = LODGER_WAITS, .id = k->last_id };
		return k->last_id;
	}
	return 0;
}

bool keep_stop(struct keep *k, uint32_t id, int64_t now)
{
	struct keep_lodger *l = find(k, id);

	if (l && l->state == LODGER_IN) {
		l->state = LODGER_LEAVES;
		l->tell = true;
		l->due_ms = now + KEEP_KILL_MS;
	}
	if (l && l->state != LODGER_WAITS)
		return false;
	if (l)
		leave(k, l, now);
	return true;
}

bool keep_is_in(const struct keep *k, uint32_t id)
{
	for (size_t i = 0; i < KEEP_LODGERS_MAX; i++)
		if (k->lodgers[i].id == id &&
			(k->lodgers[i].state == LODGER_IN || k->lodgers[i].state == LODGER_LEAVES))
			return true;
	return false;
}

void keep_drop(struct keep *k, uint32_t id, int64_t now)
{
	struct keep_lodger *l = find(k, id);

	if (l)
		leave(k, l, now);
}

void keep_full(struct keep *k, uint32_t id, int64_t now)
{
	struct keep_lodger *l = find(k, id);

	k->retry_ms = now + KEEP_RETRY_MS;
	if (l && l->state == LODGER_IN)
		l->state = LODGER_WAITS;
	else if (l && l->state == LODGER_LEAVES)
		l->tell = true;
}

/* --- the keeper -------------------------------------------------------------------------------------------- */

enum keep_heard keep_hear(struct keep *k, const struct box_say *say, int64_t now)
{
	struct keep_lodger *l = say->kind == BOX_SAY_ENDED ? find(k, say->id) : NULL;

	if (say->kind == BOX_SAY_READY && k->state == KEEP_STARTING) {
		k->state = KEEP_SERVING;
		k->ready = true;
		k->idle_ms = now;
		return HEARD_NEWS;
	}
	if (l && (l->state == LODGER_IN || l->state == LODGER_LEAVES)) {
		leave(k, l, now);
		k->tries = 0;
		return HEARD_ENDED;
	}
	k->broken = true;
	return HEARD_NONSENSE;
}

void keep_break(struct keep *k)
{
	k->broken = true;
}

void keep_gone(struct keep *k, int64_t now)
{
	for (size_t i = 0; i < KEEP_LODGERS_MAX; i++) {
		struct keep_lodger *l = &k->lodgers[i];

		if (l->state == LODGER_IN || l->state == LODGER_LEAVES ||
			(l->state == LODGER_WAITS && !k->ready))
			l->state = LODGER_LOST;
	}
	if (!k->wanted)
		k->rest_ms = now + backoff_ms(++k->tries, &k->seed);
	k->state = KEEP_OFF;
	k->ready = k->broken = k->wanted = false;
	k->retry_ms = 0;
}

uint32_t keep_lost(struct keep *k)
{
	struct keep_lodger *l = first(k, LODGER_LOST);

	if (!l)
		return 0;
	uint32_t id = l->id;
	*l = (struct keep_lodger){ .state = LODGER_NONE };
	return id;
}

void keep_renew(struct keep *k, int64_t now)
{
	k->tries = 0;
	k->rest_ms = 0;
	k->idle_ms = now - KEEP_IDLE_MS;
}

/* --- what to do -------------------------------------------------------------------------------------------- */

static bool is_late(const struct keep *k, int64_t now)
{
	for (size_t i = 0; i < KEEP_LODGERS_MAX; i++)
		if (k->lodgers[i].state == LODGER_LEAVES && now >= k->lodgers[i].due_ms)
			return true;
	return false;
}

static enum keep_act end(struct keep *k, bool wanted, int64_t now)
{
	k->state = KEEP_ENDING;
	k->wanted = wanted;
	k->due_ms = now + KEEP_END_MS;
	return KEEP_END;
}

static enum keep_act when_off(struct keep *k, int64_t now)
{
	if (!first(k, LODGER_WAITS) || now < k->rest_ms)
		return KEEP_NOTHING;
	k->state = KEEP_STARTING;
	k->due_ms = now + KEEP_READY_MS;
	return KEEP_START;
}

static enum keep_act send_next(struct keep *k, uint32_t *id)
{
	struct keep_lodger *l;

	for (size_t i = 0; i < KEEP_LODGERS_MAX; i++) {
		l = &k->lodgers[i];
		if (l->state == LODGER_LEAVES && l->tell) {
			l->tell = false;
			*id = l->id;
			return KEEP_KILL;
		}
	}
	l = first(k, LODGER_WAITS);
	if (!l)
		return KEEP_NOTHING;
	l->state = LODGER_IN;
	*id = l->id;
	return KEEP_ASK;
}

static enum keep_act when_serving(struct keep *k, uint32_t *id, int64_t now)
{
	if (k->broken || is_late(k, now))
		return end(k, false, now);
	if (is_empty(k))
		return now - k->idle_ms >= KEEP_IDLE_MS ? end(k, true, now) : KEEP_NOTHING;
	return now < k->retry_ms ? KEEP_NOTHING : send_next(k, id);
}

enum keep_act keep_next(struct keep *k, uint32_t *id, int64_t now)
{
	switch (k->state) {
	case KEEP_OFF:
		return when_off(k, now);
	case KEEP_STARTING:
		return k->broken || now >= k->due_ms ? end(k, false, now) : KEEP_NOTHING;
	case KEEP_SERVING:
		return when_serving(k, id, now);
	case KEEP_ENDING:
		break;
	}
	if (now < k->due_ms)
		return KEEP_NOTHING;
	k->due_ms = INT64_MAX;
	return KEEP_FORCE;
}

/* The earlier of a time and another. */
static void sooner(int64_t *at, int64_t other)
{
	if (other < *at)
		*at = other;
}

int64_t keep_wake(const struct keep *k, int64_t now)
{
	int64_t at = k->state == KEEP_STARTING || k->state == KEEP_ENDING ? k->due_ms : INT64_MAX;

	if (k->state == KEEP_SERVING && is_empty(k))
		sooner(&at, k->idle_ms + KEEP_IDLE_MS);
	for (size_t i = 0; i < KEEP_LODGERS_MAX; i++) {
		const struct keep_lodger *l = &k->lodgers[i];

		if (k->state == KEEP_OFF && l->state == LODGER_WAITS)
			sooner(&at, k->rest_ms);
		if (k->state == KEEP_SERVING && l->state == LODGER_LEAVES)
			sooner(&at, l->due_ms);
		if (k->state == KEEP_SERVING && (l->state == LODGER_WAITS || l->tell))
			sooner(&at, k->retry_ms);
	}
	if (at == INT64_MAX)
		return -1;
	return at > now ? at - now : 0;
}
