/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_read.c: the commands that ask the grid and show what it says: jobs, status, wait, workers, grid; and cancel.
 *
 * Texts in answers come from strangers: text_safe() before a terminal sees them.
 */
#include "jobs/await.h"

#include "common/clock.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIST_MAX 1000000 /* jobs or workers shown by one command */
#define SHORT_ID 12

/* Open the grid, with our key where there is one. -1: go on; else the exit code. */
static int open_grid(struct cmd *cmd, struct client *c, const struct cmd_about *about,
	const struct knob *own, bool make_key, int argc, char **argv)
{
	struct err e;
	int exit_code = cmd_read(cmd, about, own, argc, argv);

	*c = (struct client){ 0 };
	if (exit_code >= 0)
		return exit_code;
	if (!client_open(c, cmd, &e) && !client_key(c, cmd, make_key, &e))
		return -1;
	client_close(c);
	return cmd_fail(&e);
}

static char *safe(const json_t *o, const char *name)
{
	const char *text = jtext(o, name);

	return text_safe(text, strlen(text));
}

static void print_time(const char *label, int64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;
	char text[32];

	if (ms > 0 && localtime_r(&t, &tm) && strftime(text, sizeof(text), "%F %T", &tm))
		printf("%-12s%s\n", label, text);
}

static void print_text(const char *label, const json_t *o, const char *name)
{
	auto_free char *text = safe(o, name);

	if (*text)
		printf("%-12s%s\n", label, text);
}

/* What a worker tells while the coordinator is silent has an age. */
static void print_age(const json_t *o)
{
	int64_t age_s = jint(o, "age_ms", -1) / 1000;

	if (json_object_get(o, "age_ms"))
		printf("%-12s%lld s ago\n", "known", (long long)age_s);
}

/* --- jobs, workers ---------------------------------------------------------------------------- */
/* All that /v1/NAME lists, a row each. */
static int show_list(int argc, char **argv, const struct cmd_about *about, const char *name, void (*print)(const json_t *o))
{
	auto_free char *path = xprintf("/v1/%s?limit=1000", name);
	struct client c;
	static struct cmd cmd;
	struct err e;
	json_t *one;
	size_t i;

	int exit_code = open_grid(&cmd, &c, about, NULL, false, argc, argv);
	if (exit_code >= 0)
		return exit_code;
	json_t *all = client_get_all(&c, path, name, LIST_MAX, &e);
	client_close(&c);
	if (!all)
		return cmd_fail(&e);
	if (cmd.json)
		return cmd_print_json(json_pack("{s:o}", name, all));
	json_array_foreach(all, i, one)
		print(one);
	json_decref(all);
	return 0;
}

static void print_job_row(const json_t *job)
{
	auto_free char *id = safe(job, "id"), *state = safe(job, "state"), *name = safe(job, "name"),
		       *counts = job_counts(job);

	printf("%.*s  %-9s  %s%s%s", SHORT_ID, id, state, counts, *name ? "  " : "", name);
	if (json_array_size(json_object_get(job, "local")))
		printf("  (local: each result is one worker's word)");
	if (json_object_get(job, "age_ms"))
		printf("  (known %lld s ago)", (long long)jint(job, "age_ms", 0) / 1000);
	putchar('\n');
}

int cmd_jobs(int argc, char **argv)
{
	const struct cmd_about about = { "jobs", "talkoot jobs [--json]", "List the grid's jobs.", CMD_READING, 0, 0, false };

	return show_list(argc, argv, &about, "jobs", print_job_row);
}

static void print_worker_row(const json_t *w)
{
	auto_free char *id = safe(w, "id"), *platform = safe(w, "platform");

	printf("%.*s  %-7s  %3lld slots  %s\n", SHORT_ID, id, jbool(w, "online", false) ? "online" : "away",
		(long long)jint(w, "slots", 0), platform);
}

int cmd_workers(int argc, char **argv)
{
	const struct cmd_about about = { "workers", "talkoot workers [--json]", "List who works here.", CMD_READING, 0, 0, false };

	return show_list(argc, argv, &about, "workers", print_worker_row);
}

/* --- status ---------------------------------------------------------------------------------- */
/* Data of the workers' own: nobody else can check what is made of it. */
static void print_local(const json_t *job)
{
	json_t *name;
	size_t i;

	json_array_foreach(json_object_get(job, "local"), i, name) {
		const char *text = json_string_value(name) ? json_string_value(name) : "";
		auto_free char *shown = text_safe(text, strlen(text));

		printf("%-12s%s (each result is one worker's word)\n", "local", shown);
	}
}

