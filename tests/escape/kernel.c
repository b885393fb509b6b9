/* SPDX-License-Identifier: Apache-2.0
 *
 * kernel.c: doors into the kernel that a computing program does not need. Most rows only knock: they
 * pass arguments that the call itself refuses, so an error that is neither "not permitted" nor "no
 * such call" says that it was reached. For what would change the whole machine (reboot, kexec,
 * clocks, swap, accounting, modules) there is no other kind of row: BAD is an address that is
 * never mapped and is looked at before anything is done; so is a wrong magic number, a flag that
 * nobody knows, a descriptor of -1.
 */
#define _GNU_SOURCE
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define BAD 8L
#define NO_FLAG 0x5a5a5a5aL

static char page[4096] __attribute__((aligned(4096)));
#define PAGE ((long)page)

/* clang-format off: one a line */
/* name, how it bites, whether it may be switched off, number, arguments */
#define CALLS(X)                                                                                   \
	/* rings, programs, observers */                                                           \
	X(io_uring_setup, WEAK, MAY_LACK, 425, 1, BAD)                                             \
	X(io_uring_register, WEAK, MAY_LACK, 427, -1)                                              \
	X(io_setup, WEAK, 0, SYS_io_setup, 0, BAD)                                                 \
	X(io_getevents, WEAK, 0, SYS_io_getevents, 0, 1, 1, BAD)                                   \
	X(bpf, ROOT, 0, SYS_bpf, 0, BAD, 8)                                                        \
	X(perf_event_open, WEAK, MAY_LACK, SYS_perf_event_open, BAD, 0, -1, -1)                    \
	X(userfaultfd, WEAK, MAY_LACK, SYS_userfaultfd, 1 /* user mode only */)                    \
	X(fanotify_init, WEAK, 0, SYS_fanotify_init, 0x200 /* FAN_REPORT_FID */, 0)                \
	X(inotify_init1, WEAK, 0, SYS_inotify_init1, NO_FLAG)                                      \
	X(signalfd4, WEAK, 0, SYS_signalfd4, -1, BAD, 8, 0)                                        \
	X(timerfd_create, WEAK, 0, SYS_timerfd_create, -1, 0)                                      \
	/* keys; comparing and entering other processes */                                         \
	X(keyctl, WEAK, 0, SYS_keyctl, 0, -3, 1)                                                   \
	X(add_key, WEAK, 0, SYS_add_key, BAD, BAD, 0, 0, -3)                                       \
	X(request_key, WEAK, 0, SYS_request_key, BAD, BAD, 0, 0)                                   \
	X(kcmp, WEAK, 0, SYS_kcmp, 1, 1, 99)                                                       \
	X(ptrace_traceme, WEAK, 0, SYS_ptrace, 0)                                                  \
	X(process_vm_readv, WEAK, 0, SYS_process_vm_readv, 1, BAD, 1, BAD, 1, NO_FLAG)             \
	X(process_vm_writev, WEAK, 0, SYS_process_vm_writev, 1, BAD, 1, BAD, 1, NO_FLAG)           \
	X(process_madvise, WEAK, 0, 440, -1, BAD, 1, 0, 0)                                         \
	X(process_mrelease, WEAK, 0, 448, -1, 0)                                                   \
	X(pidfd_open, WEAK, 0, 434, 1, 0)                                                          \
	X(pidfd_getfd, WEAK, 0, 438, -1, 0, 0)                                                     \
	X(pidfd_send_signal, WEAK, 0, 424, -1, 0, 0, 0)                                            \
	X(robust_list_of_init, WEAK, 0, SYS_get_robust_list, 1, PAGE, PAGE)                        \
	X(seccomp, WEAK, 0, SYS_seccomp, NO_FLAG, 0, 0)                                            \
	X(landlock_create_ruleset, WEAK, MAY_LACK, 444, 0, 0, 1)                                   \
	X(lsm_get_self_attr, WEAK, 0, 459, 100, BAD, BAD, 0)                                       \
	/* memory */                                                                               \
	X(mlock, WEAK, 0, SYS_mlock, PAGE, 4096)                                                   \
	X(mlock2, WEAK, 0, SYS_mlock2, PAGE, 4096, 1)                                              \
	X(mlockall, WEAK, 0, SYS_mlockall, 0x5a)                                                   \
	X(vmsplice, WEAK, 0, SYS_vmsplice, -1, BAD, 1, 0)                                          \
	X(splice, WEAK, 0, SYS_splice, -1, 0, -1, 0, 1, 0)                                         \
	X(tee, WEAK, 0, SYS_tee, -1, -1, 1, 0)                                                     \
	X(remap_file_pages, WEAK, 0, SYS_remap_file_pages, PAGE, 1, 1, 0, 0)                       \
	X(pkey_alloc, WEAK, 0, SYS_pkey_alloc, NO_FLAG, 0)                                         \
	X(memfd_create, WEAK, 0, SYS_memfd_create, BAD, 0)                                         \
	X(memfd_secret, WEAK, 0, 447, NO_FLAG)                                                     \
	X(move_pages, WEAK, 0, SYS_move_pages, 1, 1, BAD, BAD, BAD, 0)                             \
	X(migrate_pages, WEAK, 0, SYS_migrate_pages, 1, 1, BAD, BAD)                               \
	X(mbind, WEAK, 0, SYS_mbind, PAGE, 4096, 99, BAD, 1, 0)                                    \
	X(set_mempolicy, WEAK, 0, SYS_set_mempolicy, 99, BAD, 1)                                   \
	X(map_shadow_stack, WEAK, 0, 453, 1, 1, NO_FLAG)                                           \
	X(cachestat, WEAK, 0, 451, -1, BAD, BAD, 0)                                                \
	/* the whole machine; see the top of the file */                                           \
	X(reboot, WEAK, 0, SYS_reboot, 0, 0, 0, 0)                                                 \
	X(kexec_load, ROOT, MAY_LACK, SYS_kexec_load, 0, 0, 0, NO_FLAG)                            \
	X(kexec_file_load, ROOT, MAY_LACK, 320, -1, -1, 0, BAD, NO_FLAG)                           \
	X(settimeofday, WEAK, 0, SYS_settimeofday, BAD, 0)                                         \
	X(clock_settime, WEAK, 0, SYS_clock_settime, 0, BAD)                                       \
	X(adjtimex, WEAK, 0, SYS_adjtimex, BAD)                                                    \
	X(clock_adjtime, WEAK, 0, SYS_clock_adjtime, 0, BAD)                                       \
	X(sethostname, WEAK, 0, SYS_sethostname, BAD, 100)                                         \
	X(setdomainname, WEAK, 0, SYS_setdomainname, BAD, 100)                                     \
	X(swapon, ROOT, 0, SYS_swapon, BAD, NO_FLAG)                                               \
	X(swapoff, ROOT, 0, SYS_swapoff, BAD)                                                      \
	X(acct, ROOT, 0, SYS_acct, BAD)                                                            \
	X(quotactl, WEAK, 0, SYS_quotactl, -1, BAD, 0, 0)                                          \
	X(init_module, ROOT, MAY_LACK, SYS_init_module, BAD, 1, BAD)                               \
	X(finit_module, ROOT, MAY_LACK, SYS_finit_module, -1, BAD, NO_FLAG)                        \
	X(delete_module, ROOT, MAY_LACK, SYS_delete_module, BAD, 0)                                \
	X(syslog, ROOT, 0, SYS_syslog, 10 /* how large is it */)                                   \
	X(syncfs, WEAK, 0, SYS_syncfs, -1)                                                         \
	/* what outlives a process: System V and POSIX objects */                                  \
	X(shmget, WEAK, 0, SYS_shmget, 0, 4096, 01600)                                             \
	X(shmctl, WEAK, 0, SYS_shmctl, 0, 14 /* SHM_INFO */, PAGE)                                 \
	X(semget, WEAK, 0, SYS_semget, 0, 1, 01600)                                                \
	X(msgget, WEAK, 0, SYS_msgget, 0, 01600)                                                   \
	X(mq_open, WEAK, 0, SYS_mq_open, BAD, O_CREAT, 0600, 0)
