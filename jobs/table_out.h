/* SPDX-License-Identifier: Apache-2.0
 *
 * table_out.h: the results of a job as one table in CSV (RFC 4180: CRLF, quotes only where needed).
 *
 *	index,state | of local name line | parameters or columns … | members of standard output, or stdout stdout_digest | why
 *
 * Rows are looked at twice: first all of them for the columns, then each is written. Only the columns are kept in
 * between, so a million rows cost no more than one. Where the standard output of every row that has one is a single
 * JSON object, its members are columns, in the order in which they first appear; else `stdout` is its text without
 * the newline that ends it, or, where that is no text or too long, `stdout_digest` its digest.
 *
 * Two columns never have one name: a parameter that would take another's becomes in.NAME, a member of standard output
 * out.NAME. Nothing here reads a file, a socket or a clock.
 */
#ifndef JOBS_TABLE_OUT_H
#define JOBS_TABLE_OUT_H

#include "common/buf.h"

#include <jansson.h>

#define TABLE_TEXT_MAX                                                                             \
	65536 /* bytes of standard output that a table shows: more is given as its digest */
#define TABLE_COLUMNS_MAX 4096 /* of parameters, and of members of standard output */
#define TABLE_NAME_MAX 1024    /* bytes of a column's name */
#define TABLE_DEPTH_MAX 32     /* brackets open at once in standard output that is taken as JSON */

/* All is borrowed for the call. */
struct table_row {
	int64_t index;
	const char *state, *why;                         /* why: "" for none */
	const json_t *of, *local, *name, *line, *params; /* of the task; NULL when it has none */
	const char *text;                                /* standard output; NULL: none is shown */
	size_t n;
	const char *digest; /* of standard output too long to be given as `text`; else NULL */
};

struct table_out {
	bool exact; /* no ' before what a spreadsheet takes for a formula */
	/* learnt by looking: */
	json_t *inputs, *members; /* name -> the column's name, in their order */
	bool has_of, has_local, has_name, has_line, has_digest;
	bool spread;         /* all standard output so far is one JSON object a row */
	const char *crowded; /* why it is not spread although it could be, or NULL */
	json_t *taken;       /* names of columns given away */
};

/* `exact`: cells are written as they are. Else text that begins with = + - @ or a tab and is no number has a ' put
 * before it (OWASP, "CSV Injection"): what strangers' machines sent is not to run in a spreadsheet. */
void table_out_init(struct table_out *t, bool exact);
void table_out_release(struct table_out *t);
/* The first walk: what columns this row needs. -1: more parameters than TABLE_COLUMNS_MAX. */
int table_out_look(struct table_out *t, const struct table_row *row, struct err *e);
/* Between the walks, once: name the columns and add the head row to `out`. */
void table_out_head(struct table_out *t, struct buf *out);
/* The second walk, over the same rows: add one row to `out`. */
void table_out_row(const struct table_out *t, const struct table_row *row, struct buf *out);

/* The bytes as a JSON object that may be spread, or NULL. */
json_t *table_object(const char *text, size_t n) MUST_USE;
/* Whether the text is a decimal number: [+-]digits[.digits][e±digits], or inf or nan with or without a sign. */
bool table_is_number(const char *text, size_t n);

#endif
