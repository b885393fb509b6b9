/* SPDX-License-Identifier: Apache-2.0
 *
 * fetch.c: the HTTP client, libcurl's multi interface driven by the loop.
 *
 * libcurl tells us which sockets to watch and when to wake it; we tell it what happened. Finished
 * transfers are called back outside of libcurl, so a callback may start and cancel others.
 *
 * When a kept connection turns out to be dead before a byte of the answer came, libcurl sends the
 * request once more on a new one: so a request may arrive twice, and must bear it (ours do).
 *
 * Whom we talk to is decided by the pinned key alone: no authority, no name in a certificate. The
 * pin is part of what makes libcurl reuse a connection.
 */
#include "common/fetch.h"
#include "common/key.h"
#include "common/problem.h"

#include <assert.h>
#include <curl/curl.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#define ANSWER_MAX ((size_t)MIB)
#define PROBLEM_MAX ((size_t)(64 * KIB)) /* the body of a refusal */
#define HEADERS_MAX ((size_t)(64 * KIB)) /* libcurl would keep them all */
#define TIMEOUT_MS 30000
#define CONNECT_MS 10000L
#define STALL_S 30L /* a stream that stands still is over; a long poll has its timeout instead */
#define KEPT_MAX 64L /* idle connections */

struct sock {
	LIST_ENTRY(sock) next;
	struct event *ev;
};

struct fetcher {
	struct loop *loop;
	CURLM *multi;
	struct timer *timer;
	LIST_HEAD(, sock) socks;
	LIST_HEAD(, fetch) running;
	bool calling, doomed; /* in a callback; freed by it */
};

struct fetch {
	LIST_ENTRY(fetch) next;
	struct fetcher *f;
	CURL *easy;
	struct curl_slist *headers;
	char where[LINK_HOST_MAX + 9]; /* HOST:PORT for people */
	char relay[LINK_HOST_MAX + 9]; /* of the relay; "": none */
	char why[CURL_ERROR_SIZE];
	size_t answer_max, header_bytes;
	int (*sink)(void *arg, const void *bytes, size_t n, struct err *e);
	void *sink_arg;
	bool cut; /* by us: a.e says why */
	struct answer a;
	fetch_fn *fn;
	void *arg;
};

static void collect(struct fetcher *f);

/* --- libcurl and the loop ----------------------------------------------------------------------- */
static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct fetcher *f = arg;
	int running;
	int mask = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);

	curl_multi_socket_action(f->multi, fd, mask, &running);
	collect(f);
}

static void on_timeout(void *arg)
{
	struct fetcher *f = arg;
	int running;

	curl_multi_socket_action(f->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(f);
}

static int on_timer_wish(CURLM *multi, long ms, void *arg)
{
	struct fetcher *f = arg;

	(void)multi;
	if (ms < 0)
		timer_off(f->timer);
	else
		timer_in(f->timer, ms);
	return 0;
}

static void sock_free(struct sock *s)
{
	LIST_REMOVE(s, next);
	if (s->ev)
		event_free(s->ev);
	free(s);
}

static int on_socket_wish(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct fetcher *f = arg;
	struct sock *s = known;
	short events = (short)(EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) |
		(what & CURL_POLL_OUT ? EV_WRITE : 0));

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s)
			sock_free(s);
		curl_multi_assign(f->multi, fd, NULL);
		return 0;
	}
	if (!s) {
		s = xcalloc(1, sizeof(*s));
		LIST_INSERT_HEAD(&f->socks, s, next);
		curl_multi_assign(f->multi, fd, s);
	} else {
		event_free(s->ev);
	}
	s->ev = event_new(loop_base(f->loop), fd, events, on_event, f);
	int bad = !s->ev || event_add(s->ev, NULL);
	assert(!bad);
	return 0;
}

