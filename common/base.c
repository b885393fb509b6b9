/* SPDX-License-Identifier: Apache-2.0
 *
 * base.c: memory that never fails, clean-up attributes, and a small seeded sequence.
 */
#include "common/base.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

void base_free(void *pointer_to_pointer)
{
	void *p;

	memcpy(&p, pointer_to_pointer, sizeof(p));
	free(p);
}

void base_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

void base_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

static void *need(void *p)
{
	if (!p) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

void *xmalloc(size_t n)
{
	return need(malloc(n ? n : 1));
}

void *xcalloc(size_t n, size_t size)
{
	return need(calloc(n ? n : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t n, size_t size)
{
	return need(reallocarray(p, n ? n : 1, size));
}

char *xstrdup(const char *s)
{
	return need(strdup(s));
}

char *xmemdup(const void *p, size_t n)
{
	char *copy = xmalloc(n + 1);

	if (n)
		memcpy(copy, p, n);
	copy[n] = '\0';
	return copy;
}

char *xprintf(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	int n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return need(n < 0 ? NULL : s);
}

void array_room(void *array, size_t *room, size_t n, size_t size)
{
	void *p;

	if (n < *room)
		return;
	*room = n + n / 2 + 8;
	memcpy(&p, array, sizeof(p));
	p = xrealloc(p, *room, size);
	memcpy(array, &p, sizeof(p));
}

bool is_one_of(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = words; *at; at += strcspn(at, "|"), at += *at == '|')
		if (n && strcspn(at, "|") == n && !strncmp(at, word, n))
			return true;
	return false;
}

void base_raise_files(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l))
		return;
	l.rlim_cur = l.rlim_max < 16384 ? l.rlim_max : 16384;
	if (setrlimit(RLIMIT_NOFILE, &l))
		return; /* what there is must do */
}

void random_bytes(void *out, size_t n)
{
	unsigned char *at = out;

	while (n > 0) {
		ssize_t got = getrandom(at, n > 256 ? 256 : n, 0);

		if (got <= 0) {
			perror("getrandom");
			abort();
		}
		at += got;
		n -= (size_t)got;
	}
}

uint64_t random_seed(void)
{
	uint64_t seed;

	random_bytes(&seed, sizeof(seed));
	return seed;
}

uint64_t rng_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t rng_below(uint64_t *state, uint64_t n)
{
	uint64_t limit = UINT64_MAX - UINT64_MAX % n;
	uint64_t r;

	do
		r = rng_next(state);
	while (r >= limit);
	return r % n;
}
