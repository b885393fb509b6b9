/* SPDX-License-Identifier: Apache-2.0
 *
 * carry_tickets.c: the uploads of those who submit to this worker, each by the ticket that its author signed.
 */
#include "worker/carry_in.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct ticket *carry_ticket(struct carry *c, const struct digest *id)
{
	struct ticket *t = c->tickets;

	while (t && !digest_equal(&t->says.id, id))
		t = t->next;
	return t;
}

struct ticket *carry_held(struct carry *c, const struct id *author, const struct blob *b)
{
	struct ticket *t = c->tickets;

	while (t && !(t->done && t->says.size == b->size && id_equal(&t->says.author, author) &&
			    digest_equal(&t->says.digest, &b->digest)))
		t = t->next;
	return t;
}

static int by_digest(const void *a, const void *b)
{
	const struct ticket *const *x = a, *const *y = b;

	return memcmp((*x)->says.digest.b, (*y)->says.digest.b, DIGEST_BYTES);
}

void holdings_read(struct holdings *h, const struct carry *c, const struct id *author)
{
	*h = (struct holdings){ .n = 0 };
	for (const struct ticket *t = c->tickets; t; t = t->next) {
		if (!t->done || !id_equal(&t->says.author, author))
			continue;
		array_room(&h->at, &h->room, h->n, sizeof(*h->at));
		h->at[h->n++] = t;
	}
	if (h->n)
		qsort(h->at, h->n, sizeof(*h->at), by_digest);
}

bool holdings_have(const struct holdings *h, const struct blob *b)
{
	const struct ticket wanted = { .says.digest = b->digest }, *key = &wanted;
	const struct ticket **at =
		h->n ? bsearch(&key, h->at, h->n, sizeof(*h->at), by_digest) : NULL;

	return at &&
	       (*at)->says.size == b->size; /* of one digest all that are whole have one size */
}

void holdings_release(struct holdings *h)
{
	free(h->at);
}

static struct ticket *add_ticket(struct carry *c, const struct ticket *t)
{
	struct ticket *mine = xcalloc(1, sizeof(*mine));

	*mine = *t;
	mine->next = c->tickets;
	c->tickets = mine;
	return mine;
}

struct ticket *carry_keep_ticket(
	struct carry *c, const struct ticket *t, const char *line, size_t n, struct err *e)
{
	auto_free char *path = carry_path(c, "tickets", &t->says.id, "");

	return file_write_atomic(path, line, n, 0600, e) ? NULL : add_ticket(c, t);
}

int carry_ticket_done(struct carry *c, struct ticket *t, struct err *e)
{
	auto_free char *path = carry_path(c, "tickets", &t->says.id, ".done");

	t->done = !file_write_atomic(path, "", 0, 0600, e);
	return t->done ? 0 : -1;
}

void carry_drop_ticket(struct carry *c, struct ticket *t)
{
	struct ticket **at = &c->tickets;
	bool shared = false;
	struct err e;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	for (struct ticket *o = c->tickets; o; o = o->next)
		shared |= o->done && digest_equal(&o->says.digest, &t->says.digest);
	if (t->in) {
		blob_in_drop(t->in);
		c->writing--;
	} else if (t->done && !shared) {
		blob_remove(c->blobs, &t->says.digest, &e);
	}
	carry_forget(c, "tickets", &t->says.id, ".done");
	carry_forget(c, "tickets", &t->says.id, "");
	free(t);
}

void carry_sweep(struct carry *c)
{
	int64_t now = clock_now_ms();

	for (struct ticket *t = c->tickets, *next; t; t = next) {
		int64_t life = t->done ? c->limits.idle_ms : c->limits.unfinished_ms;

		next = t->next;
		if (now - t->since_ms > life && !carry_uses(c, t))
			carry_drop_ticket(c, t);
	}
}

void carry_take_ticket(struct carry *c, const char *name)
{
	auto_free char *path = xprintf("%s/tickets/%s", c->dir, name);
	auto_free char *done = xprintf("%s.done", path);
	auto_free char *line = NULL;
	struct ticket t = { .in = NULL };
	struct digest id;
	struct stat st;
	struct err e;
	struct msg m;
	size_t n;

	if (!digest_from_hex(&id, name) || stat(path, &st))
		return;
	if (file_read(&line, &n, path, CARRY_TICKET_MAX, &e) ||
		msg_open(&m, line, n, &c->home->grid_id, &e) || ticket_read(&t.says, &m, &e)) {
		log_warn("%s: %s", path, e.msg);
		return;
	}
	t.says.id = id;
	t.since_ms = (int64_t)st.st_mtime * 1000;
	t.done = !access(done, F_OK);
	add_ticket(c, &t);
}

void carry_leave_tickets(struct carry *c)
{
	while (c->tickets) {
		struct ticket *t = c->tickets;

		c->tickets = t->next;
		if (t->in)
			blob_in_leave(t->in);
		free(t);
	}
}
