/* SPDX-License-Identifier: Apache-2.0
 *
 * httpd_guard.h: looks at the bytes of a connection before libevent's parser does, and says no.
 *
 * libevent reads HTTP; it is lenient where leniency lets two readers see different messages in the
 * same bytes (request smuggling), and it can only bound a body after it began. The guard answers
 * nothing and hands out nothing: it follows the framing of RFC 9112 in its strictest reading and
 * refuses what is not exactly that, or is longer than its route allows. No clock, no socket.
 */
#ifndef COMMON_HTTPD_GUARD_H
#define COMMON_HTTPD_GUARD_H

#include "common/base.h"
#include "common/buf.h"
#include "common/err.h"

#define GUARD_HEAD_MAX (16 * KIB) /* request line and fields; ours need less than 1 KiB */
#define GUARD_FIELDS_MAX 64

/* How long a body may be for this request line. `target` is still percent-encoded. */
typedef size_t guard_limit_fn(void *arg, const char *method, const char *target);

enum guard_state {
	GUARD_START, /* between messages, or in the request line */
	GUARD_FIELDS,
	GUARD_BODY,
	GUARD_CHUNK_SIZE,
	GUARD_CHUNK,
	GUARD_CHUNK_END,
	GUARD_TRAILER,
	GUARD_REFUSED /* for good */
};

struct guard {
	enum guard_state state;
	struct buf line; /* the line that is arriving */
	guard_limit_fn *limit;
	void *arg;
	size_t head, n_fields; /* bytes and fields of this head or trailer */
	bool tunnels; /* CONNECT HOST:PORT is let through (RFC 9110, 9.3.6); else refused as any other such target */
	bool http11, may_have_body, has_length, has_coding, has_host;
	bool expects;            /* some message so far asked for "100 Continue" */
	uint64_t left;           /* still to come of the body or chunk */
	uint64_t body, body_max; /* bytes announced so far; the most there may be */
	uint64_t messages;       /* complete ones */
	enum err_code code;      /* why it was refused */
	const char *why;
};

void guard_init(struct guard *g, guard_limit_fn *limit, void *arg);
void guard_release(struct guard *g);
/* The next n bytes. -1: refused, now or before; g->code and g->why say why. */
int guard_feed(struct guard *g, const void *bytes, size_t n);
/* Whether the last message is complete and nothing of the next has come. */
bool guard_between(const struct guard *g);

#endif
