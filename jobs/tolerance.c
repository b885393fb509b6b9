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
static int run_in(struct tolerance *t, const char *tmp, const char *name, const char *a,
	const char *b, struct err *e)
{
	const struct job_program *p = &t->ev->job.comparator;
	auto_free char *from = resdir_input_path(t->dir, &p->blob.digest);
	auto_free char *sandbox = tool_path("talkoot-sandbox"), *program = xprintf("%s/%s", tmp, p->name);
	struct tool box = { .n = 0 };
	char why[80];
	int status;

	if (resdir_file_is(from, &p->blob.digest, e))
		return err_wrap(e, "the comparator %s", from);
	if (boxrun_copy(program, from, 0755, e))
		return -1;
	auto_free char **argv = comparator_argv(sandbox, program, a, b, name);
	for (char **word = argv; *word; word++)
		tool_word(&box, *word); /* takes it over */
	int answer = boxrun_spawn(&box, &status, e) ? -1 : comparator_answer(status, why);
	if (answer < 0 && !e->code)
		err_set(e, ERR_PROGRAM, "the comparator %s gave no answer: %s", p->name, why);
	tool_release(&box);
	return answer;
}

static int by_program(
	struct tolerance *t, const char *name, const char *a, const char *b, struct err *e)
{
	const char *base = getenv("TMPDIR");
	auto_free char *tmp = xprintf("%s/talkoot-box.XXXXXX", base && *base ? base : "/tmp");
	struct err ignored;

	if (!mkdtemp(tmp))
		return err_sys(e, "making a temporary folder in %s", base && *base ? base : "/tmp");
	*e = (struct err){ 0 };
	int answer = run_in(t, tmp, name, a, b, e);
	remove_tree(tmp, &ignored);
	return answer;
}

/* --- two files -------------------------------------------------------------------------------- */
static int open_file(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	return fd >= 0 ? fd : err_sys(e, "opening %s", path);
}

int tolerance_files(
	struct tolerance *t, const char *name, const char *a, const char *b, struct err *e)
{
	const struct comparison *how = job_comparison(&t->ev->job, name);

	if (how->kind == COMPARE_PROGRAM && !t->run_comparator) {
		t->unjudged++;
		return TOLERANCE_UNJUDGED;
	}
	t->compared++;
	if (how->kind == COMPARE_PROGRAM)
		return by_program(t, name, a, b, e);
	auto_close int x = open_file(a, e), y = x < 0 ? -1 : open_file(b, e);
	return x < 0 || y < 0 ? -1 : compare_files(how, x, y, e);
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

/* The file of the k-th output of a counted result, with its bytes checked. Yours. */
static char *checked_file(struct tolerance *t, int64_t index, const struct result *shown,
	const struct result *r, size_t k, struct err *e)
{
	const struct output *o = &r->outputs[k];
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, &o->digest);
	auto_free char *path = is_shown(shown, k, o)
	                               ? resdir_task_path(t->dir, index, o->name)
	                               : xprintf("%s/%s/%s", t->dir, RESDIR_EVIDENCE, hex);
	if (!resdir_name_ok(o->name) || resdir_file_is(path, &o->digest, e)) {
		err_wrap(e, "%s", path);
		return NULL;
	}
	return TAKE(path);
}

static int check_pair(struct tolerance *t, int64_t index, const struct result *a,
	const struct result *b, struct err *e)
{
	const struct result *shown = evidence_result(t->ev, index);

	for (size_t k = 0; k < a->n_outputs; k++) {
		if (digest_equal(&a->outputs[k].digest, &b->outputs[k].digest))
			continue;
		auto_free char *x = checked_file(t, index, shown, a, k, e);
		auto_free char *y = x ? checked_file(t, index, shown, b, k, e) : NULL;
		int said = y ? tolerance_files(t, a->outputs[k].name, x, y, e) : -1;

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
