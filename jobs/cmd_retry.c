/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_retry.c: `talkoot retry JOB`: a job of the tasks that failed.
 */
#include "jobs/ask_job.h"
#include "jobs/manifest.h"
#include "jobs/retry.h"
#include "jobs/upload.h"

#include "common/log.h"

#include <string.h>

#define LIMIT(name_, where_, max_, argument_, help_)                                               \
	{                                                                                          \
		.name = name_, .kind = KNOB_INT, .where = &(where_), .min = 1, .max = max_,        \
		.argument = argument_, .help = help_                                               \
	}

struct again {
	struct cmd cmd;
	struct retry_options o;
	struct client client;
	struct evidence ev;
	struct retry_tally tally;
	struct manifest manifest;
	char id[DIGEST_HEX + 1], new_id[DIGEST_HEX + 1];
};

static int read_options(struct again *a, int argc, char **argv)
{
	struct retry_options *o = &a->o;
	const struct knob knobs[] = {
		{ .name = "all",
			.kind = KNOB_FLAG,
			.where = &o->all,
			.help = "also tasks on whose failure (exit, signal) their workers agree" },
		LIMIT("cpu", o->cpu_s, 31536000, "S", "processor seconds a task"),
		LIMIT("wall", o->wall_s, 31536000, "S", "seconds a task"),
		LIMIT("memory", o->memory_mib, 1 << 22, "MIB", "memory a task"),
		LIMIT("disk", o->disk_mib, 1 << 22, "MIB", "files a task"),
		LIMIT("max-output", o->output_mib, 65536, "MIB", "outputs a task"),
		LIMIT("threads", o->threads, 1024, "N", "threads a task"),
		LIMIT("processes", o->processes, 4096, "N", "processes a task"),
		LIMIT("max-results", o->max_results, JOB_RESULTS_MAX, "N",
			"results after which a task without agreement failed"),
		LIMIT("max-failures", o->max_failures, JOB_TASKS_MAX, "N",
			"cancel the new job when more tasks failed"),
		{ .name = "priority",
			.kind = KNOB_INT,
			.where = &o->priority,
			.min = -10,
			.max = 10,
			.argument = "N",
			.help = "-10 to 10" },
		{ .name = "name",
			.kind = KNOB_TEXT,
			.where = &o->name,
			.argument = "TEXT",
			.help = "what the new job is called (retry of JOB)" },
		{ .name = NULL },
	};
	const struct cmd_about about = { "retry", "talkoot retry JOB [OPTIONS]",
		"Try the tasks of a job that failed, or were cancelled, again: submit them as a "
		"job and print its id.\n"
		"What is not said stays as it was. `talkoot results JOB --format csv --with "
		"RETRYJOB` shows all rows.",
		CMD_GRID, 1, 1, false };

	*a = (struct again){ .o = { .priority = RETRY_AS_IT_WAS } };
	return cmd_read(&a->cmd, &about, knobs, argc, argv);
}

static int nothing(const struct again *a, struct err *e)
{
	if (!a->tally.agreed)
		return err_set(e, ERR_NOT_FOUND, "retry: job %.12s has no task that failed", a->id);
	return err_set(e, ERR_NOT_FOUND,
		"retry: of the %lld tasks of job %.12s that failed all did so in agreement: the "
	        "program itself ended with "
		"an error, and would again; --all tries them all the same",
		(long long)a->tally.agreed, a->id);
}

/* The old job's manifest with the new list in it. */
static int make(struct again *a, const char *line, struct err *e)
{
	auto_buf struct buf list = { 0 };
	struct job job;
	struct msg m;

	if (retry_list(&a->ev, a->o.all, &list, &a->tally, e))
		return err_wrap(e, "retry: job %.12s", a->id);
	if (!a->tally.chosen)
		return nothing(a, e);
	if (msg_open(&m, line, strlen(line), &a->client.grid.id, e))
		return -1;
	size_t n = list.len;
	json_t *blob = uploads_text(&a->manifest.uploads, buf_take(&list), n);
	a->manifest.fields = retry_fields(&a->ev, m.body, blob, a->tally.chosen, &a->o);
	msg_release(&m);
	if (manifest_check(&a->manifest, &job, e))
		return err_wrap(e, "retry");
	job_release(&job);
	return 0;
}

static int run(struct again *a, struct err *e)
{
	auto_free char *line = NULL;

	if (client_open(&a->client, &a->cmd, e) || client_key(&a->client, &a->cmd, true, e) ||
		client_job_id(&a->client, a->id, a->cmd.conf.words.at[0], e) ||
		ask_manifest(&a->client, a->id, &a->ev, &line, e) ||
		ask_verdicts(&a->client, a->id, &a->ev, e) || make(a, line, e))
		return -1;
	return submit_send(&a->manifest, &a->client, a->new_id, e);
}

int cmd_retry(int argc, char **argv)
{
	static struct again a; /* the texts of its options live as long as the process */
	struct err e;

	int exit_code = read_options(&a, argc, argv);
	if (exit_code >= 0)
		return exit_code;
	exit_code = 0;
	if (run(&a, &e)) {
		exit_code = cmd_fail(&e);
	} else {
		printf("%s\n", a.new_id);
		fflush(stdout);
		if (a.tally.agreed && !a.o.all)
			complain("retry: %lld tasks failed in agreement and are left out; --all "
			         "tries them too",
				(long long)a.tally.agreed);
	}
	manifest_release(&a.manifest);
	evidence_release(&a.ev);
	client_close(&a.client);
	return exit_code;
}
