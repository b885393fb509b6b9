/* SPDX-License-Identifier: Apache-2.0
 *
 * carry_in.h: what carry_in.c (taking), carry.c, carry_tickets.c, carry_jobs.c (keeping) and carry_out.c (delivering) share;
 * nobody else includes it.
 */
#ifndef WORKER_CARRY_IN_H
#define WORKER_CARRY_IN_H

#include "worker/carry.h"
#include "common/blob.h"
#include "common/ticket.h"
#include "jobs/job.h"

#define CARRY_TICKET_MAX (16 * KIB)
#define CARRY_JOB_MAX (128 * KIB) /* a manifest's envelope */

struct ticket {
	struct ticket_said says;
	int64_t since_ms; /* it came, or bytes for it did */
	bool done;
	struct blob_in *in; /* NULL: not being written now */
	struct ticket *next;
};

/* A job on its way to the coordinator. */
struct parcel {
	struct digest id, line_digest;
	struct id submitter;
	char name[201];
	int64_t count, since_ms;
	struct blob *needs; /* by digest, ascending */
	size_t n_needs, room, sent;
	struct parcel *next;
};

struct carry {
	char *dir;
	struct carry_limits limits;
	struct blobs *blobs;
	struct loop *loop;
	struct fetcher *fetcher;
	struct home *home;
	struct carry_fns fns;
	struct ticket *tickets;
	struct parcel *parcels; /* oldest first */
	struct timer *timer;
	struct fetch *fetch;
	struct tus *tus;
	int fd; /* of the upload; -1 */
	unsigned turn;
	int tries, writing; /* writing: tickets with `in` */
	uint64_t seed;
};

/* --- carry_tickets.c -------------------------------------------------------------------------------------- */
struct ticket *carry_ticket(struct carry *c, const struct digest *id);
/* The finished ticket of this author for this blob, or NULL. */
struct ticket *carry_held(struct carry *c, const struct id *author, const struct blob *b);
/* The finished tickets of an author, sorted: a list asks for many. Valid until a ticket is dropped or comes. */
struct holdings {
	const struct ticket **at;
	size_t n, room;
};
void holdings_read(struct holdings *h, const struct carry *c, const struct id *author);
bool holdings_have(const struct holdings *h, const struct blob *b);
void holdings_release(struct holdings *h);
/* Keep a new ticket, durably. */
struct ticket *carry_keep_ticket(
	struct carry *c, const struct ticket *t, const char *line, size_t n, struct err *e);
int carry_ticket_done(struct carry *c, struct ticket *t, struct err *e);
void carry_drop_ticket(struct carry *c, struct ticket *t);
/* Drop the tickets that no job uses and that are too old. */
void carry_sweep(struct carry *c);
/* Take up what the file of that name says; let go of all at the end. */
void carry_take_ticket(struct carry *c, const char *name);
void carry_leave_tickets(struct carry *c);

/* --- carry_jobs.c ----------------------------------------------------------------------------------------- */
/* Take up what the file of that name says. */
void carry_take_job(struct carry *c, const char *name);
/* Keep a job whose blobs are all here, durably, and begin to deliver. Steals *job. */
int carry_keep_job(struct carry *c, struct job *job, const char *line, struct err *e);
bool carry_has_job(const struct carry *c, const struct digest *id);
int carry_jobs_of(const struct carry *c, const struct id *author, int *all);
/* Calls fn for every blob of the job, its list's too. */
int carry_each_blob(struct carry *c, const struct job *job,
	int (*fn)(void *arg, const struct blob *b, const char *what), void *arg, struct err *e);

bool carry_uses(const struct carry *c, const struct ticket *t); /* some job here needs its bytes */
void parcel_free(struct parcel *p);

/* --- carry.c ---------------------------------------------------------------------------------------------- */
/* DIR/FOLDER/HEX[SUFFIX]. Yours; and: remove that file. */
char *carry_path(const struct carry *c, const char *folder, const struct digest *id,
	const char *suffix) MUST_USE;
void carry_forget(
	const struct carry *c, const char *folder, const struct digest *id, const char *suffix);

/* Remove the oldest of DIR/refused until no more are there than are kept. */
void carry_bound_refused(const struct carry *c);

/* carry_out.c: the timer's: the next step of delivering. */
void carry_next(void *carry);

#endif
