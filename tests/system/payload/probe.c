/* SPDX-License-Identifier: Apache-2.0
 *
 * probe.c: tries, from inside a box, what a program must not be able to do. Prints a line for each
 * thing it could do ("REACHED what"), so a good box gives "done" alone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REACHED(what, ok)                                                                          \
	do {                                                                                       \
		errno = 0;                                                                         \
		if (ok)                                                                            \
			printf("REACHED %s\n", what);                                              \
	} while (0)

static const char *const paths[] = { "/", "/etc/passwd", "/proc/self/environ", "/proc/1/environ",
	"/root", "/home", "/sys", "/dev/mem", "/dev/tty", "/tmp/../etc/passwd", "/work",
	"../../../../etc/hostname", "/proc/self/fd", "/dev/shm" };

static void files(int may_list_root)
{
	char name[80];

	for (size_t i = may_list_root; i < sizeof(paths) / sizeof(paths[0]); i++) {
		snprintf(name, sizeof(name), "open %s", paths[i]);
		REACHED(name, open(paths[i], O_RDONLY) >= 0);
		REACHED(name, open(paths[i], O_PATH) >= 0);
		REACHED(name, syscall(SYS_open, paths[i], O_RDONLY) >= 0);
	}
	REACHED("write /", open("/new", O_WRONLY | O_CREAT, 0600) >= 0);
	REACHED("write /in", open("/in/new", O_WRONLY | O_CREAT, 0600) >= 0);
	REACHED("memfd", syscall(SYS_memfd_create, "x", 0) >= 0);
	REACHED("openat2", syscall(437, AT_FDCWD, "/etc/passwd",
				   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24) >= 0);
	for (int fd = 3; fd < 200; fd++)
		REACHED("an inherited descriptor", fcntl(fd, F_GETFD) >= 0);
}

static void sockets(void)
{
	static const int families[] = { AF_UNIX, AF_INET, AF_INET6, 16 /* netlink */,
		17 /* packet */, 38 /* alg */, 40 /* vsock */, 44 /* xdp */ };
	char name[40];

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		snprintf(name, sizeof(name), "socket of family %d", families[i]);
		REACHED(name, socket(families[i], SOCK_STREAM, 0) >= 0);
		REACHED(name, socket(families[i], SOCK_DGRAM, 0) >= 0);
		REACHED(name, socket(families[i], SOCK_RAW, 0) >= 0);
	}
}

static void calls(void)
{
	struct io_uring_params ring = { 0 };
	char args[64] = { 0 };
	unsigned long hole = 0;
	int fds[2];

	REACHED("unshare user", unshare(CLONE_NEWUSER) == 0);
	REACHED("unshare mount", unshare(CLONE_NEWNS) == 0);
	REACHED("clone into a namespace",
		syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0) >= 0);
	REACHED("clone3", syscall(SYS_clone3, args, sizeof(args)) >= 0 || errno != ENOSYS);
	REACHED("mount", mount("x", "/tmp", "tmpfs", 0, NULL) == 0);
	REACHED("fsopen", syscall(430, "tmpfs", 0) >= 0);
	REACHED("open_tree", syscall(428, AT_FDCWD, "/", 0) >= 0);
	REACHED("umount", umount2("/tmp", MNT_DETACH) == 0);
	REACHED("chroot", chroot("/") == 0);
	REACHED("ptrace",
		ptrace(PTRACE_TRACEME, 0, 0, 0) == 0 || ptrace(PTRACE_SEIZE, 1, 0, 0) == 0);
	REACHED("process_vm_readv",
		syscall(SYS_process_vm_readv, getpid(), &hole, 0, &hole, 0, 0) >= 0);
	REACHED("keyctl", syscall(SYS_keyctl, 0, -3, 1) >= 0);
	REACHED("add_key", syscall(SYS_add_key, "user", "a", "b", 1, -3) >= 0);
	REACHED("io_uring", syscall(425, 4, &ring) >= 0);
	REACHED("bpf", syscall(SYS_bpf, 0, args, sizeof(args)) >= 0);
	REACHED("perf_event_open", syscall(SYS_perf_event_open, args, 0, -1, -1, 0) >= 0);
	REACHED("userfaultfd", syscall(SYS_userfaultfd, 1) >= 0);
	REACHED("pidfd_open", syscall(434, 1, 0) >= 0);
	REACHED("setns", syscall(SYS_setns, 0, 0) == 0);
	REACHED("seccomp", syscall(SYS_seccomp, 2, 0, args) >= 0);
	REACHED("shmget", syscall(SYS_shmget, 0, 4096, 01600) >= 0);
	REACHED("msgget", syscall(SYS_msgget, 0, 01600) >= 0);
	REACHED("kcmp", syscall(SYS_kcmp, 1, getpid(), 0, 0, 0) >= 0);
	REACHED("personality", syscall(SYS_personality, 0x0040000) >= 0);
	REACHED("setrlimit", syscall(SYS_prlimit64, 0, 7, args, NULL) == 0);
	REACHED("another's rlimits", syscall(SYS_prlimit64, 1, 7, NULL, args) == 0);
	REACHED("clearing the death signal", prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0) == 0);
	REACHED("ptracer", prctl(PR_SET_PTRACER, -1, 0, 0, 0) == 0);
	REACHED("pushing to a terminal", ioctl(0, TIOCSTI, "x") == 0);
	REACHED("flock", syscall(SYS_flock, 0, 2) == 0);
	REACHED("lease", fcntl(0, 1024 /* F_SETLEASE */, F_RDLCK) == 0);
	REACHED("set-user-id", fchmod(1, 04755) == 0);
	REACHED("killing the init", kill(1, SIGKILL) == 0 && 0);
	REACHED("sethostname", syscall(SYS_sethostname, "x", 1) == 0);
	REACHED("writable code",
		mmap(NULL, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	REACHED("uncounted memory",
		mmap(NULL, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	REACHED("code made later", mprotect((void *)((unsigned long)args & ~4095UL), 4096, 7) == 0);
	REACHED("a socket pair of the network", socketpair(AF_INET, SOCK_STREAM, 0, fds) == 0);
}

int main(int argc, char **argv)
{
	int files_profile = argc > 1 && strcmp(argv[1], "files") == 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	files(files_profile);
	sockets();
	calls();
	if (!files_profile) {
		struct stat st;

		REACHED("fork", fork() >= 0);
		REACHED("stat /etc/passwd", stat("/etc/passwd", &st) == 0);
		REACHED("signalling others", kill(-1, 0) == 0 || kill(getppid(), 0) == 0);
		REACHED("chdir", chdir("/") == 0);
	}
	puts("done");
	return 0;
}
