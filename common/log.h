/* SPDX-License-Identifier: Apache-2.0
 *
 * log.h: one line an event on stderr. Control characters in it are escaped, whoever wrote them.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "common/base.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* `program` is borrowed for good. Before this, logs go out at LOG_INFO without a name. */
void log_open(const char *program, enum log_level level);
/* "error|warn|info|debug" to a level, or -1. */
int log_level_by_name(const char *name);
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/* `PROGRAM: text` on stderr, escaped: what a person who typed a command is told. */
void complain(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* `s` with control characters and invalid UTF-8 as \xNN: safe for a terminal. Yours. */
char *text_safe(const char *s, size_t n) MUST_USE;

#endif
