/* SPDX-License-Identifier: Apache-2.0
 *
 * feed.c: see feed.h.
 */
#include "worker/feed.h"
#include "worker/waiters.h"
#include "common/buf.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <unistd.h>

#define JOIN_STEP_BYTES (16 * MIB) /* joined in one turn of the loop, which has leases to renew meanwhile */

struct feed {
	struct feeds *all;
	const struct job *job; /* while somebody holds it */
	struct digest id;      /* of the job */
	struct blob blob;
	struct want *resolution, **wants;
	size_t n_wants, wants_room, missing;
	struct inputs inputs;
	char *dir;
	size_t file, part; /* that are joined next, into `out`, from byte `at` of the part */
	int64_t at;
	int out; /* -1: not open */
	struct timer *timer;
	int64_t counted; /* bytes in it, beside the cache's blobs */
	bool ready, failed;
	struct waiters refs;
	struct feed *next;
};

struct feed_ref {
	struct waiter waiter;
	struct feed *feed;
};

struct feeds {
	struct loop *loop;
	struct cache *cache;
	const char *dir;
	struct feed *list;
	unsigned made;
};

/* --- files ------------------------------------------------------------------------------------------------ */

/* Go on with one part, from `f->at`. */
static int add_some(struct feed *f, const struct blob *b, int64_t *budget, struct err *e)
{
	auto_close int fd = -1;
	int64_t size;

	if (blob_open(cache_blobs(f->all->cache), &b->digest, &fd, &size, e))
		return -1;
	while (f->at < size && *budget > 0) {
		int64_t left = size - f->at;
		off_t at = f->at;
		ssize_t n = sendfile(f->out, fd, &at, (size_t)(left < *budget ? left : *budget));

		if (n <= 0)
			return err_sys(e, "joining the parts of an input");
		f->at += n;
		*budget -= n;
	}
	return f->at < size ? 0 : 1;
}

/* As add_some(), for one file: 1: it is whole. */
static int join_some(struct feed *f, const struct inputs_part *parts, size_t n, int64_t *budget, struct err *e)
{
	auto_free char *path = xprintf("%s/%s", f->dir, f->job->files[f->file].name);

	if (f->out < 0)
		f->out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (f->out < 0)
		return err_sys(e, "making %s", path);
	for (; f->part < n; f->part++, f->at = 0) {
		int done = add_some(f, &parts[f->part].blob, budget, e);

		if (done <= 0)
			return done;
	}
	close(f->out);
	f->out = -1;
	return 1;
}

/* A step of making what is made of several parts. 1: all is there, 0: go on later. */
static int join_step(struct feed *f, struct err *e)
{
	int64_t budget = JOIN_STEP_BYTES;

	for (; f->file < f->job->n_files; f->file++, f->part = 0) {
		size_t n;
		const struct inputs_part *p = inputs_of(&f->inputs, f->file, &n);
		int done = f->job->files[f->file].from && n != 1 ? join_some(f, p, n, &budget, e) : 1;

		if (done <= 0)
			return done;
	}
	return 1;
}

/* The parts are in the cache, perhaps the same one many times over; what is made of them takes room of its own. */
static int count_files(struct feed *f, struct err *e)
{
	int64_t sum = 0;

	for (size_t i = 0; i < f->job->n_files; i++) {
		size_t n;
		const struct inputs_part *p = inputs_of(&f->inputs, i, &n);

		for (size_t k = 0; n > 1 && k < n; k++)
			sum += p[k].blob.size;
	}
	if (cache_beside(f->all->cache, sum, e))
		return err_wrap(e, "room for the inputs");
	f->counted = sum;
	return 0;
}

char *feed_path(const struct feed_ref *r, const struct job *job, size_t file)
{
	const struct feed *f = r->feed;
	size_t n;
	const struct inputs_part *p = inputs_of(&f->inputs, file, &n);

	return n == 1 ? blob_path(cache_blobs(f->all->cache), &p->blob.digest)
	              : xprintf("%s/%s", f->dir, job->files[file].name);
}

/* --- coming and going ------------------------------------------------------------------------------------- */

static void feed_free(struct feed *f)
{
	struct feed **at = &f->all->list;
	struct err e;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	for (size_t i = 0; i < f->n_wants; i++)
		want_free(f->wants[i]);
	free(f->wants);
	want_free(f->resolution);
	inputs_release(&f->inputs);
	timer_free(f->timer);
	if (f->out >= 0)
		close(f->out);
	if (remove_tree(f->dir, &e))
		log_warn("%s", e.msg);
	cache_beside(f->all->cache, -f->counted, &e);
	free(f->dir);
	free(f);
}

