/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz.h: what the fuzz targets share: a fixed key, and seeds a person can read.
 *
 * Nobody can guess a signature, so targets that want to reach what stands behind it sign their
 * input themselves. In such inputs @G and @A are the key's id, @H 64 hex digits, @D a digest, @N 32
 * hex digits, @B a blob descriptor, so that a mutation need not guess these either.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "common/buf.h"
#include "common/msg.h"

#include <assert.h>
#include <sys/mman.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Always the same key: seed 32 zero bytes. */
static inline struct key *fuzz_key(void)
{
	static const char pem[] =
		"-----BEGIN PRIVATE KEY-----\n"
		"MC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
		"-----END PRIVATE KEY-----\n";
	static struct key *key;
	char path[] = "/tmp/talkoot-fuzz-XXXXXX";
	struct err e;

	if (key)
		return key;
	int fd = mkstemp(path);
	int bad = fd < 0 || fd_write_all(fd, pem, strlen(pem), &e) || key_load(&key, path, &e);
	assert(!bad);
	close(fd);
	unlink(path);
	return key;
}

/* `data` with the placeholders filled in. */
static inline struct buf fuzz_fill(const uint8_t *data, size_t n)
{
	static const char hex[] =
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	char id[ID_TEXT + 1];
	struct buf b = { 0 };

	id_text(id, key_id(fuzz_key()));
	for (size_t i = 0; i < n; i++) {
		int c = data[i] == '@' && i + 1 < n ? data[i + 1] : 0;

		if (c == 'G' || c == 'A')
			buf_text(&b, id);
		else if (c == 'H')
			buf_text(&b, hex);
		else if (c == 'D')
			buf_printf(&b, "sha256:%s", hex);
		else if (c == 'N')
			buf_printf(&b, "%.32s", hex);
		else if (c == 'B')
			buf_printf(&b,
				"{\"digest\":\"sha256:%s\",\"size\":9,\"pieces_root\":\"%s\"}", hex,
				hex);
		else
			buf_add(&b, data + i, 1), c = 0;
		i += c != 0;
	}
	buf_add(&b, "", 0);
	return b;
}

/* Sign `payload` and open the line: true when it opens. */
static inline bool fuzz_open(struct msg *m, bool statement, const char *payload, size_t n)
{
	auto_free char *line =
		seal(fuzz_key(), statement ? SEAL_STATEMENT : SEAL_MESSAGE, payload, n);
	struct err e = { 0 };

	if (!msg_open(m, line, strlen(line), NULL, &e))
		return true;
	assert(e.code != ERR_NONE && e.code != ERR_INTERNAL && e.code != ERR_SIGNATURE && e.msg[0]);
	json_t *text = json_pack("{s:s, s:s}", "detail", e.msg, "field", e.field);
	assert(text); /* an error can always be told */
	json_decref(text);
	return false;
}

#endif