int fetcher_new(struct fetcher **out, struct loop *l, struct err *e)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return err_set(e, ERR_INTERNAL, "libcurl does not start");
	struct fetcher *f = xcalloc(1, sizeof(*f));
	f->loop = l;
	f->timer = timer_new(l, on_timeout, f);
	f->multi = curl_multi_init();
	assert(f->multi);
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wish);
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
	curl_multi_setopt(f->multi, CURLMOPT_MAXCONNECTS, KEPT_MAX);
	*out = f;
	return 0;
}

void fetcher_free(struct fetcher *f)
{
	if (!f)
		return;
	while (!LIST_EMPTY(&f->running))
		fetch_cancel(LIST_FIRST(&f->running));
	if (f->calling) { /* collect() still stands on it */
		f->doomed = true;
		return;
	}
	curl_multi_cleanup(f->multi);
	while (!LIST_EMPTY(&f->socks))
		sock_free(LIST_FIRST(&f->socks));
	timer_free(f->timer);
	free(f);
	curl_global_cleanup();
}

/* --- one transfer ------------------------------------------------------------------------------- */
static size_t on_header(char *bytes, size_t size, size_t n, void *arg)
{
	struct fetch *t = arg;

	(void)bytes;
	t->header_bytes += size * n;
	if (t->header_bytes <= HEADERS_MAX)
		return size * n;
	t->cut = true;
	err_set(&t->a.e, ERR_TOO_BIG, "%s sends more than 64 KiB of headers", t->where);
	return 0;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct fetch *t = arg;
	long status = 0;

	n *= size;
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (t->sink && status >= 200 && status < 300) {
		t->cut = t->sink(t->sink_arg, bytes, n, &t->a.e) != 0;
		return t->cut ? 0 : n;
	}
	size_t max = status >= 400 && t->answer_max < PROBLEM_MAX ? PROBLEM_MAX : t->answer_max;
	if (t->a.body.len + n > max) {
		t->cut = true;
		err_set(&t->a.e, ERR_TOO_BIG, "%s answers with more than %zu bytes", t->where, max);
		return 0;
	}
	buf_add(&t->a.body, bytes, n);
	return n;
}

static void header_add(struct fetch *t, const char *line)
{
	struct curl_slist *longer = curl_slist_append(t->headers, line);

	assert(longer);
	t->headers = longer;
}

static void set_headers(struct fetch *t, const struct fetch_spec *spec)
{
	bool typed = false;

	for (size_t i = 0; i < FETCH_HEADERS_MAX && spec->headers[i]; i++) {
		typed |= !strncasecmp(spec->headers[i], "Content-Type:", 13);
		header_add(t, spec->headers[i]);
	}
	if (!typed)
		header_add(t, "Content-Type:"); /* libcurl would call it a form */
	header_add(t, "Expect:"); /* parts are small: do not wait to be asked for them */
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
}

static void set_method(struct fetch *t, const struct fetch_spec *spec)
{
	bool head = !strcmp(spec->method, "HEAD"), get = !strcmp(spec->method, "GET");

	if (head) {
		curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
		return;
	}
	if (get && spec->n == 0)
		return;
	curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)spec->n);
	curl_easy_setopt(t->easy, CURLOPT_COPYPOSTFIELDS, spec->n ? spec->body : "");
	curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, spec->method);
}

static void where_text(char out[LINK_HOST_MAX + 9], const struct link *l)
{
	struct endpoint at = link_at(l);

	endpoint_text(out, &at);
}

