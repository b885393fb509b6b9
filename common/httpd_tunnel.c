/* SPDX-License-Identifier: Apache-2.0
 *
 * httpd_tunnel.c: a connection that CONNECT made a tunnel (RFC 9110, 9.3.6).
 *
 *	DIALLING -> OPEN -> ENDING -> gone
 *	    |(no connection: 503)         one end closed: what it still said goes to the other, no more
 *	    v
 *	   gone
 *
 * The near end is the connection of the one who asked, the far end the one that we dialled. Bytes go from
 * the input of one to the output of the other when `may` lets them and the output has room; else they stay,
 * and nothing more is read from there: so nothing here grows. evhttp still owns the near end's
 * bufferevent, but its callbacks are off it; the end of the tunnel is the end of the connection.
 */
#include "common/httpd_in.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SIDE_MAX ((size_t)(64 * KIB)) /* bytes kept in each of the four buffers */
#define AGAIN_MIN_MS 5
#define AGAIN_MAX_MS 5000

enum side { NEAR, FAR };

struct tunnel {
	struct tunnel_spec spec;
	struct conn *c;
	struct req *r; /* while DIALLING */
	struct bufferevent *end[2];
	struct timer *timer; /* the dial's limit; then: look again at what waits */
	bool ended[2];       /* this end says nothing more */
	bool cut;            /* by who granted it, who need not be told */
	const char *why;     /* the dial's limit will say so */
};

static void tunnel_free(struct tunnel *t)
{
	timer_free(t->timer);
	bufferevent_free(t->end[FAR]);
	free(t);
}

static void tell_over(struct tunnel *t)
{
	if (!t->cut)
		t->spec.over(t->spec.arg);
}

/* The end of an open tunnel is the end of its connection. */
static void finish(struct tunnel *t)
{
	struct conn *c = t->c;
	bool open = !t->r;

	tell_over(t);
	c->tunnel = NULL;
	tunnel_free(t);
	if (open)
		conn_cut(c);
}

void tunnel_gone(struct tunnel *t)
{
	tell_over(t);
	tunnel_free(t);
}

static void refuse(struct tunnel *t, const char *why)
{
	char text[LINK_HOST_MAX + 9];
	struct req *r = t->r;
	struct err e;

	endpoint_text(text, &t->spec.to);
	err_set(&e, ERR_UNREACHABLE, "%s: %s", text, why);
	finish(t);
	req_problem(r, &e);
}

void tunnel_cut(struct tunnel *t)
{
	t->cut = true;
	if (t->r)
		refuse(t, "the relay ended the tunnel");
	else
		finish(t);
}

/* --- passing ----------------------------------------------------------------------------------- */
/* What came in at `from` goes out at the other end, as much as may. */
static void move(struct tunnel *t, enum side from)
{
	struct evbuffer *in = bufferevent_get_input(t->end[from]);
	struct evbuffer *out = bufferevent_get_output(t->end[!from]);
	size_t n = evbuffer_get_length(in), full = evbuffer_get_length(out);
	int64_t wait_ms = AGAIN_MIN_MS;

	if (n > SIDE_MAX - (full < SIDE_MAX ? full : SIDE_MAX))
		n = SIDE_MAX - (full < SIDE_MAX ? full : SIDE_MAX);
	if (!n)
		return;
	size_t may = t->spec.may(t->spec.arg, n, &wait_ms);
	assert(may <= n);
	evbuffer_remove_buffer(in, out, may);
	if (may == n)
		return;
	wait_ms = wait_ms < AGAIN_MIN_MS   ? AGAIN_MIN_MS
	          : wait_ms > AGAIN_MAX_MS ? AGAIN_MAX_MS
	                                   : wait_ms;
	if (!timer_is_on(t->timer))
		timer_in(t->timer, wait_ms);
}

/* One end has closed and all that it said has left. */
static bool is_over(const struct tunnel *t)
{
	for (int from = NEAR; from <= FAR; from++)
		if (t->ended[from] && !evbuffer_get_length(bufferevent_get_input(t->end[from])) &&
			!evbuffer_get_length(bufferevent_get_output(t->end[!from])))
			return true;
	return false;
}

