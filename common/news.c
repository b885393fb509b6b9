/* SPDX-License-Identifier: Apache-2.0
 *
 * news.c: facts taken, kept within bounds, and compared.
 *
 *	origin -> notes (ascending by number) -> fact
 *
 * A fact that several origins announce is here once. Every note in the summary is one that can be passed on: what
 * was refused is not in it, so it may be offered again by another neighbour, within that one's budget.
 */
#include "common/news_in.h"

#include <stdlib.h>
#include <string.h>

struct news *news_new(const struct news_fns *fns, const struct id *self)
{
	struct news *w = xcalloc(1, sizeof(*w));

	w->fns = *fns;
	w->self = *self;
	return w;
}

static void changed(struct news *w)
{
	w->tick++;
	w->hashed = false;
}

/* --- dropping ------------------------------------------------------------------------------ */

static void drop_fact(struct news *w, struct fact *f)
{
	size_t i = 0;

	while (w->facts[i] != f)
		i++;
	memmove(&w->facts[i], &w->facts[i + 1], (w->n_facts - i - 1) * sizeof(w->facts[0]));
	w->n_facts--;
	free(f->text);
	free(f);
}

static void drop_note(struct news *w, struct origin *o, size_t i)
{
	struct note *n = &o->notes[i];

	if (n->fact && --n->fact->notes == 0)
		drop_fact(w, n->fact);
	free(n->text);
	memmove(n, n + 1, (o->n - i - 1) * sizeof(*n));
	o->n--;
	w->n_notes--;
	w->hashed = false;
}

static void drop_origin(struct news *w, struct origin *o)
{
	size_t i = (size_t)(o - w->origins);

	while (o->n)
		drop_note(w, o, o->n - 1);
	free(o->notes);
	memmove(o, o + 1, (w->n_origins - i - 1) * sizeof(*o));
	w->n_origins--;
	w->hashed = false;
}

void news_free(struct news *w)
{
	if (!w)
		return;
	while (w->n_origins)
		drop_origin(w, &w->origins[0]);
	free(w->grid);
	free(w);
}

void news_age(struct news *w, int64_t now)
{
	for (size_t i = w->n_origins; i-- > 0;) {
		struct origin *o = &w->origins[i];

		for (size_t k = o->n; k-- > 0;)
			if (o->notes[k].expires_ms <= now)
				drop_note(w, o, k);
		if (!o->n)
			drop_origin(w, o);
	}
}

/* --- looking ------------------------------------------------------------------------------- */

struct origin *news_origin(const struct news *w, const struct id *id)
{
	for (size_t i = 0; i < w->n_origins; i++)
		if (id_equal(&w->origins[i].id, id))
			return (struct origin *)(uintptr_t)&w->origins[i];
	return NULL;
}

static struct fact *find_fact(const struct news *w, const struct digest *line)
{
	for (size_t i = 0; i < w->n_facts; i++)
		if (digest_equal(&w->facts[i]->line, line))
			return w->facts[i];
	return NULL;
}

static struct note *find_note(const struct origin *o, int64_t seq)
{
	for (size_t i = 0; o && i < o->n; i++)
		if (o->notes[i].seq == seq)
			return &o->notes[i];
	return NULL;
}

static bool line_known(const struct news *w, const struct digest *line)
{
	for (size_t i = 0; i < w->n_origins; i++)
		for (size_t k = 0; k < w->origins[i].n; k++)
			if (digest_equal(&w->origins[i].notes[k].line, line))
				return true;
	return false;
}

/* Whether `id` itself or a coordinator has said that `of` is over. */
static bool is_over(const struct news *w, const struct id *id, const struct digest *of)
{
	for (size_t i = 0; i < w->n_origins; i++)
		for (size_t k = 0; k < w->origins[i].n; k++) {
			const struct note *n = &w->origins[i].notes[k];

			if (n->over && digest_equal(&n->of, of) &&
				(w->origins[i].official || id_equal(&w->origins[i].id, id)))
				return true;
		}
	return false;
}

const struct fact *news_job_fact(const struct news *w, const struct digest *job)
{
	for (size_t i = 0; i < w->n_facts; i++)
		if (w->facts[i]->kind == HEARD_JOB && digest_equal(&w->facts[i]->job, job))
			return w->facts[i];
	return NULL;
}

/* --- room ---------------------------------------------------------------------------------- */

