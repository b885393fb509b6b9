/* SPDX-License-Identifier: Apache-2.0
 *
 * pull_haul.c: one piece on its way from one peer.
 */
#include "worker/pull_in.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/pieces.h"

#include <stdlib.h>
#include <string.h>

#define BUSY_MS 500       /* a source without room is asked again after this, at least … */
#define BUSY_MAX_MS 10000 /* … and at most */

void haul_free(struct haul *c)
{
	struct haul **at = &c->from->pull->hauls;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	if (c->fetch)
		fetch_cancel(c->fetch);
	free(c->bytes);
	free(c);
}

/* --- pieces ----------------------------------------------------------------------------------- */
static int on_bytes(void *arg, const void *bytes, size_t n, struct err *e)
{
	struct haul *c = arg;

	if (n > c->size - c->n)
		return err_set(e, ERR_TOO_BIG, "more bytes than the piece has");
	memcpy(c->bytes + c->n, bytes, n);
	c->n += n;
	swarm_moved(c->from->pull->swarm, c->from->source, c->piece, n);
	return 0;
}

static void fail_haul(struct haul *c, const struct answer *a)
{
	struct pull *p = c->from->pull;
	int64_t rest = a->retry_after_s > 1 ? a->retry_after_s * 1000 : BUSY_MS;
	enum swarm_fail why = a->status == 429                      ? SWARM_BUSY
	                      : a->status >= 400 && a->status < 500 ? SWARM_MISSING
	                                                            : SWARM_BROKEN;

	log_debug("piece %zu did not come: %s", c->piece, a->e.msg);
	swarm_failed(p->swarm, c->from->source, c->piece, why,
		rest > BUSY_MAX_MS ? BUSY_MAX_MS : rest, clock_mono_ms());
}

int haul_arrived(struct peer *q, size_t piece, const void *bytes, size_t n, struct err *e)
{
	struct pull *p = q->pull;
	char node[ID_TEXT + 1];
	int bad = blob_parts_put(p->parts, piece, bytes, n, e);

	if (bad && e->code != ERR_DIGEST) {
		pull_over(p, e);
		return -1;
	}
	swarm_arrived(p->swarm, q->source, piece, !bad, clock_mono_ms());
	if (bad) {
		id_text(node, &q->link.node);
		log_warn("%s sent wrong bytes for piece %zu: nothing more is taken from it",
			q->home ? "the coordinator" : node, piece);
		pull_report(p, q, PEER_WRONG_BYTES);
		return -1;
	}
	pull_report(p, q, PEER_GOOD);
	blob_parts_hash(p->parts, PULL_HASH_STEP);
	if (p->env->changed)
		p->env->changed(p->env->arg, &p->blob.digest);
	return 0;
}

static void on_hauled(void *arg, struct answer *a)
{
	struct haul *c = arg;
	struct pull *p = c->from->pull;
	struct err e;

	c->fetch = NULL;
	if ((a->status == 206 || a->status == 200) && !a->e.code && c->n == c->size)
		haul_arrived(c->from, c->piece, c->bytes, c->size, &e);
	else
		fail_haul(c, a);
	haul_free(c);
	pull_pump(p);
}

static struct haul *haul_new(struct peer *q, size_t piece)
{
	struct haul *c = xcalloc(1, sizeof(*c));

	*c = (struct haul){ .from = q,
		.piece = piece,
		.size = piece_size(q->pull->blob.size, q->pull->piece, piece),
		.next = q->pull->hauls };
	q->pull->hauls = c;
	return c;
}

void haul_start(struct pull *p, int source, size_t piece)
{
	struct peer *q = p->peers[source];
	struct fetch_spec spec = { .method = "GET" };
	char path[128], range[64];
	int64_t at = (int64_t)piece * p->piece;

	if (q->guest) {
		haul_new(q, piece);
		if (p->env->wanted)
			p->env->wanted(p->env->arg, &p->blob.digest, &q->link.node);
		return;
	}
	if (!pull_aim(p, q, &spec)) {
		swarm_failed(p->swarm, source, piece, SWARM_BROKEN, 0, clock_mono_ms());
		return;
	}
	struct haul *c = haul_new(q, piece);
	c->bytes = xmalloc(c->size);
	pull_url(path, p, "");
	snprintf(range, sizeof(range), "Range: bytes=%lld-%lld", (long long)at,
		(long long)at + (long long)c->size - 1);
	spec.path = path;
	spec.headers[0] = range;
	spec.sink = on_bytes;
	spec.sink_arg = c;
	spec.timeout_ms = 60000 + (int64_t)c->size / SWARM_RATE_MIN * 1000;
	c->fetch = fetch_start(p->env->fetcher, &spec, on_hauled, c);
}

void haul_cancel(struct pull *p, int source, size_t piece)
{
	for (struct haul *c = p->hauls; c; c = c->next)
		if (c->from->source == source && c->piece == piece) {
			haul_free(c);
			return;
		}
}
