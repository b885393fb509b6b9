/* SPDX-License-Identifier: Apache-2.0
 *
 * report.c: a worker's results come in.
 *
 *	each result's lease:  live            -> received, votes
 *	                      over            -> late: kept as evidence, never votes
 *	                      had a result    -> the whole envelope is a conflict: 409, kept as evidence
 *	                      not this worker's, or never issued -> unknown: nothing is kept
 *
 * Everything is checked before anything is applied. Outputs of received results must be here: beside
 * the envelope, public, or uploaded by this very worker; that somebody else delivered the same bytes
 * does not count, because then answers could be copied and their existence asked for.
 */
#include "common/codec.h"
#include "common/log.h"
#include "coordinator/checkpoint.h"
#include "coordinator/sources.h"

#include <stdlib.h>
#include <string.h>

enum fate { UNKNOWN, LATE, RECEIVED };
static const char *const fates[] = {
	[UNKNOWN] = "unknown", [LATE] = "late", [RECEIVED] = "received"
};

#define INSIDE_MAX 1024 /* blobs beside one envelope */

struct inside {
	struct digest digest, root;
	char *bytes;
	size_t n;
	bool wanted;
};

/* Of a result's payload. An output's name has at most 512 bytes, and what else is said of it or of a result less. */
#define PAYLOAD_BASE ((size_t)(8 * KIB))
#define PAYLOAD_EACH ((size_t)(1 * KIB))

struct report {
	struct coord *c;
	struct results r;
	struct job_row job;
	uint32_t worker, at; /* at: of the job; NOBODY when it is over */
	enum fate fate[RESULT_BATCH_MAX];
	uint32_t lease[RESULT_BATCH_MAX];
	unsigned char lease_id[RESULT_BATCH_MAX][LEASE_ID_BYTES];
	struct inside *inside;
	size_t n_inside;
	bool conflict;
};

static void report_release(struct report *p)
{
	for (size_t i = 0; i < p->n_inside; i++)
		free(p->inside[i].bytes);
	free(p->inside);
	results_release(&p->r);
}

/* --- the leases --------------------------------------------------------------------------- */
static int fate_of(struct report *p, size_t i, struct err *e)
{
	struct coord *c = p->c;
	const struct result *r = &p->r.items[i];
	struct lease_row row;

	if (!hex_decode(p->lease_id[i], LEASE_ID_BYTES, r->lease) ||
		!store_lease(c->store, p->lease_id[i], &row) ||
		row.worker != c->sched.workers[p->worker].row)
		return 0;
	if (row.job != p->job.n || row.index != r->index)
		return err_field(e, "results", "lease %s is for another task", r->lease);
	if (store_result_of_lease(c->store, p->lease_id[i])) {
		p->conflict = true;
		return 0;
	}
	p->lease[i] = sched_find_lease(&c->sched, p->lease_id[i]);
	p->fate[i] = p->lease[i] == NOBODY ? LATE : RECEIVED;
	return 0;
}

/* --- the outputs -------------------------------------------------------------------------- */
static int by_digest(const void *a, const void *b)
{
	return digest_compare(
		&((const struct inside *)a)->digest, &((const struct inside *)b)->digest);
}

static int read_inside(struct report *p, const json_t *blobs, struct err *e)
{
	const char *name;
	json_t *v;

	if (json_object_size(blobs) > INSIDE_MAX)
		return err_field(e, "blobs", "more than %d", INSIDE_MAX);
	p->inside = xcalloc(json_object_size(blobs), sizeof(*p->inside));
	json_object_foreach((json_t *)(uintptr_t)blobs, name, v) {
		struct inside *b = &p->inside[p->n_inside];

		if (!digest_from_text(&b->digest, name) || !json_is_string(v) ||
			!base64_decode(
				&b->bytes, &b->n, json_string_value(v), json_string_length(v)))
			return err_field(e, "blobs", "must map digests to canonical base64");
		p->n_inside++;
		if (b->n > RESULT_INLINE_MAX)
			return err_set(e, ERR_TOO_BIG,
				"a blob beside the envelope has at most %d bytes; upload larger "
			        "ones",
				RESULT_INLINE_MAX);
		struct digest d = digest_of(b->bytes, b->n);
		if (!digest_equal(&d, &b->digest))
			return err_set(
				e, ERR_DIGEST, "the blob beside the envelope is not %s", name);
		b->root = pieces_of(b->bytes, b->n);
	}
	qsort(p->inside, p->n_inside, sizeof(*p->inside), by_digest);
	return 0;
}

