/* SPDX-License-Identifier: Apache-2.0
 *
 * note.c: notes between the init and the launcher, one a packet; see reap.h.
 */
#include "sandbox/reap.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	char room[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int note_send(int sock, const struct note *n, int fd)
{
	struct note copy = *n;
	struct iovec iov = { &copy, sizeof(copy) };
	union control c = { { 0 } };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *h;

	/* under the filter, when the exec has failed, write is all there is */
	if (fd < 0)
		return write(sock, &copy, sizeof(copy)) == (ssize_t)sizeof(copy) ? 0 : -1;
	m.msg_control = c.room;
	m.msg_controllen = sizeof(c.room);
	h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	return sendmsg(sock, &m, MSG_NOSIGNAL) == (ssize_t)sizeof(copy) ? 0 : -1;
}

int note_recv(int sock, struct note *n, int *fd)
{
	struct iovec iov = { n, sizeof(*n) };
	union control c = { { 0 } };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = c.room,
		.msg_controllen = sizeof(c.room) };
	struct cmsghdr *h;
	ssize_t got;

	*fd = -1;
	/* ECONNRESET comes once, when the other side ended without having read our last word; what
	 * it had sent before comes after that. */
	do {
		got = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	} while (got < 0 && (errno == EINTR || errno == ECONNRESET));
	if (got <= 0)
		return (int)got;
	h = CMSG_FIRSTHDR(&m);
	if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(h), sizeof(*fd));
	n->why.text[WHY_MAX - 1] = 0;
	return got == (ssize_t)sizeof(*n) ? 1 : -1;
}
