/* SPDX-License-Identifier: Apache-2.0
 *
 * errand.c: one task on its way through this machine.
 */
#include "worker/errand_in.h"
#include "worker/runner.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "jobs/job_words.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OVERRUN_MS 30000 /* a box that is still there so long after its wall time is killed */

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

	resume_end(&t->resume, t->has_product && !t->product.broken);
	t->opened = false;
	for (size_t i = 0; i < t->n_wants; i++)
		want_free(t->wants[i]);
	free(TAKE(t->wants));
	t->n_wants = t->wants_room = 0;
	feed_leave(TAKE(t->feed));
	image_want_free(TAKE(t->image));
	free(TAKE(t->refusal));
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
	array_room(&t->wants, &t->wants_room, t->n_wants, sizeof(struct want *));
	t->missing++;
	t->wants[t->n_wants++] = cache_want(t->all->cache, b, on_blob, t);
}

/* An image that is none is no fault of this machine: the task's attempt is over, and the result says why. */
static void on_image(void *arg, const struct err *e)
{
	struct errand *t = arg;

	if (e && e->code == ERR_PROGRAM)
		t->refusal = xstrdup(e->msg);
	on_blob(t, t->refusal ? NULL : e);
}

static void want_own(struct errand *t, const struct blob *b)
{
	array_room(&t->wants, &t->wants_room, t->n_wants, sizeof(struct want *));
	t->missing++;
	t->wants[t->n_wants++] = cache_want_own(t->all->cache, b, on_blob, t);
}

/* What the manifest leaves to the lease. */
static int check_given(const struct errand *t, const struct job *job, struct err *e)
{
	if (job_has_sources(job) && !t->given.has_inputs)
		return err_field(e, "inputs", "the lease does not say what the task is given");
	if (job->tasks == TASKS_EACH && !t->given.has_stdin)
		return err_field(e, "stdin", "the lease does not say what the task is given");
	if (t->given.has_inputs && t->given.inputs.size > INPUTS_TEXT_MAX)
		return err_set(e, ERR_TOO_BIG, "the list of its inputs is too long");
	return 0;
}

static int check_job(const struct errand *t, const struct job *job, struct err *e)
{
	const struct ability *here = t->all->ability;

	if (terms_check(t->all->terms, job, e))
		return -1;
	if (!job_program(job, platform_here()))
		return err_set(e, ERR_REFUSED, "the job has no program for %s", platform_here());
	if (!(ability_profiles(here) & 1u << job->profile))
		return err_set(e, ERR_REFUSED, "the box has no profile %s here", job_profile_words[job->profile]);
	if (job->bits & ~here->bits) {
		auto_free char *words = words_text(job_bit_words, job->bits & ~here->bits);

		return err_set(e, ERR_REFUSED, "the box cannot give %s here", words);
	}
	if (job_wants_disk_mib(job) > t->all->disk_mib)
		return err_set(e, ERR_TOO_DEMANDING, "the job wants %lld MiB of disk; --disk is %lld",
			(long long)job_wants_disk_mib(job), (long long)t->all->disk_mib);
	return local_allows(t->all->local, job, e) || check_given(t, job, e) ? -1 : 0;
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
	if (job->profile == PROFILE_IMAGE) {
		t->missing++;
		t->image = images_want(t->all->images, &job->image, on_image, t);
	} else {
		want(t, &job_program(job, platform_here())->blob);
	}
	for (size_t i = 0; i < job->n_files; i++)
		if (!job->files[i].from)
			want(t, &job->files[i].blob);
	if (job_has_sources(job)) {
		t->feed = feed_want(t->all->feeds, job, &t->given.inputs, on_blob, t);
		t->missing += !feed_ready(t->feed);
	}
	if (job->tasks == TASKS_EACH) {
		t->task.has_stdin_blob = true;
		t->task.stdin_blob = t->given.standard_input;
	}
	if (t->task.has_stdin_blob)
		want_own(t, &t->task.stdin_blob);
	if (t->given.has_checkpoint)
		want_own(t, &t->given.checkpoint);
}

void errand_begin(struct errands *all, const char *lease, const struct digest *job, int64_t index,
	const struct agent_given *given)
{
	struct errand *t = xcalloc(1, sizeof(*t));

	t->all = all;
	t->index = index;
	t->given = *given;
	snprintf(t->lease, sizeof(t->lease), "%s", lease);
	t->next = all->list;
	all->list = t;
	t->page = book_want(all->book, job, on_page, t);
}

/* --- the box ------------------------------------------------------------------------------------------------ */

/* A box that waits for its keeper has all its time before it. */
static void on_overrun(void *arg)
{
	struct errand *t = arg;
	int64_t most = page_job(t->page)->wall_s * 1000 + OVERRUN_MS, ran = box_ran_ms(t->box) - t->stood_ms;

	if (t->all->held_ms) { /* errands_hold() counts the rest */
		timer_in(t->overrun, OVERRUN_MS);
		return;
	}

	if (ran < most) {
		timer_in(t->overrun, most - ran);
		return;
	}
	log_warn("task %lld: its box did not end in time and is killed", (long long)t->index);
	t->overran = true;
	box_kill(t->box);
}

/* Its result says what it was given. */
static void note_inputs(struct errand *t)
{
	const struct job *job = page_job(t->page);
	const struct blob *in = job->tasks == TASKS_EACH ? &t->task.stdin_blob : NULL;
	static const struct inputs none;

	t->product.result.has_inputs = in || job_has_sources(job);
	if (t->product.result.has_inputs)
		t->product.result.inputs = inputs_digest(t->feed ? feed_inputs(t->feed) : &none, job, in);
}

