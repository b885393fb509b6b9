/* SPDX-License-Identifier: Apache-2.0
 *
 * test_httpd.c: the HTTP server through its socket, in one loop with raw clients that misbehave.
 */
#include "common/clock.h"
#include "common/fetch.h"
#include "common/httpd_in.h"
#include "common/key.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <jansson.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define PATIENCE_MS 20000
#define BIG (8 * MIB)
#define MUCH (4 * MIB) /* more than the kernel keeps for a connection */

struct world {
	struct loop *l;
	struct httpd *h;
	struct timer *dog, *tick;
	bool late;
	struct httpd_spec spec;
	struct req *held; /* a long poll */
	int gone, handled, over;
	char seen[256]; /* what the handler saw */
	int big;        /* a file of BIG bytes */
	struct fetcher *f;
	struct key *key;
	struct link link;
	size_t peak; /* of answer bytes in memory */
	int64_t got;
};

static void stop(void *arg)
{
	struct world *w = arg;

	loop_stop(w->l);
}

static void bark(void *arg)
{
	struct world *w = arg;

	w->late = true;
	loop_stop(w->l);
}

/* Run the loop until cond; everything of interest stops it for a look. */
#define UNTIL(w, cond)                                                                             \
	do {                                                                                       \
		timer_in((w)->dog, PATIENCE_MS);                                                   \
		while (!(cond)) {                                                                  \
			loop_run((w)->l);                                                          \
			if ((w)->late)                                                             \
				fail_msg("waited too long for " #cond);                            \
		}                                                                                  \
		timer_off((w)->dog);                                                               \
	} while (0)

static void pass_ms(struct world *w, int64_t ms)
{
	struct timer *t = timer_new(w->l, stop, w);

	timer_in(t, ms);
	UNTIL(w, !timer_is_on(t));
	timer_free(t);
}

/* The same for what stops no loop: look every other millisecond. */
#define EVENTUALLY(w, cond)                                                                        \
	do {                                                                                       \
		int tries_ = PATIENCE_MS / 2;                                                      \
		while (!(cond) && tries_-- > 0)                                                    \
			pass_ms(w, 2);                                                             \
		assert_true(cond);                                                                 \
	} while (0)

/* --- the server's handlers ---------------------------------------------------------------------- */
static void echo(void *arg, struct req *r)
{
	struct world *w = arg;
	size_t n;
	const char *body = req_body(r, &n);
	const char *q = req_query(r, "q");

	w->handled++;
	snprintf(w->seen, sizeof(w->seen), "%s %s part=%s q=%s x=%s from=%s", req_method(r),
		req_path(r), req_part(r, 0), q ? q : "-",
		req_header(r, "X-Test") ? req_header(r, "X-Test") : "-", req_address(r));
	assert_ptr_equal(req_arg(r), w);
	assert_int_equal(body[n], '\0');
	req_answer(r, 200, "text/plain", body, n);
	stop(w);
}

static void on_gone(void *arg)
{
	struct world *w = arg;

	w->gone++;
	w->held = NULL;
	stop(w);
}

static void hold(void *arg, struct req *r)
{
	struct world *w = arg;

	w->held = r;
	req_on_gone(r, on_gone, w);
	stop(w);
}

static void alphabet(void *arg, struct req *r)
{
	(void)arg;
	req_answer_range(r, "text/plain", "abcdefghijklmnopqrstuvwxyz", 26, "tag");
}

static void measure(struct evbuffer *out, const struct evbuffer_cb_info *info, void *arg)
{
	struct world *w = arg;
	size_t held = evbuffer_get_length(out);

	(void)info;
	if (held > w->peak)
		w->peak = held;
}

static void on_over(void *arg)
{
	struct world *w = arg;

	w->over++;
}

static void big(void *arg, struct req *r)
{
	struct world *w = arg;

	req_on_over(r, on_over, w);

	evbuffer_add_cb(bufferevent_get_output(r->conn->bev), measure, w);
	req_answer_fd(r, "application/octet-stream", dup(w->big), BIG, "big");
}

static void much(void *arg, struct req *r)
{
	auto_free char *text = xcalloc(1, MUCH);

	(void)arg;
	req_answer(r, 200, "text/plain", text, MUCH);
}

static void too_short(void *arg, struct req *r)
{
	struct world *w = arg;

	req_answer_fd(r, "application/octet-stream", dup(w->big), BIG + 1, NULL);
}

static void swallow(void *arg, struct req *r)
{
	struct world *w = arg;
	size_t n;

	req_body(r, &n);
	w->got += (int64_t)n;
	w->handled += !!req_header(r, "Expect");
	req_answer_json(r, 200, "{}");
}

static void refuse(void *arg, struct req *r)
{
	struct err e;

	(void)arg;
	err_field(&e, "na\"me", "junk \xff\x01 \" \\ \xe2\x82\xac");
	req_problem(r, &e);
}

static void hurry(void *arg, struct req *r)
{
	struct err e;

	(void)arg;
	err_set(&e, ERR_RATE, "slow down");
	req_problem(r, &e);
}

static const struct route routes[] = {
	{ "GET", "/echo", echo, 0 },
	{ "POST", "/echo", echo, 1000 },
	{ "POST", "/large", swallow, (size_t)MIB },
	{ "GET", "/thing/*", echo, 0 },
	{ "GET", "/thing/*/more", echo, 0 },
	{ "GET", "/hold", hold, 0 },
	{ "GET", "/alphabet", alphabet, 0 },
	{ "GET", "/much", much, 0 },
	{ "GET", "/big", big, 0 },
	{ "GET", "/short", too_short, 0 },
	{ "GET", "/refuse", refuse, 0 },
	{ "GET", "/hurry", hurry, 0 },
};

/* --- a client that sends what it likes ------------------------------------------------------------ */
struct raw {
	struct world *w;
	int fd;
	struct watch *watch;
	struct buf got;
	bool closed;
};

static void raw_read(void *arg)
{
	struct raw *c = arg;
	char part[65536];
	ssize_t n = recv(c->fd, part, sizeof(part), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0) {
		buf_add(&c->got, part, (size_t)n);
	} else {
		c->closed = true;
		watch_free(c->watch);
		c->watch = NULL;
	}
	loop_stop(c->w->l);
}

static int dial(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void raw_open(struct raw *c, struct world *w)
{
	*c = (struct raw){ .w = w, .fd = dial(httpd_port(w->h)) };
	c->watch = watch_read(w->l, c->fd, raw_read, c);
}

static void raw_send(struct raw *c, const char *text)
{
	(void)!send(c->fd, text, strlen(text), MSG_NOSIGNAL);
}

static void raw_close(struct raw *c)
{
	watch_free(c->watch);
	close(c->fd);
	buf_release(&c->got);
}

static bool raw_has(const struct raw *c, const char *text)
{
	return c->got.data && memmem(c->got.data, c->got.len, text, strlen(text));
}

/* Send `text` on a connection of its own, wait until the answer ends; it is left in c->got. */
static void ask(struct world *w, struct raw *c, const char *text)
{
	raw_open(c, w);
	raw_send(c, text);
	shutdown(c->fd, SHUT_WR); /* so the connection ends after the answer */
	UNTIL(w, c->closed);
}

#define assert_answers(w, text, ...)                                                               \
	do {                                                                                       \
		const char *wanted_[] = { __VA_ARGS__ };                                           \
		struct raw c_;                                                                     \
		ask(w, &c_, text);                                                                 \
		for (size_t i_ = 0; i_ < ARRAY_LEN(wanted_); i_++)                                 \
			if (!raw_has(&c_, wanted_[i_]))                                            \
				fail_msg("no [%s] in [%s]", wanted_[i_],                           \
					c_.got.data ? c_.got.data : "");                           \
		raw_close(&c_);                                                                    \
	} while (0)

#define GET(path, ...) "GET " path " HTTP/1.1\r\nHost: localhost\r\n" __VA_ARGS__ "\r\n"
#define PROBLEM "Content-Type: application/problem+json\r\n"

/* --- set-up ----------------------------------------------------------------------------------------- */
static int open_world(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct err e;
	char name[] = "/tmp/test_httpd.XXXXXX";

	*state = w;
	w->big = mkostemp(name, O_CLOEXEC);
	unlink(name);
	if (w->big < 0 || loop_new(&w->l, &e) || fetcher_new(&w->f, w->l, &e))
		return -1;
	for (uint32_t i = 0; i < BIG / 4; i += 1024) {
		uint32_t words[1024];

		for (uint32_t k = 0; k < 1024; k++)
			words[k] = i + k;
		if (fd_write_all(w->big, words, sizeof(words), &e))
			return -1;
	}
	w->dog = timer_new(w->l, bark, w);
	w->spec = (struct httpd_spec){ .listen = { "127.0.0.1", 0 }, .routes = routes,
		.n_routes = ARRAY_LEN(routes), .arg = w };
	return 0;
}

static void serve(struct world *w)
{
	struct err e;

	if (httpd_new(&w->h, w->l, &w->spec, &e))
		fail_msg("%s", e.msg);
	snprintf(w->link.host, sizeof(w->link.host), "127.0.0.1");
	w->link.port = httpd_port(w->h);
}

static void serve_tls(struct world *w)
{
	struct err e;

	w->key = key_new();
	w->link.node = *key_id(w->key);
	assert_int_equal(key_tls_server(&w->spec.tls, w->key, &e), 0);
	serve(w);
}

static int setup(void **state)
{
	if (open_world(state))
		return -1;
	serve(*state);
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	fetcher_free(w->f);
	httpd_free(w->h);
	timer_free(w->dog);
	timer_free(w->tick);
	loop_free(w->l);
	key_tls_free(w->spec.tls);
	key_free(w->key);
	close(w->big);
	free(w);
	return 0;
}

/* --- requests and answers ----------------------------------------------------------------------------- */
static void a_request_comes_back(void **state)
{
	struct world *w = *state;

	assert_answers(w, "POST /echo?q=a%20b+c HTTP/1.1\r\nHost: x\r\nX-Test: 1\r\n"
			  "Content-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\n", "\r\n\r\nhello", "X-Content-Type-Options: nosniff\r\n",
		"Cache-Control: no-store\r\n", "Content-Length: 5\r\n");
	assert_string_equal(w->seen, "POST /echo part= q=a b c x=1 from=127.0.0.1");
}

static void a_star_is_one_segment(void **state)
{
	struct world *w = *state;

	assert_answers(w, GET("/thing/a%2Fb"), "200 OK");
	assert_string_equal(w->seen, "GET /thing/a/b part=a/b q=- x=- from=127.0.0.1");
	assert_answers(w, GET("/thing/7/more"), "200 OK");
	assert_string_equal(w->seen, "GET /thing/7/more part=7 q=- x=- from=127.0.0.1");
	assert_answers(w, GET("/thing/"), "404");
	assert_answers(w, GET("/thing/7/less"), "404");
	assert_answers(w, GET("/thing/7/more/"), "404");
}

static void an_unknown_path_is_a_problem(void **state)
{
	assert_answers(*state, GET("/nowhere"), "HTTP/1.1 404", PROBLEM,
		"\"type\":\"urn:talkoot:problem:not-found\"", "\"status\":404");
}

static void a_wrong_method_names_the_right_ones(void **state)
{
	struct world *w = *state;

	assert_answers(w, "DELETE /echo HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405", PROBLEM,
		"Allow: GET, HEAD, POST\r\n", "urn:talkoot:problem:method");
	assert_answers(w, "BREW /echo HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405", PROBLEM);
}

static void head_is_get_without_the_body(void **state)
{
	struct raw c;

	ask(*state, &c, "HEAD /alphabet HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(raw_has(&c, "200 OK") && raw_has(&c, "Content-Length: 26\r\n"));
	assert_string_equal(c.got.data + c.got.len - 4, "\r\n\r\n");
	raw_close(&c);
	ask(*state, &c, "HEAD /big HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(raw_has(&c, "200 OK") && raw_has(&c, "Content-Length: 8388608\r\n"));
	assert_string_equal(c.got.data + c.got.len - 4, "\r\n\r\n");
	raw_close(&c);
}

static void a_problem_is_valid_json_whatever_is_in_it(void **state)
{
	struct raw c;

	ask(*state, &c, GET("/refuse"));
	assert_true(raw_has(&c, "HTTP/1.1 400"));
	char *body = strstr(c.got.data, "\r\n\r\n") + 4;
	json_t *doc = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(doc);
	assert_string_equal(json_string_value(json_object_get(doc, "field")), "na\"me");
	const char *detail = json_string_value(json_object_get(doc, "detail"));
	assert_non_null(detail);
	assert_ptr_equal(strstr(detail, "field na\"me: junk "), detail);
	assert_non_null(strstr(detail, "\\x01 \" \\ \xe2\x82\xac")); /* the junk byte is somebody's */
	assert_string_equal(json_string_value(json_object_get(doc, "type")),
		"urn:talkoot:problem:bad-field");
	assert_int_equal(json_integer_value(json_object_get(doc, "status")), 400);
	json_decref(doc);
	raw_close(&c);
	assert_answers(*state, GET("/hurry"), "HTTP/1.1 429", "Retry-After: 1\r\n");
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	struct world *w = *state;
	struct raw c;

	ask(w, &c,
		"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\none"
		"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
		"3\r\ntwo\r\n0\r\n\r\n" GET("/alphabet"));
	assert_int_equal(w->handled, 2);
	char *one = strstr(c.got.data, "\r\n\r\none");
	char *two = strstr(c.got.data, "\r\n\r\ntwo");
	char *abc = strstr(c.got.data, "\r\n\r\nabc");
	assert_true(one && two && abc && one < two && two < abc);
	raw_close(&c);
}

static void expect_continue_is_answered_first(void **state)
{
	struct world *w = *state;
	struct raw c;

	raw_open(&c, w);
	raw_send(&c, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
		     "Expect: 100-continue\r\n\r\n");
	UNTIL(w, raw_has(&c, "100 Continue\r\n\r\n"));
	raw_send(&c, "hello");
	UNTIL(w, raw_has(&c, "\r\n\r\nhello"));
	raw_close(&c);
}

static void a_connection_is_kept(void **state)
{
	struct world *w = *state;
	struct raw c;

	raw_open(&c, w);
	for (int i = 0; i < 3; i++) {
		c.got.len = 0;
		raw_send(&c, GET("/alphabet"));
		UNTIL(w, raw_has(&c, "xyz"));
	}
	assert_int_equal(w->h->n_conns, 1);
	assert_false(c.closed);
	raw_close(&c);
}

/* --- refusals ------------------------------------------------------------------------------------------ */
static void a_body_beyond_its_route_is_refused_before_it_comes(void **state)
{
	struct world *w = *state;
	struct raw c;

	raw_open(&c, w);
	raw_send(&c, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n");
	UNTIL(w, c.closed || raw_has(&c, "}"));
	assert_true(raw_has(&c, "HTTP/1.1 413") && raw_has(&c, PROBLEM));
	assert_true(raw_has(&c, "urn:talkoot:problem:too-big"));
	UNTIL(w, c.closed);
	raw_close(&c);
	assert_int_equal(w->handled, 0);
}

static void a_chunked_body_beyond_its_route_is_refused(void **state)
{
	struct world *w = *state;

	assert_answers(w,
		"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
		"4\r\nabcd\r\n3e5\r\n",
		"HTTP/1.1 413", PROBLEM);
	assert_int_equal(w->handled, 0);
}

static void a_body_where_none_is_allowed_is_refused(void **state)
{
	assert_answers(*state, "GET /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
		"HTTP/1.1 413", PROBLEM);
}

static void a_refused_sender_can_read_why_although_it_goes_on_sending(void **state)
{
	struct world *w = *state;
	struct raw c;
	char junk[4096];

	memset(junk, 'x', sizeof(junk) - 1);
	junk[sizeof(junk) - 1] = '\0';
	raw_open(&c, w);
	raw_send(&c, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
	for (int i = 0; i < 30; i++)
		raw_send(&c, junk);
	UNTIL(w, raw_has(&c, "}"));
	for (int i = 0; i < 30; i++)
		raw_send(&c, junk);
	shutdown(c.fd, SHUT_WR);
	UNTIL(w, c.closed);
	assert_true(raw_has(&c, "HTTP/1.1 413"));
	raw_close(&c);
}

static void what_can_be_read_in_two_ways_is_refused(void **state)
{
#define LINES "POST /echo HTTP/1.1\r\nHost: x\r\n"
	static const char *const bad[] = {
		LINES "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		LINES "Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
		LINES "Content-Length: 4\r\ncontent-length: 5\r\n\r\nabcd",
		LINES "Content-Length: 4, 4\r\n\r\nabcd",
		LINES "Content-Length: +4\r\n\r\nabcd",
		LINES "Content-Length: -4\r\n\r\nabcd",
		LINES "Content-Length: 0x4\r\n\r\nabcd",
		LINES "Content-Length: 99999999999999999999\r\n\r\nabcd",
		LINES "Content-Length:\r\n\r\nabcd",
		LINES "Content-Length : 4\r\n\r\nabcd",
		LINES "Content-Length: 4\n\r\nabcd",
		LINES "Content-Length: 4\r\n\nabcd",
		LINES "X: a\r\n folded\r\nContent-Length: 4\r\n\r\nabcd",
		LINES " X: a\r\n\r\n",
		LINES "X\r\n\r\n",
		LINES ": a\r\n\r\n",
		LINES "X: a\001b\r\n\r\n",
		LINES "X: a\rb\r\n\r\n",
		LINES "Transfer-Encoding: gzip\r\n\r\n",
		LINES "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		LINES "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		LINES "Transfer-Encoding: \x0b"
		      "chunked\r\n\r\n0\r\n\r\n",
		LINES "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
		LINES "Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
		LINES "Transfer-Encoding: chunked\r\n\r\n 1\r\na\r\n0\r\n\r\n",
		LINES "Transfer-Encoding: chunked\r\n\r\n1;x=y\r\na\r\n0\r\n\r\n",
		LINES "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
		LINES "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
		LINES "Transfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n",
		LINES "Transfer-Encoding: chunked\r\n\r\nfffffffff\r\na\r\n0\r\n\r\n",
		LINES "Transfer-Encoding: chunked\r\n\r\n0\r\n X: y\r\n\r\n",
		LINES "Host: y\r\n\r\n",
		LINES "Expect: 200-maybe\r\n\r\n",
		"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HEAD /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd",
		"BREW /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd",
		"TRACE /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET /echo HTTP/1.1\r\n\r\n",
		"GET /echo\r\n\r\n",
		"GET /echo HTTP/1.1 \r\nHost: x\r\n\r\n",
		"GET  /echo HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /echo HTTP/2.0\r\nHost: x\r\n\r\n",
		"GET /echo HTTP/1.12\r\nHost: x\r\n\r\n",
		"GET /echo http/1.1\r\nHost: x\r\n\r\n",
		"GET http://x/echo HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET //x/echo HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /echo#x HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /ec%00ho HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /ec%4 HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /echo?[ HTTP/1.1\r\nHost: x\r\n\r\n",
		"G\xffT /echo HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
		"\r\nGET /echo HTTP/1.1\r\nHost: x\r\n\r\n",
		"\x16\x03\x01\x02\x01\n\n",
		GET("/echo?novalue"),
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct raw c;

		ask(w, &c, bad[i]);
		if (!raw_has(&c, "HTTP/1.1 400 ") || !raw_has(&c, PROBLEM))
			fail_msg("%zu [%s] -> [%s]", i, bad[i], c.got.data ? c.got.data : "");
		if (raw_has(&c, "}HTTP/1.1 "))
			fail_msg("%zu [%s] -> two answers", i, bad[i]);
		raw_close(&c);
	}
	assert_int_equal(w->handled, 0);
}

static void a_refusal_behind_a_good_request_waits_for_its_turn(void **state)
{
	struct world *w = *state;
	struct raw c;

	raw_open(&c, w);
	raw_send(&c, GET("/hold"));
	UNTIL(w, w->held);
	raw_send(&c, "NONSENSE\r\n\r\n");
	pass_ms(w, 30);
	assert_int_equal(c.got.len, 0);
	req_answer(w->held, 200, "text/plain", "patience", 8);
	UNTIL(w, c.closed);
	assert_true(raw_has(&c, "\r\n\r\npatienceHTTP/1.1 400 "));
	raw_close(&c);
}

static void endless_heads_are_refused(void **state)
{
	struct world *w = *state;
	auto_buf struct buf b = { 0 };
	struct raw c;

	buf_text(&b, "GET /echo HTTP/1.1\r\nHost: x\r\nX: ");
	for (int i = 0; i < 20000; i++)
		buf_text(&b, "y");
	ask(w, &c, b.data);
	assert_true(raw_has(&c, "HTTP/1.1 413") && raw_has(&c, PROBLEM));
	raw_close(&c);
	b.len = 0;
	buf_text(&b, "GET /echo HTTP/1.1\r\nHost: x\r\n");
	for (int i = 0; i < 100; i++)
		buf_text(&b, "X: y\r\n");
	ask(w, &c, b.data);
	assert_true(raw_has(&c, "HTTP/1.1 413") && raw_has(&c, PROBLEM));
	raw_close(&c);
}

static void foreign_hosts_are_refused_where_it_is_asked_for(void **state)
{
	struct world *w = *state;

	w->spec.check_host = true;
	serve(w);
	assert_answers(w, "GET /echo HTTP/1.1\r\nHost: evil.example\r\n\r\n", "HTTP/1.1 403", PROBLEM);
	assert_answers(w, "GET /echo HTTP/1.1\r\nHost: localhost.evil.example:1\r\n\r\n", "403");
	assert_answers(w, "GET /echo HTTP/1.1\r\nHost: 10.1.2.3\r\n\r\n", "HTTP/1.1 403");
	assert_answers(w, "GET /echo HTTP/1.1\r\nHost: \r\n\r\n", "HTTP/1.1 403");
	assert_answers(w, "GET /echo HTTP/1.0\r\n\r\n", "403");
	assert_answers(w, "GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 200");
	assert_answers(w, "GET /echo HTTP/1.1\r\nHost: LocalHost:7071\r\n\r\n", "HTTP/1.1 200");
	assert_answers(w, "GET /echo HTTP/1.1\r\nHost: 127.0.0.1:7071\r\n\r\n", "HTTP/1.1 200");
	assert_answers(w, "GET /echo HTTP/1.1\r\nHost: [::1]:7071\r\n\r\n", "HTTP/1.1 200");
}

/* --- time ------------------------------------------------------------------------------------------------ */
static struct raw *trickler;

static void trickle(void *arg)
{
	struct world *w = arg;

	raw_send(trickler, "x");
	timer_in(w->tick, 20);
}

static void trickles(struct world *w, const char *start)
{
	struct raw c;
	int64_t before = clock_mono_ms();

	raw_open(&c, w);
	trickler = &c;
	raw_send(&c, start);
	timer_in(w->tick, 20);
	UNTIL(w, c.closed);
	timer_off(w->tick);
	assert_true(clock_mono_ms() - before >= 150);
	assert_true(clock_mono_ms() - before < 2000);
	raw_close(&c);
}

static void a_trickling_client_is_cut(void **state)
{
	struct world *w = *state;

	w->spec.arrive_ms = 200;
	serve(w);
	w->tick = timer_new(w->l, trickle, w);
	trickles(w, "GET /");                                                              /* line */
	trickles(w, "GET /echo HTTP/1.1\r\nX: ");                                          /* head */
	trickles(w, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n");      /* body */
	trickles(w, "");                                                                   /* all */
	assert_int_equal(w->handled, 0);
	assert_int_equal(w->h->n_conns, 0);
}

static void a_handshake_that_never_ends_is_cut(void **state)
{
	struct world *w = *state;
	struct raw c;

	w->spec.arrive_ms = 200;
	serve_tls(w);
	raw_open(&c, w);
	UNTIL(w, c.closed);
	raw_close(&c);
}

static void a_quiet_connection_is_closed_after_its_idle_time(void **state)
{
	struct world *w = *state;
	struct raw c;

	w->spec.idle_ms = 200;
	serve(w);
	raw_open(&c, w);
	raw_send(&c, GET("/alphabet"));
	UNTIL(w, raw_has(&c, "xyz"));
	int64_t before = clock_mono_ms();
	UNTIL(w, c.closed);
	assert_true(clock_mono_ms() - before >= 150);
	raw_close(&c);
}

static void an_answer_that_nobody_takes_is_cut(void **state)
{
	struct world *w = *state;
	int fd = dial(httpd_port(w->h));
	const char *text = GET("/big");

	assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
	EVENTUALLY(w, w->h->n_conns == 1 && TAILQ_FIRST(&w->h->conns)->state == CONN_ANSWERING);
	pass_ms(w, 50);
	struct conn *c = TAILQ_FIRST(&w->h->conns);
	assert_int_equal(c->state, CONN_ANSWERING);
	assert_true(c->deadline > clock_mono_ms() + 20000);
	for (int i = 0; i < 1000 && w->h->n_conns > 0; i++) {
		c->deadline = 0; /* half a minute later; the kernel's buffers may still take some */
		pass_ms(w, 5);
	}
	assert_int_equal(w->h->n_conns, 0);
	assert_int_equal(httpd_in_flight(w->h), 0);
	close(fd);
}

/* Who takes answers slowly pays with memory of ours, so there is a bound for all together. */
static void answers_that_are_not_taken_are_bounded(void **state)
{
	struct world *w = *state;
	int fds[12];

	w->spec.owed_max = 4 * MUCH;
	serve(w);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		const char *text = GET("/much");

		fds[i] = dial(httpd_port(w->h));
		assert_int_equal(send(fds[i], text, strlen(text), 0), strlen(text));
		pass_ms(w, 20);
	}
	size_t owed = 0;
	struct conn *c;
	TAILQ_FOREACH(c, &w->h->conns, all)
		owed += evbuffer_get_length(bufferevent_get_output(c->bev));
	assert_in_range(owed, MUCH, 4 * MUCH);
	assert_in_range(w->h->n_conns, 4, 8); /* the kernel holds some of each */
	struct raw honest;
	raw_open(&honest, w);
	raw_send(&honest, GET("/alphabet")); /* and small ones go their way */
	UNTIL(w, raw_has(&honest, "xyz"));
	raw_close(&honest);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

/* --- answers that come later --------------------------------------------------------------------------- */
static void a_long_poll_is_answered_later(void **state)
{
	struct world *w = *state;
	struct raw c;

	raw_open(&c, w);
	raw_send(&c, GET("/hold"));
	UNTIL(w, w->held);
	assert_int_equal(httpd_in_flight(w->h), 1);
	pass_ms(w, 50);
	assert_int_equal(c.got.len, 0);
	req_answer_json(w->held, 200, "{}");
	UNTIL(w, raw_has(&c, "\r\n\r\n{}"));
	assert_true(raw_has(&c, "Content-Type: application/json\r\n"));
	assert_int_equal(httpd_in_flight(w->h), 0);
	raw_send(&c, GET("/alphabet"));
	UNTIL(w, raw_has(&c, "xyz"));
	assert_int_equal(w->gone, 0);
	raw_close(&c);
}

static void a_handler_hears_that_its_peer_is_gone(void **state)
{
	struct world *w = *state;
	struct raw c;

	raw_open(&c, w);
	raw_send(&c, GET("/hold") "GET /half");
	UNTIL(w, w->held);
	raw_close(&c);
	UNTIL(w, w->gone == 1);
	assert_int_equal(httpd_in_flight(w->h), 0);
	assert_int_equal(w->h->n_conns, 0);
}

static void a_handler_hears_that_the_server_ends(void **state)
{
	struct world *w = *state;
	struct raw c;

	raw_open(&c, w);
	raw_send(&c, GET("/hold"));
	UNTIL(w, w->held);
	httpd_free(w->h);
	w->h = NULL;
	assert_int_equal(w->gone, 1);
	raw_close(&c);
}

static void a_flood_behind_a_long_poll_is_not_buffered(void **state)
{
	struct world *w = *state;
	struct raw c;
	char junk[4096];

	memset(junk, 'x', sizeof(junk));
	raw_open(&c, w);
	raw_send(&c, GET("/hold"));
	UNTIL(w, w->held);
	for (int i = 0; i < 200; i++) {
		(void)!send(c.fd, junk, sizeof(junk), MSG_DONTWAIT);
		pass_ms(w, 1);
	}
	struct conn *conn = TAILQ_FIRST(&w->h->conns);
	assert_true(evbuffer_get_length(bufferevent_get_input(conn->bev)) < 128 * KIB);
	raw_close(&c);
}

static void stopping_lets_what_is_in_flight_finish(void **state)
{
	struct world *w = *state;
	struct raw c, idle;

	raw_open(&idle, w);
	raw_send(&idle, GET("/alphabet"));
	UNTIL(w, raw_has(&idle, "xyz"));
	raw_open(&c, w);
	raw_send(&c, GET("/hold"));
	UNTIL(w, w->held);
	httpd_stop_accepting(w->h);
	UNTIL(w, idle.closed);
	req_answer(w->held, 200, "text/plain", "last", 4);
	UNTIL(w, c.closed);
	assert_true(raw_has(&c, "Connection: close\r\n") && raw_has(&c, "\r\n\r\nlast"));
	assert_int_equal(httpd_in_flight(w->h), 0);
	raw_close(&c);
	raw_close(&idle);
}

/* --- ranges and streams ----------------------------------------------------------------------------------- */
static void ranges_are_what_rfc_9110_says(void **state)
{
	static const struct {
		const char *range, *status, *body, *content_range;
	} cases[] = {
		{ "bytes=0-4", "206", "abcde", "bytes 0-4/26" },
		{ "bytes=23-", "206", "xyz", "bytes 23-25/26" },
		{ "bytes=-2", "206", "yz", "bytes 24-25/26" },
		{ "bytes=-99", "206", "abcdefghijklmnopqrstuvwxyz", "bytes 0-25/26" },
		{ "bytes=20-99", "206", "uvwxyz", "bytes 20-25/26" },
		{ "bytes=25-25", "206", "z", "bytes 25-25/26" },
		{ "bytes=26-", "416", "}", "bytes */26" },
		{ "bytes=-0", "416", "}", "bytes */26" },
		{ "bytes=99999999999999999-", "416", "}", "bytes */26" },
		{ "bytes=0-1,3-4", "200", "abcdefghijklmnopqrstuvwxyz", "" },
		{ "bytes=5-2", "200", "abcdefghijklmnopqrstuvwxyz", "" },
		{ "bytes=a-b", "200", "abcdefghijklmnopqrstuvwxyz", "" },
		{ "bytes=-", "200", "abcdefghijklmnopqrstuvwxyz", "" },
		{ "bytes=9999999999999999999-", "200", "abcdefghijklmnopqrstuvwxyz", "" },
		{ "lines=1-2", "200", "abcdefghijklmnopqrstuvwxyz", "" },
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *text = xprintf("GET /alphabet HTTP/1.1\r\nHost: x\r\nRange: %s\r\n\r\n",
			cases[i].range);
		auto_free char *status = xprintf("HTTP/1.1 %s ", cases[i].status);
		auto_free char *part = xprintf("Content-Range: %s\r\n", cases[i].content_range);
		struct raw c;

		ask(w, &c, text);
		size_t n = strlen(cases[i].body);
		if (!raw_has(&c, status) || strcmp(c.got.data + c.got.len - n, cases[i].body) != 0 ||
			raw_has(&c, "Content-Range") != !!*cases[i].content_range ||
			(*cases[i].content_range && !raw_has(&c, part)))
			fail_msg("%s -> %s", cases[i].range, c.got.data);
		raw_close(&c);
	}
}

static void an_etag_saves_the_body(void **state)
{
	struct world *w = *state;

	assert_answers(w, GET("/alphabet", "If-None-Match: \"tag\"\r\n"), "HTTP/1.1 304",
		"ETag: \"tag\"\r\n");
	assert_answers(w, GET("/alphabet", "If-None-Match: \"other\"\r\n"), "HTTP/1.1 200", "xyz");
	assert_answers(w, GET("/alphabet", "Range: bytes=0-0\r\nIf-Range: \"tag\"\r\n"), "206");
	assert_answers(w, GET("/alphabet", "Range: bytes=0-0\r\nIf-Range: \"other\"\r\n"), "200");
}

static void a_range_of_a_file_is_that_range(void **state)
{
	struct world *w = *state;
	struct raw c;
	uint32_t word;

	ask(w, &c, GET("/big", "Range: bytes=4194304-4194307\r\n"));
	assert_true(raw_has(&c, "HTTP/1.1 206 ") && raw_has(&c, "Content-Length: 4\r\n"));
	memcpy(&word, c.got.data + c.got.len - 4, 4);
	assert_int_equal(word, MIB);
	raw_close(&c);
}

static void a_file_that_became_shorter_breaks_off(void **state)
{
	struct raw c;

	ask(*state, &c, GET("/short"));
	assert_true(raw_has(&c, "Content-Length: 8388609\r\n"));
	assert_true(c.got.len < (size_t)BIG + 1000 && c.got.len > (size_t)BIG);
	raw_close(&c);
}

static int count(void *arg, const void *bytes, size_t n, struct err *e)
{
	struct world *w = arg;

	(void)e, (void)bytes;
	w->got += (int64_t)n;
	return 0;
}

static void a_large_file_streams_in_small_memory_over_tls(void **state)
{
	struct world *w = *state;
	struct fetch_spec spec = { .method = "GET", .to = &w->link, .path = "/big", .sink = count,
		.sink_arg = w };
	struct answer a;
	struct err e;

	serve_tls(w);
	if (fetch_wait(w->f, &spec, &a, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(w->got, BIG);
	assert_int_equal(a.length, BIG);
	assert_in_range(w->peak, 1000, 130 * KIB);
	answer_release(&a);
}

static void a_handler_hears_when_its_answer_has_left(void **state)
{
	struct world *w = *state;
	struct fetch_spec spec = { .method = "GET", .to = &w->link, .path = "/big", .sink = count,
		.sink_arg = w };
	struct answer a;
	struct raw c;
	struct err e;

	serve_tls(w);
	if (fetch_wait(w->f, &spec, &a, &e))
		fail_msg("%s", e.msg);
	answer_release(&a);
	EVENTUALLY(w, w->over == 1);
	fetcher_free(TAKE(w->f)); /* the server frees its connection: not once more */
	httpd_free(TAKE(w->h));
	assert_int_equal(w->over, 1);
	key_tls_free(TAKE(w->spec.tls));
	serve(w);
	raw_open(&c, w);
	raw_send(&c, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
	pass_ms(w, 20); /* part of it is out, and nobody reads */
	assert_int_equal(w->over, 1);
	raw_close(&c);
	EVENTUALLY(w, w->over == 2);
}

static void what_is_sent_a_second_is_bounded_over_tls(void **state)
{
	struct world *w = *state;
	struct fetch_spec spec = { .method = "GET", .to = &w->link, .path = "/big", .sink = count,
		.sink_arg = w, .headers = { "Range: bytes=0-1048575" } };
	int64_t began = clock_mono_ms();
	struct answer a;
	struct err e;

	w->spec.send_bytes_s = 512 * KIB;
	serve_tls(w);
	if (fetch_wait(w->f, &spec, &a, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(w->got, MIB);
	answer_release(&a);
	assert_true(clock_mono_ms() - began >= 1500); /* a lower bound: no load makes it fail */
}

static void expect_continue_works_over_tls(void **state)
{
	struct world *w = *state;
	struct fetch_spec spec = { .method = "POST", .to = &w->link, .path = "/large",
		.headers = { "Expect: 100-continue" }, .n = 200000 };
	auto_free char *body = xcalloc(1, spec.n);
	struct err e;

	serve_tls(w);
	memset(body, 'b', spec.n);
	spec.body = body;
	for (int i = 0; i < 20; i++) {
		struct answer a;

		if (fetch_wait(w->f, &spec, &a, &e))
			fail_msg("%s", e.msg);
		answer_release(&a);
	}
	assert_int_equal(w->handled, 20);
	assert_int_equal(w->got, 20 * 200000);
	assert_int_equal(w->h->n_conns, 1);
}

/* --- many ----------------------------------------------------------------------------------------------- */
static void a_thousand_idle_connections_hinder_nobody(void **state)
{
	struct world *w = *state;
	struct rlimit files;
	size_t n = 1000;

	base_raise_files();
	getrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur < 2 * n + 100) {
		print_message("SKIP: %llu open files are allowed, 2,100 are needed\n",
			(unsigned long long)files.rlim_cur);
		skip(); /* jumps: nothing may be held here */
	}
	auto_free int *fd = xcalloc(n, sizeof(*fd));
	for (size_t i = 0; i < n; i++) {
		fd[i] = dial(httpd_port(w->h));
		if (i % 100 == 99)
			EVENTUALLY(w, w->h->n_conns > i);
	}
	assert_answers(w, GET("/alphabet"), "200 OK", "xyz");
	assert_int_equal(w->h->n_conns - n <= 1, true);
	for (size_t i = 0; i < n; i++)
		close(fd[i]);
	EVENTUALLY(w, w->h->n_conns == 0);
}

static void at_the_cap_the_longest_idle_one_goes(void **state)
{
	struct world *w = *state;
	struct raw idle[3], held, fresh;

	w->spec.conns_max = 4;
	serve(w);
	for (int i = 0; i < 3; i++) {
		raw_open(&idle[i], w);
		raw_send(&idle[i], GET("/alphabet"));
		UNTIL(w, raw_has(&idle[i], "xyz"));
	}
	raw_open(&held, w);
	raw_send(&held, GET("/hold"));
	UNTIL(w, w->held);
	raw_open(&fresh, w);
	raw_send(&fresh, GET("/alphabet"));
	UNTIL(w, raw_has(&fresh, "xyz"));
	UNTIL(w, idle[0].closed);
	assert_false(idle[1].closed || idle[2].closed || held.closed);
	assert_int_equal(w->h->n_conns, 4);
	for (int i = 0; i < 3; i++)
		raw_close(&idle[i]);
	raw_close(&held);
	raw_close(&fresh);
}

static void at_the_cap_without_idle_ones_the_new_one_goes(void **state)
{
	struct world *w = *state;
	struct raw held[2], fresh;

	w->spec.conns_max = 2;
	serve(w);
	for (int i = 0; i < 2; i++) {
		w->held = NULL;
		raw_open(&held[i], w);
		raw_send(&held[i], GET("/hold"));
		UNTIL(w, w->held);
	}
	raw_open(&fresh, w);
	UNTIL(w, fresh.closed);
	assert_false(held[0].closed || held[1].closed);
	for (int i = 0; i < 2; i++)
		raw_close(&held[i]);
	raw_close(&fresh);
}

static void one_address_cannot_take_all(void **state)
{
	struct world *w = *state;
	struct ifaddrs *all, *i;
	int fd[5];
	char byte;

	w->spec.conns_per_address_max = 3;
	snprintf(w->spec.listen.host, sizeof(w->spec.listen.host), "0.0.0.0");
	serve(w);
	assert_int_equal(getifaddrs(&all), 0);
	for (i = all; i; i = i->ifa_next) /* loopback is exempt */
		if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET &&
			!(i->ifa_flags & IFF_LOOPBACK))
			break;
	for (int k = 0; i && k < 5; k++) {
		struct sockaddr_in a;

		memcpy(&a, i->ifa_addr, sizeof(a));
		a.sin_port = htons(httpd_port(w->h));
		fd[k] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(fd[k], (struct sockaddr *)&a, sizeof(a)), 0);
	}
	freeifaddrs(all);
	if (!i)
		skip();
	EVENTUALLY(w, w->h->n_conns == 3);
	pass_ms(w, 20);
	assert_int_equal(recv(fd[0], &byte, 1, MSG_DONTWAIT), -1); /* still open */
	assert_int_equal(recv(fd[4], &byte, 1, MSG_DONTWAIT), 0);
	for (int k = 0; k < 5; k++)
		close(fd[k]);
	EVENTUALLY(w, w->h->n_conns == 0);
}

static void ipv6_is_served_too(void **state)
{
	struct world *w = *state;
	struct fetch_spec spec = { .method = "GET", .to = &w->link, .path = "/alphabet", .plain = true };
	struct answer a;
	struct err e;

	snprintf(w->spec.listen.host, sizeof(w->spec.listen.host), "::1");
	if (httpd_new(&w->h, w->l, &w->spec, &e))
		skip(); /* no IPv6 here */
	snprintf(w->link.host, sizeof(w->link.host), "::1");
	w->link.port = httpd_port(w->h);
	assert_int_equal(fetch_wait(w->f, &spec, &a, &e), 0);
	assert_int_equal(a.body.len, 26);
	answer_release(&a);
}

static void a_taken_port_is_an_error_that_names_it(void **state)
{
	struct world *w = *state;
	struct httpd *second = NULL;
	struct err e;

	w->spec.listen.port = httpd_port(w->h);
	assert_int_equal(httpd_new(&second, w->l, &w->spec, &e), -1);
	assert_non_null(strstr(e.msg, "listening on 127.0.0.1:"));
	assert_non_null(strstr(e.msg, "choose another port"));
}

static void without_descriptors_the_server_waits_and_does_not_spin(void **state)
{
	struct world *w = *state;
	struct rlimit old, few;
	struct raw first, c;
	struct rusage before, after;
	int hog[200], n = 0;

	raw_open(&first, w);
	raw_send(&first, GET("/hold")); /* not idle, so it makes no room */
	UNTIL(w, w->held);
	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	few.rlim_cur = 100;
	setrlimit(RLIMIT_NOFILE, &few);
	raw_open(&c, w);
	raw_send(&c, GET("/alphabet"));
	while (n < 200 && (hog[n] = dup(0)) >= 0)
		n++;
	getrusage(RUSAGE_SELF, &before);
	pass_ms(w, 400);
	getrusage(RUSAGE_SELF, &after);
	int64_t cpu_ms = (after.ru_utime.tv_sec - before.ru_utime.tv_sec +
				 after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000 +
		(after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec -
			before.ru_stime.tv_usec) / 1000;
	while (n > 0)
		close(hog[--n]);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(c.got.len, 0);
	assert_true(cpu_ms < 100);
	UNTIL(w, raw_has(&c, "xyz"));
	raw_close(&c);
	raw_close(&first);
}

static void a_client_that_has_finished_sending_gets_its_answer(void **state)
{
	struct raw c;

	ask(*state, &c, GET("/big")); /* ask() half-closes */
	assert_true(c.got.len > (size_t)BIG);
	raw_close(&c);
}

/* --- noise ------------------------------------------------------------------------------------------------ */
/* Something between a good request and noise. */
static size_t noise(uint64_t *seed, char *out, size_t room)
{
	static const char *const bits[] = { "GET ", "POST ", "HEAD ", "/echo", "/alphabet", "/big", " ",
		" HTTP/1.1", " HTTP/1.0", "\r\n", "\r\n\r\n", "\n", "\r", "Host: x\r\n",
		"Content-Length: 3\r\n", "Content-Length: ", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n",
		"0\r\n\r\n", "Range: bytes=1-2\r\n", "Expect: 100-continue\r\n", "Connection: close\r\n",
		"Connection: keep-alive\r\n", "%", "?a=b", ":", "abc",
		"GET /alphabet HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" };
	size_t n = 0, parts = 1 + rng_below(seed, 20);

	for (size_t i = 0; i < parts; i++) {
		const char *bit = bits[rng_below(seed, ARRAY_LEN(bits))];
		size_t len = strlen(bit);

		if (n + len + 1 > room)
			break;
		memcpy(out + n, bit, len);
		n += len;
		if (rng_below(seed, 8) == 0)
			out[n++] = (char)rng_below(seed, 256);
	}
	for (uint64_t flips = rng_below(seed, 3); flips > 0 && n > 0; flips--)
		out[rng_below(seed, n)] = (char)rng_below(seed, 256);
	return n;
}

static void throw_noise(struct world *w, int rounds)
{
	uint64_t seed = random_seed();
	const char *given = getenv("SEED");
	struct raw c;

	if (given)
		seed = strtoull(given, NULL, 10);
	uint64_t first = seed;
	fprintf(stderr, "SEED=%llu\n", (unsigned long long)first);
	for (int i = 0; i < rounds; i++) {
		char bytes[4096];
		size_t n = noise(&seed, bytes, sizeof(bytes));
		size_t cut = rng_below(&seed, n + 1);

		raw_open(&c, w);
		(void)!send(c.fd, bytes, cut, MSG_NOSIGNAL);
		if (rng_below(&seed, 2))
			pass_ms(w, 1);
		(void)!send(c.fd, bytes + cut, n - cut, MSG_NOSIGNAL);
		if (rng_below(&seed, 4)) {
			shutdown(c.fd, SHUT_WR);
			UNTIL(w, c.closed);
		}
		raw_close(&c);
	}
}

static void noise_does_no_harm(void **state)
{
	struct world *w = *state;

	throw_noise(w, 600);
	assert_answers(w, GET("/alphabet"), "200 OK", "xyz");
	EVENTUALLY(w, w->h->n_conns == 0);
}

static void noise_on_the_tls_port_does_no_harm(void **state)
{
	struct world *w = *state;
	struct fetch_spec spec = { .method = "GET", .to = &w->link, .path = "/alphabet" };
	struct answer a;
	struct err e;

	serve_tls(w);
	throw_noise(w, 200);
	assert_int_equal(fetch_wait(w->f, &spec, &a, &e), 0);
	assert_string_equal(a.body.data, "abcdefghijklmnopqrstuvwxyz");
	answer_release(&a);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define OWN(name) cmocka_unit_test_setup_teardown(name, open_world, teardown) /* calls serve() */

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_request_comes_back),
		T(a_star_is_one_segment),
		T(an_unknown_path_is_a_problem),
		T(a_wrong_method_names_the_right_ones),
		T(head_is_get_without_the_body),
		T(a_problem_is_valid_json_whatever_is_in_it),
		T(pipelined_requests_are_answered_in_order),
		T(expect_continue_is_answered_first),
		T(a_connection_is_kept),
		T(a_body_beyond_its_route_is_refused_before_it_comes),
		T(a_chunked_body_beyond_its_route_is_refused),
		T(a_body_where_none_is_allowed_is_refused),
		T(a_refused_sender_can_read_why_although_it_goes_on_sending),
		T(what_can_be_read_in_two_ways_is_refused),
		T(a_refusal_behind_a_good_request_waits_for_its_turn),
		T(endless_heads_are_refused),
		OWN(foreign_hosts_are_refused_where_it_is_asked_for),
		OWN(a_trickling_client_is_cut),
		OWN(a_handshake_that_never_ends_is_cut),
		OWN(a_quiet_connection_is_closed_after_its_idle_time),
		T(an_answer_that_nobody_takes_is_cut),
		T(a_long_poll_is_answered_later),
		T(a_handler_hears_that_its_peer_is_gone),
		T(a_handler_hears_that_the_server_ends),
		T(a_flood_behind_a_long_poll_is_not_buffered),
		T(stopping_lets_what_is_in_flight_finish),
		T(ranges_are_what_rfc_9110_says),
		T(an_etag_saves_the_body),
		T(a_range_of_a_file_is_that_range),
		T(a_file_that_became_shorter_breaks_off),
		OWN(a_large_file_streams_in_small_memory_over_tls),
		OWN(a_handler_hears_when_its_answer_has_left),
		OWN(what_is_sent_a_second_is_bounded_over_tls),
		OWN(expect_continue_works_over_tls),
		T(a_thousand_idle_connections_hinder_nobody),
		OWN(answers_that_are_not_taken_are_bounded),
		OWN(at_the_cap_the_longest_idle_one_goes),
		OWN(at_the_cap_without_idle_ones_the_new_one_goes),
		OWN(one_address_cannot_take_all),
		OWN(ipv6_is_served_too),
		T(a_taken_port_is_an_error_that_names_it),
		T(without_descriptors_the_server_waits_and_does_not_spin),
		T(a_client_that_has_finished_sending_gets_its_answer),
		T(noise_does_no_harm),
		OWN(noise_on_the_tls_port_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
