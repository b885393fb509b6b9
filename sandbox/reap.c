/* SPDX-License-Identifier: Apache-2.0
 *
 * reap.c: the box's init; see reap.h for who says what.
 *
 * It is pid 1 of the box (in `compute` without namespaces: a plain parent) and the program is its
 * child, for the kernel shields pid 1 from signals that must reach a program. When it ends,
 * all of the box ends. It dies with the launcher. It trusts nothing from the program, which cannot
 * reach it: it has no handler, no open file of it but the socket, and cannot be dumped.
 */
#include "sandbox/reap.h"

#include "sandbox/space.h"
#include "sandbox/start.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FD_SOCK = 3, FD_CHLD = 4, FD_KEPT };

static _Noreturn void fail(int sock, struct note *n)
{
	n->kind = NOTE_FAILED;
	(void)note_send(sock, n, -1);
	_exit(BOX_EXIT_SETUP);
}

/* Wait for the word; an end of file says that the launcher is gone. PDEATHSIG is set between the
 * last change of credentials, which would clear it, and a look whether it came too late. */
static int attach(int sock, struct why *w)
{
	char word = 0, more;

	if (recv(sock, &word, 1, 0) != 1 || word != REAP_GO)
		return why_set(w, "the launcher is gone");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return why_sys(w, "binding the init's life to the launcher's");
	if (recv(sock, &more, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		return why_set(w, "the launcher is gone");
	if (setsid() < 0 && errno != EPERM)
		return why_sys(w, "leaving the session");
	return 0;
}

/* `compute` does without what is refused, for its program can open nothing; `files` needs all. */
static int furnish(const struct reap_plan *p, unsigned *layers, int *work, struct why *w)
{
	bool all = p->spec->profile != BOX_COMPUTE;

	*work = -1;
	if ((*layers & BOX_BIT(UTSNS)) && space_name(w)) {
		if (all)
			return -1;
		*layers &= ~BOX_BIT(UTSNS);
	}
	if ((*layers & BOX_BIT(MOUNTNS)) && space_root(p->given, p->spec, work, w)) {
		if (all)
			return -1;
		*layers &= ~BOX_BIT(MOUNTNS);
	}
	/* where root could not become nobody */
	if (all && p->given->was_root && !p->given->is_nobody && limit_prove(w))
		return -1;
	return given_drop_capabilities(w);
}

/* Keep the socket and the word of ended children; all else was the program's or the launcher's. */
static int keep_two(int *sock, struct why *w)
{
	int away = fcntl(*sock, F_DUPFD_CLOEXEC, FD_KEPT), chld;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	chld = signalfd(-1, &set, SFD_CLOEXEC);
	if (away < 0 || chld < 0)
		return why_sys(w, "init: its descriptors");
	chld = fcntl(chld, F_DUPFD_CLOEXEC, FD_KEPT);
	if (chld < 0 || dup3(away, FD_SOCK, O_CLOEXEC) < 0 || dup3(chld, FD_CHLD, O_CLOEXEC) < 0 ||
		syscall(SYS_close_range, FD_KEPT, ~0U, 0) || syscall(SYS_close_range, 0, 2, 0))
		return why_sys(w, "init: its descriptors");
	*sock = FD_SOCK;
	return 0;
}

/* Everything of the box. Never kill(-1) outside a pid namespace: that would be all the user has. */
static void kill_all(pid_t program, unsigned layers)
{
	if ((layers & BOX_BIT(PIDNS)) && getpid() == 1)
		kill(-1, SIGKILL);
	else
		kill(program, SIGKILL);
}

/* Reap who has ended; 1 once that is the program, with its status. */
static int reap_ended(pid_t program, int *status)
{
	int got;
	pid_t pid;

	while ((pid = waitpid(-1, &got, WNOHANG)) > 0) {
		if (pid == program) {
			*status = got;
			return 1;
		}
	}
	return 0;
}

/* Until the program ends or the launcher says (or by its end: shows) that it is enough. */
static void wait_for(pid_t program, unsigned layers, int *status)
{
	struct pollfd fds[2] = { { FD_SOCK, POLLIN, 0 }, { FD_CHLD, POLLIN, 0 } };
	struct signalfd_siginfo info;

	while (!reap_ended(program, status)) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return;
		if (fds[0].revents) {
			kill_all(program, layers);
			while (waitpid(program, status, 0) < 0 && errno == EINTR)
				;
			return;
		}
		if (fds[1].revents && read(FD_CHLD, &info, sizeof(info)) < 0 && errno != EINTR)
			return;
	}
}

static void reap_rest(pid_t program, unsigned layers)
{
	if ((layers & BOX_BIT(PIDNS)) && getpid() == 1)
		kill_all(program, layers);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

static void tell_end(int sock, int status)
{
	struct note n = { .kind = NOTE_ENDED, .status = status };
	struct rusage u;

	if (getrusage(RUSAGE_CHILDREN, &u) == 0) {
		n.cpu_us = (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * INT64_C(1000000) +
		           u.ru_utime.tv_usec + u.ru_stime.tv_usec;
		n.rss_kib = u.ru_maxrss;
	}
	(void)note_send(sock, &n, -1);
}

/* As fork(), with SIGCHLD blocked so that none is missed. */
static pid_t fork_program(const struct reap_plan *p, unsigned layers, struct why *w)
{
	pid_t init = getpid(), pid;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return why_sys(w, "init: blocking SIGCHLD");
	pid = fork();
	if (pid < 0)
		return why_sys(w, "starting a process in the box");
	if (pid == 0)
		start_program(p, layers, init);
	return pid;
}

_Noreturn void reap_run(const struct reap_plan *plan)
{
	struct note n = { .kind = NOTE_READY, .layers = plan->layers };
	int sock = plan->sock, work, status = 0;
	pid_t program;

	if (attach(sock, &n.why) || furnish(plan, &n.layers, &work, &n.why))
		fail(sock, &n);
	if (note_send(sock, &n, work))
		_exit(BOX_EXIT_SETUP);
	program = fork_program(plan, n.layers, &n.why);
	if (program < 0 || keep_two(&sock, &n.why))
		fail(sock, &n);
	wait_for(program, n.layers, &status);
	reap_rest(program, n.layers);
	tell_end(sock, status);
	_exit(0);
}
