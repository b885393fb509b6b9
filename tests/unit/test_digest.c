/* SPDX-License-Identifier: Apache-2.0
 *
 * test_digest.c: SHA-256 against FIPS 180-4, pieces roots against BEP 52's reference creator.
 */
#include "common/digest.h"
#include "tests/unit/vectors.h"

#include <fcntl.h>

static void sha256_is_the_standards(void **state)
{
	(void)state;
	struct digest d = digest_of("abc", 3);
	char text[DIGEST_TEXT + 1];

	digest_text(text, &d);
	assert_string_equal(
		text, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	d = digest_of("", 0);
	digest_text(text, &d);
	assert_string_equal(
		text, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	d = digest_of(NULL, 0);
	digest_hex(text, &d);
	assert_string_equal(
		text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void a_digest_has_one_spelling(void **state)
{
	(void)state;
	struct digest a = digest_of("x", 1), b = { { 0 } };
	char text[DIGEST_TEXT + 3], hex[DIGEST_HEX + 1];

	digest_text(text, &a);
	assert_true(digest_from_text(&b, text));
	assert_true(digest_equal(&a, &b));
	assert_int_equal(digest_compare(&a, &b), 0);
	digest_hex(hex, &a);
	assert_true(digest_from_hex(&b, hex));
	assert_false(digest_from_text(&b, hex));
	assert_false(digest_from_hex(&b, text));
	strcat(text, "0");
	assert_false(digest_from_text(&b, text));
	text[DIGEST_TEXT - 1] = '\0';
	assert_false(digest_from_text(&b, text));
	assert_false(digest_from_text(&b, ""));
	assert_false(digest_from_text(&b, "sha256:"));
	digest_text(text, &a);
	text[0] = 'S';
	assert_false(digest_from_text(&b, text));
}

static void a_hasher_starts_anew_after_each_end(void **state)
{
	(void)state;
	struct hasher *h = hasher_new();
	struct digest whole = digest_of("abcdef", 6), d;

	for (int i = 0; i < 3; i++) {
		hasher_add(h, "abc", 3);
		hasher_add(h, "", 0);
		hasher_add(h, "def", 3);
		d = hasher_end(h);
		assert_true(digest_equal(&d, &whole));
	}
	hasher_free(h);
	hasher_free(NULL);
	pieces_free(NULL);
}

static char *pattern(size_t n)
{
	char *bytes = xmalloc(n);

	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(i * 31 + i / 251);
	return bytes;
}

static void assert_hex(const struct digest *d, const char *hex)
{
	char text[DIGEST_HEX + 1];

	digest_hex(text, d);
	assert_string_equal(text, hex);
}

static void pieces_roots_are_those_of_the_reference_creator(void **state)
{
	(void)state;
	static const size_t parts[] = { 65536, 16384, 9973 };
	auto_json_unit json_t *all = vectors_json("bep52/roots.json");
	json_t *j;
	size_t i;

	if (!all)
		skip();
	json_array_foreach (json_object_get(all, "files"), i, j) {
		size_t n = (size_t)json_integer_value(json_object_get(j, "size"));
		auto_free char *bytes = pattern(n);
		struct pieces *p = pieces_new();

		struct digest d = digest_of(bytes, n);
		assert_hex(&d, json_string_value(json_object_get(j, "sha256")));
		for (size_t k = 0; k < ARRAY_LEN(parts); k++) {
			for (size_t at = 0; at < n; at += parts[k])
				pieces_add(p, bytes + at, n - at < parts[k] ? n - at : parts[k]);
			d = pieces_end(p); /* and the same one starts anew */
			assert_hex(&d, json_string_value(json_object_get(j, "pieces_root")));
		}
		pieces_free(p);
	}
	assert_true(i > 5);
}

/* BEP 52 as it is written: leaves padded with zeros to a power of two, then pair by pair. */
static struct digest root_by_the_book(const char *bytes, size_t n)
{
	size_t leaves = (n + PIECES_LEAF - 1) / PIECES_LEAF, width = 1;
	struct digest level[64] = { { { 0 } } };

	while (width < leaves)
		width *= 2;
	assert_true(width <= 64);
	for (size_t i = 0; i < leaves; i++)
		level[i] = digest_of(bytes + i * PIECES_LEAF,
			i + 1 < leaves ? PIECES_LEAF : n - i * PIECES_LEAF);
	for (; width > 1; width /= 2)
		for (size_t i = 0; i < width; i += 2)
			level[i / 2] = digest_of(&level[i], 2 * DIGEST_BYTES);
	return level[0];
}

static void pieces_roots_follow_the_book_at_every_leaf_count(void **state)
{
	(void)state;
	auto_free char *bytes = pattern(40 * PIECES_LEAF);
	struct pieces *p = pieces_new();

	for (size_t leaves = 1; leaves < 40; leaves++)
		for (int off = -1; off <= 1; off++) {
			size_t n = leaves * PIECES_LEAF + (size_t)off;

			pieces_add(p, bytes, n);
			struct digest mine = pieces_end(p), book = root_by_the_book(bytes, n);
			assert_true(digest_equal(&mine, &book));
		}
	pieces_free(p);
}

static void an_empty_file_has_no_root(void **state)
{
	(void)state;
	static const struct digest zero;
	struct pieces *p = pieces_new();
	struct digest root = pieces_end(p);

	assert_true(digest_equal(&root, &zero));
	pieces_add(p, "", 0);
	root = pieces_end(p);
	assert_true(digest_equal(&root, &zero));
	pieces_free(p);
}

static void a_descriptor_is_digested_from_where_it_stands(void **state)
{
	(void)state;
	char *dir = fresh_folder();
	auto_free char *path = xprintf("%s/f", dir), *bytes = pattern(100000);
	struct digest d, root, whole = digest_of(bytes + 10, 99990);
	struct pieces *p = pieces_new();
	struct err e;
	int64_t size;

	assert_int_equal(file_write_atomic(path, bytes, 100000, 0600, &e), 0);
	auto_close int fd = open(path, O_RDONLY);
	lseek(fd, 10, SEEK_SET);
	assert_int_equal(digest_fd(fd, &d, &root, &size, &e), 0);
	assert_int_equal(size, 99990);
	assert_true(digest_equal(&d, &whole));
	pieces_add(p, bytes + 10, 99990);
	struct digest expected = pieces_end(p);
	assert_true(digest_equal(&root, &expected));
	pieces_free(p);
	lseek(fd, 10, SEEK_SET);
	assert_int_equal(digest_fd(fd, &d, NULL, NULL, &e), 0);
	assert_true(digest_equal(&d, &whole));
	assert_int_equal(digest_fd(-1, &d, &root, &size, &e), -1);
	drop_folder(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_is_the_standards),
		cmocka_unit_test(a_digest_has_one_spelling),
		cmocka_unit_test(a_hasher_starts_anew_after_each_end),
		cmocka_unit_test(pieces_roots_are_those_of_the_reference_creator),
		cmocka_unit_test(pieces_roots_follow_the_book_at_every_leaf_count),
		cmocka_unit_test(an_empty_file_has_no_root),
		cmocka_unit_test(a_descriptor_is_digested_from_where_it_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