static void pass(struct tunnel *t, enum side from)
{
	move(t, from);
	/* A full input with reading on would call us again and again (bufferevent_inbuf_wm_check). */
	if (evbuffer_get_length(bufferevent_get_input(t->end[from])))
		bufferevent_disable(t->end[from], EV_READ);
	else if (!t->ended[from])
		bufferevent_enable(t->end[from], EV_READ);
}

static void work(struct tunnel *t)
{
	pass(t, NEAR);
	pass(t, FAR);
	if (is_over(t))
		finish(t);
}

static void on_bytes(struct bufferevent *bev, void *arg)
{
	(void)bev;
	work(arg);
}

static void on_end(struct bufferevent *bev, short what, void *arg)
{
	struct tunnel *t = arg;

	if (what & BEV_EVENT_CONNECTED)
		return;
	if (!(what & BEV_EVENT_EOF)) {
		finish(t);
		return;
	}
	t->ended[bev == t->end[FAR]] = true;
	work(t);
}

/* --- dialling ---------------------------------------------------------------------------------- */
static void watch_end(struct tunnel *t, enum side side)
{
	bufferevent_setcb(t->end[side], on_bytes, on_bytes, on_end, t);
	bufferevent_setwatermark(t->end[side], EV_READ, 0, SIDE_MAX);
	bufferevent_setwatermark(t->end[side], EV_WRITE, SIDE_MAX / 4, 0);
	bufferevent_enable(t->end[side], EV_READ | EV_WRITE);
}

/* There is a connection: from here on the near end's bytes are not ours to read. */
static void opened(struct tunnel *t)
{
	static const char yes[] = "HTTP/1.1 200 Connection established\r\n\r\n";
	int on = 1;

	if (!guard_between(&t->c->guard) || t->c->guard.messages > t->c->dispatched) {
		refuse(t, "the other end spoke before there was a tunnel");
		return;
	}
	setsockopt(bufferevent_getfd(t->end[FAR]), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	timer_off(t->timer);
	t->r->answered = true;
	t->r = NULL;
	conn_become_tunnel(t->c);
	bufferevent_write(t->end[NEAR], yes, sizeof(yes) - 1);
	watch_end(t, NEAR);
	watch_end(t, FAR);
	work(t);
}

static void on_dialled(struct bufferevent *bev, short what, void *arg)
{
	struct tunnel *t = arg;

	(void)bev;
	if (what & BEV_EVENT_CONNECTED)
		opened(t);
	else
		refuse(t, evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
}

static void on_timer(void *arg)
{
	struct tunnel *t = arg;

	if (t->r)
		refuse(t, t->why);
	else
		work(t);
}

static bool address_of(struct sockaddr_storage *ss, socklen_t *len, const struct endpoint *to)
{
	struct sockaddr_in *four = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (inet_pton(AF_INET, to->host, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(to->port);
		*len = sizeof(*four);
		return true;
	}
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(to->port);
	*len = sizeof(*six);
	return inet_pton(AF_INET6, to->host, &six->sin6_addr) == 1;
}

struct tunnel *req_tunnel(struct req *r, const struct tunnel_spec *spec)
{
	struct tunnel *t = xcalloc(1, sizeof(*t));
	struct httpd *h = r->conn->h;
	struct sockaddr_storage ss;
	socklen_t len;

	assert(r->connect && !r->answered && !r->gone);
	*t = (struct tunnel){ .spec = *spec, .c = r->conn, .r = r };
	t->timer = timer_new(h->loop, on_timer, t);
	t->end[NEAR] = r->conn->bev;
	t->end[FAR] = bufferevent_socket_new(loop_base(h->loop), -1, BEV_OPT_CLOSE_ON_FREE);
	assert(t->end[FAR]);
	r->conn->tunnel = t;
	t->why = "does not answer";
	timer_in(t->timer, spec->connect_ms);
	/* a failure at once is told by the timer, so not from within this call */
	if (!address_of(&ss, &len, &spec->to) ||
		bufferevent_socket_connect(t->end[FAR], (struct sockaddr *)&ss, (int)len)) {
		t->why = "cannot be reached from here";
		timer_in(t->timer, 0);
		return t;
	}
	bufferevent_setcb(t->end[FAR], NULL, NULL, on_dialled, t);
	return t;
}
