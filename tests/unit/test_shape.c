/* SPDX-License-Identifier: Apache-2.0
 *
 * test_shape.c: which JSON is strict, and that a shape names the field at fault.
 */
#include "common/shape.h"
#include "tests/unit/vectors.h"

static bool loads(const char *text, size_t n)
{
	struct err e;
	/* exactly n bytes, so that ASan sees a read beyond */
	auto_free char *copy = xmalloc(n);

	memcpy(copy, text, n);
	auto_json json_t *j = shape_load(copy, n, &e);

	if (!j)
		assert_true(e.code == ERR_MALFORMED && e.msg[0]);
	return j != NULL;
}

static void strict_json_is_taken(void **state)
{
	(void)state;
	static const char *const good[] = { "{}", "{\"a\":1}", "{ \"a\" : [ ] }",
		"{\"a\":-9007199254740992}", "{\"a\":9007199254740992}",
		"{\"a\":\"\\u00e9 \xc3\xa9 \\ud83d\\ude00\"}", "{\"a\":null,\"b\":true}",
		"{\"\":0}", "{\"a\":-0}", "{\"a\":{\"a\":{\"a\":1}}}", "{\"a\":\"{[{[\"}",
		"\n{}\n" };

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (!loads(good[i], strlen(good[i])))
			fail_msg("refused: %s", good[i]);
}

static void a_real_is_named_by_its_place(void **state)
{
	(void)state;
	static const char text[] = "{\"a\":{\"b\":[1,[{\"c\":1.5}]]}}";
	struct err e;

	assert_null(shape_load(text, strlen(text), &e));
	assert_string_equal(e.field, "a.b[1][0].c");
}

static void what_two_readers_could_read_differently_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "", " ", "1", "[]", "\"a\"", "null", "{", "}", "{}{}",
		"{}x", "{},", "{\"a\":1,\"a\":1}", "{\"a\":1,\"a\":2}", "{\"b\":{\"a\":1,\"a\":2}}",
		"{\"a\":1,\"\\u0061\":2}", "{\"a\":1.0}", "{\"a\":1e3}", "{\"a\":1E1}",
		"{\"a\":0.5}", "{\"a\":-0.0}", "{\"a\":[[1.5]]}", "{\"a\":9007199254740993}",
		"{\"a\":-9007199254740993}", "{\"a\":9223372036854775807}",
		"{\"a\":99999999999999999999999}", "{\"a\":01}", "{\"a\":+1}", "{\"a\":0x1}",
		"{\"a\":NaN}", "{\"a\":Infinity}", "{\"a\":1,}", "{a:1}", "{'a':1}", "{\"a\":[1,]}",
		"{\"a\" 1}", "{\"a\":\"\n\"}", "{\"a\":\"\t\"}", "{\"a\":\"\\x41\"}",
		"{\"a\":\"\\u0000\"}", "{\"\\u0000\":1}", "{\"a\":\"\\ud800\"}",
		"{\"a\":\"\\udc00\\ud800\"}", "{\"a\":\"\xff\"}", "{\"a\":\"\xc0\x80\"}",
		"{\"a\":\"\xed\xa0\x80\"}", "{\"a\":\"\xf4\x90\x80\x80\"}", "{\"a\":\"\xc3\"}",
		"{\"\xff\":1}", "\xef\xbb\xbf{}", "{/**/}", "{\"a\":tru}", "{\"a\":True}" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (loads(bad[i], strlen(bad[i])))
			fail_msg("taken: %s", bad[i]);
	assert_false(loads("{}\0", 3));
	assert_false(loads("{\"a\0\":1}", 8));
	assert_false(loads("{\"a\":\"\0\"}", 9));
	assert_false(loads("{\0}", 3));
}

static void every_truncation_is_refused(void **state)
{
	(void)state;
	static const char text[] = "{\"a\":[1,{\"b\":\"\\u00e9x\\\\\"},true,null],\"c\":-12}";

	for (size_t n = 0; n < sizeof(text) - 1; n++)
		assert_false(loads(text, n));
	assert_true(loads(text, sizeof(text) - 1));
}

/* `depth` levels: an object, then lists, with `inside` innermost. */
static bool nested(int depth, const char *inside)
{
	struct buf b = { 0 };

	buf_text(&b, "{\"a\":");
	for (int i = 1; i < depth; i++)
		buf_text(&b, "[");
	buf_text(&b, inside);
	for (int i = 1; i < depth; i++)
		buf_text(&b, "]");
	buf_text(&b, "}");
	bool ok = loads(b.data, b.len);
	buf_release(&b);
	return ok;
}

