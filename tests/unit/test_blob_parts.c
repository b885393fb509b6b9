/* SPDX-License-Identifier: Apache-2.0
 *
 * test_blob_parts.c: pieces in any order become the blob, wrong ones never count, a kill loses at most the
 * piece it hit; and whole blobs have their layer beside them.
 */
#include "common/blob.h"
#include "common/pieces.h"
#include "tests/unit/vectors.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PIECE ((size_t)PIECE_BYTES_MIN)

static char *dir;
static struct blobs *s;
static struct err e;

static int setup(void **state)
{
	(void)state;
	dir = fresh_folder();
	return blobs_open(&s, dir, 0, &e);
}

static int teardown(void **state)
{
	(void)state;
	blobs_close(s);
	drop_folder(dir);
	return 0;
}

static void reopen(int64_t quota)
{
	blobs_close(s);
	s = NULL;
	assert_int_equal(blobs_open(&s, dir, quota, &e), 0);
}

/* A blob of n bytes as its submitter describes it, and its layer. */
struct sample {
	char *bytes;
	struct blob b;
	struct digest *layer;
	size_t n; /* pieces */
};

static struct sample sample(size_t n, uint64_t seed)
{
	struct sample x = { .bytes = xmalloc(n + 8) };
	struct layer *l = layer_new(0);
	const struct digest *hashes;

	for (size_t i = 0; i < n; i += 8) {
		uint64_t word = rng_next(&seed);

		memcpy(x.bytes + i, &word, 8);
	}
	layer_add(l, x.bytes, n);
	x.b.size = (int64_t)n;
	x.b.digest = digest_of(x.bytes, n);
	x.b.root = layer_end(l, &hashes, &x.n, NULL);
	x.layer = (struct digest *)xmemdup(hashes, x.n * sizeof(*hashes));
	layer_free(l);
	return x;
}

static void sample_free(struct sample *x)
{
	free(x->bytes);
	free(x->layer);
}
#define auto_sample __attribute__((cleanup(sample_free))) struct sample

static struct blob_parts *begin(const struct sample *x)
{
	struct blob_parts *p = NULL;

	if (blob_parts_open(&p, s, &x->b, x->layer, x->n, &e))
		fail_msg("%s", e.msg);
	return p;
}

static size_t bytes_of(const struct sample *x, size_t piece)
{
	size_t left = (size_t)x->b.size - piece * PIECE;

	return left < PIECE ? left : PIECE;
}

static int put(struct blob_parts *p, const struct sample *x, size_t piece)
{
	return blob_parts_put(p, piece, x->bytes + piece * PIECE, bytes_of(x, piece), &e);
}

static char *partial_path(const struct sample *x)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, &x->b.digest);
	return xprintf("%s/partial/parts-%s", dir, hex);
}

static void assert_whole(const struct sample *x)
{
	auto_free char *out = NULL;
	size_t n;

	assert_int_equal(blob_read(s, &x->b.digest, &out, &n, (size_t)x->b.size, &e), 0);
	assert_int_equal(n, x->b.size);
	assert_memory_equal(out, x->bytes, n);
}

static void pieces_in_any_order_become_the_blob(void **state)
{
	(void)state;
	uint64_t seed = random_seed();
	static const size_t sizes[] = { 0, 1, 16384, PIECE, PIECE + 1, 5 * PIECE - 1,
		9 * PIECE + 77 };

	print_message("seed %llu\n", (unsigned long long)seed);
	for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
		auto_sample x = sample(sizes[k], seed + k);
		struct blob_parts *p = begin(&x);
		size_t order[16], n_map;

		for (size_t i = 0; i < x.n; i++) {
			size_t j = rng_below(&seed, i + 1);

			order[i] = order[j];
			order[j] = i;
		}
		for (size_t i = 0; i < x.n; i++) {
			assert_false(blob_parts_has(p, order[i]));
			assert_int_equal(put(p, &x, order[i]), 0);
			assert_true(blob_parts_has(p, order[i]));
			assert_int_equal(blob_parts_missing(p), x.n - i - 1);
			assert_int_equal(put(p, &x, order[i]), 0); /* again: no harm */
			while (rng_below(&seed, 3) && blob_parts_hash(p, 100000))
				;
		}
		assert_false(blob_parts_has(p, x.n));
		blob_parts_map(p, &n_map);
		assert_int_equal(n_map, (x.n + 7) / 8);
		if (blob_parts_finish(p, &e))
			fail_msg("%s", e.msg);
		assert_whole(&x);
		assert_int_equal(blob_size(s, &x.b.digest), x.b.size);
	}
	int64_t before = blobs_bytes(s);
	reopen(0);
	assert_int_equal(blobs_bytes(s), before);
}

