/* SPDX-License-Identifier: Apache-2.0
 *
 * test_filter.c: the filter's code, as built for both architectures, does what policy.h is meant to
 * say. The lists here are written a second time, by hand: who changes the policy changes them too.
 *
 * `decide` runs code as the kernel would (classic BPF, the part of it that seccomp allows).
 */
#include "sandbox/filter.h"
#include "sandbox/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "gen/filter_code.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define PID 4711
#define HIGH (UINT64_C(1) << 32)
#define COMPUTE_MOST 60
#define FILES_MOST 130
#define PATIENCE_MS 20000
#define NUMBERS 601 /* 0..600: more than any kernel has */

#define ALLOW SECCOMP_RET_ALLOW
#define PERM (SECCOMP_RET_ERRNO | EPERM)
#define NOSYS (SECCOMP_RET_ERRNO | ENOSYS)
#define NOTSUP (SECCOMP_RET_ERRNO | EOPNOTSUPP)
#define NOTIFY SECCOMP_RET_USER_NOTIF
#define KILL SECCOMP_RET_KILL_PROCESS

/* --- the machine --- */

static uint32_t word(const struct seccomp_data *d, uint32_t at)
{
	uint32_t w;

	assert_true(at % 4 == 0 && at + 4 <= sizeof(*d));
	memcpy(&w, (const char *)d + at, sizeof(w));
	return w;
}

static uint32_t alu(const struct sock_filter *i, uint32_t a)
{
	switch (BPF_OP(i->code)) {
	case BPF_AND:
		return a & i->k;
	case BPF_OR:
		return a | i->k;
	case BPF_RSH:
		return a >> i->k;
	default:
		fail_msg("an operation that is not expected: %#x", i->code);
		return 0;
	}
}

static bool jumps(const struct sock_filter *i, uint32_t a)
{
	switch (BPF_OP(i->code)) {
	case BPF_JEQ:
		return a == i->k;
	case BPF_JGT:
		return a > i->k;
	case BPF_JGE:
		return a >= i->k;
	case BPF_JSET:
		return (a & i->k) != 0;
	default:
		fail_msg("a jump that is not expected: %#x", i->code);
		return false;
	}
}

static uint32_t decide(const struct filter *f, const struct seccomp_data *d)
{
	uint32_t a = 0;

	for (size_t at = 0; at < f->n; at++) {
		const struct sock_filter *i = &f->code[at];

		if (i->code == (BPF_LD | BPF_W | BPF_ABS))
			a = word(d, i->k);
		else if (i->code == (BPF_RET | BPF_K))
			return i->k;
		else if (i->code == (BPF_JMP | BPF_JA))
			at += i->k;
		else if (BPF_CLASS(i->code) == BPF_JMP)
			at += jumps(i, a) ? i->jt : i->jf;
		else if (BPF_CLASS(i->code) == BPF_ALU)
			a = alu(i, a);
		else
			fail_msg("an instruction that is not expected: %#x", i->code);
	}
	fail_msg("the code has no end");
	return 0;
}

/* --- what there is to run --- */

/* Which plans: a bit each for compute, compute in its own root, files. JIT marks what becomes allowed in `files` with
 * that bit; beside it stands what holds without. */
enum { BARE = 1, ROOT = 2, COMPUTE = 3, FILES = 4, BOTH = 7, JIT = 8 };

static const struct arch {
	uint32_t token;
	const struct filter_code *codes;
} arches[] = {
	{ AUDIT_ARCH_X86_64, filter_x86_64 },
	{ AUDIT_ARCH_AARCH64, filter_aarch64 },
};

#if defined(__x86_64__)
#define HERE AUDIT_ARCH_X86_64
#else
#define HERE AUDIT_ARCH_AARCH64
#endif

static unsigned who_of(int variant)
{
	return variant >= FILTER_VARIANT_FILES ? FILES : variant & 1 ? ROOT : BARE;
}

static bool seeded(int variant)
{
	return variant >= FILTER_VARIANT_FILES ? variant & 1 : variant & 2;
}

static bool jit(int variant)
{
	return variant >= FILTER_VARIANT_FILES + 2;
}

static struct filter_plan plan_of(int variant, pid_t self)
{
	return (struct filter_plan){ who_of(variant) == FILES ? BOX_FILES : BOX_COMPUTE,
		who_of(variant) != BARE, seeded(variant), self, jit(variant) };
}

/* As filter_make does it, for an architecture that this need not be. */
static struct filter *make(const struct arch *a, int variant)
{
	const struct filter_code *c = &a->codes[variant];
	static struct filter f;

	f.n = c->n;
	for (size_t i = 0; i < c->n; i++) {
		f.code[i] = c->code[i];
		if (f.code[i].k == FILTER_SELF)
			f.code[i].k = PID;
	}
	return &f;
}

static int number(const struct arch *a, const char *call)
{
	int nr = seccomp_syscall_resolve_name_arch(a->token, call);

	if (nr == __NR_SCMP_ERROR)
		fail_msg("%s: no such call anywhere", call);
	return nr;
}

#define EACH_CODE(a, v)                                                                            \
	for (const struct arch *a = arches; a < arches + LEN(arches); a++)                         \
		for (int v = 0; v < FILTER_VARIANTS; v++)

static void gives(const struct arch *a, int v, int nr, const uint64_t args[6], uint32_t want)
{
	struct seccomp_data d = { .nr = nr, .arch = a->token, .instruction_pointer = UINT64_MAX };
	uint32_t got;

	if (args)
		memcpy(d.args, args, sizeof(d.args));
	got = decide(make(a, v), &d);
	if (got != want)
		fail_msg("arch %#x variant %d call %d (%#llx %#llx %#llx %#llx %#llx): %#x, want "
			 "%#x",
			a->token, v, nr, d.args[0], d.args[1], d.args[2], d.args[3], d.args[4], got,
			want);
}

