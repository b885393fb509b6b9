/* SPDX-License-Identifier: Apache-2.0
 *
 * test_table_out.c: which columns a table has, how cells are spelt (RFC 4180), and what never becomes a cell.
 */
#include "jobs/csv.h"
#include "jobs/table_out.h"

#include "common/digest.h"
#include "common/shape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS_MAX 8

/* A row in a test: standard output NULL is a task that failed with `why`. */
struct sample {
	const char *out, *why, *name, *line, *params;
};

static struct table_row row_of(int64_t index, const struct sample *s, json_t *made[3])
{
	struct table_row row = {
		.index = index, .state = s->out ? "valid" : "failed", .why = s->why ? s->why : ""
	};

	made[0] = s->name ? json_string(s->name) : NULL;
	made[1] = s->line ? json_string(s->line) : NULL;
	made[2] = s->params ? json_loads(s->params, 0, NULL) : NULL;
	assert_true(!s->params || made[2]);
	row.name = made[0], row.line = made[1], row.params = made[2];
	row.text = s->out;
	row.n = s->out ? strlen(s->out) : 0;
	return row;
}

static void walk(struct table_out *t, const struct sample *s, size_t n, struct buf *out)
{
	json_t *made[3];
	struct err e;

	for (int second = 0; second < 2; second++) {
		if (second)
			table_out_head(t, out);
		for (size_t i = 0; i < n; i++) {
			struct table_row row = row_of((int64_t)i, &s[i], made);

			if (second)
				table_out_row(t, &row, out);
			else
				assert_int_equal(table_out_look(t, &row, &e), 0);
			for (size_t k = 0; k < ARRAY_LEN(made); k++)
				json_decref(made[k]);
		}
	}
}

static void table_is(const struct sample *s, size_t n, bool exact, const char *expected)
{
	auto_buf struct buf out = { 0 };
	struct table_out t;

	table_out_init(&t, exact);
	walk(&t, s, n, &out);
	assert_string_equal(out.data, expected);
	table_out_release(&t);
}

#define TABLE(expected, ...)                                                                       \
	table_is((const struct sample[]){ __VA_ARGS__ },                                           \
		sizeof((const struct sample[]){ __VA_ARGS__ }) / sizeof(struct sample), false,     \
		expected)

static void a_line_of_text_is_one_cell_without_its_newline(void **s)
{
	(void)s;
	TABLE("index,state,stdout,why\r\n0,valid,one,\r\n1,valid,,\r\n2,valid,two,\r\n",
		{ .out = "one\n" }, { .out = "" }, { .out = "two\r\n" });
	TABLE("index,state,stdout,why\r\n0,valid,\"a\n\",\r\n", { .out = "a\n\n" });
}

static void fields_are_quoted_where_rfc_4180_asks_for_it(void **s)
{
	(void)s;
	TABLE("index,state,stdout,why\r\n0,valid,\"a,b\",\r\n1,valid,\"say "
	      "\"\"hi\"\"\",\r\n2,valid,\"x\ny\",\r\n"
	      "3,valid,\"x\ry\",\r\n4,valid,\"\"\"\",\r\n5,valid,\" a\",\r\n6,valid,ö,\r\n",
		{ .out = "a,b\n" }, { .out = "say \"hi\"\n" }, { .out = "x\ny\n" },
		{ .out = "x\ry" }, { .out = "\"" }, { .out = " a" }, { .out = "ö" });
}

static void members_of_objects_are_columns_in_order_of_appearance(void **s)
{
	(void)s;
	TABLE("index,state,b,a,c,why\r\n0,valid,1,x,,\r\n1,valid,2,,true,\r\n2,failed,,,,no "
	      "agreement\r\n",
		{ .out = "{\"b\":1,\"a\":\"x\"}\n" }, { .out = " {\"c\":true,\n\"b\":2}" },
		{ .why = "no agreement" });
}

static void one_that_is_no_object_makes_all_of_them_text(void **s)
{
	(void)s;
	TABLE("index,state,stdout,why\r\n0,valid,\"{\"\"a\"\":1}\",\r\n1,valid,[1],\r\n",
		{ .out = "{\"a\":1}\n" }, { .out = "[1]" });
	TABLE("index,state,stdout,why\r\n0,valid,\"{\"\"a\"\":1,\"\"a\"\":2}\",\r\n",
		{ .out = "{\"a\":1,\"a\":2}\n" });
	TABLE("index,state,stdout,why\r\n0,valid,{} {},\r\n", { .out = "{} {}" });
	TABLE("index,state,stdout,why\r\n0,valid,{},\r\n", { .out = "{}" });
}

