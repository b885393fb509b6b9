/* SPDX-License-Identifier: Apache-2.0
 *
 * httpd_conn.c: the connections of the HTTP server, from accept to farewell.
 *
 * libevent's evhttp owns a connection and speaks HTTP on it. We stand beside it: we count it, see
 * its bytes before evhttp does (the guard), give each state a deadline, and cut it when that has
 * passed. evhttp has no hook for a new connection but the one that makes its bufferevent, so the
 * rest of our set-up runs one event later ("kick"), before any byte can have been read.
 *
 * A refusal is spoken without evhttp: its callbacks are taken off the bufferevent, a problem
 * document is written, and what the peer still sends is thrown away for a moment, since closing
 * at once would reset the connection and destroy the answer on its way.
 */
#include "common/httpd_in.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/problem.h"

#include <assert.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define STALL_MS 30000               /* an answer must move in this time … */
#define STALL_BYTES ((size_t)16384)  /* … by this much, or be taken whole */
#define OWED_LOOK ((size_t)(64 * KIB)) /* who owes less is not worth a look at all others */
#define PIPELINE_MAX (64 * KIB)      /* bytes behind a request that is being handled */
#define FAREWELL_MS 5000             /* to take a refusal */
#define LINGER_MS 2000               /* to stop sending after it */
#define LINGER_BYTES ((size_t)(8 * MIB))
#define TICK_MIN_MS 10
#define TICK_MAX_MS 1000

static void on_kick(evutil_socket_t fd, short what, void *arg);

/* --- states ----------------------------------------------------------------------------------- */
static void enter(struct conn *c, enum conn_state state, int64_t ms)
{
	struct httpd *h = c->h;

	if (c->state == CONN_IDLE)
		TAILQ_REMOVE(&h->idle, c, idle);
	c->state = state;
	c->deadline = ms == NEVER ? NEVER : clock_mono_ms() + ms;
	if (state == CONN_IDLE)
		TAILQ_INSERT_TAIL(&h->idle, c, idle);
}

void conn_over(struct conn *c)
{
	loop_fn *over = TAKE(c->over);

	if (over)
		over(c->over_arg);
}

static void free_conn(struct conn *c)
{
	struct httpd *h = c->h;

	if (c->state == CONN_IDLE)
		TAILQ_REMOVE(&h->idle, c, idle);
	TAILQ_REMOVE(&h->conns, c, all);
	h->n_conns--;
	h->in_flight -= c->in_flight;
	if (c->fd >= 0)
		h->by_fd[c->fd] = NULL;
	peer_uncount(c);
	guard_release(&c->guard);
	event_free(c->kick);
	conn_over(c);
	if (c->ev && h->pace)
		bufferevent_remove_from_rate_limit_group(c->bev);
	bufferevent_decref(c->bev);
	free(c);
}

static void on_input(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg);
static void on_output(struct evbuffer *out, const struct evbuffer_cb_info *info, void *arg);

/* evhttp is about to free the connection, for whatever reason. */
static void on_close(struct evhttp_connection *ev, void *arg)
{
	struct conn *c = arg;
	struct req *r = c->req;

	(void)ev;
	if (c->tunnel)
		tunnel_gone(TAKE(c->tunnel));
	evbuffer_remove_cb(bufferevent_get_input(c->bev), on_input, c);
	evbuffer_remove_cb(bufferevent_get_output(c->bev), on_output, c);
	if (r) {
		/* When the peer left, evhttp has let go of the request and it is ours to free. */
		bool ours = evhttp_request_get_connection(r->ev) == NULL;
		struct evhttp_request *request = r->ev;

		if (!r->answered && r->gone)
			r->gone(r->gone_arg);
		req_free(r);
		if (ours)
			evhttp_request_free(request);
	}
	free_conn(c);
}

void conn_cut(struct conn *c)
{
	evhttp_connection_free(c->ev);
}

void conn_drop_all(struct httpd *h)
{
	while (!TAILQ_EMPTY(&h->conns))
		free_conn(TAILQ_FIRST(&h->conns)); /* never set up: evhttp let go before the kick */
}

void conn_make_room(struct httpd *h)
{
	if (!TAILQ_EMPTY(&h->idle))
		conn_cut(TAILQ_FIRST(&h->idle));
}

void conn_close_idle(struct httpd *h)
{
	while (!TAILQ_EMPTY(&h->idle))
		conn_cut(TAILQ_FIRST(&h->idle));
}

