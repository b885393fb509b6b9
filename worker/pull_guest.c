/* SPDX-License-Identifier: Apache-2.0
 *
 * pull_guest.c: pieces from and to nodes that only dial out.
 *
 * Such a node cannot be asked, but it polls us, and says what it has. So it is a peer like others in the swarm's eyes
 * (a guest); what the swarm asks of it is told in the answer to its poll, and it brings that by `POST /v1/pieces`. What was not
 * asked for is refused. Who it says it is is not proved: its lies cost it its place here, and nobody is told.
 *
 * Gifts are the other side: pieces that we bring to peers who want them.
 */
#include "worker/pull_in.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/pieces.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GUESTS_MAX 8   /* of a download */
#define GUEST_MS 45000 /* a guest that has not polled for so long is gone */
#define GIFTS_MAX 4    /* at once, of a download */

/* --- guests ------------------------------------------------------------------------------- */
static struct peer *find_guest(struct pull *p, const struct id *node)
{
	for (size_t i = 0; i < SWARM_SOURCES_MAX; i++)
		if (p->peers[i] && p->peers[i]->guest && id_equal(&p->peers[i]->link.node, node))
			return p->peers[i];
	return NULL;
}

static void on_guest_gone(void *arg)
{
	struct peer *q = arg;
	struct pull *p = q->pull;

	swarm_remove(p->swarm, q->source, clock_mono_ms());
	peer_free(q);
	pull_pump(p);
}

static struct peer *guest_new(struct pull *p, const struct id *node)
{
	int source = p->n_guests < GUESTS_MAX ? swarm_add(p->swarm, false) : -1;

	if (source < 0)
		return NULL;
	struct peer *q = xcalloc(1, sizeof(*q));
	*q = (struct peer){ .pull = p, .guest = true, .link = { .node = *node }, .source = source };
	q->timer = timer_new(p->env->loop, on_guest_gone, q);
	p->peers[source] = q;
	p->n_guests++;
	swarm_doubt(p->swarm, source);
	return q;
}

void pull_heed(struct pull *p, const struct swarm_ask *ask)
{
	struct peer *q = p->swarm && !p->over ? find_guest(p, &ask->node) : NULL;

	if (!p->swarm || p->over || p->piece > PIECE_POST_MAX ||
		!have_fits(ask->have, ask->n_have, p->n))
		return;
	if (!q && have_count(ask->have, p->n) && pull_welcomes(p, &ask->node))
		q = guest_new(p, &ask->node);
	if (!q)
		return;
	timer_in(q->timer, GUEST_MS);
	swarm_has(p->swarm, q->source, ask->have, clock_mono_ms());
	pull_pump(p);
}

size_t pull_wants(struct pull *p, const struct id *guest, uint16_t out[SWARM_WANT_MAX])
{
	size_t n = 0;

	for (struct haul *c = p->hauls; c && n < SWARM_WANT_MAX; c = c->next)
		if (c->from->guest && !c->told && id_equal(&c->from->link.node, guest)) {
			c->told = out != NULL;
			if (out)
				out[n] = (uint16_t)c->piece;
			n++;
		}
	return n;
}

int pull_take(struct pull *p, const struct id *guest, size_t piece, const void *bytes, size_t n,
	struct err *e)
{
	struct haul *c = p->over ? NULL : p->hauls;

	while (c && !(c->from->guest && c->told && c->piece == piece &&
			    id_equal(&c->from->link.node, guest)))
		c = c->next;
	if (!c)
		return err_set(e, ERR_CONFLICT, "nobody asked for piece %zu", piece);
	if (n != c->size)
		return err_field(e, "piece", "has %zu bytes, not %zu", c->size, n);
	struct peer *from = c->from;
	haul_free(c);
	int bad = haul_arrived(from, piece, bytes, n, e);
	pull_pump(p);
	return bad;
}

/* --- gifts --------------------------------------------------------------------------------- */
void gift_free(struct gift *g)
{
	struct pull *p = g->to->pull;
	struct gift **at = &p->gifts;

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	p->n_gifts--;
	if (g->fetch)
		fetch_cancel(g->fetch);
	free(g);
}

static void on_given(void *arg, struct answer *a)
{
	struct gift *g = arg;

	if (a->status != 204)
		log_debug("a piece was not taken: %s", a->e.msg);
	g->fetch = NULL;
	gift_free(g);
}

static int read_whole(const struct pull *p, int64_t at, void *out, size_t n, struct err *e)
{
	auto_close int fd = -1;
	int64_t size;

	if (blob_open(p->env->blobs, &p->blob.digest, &fd, &size, e))
		return -1;
	return pread(fd, out, n, at) == (ssize_t)n
	               ? 0
	               : err_set(e, ERR_SYSTEM, "the blob cannot be read");
}

static void give(struct peer *q, size_t piece)
{
	struct pull *p = q->pull;
	int64_t at = (int64_t)piece * p->piece;
	size_t n = piece_size(p->blob.size, p->piece, piece);
	auto_free char *bytes = xmalloc(n);
	char node[ID_TEXT + 1], digest[DIGEST_TEXT + 1];
	struct err e;

	if (p->parts ? blob_parts_read(p->parts, at, bytes, n, &e)
		     : read_whole(p, at, bytes, n, &e))
		return;
	id_text(node, p->env->self);
	digest_text(digest, &p->blob.digest);
	auto_free char *path = xprintf("/v1/pieces/%s?piece=%zu&node=%s", digest, piece, node);
	struct fetch_spec spec = { .method = "POST",
		.path = path,
		.body = bytes,
		.n = n,
		.timeout_ms = 60000,
		.send_bytes_s =
			p->env->upload_kib > 0 ? p->env->upload_kib * KIB / GIFTS_MAX + 1 : 0,
		.headers = { "Content-Type: application/octet-stream" } };
	struct gift *g = xcalloc(1, sizeof(*g));
	*g = (struct gift){ .to = q, .next = p->gifts };
	p->gifts = g;
	p->n_gifts++;
	pull_aim(p, q, &spec);
	g->fetch = fetch_start(p->env->fetcher, &spec, on_given, g);
}

void gift_give(struct peer *q, const uint16_t *pieces, size_t n)
{
	struct pull *p = q->pull;

	if (q->home || p->env->address || !p->env->upload_kib || p->piece > PIECE_POST_MAX)
		return;
	for (size_t i = 0; i < n && p->n_gifts < GIFTS_MAX; i++)
		if (pieces[i] < p->n && have_get(swarm_map(p->swarm), pieces[i]))
			give(q, pieces[i]);
}
