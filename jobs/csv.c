/* SPDX-License-Identifier: Apache-2.0
 *
 * csv.c: a reader for RFC 4180 that stops at the first thing the RFC does not say.
 */
#include "jobs/csv.h"

#include "common/buf.h"

#include <stdlib.h>
#include <string.h>

void csv_open(struct csv *c, const char *text, size_t n)
{
	if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		text += 3, n -= 3;
	*c = (struct csv){ .at = text, .end = text + n, .line = 1 };
}

/* How many bytes the line end at `at` has: 0 when there is none. */
static size_t line_end(const struct csv *c)
{
	if (c->at < c->end && *c->at == '\n')
		return 1;
	if (c->end - c->at >= 2 && c->at[0] == '\r' && c->at[1] == '\n')
		return 2;
	return 0;
}

static int broken(const struct csv *c, const char *why, struct err *e)
{
	return err_set(e, ERR_MALFORMED, "line %zu: %s", c->line, why);
}

/* A field in quotes; `at` is behind the opening one. */
static int quoted(struct csv *c, struct buf *b, struct err *e)
{
	size_t began = c->line;

	for (; c->at < c->end; c->at++) {
		if (*c->at == '"') {
			if (c->end - c->at < 2 || c->at[1] != '"')
				break;
			c->at++;
		}
		c->line += *c->at == '\n';
		buf_add(b, c->at, 1);
	}
	if (c->at == c->end)
		return err_set(e, ERR_MALFORMED, "line %zu: a quote opens here and never closes",
			began);
	c->at++;
	if (c->at < c->end && *c->at != ',' && !line_end(c))
		return broken(c, "text follows a closing quote", e);
	return 0;
}

static int bare(struct csv *c, struct buf *b, struct err *e)
{
	for (; c->at < c->end && *c->at != ',' && !line_end(c); c->at++) {
		if (*c->at == '"')
			return broken(c, "a quote inside a field that is not quoted", e);
		if (*c->at == '\r')
			return broken(c, "a carriage return without a line feed", e);
		buf_add(b, c->at, 1);
	}
	return 0;
}

static int field(struct csv *c, struct csv_row *row, struct err *e)
{
	auto_buf struct buf b = { 0 };

	if (row->n == CSV_FIELDS_MAX)
		return broken(c, "too many fields", e);
	if (c->at < c->end && *c->at == '"') {
		c->at++;
		if (quoted(c, &b, e))
			return -1;
	} else if (bare(c, &b, e)) {
		return -1;
	}
	if (b.len > CSV_FIELD_MAX)
		return broken(c, "a field is longer than 64 KiB", e);
	if (b.len && memchr(b.data, '\0', b.len))
		return broken(c, "a zero byte", e);
	array_room(&row->at, &row->room, row->n, sizeof(*row->at));
	row->at[row->n++] = buf_take(&b);
	return 0;
}

int csv_next(struct csv *c, struct csv_row *row, struct err *e)
{
	size_t eol;

	*row = (struct csv_row){ 0 };
	while ((eol = line_end(c)))
		c->at += eol, c->line++;
	if (c->at == c->end)
		return 0;
	row->line = c->line;
	for (;;) {
		if (field(c, row, e)) {
			csv_row_release(row);
			return -1;
		}
		if (c->at == c->end || *c->at != ',')
			break;
		c->at++;
	}
	eol = line_end(c);
	c->at += eol;
	c->line += eol > 0;
	return 1;
}

void csv_row_release(struct csv_row *row)
{
	for (size_t i = 0; i < row->n; i++)
		free(row->at[i]);
	free(row->at);
	*row = (struct csv_row){ 0 };
}
