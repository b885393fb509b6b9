/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_verify.c: `talkoot verify DIR`: say whether a results folder proves itself, and what it rests on.
 *
 * It works with everything switched off: no grid, no configuration, no key of ours, nothing in the environment.
 */
#include "jobs/boxrun.h"
#include "jobs/cmd.h"
#include "jobs/comparator.h"
#include "jobs/origin.h"
#include "jobs/resdir.h"
#include "jobs/verify.h"

#include "common/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct told {
	json_t *faults;
	bool json;
};

static void tell(void *arg, const char *what, const char *why)
{
	struct told *t = arg;

	if (!t->json)
		complain("%s: %s", what, why);
	json_array_append_new(t->faults, json_pack("{s:s, s:s}", "what", what, "why", why));
}

/* --- reruns ---------------------------------------------------------------------------------- */
static char *find_input(const struct origin *o, const struct blob *b, struct err *e)
{
	auto_free char *path = resdir_input_path(o->v->dir, &b->digest);

	if (!resdir_file_is(path, &b->digest, e))
		return TAKE(path);
	err_wrap(e, "%s", path);
	return origin_find(o, &b->digest);
}

/* Of a tolerant job: whether what came out here agrees with what the task shows, output by output. */
struct rerunning {
	struct origin *origin;
	int64_t index;
	bool agrees;
};

static int look_output(struct rerunning *r, const struct output *mine, const struct output *o, const char *tmp, struct err *e)
{
	struct verify *v = r->origin->v;
	auto_free char *there = resdir_task_path(v->dir, r->index, o->name);
	auto_free char *here = !strncmp(o->name, "files/", 6) ? xprintf("%s/out/%s", tmp, o->name + 6)
							      : xprintf("%s/%s", tmp, o->name);
	auto_close int x = resdir_open_if(here, &mine->digest, e);
	auto_close int y = x < 0 ? -1 : resdir_open_if(there, &o->digest, e);
	struct tolerance_file a = { mine, x }, b = { o, y };
	int said = y < 0 ? err_wrap(e, "%s", o->name) : tolerance_files(&v->tolerance, &a, &b, e);

	r->agrees = said == TOLERANCE_AGREE;
	if (said == TOLERANCE_UNJUDGED)
		return err_set(e, ERR_USAGE, "%s is another one here, and only the comparator can judge it: "
					     "--run-comparator",
			o->name);
	return said < 0 ? -1 : 0;
}

static int look_outputs(void *arg, const struct boxrun *b, const char *tmp, struct err *e)
{
	struct rerunning *r = arg;
	const struct result *shown = evidence_result(&r->origin->v->evidence, r->index);

	r->agrees = digest_equal(&b->result.outcome, &shown->outcome);
	if (r->agrees || !job_tolerant(b->job) || !result_votes(&b->result) || !results_end_alike(&b->result, shown))
		return 0;
	r->agrees = true;
	for (size_t i = 0; r->agrees && i < shown->n_outputs; i++)
		if (!digest_equal(&b->result.outputs[i].digest, &shown->outputs[i].digest) &&
			look_output(r, &b->result.outputs[i], &shown->outputs[i], tmp, e))
			return -1;
	return 0;
}

static char *find_for(void *arg, const struct blob *b, struct err *e)
{
	const struct rerunning *r = arg;

	return find_input(r->origin, b, e);
}

static void rerun(struct origin *o, int64_t index)
{
	struct verify *v = o->v;
	struct evidence *ev = &v->evidence;
	struct rerunning r = { .origin = o, .index = index };
	struct boxrun b = { .job = &ev->job, .find = find_for, .look = look_outputs, .arg = &r,
		.inputs = o->complete ? &o->inputs : &ev->inputs };
	struct job_task task;
	char what[32];
	struct err e;

	snprintf(what, sizeof(what), "task %lld", (long long)index);
	if (job_task(&task, &ev->job, index, ev->list, ev->list_n, &e)) {
		verify_fault(v, what, "%s", e.msg);
		return;
	}
	b.task = &task;
	if (ev->job.tasks == TASKS_EACH)
		task.has_stdin_blob = !origin_stdin(o, index, &task.stdin_blob, &e);
	if ((ev->job.tasks == TASKS_EACH && !task.has_stdin_blob) || boxrun(&b, &e)) {
		verify_fault(v, what, "could not be run here: %s", e.msg);
	} else {
		if (!r.agrees)
			verify_fault(v, what, "gives something else here (exit %lld, signal %lld, %s)",
				(long long)b.result.exit, (long long)b.result.signal, b.result.reason);
		boxrun_release(&b);
	}
	job_task_release(&task);
}

