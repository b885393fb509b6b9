/* SPDX-License-Identifier: Apache-2.0
 *
 * err.c: errors as sentences with context.
 */
#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static const struct {
	const char *name, *title;
	int status, exit_code;
} codes[] = {
#define X(code, name, status, exit_code, title) [code] = { name, title, status, exit_code },
	ERR_TABLE(X)
#undef X
};

/* How many bytes of one well-formed UTF-8 character stand at s (RFC 3629); 0 for none. */
static size_t character(const unsigned char *s)
{
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) ||
		(s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90))
		return 0;
	return len;
}

/* Strangers' bytes and cut texts end up in messages, and messages in JSON, where jansson would give NULL
 * for bad UTF-8: so what is no character becomes a '?'. */
static void settle(char *s)
{
	while (*s) {
		size_t len = character((const unsigned char *)s);

		if (len == 0)
			*s = '?';
		s += len ? len : 1;
	}
}

__attribute__((format(printf, 3, 0))) static int set(struct err *e, enum err_code code,
	const char *fmt, va_list ap)
{
	e->code = code;
	e->field[0] = '\0';
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	settle(e->msg);
	return -1;
}

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set(e, code, fmt, ap);
	va_end(ap);
	return -1;
}

int err_field(struct err *e, const char *field, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set(e, ERR_FIELD, fmt, ap);
	va_end(ap);
	snprintf(e->field, sizeof(e->field), "%s", field);
	settle(e->field);
	return err_wrap(e, "field %s", e->field);
}

int err_sys(struct err *e, const char *fmt, ...)
{
	int no = errno;
	va_list ap;

	va_start(ap, fmt);
	set(e, no == ENOSPC || no == EDQUOT ? ERR_FULL : ERR_SYSTEM, fmt, ap);
	va_end(ap);
	size_t n = strlen(e->msg);
	snprintf(e->msg + n, sizeof(e->msg) - n, ": %s", strerror(no));
	settle(e->msg);
	return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char old[sizeof(e->msg)];
	va_list ap;

	memcpy(old, e->msg, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	size_t n = strlen(e->msg);
	snprintf(e->msg + n, sizeof(e->msg) - n, ": %s", old);
	settle(e->msg);
	return -1;
}

const char *err_name(enum err_code code)
{
	return codes[code].name;
}

const char *err_title(enum err_code code)
{
	return codes[code].title;
}

int err_status(enum err_code code)
{
	return codes[code].status;
}

int err_exit(enum err_code code)
{
	return codes[code].exit_code;
}

enum err_code err_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (!strcmp(codes[i].name, name))
			return (enum err_code)i;
	return ERR_INTERNAL;
}
