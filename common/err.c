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

__attribute__((format(printf, 3, 0))) static int set(struct err *e, enum err_code code,
	const char *fmt, va_list ap)
{
	e->code = code;
	e->field[0] = '\0';
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
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
