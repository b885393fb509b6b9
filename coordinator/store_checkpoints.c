/* SPDX-License-Identifier: Apache-2.0
 *
 * store_checkpoints.c: what tasks had reached, and who wrote it.
 */
#include "coordinator/store_in.h"

#include <string.h>

/* Who is told of a blob may fetch it: so it is public from then on. */
#define NOT_HANDED_ON " EXISTS (SELECT 1 FROM blob WHERE digest = checkpoint.digest AND NOT public)"

void store_add_checkpoint(struct store *s, int64_t job, const struct id *author, const struct checkpoint_row *row)
{
	run(s,
		"DELETE FROM upload WHERE id = (SELECT id FROM upload WHERE author = ? AND digest = ? AND state = 'done'"
		" ORDER BY since_ms DESC LIMIT 1)",
		"kd", author, &row->blob.digest);
	run(s, "DELETE FROM checkpoint WHERE job = ? AND idx = ? AND worker = ? AND NOT closed AND" NOT_HANDED_ON, "iii", job,
		row->index, row->worker);
	run(s,
		"INSERT INTO checkpoint (job, idx, worker, network, owner, relay, digest, size, root) VALUES "
		"(?, ?, ?, ?, ?, ?, ?, ?, ?)",
		"iiiiiidid", job, row->index, row->worker, (int64_t)row->net, (int64_t)row->owner, (int64_t)row->relay,
		&row->blob.digest, row->blob.size, &row->blob.root);
}

static size_t read_digests(struct store *s, struct rows *r, struct digest *out, size_t max)
{
	size_t n = 0;

	for (; n < max && rows_next(s, r); n++)
		col_copy(r, 0, &out[n], sizeof(out[n]));
	rows_end(r);
	return n;
}

size_t store_open_checkpoints(struct store *s, int64_t job, int64_t index, int64_t worker, struct digest *out, size_t max)
{
	struct rows *r = ask(s,
		"SELECT digest FROM checkpoint WHERE job = ?1 AND idx = ?2 AND (worker = ?3 OR ?3 = 0) AND NOT closed AND" NOT_HANDED_ON,
		"iii", job,
		index, worker);

	return read_digests(s, r, out, max);
}

size_t store_job_checkpoints(struct store *s, int64_t job, struct digest *out, size_t max)
{
	return read_digests(s, ask(s, "SELECT digest FROM checkpoint WHERE job = ? AND NOT closed AND" NOT_HANDED_ON, "i", job), out, max);
}

bool store_drop_blob(struct store *s, const struct digest *d)
{
	if (!ask_int(s, 0,
		    "SELECT 1 FROM blob WHERE digest = ?1 AND NOT public AND bytes IS NULL AND NOT EXISTS (SELECT 1 FROM"
		    " checkpoint WHERE digest = ?1 AND NOT closed) AND NOT EXISTS (SELECT 1 FROM upload WHERE digest = ?1)",
		    "d", d))
		return false;
	run(s, "DELETE FROM blob WHERE digest = ?", "d", d);
	return true;
}

bool store_newest_checkpoint(struct store *s, int64_t job, int64_t index, struct blob *b, int64_t *worker)
{
	struct rows *r = ask(s,
		"SELECT digest, size, root, worker FROM checkpoint WHERE job = ? AND idx = ? AND NOT closed ORDER BY n DESC LIMIT 1",
		"ii", job, index);
	bool there = rows_next(s, r);

	if (there) {
		*b = (struct blob){ .size = col_int(r, 1) };
		col_copy(r, 0, &b->digest, sizeof(b->digest));
		col_copy(r, 2, &b->root, sizeof(b->root));
		*worker = col_int(r, 3);
	}
	rows_end(r);
	return there;
}

bool store_has_checkpoint(struct store *s, int64_t job, int64_t index, const struct digest *d)
{
	return ask_int(s, 0, "SELECT 1 FROM checkpoint WHERE job = ? AND idx = ? AND digest = ? AND NOT closed", "iid", job, index, d);
}

void store_close_checkpoints(struct store *s, int64_t job, int64_t index)
{
	run(s, "UPDATE checkpoint SET closed = 1 WHERE job = ? AND idx = ?", "ii", job, index);
}

void store_close_job_checkpoints(struct store *s, int64_t job)
{
	run(s, "UPDATE checkpoint SET closed = 1 WHERE job = ? AND NOT closed", "i", job);
}

void store_close_checkpoints_of(struct store *s, int64_t worker)
{
	run(s,
		"UPDATE checkpoint SET closed = 1 WHERE NOT closed AND (job, idx) IN"
		" (SELECT job, idx FROM checkpoint WHERE worker = ? AND NOT closed)",
		"i", worker);
}

void store_each_checkpoint(struct store *s, int64_t job, checkpoint_fn *fn, void *arg)
{
	struct rows *r = ask(s,
		"SELECT idx, worker, network, owner, relay, closed FROM checkpoint WHERE job = ? ORDER BY n", "i", job);

	while (rows_next(s, r)) {
		struct checkpoint_row row = { .index = col_int(r, 0), .worker = col_int(r, 1), .net = (network)col_int(r, 2),
			.owner = (uint64_t)col_int(r, 3), .relay = (uint64_t)col_int(r, 4), .closed = col_int(r, 5) != 0 };

		fn(arg, &row);
	}
	rows_end(r);
}
