/* SPDX-License-Identifier: Apache-2.0
 *
 * base.h: the few words every file here uses: clean-up attributes, TAKE(), array length.
 */
#ifndef COMMON_BASE_H
#define COMMON_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define MUST_USE __attribute__((warn_unused_result))

/* Frees (closes) the variable when it leaves its scope. */
#define auto_free __attribute__((cleanup(base_free)))
#define auto_close __attribute__((cleanup(base_close)))
#define auto_file __attribute__((cleanup(base_fclose)))

/* Hand over what `p` holds: its value, leaving NULL behind. */
#define TAKE(p)                                                                                    \
	__extension__({                                                                            \
		__typeof__(p) take_ = (p);                                                         \
		(p) = NULL;                                                                        \
		take_;                                                                             \
	})

#define KIB ((int64_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

void base_free(void *pointer_to_pointer);
void base_close(int *fd);
void base_fclose(FILE **f);

/* Memory that is out is the end: these never return NULL. */
void *xmalloc(size_t n) MUST_USE;
void *xcalloc(size_t n, size_t size) MUST_USE;
void *xrealloc(void *p, size_t n, size_t size) MUST_USE;
char *xstrdup(const char *s) MUST_USE;
char *xmemdup(const void *p, size_t n) MUST_USE; /* adds a NUL after the copy */
char *xprintf(const char *fmt, ...) PRINTF_LIKE(1, 2) MUST_USE;

/* Grow `*array` (of `size`-byte elements) so that element n fits. */
void array_room(void *array, size_t *room, size_t n, size_t size);

/* Whether `word` is one of `words`, which are written "a|b|c". */
bool is_one_of(const char *words, const char *word);

/* Raise the soft limit of open files to the hard one, 16384 at most: 1024 is for select(). */
void base_raise_files(void);

/* A random 64-bit seed from the kernel; the only source of chance besides key making. */
uint64_t random_seed(void);
void random_bytes(void *out, size_t n);

/* splitmix64 (Steele, Lea, Flood 2014): the next of a seeded sequence. For drawing, not secrets. */
uint64_t rng_next(uint64_t *state);
/* Uniform in 0 … n-1, n > 0 (rejection; no modulo bias). */
uint64_t rng_below(uint64_t *state, uint64_t n);

#endif
