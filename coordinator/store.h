/* SPDX-License-Identifier: Apache-2.0
 *
 * store.h: what the coordinator must never forget: one function per fact (schema.sql has the
 * words).
 *
 * The first write opens a transaction; store_commit() makes all that was written since durable, at
 * once. A write or read that fails is remembered and makes the next commit fail with its reason, so
 * that nothing is acknowledged on sand; facts therefore return no errors of their own. What is
 * read sees what was written before it, committed or not.
 */
#ifndef COORDINATOR_STORE_H
#define COORDINATOR_STORE_H

#include "common/blob.h"
#include "common/msg.h"
#include "common/result.h"
#include "coordinator/sched.h"

struct store;

/* Opens or makes DIR/grid.db and locks DIR: a second process gets ERR_CONFLICT. */
int store_open(struct store **out, const char *dir, struct err *e);
void store_close(struct store *s);       /* folds the journal into the database file */
bool store_dirty(const struct store *s); /* something waits for a commit */
int store_commit(struct store *s, struct err *e);
void store_rollback(struct store *s);
/* Fold the journal into the database when it is longer than `pages`; away from the commit path. */
void store_checkpoint(struct store *s, int pages);
int64_t store_bytes(const struct store *s); /* of the database with its journal */

/* --- the coordinator itself --------------------------------------------------------------- */
int64_t store_meta(struct store *s, const char *name); /* 0 when it was never set */
void store_set_meta(struct store *s, const char *name, int64_t value);
void store_epoch(struct store *s, struct epoch *epoch, int64_t now); /* made at the first call */

/* --- envelopes ---------------------------------------------------------------------------- */
/* Whether the line is known; type and answer (yours; NULL: a conflict) when it is. */
bool store_fact(struct store *s, const struct digest *d, char **answer);
int64_t store_add_fact(struct store *s, const struct msg *m, const char *type, const char *answer,
	int64_t job, int64_t now);
char *store_line(struct store *s, int64_t envelope); /* yours */
int64_t store_conflicts(struct store *s, const struct id *author);
void store_set_open(struct store *s, int64_t envelope, int64_t open);

/* --- requests: the last seq and what it was answered -------------------------------------- */
struct last_request {
	int64_t seq;
	struct digest asked;
	char *answer; /* yours */
};
enum asker { ASKER_WORKER, ASKER_SUBMITTER };
void store_last_request(
	struct store *s, enum asker who, const struct id *key, struct last_request *r);
void store_answered(struct store *s, enum asker who, const struct id *key, int64_t seq,
	const struct digest *asked, const char *answer);

/* --- submitters --------------------------------------------------------------------------- */
bool store_may_submit(struct store *s, const struct id *key);
void store_allow(struct store *s, const struct id *key, bool allowed);
typedef void id_fn(void *arg, const struct id *id);
void store_each_submitter(struct store *s, id_fn *fn, void *arg);
/* The ids that begin with `prefix`: how many (counting stops at 2); *id the first. */
enum id_kind { ID_JOB, ID_WORKER, ID_SUBMITTER };
int store_match(struct store *s, enum id_kind kind, const char *prefix, struct id *id);

/* --- jobs --------------------------------------------------------------------------------- */
struct job_row {
	int64_t n, envelope, count, submitted_ms, finished_ms, valid, failed, cancelled;
	struct digest id;
	struct id submitter;
	char name[201], state[12], assurance[32], why[200];
	char local[JOB_LOCAL_MAX * 101]; /* names, a space between; "": none */
};
int64_t store_add_job(struct store *s, const struct job *job, int64_t envelope, int64_t now);
bool store_job(struct store *s, const struct digest *id, struct job_row *row);
/* Up to max jobs after row `after`, oldest first; unfinished only, or all. */
size_t store_jobs(
	struct store *s, int64_t after, bool unfinished, struct job_row *rows, size_t max);
