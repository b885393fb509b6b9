/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_submit.c: `talkoot submit`: options to manifest, a try here, uploads, the job, and the wait for it.
 */
#include "jobs/await.h"
#include "jobs/boxrun.h"
#include "jobs/harvest.h"
#include "jobs/job_inputs.h"
#include "jobs/manifest.h"
#include "jobs/ref.h"
#include "jobs/upload.h"

#include "common/log.h"

#include <stdlib.h>
#include <string.h>

#define TRY_SHOW 2000 /* bytes of stderr */

struct submit {
	struct cmd cmd;
	struct manifest_options options;
	struct manifest manifest;
	bool try, dry_run, wait;
	const char *output;
	struct client client;
	bool opened; /* the client */
	struct job_finder finder;
	char id[DIGEST_HEX + 1];
};

/* --- the options ----------------------------------------------------------------------------- */
#define INT(name_, where_, min_, max_, argument_, help_)                                           \
	{ .name = name_, .kind = KNOB_INT, .where = &(where_), .min = min_, .max = max_,           \
		.argument = argument_, .help = help_ }
#define TEXT(name_, where_, argument_, help_)                                                      \
	{ .name = name_, .kind = KNOB_TEXT, .where = &(where_), .argument = argument_, .help = help_ }
#define TEXTS(name_, where_, argument_, help_)                                                     \
	{ .name = name_, .kind = KNOB_TEXTS, .where = &(where_), .argument = argument_,            \
		.help = help_ }
#define FLAG(name_, where_, help_)                                                                 \
	{ .name = name_, .kind = KNOB_FLAG, .where = &(where_), .help = help_ }

