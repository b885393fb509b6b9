/* SPDX-License-Identifier: Apache-2.0
 *
 * fetch.h: an HTTP client on the loop (libcurl), pinned to the key of the node it calls.
 *
 * TLS 1.3 only; redirects are never followed; no proxy is taken from the environment; a transfer
 * has a time limit and a low-speed limit; connections are kept and reused.
 *
 * With `via` the connection is a tunnel through that node (HTTP CONNECT over TLS, pinned to the relay's
 * key), and inside it is TLS with the key of `to`: the relay sees whom we call and how much, no more.
 */
#ifndef COMMON_FETCH_H
#define COMMON_FETCH_H

#include "common/base.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/id.h"
#include "common/loop.h"

struct fetcher; /* the pool of connections */
struct fetch;   /* one transfer */

#define FETCH_HEADERS_MAX 8

struct fetch_spec {
	const char *method;      /* "GET" … ; copied, as are all texts here */
	const struct link *to;   /* host, port, and node: the key that is pinned */
	const struct link *via;  /* a relay, pinned as well; NULL: directly. Never with `plain` */
	const char *path;        /* "/v1/…", already percent-encoded where needed */
	const char *headers[FETCH_HEADERS_MAX]; /* "Name: value"; NULL ends them */
	const void *body;        /* copied */
	size_t n;
	size_t answer_max;       /* a longer answer is ERR_TOO_BIG; 0: 1 MiB */
	int64_t timeout_ms;      /* in all; 0: 30 s. A long poll adds its wait */
	int64_t send_bytes_s;    /* the body goes no faster; 0: no limit */
	bool plain;              /* http:// without TLS: the admin port and tests */
	/* When set, a 2xx body goes here part by part instead of into the answer; non-zero cuts the
	 * transfer with `e` as the reason. */
	int (*sink)(void *arg, const void *bytes, size_t n, struct err *e);
	void *sink_arg;
};

struct answer {
	int status; /* 0: no answer came, `e` says why (ERR_UNREACHABLE and others) */
	struct err e; /* status ≥ 400: read from the problem+json, so e.code is the sender's */
	struct buf body;
	char type[64], location[256];
	int64_t upload_offset; /* -1: no such header */
	int64_t retry_after_s; /* -1: no such header */
	int64_t length;        /* Content-Length; -1: no such header */
	int64_t next;          /* Talkoot-Next; -1: no such header */
	char ip[46];           /* the numeric address that answered (the relay's, with `via`); "" when none did */
};

/* `a` is borrowed for the call. The fetch is gone after it. */
typedef void fetch_fn(void *arg, struct answer *a);

int fetcher_new(struct fetcher **out, struct loop *l, struct err *e);
void fetcher_free(struct fetcher *f); /* cancels what runs, without calling back */

/* Start; fn is called once, from the loop. Cannot fail at once. */
struct fetch *fetch_start(struct fetcher *f, const struct fetch_spec *spec, fetch_fn *fn, void *arg);
void fetch_cancel(struct fetch *t); /* fn is not called */

/* For programs that do one thing at a time: runs the loop until the answer is there. 0 and *a filled
 * (release it with answer_release) for a status below 400, else -1 with `e` = a->e. */
int fetch_wait(struct fetcher *f, const struct fetch_spec *spec, struct answer *a, struct err *e);
void answer_release(struct answer *a);

#endif
