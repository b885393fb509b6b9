/* SPDX-License-Identifier: Apache-2.0
 *
 * peers_ask.c: who becomes a neighbour, what is asked of it when, and what its answer changes.
 *
 * What a neighbour has of ours is kept as a tick of our news: it has all that was here then (`told`).
 */
#include "worker/peers_in.h"

#include <stdlib.h>
#include <string.h>

static int64_t neighbour_life(struct peers *p)
{
	int64_t life = walking(p) ? (int64_t)NEIGHBOUR_FIRST_MS << (p->contacts / WALK_STEP)
	                          : NEIGHBOUR_MS;

	return life / 2 + (int64_t)rng_below(&p->seed, (uint64_t)life);
}

static bool block_taken(const struct peers *p, const struct entry *x)
{
	for (int i = 0; i < PEERS_SLOTS; i++)
		if (p->slots[i].state != SLOT_EMPTY && x->block && p->slots[i].block == x->block)
			return true;
	return false;
}

/* A random node of the view that may become a neighbour; while young, one of the joined links before all others: what
 * such a node knows is local at first, and without this a lost connection makes an island. */
static struct entry *candidate(struct peers *p, int64_t now)
{
	size_t at = p->view.n ? rng_below(&p->seed, p->view.n) : 0;
	struct entry *first = NULL;

	for (size_t i = 0; i < p->view.n; i++) {
		struct entry *x = &p->view.entries[(at + i) % p->view.n];

		if (!entry_usable(x, now) || x->retry_ms > now || peers_slot(p, &x->to.node) ||
			block_taken(p, x))
			continue;
		if (x->pinned && clings(p))
			return x;
		if (!first)
			first = x;
	}
	return first;
}

static void fill(struct peers *p, struct slot *s, int64_t now)
{
	struct entry *x = candidate(p, now);

	if (!x) {
		s->due_ms = now + ROUND_MS;
		return;
	}
	*s = (struct slot){ .state = SLOT_REST,
		.id = ++p->ids,
		.pinned = x->pinned,
		.block = x->block,
		.pause_ms = s->pause_ms,
		.due_ms = now,
		.until_ms = now + neighbour_life(p) };
	entry_link(&s->to, x, &p->conf.grid);
}

static void begin(struct peers *p, struct slot *s, struct peers_turn *t)
{
	*t = (struct peers_turn){ .ref = { .slot = (int)(s - p->slots), .id = s->id },
		.to = s->to };
	if (!s->brief)
		t->say.grid = p->conf.grid;
	t->say.hash = news_hash(p->news);
}

/* What is new goes along when it is known what the neighbour has; before that only the summary. */
static void add_news(struct peers *p, struct slot *s, struct say *say)
{
	if (s->summary)
		say_add_missing(say, p->news, s->summary, s->told);
	else if (s->heard && s->told && s->hash != say->hash)
		say_add_missing(say, p->news, NULL, s->told);
	say_add_descriptor(say, p->news, s->summary);
	free(s->summary);
	s->summary = NULL;
}

/* Many records are asked for, and none of those that are here. */
static void want_many(const struct peers *p, struct say *say)
{
	say->want = SAY_PEERS_MAX;
	for (size_t i = 0; i < p->view.n; i++)
		if (p->view.entries[i].line)
			say_add_known(say, &p->view.entries[i].mark);
}

static void add_mix(struct peers *p, struct slot *s, struct say *say, int64_t now)
{
	s->hungry = p->hungry && p->view.n < VIEW_HUNGRY;
	if (!s->told_self && s->heard && p->self_line)
		say_add_peer(say, p->self_line, strlen(p->self_line));
	s->told_self = true;
	if (!s->heard && (s->hungry || walking(p))) {
		want_many(p, say);
		peers_add(p, say, WALK_GIVE, &s->to.node, NULL, now);
	} else if (!s->heard) {
		say->want = MIX_FIRST;
		peers_add(p, say, say->want, &s->to.node, NULL, now);
	} else if (s->hungry) {
		want_many(p, say);
	} else if (p->view.n < VIEW_HUNGRY && now - p->mixed_ms >= p->mix_ms) {
		p->mixed_ms = now;
		p->mix_ms = p->mix_ms < MIX_MS / 2 ? p->mix_ms * 2 : MIX_MS;
		want_many(p, say);
	}
}

/* How long this question may be held: about HOLD_MS, and so that its end lies apart from the others' ends. What a node
 * knows alone then leaves it soon, whenever it came. */
