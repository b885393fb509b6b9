/* SPDX-License-Identifier: Apache-2.0
 *
 * upload.c: a few slots, each sending one thing after the other. Small files are many, and each costs the
 * coordinator a commit: side by side they share it.
 */
#include "jobs/upload.h"

#include "jobs/progress.h"

#include "common/clock.h"
#include "common/tus.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOTS 8
#define TRIES 8

struct slot {
	struct run *run;
	const struct upload *item;
	struct tus *tus;
	int fd;
};

struct run {
	const struct uploads *list;
	struct client *client;
	struct slot slots[SLOTS];
	struct progress progress;
	size_t next, finished;
	struct err e;
	bool failed, looping; /* loop_stop() outside of the loop would end the next one */
};

static void step(struct slot *s);

static void end(struct run *r)
{
	if (r->looping)
		loop_stop(r->client->loop);
}

static void fail(struct slot *s, const struct err *e)
{
	struct run *r = s->run;

	if (!r->failed) {
		r->e = *e;
		err_wrap(&r->e, "%s", s->item->path ? s->item->path : "the list of tasks");
	}
	r->failed = true;
	end(r);
}

static void done(void *arg, const struct err *e)
{
	struct slot *s = arg;
	struct run *r = s->run;

	s->tus = NULL;
	close(s->fd);
	s->fd = -1;
	if (e) {
		fail(s, e);
		return;
	}
	r->finished++;
	progress_show(&r->progress, (int64_t)r->finished, (int64_t)r->list->n, "uploads", clock_mono_ms());
	if (r->finished == r->list->n)
		end(r);
	else
		step(s);
}

/* The bytes as a descriptor: a text of ours becomes a file in memory, so that all is sent alike. */
static int open_item(const struct upload *u, struct err *e)
{
	int fd = u->path ? open(u->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : memfd_create("talkoot", MFD_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "opening it");
	if (u->path || !fd_write_all(fd, u->text, (size_t)u->blob.size, e))
		return fd;
	close(fd);
	return -1;
}

static void step(struct slot *s)
{
	struct run *r = s->run;
	struct client *c = r->client;
	char *ticket = NULL;
	struct err e;

	if (r->failed || r->next == r->list->n)
		return;
	s->item = &r->list->at[r->next++];
	s->fd = open_item(s->item, &e);
	if (s->fd < 0 || client_ticket(c, &ticket, &s->item->blob.digest, s->item->blob.size, &e)) {
		fail(s, &e);
		return;
	}
	s->tus = tus_start(c->fetcher, c->loop, &c->to, client_via(c), ticket, strlen(ticket), s->fd, s->item->blob.size, TRIES,
		done, s);
	free(ticket);
}

int uploads_run(const struct uploads *up, struct client *c, struct err *e)
{
	struct run r = { .list = up, .client = c };

	if (up->n == 0)
		return 0;
	progress_start(&r.progress, clock_mono_ms());
	for (size_t i = 0; i < SLOTS; i++) {
		r.slots[i] = (struct slot){ .run = &r, .fd = -1 };
		step(&r.slots[i]);
	}
	r.looping = true;
	if (!r.failed && r.finished < up->n)
		loop_run(c->loop);
	if (!r.failed && r.finished < up->n)
		r.failed = true, err_set(&r.e, ERR_CANCELLED, "interrupted");
	for (size_t i = 0; i < SLOTS; i++) {
		if (r.slots[i].tus)
			tus_cancel(r.slots[i].tus);
		if (r.slots[i].fd >= 0)
			close(r.slots[i].fd);
	}
	progress_end(&r.progress);
	if (r.failed)
		*e = r.e;
	return r.failed ? -1 : 0;
}

static int post_job(const struct manifest *m, struct client *c, char id[DIGEST_HEX + 1], struct err *e)
{
	auto_free char *line = NULL;
	struct sealed sealed;

	if (manifest_seal(m, &line, &c->grid.id, c->key, clock_now_ms(), e) ||
		seal_open(&sealed, line, strlen(line), MSG_LINE_MAX, e))
		return -1;
	struct digest d = digest_of(sealed.payload, sealed.n);
	seal_release(&sealed);
	digest_hex(id, &d);
	return client_send(c, line, e);
}

int submit_send(const struct manifest *m, struct client *c, char id[DIGEST_HEX + 1], struct err *e)
{
	if (!uploads_run(&m->uploads, c, e) && !post_job(m, c, id, e))
		return 0;
	client_explain_refusal(c, e);
	return -1;
}
