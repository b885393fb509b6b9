/* SPDX-License-Identifier: Apache-2.0
 *
 * evidence.h: why the results of a job are believed: its signed messages, opened and held together.
 *
 *	grid.json            the descriptor: which keys act for the grid      evidence_grid()
 *	job.json             the manifest; the job id is its payload's digest   evidence_job()
 *	tasks.ndjson         the list blob, where tasks come from a list        evidence_list()
 *	sources.ndjson       what its files from other jobs came to             evidence_inputs()
 *	attestations.ndjson  what each worker signed                            evidence_attest()
 *	verdicts.ndjson      what the coordinator found                         evidence_verdict()
 *	     |
 *	     v  evidence_line(): is this verdict right? then the one line that follows from it
 *
 * `results` adds what it fetched, `verify` what it reads from a folder; both then ask for the lines. Nothing
 * here reads a file, a socket or a clock.
 */
#ifndef JOBS_EVIDENCE_H
#define JOBS_EVIDENCE_H

#include "common/grid.h"
#include "common/result.h"
#include "jobs/job_inputs.h"

/* One envelope of results, by the digest of its line. */
struct attested {
	struct digest digest;
	struct results results;
};

struct position {
	struct digest envelope;
	int64_t pos;
};

/* What the verdict says of one task. */
struct judged {
	int64_t index;
	char state[21], class[32], basis[32], why[201];
	struct digest outcome;
	struct position *named; /* first those counted, then dissenting and late ones */
	size_t n_counted, n_named;
	struct id by; /* the coordinator's key */
};

struct evidence {
	bool has_grid, has_job;
	struct grid grid;
	struct job job;
	struct attested *atts;
	size_t n_atts, atts_room;
	bool sorted;
	struct judged **tasks; /* by index, job.count of them; NULL: no verdict */
	int64_t n_judged;
	bool has_inputs; /* sources.ndjson was read: */
	struct inputs inputs;
	char *list;
	size_t list_n;
	size_t *list_at; /* where each line of the list begins; job.count + 1 of them */
};

/* Each takes one envelope line without its newline, in the order above (verdicts and attestations in any).
 * -1 and `e` when it does not hold, belongs to another grid or job, or its author may not say this. */
int evidence_grid(struct evidence *v, const char *line, size_t n, struct err *e);
int evidence_job(struct evidence *v, const char *line, size_t n, struct err *e);
int evidence_list(struct evidence *v, const char *text, size_t n, struct err *e);
int evidence_inputs(struct evidence *v, const char *text, size_t n, struct err *e);
int evidence_attest(struct evidence *v, const char *line, size_t n, struct err *e);
int evidence_verdict(struct evidence *v, const char *line, size_t n, struct err *e);
void evidence_release(struct evidence *v);

/* Judge the verdict on a task by the rules of the job: class, quorum, distinct workers, equal outcomes (of a tolerant
 * job: equal ends; that the outputs agree is tolerance.h's), one platform class where it asks for that, and every envelope
 * that it names is here. ERR_NOT_FOUND: there is no verdict, or an envelope is not here. */
int evidence_check(struct evidence *v, int64_t index, struct err *e);
/* The task's line for results.ndjson (yours), after evidence_check(). */
int evidence_line(struct evidence *v, int64_t index, char **line, struct err *e);
/* The first counted result of a checked task: whose outputs and times are shown. NULL: no outcome. */
const struct result *evidence_result(struct evidence *v, int64_t index);
/* Of a task that failed without an outcome: the last result named that has a standard error, which may say why. Nobody
 * agreed on it. NULL: none. */
const struct result *evidence_last_words(struct evidence *v, int64_t index);
/* The i-th counted result of a task, in the order they came (0: the one above). NULL: there are no more. */
const struct result *evidence_counted(struct evidence *v, int64_t index, size_t i);
/* The text of the list's line for a task (not NUL-terminated). */
const char *evidence_list_line(const struct evidence *v, int64_t index, size_t *n);
/* What the list's line for a task says, or would say: {"name","line","stdin","params"} as far as it has them. NULL
 * with `e` for a broken list. */
json_t *evidence_task(const struct evidence *v, int64_t index, struct err *e) MUST_USE;
/* Whether the task has an outcome: its workers agree, be it on a failure. */
bool evidence_agreed(const struct evidence *v, int64_t index);

#endif
