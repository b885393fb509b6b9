/* SPDX-License-Identifier: Apache-2.0
 *
 * surface.c: makes every system call there is, from inside a box, and prints those that are not refused
 * (EPERM, ENOSYS, EOPNOTSUPP). Outside a box this would do harm.
 *
 *	surface numbers         a line for each number that is let through
 *	surface arguments       "CALL VALUE" for each value of a tested argument that is let through
 *	surface odd             numbers that no table has
 *	surface foreign HOW N   call N by another convention: i386, entry, compat, x32; "own": by no other.
 *	                        It ends it
 *
 * numbers: first with all arguments -1: no such descriptor, pointer or flag. What the filter lets
 * through by its arguments is tried again with good ones; what does not come back is shown by its use.
 * arguments: the others are such that the kernel itself does nothing, and does not say EPERM.
 */
#define _GNU_SOURCE
#include "sandbox/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define NUMBERS 1024
#define TICK_US 10000

/* x86-64's uretprobe (Linux 6.11) and uprobe (6.18) are for a trampoline that the kernel maps where a
 * tracer of the host has put a probe. kernel/seccomp.c lets them pass before any filter is asked
 * (uretprobe since 6.14 and stable kernels of that time, uprobe since it exists). Called from elsewhere
 * they do nothing: uretprobe raises SIGILL, uprobe gives ENXIO (EPROTO in later ones). So they are not
 * policy.h's to grant or to refuse; `numbers` prints what they did: "probe NUMBER SIGNAL ERRNO". */
#define PROBE_FIRST 335
#define PROBE_LAST 336

static char reached[NUMBERS], room[4096];
static volatile sig_atomic_t rang;

static void note(long nr, long rc)
{
	if (rc != -EPERM && rc != -ENOSYS && rc != -EOPNOTSUPP) /* the filter's three words */
		reached[nr] = 1;
}

static void ring(int sig)
{
	(void)sig;
	rang = 1;
}

static void *nothing(void *arg)
{
	return arg;
}

/* A thread comes (clone) and goes (exit). */
static void by_thread(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, nothing, NULL) == 0 && pthread_join(t, NULL) == 0)
		reached[SYS_clone] = reached[SYS_exit] = 1;
}

/* A handler returns (rt_sigreturn); the alarm keeps ringing, so pause comes back. */
static void by_signal(void)
{
	const struct itimerval every = { { 0, TICK_US }, { 0, TICK_US } }, none = { 0 };

	signal(SIGALRM, ring);
	if (setitimer(ITIMER_REAL, &every, NULL))
		return;
#ifdef SYS_pause
	note(SYS_pause, raw0(SYS_pause));
#endif
	while (!rang)
		raw0(SYS_sched_yield);
	setitimer(ITIMER_REAL, &none, NULL);
	reached[SYS_rt_sigreturn] = 1;
}

static void by_child(void)
{
#ifdef SYS_fork
	long pid = raw0(SYS_fork);

	if (pid == 0)
		raw1(SYS_exit_group, 0);
	note(SYS_fork, pid);
	pid = raw0(SYS_vfork);
	if (pid == 0)
		raw1(SYS_exit_group, 0);
	note(SYS_vfork, pid);
#endif
}

static int alone(long nr)
{
#ifdef __x86_64__
	if (nr >= PROBE_FIRST && nr <= PROBE_LAST)
		return 1;
#endif
	switch (nr) {
	case SYS_exit:
	case SYS_exit_group: /* that this program ends is its use */
	case SYS_rt_sigreturn:
	case SYS_clone:
#ifdef SYS_fork
	case SYS_fork:
	case SYS_vfork:
	case SYS_pause:
#endif
		return 1;
	default:
		return 0;
	}
}

#define AT(p) ((long)(uintptr_t)(p))

static void by_good_arguments(void)
{
	const long self = raw0(SYS_getpid);
	const long tries[][7] = {
		{ SYS_fcntl, 1, F_GETFD },
		{ SYS_ioctl, 0, TCGETS, AT(room) },
		{ SYS_madvise },
		{ SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1 },
		{ SYS_mprotect },
		{ SYS_futex, AT(room), FUTEX_WAKE },
#ifdef SYS_arch_prctl
		{ SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, AT(room) },
		{ SYS_chmod, -1 },
#endif
		{ SYS_prctl, PR_GET_NAME, AT(room) },
		{ SYS_execveat, 3, AT(""), 0, 0, AT_EMPTY_PATH },
		{ SYS_prlimit64, 0, 7, 0, AT(room) },
		{ SYS_newfstatat, 1, AT(""), AT(room), AT_EMPTY_PATH },
		{ SYS_sched_getaffinity, 0, sizeof(room), AT(room) },
		{ SYS_tgkill, self, self },
		{ SYS_tkill, self },
		{ SYS_kill, self },
		{ SYS_clock_gettime, 0, AT(room) },
		{ SYS_clock_getres, 0, AT(room) },
		{ SYS_clock_nanosleep, 0, 0, -1 },
		{ SYS_mknodat, -1, -1, S_IFIFO },
		{ SYS_fchmod, -1 },
		{ SYS_fchmodat, -1, -1 },
		{ SYS_socketpair, AF_UNIX, -1, -1, -1 },
	};

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		const long *t = tries[i];

		note(t[0], raw6(t[0], t[1], t[2], t[3], t[4], t[5], t[6]));
	}
}