/* --- the calls --- */

/* clang-format off */
static const struct plain {
	const char *call;
	unsigned who;
	uint32_t want; /* whatever its arguments are */
} plain[] = {
#define P(call) { #call, BOTH, ALLOW },
	P(read) P(readv) P(write) P(writev) P(lseek) P(close) P(fstat) P(poll) P(ppoll)
	P(select) P(pselect6) P(brk) P(munmap) P(mremap) P(set_tid_address) P(sched_yield)
	P(rt_sigaction) P(rt_sigprocmask) P(rt_sigreturn) P(rt_sigsuspend) P(rt_sigtimedwait)
	P(sigaltstack) P(pause) P(restart_syscall) P(exit) P(exit_group) P(gettimeofday) P(time)
	P(nanosleep) P(setitimer) P(alarm) P(getpid) P(gettid) P(getuid) P(geteuid) P(uname)
	P(sysinfo) P(getrusage) P(epoll_create1) P(epoll_ctl) P(epoll_pwait) P(eventfd2)
#undef P
#define P(call) { #call, FILES, ALLOW },
	P(set_robust_list) P(sched_getaffinity) P(dup) P(dup2) P(dup3) P(clock_gettime)
	P(clock_getres) P(clock_nanosleep) P(getppid) P(getgid) P(getegid) P(times) P(openat)
	P(open) P(newfstatat) P(stat) P(lstat) P(statx) P(statfs) P(fstatfs) P(access) P(faccessat)
	P(faccessat2) P(readlink) P(readlinkat) P(getdents64) P(getcwd) P(chdir) P(fchdir)
	P(pwrite64) P(truncate) P(ftruncate) P(fallocate) P(fsync) P(fdatasync) P(fadvise64)
	P(sendfile) P(copy_file_range) P(mkdir) P(mkdirat) P(rmdir) P(unlink) P(unlinkat) P(rename)
	P(renameat) P(renameat2) P(link) P(linkat) P(symlink) P(symlinkat) P(umask) P(utimensat)
	P(fork) P(vfork) P(execve) P(wait4) P(waitid) P(pipe) P(pipe2)
	P(pread64) P(epoll_wait) P(setpgid)
	P(getpgid) P(getpgrp) P(setsid) P(getresuid) P(getresgid) P(getgroups)
#undef P
	{ "clone3", BOTH, NOSYS }, { "openat2", FILES, NOSYS }, { "getxattr", FILES, NOTSUP },
	{ "lgetxattr", FILES, NOTSUP }, { "fgetxattr", FILES, NOTSUP }, { "listxattr", FILES, NOTSUP },
	{ "llistxattr", FILES, NOTSUP }, { "flistxattr", FILES, NOTSUP },
	{ "setxattr", FILES, NOTSUP }, { "lsetxattr", FILES, NOTSUP }, { "fsetxattr", FILES, NOTSUP },
};

/* Let through by their arguments only. */
static const struct plain tested[] = {
	{ "fcntl", BOTH, PERM }, { "ioctl", FILES, PERM }, { "madvise", BOTH, PERM },
	{ "mmap", BOTH, PERM }, { "mprotect", BOTH, PERM }, { "clone", BOTH, PERM },
	{ "futex", BOTH, PERM }, { "arch_prctl", BOTH, PERM }, { "prctl", BOTH, PERM },
	{ "execveat", BOTH, PERM }, { "prlimit64", BOTH, PERM }, { "newfstatat", ROOT, PERM },
	{ "sched_getaffinity", COMPUTE, PERM }, { "tgkill", BOTH, PERM },
	{ "tkill", BOTH, PERM }, { "kill", FILES, PERM }, { "clock_gettime", COMPUTE, PERM },
	{ "clock_getres", COMPUTE, PERM }, { "clock_nanosleep", COMPUTE, PERM },
	{ "mknodat", FILES, PERM }, { "chmod", FILES, PERM }, { "fchmod", FILES, PERM },
	{ "fchmodat", FILES, PERM }, { "socketpair", FILES, PERM }, { "getrandom", BOTH, NOTIFY },
};

#define THREAD (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)
#define OF_GLIBC                                                                                   \
	(THREAD | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |    \
		CLONE_CHILD_CLEARTID)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define FREE_RW (PROT_READ | PROT_WRITE)

