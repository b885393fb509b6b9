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

#include "sandbox/place.h"
#include "sandbox/plan.h"
#include "sandbox/seed.h"
#include "sandbox/space.h"
#include "sandbox/spawn.h"
#include "sandbox/start.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define KERNEL_SIGSET 8       /* bytes */
#define IOPRIO_IDLE (3 << 13) /* linux/ioprio.h: class idle, no level */
#define IOPRIO_WHO_PROCESS 1
#define NICE_LAST 19
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

static _Noreturn void give_up(const struct plan *p, long program)
{
	if (program > 0) /* without a pid namespace it would stay */
		raw2(SYS_kill, program, SIGKILL);
	say(p, PLAN_ENDED, -1);
	leave(BOX_EXIT_SETUP);
}

/* --- before it knows what to run -------------------------------------------------------------------- */

/* Of the keeper's descriptors only these stay. */
static int keep_few(struct plan *p)
{
	int keep[] = { p->sock, p->proc, p->rule, p->procs };
	unsigned from = 0;

	for (size_t done = 0; done < LEN(keep); done++) {
		size_t least = done;

		for (size_t i = done + 1; i < LEN(keep); i++)
			least = keep[i] < keep[least] ? i : least;
		if (keep[least] >= 0 && (unsigned)keep[least] > from &&
			plan_fails(p, STEP_STREAMS, 0,
				raw3(SYS_close_range, from, keep[least] - 1, 0)))
			return -1;
		from = (unsigned)(keep[least] + 1);
		keep[least] = keep[done];
	}
	return plan_fails(p, STEP_STREAMS, 0, raw3(SYS_close_range, from, ~0U, 0));
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

static int leave_host(struct plan *p)
{
	return p->host >= 0 ? space_leave(p) : 0;
}

/* `compute` does without what is refused, for its program can open nothing. */
static void prepare_empty(struct plan *p)
{
	if ((p->told.layers & BOX_BIT(UTSNS)) && !p->inherits_name && space_name(p))
		p->told.layers &= ~BOX_BIT(UTSNS);
	if ((p->told.layers & BOX_BIT(MOUNTNS)) && !p->inherits_root &&
		(space_empty(p) || (!p->once && leave_host(p))))
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
	char stack[1024] __attribute__((aligned(16))); /* the program's may be in use */
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
	pid = spawn(CLONE_VM | CLONE_VFORK, stack, sizeof(stack), end_at_once, NULL, NULL);
	raw4(SYS_prlimit64, 0, RLIMIT_NPROC, RAW(saved), 0);
	if (pid < 0)
		return 0;
	raw4(SYS_wait4, pid, 0, 0, 0);
	return plan_fails(p, STEP_EXEMPT, 0, -EPERM);
}

static int furnish(struct plan *p, struct hands *h)
{
	if (p->profile == BOX_COMPUTE)
		return 0;
	if (space_furnish(p, h->inputs))
		return -1;
	for (size_t i = 0; i < h->n_inputs; i++)
		raw1(SYS_close, h->inputs[i]);
	return p->prove ? prove_limit(p) : 0;
}

/* --- the program ------------------------------------------------------------------------------------------ */

/* SIGCHLD is blocked since the keeper, so that none is missed. Gives its pid. */
static long start(struct plan *p, int *ended)
{
	uint64_t set = SIGCHLD_BIT;
	long fd = raw4(SYS_signalfd4, -1, RAW(&set), KERNEL_SIGSET, O_CLOEXEC | O_NONBLOCK), pid;

	if (fd >= 0)
		*ended = (int)raw3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, PLACE_FD_AWAY);
	if (plan_fails(p, STEP_STREAMS, 0, fd < 0 ? fd : *ended))
		return -1;
	raw1(SYS_close, fd);
	p->stage = STAGE_BINDING;
	p->parent = raw0(SYS_getpid);
	pid = spawn(CLONE_VM | CLONE_FILES | CLONE_CHILD_CLEARTID, plan_stack(p, true),
		PLAN_STACK_BYTES, start_program, p, &p->stage);
	return plan_fails(p, STEP_CHILD, 0, pid) ? -1 : pid;
}

/* Being polite is no layer: what is refused here is no failure. */
static void lower(long program)
{
	int priority = 0;

	raw3(SYS_sched_setscheduler, program, SCHED_IDLE, RAW(&priority));
	raw3(SYS_ioprio_set, IOPRIO_WHO_PROCESS, program, IOPRIO_IDLE);
}

/* A limit that already is lower stays so: only root may raise it. */
static long bind_limit(long program, const struct limit_rlimit *l)
{
	uint64_t want[2] = { l->soft, l->hard }, now[2];
	long rc = raw4(SYS_prlimit64, program, l->which, RAW(want), 0);

	if (rc != -EPERM)
		return rc;
	rc = raw4(SYS_prlimit64, program, l->which, 0, RAW(now));
	want[1] = now[1];
	want[0] = want[0] < now[1] ? want[0] : now[1];
	return rc < 0 ? rc : raw4(SYS_prlimit64, program, l->which, RAW(want), 0);
}

static int bind_limits(struct plan *p, long program)
{
	for (size_t i = 0; i < p->n_rlimits; i++) {
		const struct limit_rlimit *l = &p->rlimits[i];

		if (plan_fails(p, STEP_RLIMIT, l->which, bind_limit(program, l)))
			return -1;
	}
	return 0;
}