/* clang-format on */

enum {
#define X(call, ...) CALL_##call,
	CALLS(X)
#undef X
};

static const struct {
	const char *name;
	long nr, a[6];
} calls[] = {
#define X(call, bite, how, nr, ...) [CALL_##call] = { #call, nr, { __VA_ARGS__ } },
	CALLS(X)
#undef X
};

static void knock(long which)
{
	const long *a = calls[which].a;

	reached(syscall(calls[which].nr, a[0], a[1], a[2], a[3], a[4], a[5]), "%s",
		calls[which].name);
}

/* --- sockets ------------------------------------------------------------------------------- */

static void family(long f)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET };

	for (int i = 0; i < 4; i++)
		tried(socket((int)f, types[i], 0) >= 0, "family %ld, type %d", f, types[i]);
}

static void pair(long f)
{
	int fds[2];

	reached(socketpair((int)f, SOCK_STREAM, 0, fds), "a pair of family %ld", f);
}

/* The runner listens there. */
static void abstract_unix(long n)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *name = argument(ABSTRACT_NAME);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)n;
	memcpy(a.sun_path + 1, name, strlen(name));
	tried(connect(fd, (struct sockaddr *)&a,
		      (socklen_t)(sizeof(a.sun_family) + 1 + strlen(name))) == 0,
		"a unix socket of the host");
}