static void the_have_map_starts_at_the_highest_bit(void **state)
{
	(void)state;
	auto_sample x = sample(10 * PIECE, 1);
	struct blob_parts *p = begin(&x);
	size_t n;

	put(p, &x, 0);
	put(p, &x, 7);
	put(p, &x, 9);
	const unsigned char *map = blob_parts_map(p, &n);
	assert_int_equal(n, 2);
	assert_int_equal(map[0], 0x81);
	assert_int_equal(map[1], 0x40);
	blob_parts_drop(p);
	assert_int_equal(blobs_bytes(s), 0);
}

static void wrong_bytes_are_refused_and_leave_nothing(void **state)
{
	(void)state;
	auto_sample x = sample(3 * PIECE + 5, 2);
	struct blob_parts *p = begin(&x);
	char *first = x.bytes;

	first[100] ^= 1;
	assert_int_equal(put(p, &x, 0), -1);
	assert_int_equal(e.code, ERR_DIGEST);
	assert_false(blob_parts_has(p, 0));
	first[100] ^= 1;
	/* another piece's bytes, a cut piece, one that is too long, one that is not there */
	assert_int_equal(blob_parts_put(p, 0, x.bytes + PIECE, PIECE, &e), -1);
	assert_int_equal(blob_parts_put(p, 0, x.bytes, PIECE - 1, &e), -1);
	assert_int_equal(blob_parts_put(p, 3, x.bytes + 3 * PIECE, 6, &e), -1);
	assert_int_equal(blob_parts_put(p, 4, x.bytes, PIECE, &e), -1);
	assert_int_equal(blob_parts_missing(p), 4);
	put(p, &x, 0);
	first[100] ^= 1; /* and one that is there already is checked all the same */
	assert_int_equal(put(p, &x, 0), -1);
	first[100] ^= 1;
	assert_int_equal(blob_parts_finish(p, &e), -1);
	assert_int_equal(e.code, ERR_CONFLICT);
	p = begin(&x); /* what was there was kept */
	assert_true(blob_parts_has(p, 0));
	for (size_t i = 0; i < x.n; i++)
		assert_int_equal(put(p, &x, i), 0);
	assert_int_equal(blob_parts_finish(p, &e), 0);
	assert_whole(&x);
}

static void a_layer_must_make_up_the_root(void **state)
{
	(void)state;
	auto_sample x = sample(3 * PIECE, 3);
	struct blob_parts *p;

	x.layer[1].b[0] ^= 1;
	assert_int_equal(blob_parts_open(&p, s, &x.b, x.layer, x.n, &e), -1);
	assert_int_equal(e.code, ERR_DIGEST);
	x.layer[1].b[0] ^= 1;
	assert_int_equal(blob_parts_open(&p, s, &x.b, x.layer, 2, &e), -1);
	x.b.size = BLOB_SIZE_MAX + 1;
	assert_int_equal(blob_parts_open(&p, s, &x.b, x.layer, x.n, &e), -1);
	assert_int_equal(e.code, ERR_TOO_BIG);
	x.b.size = 3 * (int64_t)PIECE;
	assert_int_equal(blobs_bytes(s), 0);
}

