/* SPDX-License-Identifier: Apache-2.0
 *
 * test_tunnel.c: CONNECT at our server and `via` in our client, between them, and against relays that cheat.
 */
#include "common/clock.h"
#include "common/fetch.h"
#include "common/httpd.h"
#include "common/key.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define BIG ((size_t)(4 * MIB))

/* One connection through a relay that alters the byte at `flip` of what the target says (-1: none) or of
 * what the client says (flip_up). */
struct mangler {
	struct world *w;
	int fd[2];
	struct watch *watch[2];
	int64_t passed[2];
};

struct world {
	struct loop *l;
	struct fetcher *f;
	struct httpd *target, *relay, *plain_relay;
	struct key *key, *relay_key, *stranger;
	struct ssl_ctx_st *ctx, *relay_ctx;
	struct link to, via;
	uint16_t dial; /* where the relay dials */
	int asked, served, over;
	bool refuse;
	char asked_for[300];
	size_t grant; /* at most so many bytes at a time; 0: all */
	int64_t passed;
	struct tunnel *tunnel;
	struct answer last;
	int listener;
	struct watch *listening;
	struct mangler m;
	int64_t flip, flip_up;
	struct timer *limit;
	bool timed_out;
	int64_t patience_ms;
};

/* --- the target ------------------------------------------------------------------------------------------ */
static void big(void *arg, struct req *r)
{
	struct world *w = arg;
	auto_free char *bytes = xmalloc(BIG);

	w->served++;
	for (size_t i = 0; i < BIG; i++)
		bytes[i] = (char)(i * 2654435761u >> 13);
	req_answer(r, 200, "application/octet-stream", bytes, BIG);
}

static void echo(void *arg, struct req *r)
{
	struct world *w = arg;
	size_t n;
	const char *body = req_body(r, &n);

	w->served++;
	req_answer(r, 200, "text/plain", body, n);
}

static const struct route target_routes[] = {
	{ "GET", "/big", big, 0 },
	{ "POST", "/echo", echo, 2 * (size_t)MIB },
};

/* --- the relay --------------------------------------------------------------------------------------------- */
static size_t may(void *arg, size_t n, int64_t *wait_ms)
{
	struct world *w = arg;

	*wait_ms = 1;
	if (w->grant && n > w->grant)
		n = w->grant;
	w->passed += (int64_t)n;
	return n;
}

static void over(void *arg)
{
	struct world *w = arg;

	w->over++;
	w->tunnel = NULL;
}

static void connect_to(void *arg, struct req *r)
{
	struct world *w = arg;
	struct tunnel_spec spec = { .to = { "127.0.0.1", w->dial },
		.connect_ms = 3000,
		.may = may,
		.over = over,
		.arg = w };
	struct err e;

	w->asked++;
	snprintf(w->asked_for, sizeof(w->asked_for), "%s", req_path(r));
	if (w->refuse) {
		err_set(&e, ERR_REFUSED, "not there");
		req_problem(r, &e);
		return;
	}
	w->tunnel = req_tunnel(r, &spec);
}

static const struct route relay_routes[] = { { "CONNECT", "*", connect_to, 0 } };

/* --- a relay that alters ------------------------------------------------------------------------------------- */
static void mangler_end(struct mangler *m)
{
	for (int i = 0; i < 2; i++) {
		watch_free(m->watch[i]);
		if (m->fd[i] > 0)
			close(m->fd[i]);
		m->watch[i] = NULL;
		m->fd[i] = 0;
	}
}

static void pass(struct mangler *m, int from, int64_t flip)
{
	char bytes[16384];
	ssize_t n = recv(m->fd[from], bytes, sizeof(bytes), 0);

	if (n <= 0) {
		mangler_end(m);
		return;
	}
	if (flip >= m->passed[from] && flip < m->passed[from] + n)
		bytes[flip - m->passed[from]] ^= 0x10;
	m->passed[from] += n;
	(void)!send(m->fd[!from], bytes, (size_t)n, MSG_NOSIGNAL);
}

static void pass_up(void *arg)
{
	struct mangler *m = arg;

	pass(m, 0, m->w->flip_up);
}

