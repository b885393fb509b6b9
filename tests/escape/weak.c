/* SPDX-License-Identifier: Apache-2.0
 *
 * weak.c: the throw-away place in which rows show that they bite: `hostile --weak ROOT PROGRAM SECRET
 * COPY NAME MARK ARG...`, run as pid 1 of new mount, pid, net, ipc and uts namespaces (unshare(1)). It
 * looks like a box and hides or forbids nothing, but what a row may want to change is a copy, and
 * devices are shown read-only, so that their modes and names stay as they are.
 *
 *	ROOT  becomes the root: a tmpfs with its own /etc, /sys, /in, /out, /tmp and a /proc of these namespaces
 *	COPY  is where a plain copy of /out is made afterwards; "" for none
 */
#define _GNU_SOURCE
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const folders[] = { "proc", "sys", "sys/kernel", "sys/fs", "sys/fs/cgroup",
	"sys/class", "sys/class/net", "dev", "dev/pts", "dev/shm", "dev/disk", "etc", "in", "out",
	"tmp", "var", "var/log", "home" };
static const char *const texts[] = { "etc/passwd", "etc/hostname", "etc/machine-id",
	"etc/resolv.conf", "in/data", "in/secret", "dev/pts/ptmx" };
static const char *const devices[] = { "null", "zero", "urandom", "tty", "kmsg", "fuse", "kvm",
	"mem", "vsock" };

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define DO(call)                                                                                   \
	do {                                                                                       \
		if ((call) < 0) {                                                                  \
			dprintf(2, "weak: %s: %s\n", #call, strerror(errno));                      \
			_exit(9);                                                                  \
		}                                                                                  \
	} while (0)

static void copy(const char *from, const char *to, mode_t mode)
{
	int in, out;

	DO(in = open(from, O_RDONLY));
	DO(out = open(to, O_WRONLY | O_CREAT | O_EXCL, mode));
	while (sendfile(out, in, NULL, 1 << 20) > 0)
		;
	close(in);
	close(out);
}

static void show_device(const char *name)
{
	char from[40], to[40];

	snprintf(from, sizeof(from), "/dev/%s", name);
	snprintf(to, sizeof(to), "dev/%s", name);
	if (access(from, F_OK))
		return;
	close(open(to, O_WRONLY | O_CREAT, 0600));
	DO(mount(from, to, NULL, MS_BIND, NULL));
	DO(mount(NULL, to, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
}

static void make_folders_to(const char *path)
{
	char part[512];

	for (size_t i = 1; path[i] && i < sizeof(part); i++) {
		if (path[i] != '/')
			continue;
		memcpy(part, path + 1, i - 1);
		part[i - 1] = 0;
		if (mkdir(part, 0755) && errno != EEXIST)
			DO(-1);
	}
}

static void furnish(const char *root, const char *program, const char *secret)
{
	DO(mount("weak", root, "tmpfs", 0, "size=300m,nr_inodes=200k,mode=755"));
	DO(chdir(root));
	umask(022);
	for (size_t i = 0; i < LEN(folders); i++)
		DO(mkdir(folders[i], 0755));
	for (size_t i = 0; i < LEN(texts); i++)
		write_file(texts[i], 10);
	for (size_t i = 0; i < LEN(devices); i++)
		show_device(devices[i]);
	DO(symlink("/proc/self/fd", "dev/fd"));
	DO(mount("proc", "proc", "proc", 0, NULL));
	copy(program, "hostile", 0755);
	make_folders_to(secret);
	copy(secret, secret + 1, 0644);
}

/* Beyond what rows bound themselves to; the stack is what one of them is about. */
static void bound(void)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY }, processor = { 60, 60 },
			    none = { 0, 0 };

	if (setrlimit(RLIMIT_STACK, &unlimited) || setrlimit(RLIMIT_CPU, &processor) ||
		setrlimit(RLIMIT_CORE, &none))
		dprintf(2, "weak: limits: %s\n", strerror(errno));
}

/* As an init does: orphans are reaped too, or they would use up the machine's process numbers. */
static int wait_for(pid_t pid)
{
	int status = 0;
	pid_t got;

	while ((got = waitpid(-1, &status, 0)) != pid) {
		if (got < 0 && errno != EINTR)
			return 9;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int weak_run(char **argv)
{
	char *root = argv[0], *program = argv[1], *secret = argv[2], *to = argv[3],
	     name[] = "/hostile";
	int status;
	pid_t pid;

	furnish(root, program, secret);
	DO(pid = fork());
	if (pid == 0) {
		bound();
		/* a chroot would not do: in one, user namespaces are refused */
		DO(unshare(CLONE_NEWNS));
		DO(syscall(SYS_pivot_root, ".", "."));
		DO(umount2(".", MNT_DETACH));
		DO(chdir("/"));
		argv[3] = name;
		execv(name, argv + 3);
		_exit(9);
	}
	status = wait_for(pid);
	if (to[0]) {
		DO(pid = fork());
		if (pid == 0) {
			execlp("cp", "cp", "-a", "out", to, NULL);
			_exit(9);
		}
		wait_for(pid);
	}
	return status;
}

/* `hostile --blind PROGRAM ARG...`: start it where the kernel's own counters (perf) are refused, as many
 * systems do to an ordinary user. */
int blind_run(char **argv)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_perf_event_open, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog f = { LEN(code), code };

	DO(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	DO(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &f));
	DO(execvp(argv[0], argv));
	return 1;
}