static void depth_is_32_whatever_is_inside(void **state)
{
	(void)state;
	assert_true(nested(32, "1"));
	assert_true(nested(32, "\"[[[[\""));
	assert_false(nested(33, "1"));
	assert_true(nested(31, "[]"));
	assert_false(nested(32, "[]"));
	assert_false(nested(32, "{}"));
}

static void a_megabyte_of_brackets_is_refused_at_once(void **state)
{
	(void)state;
	size_t n = 1 << 20;
	auto_free char *text = xmalloc(n);

	memset(text, '[', n);
	assert_false(loads(text, n));
	for (size_t i = 0; i + 5 < n; i += 5)
		memcpy(text + i, "{\"a\":", 5);
	assert_false(loads(text, n));
	memset(text, ']', n / 2);
	memset(text + n / 2, '[', n / 2);
	assert_false(loads(text, n));
	memset(text, '\\', n);
	text[0] = '"';
	assert_false(loads(text, n));
}

static const struct shape inner[] = {
	{ .name = "n", .kind = SHAPE_INT, .min = -2, .max = 5 },
	{ .name = NULL },
};
static const struct shape outer[] = {
	{ .name = "text", .kind = SHAPE_TEXT, .min = 2, .max = 4 },
	{ .name = "flag", .kind = SHAPE_BOOL, .optional = true },
	{ .name = "id", .kind = SHAPE_ID, .optional = true },
	{ .name = "digest", .kind = SHAPE_DIGEST, .optional = true },
	{ .name = "nonce", .kind = SHAPE_NONCE, .optional = true },
	{ .name = "in", .kind = SHAPE_OBJECT, .optional = true, .of = inner },
	{ .name = "free", .kind = SHAPE_OBJECT, .optional = true },
	{ .name = "list", .kind = SHAPE_ARRAY, .optional = true, .min = 1, .max = 2, .of = inner },
	{ .name = "texts",
		.kind = SHAPE_ARRAY,
		.optional = true,
		.max = 2,
		.each = SHAPE_TEXT,
		.each_max = 3 },
	{ .name = "ints",
		.kind = SHAPE_ARRAY,
		.optional = true,
		.max = 2,
		.each = SHAPE_INT,
		.each_max = 3 },
	{ .name = "any", .kind = SHAPE_ANY, .optional = true },
	{ .name = NULL },
};
#define HEX32 "0123456789abcdef0123456789abcdef"
#define HEX64 HEX32 HEX32

