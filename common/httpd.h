/* SPDX-License-Identifier: Apache-2.0
 *
 * httpd.h: an HTTP/1.1 server on the loop, plain or TLS 1.3, that strangers cannot wear down.
 *
 * Limits, all named in httpd.c with their reasons: connections (in all and per address; beyond
 * them the oldest idle one is closed, else the new one), header bytes, body bytes per route, the
 * time a request may take to arrive (a client that trickles is cut), idle time between requests.
 * Errors are application/problem+json (RFC 9457) with type "urn:talkoot:problem:NAME".
 */
#ifndef COMMON_HTTPD_H
#define COMMON_HTTPD_H

#include "common/base.h"
#include "common/err.h"
#include "common/id.h"
#include "common/loop.h"

struct httpd;
struct req;
struct ssl_ctx_st;

typedef void route_fn(void *arg, struct req *r);

struct route {
	const char *method; /* "GET" also serves HEAD, without the body */
	const char *path;   /* exact, or each "*" one path segment; with "CONNECT": "*", the HOST:PORT asked for */
	route_fn *handle;
	size_t body_max; /* larger bodies are 413; 0: no body allowed */
};

struct httpd_spec {
	struct endpoint listen;  /* port 0: any free one */
	struct ssl_ctx_st *tls;  /* NULL: plain HTTP. Borrowed while the server lives */
	const struct route *routes; /* borrowed */
	size_t n_routes;
	void *arg;            /* handed to every handler */
	bool check_host;      /* refuse Host headers that name neither an address of ours nor localhost
	                         (DNS rebinding): for ports that people's browsers can reach */
	int64_t arrive_ms;    /* a request must have arrived whole in this time; 0: the default */
	int64_t idle_ms;      /* between requests; 0: the default */
	size_t conns_max, conns_per_address_max; /* 0: the defaults */
	size_t owed_max; /* bytes of answers that are not taken yet, of all together; 0: 64 MiB */
	int64_t send_bytes_s; /* all connections together send no more a second; 0: no limit */
	struct httpd *paced_with; /* another server, freed after this one: its limit is for both. NULL: none */
};

int httpd_new(struct httpd **out, struct loop *l, const struct httpd_spec *spec, struct err *e);
uint16_t httpd_port(const struct httpd *h);
void httpd_stop_accepting(struct httpd *h); /* what is in flight may finish */
size_t httpd_in_flight(const struct httpd *h); /* requests handed out and not answered */
void httpd_free(struct httpd *h);

/* --- a request. Valid from the handler's call until answered (or its connection closes) ------ */
const char *req_method(const struct req *r);
const char *req_path(const struct req *r);          /* decoded, without the query */
const char *req_part(const struct req *r, size_t i);  /* what the i-th "*" matched; "" when none */
const char *req_query(const struct req *r, const char *name);  /* decoded; NULL when absent */
const char *req_header(const struct req *r, const char *name); /* NULL when absent */
const char *req_body(const struct req *r, size_t *n);          /* never NULL */
const char *req_address(const struct req *r);                  /* the peer's numeric address */
void *req_arg(const struct req *r);                            /* the server's arg */

/* A handler may return without answering and answer later, once. If the peer goes away first, fn
 * is called and the request must not be touched again after it. One fn a request. */
void req_on_gone(struct req *r, loop_fn *fn, void *arg);
/* fn is called once when the request is over, however it ends: its answer has left whole, or the
 * peer went away. The request must not be touched in it. */
void req_on_over(struct req *r, loop_fn *fn, void *arg);
/* What a Range header asks for of `size` bytes; false: nothing in particular (or nothing that there is). */
bool req_range(const struct req *r, int64_t size, int64_t *from, int64_t *n);

/* --- the answer: any headers first, then exactly one of the rest ------------------------------ */
void req_out_header(struct req *r, const char *name, const char *value);
void req_answer(struct req *r, int status, const char *type, const void *bytes, size_t n);
void req_answer_json(struct req *r, int status, const char *text); /* a JSON text */
/* JSON with no header that is not needed: between programs, where an idle exchange is counted in bytes. */
void req_answer_bare(struct req *r, int status, const void *json, size_t n);
void req_problem(struct req *r, const struct err *e);
/* The whole of fd (size bytes), or what a Range header asks of it (206, 416); ETag by `etag` if not
 * NULL. Takes fd. Streams: memory does not grow with size. */
void req_answer_fd(struct req *r, const char *type, int fd, int64_t size, const char *etag);
/* The same for bytes in memory (copied). */
void req_answer_range(struct req *r, const char *type, const void *bytes, size_t n, const char *etag);

/* --- a tunnel: the answer to a CONNECT that is granted (httpd_tunnel.c) ------------------------ */
struct tunnel;
struct tunnel_spec {
	struct endpoint to; /* a numeric address; nothing is resolved */
	int64_t connect_ms; /* the dial may take this long */
	/* How many of the n bytes that wait may pass now (they count as passed); fewer than n: look again
	 * in *wait_ms. Borrowed while the tunnel lives. */
	size_t (*may)(void *arg, size_t n, int64_t *wait_ms);
	loop_fn *over; /* called once, when the tunnel ended by itself or could not be dialled (the request is
	                  answered then); not after tunnel_cut(), and never from within req_tunnel() */
	void *arg;
};
/* Dial, answer 200 when there is a connection (else 503), and pass bytes both ways, unread and unaltered,
 * until one end closes. What it holds is bounded (256 KiB); a slow end slows the other. */
struct tunnel *req_tunnel(struct req *r, const struct tunnel_spec *spec);
void tunnel_cut(struct tunnel *t); /* both ends are closed; the tunnel is gone after it */

#endif
