/* SPDX-License-Identifier: Apache-2.0
 *
 * uploads.c: bytes come in by parts, against a ticket that says what they will be.
 *
 * An upload is named by the digest of its ticket's line, so the same ticket is the same upload,
 * also after a restart: the row is in the store, the bytes so far are in the blob store's partial
 * file. A few uploads are kept open, because reopening one reads all of it again. That is done a
 * little each turn, and who wants to go on meanwhile is told to come back: otherwise an author of many
 * large unfinished uploads could have the loop do nothing but read. How far one is, is said without
 * opening it. Every author sends its own bytes: no answer depends on what others sent.
 */
#include "coordinator/uploads.h"
#include "common/log.h"
#include "common/ticket.h"

#include <stdlib.h>
#include <string.h>

#define OPEN_MAX 64         /* descriptors kept; beyond it the least recently used is closed */
#define OPEN_OF_ONE_MAX 16  /* of one author; then its own least recently used is closed */
#define PER_AUTHOR_MAX 256  /* unfinished uploads of one author */
#define READ_STEP (2 * MIB) /* read again a turn: some ten milliseconds */
#define READ_GUESS                                                                                 \
	(100 * MIB) /* that in a second at least, others being served too: for Retry-After */

struct slot {
	struct digest id;
	struct id author;
	struct blob_in *in; /* NULL: free */
	int64_t used;
};

struct uploads {
	struct coord *c;
	struct slot slots[OPEN_MAX];
	int64_t clock;
	size_t next; /* to be read again */
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

static size_t open_of(const struct uploads *u, const struct id *author)
{
	size_t n = 0;

	for (size_t i = 0; i < OPEN_MAX; i++)
		n += u->slots[i].in && id_equal(&u->slots[i].author, author);
	return n;
}

static struct slot *slot_of(struct uploads *u, const struct digest *id)
{
	for (size_t i = 0; i < OPEN_MAX; i++)
		if (u->slots[i].in && digest_equal(&u->slots[i].id, id))
			return &u->slots[i];
	return NULL;
}

/* Which slot an author gets: an empty one, else the least recently used of those who have most open. An author with many
 * pays himself. None that is read again is taken: what was read of it would be lost, and with more authors than slots
 * nobody would come to an end. NULL: there is none for now. */
static struct slot *slot_for(struct uploads *u, const struct id *author)
{
	bool many = open_of(u, author) >= OPEN_OF_ONE_MAX;
	struct slot *best = NULL;
	size_t most = 0;

	for (size_t i = 0; i < OPEN_MAX; i++) {
		struct slot *s = &u->slots[i];

		if (!s->in && !many)
			return s;
		if (!s->in || blob_in_unread(s->in) || (many && !id_equal(&s->author, author)))
			continue;
		size_t n = open_of(u, &s->author);
		if (!best || n > most || (n == most && s->used < best->used)) {
			best = s;
			most = n;
		}
	}
	return best;
}

/* Of all uploads that are read again: they take turns. */
static int64_t unread_of(const struct uploads *u)
{
	int64_t n = 0;

	for (size_t i = 0; i < OPEN_MAX; i++)
		n += u->slots[i].in ? blob_in_unread(u->slots[i].in) : 0;
	return n;
}

/* NULL, always: ERR_RATE, and when to come back. */
static struct slot *come_back(struct call *call, const char *why, struct err *e)
{
	call->c->more = true;
	call->reply.retry_s = 1 + (int)(unread_of(call->c->uploads) / READ_GUESS);
	err_set(e, ERR_RATE, "%s", why);
	return NULL;
}

/* The open upload, or NULL and `e`: ERR_RATE while what is there of it is read again. */
static struct slot *reach(struct call *call, const struct upload_row *row, struct err *e)
{
	struct coord *c = call->c;
	struct slot *s = slot_of(c->uploads, &row->id);
	char tag[DIGEST_HEX + 1];

	digest_hex(tag, &row->id);
	if (!s) {
		s = slot_for(c->uploads, &row->author);
		if (!s)
			return come_back(call, "other uploads are being read again first", e);
		if (s->in)
			blob_in_leave(s->in);
		*s = (struct slot){ .id = row->id, .author = row->author };
		if (blob_in_reopen(&s->in, c->blobs, tag, &row->digest, row->size, e)) {
			s->in = NULL;
			return NULL;
		}
	}
	s->used = ++c->uploads->clock;
	if (!blob_in_unread(s->in))
		return s;
	if (blob_in_unread(s->in) <= READ_STEP)
		return blob_in_read(s->in, READ_STEP, e) ? NULL : s;
	return come_back(call, "what is here of this upload is being read again", e);
}

void uploads_turn(struct coord *c)
{
	struct uploads *u = c->uploads;
	bool read = false;
	struct err e;

	for (size_t i = 0; i < OPEN_MAX; i++) {
		struct slot *s = &u->slots[u->next++ % OPEN_MAX];

		if (!s->in || !blob_in_unread(s->in))
			continue;
		c->more = true;
		if (read) {
			u->next--; /* its turn is the next one */
			break;
		}
		read = true;
		if (blob_in_read(s->in, READ_STEP, &e)) {
			log_error("%s", e.msg);
			blob_in_leave(TAKE(s->in));
		}
	}
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

/* How much of it is here. */
static int64_t held_of(struct coord *c, const struct upload_row *row)
{
	struct slot *s = slot_of(c->uploads, &row->id);
	char tag[DIGEST_HEX + 1];

	digest_hex(tag, &row->id);
	int64_t held = s ? blob_in_offset(s->in) : blob_in_left(c->blobs, tag);
	return held <= row->size ? held : 0; /* what is too long is begun anew */
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

/* Say how much is here; and if that is all of it, but a crash came before it had its name, give it that. */
static void tell_held(struct call *call, int status, const struct upload_row *row)
{
	int64_t held = row->done ? row->size : held_of(call->c, row);
	struct slot *s;
	struct err e;

	if (row->done || held < row->size)
		reply_upload(call, status, row, held);
	else if (!(s = reach(call, row, &e)) || complete(call->c, row, s, &e) < 0)
		reply_error(call, &e);
	else
		reply_upload(call, status, row, row->size);
}

void upload_create(struct call *call, const char *line, size_t n, int64_t size, const char *address)
{
	struct coord *c = call->c;
	struct upload_row row, known;
	struct err e;

	if (read_ticket(c, &row, line, n, size, address, &e)) {
		reply_error(call, &e);
		return;
	}
	if (store_upload(c->store, &row.id, &known)) {
		row.done = known.done;
	} else {
		bool may = !may_upload(c, &row, &e);

		if (may)
			store_add_upload(c->store, &row, coord_now(c));
		if (!may || !reach(call, &row, &e)) {
			reply_error(call, &e);
			return;
		}
	}
	tell_held(call, 201, &row);
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
	struct err e;

	if (find(call->c, id, &row, &e))
		reply_error(call, &e);
	else
		tell_held(call, 200, &row);
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
	} else if (at != held_of(c, &row)) {
		err_set(&e, ERR_OFFSET, "%lld bytes are here", (long long)held_of(c, &row));
	} else if ((s = reach(call, &row, &e)) != NULL) {
		if (!blob_in_add(s->in, bytes, n, &e)) {
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