/* A standard stream that is taken for a socket: one's way to others when a stream were one. */
static void stream_as_socket(long n)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char byte = 0;

	(void)n;
	for (int fd = 0; fd < 3; fd++) {
		reached(connect(fd, (struct sockaddr *)&a, sizeof(a)), "connect of %d", fd);
		reached(sendto(fd, &byte, 1, 0, (struct sockaddr *)&a, sizeof(a)), "sendto of %d",
			fd);
		reached(recvfrom(fd, &byte, 0, MSG_DONTWAIT, NULL, NULL), "recvfrom of %d", fd);
		reached(shutdown(fd, 3), "shutdown of %d", fd);
	}
}

/* --- code made at run time ----------------------------------------------------------------- */

static void writable_code(long flags)
{
	tried(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, (int)flags, -1, 0) != MAP_FAILED,
		"W+X");
}

static void later_code(long which)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (which == 0)
		tried(mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0, "mprotect");
	else if (which == 1)
		tried(syscall(SYS_pkey_mprotect, p, 4096, PROT_READ | PROT_EXEC, -1) == 0,
			"pkey_mprotect");
	else
		tried(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
				MAP_FAILED,
			"executable anonymous memory");
}

static void code_from_file(long n)
{
	int fd = open("/tmp/code", O_RDWR | O_CREAT, 0700);

	(void)n;
	if (fd >= 0 && write(fd, page, sizeof(page)) < 1)
		return;
	tried(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) != MAP_FAILED,
		"code from /tmp");
	tried(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0) != MAP_FAILED,
		"shared code from /tmp");
}

static void execute_memfd(long n)
{
	static char *const argv[] = { "program", NULL };
	int fd = (int)syscall(SYS_memfd_create, "x", 0);

	(void)n;
	if (fd >= 0 && write(fd, "\177ELF", 4) < 4)
		return;
	/* not a whole program: "not executable" says that the kernel has read it */
	reached(syscall(SYS_execveat, fd, "", argv, argv, AT_EMPTY_PATH), "executing a memfd");
}

/* --- other conventions of system calls ----------------------------------------------------- */