static struct inside *find_inside(const struct report *p, const struct digest *d)
{
	struct inside key = { .digest = *d };

	return p->n_inside ? bsearch(&key, p->inside, p->n_inside, sizeof(key), by_digest) : NULL;
}

static int check_blob(struct report *p, const char *what, const struct digest *d, int64_t size,
	const struct digest *root, struct err *e)
{
	struct inside *b = find_inside(p, d);
	char text[DIGEST_TEXT + 1];
	int64_t held = 0;

	digest_text(text, d);
	if (b) {
		b->wanted = true;
		held = (int64_t)b->n;
		if (root && !digest_equal(root, &b->root))
			return err_field(
				e, "subject", "%s: the pieces root of %s is another", what, text);
	} else if (size == 0) {
		/* it is stored unseen: with any other digest it would stand in for somebody's bytes */
		struct digest nothing = digest_of("", 0), no_pieces = pieces_of("", 0);

		if (!digest_equal(d, &nothing) || (root && !digest_equal(root, &no_pieces)))
			return err_field(e, "subject", "%s: %s is not the digest of no bytes", what, text);
	} else if (!store_holds(p->c->store, &p->r.author, d, &held)) {
		err_set(e, ERR_MISSING_BLOB, "%s: %s is neither beside the envelope nor uploaded",
			what, text);
		snprintf(e->field, sizeof(e->field), "%.90s", what);
		return -1;
	}
	if (held != size)
		return err_field(e, "subject", "%s: %s has %lld bytes, not %lld", what, text,
			(long long)held, (long long)size);
	return 0;
}

static int check_outputs(struct report *p, const struct result *r, struct err *e)
{
	const struct job *job = p->c->manifests[p->at];
	int64_t sum = 0;

	for (size_t i = 0; i < r->n_outputs; i++) {
		const struct output *o = &r->outputs[i];

		if (!strncmp(o->name, "files/", 6) && !job_declares(job, o->name + 6))
			return err_field(
				e, "subject", "%s is no output that the job declares", o->name);
		if (check_blob(p, o->name, &o->digest, o->size, &o->root, e))
			return -1;
		sum += o->size;
	}
	if (sum > job->output_mib * MIB)
		return err_field(e, "subject", "the outputs of task %lld have more than %lld MiB",
			(long long)r->index, (long long)job->output_mib);
	return r->has_stderr ? check_blob(p, "stderr", &r->stderr_digest, r->stderr_size, NULL, e)
	                     : 0;
}

/* Every envelope is kept for ever, and unknown fields are allowed: without this each result could bring 1 MiB of them. */
static int check_length(const struct results *r, const struct msg *m, struct err *e)
{
	size_t most = PAYLOAD_BASE;

	for (size_t i = 0; i < r->n; i++)
		most += PAYLOAD_EACH * (1 + r->items[i].n_outputs);
	return m->sealed.n <= most ? 0
				   : err_set(e, ERR_TOO_BIG,
					     "the payload has %zu bytes; one of %zu results with their outputs has at most %zu",
					     m->sealed.n, r->n, most);
}

/* --- reading ------------------------------------------------------------------------------ */
static int report_read(struct report *p, const struct msg *m, const json_t *blobs, struct err *e)
{
	struct coord *c = p->c;
	struct digest job;

	p->worker = sched_worker(&c->sched, &m->author);
	if (p->worker != NOBODY && c->sched.workers[p->worker].banned)
		return err_set(e, ERR_BANNED, "this worker is banned");
	if (results_read(&p->r, m, e) || check_length(&p->r, m, e))
		return -1;
	memcpy(job.b, p->r.job.b, sizeof(job.b));
	if (!store_job(c->store, &job, &p->job))
		return err_set(e, ERR_UNKNOWN_JOB, "no such job");
	p->at = sched_job(&c->sched, &job);
	for (size_t i = 0; i < p->r.n && p->worker != NOBODY; i++)
		if (fate_of(p, i, e))
			return -1;
	if (p->conflict)
		return 0;
	if (blobs && read_inside(p, blobs, e))
		return -1;
	for (size_t i = 0; i < p->r.n; i++)
		if (p->fate[i] == RECEIVED &&
			(check_outputs(p, &p->r.items[i], e) || sources_check_result(c, p->at, &p->r.items[i], e) ||
				checkpoint_check_result(c, p->at, &p->r.items[i], e)))
			return -1;
	return 0;
}