static void print_job(const json_t *job)
{
	auto_free char *counts = job_counts(job), *waiting = safe(job, "waiting"),
		       *lacking = safe(job, "lacking");

	print_text("job", job, "id");
	print_text("name", job, "name");
	print_text("state", job, "state");
	printf("%-12s%lld%s%s\n", "tasks", (long long)jint(job, "count", 0), *counts ? ": " : "",
		counts);
	print_text("assurance", job, "assurance");
	print_local(job);
	print_text("submitter", job, "submitter");
	print_time("submitted", jint(job, "submitted", 0));
	print_time("finished", jint(job, "finished", 0));
	print_age(job);
	if (*waiting)
		printf("waiting: %s\n", waiting);
	if (*lacking)
		printf("         %s\n", lacking);
}

/* Of its job a task says nothing itself; what its results rest on is said beside them all the same. */
static void add_jobs_local(struct client *c, const char *id, json_t *task)
{
	struct err e;
	json_t *job = client_job(c, id, &e), *local = json_object_get(job, "local");

	if (local)
		json_object_set(task, "local", local);
	json_decref(job);
}

static void print_result(const json_t *r)
{
	auto_free char *worker = safe(r, "worker"), *outcome = safe(r, "outcome"),
		       *reason = safe(r, "reason"), *lease = safe(r, "lease_state");

	printf("  worker %.*s  %s", SHORT_ID, worker, reason);
	if (jint(r, "signal", 0))
		printf(" by signal %lld", (long long)jint(r, "signal", 0));
	else
		printf(" %lld", (long long)jint(r, "exit", 0));
	printf("  cpu %.3f s  wall %.3f s  outcome %.19s  %s\n",
		(double)jint(r, "cpu_ms", 0) / 1000, (double)jint(r, "wall_ms", 0) / 1000, outcome,
		lease);
}

/* stderr line by line, each made safe. */
static void print_stderr(const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		auto_free char *line = text_safe(text, n);

		printf("  | %s\n", line);
		text += n + (text[n] == '\n');
	}
}

static void print_task(const json_t *task)
{
	json_t *r;
	size_t i;

	printf("%-12s%lld\n", "task", (long long)jint(task, "index", 0));
	print_text("state", task, "state");
	print_local(task);
	if (strspn(jtext(task, "outcome"), "sha256:0") != strlen(jtext(task, "outcome")))
		print_text("outcome", task, "outcome"); /* all zeros: there is none yet */
	print_text("why", task, "why");
	json_array_foreach(json_object_get(task, "results"), i, r)
		print_result(r);
	const char *text = jtext(task, "stderr");
	if (*text) {
		puts("end of stderr:");
		print_stderr(text);
	}
}

int cmd_status(int argc, char **argv)
{
	int64_t index = -1;
	const struct knob knobs[] = {
		{ .name = "task",
			.kind = KNOB_INT,
			.where = &index,
			.argument = "N",
			.max = 1048575,
			.help = "one task's story and the end of its stderr (your own jobs)" },
		{ .name = NULL },
	};
	const struct cmd_about about = { "status", "talkoot status JOB [--task N] [--json]",
		"Show how a job stands. JOB is its id or 8 and more digits of it.", CMD_READING, 1,
		1, false };
	char id[DIGEST_HEX + 1];
	struct client c;
	static struct cmd cmd;
	struct err e;
	json_t *j = NULL;

	int exit_code = open_grid(&cmd, &c, &about, knobs, false, argc, argv);
	if (exit_code >= 0)
		return exit_code;
	if (!client_job_id(&c, id, cmd.conf.words.at[0], &e)) {
		if (index < 0)
			j = client_job(&c, id, &e);
		else if (c.key)
			j = client_query(&c, "task", id, index, &e);
		else
			err_set(&e, ERR_REFUSED,
				"status --task: only the job's submitter may ask, and there is no "
				"identity here");
	}
	if (j && index >= 0)
		add_jobs_local(&c, id, j);
	client_close(&c);
	if (!j) {
		if (index >= 0 && e.code == ERR_FIELD)
			err_wrap(&e, "--task %lld of job %.12s", (long long)index, id);
		return cmd_fail(&e);
	}
	if (cmd.json)
		return cmd_print_json(j);
	(index < 0 ? print_job : print_task)(j);
	json_decref(j);
	return 0;
}

