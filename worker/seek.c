/* SPDX-License-Identifier: Apache-2.0
 *
 * seek.c: blobs that are looked for, and sources that were heard of.
 */
#include "worker/seek.h"

/* --- what is looked for -------------------------------------------------------------------- */

static bool is_sought(const struct sought *s, int64_t now)
{
	return s->until_ms > now;
}

static struct sought *find(struct seek *k, const struct digest *d)
{
	for (size_t i = 0; i < SAY_SEEK_MAX; i++)
		if (k->sought[i].until_ms && digest_equal(&k->sought[i].digest, d))
			return &k->sought[i];
	return NULL;
}

bool seek_wants(const struct seek *k, const struct digest *d, int64_t now)
{
	for (size_t i = 0; i < SAY_SEEK_MAX; i++)
		if (is_sought(&k->sought[i], now) && digest_equal(&k->sought[i].digest, d))
			return true;
	return false;
}

bool seek_want(struct seek *k, const struct digest *d, int64_t now)
{
	struct sought *s = find(k, d);
	bool fresh = !s || !is_sought(s, now);

	for (size_t i = 0; i < SAY_SEEK_MAX && !s; i++)
		if (!is_sought(&k->sought[i], now))
			s = &k->sought[i];
	if (!s)
		return false;
	*s = (struct sought){ .digest = *d, .until_ms = now + SEEK_LIVE_MS };
	if (fresh)
		k->asked_ms = 0;
	return fresh;
}

static void tell(struct say *out, const struct digest *d, int64_t pieces, const struct link *at)
{
	struct said_have have = { .digest = *d, .pieces = pieces, .self = !at };

	if (at)
		have.at = *at;
	say_add_have(out, &have);
}

bool seek_question(struct seek *k, struct say *out, const struct seek_self *self, int64_t now)
{
	k->asked_ms = now;
	for (size_t i = 0; i < SAY_SEEK_MAX; i++) {
		struct sought *s = &k->sought[i];
		bool whole = false;

		if (!is_sought(s, now))
			continue;
		int64_t pieces = self->count(self->arg, &s->digest, &whole);
		if (pieces >= 0 && self->at)
			tell(out, &s->digest, pieces, self->at);
		if (whole)
			s->until_ms = 0;
		else
			say_add_seek(out, &s->digest);
	}
	return out->n_seek || out->n_have;
}

int64_t seek_due(const struct seek *k, int64_t now)
{
	int64_t due = k->asked_ms ? k->asked_ms + SEEK_AGAIN_MS - now : 0;
	bool any = false;

	for (size_t i = 0; i < SAY_SEEK_MAX; i++)
		any |= is_sought(&k->sought[i], now);
	return !any ? -1 : due > 0 ? due : 0;
}

/* --- who has it ------------------------------------------------------------------------------ */

static bool is_kept(const struct heard_have *h, int64_t now)
{
	return h->heard_ms && now - h->heard_ms < SEEK_KEPT_MS;
}

static bool is_of(const struct heard_have *h, const struct digest *d, int64_t now)
{
	return is_kept(h, now) && digest_equal(&h->digest, d);
}

/* Where a claim goes: over the same node's last one; over the blob's oldest where it has its share; else over what is
 * empty or the oldest of all. */
static struct heard_have *place(
	struct seek *k, const struct digest *d, const struct id *node, int64_t now)
{
	struct heard_have *oldest = &k->heard[0], *own = NULL;
	size_t n = 0;

	for (size_t i = 0; i < SEEK_HEARD_MAX; i++) {
		struct heard_have *h = &k->heard[i];

		if (is_of(h, d, now)) {
			if (id_equal(&h->at.node, node))
				return h;
			n++;
			if (!own || h->heard_ms < own->heard_ms)
				own = h;
		}
		if (h->heard_ms < oldest->heard_ms)
			oldest = h;
	}
	return n >= SEEK_EACH ? own : oldest;
}

void seek_hear(
	struct seek *k, const struct digest *d, int64_t pieces, const struct link *at, int64_t now)
{
	*place(k, d, &at->node, now) =
		(struct heard_have){ .digest = *d, .at = *at, .pieces = pieces, .heard_ms = now };
}

void seek_answer(const struct seek *k, const struct say *q, struct say *out,
	const struct seek_self *self, int64_t now)
{
	for (size_t i = 0; i < q->n_seek; i++) { /* who answers first: that is certain */
		bool whole = false;
		int64_t pieces = self->count(self->arg, &q->seek[i], &whole);

		if (pieces > 0)
			tell(out, &q->seek[i], pieces, NULL);
	}
	for (size_t i = 0; i < q->n_seek; i++)
		for (size_t n = 0; n < SEEK_HEARD_MAX; n++)
			if (is_of(&k->heard[n], &q->seek[i], now))
				tell(out, &q->seek[i], k->heard[n].pieces, &k->heard[n].at);
}

size_t seek_list(
	const struct seek *k, const struct digest *d, struct link *out, size_t max, int64_t now)
{
	const struct heard_have *best[SEEK_EACH];
	size_t n = 0;

	for (size_t i = 0; i < SEEK_HEARD_MAX && n < SEEK_EACH; i++) {
		const struct heard_have *h = &k->heard[i];
		size_t at = n;

		if (!is_of(h, d, now))
			continue;
		/* after those with as many pieces or more */
		for (; at > 0 && best[at - 1]->pieces < h->pieces; at--)
			best[at] = best[at - 1];
		best[at] = h;
		n++;
	}
	n = n < max ? n : max;
	for (size_t i = 0; i < n; i++)
		out[i] = best[i]->at;
	return n;
}