/* Run n tasks, drawn without repetition from those with an outcome. How many there were. */
static int64_t rerun_some(struct origin *o, int64_t n)
{
	struct evidence *ev = &o->v->evidence;
	auto_free int64_t *of = xcalloc((size_t)ev->job.count, sizeof(*of));
	uint64_t seed = random_seed();
	int64_t have = 0;

	for (int64_t i = 0; i < ev->job.count; i++)
		if (evidence_result(ev, i))
			of[have++] = i;
	n = n < have ? n : have;
	for (int64_t i = 0; i < n; i++) {
		int64_t k = i + (int64_t)rng_below(&seed, (uint64_t)(have - i)), index = of[k];

		of[k] = of[i];
		rerun(o, index);
	}
	return n;
}

/* --- what it rests on ------------------------------------------------------------------------ */
static int64_t in_state(const struct evidence *ev, const char *state)
{
	int64_t n = 0;

	for (int64_t i = 0; i < ev->job.count; i++)
		n += ev->tasks[i] && !strcmp(ev->tasks[i]->state, state);
	return n;
}

/* The keys that signed verdicts: usually one. */
static json_t *coordinators(const struct evidence *ev)
{
	json_t *ids = json_array();
	const struct id *last = NULL;
	char hex[ID_TEXT + 1];

	for (int64_t i = 0; i < ev->job.count && json_array_size(ids) < GRID_KEYS_MAX; i++) {
		if (!ev->tasks[i] || (last && id_equal(last, &ev->tasks[i]->by)))
			continue;
		last = &ev->tasks[i]->by;
		id_text(hex, last);
		json_array_append_new(ids, json_string(hex));
	}
	return ids;
}

static int by_id(const void *a, const void *b)
{
	return id_compare(a, b);
}

static int64_t count_workers(const struct evidence *ev)
{
	auto_free struct id *ids = xcalloc(ev->n_atts, sizeof(*ids));
	int64_t n = 0;

	for (size_t i = 0; i < ev->n_atts; i++)
		ids[i] = ev->atts[i].results.author;
	if (ev->n_atts)
		qsort(ids, ev->n_atts, sizeof(*ids), by_id);
	for (size_t i = 0; i < ev->n_atts; i++)
		n += i == 0 || !id_equal(&ids[i], &ids[i - 1]);
	return n;
}

static json_t *summary(const struct verify *v)
{
	const struct evidence *ev = &v->evidence;
	char grid[ID_TEXT + 1], job[DIGEST_HEX + 1], submitter[ID_TEXT + 1];
	json_t *j = json_pack("{s:b, s:b}", "ok", !v->faults, "grid_checked", v->grid != NULL);

	if (ev->has_grid) {
		id_text(grid, &ev->grid.id);
		json_object_set_new(j, "grid", json_string(grid));
	}
	if (!ev->has_job)
		return j;
	digest_hex(job, &ev->job.id);
	id_text(submitter, &ev->job.submitter);
	json_object_set_new(j, "job", json_string(job));
	json_object_set_new(j, "name", json_string(ev->job.name));
	json_object_set_new(j, "submitter", json_string(submitter));
	json_object_set_new(j, "coordinators", coordinators(ev));
	json_object_set_new(j, "assurance", json_string(ev->job.assurance));
	json_object_set_new(j, "count", json_integer(ev->job.count));
	json_object_set_new(j, "valid", json_integer(in_state(ev, "valid")));
	json_object_set_new(j, "failed", json_integer(in_state(ev, "failed")));
	json_object_set_new(j, "cancelled", json_integer(in_state(ev, "cancelled")));
	json_object_set_new(j, "workers", json_integer(count_workers(ev)));
	if (ev->job.n_local)
		json_object_set_new(j, "one_word", json_integer(in_state(ev, "valid") + in_state(ev, "failed")));
	if (job_tolerant(&ev->job) || v->tolerance.compared || v->tolerance.unjudged) { /* a source's too */
		json_object_set_new(j, "compared", json_integer(v->tolerance.compared));
		json_object_set_new(j, "left_to_comparator", json_integer(v->tolerance.unjudged));
	}
	return j;
}

