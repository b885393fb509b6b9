/* SPDX-License-Identifier: Apache-2.0
 *
 * space.c: namespaces and mounts.
 *
 * A launcher that is root takes what it was given as detached mounts (open_tree) before the box
 * becomes nobody, who might not be able to reach it; any other launcher leaves this to the
 * child, which is the same user. The root is a tmpfs that is read-only once it is built; /out and /tmp
 * are two folders of one more tmpfs, so that one size bounds both.
 */
#include "sandbox/space.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROOT_ENTRIES_MAX 128 /* of --root's top folder */
#define ALL_BUT_USER (CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

/* mount(2) of glibc and linux/mount.h disagree on who declares; call the kernel's by name. */
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
int umount2(const char *target, int flags);
#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif

/* A private, read-only copy of the mount tree at `path`, attached nowhere. */
static int grab(const char *path, struct fail *f)
{
	struct mount_attr quiet = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path,
		OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (fd < 0)
		return fail_sys(f, "taking %.200s", path);
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &quiet, sizeof(quiet))) {
		fail_sys(f, "making %.200s read-only", path);
		close(fd);
		return -1;
	}
	return fd;
}

int space_grab(struct space *s, const struct spec *spec, struct fail *f)
{
	s->root = -1;
	for (int i = 0; i < BOX_INPUTS_MAX; i++)
		s->inputs[i] = -1;
	if (geteuid() != 0)
		return 0;
	if (setgroups(0, NULL))
		return fail_sys(f, "leaving root's groups");
	for (int i = 0; i < spec->n_inputs; i++)
		if ((s->inputs[i] = grab(spec->inputs[i].path, f)) < 0)
			return -1;
	return 0;
}

static pid_t clone_with(unsigned long flags)
{
	return (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, 0UL);
}

pid_t space_clone(struct space *s, const struct spec *spec, struct fail *f)
{
	pid_t pid = clone_with(CLONE_NEWUSER | ALL_BUT_USER);

	s->user = s->pid = s->mount = true;
	if (pid >= 0)
		return pid;
	if (spec->profile == BOX_FILES)
		return fail_sys(f,
			"layer userns is missing (talkoot-worker check says how to mend it); the profile files needs it");
	/* compute: whatever the kernel grants */
	s->user = false;
	if (geteuid() == 0 && (pid = clone_with(ALL_BUT_USER)) >= 0)
		return pid;
	s->pid = s->mount = false;
	pid = clone_with(0);
	return pid >= 0 ? pid : (pid_t)fail_sys(f, "cloning");
}

static int put(pid_t child, const char *name, const char *text, struct fail *f)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)child, name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = (ssize_t)strlen(text);
	if (fd < 0 || write(fd, text, (size_t)n) != n) {
		fail_sys(f, "layer userns: writing %s", path);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	close(fd);
	return 0;
}

int space_map(const struct space *s, pid_t child, struct fail *f)
{
	uid_t uid = geteuid() ? geteuid() : BOX_NOBODY;
	gid_t gid = geteuid() ? getegid() : BOX_NOBODY;
	char map[64];

	if (!s->user)
		return 0;
	snprintf(map, sizeof(map), "%d %u 1\n", BOX_UID, (unsigned)uid);
	if (put(child, "uid_map", map, f) || put(child, "setgroups", "deny", f))
		return -1;
	snprintf(map, sizeof(map), "%d %u 1\n", BOX_UID, (unsigned)gid);
	return put(child, "gid_map", map, f);
}

/* --- in the child ------------------------------------------------------------------------------ */

static int attach(int tree, const char *target, struct fail *f)
{
	int bad = tree < 0 || syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);

	if (bad && tree >= 0)
		fail_sys(f, "mounting %.100s", target);
	if (tree >= 0)
		close(tree);
	return bad ? -1 : 0;
}

static int make_file(const char *path, struct fail *f)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);

	if (fd < 0)
		return fail_sys(f, "making %.100s", path);
	close(fd);
	return 0;
}

static int make_dir(const char *path, struct fail *f)
{
	return mkdir(path, 0755) ? fail_sys(f, "making %.100s", path) : 0;
}

static int add_inputs(struct space *s, const struct spec *spec, struct fail *f)
{
	char target[BOX_NAME_MAX + 8];
	struct stat st;

	if (make_dir("in", f))
		return -1;
	for (int i = 0; i < spec->n_inputs; i++) {
		int tree = s->inputs[i];

		snprintf(target, sizeof(target), "in/%s", spec->inputs[i].name);
		if (fstat(tree, &st))
			return fail_sys(f, "looking at input %s", spec->inputs[i].name);
		if ((S_ISDIR(st.st_mode) ? make_dir(target, f) : make_file(target, f)) || attach(tree, target, f))
			return -1;
	}
	return 0;
}

