/* SPDX-License-Identifier: Apache-2.0
 *
 * share.c: what the peer port gives of blobs.
 */
#include "worker/share.h"
#include "common/clock.h"
#include "common/codec.h"
#include "common/have.h"
#include "common/log.h"
#include "common/pieces.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS                                                                                      \
	4 /* answers with bytes that go out at once: few, so that the first ones are whole soon and help */
#define QUEUE_MAX 4   /* requests that wait for a slot: not to idle between two */
#define SLOT_KIB 16   /* a slot for so much of --upload: slower ones would be left by who asks */
#define POLLS_MAX 512 /* held; beyond it they are answered at once */
#define NEXT_MS 100   /* when to poll again */
#define NEXT_FULL_MS 5000

struct waiting { /* for a slot */
	struct share *share;
	struct req *req;
	struct waiting *next;
};

struct asker { /* what `POST /v1/swarm` needs to know of who asks */
	struct digest digest;
	struct id node;
	bool guest; /* it only dials out: what is wanted of it is told in its answer */
	int64_t known;
};

struct poll {
	struct share *share;
	struct req *req;
	struct asker who;
	int64_t until_ms;
	struct poll *next;
};

struct share {
	struct loop *loop;
	struct cache *cache;
	const struct home *home;
	int64_t upload_kib;
	size_t slots, busy, n_waiting, n_polls;
	struct waiting *waiting;
	struct poll *polls;
	struct timer *timer; /* polls that are due */
};

/* --- bytes --------------------------------------------------------------------------------- */
static void serve_waiting(struct share *s);

static void on_over(void *arg)
{
	struct share *s = arg;

	s->busy--;
	serve_waiting(s);
}

/* A hidden blob is not here, whoever asks. */
int64_t share_size(const struct share *s, const struct digest *d)
{
	return cache_tells(s->cache, d) ? blob_size(cache_blobs(s->cache), d) : -1;
}

static int open_blob(struct share *s, struct req *r, const struct digest *d, int *fd, int64_t *size,
	struct err *e)
{
	const struct pull *p = cache_pull(s->cache, d);
	char text[DIGEST_TEXT + 1];
	int64_t at, n;

	digest_text(text, d);
	if (!cache_tells(s->cache, d))
		return err_set(e, ERR_UNKNOWN_BLOB, "%s is not here", text);
	if (!p || share_size(s, d) >= 0) /* whole, though its download may not have ended */
		return blob_open(cache_blobs(s->cache), d, fd, size, e);
	*size = pull_blob(p)->size;
	if (!req_range(r, *size, &at, &n))
		return err_set(e, ERR_UNKNOWN_BLOB,
			"only pieces of it are here yet: ask for one with Range");
	return pull_reader(p, at, n, fd, e);
}

static void give(struct share *s, struct req *r)
{
	auto_free char *name = xstrdup(req_part(r, 0));
	struct digest d;
	struct err e;
	int64_t size;
	int fd;

	if (!digest_from_text(&d, name))
		err_field(&e, "digest", "must be sha256: and 64 lowercase hex digits");
	else if (!open_blob(s, r, &d, &fd, &size, &e)) {
		s->busy++;
		req_on_over(r, on_over, s);
		req_answer_fd(r, "application/octet-stream", fd, size, name);
		return;
	}
	req_problem(r, &e);
}

static void serve_waiting(struct share *s)
{
	while (s->waiting && s->busy < s->slots) {
		struct waiting *w = s->waiting;
		struct req *r = w->req;

		s->waiting = w->next;
		s->n_waiting--;
		free(w);
		req_on_gone(r, NULL, NULL);
		give(s, r);
	}
}

static void on_waiting_gone(void *arg)
{
	struct waiting *w = arg, **at = &w->share->waiting;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	w->share->n_waiting--;
	free(w);
}

static void queue(struct share *s, struct req *r)
{
	struct waiting *w = xcalloc(1, sizeof(*w)), **at = &s->waiting;

	*w = (struct waiting){ .share = s, .req = r };
	while (*at)
		at = &(*at)->next;
	*at = w;
	s->n_waiting++;
	req_on_gone(r, on_waiting_gone, w);
}