/* What nobody holds goes. */
static void sweep(struct feeds *all)
{
	for (struct feed *f = all->list, *next; f; f = next) {
		next = f->next;
		if (waiters_none(&f->refs))
			feed_free(f);
	}
}

static void tell(struct feed *f, const struct err *e)
{
	waiters_tell(&f->refs, e);
	sweep(f->all);
}

static void fail(struct feed *f, const struct err *why)
{
	struct err e = *why;

	f->failed = true; /* who comes now begins anew */
	tell(f, &e);
}

static void on_step(void *arg)
{
	struct feed *f = arg;
	struct err e;
	int done = join_step(f, &e);

	if (done < 0) {
		fail(f, &e);
	} else if (done) {
		f->ready = true;
		tell(f, NULL);
	} else {
		timer_in(f->timer, 0);
	}
}

static void whole(struct feed *f)
{
	struct err e;

	if (count_files(f, &e) || remove_tree(f->dir, &e) || make_dirs(f->dir, 0700, &e))
		fail(f, &e);
	else
		on_step(f);
}

static void on_part(void *arg, const struct err *e)
{
	struct feed *f = arg;

	if (f->failed)
		return;
	if (e)
		fail(f, e);
	else if (--f->missing == 0)
		whole(f);
}

static void on_resolution(void *arg, const struct err *why)
{
	struct feed *f = arg;
	struct blobs *blobs = cache_blobs(f->all->cache);
	auto_free char *text = NULL;
	struct err e;
	size_t n;

	if (why) {
		fail(f, why);
		return;
	}
	if (blob_read(blobs, &f->blob.digest, &text, &n, INPUTS_TEXT_MAX, &e) ||
		inputs_read(&f->inputs, f->job, text, n, &e)) {
		fail(f, &e);
		return;
	}
	f->missing = f->inputs.n; /* at least one: the job has a source */
	for (size_t i = 0; i < f->inputs.n; i++) {
		array_room(&f->wants, &f->wants_room, f->n_wants, sizeof(struct want *));
		f->wants[f->n_wants++] =
			cache_want(f->all->cache, &f->inputs.parts[i].blob, on_part, f);
	}
}

static struct feed *feed_of(struct feeds *all, const struct job *job, const struct blob *resolution)
{
	char hex[DIGEST_HEX + 1];

	for (struct feed *f = all->list; f; f = f->next)
		if (!f->failed && digest_equal(&f->id, &job->id) &&
			digest_equal(&f->blob.digest, &resolution->digest))
			return f;
	struct feed *f = xcalloc(1, sizeof(*f));
	digest_hex(hex, &job->id);
	*f = (struct feed){ .all = all,
		.job = job,
		.id = job->id,
		.blob = *resolution,
		.dir = xprintf("%s/given-%.16s-%u", all->dir, hex, all->made++),
		.out = -1,
		.timer = timer_new(all->loop, on_step, f),
		.next = all->list };
	all->list = f;
	f->resolution = cache_want(all->cache, resolution, on_resolution, f);
	return f;
}

struct feed_ref *feed_want(struct feeds *all, const struct job *job, const struct blob *resolution,
	feed_fn *fn, void *arg)
{
	struct feed_ref *r = xcalloc(1, sizeof(*r));
	struct feed *f = feed_of(all, job, resolution);

	r->feed = f;
	waiters_add(&f->refs, &r->waiter, f->ready ? NULL : fn, arg);
	f->job = job;
	return r;
}

bool feed_ready(const struct feed_ref *r)
{
	return r->feed->ready;
}

void feed_leave(struct feed_ref *r)
{
	struct feed *f = r ? r->feed : NULL;

	if (!r)
		return;
	waiters_drop(&f->refs, &r->waiter);
	sweep(f->all);
}

const struct inputs *feed_inputs(const struct feed_ref *r)
{
	return &r->feed->inputs;
}

struct feeds *feeds_new(struct loop *l, struct cache *c, const char *dir)
{
	struct feeds *all = xcalloc(1, sizeof(*all));

	*all = (struct feeds){ .loop = l, .cache = c, .dir = dir };
	return all;
}

void feeds_free(struct feeds *all)
{
	free(all);
}
