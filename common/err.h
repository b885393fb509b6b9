/* SPDX-License-Identifier: Apache-2.0
 *
 * err.h: why something could not be done, for the caller and for a person.
 *
 * What can fail returns 0 or -1 and takes `struct err *e` last. `code` says what the caller may
 * do; `msg` is a sentence for whoever has to act. The table below is the one place where a code
 * meets its name on the wire (the RFC 9457 `type`), its HTTP status and its exit code.
 */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include "common/base.h"

/* code, name on the wire, HTTP status, exit code, title */
#define ERR_TABLE(X)                                                                               \
	X(ERR_NONE, "none", 200, 0, "No error")                                                    \
	X(ERR_INTERNAL, "internal", 500, 1, "Internal error")                                      \
	X(ERR_SYSTEM, "system", 500, 1, "The operating system refused")                            \
	X(ERR_FULL, "full", 507, 4, "No room left")                                                \
	X(ERR_USAGE, "usage", 400, 2, "Wrong usage")                                               \
	X(ERR_MALFORMED, "malformed", 400, 1, "Malformed input")                                   \
	X(ERR_FIELD, "bad-field", 400, 1, "A field is missing or wrong")                           \
	X(ERR_CRIT, "not-understood", 400, 1, "A critical field is not understood")                \
	X(ERR_TOO_BIG, "too-big", 413, 1, "Too big")                                               \
	X(ERR_GRID, "wrong-grid", 403, 1, "Another grid's message")                                \
	X(ERR_SIGNATURE, "bad-signature", 403, 1, "The signature does not hold")                   \
	X(ERR_REFUSED, "refused", 403, 4, "Not allowed")                                           \
	X(ERR_TOKEN, "no-token", 401, 4, "A token is asked for")                                   \
	X(ERR_BANNED, "banned", 403, 4, "Banned")                                                  \
	X(ERR_NOT_FOUND, "not-found", 404, 1, "Not found")                                         \
	X(ERR_UNKNOWN_JOB, "unknown-job", 404, 1, "Unknown job")                                   \
	X(ERR_UNKNOWN_BLOB, "unknown-blob", 404, 1, "Unknown blob")                                \
	X(ERR_METHOD, "method", 405, 1, "Method not allowed")                                      \
	X(ERR_CONFLICT, "conflict", 409, 1, "Other bytes for the same fact")                       \
	X(ERR_OLD_SEQ, "old-seq", 409, 1, "Sequence number too low")                               \
	X(ERR_STALE_LEASE, "stale-lease", 409, 1, "The lease is over")                             \
	X(ERR_OFFSET, "wrong-offset", 409, 1, "Wrong upload offset")                               \
	X(ERR_MISSING_BLOB, "missing-blob", 409, 1, "A blob is missing")                           \
	X(ERR_DIGEST, "digest-mismatch", 422, 1, "The bytes do not match their digest")            \
	X(ERR_PROGRAM, "bad-program", 422, 1, "The program cannot run here")                       \
	X(ERR_TOO_DEMANDING, "too-demanding", 422, 4, "More than any worker has")                  \
	X(ERR_RANGE, "bad-range", 416, 1, "Range not satisfiable")                                 \
	X(ERR_RATE, "too-many", 429, 4, "Too many requests")                                       \
	X(ERR_UNREACHABLE, "unreachable", 503, 3, "Cannot be reached")                             \
	X(ERR_CANCELLED, "cancelled", 409, 1, "Cancelled")

enum err_code {
#define X(code, name, status, exit_code, title) code,
	ERR_TABLE(X)
#undef X
};

struct err {
	enum err_code code;
	char field[96]; /* the field, file or flag at fault; "" when none */
	char msg[640];
};

/* Each sets `e` and returns -1. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* As err_set(ERR_FIELD), naming the field. */
int err_field(struct err *e, const char *field, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* As err_set, and adds errno's text; ENOSPC and EDQUOT become ERR_FULL. */
int err_sys(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Put "fmt: " in front of what is there already. */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

const char *err_name(enum err_code code);
const char *err_title(enum err_code code);
int err_status(enum err_code code);
int err_exit(enum err_code code);
/* The code of a name on the wire, or ERR_INTERNAL. */
enum err_code err_by_name(const char *name);

#endif
