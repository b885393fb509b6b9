/* SPDX-License-Identifier: Apache-2.0
 *
 * httpd.c: the HTTP server: listening, finding the route, and what a handler may ask.
 *
 * libevent's evhttp does HTTP. Around it: httpd_conn.c bounds connections, httpd_guard.c refuses
 * what could be read in two ways, httpd_answer.c writes answers. A request is handed to exactly
 * one handler, which answers it then or later, once.
 */
#include "common/httpd_in.h"
#include "common/log.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <event2/listener.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>

#define ARRIVE_MS 20000 /* a body of 1 MiB needs 50 KiB/s; the handshake is part of it */
#define IDLE_MS 120000  /* two minutes: longer than workers pause between requests */
#define CONNS_MAX 4096  /* 16 KiB each while idle over TLS: 64 MiB */
#define OWED_MAX ((size_t)(64 * MIB)) /* a page of evidence has 4 MiB */
#define CONNS_PER_ADDRESS_MAX 2048 /* a university behind one address */
#define BACKLOG 1024
#define UNSENT_BYTES 65536
#define ACCEPT_PAUSE_MS 100 /* when there are no descriptors left */
#define PACES_S 10 /* parts of a second in which --upload and the like are counted */

/* --- who is meant: against DNS rebinding -------------------------------------------------------- */
static bool is_loopback_text(const char *host)
{
	struct in_addr four;

	return !strcasecmp(host, "localhost") || !strcmp(host, "::1") ||
		(inet_pton(AF_INET, host, &four) == 1 && (ntohl(four.s_addr) >> 24) == 127);
}

/* The numeric address at our end of the connection. */
static void local_address(const struct conn *c, char out[INET6_ADDRSTRLEN])
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	out[0] = '\0';
	if (getsockname(c->fd, (struct sockaddr *)&ss, &len) == 0)
		getnameinfo((struct sockaddr *)&ss, len, out, INET6_ADDRSTRLEN, NULL, 0,
			NI_NUMERICHOST);
}

static bool host_is_ours(const struct conn *c, const char *header)
{
	char host[LINK_HOST_MAX + 1], ours[INET6_ADDRSTRLEN];
	bool bracket = header && header[0] == '[';
	const char *start = header ? header + bracket : "";
	size_t len = strcspn(start, bracket ? "]" : ":");

	if (len == 0 || len > LINK_HOST_MAX)
		return false;
	memcpy(host, start, len);
	host[len] = '\0';
	local_address(c, ours);
	return is_loopback_text(host) || !strcasecmp(host, c->h->spec.listen.host) ||
		!strcasecmp(host, ours) ||
		(!strncmp(ours, "::ffff:", 7) && !strcmp(host, ours + 7));
}

/* --- a request comes ---------------------------------------------------------------------------- */
static const struct {
	enum evhttp_cmd_type type;
	const char *name;
} methods[] = {
	{ EVHTTP_REQ_GET, "GET" },       { EVHTTP_REQ_POST, "POST" },
	{ EVHTTP_REQ_HEAD, "HEAD" },     { EVHTTP_REQ_PUT, "PUT" },
	{ EVHTTP_REQ_DELETE, "DELETE" }, { EVHTTP_REQ_OPTIONS, "OPTIONS" },
	{ EVHTTP_REQ_TRACE, "TRACE" },   { EVHTTP_REQ_CONNECT, "CONNECT" },
	{ EVHTTP_REQ_PATCH, "PATCH" },
};

static const char *method_name(enum evhttp_cmd_type type)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (methods[i].type == type)
			return methods[i].name;
	return "?";
}

static void decode(char **text)
{
	char *plain = evhttp_uridecode(*text, 0, NULL); /* the guard let no %00 through */

	assert(plain);
	free(*text);
	*text = plain;
}