static int read_options(struct submit *s, int argc, char **argv)
{
	struct manifest_options *o = &s->options;
	const struct knob knobs[] = {
		INT("range", o->tasks.range, 1, JOB_TASKS_MAX, "N", "N tasks; {index} is 0 to N-1"),
		{ .name = "each", .kind = KNOB_WORDS, .where = &o->tasks.each, .argument = "FILE...",
			.help = "a task a file, on its standard input; {name}; or JOB/*/FILE: a task for each of its tasks", .command_line_only = true },
		TEXT("lines", o->tasks.lines, "FILE", "a task a line, on its standard input; {line}"),
		TEXTS("param", o->tasks.params, "K=V", "k=a,b,c or k=1..100 or k=0..1:0.1; {k}; repeat for the product"),
		TEXT("table", o->tasks.table, "FILE.csv", "a task a row; {column}"),
		TEXTS("file", o->files, "NAME=PATH", "a file that every task reads as /in/NAME; or JOB/INDEX/FILE, JOB/*/FILE"),
		TEXTS("after", o->after, "JOB", "begin when that job is done"),
		TEXTS("local", o->local, "NAME", "a dataset of the volunteers': /in/NAME; a task a worker that has it"),
		TEXTS("outputs", o->outputs, "GLOB", "files below /out that are results"),
		{ .name = "profile", .kind = KNOB_CHOICE, .where = &o->profile, .argument = "WORD",
			.help = "compute; files where --file or --outputs ask for it; image with --image", .choices = "compute|files|image" },
		TEXT("bits", o->bits, "WORD,...", "jit (memory that was written may be executed), proc (a masked /proc): where the volunteer allows it"),
		TEXT("image", o->image, "FILE", "a root file system: OCI image (tar or folder), docker save, or tar; PROGRAM is in it"),
		TEXTS("env", o->env, "NAME=VALUE", "with --image: one more in its environment"),
		TEXT("workdir", o->workdir, "DIR", "with --image: where its program starts (as the image says, or /)"),
		TEXT("assurance", o->assurance, "CLASS", "how a result comes to be believed (quorum:2)"),
		INT("quorum", o->quorum, 1, JOB_QUORUM_MAX, "N", "the same as --assurance quorum:N"),
		INT("max-results", o->max_results, 1, JOB_RESULTS_MAX, "N", "results after which a task without agreement failed (quorum + 4)"),
		TEXTS("compare", o->compare, "[GLOB=]HOW", "exact, numeric:rtol=R,atol=A or program:FILE (exact); for outputs that match GLOB"),
		{ .name = "class", .kind = KNOB_CHOICE, .where = &o->platform_class, .argument = "any|same",
			.help = "same: all copies of a task on one platform and class (any)", .choices = "any|same" },
		INT("cpu", o->cpu_s, 1, 31536000, "S", "processor seconds a task (3600)"),
		INT("wall", o->wall_s, 1, 31536000, "S", "seconds a task (7200)"),
		INT("memory", o->memory_mib, 1, 1 << 22, "MIB", "memory a task (512)"),
		INT("disk", o->disk_mib, 1, 1 << 22, "MIB", "files a task (256)"),
		INT("max-output", o->output_mib, 1, 65536, "MIB", "outputs a task (64)"),
		INT("threads", o->threads, 1, 1024, "N", "threads a task (1)"),
		INT("processes", o->processes, 1, 4096, "N", "processes a task (32)"),
		{ .name = "deterministic", .kind = KNOB_CHOICE, .where = &o->deterministic, .argument = "on|off",
			.help = "pin what could make honest machines differ (on)", .choices = "on|off" },
		{ .name = "checkpoint", .kind = KNOB_CHOICE, .where = &o->checkpoint, .argument = "none|local|travels",
			.help = "what the task writes to /out/checkpoint comes back as /in/checkpoint: on the same worker, or any (none)",
			.choices = "none|local|travels" },
		TEXT("name", o->name, "TEXT", "what the job is called"),
		INT("priority", o->priority, -10, 10, "N", "-10 to 10 (0)"),
		INT("max-failures", o->max_failures, 1, JOB_TASKS_MAX, "N", "cancel the job when more tasks failed"),
		FLAG("try", s->try, "run task 0 here in the box first"),
		FLAG("dry-run", s->dry_run, "print the manifest and do nothing"),
		FLAG("wait", s->wait, "wait until the job is over"),
		{ .name = "output", .letter = 'o', .kind = KNOB_TEXT, .where = &s->output, .argument = "DIR",
			.help = "with --wait: fetch the results into DIR" },
		{ .name = NULL },
	};
	const struct cmd_about about = { "submit",
		"talkoot submit [OPTIONS] -- PROGRAM [ARG…]\n       talkoot submit [OPTIONS] MANIFEST.json",
		"Submit a job and print its id. PROGRAM is a static executable, or with --image a path in the image (left\n"
		"out: what the image says that it runs); in each ARG {index}, {name}, {line}\n"
		"and names of parameters or columns are replaced. Without a source of tasks the job has one.",
		CMD_GRID, 0, 1, true };

	*s = (struct submit){ .options = manifest_defaults };
	return cmd_read(&s->cmd, &about, knobs, argc, argv);
}

/* A manifest file says all of it: an option beside it would be ignored, so it is refused. */
static int check_manifest_alone(const struct submit *s, struct err *e)
{
	const char *mine = (const char *)&s->options, *unset = (const char *)&manifest_defaults;

	for (const struct knob *k = s->cmd.knobs; k->name; k++) {
		size_t at = (size_t)((const char *)k->where - mine);
		size_t n = k->kind == KNOB_INT ? sizeof(int64_t)
			: k->kind == KNOB_TEXTS || k->kind == KNOB_WORDS ? sizeof(struct texts)
									 : sizeof(const char *);

		if (at < sizeof(s->options) && memcmp(mine + at, unset + at, n) != 0)
			return err_set(e, ERR_USAGE, "submit: --%s: the manifest file says it already: change it there",
				k->name);
	}
	return 0;
}

