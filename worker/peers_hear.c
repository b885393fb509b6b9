/* SPDX-License-Identifier: Apache-2.0
 *
 * peers_hear.c: what others say, charged and taken, and what their questions are answered.
 */
#include "worker/peers_in.h"

/* --- who tells too much -------------------------------------------------------------------- */

/* The sender's entry; the one that has been quiet longest is forgotten for a new one. */
static struct teller *teller_of(struct peers *p, uint64_t key, int64_t now)
{
	struct teller *oldest = &p->tellers[0];

	for (size_t i = 0; i < PEERS_TELLERS_MAX; i++) {
		struct teller *t = &p->tellers[i];

		if (t->key == key && t->round_ms)
			return t;
		if (t->blocked_ms <= now &&
			(oldest->blocked_ms > now || t->round_ms < oldest->round_ms))
			oldest = t;
	}
	*oldest = (struct teller){ .key = key, .round_ms = now };
	return oldest;
}

/* Charge for a message before anything of it is opened. */
static bool listen(struct teller *t, size_t bytes, int64_t now)
{
	if (now < t->blocked_ms)
		return false;
	if (now - t->round_ms >= ROUND_MS) {
		t->round_ms = now;
		t->checks = 0;
		t->bytes = 0;
	}
	t->bytes += bytes;
	if (t->bytes > TELLER_BYTES)
		t->blocked_ms = now + TELLER_BLOCK_MS;
	return now >= t->blocked_ms;
}

/* Count a verdict; false: stop listening. */
static bool count(struct taking *k, enum news_verdict v)
{
	static const enum peer_deed deeds[] = {
		[NEWS_BAD] = PEER_STALE, [NEWS_FORGED] = PEER_BAD_SIGNATURE
	};

	k->gained |= v == NEWS_NEW;
	if (v == NEWS_BAD || v == NEWS_FORGED)
		k->deed = deeds[v];
	else if (++k->t->checks > TELLER_CHECKS)
		k->deed = PEER_FLOOD;
	if (k->deed != PEER_GOOD)
		k->t->blocked_ms = k->now + TELLER_BLOCK_MS;
	return k->deed == PEER_GOOD;
}

static bool take_items(struct taking *k, const struct say *s)
{
	struct err e;

	for (size_t i = 0; i < s->n_items; i++) {
		struct news_item item = { .note = s->items[i].note.line,
			.note_len = s->items[i].note.len,
			.fact = s->items[i].fact.line,
			.fact_len = s->items[i].fact.len };

		if (!count(k, news_take(k->p->news, &item, k->now, &e)))
			return false;
	}
	return true;
}

static bool take_peers(struct taking *k, const struct say *s)
{
	struct err e;

	for (size_t i = 0; i < s->n_peers; i++) {
		enum news_verdict v =
			peers_take(k->p, s->peers[i].line, s->peers[i].len, k->now, &e);
		bool gained = k->gained;

		k->peers |= v == NEWS_NEW;
		if (!count(k, v))
			return false;
		k->gained = gained; /* a record is no news */
	}
	return true;
}

struct taking peers_hear(struct peers *p, uint64_t key, const struct say *s, int64_t now)
{
	struct teller *t = teller_of(p, key, now);
	struct taking k = { .p = p, .t = t, .now = now, .deed = PEER_GOOD };
	struct err e;

	if (!listen(t, say_bytes(s), now)) {
		k.deed = PEER_FLOOD;
		return k;
	}
	if (s->descriptor.line &&
		!count(&k, news_take_grid(p->news, s->descriptor.line, s->descriptor.len, &e)))
		return k;
	if (take_items(&k, s))
		take_peers(&k, s);
	return k;
}

/* --- others' questions --------------------------------------------------------------------- */

static void push_all(struct peers *p)
{
	for (int i = 0; i < PEERS_SLOTS; i++)
		if (p->slots[i].state == SLOT_ASKING)
			p->slots[i].push = true;
		else
			p->slots[i].due_ms = 0; /* its next question takes it along */
}

/* Whether `q` is from the very origin of something in it: who has no neighbours of its own yet, or can only be heard
 * now. Then it is told on at once, one hop: others hear of it by what they hold. */
static bool from_origin(const struct peers *p, const struct say *q)
{
	for (size_t i = 0; !q->wait_ms && i < q->n_items; i++) {
		struct digest of = digest_of(
			q->items[i].fact.line ? q->items[i].fact.line : "", q->items[i].fact.len);

		if (news_announced(p->news, &q->node, &of))
			return true;
	}
	return false;
}

/* Whether this round has room for what all askers together cost. Who is not listened to costs nothing. */
static bool room_for(struct peers *p, uint64_t from, const struct say *q, int64_t now)
{
	if (teller_of(p, from, now)->blocked_ms > now)
		return false;
	if (now - p->asked_ms >= ROUND_MS || now < p->asked_ms) {
		p->asked_ms = now;
		p->asked_checks = 0;
	}
	if (p->asked_checks > ASKERS_CHECKS)
		return false;
	p->asked_checks += (int)(q->n_items + q->n_peers);
	return true;
}

/* Whether there is no place for this question. */
static bool is_full(const struct peers *p, const struct say *q)
{
	static const struct id none;
	bool had = id_equal(&q->grid, &none);

	return p->load >= (q->alone ? PEERS_HELD_ALONE : had ? PEERS_HELD_AGAIN : PEERS_HELD_MAX);
}

enum peers_reply peers_asked(struct peers *p, uint64_t from, const struct say *q, struct say *out,
	struct peers_held *held, int64_t now)
{
	if (!room_for(p, from, q, now))
		return REPLY_REFUSE;
	struct taking k = peers_hear(p, from, q, now);
	if (k.deed != PEER_GOOD)
		return REPLY_REFUSE;
	if (k.gained && from_origin(p, q))
		push_all(p);
	*held = (struct peers_held){
		.node = q->node, .since = news_tick(p->news), .want = q->want
	};
	bool full = is_full(p, q);
	bool at_once = say_answer(out, p->news, q);
	out->held = p->load;
	out->brief &= !full; /* so that it has no place yet */
	if (at_once || q->want > 1 || !q->wait_ms || full) {
		peers_add(p, out, full && !at_once && q->want == 1 ? 0 : q->want, &q->node, q, now);
		return REPLY_NOW;
	}
	held->brief = out->brief;
	say_release(out);
	return REPLY_HOLD;
}

void peers_release(struct peers *p, const struct peers_held *held, struct say *out, int64_t now)
{
	say_begin(out, p->news);
	out->held = p->load;
	out->brief = held->brief;
	peers_add(p, out, held->want, &held->node, NULL, now);
}

bool peers_hint(struct peers *p, const struct peers_held *held, struct say *out, int64_t now)
{
	if (!say_hint(out, p->news, held->since))
		return false;
	out->held = p->load;
	out->brief = held->brief;
	peers_add(p, out, held->want, &held->node, NULL, now);
	return true;
}

void peers_set_load(struct peers *p, int n_held)
{
	p->load = n_held;
}

enum news_verdict peers_announce(
	struct peers *p, const struct news_item *item, int64_t now, struct err *e)
{
	enum news_verdict v = news_take(p->news, item, now, e);

	if (v == NEWS_NEW)
		push_all(p);
	return v;
}