static struct req *req_new(struct conn *c, struct evhttp_request *ev)
{
	struct req *r = xcalloc(1, sizeof(*r));
	struct evbuffer *in = evhttp_request_get_input_buffer(ev);

	r->conn = c;
	r->ev = ev;
	r->fd = -1;
	r->connect = evhttp_request_get_command(ev) == EVHTTP_REQ_CONNECT;
	TAILQ_INIT(&r->query);
	r->n = evbuffer_get_length(in);
	evbuffer_add(in, "", 1); /* a NUL behind it, so text may be read in place */
	r->body = (const char *)evbuffer_pullup(in, -1);
	assert(r->body);
	return r;
}

void req_free(struct req *r)
{
	r->conn->req = NULL;
	if (r->fd >= 0)
		close(r->fd);
	evhttp_clear_headers(&r->query);
	for (size_t i = 0; i < PARTS_MAX; i++)
		free(r->parts[i]);
	free(r->path);
	free(r);
}

/* Find the route, or say why there is none. */
static int prepare(struct req *r, struct err *e)
{
	struct httpd *h = r->conn->h;
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(r->ev);
	const char *query = evhttp_uri_get_query(uri);
	bool known;

	r->path = xstrdup(r->connect ? evhttp_request_get_uri(r->ev) : evhttp_uri_get_path(uri));
	if (r->conn->dispatched > r->conn->guard.messages)
		return err_set(e, ERR_MALFORMED, "this request can be read in two ways");
	if (h->spec.check_host && !host_is_ours(r->conn, req_header(r, "Host")))
		return err_set(e, ERR_REFUSED, "the Host header names another machine");
	r->route = route_find(h, req_method(r), r->path, r->parts, &known);
	if (!r->route && known) {
		auto_free char *allow = route_methods(h, r->path);

		req_out_header(r, "Allow", allow);
		return err_set(e, ERR_METHOD, "%s cannot do %s", r->path, req_method(r));
	}
	if (!r->route)
		return err_set(e, ERR_NOT_FOUND, "there is nothing at %s", r->path);
	if (r->n > r->route->body_max)
		return err_set(e, ERR_TOO_BIG, "more than %zu bytes", r->route->body_max);
	if (query && *query && evhttp_parse_query_str(query, &r->query))
		return err_set(e, ERR_MALFORMED, "the query is not name=value&name=value");
	decode(&r->path);
	for (size_t i = 0; i < PARTS_MAX && r->parts[i]; i++)
		decode(&r->parts[i]);
	return 0;
}

void req_hand(struct req *r)
{
	struct conn *c = r->conn;
	struct err e;

	r->handed = true;
	if (prepare(r, &e))
		req_problem(r, &e);
	else
		r->route->handle(c->h->spec.arg, r);
	/* An answer is never whole before we return, so c is still there. */
	if (c->state == CONN_WAITING)
		conn_wait(c);
}

static void on_request(struct evhttp_request *ev, void *arg)
{
	struct conn *c = conn_of(arg, ev);

	c->req = req_new(c, ev);
	evhttp_request_set_on_complete_cb(ev, conn_complete, c);
	conn_dispatched(c);
	if (c->guard.expects)
		conn_hand_later(c);
	else
		req_hand(c->req);
}

const char *req_method(const struct req *r)
{
	return method_name(evhttp_request_get_command(r->ev));
}

const char *req_path(const struct req *r)
{
	return r->path;
}

const char *req_part(const struct req *r, size_t i)
{
	return i < PARTS_MAX && r->parts[i] ? r->parts[i] : "";
}

const char *req_query(const struct req *r, const char *name)
{
	return evhttp_find_header(&r->query, name);
}

const char *req_header(const struct req *r, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(r->ev), name);
}

const char *req_body(const struct req *r, size_t *n)
{
	if (n)
		*n = r->n;
	return r->body;
}

const char *req_address(const struct req *r)
{
	return r->conn->address;
}

void *req_arg(const struct req *r)
{
	return r->conn->h->spec.arg;
}

