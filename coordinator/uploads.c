/* SPDX-License-Identifier: Apache-2.0
 *
 * uploads.c: bytes come in by parts, against a ticket that says what they will be.
 *
 * An upload is named by the digest of its ticket's line, so the same ticket is the same upload,
 * also after a restart: the row is in the store, the bytes so far are in the blob store's partial
 * file. A few uploads are kept open, because reopening one reads all of it again. Every author
 * sends its own bytes: no answer depends on what others sent.
 */
#include "coordinator/uploads.h"
#include "common/ticket.h"

#include <stdlib.h>
#include <string.h>

#define OPEN_MAX 64        /* descriptors kept; beyond it the least recently used is closed */
#define PER_AUTHOR_MAX 256 /* unfinished uploads of one author */

struct slot {
	struct digest id;
	struct blob_in *in; /* NULL: free */
	int64_t used;
};

struct uploads {
	struct coord *c;
	struct slot slots[OPEN_MAX];
	int64_t clock;
};

struct uploads *uploads_new(struct coord *c)
{
	struct uploads *u = xcalloc(1, sizeof(*u));

	u->c = c;
	return u;
}

void uploads_free(struct uploads *u)
{
	for (size_t i = 0; u && i < OPEN_MAX; i++)
		if (u->slots[i].in)
			blob_in_leave(u->slots[i].in);
	free(u);
}

static struct slot *slot_for(struct uploads *u, const struct digest *id)
{
	struct slot *best = &u->slots[0];

	for (size_t i = 0; i < OPEN_MAX; i++) {
		struct slot *s = &u->slots[i];

		if (s->in && digest_equal(&s->id, id))
			return s;
		if (best->in && (!s->in || s->used < best->used))
			best = s;
	}
	if (best->in)
		blob_in_leave(best->in);
	*best = (struct slot){ .id = *id };
	return best;
}

/* The open upload, or NULL and `e`. */
static struct slot *reach(struct coord *c, const struct upload_row *row, struct err *e)
{
	struct slot *s = slot_for(c->uploads, &row->id);
	char tag[DIGEST_HEX + 1];

	digest_hex(tag, &row->id);
	if (!s->in && blob_in_start(&s->in, c->blobs, tag, &row->digest, row->size, e)) {
		s->in = NULL;
		return NULL;
	}
	s->used = ++c->uploads->clock;
	return s;
}

/* --- the ticket --------------------------------------------------------------------------- */
static int64_t largest_output(const struct coord *c)
{
	int64_t mib = JOB_OUTPUT_MIB;

	for (size_t i = 0; i < c->sched.n_jobs; i++)
		if (!c->sched.jobs[i].gone && c->manifests[i]->output_mib > mib)
			mib = c->manifests[i]->output_mib;
	return mib * MIB;
}

static int may_upload(struct coord *c, const struct upload_row *row, struct err *e)
{
	uint32_t at = sched_worker(&c->sched, &row->author);

	if (at != NOBODY && c->sched.workers[at].banned)
		return err_set(e, ERR_BANNED, "this worker is banned");
	if (store_open_uploads(c->store, &row->author) >= PER_AUTHOR_MAX)
		return err_set(
			e, ERR_RATE, "%d uploads of this author are unfinished", PER_AUTHOR_MAX);
	if (at != NOBODY && c->sched.workers[at].ever_leased && row->size <= largest_output(c))
		return 0;
	return may_submit(c, &row->author, e) ? 0 : -1;
}

static int read_ticket(struct coord *c, struct upload_row *row, const char *line, size_t n, int64_t size, const char *address,
	struct err *e)
{
	struct ticket_said t;
	struct msg m;

	if (coord_open_message(c, &m, line, n, address, e) || ticket_read(&t, &m, e) || ticket_check_length(&t, size, e))
		return -1;
	*row = (struct upload_row){ .id = t.id, .digest = t.digest, .author = t.author, .size = t.size };
	return 0;
}

/* --- the whole blob ----------------------------------------------------------------------- */
static int complete(struct coord *c, const struct upload_row *row, struct slot *s, struct err *e)
{
	if (blob_in_offset(s->in) < row->size)
		return 0;
	if (blob_in_finish(TAKE(s->in), NULL, e))
		return -1;
	/* A submitter's own bytes are there for all at once. A worker's are outputs: who has them must not
	 * show before the task is final, not even to one that computed the same digest. */
	store_upload_done(c->store, row, sched_worker(&c->sched, &row->author) == NOBODY);
	return 1;
}

static void reply_upload(
	struct call *call, int status, const struct upload_row *row, int64_t offset)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, &row->id);
	if (status == 201)
		snprintf(call->reply.location, sizeof(call->reply.location), "/v1/uploads/%s", hex);
	call->reply.offset = offset;
	if (status == 200)
		call->reply.length = row->size;
	reply_text(call, status, NULL, NULL, 0);
}

void upload_create(struct call *call, const char *line, size_t n, int64_t size, const char *address)
{
	struct coord *c = call->c;
	struct upload_row row, known;
	struct slot *s = NULL;
	int whole = 0;
	struct err e;

	if (read_ticket(c, &row, line, n, size, address, &e)) {
		reply_error(call, &e);
		return;
	}
	if (store_upload(c->store, &row.id, &known)) {
		if (known.done) {
			reply_upload(call, 201, &row, row.size);
			return;
		}
	} else if (may_upload(c, &row, &e)) {
		reply_error(call, &e);
		return;
	} else {
		store_add_upload(c->store, &row, coord_now(c));
	}
	s = reach(c, &row, &e);
	if (s)
		whole = complete(c, &row, s, &e); /* an empty blob is whole at once */
	if (!s || whole < 0)
		reply_error(call, &e);
	else
		reply_upload(call, 201, &row, whole ? row.size : blob_in_offset(s->in));
}

static int find(struct coord *c, const char *id, struct upload_row *row, struct err *e)
{
	struct digest d;

	if (!digest_from_hex(&d, id) || !store_upload(c->store, &d, row))
		return err_set(e, ERR_NOT_FOUND, "no such upload");
	return 0;
}

void upload_tell(struct call *call, const char *id)
{
	struct upload_row row;
	struct slot *s;
	struct err e;

	if (find(call->c, id, &row, &e))
		reply_error(call, &e);
	else if (row.done)
		reply_upload(call, 200, &row, row.size);
	else if (!(s = reach(call->c, &row, &e)))
		reply_error(call, &e);
	else
		reply_upload(call, 200, &row, blob_in_offset(s->in));
}

void upload_add(struct call *call, const char *id, int64_t at, const char *bytes, size_t n)
{
	struct coord *c = call->c;
	struct upload_row row;
	struct slot *s;
	struct err e;

	if (find(c, id, &row, &e)) {
		reply_error(call, &e);
		return;
	}
	if (row.done) {
		err_set(&e, ERR_OFFSET, "all %lld bytes are here", (long long)row.size);
	} else if ((s = reach(c, &row, &e)) != NULL) {
		int64_t held = blob_in_offset(s->in);

		if (at != held) {
			err_set(&e, ERR_OFFSET, "%lld bytes are here", (long long)held);
		} else if (!blob_in_add(s->in, bytes, n, &e)) {
			int whole = complete(c, &row, s, &e);

			if (whole >= 0) {
				reply_upload(
					call, 204, &row, whole ? row.size : blob_in_offset(s->in));
				return;
			}
		}
	}
	reply_error(call, &e);
}