/* Where the kernel has no i386 calls, the instruction itself is a SIGSEGV, in a box or not. */
static void foreign_call(long which)
{
#ifdef __x86_64__
	long rc;

	if (which == 0) { /* i386's getpid */
		__asm__ volatile("int $0x80"
				 : "=a"(rc)
				 : "a"(20L)
				 : "memory", "r8", "r9", "r10", "r11");
	} else if (which == 1) { /* i386's open */
		__asm__ volatile("int $0x80"
				 : "=a"(rc)
				 : "a"(5L), "b"(PAGE), "c"(0L), "d"(0L)
				 : "memory", "r8", "r9", "r10", "r11");
	} else { /* x32's getpid */
		rc = syscall(0x40000000L + 39);
		if (rc < 0)
			rc = -errno;
	}
	if (rc < 0 && rc > -4096)
		errno = (int)-rc;
	tried(rc >= 0 || errno == ENOENT || errno == EFAULT, "a foreign call");
#else
	errno = ENOSYS;
	tried(false, "a foreign call");
	(void)which;
#endif
}

#ifdef __x86_64__
static void privileged_ports(long which)
{
	static const long nrs[] = { SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_arch_prctl,
		SYS_arch_prctl };
	static const long first[] = { 3, 0x80, 0, 0x1012 /* ARCH_SET_CPUID */,
		0x4001 /* ARCH_MAP_VDSO_* */ };
	static const long second[] = { 0, 1, 0, 1, NO_FLAG };
	static const long third[] = { 0, 1, 0, 0, 0 };

	reached(syscall(nrs[which], first[which], second[which], third[which]), "call %ld",
		nrs[which]);
}
#endif

/* --- the terminal and the streams ---------------------------------------------------------- */

static void terminal(long request)
{
	char text[16] = { request == TIOCLINUX ? 6 : '#', '\n' };

	for (int fd = 0; fd < 3; fd++)
		tried(ioctl(fd, (unsigned long)request, text) == 0, "request %#lx on %d", request,
			fd);
}

static void owner_of_stream(long command)
{
	for (int fd = 0; fd < 3; fd++)
		reached(fcntl(fd, (int)command, command == F_SETFL ? O_ASYNC : 0),
			"fcntl %ld of %d", command, fd);
}

static void requests(long n)
{
	static const unsigned long all[] = { TIOCSCTTY, TIOCSPGRP, TIOCNOTTY, TIOCSETD, TCSETS,
		TIOCSTI, TIOCCONS, FIOASYNC, 0x5421 /* FIONBIO */, 0x80045430 /* TIOCGPTN */,
		0x1260 /* BLKGETSIZE */, 0x4b3a /* KDSETMODE */ };

	for (size_t i = n ? 0 : 8; i < sizeof(all) / sizeof(all[0]); i++)
		reached(ioctl(0, all[i], NULL), "request %#lx", all[i]);
}