struct conn *conn_of(struct httpd *h, struct evhttp_request *ev)
{
	struct evhttp_connection *ec = evhttp_request_get_connection(ev);
	int fd = bufferevent_getfd(evhttp_connection_get_bufferevent(ec));

	assert(fd >= 0 && (size_t)fd < h->by_fd_room && h->by_fd[fd]);
	return h->by_fd[fd];
}

/* --- arriving --------------------------------------------------------------------------------- */
static size_t body_limit(void *arg, const char *method, const char *target)
{
	struct conn *c = arg;
	auto_free char *path = xstrdup(target);
	char *parts[PARTS_MAX] = { 0 };
	bool known;

	path[strcspn(path, "?")] = '\0';
	const struct route *route = route_find(c->h, method, path, parts, &known);
	for (size_t i = 0; i < PARTS_MAX; i++)
		free(parts[i]);
	return route ? route->body_max : (size_t)(64 * KIB); /* will be a 404 or 405: let it come */
}

/* One event after accept: now evhttp's connection exists. */
static void start(struct conn *c)
{
	struct httpd *h = c->h;
	void *ev = NULL;

	bufferevent_getcb(c->bev, NULL, NULL, NULL, &ev); /* evhttp's argument is its connection */
	if (!ev) {
		free_conn(c); /* evhttp could not set it up and let go */
		return;
	}
	c->ev = ev;
	c->fd = bufferevent_getfd(c->bev);
	array_room(&h->by_fd, &h->by_fd_room, (size_t)c->fd, sizeof(*h->by_fd));
	h->by_fd[c->fd] = c;
	evhttp_connection_set_closecb(c->ev, on_close, c);
	evbuffer_add_cb(bufferevent_get_input(c->bev), on_input, c);
	evbuffer_add_cb(bufferevent_get_output(c->bev), on_output, c);
	peer_count(c);
	if (h->pace)
		bufferevent_add_to_rate_limit_group(c->bev, h->pace);
	enter(c, CONN_ARRIVING, h->spec.arrive_ms);
	if (!timer_is_on(h->sweep))
		conn_sweep(h);
	if (c->peer && c->peer->conns > h->spec.conns_per_address_max)
		conn_cut(c);
	else if (h->n_conns > h->spec.conns_max)
		conn_cut(TAILQ_EMPTY(&h->idle) ? c : TAILQ_FIRST(&h->idle));
}

struct bufferevent *conn_accept(struct event_base *base, void *httpd)
{
	struct httpd *h = httpd;
	struct conn *c = xcalloc(1, sizeof(*c));

	*c = (struct conn){ .h = h, .fd = -1, .deadline = NEVER };
	if (h->spec.tls) {
		SSL *ssl = SSL_new(h->spec.tls);
		assert(ssl); /* memory is out; answering NULL would make it a plain connection */
		SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
		c->bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING,
			BEV_OPT_CLOSE_ON_FREE);
	} else {
		c->bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	}
	assert(c->bev);
	if (h->spec.tls)
		bufferevent_openssl_set_allow_dirty_shutdown(c->bev, 1);
	bufferevent_incref(c->bev);
	guard_init(&c->guard, body_limit, c);
	c->guard.tunnels = h->tunnels;
	TAILQ_INSERT_TAIL(&h->conns, c, all);
	h->n_conns++;
	c->kick = event_new(base, -1, 0, on_kick, c);
	assert(c->kick);
	event_active(c->kick, EV_TIMEOUT, 0);
	return c->bev;
}

/* Show the guard the n bytes that were just added to `in`. */
static int show(struct conn *c, struct evbuffer *in, size_t n)
{
	struct evbuffer_iovec part[8];
	struct evbuffer_ptr at;
	int bad = 0;

	evbuffer_ptr_set(in, &at, evbuffer_get_length(in) - n, EVBUFFER_PTR_SET);
	while (n > 0 && !bad) {
		int got = evbuffer_peek(in, (ev_ssize_t)n, &at, part, (int)ARRAY_LEN(part));
		size_t seen = 0;

		if (got > (int)ARRAY_LEN(part))
			got = (int)ARRAY_LEN(part);
		for (int i = 0; i < got && !bad && n > 0; i++) {
			size_t take = part[i].iov_len < n ? part[i].iov_len : n;

			bad = guard_feed(&c->guard, part[i].iov_base, take);
			seen += take;
			n -= take;
		}
		if (n > 0)
			evbuffer_ptr_set(in, &at, seen, EVBUFFER_PTR_ADD);
	}
	return bad;
}

