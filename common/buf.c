/* SPDX-License-Identifier: Apache-2.0
 *
 * buf.c: growing bytes, and whole files read and written safely.
 */
#include "common/buf.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAID_MAX 400      /* bytes of a last line that are passed on */
#define SAID_WITHIN 65536 /* it begins within so much of the end */

static void need(struct buf *b, size_t n)
{
	if (b->data && b->len + n + 1 <= b->room)
		return;
	b->room = (b->len + n + 1) * 3 / 2 + 64;
	b->data = xrealloc(b->data, b->room, 1);
	b->data[b->len] = '\0';
}

void buf_add(struct buf *b, const void *bytes, size_t n)
{
	need(b, n);
	if (n)
		memcpy(b->data + b->len, bytes, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void buf_text(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	need(b, (size_t)n);
	va_start(ap, fmt);
	vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

char *buf_take(struct buf *b)
{
	need(b, 0);
	char *data = b->data;

	*b = (struct buf){ 0 };
	return data;
}

void buf_release(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}

int fd_read_all(char **out, size_t *n, int fd, size_t max, struct err *e)
{
	auto_buf struct buf b = { 0 };
	char part[16384];

	for (;;) {
		ssize_t got = read(fd, part, sizeof(part));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "reading");
		if (got == 0)
			break;
		if (b.len + (size_t)got > max)
			return err_set(e, ERR_TOO_BIG, "more than %zu bytes", max);
		buf_add(&b, part, (size_t)got);
	}
	if (n)
		*n = b.len;
	*out = buf_take(&b);
	return 0;
}

int file_read(char **out, size_t *n, const char *path, size_t max, struct err *e)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "opening %s", path);
	if (fd_read_all(out, n, fd, max, e))
		return err_wrap(e, "%s", path);
	return 0;
}

char *file_tail(size_t *n, const char *path, size_t max)
{
	auto_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	char *bytes = NULL;
	struct err e;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size == 0)
		return NULL;
	if (st.st_size > (off_t)max && lseek(fd, st.st_size - (off_t)max, SEEK_SET) < 0)
		return NULL;
	return fd_read_all(&bytes, n, fd, max, &e) ? NULL : bytes;
}

char *file_last_said(const char *path, const char *program)
{
	size_t n, before = strlen(program);
	auto_free char *text = file_tail(&n, path, SAID_WITHIN);

	if (!text)
		return xstrdup("");
	while (n && text[n - 1] == '\n')
		text[--n] = '\0';
	const char *line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	if (!strncmp(line, program, before) && !strncmp(line + before, ": ", 2))
		line += before + 2;
	return text_safe(line, strnlen(line, SAID_MAX));
}

int fd_write_all(int fd, const void *bytes, size_t n, struct err *e)
{
	const char *at = bytes;

	while (n > 0) {
		ssize_t put = write(fd, at, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_sys(e, "writing");
		at += put;
		n -= (size_t)put;
	}
	return 0;
}

/* fsync the folder that holds `path`, so that a rename in it lasts. */
static int sync_parent(const char *path, struct err *e)
{
	auto_free char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');

	if (slash)
		slash[slash == dir] = '\0';
	auto_close int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		return err_sys(e, "syncing the folder of %s", path);
	return 0;
}

int file_write_atomic(const char *path, const void *bytes, size_t n, unsigned mode, struct err *e)
{
	auto_free char *tmp = xprintf("%s.XXXXXX", path);
	auto_close int fd = mkostemp(tmp, O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "creating %s", path);
	if (fd_write_all(fd, bytes, n, e) || (fchmod(fd, mode) && err_sys(e, "chmod")) ||
		(fsync(fd) && err_sys(e, "syncing")) ||
		(rename(tmp, path) && err_sys(e, "renaming"))) {
		unlink(tmp);
		return err_wrap(e, "writing %s", path);
	}
	return sync_parent(path, e);
}

int make_dirs(const char *path, unsigned mode, struct err *e)
{
	auto_free char *p = xstrdup(path);

	if (!*p)
		return err_set(e, ERR_SYSTEM, "a folder without a name");
	for (char *at = p + 1;; at++) {
		if (*at != '/' && *at != '\0')
			continue;
		char end = *at;

		*at = '\0';
		if (mkdir(p, mode) && errno != EEXIST)
			return err_sys(e, "making folder %s", p);
		*at = end;
		if (end == '\0')
			break;
	}
	struct stat st;
	if (stat(path, &st) || !S_ISDIR(st.st_mode))
		return err_set(e, ERR_SYSTEM, "%s is not a folder", path);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st, (void)kind, (void)at;
	return remove(path);
}

int remove_tree(const char *path, struct err *e)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) && errno != ENOENT)
		return err_sys(e, "removing %s", path);
	return 0;
}