static void wait_past(struct plan *p, uint32_t stage)
{
	uint32_t now;

	while ((now = __atomic_load_n(&p->stage, __ATOMIC_ACQUIRE)) != STAGE_GONE && now <= stage)
		raw4(SYS_futex, RAW(&p->stage), FUTEX_WAIT, now, 0);
}

/* The same before its task is known: it then stands by, and the numbers of the task's descriptors are free. */
static long start_ahead(struct plan *p, int *ended)
{
	long program = start(p, ended), away;

	if (program < 0)
		return -1;
	wait_past(p, STAGE_BINDING);
	if (p->listener < 0)
		return program;
	away = raw3(SYS_fcntl, p->listener, F_DUPFD_CLOEXEC, PLACE_FD_AWAY);
	raw1(SYS_close, p->listener);
	p->listener = (int)away;
	seed_hurry(p);
	return plan_fails(p, STEP_STREAMS, 0, away) ? -1 : program;
}

static int64_t own_us(void)
{
	struct timespec t = { 0, 0 };

	raw2(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, RAW(&t));
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

/* What the task alone decides; then it may execute. */
static int let_go(struct plan *p, long program)
{
	if (plan_fails(p, STEP_STREAMS, 0,
		    raw3(SYS_close_range, PLAN_PROGRAM, ~0U, CLOSE_RANGE_CLOEXEC)) ||
		bind_limits(p, program))
		return -1;
	if (p->idle)
		lower(program); /* with our rights: the program may still have its own */
	if (drop_capabilities(p))
		return -1;
	p->built_us = own_us();
	__atomic_store_n(&p->go, 1, __ATOMIC_RELEASE);
	raw3(SYS_futex, RAW(&p->go), FUTEX_WAKE, 1);
	return 0;
}

/* Only what the exec leaves open is the program's own. The init holds its two outputs as well, so that the keeper
 * is not woken by their ends before it is told all. A keeper's box is not kept from its program's processor for this. */
static void part(struct plan *p)
{
	if (p->ahead)
		return;
	wait_past(p, STAGE_BOUND);
	seed_hurry(p);
	raw1(SYS_close, PLAN_IN);
	raw3(SYS_close_range, PLAN_PROGRAM, PLAN_N_FDS - 1, 0);
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

/* A flood of them is answered when others leave time for it. Not at idle priority: a limit has to reach us. */
static void mind_cost(struct plan *p)
{
	if (p->dear || own_us() - p->built_us < PLAN_ANSWERS_FREE_US)
		return;
	p->dear = true;
	if (p->idle)
		raw3(SYS_setpriority, PRIO_PROCESS, 0, NICE_LAST);
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
			mind_cost(p);
		} else if (fds[2].revents) { /* nobody is left who could ask: all are ending */
			reap_ended(p, program, 0);
			return;
		}
		if (fds[3].revents) {
			seed_pour(p);
			mind_cost(p);
		}
	}
}

static void reap_rest(const struct plan *p)
{
	long rc;

	if (!(p->told.layers & BOX_BIT(PIDNS)) || p->profile == BOX_COMPUTE)
		return; /* nothing it could have started */
	/* orphans come to the init: without a child it is alone, and kill would ask all of the machine */
	do {
		rc = raw4(SYS_wait4, -1, 0, WNOHANG, 0);
	} while (rc > 0 || rc == -EINTR);
	if (rc == -ECHILD)
		return;
	kill_all(p, 0);
	do {
		rc = raw4(SYS_wait4, -1, 0, 0, 0);
	} while (rc > 0 || rc == -EINTR);
}

/* What the init spent on answering is the program's doing. */
static void tell_use(struct plan *p)
{
	struct rusage u;

	if (raw2(SYS_getrusage, RUSAGE_CHILDREN, RAW(&u)) < 0)
		return;
	p->told.cpu_us = (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * INT64_C(1000000) +
	                 u.ru_utime.tv_usec + u.ru_stime.tv_usec;
	p->told.rss_kib = u.ru_maxrss;
	if (p->dear)
		p->told.cpu_us += own_us() - p->built_us;
}

/* The box is over and told; the keeper answers first, then lets it go. */
static _Noreturn void wait_to_leave(const struct plan *p)
{
	char more;

	while (raw6(SYS_recvfrom, p->sock, RAW(&more), 1, 0, 0, 0) == -EINTR)
		;
	leave(0);
}

_Noreturn void reap_run(void *plan)
{
	struct plan *p = plan;
	struct hands h;
	long program = 0;
	int ended = -1;

	h.n_inputs = 0;
	if (keep_few(p) || attach(p) || space_unshare(p) || prepare(p))
		give_up(p, program);
	if (p->ahead && (program = start_ahead(p, &ended)) < 0)
		give_up(p, program);
	if (p->work >= 0)
		say(p, PLAN_READY, p->work);
	if (hear_task(p, &h) || furnish(p, &h))
		give_up(p, program);
	/* before the old root is let go: the kernel has us wait for that, and meanwhile it binds itself */
	if (!p->ahead && (program = start(p, &ended)) < 0)
		give_up(p, program);
	if (leave_host(p) || let_go(p, program))
		give_up(p, program);
	part(p);
	wait_for(p, program, ended);
	reap_rest(p);
	tell_use(p);
	say(p, PLAN_ENDED, -1);
	wait_to_leave(p);
}
