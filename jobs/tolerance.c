/* SPDX-License-Identifier: Apache-2.0
 *
 * tolerance.c: see tolerance.h.
 */
#include "jobs/tolerance.h"
#include "jobs/boxrun.h"
#include "jobs/comparator.h"
#include "jobs/resdir.h"

#include "common/buf.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- the submitter's program ------------------------------------------------------------------ */
static int run_in(struct tolerance *t, const char *tmp, const struct tolerance_file *a,
	const struct tolerance_file *b, struct err *e)
{
	const struct job_program *p = &t->ev->job.comparator;
	auto_free char *from = resdir_input_path(t->dir, &p->blob.digest);
	auto_free char *sandbox = tool_path("talkoot-sandbox"), *bin = xprintf("%s/bin", tmp);
	auto_free char *program = xprintf("%s/%s", bin, p->name);
	auto_free char *x = xprintf("%s/a", tmp), *y = xprintf("%s/b", tmp);
	auto_close int in = resdir_open_if(from, &p->blob.digest, e);
	struct tool box = { .n = 0 };
	char why[80];
	int status;

	if (in < 0)
		return err_wrap(e, "the comparator %s", from);
	if (make_dirs(bin, 0755, e) || boxrun_copy_fd(program, in, &p->blob.digest, 0755, e) ||
		boxrun_copy_fd(x, a->fd, &a->is->digest, 0644, e) ||
		boxrun_copy_fd(y, b->fd, &b->is->digest, 0644, e))
		return -1;
	auto_free char **argv = comparator_argv(sandbox, program, x, y, a->is->name);
	for (char **word = argv; *word; word++)
		tool_word(&box, *word); /* takes it over */
	int answer = boxrun_spawn(&box, &status, e) ? -1 : comparator_answer(status, why);
	if (answer < 0 && !e->code)
		err_set(e, ERR_PROGRAM, "the comparator %s gave no answer: %s", p->name, why);
	tool_release(&box);
	return answer;
}

static int by_program(struct tolerance *t, const struct tolerance_file *a, const struct tolerance_file *b, struct err *e)
{
	const char *base = getenv("TMPDIR");
	auto_free char *tmp = xprintf("%s/talkoot-box.XXXXXX", base && *base ? base : "/tmp");
	struct err ignored;

	if (!mkdtemp(tmp))
		return err_sys(e, "making a temporary folder in %s", base && *base ? base : "/tmp");
	*e = (struct err){ 0 };
	int answer = run_in(t, tmp, a, b, e);
	remove_tree(tmp, &ignored);
	return answer;
}

/* --- two files -------------------------------------------------------------------------------- */
int tolerance_files(struct tolerance *t, const struct tolerance_file *a, const struct tolerance_file *b, struct err *e)
{
	const struct comparison *how = job_comparison(&t->ev->job, a->is->name);

	if (how->kind == COMPARE_PROGRAM && !t->run_comparator) {
		t->unjudged++;
		return TOLERANCE_UNJUDGED;
	}
	t->compared++;
	return how->kind == COMPARE_PROGRAM ? by_program(t, a, b, e) : compare_files(how, a->fd, b->fd, e);
}

/* --- a task ----------------------------------------------------------------------------------- */
/* Whether the task shows these very bytes under this name. */
static bool is_shown(const struct result *shown, size_t k, const struct output *o)
{
	return digest_equal(&shown->outputs[k].digest, &o->digest);
}

int tolerance_needs(
	struct evidence *ev, int64_t index, int (*fn)(void *arg, const struct output *o), void *arg)
{
	const struct result *shown = evidence_result(ev, index), *r;

	for (size_t i = 1; shown && (r = evidence_counted(ev, index, i)); i++)
		for (size_t k = 0; k < r->n_outputs && k < shown->n_outputs; k++)
			if (!is_shown(shown, k, &r->outputs[k]) && fn(arg, &r->outputs[k]))
				return -1;
	return 0;
}

/* The file of the k-th output of a counted result, with its bytes checked; yours to close, or -1. */
static int checked_file(struct tolerance *t, int64_t index, const struct result *shown,
	const struct result *r, size_t k, struct err *e)
{
	const struct output *o = &r->outputs[k];
	char hex[DIGEST_HEX + 1];
	int fd = -1;

	digest_hex(hex, &o->digest);
	auto_free char *path = is_shown(shown, k, o)
	                               ? resdir_task_path(t->dir, index, o->name)
	                               : xprintf("%s/%s/%s", t->dir, RESDIR_EVIDENCE, hex);
	if (!resdir_name_ok(o->name))
		err_set(e, ERR_FIELD, "its name is not allowed");
	else
		fd = resdir_open_if(path, &o->digest, e);
	if (fd < 0)
		err_wrap(e, "%s", path);
	return fd;
}

static int check_pair(struct tolerance *t, int64_t index, const struct result *a,
	const struct result *b, struct err *e)
{
	const struct result *shown = evidence_result(t->ev, index);

	for (size_t k = 0; k < a->n_outputs; k++) {
		if (digest_equal(&a->outputs[k].digest, &b->outputs[k].digest))
			continue;
		auto_close int x = checked_file(t, index, shown, a, k, e);
		auto_close int y = x < 0 ? -1 : checked_file(t, index, shown, b, k, e);
		struct tolerance_file of_a = { &a->outputs[k], x }, of_b = { &b->outputs[k], y };
		int said = y < 0 ? -1 : tolerance_files(t, &of_a, &of_b, e);

		if (said == TOLERANCE_DIFFER)
			return err_set(e, ERR_DIGEST,
				"two counted results differ in %s by more than the job allows",
				a->outputs[k].name);
		if (said < 0)
			return -1;
	}
	return 0;
}

int tolerance_check(struct tolerance *t, int64_t index, struct err *e)
{
	const struct result *a, *b;

	for (size_t i = 1; (b = evidence_counted(t->ev, index, i)); i++)
		for (size_t k = 0; k < i && (a = evidence_counted(t->ev, index, k)); k++)
			if (check_pair(t, index, a, b, e))
				return -1;
	return 0;
}
