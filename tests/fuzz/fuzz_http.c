/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_http.c: bytes of a connection. The guard says the same however they are cut into pieces, and
 * what it lets through, libevent takes apart into the same requests: nothing is smuggled.
 */
#include "common/httpd_guard.h"
#include "tests/fuzz/fuzz.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define BODY_MAX 3000 /* for most targets; /small/... has less */
#define SEEN_MAX 64
#define TURNS_MAX 400

/* The requests that one reader saw: "METHOD TARGET" each. */
struct seen {
	char *at[SEEN_MAX];
	size_t n;
};

static void see(struct seen *s, const char *method, const char *target)
{
	if (s->n < SEEN_MAX)
		s->at[s->n++] = xprintf("%s %s", method, target);
}

static void seen_release(struct seen *s)
{
	while (s->n > 0)
		free(s->at[--s->n]);
}

static size_t limit(void *arg, const char *method, const char *target)
{
	see(arg, method, target);
	return strncmp(target, "/small", 6) ? BODY_MAX : 2;
}

/* --- the guard by itself ----------------------------------------------------------------------- */
static void check(const struct guard *g, bool bad)
{
	assert(bad == (g->state == GUARD_REFUSED));
	if (bad) {
		assert(g->why && g->code != ERR_NONE);
		return;
	}
	assert(g->line.len <= GUARD_HEAD_MAX && g->n_fields <= GUARD_FIELDS_MAX);
	if (g->state == GUARD_BODY || g->state == GUARD_CHUNK)
		assert(g->left > 0 && g->left <= g->body_max && !g->line.len);
	if (g->state != GUARD_START)
		assert(g->body <= g->body_max);
	assert(guard_between(g) == (g->state == GUARD_START && !g->line.len));
}

/* Feed it in pieces of `step` bytes; 0: pieces of all sizes. */
static void feed(struct guard *g, struct seen *s, const uint8_t *data, size_t n, size_t step)
{
	uint64_t rng = n;

	guard_init(g, limit, s);
	g->tunnels = true; /* the wider of the two */
	for (size_t at = 0, take; at < n; at += take) {
		take = step ? step : (size_t)rng_below(&rng, 70) + 1;
		take = take < n - at ? take : n - at;
		check(g, guard_feed(g, data + at, take) != 0);
	}
}

static void check_same(const struct guard *a, const struct guard *b)
{
	assert(a->state == b->state && a->messages == b->messages && a->why == b->why);
	if (a->state == GUARD_REFUSED) /* what arrived behind it does not matter */
		return;
	assert(a->left == b->left && a->body == b->body && a->line.len == b->line.len);
	assert(!a->line.len || !memcmp(a->line.data, b->line.data, a->line.len));
}

/* --- libevent ---------------------------------------------------------------------------------- */
static struct event_base *base;
static struct seen *taken; /* by libevent */

static void on_request(struct evhttp_request *r, void *arg)
{
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

	const char *name = "?"; /* libevent does not tell the name of one it does not know */

	(void)arg;
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (methods[i].type == evhttp_request_get_command(r))
			name = methods[i].name;
	see(taken, name, evhttp_request_get_uri(r));
	evhttp_send_reply(r, 200, NULL, NULL);
}

/* A server as httpd.c sets it up. */
static struct sockaddr_in serve(void)
{
	static struct sockaddr_in at;
	socklen_t len = sizeof(at);

	if (base)
		return at;
	event_enable_debug_logging(EVENT_DBG_NONE);
	base = event_base_new();
	struct evhttp *http = evhttp_new(base);
	evhttp_set_max_headers_size(http, (ev_ssize_t)(2 * GUARD_HEAD_MAX));
	evhttp_set_max_body_size(http, (ev_ssize_t)(64 * KIB));
	evhttp_set_allowed_methods(http, UINT16_MAX);
	evhttp_set_default_content_type(http, NULL);
	evhttp_set_gencb(http, on_request, NULL);
	struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	assert(bound);
	getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&at, &len);
	return at;
}

static int dial(void)
{
	const struct linger at_once = { .l_onoff = 1 }; /* leaves no port behind that waits */
	struct sockaddr_in at = serve();
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int bad = fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) ||
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));

	assert(!bad);
	return fd;
}

/* Give libevent the bytes and let it work until it has answered `n` requests or hung up. */
static void ask_libevent(struct seen *s, const uint8_t *data, size_t n)
{
	char answer[4096];
	int fd = dial();
	size_t at = 0;

	taken = s;
	for (int idle = 0, turns = 0; idle < 3 && turns < TURNS_MAX; turns++) {
		ssize_t sent = at < n ? send(fd, data + at, n - at, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
		size_t before = s->n;

		event_base_loop(base, EVLOOP_NONBLOCK);
		ssize_t got = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
		if (got == 0)
			break;
		at += sent > 0 ? (size_t)sent : 0;
		idle = sent > 0 || got > 0 || s->n > before ? 0 : idle + 1;
	}
	close(fd);
	for (int i = 0; i < 3; i++) /* libevent notices */
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static bool same_request(const char *libevent, const char *guard)
{
	if (*libevent == '?')
		return !strcmp(strchr(libevent, ' '), strchr(guard, ' '));
	return !strcmp(libevent, guard);
}

/* What libevent saw is what the guard saw, from the first on; it may hang up before the last. */
static void compare(const struct guard *g, const struct seen *guard, const uint8_t *data, size_t n)
{
	struct seen s = { 0 };

	ask_libevent(&s, data, n);
	for (size_t i = 0; i < s.n && i < SEEN_MAX - 1; i++) {
		assert(i < g->messages && i < guard->n);
		assert(same_request(s.at[i], guard->at[i]));
	}
	seen_release(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct guard whole, bytes, pieces;
	struct seen s[3] = { 0 };

	feed(&whole, &s[0], data, n, n);
	feed(&bytes, &s[1], data, n, 1);
	feed(&pieces, &s[2], data, n, 0);
	check_same(&whole, &bytes);
	check_same(&whole, &pieces);
	assert(s[0].n == s[1].n && s[0].n == s[2].n);
	if (whole.state == GUARD_REFUSED)
		assert(guard_feed(&whole, "GET / HTTP/1.1\r\n", 16) == -1);
	else if (whole.messages > 0)
		compare(&whole, &s[0], data, n);
	for (size_t i = 0; i < ARRAY_LEN(s); i++)
		seen_release(&s[i]);
	guard_release(&whole);
	guard_release(&bytes);
	guard_release(&pieces);
	return 0;
}