/* --- wait ------------------------------------------------------------------------------------ */
int cmd_wait(int argc, char **argv)
{
	const struct cmd_about about = { "wait", "talkoot wait JOB [--json]",
		"Wait until a job is over. Exit 0 when every task is valid, 1 when any failed or "
		"it was cancelled.",
		CMD_READING, 1, 1, false };
	char id[DIGEST_HEX + 1] = "";
	struct client c;
	static struct cmd cmd;
	struct err e;
	json_t *job = NULL;

	int exit_code = open_grid(&cmd, &c, &about, NULL, false, argc, argv);
	if (exit_code >= 0)
		return exit_code;
	int bad = client_on_interrupt(&c, &e) || client_job_id(&c, id, cmd.conf.words.at[0], &e) ||
	          await_job(&c, id, &job, &e);
	client_close(&c);
	if (bad) {
		json_decref(job);
		if (e.code != ERR_CANCELLED || !*id)
			return cmd_fail(&e);
		await_left(id);
		return 1;
	}
	exit_code = await_exit(job);
	await_failed(id, job);
	if (cmd.json) {
		cmd_print_json(job);
		return exit_code;
	}
	auto_free char *counts = job_counts(job), *state = safe(job, "state");
	printf("%s: %s\n", state, counts);
	json_decref(job);
	return exit_code;
}

/* --- cancel ---------------------------------------------------------------------------------- */
static int send_cancel(struct client *c, const char *id, struct err *e)
{
	json_t *j = msg_new(MSG_CANCEL, &c->grid.id, key_id(c->key), clock_now_ms());
	auto_free char *line = NULL;

	json_object_set_new(j, "job", json_string(id));
	return msg_seal(&line, j, NULL, c->key, e) ? -1 : client_send(c, line, e);
}

int cmd_cancel(int argc, char **argv)
{
	const struct cmd_about about = { "cancel", "talkoot cancel JOB",
		"Cancel a job of yours. What is final stays.", CMD_GRID, 1, 1, false };
	char id[DIGEST_HEX + 1];
	struct client c;
	static struct cmd cmd;
	struct err e;

	int exit_code = open_grid(&cmd, &c, &about, NULL, true, argc, argv);
	if (exit_code >= 0)
		return exit_code;
	int bad = client_job_id(&c, id, cmd.conf.words.at[0], &e) || send_cancel(&c, id, &e);
	client_close(&c);
	return bad ? cmd_fail(&e) : 0;
}

/* --- grid ------------------------------------------------------------------------------------ */
/* The descriptor's own fields, and the link that reached it. */
static json_t *describe(const struct client *c, struct err *e)
{
	static const char *const fields[] = { "serial", "expires", "name", "about", "contact",
		"keys", "protocols", "features", "addresses", "revoked" };
	char link[LINK_TEXT_MAX + 1], hex[ID_TEXT + 1];
	struct msg m;

	if (msg_open(&m, c->grid_line, strlen(c->grid_line), &c->grid.id, e))
		return NULL;
	id_text(hex, &c->grid.id);
	link_text(link, &c->to);
	json_t *j = json_pack("{s:s, s:s}", "grid", hex, "link", link);
	if (c->relayed) {
		link_text(link, &c->via);
		json_object_set_new(j, "via", json_string(link));
	}
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		json_object_set(j, fields[i], json_object_get(m.body, fields[i]));
	msg_release(&m);
	return j;
}

static void print_grid(const json_t *j)
{
	json_t *item, *role;
	size_t i, k;

	print_text("grid", j, "grid");
	print_text("link", j, "link");
	print_text("via", j, "via");
	print_text("name", j, "name");
	print_text("about", j, "about");
	print_text("contact", j, "contact");
	printf("%-12s%lld\n", "serial", (long long)jint(j, "serial", 0));
	print_time("expires", jint(j, "expires", 0));
	json_array_foreach(json_object_get(j, "addresses"), i, item)
		printf("%-12s%s\n", "address", json_string_value(item));
	json_array_foreach(json_object_get(j, "keys"), i, item) {
		printf("%-12s%s", "key", jtext(item, "id"));
		json_array_foreach(json_object_get(item, "roles"), k, role) {
			auto_free char *text =
				text_safe(json_string_value(role), json_string_length(role));
			printf(" %s", text);
		}
		putchar('\n');
	}
}

int cmd_grid(int argc, char **argv)
{
	const struct cmd_about about = { "grid", "talkoot grid [--json]", "Show what this grid is.",
		CMD_READING, 0, 0, false };
	struct client c;
	static struct cmd cmd;
	struct err e;

	int exit_code = open_grid(&cmd, &c, &about, NULL, false, argc, argv);
	if (exit_code >= 0)
		return exit_code;
	json_t *j = describe(&c, &e);
	client_close(&c);
	if (!j)
		return cmd_fail(&e);
	if (cmd.json)
		return cmd_print_json(j);
	print_grid(j);
	json_decref(j);
	return 0;
}