static const struct trial {
	const char *call;
	unsigned who; /* under other plans it is EPERM */
	uint64_t args[6];
	uint32_t want;
} trials[] = {
	{ "newfstatat", ROOT | FILES, { 1, 0, 0, AT_EMPTY_PATH }, ALLOW },
	{ "newfstatat", ROOT | FILES, { 1, 0, 0, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW }, ALLOW },
	{ "newfstatat", FILES, { 1, 0, 0, 0 }, ALLOW },
	{ "newfstatat", FILES, { 1, 0, 0, AT_SYMLINK_NOFOLLOW }, ALLOW },
	{ "fcntl", BOTH, { 1, F_GETFD }, ALLOW },
	{ "fcntl", BOTH, { 1, F_GETFL }, ALLOW },
	{ "fcntl", BOTH, { 1, F_GETFL | HIGH }, PERM },
	{ "fcntl", FILES, { 1, F_DUPFD }, ALLOW },
	{ "fcntl", FILES, { 1, F_DUPFD_CLOEXEC }, ALLOW },
	{ "fcntl", FILES, { 1, F_SETFD, 1 }, ALLOW },
	{ "fcntl", FILES, { 1, F_SETFL, O_APPEND | O_NONBLOCK }, ALLOW },
	{ "fcntl", BOTH, { 1, F_SETFL, O_ASYNC }, PERM },
	{ "fcntl", BOTH, { 1, F_SETFL, O_ASYNC | O_NONBLOCK | HIGH }, PERM },
	{ "fcntl", BOTH, { 1, F_GETLK }, PERM },
	{ "fcntl", BOTH, { 1, F_SETLK }, PERM },
	{ "fcntl", BOTH, { 1, F_SETLKW }, PERM },
	{ "fcntl", BOTH, { 1, F_SETOWN, PID }, PERM },
	{ "fcntl", BOTH, { 1, F_SETSIG }, PERM },
	{ "fcntl", BOTH, { 1, F_SETLEASE }, PERM },
	{ "fcntl", BOTH, { 1, F_NOTIFY }, PERM },
	{ "fcntl", BOTH, { 1, F_SETPIPE_SZ }, PERM },
	{ "fcntl", BOTH, { 1, F_ADD_SEALS }, PERM },
	{ "fcntl", BOTH, { 1, F_OFD_SETLK }, PERM },
	{ "ioctl", FILES, { 0, TCGETS }, ALLOW },
	{ "ioctl", FILES, { 0, TIOCGWINSZ }, ALLOW },
	{ "ioctl", FILES, { 0, FIONREAD }, ALLOW },
	{ "ioctl", FILES, { 0, FIOCLEX }, ALLOW },
	{ "ioctl", FILES, { 0, FIONCLEX }, ALLOW },
	{ "ioctl", FILES, { 0, FIONBIO }, ALLOW },
	{ "ioctl", BOTH, { 0, TIOCSTI }, PERM },
	{ "ioctl", BOTH, { 0, TIOCSTI | HIGH }, PERM },
	{ "ioctl", BOTH, { 0, TIOCLINUX }, PERM },
	{ "ioctl", BOTH, { 0, TCGETS | HIGH }, PERM },
	{ "ioctl", BOTH, { 0, TCSETS }, PERM },
	{ "ioctl", BOTH, { 0, FIOASYNC }, PERM },
	{ "madvise", BOTH, { 0, 0, MADV_NORMAL }, ALLOW },
	{ "madvise", BOTH, { 0, 0, MADV_DONTNEED }, ALLOW },
	{ "madvise", BOTH, { 0, 0, MADV_DONTNEED + 1 }, PERM },
	{ "madvise", BOTH, { 0, 0, MADV_DONTNEED | HIGH }, PERM },
	{ "madvise", BOTH, { 0, 0, MADV_FREE }, ALLOW },
	{ "madvise", BOTH, { 0, 0, MADV_FREE - 1 }, PERM },
	{ "madvise", BOTH, { 0, 0, MADV_REMOVE }, PERM },
	{ "madvise", BOTH, { 0, 0, MADV_DONTFORK }, PERM },
	{ "madvise", BOTH, { 0, 0, MADV_MERGEABLE }, PERM },
	{ "madvise", BOTH, { 0, 0, MADV_UNMERGEABLE }, PERM },
	{ "madvise", BOTH, { 0, 0, MADV_HUGEPAGE }, ALLOW },
	{ "madvise", BOTH, { 0, 0, MADV_NOHUGEPAGE }, ALLOW },
	{ "madvise", BOTH, { 0, 0, MADV_DONTDUMP }, PERM },
	{ "madvise", BOTH, { 0, 0, MADV_COLD }, PERM },
	{ "madvise", BOTH, { 0, 0, MADV_PAGEOUT }, PERM },
	{ "madvise", BOTH, { 0, 0, MADV_HWPOISON }, PERM },
	{ "madvise", BOTH, { 0, 0, 101 }, PERM },
	{ "madvise", BOTH, { 0, 0, 101 }, PERM },
	{ "madvise", BOTH, { 0, 0, 102 }, ALLOW }, /* a guard, and its removal */
	{ "madvise", BOTH, { 0, 0, 103 }, ALLOW },
	{ "madvise", BOTH, { 0, 0, 104 }, PERM },
	{ "mmap", BOTH, { 0, 1, FREE_RW, ANON }, ALLOW },
	{ "mmap", BOTH, { 0, 1, PROT_NONE, ANON | MAP_NORESERVE }, ALLOW },
	{ "mmap", BOTH, { 0, 1, FREE_RW, ANON | MAP_STACK | MAP_FIXED }, ALLOW },
	{ "mmap", BOTH, { 0, 1, PROT_READ, MAP_PRIVATE }, ALLOW },
	{ "mmap", FILES, { 0, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE }, ALLOW },
	{ "mmap", FILES, { 0, 1, PROT_EXEC, ANON }, ALLOW },
	{ "mmap", BOTH, { 0, 1, PROT_WRITE | PROT_EXEC, MAP_PRIVATE }, PERM },
	{ "mmap", BOTH | JIT, { 0, 1, FREE_RW | PROT_EXEC, ANON }, PERM },
	{ "mmap", BOTH | JIT, { 0, 1, FREE_RW | PROT_EXEC, ANON | MAP_FIXED | MAP_NORESERVE }, PERM },
	{ "mmap", BOTH, { 0, 1, FREE_RW | PROT_EXEC, ANON | MAP_HUGETLB }, PERM },
	{ "mmap", BOTH, { 0, 1, FREE_RW | PROT_EXEC, MAP_PRIVATE }, PERM }, /* of a file */
	{ "mmap", BOTH, { 0, 1, FREE_RW | PROT_EXEC, MAP_SHARED }, PERM },
	{ "mmap", BOTH, { 0, 1, FREE_RW | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS }, PERM },
	{ "mmap", BOTH, { 0, 1, FREE_RW | PROT_EXEC | HIGH, ANON }, PERM },
	{ "mmap", BOTH, { 0, 1, FREE_RW, ANON | MAP_HUGETLB }, PERM },
	{ "mmap", BOTH, { 0, 1, PROT_EXEC, MAP_PRIVATE | MAP_HUGETLB }, PERM },
	{ "mmap", FILES, { 0, 1, FREE_RW, MAP_SHARED }, ALLOW },
	{ "mmap", BOTH, { 0, 1, FREE_RW, MAP_SHARED | MAP_ANONYMOUS }, PERM },
	{ "mmap", BOTH, { 0, 1, FREE_RW, MAP_SHARED | MAP_ANONYMOUS | HIGH }, PERM },
	{ "mmap", BOTH, { 0, 1, PROT_READ | PROT_EXEC, MAP_SHARED }, PERM },
	{ "mmap", BOTH, { 0, 1, FREE_RW, MAP_SHARED | MAP_HUGETLB }, PERM },
	{ "mmap", BOTH, { 0, 1, FREE_RW, MAP_ANONYMOUS }, PERM },
	{ "mmap", BOTH, { 0, 1, FREE_RW, MAP_SHARED_VALIDATE }, PERM },
	{ "mmap", BOTH, { 0, 1, FREE_RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS }, PERM },
	{ "mmap", BOTH, { 0, 1, FREE_RW, 8 | MAP_ANONYMOUS }, PERM }, /* MAP_DROPPABLE */
	{ "mprotect", BOTH, { 0, 1, FREE_RW }, ALLOW },
	{ "mprotect", BOTH, { 0, 1, PROT_NONE }, ALLOW },
	{ "mprotect", BOTH | JIT, { 0, 1, PROT_EXEC }, PERM },
	{ "mprotect", BOTH | JIT, { 0, 1, PROT_READ | PROT_EXEC }, PERM },
	{ "mprotect", BOTH | JIT, { 0, 1, FREE_RW | PROT_EXEC }, PERM },
	{ "mprotect", BOTH, { 0, 1, PROT_EXEC | PROT_GROWSDOWN }, PERM },
	{ "mprotect", BOTH, { 0, 1, FREE_RW | PROT_EXEC | HIGH }, PERM },
	{ "clone", BOTH, { OF_GLIBC }, ALLOW },
	{ "clone", BOTH, { OF_GLIBC | SIGCHLD }, ALLOW },
	{ "clone", FILES, { SIGCHLD }, ALLOW },
	{ "clone", FILES, { CLONE_VM | CLONE_VFORK | SIGCHLD }, ALLOW },
	{ "clone", FILES, { CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD }, ALLOW },
	{ "clone", FILES, { CLONE_VM | CLONE_SIGHAND }, ALLOW },
	{ "clone", FILES, { CLONE_PIDFD | SIGCHLD }, ALLOW },
	{ "clone", BOTH, { THREAD | CLONE_FILES }, ALLOW },
	{ "clone", BOTH, { THREAD }, PERM }, /* a thread has no table of descriptors of its own */
	{ "clone", BOTH, { SIGXFSZ }, PERM },
	{ "clone", BOTH, { CLONE_VM | SIGUSR1 }, PERM },
	{ "clone", FILES, { OF_GLIBC | CLONE_PIDFD }, ALLOW },
	{ "futex", BOTH, { 0, FUTEX_WAIT }, ALLOW },
	{ "futex", BOTH, { 0, FUTEX_WAIT_PRIVATE }, ALLOW },
	{ "futex", BOTH, { 0, FUTEX_WAKE_PRIVATE }, ALLOW },
	{ "futex", BOTH, { 0, FUTEX_FD }, PERM },
	{ "futex", BOTH, { 0, FUTEX_REQUEUE_PRIVATE }, ALLOW },
	{ "futex", BOTH, { 0, FUTEX_CMP_REQUEUE_PRIVATE }, ALLOW },
	{ "futex", BOTH, { 0, FUTEX_WAKE_OP_PRIVATE }, ALLOW },
	{ "futex", BOTH, { 0, FUTEX_LOCK_PI }, NOSYS },
	{ "futex", BOTH, { 0, FUTEX_LOCK_PI_PRIVATE }, NOSYS },
	{ "futex", BOTH, { 0, FUTEX_UNLOCK_PI }, NOSYS },
	{ "futex", BOTH, { 0, FUTEX_UNLOCK_PI_PRIVATE | FUTEX_CLOCK_REALTIME }, NOSYS },
	{ "futex", BOTH, { 0, FUTEX_TRYLOCK_PI_PRIVATE }, PERM },
	{ "futex", BOTH, { 0, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME }, ALLOW },
	{ "futex", BOTH, { 0, FUTEX_WAKE_BITSET_PRIVATE }, ALLOW },
	{ "futex", BOTH, { 0, FUTEX_WAIT_REQUEUE_PI_PRIVATE }, PERM },
	{ "futex", BOTH, { 0, FUTEX_CMP_REQUEUE_PI_PRIVATE }, PERM },
	{ "futex", BOTH, { 0, FUTEX_LOCK_PI2_PRIVATE }, PERM },
	{ "futex", BOTH, { 0, 14 }, PERM },
	{ "futex", BOTH, { 0, 64 }, PERM },
	{ "futex", BOTH, { 0, 512 }, PERM },
	{ "futex", BOTH, { 0, FUTEX_WAIT_PRIVATE | HIGH }, ALLOW }, /* it reads 32 bits */
	{ "futex", BOTH, { 0, FUTEX_CMP_REQUEUE_PI | HIGH }, PERM },
	{ "sched_getaffinity", BOTH, { 0 }, ALLOW },
	{ "sched_getaffinity", BOTH, { PID }, ALLOW },
	{ "sched_getaffinity", FILES, { 1 }, ALLOW },
	{ "sched_getaffinity", FILES, { PID + 1 }, ALLOW },
	{ "sched_getaffinity", FILES, { PID | HIGH }, ALLOW },
	{ "arch_prctl", BOTH, { 0x1002 /* ARCH_SET_FS */ }, ALLOW },
	{ "arch_prctl", BOTH, { 0x1003 /* ARCH_GET_FS */ }, ALLOW },
	{ "arch_prctl", BOTH, { 0x1001 /* ARCH_SET_GS */ }, PERM },
	{ "arch_prctl", BOTH, { 0x1012 /* ARCH_SET_CPUID */ }, PERM },
	{ "arch_prctl", BOTH, { 0x1023 /* ARCH_REQ_XCOMP_PERM */ }, PERM },
	{ "arch_prctl", BOTH, { 0x1002 | HIGH }, PERM },
	{ "prctl", BOTH, { PR_SET_NAME }, ALLOW },
	{ "prctl", BOTH, { PR_GET_NAME }, ALLOW },
	{ "prctl", BOTH, { PR_GET_NAME + 1 }, PERM },
	{ "prctl", BOTH, { PR_SET_NAME | HIGH }, PERM },
	{ "prctl", BOTH, { PR_SET_PDEATHSIG }, PERM },
	{ "prctl", BOTH, { PR_SET_DUMPABLE, 1 }, PERM },
	{ "prctl", BOTH, { PR_SET_SECCOMP }, PERM },
	{ "prctl", BOTH, { PR_SET_MM }, PERM },
	{ "prctl", BOTH, { PR_SET_PTRACER }, PERM },
	{ "prctl", BOTH, { PR_SET_TIMERSLACK }, PERM },
	{ "prctl", BOTH, { 0x53564d41 /* PR_SET_VMA */ }, PERM },
	{ "tgkill", BOTH, { PID, 1, SIGABRT }, ALLOW },
	{ "tgkill", FILES, { PID + 1, 1, SIGABRT }, ALLOW },
	{ "tgkill", FILES, { PID | HIGH, 1, SIGABRT }, ALLOW },
	{ "tgkill", FILES, { FILTER_SELF, 1, SIGABRT }, ALLOW },
	{ "tgkill", FILES, { 0 }, ALLOW },
	{ "tkill", BOTH, { PID, SIGABRT }, ALLOW },
	{ "tkill", ROOT | FILES, { 1, SIGABRT }, ALLOW },
	{ "tkill", ROOT | FILES, { PID | HIGH, SIGABRT }, ALLOW },
	{ "tkill", BOTH, { PID, 33 }, ALLOW },
	{ "tkill", BOTH, { PID, SIGXFSZ }, PERM },
	{ "tkill", BOTH, { PID, SIGSYS }, PERM },
	{ "tkill", BOTH, { PID, SIGSYS | HIGH }, PERM },
	{ "tgkill", BOTH, { PID, 1, SIGXCPU }, ALLOW },
	{ "tgkill", BOTH, { PID, 1, 32 }, ALLOW },
	{ "tgkill", BOTH, { PID, 1, SIGXFSZ }, PERM },
	{ "tgkill", BOTH, { PID, 1, SIGXFSZ | HIGH }, PERM },
	{ "tgkill", BOTH, { PID, 1, SIGSYS }, PERM },
	{ "tgkill", FILES, { PID, 1, SIGPROF }, ALLOW },
	{ "kill", FILES, { 1, 0 }, ALLOW },
	{ "kill", FILES, { PID, SIGKILL }, ALLOW },
	{ "kill", FILES, { PID, SIGWINCH }, ALLOW },
	{ "kill", FILES, { PID, 34 }, ALLOW },
	{ "kill", BOTH, { PID, SIGXFSZ }, PERM },
	{ "kill", BOTH, { PID, SIGSYS }, PERM },
	{ "kill", BOTH, { PID, SIGSYS | HIGH }, PERM },
	{ "execveat", BOTH, { 3, 0, 0, 0, AT_EMPTY_PATH }, ALLOW },
	{ "execveat", BOTH, { 3, 0, 0, 0, 0 }, PERM },
	{ "execveat", BOTH, { 3, 0, 0, 0, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW }, PERM },
	{ "execveat", BOTH, { 4, 0, 0, 0, AT_EMPTY_PATH }, PERM },
	{ "execveat", BOTH, { 3 | HIGH, 0, 0, 0, AT_EMPTY_PATH }, PERM },
	{ "execveat", BOTH, { (uint64_t)AT_FDCWD, 0, 0, 0, AT_EMPTY_PATH }, PERM },
	{ "clock_gettime", BOTH, { 0 }, ALLOW },
	{ "clock_gettime", BOTH, { 11 }, ALLOW },
	{ "clock_gettime", FILES, { 12 }, ALLOW },
	{ "clock_gettime", FILES, { (uint64_t)-6 }, ALLOW },
	{ "clock_gettime", FILES, { 0xfffffffa }, ALLOW },
	{ "clock_gettime", FILES, { 1 | HIGH }, ALLOW },
	{ "clock_getres", BOTH, { 11 }, ALLOW },
	{ "clock_getres", FILES, { 12 }, ALLOW },
	{ "clock_getres", FILES, { (uint64_t)-6 }, ALLOW },
	{ "clock_nanosleep", BOTH, { 11 }, ALLOW },
	{ "clock_nanosleep", FILES, { 12 }, ALLOW },
	{ "clock_nanosleep", FILES, { (uint64_t)-6 }, ALLOW },
	{ "prlimit64", BOTH, { 0, 7, 0, 1 }, ALLOW },
	{ "prlimit64", BOTH, { 0, 7, 1, 0 }, PERM },
	{ "prlimit64", BOTH, { 0, 7, HIGH, 0 }, PERM },
	{ "prlimit64", BOTH, { 1, 7, 0, 1 }, PERM },
	{ "prlimit64", BOTH, { HIGH, 7, 0, 1 }, PERM },
	{ "mknodat", FILES, { 0, 0, S_IFIFO | 0666 }, ALLOW },
	{ "mknodat", BOTH, { 0, 0, S_IFREG | 0666 }, PERM },
	{ "mknodat", BOTH, { 0, 0, S_IFCHR | 0666 }, PERM },
	{ "mknodat", BOTH, { 0, 0, S_IFBLK | 0666 }, PERM },
	{ "mknodat", BOTH, { 0, 0, S_IFSOCK | 0666 }, PERM },
	{ "mknodat", BOTH, { 0, 0, 0666 }, PERM },
	{ "chmod", FILES, { 0, 0777 }, ALLOW },
	{ "chmod", BOTH, { 0, 04755 }, PERM },
	{ "chmod", BOTH, { 0, 02755 }, PERM },
	{ "chmod", BOTH, { 0, 01755 | HIGH }, PERM },
	{ "fchmod", FILES, { 1, 0777 }, ALLOW },
	{ "fchmod", BOTH, { 1, 04755 }, PERM },
	{ "fchmodat", FILES, { 1, 0, 0777 }, ALLOW },
	{ "fchmodat", BOTH, { 1, 0, 04755 }, PERM },
	{ "socketpair", FILES, { AF_UNIX, SOCK_STREAM }, ALLOW },
	{ "socketpair", BOTH, { AF_INET, SOCK_STREAM }, PERM },
	{ "socketpair", BOTH, { AF_VSOCK, SOCK_STREAM }, PERM },
	{ "socketpair", BOTH, { AF_UNIX | HIGH, SOCK_STREAM }, PERM },
};
/* clang-format on */