/* What its inputs from other jobs came to: the digest of the resolution's text. False: nothing yet. */
void store_set_inputs(struct store *s, int64_t job, const struct digest *d);
bool store_inputs(struct store *s, int64_t job, struct digest *d);
void store_cancel_job(struct store *s, int64_t job, const char *why);
void store_finish_job(struct store *s, int64_t job, int64_t now, int64_t valid, int64_t failed,
	int64_t cancelled);

/* --- tasks and verdicts ------------------------------------------------------------------- */
struct task_row {
	enum task_state state;
	struct digest outcome; /* zero when nothing was agreed */
	char why[100];
};
void store_add_task(
	struct store *s, int64_t job, int64_t index, const struct task_row *row, int64_t verdict);
bool store_task(struct store *s, int64_t job, int64_t index, struct task_row *row);
typedef void task_fn(void *arg, int64_t index, enum task_state state);
void store_each_task(struct store *s, int64_t job, task_fn *fn, void *arg);
int64_t store_add_verdict(struct store *s, int64_t job, const char *line);
/* Lines after `after`; fn returns false to stop. */
typedef bool line_fn(void *arg, int64_t n, const char *line, size_t len);
void store_each_verdict(struct store *s, int64_t job, int64_t after, line_fn *fn, void *arg);
void store_each_attestation(struct store *s, int64_t job, int64_t after, line_fn *fn, void *arg);

/* --- workers ------------------------------------------------------------------------------ */
int64_t store_add_worker(struct store *s, const struct worker *w);
void store_set_worker(struct store *s, const struct worker *w); /* all but seq and answer */
typedef void worker_fn(void *arg, const struct worker *w);
void store_each_worker(struct store *s, worker_fn *fn, void *arg);

/* --- leases ------------------------------------------------------------------------------- */
struct lease_row {
	int64_t job, index, worker; /* rows */
	network net;
	uint64_t owner, relay;
	char state[12];
	unsigned char id[LEASE_ID_BYTES];
};
void store_add_lease(
	struct store *s, const struct lease *l, int64_t job, int64_t worker, int64_t now);
void store_set_lease_voter(struct store *s, const struct lease *l);
void store_end_lease(struct store *s, const unsigned char id[LEASE_ID_BYTES], const char *state);
/* It was given back unrun: nothing is kept of it. */
void store_drop_lease(struct store *s, const unsigned char id[LEASE_ID_BYTES]);
bool store_lease(struct store *s, const unsigned char id[LEASE_ID_BYTES], struct lease_row *row);
/* The live and expired ones of a job. */
typedef void lease_fn(void *arg, const struct lease_row *row);
void store_each_lease(struct store *s, int64_t job, lease_fn *fn, void *arg);

/* --- results ------------------------------------------------------------------------------ */
struct result_row {
	int64_t n, envelope, pos, job, index, worker, exit, signal, cpu_ms, wall_ms;
	unsigned char lease[LEASE_ID_BYTES];
	char state[10], reason[16];
	struct digest outcome, envelope_digest, stderr_digest;
	struct id worker_id;
	network net;
	uint64_t owner, relay;
	bool has_stderr;
};
/* outputs: digests, `n_outputs` of them. row->n, envelope_digest, worker_id are not looked at. */
int64_t store_add_result(struct store *s, const struct result_row *row,
	const struct digest *outputs, size_t n_outputs);
/* The result of a lease: its envelope's row, or 0. */
int64_t store_result_of_lease(struct store *s, const unsigned char lease[LEASE_ID_BYTES]);
/* Where a result stands: its envelope and the place in it. */
bool store_result_place(struct store *s, int64_t n, int64_t *envelope, int64_t *pos);
typedef void result_fn(void *arg, const struct result_row *row);
void store_task_results(struct store *s, int64_t job, int64_t index, result_fn *fn, void *arg);
/* Everybody whose result for a task of the job was received. */
typedef void worker_row_fn(void *arg, int64_t worker);
void store_each_answerer(struct store *s, int64_t job, worker_row_fn *fn, void *arg);
/* The received ones of a job, in the order they came. */
void store_each_result(struct store *s, int64_t job, result_fn *fn, void *arg);
/* The envelope of the result that stands for a final task with an outcome: the first received one of that outcome.
 * 0: there is none. */
