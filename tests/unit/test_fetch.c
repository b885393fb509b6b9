/* SPDX-License-Identifier: Apache-2.0
 *
 * test_fetch.c: the HTTP client against our server, and against servers that lie.
 */
#include "common/clock.h"
#include "common/fetch.h"
#include "common/httpd.h"
#include "common/key.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

struct world {
	struct loop *l;
	struct fetcher *f;
	struct httpd *plain, *tls;
	struct key *key;
	struct ssl_ctx_st *ctx;
	struct link at_plain, at_tls;
	char method[16], type[64];
	int called;
	struct answer last;
	struct fetch *other;
	/* a server that says `line` to whoever comes */
	int liar;
	struct watch *lying;
	const char *line;
	bool endless;
	int victim;
};

/* --- servers ------------------------------------------------------------------------------------------- */
static void echo(void *arg, struct req *r)
{
	struct world *w = arg;
	size_t n;
	const char *body = req_body(r, &n);

	snprintf(w->method, sizeof(w->method), "%s", req_method(r));
	snprintf(w->type, sizeof(w->type), "%s",
		req_header(r, "Content-Type") ? req_header(r, "Content-Type") : "");
	req_out_header(r, "Upload-Offset", "17");
	req_out_header(r, "Location", "/v1/uploads/x");
	req_answer(r, 201, "text/plain", body, n);
}

static void refuse(void *arg, struct req *r)
{
	struct err e;

	(void)arg;
	err_field(&e, "count", "must be at least 1");
	req_problem(r, &e);
}

static void slow_down(void *arg, struct req *r)
{
	struct err e;

	(void)arg;
	err_set(&e, ERR_RATE, "slow down");
	req_out_header(r, "Retry-After", "7");
	req_problem(r, &e);
}

static void thousand(void *arg, struct req *r)
{
	char bytes[1000];

	(void)arg;
	memset(bytes, 'k', sizeof(bytes));
	req_answer(r, 200, "text/plain", bytes, sizeof(bytes));
}

static void never(void *arg, struct req *r)
{
	(void)arg, (void)r;
}

static void elsewhere(void *arg, struct req *r)
{
	(void)arg;
	req_out_header(r, "Location", "/thousand");
	req_answer(r, 302, NULL, "", 0);
}

static const struct route routes[] = {
	{ "POST", "/echo", echo, (size_t)MIB },
	{ "PATCH", "/echo", echo, (size_t)MIB },
	{ "DELETE", "/echo", echo, 0 },
	{ "GET", "/refuse", refuse, 0 },
	{ "GET", "/slow-down", slow_down, 0 },
	{ "GET", "/thousand", thousand, 0 },
	{ "GET", "/never", never, 0 },
	{ "GET", "/elsewhere", elsewhere, 0 },
};

static int serve(struct world *w, struct httpd **h, struct ssl_ctx_st *ctx, struct link *link)
{
	struct httpd_spec spec = { .listen = { "127.0.0.1", 0 }, .tls = ctx, .routes = routes,
		.n_routes = ARRAY_LEN(routes), .arg = w };
	struct err e;

	if (httpd_new(h, w->l, &spec, &e))
		return -1;
	snprintf(link->host, sizeof(link->host), "127.0.0.1");
	link->port = httpd_port(*h);
	link->node = *key_id(w->key);
	return 0;
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct err e;

	*state = w;
	w->liar = w->victim = -1;
	w->key = key_new();
	return loop_new(&w->l, &e) || fetcher_new(&w->f, w->l, &e) ||
		key_tls_server(&w->ctx, w->key, &e) ||
		serve(w, &w->plain, NULL, &w->at_plain) || serve(w, &w->tls, w->ctx, &w->at_tls);
}

static int teardown(void **state)
{
	struct world *w = *state;

	answer_release(&w->last);
	fetcher_free(w->f);
	httpd_free(w->plain);
	httpd_free(w->tls);
	watch_free(w->lying);
	loop_free(w->l);
	key_tls_free(w->ctx);
	key_free(w->key);
	if (w->liar >= 0)
		close(w->liar);
	if (w->victim >= 0)
		close(w->victim);
	free(w);
	return 0;
}

static void lie(void *arg)
{
	struct world *w = arg;
	char request[4096];

	(void)!recv(w->victim, request, sizeof(request), 0);
	(void)!send(w->victim, w->line, strlen(w->line), MSG_NOSIGNAL);
	for (int i = 0; w->endless && i < 5000; i++)
		(void)!send(w->victim, "X-Endless: yyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n", 41,
			MSG_NOSIGNAL | MSG_DONTWAIT);
	if (!w->endless)
		shutdown(w->victim, SHUT_WR);
	watch_free(w->lying);
	w->lying = NULL;
}