void share_blob(struct share *s, struct req *r)
{
	struct err e;

	if (s->upload_kib == 0) {
		err_set(&e, ERR_REFUSED, "this worker serves no blobs (--upload 0)");
		req_problem(r, &e);
	} else if (s->busy < s->slots) {
		give(s, r);
	} else if (s->n_waiting < QUEUE_MAX) {
		queue(s, r);
	} else {
		err_set(&e, ERR_RATE, "%zu answers are on their way and %zu wait", s->busy,
			s->n_waiting);
		req_problem(r, &e);
	}
}

bool share_layer(struct share *s, struct req *r, const struct digest *d, int64_t piece)
{
	const struct pull *p = cache_pull(s->cache, d);
	size_t n;
	const struct digest *layer = p ? pull_layer(p, &n) : NULL;

	if (!layer || piece != piece_bytes(pull_blob(p)->size))
		return false;
	req_answer(r, 200, "application/octet-stream", layer, n * sizeof(*layer));
	return true;
}

/* --- who has what ------------------------------------------------------------------------------ */
static void look(const struct share *s, const struct digest *d, bool first, struct swarm_answer *a)
{
	const struct pull *p = cache_pull(s->cache, d);
	const unsigned char *map;
	size_t pieces;

	a->next_ms = NEXT_MS;
	if (s->upload_kib == 0)
		return;
	if (p) {
		map = pull_map(p, &pieces);
		a->has = map && have_count(map, pieces) > 0;
		if (a->has)
			memcpy(a->have, map, have_bytes(pieces));
		if (first) /* later they would only fill the line */
			a->n_peers = pull_peers(p, a->peers, SWARM_PEERS_MAX);
	} else {
		int64_t size = share_size(s, d);

		pieces = size > 0 ? (size_t)piece_count(size) : 0;
		a->has = pieces > 0 && pieces <= HAVE_PIECES_MAX;
		if (a->has)
			have_fill(a->have, pieces);
	}
	a->n_have = a->has ? have_bytes(pieces) : 0;
}

static int64_t count_here(const struct share *s, const struct digest *d)
{
	const struct pull *p = cache_pull(s->cache, d);
	size_t pieces;
	const unsigned char *map = p ? pull_map(p, &pieces) : NULL;

	if (s->upload_kib == 0) /* as look() says */
		return 0;
	if (p)
		return map ? (int64_t)have_count(map, pieces) : 0;
	int64_t size = share_size(s, d);
	return size > 0 ? piece_count(size) : 0;
}

int64_t share_count(void *share, const struct digest *d, bool *whole)
{
	const struct share *s = share;

	*whole = share_size(s, d) >= 0;
	return s->upload_kib == 0 || !cache_tells(s->cache, d) ? -1 : count_here(s, d);
}

static void answer(struct share *s, struct req *r, const struct asker *who, int64_t next_ms)
{
	auto_free struct swarm_answer *a = xcalloc(1, sizeof(*a)); /* 11 KiB */
	struct pull *p = who->guest ? cache_pull(s->cache, &who->digest) : NULL;

	look(s, &who->digest, who->known == 0, a);
	if (p)
		a->n_want = pull_wants(p, &who->node, a->want);
	a->next_ms = next_ms;
	auto_free char *text = swarm_answer_text(a);
	req_answer_json(r, 200, text);
}

static void poll_remove(struct poll *p)
{
	struct poll **at = &p->share->polls;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->share->n_polls--;
	free(p);
}

static void poll_answer(struct poll *p)
{
	struct share *s = p->share;
	struct req *r = p->req;
	struct asker who = p->who;

	poll_remove(p);
	req_on_gone(r, NULL, NULL);
	answer(s, r, &who, NEXT_MS);
}

static void on_poll_gone(void *arg)
{
	poll_remove(arg);
}

/* The polls of a blob that changed (NULL: none), and those whose time is up. */
static void serve_polls(struct share *s, const struct digest *changed)
{
	int64_t now = clock_mono_ms(), due = INT64_MAX;
	int64_t here = changed ? count_here(s, changed) : 0;

	for (struct poll *p = s->polls, *next; p; p = next) {
		next = p->next;
		if (now >= p->until_ms ||
			(changed && digest_equal(&p->who.digest, changed) && here != p->who.known))
			poll_answer(p);
		else if (p->until_ms < due)
			due = p->until_ms;
	}
	if (s->polls)
		timer_in(s->timer, due - now);
}

