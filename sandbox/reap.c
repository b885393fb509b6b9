/* SPDX-License-Identifier: Apache-2.0
 *
 * reap.c: the box's init; plan.h draws who says what. Raw system calls only (raw.h).
 *
 * It is pid 1 of the box (in `compute` without namespaces: a plain parent) and the program is its
 * child, for the kernel shields pid 1 from signals that must reach a program. When it ends,
 * all of the box ends. It dies with the keeper. It trusts nothing from the program, which cannot
 * reach it: it has no handler and no open file of it, and the program may neither trace it (Landlock,
 * the filter, and one capability that the program lacks forbid that) nor see its memory.
 */
#include "sandbox/reap.h"

#include "sandbox/plan.h"
#include "sandbox/seed.h"
#include "sandbox/space.h"
#include "sandbox/spawn.h"
#include "sandbox/start.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define KERNEL_SIGSET 8 /* bytes */
#define SIGCHLD_BIT (UINT64_C(1) << (SIGCHLD - 1))

/* Its descriptors from the keeper. */
struct hands {
	int inputs[BOX_INPUTS_MAX];
	size_t n_inputs;
};

static _Noreturn void leave(int code)
{
	for (;;)
		raw1(SYS_exit_group, code);
}

static void say(const struct plan *p, char word, int fd)
{
	struct iovec iov = { &word, 1 };
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} c = { { 0 } };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *h;

	if (fd >= 0) {
		m.msg_control = c.room;
		m.msg_controllen = sizeof(c.room);
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	}
	raw3(SYS_sendmsg, p->sock, RAW(&m), MSG_NOSIGNAL);
}

static _Noreturn void give_up(const struct plan *p)
{
	say(p, PLAN_ENDED, -1);
	leave(BOX_EXIT_SETUP);
}

/* --- before it knows what to run -------------------------------------------------------------------- */

/* Of the keeper's descriptors only the socket and /proc stay. */
static int keep_two(struct plan *p)
{
	unsigned low = (unsigned)(p->sock < p->proc ? p->sock : p->proc);
	unsigned high = (unsigned)(p->sock < p->proc ? p->proc : p->sock);

	if (plan_fails(p, STEP_STREAMS, 0, raw3(SYS_close_range, 0, low - 1, 0)) ||
		plan_fails(p, STEP_STREAMS, 0, raw3(SYS_close_range, high + 1, ~0U, 0)))
		return -1;
	if (low + 1 == high)
		return 0;
	return plan_fails(p, STEP_STREAMS, 0, raw3(SYS_close_range, low + 1, high - 1, 0));
}

/* PDEATHSIG is set between the last change of credentials, which would clear it, and a look at the
 * socket whether it came too late: an end of file says that the keeper is gone. */
static int attach(struct plan *p)
{
	char more;
	long rc;

	if ((p->born & BOX_BIT(USERNS)) && space_map(p))
		return -1;
	if (plan_fails(p, STEP_LIFE, 0, raw2(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL)))
		return -1;
	rc = raw6(SYS_recvfrom, p->sock, RAW(&more), 1, MSG_PEEK | MSG_DONTWAIT, 0, 0);
	if (rc == 0)
		return plan_fails(p, STEP_LIFE, 0, -ECONNRESET);
	rc = raw0(SYS_setsid);
	return rc == -EPERM ? 0 : plan_fails(p, STEP_SESSION, 0, rc);
}

/* `compute` does without what is refused, for its program can open nothing. */
static void prepare_empty(struct plan *p)
{
	if ((p->told.layers & BOX_BIT(UTSNS)) && !p->inherits_name && space_name(p))
		p->told.layers &= ~BOX_BIT(UTSNS);
	if ((p->told.layers & BOX_BIT(MOUNTNS)) && !p->inherits_root && space_empty(p))
		p->told.layers &= ~BOX_BIT(MOUNTNS);
	p->told.fault.step = STEP_NONE;
}

/* `files`: all layers are needed. */
static int prepare(struct plan *p)
{
	if (p->profile != BOX_COMPUTE)
		return (p->inherits_name ? 0 : space_name(p)) || space_prepare(p) ? -1 : 0;
	prepare_empty(p);
	return 0;
}

