/* SPDX-License-Identifier: Apache-2.0
 *
 * namespaces.c: new namespaces (each is a larger kernel to attack), others' namespaces, mounts.
 */
#define _GNU_SOURCE
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static void separate(long flag)
{
	tried(unshare((int)flag) == 0, "unshare %#lx", flag);
}

/* As a process, and (which `compute` may have) as a thread. */
static void born_in(long flag)
{
	const long thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
	pid_t pid = (pid_t)syscall(SYS_clone, flag | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		syscall(SYS_exit_group, 0);
	if (tried(pid > 0, "clone %#lx", flag))
		return;
	pid = (pid_t)syscall(SYS_clone, flag | thread, 0, 0, 0, 0);
	if (pid == 0)
		syscall(SYS_exit, 0); /* on its maker's stack: it must not come further */
	tried(pid > 0, "a thread in %#lx", flag);
}

/* A descriptor that is no namespace: EINVAL says that the call was reached. */
static void enter(long flag)
{
	reached(syscall(SYS_setns, 0, flag), "setns %#lx", flag);
}

static void enter_inits(long n)
{
	static const char *const names[] = { "user", "mnt", "net", "pid", "ipc", "uts", "cgroup",
		"time" };
	char path[40];

	(void)n;
	for (int i = 0; i < 8; i++) {
		snprintf(path, sizeof(path), "/proc/1/ns/%s", names[i]);
		tried(open(path, O_RDONLY) >= 0, "%s", path);
	}
}

static void mount_something(long which)
{
	static const char *const types[] = { "tmpfs", "proc", "sysfs", "devpts", "mqueue",
		"overlay", "cgroup2", "ext4" };

	tried(mount("x", "/tmp", types[which], 0, NULL) == 0, "mounting %s", types[which]);
}

static void mount_again(long flags)
{
	const char *where = flags & MS_BIND && !(flags & MS_REMOUNT)
	                            ? "/tmp"
	                            : "/"; /* the others need a mount point */

	tried(mount("/in", where, NULL, (unsigned long)flags, NULL) == 0, "mount with %#lx", flags);
}

static void unmount(long flags)
{
	static const char *const places[] = { "/tmp", "/out", "/in", "/in/data", "/dev/null", "/" };

	for (int i = 0; i < 6; i++)
		tried(umount2(places[i], (int)flags) == 0, "unmounting %s", places[i]);
}

static void change_root(long n)
{
	if (n == 0) {
		tried(chroot("/") == 0, "chroot /");
		tried(chroot("/tmp") == 0, "chroot /tmp");
	} else {
		reached(syscall(SYS_pivot_root, "/", "/"), "pivot_root");
	}
}

static const struct {
	const char *name;
	long nr, a[5];
} calls[] = {
	{ "fsopen", 430, { (long)"tmpfs", 0 } },
	{ "fsconfig", 431, { -1, 99, 0, 0, 0 } },
	{ "fsmount", 432, { -1, 0, 0 } },
	{ "fspick", 433, { -100, (long)"/", 0 } },
	{ "open_tree", 428, { -100, (long)"/", 0 } },
	{ "open_tree_clone", 428, { -100, (long)"/", 1 } },
	{ "move_mount", 429, { -1, (long)"", -1, (long)"", 4 | 0x40 } },
	{ "mount_setattr", 442, { -100, (long)"/", 0, 8, 32 } },
	{ "statmount", 457, { 8, 8, 8, 0x5a5a } },
	{ "listmount", 458, { 8, 8, 8, 0x5a5a } },
	{ "open_tree_attr", 467, { -100, (long)"/", 0, 0, 0 } },
};
enum { OPEN, CONFIG, NEW, PICK, TREE, TREE_CLONE, MOVE, SETATTR, STAT, LIST, TREE_ATTR };

static void new_mount_call(long which)
{
	const long *a = calls[which].a;

	reached(syscall(calls[which].nr, a[0], a[1], a[2], a[3], a[4]), "%s", calls[which].name);
}

#define ROW(name, run, n, bite, how)                                                               \
	{                                                                                          \
		name, run, n, BOTH, bite, how, NULL, NULL                                          \
	}
/* clang-format off: one a line */
const struct behaviour namespaces[] = {
	ROW("unshare_user", separate, CLONE_NEWUSER, WEAK, MAY_LACK),
	ROW("unshare_mount", separate, CLONE_NEWNS, WEAK, 0),
	ROW("unshare_pid", separate, CLONE_NEWPID, WEAK, 0),
	ROW("unshare_net", separate, CLONE_NEWNET, WEAK, 0),
	ROW("unshare_ipc", separate, CLONE_NEWIPC, WEAK, 0),
	ROW("unshare_uts", separate, CLONE_NEWUTS, WEAK, 0),
	ROW("unshare_cgroup", separate, CLONE_NEWCGROUP, WEAK, 0),
	ROW("unshare_time", separate, CLONE_NEWTIME, WEAK, 0),
	ROW("unshare_files", separate, CLONE_FILES | CLONE_FS, WEAK, 0),
	ROW("clone_user", born_in, CLONE_NEWUSER, WEAK, MAY_LACK),
	ROW("clone_mount", born_in, CLONE_NEWNS, WEAK, 0),
	ROW("clone_pid", born_in, CLONE_NEWPID, WEAK, 0),
	ROW("clone_net", born_in, CLONE_NEWNET, WEAK, 0),
	ROW("clone_ipc", born_in, CLONE_NEWIPC, WEAK, 0),
	ROW("clone_uts", born_in, CLONE_NEWUTS, WEAK, 0),
	ROW("clone_cgroup", born_in, CLONE_NEWCGROUP, WEAK, 0),
	ROW("setns_user", enter, CLONE_NEWUSER, WEAK, 0),
	ROW("setns_mount", enter, CLONE_NEWNS, WEAK, 0),
	ROW("setns_pid", enter, CLONE_NEWPID, WEAK, 0),
	ROW("setns_net", enter, CLONE_NEWNET, WEAK, 0),
	ROW("setns_ipc", enter, CLONE_NEWIPC, WEAK, 0),
	ROW("setns_uts", enter, CLONE_NEWUTS, WEAK, 0),
	ROW("setns_cgroup", enter, CLONE_NEWCGROUP, WEAK, 0),
	ROW("setns_any", enter, 0, WEAK, 0),
	ROW("namespaces_of_init", enter_inits, 0, WEAK, 0),
	ROW("mount_tmpfs", mount_something, 0, WEAK, 0),
	ROW("mount_proc", mount_something, 1, WEAK, MAY_LACK),
	ROW("mount_sysfs", mount_something, 2, WEAK, MAY_LACK),
	ROW("mount_devpts", mount_something, 3, WEAK, 0),
	ROW("mount_mqueue", mount_something, 4, WEAK, 0),
	ROW("mount_bind", mount_again, MS_BIND, WEAK, 0),
	ROW("mount_remount", mount_again, MS_REMOUNT | MS_BIND, WEAK, 0),
	ROW("mount_shared", mount_again, MS_SHARED | MS_REC, WEAK, 0),
	ROW("umount", unmount, 0, WEAK, 0),
	ROW("umount_detach", unmount, MNT_DETACH, WEAK, 0),
	ROW("chroot", change_root, 0, WEAK, 0),
	ROW("pivot_root", change_root, 1, WEAK, 0),
	ROW("fsopen", new_mount_call, OPEN, WEAK, 0),
	ROW("fsconfig", new_mount_call, CONFIG, WEAK, 0),
	ROW("fsmount", new_mount_call, NEW, WEAK, 0),
	ROW("fspick", new_mount_call, PICK, WEAK, 0),
	ROW("open_tree", new_mount_call, TREE, WEAK, 0),
	ROW("open_tree_clone", new_mount_call, TREE_CLONE, WEAK, 0),
	ROW("move_mount", new_mount_call, MOVE, WEAK, 0),
	ROW("mount_setattr", new_mount_call, SETATTR, WEAK, 0),
	ROW("statmount", new_mount_call, STAT, WEAK, 0),
	ROW("listmount", new_mount_call, LIST, WEAK, 0),
	ROW("open_tree_attr", new_mount_call, TREE_ATTR, WEAK, 0),
	{ NULL },
};
