/* SPDX-License-Identifier: Apache-2.0
 *
 * test_torrent.c: other people's names for a blob: IPFS's CID and BitTorrent v2's torrent. A stock client's
 * reading of the torrent is tests/system/test_torrent.py.
 */
#include "common/pieces.h"
#include "jobs/cid.h"
#include "jobs/torrent.h"
#include "tests/unit/vectors.h"

static void a_cid_is_the_one_that_ipfs_prints(void **state)
{
	(void)state;
	static const struct {
		const char *bytes, *cid;
	} known[] = {
		{ "", "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku" },
		{ "hello world", "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e" },
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		struct digest d = digest_of(known[i].bytes, strlen(known[i].bytes)), back;
		char text[CID_TEXT + 1];

		cid_text(text, &d);
		assert_string_equal(text, known[i].cid);
		assert_true(cid_parse(&back, text));
		assert_true(digest_equal(&back, &d));
	}
}

static void a_cid_has_one_spelling(void **state)
{
	(void)state;
	static const char good[] = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
	char text[CID_TEXT + 2];
	struct digest d;

	for (size_t i = 0; i < CID_TEXT; i++) {
		strcpy(text, good);
		text[i] = '1'; /* no digit of base32 */
		assert_false(cid_parse(&d, text));
		strcpy(text, good);
		text[i] = (char)(text[i] >= 'a' ? text[i] - 32 : text[i]);
		assert_int_equal(cid_parse(&d, text), !strcmp(text, good));
	}
	strcpy(text, good);
	text[CID_TEXT - 1] = 'v'; /* 'u' and a spare bit */
	assert_false(cid_parse(&d, text));
	text[CID_TEXT - 1] = '\0';
	assert_false(cid_parse(&d, text));
	assert_false(cid_parse(&d, ""));
	/* a dag-pb node, another hash, version 0 */
	assert_false(cid_parse(&d, "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"));
	assert_false(cid_parse(&d, "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"));
}

static void random_digests_survive_being_a_cid(void **state)
{
	(void)state;
	uint64_t seed = random_seed();

	print_message("seed %llu\n", (unsigned long long)seed);
	for (int i = 0; i < 1000; i++) {
		struct digest d, back;
		char text[CID_TEXT + 1];

		for (size_t k = 0; k < DIGEST_BYTES; k++)
			d.b[k] = (unsigned char)rng_next(&seed);
		cid_text(text, &d);
		assert_true(cid_parse(&back, text));
		assert_true(digest_equal(&back, &d));
	}
}

static void a_small_torrent_is_written_as_bep_52_says(void **state)
{
	(void)state;
	auto_json_unit json_t *urls = json_pack("[s]", "http://h/x");
	struct digest d = digest_of("abc", 3), info;
	struct torrent t = { .digest = d, .size = 3, .layer = &d, .n = 1, .urls = urls };
	char hex[DIGEST_HEX + 1];
	size_t len;

	digest_hex(hex, &d);
	auto_free char *made = torrent_make(&t, &len, &info);
	/* the only leaf's hash is the root, and here the digest too */
	auto_free char *front = xprintf("d9:file treed64:%sd0:d6:lengthi3e11:pieces root32:", hex);
	auto_free char *back =
		xprintf("eee12:meta versioni2e4:name64:%s12:piece lengthi262144ee", hex);
	size_t n = strlen(front), m = strlen(back);
	auto_free char *book = xmalloc(n + DIGEST_BYTES + m);
	memcpy(book, front, n);
	memcpy(book + n, d.b, DIGEST_BYTES);
	memcpy(book + n + DIGEST_BYTES, back, m);
	n += DIGEST_BYTES + m;
	assert_memory_equal(made, "d4:info", 7);
	assert_memory_equal(made + 7, book, n);
	struct digest want = digest_of(book, n);
	assert_true(digest_equal(&info, &want));
	assert_string_equal(made + 7 + n, "12:piece layersde8:url-listl10:http://h/xee");
	assert_int_equal(len, 7 + n + strlen("12:piece layersde8:url-listl10:http://h/xee"));
}

static void a_torrent_of_several_pieces_has_its_layer(void **state)
{
	(void)state;
	struct digest layer[3] = { digest_of("a", 1), digest_of("b", 1), digest_of("c", 1) }, info;
	struct torrent t = {
		.digest = digest_of("x", 1), .size = 3 * PIECE_BYTES_MIN, .layer = layer, .n = 3
	};
	struct digest root = layer_root(layer, 3, PIECE_BYTES_MIN);
	size_t len;
	auto_free char *made = torrent_make(&t, &len, &info);
	const char *at = memmem(made, len, "12:piece layersd32:", 19);

	assert_non_null(at);
	assert_memory_equal(at + 19, root.b, DIGEST_BYTES);
	assert_memory_equal(at + 19 + 32, "96:", 3);
	assert_memory_equal(at + 19 + 32 + 3, layer, 96);
	assert_string_equal(at + 19 + 32 + 3 + 96, "ee");
	assert_null(memmem(made, len, "url-list", 8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cid_is_the_one_that_ipfs_prints),
		cmocka_unit_test(a_cid_has_one_spelling),
		cmocka_unit_test(random_digests_survive_being_a_cid),
		cmocka_unit_test(a_small_torrent_is_written_as_bep_52_says),
		cmocka_unit_test(a_torrent_of_several_pieces_has_its_layer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
