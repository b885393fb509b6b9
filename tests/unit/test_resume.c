/* SPDX-License-Identifier: Apache-2.0
 *
 * test_resume.c: what a task leaves behind for the next time.
 */
#include "worker/resume.h"
#include "common/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

struct world {
	char dir[64], task[80];
	struct loop *loop;
	struct blobs *blobs;
	struct saved saved;
	struct resume_of of;
	struct job job;
};

static void world_new(struct world *w, enum job_checkpoint how)
{
	auto_free char *blobs = NULL, *saved = NULL, *out = NULL;
	struct err e;

	*w = (struct world){ .job = { .checkpoint = how } };
	snprintf(w->dir, sizeof(w->dir), "/tmp/resume-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->task, sizeof(w->task), "%s/tasks/1", w->dir);
	blobs = xprintf("%s/blobs", w->dir);
	saved = xprintf("%s/saved", w->dir);
	out = xprintf("%s/out", w->task);
	assert_int_equal(make_dirs(out, 0700, &e), 0);
	assert_int_equal(loop_new(&w->loop, &e), 0);
	assert_int_equal(blobs_open(&w->blobs, blobs, MIB, &e), 0);
	assert_int_equal(saved_open(&w->saved, saved, MIB, &e), 0);
	w->of = (struct resume_of){ .loop = w->loop, .saved = &w->saved, .blobs = w->blobs };
}

static void world_free(struct world *w)
{
	struct err e;

	saved_close(&w->saved);
	blobs_close(w->blobs);
	loop_free(w->loop);
	assert_int_equal(remove_tree(w->dir, &e), 0);
}

/* A run that is stopped, or (`crash`) killed with its worker, after it wrote a checkpoint; whether it is kept. */
static bool keeps(struct world *w, const struct blob *given, bool crash)
{
	auto_free char *copy = xprintf("%s/out/.checkpoint", w->task),
		       *tasks = xprintf("%s/tasks", w->dir);
	struct resume r;
	struct err e;

	assert_int_equal(resume_begin(&r, &w->of, &w->job, 3, "00", w->task, given, &e), 0);
	assert_int_equal(file_write_atomic(copy, "state", 5, 0600, &e), 0);
	if (crash)
		saved_rescue(&w->saved, tasks);
	else
		resume_end(&r, false);
	auto_free char *path = saved_path(&w->saved, &w->job.id, 3);
	resume_end(&r, true);
	saved_drop(&w->saved, &w->job.id, 3);
	return path != NULL;
}

static void what_a_task_reached_by_itself_is_kept(void **state)
{
	(void)state;
	struct world w;

	world_new(&w, CHECKPOINT_TRAVELS);
	assert_true(keeps(&w, NULL, false));
	assert_true(keeps(&w, NULL, true));
	world_free(&w);
}

/* The next lease of the task may be for another copy, whose authors must not be those of the first. */
static void what_rests_on_anothers_checkpoint_is_not(void **state)
{
	(void)state;
	struct world w;
	struct blob given;
	struct err e;

	world_new(&w, CHECKPOINT_TRAVELS);
	assert_int_equal(blob_put(w.blobs, "theirs", 6, &given, &e), 0);
	assert_false(keeps(&w, &given, false));
	assert_false(keeps(&w, &given, true));
	world_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_task_reached_by_itself_is_kept),
		cmocka_unit_test(what_rests_on_anothers_checkpoint_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