static const struct plain *find(
	const struct plain *list, size_t n, const struct arch *a, int v, int nr)
{
	for (size_t i = 0; i < n; i++) {
		if ((list[i].who & who_of(v)) && number(a, list[i].call) == nr)
			return &list[i];
	}
	return NULL;
}

static const uint64_t zeros[6];
static const uint64_t ones[6] = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
	UINT64_MAX };

/* --- claims --- */

static void a_plain_call_is_decided_by_its_number(void **state)
{
	(void)state;
	EACH_CODE(a, v) for (size_t i = 0; i < LEN(plain); i++)
	{
		if (!(plain[i].who & who_of(v)) || number(a, plain[i].call) < 0)
			continue;
		gives(a, v, number(a, plain[i].call), zeros, plain[i].want);
		gives(a, v, number(a, plain[i].call), ones, plain[i].want);
	}
}

static void what_is_in_no_list_is_refused(void **state)
{
	static const int huge[] = { 601, 1023, 1024, 65535, 65536, 0x3fffffff };

	(void)state;
	EACH_CODE(a, v)
	{
		for (int nr = 0; nr < NUMBERS; nr++) {
			if (find(plain, LEN(plain), a, v, nr) ||
				find(tested, LEN(tested), a, v, nr))
				continue;
			gives(a, v, nr, zeros, PERM);
			gives(a, v, nr, ones, PERM);
		}
		for (size_t i = 0; i < LEN(huge); i++)
			gives(a, v, huge[i], zeros, PERM);
		gives(a, v, -1, zeros, PERM);
	}
}

