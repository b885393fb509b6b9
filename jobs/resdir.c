/* SPDX-License-Identifier: Apache-2.0
 *
 * resdir.c: paths in a results folder, and its files read strictly.
 */
#include "jobs/resdir.h"

#include "common/buf.h"
#include "common/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PART_MAX 100
#define PARTS_MAX 4
#define FILE_MAX ((size_t)4 << 30) /* attestations of a million tasks: about 2 GiB */

bool resdir_name_ok(const char *name)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	int parts = 0;

	if (!strcmp(name, "stdout"))
		return true;
	if (strncmp(name, "files/", 6) != 0)
		return false;
	for (name += 6;; name++) {
		size_t n = strspn(name, plain);

		if (n < 1 || n > PART_MAX || *name == '.' || ++parts > PARTS_MAX)
			return false;
		name += n;
		if (*name != '/')
			return *name == '\0';
	}
}

char *resdir_path(const char *dir, const char *name)
{
	return xprintf("%s/%s", dir, name);
}

char *resdir_task_path(const char *dir, int64_t index, const char *name)
{
	return xprintf("%s/%lld/%s", dir, (long long)index, name);
}

char *resdir_input_path(const char *dir, const struct digest *d)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, d);
	return xprintf("%s/%s/%s", dir, RESDIR_INPUTS, hex);
}

int resdir_open_if(const char *path, const struct digest *d, struct err *e)
{
	/* O_NONBLOCK: a pipe of that name must not hold us up */
	auto_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct digest got;
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(e, ERR_NOT_FOUND, "is missing");
	if (fd < 0 || fstat(fd, &st))
		return err_sys(e, "cannot be opened");
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_DIGEST, "is not a plain file");
	if (digest_fd(fd, &got, NULL, NULL, e))
		return -1;
	if (!digest_equal(&got, d))
		return err_set(e, ERR_DIGEST, "does not have the digest that was agreed on");
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, "cannot be read again");
	int mine = fd;
	fd = -1;
	return mine;
}

int resdir_file_is(const char *path, const struct digest *d, struct err *e)
{
	auto_close int fd = resdir_open_if(path, d, e);

	return fd < 0 ? -1 : 0;
}

/* A plain file of at most `max` bytes, or -1. O_NONBLOCK as above: whoever made the folder may have put anything there. */
static int open_plain(const char *path, size_t max, struct err *e)
{
	auto_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return err_sys(e, "opening %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_MALFORMED, "%s is not a plain file", path);
	if (st.st_size > (int64_t)max)
		return err_set(e, ERR_TOO_BIG, "%s: more than %zu bytes", path, max);
	int mine = fd;
	fd = -1;
	return mine;
}

int resdir_read(char **text, size_t *n, const char *path, size_t max, struct err *e)
{
	auto_close int fd = open_plain(path, max, e);

	if (fd < 0)
		return -1;
	return fd_read_all(text, n, fd, max, e) ? err_wrap(e, "%s", path) : 0;
}

FILE *resdir_open(const char *path, struct err *e)
{
	int fd = open_plain(path, FILE_MAX, e);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

	if (fd >= 0 && !f) {
		err_sys(e, "opening %s", path);
		close(fd);
	}
	return f;
}

int resdir_next_line(FILE *f, char *line, size_t *n, struct err *e)
{
	int c;

	for (*n = 0; (c = getc_unlocked(f)) != EOF && c != '\n'; (*n)++) {
		if (*n == RESDIR_LINE_MAX)
			return err_set(e, ERR_TOO_BIG, "has more than %d bytes", RESDIR_LINE_MAX);
		line[*n] = (char)c;
	}
	line[*n] = '\0';
	if (c == EOF && ferror(f))
		return err_sys(e, "cannot be read");
	if (c == EOF && *n)
		return err_set(e, ERR_MALFORMED, "does not end");
	return c != EOF;
}

int resdir_lines(const char *dir, const char *name, resdir_line_fn *fn, void *arg, struct err *e)
{
	auto_free char *path = resdir_path(dir, name), *line = xmalloc(RESDIR_LINE_MAX + 1);
	FILE *f = resdir_open(path, e);
	size_t n, number = 0;
	int got;

	if (!f)
		return -1;
	while ((got = resdir_next_line(f, line, &n, e)) > 0)
		fn(arg, line, n, ++number);
	fclose(f);
	return got ? err_wrap(e, "line %zu", number + 1) : 0;
}

int resdir_one_line(const char *dir, const char *name, char **line, size_t *n, struct err *e)
{
	auto_free char *path = resdir_path(dir, name);

	if (resdir_read(line, n, path, MSG_LINE_MAX + 1, e)) /* its newline */
		return -1;
	char *eol = memchr(*line, '\n', *n);
	if (!eol || eol != *line + *n - 1) {
		free(TAKE(*line));
		return err_set(e, ERR_MALFORMED, "must be one line");
	}
	*eol = '\0';
	--*n;
	return 0;
}
