/* SPDX-License-Identifier: Apache-2.0
 *
 * wire.c: see wire.h.
 */
#include "worker/wire.h"
#include "worker/guard.h"
#include "worker/spawn.h"
#include "common/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAYS_BYTES 393216 /* the kernel counts 768 and more an answer; all lodgers' and then some */
#define END_LOOK_MS 5
#define END_WAIT_MS 500 /* for its boxes and their cgroups */

void wire_init(struct wire *w, int guard)
{
	*w = (struct wire){ .guard = guard, .sock = -1, .complaints = -1 };
}

/* --- its beginning --------------------------------------------------------------------------------------- */

static int start(struct wire *w, const char *sandbox, const char *name, int theirs, int errors,
	struct err *e)
{
	auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	auto_free char *path = xstrdup(sandbox), *profile = xstrdup(name);
	char serve[] = "--serve", flag[] = "--profile";
	char *const argv[] = { path, serve, flag, profile, NULL }, *const none[] = { NULL };
	struct spawn s = { .argv = argv,
		.env = none,
		.in = theirs,
		.out = null,
		.err = errors,
		.guard = w->guard,
		.death = SIGTERM }; /* it then ends its boxes and removes their cgroups */
	pid_t pid;

	if (null < 0)
		return err_sys(e, "opening /dev/null");
	pid = spawn(&s, e);
	if (pid < 0)
		return -1;
	w->pid = pid;
	return 0;
}

static void close_all(struct wire *w)
{
	if (w->sock >= 0)
		close(w->sock);
	if (w->complaints >= 0)
		close(w->complaints);
	w->sock = w->complaints = -1;
}

int wire_open(struct wire *w, const char *sandbox, const char *profile, struct err *e)
{
	const int room = SAYS_BYTES;
	auto_close int theirs = -1, errors = -1;
	int ends[2], way[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return err_sys(e, "making a socket for a keeper");
	w->sock = ends[0];
	theirs = ends[1];
	setsockopt(theirs, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	if (pipe2(way, O_CLOEXEC | O_NONBLOCK)) { /* its complaints never make it wait */
		err_sys(e, "making a pipe for a keeper");
		close_all(w);
		return -1;
	}
	w->complaints = way[0];
	errors = way[1];
	w->said[0] = '\0';
	if (!start(w, sandbox, profile, theirs, errors, e))
		return 0;
	close_all(w);
	return -1;
}

/* --- packets ----------------------------------------------------------------------------------------------- */

enum wired wire_post(struct wire *w, const struct packet *p, const int *fds, size_t n)
{
	union {
		char room[CMSG_SPACE(WIRE_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} c = { .room = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)p->bytes, p->n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	assert(n <= WIRE_FDS_MAX);
	if (n) {
		c.align = (struct cmsghdr){ CMSG_LEN(n * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(&c.align), fds, n * sizeof(int));
		m.msg_control = c.room;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	if (sendmsg(w->sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		return WIRED;
	return errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ETOOMANYREFS
	               ? WIRED_LATER
	               : WIRED_NOT;
}

enum wired wire_hear(struct wire *w, void *bytes, size_t room, size_t *n)
{
	ssize_t got = w->sock < 0 ? 0 : recv(w->sock, bytes, room, MSG_DONTWAIT);

	*n = got > 0 ? (size_t)got : 0;
	if (got > 0)
		return WIRED;
	return got < 0 && (errno == EAGAIN || errno == EINTR) ? WIRED_LATER : WIRED_NOT;
}

/* --- complaints --------------------------------------------------------------------------------------------- */

/* The end of it, on one line. */
static void keep_said(struct wire *w, const char *part, size_t n)
{
	size_t have = strlen(w->said);

	while (n && part[n - 1] == '\n')
		n--;
	if (n > WIRE_SAID_MAX) {
		part += n - WIRE_SAID_MAX;
		n = WIRE_SAID_MAX;
	}
	if (have + n > WIRE_SAID_MAX) {
		memmove(w->said, w->said + (have + n - WIRE_SAID_MAX), WIRE_SAID_MAX - n);
		have = WIRE_SAID_MAX - n;
	}
	for (size_t i = 0; i < n; i++)
		w->said[have++] = part[i] && part[i] != '\n' ? part[i] : ' ';
	w->said[have] = '\0';
}

enum wired wire_listen(struct wire *w)
{
	char part[1024];
	ssize_t n = w->complaints < 0 ? 0 : read(w->complaints, part, sizeof(part));

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? WIRED_LATER : WIRED_NOT;
	auto_free char *safe = text_safe(part, (size_t)n);
	log_debug("a keeper says: %s", safe);
	keep_said(w, part, (size_t)n);
	return WIRED;
}

/* --- its end ------------------------------------------------------------------------------------------------- */

/* Who is left of the group copies outputs that nobody waits for. */
void wire_shut(struct wire *w)
{
	if (w->pid > 0) {
		kill(-w->pid, SIGKILL);
		guard_drop(w->guard, w->pid);
	}
	w->pid = 0;
	close_all(w);
}

static bool ended_soon(pid_t pid)
{
	const struct timespec look = { 0, END_LOOK_MS * 1000000L };

	for (int i = 0; i < END_WAIT_MS / END_LOOK_MS; i++) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
		nanosleep(&look, NULL);
	}
	return false;
}

void wire_end(struct wire *w)
{
	if (w->pid > 0) {
		kill(w->pid, SIGTERM);
		if (!ended_soon(w->pid)) {
			kill(-w->pid, SIGKILL);
			waitpid(w->pid, NULL, 0);
		}
	}
	wire_shut(w);
}