static void on_input(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
	struct conn *c = arg;

	if (!info->n_added || c->state == CONN_LEAVING || c->state == CONN_TUNNEL || c->guard.state == GUARD_REFUSED)
		return;
	if (c->state == CONN_IDLE)
		enter(c, CONN_ARRIVING, c->h->spec.arrive_ms);
	if (show(c, in, info->n_added) && c->state == CONN_ARRIVING) {
		/* evhttp must not see this; and we may not speak inside its callback */
		bufferevent_setcb(c->bev, NULL, NULL, NULL, NULL);
		event_active(c->kick, EV_TIMEOUT, 0);
	}
}

/* --- answering -------------------------------------------------------------------------------- */
static void on_output(struct evbuffer *out, const struct evbuffer_cb_info *info, void *arg)
{
	struct conn *c = arg;

	if (c->state != CONN_ANSWERING || !info->n_deleted)
		return;
	c->moved += info->n_deleted;
	if (c->moved >= STALL_BYTES || evbuffer_get_length(out) == 0) {
		c->moved = 0;
		c->deadline = clock_mono_ms() + STALL_MS;
	}
}

void conn_dispatched(struct conn *c)
{
	c->dispatched++;
	c->in_flight = true;
	c->h->in_flight++;
	enter(c, CONN_WAITING, NEVER);
}

void conn_wait(struct conn *c)
{
	bufferevent_data_cb write;
	bufferevent_event_cb event;
	void *ev;

	/* evhttp has stopped reading, so it would not notice a peer that leaves. Read on, but let
	 * nobody look at what comes, and take little of it. */
	bufferevent_getcb(c->bev, NULL, &write, &event, &ev);
	bufferevent_setcb(c->bev, NULL, write, event, ev);
	bufferevent_setwatermark(c->bev, EV_READ, 0, PIPELINE_MAX);
	bufferevent_enable(c->bev, EV_READ);
}

/* Over TLS, bufferevent tells evhttp one event late that "100 Continue" has left; were the answer
 * written by then, evhttp would take that for the answer's end. So let that event pass first. */
void conn_hand_later(struct conn *c)
{
	struct timeval at_once = { 0 };
	int bad = event_add(c->kick, &at_once);

	assert(!bad);
	conn_wait(c);
}

static size_t owed_to(const struct conn *c)
{
	return c->state == CONN_ANSWERING ? evbuffer_get_length(bufferevent_get_output(c->bev)) : 0;
}

/* Add up what is owed to each address, those that are not counted being one; all together. */
static size_t add_owed(const struct httpd *h, struct peer *uncounted)
{
	const struct conn *c;
	size_t sum = 0;

	TAILQ_FOREACH(c, &h->conns, all)
		if (c->peer)
			c->peer->owed = 0;
	TAILQ_FOREACH(c, &h->conns, all) {
		(c->peer ? c->peer : uncounted)->owed += owed_to(c);
		sum += owed_to(c);
	}
	return sum;
}

/* Whom to cut: of the address to which most is owed, who has taken nothing for the longest. Never `c`. */
static struct conn *slowest(const struct httpd *h, const struct conn *c, const struct peer *uncounted)
{
	struct conn *at, *worst = NULL;
	size_t most = 0;

	TAILQ_FOREACH(at, &h->conns, all) {
		size_t owed = (at->peer ? at->peer : uncounted)->owed;

		if (at == c || owed_to(at) < OWED_LOOK || owed < most)
			continue;
		if (owed > most || at->deadline < worst->deadline)
			worst = at;
		most = owed;
	}
	return worst;
}

/* An answer stays in memory until it is taken, and who takes 16 KiB in half a minute may take hours for 4 MiB. */
static void bound_owed(struct conn *c)
{
	struct httpd *h = c->h;
	struct peer uncounted = { .owed = 0 };
	struct conn *worst;

	if (owed_to(c) < OWED_LOOK)
		return;
	while (add_owed(h, &uncounted) > h->spec.owed_max && (worst = slowest(h, c, &uncounted))) {
		conn_cut(worst);
		uncounted.owed = 0;
	}
}

void conn_answering(struct conn *c)
{
	/* evhttp reads while it writes, to notice a peer that leaves: but one that has only finished
	 * sending (shutdown) shall have its answer, and a failing write tells as well. */
	bufferevent_disable(c->bev, EV_READ);
	if (c->state == CONN_ANSWERING)
		return;
	c->moved = 0;
	enter(c, CONN_ANSWERING, STALL_MS);
	bound_owed(c);
}