static void a_shape_names_the_field_at_fault(void **state)
{
	(void)state;
	static const struct {
		const char *json, *field; /* NULL: taken */
	} cases[] = {
		{ "{'text':'ab'}", NULL },
		{ "{}", "text" },
		{ "{'text':null}", "text" },
		{ "{'text':'a'}", "text" },
		{ "{'text':'abcde'}", "text" },
		{ "{'text':'\xc3\xa9\xc3\xa9'}", NULL }, /* bytes, not characters */
		{ "{'text':'\xc3\xa9\xc3\xa9x'}", "text" },
		{ "{'text':5}", "text" },
		{ "{'text':'ab','unknown':[1]}", NULL },
		{ "{'text':'ab','flag':1}", "flag" },
		{ "{'text':'ab','flag':false}", NULL },
		{ "{'text':'ab','id':'" HEX64 "'}", NULL },
		{ "{'text':'ab','id':'" HEX32 "'}", "id" },
		{ "{'text':'ab','id':'" HEX64 "0'}", "id" },
		{ "{'text':'ab','digest':'" HEX64 "'}", "digest" },
		{ "{'text':'ab','digest':'sha256:" HEX64 "'}", NULL },
		{ "{'text':'ab','digest':'sha256:" HEX64 "a'}", "digest" },
		{ "{'text':'ab','digest':'SHA256:" HEX64 "'}", "digest" },
		{ "{'text':'ab','nonce':'" HEX32 "'}", NULL },
		{ "{'text':'ab','nonce':'" HEX32 "a'}", "nonce" },
		{ "{'text':'ab','nonce':'0123456789ABCDEF0123456789abcdef'}", "nonce" },
		{ "{'text':'ab','in':{'n':-2}}", NULL },
		{ "{'text':'ab','in':{'n':5}}", NULL },
		{ "{'text':'ab','in':{'n':6}}", "in.n" },
		{ "{'text':'ab','in':{'n':-3}}", "in.n" },
		{ "{'text':'ab','in':{'n':'1'}}", "in.n" },
		{ "{'text':'ab','in':{}}", "in.n" },
		{ "{'text':'ab','in':[]}", "in" },
		{ "{'text':'ab','in':null}", "in" },
		{ "{'text':'ab','free':{'x':1}}", NULL },
		{ "{'text':'ab','free':1}", "free" },
		{ "{'text':'ab','list':[]}", "list" },
		{ "{'text':'ab','list':[{'n':1}]}", NULL },
		{ "{'text':'ab','list':[{'n':1},{'n':9}]}", "list[1].n" },
		{ "{'text':'ab','list':[{'n':1},7]}", "list[1]" },
		{ "{'text':'ab','list':[{'n':1},{'n':1},{'n':1}]}", "list" },
		{ "{'text':'ab','list':{}}", "list" },
		{ "{'text':'ab','texts':['','abc']}", NULL },
		{ "{'text':'ab','texts':['','abcd']}", "texts[1]" },
		{ "{'text':'ab','texts':[null]}", "texts[0]" },
		{ "{'text':'ab','texts':['','','']}", "texts" },
		{ "{'text':'ab','ints':[0,3]}", NULL },
		{ "{'text':'ab','ints':[-1]}", "ints[0]" },
		{ "{'text':'ab','ints':[0,4]}", "ints[1]" },
		{ "{'text':'ab','any':[{}]}", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *text = xstrdup(cases[i].json);
		struct err e = { 0 };

		for (char *c = text; *c; c++)
			*c = *c == '\'' ? '"' : *c;
		auto_json json_t *j = shape_load(text, strlen(text), &e);
		assert_non_null(j);
		int bad = shape_check(j, outer, &e);
		if (bad != (cases[i].field ? -1 : 0) ||
			(bad && strcmp(e.field, cases[i].field) != 0))
			fail_msg("%s gives %d %s", text, bad, e.field);
		assert_true(!bad || e.code == ERR_FIELD);
	}
	assert_true(shape_knows(outer, "any"));
	assert_false(shape_knows(outer, "n"));
}

static void a_word_is_one_of_a_closed_set(void **state)
{
	(void)state;
	static const struct shape shape[] = {
		{ .name = "state", .kind = SHAPE_WORD, .words = "run|pause|finish" }, { .name = NULL }
	};
	static const char *const good[] = { "run", "pause", "finish" };
	static const char *const bad[] = { "", "r", "ru", "runs", "RUN", "run ", "|", "run|pause",
		"pause|", "stop" };
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		auto_json json_t *j = json_pack("{s:s}", "state", good[i]);

		assert_int_equal(shape_check(j, shape, &e), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		auto_json json_t *j = json_pack("{s:s}", "state", bad[i]);

		assert_int_equal(shape_check(j, shape, &e), -1);
		assert_int_equal(e.code, ERR_FIELD);
		assert_string_equal(e.field, "state");
		assert_string_equal(e.msg, "field state: must be run, pause or finish");
	}
	auto_json json_t *number = json_pack("{s:i}", "state", 1);
	assert_int_equal(shape_check(number, shape, &e), -1);
}

static void absent_fields_read_as_what_the_caller_says(void **state)
{
	(void)state;
	auto_json json_t *j = json_pack("{s:i, s:s, s:b}", "n", 3, "t", "x", "b", 1);

	assert_int_equal(jint(j, "n", 9), 3);
	assert_int_equal(jint(j, "t", 9), 9);
	assert_int_equal(jint(NULL, "t", 9), 9);
	assert_string_equal(jtext(j, "t"), "x");
	assert_string_equal(jtext(j, "n"), "");
	assert_string_equal(jtext(NULL, "n"), "");
	assert_true(jbool(j, "b", false));
	assert_true(jbool(j, "n", true));
	assert_false(jbool(NULL, "n", false));
}

static void what_is_dumped_loads_as_the_same_line(void **state)
{
	(void)state;
	auto_json_unit json_t *all = vectors_json("blns/blns.json");
	json_t *s;
	size_t i;
	struct err e;

	if (!all)
		skip();
	json_array_foreach (all, i, s) {
		auto_json json_t *j = json_object();

		json_object_set(j, "z", s); /* order of setting, not of the alphabet */
		json_object_set(j, "a", s);
		auto_free char *line = shape_dump(j);
		assert_null(strchr(line, '\n'));
		assert_memory_equal(line, "{\"z\":", 5);
		auto_json json_t *back = shape_load(line, strlen(line), &e);
		assert_non_null(back);
		assert_true(json_equal(j, back));
		auto_free char *again = shape_dump(back);
		assert_string_equal(line, again);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strict_json_is_taken),
		cmocka_unit_test(a_real_is_named_by_its_place),
		cmocka_unit_test(what_two_readers_could_read_differently_is_refused),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(depth_is_32_whatever_is_inside),
		cmocka_unit_test(a_megabyte_of_brackets_is_refused_at_once),
		cmocka_unit_test(a_shape_names_the_field_at_fault),
		cmocka_unit_test(a_word_is_one_of_a_closed_set),
		cmocka_unit_test(absent_fields_read_as_what_the_caller_says),
		cmocka_unit_test(what_is_dumped_loads_as_the_same_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