static void pass_down(void *arg)
{
	struct mangler *m = arg;

	pass(m, 1, m->w->flip);
}

static int dial(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void mangle_next(void *arg)
{
	struct world *w = arg;
	struct mangler *m = &w->m;

	mangler_end(m);
	*m = (struct mangler){ .w = w };
	m->fd[0] = accept(w->listener, NULL, NULL);
	m->fd[1] = dial(w->to.port);
	m->watch[0] = watch_read(w->l, m->fd[0], pass_up, m);
	m->watch[1] = watch_read(w->l, m->fd[1], pass_down, m);
}

/* From now on the relay's tunnels lead through the mangler. */
static void mangle(struct world *w)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	w->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
		bind(w->listener, (struct sockaddr *)&a, len) || listen(w->listener, 8), 0);
	getsockname(w->listener, (struct sockaddr *)&a, &len);
	w->dial = ntohs(a.sin_port);
	w->listening = watch_read(w->l, w->listener, mangle_next, w);
}

/* --- the world ------------------------------------------------------------------------------------------------- */
static void on_limit(void *arg)
{
	struct world *w = arg;

	w->timed_out = true;
	loop_stop(w->l);
}

static int serve(struct world *w, struct httpd **h, struct ssl_ctx_st *ctx,
	const struct route *routes, size_t n)
{
	struct httpd_spec spec = {
		.listen = { "127.0.0.1", 0 }, .tls = ctx, .routes = routes, .n_routes = n, .arg = w
	};
	struct err e;

	return httpd_new(h, w->l, &spec, &e);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct err e;

	*state = w;
	w->flip = w->flip_up = w->listener = -1;
	w->patience_ms = 20000;
	w->key = key_new();
	w->relay_key = key_new();
	w->stranger = key_new();
	if (loop_new(&w->l, &e) || fetcher_new(&w->f, w->l, &e) ||
		key_tls_server(&w->ctx, w->key, &e) ||
		key_tls_server(&w->relay_ctx, w->relay_key, &e) ||
		serve(w, &w->target, w->ctx, target_routes, ARRAY_LEN(target_routes)) ||
		serve(w, &w->relay, w->relay_ctx, relay_routes, 1) ||
		serve(w, &w->plain_relay, NULL, relay_routes, 1))
		return -1;
	w->to = (struct link){
		.node = *key_id(w->key), .host = "127.0.0.1", .port = httpd_port(w->target)
	};
	w->via = (struct link){
		.node = *key_id(w->relay_key), .host = "127.0.0.1", .port = httpd_port(w->relay)
	};
	w->dial = w->to.port;
	w->limit = timer_new(w->l, on_limit, w);
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	answer_release(&w->last);
	fetcher_free(w->f);
	httpd_free(w->relay);
	httpd_free(w->plain_relay);
	httpd_free(w->target);
	mangler_end(&w->m);
	watch_free(w->listening);
	if (w->listener >= 0)
		close(w->listener);
	timer_free(w->limit);
	loop_free(w->l);
	key_tls_free(w->ctx);
	key_tls_free(w->relay_ctx);
	key_free(w->key);
	key_free(w->relay_key);
	key_free(w->stranger);
	free(w);
	return 0;
}

#define SPEC(w, method_, path_, ...)                                                               \
	(struct fetch_spec)                                                                        \
	{                                                                                          \
		.method = method_, .to = &(w)->to, .via = &(w)->via, .path = path_,                \
		.timeout_ms = (w)->patience_ms, .answer_max = 2 * BIG, __VA_ARGS__                 \
	}

static int get(struct world *w, const char *path, struct err *e)
{
	struct fetch_spec spec = SPEC(w, "GET", path);

	answer_release(&w->last);
	return fetch_wait(w->f, &spec, &w->last, e);
}

/* Let the loop work for so long. */
static void pass_ms(struct world *w, int64_t ms)
{
	timer_in(w->limit, ms);
	loop_run(w->l);
}

#define UNTIL(w, what)                                                                             \
	for (int turns_ = 0; !(what); turns_++) {                                                  \
		assert_true(turns_ < 2000);                                                        \
		pass_ms(w, 5);                                                                     \
	}

