/* SPDX-License-Identifier: Apache-2.0
 *
 * blobs.c: what anybody may GET of a blob: its bytes, its layers, where else it is served. Only what is public
 * is there at all.
 */
#include "common/pieces.h"
#include "common/seeds.h"
#include "coordinator/status.h"

#include <stdlib.h>

static int find_public(struct call *call, const char *text, struct digest *d, struct blob_row *row)
{
	struct err e;

	if (!digest_from_text(d, text))
		err_field(&e, "digest", "must be sha256: and 64 lowercase hex digits");
	else if (!store_blob(call->c->store, d, row) || !row->public)
		err_set(&e, ERR_UNKNOWN_BLOB, "no such blob");
	else
		return 0;
	reply_error(call, &e);
	return -1;
}

void show_blob(struct call *call, const char *text)
{
	struct coord *c = call->c;
	struct digest d;
	struct blob_row row;
	struct err e;

	if (find_public(call, text, &d, &row))
		return;
	snprintf(call->reply.etag, sizeof(call->reply.etag), "\"%s\"", text);
	call->reply.ranged = true;
	if (row.inside) {
		size_t n;
		char *bytes = store_blob_bytes(c->store, &d, &n);

		reply_text(call, 200, "application/octet-stream", bytes, n);
	} else if (blob_open(c->blobs, &d, &call->reply.fd, &call->reply.size, &e)) {
		reply_error(call, &e);
	} else {
		reply_text(call, 200, "application/octet-stream", NULL, 0);
	}
}

/* What is in the database is small: hashed when asked for. */
static void inside_layer(
	struct coord *c, const struct digest *d, int64_t piece, struct digest **out, size_t *n)
{
	size_t len;
	auto_free char *bytes = store_blob_bytes(c->store, d, &len);
	struct layer *l = layer_new(piece);
	const struct digest *hashes;

	layer_add(l, bytes, len);
	layer_end(l, &hashes, n, NULL);
	*out = (struct digest *)xmemdup(hashes, *n * sizeof(**out));
	layer_free(l);
}

void show_layer(struct call *call, const char *text, const char *piece_text)
{
	struct digest d, *hashes = NULL;
	struct blob_row row;
	int64_t piece;
	size_t n = 0;
	struct err e;

	if (find_public(call, text, &d, &row))
		return;
	if (seeds_piece(&piece, piece_text, &e) ||
		(!row.inside && blob_layer(call->c->blobs, &d, piece, &hashes, &n, &e))) {
		reply_error(call, &e);
		return;
	}
	if (row.inside)
		inside_layer(call->c, &d, piece, &hashes, &n);
	reply_text(call, 200, "application/octet-stream", (char *)hashes, n * sizeof(*hashes));
}

void show_seeds(struct call *call, const char *text)
{
	struct digest d;
	struct blob_row row;

	if (!find_public(call, text, &d, &row))
		reply_json(call, 200, seeds_json(&d, row.size, call->c->web_seed));
}