/* One entry of --root: a link is made again, a folder or file is mounted. */
static int add_root_entry(const char *base, const char *name, struct fail *f)
{
	char path[PATH_MAX], link[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", base, name);
	if (lstat(path, &st))
		return fail_sys(f, "--root: %.200s", path);
	if (S_ISLNK(st.st_mode)) {
		ssize_t n = readlink(path, link, sizeof(link) - 1);

		if (n < 0)
			return fail_sys(f, "--root: %.200s", path);
		link[n] = '\0';
		return symlink(link, name) ? fail_sys(f, "--root: %.100s", name) : 0;
	}
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return 0;
	int tree = grab(path, f);
	if (tree < 0)
		return -1;
	if ((S_ISDIR(st.st_mode) ? make_dir(name, f) : make_file(name, f)) || attach(tree, name, f))
		return -1;
	return 0;
}

/* Not what the box has of its own, and not the host's kernel interfaces. */
static bool left_out(const char *name)
{
	static const char *const names[] = { ".", "..", "in", "out", "tmp", "proc", "sys", "dev", "run" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

static int add_root(const char *base, struct fail *f)
{
	DIR *d = opendir(base);
	struct dirent *entry;
	int n = 0, bad = 0;

	if (!d)
		return fail_sys(f, "--root %.200s", base);
	while (!bad && (entry = readdir(d)))
		if (!left_out(entry->d_name))
			bad = ++n > ROOT_ENTRIES_MAX
				? fail_set(f, BOX_EXIT_NOT_STARTED, "--root: more than %d entries", ROOT_ENTRIES_MAX)
				: add_root_entry(base, entry->d_name, f);
	closedir(d);
	return bad;
}

/* /out and /tmp: two folders of one tmpfs of the disk limit's size. */
static int add_disk(const struct spec *spec, int *out_fd, struct fail *f)
{
	char options[120];

	snprintf(options, sizeof(options), "size=%lldm,nr_inodes=16384,mode=0700",
		(long long)spec->limits.disk_mib);
	if (make_dir(".disk", f) || make_dir("out", f) || make_dir("tmp", f))
		return -1;
	if (mount("tmpfs", ".disk", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options))
		return fail_sys(f, "layer mountns: mounting the box's disk");
	if (mkdir(".disk/out", 0700) || mkdir(".disk/tmp", 0700) ||
		mount(".disk/out", "out", NULL, MS_BIND, NULL) || mount(".disk/tmp", "tmp", NULL, MS_BIND, NULL) ||
		umount2(".disk", MNT_DETACH) || rmdir(".disk"))
		return fail_sys(f, "layer mountns: placing the box's disk");
	*out_fd = open("out", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *out_fd < 0 ? fail_sys(f, "opening /out") : 0;
}

/* A new root on a tmpfs that nothing else is mounted on; the host's tree is let go. */
static int build_root(struct space *s, const struct spec *spec, int *out_fd, struct fail *f)
{
	char host_root[40] = "";

	/* held by a descriptor, because what follows may hide its path */
	int base = spec->root ? open(spec->root, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (spec->root && base < 0)
		return fail_sys(f, "--root %.200s", spec->root);
	snprintf(host_root, sizeof(host_root), "/proc/self/fd/%d", base);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return fail_sys(f, "layer mountns: making mounts private");
	for (int i = 0; i < spec->n_inputs; i++)
		if (s->inputs[i] < 0 && (s->inputs[i] = grab(spec->inputs[i].path, f)) < 0)
			return -1;
	if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,nr_inodes=1024,mode=0755") ||
		chdir("/tmp"))
		return fail_sys(f, "layer mountns: mounting the root");
	if (spec->profile == BOX_FILES &&
		((spec->root && add_root(host_root, f)) || add_inputs(s, spec, f) || add_disk(spec, out_fd, f)))
		return -1;
	if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		return fail_sys(f, "layer mountns: pivoting into the root");
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL))
		return fail_sys(f, "layer mountns: making the root read-only");
	return 0;
}

int space_enter(struct space *s, const struct spec *spec, int *out_fd, struct fail *f)
{
	uid_t id = s->user ? BOX_UID : BOX_NOBODY;

	*out_fd = -1;
	if (s->mount && !s->user && build_root(s, spec, out_fd, f)) /* root without a user namespace */
		return -1;
	if (s->user || geteuid() == 0)
		if (setresgid(id, id, id) || setresuid(id, id, id))
			return fail_sys(f, "becoming an unprivileged user");
	if (s->mount && s->user && build_root(s, spec, out_fd, f))
		return -1;
	if (s->mount && s->user && (sethostname("talkoot", 7) || setdomainname("", 0)))
		return fail_sys(f, "layer utsns: naming the host");
	if (setsid() < 0)
		return fail_sys(f, "a session of its own");
	return 0;
}
