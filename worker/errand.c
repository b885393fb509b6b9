/* SPDX-License-Identifier: Apache-2.0
 *
 * errand.c: one task on its way through this machine.
 */
#include "worker/errand.h"
#include "worker/runner.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OVERRUN_MS 30000 /* a box that is still there so long after its wall time is killed */
#define ARGS_MAX (64 + 2 * JOB_FILES_MAX + JOB_ARGS_MAX)

struct errand {
	struct errands *all;
	char lease[LEASE_HEX + 1];
	int64_t index;
	char *dir;
	struct page_ref *page;
	bool opened; /* the page may be read */
	struct job_task task;
	struct want *wants[JOB_FILES_MAX + 2];
	size_t n_wants, missing;
	struct box *box;
	int64_t began_ms;
	struct timer *overrun;
	bool overran, stopping, has_product;
	struct product product;
	struct errand *next;
};

static struct errand *find(const struct errands *all, const char *lease)
{
	struct errand *t = all->list;

	while (t && strcmp(t->lease, lease) != 0)
		t = t->next;
	return t;
}

/* Let go of all but the result. */
static void clear(struct errand *t)
{
	struct err e;

	for (size_t i = 0; i < t->n_wants; i++)
		want_free(t->wants[i]);
	t->n_wants = 0;
	page_free(TAKE(t->page));
	job_task_release(&t->task);
	box_free(TAKE(t->box));
	timer_free(TAKE(t->overrun));
	if (t->dir && remove_tree(t->dir, &e))
		log_warn("%s", e.msg);
	free(TAKE(t->dir));
}

static void errand_free(struct errand *t)
{
	struct errand **at = &t->all->list;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	clear(t);
	product_release(&t->product);
	free(t);
}

static void fail(struct errand *t, const struct err *e)
{
	struct errands *all = t->all;
	char lease[LEASE_HEX + 1], why[64];

	memcpy(lease, t->lease, sizeof(lease));
	snprintf(why, sizeof(why), "%.63s", err_title(e->code));
	log_warn("task %lld cannot run here: %s", (long long)t->index, e->msg);
	errand_free(t);
	all->failed(all->arg, lease, why, e->code == ERR_FULL);
}

/* --- inputs ----------------------------------------------------------------------------------------------- */

static void ready(struct errand *t)
{
	const struct job *job = page_job(t->page);

	t->all->fetched(t->all->arg, t->lease, (int)job->threads, job->memory_mib);
}

static void on_blob(void *arg, const struct err *e)
{
	struct errand *t = arg;

	if (e)
		fail(t, e);
	else if (--t->missing == 0)
		ready(t);
}

static void want(struct errand *t, const struct blob *b)
{
	t->missing++;
	t->wants[t->n_wants++] = cache_want(t->all->cache, b, on_blob, t);
}

static int check_job(const struct errand *t, const struct job *job, struct err *e)
{
	if (!job_program(job, platform_here()))
		return err_set(e, ERR_REFUSED, "the job has no program for %s", platform_here());
	if (job->profile == PROFILE_FILES && !t->all->files)
		return err_set(e, ERR_REFUSED, "the box has no profile files here");
	if (job->disk_mib > t->all->disk_mib)
		return err_set(e, ERR_TOO_DEMANDING, "the job wants %lld MiB of disk; --disk is %lld",
			(long long)job->disk_mib, (long long)t->all->disk_mib);
	return 0;
}

static void on_page(void *arg, const struct err *why)
{
	struct errand *t = arg;
	const struct job *job;
	const char *list;
	struct err e;
	size_t n;

	if (why) {
		fail(t, why);
		return;
	}
	job = page_job(t->page);
	list = page_list(t->page, &n);
	t->opened = true;
	if (check_job(t, job, &e) || job_task(&t->task, job, t->index, list, n, &e)) {
		fail(t, &e);
		return;
	}
	want(t, &job_program(job, platform_here())->blob);
	for (size_t i = 0; i < job->n_files; i++)
		want(t, &job->files[i].blob);
	if (t->task.has_stdin_blob)
		want(t, &t->task.stdin_blob);
}

void errand_begin(struct errands *all, const char *lease, const struct digest *job, int64_t index)
{
	struct errand *t = xcalloc(1, sizeof(*t));

	t->all = all;
	t->index = index;
	snprintf(t->lease, sizeof(t->lease), "%s", lease);
	t->next = all->list;
	all->list = t;
	t->page = book_want(all->book, job, on_page, t);
}