static void receive(void *arg)
{
	struct world *w = arg;

	w->victim = accept(w->liar, NULL, NULL);
	watch_free(w->lying);
	w->lying = watch_read(w->l, w->victim, lie, w);
}

/* A link to a server that answers `line`, whatever it is asked. */
static struct link liar(struct world *w, const char *line)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	struct link to = w->at_plain;

	w->line = line;
	w->liar = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(w->liar, (struct sockaddr *)&a, len) || listen(w->liar, 4), 0);
	getsockname(w->liar, (struct sockaddr *)&a, &len);
	w->lying = watch_read(w->l, w->liar, receive, w);
	to.port = ntohs(a.sin_port);
	return to;
}

#define AT(link_, method_, path_, ...)                                                              \
	(struct fetch_spec)                                                                        \
	{                                                                                          \
		.method = method_, .to = link_, .path = path_, __VA_ARGS__                         \
	}
#define SPEC(w, method, path, ...) AT(&(w)->at_plain, method, path, .plain = true, __VA_ARGS__)

/* --- what comes back ------------------------------------------------------------------------------------ */
static void an_answer_has_status_body_and_headers(void **state)
{
	struct world *w = *state;
	struct fetch_spec spec = SPEC(w, "POST", "/echo", .body = "hello", .n = 5,
		.headers = { "Content-Type: application/json" });
	struct err e;

	assert_int_equal(fetch_wait(w->f, &spec, &w->last, &e), 0);
	assert_int_equal(w->last.status, 201);
	assert_string_equal(w->last.body.data, "hello");
	assert_string_equal(w->last.type, "text/plain");
	assert_string_equal(w->last.location, "/v1/uploads/x");
	assert_int_equal(w->last.upload_offset, 17);
	assert_int_equal(w->last.retry_after_s, -1);
	assert_int_equal(w->last.length, 5);
	assert_string_equal(w->type, "application/json");
}

static void every_method_arrives_as_itself(void **state)
{
	static const char *const methods[] = { "POST", "PATCH", "DELETE" };
	struct world *w = *state;
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		struct fetch_spec spec = SPEC(w, methods[i], "/echo");

		assert_int_equal(fetch_wait(w->f, &spec, &w->last, &e), 0);
		assert_string_equal(w->method, methods[i]);
		assert_string_equal(w->type, "");
		answer_release(&w->last);
	}
	struct fetch_spec head = SPEC(w, "HEAD", "/thousand");
	assert_int_equal(fetch_wait(w->f, &head, &w->last, &e), 0);
	assert_int_equal(w->last.length, 1000);
	assert_int_equal(w->last.body.len, 0);
}

static void a_problem_keeps_its_code_field_and_sentence(void **state)
{
	struct world *w = *state;
	struct fetch_spec spec = SPEC(w, "GET", "/refuse");
	struct err e;

	assert_int_equal(fetch_wait(w->f, &spec, &w->last, &e), -1);
	assert_int_equal(w->last.status, 400);
	assert_int_equal(e.code, ERR_FIELD);
	assert_string_equal(e.field, "count");
	assert_string_equal(e.msg, "field count: must be at least 1");
}

static void retry_after_is_read(void **state)
{
	struct world *w = *state;
	struct fetch_spec spec = SPEC(w, "GET", "/slow-down");
	struct err e;

	assert_int_equal(fetch_wait(w->f, &spec, &w->last, &e), -1);
	assert_int_equal(e.code, ERR_RATE);
	assert_int_equal(w->last.retry_after_s, 7);
}

