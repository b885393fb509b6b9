/* SPDX-License-Identifier: Apache-2.0
 *
 * records.c: peer records, and whose place a new one takes.
 */
#include "coordinator/records.h"
#include "common/dial.h"

#include <stdlib.h>
#include <string.h>

struct record {
	struct id node;
	char *line;
	size_t len;
	int64_t seq, expires_ms;
	uint64_t block; /* 0: a private network, which has no bound of its own */
	struct mark mark;
};

struct records {
	uint64_t seed;
	struct record at[RECORDS_MAX];
	size_t n;
};

struct records *records_new(uint64_t seed)
{
	struct records *r = xcalloc(1, sizeof(*r));

	r->seed = seed;
	return r;
}

void records_free(struct records *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		free(r->at[i].line);
	free(r);
}

static struct record *find(struct records *r, const struct id *node)
{
	for (size_t i = 0; i < r->n; i++)
		if (id_equal(&r->at[i].node, node))
			return &r->at[i];
	return NULL;
}

/* One of a block that has its share, by chance; NULL: it has not. */
static struct record *of_full_block(struct records *r, uint64_t block)
{
	struct record *one = NULL;
	size_t n = 0;

	for (size_t i = 0; block && i < r->n; i++)
		if (r->at[i].block == block && rng_below(&r->seed, ++n) == 0)
			one = &r->at[i];
	return n >= RECORDS_BLOCK_MAX ? one : NULL;
}

static struct record *place(struct records *r, uint64_t block)
{
	struct record *one = of_full_block(r, block);

	if (one)
		return one;
	return r->n < RECORDS_MAX ? &r->at[r->n++] : &r->at[rng_below(&r->seed, RECORDS_MAX)];
}

static bool known_line(const struct records *r, const char *line, size_t n)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->at[i].len == n && !memcmp(r->at[i].line, line, n))
			return true;
	return false;
}

enum news_verdict records_take(
	struct records *r, struct heard_by *by, const char *line, size_t n, int64_t now)
{
	struct heard h;
	struct err e;

	if (n > RECORDS_LINE_MAX)
		return NEWS_BAD;
	if (known_line(r, line, n))
		return NEWS_KNOWN;
	if (heard_open(by, &h, line, n, &e))
		return e.code == ERR_SIGNATURE ? NEWS_FORGED : NEWS_BAD;
	if (h.kind != HEARD_PEER)
		return NEWS_BAD;
	if (!h.n_at || !dial_allowed(&h.at[0], true) || h.expires_ms <= now ||
		h.expires_ms > now + RECORDS_LIFE_MAX_MS)
		return NEWS_NO;
	struct record *own = find(r, &h.author);
	if (own && h.seq <= own->seq)
		return NEWS_KNOWN;
	uint64_t block = dial_block(&h.at[0]);
	if (own && own->block != block) { /* it moved: as if it were new */
		free(own->line);
		*own = r->at[--r->n];
		r->at[r->n] = (struct record){ 0 };
		own = NULL;
	}
	if (!own)
		own = place(r, block);
	free(own->line);
	*own = (struct record){ h.author, xmemdup(line, n), n, h.seq, h.expires_ms, block,
		mark_of(line, n) };
	return NEWS_NEW;
}

void records_add(struct records *r, struct say *s, const struct say *q, int64_t now)
{
	size_t at = r->n ? rng_below(&r->seed, r->n) : 0;
	int n = q->want;

	for (size_t i = 0; i < r->n && n > 0; i++) {
		const struct record *x = &r->at[(at + i) % r->n];

		if (x->expires_ms <= now || id_equal(&x->node, &q->node) || say_knows(q, &x->mark))
			continue;
		say_add_peer(s, x->line, x->len);
		n--;
	}
}