static int check_form(const struct submit *s, struct err *e)
{
	const struct conf *c = &s->cmd.conf;

	if (s->output && !s->wait)
		return err_set(e, ERR_USAGE, "--output: needs --wait (or use `talkoot results` later)");
	if (c->has_rest && c->words.n)
		return err_set(e, ERR_USAGE, "submit: %.100s: unexpected before `--`", c->words.at[0]);
	if (s->options.image && !c->has_rest && !c->words.n)
		return 0;
	if (c->has_rest ? !c->rest.n || !*c->rest.at[0] : !c->words.n)
		return err_set(e, ERR_USAGE, "submit: which program? say `-- PROGRAM [ARG…]` or MANIFEST.json "
					     "(see talkoot submit --help)");
	return c->has_rest ? 0 : check_manifest_alone(s, e);
}

/* --- steps ----------------------------------------------------------------------------------- */
/* The list of tasks, where it is ours as text; else NULL. */
static const char *list_text(const struct submit *s, const struct job *job, size_t *n)
{
	const struct uploads *up = &s->manifest.uploads;

	for (size_t i = 0; job->tasks == TASKS_LIST && i < up->n; i++)
		if (up->at[i].text && digest_equal(&up->at[i].blob.digest, &job->list.digest)) {
			*n = (size_t)up->at[i].blob.size;
			return up->at[i].text;
		}
	return NULL;
}

static int any_blob(void *arg, const struct blob *b, const char *what)
{
	(void)arg, (void)b, (void)what;
	return 0;
}

static int open_client(struct submit *s, struct err *e)
{
	if (s->opened)
		return 0;
	s->opened = true;
	return client_open(&s->client, &s->cmd, e);
}

/* The grid is asked only for what a whole id does not say. */
static int find_job(void *arg, const char *prefix, char id[DIGEST_HEX + 1], int64_t *count, struct err *e)
{
	struct submit *s = arg;
	bool whole = strlen(prefix) == DIGEST_HEX && id_is_prefix(prefix);

	if ((count || !whole) && open_client(s, e))
		return -1;
	if (client_job_id(&s->client, id, prefix, e))
		return -1;
	if (!count)
		return 0;
	auto_free char *path = xprintf("/v1/jobs/%s", id);
	auto_json json_t *job = client_get(&s->client, path, e);
	*count = jint(job, "count", 0);
	return job ? 0 : -1;
}

static int prepare(struct submit *s, struct job *job, struct err *e)
{
	const struct conf *c = &s->cmd.conf;
	size_t n = 0;

	if (check_form(s, e))
		return -1;
	if (!c->words.n ? manifest_make(&s->manifest, &s->options, &c->rest, e)
			: manifest_load(&s->manifest, c->words.at[0], e))
		return -1;
	if (manifest_check(&s->manifest, job, e))
		return -1;
	const char *list = list_text(s, job, &n);
	if (!list || !job_each_list_blob(job, list, n, any_blob, NULL, e))
		return 0;
	e->code = ERR_USAGE;
	return -1;
}

static char *find_local(void *arg, const struct blob *b, struct err *e)
{
	const char *path = manifest_path(arg, &b->digest);

	if (path)
		return xstrdup(path);
	err_set(e, ERR_UNKNOWN_BLOB, "--try: an input is not here as a file");
	return NULL;
}

/* Line by line, each made safe for a terminal. */
static void show_stderr(const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		auto_free char *line = text_safe(text, n);

		fprintf(stderr, "  | %s\n", line);
		text += n + (text[n] == '\n');
	}
}

