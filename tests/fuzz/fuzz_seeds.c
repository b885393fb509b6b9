/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_seeds.c: a node's answer about a blob, and the query and the CID that name one: URLs that come out are URLs,
 * and each name has one spelling.
 */
#include "common/pieces.h"
#include "common/seeds.h"
#include "jobs/cid.h"
#include "tests/fuzz/fuzz.h"

static void answers(const char *text, size_t n)
{
	struct digest d;
	int64_t size;
	json_t *urls, *url;
	struct err e;
	size_t i;

	memset(d.b, 0xaa, sizeof(d.b));
	if (seeds_read(text, n, &d, &size, &urls, &e))
		return;
	assert(size >= 0 && json_array_size(urls) <= SEEDS_URLS_MAX);
	json_array_foreach(urls, i, url) {
		const char *s = json_string_value(url);

		assert(s && strlen(s) <= SEEDS_URL_MAX && !strncmp(s, "http", 4));
		for (; *s; s++)
			assert(*s > ' ' && *s <= '~');
	}
	json_decref(urls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_buf struct buf b = fuzz_fill(data, n);
	struct digest d;
	int64_t piece;
	struct err e;

	answers(b.data, b.len);
	if (!seeds_piece(&piece, b.data, &e))
		assert(layer_allowed(piece));
	if (cid_parse(&d, b.data)) {
		char again[CID_TEXT + 1];

		cid_text(again, &d);
		assert(!strcmp(again, b.data));
	}
	return 0;
}
