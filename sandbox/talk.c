/* SPDX-License-Identifier: Apache-2.0
 *
 * talk.c: see talk.h.
 */
#include "sandbox/talk.h"

#include "sandbox/plan.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

int talk_send_fds(int sock, const int *fds, size_t n, struct why *w)
{
	char word = PLAN_GO;
	struct iovec iov = { &word, 1 };
	union {
		char room[CMSG_SPACE(PLAN_INPUTS_AT_ONCE * sizeof(int))];
		struct cmsghdr align;
	} c;
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = c.room,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)) };
	struct cmsghdr *h;

	memset(&c, 0, sizeof(c));
	h = CMSG_FIRSTHDR(&m);
	if (!h || n > PLAN_INPUTS_AT_ONCE)
		return why_set(w, "telling the init: %zu descriptors at once", n);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(h), fds, n * sizeof(int));
	return sendmsg(sock, &m, MSG_NOSIGNAL) == 1 ? 0 : why_sys(w, "telling the init");
}

int talk_hear(int sock, char *word, int *fd)
{
	struct iovec iov = { word, 1 };
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} c = { { 0 } };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = c.room,
		.msg_controllen = sizeof(c.room) };
	const struct cmsghdr *h;
	ssize_t got;

	*fd = -1;
	/* ECONNRESET comes once, when the other side ended without having read our last word; what
	 * it had sent before comes after that. */
	do {
		got = recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (got < 0 && (errno == EINTR || errno == ECONNRESET));
	h = got > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(h), sizeof(*fd));
	return (int)got;
}
