/* SPDX-License-Identifier: Apache-2.0
 *
 * have.c: have-maps, and the body and answer of `POST /v1/swarm`.
 */
#include "common/have.h"
#include "common/codec.h"
#include "common/shape.h"

#include <stdlib.h>
#include <string.h>

#define HAVE_TEXT_MAX (4 * ((HAVE_BYTES_MAX + 2) / 3))
#define ADDRESS_MAX (LINK_HOST_MAX + 8)

void have_fill(unsigned char *map, size_t pieces)
{
	memset(map, 0, have_bytes(pieces));
	for (size_t i = 0; i < pieces; i++)
		have_set(map, i);
}

size_t have_count(const unsigned char *map, size_t pieces)
{
	size_t n = 0;

	for (size_t i = 0; i < have_bytes(pieces); i++)
		n += (size_t)__builtin_popcount(map[i]);
	return n;
}

bool have_fits(const unsigned char *map, size_t n_bytes, size_t pieces)
{
	if (pieces > HAVE_PIECES_MAX || n_bytes != have_bytes(pieces))
		return false;
	return pieces % 8 == 0 || !(map[n_bytes - 1] & (0xff >> pieces % 8));
}

/* --- reading ------------------------------------------------------------------------------ */
static const struct shape ask_shape[] = {
	{ .name = "grid", .kind = SHAPE_ID },
	{ .name = "node", .kind = SHAPE_ID },
	{ .name = "address", .kind = SHAPE_TEXT, .optional = true, .min = 3, .max = ADDRESS_MAX },
	{ .name = "digest", .kind = SHAPE_DIGEST },
	{ .name = "have", .kind = SHAPE_TEXT, .max = HAVE_TEXT_MAX },
	{ .name = "known", .kind = SHAPE_INT, .optional = true, .max = HAVE_PIECES_MAX },
	{ .name = "want",
		.kind = SHAPE_ARRAY,
		.optional = true,
		.max = SWARM_WANT_MAX,
		.each = SHAPE_INT,
		.each_max = HAVE_PIECES_MAX - 1 },
	{ .name = "wait_ms", .kind = SHAPE_INT, .max = SWARM_WAIT_MAX_MS },
	{ .name = NULL },
};

static const struct shape answer_shape[] = {
	{ .name = "have", .kind = SHAPE_TEXT, .optional = true, .max = HAVE_TEXT_MAX },
	{ .name = "peers",
		.kind = SHAPE_ARRAY,
		.max = SWARM_PEERS_MAX,
		.each = SHAPE_TEXT,
		.each_max = LINK_TEXT_MAX },
	{ .name = "offer",
		.kind = SHAPE_ARRAY,
		.optional = true,
		.max = SWARM_OFFER_MAX,
		.each = SHAPE_INT,
		.each_max = HAVE_PIECES_MAX - 1 },
	{ .name = "want",
		.kind = SHAPE_ARRAY,
		.optional = true,
		.max = SWARM_WANT_MAX,
		.each = SHAPE_INT,
		.each_max = HAVE_PIECES_MAX - 1 },
	{ .name = "next_ms", .kind = SHAPE_INT, .max = 3600000 },
	{ .name = NULL },
};

static json_t *load(const char *text, size_t n, const struct shape *shape, struct err *e)
{
	if (n > SWARM_TEXT_MAX) {
		err_set(e, ERR_TOO_BIG, "more than 64 KiB");
		return NULL;
	}
	auto_json json_t *o = shape_load(text, n, e);
	return o && !shape_check(o, shape, e) ? TAKE(o) : NULL;
}

static int read_map(const json_t *o, unsigned char map[HAVE_BYTES_MAX], size_t *n, struct err *e)
{
	const char *text = jtext(o, "have");
	auto_free char *bytes = NULL;

	if (!base64_decode(&bytes, n, text, strlen(text)) || *n > HAVE_BYTES_MAX)
		return err_field(e, "have", "must be base64 of at most %d bytes", HAVE_BYTES_MAX);
	memset(map, 0, HAVE_BYTES_MAX);
	memcpy(map, bytes, *n);
	return 0;
}

static size_t read_pieces(const json_t *list, uint16_t *out)
{
	size_t i;
	const json_t *one;

	json_array_foreach(list, i, one)
		out[i] = (uint16_t)json_integer_value(one);
	return json_array_size(list);
}