#ifdef __x86_64__
static sigjmp_buf back;

static void jump(int sig)
{
	siglongjmp(back, sig);
}

static void probes(void)
{
	signal(SIGILL, jump);
	for (volatile int nr = PROBE_FIRST; nr <= PROBE_LAST; nr++) {
		int sig = sigsetjmp(back, 1);

		printf("probe %d %d %ld\n", nr, sig, sig ? 0 : -raw6(nr, -1, -1, -1, -1, -1, -1));
	}
}
#else
static void probes(void)
{
}
#endif

static void numbers(void)
{
	by_thread();
	by_signal();
	by_child();
	by_good_arguments();
	for (long nr = 0; nr < NUMBERS; nr++) {
		if (!alone(nr))
			note(nr, raw6(nr, -1, -1, -1, -1, -1, -1));
	}
	reached[SYS_exit_group] = 1;
	for (int nr = 0; nr < NUMBERS; nr++) {
		if (reached[nr])
			printf("%d\n", nr);
	}
	probes();
}

/* --- arguments ----------------------------------------------------------------------------- */

static void tell(const char *call, unsigned long value, long rc)
{
	if (rc != -EPERM && rc != -ENOSYS)
		printf("%s %lx\n", call, value);
}

static void descriptor_commands(void)
{
	static const unsigned sizes[] = { 0, 1, 2, 4, 8, 16, 44, 60 };

	for (long i = 0; i < 2048; i++)
		tell("fcntl", i, raw3(SYS_fcntl, -1, i, 0));
	for (long i = 0; i < 65536; i++)
		tell("ioctl", i, raw3(SYS_ioctl, -1, i, 0));
	for (unsigned long direction = 1; direction < 4; direction++) {
		for (size_t n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++) {
			for (unsigned long i = 0; i < 65536; i++) {
				unsigned long request = direction << 30 | sizes[n] << 16 | i;

				tell("ioctl", request, raw3(SYS_ioctl, -1, (long)request, 0));
			}
		}
	}
	for (int high = 32; high < 63; high++)
		tell("ioctl", 1ul << high | TCGETS,
			raw3(SYS_ioctl, -1, (long)(1ul << high | TCGETS), 0));
}

static void sockets(void)
{
	for (long family = 0; family < 64; family++) {
		for (long type = 0; type < 16; type++)
			tell("socket", (unsigned long)family, raw3(SYS_socket, family, type, 0));
		tell("socketpair", (unsigned long)family, raw4(SYS_socketpair, family, 1, 0, -1));
	}
}

static void own_process(void)
{
	for (long i = 0; i < 256; i++)
		tell("prctl", i, raw5(SYS_prctl, i, -1, -1, -1, -1));
	tell("prctl", 0x53564d41, raw5(SYS_prctl, 0x53564d41, -1, -1, -1, -1)); /* PR_SET_VMA */
	tell("prctl", 0x59616d61, raw5(SYS_prctl, 0x59616d61, -1, -1, -1, -1)); /* PR_SET_PTRACER */
	for (long i = 0; i < 32; i++) {
		tell("prlimit64", i, raw4(SYS_prlimit64, 0, i, 0, AT(room)));
		tell("prlimit64-set", i, raw4(SYS_prlimit64, 0, i, -1, 0));
		tell("prlimit64-init", i, raw4(SYS_prlimit64, 1, i, 0, AT(room)));
	}
	for (long i = 0; i < 8; i++)
		tell("seccomp", i, raw3(SYS_seccomp, i, 0, 0));
	tell("personality", 0xffffffff, raw1(SYS_personality, 0xffffffff));
	tell("personality", 0x0040000, raw1(SYS_personality, 0x0040000));
	for (long i = -64; i < 16; i++)
		tell("clock_gettime", (unsigned long)i & 0xffffffff,
			raw2(SYS_clock_gettime, (int)i, AT(room)));
}

static void memory(void)
{
	for (long prot = 0; prot < 16; prot++) {
		tell("mprotect", prot, raw3(SYS_mprotect, 0, 0, prot));
		for (long type = 0; type < 16; type++) {
			for (int bit = 4; bit < 21; bit++) /* a length of 0 is EINVAL */
				tell("mmap", prot << 24 | 1 << bit | type,
					raw6(SYS_mmap, 0, 0, prot, 1 << bit | type, -1, 0));
		}
	}
	for (long i = 0; i < 256; i++)
		tell("madvise", i, raw3(SYS_madvise, 0, 0, i));
	for (long i = 0; i < 512; i++) /* no futex lies at an odd address */
		tell("futex", i, raw6(SYS_futex, 1, i, 0, 0, 0, 0));
}

