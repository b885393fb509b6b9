/* SPDX-License-Identifier: Apache-2.0
 *
 * signals.c: signalling others, outliving the box, lying about how it ended. Outside of a box a signal
 * that could hurt is never sent: number 0 asks whether one might.
 */
#define _GNU_SOURCE
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- others -------------------------------------------------------------------------------- */

/* In a pid namespace of its own it may: that must end only the box, or nothing. */
static void signal_all(long n)
{
	if (is_boxed_pid_2()) {
		kill(-1, (int)n);
		kill(1, (int)n);
		say("denied nothing: only the box was there\n");
		return;
	}
	tried(kill(-1, 0) == 0, "signalling everybody");
	tried(kill(1, 0) == 0, "signalling init");
}

static void signal_parent(long n)
{
	if (is_boxed_pid_2())
		kill(getppid(), (int)n);
	else
		tried(kill(getppid(), 0) == 0, "signalling the parent");
}

/* Every number: the launcher and the runner are somewhere there. Its own process aside. */
static void sweep(long how)
{
	long found = 0;

	errno = EPERM;
	for (pid_t pid = 1; pid < 70000; pid++) {
		long rc;

		if (pid == getpid() || (pid == 1 && is_boxed_pid_2()))
			continue;
		if (how == 0)
			rc = kill(pid, 0);
		else if (how == 1)
			rc = syscall(SYS_tgkill, pid, pid, 0);
		else
			rc = kill(-pid, 0);
		/* its own group has its leader's number */
		found += rc == 0 && !(how == 2 && pid == getpgrp());
	}
	tried(found > 0, "%ld processes found by number", found);
}

static void signal_otherwise(long n)
{
	char info[128] = { 0 };
	pid_t parent = getppid();

	(void)n;
	tried(syscall(SYS_tkill, parent, 0) == 0, "tkill");
	tried(syscall(SYS_rt_sigqueueinfo, getpid(), 0, info) == 0, "rt_sigqueueinfo to itself");
	reached(syscall(SYS_rt_sigqueueinfo, parent, 0, NULL), "rt_sigqueueinfo");
	reached(syscall(SYS_rt_tgsigqueueinfo, parent, parent, 0, NULL), "rt_tgsigqueueinfo");
}

static void session_of_parent(long n)
{
	(void)n;
	if (is_boxed_pid_2()) {
		/* 0: of somebody outside */
		tried(getsid(1) == 0 || getpgid(1) == 0,
			"the init is in a session or group of others");
		return;
	}
	tried(getsid(getppid()) > 0, "the parent's session");
}

/* --- outliving ----------------------------------------------------------------------------- */

/* Twice forked, its own session, no streams: what a daemon does. It lives for 20 seconds. */
static void outlive(long keep_streams)
{
	if (fork() == 0) {
		setsid();
		for (int s = 1; s < NSIG; s++)
			signal(s, SIG_IGN);
		if (fork() == 0) {
			for (int fd = 0; fd < 3 && !keep_streams; fd++)
				close(fd);
			hold(20000);
		}
		_exit(0);
	}
	wait(NULL);
}

/* Children that run while it ends, each with children of its own. */
static void end_first(long n)
{
	for (long i = 0; i < n; i++) {
		if (fork() == 0) {
			(void)fork();
			hold(20000);
			_exit(0);
		}
	}
}

static void vfork_child(long n)
{
	(void)n;
	if (vfork() == 0) {
		hold(4000);
		_exit(0);
	}
	broke("4 s");
}

/* Stopped children get no SIGTERM; only SIGKILL ends them. */
static void stopped_children(long n)
{
	int status;

	for (long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			kill(getpid(), SIGSTOP);
			_exit(0);
		}
		while (waitpid(pid, &status, WUNTRACED) == pid && !WIFSTOPPED(status))
			;
	}
}

/* An endless race: each child makes the next and ends, so a list of them is out of date at once. */
static void running_away(long n)
{
	if (fork() != 0)
		return;
	signal(SIGCHLD, SIG_IGN);
	for (long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid > 0)
			_exit(0);
	}
	hold(20000);
	_exit(0);
}

/* What the runner kills the launcher of: it stays, with children, whatever comes. */
static void linger(long n)
{
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_IGN);
	for (long i = 0; i < n; i++) {
		if (fork() == 0) {
			setsid();
			hold(20000);
			_exit(0);
		}
	}
	say("here\n");
	hold(20000);
}