/* --- a relay that does its work ----------------------------------------------------------------------------------- */
static void a_request_goes_through_the_relay_and_back(void **state)
{
	struct world *w = *state;
	auto_free char *body = xcalloc(1, MIB);
	struct fetch_spec spec = SPEC(w, "POST", "/echo", .body = body, .n = MIB);
	char where[32];
	struct err e;

	for (int i = 0; i < 1000; i++)
		body[i * 1000] = (char)i;
	if (fetch_wait(w->f, &spec, &w->last, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(w->last.body.len, MIB);
	assert_memory_equal(w->last.body.data, body, MIB);
	snprintf(where, sizeof(where), "127.0.0.1:%u", (unsigned)w->to.port);
	assert_string_equal(w->asked_for, where);
	assert_true(w->passed > 2 * MIB);
	assert_int_equal(get(w, "/big", &e), 0);
	assert_int_equal(w->last.body.len, BIG);
	assert_int_equal(w->asked, 1); /* the tunnel was kept */
}

static void a_slow_relay_loses_nothing(void **state)
{
	struct world *w = *state;
	struct err e;

	w->grant = 20000;
	if (get(w, "/big", &e))
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < BIG; i++)
		if (w->last.body.data[i] != (char)(i * 2654435761u >> 13))
			fail_msg("byte %zu is another", i);
}

static void the_end_of_one_side_ends_the_tunnel(void **state)
{
	struct world *w = *state;
	struct err e;

	assert_int_equal(get(w, "/big", &e), 0);
	assert_non_null(w->tunnel);
	fetcher_free(w->f);
	UNTIL(w, w->over);
	assert_null(w->tunnel);
	assert_int_equal(fetcher_new(&w->f, w->l, &e), 0);
	assert_int_equal(get(w, "/big", &e), 0);
	httpd_free(w->target);
	UNTIL(w, w->over == 2);
	assert_int_equal(serve(w, &w->target, w->ctx, target_routes, ARRAY_LEN(target_routes)), 0);
}

static void a_cut_tunnel_is_gone_at_once_and_not_told(void **state)
{
	struct world *w = *state;
	struct err e;

	assert_int_equal(get(w, "/big", &e), 0);
	tunnel_cut(w->tunnel);
	assert_int_equal(w->over, 0);
	assert_int_equal(get(w, "/big", &e), 0); /* on a new one */
	assert_int_equal(w->asked, 2);
}

/* --- refusals ------------------------------------------------------------------------------------------------------ */
static void a_refused_tunnel_is_said_to_be_refused(void **state)
{
	struct world *w = *state;
	struct err e;

	w->refuse = true;
	assert_int_equal(get(w, "/big", &e), -1);
	assert_int_equal(e.code, ERR_UNREACHABLE);
	assert_non_null(strstr(e.msg, "refuses a tunnel"));
	assert_non_null(strstr(e.msg, "403"));
	assert_int_equal(w->served, 0);
}

static void a_target_that_is_not_there_is_503(void **state)
{
	struct world *w = *state;
	struct err e;

	w->dial = 1;
	assert_int_equal(get(w, "/big", &e), -1);
	assert_non_null(strstr(e.msg, "503"));
	assert_int_equal(w->over, 1);
}

static void a_server_without_tunnels_refuses_them(void **state)
{
	struct world *w = *state;
	struct err e;

	w->via = w->to;
	assert_int_equal(get(w, "/big", &e), -1);
	assert_non_null(strstr(e.msg, "400"));
}

/* --- keys ----------------------------------------------------------------------------------------------------------- */
/* Twice each, with good requests between, so that kept connections are there to be misused. */
static void a_relay_with_another_key_is_told_nothing(void **state)
{
	struct world *w = *state;
	struct link right = w->via;
	struct err e;

	for (int i = 0; i < 2; i++) {
		int before = w->asked;

		w->via.node = *key_id(w->stranger);
		assert_int_equal(get(w, "/big", &e), -1);
		assert_int_equal(e.code, ERR_UNREACHABLE);
		assert_non_null(strstr(e.msg, "the relay"));
		assert_non_null(strstr(e.msg, "another key"));
		assert_int_equal(w->asked, before);
		w->via = right;
		assert_int_equal(get(w, "/big", &e), 0);
	}
	assert_int_equal(w->served, 2);
}

static void a_target_with_another_key_is_told_nothing(void **state)
{
	struct world *w = *state;
	struct link right = w->to;
	struct err e;

	for (int i = 0; i < 2; i++) {
		w->to.node = *key_id(w->stranger);
		assert_int_equal(get(w, "/big", &e), -1);
		assert_int_equal(e.code, ERR_UNREACHABLE);
		assert_non_null(strstr(e.msg, "through the relay"));
		assert_non_null(strstr(e.msg, "another key"));
		assert_int_equal(w->served, i);
		w->to = right;
		assert_int_equal(get(w, "/big", &e), 0);
	}
}

static void a_kept_direct_connection_is_not_a_tunnel_and_back(void **state)
{
	struct world *w = *state;
	struct fetch_spec direct = SPEC(w, "GET", "/big");
	struct err e;

	direct.via = NULL;
	assert_int_equal(fetch_wait(w->f, &direct, &w->last, &e), 0);
	assert_int_equal(get(w, "/big", &e), 0);
	assert_int_equal(w->asked, 1);
	w->via.node = *key_id(w->stranger);
	answer_release(&w->last);
	assert_int_equal(fetch_wait(w->f, &direct, &w->last, &e), 0);
	assert_int_equal(w->asked, 1);
}

/* The relay pretends to be the target: it answers the inner handshake with its own key. */
static void a_relay_cannot_play_the_target(void **state)
{
	struct world *w = *state;
	struct err e;

	w->dial = w->via.port;
	assert_int_equal(get(w, "/big", &e), -1);
	assert_non_null(strstr(e.msg, "another key"));
}

static void any_altered_byte_breaks_the_tunnel(void **state)
{
	static const int64_t down[] = { 0, 3, 9, 60, 130, 300, 600, 900, 1500, 20000, 100001,
		(int64_t)BIG / 2 };
	static const int64_t up[] = { 0, 3, 9, 60, 130, 250, 5 };
	struct world *w = *state;
	struct err e;

	mangle(w);
	if (get(w, "/big", &e)) /* it can pass on faithfully */
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < ARRAY_LEN(down) + ARRAY_LEN(up); i++) {
		struct err unused;

		fetcher_free(w->f);
		assert_int_equal(fetcher_new(&w->f, w->l, &unused), 0);
		w->flip = i < ARRAY_LEN(down) ? down[i] : -1;
		w->patience_ms = 1000; /* an altered length is waited for in vain */
		w->flip_up = i < ARRAY_LEN(down) ? -1 : up[i - ARRAY_LEN(down)];
		if (!get(w, "/big", &e))
			fail_msg("byte %lld down, %lld up: altered and believed",
				(long long)w->flip, (long long)w->flip_up);
		assert_int_equal(e.code, ERR_UNREACHABLE);
	}
	w->flip = w->flip_up = -1;
	w->patience_ms = 20000;
	assert_int_equal(get(w, "/big", &e), 0);
}

