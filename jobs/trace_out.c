/* SPDX-License-Identifier: Apache-2.0
 *
 * trace_out.c: see trace_out.h.
 */
#include "jobs/trace_out.h"

#include "common/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

/* --- output ---------------------------------------------------------------------------------- */
/* Where our own standard output is gone (a pipe into `head`), so is whoever writes here: the program learns of it by
 * its own SIGPIPE, as it would without us. */
static void pass_on(int from, int copy, int64_t max)
{
	char part[65536];
	ssize_t n;
	struct err ignored;

	while ((n = read(from, part, sizeof(part))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			_exit(1);
		int64_t keep = n < max ? n : max;
		max -= keep;
		if (fd_write_all(1, part, (size_t)n, &ignored) ||
			fd_write_all(copy, part, (size_t)keep, &ignored))
			_exit(1);
	}
	_exit(0);
}

pid_t out_start(int *in, const char *copy, int64_t max, struct err *e)
{
	auto_close int to = open(copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int ends[2];

	if (to < 0)
		return err_sys(e, "creating %s", copy);
	if (pipe2(ends, O_CLOEXEC))
		return err_sys(e, "making a pipe");
	fflush(NULL);
	pid_t pid = fork();
	if (!pid) {
		close(ends[1]);
		signal(SIGINT,
			SIG_IGN); /* what the program still says on its way out is passed on */
		signal(SIGQUIT, SIG_IGN);
		pass_on(ends[0], to, max);
	}
	close(ends[0]);
	*in = ends[1];
	if (pid > 0)
		return pid;
	close(ends[1]);
	return err_sys(e, "starting a process");
}

/* --- the terminal ---------------------------------------------------------------------------- */
void tty_open(struct tty *t)
{
	t->fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (t->fd >= 0 && tcgetpgrp(t->fd) != getpgrp())
		tty_close(t);
}

static void hand_to(const struct tty *t, pid_t group)
{
	void (*before)(int) = t->fd < 0 ? SIG_DFL : signal(SIGTTOU, SIG_IGN);

	if (t->fd < 0)
		return;
	(void)tcsetpgrp(t->fd, group);
	signal(SIGTTOU, before);
}

void tty_lend(const struct tty *t, pid_t group)
{
	hand_to(t, group);
}

void tty_take(const struct tty *t)
{
	hand_to(t, getpgrp());
}

void tty_close(struct tty *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

/* --- signals --------------------------------------------------------------------------------- */
static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
static struct sigaction usual[ARRAY_LEN(ending)];
static volatile sig_atomic_t heir;

static void send_on(int which)
{
	int no = errno;

	kill(-(pid_t)heir, which);
	errno = no;
}

void out_signals_to(pid_t group)
{
	struct sigaction on = { .sa_handler = send_on };

	heir = (sig_atomic_t)group;
	for (size_t i = 0; i < ARRAY_LEN(ending); i++)
		sigaction(ending[i], &on, &usual[i]);
}

void out_signals_back(void)
{
	for (size_t i = 0; heir && i < ARRAY_LEN(ending); i++)
		sigaction(ending[i], &usual[i], NULL);
	heir = 0;
}