static void arguments_decide_where_they_must(void **state)
{
	(void)state;
	EACH_CODE(a, v) for (size_t i = 0; i < LEN(trials); i++)
	{
		const struct trial *t = &trials[i];

		if (number(a, t->call) >= 0)
			gives(a, v, number(a, t->call), t->args,
				jit(v) && t->who & JIT ? ALLOW
				: t->who & who_of(v)   ? t->want
						       : PERM);
	}
}

/* A trial that nothing expects anything else from proves little: each call has both. */
static void every_tested_call_is_tried_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(tested); i++) {
		bool yes = strcmp(tested[i].call, "getrandom") == 0, no = yes;

		for (size_t k = 0; k < LEN(trials); k++) {
			if (strcmp(trials[k].call, tested[i].call) != 0)
				continue;
			yes |= (trials[k].who & tested[i].who) && trials[k].want == ALLOW;
			no |= trials[k].want != ALLOW || (tested[i].who & ~trials[k].who);
		}
		if (!yes || !no)
			fail_msg("%s", tested[i].call);
	}
}

static void no_thread_and_no_process_gets_a_namespace(void **state)
{
	static const uint64_t never[] = { CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNS, CLONE_NEWNET,
		CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP, CLONE_PTRACE, CLONE_UNTRACED,
		CLONE_PARENT };

	(void)state;
	EACH_CODE(a, v) for (size_t i = 0; i < LEN(never); i++)
	{
		int nr = number(a, "clone");

		gives(a, v, nr, (uint64_t[6]){ OF_GLIBC | never[i] }, PERM);
		gives(a, v, nr, (uint64_t[6]){ OF_GLIBC | never[i] | HIGH }, PERM);
		gives(a, v, nr, (uint64_t[6]){ SIGCHLD | never[i] }, PERM);
		gives(a, v, nr, (uint64_t[6]){ never[i] }, PERM);
	}
}