/* --- being told --------------------------------------------------------------------------------------- */

/* One packet: its first byte in *word, its descriptors added to `fds`. How many these were, or -1. */
static int hear(int sock, char *word, int *fds, size_t room)
{
	union {
		char room[CMSG_SPACE(PLAN_INPUTS_AT_ONCE * sizeof(int))];
		struct cmsghdr align;
	} c;
	struct iovec iov = { word, 1 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = c.room,
		.msg_controllen = sizeof(c.room) };
	const struct cmsghdr *h;
	size_t n;

	if (raw3(SYS_recvmsg, sock, RAW(&m), 0) != 1)
		return -1;
	h = CMSG_FIRSTHDR(&m);
	if (!h || h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
		return 0;
	n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	if (n > room)
		return -1;
	memcpy(fds, CMSG_DATA(h), n * sizeof(int));
	return (int)n;
}

/* The streams and the program get the numbers they are to have, for all lower ones are free. */
static int hear_task(struct plan *p, struct hands *h)
{
	int first[PLAN_N_FDS], got;
	char word;

	got = hear(p->sock, &word, first, PLAN_N_FDS);
	if (got != PLAN_N_FDS || word != PLAN_GO)
		return plan_fails(p, STEP_WORD, 0, -ECONNRESET);
	for (int i = 0; i < PLAN_N_FDS; i++) {
		if (first[i] != i)
			return plan_fails(p, STEP_STREAMS, 0, -EBADF);
	}
	while (h->n_inputs < p->n_inputs) {
		got = hear(p->sock, &word, h->inputs + h->n_inputs, BOX_INPUTS_MAX - h->n_inputs);
		if (got <= 0)
			return plan_fails(p, STEP_WORD, 0, -ECONNRESET);
		h->n_inputs += (size_t)got;
	}
	return 0;
}

/* --- building ------------------------------------------------------------------------------------------- */

/* Nothing but one that guards the init itself: a process without it may not trace one that has it. */
static int drop_capabilities(struct plan *p)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	uint32_t kept = p->told.layers & BOX_BIT(USERNS) ? 1u << CAP_KILL : 0;
	struct __user_cap_data_struct data[2] = { { kept, kept, 0 }, { 0, 0, 0 } };

	return plan_fails(p, STEP_CAPABILITIES, 0, raw2(SYS_capset, RAW(&head), RAW(data)));
}

static _Noreturn void end_at_once(void *unused)
{
	(void)unused;
	leave(0);
}

/* Whether a process of ours at its limit of tasks is refused one more; the kernel exempts root. */
static int prove_limit(struct plan *p)
{
	uint64_t saved[2], one[2];
	long pid;

	if (plan_fails(p, STEP_RLIMIT, RLIMIT_NPROC,
		    raw4(SYS_prlimit64, 0, RLIMIT_NPROC, 0, RAW(saved))))
		return -1;
	one[0] = 1;
	one[1] = saved[1];
	if (plan_fails(p, STEP_RLIMIT, RLIMIT_NPROC,
		    raw4(SYS_prlimit64, 0, RLIMIT_NPROC, RAW(one), 0)))
		return -1;
	pid = spawn(
		CLONE_VM | CLONE_VFORK, plan_stack(p, true), PLAN_STACK_BYTES, end_at_once, NULL);
	raw4(SYS_prlimit64, 0, RLIMIT_NPROC, RAW(saved), 0);
	if (pid < 0)
		return 0;
	raw4(SYS_wait4, pid, 0, 0, 0);
	return plan_fails(p, STEP_EXEMPT, 0, -EPERM);
}

static int furnish(struct plan *p, struct hands *h)
{
	int work;

	if (p->profile == BOX_COMPUTE)
		return 0;
	work = space_furnish(p, h->inputs);
	if (work < 0 || (p->prove && prove_limit(p)))
		return -1;
	for (size_t i = 0; i < h->n_inputs; i++)
		raw1(SYS_close, h->inputs[i]);
	say(p, PLAN_READY, work);
	raw1(SYS_close, work);
	return 0;
}

/* --- while it runs ----------------------------------------------------------------------------------------- */

