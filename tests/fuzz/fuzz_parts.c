/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_parts.c: what a worker finds of a download that was cut off: a partial file, and the layer kept beside it.
 * A piece counts where its bytes are right and nowhere else; then the download goes on to its end.
 *
 * Input: a byte (bit 0: the layer is read from its file; bits 1 to 3: which pieces are right to begin with; bits 4, 5:
 * no file, one too short, one too long, one of its size), then four bytes each: a place, and what is written there;
 * places behind the blob are of the layer's file.
 */
#include "tests/fuzz/fuzz.h"
#include "common/blob_in.h"
#include "common/pieces.h"

#define SIZE ((size_t)(2 * PIECE_BYTES_MIN + 70000))
#define PIECES 3
#define FILE_ROOM (SIZE + 5000)
#define LAYER_BYTES ((PIECES + 1) * DIGEST_BYTES) /* the root stands behind the hashes */

enum length { NO_FILE, SHORT, LONG, WHOLE };

static char folder[] =
	"/dev/shm/talkoot-fuzz-XXXXXX"; /* in memory: each input is synced to its disk */
static char right[SIZE], file[FILE_ROOM];
static unsigned char kept[LAYER_BYTES];
static struct digest layer[PIECES];
static struct blob blob;
static struct blobs *store;

static void remove_folder(void)
{
	struct err e;

	blobs_close(store);
	remove_tree(folder, &e);
}

static void set_up(void)
{
	struct layer *l = layer_new(0);
	const struct digest *hashes;
	uint64_t seed = 1;
	struct err e;
	size_t n;

	for (size_t i = 0; i < SIZE; i++)
		right[i] = (char)rng_next(&seed);
	layer_add(l, right, SIZE);
	blob = (struct blob){ .digest = digest_of(right, SIZE), .size = SIZE };
	blob.root = layer_end(l, &hashes, &n, NULL);
	assert(n == PIECES);
	memcpy(layer, hashes, sizeof(layer));
	layer_free(l);
	int bad = !mkdtemp(folder) || blobs_open(&store, folder, 0, &e);
	assert(!bad);
	atexit(remove_folder);
}

static size_t bytes_of(size_t piece)
{
	return piece + 1 < PIECES ? PIECE_BYTES_MIN : SIZE - piece * PIECE_BYTES_MIN;
}

static void write_file(const char *kind, const char *prefix, const void *bytes, size_t n)
{
	char hex[DIGEST_HEX + 1];
	struct err e;

	digest_hex(hex, &blob.digest);
	auto_free char *path = xprintf("%s/%s/%s%s", folder, kind, prefix, hex);
	int bad = file_write_atomic(path, bytes, n, 0600, &e);
	assert(!bad);
}

/* What the input makes of file and layer; the file's length. */
static size_t prepare(const uint8_t *data, size_t n, bool *has_file)
{
	static const size_t lengths[] = { 0, SIZE / 2, FILE_ROOM, SIZE };
	unsigned length = data[0] >> 4 & 3;

	memset(file, 0, sizeof(file));
	for (size_t i = 0; i < PIECES; i++)
		if (data[0] >> (1 + i) & 1)
			memcpy(file + i * PIECE_BYTES_MIN, right + i * PIECE_BYTES_MIN,
				bytes_of(i));
	memcpy(kept, layer, sizeof(layer));
	memcpy(kept + sizeof(layer), blob.root.b, DIGEST_BYTES);
	for (size_t i = 1; i + 4 <= n; i += 4) {
		size_t at = (size_t)data[i] << 16 | (size_t)data[i + 1] << 8 | data[i + 2];

		if (at < SIZE)
			file[at] = (char)data[i + 3];
		else
			kept[at % LAYER_BYTES] = data[i + 3];
	}
	*has_file = length != NO_FILE;
	return lengths[length];
}

static void check(struct blob_parts *p, size_t len)
{
	char one[PIECE_BYTES_MIN];
	size_t here = 0;
	struct err e;

	if (len < SIZE)
		memset(file + len, 0, SIZE - len);
	else if (len > SIZE) /* another blob's: it begins anew */
		memset(file, 0, SIZE);
	for (size_t i = 0; i < PIECES; i++) {
		bool same = !memcmp(
			file + i * PIECE_BYTES_MIN, right + i * PIECE_BYTES_MIN, bytes_of(i));
		int unread =
			blob_parts_read(p, (int64_t)(i * PIECE_BYTES_MIN), one, bytes_of(i), &e);

		assert(blob_parts_has(p, i) == same && !unread == same);
		assert(!same || !memcmp(one, right + i * PIECE_BYTES_MIN, bytes_of(i)));
		here += same;
	}
	assert(blob_parts_missing(p) == PIECES - here);
}

static void go_on(struct blob_parts *p)
{
	struct err e;

	for (size_t i = 0; i < PIECES; i++) {
		int bad = blob_parts_put(p, i, right + i * PIECE_BYTES_MIN, bytes_of(i), &e);
		assert(!bad);
	}
	int bad = blob_parts_finish(p, &e);
	assert(!bad && blob_size(store, &blob.digest) == (int64_t)SIZE);
	bad = blob_remove(store, &blob.digest, &e);
	assert(!bad && store->bytes == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct blob_parts *p;
	struct err e;
	bool has_file;

	if (n < 1)
		return 0;
	if (!store)
		set_up();
	size_t len = prepare(data, n, &has_file);
	blob_layer_remove(store, &blob.digest);
	if (data[0] & 1)
		write_file("layers", "", kept, sizeof(kept));
	if (has_file)
		write_file("partial", "parts-", file, len);
	store->bytes = has_file ? (int64_t)len : 0;
	if (blob_parts_open(&p, store, &blob, data[0] & 1 ? NULL : layer, PIECES, &e)) {
		/* only another layer than the signed root's keeps it from being opened */
		assert(data[0] & 1 &&
			memcmp(kept, layer, sizeof(layer)) |
				memcmp(kept + sizeof(layer), blob.root.b, DIGEST_BYTES));
		int bad = blob_parts_open(&p, store, &blob, layer, PIECES, &e);
		assert(!bad);
	}
	check(p, len);
	go_on(p);
	return 0;
}
