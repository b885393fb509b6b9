/* SPDX-License-Identifier: Apache-2.0
 *
 * buf.h: bytes that grow. Always NUL-terminated behind `len`, so text may be read in place.
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include "common/base.h"
#include "common/err.h"

struct buf {
	char *data; /* NULL while empty */
	size_t len, room;
};

#define auto_buf __attribute__((cleanup(buf_release)))

void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_text(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The bytes are the caller's now; never NULL; the buffer is empty again. */
char *buf_take(struct buf *b);
void buf_release(struct buf *b);

/* Read all of `path` (at most max bytes, else ERR_TOO_BIG). The text is yours. */
int file_read(char **out, size_t *n, const char *path, size_t max, struct err *e);
/* The last bytes of a plain file, `max` at most; links are not followed. NULL when there is none, when it is empty or
 * cannot be read. Yours. */
char *file_tail(size_t *n, const char *path, size_t max) MUST_USE;
/* The last line of what `program` said in the file `path`, without its "PROGRAM: ", cut and made safe for a log; "" when
 * there is none. Yours. */
char *file_last_said(const char *path, const char *program) MUST_USE;
int fd_read_all(char **out, size_t *n, int fd, size_t max, struct err *e);
int fd_write_all(int fd, const void *bytes, size_t n, struct err *e);
/* Write beside, fsync, rename, fsync the folder: either the old or the whole new file is there. */
int file_write_atomic(const char *path, const void *bytes, size_t n, unsigned mode, struct err *e);
/* mkdir -p with `mode` for what is made. */
int make_dirs(const char *path, unsigned mode, struct err *e);
int remove_tree(const char *path, struct err *e);

#endif
