/* SPDX-License-Identifier: Apache-2.0
 *
 * test_tus.c: uploads that go on after everything that can go wrong, against a toy server.
 */
#include "common/fetch.h"
#include "common/httpd.h"
#include "common/key.h"
#include "common/tus.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define SIZE (3 * MIB + 17)
#define TICKET "{\"ticket\":1}"

struct world {
	struct loop *l;
	struct fetcher *f;
	struct httpd *h;
	struct httpd_spec spec;
	struct key *key;
	struct timer *wreck;
	struct link to;
	int fd;
	char *bytes; /* what is uploaded */
	struct buf held;
	int posts, heads, patches;
	/* what the toy does wrong, in its n-th PATCH (from 1) or always */
	int drop_at, forget_at, wrong_at;
	bool refuse, busy, mute;
	const char *location;
	size_t longest;
};

static void restart(struct world *w);

static void offset_out(struct world *w, struct req *r)
{
	char text[24];

	snprintf(text, sizeof(text), "%zu", w->held.len);
	if (!w->mute)
		req_out_header(r, "Upload-Offset", text);
}

static void on_post(void *arg, struct req *r)
{
	struct world *w = arg;
	struct err e;

	w->posts++;
	assert_string_equal(req_header(r, "Tus-Resumable"), "1.0.0");
	assert_int_equal(strtoll(req_header(r, "Upload-Length"), NULL, 10), SIZE);
	assert_string_equal(req_body(r, NULL), TICKET);
	if (w->refuse || w->busy) {
		err_set(&e, w->busy ? ERR_RATE : ERR_REFUSED, "no");
		req_problem(r, &e);
		return;
	}
	req_out_header(r, "Location", w->location);
	offset_out(w, r);
	req_answer(r, 201, NULL, "", 0);
}

static void on_head(void *arg, struct req *r)
{
	struct world *w = arg;

	w->heads++;
	assert_string_equal(req_header(r, "Tus-Resumable"), "1.0.0");
	offset_out(w, r);
	req_answer(r, 200, NULL, "", 0);
}

static void wreck(void *arg)
{
	restart(arg); /* every connection breaks */
}

static void on_patch(void *arg, struct req *r)
{
	struct world *w = arg;
	size_t n;
	const char *body = req_body(r, &n);
	struct err e;

	w->patches++;
	if (n > w->longest)
		w->longest = n;
	if (w->patches == w->forget_at) {
		w->held.len = 0;
		err_set(&e, ERR_NOT_FOUND, "no such upload");
		req_problem(r, &e);
		return;
	}
	if (w->patches == w->wrong_at) {
		w->held.len /= 2;
		err_set(&e, ERR_OFFSET, "elsewhere");
		req_problem(r, &e);
		return;
	}
	assert_string_equal(req_header(r, "Content-Type"), "application/offset+octet-stream");
	if (strtoll(req_header(r, "Upload-Offset"), NULL, 10) != (long long)w->held.len) {
		err_set(&e, ERR_OFFSET, "elsewhere"); /* libcurl's own second try after a drop */
		req_problem(r, &e);
		return;
	}
	if (w->patches == w->drop_at) {
		buf_add(&w->held, body, n / 3); /* some of it lasts, but nobody is told */
		timer_in(w->wreck, 0);
		return;
	}
	buf_add(&w->held, body, n);
	offset_out(w, r);
	req_answer(r, 204, NULL, "", 0);
}

static const struct route routes[] = {
	{ "POST", "/v1/uploads", on_post, 1000 },
	{ "HEAD", "/v1/uploads/*", on_head, 0 },
	{ "PATCH", "/v1/uploads/*", on_patch, TUS_PART_MAX },
};

static void restart(struct world *w)
{
	struct err e;

	if (w->h)
		w->spec.listen.port = httpd_port(w->h);
	httpd_free(w->h);
	if (httpd_new(&w->h, w->l, &w->spec, &e))
		fail_msg("%s", e.msg);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	char name[] = "/tmp/test_tus.XXXXXX";
	struct err e;

	*state = w;
	w->location = "/v1/uploads/7";
	w->bytes = xmalloc(SIZE);
	random_bytes(w->bytes, SIZE);
	w->fd = mkostemp(name, O_CLOEXEC);
	unlink(name);
	if (w->fd < 0 || fd_write_all(w->fd, w->bytes, SIZE, &e) || loop_new(&w->l, &e) ||
		fetcher_new(&w->f, w->l, &e))
		return -1;
	w->spec = (struct httpd_spec){ .listen = { "127.0.0.1", 0 }, .routes = routes,
		.n_routes = ARRAY_LEN(routes), .arg = w };
	w->wreck = timer_new(w->l, wreck, w);
	w->key = key_new();
	if (key_tls_server(&w->spec.tls, w->key, &e))
		return -1;
	restart(w);
	w->to.node = *key_id(w->key);
	snprintf(w->to.host, sizeof(w->to.host), "127.0.0.1");
	w->to.port = httpd_port(w->h);
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	fetcher_free(w->f);
	httpd_free(w->h);
	timer_free(w->wreck);
	loop_free(w->l);
	key_tls_free(w->spec.tls);
	key_free(w->key);
	buf_release(&w->held);
	close(w->fd);
	free(w->bytes);
	free(w);
	return 0;
}

