/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_layout.c: an image's documents. The input is a letter ('o': there is an oci-layout) and two parts, apart by NUL:
 * index.json or manifest.json, and the one document that every other name gives. In the first @D stands for the
 * second's digest, so an OCI manifest is reached; a configuration is reached from a manifest.json.
 */
#include "image/layout.h"
#include "tests/fuzz/fuzz.h"

struct parts {
	bool oci;
	const char *first, *other;
	size_t n_first, n_other;
};

static int get(void *from, const char *path, const char **text, size_t *n, struct err *e)
{
	const struct parts *p = from;
	bool top = !strcmp(path, "index.json") || !strcmp(path, "manifest.json");

	(void)e;
	if (!strcmp(path, "oci-layout"))
		return p->oci;
	*text = top ? p->first : p->other;
	*n = top ? p->n_first : p->n_other;
	return 1;
}

/* `text` with @D replaced by the digest of `of`. */
static struct buf with_digest(const char *text, size_t n, const char *of, size_t n_of)
{
	char hex[SHA_HEX + 1];
	struct sha *sha = sha_new();
	struct buf b = { 0 };

	sha_add(sha, of, n_of);
	sha_end(sha, hex);
	buf_add(&b, "", 0);
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '@' && i + 1 < n && text[i + 1] == 'D')
			buf_printf(&b, "sha256:%s", hex), i++;
		else
			buf_add(&b, text + i, 1);
	}
	return b;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct layout l;
	struct layout_platform none = { 0 };
	const char *text = (const char *)data, *cut = n ? memchr(text + 1, 0, n - 1) : NULL;
	struct err e = { 0 };

	if (!cut)
		return 0;
	struct parts p = {
		.oci = text[0] == 'o', .other = cut + 1, .n_other = n - (size_t)(cut + 1 - text)
	};
	auto_buf struct buf first =
		with_digest(text + 1, (size_t)(cut - text) - 1, p.other, p.n_other);
	p.first = first.data;
	p.n_first = first.len;
	struct layout_source s = { get, &p };
	if (layout_read(&l, &s, &none, &e)) {
		assert(e.msg[0]);
	} else {
		assert(l.n_layers >= 1 && l.n_layers <= MERGE_LAYERS_MAX && l.json);
		for (int i = 0; i < l.n_layers; i++)
			assert(!*l.layers[i].path ||
				name_ok(l.layers[i].path, strlen(l.layers[i].path)));
	}
	layout_release(&l);
	return 0;
}
