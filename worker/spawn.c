/* SPDX-License-Identifier: Apache-2.0
 *
 * spawn.c: see spawn.h.
 *
 * vfork, not fork: a worker's page tables need not be copied for a child that executes at once. What stands
 * between vfork() and execve() runs in our memory while we are suspended, so it only makes system calls.
 */
#include "worker/spawn.h"
#include "worker/guard.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define IOPRIO_IDLE (3 << 13) /* linux/ioprio.h: class idle, no level */

/* In the child. Nothing but system calls. */
static void bind_to(pid_t parent, const struct spawn *s)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, s->death);
	if (getppid() != parent)
		_exit(127);
	setpgid(0, 0);
	guard_add(s->guard, getpid());
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
}

/* Whatever is refused here only makes it less polite. */
static void lower(void)
{
	struct sched_param param = { 0 };

	if (sched_setscheduler(0, SCHED_IDLE, &param))
		(void)!nice(19);
	syscall(SYS_ioprio_set, 1, 0, IOPRIO_IDLE);
}

static pid_t start(const struct spawn *s, int *why)
{
	volatile int failed = 0;
	pid_t parent = getpid();
	pid_t pid = vfork();

	if (pid == 0) {
		bind_to(parent, s);
		if (s->idle)
			lower();
		if (dup2(s->in, 0) < 0 || dup2(s->out, 1) < 0 || dup2(s->err, 2) < 0)
			failed = errno;
		syscall(SYS_close_range, 3U, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
		if (!failed) {
			execve(s->argv[0], s->argv, s->env);
			failed = errno;
		}
		_exit(127);
	}
	*why = pid < 0 ? errno : failed;
	return pid;
}

pid_t spawn(const struct spawn *s, struct err *e)
{
	int why = 0;
	pid_t pid = start(s, &why);

	if (!why)
		return pid;
	if (pid > 0) {
		waitpid(pid, NULL, 0);
		guard_drop(s->guard, pid);
	}
	errno = why;
	return err_sys(e, "running %s", s->argv[0]);
}