struct waiting {
	struct world *w;
	struct err *e;
	int result;
};

static void on_uploaded(void *arg, const struct err *e)
{
	struct waiting *k = arg;

	k->result = e ? -1 : 0;
	if (e)
		*k->e = *e;
	loop_stop(k->w->l);
}

/* Until it is over. */
static int upload(struct world *w, int tries, struct err *e)
{
	struct waiting k = { w, e, 1 };

	tus_start(w->f, w->l, &w->to, NULL, TICKET, strlen(TICKET), w->fd, SIZE, tries, on_uploaded, &k);
	loop_run(w->l);
	assert_int_not_equal(k.result, 1);
	return k.result;
}

static void assert_uploaded(struct world *w)
{
	struct err e;

	if (upload(w, 3, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(w->held.len, SIZE);
	assert_memory_equal(w->held.data, w->bytes, SIZE);
}

static void an_upload_goes_in_parts_of_a_mebibyte(void **state)
{
	struct world *w = *state;

	assert_uploaded(w);
	assert_int_equal(w->posts, 1);
	assert_int_equal(w->heads, 0);
	assert_int_equal(w->patches, 4);
	assert_int_equal(w->longest, TUS_PART_MAX);
}

static void what_is_held_already_is_not_sent_again(void **state)
{
	struct world *w = *state;

	buf_add(&w->held, w->bytes, (size_t)(2 * MIB + 5));
	assert_uploaded(w);
	assert_int_equal(w->patches, 2);
}

static void what_is_there_whole_is_done_at_once(void **state)
{
	struct world *w = *state;

	buf_add(&w->held, w->bytes, SIZE);
	assert_uploaded(w);
	assert_int_equal(w->patches, 0);
}

static void an_upload_resumes_where_the_server_dropped_it(void **state)
{
	struct world *w = *state;

	w->drop_at = 2;
	assert_uploaded(w);
	assert_int_equal(w->posts, 1);
	assert_int_equal(w->heads, 1);
}

static void a_wrong_offset_is_asked_anew(void **state)
{
	struct world *w = *state;

	w->wrong_at = 3;
	assert_uploaded(w);
	assert_int_equal(w->heads, 1);
}

static void a_forgotten_upload_is_created_again_by_its_ticket(void **state)
{
	struct world *w = *state;

	w->forget_at = 3;
	assert_uploaded(w);
	assert_int_equal(w->posts, 2);
}

static void a_refusal_ends_it(void **state)
{
	struct world *w = *state;
	struct err e;

	w->refuse = true;
	assert_int_equal(upload(w, 3, &e), -1);
	assert_int_equal(e.code, ERR_REFUSED);
	assert_int_equal(w->posts, 1);
}

static void a_server_that_stays_busy_is_asked_so_often_and_no_more(void **state)
{
	struct world *w = *state;
	struct err e;

	w->busy = true;
	assert_int_equal(upload(w, 1, &e), -1);
	assert_int_equal(e.code, ERR_RATE);
	assert_int_equal(w->posts, 2);
}

static void a_server_without_sense_is_not_followed(void **state)
{
	static const char *const places[] = { "http://evil.example/", "//evil.example/", "", "x y" };
	struct world *w = *state;
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		w->location = places[i];
		assert_int_equal(upload(w, 3, &e), -1);
		assert_int_equal(e.code, ERR_MALFORMED);
	}
	w->location = "/v1/uploads/7";
	w->mute = true;
	assert_int_equal(upload(w, 3, &e), -1);
	assert_int_equal(e.code, ERR_MALFORMED);
	assert_int_equal(w->patches, 0);
}

static void a_file_that_became_shorter_ends_it(void **state)
{
	struct world *w = *state;
	struct err e;

	assert_int_equal(ftruncate(w->fd, MIB), 0);
	assert_int_equal(upload(w, 3, &e), -1);
	assert_int_equal(e.code, ERR_SYSTEM);
	assert_int_equal(w->held.len, MIB);
}

static void must_not(void *arg, const struct err *e)
{
	(void)arg, (void)e;
	fail();
}

static void halt(void *arg)
{
	loop_stop(arg);
}

static void a_cancelled_upload_is_not_called_back(void **state)
{
	struct world *w = *state;
	struct tus *t = tus_start(w->f, w->l, &w->to, NULL, TICKET, strlen(TICKET), w->fd, SIZE, 3, must_not,
		w);
	struct timer *timer = timer_new(w->l, halt, w->l);

	tus_cancel(t);
	timer_in(timer, 50);
	loop_run(w->l);
	timer_free(timer);
	assert_int_equal(w->patches, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_upload_goes_in_parts_of_a_mebibyte),
		T(what_is_held_already_is_not_sent_again),
		T(what_is_there_whole_is_done_at_once),
		T(an_upload_resumes_where_the_server_dropped_it),
		T(a_wrong_offset_is_asked_anew),
		T(a_forgotten_upload_is_created_again_by_its_ticket),
		T(a_refusal_ends_it),
		T(a_server_that_stays_busy_is_asked_so_often_and_no_more),
		T(a_server_without_sense_is_not_followed),
		T(a_file_that_became_shorter_ends_it),
		T(a_cancelled_upload_is_not_called_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