#ifdef __x86_64__
static void thread_pointers(void)
{
	static const long from[] = { 0x1000, 0x2000, 0x3000, 0x4000, 0x5000 };
	unsigned long fs = 0;

	raw2(SYS_arch_prctl, 0x1003, AT(&fs));
	for (size_t n = 0; n < sizeof(from) / sizeof(from[0]); n++) {
		for (long i = 0; i < 64; i++)
			tell("arch_prctl", from[n] + i,
				raw2(SYS_arch_prctl, from[n] + i,
					from[n] + i == 0x1002 ? (long)fs : AT(room)));
	}
}

/* The child, thread or process, only exits: it may share all, even the stack's page. */
static long make_child(unsigned long flags)
{
	static char stack[8192];
	static int number;
	register long r10 __asm__("r10") = AT(&number), r8 __asm__("r8") = 0;
	long rc = SYS_clone;

	__asm__ volatile("syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n\t"
			 "mov %5, %%eax\n\txor %%edi, %%edi\n\tsyscall\n1:"
			 : "+a"(rc)
			 : "D"(flags), "S"(stack + sizeof(stack) - 64), "d"(&number), "r"(r10),
			 "i"(SYS_exit), "r"(r8)
			 : "rcx", "r11", "memory");
	return rc;
}

/* Each bit on top of a plain process and of a plain thread. */
static void children(void)
{
	const unsigned long thread = 0x10d00; /* CLONE_VM | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD */

	for (int bit = 8; bit < 32; bit++) {
		const unsigned long flag = 1ul << bit;
		const int odd = flag == 0x100 ? 0x10000 : 0x800; /* without CLONE_VM; EINVAL */

		tell("clone-process", flag, raw5(SYS_clone, (long)(flag | odd), 0, 0, 0, 0));
		if (flag & thread)
			tell("clone-without", flag, make_child(thread & ~flag));
		else if (flag != 0x200000 &&
			 flag != 0x1000000) /* nobody waits for these two writes */
			tell("clone-thread", flag, make_child(thread | flag));
		raw0(SYS_sched_yield);
	}
}
#else
static void thread_pointers(void)
{
}

static void children(void)
{
}
#endif

static void modes(void)
{
	for (int bit = 0; bit < 16; bit++) {
		tell("fchmod", 1ul << bit, raw2(SYS_fchmod, -1, 1 << bit));
		tell("fchmodat", 1ul << bit, raw3(SYS_fchmodat, -1, -1, 1 << bit));
		tell("mknodat", (unsigned long)bit << 12, raw4(SYS_mknodat, -1, -1, bit << 12, 0));
	}
}

static void arguments(void)
{
	descriptor_commands();
	sockets();
	own_process();
	memory();
	thread_pointers();
	children();
	modes();
}

/* --- what is in no table --------------------------------------------------------------------- */

static void odd(void)
{
	for (int bit = 10; bit < 30; bit++)
		tell("number", 1ul << bit, raw6(1l << bit, -1, -1, -1, -1, -1, -1));
	tell("number", ~0ul, raw6(-1, -1, -1, -1, -1, -1, -1)); /* the kernel's "no call" */
}

#ifdef __x86_64__
/* Into 32-bit code (segment 0x23) and there the old gate; this program lies below 4 GiB. */
static long by_compat(long nr)
{
	long rc = nr;

	__asm__ volatile(
		"mov %%rsp, %%r12\n\tsub $16, %%rsp\n\tlea 1f(%%rip), %%rcx\n\tmov %%rcx, "
		"(%%rsp)\n\t"
		"movl $0x23, 8(%%rsp)\n\tlretq\n\t.code32\n1:\tint $0x80\n\t"
		"ljmp $0x33, $2f\n\t.code64\n2:\tmov %%r12, %%rsp"
		: "+a"(rc)
		:
		: "rcx", "rdx", "rbx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "memory");
	return rc;
}

static void foreign(const char *how, long nr)
{
	long rc = nr;

	if (strcmp(how, "x32") == 0)
		rc = raw6(nr | 0x40000000, -1, -1, -1, -1, -1, -1);
	else if (strcmp(how, "own") == 0)
		rc = raw6(nr, -1, -1, -1, -1, -1, -1);
	else if (strcmp(how, "compat") == 0)
		rc = by_compat(nr);
	else if (strcmp(how, "i386") == 0)
		__asm__ volatile("int $0x80" : "+a"(rc) : "b"(-1), "c"(-1), "d"(-1) : "memory");
	else
		__asm__ volatile("mov %%rsp, %%rbp\n\tsysenter"
				 : "+a"(rc)
				 :
				 : "rbp", "rcx", "rdx", "memory");
	printf("came back: %ld\n", rc);
}
#else
static void foreign(const char *how, long nr)
{
	(void)how;
	(void)nr;
}
#endif

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "foreign") == 0 && argc == 4)
		foreign(argv[2], atol(argv[3]));
	else if (strcmp(what, "arguments") == 0)
		arguments();
	else if (strcmp(what, "odd") == 0)
		odd();
	else if (strcmp(what, "numbers") == 0)
		numbers();
	else
		return 2;
	puts("done");
	return 0;
}
