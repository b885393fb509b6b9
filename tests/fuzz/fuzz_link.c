/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_link.c: links, endpoints, ids, digests, integers and base64 have one spelling each.
 */
#include "common/codec.h"
#include "common/digest.h"
#include "common/log.h"
#include "tests/fuzz/fuzz.h"

static void links(const char *text)
{
	char out[LINK_TEXT_MAX + 1], where[LINK_HOST_MAX + 9];
	struct endpoint p, p2;
	struct link l, l2;
	struct err e;

	if (!link_parse(&l, text, &e)) {
		link_text(out, &l);
		int bad = link_parse(&l2, out, &e);
		assert(!bad && !strcmp(l.host, l2.host) && l.port == l2.port &&
			id_equal(&l.node, &l2.node));
	}
	if (!endpoint_parse(&p, text, &e)) {
		endpoint_text(where, &p);
		int bad = endpoint_parse(&p2, where, &e);
		assert(!bad && !strcmp(p.host, p2.host) && p.port == p2.port &&
			!strcmp(where, text));
		endpoint_is_loopback(&p);
	}
}

static void spellings(const char *text, size_t n)
{
	char *bytes;
	size_t size;
	struct digest d;
	int64_t value;

	if (base64_decode(&bytes, &size, text, n)) {
		auto_free char *again = base64_encode(bytes, size);

		assert(strlen(again) == n && !memcmp(again, text, n));
		free(bytes);
	}
	if (int_parse(&value, text, INT64_MIN, INT64_MAX)) {
		auto_free char *again = xprintf("%lld", (long long)value);

		assert(!strcmp(again, text));
	}
	if (digest_from_text(&d, text)) {
		char again[DIGEST_TEXT + 1];

		digest_text(again, &d);
		assert(!strcmp(again, text));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_buf struct buf b = fuzz_fill(data, n);
	auto_free char *safe = text_safe((const char *)data, n);
	json_t *j = json_string(safe);

	assert(j);
	json_decref(j);
	for (const char *c = safe; *c; c++)
		assert((unsigned char)*c >= 0x20 && *c != 0x7f);
	links(b.data);
	spellings(b.data, b.len);
	return 0;
}