void conn_complete(struct evhttp_request *ev, void *conn)
{
	struct conn *c = conn;
	struct httpd *h = c->h;
	bool more = !guard_between(&c->guard) || c->guard.messages > c->dispatched;

	(void)ev;
	h->in_flight -= c->in_flight;
	c->in_flight = false;
	conn_over(c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, 0);
	enter(c, more ? CONN_ARRIVING : CONN_IDLE, more ? h->spec.arrive_ms : h->spec.idle_ms);
	if (c->guard.state == GUARD_REFUSED)
		event_active(c->kick, EV_TIMEOUT, 0);
}

void conn_become_tunnel(struct conn *c)
{
	c->h->in_flight -= c->in_flight;
	c->in_flight = false;
	bufferevent_setcb(c->bev, NULL, NULL, NULL, NULL);
	enter(c, CONN_TUNNEL, NEVER);
}

/* --- farewell --------------------------------------------------------------------------------- */
static void on_leave_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	if (!(what & BEV_EVENT_CONNECTED))
		conn_cut(arg);
}

static void on_leave_read(struct bufferevent *bev, void *arg)
{
	struct conn *c = arg;
	struct evbuffer *in = bufferevent_get_input(bev);

	c->moved += evbuffer_get_length(in);
	evbuffer_drain(in, evbuffer_get_length(in));
	if (c->moved > LINGER_BYTES)
		conn_cut(c);
}

/* The refusal is with the kernel: say that nothing follows, and wait for the peer to stop. */
static void on_leave_written(struct bufferevent *bev, void *arg)
{
	struct conn *c = arg;
	SSL *ssl = c->h->spec.tls ? bufferevent_openssl_get_ssl(bev) : NULL;

	if (evbuffer_get_length(bufferevent_get_output(bev)) > 0)
		return;
	if (ssl)
		SSL_shutdown(ssl);
	shutdown(c->fd, SHUT_WR);
	c->moved = 0;
	c->deadline = clock_mono_ms() + LINGER_MS;
	bufferevent_setcb(bev, on_leave_read, NULL, on_leave_event, c);
	bufferevent_enable(bev, EV_READ);
}

static void leave(struct conn *c)
{
	struct err e;
	struct evbuffer *in = bufferevent_get_input(c->bev);

	err_set(&e, c->guard.code, "%s", c->guard.why);
	auto_free char *text = problem_json(&e);
	enter(c, CONN_LEAVING, FAREWELL_MS);
	bufferevent_disable(c->bev, EV_READ);
	bufferevent_setwatermark(c->bev, EV_READ, 0, 0);
	evbuffer_drain(in, evbuffer_get_length(in));
	bufferevent_setcb(c->bev, NULL, on_leave_written, on_leave_event, c);
	evbuffer_add_printf(bufferevent_get_output(c->bev),
		"HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\n"
		"Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
		err_status(e.code), err_title(e.code), strlen(text), text);
	bufferevent_enable(c->bev, EV_WRITE);
}

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd, (void)what;
	if (c->state == CONN_NEW)
		start(c);
	else if (c->state == CONN_WAITING && !c->req->handed)
		req_hand(c->req);
	else if (c->guard.state == GUARD_REFUSED &&
		(c->state == CONN_ARRIVING || c->state == CONN_IDLE))
		leave(c);
}

/* --- deadlines: one timer looks at all, so that a request costs no timer of its own ------------ */
void conn_sweep(void *httpd)
{
	struct httpd *h = httpd;
	int64_t now = clock_mono_ms();
	int64_t tick = (h->spec.arrive_ms < h->spec.idle_ms ? h->spec.arrive_ms : h->spec.idle_ms) / 8;

	for (struct conn *c = TAILQ_FIRST(&h->conns), *next; c; c = next) {
		next = TAILQ_NEXT(c, all);
		if (now >= c->deadline) {
			log_debug("%s: %s for too long", c->address,
				c->state == CONN_IDLE ? "idle" : "on its way");
			conn_cut(c);
		}
	}
	if (h->n_conns > 0)
		timer_in(h->sweep,
			tick < TICK_MIN_MS ? TICK_MIN_MS : tick > TICK_MAX_MS ? TICK_MAX_MS : tick);
}
