/* SPDX-License-Identifier: Apache-2.0
 *
 * name.c: paths inside a tree: checked, made clean, quoted.
 */
#include "image/name.h"

#include <string.h>

#define SHOWN_MAX 120

static bool part_ok(const char *part, size_t n)
{
	return n >= 1 && n <= NAME_PART_MAX && !(n == 1 && part[0] == '.') &&
	       !(n == 2 && part[0] == '.' && part[1] == '.');
}

bool name_ok(const char *path, size_t n)
{
	int depth = 0;

	if (n > NAME_BYTES_MAX || memchr(path, 0, n))
		return false;
	for (size_t at = 0;; depth++) {
		const char *slash = memchr(path + at, '/', n - at);
		size_t end = slash ? (size_t)(slash - path) : n;

		if (!part_ok(path + at, end - at) || depth == NAME_DEPTH_MAX)
			return false;
		if (end == n)
			return true;
		at = end + 1;
	}
}

int name_clean(char out[NAME_BYTES_MAX + 1], const char *raw, struct err *e)
{
	size_t len = 0;
	int depth = 0;

	for (const char *p = raw; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 2 && p[0] == '.' && p[1] == '.')
			return err_set(
				e, ERR_REFUSED, "%s: '..' leads out of the image", name_shown(raw));
		if (n > NAME_PART_MAX)
			return err_set(e, ERR_REFUSED,
				"%s: a part of the name is longer than %d bytes", name_shown(raw),
				NAME_PART_MAX);
		if (part_ok(p, n)) {
			if (len + n + 1 > NAME_BYTES_MAX)
				return err_set(e, ERR_REFUSED,
					"%s: the name is longer than %d bytes", name_shown(raw),
					NAME_BYTES_MAX);
			if (++depth > NAME_DEPTH_MAX)
				return err_set(e, ERR_REFUSED, "%s: lies deeper than %d folders",
					name_shown(raw), NAME_DEPTH_MAX);
			if (len)
				out[len++] = '/';
			memcpy(out + len, p, n);
			len += n;
		}
		p += n + (p[n] == '/');
	}
	out[len] = 0;
	return 0;
}

void name_quote(char *out, const char *path, size_t n)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)path[i];

		if (c > 0x20 && c < 0x7f && c != '%') {
			out[len++] = (char)c;
			continue;
		}
		out[len++] = '%';
		out[len++] = hex[c >> 4];
		out[len++] = hex[c & 15];
	}
	out[len] = 0;
}

static int digit(int c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int name_unquote(char out[NAME_BYTES_MAX + 1], const char *quoted, size_t n)
{
	int len = 0;

	for (size_t i = 0; i < n; i++) {
		int c = (unsigned char)quoted[i];

		if (c <= 0x20 || c >= 0x7f || len == NAME_BYTES_MAX)
			return -1;
		if (c == '%') {
			int high = n - i > 2 ? digit(quoted[i + 1]) : -1;
			int low = n - i > 2 ? digit(quoted[i + 2]) : -1;

			if (high < 0 || low < 0)
				return -1;
			c = high << 4 | low;
			if (!c || (c > 0x20 && c < 0x7f && c != '%'))
				return -1; /* a second spelling */
			i += 2;
		}
		out[len++] = (char)c;
	}
	out[len] = 0;
	return len;
}

const char *name_shown(const char *raw)
{
	static char ring[2][3 * SHOWN_MAX + 8];
	static int turn;
	char *out = ring[turn ^= 1];
	size_t n = strnlen(raw, SHOWN_MAX + 1);

	name_quote(out, raw, n > SHOWN_MAX ? SHOWN_MAX : n);
	if (n > SHOWN_MAX)
		strcat(out, "...");
	return n ? out : "(no name)";
}
