/* SPDX-License-Identifier: Apache-2.0
 *
 * store_facts.c: the coordinator itself, envelopes, requests, submitters, blobs and uploads.
 */
#include "coordinator/store_in.h"

#include "common/codec.h"

#include <stdlib.h>
#include <string.h>

/* --- the coordinator itself --------------------------------------------------------------- */
int64_t store_meta(struct store *s, const char *name)
{
	return ask_int(s, 0, "SELECT value FROM meta WHERE name = ?", "t", name);
}

void store_set_meta(struct store *s, const char *name, int64_t value)
{
	run(s, "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
		"ti", name, value);
}

void store_epoch(struct store *s, struct epoch *epoch, int64_t now)
{
	struct rows *r = ask(s, "SELECT counter, id FROM epoch ORDER BY counter DESC LIMIT 1", "");
	bool there = rows_next(s, r);
	unsigned char random[16];

	if (there) {
		epoch->counter = col_int(r, 0);
		col_word(r, 1, epoch->id, sizeof(epoch->id));
	}
	rows_end(r);
	if (there)
		return;
	random_bytes(random, sizeof(random));
	hex_encode(epoch->id, random, sizeof(random));
	epoch->counter = 1;
	run(s, "INSERT INTO epoch VALUES (?, ?, ?)", "iti", epoch->counter, epoch->id, now);
}

/* --- envelopes ---------------------------------------------------------------------------- */
bool store_fact(struct store *s, const struct digest *d, char **answer)
{
	struct rows *r = ask(s, "SELECT answer FROM envelope WHERE digest = ?", "d", d);
	bool there = rows_next(s, r);

	*answer = there && *col_text(r, 0) ? xstrdup(col_text(r, 0)) : NULL;
	rows_end(r);
	return there;
}

int64_t store_add_fact(struct store *s, const struct msg *m, const char *type, const char *answer,
	int64_t job, int64_t now)
{
	return run(s,
		"INSERT INTO envelope (digest, type, author, line, answer, received_ms, job)"
		" VALUES (?, ?, ?, ?, ?, ?, nullif(?, 0))",
		"dtkttii", &m->sealed.digest, type, &m->author, m->line, answer, now, job);
}

char *store_line(struct store *s, int64_t envelope)
{
	struct rows *r = ask(s, "SELECT line FROM envelope WHERE n = ?", "i", envelope);
	char *line = xstrdup(rows_next(s, r) ? col_text(r, 0) : "");

	rows_end(r);
	return line;
}

int64_t store_conflicts(struct store *s, const struct id *author)
{
	return ask_int(s, 0, "SELECT count(*) FROM envelope WHERE author = ? AND type = 'conflict'",
		"k", author);
}

void store_set_open(struct store *s, int64_t envelope, int64_t open)
{
	run(s,
		"UPDATE envelope SET open = ?1, shown = CASE WHEN ?1 = 0 THEN"
		" (SELECT 1 + coalesce(max(shown), 0) FROM envelope e WHERE e.job = envelope.job "
	        "AND e.shown IS NOT NULL)"
		" END WHERE n = ?2",
		"ii", open, envelope);
}

/* --- requests ----------------------------------------------------------------------------- */
void store_last_request(
	struct store *s, enum asker who, const struct id *key, struct last_request *last)
{
	struct rows *r =
		who == ASKER_WORKER
			? ask(s, "SELECT seq, asked, answer FROM worker WHERE id = ?", "k", key)
			: ask(s, "SELECT seq, asked, answer FROM submitter WHERE key = ?", "k",
				  key);

	*last = (struct last_request){ 0 };
	if (rows_next(s, r)) {
		last->seq = col_int(r, 0);
		col_copy(r, 1, &last->asked, sizeof(last->asked));
		last->answer = xstrdup(col_text(r, 2));
	}
	rows_end(r);
}

void store_answered(struct store *s, enum asker who, const struct id *key, int64_t seq,
	const struct digest *asked, const char *answer)
{
	if (who == ASKER_WORKER)
		run(s, "UPDATE worker SET seq = ?, asked = ?, answer = ? WHERE id = ?", "idtk", seq,
			asked, answer, key);
	else
		run(s,
			"INSERT INTO submitter (seq, asked, answer, key) VALUES (?, ?, ?, ?) ON "
		        "CONFLICT DO UPDATE"
			" SET seq = excluded.seq, asked = excluded.asked, answer = excluded.answer",
			"idtk", seq, asked, answer, key);
}

/* --- submitters --------------------------------------------------------------------------- */
bool store_may_submit(struct store *s, const struct id *key)
{
	return ask_int(s, 0, "SELECT allowed FROM submitter WHERE key = ?", "k", key) == 1;
}

