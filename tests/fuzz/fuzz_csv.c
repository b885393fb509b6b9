/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_csv.c: a table: what was read, written with every field in quotes, is read as the same.
 */
#include "jobs/csv.h"
#include "tests/fuzz/fuzz.h"

static void write_row(struct buf *b, const struct csv_row *row)
{
	for (size_t i = 0; i < row->n; i++) {
		buf_text(b, i ? ",\"" : "\"");
		for (const char *c = row->at[i]; *c; c++) {
			buf_add(b, c, 1);
			if (*c == '"')
				buf_add(b, c, 1);
		}
		buf_text(b, "\"");
	}
	buf_text(b, "\r\n");
}

static void check_row(const struct csv_row *row, size_t line_before)
{
	assert(row->n >= 1 && row->n <= CSV_FIELDS_MAX && row->line > line_before);
	for (size_t i = 0; i < row->n; i++)
		assert(strlen(row->at[i]) <= CSV_FIELD_MAX);
}

/* Read everything; gives the same rows in our own spelling, and their number. */
static size_t read_all(struct buf *out, const char *text, size_t n, bool *good)
{
	struct csv_row row;
	size_t rows = 0, line = 0;
	struct csv c;
	struct err e = { 0 };
	int more;

	csv_open(&c, text, n);
	for (; (more = csv_next(&c, &row, &e)) > 0; rows++) {
		check_row(&row, line);
		line = row.line;
		write_row(out, &row);
		csv_row_release(&row);
		assert(c.at <= c.end && c.line >= line);
	}
	assert(more == 0 || (e.code == ERR_MALFORMED && !strncmp(e.msg, "line ", 5)));
	assert(more < 0 || c.at == c.end);
	assert(!row.at);
	*good = more == 0;
	return rows;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_buf struct buf first = { 0 }, second = { 0 };
	bool good, again;
	size_t rows = read_all(&first, (const char *)data, n, &good);

	buf_add(&first, "", 0);
	assert(read_all(&second, first.data, first.len, &again) == rows && again);
	assert(first.len == second.len);
	assert(!first.len || !memcmp(first.data, second.data, first.len));
	return 0;
}
