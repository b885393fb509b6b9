/* SPDX-License-Identifier: Apache-2.0
 *
 * job_inputs.h: inputs that are other jobs' outputs: which jobs are waited for, and what they came to.
 *
 * Once all that a job waits for is done, its coordinator resolves every file that comes `from` another job, once and
 * for ever, to the outputs of the verdicts: the resolution, a public blob, NDJSON, one line a part:
 *	{"name":NAME,"index":N,"blob":BLOB}
 * in the manifest's order of files, and of one file in the order of its source's tasks. Parts of one name follow one
 * another in /in/NAME. It is a function of signed facts alone, so anybody who has these can make it again.
 * Each result names what the task was given by one digest (inputs_digest()).
 */
#ifndef JOBS_JOB_INPUTS_H
#define JOBS_JOB_INPUTS_H

#include "jobs/job.h"

#define INPUTS_PARTS_MAX 4096     /* of all files of a job together */
#define INPUTS_TEXT_MAX (4 * MIB) /* bytes of a resolution */
#define JOB_WAITS_MAX (JOB_AFTER_MAX + JOB_FILES_MAX + 1)

/* What another job must have come to. */
struct job_wait {
	struct digest job;
	bool all; /* all of its tasks are valid; else only those that are named */
};

struct inputs_part {
	size_t file; /* of job->files */
	int64_t index;
	struct blob blob;
};

struct inputs {
	struct inputs_part *parts;
	size_t n, room;
};

/* Whether it has files that come from other jobs. */
bool job_has_sources(const struct job *job);
/* The jobs that it waits for, each once. How many, at most JOB_WAITS_MAX. */
size_t job_waits(const struct job *job, struct job_wait out[JOB_WAITS_MAX]);

void inputs_add(struct inputs *in, size_t file, int64_t index, const struct blob *b);
void inputs_release(struct inputs *in);
/* As text: yours. */
char *inputs_text(const struct inputs *in, const struct job *job, size_t *n) MUST_USE;
/* From text: each file of the job that has a source is there, in order, the right number of parts of it as far as
 * the manifest says that, and all together have at most the job's disk_mib. Release also after -1. */
int inputs_read(
	struct inputs *in, const struct job *job, const char *text, size_t n, struct err *e);
/* Bytes of all parts together. */
int64_t inputs_bytes(const struct inputs *in);
/* The parts of job->files[file]: the first, and how many. */
const struct inputs_part *inputs_of(const struct inputs *in, size_t file, size_t *n);
/* What a task was given: SHA-256 over the lines "talkoot-inputs-v1", then "in/NAME sha256:HEX" a part, in the order
 * of the resolution, then "stdin sha256:HEX" if standard input is another job's output (NULL: it is not), each with
 * its newline. */
struct digest inputs_digest(
	const struct inputs *in, const struct job *job, const struct blob *standard_input);

#endif
