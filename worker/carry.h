/* SPDX-License-Identifier: Apache-2.0
 *
 * carry.h: jobs that were submitted to this worker, kept until the coordinator has acknowledged them.
 *
 *	DIR/tickets/HEX        a submitter's signed ticket; HEX is the digest of its line, and the upload's id
 *	DIR/tickets/HEX.done   all its bytes are here
 *	DIR/jobs/HEX           a manifest's envelope; HEX is the job's id
 *	DIR/blobs/…            the bytes: a store of its own, with its own quota
 *	DIR/refused/           manifests that the coordinator refused for good, the newest few, for the owner to look at
 *
 * What is answered 202 would survive a power cut. Nothing is acknowledged here: only the coordinator does that.
 * With a job go its tickets, so that the coordinator knows whose bytes they are.
 */
#ifndef WORKER_CARRY_H
#define WORKER_CARRY_H

#include "worker/home.h"
#include "worker/told.h"
#include "common/fetch.h"
#include "common/httpd.h"
#include "common/loop.h"

struct carry_limits {
	int64_t bytes;             /* of all uploads together, as their tickets say */
	int tickets, tickets_each; /* in all, and of one author */
	int jobs, jobs_each;
	int64_t list_bytes; /* of a job's list: it is read at once, twice */
	int refused;        /* files of DIR/refused; the oldest goes */
	int writing; /* uploads under way, with an open file */
	int64_t leave_ms; /* one of these that got nothing for so long makes room: what it has must then be hashed anew */
	int64_t unfinished_ms,
		idle_ms; /* a ticket without all its bytes, or that no job uses, is dropped after this */
};
extern const struct carry_limits carry_defaults;

/* Pure: whether one more may come where `all` and `of_author` are here already. -1: ERR_FULL or ERR_RATE. */
int carry_admit_ticket(const struct carry_limits *l, int64_t bytes_now, int64_t size, int all,
	int of_author, struct err *e);
int carry_admit_job(const struct carry_limits *l, int all, int of_author, struct err *e);

struct carry;

struct carry_fns {
	/* A manifest was taken: announce it. */
	void (*taken)(void *arg, const char *line, const struct digest *job);
	/* One was refused for good. `line`: the digest of its envelope. */
	void (*refused)(void *arg, const struct digest *line);
	void *arg;
};

/* Takes up what is there. All but `dir`, `limits` and `fns` is borrowed and outlives it. */
int carry_open(struct carry **out, const char *dir, const struct carry_limits *limits,
	struct loop *l, struct fetcher *f, struct home *h, const struct carry_fns *fns,
	struct err *e);
void carry_close(struct carry *c);
size_t carry_count(const struct carry *c); /* jobs that wait */
/* The coordinator was heard from: deliver now. */
void carry_hurry(struct carry *c);
void carry_each(void *carry, told_fn *fn, void *arg);
/* The manifest's envelope; NULL: not carried. Yours. */
char *carry_manifest(struct carry *c, const struct digest *job);

/* --- the peer port's half (carry_in.c): as at the coordinator, but 202 for a job --------------------------- */
void carry_message(struct carry *c, const struct id *self, struct req *r);
void carry_upload_post(struct carry *c, struct req *r);
void carry_upload_head(struct carry *c, struct req *r);
void carry_upload_patch(struct carry *c, struct req *r);

#endif