static void a_refusal_without_a_problem_has_the_code_of_its_status(void **state)
{
	struct world *w = *state;
	struct link to = liar(w, "HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\n[1,2]");
	struct fetch_spec spec = AT(&to, "GET", "/x", .plain = true);
	struct err e;

	assert_int_equal(fetch_wait(w->f, &spec, &w->last, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_non_null(strstr(e.msg, "answers 404"));
}

static void redirects_are_not_followed(void **state)
{
	struct world *w = *state;
	struct fetch_spec spec = SPEC(w, "GET", "/elsewhere");
	struct err e;

	assert_int_equal(fetch_wait(w->f, &spec, &w->last, &e), 0);
	assert_int_equal(w->last.status, 302);
}

static void no_proxy_is_taken_from_the_environment(void **state)
{
	struct world *w = *state;
	struct fetch_spec spec = SPEC(w, "GET", "/thousand");
	struct err e;

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	assert_int_equal(fetch_wait(w->f, &spec, &w->last, &e), 0);
	unsetenv("http_proxy");
}

/* --- keys -------------------------------------------------------------------------------------------------- */
static void the_right_key_is_talked_to(void **state)
{
	struct world *w = *state;
	struct fetch_spec spec = AT(&w->at_tls, "GET", "/thousand");
	struct err e;

	if (fetch_wait(w->f, &spec, &w->last, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(w->last.body.len, 1000);
}

static void another_key_is_not_even_on_a_kept_connection(void **state)
{
	struct world *w = *state;
	struct key *stranger = key_new();
	struct link wrong = w->at_tls;
	struct fetch_spec right = AT(&w->at_tls, "GET", "/thousand");
	struct fetch_spec spec = AT(&wrong, "GET", "/thousand");
	struct err e;

	wrong.node = *key_id(stranger);
	key_free(stranger);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fetch_wait(w->f, &spec, &w->last, &e), -1);
		assert_int_equal(e.code, ERR_UNREACHABLE);
		assert_int_equal(w->last.status, 0);
		assert_non_null(strstr(e.msg, "another key than the link names"));
		answer_release(&w->last);
		assert_int_equal(fetch_wait(w->f, &right, &w->last, &e), 0);
		answer_release(&w->last);
	}
}

static void a_plain_server_is_no_tls_server(void **state)
{
	struct world *w = *state;
	struct fetch_spec spec = AT(&w->at_plain, "GET", "/thousand");
	struct err e;

	assert_int_equal(fetch_wait(w->f, &spec, &w->last, &e), -1);
	assert_int_equal(e.code, ERR_UNREACHABLE);
}

/* --- limits ------------------------------------------------------------------------------------------------- */
static void an_answer_beyond_its_limit_is_cut(void **state)
{
	struct world *w = *state;
	struct fetch_spec spec = SPEC(w, "GET", "/thousand", .answer_max = 999);
	struct err e;

	assert_int_equal(fetch_wait(w->f, &spec, &w->last, &e), -1);
	assert_int_equal(e.code, ERR_TOO_BIG);
	assert_int_equal(w->last.status, 0);
	spec.answer_max = 1000;
	answer_release(&w->last);
	assert_int_equal(fetch_wait(w->f, &spec, &w->last, &e), 0);
}

static void endless_headers_are_cut(void **state)
{
	struct world *w = *state;
	struct link to = liar(w, "HTTP/1.1 200 OK\r\n");
	struct fetch_spec spec = AT(&to, "GET", "/x", .plain = true);
	struct err e;

	w->endless = true;
	assert_int_equal(fetch_wait(w->f, &spec, &w->last, &e), -1);
	assert_int_equal(e.code, ERR_TOO_BIG);
}

static void an_answer_that_breaks_off_is_no_answer(void **state)
{
	struct world *w = *state;
	struct link to = liar(w, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort");
	struct fetch_spec spec = AT(&to, "GET", "/x", .plain = true);
	struct err e;

	assert_int_equal(fetch_wait(w->f, &spec, &w->last, &e), -1);
	assert_int_equal(e.code, ERR_UNREACHABLE);
	assert_int_equal(w->last.status, 0);
}

static void nonsense_is_no_answer(void **state)
{
	struct world *w = *state;
	struct link to = liar(w, "220 mail.example ESMTP\r\n");
	struct fetch_spec spec = AT(&to, "GET", "/x", .plain = true);
	struct err e;

	assert_int_equal(fetch_wait(w->f, &spec, &w->last, &e), -1);
	assert_int_equal(e.code, ERR_UNREACHABLE);
}

static void nobody_there_names_the_place(void **state)
{
	struct world *w = *state;
	struct link to = { .host = "127.0.0.1", .port = 1 };
	struct fetch_spec spec = AT(&to, "GET", "/x", .plain = true);
	struct err e;

	assert_int_equal(fetch_wait(w->f, &spec, &w->last, &e), -1);
	assert_int_equal(e.code, ERR_UNREACHABLE);
	assert_non_null(strstr(e.msg, "127.0.0.1:1"));
	struct link six = { .host = "::1", .port = 1 };
	spec.to = &six;
	assert_int_equal(fetch_wait(w->f, &spec, &w->last, &e), -1);
	assert_non_null(strstr(e.msg, "[::1]:1"));
}

static void silence_ends_at_the_timeout(void **state)
{
	struct world *w = *state;
	struct fetch_spec spec = SPEC(w, "GET", "/never", .timeout_ms = 100);
	int64_t before = clock_mono_ms();
	struct err e;

	assert_int_equal(fetch_wait(w->f, &spec, &w->last, &e), -1);
	assert_int_equal(e.code, ERR_UNREACHABLE);
	assert_true(clock_mono_ms() - before < 3000);
}

static int sink_few(void *arg, const void *bytes, size_t n, struct err *e)
{
	size_t *seen = arg;

	(void)bytes;
	*seen += n;
	return *seen > 500 ? err_set(e, ERR_DIGEST, "bad piece") : 0;
}

static void a_sink_may_cut_with_its_own_reason(void **state)
{
	struct world *w = *state;
	size_t seen = 0;
	struct fetch_spec spec = SPEC(w, "GET", "/thousand", .sink = sink_few, .sink_arg = &seen);
	struct err e;

	assert_int_equal(fetch_wait(w->f, &spec, &w->last, &e), -1);
	assert_int_equal(e.code, ERR_DIGEST);
	assert_string_equal(e.msg, "bad piece");
}

static void a_sink_does_not_get_a_refusal(void **state)
{
	struct world *w = *state;
	size_t seen = 0;
	struct fetch_spec spec = SPEC(w, "GET", "/refuse", .sink = sink_few, .sink_arg = &seen);
	struct err e;

	assert_int_equal(fetch_wait(w->f, &spec, &w->last, &e), -1);
	assert_int_equal(e.code, ERR_FIELD);
	assert_int_equal(seen, 0);
}

/* --- many, and callbacks that do things ------------------------------------------------------------------- */
static void count(void *arg, struct answer *a)
{
	struct world *w = arg;

	assert_int_equal(a->status, 200);
	if (++w->called == 100)
		loop_stop(w->l);
}

static void a_hundred_at_once_all_come_back(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 100; i++) {
		struct fetch_spec spec = AT(i % 2 ? &w->at_plain : &w->at_tls, "GET",
			"/thousand", .plain = i % 2);
		fetch_start(w->f, &spec, count, w);
	}
	loop_run(w->l);
	assert_int_equal(w->called, 100);
}

static void cancel_other(void *arg, struct answer *a)
{
	struct world *w = arg;

	(void)a;
	fetch_cancel(w->other);
	loop_stop(w->l);
}

static void must_not(void *arg, struct answer *a)
{
	(void)arg, (void)a;
	fail();
}

static void a_cancelled_fetch_is_not_called_back(void **state)
{
	struct world *w = *state;
	struct fetch_spec spec = SPEC(w, "GET", "/never");

	w->other = fetch_start(w->f, &spec, must_not, w);
	spec.path = "/thousand";
	fetch_start(w->f, &spec, cancel_other, w);
	loop_run(w->l);
}

static void free_all(void *arg, struct answer *a)
{
	struct world *w = arg;

	(void)a;
	fetcher_free(w->f);
	w->f = NULL;
	loop_stop(w->l);
}

static void a_callback_may_free_the_fetcher(void **state)
{
	struct world *w = *state;
	struct fetch_spec spec = SPEC(w, "GET", "/never");

	fetch_start(w->f, &spec, must_not, w);
	spec.path = "/thousand";
	fetch_start(w->f, &spec, free_all, w);
	loop_run(w->l);
	assert_null(w->f);
}

static void halt(void *arg)
{
	loop_stop(arg);
}

static void a_stopped_loop_interrupts_a_wait(void **state)
{
	struct world *w = *state;
	struct fetch_spec spec = SPEC(w, "GET", "/never");
	struct timer *t = timer_new(w->l, halt, w->l);
	struct err e;

	timer_in(t, 50);
	assert_int_equal(fetch_wait(w->f, &spec, &w->last, &e), -1);
	assert_int_equal(e.code, ERR_CANCELLED);
	timer_free(t);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_answer_has_status_body_and_headers),
		T(every_method_arrives_as_itself),
		T(a_problem_keeps_its_code_field_and_sentence),
		T(retry_after_is_read),
		T(a_refusal_without_a_problem_has_the_code_of_its_status),
		T(redirects_are_not_followed),
		T(no_proxy_is_taken_from_the_environment),
		T(the_right_key_is_talked_to),
		T(another_key_is_not_even_on_a_kept_connection),
		T(a_plain_server_is_no_tls_server),
		T(an_answer_beyond_its_limit_is_cut),
		T(endless_headers_are_cut),
		T(an_answer_that_breaks_off_is_no_answer),
		T(nonsense_is_no_answer),
		T(nobody_there_names_the_place),
		T(silence_ends_at_the_timeout),
		T(a_sink_may_cut_with_its_own_reason),
		T(a_sink_does_not_get_a_refusal),
		T(a_hundred_at_once_all_come_back),
		T(a_cancelled_fetch_is_not_called_back),
		T(a_callback_may_free_the_fetcher),
		T(a_stopped_loop_interrupts_a_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
