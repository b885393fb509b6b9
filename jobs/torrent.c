/* SPDX-License-Identifier: Apache-2.0
 *
 * torrent.c: a blob as a BitTorrent v2 torrent. Keys stand in the order of their bytes, as bencode wants them.
 */
#include "jobs/torrent.h"
#include "common/buf.h"
#include "common/pieces.h"

#include <string.h>

static void bytes(struct buf *b, const void *at, size_t n)
{
	buf_printf(b, "%zu:", n);
	buf_add(b, at, n);
}

static void text(struct buf *b, const char *s)
{
	bytes(b, s, strlen(s));
}

static void number(struct buf *b, const char *key, int64_t n)
{
	text(b, key);
	buf_printf(b, "i%llde", (long long)n);
}

/* {"file tree": {NAME: {"": {"length", "pieces root"}}}, "meta version", "name", "piece length"} */
static void add_info(struct buf *b, const struct torrent *t, const struct digest *root)
{
	char name[DIGEST_HEX + 1];

	digest_hex(name, &t->digest);
	buf_text(b, "d");
	text(b, "file tree");
	buf_text(b, "d");
	text(b, name);
	buf_text(b, "d0:d");
	number(b, "length", t->size);
	text(b, "pieces root");
	bytes(b, root->b, DIGEST_BYTES);
	buf_text(b, "eee");
	number(b, "meta version", 2);
	text(b, "name");
	text(b, name);
	number(b, "piece length", piece_bytes(t->size));
	buf_text(b, "e");
}

/* A file of one piece has no layer: its root says all. */
static void add_layers(struct buf *b, const struct torrent *t, const struct digest *root)
{
	text(b, "piece layers");
	buf_text(b, "d");
	if (t->n > 1) {
		bytes(b, root->b, DIGEST_BYTES);
		bytes(b, t->layer, t->n * DIGEST_BYTES);
	}
	buf_text(b, "e");
}

static void add_urls(struct buf *b, const struct torrent *t)
{
	json_t *url;
	size_t i;

	text(b, "url-list");
	buf_text(b, "l");
	json_array_foreach(t->urls, i, url)
		text(b, json_string_value(url));
	buf_text(b, "e");
}

char *torrent_make(const struct torrent *t, size_t *len, struct digest *info)
{
	struct digest root = layer_root(t->layer, t->n, piece_bytes(t->size));
	auto_buf struct buf b = { 0 };

	buf_text(&b, "d");
	text(&b, "info");
	size_t from = b.len;
	add_info(&b, t, &root);
	*info = digest_of(b.data + from, b.len - from);
	add_layers(&b, t, &root);
	if (json_array_size(t->urls) > 0)
		add_urls(&b, t);
	buf_text(&b, "e");
	*len = b.len;
	return buf_take(&b);
}
