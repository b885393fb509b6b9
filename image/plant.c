/* SPDX-License-Identifier: Apache-2.0
 *
 * plant.c: a tree stream into a folder, and nowhere else.
 *
 * Each entry's folder is opened beneath the target by openat2 with RESOLVE_BENEATH and
 * RESOLVE_NO_SYMLINKS (Linux 5.6), or part by part with O_NOFOLLOW where that call is missing; then one
 * name is made in it, which must not be there yet. Nobody becomes an owner of anything, and no bit beyond rwx is
 * set. Folders stay writable for their owner, who must be able to remove them.
 */
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct plant {
	struct tree_reader r;
	int top;
	int folder; /* the last entry's, -1 when none; often the next one's too */
	char folder_path[NAME_BYTES_MAX + 1];
};

/* --- finding a folder ------------------------------------------------------------------------------ */

/* Without openat2: one part at a time, none of them a link. */
static int walk(int top, const char *path)
{
	char part[NAME_PART_MAX + 1];
	int fd = dup(top), next;

	while (fd >= 0 && *path) {
		size_t n = strcspn(path, "/");

		memcpy(part, path, n);
		part[n] = 0;
		next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(fd);
		fd = next;
		path += n + (path[n] == '/');
	}
	return fd;
}

static int open_beneath(int top, const char *path)
{
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
		           RESOLVE_NO_XDEV };
	long fd = syscall(SYS_openat2, top, *path ? path : ".", &how, sizeof(how));

	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		return walk(top, path);
	return (int)fd;
}

/* The folder that `path` lies in, for one entry; its last part into *name. */
static int folder_of(struct plant *p, const char *path, const char **name, struct err *e)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	*name = slash ? slash + 1 : path;
	if (p->folder >= 0 && strlen(p->folder_path) == n && !memcmp(p->folder_path, path, n))
		return 0;
	if (p->folder >= 0)
		close(p->folder);
	memcpy(p->folder_path, path, n);
	p->folder_path[n] = 0;
	p->folder = open_beneath(p->top, p->folder_path);
	if (p->folder < 0)
		return err_sys(e, "%s: its folder has not come before it", name_shown(path));
	return 0;
}

/* --- making an entry ------------------------------------------------------------------------------- */

static int making(struct err *e, const char *path)
{
	if (errno == EEXIST)
		return err_set(e, ERR_MALFORMED, "%s: comes twice", name_shown(path));
	return err_sys(e, "making %s", name_shown(path));
}

static int make_folder(
	struct plant *p, const struct tree_record *rec, const char *name, struct err *e)
{
	return mkdirat(p->folder, name, 0755) ? making(e, rec->path) : 0;
}

static int fill(struct plant *p, int fd, const char *path, struct err *e)
{
	static char bytes[65536];
	ssize_t n;

	while ((n = tree_read(&p->r, bytes, sizeof(bytes), e)) > 0) {
		for (ssize_t at = 0, put; at < n; at += put) {
			put = write(fd, bytes + at, (size_t)(n - at));
			if (put < 0 && errno == EINTR)
				put = 0;
			if (put < 0)
				return err_sys(e, "writing %s", name_shown(path));
		}
	}
	return n < 0 ? -1 : 0;
}

static int make_file(
	struct plant *p, const struct tree_record *rec, const char *name, struct err *e)
{
	auto_close int fd =
		openat(p->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct timespec times[2] = { { .tv_sec = rec->mtime_s }, { .tv_sec = rec->mtime_s } };

	if (fd < 0)
		return making(e, rec->path);
	if (fill(p, fd, rec->path, e))
		return -1;
	if (fchmod(fd, rec->mode & 0111 ? 0555 : 0444) || futimens(fd, times))
		return err_sys(e, "finishing %s", name_shown(rec->path));
	return 0;
}

static int make_link(
	struct plant *p, const struct tree_record *rec, const char *name, struct err *e)
{
	return symlinkat(rec->text, p->folder, name) ? making(e, rec->path) : 0;
}

static int make_name(
	struct plant *p, const struct tree_record *rec, const char *name, struct err *e)
{
	const char *slash = strrchr(rec->text, '/'), *other = slash ? slash + 1 : rec->text;
	char folder[NAME_BYTES_MAX + 1] = "";
	struct stat s;

	if (slash)
		memcpy(folder, rec->text, (size_t)(slash - rec->text));
	auto_close int fd = open_beneath(p->top, folder);
	if (fd < 0 || fstatat(fd, other, &s, AT_SYMLINK_NOFOLLOW) || !S_ISREG(s.st_mode))
		return err_set(e, ERR_MALFORMED,
			"%s: another name of what is no file that came before it",
			name_shown(rec->path));
	return linkat(fd, other, p->folder, name, 0) ? making(e, rec->path) : 0;
}

static int make(struct plant *p, const struct tree_record *rec, struct err *e)
{
	const char *name;

	if (folder_of(p, rec->path, &name, e))
		return -1;
	switch (rec->kind) {
	case TREE_FOLDER:
		return make_folder(p, rec, name, e);
	case TREE_FILE:
		return make_file(p, rec, name, e);
	case TREE_LINK:
		return make_link(p, rec, name, e);
	case TREE_NAME:
		return make_name(p, rec, name, e);
	}
	return -1;
}

/* --- the folder itself ----------------------------------------------------------------------------- */

/* Only what came in the stream may be there, hard links rely on it: so an empty folder is made anew. */
static int open_target(const char *path, struct err *e)
{
	int fd;

	if (rmdir(path) && errno != ENOENT) {
		if (errno == ENOTEMPTY || errno == EEXIST)
			return err_set(
				e, ERR_CONFLICT, "%s: is not empty; plant into a new folder", path);
		return err_sys(e, "%s: must be a new or an empty folder", path);
	}
	if (mkdir(path, 0755))
		return err_sys(e, "making %s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(e, "opening %s", path) : fd;
}

static int plant_all(struct plant *p, struct err *e)
{
	static struct tree_record rec; /* large */
	int more;

	while ((more = tree_next(&p->r, &rec, e)) > 0) {
		if (make(p, &rec, e))
			return -1;
	}
	return more;
}

int image_plant(const char *path, FILE *in, const struct image_options *o, struct err *e)
{
	struct plant p = { .top = -1, .folder = -1 };
	int bad;

	umask(022);
	if (tree_open(&p.r, in, o->most_bytes, e))
		return -1;
	p.top = open_target(path, e);
	bad = p.top < 0 ? -1 : plant_all(&p, e);
	if (p.folder >= 0)
		close(p.folder);
	if (p.top >= 0)
		close(p.top);
	return bad;
}