static size_t notes_of_strangers(const struct news *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n_origins; i++)
		n += w->origins[i].official ? 0 : w->origins[i].n;
	return n;
}

/* Bytes of official facts; or of others, all or one origin's. */
static size_t bytes_of(const struct news *w, bool official, const struct id *origin)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n_facts; i++)
		if (w->facts[i]->official == official &&
			(!origin || id_equal(&w->facts[i]->origin, origin)))
			n += w->facts[i]->len;
	return n;
}

static size_t jobs_of(const struct news *w, const struct id *submitter)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n_facts; i++)
		n += w->facts[i]->kind == HEARD_JOB && !w->facts[i]->official &&
		     id_equal(&w->facts[i]->author, submitter);
	return n;
}

static int room_for_fact(const struct news *w, const struct heard *f, size_t len,
	const struct id *origin, bool official, struct err *e)
{
	if (w->n_facts >= FACTS_MAX)
		return err_set(e, ERR_FULL, "%d facts are known, which is the most", FACTS_MAX);
	if (official)
		return bytes_of(w, true, NULL) + len <= NEWS_OFFICIAL_BYTES
		               ? 0
		               : err_set(e, ERR_FULL,
					 "no room for more that the coordinator announces");
	if (f->kind == HEARD_JOB && jobs_of(w, &f->author) >= NEWS_SUBMITTER_JOBS)
		return err_set(e, ERR_FULL,
			"%d jobs of this submitter are known, none announced by the coordinator",
			NEWS_SUBMITTER_JOBS);
	if (bytes_of(w, false, origin) + len > NEWS_ORIGIN_BYTES ||
		bytes_of(w, false, NULL) + len > NEWS_STRANGER_BYTES)
		return err_set(e, ERR_FULL, "no room for more that no coordinator has announced");
	return 0;
}

static struct origin *insert_origin(struct news *w, const struct id *id, bool official)
{
	size_t i = 0;

	while (i < w->n_origins && id_compare(&w->origins[i].id, id) < 0)
		i++;
	memmove(&w->origins[i + 1], &w->origins[i], (w->n_origins - i) * sizeof(w->origins[0]));
	w->origins[i] = (struct origin){ .id = *id, .official = official };
	w->n_origins++;
	return &w->origins[i];
}

static bool may_go(const struct news *w, const struct origin *o)
{
	return !o->official && !id_equal(&o->id, &w->self);
}

/* The stranger that has been quiet longest. */
static struct origin *quietest(struct news *w)
{
	struct origin *worst = NULL;

	for (size_t i = 0; i < w->n_origins; i++)
		if (may_go(w, &w->origins[i]) && (!worst || w->origins[i].tick < worst->tick))
			worst = &w->origins[i];
	return worst;
}

/* An origin's place, made when it has none. A coordinator, and we ourselves, may push a stranger out. */
static struct origin *place(struct news *w, const struct id *id, bool official, struct err *e)
{
	struct origin *o = news_origin(w, id), *worst;

	if (o) {
		o->official = official;
		return o;
	}
	if (w->n_origins >= NEWS_ORIGINS_MAX) {
		worst = official || id_equal(id, &w->self) ? quietest(w) : NULL;
		if (!worst) {
			err_set(e, ERR_FULL, "%d origins are known, which is the most",
				NEWS_ORIGINS_MAX);
			return NULL;
		}
		drop_origin(w, worst);
	}
	return insert_origin(w, id, official);
}

/* Room for one note more of `o`, made from its own lowest where it has enough. */
static int room_for_note(struct news *w, struct origin *o, int64_t seq, struct err *e)
{
	size_t mine = o->official ? NEWS_NOTES_MAX - NEWS_STRANGER_NOTES_MAX : NEWS_STRANGER_NOTES;
	bool full = o->n >= mine || w->n_notes >= NEWS_NOTES_MAX ||
	            (!o->official && notes_of_strangers(w) >= NEWS_STRANGER_NOTES_MAX);

	if (!full)
		return 0;
	if (!o->n || o->notes[0].seq > seq)
		return err_set(e, ERR_FULL, "no room for more notes of this origin");
	drop_note(w, o, 0);
	return 0;
}

/* Both; NULL: none, and then no origin without notes stays, of which nobody could say what it holds. */
static struct origin *place_for(struct news *w, const struct heard *n, bool official, struct err *e)
{
	struct origin *o = place(w, &n->author, official, e);

