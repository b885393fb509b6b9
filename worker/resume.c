/* SPDX-License-Identifier: Apache-2.0
 *
 * resume.c: where a task goes on from, and what becomes of what it reaches.
 */
#include "worker/resume.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void on_sent(void *arg, bool told)
{
	struct resume *r = arg;

	(void)told;
	r->sending = NULL;
}

static bool is_newer(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec || a->tv_nsec != b->tv_nsec;
}

/* While it runs: what the box has copied out since the last time. */
static void on_timer(void *arg)
{
	struct resume *r = arg;
	auto_free char *copy = xprintf("%s/.checkpoint", r->out);
	struct stat st;

	timer_in(r->timer, RESUME_SEND_S * 1000);
	if (r->sending || lstat(copy, &st) || !is_newer(&st.st_mtim, &r->sent))
		return;
	r->sent = st.st_mtim;
	r->sending = claims_send(r->of->claims, r->lease, copy, on_sent, r);
}

int resume_begin(struct resume *r, const struct resume_of *of, const struct job *job, int64_t index, const char *lease,
	const char *dir, const struct blob *given, struct err *e)
{
	*r = (struct resume){ .of = of, .how = job->checkpoint, .job = job->id, .index = index };
	if (!r->how)
		return 0;
	snprintf(r->lease, sizeof(r->lease), "%s", lease);
	r->out = xprintf("%s/out", dir);
	r->inherits = given != NULL;
	if (given)
		r->inherited = given->digest;
	r->from = given ? blob_path(of->blobs, &given->digest) : saved_path(of->saved, &job->id, index);
	if (r->how == CHECKPOINT_TRAVELS) {
		r->timer = timer_new(of->loop, on_timer, r);
		timer_in(r->timer, RESUME_SEND_S * 1000);
	}
	return r->inherits ? 0 : saved_mark(dir, &job->id, index, e);
}

static void on_handed_on(void *arg, bool told)
{
	struct resume *r = arg;

	(void)told;
	r->sending = NULL;
	r->handed_on(r->arg);
}

bool resume_hand_on(struct resume *r, void (*done)(void *arg), void *arg)
{
	if (r->how != CHECKPOINT_TRAVELS || !r->out)
		return false;
	saved_keep(r->of->saved, &r->job, r->index, r->out);
	auto_free char *path = saved_path(r->of->saved, &r->job, r->index);
	if (!path)
		return false;
	sending_cancel(TAKE(r->sending));
	r->handed_on = done;
	r->arg = arg;
	r->sending = claims_send(r->of->claims, r->lease, path, on_handed_on, r);
	return r->sending != NULL;
}

void resume_end(struct resume *r, bool ended)
{
	sending_cancel(TAKE(r->sending));
	timer_free(TAKE(r->timer));
	if (r->out && (ended || r->inherits))
		saved_drop(r->of->saved, &r->job, r->index);
	else if (r->out)
		saved_keep(r->of->saved, &r->job, r->index, r->out);
	free(TAKE(r->out));
	free(TAKE(r->from));
}
