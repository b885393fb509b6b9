/* SPDX-License-Identifier: Apache-2.0
 *
 * result.h: what one worker says about 1 to 64 tasks of one job: an in-toto Statement v1.
 *
 * The outcome digest is what votes: SHA-256 over
 *	talkoot-outcome-v1\n exit N\n signal N\n then, sorted by name, NAME sha256:HEX\n
 * where NAME is "stdout" or "files/PATH". stderr travels and never votes.
 */
#ifndef COMMON_RESULT_H
#define COMMON_RESULT_H

#include "common/msg.h"

#define RESULT_BATCH_MAX 64
#define RESULT_FILES_MAX 64       /* output files a task */
#define RESULT_NAME_MAX 512       /* bytes of "files/PATH" */
#define RESULT_INLINE_MAX 65536   /* bytes of an output that may travel beside the envelope */
#define RESULT_STDERR_MAX 65536   /* the end of stderr that travels */

struct output {
	char *name; /* "stdout" or "files/PATH" */
	struct digest digest, root;
	int64_t size;
};

struct result {
	int64_t index;
	char lease[33];
	struct digest outcome;
	int64_t exit, signal;
	char reason[16]; /* exited signaled cpu wall memory disk output processes policy setup */
	int64_t cpu_ms, wall_ms, rss_kib;
	bool has_stderr;
	struct digest stderr_digest;
	int64_t stderr_size;
	bool has_inherited;
	struct digest inherited; /* the checkpoint that it went on from */
	bool has_inputs; /* it was given other jobs' outputs: */
	struct digest inputs; /* which, see jobs/job_inputs.h */
	struct output *outputs; /* sorted by name; [..] includes stdout */
	size_t n_outputs;
};

struct results {
	struct id job, author;
	struct digest policy;
	char platform[40], platform_class[40], agent[64];
	struct result *items;
	size_t n;
};

struct digest outcome_of(const struct result *r); /* from exit, signal and outputs, which it sorts by name */
/* "exited" and "signaled" vote; limits, policy and setup are attempts. */
bool result_votes(const struct result *r);

/* From an opened MSG_RESULT. Recomputes each outcome; a claimed one that differs is ERR_FIELD. Each index
 * and lease once; every subject belongs to an item and each item has its stdout. */
int results_read(struct results *out, const struct msg *m, struct err *e);
/* Sign. Fills each item's outcome first. The line is yours. */
int results_seal(char **line, struct results *r, const struct id *grid, const struct key *k,
	int64_t now_ms, struct err *e);
void result_add_output(struct result *r, const char *name, const struct digest *d,
	const struct digest *root, int64_t size);
void results_release(struct results *r);

#endif