	if (!o || !room_for_note(w, o, n->seq, e))
		return o;
	if (!o->n)
		drop_origin(w, o);
	return NULL;
}

/* --- taking -------------------------------------------------------------------------------- */

static enum news_verdict bad_line(const struct err *e)
{
	return e->code == ERR_SIGNATURE ? NEWS_FORGED : e->code == ERR_REFUSED ? NEWS_NO : NEWS_BAD;
}

static enum news_verdict check_note(
	const struct news *w, const struct heard *n, bool official, int64_t now, struct err *e)
{
	const struct note *known;

	if (n->kind != HEARD_NOTE) {
		err_set(e, ERR_FIELD, "what stands for a note is none");
		return NEWS_BAD;
	}
	known = find_note(news_origin(w, &n->author), n->seq);
	if (known)
		return NEWS_KNOWN;
	err_set(e, ERR_REFUSED, "the note has expired, lasts too long, or is over");
	if (n->expires_ms <= now ||
		n->expires_ms >
			now + NEWS_SKEW_MS + (official ? NEWS_OFFICIAL_MS : NEWS_STRANGER_MS))
		return NEWS_NO;
	return !n->over && is_over(w, &n->author, &n->of) ? NEWS_NO : NEWS_NEW;
}

/* Who may cancel: an admin, the job's submitter; or the coordinator says that it was one of them. */
static bool may_cancel(const struct news *w, const struct heard *f, bool official)
{
	const struct fact *job = news_job_fact(w, &f->job);

	return official || w->fns.admin(w->fns.arg, &f->author) ||
	       (job && id_equal(&job->author, &f->author));
}

static enum news_verdict check_fact(const struct news *w, const struct heard *note, struct heard *f,
	const struct news_item *item, bool official, struct err *e)
{
	struct digest line;

	if (!item->fact) {
		err_set(e, ERR_NOT_FOUND, "the fact that the note announces is not beside it");
		return NEWS_NO;
	}
	line = digest_of(item->fact, item->fact_len);
	if (item->fact_len > HEARD_LINE_MAX || !digest_equal(&line, &note->of)) {
		err_set(e, ERR_DIGEST, "what stands beside the note is not what it announces");
		return NEWS_BAD;
	}
	if (w->fns.open(w->fns.open_arg, f, item->fact, item->fact_len, e))
		return bad_line(e);
	if (f->kind != HEARD_JOB && f->kind != HEARD_CANCEL && f->kind != HEARD_OTHER) {
		err_set(e, ERR_FIELD, "this kind of message is not announced");
		return NEWS_BAD;
	}
	if (f->kind == HEARD_CANCEL && !may_cancel(w, f, official)) {
		err_set(e, ERR_REFUSED,
			"the cancel is neither by the job's submitter nor by an admin");
		return NEWS_NO;
	}
	return room_for_fact(w, f, item->fact_len, &note->author, official, e) ? NEWS_NO : NEWS_NEW;
}

static struct fact *keep_fact(struct news *w, const struct heard *f, const struct heard *note,
	const struct news_item *item)
{
	struct fact *fact = xcalloc(1, sizeof(*fact));

	*fact = (struct fact){ .line = note->of,
		.kind = f->kind,
		.author = f->author,
		.job = f->job,
		.origin = note->author,
		.text = xmemdup(item->fact, item->fact_len),
		.len = item->fact_len };
	w->facts[w->n_facts++] = fact;
	return fact;
}

static void keep_note(struct news *w, struct origin *o, const struct heard *n, struct fact *f,
	const struct news_item *item)
{
	size_t i = o->n;

	array_room(&o->notes, &o->room, o->n, sizeof(*o->notes));
	while (i > 0 && o->notes[i - 1].seq > n->seq)
		i--;
	memmove(&o->notes[i + 1], &o->notes[i], (o->n - i) * sizeof(*o->notes));
	changed(w);
	o->notes[i] = (struct note){ .seq = n->seq,
		.expires_ms = n->expires_ms,
		.line = n->line,
		.of = n->of,
		.over = n->over,
		.fact = f,
		.text = xmemdup(item->note, item->note_len),
		.len = item->note_len,
		.tick = w->tick };
	o->tick = w->tick;
	o->n++;
	w->n_notes++;
	if (f)
		f->notes++;
}

