/* SPDX-License-Identifier: Apache-2.0
 *
 * carry_out.c: carried jobs are delivered, one at a time, the oldest first: its uploads with the submitter's own
 * tickets, then its manifest. The coordinator answers a manifest that it has already with the same ack, so a
 * delivery may be repeated.
 */
#include "worker/backoff.h"
#include "worker/carry_in.h"
#include "common/log.h"
#include "common/tus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UPLOAD_TRIES 3

/* The first job is done with; what only it needed goes too. */
static void parcel_over(struct carry *c)
{
	struct parcel *p = c->parcels;

	c->parcels = p->next;
	c->tries = 0;
	carry_forget(c, "jobs", &p->id, "");
	for (size_t i = 0; i < p->n_needs; i++) {
		struct ticket *t = carry_held(c, &p->submitter, &p->needs[i]);

		if (t && !carry_uses(c, t))
			carry_drop_ticket(c, t);
	}
	parcel_free(p);
	timer_in(c->timer, 0);
}

static void refused(struct carry *c, const struct err *e)
{
	auto_free char *from = carry_path(c, "jobs", &c->parcels->id, "");
	auto_free char *to = carry_path(c, "refused", &c->parcels->id, "");

	log_error("a job that was carried for its submitter was refused for good (%s: %s); it is "
		  "now %s",
		err_name(e->code), e->msg, to);
	if (rename(from, to))
		log_error("moving %s to %s: %s", from, to, strerror(errno));
	carry_bound_refused(c);
	if (c->fns.refused)
		c->fns.refused(c->fns.arg, &c->parcels->line_digest);
	parcel_over(c);
}

static void put_off(struct carry *c, const struct err *e)
{
	log_debug("a carried job waits: %s", e->msg);
	home_failed(c->home, c->turn);
	timer_in(c->timer, backoff_ms(++c->tries, &c->seed));
}

static bool is_final(const struct err *e)
{
	switch (e->code) {
	case ERR_UNREACHABLE:
	case ERR_RATE:
	case ERR_FULL:
	case ERR_SYSTEM:
	case ERR_INTERNAL:
	case ERR_CANCELLED:
	case ERR_OFFSET:
	case ERR_MISSING_BLOB:
		return false;
	default:
		return true;
	}
}

static int check_ack(struct carry *c, const struct answer *a, struct err *e)
{
	const char *line = a->body.data ? a->body.data : "";
	struct msg m;

	if (home_open_ack(c->home, &m, line, a->body.len, &c->parcels->line_digest, e))
		return -1;
	msg_release(&m);
	return 0;
}

static void on_posted(void *arg, struct answer *a)
{
	struct carry *c = arg;
	struct err e = a->e;
	char hex[DIGEST_HEX + 1];

	c->fetch = NULL;
	if (a->status == 200 && !check_ack(c, a, &e)) {
		digest_hex(hex, &c->parcels->id);
		log_info("job %.16s, carried for its submitter, is acknowledged", hex);
		parcel_over(c);
	} else if (a->status >= 400 && a->status < 500 && is_final(&e)) {
		refused(c, &e);
	} else {
		c->parcels->sent = e.code == ERR_MISSING_BLOB ? 0 : c->parcels->sent;
		put_off(c, &e);
	}
}

static void on_uploaded(void *arg, const struct err *e)
{
	struct carry *c = arg;

	c->tus = NULL;
	close(c->fd);
	c->fd = -1;
	if (!e) {
		c->tries = 0;
		c->parcels->sent++;
		timer_in(c->timer, 0);
	} else if (is_final(e)) {
		refused(c, e);
	} else {
		put_off(c, e);
	}
}

/* Send the ticket that the submitter signed, and the bytes. */
static int upload(struct carry *c, const struct way *way, const struct blob *b, struct err *e)
{
	struct ticket *t = carry_held(c, &c->parcels->submitter, b);
	auto_free char *path = t ? carry_path(c, "tickets", &t->says.id, "") : NULL;
	auto_free char *line = NULL;
	int64_t size;
	size_t n;

	if (!t)
		return err_set(e, ERR_UNKNOWN_BLOB, "an upload of it is lost");
	if (file_read(&line, &n, path, CARRY_TICKET_MAX, e) ||
		blob_open(c->blobs, &b->digest, &c->fd, &size, e))
		return -1;
	c->tus = tus_start(c->fetcher, c->loop, &way->to, way_via(way), line, n, c->fd, size,
		UPLOAD_TRIES, on_uploaded, c);
	return 0;
}

static int post(struct carry *c, const struct way *way, struct err *e)
{
	auto_free char *line = carry_manifest(c, &c->parcels->id);
	struct fetch_spec spec = { .method = "POST",
		.to = &way->to,
		.via = way_via(way),
		.path = "/v1/messages",
		.headers = { "Content-Type: application/json" },
		.body = line };

	if (!line)
		return err_set(e, ERR_NOT_FOUND, "its file is gone");
	spec.n = strlen(line);
	c->fetch = fetch_start(c->fetcher, &spec, on_posted, c);
	return 0;
}

void carry_next(void *arg)
{
	struct carry *c = arg;
	struct parcel *p = c->parcels;
	const struct way *way = home_way(c->home);
	struct err e;

	if (!p || c->tus || c->fetch)
		return;
	c->turn = home_turn(c->home);
	if (!way) {
		err_set(&e, ERR_UNREACHABLE, "no way to the coordinator is known");
		put_off(c, &e);
	} else if (p->sent < p->n_needs ? upload(c, way, &p->needs[p->sent], &e)
					: post(c, way, &e)) {
		refused(c, &e);
	}
}

void carry_hurry(struct carry *c)
{
	c->tries = 0;
	if (!c->tus && !c->fetch)
		timer_in(c->timer, 0);
}
