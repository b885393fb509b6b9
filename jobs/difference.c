/* SPDX-License-Identifier: Apache-2.0
 *
 * difference.c: see difference.h.
 */
#include "jobs/difference.h"

#include "common/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int files_equal(const char *a, const char *b, int64_t max, bool *equal, struct err *e)
{
	auto_file FILE *x = fopen(a, "re"), *y = fopen(b, "re");
	char p[16384], q[sizeof(p)];

	if (!x || !y)
		return err_sys(e, "opening %s", x ? b : a);
	*equal = true;
	for (size_t n = 1; *equal && n > 0 && max > 0; max -= (int64_t)n) {
		size_t m = fread(q, 1, sizeof(q), y);

		n = fread(p, 1, sizeof(p), x);
		*equal = n == m && !memcmp(p, q, n);
	}
	return ferror(x) || ferror(y) ? err_set(e, ERR_SYSTEM, "reading %s or %s failed", a, b) : 0;
}

/* Bytes of the next line, without its end; -1 at the end of the file. */
static ssize_t next_line(char **line, size_t *room, FILE *f)
{
	ssize_t n = getline(line, room, f);

	if (n > 0 && (*line)[n - 1] == '\n')
		(*line)[--n] = '\0';
	return n;
}

static void keep_begin(char *to, const char *line, ssize_t n)
{
	snprintf(to, DIFFERENCE_SHOWN + 1, "%.*s", n < 0 ? 0 : DIFFERENCE_SHOWN, n < 0 ? "" : line);
}

struct difference files_differ(const char *a, const char *b)
{
	auto_file FILE *x = fopen(a, "re"), *y = fopen(b, "re");
	auto_free char *p = NULL, *q = NULL;
	size_t room_p = 0, room_q = 0;
	struct difference d = { .line = 0 };

	for (size_t line = 1; x && y && !d.line; line++) {
		ssize_t n = next_line(&p, &room_p, x), m = next_line(&q, &room_q, y);

		if (n < 0 && m < 0)
			break;
		if (n == m && !memcmp(p, q, (size_t)n))
			continue;
		d.line = line;
		keep_begin(d.a, p, n);
		keep_begin(d.b, q, m);
	}
	return d;
}