/* --- the box ------------------------------------------------------------------------------------------------ */

/* The box's command line; its texts are freed together. */
struct line {
	char *argv[ARGS_MAX];
	size_t n;
};

static void put(struct line *l, char *text) /* takes text */
{
	if (l->n < ARGS_MAX - 1)
		l->argv[l->n++] = text;
	else
		free(text);
}

static void option(struct line *l, const char *name, char *value)
{
	put(l, xstrdup(name));
	put(l, value);
}

static char *number(int64_t n)
{
	return xprintf("%lld", (long long)n);
}

static void put_limits(struct line *l, const struct job *job)
{
	option(l, "--cpu", number(job->cpu_s));
	option(l, "--wall", number(job->wall_s));
	option(l, "--memory", number(job->memory_mib));
	option(l, "--disk", number(job->disk_mib));
	option(l, "--max-output", number(job->output_mib));
	option(l, "--processes", number(job->processes));
	option(l, "--threads", number(job->threads));
	option(l, "--deterministic", xstrdup(job->deterministic ? "on" : "off"));
}

/* Every copy of a task draws the same, wherever it runs. */
static void put_seed(struct line *l, const struct errand *t, const struct job *job)
{
	struct digest seed = job_seed(job, t->index);
	char hex[DIGEST_HEX + 1];

	if (!t->all->own_sandbox || !job->deterministic)
		return;
	digest_hex(hex, &seed);
	option(l, "--seed", xstrdup(hex));
}

static void put_files(struct line *l, const struct errand *t, const struct job *job)
{
	if (job->profile != PROFILE_FILES)
		return;
	for (size_t i = 0; i < job->n_files; i++) {
		auto_free char *path = blob_path(cache_blobs(t->all->cache), &job->files[i].blob.digest);

		option(l, "--in", xprintf("%s=%s", job->files[i].name, path));
	}
	option(l, "--out", xprintf("%s/out", t->dir));
}

static void put_streams(struct line *l, const struct errand *t)
{
	if (t->task.has_stdin_blob)
		option(l, "--stdin", blob_path(cache_blobs(t->all->cache), &t->task.stdin_blob.digest));
	else if (t->task.stdin_text)
		option(l, "--stdin", xprintf("%s/stdin", t->dir));
	option(l, "--stdout", xprintf("%s/stdout", t->dir));
	option(l, "--stderr", xprintf("%s/stderr", t->dir));
	option(l, "--report", xprintf("%s/report", t->dir));
}

static void compose(struct line *l, const struct errand *t, const struct job *job)
{
	put(l, xstrdup(t->all->sandbox));
	option(l, "--profile", xstrdup(job->profile == PROFILE_FILES ? "files" : "compute"));
	put_files(l, t, job);
	put_streams(l, t);
	put_limits(l, job);
	put_seed(l, t, job);
	put(l, xstrdup("--"));
	put(l, xprintf("%s/program/%s", t->dir, job_program(job, platform_here())->name));
	for (char **a = t->task.argv + 1; *a; a++)
		put(l, xstrdup(*a));
}

/* Programs look at argv[0], which is the base name of the path: so the blob gets its name, by a hard link,
 * and may be executed. */
static int link_program(struct errand *t, const struct job_program *program, struct err *e)
{
	auto_free char *dir = xprintf("%s/program", t->dir);
	auto_free char *path = xprintf("%s/%s", dir, program->name);
	auto_free char *blob = blob_path(cache_blobs(t->all->cache), &program->blob.digest);
	auto_close int fd = -1;
	int64_t size;

	if (blob_open(cache_blobs(t->all->cache), &program->blob.digest, &fd, &size, e))
		return -1;
	if (fchmod(fd, 0555) || mkdir(dir, 0700) || link(blob, path))
		return err_sys(e, "making %s", path);
	return 0;
}

