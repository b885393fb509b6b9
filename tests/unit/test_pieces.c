/* SPDX-License-Identifier: Apache-2.0
 *
 * test_pieces.c: layers are cuts of the tree that BEP 52 describes, at any size and any height.
 */
#include "common/pieces.h"
#include "tests/unit/vectors.h"

static struct err e;

static char *pattern(size_t n)
{
	char *bytes = xmalloc(n + 1);

	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(i * 31 + i / 251);
	return bytes;
}

static struct digest whole_root(const char *bytes, size_t n)
{
	struct pieces *p = pieces_new();

	pieces_add(p, bytes, n);
	struct digest root = pieces_end(p);
	pieces_free(p);
	return root;
}

static size_t cut(struct digest *hashes, const char *bytes, size_t n, size_t piece)
{
	size_t count = 0;

	for (size_t at = 0; at < n; at += piece)
		hashes[count++] = piece_root(
			bytes + at, n - at < piece ? n - at : piece, (int64_t)piece, n <= piece);
	return count;
}

/* Every layer of these bytes makes up `root`, by piece_root and by streaming alike. */
static void assert_layers(const char *bytes, size_t n, const struct digest *root)
{
	struct digest *hashes = xcalloc(n / PIECES_LEAF + 2, sizeof(*hashes));

	for (size_t piece = PIECES_LEAF; piece <= 4 * MIB; piece *= 2) {
		size_t count = cut(hashes, bytes, n, piece), m;
		struct layer *l = layer_new((int64_t)piece);
		const struct digest *streamed;
		int64_t its;

		assert_int_equal(count, layer_count((int64_t)n, (int64_t)piece));
		assert_int_equal(
			layer_check(hashes, count, (int64_t)n, (int64_t)piece, root, &e), 0);
		for (size_t at = 0; at < n; at += 9973)
			layer_add(l, bytes + at, n - at < 9973 ? n - at : 9973);
		struct digest made = layer_end(l, &streamed, &m, &its);
		assert_true(digest_equal(&made, root));
		assert_int_equal(m, count);
		assert_int_equal(its, piece);
		if (count)
			assert_memory_equal(streamed, hashes, count * sizeof(*hashes));
		layer_free(l);
	}
	free(hashes);
}

