/* SPDX-License-Identifier: Apache-2.0
 *
 * pour.c: see pour.h.
 *
 * The other end is not ours to make non-blocking, and a slow reader must not hold up the limits:
 * so it is written to only when poll says so, and then at most PIPE_BUF bytes, for which a
 * pipe that polls writable always has room (pipe(7)).
 */
#include "sandbox/pour.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

void pour_init(struct pour *p, int from, int to)
{
	struct stat st;

	p->from = from;
	p->to = to;
	p->to_file = fstat(to, &st) == 0 && S_ISREG(st.st_mode);
	p->have = p->at = 0;
	p->last = false;
	p->buffer = NULL;
}

struct pollfd pour_want(const struct pour *p)
{
	struct pollfd in = { p->from, POLLIN, 0 }, out = { p->to, POLLOUT, 0 };

	return p->at < p->have ? out : in;
}

void pour_stop(struct pour *p)
{
	if (p->from >= 0)
		close(p->from);
	p->from = -1;
	p->have = p->at = 0;
	free(p->buffer);
	p->buffer = NULL;
}

static ssize_t read_some(struct pour *p)
{
	if (!p->buffer)
		p->buffer = malloc(POUR_BUFFER);
	return p->buffer ? read(p->from, p->buffer, POUR_BUFFER) : -1;
}

static enum poured fill(struct pour *p, int64_t *left)
{
	ssize_t n = read_some(p);
	bool over = n > *left;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return POUR_OK;
	if (n <= 0) {
		pour_stop(p);
		return n == 0 ? POUR_OK : POUR_FAILED;
	}
	p->at = 0;
	p->have = over ? (size_t)*left : (size_t)n;
	*left -= (int64_t)p->have;
	if (over) { /* what still fits is written, then no more is read */
		close(p->from);
		p->from = -1;
	}
	return over ? POUR_OVER : POUR_OK;
}

static enum poured drain(struct pour *p)
{
	size_t n = p->have - p->at, step = p->to_file || n < PIPE_BUF ? n : PIPE_BUF;
	ssize_t wrote = write(p->to, p->buffer + p->at, step);

	if (wrote >= 0) {
		p->at += (size_t)wrote;
		return POUR_OK;
	}
	if (errno == EINTR || errno == EAGAIN)
		return POUR_OK;
	pour_stop(p);
	return errno == EPIPE ? POUR_OK : POUR_FAILED;
}

static enum poured move(struct pour *p, short revents, int64_t *left)
{
	enum poured rc;

	if (p->at < p->have)
		return drain(p);
	if (p->from < 0) /* it was let go since it was asked for */
		return POUR_OK;
	if (!(revents & POLLIN)) { /* many write nothing: their end needs no buffer */
		pour_stop(p);
		return POUR_OK;
	}
	rc = fill(p, left);
	if (p->to_file) {
		while (p->at < p->have) {
			if (drain(p) == POUR_FAILED)
				return POUR_FAILED;
		}
	}
	return rc;
}

/* Asked of a pipe, which says how much is in it. */
static void end_if_empty(struct pour *p)
{
	int n = 0;

	if (p->last && p->from >= 0 && p->at == p->have && ioctl(p->from, FIONREAD, &n) == 0 &&
		n == 0)
		pour_stop(p);
}

void pour_last(struct pour *p)
{
	p->last = true;
	end_if_empty(p);
}

enum poured pour_move(struct pour *p, short revents, int64_t *left)
{
	enum poured rc = move(p, revents, left);

	if (rc == POUR_OK)
		end_if_empty(p);
	return rc;
}