static void values_keep_their_spelling_and_nested_ones_are_compact_json(void **s)
{
	(void)s;
	TABLE("index,state,a,b,c,d,e,f,g,why\r\n"
	      "0,valid,0.1,-5,1e300,,\"[0.1,{\"\"x\"\":null}]\",9223372036854775807,0."
	      "30000000000000004,\r\n",
		{ .out = "{\"a\":0.1,\"b\":-5,\"c\":1e300,\"d\":null,\"e\":[0.1, {\"x\": null}],"
			 "\"f\":9223372036854775807,\"g\":0.30000000000000004}" });
}

static void names_that_clash_are_told_apart(void **s)
{
	(void)s;
	TABLE("index,state,name,in.name,in.state,x,out.x,out.index,out.name,out.in.name,out.why,"
	      "why\r\n"
	      "0,valid,n,1,2,3,4,5,6,7,8,\r\n",
		{ .name = "n",
			.params = "{\"name\":\"1\",\"state\":\"2\",\"x\":\"3\"}",
			.out = "{\"x\":4,\"index\":5,\"name\":6,\"in.name\":7,\"why\":8}" });
	TABLE("index,state,stdout,out.stdout,why\r\n0,valid,p,o,\r\n",
		{ .params = "{\"stdout\":\"p\"}", .out = "o" });
	TABLE("index,state,line,out.line,out.out.line,why\r\n0,valid,l,1,2,\r\n",
		{ .line = "l", .out = "{\"line\":1,\"out.line\":2}" });
}

static void parameters_keep_the_order_of_the_table(void **s)
{
	(void)s;
	TABLE("index,state,z,long name,a,stdout,why\r\n0,valid,1,\"a "
	      "\"\"q\"\"\",3,x,\r\n1,failed,4,5,6,,exit 3\r\n",
		{ .params = "{\"z\":\"1\",\"long name\":\"a \\\"q\\\"\",\"a\":\"3\"}",
			.out = "x\n" },
		{ .params = "{\"z\":\"4\",\"long name\":\"5\",\"a\":\"6\"}", .why = "exit 3" });
}

static void numbers_stay_numbers_and_formulas_become_text(void **s)
{
	static const char *const numbers[] = { "-5", "+5", "-0.5", "-.5", "1.", "-1e9", "+1.5E-7",
		"-inf", "+NaN", "0" };
	static const char *const others[] = { "", "-", "+", "-a", "--5", "-5-5", "1e", "-.", ".",
		"e5", "-1e+", "-0x1", "-5 " };
	const struct sample formulas[] = { { .out = "=1+1" }, { .out = "-5" }, { .out = "@x" },
		{ .out = "+a,b" }, { .out = "-2+3" } };

	(void)s;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (!table_is_number(numbers[i], strlen(numbers[i])))
			fail_msg("%s is a number", numbers[i]);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (table_is_number(others[i], strlen(others[i])))
			fail_msg("\"%s\" is no number", others[i]);
	table_is(formulas, ARRAY_LEN(formulas), false,
		"index,state,stdout,why\r\n0,valid,'=1+1,\r\n1,valid,-5,\r\n2,valid,'@x,\r\n3,"
		"valid,\"'+a,b\",\r\n"
		"4,valid,'-2+3,\r\n");
	table_is(formulas, ARRAY_LEN(formulas), true,
		"index,state,stdout,why\r\n0,valid,=1+1,\r\n1,valid,-5,\r\n2,valid,@x,\r\n3,valid,"
		"\"+a,b\",\r\n"
		"4,valid,-2+3,\r\n");
	TABLE("index,state,'=x,stdout,why\r\n0,valid,-7,o,\r\n",
		{ .params = "{\"=x\":\"-7\"}", .out = "o" });
}

/* The one data row, when standard output is these bytes. */
static char *text_row(const char *bytes, size_t n, const char *digest)
{
	struct table_row row = {
		.state = "valid", .why = "", .text = bytes, .n = n, .digest = digest
	};
	struct buf out = { 0 };
	struct table_out t;
	struct err e;

	table_out_init(&t, false);
	assert_int_equal(table_out_look(&t, &row, &e), 0);
	table_out_head(&t, &out);
	assert_string_equal(out.data, "index,state,stdout,stdout_digest,why\r\n");
	buf_release(&out);
	table_out_row(&t, &row, &out);
	table_out_release(&t);
	return buf_take(&out);
}