static void compute_makes_threads_and_nothing_else(void **state)
{
	static const uint64_t other[] = { 0, SIGCHLD, CLONE_VM, CLONE_VM | CLONE_VFORK | SIGCHLD,
		CLONE_VM | CLONE_SIGHAND, CLONE_SIGHAND | CLONE_THREAD, CLONE_VM | CLONE_THREAD,
		OF_GLIBC | CLONE_PIDFD, THREAD << 8 };

	(void)state;
	EACH_CODE(a, v)
	for (size_t i = 0; i < LEN(other) && who_of(v) != FILES; i++)
		gives(a, v, number(a, "clone"), (uint64_t[6]){ other[i] }, PERM);
}

static void chance_is_asked_for_when_there_is_a_seed(void **state)
{
	(void)state;
	EACH_CODE(a, v)
	{
		gives(a, v, number(a, "getrandom"), zeros, seeded(v) ? NOTIFY : ALLOW);
		gives(a, v, number(a, "getrandom"), ones, seeded(v) ? NOTIFY : ALLOW);
	}
}

static void a_seed_changes_nothing_else(void **state)
{
	(void)state;
	EACH_CODE(a, v)
	{
		int plainly = who_of(v) == FILES ? FILTER_VARIANT_FILES + 2 * jit(v) : v & 1;
		struct seccomp_data d = { .arch = a->token };

		for (d.nr = 0; d.nr < NUMBERS; d.nr++) {
			if (d.nr != number(a, "getrandom"))
				gives(a, v, d.nr, zeros, decide(make(a, plainly), &d));
		}
	}
}

