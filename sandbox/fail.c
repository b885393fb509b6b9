/* SPDX-License-Identifier: Apache-2.0
 *
 * fail.c: failures as sentences.
 */
#include "sandbox/fail.h"
#include "sandbox/box.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int fail_set(struct fail *f, int exit, const char *fmt, ...)
{
	va_list ap;

	f->exit = exit;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	return -1;
}

int fail_sys(struct fail *f, const char *fmt, ...)
{
	int no = errno;
	va_list ap;

	f->exit = BOX_EXIT_NOT_STARTED;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	size_t n = strlen(f->text);
	snprintf(f->text + n, sizeof(f->text) - n, ": %s", strerror(no));
	return -1;
}