/* Its own notes of `of` go; after a coordinator's word everybody's. */
static void end_notes(
	struct news *w, const struct id *origin, bool official, const struct digest *of)
{
	for (size_t i = w->n_origins; i-- > 0;) {
		struct origin *o = &w->origins[i];

		if (!official && !id_equal(&o->id, origin))
			continue;
		for (size_t k = o->n; k-- > 0;)
			if (!o->notes[k].over && digest_equal(&o->notes[k].of, of))
				drop_note(w, o, k);
		if (!o->n)
			drop_origin(w, o);
	}
}

static enum news_verdict take_over(struct news *w, const struct heard *n,
	const struct news_item *item, bool official, struct err *e)
{
	end_notes(w, &n->author, official, &n->of);
	struct origin *o = place_for(w, n, official, e);
	if (!o)
		return NEWS_NO;
	keep_note(w, o, n, NULL, item);
	return NEWS_NEW;
}

/* The room for the note first: it may drop an older one, and that one's fact. */
static enum news_verdict take_fact(struct news *w, const struct heard *n,
	const struct news_item *item, bool official, struct err *e)
{
	struct fact *f = find_fact(w, &n->of);
	struct heard h = { .kind = HEARD_OTHER };
	enum news_verdict v = f ? NEWS_NEW : check_fact(w, n, &h, item, official, e);
	bool first = !f, news;

	if (v != NEWS_NEW)
		return v;
	struct origin *o = place_for(w, n, official, e);
	if (!o)
		return NEWS_NO;
	f = find_fact(w, &n->of);
	if (!f && !first)
		return NEWS_NO; /* it went with the note that made room */
	if (!f)
		f = keep_fact(w, &h, n, item);
	news = first || (official && !f->official);
	f->official |= official;
	keep_note(w, o, n, f, item);
	if (news) {
		h = (struct heard){
			.kind = f->kind, .author = f->author, .line = f->line, .job = f->job
		};
		w->fns.fresh(w->fns.arg, &h, f->text, f->len, f->official);
	}
	return NEWS_NEW;
}

enum news_verdict news_take(
	struct news *w, const struct news_item *item, int64_t now, struct err *e)
{
	struct heard n;
	struct digest line;
	enum news_verdict v;

	if (item->note_len > NEWS_NOTE_LINE_MAX) {
		err_set(e, ERR_TOO_BIG, "a note of %zu bytes", item->note_len);
		return NEWS_BAD;
	}
	line = digest_of(item->note, item->note_len);
	if (line_known(w, &line))
		return NEWS_KNOWN;
	if (w->fns.open(w->fns.open_arg, &n, item->note, item->note_len, e))
		return bad_line(e);
	n.line = line;
	bool official = n.kind == HEARD_NOTE && w->fns.coordinator(w->fns.arg, &n.author);
	v = check_note(w, &n, official, now, e);
	if (v != NEWS_NEW)
		return v;
	return n.over ? take_over(w, &n, item, official, e) : take_fact(w, &n, item, official, e);
}

enum news_verdict news_take_grid(struct news *w, const char *line, size_t n, struct err *e)
{
	struct heard h;

	if (w->grid && w->grid_len == n && !memcmp(w->grid, line, n))
		return NEWS_KNOWN;
	if (w->fns.open(w->fns.open_arg, &h, line, n, e))
		return bad_line(e);
	if (h.kind != HEARD_GRID) {
		err_set(e, ERR_FIELD, "what stands for the descriptor is none");
		return NEWS_BAD;
	}
	if (h.serial <= w->serial)
		return NEWS_KNOWN;
	free(w->grid);
	w->grid = xmemdup(line, n);
	w->grid_len = n;
	w->serial = h.serial;
	changed(w);
	w->fns.fresh(w->fns.arg, &h, w->grid, n, true);
	return NEWS_NEW;
}

int64_t news_next_seq(const struct news *w, int64_t now)
{
	const struct origin *o = news_origin(w, &w->self);
	int64_t last = o && o->n ? o->notes[o->n - 1].seq : 0;

	return last >= now ? last + 1
	                   : now; /* higher than before a restart, with nothing written */
}

bool news_announced(const struct news *w, const struct id *origin, const struct digest *line)
{
	const struct origin *o = news_origin(w, origin);

	for (size_t i = 0; o && i < o->n; i++)
		if (!o->notes[i].over && digest_equal(&o->notes[i].of, line))
			return true;
	return false;
}