void store_allow(struct store *s, const struct id *key, bool allowed)
{
	run(s,
		"INSERT INTO submitter (key, allowed) VALUES (?, ?) ON CONFLICT DO UPDATE SET "
	        "allowed = excluded.allowed",
		"ki", key, (int64_t)allowed);
}

void store_each_submitter(struct store *s, id_fn *fn, void *arg)
{
	struct rows *r = ask(s, "SELECT key FROM submitter WHERE allowed = 1 ORDER BY key", "");
	struct id id;

	while (rows_next(s, r)) {
		col_copy(r, 0, &id, sizeof(id));
		fn(arg, &id);
	}
	rows_end(r);
}

int store_match(struct store *s, enum id_kind kind, const char *prefix, struct id *id)
{
	struct rows *r;
	int n = 0;

	if (kind == ID_JOB)
		r = ask(s, "SELECT id FROM job WHERE lower(hex(id)) LIKE ? || '%' LIMIT 2", "t",
			prefix);
	else if (kind == ID_WORKER)
		r = ask(s, "SELECT id FROM worker WHERE lower(hex(id)) LIKE ? || '%' LIMIT 2", "t",
			prefix);
	else
		r = ask(s, "SELECT key FROM submitter WHERE lower(hex(key)) LIKE ? || '%' LIMIT 2",
			"t", prefix);
	while (rows_next(s, r))
		if (n++ == 0)
			col_copy(r, 0, id, sizeof(*id));
	rows_end(r);
	return n;
}

/* --- blobs and uploads -------------------------------------------------------------------- */
bool store_blob(struct store *s, const struct digest *d, struct blob_row *row)
{
	struct rows *r =
		ask(s, "SELECT size, public, bytes IS NOT NULL FROM blob WHERE digest = ?", "d", d);
	bool there = rows_next(s, r);

	if (there)
		*row = (struct blob_row){ col_int(r, 0), col_int(r, 1) == 1, col_int(r, 2) == 1 };
	rows_end(r);
	return there;
}

char *store_blob_bytes(struct store *s, const struct digest *d, size_t *n)
{
	struct rows *r =
		ask(s, "SELECT bytes FROM blob WHERE digest = ? AND bytes IS NOT NULL", "d", d);
	char *copy = NULL;

	if (rows_next(s, r)) {
		const void *p = col_bytes(r, 0, n);

		copy = xmemdup(p, *n);
	}
	rows_end(r);
	return copy;
}

void store_add_blob(
	struct store *s, const struct digest *d, int64_t size, bool public, const void *bytes)
{
	run(s,
		"INSERT INTO blob VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET public = "
	        "max(public, excluded.public),"
		" bytes = coalesce(bytes, excluded.bytes)"
		" WHERE public < excluded.public OR (bytes IS NULL AND excluded.bytes IS NOT NULL)",
		"diib", d, size, (int64_t) public, bytes, (size_t)size);
}

bool store_holds(struct store *s, const struct id *author, const struct digest *d, int64_t *size)
{
	struct rows *r = ask(s,
		"SELECT size FROM blob WHERE digest = ?1 AND (public = 1 OR EXISTS"
		" (SELECT 1 FROM upload WHERE author = ?2 AND digest = ?1 AND state = 'done'))",
		"dk", d, author);
	bool there = rows_next(s, r);

	if (there)
		*size = col_int(r, 0);
	rows_end(r);
	return there;
}

bool store_upload(struct store *s, const struct digest *id, struct upload_row *row)
{
	struct rows *r = ask(
		s, "SELECT author, digest, size, state = 'done' FROM upload WHERE id = ?", "d", id);
	bool there = rows_next(s, r);

	if (there) {
		*row = (struct upload_row){
			.id = *id, .size = col_int(r, 2), .done = col_int(r, 3) == 1
		};
		col_copy(r, 0, &row->author, sizeof(row->author));
		col_copy(r, 1, &row->digest, sizeof(row->digest));
	}
	rows_end(r);
	return there;
}

void store_add_upload(struct store *s, const struct upload_row *u, int64_t now)
{
	run(s, "INSERT INTO upload VALUES (?, ?, ?, ?, ?, ?)", "dkditi", &u->id, &u->author,
		&u->digest, u->size, u->done ? "done" : "open", now);
}

void store_upload_done(struct store *s, const struct upload_row *u, bool public)
{
	run(s, "UPDATE upload SET state = 'done' WHERE id = ?", "d", &u->id);
	store_add_blob(s, &u->digest, u->size, public, NULL);
}

int64_t store_open_uploads(struct store *s, const struct id *author)
{
	return ask_int(s, 0, "SELECT count(*) FROM upload WHERE author = ? AND state = 'open'", "k",
		author);
}