static void finish(struct errand *t)
{
	struct agent_exit x = { 0 };
	bool refused = t->refusal != NULL;
	struct err e;

	snprintf(t->product.result.lease, sizeof(t->product.result.lease), "%s", t->lease);
	t->product.result.index = t->index;
	note_inputs(t);
	t->product.result.has_inherited = t->resume.inherits;
	t->product.result.inherited = t->resume.inherited;
	if (collect(&t->product, t->dir, page_job(t->page), t->all->outputs, t->overran, &e)) {
		fail(t, &e);
		return;
	}
	if (t->product.broken)
		log_warn("task %lld: %s%s", (long long)t->index, refused ? "" : "the box could not be set up: ", t->product.why);
	t->has_product = true;
	clear(t);
	x.policy = t->product.policy;
	x.bytes = t->product.bytes;
	x.wall_ms = clock_mono_ms() - t->began_ms;
	x.broken = t->product.broken && !refused ? t->product.why : NULL;
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

/* What the box's own program would have said. */
static void note_why(const struct errand *t, const char *name, const char *why)
{
	auto_free char *path = xprintf("%s/errors", t->dir);
	auto_file FILE *f = fopen(path, "we");

	if (f)
		fprintf(f, "%s: %s\n", name, why);
}

static void on_handed_on(void *arg)
{
	gone(arg);
}

static void on_end(void *arg, const char *why)
{
	struct errand *t = arg;

	t->box = NULL;
	if (why)
		note_why(t, "talkoot-sandbox", why);
	if (!t->stopping)
		finish(t);
	else if (!t->hands_on || !resume_hand_on(&t->resume, on_handed_on, t))
		gone(t);
}

/* In its profile's keeper if there is one and the line fits a packet, else by itself. */
static int start_box(struct errand *t, const struct job *job, struct err *e)
{
	auto_free char *errors = xprintf("%s/errors", t->dir);

	return box_begin(&t->box, t->all->keepers[errand_box(job)], t->all->loop, t->all->guard, errand_line(t, job), errors, on_end, t, e);
}

static int start(struct errand *t, struct err *e)
{
	const struct job *job = page_job(t->page);
	const struct blob *given = t->given.has_checkpoint ? &t->given.checkpoint : NULL;

	if (errand_folder(t, job, e) ||
		resume_begin(&t->resume, &t->all->resume, job, t->index, t->lease, t->dir, given, e))
		return -1;
	t->began_ms = clock_mono_ms();
	if (t->refusal) {
		note_why(t, "talkoot-image", t->refusal);
		finish(t);
		return 0;
	}
	if (start_box(t, job, e))
		return -1;
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

void errand_stop(struct errands *all, const char *lease, bool hand_on)
{
	struct errand *t = find(all, lease);

	if (t && t->box) {
		t->hands_on = hand_on;
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

/* What --sandbox names is run once a task: only our own knows how to be a keeper. */
static void open_keepers(struct errands *all)
{
	for (size_t i = 0; all->own_sandbox && i < BOX_N_PROFILES; i++)
		all->keepers[i] = keeper_new(all->loop, all->guard, all->sandbox, (enum box_profile)i);
}

static int open_images(struct errands *all, struct err *e)
{
	struct unpack_conf conf = { .loop = all->loop, .cache = all->cache, .dir = all->images_dir,
		.sandbox = all->sandbox, .tool = all->image_tool, .guard = all->guard, .most_mib = all->disk_mib / 2,
		.keeper = &all->keepers[BOX_FILES] };

	return images_open(&all->images, &conf, e);
}

int errands_open(struct errands *all, struct err *e)
{
	all->list = NULL;
	saved_rescue(all->resume.saved, all->dir);
	if (remove_tree(all->dir, e))
		return err_wrap(e, "removing what an earlier run left");
	open_keepers(all);
	all->feeds = feeds_new(all->loop, all->cache, all->dir);
	return make_dirs(all->dir, 0700, e) || open_images(all, e) ? -1 : 0;
}

void errands_hold(struct errands *all, bool hold)
{
	int64_t now = clock_mono_ms(), stood = all->held_ms ? now - all->held_ms : 0;

	if (hold == (all->held_ms != 0))
		return;
	all->held_ms = hold ? now : 0;
	for (size_t i = 0; i < ARRAY_LEN(all->keepers); i++)
		if (all->keepers[i])
			keeper_hold(all->keepers[i], hold);
	for (struct errand *t = all->list; t; t = t->next) {
		if (t->box)
			box_hold(t->box, hold);
		t->stood_ms += t->box && !hold ? stood : 0;
	}
}

void errands_renew(struct errands *all)
{
	for (size_t i = 0; i < ARRAY_LEN(all->keepers); i++)
		if (all->keepers[i])
			keeper_renew(all->keepers[i]);
}

void errands_close(struct errands *all)
{
	for (size_t i = 0; i < ARRAY_LEN(all->keepers); i++)
		keeper_end(all->keepers[i]);
	while (all->list)
		errand_free(all->list);
	images_close(TAKE(all->images));
	feeds_free(TAKE(all->feeds));
	for (size_t i = 0; i < ARRAY_LEN(all->keepers); i++)
		keeper_free(TAKE(all->keepers[i]));
}
