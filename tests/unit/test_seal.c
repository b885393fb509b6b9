/* SPDX-License-Identifier: Apache-2.0
 *
 * test_seal.c: an envelope has one spelling, and what was signed is what is read.
 */
#include "common/seal.h"
#include "common/codec.h"
#include "tests/unit/vectors.h"

#define MAX 100000

static struct key *key;

static int make_key(void **state)
{
	(void)state;
	key = key_new();
	return 0;
}

static int drop_key(void **state)
{
	(void)state;
	key_free(key);
	return 0;
}

/* Open and verify; 0 when both hold. */
static int accept(const char *line, size_t n)
{
	struct sealed s;
	struct err e;

	if (seal_open(&s, line, n, MAX, &e))
		return -1;
	int bad = seal_verify(&s, &e);
	seal_release(&s);
	return bad;
}

static void the_signature_is_over_dsses_worked_example(void **state)
{
	(void)state;
	size_t n;
	static const char expected[] = "DSSEv1 29 http://example.com/HelloWorld 11 hello world";
	auto_free char *pae = seal_pae("http://example.com/HelloWorld", "hello world", 11, &n);

	assert_string_equal(pae, expected);
	assert_int_equal(n, strlen(pae));
}

static void dsses_own_text_has_that_example(void **state)
{
	(void)state;
	auto_free char *spec = vectors_text("dsse/protocol.md", &(size_t){ 0 });

	if (!spec)
		skip(); /* jumps: nothing of ours may be held here */
	assert_non_null(strstr(spec, "DSSEv1 29 http://example.com/HelloWorld 11 hello world"));
}

static void pae_takes_any_bytes(void **state)
{
	(void)state;
	size_t n;
	auto_free char *pae = seal_pae("", "\0\xff\0", 3, &n);

	assert_int_equal(n, 15);
	assert_memory_equal(pae, "DSSEv1 0  3 \0\xff\0", 15);
}

static void what_is_sealed_opens_as_itself(void **state)
{
	(void)state;
	static const char *const types[] = { SEAL_MESSAGE, SEAL_STATEMENT };
	char payload[300];

	for (size_t t = 0; t < ARRAY_LEN(types); t++)
		for (size_t n = 0; n < sizeof(payload); n++) {
			struct sealed s;
			struct err e;

			for (size_t i = 0; i < n; i++)
				payload[i] = (char)(i * 7 + n);
			auto_free char *line = seal(key, types[t], payload, n);
			struct digest d = digest_of(line, strlen(line));

			assert_int_equal(seal_open(&s, line, strlen(line), MAX, &e), 0);
			assert_int_equal(s.n, n);
			assert_memory_equal(s.payload, payload, n);
			assert_int_equal(s.payload[n], '\0');
			assert_string_equal(s.type, types[t]);
			assert_true(id_equal(&s.keyid, key_id(key)));
			assert_true(digest_equal(&s.digest, &d));
			assert_int_equal(seal_verify(&s, &e), 0);
			seal_release(&s);
		}
}

static void the_line_is_compact_json_with_its_members_in_order(void **state)
{
	(void)state;
	char hex[ID_TEXT + 1];
	auto_free char *line = seal(key, SEAL_MESSAGE, "{}", 2);

	id_text(hex, key_id(key));
	auto_free char *head =
		xprintf("{\"payload\":\"e30=\",\"payloadType\":\"application/vnd.talkoot+json\","
			"\"signatures\":[{\"keyid\":\"%s\",\"sig\":\"",
			hex);
	assert_int_equal(strncmp(line, head, strlen(head)), 0);
	assert_null(strchr(line, '\n'));
	auto_json_unit json_t *j = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	assert_int_equal(json_object_size(j), 3);
	auto_free char *again = json_dumps(j, JSON_COMPACT);
	assert_string_equal(again, line);
}