static int read_address(struct swarm_ask *a, const json_t *o, struct err *e)
{
	a->has_address = json_object_get(o, "address") != NULL;
	if (!a->has_address)
		return 0;
	if (endpoint_parse(&a->address, jtext(o, "address"), e) || !a->address.port)
		return err_field(e, "address", "must be HOST:PORT");
	return 0;
}

int swarm_ask_read(struct swarm_ask *a, const char *text, size_t n, struct err *e)
{
	auto_json json_t *o = load(text, n, ask_shape, e);

	*a = (struct swarm_ask){ 0 };
	if (!o)
		return -1;
	id_parse(&a->grid, jtext(o, "grid"));
	id_parse(&a->node, jtext(o, "node"));
	digest_from_text(&a->digest, jtext(o, "digest"));
	a->known = jint(o, "known", 0);
	a->wait_ms = jint(o, "wait_ms", 0);
	a->n_want = read_pieces(json_object_get(o, "want"), a->want);
	return read_address(a, o, e) || read_map(o, a->have, &a->n_have, e) ? -1 : 0;
}

static int read_peers(struct swarm_answer *a, const json_t *list, struct err *e)
{
	size_t i;
	const json_t *one;

	json_array_foreach(list, i, one)
		if (link_parse(&a->peers[a->n_peers++], json_string_value(one), e))
			return err_field(e, "peers", "must be links");
	return 0;
}

int swarm_answer_read(struct swarm_answer *a, const char *text, size_t n, struct err *e)
{
	auto_json json_t *o = load(text, n, answer_shape, e);

	*a = (struct swarm_answer){ 0 };
	if (!o)
		return -1;
	a->has = json_object_get(o, "have") != NULL;
	a->seeds = json_object_get(o, "offer") != NULL;
	a->n_offer = read_pieces(json_object_get(o, "offer"), a->offer);
	a->n_want = read_pieces(json_object_get(o, "want"), a->want);
	a->next_ms = jint(o, "next_ms", 0);
	if (a->has && read_map(o, a->have, &a->n_have, e))
		return -1;
	return read_peers(a, json_object_get(o, "peers"), e);
}

/* --- writing ------------------------------------------------------------------------------ */
static void put_map(json_t *o, const unsigned char *map, size_t n)
{
	auto_free char *text = base64_encode(map, n);

	json_object_set_new(o, "have", json_string(text));
}

static void put_pieces(json_t *o, const char *name, const uint16_t *pieces, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_integer(pieces[i]));
	json_object_set_new(o, name, list);
}

char *swarm_ask_text(const struct swarm_ask *a)
{
	char grid[ID_TEXT + 1], node[ID_TEXT + 1], digest[DIGEST_TEXT + 1], at[ADDRESS_MAX + 1];

	id_text(grid, &a->grid);
	id_text(node, &a->node);
	digest_text(digest, &a->digest);
	auto_json json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:I}", "grid", grid, "node", node,
		"digest", digest, "known", (json_int_t)a->known, "wait_ms", (json_int_t)a->wait_ms);
	put_map(o, a->have, a->n_have);
	if (a->has_address) {
		endpoint_text(at, &a->address);
		json_object_set_new(o, "address", json_string(at));
	}
	if (a->n_want)
		put_pieces(o, "want", a->want, a->n_want);
	return shape_dump(o);
}

char *swarm_answer_text(const struct swarm_answer *a)
{
	char text[LINK_TEXT_MAX + 1];
	json_t *peers = json_array();
	auto_json json_t *o =
		json_pack("{s:o, s:I}", "peers", peers, "next_ms", (json_int_t)a->next_ms);

	for (size_t i = 0; i < a->n_peers; i++) {
		link_text(text, &a->peers[i]);
		json_array_append_new(peers, json_string(text));
	}
	if (a->has)
		put_map(o, a->have, a->n_have);
	if (a->seeds)
		put_pieces(o, "offer", a->offer, a->n_offer);
	if (a->n_want)
		put_pieces(o, "want", a->want, a->n_want);
	return shape_dump(o);
}

int piece_post_read(struct piece_post *p, const char *digest, const char *piece, const char *node,
	struct err *e)
{
	int64_t at;

	if (!digest || !digest_from_text(&p->digest, digest))
		return err_field(e, "digest", "must be sha256: and 64 lowercase hex digits");
	if (!piece || !int_parse(&at, piece, 0, HAVE_PIECES_MAX - 1))
		return err_field(e, "piece", "must be 0 to %d", HAVE_PIECES_MAX - 1);
	if (!node || !id_parse(&p->node, node))
		return err_field(e, "node", "must be 64 lowercase hex digits");
	p->piece = (size_t)at;
	return 0;
}
