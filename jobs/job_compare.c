/* SPDX-License-Identifier: Apache-2.0
 *
 * job_compare.c: how a job's outputs are compared: one way for all, and others for those that match a glob.
 */
#include "jobs/glob.h"
#include "jobs/job.h"

#include <stdlib.h>
#include <string.h>

static int read_by(struct job *job, const json_t *by, struct err *e)
{
	json_t *j;
	size_t i;

	job->compare_by = xcalloc(json_array_size(by), sizeof(*job->compare_by));
	json_array_foreach(by, i, j) {
		struct job_compare *c = &job->compare_by[job->n_compare_by++];

		snprintf(c->glob, sizeof(c->glob), "%s", jtext(j, "glob"));
		if (compare_parse(&c->how, jtext(j, "how"), "compare_by", e))
			return -1;
	}
	return 0;
}

static bool asks_program(const struct job *job)
{
	bool any = job->compare.kind == COMPARE_PROGRAM;

	for (size_t i = 0; i < job->n_compare_by; i++)
		any |= job->compare_by[i].how.kind == COMPARE_PROGRAM;
	return any;
}

int job_read_compare(struct job *job, const json_t *m, struct err *e)
{
	const json_t *program = json_object_get(m, "comparator");

	if (compare_parse(&job->compare, jtext(m, "compare"), "compare", e) ||
		read_by(job, json_object_get(m, "compare_by"), e))
		return -1;
	job->has_comparator = program != NULL;
	if (asks_program(job) != job->has_comparator)
		return err_field(e, "comparator",
			program ? "is there, but nothing is compared by a program"
				: "is missing: outputs are to be compared by a program");
	return program ? job_read_program(&job->comparator, program, "comparator", false, e) : 0;
}

const struct comparison *job_comparison(const struct job *job, const char *output)
{
	for (size_t i = 0; i < job->n_compare_by; i++)
		if (glob_matches(job->compare_by[i].glob, output))
			return &job->compare_by[i].how;
	return &job->compare;
}

bool job_tolerant(const struct job *job)
{
	bool any = job->compare.kind != COMPARE_EXACT;

	for (size_t i = 0; i < job->n_compare_by; i++)
		any |= job->compare_by[i].how.kind != COMPARE_EXACT;
	return any;
}
