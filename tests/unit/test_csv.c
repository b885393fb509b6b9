/* SPDX-License-Identifier: Apache-2.0
 *
 * test_csv.c: RFC 4180's sentences as claims, and what is refused.
 */
#include "jobs/csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* The rows as one text, fields between <>, rows ended by a newline; or the error. */
static void expect(const char *text, const char *rows)
{
	char out[4096] = "";
	struct csv_row row;
	struct csv c;
	struct err e = { 0 };
	int more;

	csv_open(&c, text, strlen(text));
	while ((more = csv_next(&c, &row, &e)) > 0) {
		for (size_t i = 0; i < row.n; i++)
			snprintf(out + strlen(out), sizeof(out) - strlen(out), "<%s>", row.at[i]);
		strcat(out, "\n");
		csv_row_release(&row);
	}
	if (more < 0)
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s", e.msg);
	assert_string_equal(out, rows);
}

static void rows_end_in_either_line_end(void **s)
{
	(void)s;
	expect("a,b\r\n1,2\r\n", "<a><b>\n<1><2>\n");
	expect("a,b\n1,2\n", "<a><b>\n<1><2>\n");
	expect("a,b\n1,2", "<a><b>\n<1><2>\n");
}

static void quotes_hold_commas_quotes_and_line_ends(void **s)
{
	(void)s;
	expect("\"a,b\",\"c\"\"d\"\n\"e\r\nf\",g\n", "<a,b><c\"d>\n<e\r\nf><g>\n");
	expect("\"\",\n", "<><>\n");
}

static void empty_fields_and_empty_lines(void **s)
{
	(void)s;
	expect("a,,c\n,\n", "<a><><c>\n<><>\n");
	expect("\n\na\n\n\r\nb\n\n", "<a>\n<b>\n");
	expect("", "");
}

static void a_byte_order_mark_is_no_column(void **s)
{
	(void)s;
	expect("\xef\xbb\xbf"
	       "a,b\n",
		"<a><b>\n");
}

static void broken_tables_name_the_line(void **s)
{
	(void)s;
	expect("a\nb\"c\n", "<a>\nline 2: a quote inside a field that is not quoted");
	expect("a\n\"b\nc\nd", "<a>\nline 2: a quote opens here and never closes");
	expect("\"a\"b\n", "line 1: text follows a closing quote");
	expect("a\rb\n", "line 1: a carriage return without a line feed");
	expect("\"a\nb\"\nc\"\n", "<a\nb>\nline 3: a quote inside a field that is not quoted");
}

static void a_zero_byte_is_refused(void **s)
{
	struct csv_row row;
	struct csv c;
	struct err e = { 0 };

	(void)s;
	csv_open(&c, "a\0b\n", 4);
	assert_int_equal(csv_next(&c, &row, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_end_in_either_line_end),
		cmocka_unit_test(quotes_hold_commas_quotes_and_line_ends),
		cmocka_unit_test(empty_fields_and_empty_lines),
		cmocka_unit_test(a_byte_order_mark_is_no_column),
		cmocka_unit_test(broken_tables_name_the_line),
		cmocka_unit_test(a_zero_byte_is_refused),
	};

	return cmocka_run_group_tests_name("csv", tests, NULL, NULL);
}
