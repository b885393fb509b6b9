/* SPDX-License-Identifier: Apache-2.0
 *
 * runner.c: boxes.
 *
 * vfork, not fork: a worker's page tables need not be copied for a child that executes at once. What stands
 * between vfork() and execve() runs in our memory while we are suspended, so it only makes system calls.
 */
#include "worker/runner.h"
#include "worker/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define IOPRIO_IDLE (3 << 13) /* linux/ioprio.h: class idle, no level */

extern char **environ;

struct box {
	struct loop *loop;
	pid_t pid;
	int guard;
	bool killed;
	box_fn *fn; /* NULL: box_free() waits for it */
	void *arg;
};

static void on_end(void *arg, pid_t pid, int status, const struct rusage *usage)
{
	struct box *b = arg;
	box_fn *fn = b->fn;
	void *fn_arg = b->arg;
	bool killed = b->killed;

	(void)status, (void)usage;
	kill(-pid, SIGKILL); /* what a wrapper left behind in its group */
	guard_drop(b->guard, pid);
	free(b);
	fn(fn_arg, killed);
}

/* In the child. Nothing but system calls; whatever is refused here only makes it less polite. */
static void lower(pid_t parent, int guard)
{
	struct sched_param param = { 0 };
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	setpgid(0, 0);
	guard_add(guard, getpid());
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (sched_setscheduler(0, SCHED_IDLE, &param))
		(void)!nice(19);
	syscall(SYS_ioprio_set, 1, 0, IOPRIO_IDLE);
}

static pid_t spawn(char *const argv[], int guard, int null, int errors, int *why)
{
	volatile int failed = 0;
	pid_t parent = getpid();
	pid_t pid = vfork();

	if (pid == 0) {
		lower(parent, guard);
		if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(errors, 2) < 0)
			failed = errno;
		syscall(SYS_close_range, 3U, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
		if (!failed) {
			execve(argv[0], argv, environ);
			failed = errno;
		}
		_exit(127);
	}
	*why = pid < 0 ? errno : failed;
	return pid;
}

static int not_started(int guard, pid_t pid, const char *program, int why, struct err *e)
{
	if (pid > 0) {
		waitpid(pid, NULL, 0);
		guard_drop(guard, pid);
	}
	errno = why;
	return err_sys(e, "running %s", program);
}

int box_start(struct box **out, struct loop *l, int guard, char *const argv[], const char *errors, box_fn *fn,
	void *arg, struct err *e)
{
	auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	auto_close int err = open(errors, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int why = 0;

	if (null < 0 || err < 0)
		return err_sys(e, "opening %s", null < 0 ? "/dev/null" : errors);
	pid_t pid = spawn(argv, guard, null, err, &why);
	if (why)
		return not_started(guard, pid, argv[0], why, e);
	struct box *b = xcalloc(1, sizeof(*b));
	*b = (struct box){ .loop = l, .pid = pid, .guard = guard, .fn = fn, .arg = arg };
	if (loop_on_child(l, pid, on_end, b, e)) {
		box_free(b);
		return -1;
	}
	*out = b;
	return 0;
}

void box_kill(struct box *b)
{
	b->killed = true;
	kill(-b->pid, SIGKILL);
	kill(b->pid, SIGKILL); /* before its setpgid() there is no group */
}

void box_free(struct box *b)
{
	if (!b)
		return;
	box_kill(b);
	waitpid(b->pid, NULL, 0);
	guard_drop(b->guard, b->pid);
	free(b);
}
