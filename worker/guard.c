/* SPDX-License-Identifier: Apache-2.0
 *
 * guard.c: the process that ends what the worker left.
 *
 * Its only input is a pipe of records, a group's number each: positive when it begins, negative when it is over. The
 * worker holds the pipe's other end and nobody else does, so the end of the file is the end of the worker.
 */
#include "worker/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GROUPS_MAX 1024 /* as many as --slots may be, and few keepers beside */
#define GRACE_MS 2000   /* to end by oneself */
#define LOOK_MS 10

static void note(pid_t *groups, int32_t record)
{
	pid_t old = record > 0 ? 0 : -record, fresh = record > 0 ? record : 0;

	for (int i = 0; i < GROUPS_MAX; i++)
		if (groups[i] == old) {
			groups[i] = fresh;
			return;
		}
}

static void keep_only(int fd)
{
	if (fd > 0)
		syscall(SYS_close_range, 0U, (unsigned)fd - 1, 0U);
	syscall(SYS_close_range, (unsigned)fd + 1, ~0U, 0U);
}

/* How many of them there are. */
static int tell_all(const pid_t *groups, int signal)
{
	int n = 0;

	for (int i = 0; i < GROUPS_MAX; i++)
		n += groups[i] > 1 && !kill(-groups[i], signal);
	return n;
}

/* Who is asked first can still remove what only it knows of: mounts go by themselves, cgroups do not. */
static void end_all(const pid_t *groups)
{
	const struct timespec look = { 0, LOOK_MS * 1000000L };

	tell_all(groups, SIGTERM);
	tell_all(groups, SIGCONT);
	for (int i = 0; i < GRACE_MS / LOOK_MS && tell_all(groups, 0); i++)
		nanosleep(&look, NULL);
	tell_all(groups, SIGKILL);
}

_Noreturn static void watch(int fd)
{
	static pid_t groups[GROUPS_MAX];
	int32_t record;
	ssize_t n;

	setsid(); /* a Ctrl-C is for the worker, which then ends its boxes itself */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	prctl(PR_SET_NAME, "talkoot-guard");
	keep_only(fd);
	while ((n = read(fd, &record, sizeof(record))) != 0)
		if (n == (ssize_t)sizeof(record))
			note(groups, record);
		else if (n < 0 && errno != EINTR)
			break;
	end_all(groups);
	_exit(0);
}

int guard_start(struct guard *g, struct err *e)
{
	int ends[2];

	*g = (struct guard){ .fd = -1 };
	if (pipe2(ends, O_CLOEXEC))
		return err_sys(e, "a pipe to the guard");
	g->pid = fork();
	if (g->pid == 0) {
		close(ends[1]);
		watch(ends[0]);
	}
	close(ends[0]);
	g->fd = ends[1];
	if (g->pid > 0)
		return 0;
	guard_stop(g);
	return err_sys(e, "starting the guard");
}

void guard_stop(struct guard *g)
{
	if (g->fd >= 0)
		close(g->fd);
	g->fd = -1;
	if (g->pid > 0)
		waitpid(g->pid, NULL, 0);
	g->pid = 0;
}

static void tell(int fd, int32_t record)
{
	if (fd >= 0 && write(fd, &record, sizeof(record)) < 0)
		return; /* no guard: the parent-death signal is what is left */
}

void guard_add(int fd, pid_t group)
{
	tell(fd, group);
}

void guard_drop(int fd, pid_t group)
{
	tell(fd, -group);
}