int64_t store_result_that_counts(struct store *s, int64_t job, int64_t index);
void store_void_results(struct store *s, int64_t worker);
/* A task is final: its results' outputs may be seen, and envelopes none of whose tasks is open. */
void store_show_task(struct store *s, int64_t job, int64_t index);

/* --- blobs and uploads -------------------------------------------------------------------- */
struct blob_row {
	int64_t size;
	bool public, inside; /* inside: the bytes are here */
};
bool store_blob(struct store *s, const struct digest *d, struct blob_row *row);
char *store_blob_bytes(
	struct store *s, const struct digest *d, size_t *n); /* yours; NULL: none here */
/* Never takes away what is known: bytes and `public` are only added. */
void store_add_blob(
	struct store *s, const struct digest *d, int64_t size, bool public, const void *bytes);
/* Whether `author` may rely on it: it is public, or the author sent all of it. */
bool store_holds(struct store *s, const struct id *author, const struct digest *d, int64_t *size);

struct upload_row {
	struct digest id, digest;
	struct id author;
	int64_t size;
	bool done;
};
bool store_upload(struct store *s, const struct digest *id, struct upload_row *row);
void store_add_upload(struct store *s, const struct upload_row *row, int64_t now);
/* `public`: anybody may fetch it from now on. */
void store_upload_done(struct store *s, const struct upload_row *row, bool public);
int64_t store_open_uploads(struct store *s, const struct id *author);

/* --- checkpoints that travel -------------------------------------------------------------- */
struct checkpoint_row {
	int64_t index, worker; /* worker: its row */
	network net;
	uint64_t owner, relay;
	struct blob blob;
	bool closed; /* a result came after it: handed on no more */
};
/* In place of an open one of the same worker that was not handed on (else a result may name it). Its author uploaded it:
 * that upload then holds it no more. */
void store_add_checkpoint(struct store *s, int64_t job, const struct id *author, const struct checkpoint_row *row);
/* Blobs of open checkpoints, not handed on, of a task, of one worker's (its row) or, 0, of all: up to max, as many as there are. And of
 * a whole job's. */
size_t store_open_checkpoints(struct store *s, int64_t job, int64_t index, int64_t worker, struct digest *out, size_t max);
size_t store_job_checkpoints(struct store *s, int64_t job, struct digest *out, size_t max);
/* Forget a blob that was uploaded for a checkpoint, was never handed on, and that no open checkpoint and no upload holds;
 * whether it was one. */
bool store_drop_blob(struct store *s, const struct digest *d);
/* The newest open one of the task. */
bool store_newest_checkpoint(struct store *s, int64_t job, int64_t index, struct blob *b, int64_t *worker);
/* Whether it is an open one. */
bool store_has_checkpoint(struct store *s, int64_t job, int64_t index, const struct digest *d);
void store_close_checkpoints(struct store *s, int64_t job, int64_t index);
void store_close_job_checkpoints(struct store *s, int64_t job);
/* The open ones of each task for which this worker wrote one: it is banned, and later ones rest on its. Who wrote them
 * stays known. */
void store_close_checkpoints_of(struct store *s, int64_t worker);
typedef void checkpoint_fn(void *arg, const struct checkpoint_row *row); /* without its blob */
void store_each_checkpoint(struct store *s, int64_t job, checkpoint_fn *fn, void *arg);

/* --- numbers for the status page, read once at start -------------------------------------- */
/* jobs_failed: of those done, the ones with a failed task. */
struct counts {
	int64_t jobs_done, jobs_failed, jobs_cancelled, valid, failed, received, late;
};
void store_counts(struct store *s, struct counts *c);

#endif
