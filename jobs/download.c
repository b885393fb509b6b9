/* SPDX-License-Identifier: Apache-2.0
 *
 * download.c: a few slots, each fetching one blob after the other.
 *
 *	next() -> start() -> fetch … -> done() -> checked and renamed -> next()
 *	            ^                      |
 *	            +---- timer <- unreachable, a few times
 *
 * Files are not fsynced: whoever fetches again checks every file's digest first, so a torn one is only
 * fetched anew.
 */
#include "jobs/download.h"

#include "jobs/progress.h"
#include "jobs/resdir.h"

#include "common/clock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLOTS 8
#define TRIES 5
#define RETRY_MS 250
#define BLOB_TIMEOUT_MS (6 * 3600 * 1000) /* a stalled transfer is cut much earlier */

struct slot {
	struct run *run;
	size_t number;
	struct download *item;
	struct fetch *fetch;
	struct timer *timer;
	struct hasher *hasher;
	int fd, tries;
	int64_t got;
	char *part; /* path */
};

struct run {
	struct downloads *list;
	struct client *client;
	struct slot slots[SLOTS];
	struct progress progress;
	size_t next, finished;
	struct err e;
	bool failed, looping; /* loop_stop() outside of the loop would end the next one */
};

static void step(struct slot *s);

void downloads_add(struct downloads *d, const struct digest *digest, int64_t size, char *path)
{
	array_room(&d->at, &d->room, d->n, sizeof(*d->at));
	d->at[d->n++] = (struct download){ .digest = *digest, .size = size, .path = path };
}

void downloads_release(struct downloads *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->at[i].path);
	free(d->at);
	*d = (struct downloads){ 0 };
}

static int make_parent(const char *path, struct err *e)
{
	auto_free char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');

	if (!slash || slash == dir)
		return 0;
	*slash = '\0';
	return make_dirs(dir, 0777, e);
}

static void end(struct run *r)
{
	if (r->looping)
		loop_stop(r->client->loop);
}

static void fail(struct run *r, const struct err *e)
{
	if (!r->failed)
		r->e = *e;
	r->failed = true;
	end(r);
}

static int take_part(void *arg, const void *bytes, size_t n, struct err *e)
{
	struct slot *s = arg;

	s->got += (int64_t)n;
	if (s->got > s->item->size)
		return err_set(e, ERR_DIGEST, "more bytes than were promised");
	hasher_add(s->hasher, bytes, n);
	return fd_write_all(s->fd, bytes, n, e);
}

/* All bytes are there: are they the right ones? Then they get their name. */
static int settle(struct slot *s, struct err *e)
{
	struct digest d = hasher_end(s->hasher);

	close(s->fd);
	s->fd = -1;
	if (s->got != s->item->size || !digest_equal(&d, &s->item->digest))
		return err_set(e, ERR_DIGEST, "the bytes that came are not the ones that were promised");
	return rename(s->part, s->item->path) ? err_sys(e, "renaming %s", s->item->path) : 0;
}

static void finished(struct slot *s)
{
	struct run *r = s->run;

	s->item = NULL;
	s->tries = 0;
	r->finished++;
	progress_show(&r->progress, (int64_t)r->finished, (int64_t)r->list->n, "files",
		clock_mono_ms());
	if (r->finished == r->list->n)
		end(r);
	else
		step(s);
}

static void done(void *arg, struct answer *a)
{
	struct slot *s = arg;
	struct err e = a->e;
	bool ok = a->status >= 200 && a->status < 300;

	s->fetch = NULL;
	if (ok && !settle(s, &e)) {
		finished(s);
		return;
	}
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	hasher_end(s->hasher);
	if (a->status == 404) {
		s->item->missing = true;
		s->run->list->missing++;
		finished(s);
	} else if ((e.code == ERR_UNREACHABLE || e.code == ERR_RATE) && ++s->tries < TRIES) {
		timer_in(s->timer, RETRY_MS << s->tries);
	} else {
		err_wrap(&e, "fetching %s", s->item->path);
		fail(s->run, &e);
	}
}

static int start(struct slot *s, struct err *e)
{
	char text[DIGEST_TEXT + 1], path[DIGEST_TEXT + 16];
	struct fetch_spec spec = { .method = "GET", .to = &s->run->client->to, .via = client_via(s->run->client), .path = path,
		.timeout_ms = BLOB_TIMEOUT_MS, .sink = take_part, .sink_arg = s };

	digest_text(text, &s->item->digest);
	snprintf(path, sizeof(path), "/v1/blobs/%s", text);
	s->got = 0;
	s->fd = open(s->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (s->fd < 0)
		return err_sys(e, "creating %s", s->part);
	if (make_parent(s->item->path, e))
		return -1;
	s->fetch = fetch_start(s->run->client->fetcher, &spec, done, s);
	return 0;
}

/* An empty file needs no fetching. */
static int make_empty(const char *path, struct err *e)
{
	int fd = make_parent(path, e) ? -2 : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd == -1)
		return err_sys(e, "creating %s", path);
	if (fd >= 0)
		close(fd);
	return fd >= 0 ? 0 : -1;
}

/* Give the slot its next file, passing over those that are there. */
static void step(struct slot *s)
{
	static const struct digest zero;
	struct run *r = s->run;
	struct digest empty = digest_of("", 0);
	struct err e;

	while (!s->item && r->next < r->list->n && !r->failed) {
		struct download *item = &r->list->at[r->next++];

		if (digest_equal(&item->digest, &zero))
			abort(); /* nobody adds that */
		if (resdir_file_is(item->path, &item->digest, &e)) {
			if (!digest_equal(&item->digest, &empty)) {
				s->item = item;
				break;
			}
			if (make_empty(item->path, &e)) {
				fail(r, &e);
				return;
			}
		}
		r->finished++;
	}
	if (r->finished == r->list->n)
		end(r);
	else if (s->item && start(s, &e))
		fail(r, &e);
}

static void again(void *arg)
{
	struct slot *s = arg;
	struct err e;

	if (start(s, &e))
		fail(s->run, &e);
}

static void slots_open(struct run *r, const char *partial)
{
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *s = &r->slots[i];

		*s = (struct slot){ .run = r, .number = i, .fd = -1 };
		s->part = xprintf("%s/%zu", partial, i);
		s->hasher = hasher_new();
		s->timer = timer_new(r->client->loop, again, s);
	}
}

static void slots_close(struct run *r)
{
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *s = &r->slots[i];

		if (s->fetch)
			fetch_cancel(s->fetch);
		if (s->fd >= 0)
			close(s->fd);
		timer_free(s->timer);
		hasher_free(s->hasher);
		free(s->part);
	}
}

int downloads_run(struct downloads *d, struct client *c, const char *partial, struct err *e)
{
	struct run r = { .list = d, .client = c };
	struct err ignored;

	if (d->n == 0)
		return 0;
	if (make_dirs(partial, 0777, e))
		return -1;
	progress_start(&r.progress, clock_mono_ms());
	slots_open(&r, partial);
	for (size_t i = 0; i < SLOTS && !r.failed; i++)
		step(&r.slots[i]);
	r.looping = true;
	if (!r.failed && r.finished < d->n)
		loop_run(c->loop);
	if (!r.failed && r.finished < d->n)
		r.failed = true, err_set(&r.e, ERR_CANCELLED, "interrupted");
	slots_close(&r);
	progress_end(&r.progress);
	remove_tree(partial, &ignored);
	*e = r.e;
	return r.failed ? -1 : 0;
}
