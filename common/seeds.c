/* SPDX-License-Identifier: Apache-2.0
 *
 * seeds.c: what any node answers about a blob beside its bytes.
 */
#include "common/seeds.h"
#include "common/blob.h"
#include "common/codec.h"
#include "common/pieces.h"
#include "common/shape.h"

#include <string.h>

int seeds_piece(int64_t *piece, const char *text, struct err *e)
{
	if (text && int_parse(piece, text, PIECES_LEAF, BLOB_SIZE_MAX) && layer_allowed(*piece))
		return 0;
	return err_field(e, "piece", "must be a power of two from %d to %lld: bytes of one piece",
		PIECES_LEAF, (long long)BLOB_SIZE_MAX);
}

void seeds_base(char out[SEED_BASE_MAX], const struct endpoint *listen, uint16_t port,
	const struct endpoint *advertised)
{
	struct endpoint at = advertised ? *advertised : *listen;
	char text[LINK_HOST_MAX + 9];

	at.port = port;
	endpoint_text(text, &at);
	out[0] = '\0';
	if (strcmp(at.host, "0.0.0.0") != 0 && strcmp(at.host, "::") != 0)
		snprintf(out, SEED_BASE_MAX, "http://%s", text);
}

char *seeds_path(const struct digest *d)
{
	char text[DIGEST_TEXT + 1];

	digest_text(text, d);
	return xprintf("/v1/blobs/%s", text);
}

char *seeds_json(const struct digest *d, int64_t size, const char *base)
{
	auto_free char *path = seeds_path(d);
	auto_free char *url = xprintf("%s%s", base, path);
	char text[DIGEST_TEXT + 1];
	json_t *web = json_array();

	digest_text(text, d);
	if (base[0])
		json_array_append_new(web, json_string(url));
	auto_json json_t *o =
		json_pack("{s:s,s:I,s:o}", "digest", text, "size", (json_int_t)size, "web", web);
	return shape_dump(o);
}

static const struct shape shape_seeds[] = {
	{ .name = "digest", .kind = SHAPE_DIGEST },
	{ .name = "size", .kind = SHAPE_INT, .max = BLOB_SIZE_MAX },
	{ .name = "web",
		.kind = SHAPE_ARRAY,
		.max = SEEDS_URLS_MAX,
		.each = SHAPE_TEXT,
		.each_max = SEEDS_URL_MAX },
	{ .name = NULL },
};

static bool url_ok(const char *url)
{
	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		return false;
	for (; *url; url++)
		if (*url <= ' ' || *url > '~')
			return false;
	return true;
}

int seeds_read(const char *text, size_t n, const struct digest *d, int64_t *size, json_t **urls,
	struct err *e)
{
	auto_json json_t *o = shape_load(text, n, e);
	struct digest its;
	json_t *url;
	size_t i;

	if (!o || shape_check(o, shape_seeds, e))
		return -1;
	if (!digest_from_text(&its, jtext(o, "digest")) || !digest_equal(&its, d))
		return err_field(e, "digest", "is another blob's");
	json_array_foreach(json_object_get(o, "web"), i, url)
		if (!url_ok(json_string_value(url)))
			return err_field(e, "web", "member %zu is no URL", i);
	*size = jint(o, "size", 0);
	*urls = json_incref(json_object_get(o, "web"));
	return 0;
}