/* --- raw ------------------------------------------------------------------------------------------------------------- */
static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

#define CONNECT "CONNECT 127.0.0.1:1234 HTTP/1.1\r\nHost: 127.0.0.1:1234\r\n\r\n"

static void hear(struct world *w, int fd, char *out, size_t room)
{
	size_t n = 0;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (int turns = 0; turns < 400; turns++) {
		ssize_t got = recv(fd, out + n, room - 1 - n, 0);

		if (got == 0 || (got < 0 && errno != EAGAIN))
			break;
		n += got > 0 ? (size_t)got : 0;
		out[n] = '\0';
		if (got > 0 && strstr(out, "200 "))
			break;
		pass_ms(w, 5);
	}
	out[n] = '\0';
}

static void who_speaks_before_the_tunnel_is_cut_off(void **state)
{
	struct world *w = *state;
	int fd = dial(httpd_port(w->plain_relay));
	char heard[4096];

	say(fd, CONNECT "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
	hear(w, fd, heard, sizeof(heard));
	assert_null(strstr(heard, "200 "));
	assert_int_equal(w->served, 0);
	close(fd);
}

static void connect_targets_are_host_and_port_or_refused(void **state)
{
	static const char *const bad[] = { "x", "x:", ":80", "x:0", "x:99999", "x:80/",
		"http://x:80", "/x", "x:80:80", "[::1]", "[::1]:", "x y:80", "us@er:80", "x:+80",
		"x:80?", "[x]:80", "%41:80" };
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		int fd = dial(httpd_port(w->plain_relay));
		auto_free char *line = xprintf("CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\n", bad[i]);
		char heard[4096];

		say(fd, line);
		hear(w, fd, heard, sizeof(heard));
		if (!strstr(heard, "HTTP/1.1 400"))
			fail_msg("%s: [%s]", bad[i], heard);
		close(fd);
	}
	assert_int_equal(w->asked, 0);
}

