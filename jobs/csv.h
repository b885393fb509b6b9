/* SPDX-License-Identifier: Apache-2.0
 *
 * csv.h: rows of a table, as RFC 4180 writes them.
 *
 * Quoted fields may hold commas, doubled quotes and line ends; lines end in LF or CRLF; a UTF-8 mark in
 * front is skipped, and so are empty lines. Anything else that is not in the RFC is an error that names the
 * line: a table that is guessed at gives wrong tasks.
 */
#ifndef JOBS_CSV_H
#define JOBS_CSV_H

#include "common/base.h"
#include "common/err.h"

#define CSV_FIELDS_MAX 256
#define CSV_FIELD_MAX 65536

struct csv {
	const char *at, *end;
	size_t line; /* of `at`, from 1 */
};

struct csv_row {
	char **at;
	size_t n, room;
	size_t line; /* where it begins */
};

/* The text is borrowed as long as rows are read. */
void csv_open(struct csv *c, const char *text, size_t n);
/* 1: the next row (release it); 0: there are no more; -1: `e` says on which line it is broken. */
int csv_next(struct csv *c, struct csv_row *row, struct err *e);
void csv_row_release(struct csv_row *row);

#endif
