/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_piece_post.c: a piece that a stranger brings by `POST /v1/pieces`: three lines that say which (`-`: not said), then its
 * bytes, into a download of two pieces. What was not right leaves no trace; what is right is there.
 */
#include "common/blob.h"
#include "common/have.h"
#include "common/pieces.h"
#include "tests/fuzz/fuzz.h"

#define SIZE ((size_t)PIECE_BYTES_MIN + 5)

static char folder[] = "/dev/shm/talkoot-fuzz-XXXXXX";
static struct blobs *store;
static struct blob blob;
static struct digest layer[2];

static void remove_folder(void)
{
	struct err e;

	blobs_close(store);
	remove_tree(folder, &e);
}

/* A blob whose second piece is "right". */
static void set_up(void)
{
	auto_free char *bytes = xcalloc(1, SIZE);
	struct layer *l = layer_new(0);
	const struct digest *hashes;
	struct err e;
	size_t n;

	memcpy(bytes + PIECE_BYTES_MIN, "right", 5);
	layer_add(l, bytes, SIZE);
	blob = (struct blob){ .digest = digest_of(bytes, SIZE), .size = SIZE };
	blob.root = layer_end(l, &hashes, &n, NULL);
	memcpy(layer, hashes, sizeof(layer));
	layer_free(l);
	int bad = n != 2 || !mkdtemp(folder) || blobs_open(&store, folder, 0, &e);
	assert(!bad);
	atexit(remove_folder);
}

/* The next line, ended; NULL: not said. */
static const char *cut(char **rest)
{
	const char *line = *rest ? strsep(rest, "\n") : NULL;

	return line && strcmp(line, "-") ? line : NULL;
}

static void bring(const struct piece_post *post, const char *bytes, size_t n)
{
	struct blob_parts *p;
	struct err e = { 0 };
	int bad = blob_parts_open(&p, store, &blob, layer, 2, &e);

	assert(!bad);
	if (blob_parts_put(p, post->piece, bytes, n, &e))
		assert(e.code == ERR_DIGEST && blob_parts_missing(p) == 2);
	else
		assert(post->piece == 1 && n == 5 && !memcmp(bytes, "right", 5) &&
			blob_parts_has(p, 1) && blob_parts_missing(p) == 1);
	blob_parts_drop(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_buf struct buf b = fuzz_fill(data, n);
	char *rest = b.data;
	const char *digest, *piece, *node;
	struct piece_post post;
	struct err e = { 0 };

	if (!store)
		set_up();
	digest = cut(&rest);
	piece = cut(&rest);
	node = cut(&rest);
	if (piece_post_read(&post, digest, piece, node, &e)) {
		assert(e.code == ERR_FIELD && e.msg[0] && e.field[0]);
		return 0;
	}
	char hex[ID_TEXT + 1], text[DIGEST_TEXT + 1];
	id_text(hex, &post.node);
	digest_text(text, &post.digest);
	assert(!strcmp(hex, node) && !strcmp(text, digest) && post.piece < HAVE_PIECES_MAX);
	bring(&post, rest ? rest : "", rest ? b.len - (size_t)(rest - b.data) : 0);
	return 0;
}
