/* SPDX-License-Identifier: Apache-2.0
 *
 * terms.h: the volunteer's terms: whose jobs, in which profiles, with which optional bits.
 *
 * They are told to the coordinator with each ask, so that nothing else is leased, and are held to here all the
 * same: what comes nevertheless is given back unrun.
 */
#ifndef WORKER_TERMS_H
#define WORKER_TERMS_H

#include "common/conf.h"
#include "jobs/job.h"

#define TERMS_SUBMITTERS_MAX 64 /* what an ask can list */

struct terms {
	unsigned profiles; /* 1 << enum job_profile */
	unsigned bits;     /* JOB_BIT_… */
	struct id submitters[TERMS_SUBMITTERS_MAX];
	size_t n_submitters; /* 0: any */
};

/* From --submitters (each `any`, or keys with commas between them; none: any), --profiles (words with commas; NULL:
 * all) and --bits (words with commas; NULL: none). Says which flag and which word is wrong. */
int terms_read(struct terms *t, const struct texts *submitters, const char *profiles, const char *bits, struct err *e);

/* 0, or ERR_REFUSED and which of the terms forbids it. */
int terms_check(const struct terms *t, const struct job *job, struct err *e);

#endif