#define KNOCK(call, bite, how, ...)                                                                \
	{ "call_" #call, knock, CALL_##call, BOTH, bite, how, NULL, NULL },
/* clang-format off: one a line */
const struct behaviour kernel[] = {
	CALLS(KNOCK){ "socket_unix", family, AF_UNIX, BOTH, WEAK, 0, NULL, NULL },
	{ "socket_inet", family, AF_INET, BOTH, WEAK, 0, NULL, NULL },
	{ "socket_inet6", family, AF_INET6, BOTH, WEAK, 0, NULL, NULL },
	{ "socket_netlink", family, AF_NETLINK, BOTH, WEAK, 0, NULL, NULL },
	{ "socket_packet", family, AF_PACKET, BOTH, WEAK, 0, NULL, NULL },
	{ "socket_alg", family, AF_ALG, BOTH, WEAK, 0, NULL, NULL },
	{ "socket_vsock", family, AF_VSOCK, BOTH, WEAK, 0, NULL, NULL },
	{ "socket_xdp", family, 44, BOTH, WEAK, 0, NULL, NULL },
	{ "socket_bluetooth", family, AF_BLUETOOTH, BOTH, WEAK, 0, NULL, NULL },
	{ "socket_pair_unix", pair, AF_UNIX, COMPUTE, WEAK, 0, NULL, NULL },
	{ "socket_pair_tipc", pair, AF_TIPC, BOTH, WEAK, 0, NULL, NULL },
	{ "socket_abstract", abstract_unix, 0, BOTH, WEAK, SHARED_NET, NULL, NULL },
	{ "stream_as_socket", stream_as_socket, 0, BOTH, WEAK, 0, NULL, NULL },
	{ "code_writable", writable_code, MAP_PRIVATE | MAP_ANONYMOUS, BOTH, WEAK, BY_BITS, NULL,
		NULL },
	{ "code_writable_shared", writable_code, MAP_SHARED | MAP_ANONYMOUS, BOTH, WEAK, 0, NULL,
		NULL },
	{ "code_mprotect", later_code, 0, BOTH, WEAK, BY_BITS, NULL, NULL },
	{ "code_pkey_mprotect", later_code, 1, BOTH, WEAK, 0, NULL, NULL },
	{ "code_anonymous", later_code, 2, COMPUTE, WEAK, 0, NULL, NULL },
	{ "code_from_file", code_from_file, 0, BOTH, WEAK, 0, NULL, NULL },
	{ "code_from_memfd", execute_memfd, 0, BOTH, WEAK, 0, NULL, NULL },
#ifdef __x86_64__
	{ "foreign_i386", foreign_call, 0, BOTH, WEAK, MAY_LACK, "policy signaled=11", NULL },
	{ "foreign_i386_open", foreign_call, 1, BOTH, WEAK, MAY_LACK, "policy signaled=11", NULL },
	{ "foreign_x32", foreign_call, 2, BOTH, WEAK, MAY_LACK, "policy exited", NULL },
	{ "x86_iopl", privileged_ports, 0, BOTH, ROOT, 0, NULL, NULL },
	{ "x86_ioperm", privileged_ports, 1, BOTH, ROOT, 0, NULL, NULL },
	{ "x86_modify_ldt", privileged_ports, 2, BOTH, WEAK, 0, NULL, NULL },
	{ "x86_cpuid_fault", privileged_ports, 3, BOTH, WEAK, 0, NULL, NULL },
	{ "x86_map_vdso", privileged_ports, 4, BOTH, WEAK, 0, NULL, NULL },
#endif
	{ "terminal_input", terminal, TIOCSTI, BOTH, WEAK, TERMINAL | MAY_LACK, NULL, NULL },
	{ "terminal_selection", terminal, TIOCLINUX, BOTH, WEAK, TERMINAL | MAY_LACK, NULL, NULL },
	{ "terminal_requests", requests, 1, COMPUTE, WEAK, TERMINAL, NULL, NULL },
	{ "stream_requests", requests, 0, COMPUTE, WEAK, 0, NULL, NULL },
	{ "stream_owner", owner_of_stream, F_SETOWN, BOTH, WEAK, 0, NULL, NULL },
	{ "stream_owner_ex", owner_of_stream, 15, BOTH, WEAK, 0, NULL, NULL },
	{ "stream_async", owner_of_stream, F_SETFL, BOTH, WEAK, 0, NULL, NULL },
	{ "stream_signal", owner_of_stream, F_SETSIG, BOTH, WEAK, 0, NULL, NULL },
	{ "stream_lease", owner_of_stream, F_SETLEASE, BOTH, WEAK, 0, NULL, NULL },
	{ "stream_pipe_size", owner_of_stream, F_SETPIPE_SZ, BOTH, WEAK, 0, NULL, NULL },
	{ "stream_seals", owner_of_stream, 1033 /* F_ADD_SEALS */, BOTH, WEAK, 0, NULL, NULL },
	{ NULL },
};