static void a_foreign_call_is_killed(void **state)
{
	static const uint32_t foreign[] = { AUDIT_ARCH_I386, AUDIT_ARCH_ARM, AUDIT_ARCH_X86_64,
		AUDIT_ARCH_AARCH64, AUDIT_ARCH_RISCV64, 0, UINT32_MAX };

	(void)state;
	EACH_CODE(a, v)
	{
		for (size_t i = 0; i < LEN(foreign); i++) {
			struct arch as = { foreign[i], a->codes };

			for (int nr = 0; foreign[i] != a->token && nr < NUMBERS; nr++)
				gives(&as, v, nr, zeros, KILL);
		}
	}
}

static void the_x32_convention_is_killed(void **state)
{
	(void)state;
	for (int v = 0; v < FILTER_VARIANTS; v++) {
		for (int nr = 0; nr < NUMBERS; nr++)
			gives(&arches[0], v, 0x40000000 + nr, zeros, KILL);
		gives(&arches[0], v, INT32_MAX, zeros, KILL);
		gives(&arches[0], v, INT32_MIN, zeros, KILL);
		gives(&arches[0], v, -2, zeros, KILL);
	}
}

/* A call counts when there are arguments with which it is not refused. */
static bool reachable(const struct arch *a, int v, int nr)
{
	const struct plain *p = find(plain, LEN(plain), a, v, nr);

	return (p && p->want == ALLOW) || find(tested, LEN(tested), a, v, nr);
}

static void the_surface_is_small(void **state)
{
	(void)state;
	EACH_CODE(a, v)
	{
		const struct filter_code *c = &a->codes[v];
		int n = 0;

		for (int nr = 0; nr < NUMBERS; nr++)
			n += reachable(a, v, nr);
		assert_int_equal(n, c->n_reach);
		for (int i = 0; i < c->n_reach; i++)
			assert_true(reachable(a, v, c->reach[i]));
		assert_true(n <= (who_of(v) == FILES ? FILES_MOST : COMPUTE_MOST));
		printf("arch %#x variant %d: %d calls, %d instructions\n", a->token, v, n, c->n);
	}
}

static size_t count(const struct sock_filter *code, size_t n, uint32_t k)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += code[i].code == (BPF_JMP | BPF_JEQ | BPF_K) && code[i].k == k;
	return found;
}

/* Only arguments of two calls; no call more. */
static void the_bit_jit_adds_no_call(void **state)
{
	(void)state;
	for (const struct arch *a = arches; a < arches + LEN(arches); a++) {
		for (int v = FILTER_VARIANT_FILES; v < FILTER_VARIANT_FILES + 2; v++) {
			const struct filter_code *without = &a->codes[v], *with = &a->codes[v + 2];

			assert_int_equal(without->n_reach, with->n_reach);
			assert_memory_equal(without->reach, with->reach,
				with->n_reach * sizeof(with->reach[0]));
		}
	}
}

/* In sched_getaffinity's test and in those of tgkill and tkill. Arguments have 64 bits; the
 * high half is compared with 0, the low with the pid. */
static void its_own_pid_stands_where_it_must(void **state)
{
	(void)state;
	EACH_CODE(a, v)
	{
		const struct filter_code *c = &a->codes[v];
		size_t anywhere = 0;

		for (size_t i = 0; i < c->n; i++)
			anywhere += c->code[i].k == FILTER_SELF;
		assert_true(who_of(v) == FILES ? anywhere == 0 : anywhere >= 2);
		assert_int_equal(count(c->code, c->n, FILTER_SELF), anywhere);
		assert_int_equal(count(c->code, c->n, PID), 0);
	}
}

static void only_it_is_signalled_and_asked_about(void **state)
{
	static const char *const calls[] = { "tgkill", "tkill", "sched_getaffinity" };
	static const uint64_t others[] = { 1, PID - 1, PID + 1, PID | HIGH, FILTER_SELF,
		(uint64_t)-PID, UINT32_MAX, UINT64_MAX };

	(void)state;
	EACH_CODE(a, v) for (size_t c = 0; c < LEN(calls) && who_of(v) != FILES; c++)
	{
		if (who_of(v) == ROOT && strcmp(calls[c], "tkill") == 0)
			continue;
		gives(a, v, number(a, calls[c]), (uint64_t[6]){ PID }, ALLOW);
		for (size_t i = 0; i < LEN(others); i++)
			gives(a, v, number(a, calls[c]), (uint64_t[6]){ others[i] }, PERM);
	}
}