static void an_envelope_has_one_spelling(void **state)
{
	(void)state;
	static const unsigned char values[] = { 0, 1, ' ', '"', '\\', '=', 'A', 'B', '0', '1', 'f',
		'F', '/', '{', '\n', 0x7f, 0x80, 0xff };
	auto_free char *line =
		seal(key, SEAL_MESSAGE, "{\"a\":1,\"b\":[2]}!", 16); /* padded: loose bits exist */
	size_t n = strlen(line);

	assert_int_equal(accept(line, n), 0);
	for (size_t i = 0; i < n; i++) {
		char right = line[i];

		for (size_t v = 0; v < ARRAY_LEN(values) + 8; v++) {
			line[i] = v < 8 ? (char)(right ^ (1 << v)) : (char)values[v - 8];
			if (line[i] != right && !accept(line, n))
				fail_msg("byte %zu changed from %02x to %02x is taken", i,
					(unsigned char)right, (unsigned char)line[i]);
		}
		line[i] = right;
	}
}

static void no_truncation_is_an_envelope(void **state)
{
	(void)state;
	auto_free char *line = seal(key, SEAL_MESSAGE, "{\"a\":1}", 7);

	for (size_t n = 0; n < strlen(line); n++) {
		auto_free char *cut =
			xmalloc(n); /* exactly n bytes, so that ASan sees a read beyond */

		memcpy(cut, line, n);
		assert_int_equal(accept(cut, n), -1);
	}
}

static void nothing_may_stand_before_or_behind(void **state)
{
	(void)state;
	static const char *const around[][2] = { { "", "\n" }, { " ", "" }, { "", " " },
		{ "\xef\xbb\xbf", "" }, { "", "}" }, { "[", "]" }, { "", "\r\n" } };
	auto_free char *line = seal(key, SEAL_MESSAGE, "{}", 2);

	for (size_t i = 0; i < ARRAY_LEN(around); i++) {
		auto_free char *other = xprintf("%s%s%s", around[i][0], line, around[i][1]);

		assert_int_equal(accept(other, strlen(other)), -1);
	}
	assert_int_equal(accept(line, strlen(line) + 1), -1); /* its NUL */
}

static void other_members_orders_and_counts_are_refused(void **state)
{
	(void)state;
	auto_free char *line = seal(key, SEAL_MESSAGE, "{}", 2);
	char *type = strstr(line, "\"payloadType\""), *sigs = strstr(line, "\"signatures\"");
	char *one = strchr(sigs, '[') + 1;
	int type_n = (int)(sigs - type), one_n = (int)(strstr(one, "]}") - one);

	auto_free char *swapped = xprintf("{%.*s\"payload\":\"e30=\",%s", type_n, type, sigs);
	auto_free char *two =
		xprintf("%.*s%.*s,%.*s]}", (int)(one - line), line, one_n, one, one_n, one);
	auto_free char *none = xprintf("%.*s]}", (int)(one - line), line);
	auto_free char *extra = xprintf("%.*s]},\"x\":1}", (int)(one + one_n - line), line);
	auto_free char *twice = xprintf("{\"payload\":\"e30=\",%s", line + 1);
	const char *const all[] = { swapped, two, none, extra, twice };
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		assert_int_equal(accept(all[i], strlen(all[i])), -1);
}

/* `line` with the text `from` in it replaced. */
static char *with(const char *line, const char *from, const char *to)
{
	const char *at = strstr(line, from);

	assert_non_null(at);
	return xprintf("%.*s%s%s", (int)(at - line), line, to, at + strlen(from));
}