static void a_root_that_is_not_the_digests_is_found_out_at_the_end(void **state)
{
	(void)state;
	auto_sample x = sample(2 * PIECE, 4);

	x.b.digest = digest_of("another", 7);
	struct blob_parts *p = begin(&x);
	put(p, &x, 1);
	put(p, &x, 0);
	assert_int_equal(blob_parts_finish(p, &e), -1);
	assert_int_equal(e.code, ERR_DIGEST);
	assert_int_equal(blob_size(s, &x.b.digest), -1);
	assert_int_equal(blobs_bytes(s), 0);
}

static void a_layer_is_kept_for_the_next_time(void **state)
{
	(void)state;
	auto_sample x = sample(3 * PIECE + 1, 11);
	auto_sample one = sample(77, 12);
	struct blob_parts *p;
	size_t n;

	assert_int_equal(blob_parts_open(&p, s, &x.b, NULL, 0, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	p = begin(&x);
	put(p, &x, 2);
	blob_parts_leave(p);
	reopen(0);
	assert_int_equal(blob_parts_open(&p, s, &x.b, NULL, 0, &e), 0);
	assert_true(blob_parts_has(p, 2));
	assert_memory_equal(blob_parts_layer(p, &n), x.layer, x.n * sizeof(*x.layer));
	assert_int_equal(n, x.n);
	blob_parts_leave(p);
	struct blob liar = x.b; /* whose root is another's */
	liar.root.b[0] ^= 1;
	assert_int_equal(blob_parts_open(&p, s, &liar, NULL, 0, &e), -1);
	assert_int_equal(e.code, ERR_DIGEST);
	assert_int_equal(blob_parts_open(&p, s, &x.b, NULL, 0, &e), 0);
	blob_parts_drop(p);
	assert_int_equal(blob_parts_open(&p, s, &x.b, NULL, 0, &e), -1);
	assert_int_equal(blob_parts_open(&p, s, &one.b, NULL, 0, &e), 0);
	assert_int_equal(put(p, &one, 0), 0);
	assert_int_equal(blob_parts_finish(p, &e), 0);
	assert_whole(&one);
}

static void only_verified_bytes_are_read(void **state)
{
	(void)state;
	auto_sample x = sample(3 * PIECE + 9, 5);
	struct blob_parts *p = begin(&x);
	char out[64];

	put(p, &x, 1);
	put(p, &x, 3);
	assert_int_equal(blob_parts_read(p, (int64_t)PIECE, out, 64, &e), 0);
	assert_memory_equal(out, x.bytes + PIECE, 64);
	assert_int_equal(blob_parts_read(p, 2 * (int64_t)PIECE - 64, out, 64, &e), 0);
	assert_int_equal(blob_parts_read(p, 2 * (int64_t)PIECE - 63, out, 64, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(blob_parts_read(p, (int64_t)PIECE - 1, out, 64, &e), -1);
	assert_int_equal(blob_parts_read(p, 3 * (int64_t)PIECE, out, 9, &e), 0);
	assert_memory_equal(out, x.bytes + 3 * PIECE, 9);
	assert_int_equal(blob_parts_read(p, 3 * (int64_t)PIECE, out, 10, &e), -1);
	assert_int_equal(e.code, ERR_RANGE);
	assert_int_equal(blob_parts_read(p, -1, out, 1, &e), -1);
	assert_int_equal(blob_parts_read(p, INT64_MAX, out, 1, &e), -1);
	assert_int_equal(blob_parts_read(p, 0, out, 0, &e), 0);
	blob_parts_drop(p);
}

static void what_was_left_is_hashed_again_and_half_a_piece_is_none(void **state)
{
	(void)state;
	auto_sample x = sample(6 * PIECE + 1, 6);
	auto_free char *path = partial_path(&x);
	struct blob_parts *p = begin(&x);

	put(p, &x, 0);
	put(p, &x, 2);
	put(p, &x, 6);
	blob_parts_leave(p);
	/* a write that was cut off, and a piece that rotted */
	int fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, x.bytes + 4 * PIECE, PIECE / 2, 4 * PIECE), PIECE / 2);
	assert_int_equal(pwrite(fd, "rot", 3, 2 * PIECE + 1000), 3);
	close(fd);
	reopen(0);
	assert_int_equal(blobs_bytes(s), x.b.size);
	p = begin(&x);
	assert_int_equal(blobs_bytes(s), x.b.size);
	for (size_t i = 0; i < x.n; i++)
		assert_int_equal(blob_parts_has(p, i), i == 0 || i == 6);
	for (size_t i = 0; i < x.n; i++)
		assert_int_equal(put(p, &x, i), 0);
	assert_int_equal(blob_parts_finish(p, &e), 0);
	assert_whole(&x);
	assert_int_equal(blobs_bytes(s), x.b.size);
}

/* The child writes pieces until it is killed, wherever it is then. */
static void kill_nine_loses_nothing_that_was_whole(void **state)
{
	(void)state;
	auto_sample x = sample(40 * PIECE, 7);
	uint64_t seed = random_seed();
	size_t told = 0;

	print_message("seed %llu\n", (unsigned long long)seed);
	for (int round = 0; round < 4; round++) {
		int said[2];
		unsigned char piece;

		assert_int_equal(pipe(said), 0);
		pid_t child = fork();
		if (child == 0) {
			struct blob_parts *p = begin(&x);

			for (size_t i = 0; i < x.n; i++) {
				piece = (unsigned char)(x.n - 1 - i);
				if (!blob_parts_has(p, piece) &&
					(put(p, &x, piece) || write(said[1], &piece, 1) != 1))
					_exit(1);
			}
			pause();
		}
		close(said[1]);
		size_t more = 1 + rng_below(&seed, 5);
		for (size_t i = 0; i < more && read(said[0], &piece, 1) == 1; i++)
			told++;
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		while (read(said[0], &piece, 1) == 1)
			told++;
		close(said[0]);
		reopen(0);
		struct blob_parts *p = begin(&x);
		size_t have = x.n - blob_parts_missing(p);
		assert_true(have >= told && have <= told + 1);
		told = have;
		blob_parts_leave(p);
	}
	struct blob_parts *p = begin(&x);
	for (size_t i = 0; i < x.n; i++)
		assert_int_equal(put(p, &x, i), 0);
	assert_int_equal(blob_parts_finish(p, &e), 0);
	assert_whole(&x);
}

static void the_quota_counts_the_whole_blob_from_the_start(void **state)
{
	(void)state;
	auto_sample x = sample(3 * PIECE, 8);
	auto_sample y = sample(2 * PIECE, 9);
	struct blob_parts *p, *q;

	reopen(4 * (int64_t)PIECE);
	p = begin(&x);
	assert_int_equal(blobs_bytes(s), 3 * PIECE);
	assert_int_equal(blob_parts_open(&q, s, &y.b, y.layer, y.n, &e), -1);
	assert_int_equal(e.code, ERR_FULL);
	auto_free char *path = partial_path(&y);
	assert_int_equal(access(path, F_OK), -1);
	blob_parts_drop(p);
	assert_int_equal(blobs_bytes(s), 0);
	q = begin(&y);
	assert_int_equal(blobs_bytes(s), 2 * PIECE);
	blob_parts_leave(q);
	assert_int_equal(blobs_bytes(s), 2 * PIECE);
	q = begin(&y); /* what is counted is not counted again */
	assert_int_equal(blobs_bytes(s), 2 * PIECE);
	put(q, &y, 0);
	put(q, &y, 1);
	assert_int_equal(blob_parts_finish(q, &e), 0);
	assert_int_equal(blobs_bytes(s), 2 * PIECE);
}

static void a_second_writer_is_refused(void **state)
{
	(void)state;
	auto_sample x = sample(2 * PIECE, 10);
	struct blob_parts *p = begin(&x), *q;
	struct blobs *other;

	assert_int_equal(blob_parts_open(&q, s, &x.b, x.layer, x.n, &e), -1);
	assert_int_equal(e.code, ERR_CONFLICT);
	assert_int_equal(blobs_open(&other, dir, 0, &e), 0);
	assert_int_equal(blob_parts_open(&q, other, &x.b, x.layer, x.n, &e), -1);
	assert_int_equal(e.code, ERR_CONFLICT);
	put(p, &x, 0);
	put(p, &x, 1);
	assert_int_equal(blob_parts_finish(p, &e), 0);
	/* whoever comes later finds the blob, and may bring it again */
	assert_int_equal(blob_parts_open(&q, other, &x.b, x.layer, x.n, &e), 0);
	assert_int_equal(blob_parts_missing(q), 2);
	blob_parts_drop(q);
	blobs_close(other);
	assert_whole(&x);
}

/* --- layers of whole blobs -------------------------------------------------------------------- */

static void assert_layer(const struct sample *x, int64_t piece)
{
	struct digest *hashes;
	size_t n;

	if (blob_layer(s, &x->b.digest, piece, &hashes, &n, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(layer_check(hashes, n, x->b.size, piece, &x->b.root, &e), 0);
	free(hashes);
}

static char *layer_path(const struct sample *x)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, &x->b.digest);
	return xprintf("%s/layers/%s", dir, hex);
}

static void every_way_in_leaves_a_layer(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 3; i++) {
		auto_sample x = sample(5 * PIECE + 3, 20 + i);
		auto_free char *layer = layer_path(&x), *path = blob_path(s, &x.b.digest);

		if (i == 0) {
			assert_int_equal(blob_put(s, x.bytes, (size_t)x.b.size, NULL, &e), 0);
		} else if (i == 1) {
			struct blob_parts *p = begin(&x);

			for (size_t k = 0; k < x.n; k++)
				put(p, &x, k);
			assert_int_equal(blob_parts_finish(p, &e), 0);
		} else { /* as an earlier version left it */
			char shard[3] = { 0 };

			memcpy(shard, strrchr(path, '/') + 1, 2);
			auto_free char *folder = xprintf("%s/sha256/%s", dir, shard);
			assert_int_equal(make_dirs(folder, 0700, &e), 0);
			assert_int_equal(
				file_write_atomic(path, x.bytes, (size_t)x.b.size, 0444, &e), 0);
			assert_int_equal(access(layer, F_OK), -1);
			assert_layer(&x, 256 * KIB);
		}
		assert_int_equal(access(layer, F_OK), 0);
		for (int64_t piece = 16 * KIB; piece <= 4 * MIB; piece *= 2)
			assert_layer(&x, piece);
		assert_int_equal(blob_remove(s, &x.b.digest, &e), 0);
		assert_int_equal(access(layer, F_OK), -1);
	}
}

static void a_damaged_layer_is_made_again(void **state)
{
	(void)state;
	auto_sample x = sample(7 * PIECE, 30);
	auto_free char *layer = layer_path(&x);
	static const char *const wrong[] = { "", "short" };

	assert_int_equal(blob_put(s, x.bytes, (size_t)x.b.size, NULL, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_int_equal(file_write_atomic(layer, wrong[i], strlen(wrong[i]), 0600, &e), 0);
		assert_layer(&x, 256 * KIB);
	}
	int fd = open(layer, O_WRONLY);
	assert_int_equal(pwrite(fd, "x", 1, 40), 1);
	close(fd);
	assert_layer(&x, 512 * KIB);
	assert_layer(&x, 256 * KIB);
	struct stat st;
	assert_int_equal(stat(layer, &st), 0);
	assert_int_equal(st.st_size, 8 * DIGEST_BYTES);
}

static void small_and_odd_layers_are_answered_or_refused(void **state)
{
	(void)state;
	auto_sample one = sample(1000, 40);
	auto_sample none = sample(0, 41);
	struct digest *hashes = NULL;
	size_t n;

	assert_int_equal(blob_layer(s, &one.b.digest, 16 * KIB, &hashes, &n, &e), -1);
	assert_int_equal(e.code, ERR_UNKNOWN_BLOB);
	blob_put(s, one.bytes, 1000, NULL, &e);
	blob_put(s, "", 0, NULL, &e);
	assert_layer(&one, 16 * KIB);
	assert_layer(&one, 256 * KIB);
	assert_int_equal(blob_layer(s, &none.b.digest, 256 * KIB, &hashes, &n, &e), 0);
	assert_int_equal(n, 0);
	free(hashes);
	static const int64_t wrong[] = { 0, -1, 1, 8192, 16385, 3 * 16384, 128 * GIB, INT64_MAX };
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_int_equal(blob_layer(s, &one.b.digest, wrong[i], &hashes, &n, &e), -1);
		assert_int_equal(e.code, ERR_NOT_FOUND);
	}
}

static void fine_layers_of_a_large_blob_are_not_hashed(void **state)
{
	(void)state;
	auto_sample x = sample(BLOB_LAYER_FINE_MAX + 1, 50);
	struct digest *hashes = NULL;
	size_t n;

	assert_int_equal(blob_put(s, x.bytes, (size_t)x.b.size, NULL, &e), 0);
	assert_int_equal(blob_layer(s, &x.b.digest, 128 * KIB, &hashes, &n, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_layer(&x, 256 * KIB);
	assert_layer(&x, 32 * MIB);
	assert_layer(&x, 64 * MIB);
}

/* However much an earlier download left, a turn hashes so many bytes of it, or one piece, and no more. */
static void what_is_there_is_looked_at_a_part_a_turn(void **state)
{
	auto_sample x = sample(40 * PIECE - 5, 4);
	struct blob_parts *p;
	size_t left = x.n, turns = 0;
	bool more = true;

	(void)state;
	p = begin(&x);
	for (size_t i = 0; i < x.n; i++)
		assert_int_equal(i == 7 ? 0 : put(p, &x, i), 0);
	blob_parts_leave(p);
	assert_int_equal(blob_parts_begin(&p, s, &x.b, x.layer, x.n, &e), 0);
	assert_int_equal(blob_parts_missing(p), x.n); /* nothing was hashed yet */
	while (more) {
		assert_int_equal(blob_parts_look(p, 4 * PIECE, &more, &e), 0);
		assert_true(left - blob_parts_missing(p) <= 4);
		left = blob_parts_missing(p);
		turns++;
	}
	assert_int_equal(left, 1);
	assert_true(turns >= 10 && turns <= 12);
	assert_int_equal(blob_parts_look(p, 1, &more, &e), 0);
	assert_false(more);
	assert_int_equal(put(p, &x, 7), 0);
	/* and the whole's digest, which starts anew, too */
	for (turns = 1; blob_parts_hash(p, 4 * PIECE); turns++)
		;
	assert_int_equal(turns, 10);
	assert_int_equal(blob_parts_finish(p, &e), 0);
	assert_whole(&x);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(what_is_there_is_looked_at_a_part_a_turn),
		T(pieces_in_any_order_become_the_blob),
		T(the_have_map_starts_at_the_highest_bit),
		T(wrong_bytes_are_refused_and_leave_nothing),
		T(a_layer_must_make_up_the_root),
		T(a_root_that_is_not_the_digests_is_found_out_at_the_end),
		T(a_layer_is_kept_for_the_next_time),
		T(only_verified_bytes_are_read),
		T(what_was_left_is_hashed_again_and_half_a_piece_is_none),
		T(kill_nine_loses_nothing_that_was_whole),
		T(the_quota_counts_the_whole_blob_from_the_start),
		T(a_second_writer_is_refused),
		T(every_way_in_leaves_a_layer),
		T(a_damaged_layer_is_made_again),
		T(small_and_odd_layers_are_answered_or_refused),
		T(fine_layers_of_a_large_blob_are_not_hashed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