static void what_is_made_is_the_plans_code_with_its_pid(void **state)
{
	const struct arch *here = HERE == arches[0].token ? &arches[0] : &arches[1];
	static struct filter f;

	(void)state;
	for (int v = 0; v < FILTER_VARIANTS; v++) {
		struct filter_plan plan = plan_of(v, PID);

		errno = 77;
		filter_make(&f, &plan);
		assert_int_equal(errno, 77);
		assert_int_equal(f.n, here->codes[v].n);
		assert_memory_equal(f.code, make(here, v)->code, f.n * sizeof(f.code[0]));
		assert_true(filter_lists(&plan, SYS_read));
		assert_false(filter_lists(&plan, SYS_ptrace));
		assert_false(filter_lists(&plan, -1));
	}
}

/* As the kernel's own check does: all jumps stay inside, it ends in a return. */
static void the_kernel_will_take_it(void **state)
{
	(void)state;
	EACH_CODE(a, v)
	{
		const struct filter *f = make(a, v);

		assert_in_range(f->n, 1, FILTER_MAX);
		assert_int_equal(BPF_CLASS(f->code[f->n - 1].code), BPF_RET);
		for (unsigned i = 0; i < f->n; i++) {
			const struct sock_filter *c = &f->code[i];

			if (BPF_CLASS(c->code) == BPF_JMP && BPF_OP(c->code) != BPF_JA)
				assert_true(i + 1 + (c->jt > c->jf ? c->jt : c->jf) < f->n);
			if (c->code == (BPF_JMP | BPF_JA))
				assert_true(c->k < f->n - i - 1u);
		}
	}
}

/* --- bound, for ever --- */

static void in_a_child(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		fn();
		raw1(SYS_exit_group, 99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("the child ended with %#x", status);
}

static long bind_plan(bool with_seed, int *listener)
{
	const struct filter_plan plan = { BOX_COMPUTE, true, with_seed, (pid_t)raw0(SYS_getpid),
		false };
	static struct filter f;

	if (raw5(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	filter_make(&f, &plan);
	return filter_bind(&f, with_seed, listener);
}

static void bind_and_try(void)
{
	int listener = 7;
	long rc = bind_plan(false, &listener);

	if (rc || listener != -1)
		raw1(SYS_exit_group, 1);
	if (raw0(SYS_getppid) != -EPERM || raw2(SYS_clone3, 0, 0) != -ENOSYS)
		raw1(SYS_exit_group, 2);
	if (raw0(SYS_getpid) <= 0 || raw3(SYS_getrandom, (long)(uintptr_t)&listener, 4, 0) != 4)
		raw1(SYS_exit_group, 3);
	raw1(SYS_exit_group, 0);
}

static void bind_without_the_right(void)
{
	static struct filter f; /* no code: the kernel refuses it */
	int listener = 7, before = errno = 55;

	raw1(SYS_exit_group,
		filter_bind(&f, false, &listener) != -EINVAL || listener != -1 || errno != before);
}

static void a_bound_process_is_bound(void **state)
{
	(void)state;
	in_a_child(bind_and_try);
	in_a_child(bind_without_the_right);
}

/* The child shares our descriptors, so its listener is ours too. */
static _Noreturn void ask_for_chance(int told)
{
	int listener, got = 0;
	long rc = bind_plan(true, &listener);

	if (rc || listener < 0)
		raw1(SYS_exit_group, 1);
	if (raw3(SYS_write, told, (long)(uintptr_t)&listener, sizeof(listener)) < 0)
		raw1(SYS_exit_group, 3);
	rc = raw3(SYS_getrandom, (long)(uintptr_t)&got, sizeof(got), 0);
	raw1(SYS_exit_group, rc == 3 ? 0 : 2);
	__builtin_unreachable();
}

static void answer(int listener)
{
	struct seccomp_notif ask = { 0 };
	struct seccomp_notif_resp say = { 0 };

	assert_int_equal(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &ask), 0);
	assert_int_equal(ask.data.nr, SYS_getrandom);
	say.id = ask.id;
	say.val = 3;
	assert_int_equal(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &say), 0);
}

static void who_listens_answers_for_chance(void **state)
{
	int told[2], listener, status;
	long pid;

	(void)state;
	assert_int_equal(pipe(told), 0);
	pid = raw5(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	assert_true(pid >= 0);
	if (pid == 0)
		ask_for_chance(told[1]);
	assert_int_equal(poll(&(struct pollfd){ told[0], POLLIN, 0 }, 1, PATIENCE_MS), 1);
	assert_int_equal(read(told[0], &listener, sizeof(listener)), sizeof(listener));
	answer(listener);
	assert_int_equal(waitpid((pid_t)pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(listener);
	close(told[0]);
	close(told[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_call_is_decided_by_its_number),
		cmocka_unit_test(what_is_in_no_list_is_refused),
		cmocka_unit_test(arguments_decide_where_they_must),
		cmocka_unit_test(every_tested_call_is_tried_both_ways),
		cmocka_unit_test(no_thread_and_no_process_gets_a_namespace),
		cmocka_unit_test(compute_makes_threads_and_nothing_else),
		cmocka_unit_test(chance_is_asked_for_when_there_is_a_seed),
		cmocka_unit_test(a_seed_changes_nothing_else),
		cmocka_unit_test(a_foreign_call_is_killed),
		cmocka_unit_test(the_x32_convention_is_killed),
		cmocka_unit_test(the_surface_is_small),
		cmocka_unit_test(the_bit_jit_adds_no_call),
		cmocka_unit_test(its_own_pid_stands_where_it_must),
		cmocka_unit_test(only_it_is_signalled_and_asked_about),
		cmocka_unit_test(what_is_made_is_the_plans_code_with_its_pid),
		cmocka_unit_test(the_kernel_will_take_it),
		cmocka_unit_test(a_bound_process_is_bound),
		cmocka_unit_test(who_listens_answers_for_chance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