static void print_pairs(int64_t n, const char *how)
{
	if (n)
		printf("\n%lld pair%s of outputs that differ agree%s %s", (long long)n, n == 1 ? "" : "s",
			n == 1 ? "s" : "", how);
}

/* What the outcomes rest on beyond equal results. */
static void print_basis(const json_t *j)
{
	if (jint(j, "one_word", 0))
		printf("\n%lld task%s on one worker's word: its data is local", (long long)jint(j, "one_word", 0),
			jint(j, "one_word", 0) == 1 ? " rests" : "s rest");
	if (json_object_get(j, "inputs_checked"))
		printf("\ninputs %schecked against the results of the jobs that they are of",
			jbool(j, "inputs_checked", false) ? "" : "NOT ");
	print_pairs(jint(j, "compared", 0), "within what the job allows");
	print_pairs(jint(j, "left_to_comparator", 0), "by the submitter's comparator (not run; see --run-comparator)");
}

/* `reran`: how many tasks were run again; -1 says nothing of it. */
static void print_summary(const json_t *j, int64_t reran)
{
	const char *name = jtext(j, "name");
	auto_free char *safe = text_safe(name, strlen(name));
	json_t *id;
	size_t i;

	printf("grid %s%s\n", jtext(j, "grid"), jbool(j, "grid_checked", false) ? "" : " (not checked)");
	printf("job %s%s%s\n", jtext(j, "job"), *safe ? " " : "", safe);
	printf("submitter %s\n", jtext(j, "submitter"));
	json_array_foreach(json_object_get(j, "coordinators"), i, id)
		printf("coordinator %s\n", json_string_value(id));
	printf("%lld task%s by %s, signed by %lld worker%s: %lld valid, %lld failed",
		(long long)jint(j, "count", 0), jint(j, "count", 0) == 1 ? "" : "s", jtext(j, "assurance"),
		(long long)jint(j, "workers", 0), jint(j, "workers", 0) == 1 ? "" : "s",
		(long long)jint(j, "valid", 0), (long long)jint(j, "failed", 0));
	if (jint(j, "cancelled", 0))
		printf(", %lld cancelled", (long long)jint(j, "cancelled", 0));
	if (reran >= 0)
		printf("; %lld run again here", (long long)reran);
	print_basis(j);
	printf("\n%s\n", jbool(j, "ok", false) ? "verified" : "NOT verified");
}

/* Whether the inputs are the outputs of other jobs, and if so whether that was checked. */
static void tell_origin(const struct origin *o, json_t *said, bool json)
{
	json_t *unchecked = origin_unchecked(o), *id;
	const struct job *job = &o->v->evidence.job;
	size_t i;

	if (job_has_sources(job) || job->tasks == TASKS_EACH)
		json_object_set_new(said, "inputs_checked", json_boolean(o->complete));
	json_array_foreach(unchecked, i, id)
		if (!json)
			complain("inputs of job %s not checked: its results are not here (--source DIR)", json_string_value(id));
	if (json_array_size(unchecked))
		json_object_set(said, "unchecked", unchecked);
	json_decref(unchecked);
}

