/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_table_out.c: standard outputs become a table that our own reader reads back: each row has the head's number of
 * fields, no two columns one name, and no field steers a terminal.
 *
 * The input is rows that end in 0x1e; a row is parameters (a JSON object, or what is none), 0x1f, standard output.
 */
#include "jobs/csv.h"
#include "jobs/table_out.h"
#include "tests/fuzz/fuzz.h"

static void row(struct table_out *t, int64_t index, const char *at, size_t n, struct buf *out)
{
	const char *split = memchr(at, 0x1f, n);
	size_t head = split ? (size_t)(split - at) : 0;
	json_t *params = split ? table_object(at, head) : NULL;
	struct table_row r = { .index = index,
		.state = "valid",
		.why = "",
		.params = params,
		.text = split ? split + 1 : at,
		.n = split ? n - head - 1 : n };
	struct err e;

	if (out)
		table_out_row(t, &r, out);
	else if (table_out_look(t, &r, &e))
		assert(e.code == ERR_TOO_BIG);
	json_decref(params);
}

static int64_t rows(struct table_out *t, const char *at, size_t n, struct buf *out)
{
	const char *end = at + n;
	int64_t count = 0;

	for (; at < end; count++) {
		const char *stop = memchr(at, 0x1e, (size_t)(end - at));

		stop = stop ? stop : end;
		row(t, count, at, (size_t)(stop - at), out);
		at = stop + 1;
	}
	return count;
}

static void check_names(const struct csv_row *head)
{
	for (size_t i = 0; i < head->n; i++)
		for (size_t k = 0; k < i; k++)
			assert(strcmp(head->at[i], head->at[k]) != 0);
}

static void check(const struct buf *out, int64_t count)
{
	struct csv_row head, one;
	struct csv c;
	struct err e;
	int64_t seen = 0;

	for (size_t i = 0; i < out->len; i++)
		assert((unsigned char)out->data[i] >= 0x20 || strchr("\t\r\n", out->data[i]));
	csv_open(&c, out->data, out->len);
	if (csv_next(&c, &head, &e) != 1) /* more columns than that reader takes */
		return;
	check_names(&head);
	for (; csv_next(&c, &one, &e) == 1; seen++) {
		assert(one.n == head.n);
		csv_row_release(&one);
	}
	assert(seen == count);
	csv_row_release(&head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_buf struct buf out = { 0 };
	struct table_out t;

	if (n > TABLE_TEXT_MAX / 8) /* a field of quotes and escapes must fit our reader */
		return 0;
	table_out_init(&t, n % 2);
	int64_t count = rows(&t, (const char *)data, n, NULL);
	table_out_head(&t, &out);
	assert(rows(&t, (const char *)data, n, &out) == count);
	check(&out, count);
	table_out_release(&t);
	return 0;
}
