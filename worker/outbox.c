/* SPDX-License-Identifier: Apache-2.0
 *
 * outbox.c: signed results on disk until they are acknowledged.
 *
 * A letter (letter.h) is one envelope with what goes beside it. Its way: waiting -> uploading its large outputs, one after
 * the other -> posting -> gone, or back to waiting. Everything a letter needs is in its file, so taking one up after a
 * restart and putting a new one is the same code.
 */
#include "worker/outbox.h"
#include "worker/agent.h"
#include "worker/backoff.h"
#include "worker/letter.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/codec.h"
#include "common/log.h"
#include "common/tus.h"
#include "common/ticket.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LETTER_MAX MIB     /* a body: protocol 2 */
#define SENDING_MAX 4      /* at once: enough to hide the round trip, few enough to be polite */
#define UPLOAD_TRIES 3     /* in a row without progress, then the letter waits like any other */
#define MISSING_MAX 8      /* the coordinator keeps asking for a blob that it was given */

enum letter_state { LETTER_WAITING, LETTER_UPLOADING, LETTER_POSTING };

struct letter {
	struct outbox *box;
	struct letter_says says;
	size_t uploaded; /* of what goes before it */
	enum letter_state state;
	int missing;
	unsigned turn; /* of the way that it goes */
	struct tus *tus;
	int fd; /* of the upload; -1 */
	struct fetch *fetch;
	struct letter *next;
};

struct outbox {
	char *dir;
	struct blobs *blobs;
	struct loop *loop;
	struct fetcher *fetcher;
	struct home *home;
	const struct key *key;
	struct outbox_fns fns;
	struct letter *letters; /* oldest first */
	struct timer *hold;     /* on: wait, the coordinator does not answer */
	struct timer *soon;
	int tries;
	uint64_t seed;
};

static char *letter_path(const struct outbox *o, const struct digest *d, const char *folder)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, d);
	return xprintf("%s/%s%s.json", o->dir, folder, hex);
}

/* --- letters --------------------------------------------------------------------------------------------- */

static void unmove(struct letter *t)
{
	if (t->tus)
		tus_cancel(TAKE(t->tus));
	if (t->fetch)
		fetch_cancel(TAKE(t->fetch));
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	t->state = LETTER_WAITING;
}

static void letter_free(struct letter *t)
{
	unmove(t);
	letter_says_release(&t->says);
	free(t);
}

static bool still_needed(struct outbox *o, const struct digest *d)
{
	for (const struct letter *t = o->letters; t; t = t->next)
		for (size_t i = 0; i < t->says.n_uploads; i++)
			if (digest_equal(&t->says.uploads[i].digest, d))
				return true;
	return o->fns.needed(o->fns.arg, d);
}

/* The letter is done with: forget it and what only it needed, and tell whose leases it spoke of. */
static void letter_over(struct letter *t)
{
	struct outbox *o = t->box;
	struct letter **at = &o->letters;
	struct err e;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	for (size_t i = 0; i < t->says.n_uploads; i++)
		if (!still_needed(o, &t->says.uploads[i].digest))
			blob_remove(o->blobs, &t->says.uploads[i].digest, &e);
	for (size_t i = 0; i < t->says.n_leases; i++)
		o->fns.over(o->fns.arg, t->says.leases[i]);
	letter_free(t);
}

static void refuse_file(struct outbox *o, const char *from, const char *name)
{
	auto_free char *to = xprintf("%s/refused/%s", o->dir, name);

	if (rename(from, to))
		log_error("moving %s to %s: %s", from, to, strerror(errno));
}

static void letter_refused(struct letter *t, const struct err *e)
{
	auto_free char *path = letter_path(t->box, &t->says.digest, "");

	log_error("a result envelope was refused for good (%s: %s); it is now in %s/refused", err_name(e->code),
		e->msg, t->box->dir);
	refuse_file(t->box, path, strrchr(path, '/') + 1);
	letter_over(t);
}

/* --- taking up -------------------------------------------------------------------------------------------- */

/* Takes up the letter that `text` is, behind the others. */
static int letter_add(struct outbox *o, const char *text, size_t n, struct err *e)
{
	struct letter *t = xcalloc(1, sizeof(*t)), **at = &o->letters;

	t->box = o;
	t->fd = -1;
	if (letter_read(&t->says, text, n, &o->home->grid_id, e)) {
		letter_free(t);
		return -1;
	}
	while (*at && (*at)->says.time_ms <= t->says.time_ms)
		at = &(*at)->next;
	t->next = *at;
	*at = t;
	return 0;
}

/* --- sending -------------------------------------------------------------------------------------------------- */

static void pump(struct outbox *o);

/* Not now. `whole`: the coordinator itself does not answer, so nothing else is tried either. */
static void put_off(struct letter *t, bool whole, const struct err *e)
{
	struct outbox *o = t->box;

	unmove(t);
	log_debug("a result envelope waits: %s", e->msg);
	if (whole)
		home_failed(o->home, t->turn);
	timer_in(o->hold, backoff_ms(++o->tries, &o->seed));
}

