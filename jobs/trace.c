/* SPDX-License-Identifier: Apache-2.0
 *
 * trace.c: ptrace(2), and nothing decided.
 *
 * The child waits at a pipe until it is seized; from then on it, and whatever it starts, stops at each end of each
 * system call, and the kernel says which end and which call (PTRACE_GET_SYSCALL_INFO, Linux 5.3: the same on every
 * architecture). Tasks are known by their number alone, and appear when they first stop.
 *
 *	start ── seized ──> calls: entry, exit ──> the first program ends ──> the rest is killed ──> nobody is left
 *	                         │ ^
 *	                  Ctrl-Z v │ fg       (the program's group and we stop and go on together)
 *	                        stopped
 */
#include "jobs/trace.h"

#include "jobs/trace_out.h"
#include "jobs/trace_see.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALL_STOP (SIGTRAP | 0x80) /* PTRACE_O_TRACESYSGOOD */

struct tracer {
	struct trace *trace;
	struct seen *tasks;
	size_t n, room;
	pid_t first; /* the program; its group has its number */
	bool over;   /* it ended */
	struct tty tty;
};

/* --- tasks ----------------------------------------------------------------------------------- */
static struct seen *task(struct tracer *r, pid_t tid)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->tasks[i].tid == tid)
			return &r->tasks[i];
	array_room(&r->tasks, &r->room, r->n, sizeof(*r->tasks));
	r->tasks[r->n] = (struct seen){ .tid = tid };
	return &r->tasks[r->n++];
}

static void drop(struct tracer *r, pid_t tid)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->tasks[i].tid == tid) {
			see_forget(&r->tasks[i]);
			r->tasks[i] = r->tasks[--r->n];
			return;
		}
}

static void kill_all(struct tracer *r)
{
	for (size_t i = 0; i < r->n; i++)
		kill(r->tasks[i].tid, SIGKILL);
}

/* --- stops ----------------------------------------------------------------------------------- */
static void at_call(struct tracer *r, pid_t tid)
{
	struct __ptrace_syscall_info info = { 0 };

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, (void *)sizeof(info), &info) <= 0)
		return; /* it is gone */
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		see_entry(task(r, tid), r->trace, &info);
	else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
		see_exit(task(r, tid), r->trace, !info.exit.is_error);
}

/* A thread that executes takes its process's number; the one it had is in the message (ptrace(2)). */
static void at_exec(struct tracer *r, pid_t tid)
{
	unsigned long former = 0;

	(void)ptrace(PTRACE_GETEVENTMSG, tid, NULL, &former);
	if (former && (pid_t)former != tid) {
		drop(r, tid);
		task(r, (pid_t)former)->tid = tid;
	}
	see_exec(task(r, tid), r->trace);
}

/* The program was stopped from the keyboard: so are we, until the shell lets us go on. */
static void stop_with_it(struct tracer *r)
{
	tty_take(&r->tty);
	raise(SIGSTOP);
	tty_lend(&r->tty, r->first);
	kill(-r->first, SIGCONT);
}

static bool is_stop(int which)
{
	return which == SIGSTOP || which == SIGTSTP || which == SIGTTIN || which == SIGTTOU;
}

static void at_stop(struct tracer *r, pid_t tid, int status)
{
	int event = status >> 16, which = WSTOPSIG(status), deliver = 0;

	if (which == CALL_STOP)
		at_call(r, tid);
	else if (event == PTRACE_EVENT_EXEC)
		at_exec(r, tid);
	else if (event == PTRACE_EVENT_STOP && is_stop(which)) {
		(void)ptrace(PTRACE_LISTEN, tid, NULL, NULL);
		if (tid == r->first && r->tty.fd >= 0 && which != SIGSTOP)
			stop_with_it(r);
		return;
	} else if (!event)
		deliver = which;
	(void)task(r, tid);
	if (r->over || r->n > TRACE_TASKS_MAX)
		kill(tid, SIGKILL);
	(void)ptrace(PTRACE_SYSCALL, tid, NULL,
		(void *)(intptr_t)deliver); /* fails where it is gone: we shall hear of it */
}

