/* SPDX-License-Identifier: Apache-2.0
 *
 * collect.c: outputs, after every process of the box is gone.
 */
#include "sandbox/collect.h"
#include "sandbox/spec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES_MAX 20000 /* looked at in all: more than the box's tmpfs has inodes */
#define PATH_ROOM ((BOX_NAME_MAX + 1) * BOX_LEVELS_MAX + 300)

static void refuse(struct collect *c, const char *path)
{
	if (c->n_not_taken < COLLECT_NAMED_MAX)
		c->not_taken[c->n_not_taken] = strdup(path);
	c->n_not_taken++;
}

static int copy_bytes(struct collect *c, int in, int out, struct fail *f)
{
	static char part[65536];
	ssize_t got;

	while ((got = read(in, part, sizeof(part))) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail_sys(f, "reading an output");
		if (c->bytes + got > c->bytes_max) {
			c->overflow = true;
			return 0;
		}
		if (write(out, part, (size_t)got) != got)
			return fail_sys(f, "--out: writing an output");
		c->bytes += got;
	}
	return 0;
}

/* `in` is the open file; 1 when it was not taken. */
static int copy_file(struct collect *c, int in, int to, const char *name, struct fail *f)
{
	if (c->taken >= BOX_OUTPUTS_MAX) {
		c->overflow = true;
		return 0;
	}
	int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0)
		return fail_sys(f, "--out: creating %.100s", name);
	int bad = copy_bytes(c, in, out, f);
	close(out);
	if (c->overflow && unlinkat(to, name, 0))
		return fail_sys(f, "--out: removing %.100s", name);
	c->taken += !bad && !c->overflow;
	return bad;
}

static int walk(struct collect *c, int from, int to, char *path, int level, int *seen, struct fail *f);

static int enter(struct collect *c, int in, int to, const char *name, char *path, int level, int *seen,
	struct fail *f)
{
	if (mkdirat(to, name, 0700))
		return fail_sys(f, "--out: making %.100s", name);
	int inner = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (inner < 0)
		return fail_sys(f, "--out: opening %.100s", name);
	int before = c->taken;
	int bad = walk(c, in, inner, path, level + 1, seen, f);
	close(inner);
	if (!bad && c->taken == before)
		unlinkat(to, name, AT_REMOVEDIR); /* nothing in it was taken */
	return bad;
}

/* O_NONBLOCK: a FIFO must not hold us. What cannot be opened (mode 0) is not taken. */
static int one(struct collect *c, int from, int to, const char *name, char *path, int level, int *seen,
	struct fail *f)
{
	struct stat st;
	int bad = 0;

	int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (in < 0 || fstat(in, &st) || !spec_name_ok(name) || (S_ISDIR(st.st_mode) && level >= BOX_LEVELS_MAX) ||
		!(S_ISDIR(st.st_mode) || (S_ISREG(st.st_mode) && st.st_nlink == 1)))
		refuse(c, path);
	else if (S_ISDIR(st.st_mode))
		bad = enter(c, in, to, name, path, level, seen, f);
	else
		bad = copy_file(c, in, to, name, f);
	if (in >= 0)
		close(in);
	return bad;
}

static int walk(struct collect *c, int from, int to, char *path, int level, int *seen, struct fail *f)
{
	int again = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = again < 0 ? NULL : fdopendir(again);
	size_t base = strlen(path);
	struct dirent *entry;
	int bad = 0;

	if (!d) {
		if (again >= 0)
			close(again);
		refuse(c, path);
		return 0;
	}
	while (!bad && !c->overflow && (entry = readdir(d)) && ++*seen < ENTRIES_MAX) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(path + base, PATH_ROOM - base, "%s%s", base ? "/" : "", entry->d_name);
		bad = one(c, from, to, entry->d_name, path, level, seen, f);
		path[base] = '\0';
	}
	closedir(d);
	return bad;
}

int collect_all(struct collect *c, int from, int to, struct fail *f)
{
	char path[PATH_ROOM] = "";
	int seen = 0;

	return walk(c, from, to, path, 1, &seen, f);
}