static int64_t spread(struct peers *p, const struct slot *s, int64_t now)
{
	int64_t best = HOLD_MS, best_gap = -1;

	for (int try = 0; try < SPREAD_TRIES; try++) {
		int64_t wait = HOLD_MS - HOLD_MS / 8 + (int64_t)rng_below(&p->seed, HOLD_MS / 4),
			gap = HOLD_MS;

		for (int i = 0; i < PEERS_SLOTS; i++) {
			const struct slot *o = &p->slots[i];
			int64_t d = (now + wait - o->end_ms) % HOLD_MS;

			d = d < 0 ? -d : d;
			d = d < HOLD_MS - d ? d : HOLD_MS - d;
			if (o != s && o->state == SLOT_ASKING && d < gap)
				gap = d;
		}
		if (gap > best_gap) {
			best_gap = gap;
			best = wait;
		}
	}
	return best;
}

static void ask(struct peers *p, struct slot *s, struct peers_turn *t, int64_t now)
{
	begin(p, s, t);
	s->summarized = !s->heard || s->hash != t->say.hash;
	if (s->summarized)
		say_add_summary(&t->say, p->news);
	add_news(p, s, &t->say);
	add_mix(p, s, &t->say, now);
	s->at_once = t->say.want > 1;
	if (t->say.want)
		t->say.node = p->conf.self; /* so that it is not told of us */
	t->say.alone = count_others(p, s) < CROWD_ENOUGH;
	t->say.wait_ms = spread(p, s, now);
	s->end_ms = now + t->say.wait_ms;
	s->state = SLOT_ASKING;
	s->asked_ms = now;
	s->more = t->say.more;
	s->asked_tick = t->say.more ? s->told : news_tick(p->news);
	s->push = false;
}

static bool push(struct peers *p, struct slot *s, struct peers_turn *t)
{
	begin(p, s, t);
	t->ref.push = true;
	t->say.node = p->conf.self;
	say_add_missing(&t->say, p->news, NULL, s->told ? s->told : s->asked_tick);
	s->push = false;
	s->pushed_tick = t->say.more ? s->told : news_tick(p->news);
	return t->say.n_items > 0;
}

static void age(struct peers *p, int64_t now)
{
	if (now - p->aged_ms < ROUND_MS && now >= p->aged_ms)
		return;
	p->aged_ms = now;
	news_age(p->news, now);
	view_age(&p->view, now);
}

bool peers_next(struct peers *p, struct peers_turn *t, int64_t now)
{
	age(p, now);
	for (int i = 0; i < PEERS_SLOTS; i++) {
		struct slot *s = &p->slots[i];

		if (s->push && s->state == SLOT_ASKING && push(p, s, t))
			return true;
		if (s->state == SLOT_EMPTY && s->due_ms <= now)
			fill(p, s, now);
		if (s->state == SLOT_REST && s->due_ms <= now) {
			ask(p, s, t, now);
			return true;
		}
	}
	return false;
}

int64_t peers_due(const struct peers *p, int64_t now)
{
	int64_t due = now + ROUND_MS;

	for (int i = 0; i < PEERS_SLOTS; i++)
		if (p->slots[i].push)
			due = now;
		else if (p->slots[i].state != SLOT_ASKING && p->slots[i].due_ms < due)
			due = p->slots[i].due_ms;
	return due > now ? due - now : 0;
}

/* Whether this neighbour goes now. When it is its turn, the one that holds most goes in its place, after its next
 * answer. */
static bool turn_is_over(struct peers *p, struct slot *s, int64_t now)
{
	struct slot *heaviest = s;

	if ((!s->leave && now < s->until_ms) || (s->pinned && clings(p)) || !candidate(p, now))
		return false;
	for (int i = 0; i < PEERS_SLOTS && !s->leave && !walking(p); i++)
		if (p->slots[i].heard && p->slots[i].load > heaviest->load)
			heaviest = &p->slots[i];
	if (heaviest == s)
		return true;
	heaviest->leave = true;
	s->until_ms = now + neighbour_life(p);
	return false;
}

static void misbehaved(struct peers *p, struct slot *s, enum peer_deed deed, int64_t now)
{
	view_deed(&p->view, &s->to.node, deed, now);
	view_rest(&p->view, &s->to.node, now + TELLER_BLOCK_MS);
	empty(s, now);
}