static int judge_try(const struct boxrun *b, struct err *e)
{
	const struct result *r = &b->result;
	size_t from = b->stderr_n > TRY_SHOW ? b->stderr_n - TRY_SHOW : 0;

	if (result_votes(r) && r->exit == 0 && r->signal == 0)
		return 0;
	show_stderr(b->stderr_text + from);
	if (!result_votes(r))
		return err_set(e, ERR_PROGRAM, "--try: task 0 was ended by its limit: %s; nothing was submitted",
			r->reason);
	if (r->signal)
		return err_set(e, ERR_PROGRAM, "--try: task 0 was killed by signal %lld; nothing was submitted",
			(long long)r->signal);
	return err_set(e, ERR_PROGRAM, "--try: task 0 failed with exit %lld; nothing was submitted",
		(long long)r->exit);
}

/* Run task 0 in the box here. */
static int try_here(struct submit *s, const struct job *job, struct err *e)
{
	struct boxrun b = { .job = job, .find = find_local, .arg = &s->manifest };
	struct job_task task;
	size_t n = 0;

	const char *list = list_text(s, job, &n);
	if (job_has_sources(job) || job->tasks == TASKS_EACH)
		return err_set(e, ERR_USAGE, "--try: its inputs are outputs of other jobs, which are not here");
	if (job->n_local)
		return err_set(e, ERR_USAGE, "--try: the data %s is with the volunteers", job->local[0]);
	if (job->tasks == TASKS_LIST && !list)
		return err_set(e, ERR_UNKNOWN_BLOB, "--try: the list of tasks is not here as text");
	if (job_task(&task, job, 0, list, n, e))
		return err_wrap(e, "--try");
	b.task = &task;
	int bad = boxrun(&b, e);
	if (bad)
		err_wrap(e, "--try");
	else
		bad = judge_try(&b, e);
	job_task_release(&task);
	boxrun_release(&b);
	return bad;
}

/* After --wait: the exit code. */
static int wait_here(struct submit *s, struct err *e)
{
	struct harvest_tally tally;
	json_t *job = NULL;

	if (client_on_interrupt(&s->client, e) || await_job(&s->client, s->id, &job, e)) {
		json_decref(job);
		if (e->code != ERR_CANCELLED)
			return cmd_fail(e);
		await_left(s->id);
		return 1;
	}
	auto_free char *counts = job_counts(job);
	int exit_code = await_exit(job);
	if (exit_code)
		complain("job %.12s is %s: %s", s->id, jtext(job, "state"), counts);
	await_failed(s->id, job);
	json_decref(job);
	if (s->output && harvest(&s->client, s->id, s->output, &tally, e))
		return cmd_fail(e);
	return exit_code;
}

static int show_manifest(const struct manifest *m)
{
	struct err e;
	json_t *j = manifest_show(m, &e);

	if (!j)
		return cmd_fail(&e);
	json_dumpf(j, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(j);
	return 0;
}

int cmd_submit(int argc, char **argv)
{
	static struct submit s; /* the texts of its options live as long as the process */
	struct job job = { 0 };
	struct err e;

	int exit_code = read_options(&s, argc, argv);
	if (exit_code >= 0)
		return exit_code;
	exit_code = 0;
	s.finder = (struct job_finder){ find_job, &s };
	s.options.tasks.finder = &s.finder;
	if (prepare(&s, &job, &e)) {
		exit_code = cmd_fail(&e);
	} else if (s.dry_run) {
		exit_code = show_manifest(&s.manifest);
	} else if (open_client(&s, &e) || client_key(&s.client, &s.cmd, true, &e) ||
		(s.output && harvest_claim(s.output, &e)) || (s.try && try_here(&s, &job, &e)) ||
		submit_send(&s.manifest, &s.client, s.id, &e)) {
		exit_code = cmd_fail(&e);
	} else {
		printf("%s\n", s.id);
		fflush(stdout);
		if (s.client.carried)
			complain("the coordinator is silent: the worker %s:%u carries the job and delivers it; it is not "
				 "acknowledged yet",
				s.client.to.host, (unsigned)s.client.to.port);
		if (s.wait)
			exit_code = wait_here(&s, &e);
	}
	job_release(&job);
	manifest_release(&s.manifest);
	client_close(&s.client);
	return exit_code;
}
