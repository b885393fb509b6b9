/* SPDX-License-Identifier: Apache-2.0
 *
 * space.c: namespaces and the root in them.
 *
 * The new root is a tmpfs mounted over a directory that every system has; what the box may see is
 * moved into it, then it becomes the root and everything else is unmounted. Inputs are cloned
 * (open_tree) before that tmpfs can hide them. A descriptor opened outside cannot be mounted
 * in here (its mount belongs to another namespace), so the path is walked again and the
 * result compared with what was opened; what nobody may reach by path is copied.
 *
 *	/in/NAME  read-only, noexec    /out, /tmp  one tmpfs, sized    /dev  null zero urandom
 *	/usr …    --root's folders, read-only                           no /proc, no /sys
 */
#include "sandbox/space.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define ROOT_ENTRIES_MAX 64 /* of --root's top level; a usual system has 20 */
#define DISK_SLACK_MIB 1    /* so that exactly the limit fits and one byte more is seen */
#define INODE_SLACK 16
#define WORK ".talkoot-work" /* where that tmpfs stands for a moment */

/* --- namespaces --------------------------------------------------------------------------- */

static const struct {
	enum box_layer layer;
	int flag;
} namespaces[] = {
	{ BOX_LAYER_USERNS, CLONE_NEWUSER },
	{ BOX_LAYER_PIDNS, CLONE_NEWPID },
	{ BOX_LAYER_MOUNTNS, CLONE_NEWNS },
	{ BOX_LAYER_NETNS, CLONE_NEWNET },
	{ BOX_LAYER_IPCNS, CLONE_NEWIPC },
	{ BOX_LAYER_UTSNS, CLONE_NEWUTS },
};

static int write_proc(pid_t pid, const char *name, const char *text)
{
	char path[64];
	int fd, ok;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok ? 0 : -1;
}

/* One id, never root, and no groups to change to. */
static int write_maps(pid_t pid, struct why *w)
{
	char uids[64], gids[64];

	snprintf(uids, sizeof(uids), "%d %u 1\n", SPACE_UID, geteuid());
	snprintf(gids, sizeof(gids), "%d %u 1\n", SPACE_UID, getegid());
	if (write_proc(pid, "setgroups", "deny") || write_proc(pid, "uid_map", uids) ||
		write_proc(pid, "gid_map", gids))
		return why_sys(w, "user namespace: writing its id maps");
	return 0;
}

static int clone_flags(unsigned layers)
{
	int flags = SIGCHLD;

	for (size_t i = 0; i < LEN(namespaces); i++) {
		if (layers & (1u << namespaces[i].layer))
			flags |= namespaces[i].flag;
	}
	return flags;
}

pid_t space_fork(unsigned layers, struct why *w)
{
	/* the bare call: as fork(), with flags; no C library wrapper offers that */
	pid_t pid = (pid_t)syscall(SYS_clone, clone_flags(layers), 0, 0, 0, 0);

	if (pid < 0)
		return why_sys(w, "making namespaces");
	if (pid > 0 && (layers & BOX_BIT(USERNS)) && write_maps(pid, w)) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return -1;
	}
	return pid;
}

/* The child waits for the end of file: the maps of one that has ended cannot be written. */
static bool try_one(unsigned layers, struct why *w)
{
	int hold[2];
	pid_t pid;
	char c;

	if (pipe2(hold, O_CLOEXEC)) {
		why_sys(w, "making a pipe");
		return false;
	}
	pid = space_fork(layers, w);
	if (pid == 0) {
		close(hold[1]);
		_exit(read(hold[0], &c, 1) != 0);
	}
	close(hold[0]);
	close(hold[1]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return pid > 0;
}

unsigned space_probe(struct why why[BOX_N_LAYERS])
{
	unsigned granted = 0;

	for (size_t i = 0; i < LEN(namespaces); i++) {
		enum box_layer l = namespaces[i].layer;

		if (i > 0 && !(granted & BOX_BIT(USERNS)))
			why_set(&why[l], "needs the user namespace");
		else if (try_one(BOX_BIT(USERNS) | 1u << l, &why[l]))
			granted |= 1u << l;
	}
	return granted;
}

int space_name(struct why *w)
{
	if (sethostname("box", 3) || setdomainname("", 0))
		return why_sys(w, "setting the host name");
	return 0;
}

/* --- trees: what is taken from the old root ----------------------------------------------- */

struct entry { /* of --root's top level: a tree or a link */
	char name[256];
	int tree;       /* or -1 */
	char link[256]; /* its target when it is no tree */
};

struct trees {
	int inputs[BOX_INPUTS_MAX]; /* -1: to be copied */
	int devices[3];             /* -1: the host has none that we may show */
	struct entry root[ROOT_ENTRIES_MAX];
	size_t n_root;
};

static const char *const devices[] = { "null", "zero", "urandom" };
/* Names at the top that are ours, or would show the machine. */
static const char *const not_from_root[] = { ".", "..", "proc", "sys", "dev", "in", "out", "tmp",
	WORK };

/* A private clone of what is at `path`, with `attributes` set on it and all below. */
static int clone_tree(const char *path, uint64_t attributes)
{
	struct mount_attr a = { .attr_set = attributes };
	int fd = open_tree(AT_FDCWD, path,
		OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW);

	if (fd >= 0 && mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &a, sizeof(a))) {
		close(fd);
		return -1;
	}
	return fd;
}