/* Until nobody is left, he who passes on the output among them. */
static int watch(struct tracer *r, struct err *e)
{
	size_t most = 0;
	int status;

	for (;;) {
		pid_t tid = waitpid(-1, &status, __WALL);

		if (tid < 0 && errno == EINTR)
			continue;
		if (tid < 0)
			break;
		if (WIFSTOPPED(status)) {
			at_stop(r, tid, status);
			most = r->n > most ? r->n : most;
			continue;
		}
		drop(r, tid);
		if (tid != r->first)
			continue;
		r->trace->status = status;
		r->over = true;
		kill_all(r);
	}
	return most <= TRACE_TASKS_MAX
	               ? 0
	               : err_set(e, ERR_PROGRAM, "more than %d processes and threads at once",
				 TRACE_TASKS_MAX);
}

/* --- the start ------------------------------------------------------------------------------- */
/* The child's half: a group of its own, then wait to be seized. What it cannot execute goes up the pipe as errno. */
static void become(char *const argv[], int go, int failed, int out)
{
	char byte;
	int no;

	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	if (read(go, &byte, 1) != 1 || dup2(out, 1) < 0)
		_exit(127);
	execvp(argv[0], argv);
	no = errno;
	if (write(failed, &no, sizeof(no)) < 0)
		_exit(126);
	_exit(127);
}

static int seize(struct tracer *r, struct err *e)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
	                     PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;

	/* the interrupt: it stops before it is back from its read, and from there on each call does */
	if (!ptrace(PTRACE_SEIZE, r->first, NULL, (void *)options) &&
		!ptrace(PTRACE_INTERRUPT, r->first, NULL, NULL))
		return 0;
	return err_sys(e, "tracing the program: this system does not let one trace "
			  "(kernel.yama.ptrace_scope, or a "
			  "container without ptrace)");
}

/* 0: it runs, or at least was executed; -1 with why not. */
static int start(struct tracer *r, char *const argv[], int out, int *failed, struct err *e)
{
	int go[2], no[2];

	if (pipe2(go, O_CLOEXEC) || pipe2(no, O_CLOEXEC))
		return err_sys(e, "making a pipe");
	r->first = fork();
	if (!r->first)
		become(argv, go[0], no[1], out);
	close(go[0]);
	close(no[1]);
	*failed = no[0];
	int bad = r->first < 0 ? err_sys(e, "starting a process") : seize(r, e);
	if (!bad) {
		setpgid(r->first, r->first);
		tty_lend(&r->tty, r->first);
		out_signals_to(r->first);
		if (write(go[1], "", 1) != 1)
			kill(r->first, SIGKILL);
	}
	close(go[1]); /* without the byte it gives up */
	return bad;
}

static int why_not_executed(int failed, const char *name, struct err *e)
{
	int no;

	if (read(failed, &no, sizeof(no)) != (ssize_t)sizeof(no))
		return 0;
	errno = no;
	return err_sys(e, "starting %s", name);
}

int trace_run(struct trace *t, char *const argv[], const char *copy, struct err *e)
{
	struct tracer r = { .trace = t };
	auto_close int failed = -1;
	int out = -1, bad;

	*t = (struct trace){ 0 };
	if (out_start(&out, copy, TRACE_STDOUT_MAX + 1, e) < 0)
		return -1;
	tty_open(&r.tty);
	bad = start(&r, argv, out, &failed, e);
	close(out); /* so that its other end is told when the program is gone */
	struct err ignored;
	bad |= watch(&r, bad ? &ignored : e);
	out_signals_back();
	tty_take(&r.tty);
	tty_close(&r.tty);
	if (!bad)
		bad = why_not_executed(failed, argv[0], e);
	while (r.n)
		drop(&r, r.tasks[0].tid);
	free(r.tasks);
	return bad ? -1 : 0;
}

void trace_release(struct trace *t)
{
	touches_release(&t->touches);
	for (size_t i = 0; i < t->n_peers; i++)
		free(t->peers[i]);
	*t = (struct trace){ 0 };
}