static void on_timer(void *arg)
{
	serve_polls(arg, NULL);
}

static void on_changed(void *arg, const struct digest *blob)
{
	serve_polls(arg, blob);
}

static void on_wanted(void *arg, const struct digest *blob, const struct id *guest)
{
	struct share *s = arg;

	for (struct poll *p = s->polls; p; p = p->next)
		if (p->who.guest && digest_equal(&p->who.digest, blob) &&
			id_equal(&p->who.node, guest)) {
			poll_answer(p);
			return;
		}
}

static void hold(struct share *s, struct req *r, const struct asker *who, int64_t wait_ms)
{
	struct poll *p = xcalloc(1, sizeof(*p));

	*p = (struct poll){ .share = s,
		.req = r,
		.who = *who,
		.until_ms = clock_mono_ms() + wait_ms,
		.next = s->polls };
	s->polls = p;
	s->n_polls++;
	req_on_gone(r, on_poll_gone, p);
	serve_polls(s, NULL);
}

/* Tell the download of a guest; whether something is wanted of it now. */
static bool heed(struct share *s, const struct swarm_ask *ask)
{
	struct pull *p = ask->has_address ? NULL : cache_pull(s->cache, &ask->digest);

	if (!p)
		return false;
	pull_heed(p, ask);
	p = cache_pull(s->cache, &ask->digest);
	return p && pull_wants(p, &ask->node, NULL) > 0;
}

void share_swarm(struct share *s, struct req *r)
{
	auto_free struct swarm_ask *ask = xcalloc(1, sizeof(*ask));
	size_t n;
	const char *body = req_body(r, &n);
	struct err e;

	if (swarm_ask_read(ask, body, n, &e) ||
		(!id_equal(&ask->grid, &s->home->grid_id) &&
			err_set(&e, ERR_GRID, "this worker is of another grid"))) {
		req_problem(r, &e);
		return;
	}
	struct asker who = { ask->digest, ask->node, !ask->has_address, ask->known };
	if (heed(s, ask) || count_here(s, &ask->digest) != ask->known || ask->wait_ms == 0)
		answer(s, r, &who, NEXT_MS);
	else if (s->n_polls >= POLLS_MAX)
		answer(s, r, &who, NEXT_FULL_MS);
	else
		hold(s, r, &who, ask->wait_ms);
}

static int take_piece(struct share *s, struct req *r, struct err *e)
{
	struct piece_post post;
	size_t n;

	if (piece_post_read(&post, req_part(r, 0), req_query(r, "piece"), req_query(r, "node"), e))
		return -1;
	struct pull *p = cache_pull(s->cache, &post.digest);
	if (!p)
		return err_set(e, ERR_CONFLICT, "nobody asked for pieces of this blob");
	const char *bytes = req_body(r, &n);
	return pull_take(p, &post.node, post.piece, bytes, n, e);
}

void share_piece(struct share *s, struct req *r)
{
	struct err e;

	if (take_piece(s, r, &e))
		req_problem(r, &e);
	else
		req_answer(r, 204, NULL, "", 0);
}

/* --- the share ------------------------------------------------------------------------------------ */
struct share *share_new(struct loop *l, struct cache *c, const struct home *h, int64_t upload_kib)
{
	struct share *s = xcalloc(1, sizeof(*s));
	int64_t slots = upload_kib < 0 ? SLOTS : upload_kib / SLOT_KIB;

	*s = (struct share){ .loop = l, .cache = c, .home = h, .upload_kib = upload_kib };
	s->slots = slots < 1 ? 1 : slots > SLOTS ? SLOTS : (size_t)slots;
	s->timer = timer_new(l, on_timer, s);
	cache_on_change(c, on_changed, s);
	cache_on_want(c, on_wanted, s);
	return s;
}

void share_free(struct share *s)
{
	if (!s)
		return;
	cache_on_change(s->cache, NULL, NULL);
	cache_on_want(s->cache, NULL, NULL);
	timer_free(s->timer);
	free(s);
}
