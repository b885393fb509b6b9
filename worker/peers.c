/* SPDX-License-Identifier: Apache-2.0
 *
 * peers.c: the neighbours and the view, as others use them. What neighbours are asked is in peers_ask.c, what is heard is
 * taken in peers_hear.c, how crowding is borne is in peers_crowd.c, the view is in view.c.
 */
#include "worker/peers_in.h"

#include <stdlib.h>
#include <string.h>

struct peers *peers_new(const struct peers_conf *conf, int64_t now)
{
	struct peers *p = xcalloc(1, sizeof(*p));

	p->conf = *conf;
	p->seed = conf->seed;
	p->news = news_new(&conf->fns, &conf->self);
	p->began_ms = now;
	p->mixed_ms = now;
	p->mix_ms = MIX_FIRST_MS;
	p->picked_ms = now;
	p->aged_ms = now;
	p->hungry = true;
	return p;
}

void peers_free(struct peers *p)
{
	if (!p)
		return;
	for (int i = 0; i < PEERS_SLOTS; i++)
		empty(&p->slots[i], 0);
	view_release(&p->view);
	news_free(p->news);
	free(p->self_line);
	free(p);
}

struct news *peers_news(struct peers *p)
{
	return p->news;
}

/* --- the view, from outside ---------------------------------------------------------------- */

/* Somebody new is known: who has a place free looks again, unless others had no room for it. */
static void look_soon(struct peers *p)
{
	for (int i = 0; i < PEERS_SLOTS; i++)
		if (p->slots[i].state == SLOT_EMPTY && !p->slots[i].pause_ms)
			p->slots[i].due_ms = 0;
}

void peers_hurry(struct peers *p, int64_t now)
{
	int64_t due = now + (int64_t)rng_below(&p->seed, ROUND_MS);

	view_hurry(&p->view, now);
	for (int i = 0; i < PEERS_SLOTS; i++)
		if (p->slots[i].state == SLOT_EMPTY && p->slots[i].due_ms > due)
			p->slots[i].due_ms = due;
}

bool peers_pin(struct peers *p, const struct link *to)
{
	if (id_equal(&to->node, &p->conf.self) || !view_pin(&p->view, to))
		return false;
	look_soon(p);
	return true;
}

enum news_verdict peers_take(
	struct peers *p, const char *line, size_t n, int64_t now, struct err *e)
{
	struct view_rules rules = { .fns = &p->conf.fns,
		.self = &p->conf.self,
		.private_ok = p->conf.private_ok,
		.seed = &p->seed,
		.arg = p };

	enum news_verdict v = view_take(&p->view, &rules, line, n, now, e);
	if (v == NEWS_NEW)
		look_soon(p);
	return v;
}

void peers_set_self(struct peers *p, const char *line)
{
	free(p->self_line);
	p->self_line = line ? xstrdup(line) : NULL;
	if (line)
		p->self_mark = mark_of(line, strlen(line));
	for (int i = 0; i < PEERS_SLOTS; i++)
		p->slots[i].told_self = false;
}

struct slot *peers_slot(struct peers *p, const struct id *node)
{
	for (int i = 0; i < PEERS_SLOTS; i++)
		if (p->slots[i].state != SLOT_EMPTY && id_equal(&p->slots[i].to.node, node))
			return &p->slots[i];
	return NULL;
}

void peers_deed(struct peers *p, const struct id *node, enum peer_deed deed, int64_t now)
{
	struct slot *s = peers_slot(p, node);

	if (view_deed(&p->view, node, deed, now) && s && s->state == SLOT_REST)
		empty(s, now);
}

size_t peers_links(struct peers *p, struct link *out, size_t max, int64_t now)
{
	size_t n = 0;

	for (int i = 0; i < PEERS_SLOTS && n < max; i++)
		if (p->slots[i].heard)
			out[n++] = p->slots[i].to;
	for (size_t i = 0, at = p->view.n ? rng_below(&p->seed, p->view.n) : 0;
		i < p->view.n && n < max; i++) {
		const struct entry *x = &p->view.entries[(at + i) % p->view.n];

		if (!peers_slot(p, &x->to.node) && entry_usable(x, now))
			entry_link(&out[n++], x, &p->conf.grid);
	}
	return n;
}

size_t peers_relays(struct peers *p, struct link *out, size_t max, int64_t now)
{
	size_t n = 0;

	for (size_t i = 0, at = p->view.n ? rng_below(&p->seed, p->view.n) : 0;
		i < p->view.n && n < max; i++) {
		const struct entry *x = &p->view.entries[(at + i) % p->view.n];

		if (x->relay && entry_usable(x, now))
			entry_link(&out[n++], x, &p->conf.grid);
	}
	return n;
}

void peers_each_record(
	const struct peers *p, void (*fn)(void *arg, const char *line, size_t n), void *arg)
{
	for (size_t i = 0; i < p->view.n; i++)
		if (p->view.entries[i].line)
			fn(arg, p->view.entries[i].line, p->view.entries[i].len);
}

/* --- saying -------------------------------------------------------------------------------- */

static bool is_known(const struct say *q, const struct mark *m)
{
	return q && say_knows(q, m);
}

void peers_add(struct peers *p, struct say *s, int n, const struct id *to, const struct say *q,
	int64_t now)
{
	bool many = n > 1; /* our own then comes first */

	if (p->self_line && n > 0 && (many || rng_below(&p->seed, 4) == 0) &&
		!is_known(q, &p->self_mark)) {
		say_add_peer(s, p->self_line, strlen(p->self_line));
		n--;
	}
	for (size_t i = 0, at = p->view.n ? rng_below(&p->seed, p->view.n) : 0;
		i < p->view.n && n > 0; i++) {
		const struct entry *x = &p->view.entries[(at + i) % p->view.n];

		if (!x->line || x->fails || !entry_usable(x, now) || id_equal(&x->to.node, to) ||
			is_known(q, &x->mark))
			continue;
		say_add_peer(s, x->line, x->len);
		n--;
	}
}

/* --- showing ------------------------------------------------------------------------------- */

struct peers_counts peers_count(const struct peers *p, int64_t now)
{
	struct peers_counts c = { .known = p->view.n, .news = news_count(p->news) };

	for (int i = 0; i < PEERS_SLOTS; i++)
		c.neighbours += p->slots[i].heard;
	for (size_t i = 0; i < PEERS_TELLERS_MAX; i++)
		c.blocked += p->tellers[i].blocked_ms > now;
	c.bytes = sizeof(*p) + c.news.bytes + view_bytes(&p->view);
	for (int i = 0; i < PEERS_SLOTS; i++)
		c.bytes += p->slots[i].summary ? sizeof(struct summary) : 0;
	return c;
}

void peers_each_neighbour(
	const struct peers *p, void (*fn)(void *arg, const struct link *to), void *arg)
{
	for (int i = 0; i < PEERS_SLOTS; i++)
		if (p->slots[i].heard)
			fn(arg, &p->slots[i].to);
}