/* --grid takes an id, a prefix of one, or a whole link. */
static int expected_id(const char **id, const char *text, const char *option, struct err *e)
{
	static char hex[ID_TEXT + 1];
	struct link l;

	if (!text)
		return 0;
	if (!strncmp(text, "talkoot://", 10)) {
		if (link_parse(&l, text, e)) {
			e->code = ERR_USAGE;
			return err_wrap(e, "%s", option);
		}
		id_text(hex, &l.grid);
		text = hex;
	}
	if (!id_is_prefix(text))
		return err_set(e, ERR_USAGE, "%s: %.80s is not an id, nor 8 or more hex digits of one",
			option, text);
	*id = text;
	return 0;
}

/* All of it, and what to say about it: the exit code. */
static int look(struct verify *v, const struct texts *sources, int64_t reruns, struct told *told)
{
	struct origin origin = { .v = v };
	int64_t reran = -1; /* not asked for, or not come to that */

	if (!verify_dir(v))
		origin_check(&origin, v, sources);
	if (!v->faults && reruns)
		reran = rerun_some(&origin, reruns);
	json_t *said = summary(v);
	if (!v->faults)
		tell_origin(&origin, said, told->json);
	int exit_code = v->faults ? 1 : 0;
	if (told->json) {
		json_object_set(said, "faults", told->faults);
		cmd_print_json(said);
	} else {
		if (v->evidence.has_job)
			print_summary(said, v->faults ? -1 : reran);
		json_decref(said);
	}
	origin_release(&origin);
	verify_release(v);
	return exit_code;
}

int cmd_verify(int argc, char **argv)
{
	const char *grid = NULL, *job = NULL;
	struct texts sources = { 0 };
	int64_t reruns = 0;
	bool json = false, run_comparator = false;
	const struct knob knobs[] = {
		{ .name = "grid", .kind = KNOB_TEXT, .where = &grid, .argument = "ID",
			.help = "the grid that it must be of (its link, its id, or 8 or more digits of that)" },
		{ .name = "job", .kind = KNOB_TEXT, .where = &job, .argument = "ID",
			.help = "the job that it must be of" },
		{ .name = "source", .kind = KNOB_TEXTS, .where = &sources, .argument = "DIR",
			.help = "the results of a job that its inputs are of: check them against these; may be repeated" },
		{ .name = "rerun", .kind = KNOB_INT, .where = &reruns, .argument = "N", .max = 1048576,
			.help = "run N tasks, drawn at random, here and compare (0)" },
		{ .name = "run-comparator", .kind = KNOB_FLAG, .where = &run_comparator,
			.help = "run the job's own comparator in the box, on what it judged" },
		{ .name = "json", .kind = KNOB_FLAG, .where = &json, .help = "print one JSON document" },
		{ .name = NULL },
	};
	const struct cmd_about about = { "verify",
		"talkoot verify DIR [--grid ID] [--job ID] [--source DIR]... [--rerun N] [--run-comparator]",
		"Check a results folder against its own evidence, with everything switched off: every signature,\n"
		"role and digest, every line, and that no task is missing. Exit 1 names what is at fault.",
		CMD_PLAIN, 1, 1, false };
	struct told told = { .faults = json_array() };
	struct verify v = { .fault = tell, .fault_arg = &told };
	static struct cmd cmd;
	struct err e;

	int exit_code = cmd_read(&cmd, &about, knobs, argc, argv);
	if (exit_code >= 0)
		goto out;
	if (expected_id(&v.grid, grid, "--grid", &e) || expected_id(&v.job, job, "--job", &e)) {
		exit_code = cmd_fail(&e);
		goto out;
	}
	if (sources.n > ORIGIN_DIRS_MAX) {
		err_set(&e, ERR_USAGE, "--source: more than %d folders", ORIGIN_DIRS_MAX);
		exit_code = cmd_fail(&e);
		goto out;
	}
	v.dir = cmd.conf.words.at[0];
	v.run_comparator = run_comparator;
	told.json = json;
	exit_code = look(&v, &sources, reruns, &told);
out:
	free(sources.at);
	json_decref(told.faults);
	return exit_code;
}
