/* SPDX-License-Identifier: Apache-2.0
 *
 * store_work.c: workers, the leases they had, and the results they sent.
 */
#include "coordinator/store_in.h"

#include <stdlib.h>
#include <string.h>

#define BITS_SHIFT 16 /* the optional bits share a column with the profiles */

static int64_t profiles_and_bits(const struct worker *w)
{
	return (int64_t)w->profiles | (int64_t)w->bits << BITS_SHIFT;
}

/* --- workers ------------------------------------------------------------------------------ */
int64_t store_add_worker(struct store *s, const struct worker *w)
{
	return run(s,
		"INSERT INTO worker (id, state, owner, network, platform, platform_class, agent, "
	        "address, profiles, slots,"
		" cpus, memory_mib, disk_mib, first_ms, seen_ms, relay) VALUES (?, ?, ?, ?, ?, ?, ?, ?, "
	        "?, ?, ?, ?, ?, ?, ?, ?)",
		"ktiittttiiiiiiii", &w->id, w->banned ? "banned" : "known", (int64_t)w->voter.owner,
		(int64_t)w->voter.net, w->platform, w->platform_class, w->agent, w->address,
		profiles_and_bits(w), w->slots, w->cpus, w->memory_mib, w->disk_mib, w->first_ms,
		w->seen_ms, (int64_t)w->voter.relay);
}

void store_set_worker(struct store *s, const struct worker *w)
{
	run(s,
		"UPDATE worker SET state = ?, network = ?, platform = ?, platform_class = ?, agent "
	        "= ?, address = ?,"
		" profiles = ?, slots = ?, cpus = ?, memory_mib = ?, disk_mib = ?, seen_ms = ?, "
	        "relay = ? WHERE n = ?",
		"tittttiiiiiiii", w->banned ? "banned" : "known", (int64_t)w->voter.net, w->platform,
		w->platform_class, w->agent, w->address, profiles_and_bits(w), w->slots, w->cpus,
		w->memory_mib, w->disk_mib, w->seen_ms, (int64_t)w->voter.relay, w->row);
}

static void read_worker(struct rows *r, struct worker *w)
{
	*w = (struct worker){ .row = col_int(r, 0),
		.banned = !strcmp(col_text(r, 2), "banned"),
		.voter = { .owner = (uint64_t)col_int(r, 3), .net = (network)col_int(r, 4),
			.relay = (uint64_t)col_int(r, 18) },
		.profiles = (unsigned)col_int(r, 9) & ((1u << BITS_SHIFT) - 1),
		.bits = (unsigned)col_int(r, 9) >> BITS_SHIFT,
		.slots = col_int(r, 10),
		.cpus = col_int(r, 11),
		.memory_mib = col_int(r, 12),
		.disk_mib = col_int(r, 13),
		.first_ms = col_int(r, 14),
		.seen_ms = col_int(r, 15),
		.has_asked = col_int(r, 16) > 0,
		.ever_leased = col_int(r, 17) > 0 };
	col_copy(r, 1, &w->id, sizeof(w->id));
	col_word(r, 5, w->platform, sizeof(w->platform));
	col_word(r, 6, w->platform_class, sizeof(w->platform_class));
	col_word(r, 7, w->agent, sizeof(w->agent));
	col_word(r, 8, w->address, sizeof(w->address));
}

void store_each_worker(struct store *s, worker_fn *fn, void *arg)
{
	struct rows *r = ask(s,
		"SELECT n, id, state, owner, network, platform, platform_class, agent, address, "
	        "profiles, slots, cpus,"
		" memory_mib, disk_mib, first_ms, seen_ms, seq, EXISTS (SELECT 1 FROM lease WHERE "
	        "lease.worker = worker.n), relay"
		" FROM worker ORDER BY n",
		"");
	struct worker w;

	while (rows_next(s, r)) {
		read_worker(r, &w);
		fn(arg, &w);
	}
	rows_end(r);
}

/* --- leases ------------------------------------------------------------------------------- */
void store_add_lease(
	struct store *s, const struct lease *l, int64_t job, int64_t worker, int64_t now)
{
	run(s, "INSERT INTO lease VALUES (?, ?, ?, ?, ?, ?, ?, 'live', ?, ?)", "liiiiitii", l->id, job,
		l->index, worker, (int64_t)l->voter.net, (int64_t)l->voter.owner,
		l->copy ? "copy" : "first", now, (int64_t)l->voter.relay);
}

void store_set_lease_voter(struct store *s, const struct lease *l)
{
	run(s, "UPDATE lease SET network = ?, relay = ? WHERE id = ?", "iil", (int64_t)l->voter.net,
		(int64_t)l->voter.relay, l->id);
}

