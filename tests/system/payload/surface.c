/* SPDX-License-Identifier: Apache-2.0
 *
 * surface.c: makes every system call there is, from inside a box, and prints the numbers of those that
 * are not refused (EPERM, ENOSYS). Outside a box this would do harm.
 *
 * First with all arguments -1: no such descriptor, pointer or flag. What the filter lets through by
 * its arguments is tried again with good ones; what does not come back is shown by its use.
 */
#define _GNU_SOURCE
#include "sandbox/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
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

/* x86's uretprobe and uprobe: no filter is asked about them (Linux 6.13), and who calls them from
 * elsewhere than the kernel's own trampoline gets SIGILL, which is all it gets. */
#define PROBE_FIRST 335
#define PROBE_LAST 336

static char reached[NUMBERS], room[4096];
static volatile sig_atomic_t rang;

static void note(long nr, long rc)
{
	if (rc != -EPERM && rc != -ENOSYS)
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

int main(void)
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
	puts("done");
	return 0;
}