static void what_is_long_or_no_text_is_given_as_its_digest(void **s)
{
	static const struct {
		const char *bytes;
		size_t n;
	} odd[] = { { "a\0b", 3 }, { "\xff\xfe", 2 }, { "\x1b[2J", 4 },
		{ "\xc2\x9b"
		  "2J",
			4 } };
	auto_free char *big = xcalloc(TABLE_TEXT_MAX + 2, 1);
	char digest[DIGEST_TEXT + 1];

	(void)s;
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		struct digest d = digest_of(odd[i].bytes, odd[i].n);

		digest_text(digest, &d);
		auto_free char *expected = xprintf("0,valid,,%s,\r\n", digest);
		auto_free char *got = text_row(odd[i].bytes, odd[i].n, NULL);
		assert_string_equal(got, expected);
	}
	memset(big, 'x', TABLE_TEXT_MAX + 1);
	struct digest d = digest_of(big, TABLE_TEXT_MAX + 1);
	digest_text(digest, &d);
	auto_free char *expected = xprintf("0,valid,,%s,\r\n", digest);
	auto_free char *got = text_row(big, TABLE_TEXT_MAX + 1, NULL);
	assert_string_equal(got, expected);
	auto_free char *named = text_row(NULL, 0, "sha256:00");
	assert_string_equal(named, "0,valid,,sha256:00,\r\n");
	TABLE("index,state,a,why\r\n0,valid,\"\"\"\\u001B[2J\"\"\",\r\n",
		{ .out = "{\"a\":\"\\u001b[2J\"}" });
}

static void objects_that_are_too_wide_or_too_deep_stay_text(void **s)
{
	auto_buf struct buf wide = { 0 }, deep = { 0 };
	struct table_out t;
	struct err e;

	(void)s;
	for (int i = 0; i <= TABLE_COLUMNS_MAX; i++)
		buf_printf(&wide, "%s\"k%d\":1", i ? "," : "{", i);
	buf_text(&wide, "}");
	struct table_row row = { .state = "valid", .why = "", .text = wide.data, .n = wide.len };
	table_out_init(&t, false);
	assert_int_equal(table_out_look(&t, &row, &e), 0);
	assert_non_null(t.crowded);
	assert_false(t.spread);
	assert_int_equal(json_object_size(t.members), 0);
	table_out_release(&t);
	for (int i = 0; i <= TABLE_DEPTH_MAX; i++)
		buf_text(&deep, "{\"]]\":");
	buf_text(&deep, "1");
	for (int i = 0; i <= TABLE_DEPTH_MAX; i++)
		buf_text(&deep, "}");
	assert_null(table_object(deep.data, deep.len));
	json_t *less = table_object(deep.data + 6, deep.len - 7); /* one pair fewer */
	assert_non_null(less);
	json_decref(less);
	json_t *object = table_object("{\"a\":[[1]]}\n", 12);
	assert_non_null(object);
	json_decref(object);
}

static void more_parameters_than_a_table_takes_are_an_error(void **s)
{
	auto_json json_t *params = json_object();
	struct table_row row = {
		.state = "valid", .why = "", .params = params, .text = "", .index = 7
	};
	struct table_out t;
	struct err e;

	(void)s;
	for (int i = 0; i <= TABLE_COLUMNS_MAX; i++) {
		auto_free char *name = xprintf("k%d", i);
		json_object_set_new(params, name, json_string(""));
	}
	table_out_init(&t, false);
	assert_int_equal(table_out_look(&t, &row, &e), -1);
	assert_int_equal(e.code, ERR_TOO_BIG);
	assert_non_null(strstr(e.msg, "task 7"));
	table_out_release(&t);
}

static void what_is_written_our_own_reader_reads_back(void **s)
{
	static const char *const texts[] = { "a,b", "\"", "two\nlines", "two\r\nlines", " x ", "",
		"=1", "ü\t" };
	auto_buf struct buf out = { 0 };
	struct table_out t;
	struct csv c;
	struct csv_row row;
	struct err e;
	struct sample rows[ARRAY_LEN(texts)] = { { 0 } };

	(void)s;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		rows[i].out = texts[i];
	table_out_init(&t, true);
	walk(&t, rows, ARRAY_LEN(rows), &out);
	csv_open(&c, out.data, out.len);
	assert_int_equal(csv_next(&c, &row, &e), 1);
	csv_row_release(&row);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_int_equal(csv_next(&c, &row, &e), 1);
		assert_int_equal(row.n, 4);
		assert_string_equal(row.at[2], texts[i]);
		csv_row_release(&row);
	}
	assert_int_equal(csv_next(&c, &row, &e), 0);
	table_out_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_of_text_is_one_cell_without_its_newline),
		cmocka_unit_test(fields_are_quoted_where_rfc_4180_asks_for_it),
		cmocka_unit_test(members_of_objects_are_columns_in_order_of_appearance),
		cmocka_unit_test(one_that_is_no_object_makes_all_of_them_text),
		cmocka_unit_test(values_keep_their_spelling_and_nested_ones_are_compact_json),
		cmocka_unit_test(names_that_clash_are_told_apart),
		cmocka_unit_test(parameters_keep_the_order_of_the_table),
		cmocka_unit_test(numbers_stay_numbers_and_formulas_become_text),
		cmocka_unit_test(what_is_long_or_no_text_is_given_as_its_digest),
		cmocka_unit_test(objects_that_are_too_wide_or_too_deep_stay_text),
		cmocka_unit_test(more_parameters_than_a_table_takes_are_an_error),
		cmocka_unit_test(what_is_written_our_own_reader_reads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