void store_end_lease(struct store *s, const unsigned char id[LEASE_ID_BYTES], const char *state)
{
	run(s, "UPDATE lease SET state = ? WHERE id = ?", "tl", state, id);
}

void store_drop_lease(struct store *s, const unsigned char id[LEASE_ID_BYTES])
{
	run(s, "DELETE FROM lease WHERE id = ?", "l", id);
}

#define LEASE_COLUMNS "SELECT job, idx, worker, network, owner, state, id, relay FROM lease "

static void read_lease(struct rows *r, struct lease_row *row)
{
	*row = (struct lease_row){ col_int(r, 0), col_int(r, 1), col_int(r, 2),
		(network)col_int(r, 3), (uint64_t)col_int(r, 4), (uint64_t)col_int(r, 7), .state = "" };
	col_word(r, 5, row->state, sizeof(row->state));
	col_copy(r, 6, row->id, sizeof(row->id));
}

bool store_lease(struct store *s, const unsigned char id[LEASE_ID_BYTES], struct lease_row *row)
{
	struct rows *r = ask(s, LEASE_COLUMNS "WHERE id = ?", "l", id);
	bool there = rows_next(s, r);

	if (there)
		read_lease(r, row);
	rows_end(r);
	return there;
}

void store_each_lease(struct store *s, int64_t job, lease_fn *fn, void *arg)
{
	struct rows *r =
		ask(s, LEASE_COLUMNS "WHERE job = ? AND state IN ('live', 'expired') ORDER BY id",
			"i", job);
	struct lease_row row;

	while (rows_next(s, r)) {
		read_lease(r, &row);
		fn(arg, &row);
	}
	rows_end(r);
}

/* --- results ------------------------------------------------------------------------------ */
int64_t store_add_result(
	struct store *s, const struct result_row *w, const struct digest *outputs, size_t n_outputs)
{
	return run(s,
		"INSERT INTO result (envelope, pos, job, idx, worker, lease, state, outcome, exit, "
	        "signal, reason, cpu_ms,"
		" wall_ms, network, owner, outputs, stderr, relay) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
	        "?, ?, ?, ?, ?, ?, ?, ?)",
		"iiiiiltdiitiiiibdi", w->envelope, w->pos, w->job, w->index, w->worker, w->lease,
		w->state, &w->outcome, w->exit, w->signal, w->reason, w->cpu_ms, w->wall_ms,
		(int64_t)w->net, (int64_t)w->owner, outputs, n_outputs * sizeof(*outputs),
		w->has_stderr ? &w->stderr_digest : NULL, (int64_t)w->relay);
}

int64_t store_result_of_lease(struct store *s, const unsigned char lease[LEASE_ID_BYTES])
{
	return ask_int(s, 0, "SELECT envelope FROM result WHERE lease = ?", "l", lease);
}

bool store_result_place(struct store *s, int64_t n, int64_t *envelope, int64_t *pos)
{
	struct rows *r = ask(s, "SELECT envelope, pos FROM result WHERE n = ?", "i", n);
	bool there = rows_next(s, r);

	if (there) {
		*envelope = col_int(r, 0);
		*pos = col_int(r, 1);
	}
	rows_end(r);
	return there;
}

#define RESULT_COLUMNS                                                                             \
	"SELECT r.n, r.envelope, r.pos, r.job, r.idx, r.worker, r.exit, r.signal, r.cpu_ms, "      \
	"r.wall_ms, r.lease,"                                                                      \
	" r.state, r.reason, r.outcome, e.digest, w.id, r.network, r.owner, r.stderr, r.relay FROM result " \
	"r"                                                                                        \
	" JOIN envelope e ON e.n = r.envelope JOIN worker w ON w.n = r.worker "

static void read_result(struct rows *r, struct result_row *row)
{
	size_t n;

	*row = (struct result_row){ col_int(r, 0), col_int(r, 1), col_int(r, 2), col_int(r, 3),
		col_int(r, 4), col_int(r, 5), col_int(r, 6), col_int(r, 7), col_int(r, 8),
		col_int(r, 9), .net = (network)col_int(r, 16), .owner = (uint64_t)col_int(r, 17),
		.relay = (uint64_t)col_int(r, 19), .has_stderr = col_bytes(r, 18, &n) != NULL };
	col_copy(r, 10, row->lease, sizeof(row->lease));
	col_word(r, 11, row->state, sizeof(row->state));
	col_word(r, 12, row->reason, sizeof(row->reason));
	col_copy(r, 13, &row->outcome, sizeof(row->outcome));
	col_copy(r, 14, &row->envelope_digest, sizeof(row->envelope_digest));
	col_copy(r, 15, &row->worker_id, sizeof(row->worker_id));
	col_copy(r, 18, &row->stderr_digest, sizeof(row->stderr_digest));
}

