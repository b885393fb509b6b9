/* SPDX-License-Identifier: Apache-2.0
 *
 * keeper.c: see keeper.h.
 */
#include "tests/bench/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILES_MAX 8

_Noreturn void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

void keeper_start(struct keeper *k, const char *sandbox, const char *profile)
{
	char *argv[] = { (char *)(uintptr_t)sandbox, "--serve", "--profile",
		(char *)(uintptr_t)profile, NULL };
	struct box_say say;
	int ends[2];

	k->profile = profile;
	k->id = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		die("socketpair");
	k->pid = vfork();
	if (k->pid == 0) {
		dup2(ends[1], 0);
		execv(sandbox, argv);
		_exit(127);
	}
	close(ends[1]);
	k->sock = ends[0];
	k->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	k->report = memfd_create("report", MFD_CLOEXEC);
	if (k->null < 0 || k->report < 0)
		die("a keeper's files");
	if (recv(k->sock, &say, sizeof(say), 0) != sizeof(say) || say.kind != BOX_SAY_READY)
		die("the keeper is not ready");
}

void keeper_end(struct keeper *k)
{
	int status;

	close(k->sock);
	if (waitpid(k->pid, &status, 0) != k->pid || status)
		die("the keeper's end");
	close(k->null);
	close(k->report);
}

static void add(struct iovec *iov, const char *word)
{
	char *at = (char *)iov->iov_base + iov->iov_len;

	iov->iov_len += strlen(strcpy(at, word)) + 1;
}

static void add_all(struct iovec *iov, const char *const *words)
{
	while (*words)
		add(iov, *words++);
}

static void send_with(const struct keeper *k, struct iovec *iov, const int *fds, size_t n)
{
	union {
		char room[CMSG_SPACE((FILES_MAX + 4) * sizeof(int))];
		struct cmsghdr align;
	} c = { { 0 } };
	struct msghdr m = { .msg_iov = iov,
		.msg_iovlen = 1,
		.msg_control = c.room,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)) };
	struct cmsghdr *h = &c.align;

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(h), fds, n * sizeof(int));
	if (sendmsg(k->sock, &m, MSG_NOSIGNAL) < 0)
		die("asking the keeper");
}

void keeper_ask(struct keeper *k, const struct keeper_box *b)
{
	static const char *const first[] = { "--report", "r", "--profile", NULL };
	char packet[2048];
	struct box_ask a = { BOX_ASK_RUN, ++k->id };
	struct iovec iov = { packet, sizeof(a) };
	int fds[FILES_MAX + 4] = { k->report }, out = b->out < 0 ? k->null : b->out;
	size_t n = 1 + b->n_files;

	if (ftruncate(k->report, 0) || lseek(k->report, 0, SEEK_SET))
		die("report");
	memcpy(packet, &a, sizeof(a));
	add_all(&iov, first);
	add(&iov, k->profile);
	add_all(&iov, b->options);
	add(&iov, "--");
	add_all(&iov, b->words);
	memcpy(fds + 1, b->files, b->n_files * sizeof(int));
	fds[n] = k->null;
	fds[n + 1] = fds[n + 2] = out;
	send_with(k, &iov, fds, n + 3);
}

void keeper_ask_plain(struct keeper *k, int program)
{
	static const char *const first[] = { "--priority", "normal", NULL };
	static const char *const name[] = { "noop", NULL };
	const struct keeper_box b = { first, name, &program, 1, -1 };

	keeper_ask(k, &b);
}

void keeper_kill(struct keeper *k, uint32_t id)
{
	const struct box_ask a = { BOX_ASK_KILL, id };

	if (send(k->sock, &a, sizeof(a), MSG_NOSIGNAL) != sizeof(a))
		die("asking the keeper");
}

int keeper_hear(struct keeper *k)
{
	struct box_say say;

	if (recv(k->sock, &say, sizeof(say), 0) != sizeof(say))
		die("the keeper is gone");
	return say.code;
}

void keeper_launch(struct keeper *k, int program)
{
	keeper_ask_plain(k, program);
	if (keeper_hear(k) != 0)
		die("a box failed");
}