/* Everything of the box. Never kill(-1) outside a pid namespace: that would be all the user has. */
static void kill_all(const struct plan *p, long program)
{
	raw2(SYS_kill, p->told.layers & BOX_BIT(PIDNS) ? -1 : program, SIGKILL);
}

/* Reap who has ended; true once that is the program, with its status. */
static bool reap_ended(struct plan *p, long program, long how)
{
	int status = 0;
	long pid;

	for (;;) {
		pid = raw4(SYS_wait4, -1, RAW(&status), how, 0);
		if (pid == program) {
			p->told.status = status;
			return true;
		}
		if (pid <= 0 && pid != -EINTR)
			return pid !=
			       0; /* no child is left: it was the program's end that we missed */
	}
}

/* Until the program ends or the keeper says (or by its end: shows) that it is enough. */
static void wait_for(struct plan *p, long program, int ended)
{
	struct pollfd fds[4] = { { p->sock, POLLIN, 0 }, { ended, POLLIN, 0 },
		{ p->listener, POLLIN, 0 }, { p->urandom, POLLOUT, 0 } };
	char info[128]; /* a struct signalfd_siginfo */

	while (!reap_ended(p, program, WNOHANG)) {
		if (raw5(SYS_ppoll, RAW(fds), 4, 0, 0, 0) < 0)
			continue;
		if (fds[0].revents) {
			kill_all(p, program);
			reap_ended(p, program, 0);
			return;
		}
		if (fds[1].revents)
			raw3(SYS_read, ended, RAW(info), sizeof(info));
		if (fds[2].revents & POLLIN) {
			seed_answer(p);
		} else if (fds[2].revents) { /* nobody is left who could ask: all are ending */
			reap_ended(p, program, 0);
			return;
		}
		if (fds[3].revents)
			seed_pour(p);
	}
}

static void reap_rest(const struct plan *p)
{
	long rc;

	if (!(p->told.layers & BOX_BIT(PIDNS)) || p->profile == BOX_COMPUTE)
		return; /* nothing it could have started */
	kill_all(p, 0);
	do {
		rc = raw4(SYS_wait4, -1, 0, 0, 0);
	} while (rc > 0 || rc == -EINTR);
}

static void tell_use(struct plan *p)
{
	struct rusage u;

	if (raw2(SYS_getrusage, RUSAGE_CHILDREN, RAW(&u)) < 0)
		return;
	p->told.cpu_us = (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * INT64_C(1000000) +
	                 u.ru_utime.tv_usec + u.ru_stime.tv_usec;
	p->told.rss_kib = u.ru_maxrss;
}

/* Gives its pid once it has been executed, or -1. SIGCHLD is blocked since the keeper, so that none
 * is missed. */
static long start(struct plan *p, int *ended)
{
	uint64_t set = SIGCHLD_BIT;
	long pid, fd;

	fd = raw4(SYS_signalfd4, -1, RAW(&set), KERNEL_SIGSET, O_CLOEXEC | O_NONBLOCK);
	if (plan_fails(p, STEP_STREAMS, 0, fd))
		return -1;
	*ended = (int)fd;
	pid = spawn(CLONE_VM | CLONE_VFORK | CLONE_FILES, plan_stack(p, true), PLAN_STACK_BYTES,
		start_program, p);
	if (plan_fails(p, STEP_CHILD, 0, pid))
		return -1;
	if (p->near)
		raw3(SYS_sched_setaffinity, pid, sizeof(p->cpus), RAW(&p->cpus));
	raw3(SYS_close_range, 0, PLAN_N_FDS - 1, 0);
	return p->told.fault.step == STEP_NONE ? pid : -1;
}

_Noreturn void reap_run(void *plan)
{
	struct plan *p = plan;
	struct hands h;
	long program;
	int ended;

	h.n_inputs = 0;
	if (keep_two(p) || attach(p) || space_unshare(p) || prepare(p))
		give_up(p);
	if (hear_task(p, &h) || furnish(p, &h) || drop_capabilities(p))
		give_up(p);
	program = start(p, &ended);
	if (program < 0)
		give_up(p);
	wait_for(p, program, ended);
	reap_rest(p);
	tell_use(p);
	say(p, PLAN_ENDED, -1);
	leave(0);
}