/* Answers that the same bytes will get again. */
static bool is_final(enum err_code code)
{
	switch (code) {
	case ERR_MALFORMED:
	case ERR_FIELD:
	case ERR_CRIT:
	case ERR_TOO_BIG:
	case ERR_GRID:
	case ERR_SIGNATURE:
	case ERR_REFUSED:
	case ERR_BANNED:
	case ERR_CONFLICT:
	case ERR_UNKNOWN_JOB:
	case ERR_DIGEST:
	case ERR_STALE_LEASE:
		return true;
	default:
		return false;
	}
}

static int check_ack(struct letter *t, const struct answer *a, struct err *e)
{
	const char *line = a->body.data ? a->body.data : "";
	struct msg m;

	if (home_open_ack(t->box->home, &m, line, a->body.len, &t->says.digest, e))
		return -1;
	msg_release(&m);
	return 0;
}

static void delivered(struct letter *t)
{
	struct outbox *o = t->box;
	auto_free char *path = letter_path(o, &t->says.digest, "");
	char text[DIGEST_TEXT + 1];

	digest_text(text, &t->says.digest);
	log_info("acknowledged %s (%zu result%s)", text, t->says.n_leases, t->says.n_leases == 1 ? "" : "s");
	o->tries = 0;
	if (unlink(path))
		log_error("removing %s: %s", path, strerror(errno));
	letter_over(t);
}

static void posted(struct letter *t, struct answer *a)
{
	struct err e = a->e;

	if (a->status == 200 || a->status == 202) {
		if (!check_ack(t, a, &e))
			delivered(t);
		else
			put_off(t, true, &e);
	} else if (a->status >= 400 && a->status < 500 && e.code == ERR_MISSING_BLOB && ++t->missing < MISSING_MAX) {
		t->uploaded = 0;
		put_off(t, false, &e);
	} else if (a->status >= 400 && a->status < 500 &&
		   (is_final(e.code) || e.code == ERR_MISSING_BLOB)) {
		letter_refused(t, &e);
	} else {
		put_off(t, true, &e);
	}
}

static void on_posted(void *arg, struct answer *a)
{
	struct letter *t = arg;
	struct outbox *o = t->box;

	t->fetch = NULL;
	posted(t, a);
	pump(o);
}

static void post(struct letter *t, const struct way *way)
{
	auto_free char *path = letter_path(t->box, &t->says.digest, "");
	auto_free char *body = NULL;
	struct err e;
	size_t n;

	t->state = LETTER_POSTING;
	if (file_read(&body, &n, path, LETTER_MAX, &e)) {
		if (access(path, F_OK)) { /* somebody removed it: there is nothing left to send */
			log_error("%s", e.msg);
			letter_over(t);
		} else {
			put_off(t, false, &e);
		}
		return;
	}
	struct fetch_spec spec = { .method = "POST", .to = &way->to, .via = way_via(way), .path = "/v1/messages",
		.headers = { "Content-Type: application/json" }, .body = body, .n = n };
	t->fetch = fetch_start(t->box->fetcher, &spec, on_posted, t);
}

static void letter_move(struct letter *t, const struct way *way);

static void on_uploaded(void *arg, const struct err *e)
{
	struct letter *t = arg;
	struct outbox *o = t->box;

	t->tus = NULL;
	unmove(t);
	if (!e) {
		o->tries = 0;
		t->uploaded++;
	} else if (is_final(e->code)) {
		letter_refused(t, e);
	} else {
		put_off(t, true, e);
	}
	pump(o);
}

static void upload(struct letter *t, const struct way *way)
{
	const struct blob *b = &t->says.uploads[t->uploaded];
	auto_free char *ticket = NULL;
	struct err e;
	int64_t size;

	t->state = LETTER_UPLOADING;
	/* the envelope's own time: the same ticket after a restart, so the upload resumes */
	if (blob_open(t->box->blobs, &b->digest, &t->fd, &size, &e) ||
		ticket_seal(&ticket, &t->box->home->grid_id, t->box->key, &b->digest, b->size, t->says.time_ms, &e)) {
		t->fd = -1;
		if (e.code == ERR_UNKNOWN_BLOB) /* its bytes are lost: this can never be delivered */
			letter_refused(t, &e);
		else
			put_off(t, false, &e);
		return;
	}
	t->tus = tus_start(t->box->fetcher, t->box->loop, &way->to, way_via(way), ticket, strlen(ticket), t->fd, size, UPLOAD_TRIES,
		on_uploaded, t);
}

static void letter_move(struct letter *t, const struct way *way)
{
	t->turn = home_turn(t->box->home);
	if (t->uploaded < t->says.n_uploads)
		upload(t, way);
	else
		post(t, way);
}