/* Whether few are known though there was time to hear of more: the grid is small. */
static bool sees_all(const struct peers *p, int64_t now)
{
	return p->view.n < VIEW_HUNGRY && now - p->began_ms >= WALK_SOONEST_MS;
}

/* After `answer` was taken: what the neighbour now has of ours. */
static void learn_told(struct peers *p, struct slot *s, const struct say *answer)
{
	bool agreed = answer->hash == news_hash(p->news);

	s->hash = answer->hash;
	if (agreed)
		s->told = news_tick(p->news);
	else if (!answer->summary && s->asked_tick > s->told)
		s->told = s->asked_tick;
	if (answer->summary && !agreed) {
		s->summary = xmalloc(sizeof(*s->summary));
		*s->summary = *answer->summary;
	}
}

static bool has_for(struct peers *p, const struct slot *s)
{
	struct news_item item;
	bool more;

	return s->summary &&
	       news_missing(p->news, s->summary, s->told, &item, 1, SAY_ITEMS_BYTES, &more) > 0;
}

/* It has no room for our question. */
static void sent_away(struct peers *p, struct slot *s, int64_t now)
{
	bool again = s->pause_ms > 0;
	int64_t due = now + crowd_pause(p, s);

	s->due_ms = due;
	s->brief = false; /* it has no place there now */
	if (candidate(p, now))
		crowd_leave(p, s, again ? due : now, now);
}

/* After an answer; `first`: of this neighbour's. */
static void stay_or_go(struct peers *p, struct slot *s, bool first, int64_t now)
{
	if (first && crowd_overloaded(p, s, now) && candidate(p, now)) {
		crowd_leave(p, s, now, now);
	} else if (crowd_gives_way(p, s)) {
		s->pause_ms = CROWD_FIRST_MS;
		crowd_leave(p, s, now, now);
	} else if (turn_is_over(p, s, now)) {
		empty(s, now);
	}
}

bool peers_answered(
	struct peers *p, const struct peers_ref *ref, const struct say *answer, int64_t now)
{
	struct slot *s = &p->slots[ref->slot];
	uint64_t key;

	if (s->state != SLOT_ASKING || s->id != ref->id)
		return false;
	memcpy(&key, s->to.node.b, sizeof(key));
	struct taking k = peers_hear(p, key, answer, now);
	if (k.deed != PEER_GOOD) {
		misbehaved(p, s, k.deed, now);
		return k.gained;
	}
	if (ref->push) {
		s->told = s->pushed_tick;
		return k.gained;
	}
	bool first = !s->heard, asked_more = !s->summarized && answer->summary;

	s->heard = true;
	s->shaky = false;
	if (first)
		p->contacts += s->at_once && !k.peers && sees_all(p, now) ? WALK_KNOWN : 1;
	s->brief |= answer->brief;
	s->state = SLOT_REST;
	view_reached(&p->view, &s->to.node, now);
	if (s->hungry)
		p->hungry = k.peers;
	if (k.peers && p->view.n < VIEW_HUNGRY)
		p->mix_ms = MIX_FIRST_MS;
	learn_told(p, s, answer);
	bool brought = k.gained || k.peers || asked_more || answer->more || has_for(p, s);
	s->load = answer->held;
	if (crowd_told(s, answer, news_hash(p->news), now)) {
		sent_away(p, s, now);
		return k.gained;
	}
	s->due_ms = now + (answer->more || s->more ? PACE_MS
						   : crowd_pause_after(s, brought || first, now));
	stay_or_go(p, s, first, now);
	return k.gained;
}

void peers_failed(struct peers *p, const struct peers_ref *ref, bool busy, int64_t now)
{
	struct slot *s = &p->slots[ref->slot];

	if (s->state != SLOT_ASKING || s->id != ref->id ||
		ref->push) /* the held question will tell whether it is there */
		return;
	if (s->heard && !s->shaky &&
		!busy) { /* a connection that broke is not yet a node that is gone */
		s->shaky = true;
		s->state = SLOT_REST;
		s->due_ms = now + AGAIN_MS;
		s->told_self = true;
		return;
	}
	if (busy)
		view_rest(&p->view, &s->to.node,
			now + RETRY_MAX_MS / 6 + (int64_t)rng_below(&p->seed, RETRY_MAX_MS));
	else
		view_deed(&p->view, &s->to.node, PEER_UNREACHABLE, now);
	p->hungry |= p->view.n < VIEW_HUNGRY;
	empty(s, now);
}
