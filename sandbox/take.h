/* SPDX-License-Identifier: Apache-2.0
 *
 * take.h: what the init takes from the host into the new root, which it builds where it stands: folders and
 * files by clones of their mounts, or copies. Raw system calls only (raw.h); a call gives -errno when it fails.
 */
#ifndef SANDBOX_TAKE_H
#define SANDBOX_TAKE_H

#include "sandbox/place.h"
#include "sandbox/plan.h"
#include "sandbox/raw.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define TAKE_DETACH 2 /* MNT_DETACH: sys/mount.h does not go with linux/mount.h */

/* A private clone of what is at `path` of the host, with `attributes` (MOUNT_ATTR_…) set on it and all below; or -errno.
 * `deep`: with what is mounted below; else a folder with a mount in it is refused where that would uncover what the
 * mount hides (EINVAL). Never anything of /proc: it would show the host's processes. */
int take_tree(const struct plan *p, const char *path, uint64_t attributes, bool deep);
/* Move `tree` (used up) to `path`, made to fit. */
long take_to(int tree, const char *path);
/* An empty file. */
long take_touch(const char *path);

/* To in->show: the very file that was opened as `from`, read-only, noexec, or what it holds. */
long take_input(const struct plan *p, int from, const struct plan_input *in);
/* Standard input and, beside a /proc, the program become what can neither be changed nor lead to what can. 0, or -1
 * with the fault in the plan. */
int take_stdin(struct plan *p);
int take_program(struct plan *p);

/* --- small ones ------------------------------------------------------------------------------------ */

static inline long mount_at(
	const char *what, const char *where, const char *type, long flags, const char *options)
{
	return raw5(SYS_mount, RAW(what), RAW(where), RAW(type), flags, RAW(options));
}

static inline long make_folder(const char *path)
{
	return raw3(SYS_mkdirat, AT_FDCWD, RAW(path), 0755);
}

static inline long open_file(const char *path, int how, int mode)
{
	return raw4(SYS_openat, AT_FDCWD, RAW(path), how | O_CLOEXEC, mode);
}

static inline long look_at(int fd, struct stat *st)
{
	return raw4(SYS_newfstatat, fd, RAW(""), RAW(st), AT_EMPTY_PATH);
}

/* As open_file, with a number that the program's descriptors do not need. */
static inline long open_away(const char *path, int how)
{
	long fd = open_file(path, how, 0), away;

	if (fd < 0)
		return fd;
	away = raw3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, PLACE_FD_AWAY);
	raw1(SYS_close, fd);
	return away;
}

static inline void shut(int fd)
{
	if (fd >= 0)
		raw1(SYS_close, fd);
}

/* dir + "/" + name; false: does not fit. */
static inline bool join(char *path, size_t room, const char *dir, const char *name)
{
	size_t a = strlen(dir), b = strlen(name);

	if (a + b + 2 > room)
		return false;
	memcpy(path, dir, a);
	path[a] = '/';
	memcpy(path + a + 1, name, b + 1);
	return true;
}

#endif
