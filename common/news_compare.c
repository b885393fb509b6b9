/* SPDX-License-Identifier: Apache-2.0
 *
 * news_compare.c: what is known, as a hash and as a summary; what somebody else lacks of it; and for showing.
 */
#include "common/news_in.h"
#include "common/buf.h"

#include <assert.h>

/* --- comparing ----------------------------------------------------------------------------- */

void news_summary(const struct news *w, struct summary *out)
{
	out->serial = w->serial;
	out->n_origins = out->n_ranges = 0;
	for (size_t i = 0; i < w->n_origins; i++) {
		const struct origin *o = &w->origins[i];
		size_t first = out->n_ranges;

		for (size_t k = 0; k < o->n; k++) {
			struct seq_range *last = k ? &out->ranges[out->n_ranges - 1] : NULL;

			if (last && last->to + 1 == o->notes[k].seq)
				last->to++;
			else
				out->ranges[out->n_ranges++] =
					(struct seq_range){ o->notes[k].seq, o->notes[k].seq };
		}
		out->origins[i].id = o->id;
		out->origins[i].first = first;
		out->origins[i].n = out->n_ranges - first;
		out->n_origins++;
	}
}

uint64_t news_hash(struct news *w)
{
	if (w->hashed)
		return w->hash;
	auto_buf struct buf b = { 0 };
	struct digest d;

	buf_printf(&b, "%lld\n", (long long)w->serial);
	for (size_t i = 0; i < w->n_origins; i++) {
		buf_add(&b, w->origins[i].id.b, ID_BYTES);
		for (size_t k = 0; k < w->origins[i].n; k++)
			buf_printf(&b, " %lld", (long long)w->origins[i].notes[k].seq);
	}
	d = digest_of(b.data, b.len);
	w->hash = 0;
	for (int i = 0; i < 8; i++)
		w->hash = w->hash << 8 | d.b[i];
	w->hashed = true;
	return w->hash;
}

uint64_t news_tick(const struct news *w)
{
	return w->tick;
}

static bool has(const struct summary *s, const struct id *origin, int64_t seq)
{
	for (size_t i = 0; i < s->n_origins; i++) {
		if (!id_equal(&s->origins[i].id, origin))
			continue;
		for (size_t k = 0; k < s->origins[i].n; k++) {
			const struct seq_range *r = &s->ranges[s->origins[i].first + k];

			if (seq >= r->from && seq <= r->to)
				return true;
		}
	}
	return false;
}

/* Whether they have this fact by some note. */
static bool has_fact(const struct news *w, const struct summary *s, const struct fact *f)
{
	for (size_t i = 0; i < w->n_origins; i++)
		for (size_t k = 0; k < w->origins[i].n; k++)
			if (w->origins[i].notes[k].fact == f &&
				has(s, &w->origins[i].id, w->origins[i].notes[k].seq))
				return true;
	return false;
}

static struct news_item item_of(const struct note *n, bool with_fact)
{
	struct news_item item = { .note = n->text, .note_len = n->len };

	if (n->fact && with_fact) {
		item.fact = n->fact->text;
		item.fact_len = n->fact->len;
	}
	return item;
}

size_t news_missing(const struct news *w, const struct summary *theirs, uint64_t since,
	struct news_item *out, size_t max, size_t max_bytes, bool *more)
{
	size_t n = 0, bytes = 0;

	*more = false;
	for (size_t i = 0; i < w->n_origins; i++)
		for (size_t k = 0; k < w->origins[i].n; k++) {
			const struct note *note = &w->origins[i].notes[k];

			if (note->tick <= since ||
				(theirs && has(theirs, &w->origins[i].id, note->seq)))
				continue;
			struct news_item item = item_of(
				note, !theirs || !note->fact || !has_fact(w, theirs, note->fact));
			if (n == max || (n && bytes + item.note_len + item.fact_len > max_bytes)) {
				*more = true;
				return n;
			}
			bytes += item.note_len + item.fact_len;
			out[n++] = item;
		}
	return n;
}

bool news_lacks(const struct news *w, const struct summary *theirs)
{
	if (theirs->serial > w->serial)
		return true;
	for (size_t i = 0; i < theirs->n_origins; i++) {
		const struct origin *o = news_origin(w, &theirs->origins[i].id);
		size_t held = 0;
		int64_t wanted = 0;

		for (size_t k = 0; k < theirs->origins[i].n; k++) {
			const struct seq_range *r = &theirs->ranges[theirs->origins[i].first + k];

			wanted += r->to - r->from + 1;
			for (size_t m = 0; o && m < o->n; m++)
				held += o->notes[m].seq >= r->from && o->notes[m].seq <= r->to;
		}
		if ((int64_t)held < wanted)
			return true;
	}
	return false;
}

/* --- showing ------------------------------------------------------------------------------- */

const char *news_grid(const struct news *w, size_t *n, int64_t *serial)
{
	*n = w->grid_len;
	*serial = w->serial;
	return w->grid;
}

const char *news_job(const struct news *w, const struct digest *job, size_t *n)
{
	const struct fact *f = news_job_fact(w, job);

	*n = f ? f->len : 0;
	return f ? f->text : NULL;
}

static const struct note *best_note(const struct news *w, const struct fact *f)
{
	const struct note *best = NULL;

	for (size_t i = 0; i < w->n_origins; i++)
		for (size_t k = 0; k < w->origins[i].n; k++)
			if (w->origins[i].notes[k].fact == f && (!best || w->origins[i].official))
				best = &w->origins[i].notes[k];
	assert(best); /* a fact without a note is dropped at once */
	return best;
}

void news_each(const struct news *w,
	void (*fn)(void *arg, enum heard_kind kind, const struct digest *job,
		const struct news_item *item, bool official),
	void *arg)
{
	for (size_t i = 0; i < w->n_facts; i++) {
		struct news_item item = item_of(best_note(w, w->facts[i]), true);

		fn(arg, w->facts[i]->kind, &w->facts[i]->job, &item, w->facts[i]->official);
	}
}

struct news_counts news_count(const struct news *w)
{
	struct news_counts c = { .origins = w->n_origins,
		.notes = w->n_notes,
		.facts = w->n_facts,
		.bytes = sizeof(*w) + w->grid_len };

	for (size_t i = 0; i < w->n_facts; i++) {
		c.jobs += w->facts[i]->kind == HEARD_JOB;
		c.bytes += sizeof(struct fact) + w->facts[i]->len + 1;
	}
	for (size_t i = 0; i < w->n_origins; i++) {
		c.bytes += w->origins[i].room * sizeof(struct note);
		for (size_t k = 0; k < w->origins[i].n; k++)
			c.bytes += w->origins[i].notes[k].len + 1;
	}
	return c;
}
