/* SPDX-License-Identifier: Apache-2.0
 *
 * log.c: lines on stderr. Strangers' words reach the terminal only escaped.
 */
#include "common/log.h"
#include "common/buf.h"
#include "common/clock.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

static const char *const names[] = { "error", "warn", "info", "debug" };
static const char *who = "talkoot";
static enum log_level loudest = LOG_INFO;

void log_open(const char *program, enum log_level level)
{
	who = program;
	loudest = level;
}

int log_level_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(name, names[i]))
			return (int)i;
	return -1;
}

/* How many bytes of valid, printable UTF-8 stand at s (0: none). RFC 3629, no C1 controls. */
static size_t printable(const unsigned char *s, size_t n)
{
	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f;
	size_t len = s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;

	if (len == 0 || s[0] >= 0xf5 || len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xc2 && s[1] < 0xa0) || (s[0] == 0xe0 && s[1] < 0xa0) ||
		(s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf0 && s[1] < 0x90) ||
		(s[0] == 0xf4 && s[1] >= 0x90))
		return 0;
	/* U+2028..202E, 2066..2069: line breaks and bidirectional overrides */
	if (s[0] == 0xe2 && ((s[1] == 0x80 && s[2] >= 0xa8 && s[2] <= 0xae) ||
				    (s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9)))
		return 0;
	return len;
}

char *text_safe(const char *s, size_t n)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < n;) {
		size_t len = printable((const unsigned char *)s + i, n - i);

		if (len)
			buf_add(&b, s + i, len);
		else
			buf_printf(&b, "\\x%02x", (unsigned char)s[i]);
		i += len ? len : 1;
	}
	return buf_take(&b);
}

static void put(const char *stamp, const char *level, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));
static void put(const char *stamp, const char *level, const char *fmt, va_list ap)
{
	char raw[2048];

	vsnprintf(raw, sizeof(raw), fmt, ap);
	auto_free char *safe = text_safe(raw, strlen(raw));
	fprintf(stderr, "%s%s: %s%s\n", stamp, who, level, safe);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char stamp[40], tag[16];
	struct tm tm;
	time_t now = (time_t)(clock_now_ms() / 1000);
	va_list ap;

	if (level > loudest)
		return;
	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ ", &tm);
	snprintf(tag, sizeof(tag), "%s: ", names[level]);
	va_start(ap, fmt);
	put(stamp, tag, fmt, ap);
	va_end(ap);
}

void complain(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put("", "", fmt, ap);
	va_end(ap);
}
