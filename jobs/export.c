/* SPDX-License-Identifier: Apache-2.0
 *
 * export.c: a blob of the grid made known to BitTorrent.
 *
 * A stock client looks at certificates as browsers do and so refuses our ports; plain web seeds
 * (--web-seed) stand first in the list, then the TLS ports for clients that are told not to look.
 */
#include "jobs/export.h"

#include "common/log.h"
#include "common/pieces.h"
#include "common/seeds.h"
#include "jobs/torrent.h"

#include <stdlib.h>
#include <string.h>

#define ASK_MS 5000 /* a worker that does not answer is no seed */
#define WORKERS_MAX 100000

struct export
{
	struct client *c;
	const struct digest *d;
	char *path;
	int64_t size;
	json_t *plain, *tls; /* URLs */
};

/* Whether the node has the blob; then its URLs are in the lists. */
static int ask_node(struct export *x, const struct link *to, struct err *e)
{
	auto_free char *path = xprintf("%s/seeds", x->path);
	struct fetch_spec spec = { .method = "GET", .to = to,
		.via = to == &x->c->to ? client_via(x->c) : NULL, .path = path, .timeout_ms = ASK_MS };
	struct endpoint at = link_at(to);
	char text[LINK_HOST_MAX + 9];
	json_t *urls = NULL;
	struct answer a = { 0 };
	int64_t size;

	int bad = fetch_wait(x->c->fetcher, &spec, &a, e) ||
	          seeds_read(a.body.data ? a.body.data : "", a.body.len, x->d, &size, &urls, e);
	answer_release(&a);
	if (!bad && x->size >= 0 && size != x->size)
		bad = err_set(e, ERR_DIGEST, "another size for the same digest");
	if (!bad) {
		x->size = size;
		endpoint_text(text, &at);
		auto_free char *url = xprintf("https://%s%s", text, x->path);
		json_array_extend(x->plain, urls);
		json_array_append_new(x->tls, json_string(url));
	}
	json_decref(urls);
	return bad ? -1 : 0;
}

/* Workers are asked as far as they can be found; a worker's port does not list them. */
static void ask_workers(struct export *x)
{
	struct err e;
	json_t *w,
		*all = client_get_all(x->c, "/v1/workers?limit=1000", "workers", WORKERS_MAX, &e);
	size_t i, asked = 0;

	json_array_foreach(all, i, w) {
		struct link to = { .grid = x->c->to.grid };
		struct endpoint at;

		if (asked == EXPORT_WORKERS_MAX || json_array_size(x->tls) == EXPORT_URLS_MAX / 2)
			break;
		if (!jbool(w, "online", false) || endpoint_parse(&at, jtext(w, "address"), &e) ||
			!at.port || !id_parse(&to.node, jtext(w, "id")))
			continue;
		memcpy(to.host, at.host, sizeof(to.host));
		to.port = at.port;
		asked++;
		if (ask_node(x, &to, &e))
			log_debug("%s: %s", jtext(w, "address"), e.msg);
	}
	json_decref(all);
}

static int get_layer(struct export *x, struct digest **layer, size_t *n, struct err *e)
{
	int64_t piece = piece_bytes(x->size);
	auto_free char *path = xprintf("%s/layer?piece=%lld", x->path, (long long)piece);
	struct fetch_spec spec = { .method = "GET", .to = &x->c->to, .via = client_via(x->c), .path = path };
	struct answer a = { 0 };
	int bad = fetch_wait(x->c->fetcher, &spec, &a, e);

	*n = (size_t)piece_count(x->size);
	if (!bad && a.body.len != *n * sizeof(**layer))
		bad = err_set(e, ERR_DIGEST, "the layer that came has %zu bytes, not %zu",
			a.body.len, *n * sizeof(**layer));
	if (!bad)
		*layer = (struct digest *)xmemdup(a.body.data, a.body.len);
	answer_release(&a);
	return bad;
}

static char *magnet_of(const struct digest *info)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, info);
	return xprintf("magnet:?xt=urn:btmh:1220%s", hex);
}

int export_torrent(struct client *c, const struct digest *d, char **torrent, size_t *n,
	char **magnet, struct err *e)
{
	struct export x = { .c = c,
		.d = d,
		.path = seeds_path(d),
		.size = -1,
		.plain = json_array(),
		.tls = json_array() };
	struct digest *layer = NULL, info;
	struct torrent t = { .digest = *d };
	int bad = ask_node(&x, &c->to, e);

	if (!bad && x.size == 0)
		bad = err_set(e, ERR_USAGE, "blob torrent: an empty blob has no pieces");
	if (!bad)
		ask_workers(&x);
	bad = bad || get_layer(&x, &layer, &t.n, e);
	if (!bad) {
		json_array_extend(x.plain, x.tls);
		t.size = x.size;
		t.layer = layer;
		t.urls = x.plain;
		*torrent = torrent_make(&t, n, &info);
		*magnet = magnet_of(&info);
	}
	free(layer);
	free(x.path);
	json_decref(x.plain);
	json_decref(x.tls);
	return bad ? -1 : 0;
}