void req_on_gone(struct req *r, loop_fn *fn, void *arg)
{
	r->gone = fn;
	r->gone_arg = arg;
}

void req_on_over(struct req *r, loop_fn *fn, void *arg)
{
	r->conn->over = fn;
	r->conn->over_arg = arg;
}

/* --- the server --------------------------------------------------------------------------------- */
static int listen_on(const struct addrinfo *a)
{
	int on = 1, unsent = UNSENT_BYTES;
	auto_close int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	/* Accepted sockets inherit TCP_NODELAY: without it TLS answers wait for delayed ACKs. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* Inherited too: what is not on its way yet waits here, not in the kernel, so that an answer that has left
	 * has left, and few answers share a slow line. */
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
	if (bind(fd, a->ai_addr, a->ai_addrlen) || listen(fd, BACKLOG))
		return -1;
	int good = fd;
	fd = -1;
	return good;
}

static const char *listen_hint(int why)
{
	switch (why) {
	case EADDRINUSE:
		return "; another program listens there: end it, or choose another port (0: any that is free)";
	case EADDRNOTAVAIL:
		return "; this machine does not have that address (0.0.0.0: all that it has)";
	case EACCES:
		return "; ports below 1024 are the system's: choose a higher one";
	default:
		return "";
	}
}

static int open_port(int *fd, const struct endpoint *at, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	struct addrinfo *all;
	char port[8], text[LINK_HOST_MAX + 9];

	snprintf(port, sizeof(port), "%u", (unsigned)at->port);
	endpoint_text(text, at);
	int bad = getaddrinfo(at->host[0] ? at->host : NULL, port, &hints, &all);
	if (bad)
		return err_set(e, ERR_USAGE, "listening on %s: %s", text, gai_strerror(bad));
	*fd = -1;
	for (struct addrinfo *a = all; a && *fd < 0; a = a->ai_next)
		*fd = listen_on(a);
	if (*fd < 0)
		err_set(e, ERR_SYSTEM, "listening on %s: %s%s", text, strerror(errno), listen_hint(errno));
	freeaddrinfo(all);
	return *fd < 0 ? -1 : 0;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);

	getsockname(fd, (struct sockaddr *)&ss, &len);
	return ntohs(ss.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&ss)->sin6_port
					      : ((struct sockaddr_in *)&ss)->sin_port);
}

static void fill_defaults(struct httpd_spec *s)
{
	struct rlimit files;

	if (s->arrive_ms == 0)
		s->arrive_ms = ARRIVE_MS;
	if (s->idle_ms == 0)
		s->idle_ms = IDLE_MS;
	if (s->conns_max == 0)
		s->conns_max = CONNS_MAX;
	if (s->conns_per_address_max == 0)
		s->conns_per_address_max = CONNS_PER_ADDRESS_MAX;
	if (s->owed_max == 0)
		s->owed_max = OWED_MAX;
	/* half of the descriptors are for files, peers and children */
	if (!getrlimit(RLIMIT_NOFILE, &files) && s->conns_max > files.rlim_cur / 2)
		s->conns_max = files.rlim_cur / 2;
}

/* evhttp passes itself, not us, to a listener's error callback: so look up who we are. */
static TAILQ_HEAD(, httpd) servers = TAILQ_HEAD_INITIALIZER(servers);

/* No descriptors, or no memory for sockets: the listening socket stays readable, so asking again
 * at once would spin. */
static void on_listen_error(struct evconnlistener *listener, void *arg)
{
	struct httpd *h;

	(void)arg;
	TAILQ_FOREACH(h, &servers, all)
		if (h->bound && evhttp_bound_socket_get_listener(h->bound) == listener)
			break;
	if (!h)
		return;
	log_debug("accepting: %s", strerror(errno));
	evconnlistener_disable(listener);
	conn_make_room(h);
	timer_in(h->accept_again, ACCEPT_PAUSE_MS);
}

