/* SPDX-License-Identifier: Apache-2.0
 *
 * collect.c: see collect.h.
 *
 * The tree was made by a stranger: links to anywhere, FIFOs that would block, names with
 * newlines, folders nobody may enter, depth without end. So: nothing is opened through a link
 * (openat2), nothing but files and folders is opened at all, recursion ends at a fixed depth,
 * and what arrives outside has neither the names' nor the modes' surprises.
 */
#include "sandbox/collect.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct walk {
	struct collected *c;
	int64_t most;
	struct why *why;
};

/* One folder on the way down. */
struct level {
	int from, to;
	int depth;        /* 1: /out itself */
	const char *path; /* below /out, with a slash at the end, or "" */
};

static int walk_level(struct walk *k, const struct level *l);

static int leave(struct walk *k, const char *path)
{
	struct collected *c = k->c;

	if (c->not_taken < BOX_NOT_TAKEN_MAX && !(c->names[c->not_taken] = strdup(path)))
		return why_sys(k->why, "collecting");
	c->not_taken++;
	return 0;
}

static int open_beneath(int dir, const char *name, int how)
{
	struct open_how h = {
		.flags =
			(uint64_t)(how | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
		           RESOLVE_NO_XDEV,
	};

	return (int)syscall(SYS_openat2, dir, name, &h, sizeof(h));
}

/* What the program made unreadable is still ours. Nothing runs in the box any more, so what fstatat
 * said of the name still holds. */
static int open_own(int dir, const char *name, int how)
{
	int fd = open_beneath(dir, name, how);

	if (fd < 0 && errno == EACCES && fchmodat(dir, name, 0700, 0) == 0)
		fd = open_beneath(dir, name, how);
	return fd;
}

static int copy(int from, int to, int64_t size)
{
	off_t at = 0;

	while (at < size) {
		ssize_t n = sendfile(to, from, &at, (size_t)(size - at));

		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return -1;
	}
	return 0;
}

static int take_open(
	struct walk *k, const struct level *l, const char *name, const char *path, int from)
{
	struct stat st;
	int to, rc;

	if (fstat(from, &st) || !S_ISREG(st.st_mode) || k->c->taken == BOX_OUTPUTS_MAX ||
		st.st_size > k->most - k->c->bytes)
		return leave(k, path);
	to = openat(l->to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	rc = to < 0 ? -1 : copy(from, to, st.st_size);
	if (rc)
		why_sys(k->why, "--out: writing %.100s", path);
	if (to >= 0)
		close(to);
	if (rc) {
		(void)unlinkat(l->to, name, 0); /* no half-written file under a final name */
		return -1;
	}
	k->c->taken++;
	k->c->bytes += st.st_size;
	return 0;
}

static int take_file(struct walk *k, const struct level *l, const char *name, const char *path)
{
	int from = open_own(l->from, name, 0), rc;

	if (from < 0)
		return leave(k, path);
	rc = take_open(k, l, name, path, from);
	close(from);
	return rc;
}

static int take_folder(struct walk *k, const struct level *l, const char *name, const char *path)
{
	char below[COLLECT_PATH_MAX + 1];
	struct level next = { -1, -1, l->depth + 1, below };
	int rc;

	if (l->depth == BOX_OUTPUT_LEVELS)
		return leave(k, path);
	next.from = open_own(l->from, name, O_DIRECTORY);
	if (next.from < 0)
		return leave(k, path);
	snprintf(below, sizeof(below), "%s/", path);
	if (mkdirat(l->to, name, 0700) == 0)
		next.to = openat(l->to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	rc = next.to < 0 ? why_sys(k->why, "--out: making %.100s", path) : walk_level(k, &next);
	close(next.from);
	if (next.to >= 0)
		close(next.to);
	return rc;
}

static int take_entry(struct walk *k, const struct level *l, const char *name)
{
	char path[COLLECT_PATH_MAX];
	struct stat st;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return 0;
	snprintf(path, sizeof(path), "%s%s", l->path, name);
	if (!box_name_ok(name) || fstatat(l->from, name, &st, AT_SYMLINK_NOFOLLOW))
		return leave(k, path);
	if (S_ISDIR(st.st_mode))
		return take_folder(k, l, name, path);
	return S_ISREG(st.st_mode) ? take_file(k, l, name, path) : leave(k, path);
}

static int walk_level(struct walk *k, const struct level *l)
{
	int fd = openat(l->from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return why_sys(k->why, "collecting from /out/%.100s", l->path);
	}
	while (rc == 0 && (e = readdir(d)))
		rc = take_entry(k, l, e->d_name);
	closedir(d);
	return rc;
}

int collect_take(struct collected *c, int from, int to, int64_t most, struct why *w)
{
	struct walk k = { c, most, w };
	struct level top = { from, to, 1, "" };

	return walk_level(&k, &top);
}

void collect_release(struct collected *c)
{
	for (int i = 0; i < c->not_taken && i < BOX_NOT_TAKEN_MAX; i++)
		free(c->names[i]);
	memset(c, 0, sizeof(*c));
}