static int path_of(int fd, char *path, size_t room)
{
	char link[40];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, room - 1);
	if (n < 0 || n == (ssize_t)room - 1)
		return -1;
	path[n] = 0;
	return 0;
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* A clone of the very file that `fd` is open on, if we can read it by path; else -1. */
static int clone_opened(int fd, uint64_t attributes)
{
	char path[4096];
	int tree = path_of(fd, path, sizeof(path)) ? -1 : clone_tree(path, attributes);

	if (tree >= 0 &&
		(!same_file(fd, tree) || faccessat(tree, "", R_OK, AT_EMPTY_PATH | AT_EACCESS))) {
		close(tree);
		return -1;
	}
	return tree;
}

static bool is_ours(const char *name)
{
	for (size_t i = 0; i < LEN(not_from_root); i++) {
		if (strcmp(name, not_from_root[i]) == 0)
			return true;
	}
	return false;
}

static int take_entry(struct trees *t, const char *dir, const char *name, struct why *w)
{
	struct entry *e = &t->root[t->n_root];
	char path[4608];
	struct stat st;
	ssize_t n;

	if (is_ours(name))
		return 0;
	if (t->n_root == ROOT_ENTRIES_MAX)
		return why_set(w, "--root: more than %d entries at its top", ROOT_ENTRIES_MAX);
	snprintf(e->name, sizeof(e->name), "%s", name);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	e->tree = -1;
	if (lstat(path, &st))
		return why_sys(w, "--root: %.80s", path);
	if (S_ISLNK(st.st_mode)) {
		n = readlink(path, e->link, sizeof(e->link) - 1);
		if (n > 0)
			t->n_root++;
		return 0;
	}
	if (!S_ISDIR(st.st_mode))
		return 0;
	e->tree = clone_tree(path, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (e->tree < 0)
		return why_sys(w, "--root: showing %.80s", path);
	t->n_root++;
	return 0;
}

static int take_root(struct trees *t, int root, struct why *w)
{
	char path[4096];
	struct dirent *e;
	DIR *d;
	int rc = 0;

	if (root < 0)
		return 0;
	if (path_of(root, path, sizeof(path)) || !(d = opendir(path)))
		return why_sys(w, "--root: opening it again in the box");
	if (!same_file(root, dirfd(d)))
		rc = why_set(w, "--root: it was moved meanwhile");
	while (rc == 0 && (e = readdir(d)))
		rc = take_entry(t, strcmp(path, "/") == 0 ? "" : path, e->d_name, w);
	closedir(d);
	return rc;
}

static int take_trees(struct trees *t, const struct given *g, struct why *w)
{
	char path[32];

	for (size_t i = 0; i < g->n_inputs; i++)
		t->inputs[i] =
			clone_opened(g->inputs[i], MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
							   MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	for (size_t i = 0; i < LEN(devices); i++) {
		snprintf(path, sizeof(path), "/dev/%s", devices[i]);
		t->devices[i] =
			clone_tree(path, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	}
	return take_root(t, g->root, w);
}

/* --- the new root, built at `.` ----------------------------------------------------------- */

static int touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);

	return fd < 0 ? -1 : close(fd);
}

/* Move `tree` (used up) to `path`, made to fit. */
static int place(int tree, const char *path)
{
	struct stat st;
	int rc = fstat(tree, &st);

	if (rc == 0)
		rc = S_ISDIR(st.st_mode) ? mkdir(path, 0755) : touch(path);
	if (rc == 0)
		rc = move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
	close(tree);
	return rc;
}

static int copy_input(int from, const char *path)
{
	struct stat st;
	off_t at = 0;
	int to;

	if (fstat(from, &st) || !S_ISREG(st.st_mode)) {
		errno = EACCES; /* a folder that nobody may reach */
		return -1;
	}
	to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (to < 0)
		return -1;
	while (at < st.st_size && sendfile(to, from, &at, (size_t)(st.st_size - at)) > 0)
		;
	close(to);
	return at == st.st_size ? 0 : -1;
}

static int place_inputs(
	const struct trees *t, const struct given *g, const struct spec *s, struct why *w)
{
	char path[8 + BOX_NAME_MAX];

	if (mkdir("in", 0755))
		return why_sys(w, "making /in");
	for (size_t i = 0; i < g->n_inputs; i++) {
		snprintf(path, sizeof(path), "in/%s", s->inputs[i].name);
		if (t->inputs[i] >= 0 ? place(t->inputs[i], path) : copy_input(g->inputs[i], path))
			return why_sys(w, "--in: showing /%s", path);
	}
	return 0;
}

/* A missing device is no loss of safety. */
static int place_devices(const struct trees *t, struct why *w)
{
	char path[32];

	if (mkdir("dev", 0755))
		return why_sys(w, "making /dev");
	for (size_t i = 0; i < LEN(devices); i++) {
		snprintf(path, sizeof(path), "dev/%s", devices[i]);
		if (t->devices[i] >= 0)
			(void)place(t->devices[i], path);
	}
	return 0;
}

static int place_root(const struct trees *t, struct why *w)
{
	for (size_t i = 0; i < t->n_root; i++) {
		const struct entry *e = &t->root[i];

		if (e->tree >= 0 ? place(e->tree, e->name) : symlink(e->link, e->name))
			return why_sys(w, "--root: showing /%.80s", e->name);
	}
	return 0;
}

/* /out and /tmp are two folders of one tmpfs, so that one size limits both. */
static int place_work(int64_t disk_mib, int *work, struct why *w)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	char options[96];

	snprintf(options, sizeof(options), "mode=0755,size=%lldm,nr_inodes=%d",
		(long long)disk_mib + DISK_SLACK_MIB, SPACE_INODES + INODE_SLACK);
	if (mkdir(WORK, 0755) || mkdir("out", 0755) || mkdir("tmp", 0755) ||
		mount("work", WORK, "tmpfs", flags, options) || mkdir(WORK "/out", 0755) ||
		mkdir(WORK "/tmp", 0755) || mount(WORK "/out", "out", NULL, MS_BIND, NULL) ||
		mount(WORK "/tmp", "tmp", NULL, MS_BIND, NULL))
		return why_sys(w, "making /out and /tmp");
	*work = open(WORK, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*work < 0 || umount2(WORK, MNT_DETACH) || rmdir(WORK))
		return why_sys(w, "making /out and /tmp");
	return 0;
}