static void piece_sizes_keep_a_blob_at_2048_pieces(void **state)
{
	(void)state;
	static const struct {
		int64_t size, piece, count;
	} rows[] = {
		{ 0, 256 * KIB, 0 },
		{ 1, 256 * KIB, 1 },
		{ 256 * KIB, 256 * KIB, 1 },
		{ 256 * KIB + 1, 256 * KIB, 2 },
		{ 512 * MIB, 256 * KIB, 2048 },
		{ 512 * MIB + 1, 512 * KIB, 1025 },
		{ 1 * GIB, 512 * KIB, 2048 },
		{ 64 * GIB, 32 * MIB, 2048 },
		{ 64 * GIB - 1, 32 * MIB, 2048 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(piece_bytes(rows[i].size), rows[i].piece);
		assert_int_equal(piece_count(rows[i].size), rows[i].count);
		int64_t all = 0;
		for (size_t k = 0; k < (size_t)rows[i].count; k++) {
			size_t n = piece_size(rows[i].size, piece_bytes(rows[i].size), k);

			assert_in_range(n, 1, piece_bytes(rows[i].size));
			all += (int64_t)n;
		}
		assert_int_equal(all, rows[i].size);
	}
}

static void layers_make_up_the_roots_of_the_reference_creator(void **state)
{
	(void)state;
	auto_json_unit json_t *all = vectors_json("bep52/roots.json");
	json_t *j;
	size_t i;

	if (!all)
		skip();
	json_array_foreach(json_object_get(all, "files"), i, j) {
		size_t n = (size_t)json_integer_value(json_object_get(j, "size"));
		auto_free char *bytes = pattern(n);
		struct digest root;

		assert_true(digest_from_hex(
			&root, json_string_value(json_object_get(j, "pieces_root"))));
		assert_layers(bytes, n, &root);
	}
	assert_true(i > 5);
}

static void layers_make_up_the_streamed_root_at_any_size(void **state)
{
	(void)state;
	static const int64_t edges[] = { 0, 1, 16383, 16384, 16385, 3 * 16384, 256 * KIB - 1,
		256 * KIB, 256 * KIB + 1, 3 * 256 * KIB, 5 * 256 * KIB - 1, 5 * 256 * KIB + 1 };
	uint64_t seed = random_seed();

	for (size_t i = 0; i < ARRAY_LEN(edges) + 12; i++) {
		size_t n = i < ARRAY_LEN(edges) ? (size_t)edges[i] : rng_below(&seed, 3 * MIB);
		auto_free char *bytes = pattern(n);

		print_message("size %zu\n", n);
		struct digest root = whole_root(bytes, n);
		assert_layers(bytes, n, &root);
	}
}

static void each_higher_layer_is_the_one_below_in_pairs(void **state)
{
	(void)state;
	size_t n = 7 * 64 * KIB + 5;
	auto_free char *bytes = pattern(n);
	struct digest low[64], high[64];

	size_t m = cut(low, bytes, n, 16 * KIB);
	for (int64_t piece = 16 * KIB; m > 1; piece *= 2) {
		m = layer_up(low, m, piece);
		assert_int_equal(m, cut(high, bytes, n, (size_t)(2 * piece)));
		assert_memory_equal(low, high, m * sizeof(*low));
	}
}

/* 513 MiB of nothing: the pieces double on the way, and what is held stays within 2048. */
static void a_streamed_layer_widens_as_the_blob_grows(void **state)
{
	(void)state;
	auto_free char *mib = xcalloc(1, MIB);
	struct layer *l = layer_new(0);
	const struct digest *hashes;
	size_t n;
	int64_t piece;

	for (int i = 0; i < 513; i++)
		layer_add(l, mib, MIB);
	struct digest root = layer_end(l, &hashes, &n, &piece);
	assert_int_equal(piece, piece_bytes(513 * MIB));
	assert_int_equal(n, piece_count(513 * MIB));
	struct digest full = piece_root(mib, 512 * KIB, 512 * KIB, false);
	for (size_t i = 0; i < n; i++)
		assert_true(digest_equal(&hashes[i], &full));
	assert_int_equal(layer_check(hashes, n, 513 * MIB, piece, &root, &e), 0);
	layer_add(l, "x", 1); /* it starts anew */
	root = layer_end(l, &hashes, &n, &piece);
	struct digest one = digest_of("x", 1);
	assert_true(digest_equal(&root, &one));
	assert_int_equal(n, 1);
	assert_int_equal(piece, 256 * KIB);
	root = layer_end(l, &hashes, &n, NULL);
	assert_int_equal(n, 0);
	layer_free(l);
	layer_free(NULL);
}

static void a_layer_of_another_blob_is_refused(void **state)
{
	(void)state;
	size_t n = 5 * 256 * KIB;
	auto_free char *bytes = pattern(n);
	struct digest hashes[6], root = whole_root(bytes, n);
	int64_t piece = 256 * KIB, size = (int64_t)n;

	size_t count = cut(hashes, bytes, n, (size_t)piece);
	assert_int_equal(layer_check(hashes, count, size, piece, &root, &e), 0);
	for (size_t i = 0; i < count; i++) {
		hashes[i].b[i] ^= 1;
		assert_int_equal(layer_check(hashes, count, size, piece, &root, &e), -1);
		assert_int_equal(e.code, ERR_DIGEST);
		hashes[i].b[i] ^= 1;
	}
	assert_int_equal(layer_check(hashes, count - 1, size, piece, &root, &e), -1);
	assert_int_equal(layer_check(hashes, count, size + 1, piece, &root, &e), -1);
	assert_int_equal(layer_check(hashes, count, size, piece * 2, &root, &e), -1);
	assert_int_equal(layer_check(hashes, count, size, piece + 1, &root, &e), -1);
	assert_int_equal(layer_check(hashes, count, size, 0, &root, &e), -1);
	assert_int_equal(layer_check(hashes, count, size, 8192, &root, &e), -1);
	assert_int_equal(layer_check(hashes, count, -1, piece, &root, &e), -1);
	assert_int_equal(layer_check(NULL, 0, size, piece, &root, &e), -1);
	/* no number of hashes stands for a piece of zeros that is not there */
	hashes[5] = piece_root((char[1]){ 0 }, 1, piece, false);
	assert_int_equal(layer_check(hashes, 6, size, piece, &root, &e), -1);
}

static void an_empty_blob_has_no_layer(void **state)
{
	(void)state;
	static const struct digest zero;
	struct digest root = layer_root(NULL, 0, 256 * KIB);

	assert_true(digest_equal(&root, &zero));
	assert_int_equal(layer_check(NULL, 0, 0, 256 * KIB, &zero, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(piece_sizes_keep_a_blob_at_2048_pieces),
		cmocka_unit_test(layers_make_up_the_roots_of_the_reference_creator),
		cmocka_unit_test(layers_make_up_the_streamed_root_at_any_size),
		cmocka_unit_test(each_higher_layer_is_the_one_below_in_pairs),
		cmocka_unit_test(a_streamed_layer_widens_as_the_blob_grows),
		cmocka_unit_test(a_layer_of_another_blob_is_refused),
		cmocka_unit_test(an_empty_blob_has_no_layer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
