/* SPDX-License-Identifier: Apache-2.0
 *
 * store_in.h: how the store's own files speak to the engine. Only store*.c include it.
 *
 * SQL is always a literal; values are bound, one letter of `kinds` each:
 *	i int64_t        t text or NULL      d struct digest * or NULL
 *	k struct id *    l lease id (16 bytes)    b bytes and size_t, NULL for NULL
 */
#ifndef COORDINATOR_STORE_IN_H
#define COORDINATOR_STORE_IN_H

#include "coordinator/store.h"

struct rows;

/* Write; the first one begins the transaction. Gives the new row's number. */
int64_t run(struct store *s, const char *sql, const char *kinds, ...);
/* Read: rows_next() until false, then rows_end() (also after stopping early). */
struct rows *ask(struct store *s, const char *sql, const char *kinds, ...);
bool rows_next(struct store *s, struct rows *r);
void rows_end(struct rows *r);
/* The first column of the first row; `absent` when there is none. */
int64_t ask_int(struct store *s, int64_t absent, const char *sql, const char *kinds, ...);

int64_t col_int(struct rows *r, int i);
const char *col_text(struct rows *r, int i); /* "" for NULL; valid until the next step */
const void *col_bytes(struct rows *r, int i, size_t *n);
void col_copy(struct rows *r, int i, void *out, size_t n); /* zeros when the length differs */
void col_word(struct rows *r, int i, char *out, size_t size);

extern const char schema_sql[], schema_sql_end[];

#endif
