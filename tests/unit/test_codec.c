/* SPDX-License-Identifier: Apache-2.0
 *
 * test_codec.c: hex, base64 and integers have one accepted spelling each.
 */
#include "common/codec.h"
#include "tests/unit/vectors.h"

static void hex_round_trips(void **state)
{
	(void)state;
	unsigned char in[256], out[256];
	char text[513];

	for (int i = 0; i < 256; i++)
		in[i] = (unsigned char)i;
	hex_encode(text, in, 256);
	assert_int_equal(strlen(text), 512);
	assert_true(hex_decode(out, 256, text));
	assert_memory_equal(in, out, 256);
}

static void hex_is_lowercase_and_of_exact_length(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "0", "0a0", "0a0b0", "0A0b", "0g0b", "0a0b ",
		" 0a0b", "0x0a", "+a0b", "0a\xc3\xa9" };
	unsigned char out[2];

	assert_true(hex_decode(out, 2, "0a0b"));
	assert_true(hex_decode(out, 0, ""));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(hex_decode(out, 2, bad[i]));
	for (int c = 1; c < 256; c++) {
		char text[5] = { (char)c, 'a', '0', 'b', 0 };
		bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');

		assert_int_equal(hex_decode(out, 2, text), digit);
	}
}

static void base64_is_that_of_the_rfc(void **state)
{
	(void)state;
	/* RFC 4648 section 10 */
	static const char *const pairs[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" } };

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		auto_free char *text = base64_encode(pairs[i][0], strlen(pairs[i][0]));
		auto_free char *back = NULL;
		size_t n;

		assert_string_equal(text, pairs[i][1]);
		assert_true(base64_decode(&back, &n, text, strlen(text)));
		assert_int_equal(n, strlen(pairs[i][0]));
		assert_string_equal(back, pairs[i][0]);
	}
}

static void base64_has_one_spelling(void **state)
{
	(void)state;
	static const char *const bad[] = { "Zg", "Zg=", "Zg==\n",
		"Zg== ", " Zg==", "Zh==", "Zm9=", "Z===", "====", "=", "Zm9v\n", "Zm9vZ", "Zm-v",
		"Zm_v", "Zm9vZg==Zm9v", "Zg==Zg==", "    ", "\t\t\t\t", "Zm9v====", "Zg=a",
		"\n\n\n=", "AA=\xff" };
	char *out;
	size_t n;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_false(base64_decode(&out, &n, bad[i], strlen(bad[i])));
		assert_null(out);
	}
	assert_false(base64_decode(&out, &n, "Zm\0v", 4));
}

static void of_all_four_character_texts_each_value_has_one(void **state)
{
	(void)state;
	/* the last two of "QUxx" over all bytes: exactly 64*64 + 16*... decode, and encode to
	 * themselves */
	char text[4] = { 'Q', 'U', 0, 0 };
	int taken = 0;

	for (int a = 0; a < 256; a++)
		for (int b = 0; b < 256; b++) {
			char *out;
			size_t n;

			text[2] = (char)a, text[3] = (char)b;
			if (!base64_decode(&out, &n, text, 4))
				continue;
			auto_free char *again = base64_encode(out, n);
			assert_memory_equal(again, text, 4);
			free(out);
			taken++;
		}
	/* 3 bytes: 4096 ways; 2 bytes: the third character has 2 zero bits, 16 ways; 1 byte: 'U'
	 * has bits set */
	assert_int_equal(taken, 4096 + 16);
}

static void base64_of_megabytes_round_trips(void **state)
{
	(void)state;
	size_t n = (3u << 20) * 2 + 1, back_n;
	auto_free char *bytes = xmalloc(n), *back = NULL;

	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(i * 31 + i / 251);
	auto_free char *text = base64_encode(bytes, n);
	assert_int_equal(strlen(text), 4 * ((n + 2) / 3));
	assert_true(base64_decode(&back, &back_n, text, strlen(text)));
	assert_int_equal(back_n, n);
	assert_memory_equal(back, bytes, n);
}

static void integers_have_one_spelling(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "-", "+1", "01", "-0", "-01", "00", " 1", "1 ", "1x",
		"0x1", "1.0", "1e3", "--1", "9223372036854775808", "-9223372036854775809",
		"99999999999999999999999", "\xd9\xa1" };
	int64_t n = 77;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(int_parse(&n, bad[i], INT64_MIN, INT64_MAX));
	assert_int_equal(n, 77);
	assert_true(int_parse(&n, "9223372036854775807", INT64_MIN, INT64_MAX));
	assert_true(n == INT64_MAX);
	assert_true(int_parse(&n, "-9223372036854775808", INT64_MIN, INT64_MAX));
	assert_true(n == INT64_MIN);
	assert_true(int_parse(&n, "0", 0, 0));
	assert_false(int_parse(&n, "1", 0, 0));
	assert_false(int_parse(&n, "-1", 0, 10));
	assert_true(int_parse(&n, "-10", -10, 10));
	assert_int_equal(n, -10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hex_round_trips),
		cmocka_unit_test(hex_is_lowercase_and_of_exact_length),
		cmocka_unit_test(base64_is_that_of_the_rfc),
		cmocka_unit_test(base64_has_one_spelling),
		cmocka_unit_test(of_all_four_character_texts_each_value_has_one),
		cmocka_unit_test(base64_of_megabytes_round_trips),
		cmocka_unit_test(integers_have_one_spelling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
