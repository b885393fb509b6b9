/* SPDX-License-Identifier: Apache-2.0
 *
 * tus.c: the client of resumable uploads.
 *
 * There is no state but what we know: no location -> POST; no offset -> HEAD; bytes left -> PATCH;
 * none left -> done. A fault makes us forget the offset (and a 404 the location), pause, and go on
 * from there. A part that did not arrive is halved before it is tried again, since the other side
 * cuts what takes too long to arrive; one that did is doubled.
 */
#include "common/tus.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PART_MIN (16 * KIB)
#define PAUSE_MIN_MS 200
#define PAUSE_MAX_MS 10000
#define RETRY_AFTER_MAX_S 300 /* nobody makes us sleep longer */
#define PART_TIMEOUT_MS 60000

struct tus {
	struct fetcher *f;
	struct link to, via;
	bool relayed;
	char *ticket;
	size_t ticket_len;
	int fd;
	int64_t size, offset, acked, part; /* offset -1: not known */
	int tries, left; /* faults in a row that are borne; that are left */
	char location[256];
	struct fetch *running;
	struct timer *pause;
	uint64_t seed;
	tus_fn *done;
	void *arg;
};

static void next(void *arg);

void tus_cancel(struct tus *t)
{
	if (!t)
		return;
	fetch_cancel(t->running);
	timer_free(t->pause);
	free(t->ticket);
	free(t);
}

static void finish(struct tus *t, const struct err *e)
{
	tus_fn *done = t->done;
	void *arg = t->arg;

	tus_cancel(t);
	done(arg, e);
}

static bool may_retry(const struct tus *t, const struct answer *a)
{
	return (a->status == 0 && a->e.code == ERR_UNREACHABLE) || a->status == 429 ||
		(a->status >= 500 && a->e.code != ERR_FULL) || (a->status == 409 && a->e.code == ERR_OFFSET) ||
		(a->status == 404 && t->location[0]);
}

/* How long to pause after the n-th fault in a row: doubling, with jitter. */
static int64_t pause_ms(struct tus *t, int n, int64_t asked_s)
{
	int64_t ms = PAUSE_MIN_MS << (n < 6 ? n : 6);

	if (ms > PAUSE_MAX_MS)
		ms = PAUSE_MAX_MS;
	if (asked_s > 0)
		ms = (asked_s < RETRY_AFTER_MAX_S ? asked_s : RETRY_AFTER_MAX_S) * 1000;
	return ms + (int64_t)rng_below(&t->seed, (uint64_t)ms / 2 + 1);
}

static void fault(struct tus *t, const struct answer *a)
{
	bool sending = t->location[0] && t->offset >= 0;

	if (!may_retry(t, a) || t->left == 0) {
		struct err e = a->e;

		err_wrap(&e, "uploading");
		finish(t, &e);
		return;
	}
	if (a->status == 404)
		t->location[0] = '\0'; /* forgotten there: the ticket names it again */
	if (sending && a->status == 0 && t->part > PART_MIN)
		t->part /= 2;
	t->offset = -1;
	t->left--;
	timer_in(t->pause, pause_ms(t, t->tries - t->left - 1, a->retry_after_s));
}

/* Only a path on the same server; nobody sends us elsewhere. */
static bool location_take(struct tus *t, const char *where)
{
	if (where[0] != '/' || where[1] == '/' || strpbrk(where, " ?#\\"))
		return false;
	snprintf(t->location, sizeof(t->location), "%s", where);
	return true;
}

static void on_answer(void *arg, struct answer *a)
{
	struct tus *t = arg;
	bool creating = !t->location[0], sending = !creating && t->offset >= 0;

	t->running = NULL;
	if (a->status == 0 || a->status >= 400) {
		fault(t, a);
		return;
	}
	if (a->upload_offset < 0 || a->upload_offset > t->size ||
		(creating && !location_take(t, a->location)) ||
		(sending && a->upload_offset <= t->offset)) {
		struct err e;

		err_set(&e, ERR_MALFORMED, "uploading: the answer has no sensible %s",
			creating ? "Location and Upload-Offset" : "Upload-Offset");
		finish(t, &e);
		return;
	}
	if (sending && t->part < TUS_PART_MAX)
		t->part *= 2;
	if (a->upload_offset > t->acked)
		t->left = t->tries;
	t->offset = t->acked = a->upload_offset;
	next(t);
}

static void create(struct tus *t)
{
	char length[48];

	snprintf(length, sizeof(length), "Upload-Length: %lld", (long long)t->size);
	struct fetch_spec spec = { .method = "POST", .to = &t->to, .via = t->relayed ? &t->via : NULL, .path = "/v1/uploads",
		.headers = { "Tus-Resumable: " TUS_VERSION, length }, .body = t->ticket,
		.n = t->ticket_len };
	t->running = fetch_start(t->f, &spec, on_answer, t);
}

static void ask(struct tus *t)
{
	struct fetch_spec spec = { .method = "HEAD", .to = &t->to, .via = t->relayed ? &t->via : NULL, .path = t->location,
		.headers = { "Tus-Resumable: " TUS_VERSION } };

	t->running = fetch_start(t->f, &spec, on_answer, t);
}

/* Fill `part`. -1: the file is not what it was. */
static int part_read(struct tus *t, char *part, size_t want, struct err *e)
{
	for (size_t have = 0; have < want;) {
		ssize_t got = pread(t->fd, part + have, want - have, (off_t)(t->offset + (int64_t)have));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "uploading: reading the file");
		if (got == 0)
			return err_set(e, ERR_SYSTEM, "uploading: the file became shorter");
		have += (size_t)got;
	}
	return 0;
}

static void send_part(struct tus *t)
{
	int64_t rest = t->size - t->offset;
	size_t n = (size_t)(rest < t->part ? rest : t->part);
	auto_free char *part = xmalloc(n);
	char offset[48];
	struct err e;

	if (part_read(t, part, n, &e)) {
		finish(t, &e);
		return;
	}
	snprintf(offset, sizeof(offset), "Upload-Offset: %lld", (long long)t->offset);
	struct fetch_spec spec = { .method = "PATCH", .to = &t->to, .via = t->relayed ? &t->via : NULL, .path = t->location,
		.headers = { "Tus-Resumable: " TUS_VERSION, offset,
			"Content-Type: " TUS_PART_TYPE },
		.body = part, .n = n, .timeout_ms = PART_TIMEOUT_MS };
	t->running = fetch_start(t->f, &spec, on_answer, t);
}

static void next(void *arg)
{
	struct tus *t = arg;

	if (!t->location[0])
		create(t);
	else if (t->offset < 0)
		ask(t);
	else if (t->offset < t->size)
		send_part(t);
	else
		finish(t, NULL);
}

struct tus *tus_start(struct fetcher *f, struct loop *l, const struct link *to, const struct link *via,
	const char *ticket, size_t ticket_len, int fd, int64_t size, int tries, tus_fn *done, void *arg)
{
	struct tus *t = xcalloc(1, sizeof(*t));

	*t = (struct tus){ .f = f, .to = *to, .relayed = via != NULL, .ticket = xmemdup(ticket, ticket_len),
		.ticket_len = ticket_len, .fd = fd, .size = size, .offset = -1, .acked = 0,
		.part = TUS_PART_MAX, .tries = tries, .left = tries, .seed = random_seed(),
		.done = done, .arg = arg };
	if (via)
		t->via = *via;
	t->pause = timer_new(l, next, t);
	next(t);
	return t;
}