static void accept_again(void *arg)
{
	struct httpd *h = arg;

	if (h->bound)
		evconnlistener_enable(evhttp_bound_socket_get_listener(h->bound));
}

static struct evhttp *http_new(struct httpd *h)
{
	struct evhttp *http = evhttp_new(loop_base(h->loop));
	size_t body_max = (size_t)(64 * KIB);

	assert(http);
	for (size_t i = 0; i < h->spec.n_routes; i++) {
		if (h->spec.routes[i].body_max > body_max)
			body_max = h->spec.routes[i].body_max;
		h->tunnels |= !strcmp(h->spec.routes[i].method, "CONNECT");
	}
	/* The guard is stricter; these only stand behind it. */
	evhttp_set_max_headers_size(http, (ev_ssize_t)(2 * GUARD_HEAD_MAX));
	evhttp_set_max_body_size(http, (ev_ssize_t)body_max);
	evhttp_set_allowed_methods(http, UINT16_MAX); /* a route or its lack decides */
	evhttp_set_default_content_type(http, NULL);
	evhttp_set_bevcb(http, conn_accept, h);
	evhttp_set_gencb(http, on_request, h);
	return http;
}

/* One bucket of tokens for what all connections send (libevent's rate limit group). */
static void make_pace(struct httpd *h)
{
	struct timeval tick = { 0, 1000000 / PACES_S };
	size_t part = (size_t)(h->spec.send_bytes_s / PACES_S) + 1;

	if (h->spec.paced_with)
		h->pace = h->spec.paced_with->pace;
	if (!h->spec.send_bytes_s)
		return;
	h->pace_cfg = ev_token_bucket_cfg_new(EV_RATE_LIMIT_MAX, EV_RATE_LIMIT_MAX, part, part, &tick);
	assert(h->pace_cfg);
	h->pace = bufferevent_rate_limit_group_new(loop_base(h->loop), h->pace_cfg);
	assert(h->pace);
}

int httpd_new(struct httpd **out, struct loop *l, const struct httpd_spec *spec, struct err *e)
{
	int fd;

	if (open_port(&fd, &spec->listen, e))
		return -1;
	struct httpd *h = xcalloc(1, sizeof(*h));
	h->loop = l;
	h->spec = *spec;
	fill_defaults(&h->spec);
	TAILQ_INIT(&h->conns);
	TAILQ_INIT(&h->idle);
	h->port = port_of(fd);
	h->sweep = timer_new(l, conn_sweep, h);
	h->accept_again = timer_new(l, accept_again, h);
	h->http = http_new(h);
	make_pace(h);

	struct evconnlistener *listener = evconnlistener_new(loop_base(l), NULL, NULL,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	assert(listener);
	h->bound = evhttp_bind_listener(h->http, listener);
	assert(h->bound);
	evconnlistener_set_error_cb(listener, on_listen_error);
	TAILQ_INSERT_TAIL(&servers, h, all);
	*out = h;
	return 0;
}

uint16_t httpd_port(const struct httpd *h)
{
	return h->port;
}

size_t httpd_in_flight(const struct httpd *h)
{
	return h->in_flight;
}

void httpd_stop_accepting(struct httpd *h)
{
	if (!h->bound)
		return;
	evhttp_del_accept_socket(h->http, h->bound);
	h->bound = NULL;
	conn_close_idle(h);
}

void httpd_free(struct httpd *h)
{
	if (!h)
		return;
	TAILQ_REMOVE(&servers, h, all);
	evhttp_free(h->http); /* requests that wait are told that their peer is gone */
	conn_drop_all(h);
	timer_free(h->sweep);
	timer_free(h->accept_again);
	if (h->pace_cfg) {
		bufferevent_rate_limit_group_free(h->pace);
		ev_token_bucket_cfg_free(h->pace_cfg);
	}
	free(h->by_fd);
	free(h);
}
