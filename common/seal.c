/* SPDX-License-Identifier: Apache-2.0
 *
 * seal.c: DSSE envelopes with one spelling.
 *
 * The line is taken apart by its fixed form, not by a JSON parser: what stands between the fixed parts
 * is hex, base64 and one of two type names, so nothing in it can need an escape. A line that
 * differs from this form in one byte is not an envelope.
 */
#include "common/seal.h"
#include "common/buf.h"
#include "common/codec.h"

#include <stdlib.h>
#include <string.h>

static const char *const types[] = { SEAL_MESSAGE, SEAL_STATEMENT };

#define PART_PAYLOAD "{\"payload\":\""
#define PART_TYPE "\",\"payloadType\":\""
#define PART_KEYID "\",\"signatures\":[{\"keyid\":\""
#define PART_SIG "\",\"sig\":\""
#define PART_END "\"}]}"

char *seal_pae(const char *type, const char *payload, size_t n, size_t *len)
{
	struct buf b = { 0 };

	buf_printf(&b, "DSSEv1 %zu %s %zu ", strlen(type), type, n);
	buf_add(&b, payload, n);
	*len = b.len;
	return buf_take(&b);
}

char *seal(const struct key *k, const char *type, const char *payload, size_t n)
{
	unsigned char sig[SIG_BYTES];
	char keyid[ID_TEXT + 1];
	size_t len;
	auto_free char *pae = seal_pae(type, payload, n, &len);

	key_sign(k, pae, len, sig);
	id_text(keyid, key_id(k));
	auto_free char *body = base64_encode(payload, n);
	auto_free char *sig64 = base64_encode(sig, SIG_BYTES);
	return xprintf(PART_PAYLOAD "%s" PART_TYPE "%s" PART_KEYID "%s" PART_SIG "%s" PART_END, body, type,
		keyid, sig64);
}

/* What is left of a line. */
struct rest {
	const char *at;
	size_t n;
};

static bool expect(struct rest *r, const char *part)
{
	size_t len = strlen(part);

	if (r->n < len || memcmp(r->at, part, len) != 0)
		return false;
	r->at += len;
	r->n -= len;
	return true;
}

/* Everything up to the next quote. */
static bool take(struct rest *r, const char **text, size_t *n)
{
	const char *quote = memchr(r->at, '"', r->n);

	if (!quote)
		return false;
	*text = r->at;
	*n = (size_t)(quote - r->at);
	r->n -= *n;
	r->at = quote;
	return true;
}

static bool read_type(char out[64], const char *text, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strlen(types[i]) == n && !memcmp(types[i], text, n)) {
			snprintf(out, 64, "%s", types[i]);
			return true;
		}
	return false;
}

static bool read_id(struct id *id, const char *text, size_t n)
{
	char copy[ID_TEXT + 1] = "";

	if (n != ID_TEXT)
		return false;
	memcpy(copy, text, ID_TEXT);
	return id_parse(id, copy);
}

static bool read_sig(unsigned char sig[SIG_BYTES], const char *text, size_t n)
{
	auto_free char *bytes = NULL;
	size_t len;

	if (!base64_decode(&bytes, &len, text, n) || len != SIG_BYTES)
		return false;
	memcpy(sig, bytes, SIG_BYTES);
	return true;
}

int seal_open(struct sealed *s, const char *line, size_t n, size_t max, struct err *e)
{
	struct rest r = { line, n };
	const char *payload, *type, *keyid, *sig;
	size_t payload_n, type_n, keyid_n, sig_n;

	*s = (struct sealed){ 0 };
	if (n > max)
		return err_set(e, ERR_TOO_BIG, "an envelope of %zu bytes; at most %zu are taken", n, max);
	if (!expect(&r, PART_PAYLOAD) || !take(&r, &payload, &payload_n) || !expect(&r, PART_TYPE) ||
		!take(&r, &type, &type_n) || !expect(&r, PART_KEYID) || !take(&r, &keyid, &keyid_n) ||
		!expect(&r, PART_SIG) || !take(&r, &sig, &sig_n) || !expect(&r, PART_END) || r.n)
		return err_set(e, ERR_MALFORMED,
			"not an envelope: it must be one compact line of payload, payloadType and one signature");
	if (!read_type(s->type, type, type_n))
		return err_field(e, "payloadType", "is not one of talkoot's");
	if (!read_id(&s->keyid, keyid, keyid_n))
		return err_field(e, "signatures[0].keyid", "must be 64 lowercase hex digits");
	if (!read_sig(s->sig, sig, sig_n))
		return err_field(e, "signatures[0].sig", "must be 64 bytes in canonical base64");
	if (!base64_decode(&s->payload, &s->n, payload, payload_n))
		return err_field(e, "payload", "must be canonical base64");
	s->digest = digest_of(line, n);
	return 0;
}

int seal_verify(const struct sealed *s, struct err *e)
{
	size_t len;
	auto_free char *pae = seal_pae(s->type, s->payload, s->n, &len);

	if (!key_verify(&s->keyid, pae, len, s->sig))
		return err_set(e, ERR_SIGNATURE, "the signature does not hold for this key and payload");
	return 0;
}

void seal_release(struct sealed *s)
{
	free(s->payload);
	*s = (struct sealed){ 0 };
}
