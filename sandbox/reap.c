/* SPDX-License-Identifier: Apache-2.0
 *
 * reap.c: init.
 *
 * As pid 1 it cannot be signalled from inside, and when it ends the kernel ends all that is left in
 * the pid namespace. The program is pid 2, so that signals and RLIMIT_CPU work on it as anywhere. Without
 * a pid namespace (compute where the kernel forbids it) the program cannot fork, and dies with init by
 * PDEATHSIG.
 */
#include "sandbox/reap.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void send_note(int talk, const struct note *note)
{
	ssize_t n = write(talk, note, sizeof(*note));

	if (n != sizeof(*note))
		_exit(BOX_EXIT_NOT_STARTED);
}

static void send_out(int talk, int out_fd)
{
	struct note note = { .kind = NOTE_OUT };
	struct iovec part = { &note, sizeof(note) };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &out_fd, sizeof(int));
	if (sendmsg(talk, &m, 0) != sizeof(note))
		_exit(BOX_EXIT_NOT_STARTED);
	close(out_fd);
}

/* Die with the launcher. Credential changes clear this, so it is set after them; a launcher that died before
 * it was set is seen by its end of `sync`. */
static void die_with_launcher(int sync)
{
	struct pollfd p = { .fd = sync, .events = POLLIN };

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ||
		poll(&p, 1, 0) != 0)
		_exit(BOX_EXIT_NOT_STARTED);
}

/* Wait for the program; take down and count the rest. */
static void wait_all(pid_t program, struct note *end)
{
	struct rusage all;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, 0)) != program || pid < 0)
		if (pid < 0 && errno != EINTR)
			_exit(BOX_EXIT_NOT_STARTED);
	end->status = status;
	if (getpid() == 1)
		kill(-1, SIGKILL);
	while (waitpid(-1, &status, 0) > 0 || errno == EINTR)
		;
	getrusage(RUSAGE_CHILDREN, &all);
	end->cpu_us = (all.ru_utime.tv_sec + all.ru_stime.tv_sec) * 1000000LL + all.ru_utime.tv_usec +
		all.ru_stime.tv_usec;
	end->max_rss_kib = all.ru_maxrss;
}

void reap_init(struct space *s, const struct spec *spec, const struct stdio *io, int talk, int sync)
{
	struct note note = { .kind = NOTE_FAIL };
	int out_fd;
	char byte;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) || read(sync, &byte, 1) != 1)
		_exit(BOX_EXIT_NOT_STARTED);
	if (space_enter(s, spec, &out_fd, &note.fail)) {
		send_note(talk, &note);
		_exit(BOX_EXIT_NOT_STARTED);
	}
	die_with_launcher(sync);
	if (out_fd >= 0)
		send_out(talk, out_fd);
	pid_t program = fork();
	if (program == 0)
		confine_exec(s, spec, io, talk);
	if (program < 0) {
		fail_sys(&note.fail, "forking in the box");
		send_note(talk, &note);
		_exit(BOX_EXIT_NOT_STARTED);
	}
	close(io->in);
	close(io->out);
	close(io->err);
	note.kind = NOTE_END;
	wait_all(program, &note);
	send_note(talk, &note);
	_exit(0);
}