int64_t store_result_that_counts(struct store *s, int64_t job, int64_t index)
{
	return ask_int(s, 0,
		"SELECT r.envelope FROM result r JOIN task t ON t.job = r.job AND t.idx = r.idx WHERE r.job = ? AND r.idx = ?"
		" AND r.state = 'received' AND r.outcome = t.outcome ORDER BY r.n LIMIT 1",
		"ii", job, index);
}

static void each_result(struct store *s, struct rows *r, result_fn *fn, void *arg)
{
	struct result_row row;

	while (rows_next(s, r)) {
		read_result(r, &row);
		fn(arg, &row);
	}
	rows_end(r);
}

void store_task_results(struct store *s, int64_t job, int64_t index, result_fn *fn, void *arg)
{
	each_result(s,
		ask(s, RESULT_COLUMNS "WHERE r.job = ? AND r.idx = ? ORDER BY r.n", "ii", job,
			index),
		fn, arg);
}

void store_each_result(struct store *s, int64_t job, result_fn *fn, void *arg)
{
	each_result(s,
		ask(s,
			RESULT_COLUMNS
			"WHERE r.job = ?1 AND r.state = 'received' AND NOT EXISTS"
			" (SELECT 1 FROM task t WHERE t.job = ?1 AND t.idx = r.idx) ORDER BY r.n",
			"i", job),
		fn, arg);
}

void store_each_answerer(struct store *s, int64_t job, worker_row_fn *fn, void *arg)
{
	struct rows *r = ask(s, "SELECT DISTINCT worker FROM result WHERE job = ? AND state <> 'late'", "i", job);

	while (rows_next(s, r))
		fn(arg, col_int(r, 0));
	rows_end(r);
}

void store_void_results(struct store *s, int64_t worker)
{
	run(s,
		"UPDATE result SET state = 'void' WHERE worker = ? AND state = 'received' AND NOT "
	        "EXISTS"
		" (SELECT 1 FROM task t WHERE t.job = result.job AND t.idx = result.idx)",
		"i", worker);
}

static void show_envelope(struct store *s, int64_t envelope)
{
	int64_t open = ask_int(s, 0, "SELECT open FROM envelope WHERE n = ?", "i", envelope);

	if (open > 0)
		store_set_open(s, envelope, open - 1);
}

struct seen {
	int64_t envelope;
	char *outputs;
	size_t n;
};

void store_show_task(struct store *s, int64_t job, int64_t index)
{
	auto_free struct seen *seen = NULL;
	struct rows *r = ask(s, "SELECT envelope, outputs FROM result WHERE job = ? AND idx = ?",
		"ii", job, index);
	size_t n = 0, room = 0, bytes;

	while (rows_next(s, r)) {
		const void *p = col_bytes(r, 1, &bytes);

		array_room(&seen, &room, n, sizeof(*seen));
		seen[n++] = (struct seen){ col_int(r, 0), xmemdup(p, bytes), bytes };
	}
	rows_end(r);
	for (size_t i = 0; i < n; i++) {
		for (size_t at = 0; at < seen[i].n; at += DIGEST_BYTES)
			run(s, "UPDATE blob SET public = 1 WHERE digest = ? AND public = 0", "d",
				seen[i].outputs + at);
		show_envelope(s, seen[i].envelope);
		free(seen[i].outputs);
	}
}

void store_counts(struct store *s, struct counts *c)
{
	c->jobs_done = ask_int(s, 0, "SELECT count(*) FROM job WHERE state = 'done'", "");
	c->jobs_failed =
		ask_int(s, 0, "SELECT count(*) FROM job WHERE state = 'done' AND failed > 0", "");
	c->jobs_cancelled = ask_int(s, 0, "SELECT count(*) FROM job WHERE state = 'cancelled'", "");
	c->valid = ask_int(s, 0, "SELECT sum(valid) FROM job WHERE finished_ms IS NOT NULL", "");
	c->failed = ask_int(s, 0, "SELECT sum(failed) FROM job WHERE finished_ms IS NOT NULL", "");
	c->received = ask_int(s, 0, "SELECT count(*) FROM result WHERE state <> 'late'", "");
	c->late = ask_int(s, 0, "SELECT count(*) FROM result WHERE state = 'late'", "");
}