/* Send what may be sent, the oldest first. A move may end the letter, so look from the head each time. */
static void pump(struct outbox *o)
{
	for (;;) {
		const struct way *way = home_way(o->home);
		struct letter *next = NULL;
		int moving = 0;

		for (struct letter *t = o->letters; t; t = t->next) {
			moving += t->state != LETTER_WAITING;
			if (!next && t->state == LETTER_WAITING)
				next = t;
		}
		if (!next || !way || moving >= SENDING_MAX || timer_is_on(o->hold))
			return;
		letter_move(next, way);
	}
}

static void on_hold_over(void *arg)
{
	pump(arg);
}

void outbox_hurry(struct outbox *o)
{
	o->tries = 0;
	timer_off(o->hold);
	timer_in(o->soon, 0);
}

/* --- putting --------------------------------------------------------------------------------------------------- */

int outbox_put(struct outbox *o, const struct digest *job, const char *platform_class, const char *agent,
	const struct product *const *products, size_t n, struct err *e)
{
	auto_free char *line = NULL, *text = NULL;

	if (letter_sign(&line, job, platform_class, agent, products, n, &o->home->grid_id, o->key, clock_now_ms(), e))
		return err_wrap(e, "signing results");
	struct digest d = digest_of(line, strlen(line));
	auto_free char *path = letter_path(o, &d, "");
	text = letter_write(line, products, n);
	if (file_write_atomic(path, text, strlen(text), 0600, e))
		return err_wrap(e, "keeping results");
	if (letter_add(o, text, strlen(text), e))
		return err_wrap(e, "reading back results");
	timer_in(o->soon, 0);
	return 0;
}

/* --- the outbox --------------------------------------------------------------------------------------------------- */

static void take_up(struct outbox *o, const char *name)
{
	auto_free char *path = xprintf("%s/%s", o->dir, name);
	auto_free char *text = NULL;
	size_t len = strlen(name), n;
	struct err e;

	if (len != DIGEST_HEX + 5 || strcmp(name + DIGEST_HEX, ".json") != 0)
		return;
	if (file_read(&text, &n, path, LETTER_MAX, &e) || letter_add(o, text, n, &e)) {
		log_error("%s cannot be sent to this grid (%s); it is now in %s/refused", path, e.msg, o->dir);
		refuse_file(o, path, name);
	}
}

static bool keep_needed(void *arg, const struct digest *d)
{
	return still_needed(arg, d);
}

/* Outputs whose results were never signed: a kill -9 between the two. Asking for more room than there can
 * be removes all that is not kept. */
static void drop_orphans(struct outbox *o)
{
	struct err e;

	blobs_make_room(o->blobs, INT64_MAX / 4, keep_needed, o, &e);
}

int outbox_open(struct outbox **out, const char *dir, struct loop *l, struct fetcher *f, struct home *h,
	const struct key *k, const struct outbox_fns *fns, struct err *e)
{
	struct outbox *o = xcalloc(1, sizeof(*o));
	auto_free char *refused = xprintf("%s/refused", dir);
	auto_free char *blobs = xprintf("%s/blobs", dir);
	struct dirent *entry;

	*o = (struct outbox){ .dir = xstrdup(dir), .loop = l, .fetcher = f, .home = h, .key = k, .fns = *fns,
		.seed = random_seed() };
	o->hold = timer_new(l, on_hold_over, o);
	o->soon = timer_new(l, on_hold_over, o);
	DIR *d = make_dirs(refused, 0700, e) || blobs_open(&o->blobs, blobs, INT64_MAX / 4, e) ? NULL : opendir(dir);
	if (!d) {
		if (o->blobs)
			err_sys(e, "reading %s", dir);
		outbox_close(o);
		return -1;
	}
	while ((entry = readdir(d)))
		take_up(o, entry->d_name);
	closedir(d);
	drop_orphans(o);
	if (o->letters)
		log_info("%zu result envelopes of an earlier run wait to be sent", outbox_count(o));
	timer_in(o->soon, 0);
	*out = o;
	return 0;
}

void outbox_close(struct outbox *o)
{
	if (!o)
		return;
	while (o->letters) {
		struct letter *t = o->letters;

		o->letters = t->next;
		letter_free(t);
	}
	timer_free(o->hold);
	timer_free(o->soon);
	blobs_close(o->blobs);
	free(o->dir);
	free(o);
}

struct blobs *outbox_blobs(struct outbox *o)
{
	return o->blobs;
}

size_t outbox_count(const struct outbox *o)
{
	size_t n = 0;

	for (const struct letter *t = o->letters; t; t = t->next)
		n++;
	return n;
}

bool outbox_has(const struct outbox *o, const char *lease)
{
	for (const struct letter *t = o->letters; t; t = t->next)
		for (size_t i = 0; i < t->says.n_leases; i++)
			if (!strcmp(t->says.leases[i], lease))
				return true;
	return false;
}