static void the_part_at_fault_is_named(void **state)
{
	(void)state;
	auto_free char *line = seal(key, SEAL_MESSAGE, "{}", 2);
	char hex[ID_TEXT + 1];
	struct sealed s;
	struct err e;

	id_text(hex, key_id(key));
	auto_free char *type = with(line, SEAL_MESSAGE, "application/json");
	assert_int_equal(seal_open(&s, type, strlen(type), MAX, &e), -1);
	assert_string_equal(e.field, "payloadType");
	auto_free char *id = with(line, hex, "00");
	assert_int_equal(seal_open(&s, id, strlen(id), MAX, &e), -1);
	assert_string_equal(e.field, "signatures[0].keyid");
	auto_free char *payload = with(line, "e30=", "e31=");
	assert_int_equal(seal_open(&s, payload, strlen(payload), MAX, &e), -1);
	assert_string_equal(e.field, "payload");
	auto_free char *short_sig = with(line, "\"sig\":\"", "\"sig\":\"AAAA");
	assert_int_equal(seal_open(&s, short_sig, strlen(short_sig), MAX, &e), -1);
	assert_string_equal(e.field, "signatures[0].sig");
	assert_int_equal(seal_open(&s, "{}", 2, MAX, &e), -1);
	assert_int_equal(e.code, ERR_MALFORMED);
}

static void length_is_looked_at_first(void **state)
{
	(void)state;
	auto_free char *line = seal(key, SEAL_MESSAGE, "{}", 2);
	struct sealed s;
	struct err e;

	assert_int_equal(seal_open(&s, line, strlen(line), strlen(line), &e), 0);
	seal_release(&s);
	assert_int_equal(seal_open(&s, line, strlen(line), strlen(line) - 1, &e), -1);
	assert_int_equal(e.code, ERR_TOO_BIG);
	assert_int_equal(seal_open(&s, "garbage", 7, 3, &e), -1);
	assert_int_equal(e.code, ERR_TOO_BIG);
}

static void another_key_or_type_does_not_verify(void **state)
{
	(void)state;
	auto_free char *line = seal(key, SEAL_MESSAGE, "{}", 2);
	struct key *other = key_new();
	char mine[ID_TEXT + 1], theirs[ID_TEXT + 1];
	struct sealed s;
	struct err e;

	id_text(mine, key_id(key));
	id_text(theirs, key_id(other));
	auto_free char *stolen = with(line, mine, theirs);
	assert_int_equal(seal_open(&s, stolen, strlen(stolen), MAX, &e), 0);
	assert_int_equal(seal_verify(&s, &e), -1);
	assert_int_equal(e.code, ERR_SIGNATURE);
	seal_release(&s);
	auto_free char *retyped = with(line, SEAL_MESSAGE, SEAL_STATEMENT);
	assert_int_equal(seal_open(&s, retyped, strlen(retyped), MAX, &e), 0);
	assert_int_equal(seal_verify(&s, &e), -1);
	seal_release(&s);
	key_free(other);
}

static void naughty_payloads_travel_unchanged(void **state)
{
	(void)state;
	auto_json_unit json_t *all = vectors_json("blns/blns.json");
	json_t *j;
	size_t i;

	if (!all)
		skip();
	json_array_foreach (all, i, j) {
		size_t n = json_string_length(j);
		auto_free char *line = seal(key, SEAL_MESSAGE, json_string_value(j), n);
		struct sealed s;
		struct err e;

		assert_int_equal(seal_open(&s, line, strlen(line), MAX, &e), 0);
		assert_int_equal(s.n, n);
		assert_memory_equal(s.payload, json_string_value(j), n);
		seal_release(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_signature_is_over_dsses_worked_example),
		cmocka_unit_test(dsses_own_text_has_that_example),
		cmocka_unit_test(pae_takes_any_bytes),
		cmocka_unit_test(what_is_sealed_opens_as_itself),
		cmocka_unit_test(the_line_is_compact_json_with_its_members_in_order),
		cmocka_unit_test(an_envelope_has_one_spelling),
		cmocka_unit_test(no_truncation_is_an_envelope),
		cmocka_unit_test(nothing_may_stand_before_or_behind),
		cmocka_unit_test(other_members_orders_and_counts_are_refused),
		cmocka_unit_test(the_part_at_fault_is_named),
		cmocka_unit_test(length_is_looked_at_first),
		cmocka_unit_test(another_key_or_type_does_not_verify),
		cmocka_unit_test(naughty_payloads_travel_unchanged),
	};

	return cmocka_run_group_tests(tests, make_key, drop_key);
}
