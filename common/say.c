/* SPDX-License-Identifier: Apache-2.0
 *
 * say.c: what is said in an exchange of gossip. How that is written is say_text.c's.
 */
#include "common/say.h"

#include <stdlib.h>
#include <string.h>

void say_release(struct say *s)
{
	free(s->summary);
	free(s->descriptor.line);
	free(s->known);
	free(s->have);
	for (size_t i = 0; i < s->n_peers; i++)
		free(s->peers[i].line);
	for (size_t i = 0; i < s->n_items; i++) {
		free(s->items[i].note.line);
		free(s->items[i].fact.line);
	}
	s->summary = NULL;
	s->descriptor.line = NULL;
	s->known = NULL;
	s->have = NULL;
	s->n_peers = s->n_items = s->n_known = s->n_seek = s->n_have = 0;
}

void say_add_peer(struct say *s, const char *line, size_t n)
{
	if (s->n_peers < SAY_PEERS_MAX)
		s->peers[s->n_peers++] = (struct said){ xmemdup(line, n), n };
}

struct mark mark_of(const char *line, size_t n)
{
	struct digest d = digest_of(line, n);
	struct mark m;

	memcpy(m.b, d.b, MARK_BYTES);
	return m;
}

void say_add_known(struct say *s, const struct mark *m)
{
	if (s->n_known == SAY_KNOWN_MAX)
		return;
	if (!s->known)
		s->known = xcalloc(SAY_KNOWN_MAX, sizeof(*s->known));
	s->known[s->n_known++] = *m;
}

bool say_knows(const struct say *s, const struct mark *m)
{
	for (size_t i = 0; i < s->n_known; i++)
		if (!memcmp(s->known[i].b, m->b, MARK_BYTES))
			return true;
	return false;
}

void say_add_item(struct say *s, const struct news_item *item)
{
	if (s->n_items == SAY_ITEMS_MAX)
		return;
	s->items[s->n_items].note =
		(struct said){ xmemdup(item->note, item->note_len), item->note_len };
	s->items[s->n_items].fact = (struct said){ NULL, 0 };
	if (item->fact)
		s->items[s->n_items].fact =
			(struct said){ xmemdup(item->fact, item->fact_len), item->fact_len };
	s->n_items++;
}

void say_add_seek(struct say *s, const struct digest *d)
{
	if (s->n_seek < SAY_SEEK_MAX)
		s->seek[s->n_seek++] = *d;
}

void say_add_have(struct say *s, const struct said_have *have)
{
	if (s->n_have == SAY_HAVE_MAX)
		return;
	if (!s->have)
		s->have = xcalloc(SAY_HAVE_MAX, sizeof(*s->have)); /* 6 KiB */
	s->have[s->n_have++] = *have;
}

bool say_is_of(const struct say *s, const struct id *grid)
{
	static const struct id none;

	return id_equal(&s->grid, grid) || id_equal(&s->grid, &none);
}

/* --- what is said -------------------------------------------------------------------------- */

void say_begin(struct say *s, struct news *w)
{
	*s = (struct say){ 0 };
	s->hash = news_hash(w);
}

size_t say_bytes(const struct say *s)
{
	size_t n = s->descriptor.len + (s->summary ? sizeof(*s->summary) : 0);

	for (size_t i = 0; i < s->n_peers; i++)
		n += s->peers[i].len;
	for (size_t i = 0; i < s->n_items; i++)
		n += s->items[i].note.len + s->items[i].fact.len;
	return n;
}

void say_add_summary(struct say *s, const struct news *w)
{
	if (!s->summary)
		s->summary = xmalloc(sizeof(*s->summary));
	news_summary(w, s->summary);
}

void say_add_missing(
	struct say *s, const struct news *w, const struct summary *theirs, uint64_t since)
{
	struct news_item items[SAY_ITEMS_MAX];
	size_t n = news_missing(w, theirs, since, items, SAY_ITEMS_MAX, SAY_ITEMS_BYTES, &s->more);

	for (size_t i = 0; i < n; i++)
		say_add_item(s, &items[i]);
}

void say_add_descriptor(struct say *s, const struct news *w, const struct summary *theirs)
{
	int64_t serial;
	size_t n;
	const char *line = news_grid(w, &n, &serial);

	if (line && !s->descriptor.line && theirs && theirs->serial < serial &&
		say_bytes(s) + n <= SAY_ITEMS_BYTES)
		s->descriptor = (struct said){ xmemdup(line, n), n };
}

bool say_answer(struct say *s, struct news *w, const struct say *q)
{
	bool lacks;

	static const struct id none;

	say_begin(s, w);
	s->brief = !id_equal(&q->grid, &none);
	if (s->hash == q->hash)
		return false;
	if (!q->summary && q->wait_ms) /* who only pushes needs no more than the hash */
		say_add_summary(s, w);
	if (!q->summary)
		return true;
	say_add_missing(s, w, q->summary, 0);
	say_add_descriptor(s, w, q->summary);
	lacks = news_lacks(w, q->summary);
	if (lacks)
		say_add_summary(s, w);
	/* what was pushed and still is not here was not wanted: that is no reason to speak */
	return s->n_items || s->descriptor.line || (lacks && (!q->n_items || q->more));
}

bool say_hint(struct say *s, struct news *w, uint64_t since)
{
	if (news_tick(w) == since)
		return false;
	say_begin(s, w);
	say_add_missing(s, w, NULL, since);
	if (s->n_items && !s->more && say_bytes(s) <= SAY_HINT_BYTES)
		return true;
	say_release(s);
	say_begin(s, w);
	say_add_summary(s, w);
	return true;
}
