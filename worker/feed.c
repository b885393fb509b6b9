/* SPDX-License-Identifier: Apache-2.0
 *
 * feed.c: see feed.h.
 */
#include "worker/feed.h"
#include "common/buf.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <unistd.h>

struct feed {
	struct feeds *all;
	const struct job *job; /* while somebody holds it */
	struct digest id;      /* of the job */
	struct blob blob;
	struct want *resolution, **wants;
	size_t n_wants, wants_room, missing;
	struct inputs inputs;
	char *dir;
	int64_t counted; /* bytes in it, beside the cache's blobs */
	bool ready, failed, telling;
	struct feed_ref *refs;
	struct feed *next;
};

struct feed_ref {
	struct feed *feed;
	feed_fn *fn; /* NULL: called, or not to be */
	void *arg;
	struct feed_ref *next;
};

struct feeds {
	struct cache *cache;
	const char *dir;
	struct feed *list;
	unsigned made;
};

/* --- files ------------------------------------------------------------------------------------------------ */

static int add_part(int out, struct blobs *blobs, const struct blob *b, struct err *e)
{
	auto_close int fd = -1;
	int64_t left;
	ssize_t n = 1;

	if (blob_open(blobs, &b->digest, &fd, &left, e))
		return -1;
	while (left > 0 && n > 0) {
		n = sendfile(out, fd, NULL, (size_t)left);
		left -= n > 0 ? n : 0;
	}
	return n < 0 ? err_sys(e, "joining the parts of an input") : 0;
}

static int join(
	struct feed *f, size_t file, const struct inputs_part *parts, size_t n, struct err *e)
{
	auto_free char *path = xprintf("%s/%s", f->dir, f->job->files[file].name);
	auto_close int out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (out < 0)
		return err_sys(e, "making %s", path);
	for (size_t i = 0; i < n; i++)
		if (add_part(out, cache_blobs(f->all->cache), &parts[i].blob, e))
			return -1;
	return 0;
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

/* What is made of several parts. */
static int make_files(struct feed *f, struct err *e)
{
	if (count_files(f, e) || remove_tree(f->dir, e) || make_dirs(f->dir, 0700, e))
		return -1;
	for (size_t i = 0; i < f->job->n_files; i++) {
		size_t n;
		const struct inputs_part *p = inputs_of(&f->inputs, i, &n);

		if (f->job->files[i].from && n != 1 && join(f, i, p, n, e))
			return -1;
	}
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
		if (!f->refs && !f->telling)
			feed_free(f);
	}
}

/* Each of them may leave when it is told, and so may others. */
static void tell(struct feed *f, const struct err *e)
{
	struct feed_ref *r = f->refs;

	f->telling = true;
	while (r) {
		feed_fn *fn = r->fn;

		r->fn = NULL;
		if (fn) {
			fn(r->arg, e);
			r = f->refs; /* from the start: anybody may be gone */
		} else {
			r = r->next;
		}
	}
	f->telling = false;
	sweep(f->all);
}

static void fail(struct feed *f, const struct err *why)
{
	struct err e = *why;

	f->failed = true; /* who comes now begins anew */
	tell(f, &e);
}

static void whole(struct feed *f)
{
	struct err e;

	if (make_files(f, &e)) {
		fail(f, &e);
		return;
	}
	f->ready = true;
	tell(f, NULL);
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

	*r = (struct feed_ref){
		.feed = f, .fn = f->ready ? NULL : fn, .arg = arg, .next = f->refs
	};
	f->refs = r;
	f->job = job;
	return r;
}

bool feed_ready(const struct feed_ref *r)
{
	return r->feed->ready;
}

void feed_leave(struct feed_ref *r)
{
	struct feed_ref **at;

	if (!r)
		return;
	for (at = &r->feed->refs; *at != r;)
		at = &(*at)->next;
	*at = r->next;
	sweep(r->feed->all);
	free(r);
}

const struct inputs *feed_inputs(const struct feed_ref *r)
{
	return &r->feed->inputs;
}

struct feeds *feeds_new(struct cache *c, const char *dir)
{
	struct feeds *all = xcalloc(1, sizeof(*all));

	*all = (struct feeds){ .cache = c, .dir = dir };
	return all;
}

void feeds_free(struct feeds *all)
{
	free(all);
}