/* --- lying --------------------------------------------------------------------------------- */

static void leave(long status)
{
	_exit((int)status);
}

static void die(long number)
{
	signal((int)number, SIG_DFL);
	syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), number);
}

/* Speak to whatever is at the other end of a descriptor that should not be there. */
static void speak_to_descriptors(long n)
{
	static const char note[512] = "{\"exit\":0,\"reason\":\"exited\"}";

	for (int fd = 3; fd < n; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			continue;
		broke("descriptor %d", fd);
		tried(write(fd, note, sizeof(note)) > 0, "writing to it");
	}
	say("denied nothing: looked at them all\n");
}

/* The standard streams can be read from the wrong end, or hold what was written before. */
static void read_backwards(long n)
{
	char byte;

	(void)n;
	for (int fd = 1; fd < 3; fd++) {
		fcntl(fd, F_SETFL, O_NONBLOCK);
		tried(read(fd, &byte, 1) > 0, "reading from %d", fd);
		tried(pread(fd, &byte, 1, 0) > 0, "reading at a place of %d", fd);
		tried(lseek(fd, 0, SEEK_SET) == 0, "seeking in %d", fd);
		fcntl(fd, F_SETFL, 0);
	}
}

#define EXIT(status)                                                                               \
	{                                                                                          \
		"forge_exit_" #status, leave, status, BOTH, STATUS, 0, "exited=" #status, NULL     \
	}
/* A program may lie about its own end: some signals are what the kernel says at a limit. */
#define DIE(name, number, reason)                                                                  \
	{                                                                                          \
		"forge_" #name, die, name, BOTH, STATUS, 0, "signaled=" #number reason, NULL       \
	}
/* clang-format off: one a line */
const struct behaviour signals[] = {
	{ "signal_all_kill", signal_all, SIGKILL, BOTH, BARE, 0, NULL, NULL },
	{ "signal_all_stop", signal_all, SIGSTOP, BOTH, BARE, 0, NULL, NULL },
	{ "signal_parent_kill", signal_parent, SIGKILL, BOTH, BARE, 0, NULL, NULL },
	{ "signal_parent_stop", signal_parent, SIGSTOP, BOTH, BARE, 0, NULL, NULL },
	{ "signal_parent_segv", signal_parent, SIGSEGV, BOTH, BARE, 0, NULL, NULL },
	{ "sweep_kill", sweep, 0, BOTH, BARE, 0, NULL, NULL },
	{ "sweep_tgkill", sweep, 1, BOTH, BARE, 0, NULL, NULL },
	{ "sweep_groups", sweep, 2, BOTH, BARE, 0, NULL, NULL },
	{ "signal_otherwise", signal_otherwise, 0, BOTH, WEAK, 0, NULL, NULL },
	{ "session_of_parent", session_of_parent, 0, BOTH, NO_BITE, 0, NULL, NULL },
	{ "outlive_daemon", outlive, 0, FILES, LEFT, 0, NULL, NULL },
	{ "outlive_holding_streams", outlive, 1, FILES, LEFT, 0, NULL, NULL },
	{ "outlive_children", end_first, 4, FILES, LEFT, 0, NULL, NULL },
	{ "outlive_stopped", stopped_children, 3, FILES, LEFT, 0, NULL, NULL },
	{ "outlive_running_away", running_away, 300, FILES, LEFT, 0, NULL, NULL },
	{ "vfork_waiting", vfork_child, 0, FILES, WEAK, 0, "wall", "--wall 1" },
	{ "linger", linger, 0, BOTH, STAYS, 0, "wall", "--wall 1" },
	{ "linger_children", linger, 2, FILES, STAYS, 0, "wall", "--wall 1" },
	EXIT(124),
	EXIT(125),
	EXIT(2),
	EXIT(137),
	EXIT(152),
	EXIT(159),
	DIE(SIGXCPU, 24, ""),
	DIE(SIGXFSZ, 25, " exited"), /* not allowed to send it to itself */
	DIE(SIGSYS, 31, " exited"),
	DIE(SIGKILL, 9, ""),
	DIE(SIGTERM, 15, ""),
	{ "speak_to_descriptors", speak_to_descriptors, 1024, BOTH, WEAK, 0, NULL, NULL },
	{ "read_backwards", read_backwards, 0, BOTH, NO_BITE, 0, NULL, NULL },
	{ NULL },
};