static void a_connect_with_a_body_is_refused(void **state)
{
	struct world *w = *state;
	int fd = dial(httpd_port(w->plain_relay));
	char heard[4096];

	say(fd, "CONNECT x:1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
	hear(w, fd, heard, sizeof(heard));
	assert_non_null(strstr(heard, "HTTP/1.1 400"));
	assert_int_equal(w->asked, 0);
	close(fd);
}

/* The far end is a listening socket that nobody accepts from: the kernel connects, nothing is read. */
static void bytes_wait_where_they_are_when_the_other_end_does_not_read(void **state)
{
	struct world *w = *state;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	char heard[4096], bytes[65536] = { 0 };
	int fd = dial(httpd_port(w->plain_relay)), small = 65536;
	int64_t sent = 0;

	w->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(w->listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	assert_int_equal(
		bind(w->listener, (struct sockaddr *)&a, len) || listen(w->listener, 8), 0);
	getsockname(w->listener, (struct sockaddr *)&a, &len);
	w->dial = ntohs(a.sin_port);
	say(fd, CONNECT);
	hear(w, fd, heard, sizeof(heard));
	assert_non_null(strstr(heard, "HTTP/1.1 200 "));
	for (int stuck = 0; stuck < 40 && sent < 256 * MIB;) {
		ssize_t n = send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT);

		sent += n > 0 ? n : 0;
		stuck = n > 0 ? 0 : stuck + 1;
		pass_ms(w, 1);
	}
	assert_true(sent < 64 * MIB); /* what the kernel's buffers hold, and 128 KiB */
	assert_int_equal(w->over, 0);
	close(fd);
	(void)!close(accept(w->listener, NULL, NULL));
	UNTIL(w, w->over);
}

static void who_leaves_while_the_relay_dials_is_forgotten(void **state)
{
	struct world *w = *state;
	int fd = dial(httpd_port(w->plain_relay));

	w->dial = 0; /* told by the timer: later than the client's leaving */
	say(fd, CONNECT);
	UNTIL(w, w->asked || w->over);
	close(fd);
	UNTIL(w, w->over);
	assert_int_equal(w->over, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_request_goes_through_the_relay_and_back),
		T(a_slow_relay_loses_nothing),
		T(the_end_of_one_side_ends_the_tunnel),
		T(a_cut_tunnel_is_gone_at_once_and_not_told),
		T(a_refused_tunnel_is_said_to_be_refused),
		T(a_target_that_is_not_there_is_503),
		T(a_server_without_tunnels_refuses_them),
		T(a_relay_with_another_key_is_told_nothing),
		T(a_target_with_another_key_is_told_nothing),
		T(a_kept_direct_connection_is_not_a_tunnel_and_back),
		T(a_relay_cannot_play_the_target),
		T(any_altered_byte_breaks_the_tunnel),
		T(who_speaks_before_the_tunnel_is_cut_off),
		T(connect_targets_are_host_and_port_or_refused),
		T(a_connect_with_a_body_is_refused),
		T(bytes_wait_where_they_are_when_the_other_end_does_not_read),
		T(who_leaves_while_the_relay_dials_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
