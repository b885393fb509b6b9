/* SPDX-License-Identifier: Apache-2.0
 *
 * store_checkpoints.c: what tasks had reached, and who wrote it.
 */
#include "coordinator/store_in.h"

#include <string.h>

void store_add_checkpoint(struct store *s, int64_t job, const struct checkpoint_row *row)
{
	run(s, "DELETE FROM checkpoint WHERE job = ? AND idx = ? AND worker = ? AND NOT closed", "iii", job, row->index,
		row->worker);
	run(s,
		"INSERT INTO checkpoint (job, idx, worker, network, owner, relay, digest, size, root) VALUES "
		"(?, ?, ?, ?, ?, ?, ?, ?, ?)",
		"iiiiiidid", job, row->index, row->worker, (int64_t)row->net, (int64_t)row->owner, (int64_t)row->relay,
		&row->blob.digest, row->blob.size, &row->blob.root);
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
	return ask_int(s, 0, "SELECT 1 FROM checkpoint WHERE job = ? AND idx = ? AND digest = ?", "iid", job, index, d);
}

void store_close_checkpoints(struct store *s, int64_t job, int64_t index)
{
	run(s, "UPDATE checkpoint SET closed = 1 WHERE job = ? AND idx = ?", "ii", job, index);
}

void store_drop_checkpoints(struct store *s, int64_t worker)
{
	run(s, "DELETE FROM checkpoint WHERE worker = ? AND NOT closed", "i", worker);
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