static int place_files(const struct trees *t, const struct given *g, const struct spec *s,
	int *work, struct why *w)
{
	if (place_inputs(t, g, s, w) || place_devices(t, w) || place_root(t, w))
		return -1;
	return place_work(s->limits.disk_mib, work, w);
}

/* Mount the tmpfs that becomes the root, and go there. */
static int new_root(struct why *w)
{
	static const char *const bases[] = { "/tmp", "/var", "/usr", "/etc" };

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return why_sys(w, "mount namespace: making it private");
	for (size_t i = 0; i < LEN(bases); i++) {
		if (mount("box", bases[i], "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") == 0)
			return chdir(bases[i]) ? why_sys(w, "entering the new root") : 0;
	}
	return why_sys(w, "mount namespace: mounting a tmpfs");
}

/* pivot_root(".", ".") puts the old root over the new one (pivot_root(2)); then it is let go. */
static int enter(struct why *w)
{
	const unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV;

	if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		return why_sys(w, "leaving the old root");
	if (mount(NULL, "/", NULL, flags, NULL))
		return why_sys(w, "making the root read-only");
	return 0;
}

int space_root(const struct given *g, const struct spec *s, int *work, struct why *w)
{
	static struct trees t; /* large; this process does it once */
	bool files = s->profile == BOX_FILES;

	*work = -1;
	umask(022);
	if (files && take_trees(&t, g, w))
		return -1;
	if (new_root(w) || (files && place_files(&t, g, s, work, w)))
		return -1;
	return enter(w);
}

bool space_full(int work, int64_t disk_mib)
{
	struct statfs f;

	if (work < 0 || fstatfs(work, &f))
		return false;
	return (int64_t)(f.f_blocks - f.f_bfree) * f.f_bsize > disk_mib * 1048576 ||
	       f.f_files - f.f_ffree > SPACE_INODES;
}
