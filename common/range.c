/* SPDX-License-Identifier: Apache-2.0
 *
 * range.c: see range.h.
 */
#include "common/range.h"

#include <string.h>

/* Up to 18 digits; *s goes behind them. -1: none there, or too many. */
static int64_t digits(const char **s)
{
	int64_t v = 0;
	size_t n = strspn(*s, "0123456789");

	if (n == 0 || n > 18)
		return -1;
	while (n-- > 0)
		v = v * 10 + *(*s)++ - '0';
	return v;
}

enum range range_parse(const char *header, int64_t size, int64_t *from, int64_t *n)
{
	int64_t first = -1, last = -1;
	const char *h = header;

	if (!h || strncmp(h, "bytes=", 6) != 0)
		return RANGE_WHOLE;
	h += 6;
	if (*h != '-' && (first = digits(&h)) < 0)
		return RANGE_WHOLE;
	if (*h++ != '-')
		return RANGE_WHOLE;
	if (*h && (last = digits(&h)) < 0)
		return RANGE_WHOLE;
	if (*h || (first < 0 && last < 0) || (first >= 0 && last >= 0 && last < first))
		return RANGE_WHOLE;
	if (first < 0) { /* the last `last` bytes */
		first = last < size ? size - last : 0;
		last = last > 0 ? size - 1 : -1;
	} else if (last < 0 || last >= size) {
		last = size - 1;
	}
	if (first >= size || last < first)
		return RANGE_NONE;
	*from = first;
	*n = last - first + 1;
	return RANGE_PART;
}