static void set_peer(struct fetch *t, const struct fetch_spec *spec)
{
	char pin[PIN_TEXT + 1];

	where_text(t->where, spec->to);
	auto_free char *url = xprintf("http%s://%s%s", spec->plain ? "" : "s", t->where, spec->path);
	curl_easy_setopt(t->easy, CURLOPT_URL, url);
	if (spec->plain)
		return;
	key_pin(pin, &spec->to->node);
	curl_easy_setopt(t->easy, CURLOPT_PINNEDPUBLICKEY, pin);
	curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYPEER, 0L); /* the pin says more */
	curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(t->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
	curl_easy_setopt(t->easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	curl_easy_setopt(t->easy, CURLOPT_SSL_ENABLE_ALPN, 0L);
}

/* Directly, or through the relay. libcurl reuses a connection only where proxy, target and both pins are
 * the same; our headers go to the target alone. */
static void set_way(struct fetch *t, const struct fetch_spec *spec)
{
	char pin[PIN_TEXT + 1];

	assert(!spec->via || !spec->plain);
	if (!spec->via) {
		curl_easy_setopt(t->easy, CURLOPT_PROXY, "");
		curl_easy_setopt(t->easy, CURLOPT_NOPROXY, "*");
		return;
	}
	where_text(t->relay, spec->via);
	auto_free char *url = xprintf("https://%s", t->relay);
	key_pin(pin, &spec->via->node);
	curl_easy_setopt(t->easy, CURLOPT_PROXY, url);
	curl_easy_setopt(t->easy, CURLOPT_NOPROXY, "");
	curl_easy_setopt(t->easy, CURLOPT_PROXYTYPE, (long)CURLPROXY_HTTPS);
	curl_easy_setopt(t->easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
	curl_easy_setopt(t->easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
	curl_easy_setopt(t->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(t->easy, CURLOPT_PROXY_PINNEDPUBLICKEY, pin);
	curl_easy_setopt(t->easy, CURLOPT_PROXY_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(t->easy, CURLOPT_PROXY_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(t->easy, CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
}

static void set_limits(struct fetch *t, const struct fetch_spec *spec)
{
	int64_t ms = spec->timeout_ms ? spec->timeout_ms : TIMEOUT_MS;

	curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(t->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(t->easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)ms);
	curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, ms < CONNECT_MS ? (long)ms : CONNECT_MS);
	if (spec->send_bytes_s)
		curl_easy_setopt(t->easy, CURLOPT_MAX_SEND_SPEED_LARGE, (curl_off_t)spec->send_bytes_s);
	if (spec->sink) {
		curl_easy_setopt(t->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(t->easy, CURLOPT_LOW_SPEED_TIME, STALL_S);
	}
}

struct fetch *fetch_start(struct fetcher *f, const struct fetch_spec *spec, fetch_fn *fn, void *arg)
{
	struct fetch *t = xcalloc(1, sizeof(*t));

	t->f = f;
	t->fn = fn;
	t->arg = arg;
	t->sink = spec->sink;
	t->sink_arg = spec->sink_arg;
	t->answer_max = spec->answer_max ? spec->answer_max : ANSWER_MAX;
	t->easy = curl_easy_init();
	assert(t->easy);
	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
	curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->why);
	curl_easy_setopt(t->easy, CURLOPT_USERAGENT, "talkoot/" TALKOOT_VERSION);
	curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
	set_peer(t, spec);
	set_way(t, spec);
	set_method(t, spec);
	set_headers(t, spec);
	set_limits(t, spec);
	LIST_INSERT_HEAD(&f->running, t, next);
	CURLMcode bad = curl_multi_add_handle(f->multi, t->easy);
	assert(!bad);
	return t;
}

void answer_release(struct answer *a)
{
	buf_release(&a->body);
}

static void fetch_free(struct fetch *t)
{
	LIST_REMOVE(t, next);
	curl_multi_remove_handle(t->f->multi, t->easy);
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
	answer_release(&t->a);
	free(t);
}

void fetch_cancel(struct fetch *t)
{
	if (t)
		fetch_free(t);
}

/* --- what came ---------------------------------------------------------------------------------- */
/* The value of an answer's header, or NULL. Good until the next call. */
static const char *header_of(struct fetch *t, const char *name)
{
	struct curl_header *h;

	return curl_easy_header(t->easy, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK ? h->value : NULL;
}

/* A header that is a plain number of at most 18 digits, or -1. */
static int64_t header_number(struct fetch *t, const char *name)
{
	const char *s = header_of(t, name);
	size_t n = s ? strspn(s, "0123456789") : 0;

	return n > 0 && n <= 18 && !s[n] ? strtoll(s, NULL, 10) : -1;
}

static void header_text(struct fetch *t, const char *name, char *out, size_t room)
{
	const char *s = header_of(t, name);

	snprintf(out, room, "%s", s && strlen(s) < room ? s : "");
}

static void read_answer(struct fetch *t)
{
	struct answer *a = &t->a;
	long status = 0;
	curl_off_t length = -1;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	char *ip = NULL;

	curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_IP, &ip);
	snprintf(a->ip, sizeof(a->ip), "%s", ip ? ip : "");
	a->status = (int)status;
	a->length = length;
	a->upload_offset = header_number(t, "Upload-Offset");
	a->retry_after_s = header_number(t, "Retry-After");
	a->next = header_number(t, "Talkoot-Next");
	header_text(t, "Content-Type", a->type, sizeof(a->type));
	header_text(t, "Location", a->location, sizeof(a->location));
	if (status >= 400)
		problem_read(&a->e, a->status, a->body.data, a->body.len, t->where);
}

/* Why there is no answer, in words; with a relay, which of the two it was. */
static void no_answer(struct fetch *t, CURLcode code)
{
	struct answer *a = &t->a;
	const char *why = t->why[0] ? t->why : curl_easy_strerror(code);
	long connected = 0;

	a->upload_offset = a->retry_after_s = a->length = a->next = -1;
	if (t->cut)
		return; /* a->e is set */
	curl_easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &connected);
	bool at_relay = t->relay[0] && connected / 100 != 2;
	if (code == CURLE_SSL_PINNEDPUBKEYNOTMATCH)
		why = "answers with another key than the link names";
	if (at_relay && connected)
		err_set(&a->e, ERR_UNREACHABLE, "the relay %s refuses a tunnel to %s with status %ld", t->relay,
			t->where, connected);
	else if (t->relay[0])
		err_set(&a->e, ERR_UNREACHABLE, "%s %s: %s", at_relay ? "the relay" : "through the relay to",
			at_relay ? t->relay : t->where, why);
	else
		err_set(&a->e, ERR_UNREACHABLE, code == CURLE_SSL_PINNEDPUBKEYNOTMATCH ? "%s %s" : "%s: %s",
			t->where, why);
}

/* Call back what has finished. */
static void collect(struct fetcher *f)
{
	CURLMsg *m;
	int left;
	bool outermost = !f->calling;

	f->calling = true;
	while (!f->doomed && (m = curl_multi_info_read(f->multi, &left))) {
		struct fetch *t;
		CURLcode code = m->data.result;

		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		if (code == CURLE_OK)
			read_answer(t);
		else
			no_answer(t, code);
		struct answer a = t->a;
		fetch_fn *fn = t->fn;
		void *arg = t->arg;
		t->a.body = (struct buf){ 0 };
		fetch_free(t);
		fn(arg, &a);
		answer_release(&a);
	}
	if (!outermost)
		return;
	f->calling = false;
	if (f->doomed)
		fetcher_free(f);
}

/* --- for programs that do one thing at a time ---------------------------------------------------- */
struct waiting {
	struct loop *loop;
	struct answer *out;
	bool done;
};

static void on_waited(void *arg, struct answer *a)
{
	struct waiting *w = arg;

	*w->out = *a;
	a->body = (struct buf){ 0 };
	w->done = true;
	loop_stop(w->loop);
}

int fetch_wait(struct fetcher *f, const struct fetch_spec *spec, struct answer *a, struct err *e)
{
	struct waiting w = { .loop = f->loop, .out = a };
	struct fetch *t = fetch_start(f, spec, on_waited, &w);

	*a = (struct answer){ .upload_offset = -1, .retry_after_s = -1, .length = -1, .next = -1 };
	loop_run(f->loop);
	if (!w.done) { /* somebody else stopped the loop: a signal */
		fetch_cancel(t);
		err_set(&a->e, ERR_CANCELLED, "interrupted");
	}
	if (a->status > 0 && a->status < 400)
		return 0;
	*e = a->e;
	return -1;
}