static int make_folder(struct errand *t, const struct job *job, struct err *e)
{
	auto_free char *out = NULL, *in = NULL;

	t->dir = xprintf("%s/%s", t->all->dir, t->lease);
	out = xprintf("%s/out", t->dir);
	in = xprintf("%s/stdin", t->dir);
	if (make_dirs(out, 0700, e) || link_program(t, job_program(job, platform_here()), e))
		return -1;
	if (!t->task.stdin_text)
		return 0;
	auto_file FILE *f = fopen(in, "we");
	if (!f || fputs(t->task.stdin_text, f) == EOF || fflush(f))
		return err_sys(e, "writing %s", in);
	return 0;
}

static void on_overrun(void *arg)
{
	struct errand *t = arg;

	log_warn("task %lld: its box did not end in time and is killed", (long long)t->index);
	t->overran = true;
	box_kill(t->box);
}

static void finish(struct errand *t)
{
	struct agent_exit x = { 0 };
	struct err e;

	snprintf(t->product.result.lease, sizeof(t->product.result.lease), "%s", t->lease);
	t->product.result.index = t->index;
	if (collect(&t->product, t->dir, page_job(t->page), t->all->outputs, t->overran, &e)) {
		fail(t, &e);
		return;
	}
	if (t->product.broken)
		log_warn("task %lld: the box could not be set up: %s", (long long)t->index, t->product.why);
	t->has_product = true;
	clear(t);
	x.policy = t->product.policy;
	x.bytes = t->product.bytes;
	x.wall_ms = clock_mono_ms() - t->began_ms;
	x.broken = t->product.broken;
	t->all->exited(t->all->arg, t->lease, &x);
}

static void gone(struct errand *t)
{
	struct errands *all = t->all;
	char lease[LEASE_HEX + 1];

	memcpy(lease, t->lease, sizeof(lease));
	errand_free(t);
	all->stopped(all->arg, lease);
}

static void on_end(void *arg, bool killed)
{
	struct errand *t = arg;

	(void)killed;
	t->box = NULL;
	if (t->stopping)
		gone(t);
	else
		finish(t);
}

static int start(struct errand *t, struct err *e)
{
	const struct job *job = page_job(t->page);
	struct line l = { .n = 0 };
	int bad;

	if (make_folder(t, job, e))
		return -1;
	auto_free char *errors = xprintf("%s/errors", t->dir);
	compose(&l, t, job);
	bad = box_start(&t->box, t->all->loop, t->all->guard, l.argv, errors, on_end, t, e);
	for (size_t i = 0; i < l.n; i++)
		free(l.argv[i]);
	if (bad)
		return -1;
	t->began_ms = clock_mono_ms();
	t->overrun = timer_new(t->all->loop, on_overrun, t);
	timer_in(t->overrun, job->wall_s * 1000 + OVERRUN_MS);
	return 0;
}

void errand_run(struct errands *all, const char *lease)
{
	struct errand *t = find(all, lease);
	struct err e;

	if (t && start(t, &e))
		fail(t, &e);
}

void errand_stop(struct errands *all, const char *lease)
{
	struct errand *t = find(all, lease);

	if (t && t->box) {
		t->stopping = true;
		box_kill(t->box);
	} else if (t) {
		gone(t);
	} else {
		all->stopped(all->arg, lease);
	}
}

/* --- results in hand ------------------------------------------------------------------------------------------ */

const struct product *errand_product(const struct errands *all, const char *lease)
{
	const struct errand *t = find(all, lease);

	return t && t->has_product ? &t->product : NULL;
}

void errand_done(struct errands *all, const char *lease)
{
	struct errand *t = find(all, lease);

	if (t)
		errand_free(t);
}

bool errands_need(const struct errands *all, const struct digest *output)
{
	for (const struct errand *t = all->list; t; t = t->next)
		for (size_t i = 0; i < t->product.n_stored; i++)
			if (digest_equal(&t->product.stored[i], output))
				return true;
	return false;
}

void errands_each_running(const struct errands *all,
	void (*fn)(void *arg, const struct job *job, int64_t index, int64_t for_ms), void *arg)
{
	for (const struct errand *t = all->list; t; t = t->next)
		if (t->box)
			fn(arg, page_job(t->page), t->index, clock_mono_ms() - t->began_ms);
}

int errands_open(struct errands *all, struct err *e)
{
	all->list = NULL;
	if (remove_tree(all->dir, e))
		return err_wrap(e, "removing what an earlier run left");
	return make_dirs(all->dir, 0700, e);
}

void errands_close(struct errands *all)
{
	while (all->list)
		errand_free(all->list);
}
