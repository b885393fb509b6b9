/* SPDX-License-Identifier: Apache-2.0
 *
 * take.c: see take.h.
 */
#include "sandbox/take.h"

#include <linux/mount.h>
#include <sys/mman.h>

#define COPY_PIECE (1 << 20)

int take_tree(const struct plan *p, const char *path, uint64_t attributes, bool deep)
{
	struct mount_attr a = { .attr_set = attributes };
	bool secret = strcmp(path, "/proc") == 0 || strncmp(path, "/proc/", 6) == 0;
	long fd, rc;

	if (secret)
		return -2; /* ENOENT */
	fd = raw3(SYS_open_tree, p->host, RAW(path[1] ? path + 1 : "."),
		OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW | (deep ? AT_RECURSIVE : 0));
	if (fd < 0)
		return (int)fd;
	rc = raw5(SYS_mount_setattr, fd, RAW(""), AT_EMPTY_PATH | AT_RECURSIVE, RAW(&a), sizeof(a));
	if (rc >= 0)
		return (int)fd;
	shut((int)fd);
	return (int)rc;
}

/* A read-only clone of the very file that was opened, if we can read it by path; else -1. */
static int clone_opened(const struct plan *p, const struct plan_input *in, uint64_t more)
{
	const uint64_t attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | more;
	int tree = in->path ? take_tree(p, in->path, attributes, false) : -1;
	struct stat st;

	if (tree < 0)
		return -1;
	if (look_at(tree, &st) == 0 && st.st_dev == in->dev && st.st_ino == in->ino &&
		raw4(SYS_faccessat2, tree, RAW(""), 4 /* R_OK */, AT_EMPTY_PATH | AT_EACCESS) == 0)
		return tree;
	shut(tree);
	return -1;
}

long take_touch(const char *path)
{
	long fd = open_file(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0444);

	return fd < 0 ? fd : raw1(SYS_close, fd);
}

long take_to(int tree, const char *path)
{
	struct stat st;
	long rc = look_at(tree, &st);

	if (rc >= 0)
		rc = S_ISDIR(st.st_mode) ? make_folder(path) : take_touch(path);
	if (rc >= 0)
		rc = raw5(SYS_move_mount, tree, RAW(""), AT_FDCWD, RAW(path),
			MOVE_MOUNT_F_EMPTY_PATH);
	shut(tree);
	return rc;
}

static long copy_input(int from, const struct plan_input *in)
{
	off_t at = 0;
	long to, n = 1;

	if (!in->regular)
		return -13; /* EACCES: a folder that nobody may reach */
	to = open_file(in->show, O_WRONLY | O_CREAT | O_EXCL, 0444);
	if (to < 0)
		return to;
	while (at < in->bytes && n > 0)
		n = raw4(SYS_sendfile, to, from, RAW(&at), COPY_PIECE);
	shut((int)to);
	return n < 0 ? n : at == in->bytes ? 0 : -5; /* EIO: it became shorter */
}

long take_input(const struct plan *p, int from, const struct plan_input *in)
{
	int tree = clone_opened(p, in, MOUNT_ATTR_NOEXEC);

	return tree >= 0 ? take_to(tree, in->show) : copy_input(from, in);
}

/* --- standard input ---------------------------------------------------------------------------------- */

/* Its owner is who runs the program: by the descriptor that we were given it could change the host's
 * file's mode and times, which no open mode forbids. Whose file it is not, or whose has no name, it
 * may keep; the latter not beside a /proc, where it could be opened anew: of a file in memory Landlock does not
 * know the place. */
static bool could_change(const struct plan *p)
{
	struct stat st;

	if (!p->in.regular || look_at(0, &st) < 0)
		return false;
	if (st.st_nlink == 0)
		return p->bits & BOX_PROC;
	return st.st_uid == (uid_t)raw0(SYS_geteuid);
}

/* The same file by a read-only mount of its own, which is let go as soon as it is open. */
static long open_guarded(int tree, const char *path)
{
	long fd = take_to(tree, path);

	if (fd >= 0)
		fd = open_file(path, O_RDONLY | O_NOCTTY, 0);
	raw2(SYS_umount2, RAW(path), TAKE_DETACH);
	raw3(SYS_unlinkat, AT_FDCWD, RAW(path), 0);
	return fd;
}

/* What it holds, in memory, never to be changed: for where its path does not lead to it. */
static long copy_stdin(const struct plan_input *in)
{
	off_t at = 0;
	long n = 1, fd = raw2(SYS_memfd_create, RAW("stdin"), MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return fd;
	while (at < in->bytes && n > 0)
		n = raw4(SYS_sendfile, fd, 0, RAW(&at), COPY_PIECE);
	if (n >= 0)
		n = raw3(SYS_fcntl, fd, F_ADD_SEALS,
			F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	if (n >= 0)
		return fd;
	shut((int)fd);
	return n;
}

/* The same as a file of the new root, which becomes read-only: it can be opened anew by /proc, but no more
 * than read (and executed, when `mode` says so). */
static long copy_below(int from, const struct plan_input *in, int mode)
{
	long rc = copy_input(from, in);

	if (rc >= 0)
		rc = raw4(SYS_fchmodat, AT_FDCWD, RAW(in->show), mode, 0);
	if (rc >= 0)
		rc = open_file(in->show, O_RDONLY | O_NOCTTY, 0);
	raw3(SYS_unlinkat, AT_FDCWD, RAW(in->show), 0);
	return rc;
}

int take_stdin(struct plan *p)
{
	long fd, at = raw3(SYS_lseek, 0, 0, SEEK_CUR);
	int tree;

	if (!could_change(p))
		return 0;
	tree = clone_opened(p, &p->in, MOUNT_ATTR_NOEXEC);
	if (tree >= 0)
		fd = open_guarded(tree, p->in.show);
	else
		fd = p->bits & BOX_PROC ? copy_below(0, &p->in, 0444) : copy_stdin(&p->in);
	if (plan_fails(p, STEP_STDIN, 0, fd))
		return -1;
	raw3(SYS_lseek, fd, at, SEEK_SET);
	raw3(SYS_dup3, fd, 0, 0);
	shut((int)fd);
	return 0;
}

/* --- the program beside a /proc --------------------------------------------------------------------------- */

/* Its link in there leads to the file that it was started from: by a mount of the host's its owner, who runs it,
 * could change the file's mode and times. So it is started by a read-only one; where its path does not lead to it and
 * it is ours, from a copy. */
int take_program(struct plan *p)
{
	struct stat st;
	long fd;
	int tree;

	if (!(p->bits & BOX_PROC) || p->profile != BOX_FILES)
		return 0;
	tree = clone_opened(p, &p->program, 0);
	if (tree < 0 && look_at(PLAN_PROGRAM, &st) == 0 && st.st_uid != (uid_t)raw0(SYS_geteuid))
		return 0;
	fd = tree >= 0 ? open_guarded(tree, p->program.show)
	               : copy_below(PLAN_PROGRAM, &p->program, 0555);
	if (fd >= 0)
		fd = raw3(SYS_dup3, fd, PLAN_PROGRAM, O_CLOEXEC);
	return plan_fails(p, STEP_PROGRAM, 0, fd);
}