/* --- applying ----------------------------------------------------------------------------- */
static void keep_outputs(struct report *p, const struct result *r, struct digest *list, size_t *n)
{
	for (size_t i = 0; i < r->n_outputs + r->has_stderr; i++) {
		const struct digest *d =
			i < r->n_outputs ? &r->outputs[i].digest : &r->stderr_digest;
		int64_t size = i < r->n_outputs ? r->outputs[i].size : r->stderr_size;
		const struct inside *b = find_inside(p, d);

		list[(*n)++] = *d;
		if (b || size == 0)
			store_add_blob(p->c->store, d, size, false, b ? b->bytes : "");
	}
}

static void keep(struct report *p, size_t i, int64_t envelope)
{
	struct coord *c = p->c;
	const struct result *r = &p->r.items[i];
	const struct worker *w = &c->sched.workers[p->worker];
	struct digest outputs[RESULT_FILES_MAX + 2];
	size_t n_outputs = 0;
	struct voter from = p->fate[i] == RECEIVED ? c->sched.leases[p->lease[i]].voter : w->voter;
	struct result_row row = { .envelope = envelope,
		.pos = (int64_t)i,
		.job = p->job.n,
		.index = r->index,
		.worker = w->row,
		.exit = r->exit,
		.signal = r->signal,
		.cpu_ms = r->cpu_ms,
		.wall_ms = r->wall_ms,
		.outcome = r->outcome,
		.net = from.net,
		.owner = from.owner,
		.relay = from.relay,
		.has_stderr = r->has_stderr,
		.stderr_digest = r->stderr_digest };

	memcpy(row.lease, p->lease_id[i], sizeof(row.lease));
	snprintf(row.state, sizeof(row.state), "%s", fates[p->fate[i]]);
	snprintf(row.reason, sizeof(row.reason), "%s", r->reason);
	if (p->fate[i] == RECEIVED)
		keep_outputs(p, r, outputs, &n_outputs);
	int64_t ref = store_add_result(c->store, &row, outputs, n_outputs);
	if (p->fate[i] != RECEIVED) {
		c->counts.late++;
		return;
	}
	checkpoint_close(c, p->at, r->index);
	store_end_lease(c->store, row.lease, "returned");
	c->sched.leases[p->lease[i]].voter.kind = kind_tag(p->r.platform, p->r.platform_class);
	struct verdict v = sched_result(&c->sched, p->lease[i], result_votes(r) ? VOTE : ATTEMPT,
		r->exit == 0 && r->signal == 0, &r->outcome, ref, coord_now(c));
	if (v.what != NEED_MORE)
		decide(c, p->at, r->index, v.what == AGREED_VALID ? TASK_VALID : TASK_FAILED, &v);
	c->counts.received++;
	meter_add(&c->results, coord_now(c), 1);
}

/* How many of the envelope's kept results are about tasks that are not final in the store yet. */
static int64_t open_tasks(const struct report *p)
{
	struct task_row row;
	int64_t open = 0;

	for (size_t i = 0; i < p->r.n; i++)
		open += p->fate[i] != UNKNOWN &&
		        !store_task(p->c->store, p->job.n, p->r.items[i].index, &row);
	return open;
}

static char *apply(struct report *p, const struct msg *m)
{
	json_t *ack = new_ack(p->c, MSG_ACK, &m->sealed.digest), *outcomes = json_array();
	bool any = false;

	for (size_t i = 0; i < p->r.n; i++) {
		json_array_append_new(outcomes, json_string(fates[p->fate[i]]));
		any |= p->fate[i] != UNKNOWN;
	}
	json_object_set_new(ack, "outcomes", outcomes);
	char *line = seal_ours(p->c, ack);
	if (!any)
		return line; /* nothing of it is ours to keep */
	int64_t envelope =
		store_add_fact(p->c->store, m, "result", line, p->job.n, coord_now(p->c));
	for (size_t i = 0; i < p->r.n; i++)
		if (p->fate[i] != UNKNOWN)
			keep(p, i, envelope);
	store_set_open(p->c->store, envelope, open_tasks(p));
	return line;
}

void handle_result(struct call *call, struct msg *m, const json_t *blobs)
{
	struct report p = { .c = call->c, .at = NOBODY };
	struct err e;

	if (report_read(&p, m, blobs, &e)) {
		reply_error(call, &e);
	} else if (p.conflict) {
		if (store_conflicts(call->c->store, &m->author) < CONFLICTS_MAX)
			store_add_fact(call->c->store, m, "conflict", NULL, 0, coord_now(call->c));
		log_warn("a second result for a lease: kept as evidence");
		err_set(&e, ERR_CONFLICT, "another result for the same lease came first");
		reply_error(call, &e);
	} else {
		reply_json(call, 200, apply(&p, m));
	}
	report_release(&p);
}
