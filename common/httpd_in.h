/* SPDX-License-Identifier: Apache-2.0
 *
 * httpd_in.h: what the files of the HTTP server share; nobody else includes it.
 *
 *	httpd.c         the server: listening, routes, what a handler may ask of a request
 *	httpd_conn.c    connections: caps, deadlines, refusing, farewell
 *	httpd_guard.c   the strict look at the bytes
 *	httpd_peer.c    how many connections an address has
 *	httpd_route.c   which handler a path means
 *	httpd_answer.c  answers: whole, as a problem, as a range, streamed
 *	httpd_tunnel.c  a connection that CONNECT made a tunnel
 *
 * A connection and its states:
 *
 *	NEW -> ARRIVING -> WAITING -> ANSWERING -> IDLE -> ARRIVING …
 *	          |(refused) |(CONNECT)  |(streams)
 *	          v          v           v
 *	       LEAVING    TUNNEL ------> gone
 */
#ifndef COMMON_HTTPD_IN_H
#define COMMON_HTTPD_IN_H

#include "common/httpd.h"
#include "common/httpd_guard.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <netinet/in.h>
#include <sys/queue.h>

#define NEVER INT64_MAX
#define PARTS_MAX 4 /* "*"s in a route */
#define PEER_BUCKETS 256

enum conn_state {
	CONN_NEW,       /* accepted; libevent has not set it up yet */
	CONN_ARRIVING,  /* handshake, or part of a request is here; has a deadline */
	CONN_WAITING,   /* a handler has the request */
	CONN_ANSWERING, /* bytes go out; the peer must take some now and then */
	CONN_IDLE,      /* between requests; first to go when room is needed */
	CONN_LEAVING,   /* refused: the last words go out, then it is closed */
	CONN_TUNNEL     /* its bytes are somebody else's: the guard and evhttp see nothing of them */
};

struct peer { /* an address (IPv6: a /64) and how many connections it has */
	struct peer *next;
	unsigned char key[16];
	size_t conns, owed; /* owed: bytes of answers, when it was last added up */
};

struct conn {
	TAILQ_ENTRY(conn) all, idle;
	struct httpd *h;
	struct bufferevent *bev;      /* we hold a reference, so that it outlives evhttp's */
	struct evhttp_connection *ev; /* NULL while NEW */
	struct event *kick;           /* do what could not be done inside a callback */
	enum conn_state state;
	int64_t deadline; /* clock_mono_ms() */
	struct guard guard;
	uint64_t dispatched; /* requests that reached us through libevent */
	size_t moved;        /* bytes of the answer taken since the deadline was set */
	struct req *req;     /* with a handler, or streaming */
	loop_fn *over;       /* of the answer that is on its way */
	void *over_arg;
	struct tunnel *tunnel; /* dialling, or passing bytes */
	struct peer *peer;   /* NULL: not counted (loopback) */
	bool in_flight;
	int fd;
	char address[INET6_ADDRSTRLEN];
};

TAILQ_HEAD(conn_list, conn);

struct httpd {
	TAILQ_ENTRY(httpd) all;
	struct loop *loop;
	struct httpd_spec spec; /* with the defaults filled in */
	struct evhttp *http;
	struct evhttp_bound_socket *bound; /* NULL: not accepting any more */
	uint16_t port;
	struct conn_list conns, idle; /* idle: longest first */
	size_t n_conns, in_flight;
	bool tunnels; /* there is a route for CONNECT */
	struct conn **by_fd;
	size_t by_fd_room;
	struct peer *peers[PEER_BUCKETS];
	struct timer *sweep, *accept_again;
	struct bufferevent_rate_limit_group *pace; /* NULL: none */
	struct ev_token_bucket_cfg *pace_cfg;
};

struct req {
	struct conn *conn;
	struct evhttp_request *ev;
	const struct route *route;
	char *path, *parts[PARTS_MAX];
	struct evkeyvalq query;
	const char *body;
	size_t n;
	bool handed, answered, connect;
	loop_fn *gone;
	void *gone_arg;
	int fd; /* what streams; -1: nothing */
	int64_t at, left;
};

/* httpd_conn.c */
struct bufferevent *conn_accept(struct event_base *base, void *httpd); /* evhttp's bevcb */
void conn_sweep(void *httpd);
struct conn *conn_of(struct httpd *h, struct evhttp_request *ev);
void conn_dispatched(struct conn *c); /* evhttp has handed us a request */
void conn_wait(struct conn *c);      /* it will be answered later: watch for the peer's going */
void conn_hand_later(struct conn *c);
void conn_answering(struct conn *c); /* bytes go out from now on */
void conn_complete(struct evhttp_request *ev, void *conn); /* evhttp has sent the answer whole */
void conn_cut(struct conn *c);       /* c is gone after it */
void conn_over(struct conn *c);      /* the request is: tell who wants to know */
void conn_drop_all(struct httpd *h); /* after evhttp_free() */
void conn_make_room(struct httpd *h); /* the longest idle one goes */
void conn_close_idle(struct httpd *h);
void conn_become_tunnel(struct conn *c); /* evhttp gets no more of its bytes */

/* httpd_tunnel.c */
void tunnel_gone(struct tunnel *t); /* its connection is about to be freed */

/* httpd_peer.c */
void peer_count(struct conn *c); /* also finds c->address */
void peer_uncount(struct conn *c);

/* httpd_route.c */
const struct route *route_find(const struct httpd *h, const char *method, const char *path,
	char *parts[PARTS_MAX], bool *path_known);
char *route_methods(const struct httpd *h, const char *path);

/* httpd.c */
void req_hand(struct req *r); /* to its handler */
void req_free(struct req *r);

#endif
