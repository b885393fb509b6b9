/* SPDX-License-Identifier: Apache-2.0
 *
 * test_worker_outbox.c: results survive everything but a signed ack; blobs are fetched, verified and resumed.
 * The coordinator is a few routes on the same loop.
 */
#include "worker/cache.h"
#include "worker/notes.h"
#include "worker/outbox.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/httpd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define LEASE_A "000000000000000000000000000000aa"
#define LEASE_B "000000000000000000000000000000bb"

enum manner { ACK, ACK_OTHER, ACK_BY_STRANGER, CONFLICT, SICK };

struct world {
	char dir[64];
	struct loop *loop;
	struct fetcher *fetcher;
	struct key *root, *worker;
	struct ssl_ctx_st *tls;
	struct httpd *httpd;
	struct home home;
	enum manner manner;
	int posts, overs, gets;
	char over[4][40];
	/* of a blob */
	char *blob;
	size_t blob_n, cut; /* cut: give only so many bytes the first time */
	bool spoil;
	struct timer *limit;
	bool timed_out;
};

/* --- the coordinator -------------------------------------------------------------------------------------- */

static void answer_ack(struct world *w, struct req *r, const char *envelope)
{
	struct digest d = digest_of(w->manner == ACK_OTHER ? "x" : envelope,
		w->manner == ACK_OTHER ? 1 : strlen(envelope));
	const struct key *k = w->manner == ACK_BY_STRANGER ? w->worker : w->root;
	struct epoch epoch = { .counter = 1, .id = "0123456789abcdef0123456789abcdef" };
	json_t *j = msg_new_epoch(MSG_ACK, &w->home.grid_id, key_id(k), clock_now_ms(), &epoch);
	char text[DIGEST_TEXT + 1];
	auto_free char *line = NULL;
	struct err e;

	digest_text(text, &d);
	json_object_set_new(j, "of", json_string(text));
	json_object_set_new(j, "now", json_integer(clock_now_ms()));
	assert_int_equal(msg_seal(&line, j, NULL, k, &e), 0);
	req_answer_json(r, 200, line);
}

static void on_message(void *arg, struct req *r)
{
	struct world *w = arg;
	struct err e;
	size_t n;
	const char *body = req_body(r, &n);
	auto_json json_t *j = shape_load(body, n, &e);
	auto_free char *envelope = shape_dump(json_object_get(j, "envelope"));

	w->posts++;
	if (w->manner == CONFLICT)
		err_set(&e, ERR_CONFLICT, "another result for this lease");
	else
		err_set(&e, ERR_INTERNAL, "sick");
	if (w->manner == CONFLICT || w->manner == SICK)
		req_problem(r, &e);
	else
		answer_ack(w, r, envelope);
	if (w->manner != ACK)
		loop_stop(w->loop);
}

static void on_blob(void *arg, struct req *r)
{
	struct world *w = arg;
	auto_free char *bytes = xmemdup(w->blob, w->blob_n);

	w->gets++;
	if (w->spoil)
		bytes[w->blob_n - 1] ^= 1;
	req_answer_range(r, "application/octet-stream", bytes, w->blob_n, NULL);
}

static const struct route routes[] = {
	{ "POST", "/v1/messages", on_message, MIB },
	{ "GET", "/v1/blobs/*", on_blob, 0 },
};

/* --- the world ---------------------------------------------------------------------------------------------- */

static void on_limit(void *arg)
{
	struct world *w = arg;

	w->timed_out = true;
	loop_stop(w->loop);
}

static void learn(struct world *w)
{
	auto_free struct grid *g = xcalloc(1, sizeof(*g));
	auto_free char *line = NULL, *dir = xprintf("%s/worker", w->dir);
	char link[LINK_TEXT_MAX + 1];
	struct link l = { .node = *key_id(w->root), .grid = *key_id(w->root), .host = "127.0.0.1" };
	const char *texts[1] = { link };
	struct texts links = { texts, 1 };
	struct err e;

	l.port = httpd_port(w->httpd);
	link_text(link, &l);
	g->id = *key_id(w->root);
	g->serial = 1;
	g->expires_ms = clock_now_ms() + 1000000;
	g->keys[0] = (struct grid_key){ .id = g->id, .roles = ROLE_COORDINATOR, .until_ms = INT64_C(1) << 50 };
	g->n_keys = 1;
	assert_int_equal(grid_seal(&line, g, w->root, clock_now_ms(), &e), 0);
	assert_int_equal(make_dirs(dir, 0700, &e), 0);
	assert_int_equal(home_open(&w->home, dir, &links, &e), 0);
	assert_int_equal(home_learn(&w->home, line, strlen(line), &e), 0);
}

static int set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct httpd_spec spec = { .listen = { .host = "127.0.0.1" }, .routes = routes,
		.n_routes = ARRAY_LEN(routes), .arg = w };
	struct err e;

	snprintf(w->dir, sizeof(w->dir), "/tmp/talkoot-outbox-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->root = key_new();
	w->worker = key_new();
	assert_int_equal(loop_new(&w->loop, &e), 0);
	assert_int_equal(fetcher_new(&w->fetcher, w->loop, &e), 0);
	assert_int_equal(key_tls_server(&w->tls, w->root, &e), 0);
	spec.tls = w->tls;
	assert_int_equal(httpd_new(&w->httpd, w->loop, &spec, &e), 0);
	learn(w);
	w->limit = timer_new(w->loop, on_limit, w);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	struct err e;

	timer_free(w->limit);
	home_close(&w->home);
	fetcher_free(w->fetcher);
	httpd_free(w->httpd);
	key_tls_free(w->tls);
	loop_free(w->loop);
	key_free(w->root);
	key_free(w->worker);
	remove_tree(w->dir, &e);
	free(w->blob);
	free(w);
	return 0;
}

static void run(struct world *w, int64_t ms)
{
	w->timed_out = false;
	timer_in(w->limit, ms);
	loop_run(w->loop);
	timer_off(w->limit);
}

/* --- the outbox ------------------------------------------------------------------------------------------------ */

static void on_over(void *arg, const char *lease)
{
	struct world *w = arg;

	snprintf(w->over[w->overs++ % 4], 40, "%s", lease);
	loop_stop(w->loop);
}

static bool on_needed(void *arg, const struct digest *d)
{
	(void)arg, (void)d;
	return false;
}

static struct outbox *open_box(struct world *w)
{
	struct outbox_fns fns = { .over = on_over, .needed = on_needed, .arg = w };
	auto_free char *dir = xprintf("%s/outbox", w->dir);
	struct outbox *o;
	struct err e;

	assert_int_equal(outbox_open(&o, dir, w->loop, w->fetcher, &w->home, w->worker, &fns, &e), 0);
	return o;
}

static struct product product_of(const char *lease, int64_t index, const char *text)
{
	struct product p = { .policy = digest_of("p", 1) };
	struct digest d = digest_of(text, strlen(text)), root = { { 0 } };

	snprintf(p.result.lease, sizeof(p.result.lease), "%s", lease);
	snprintf(p.result.reason, sizeof(p.result.reason), "exited");
	p.result.index = index;
	result_add_output(&p.result, "stdout", &d, &root, (int64_t)strlen(text));
	p.pieces = xcalloc(1, sizeof(*p.pieces));
	p.pieces[p.n_pieces++] = (struct piece){ d, xstrdup(text), strlen(text) };
	return p;
}

static int put(struct outbox *o, const char *lease, int64_t index, struct err *e)
{
	struct product p = product_of(lease, index, "forty-two\n");
	const struct product *all[1] = { &p };
	struct digest job = digest_of("job", 3);
	int bad = outbox_put(o, &job, "x86_64-v2", "test", all, 1, e);

	product_release(&p);
	return bad;
}

static void a_result_is_gone_after_a_signed_ack(void **state)
{
	struct world *w = *state;
	struct outbox *o = open_box(w);
	struct err e;

	assert_int_equal(put(o, LEASE_A, 1, &e), 0);
	assert_int_equal(outbox_count(o), 1);
	run(w, 5000);
	assert_int_equal(outbox_count(o), 0);
	assert_string_equal(w->over[0], LEASE_A);
	outbox_close(o);
	o = open_box(w);
	assert_int_equal(outbox_count(o), 0);
	outbox_close(o);
}

static void a_result_survives_a_crash_and_is_sent_by_the_next_process(void **state)
{
	struct world *w = *state;
	struct outbox *o = open_box(w);
	struct err e;

	assert_int_equal(put(o, LEASE_A, 1, &e), 0);
	assert_int_equal(put(o, LEASE_B, 2, &e), 0);
	outbox_close(o); /* nothing that close does is needed: put() has made it durable */
	o = open_box(w);
	assert_int_equal(outbox_count(o), 2);
	assert_true(outbox_has(o, LEASE_A) && outbox_has(o, LEASE_B));
	assert_false(outbox_has(o, "000000000000000000000000000000cc"));
	while (outbox_count(o) && !w->timed_out)
		run(w, 5000);
	assert_int_equal(outbox_count(o), 0);
	outbox_close(o);
}

static void only_an_ack_of_the_coordinator_for_this_envelope_counts(void **state)
{
	struct world *w = *state;
	struct outbox *o = open_box(w);
	struct err e;

	assert_int_equal(put(o, LEASE_A, 1, &e), 0);
	for (enum manner m = ACK_OTHER; m <= ACK_BY_STRANGER; m++) {
		w->manner = m;
		outbox_hurry(o);
		run(w, 5000);
		run(w, 100); /* the answer arrives */
		assert_int_equal(outbox_count(o), 1);
	}
	w->manner = SICK;
	outbox_hurry(o);
	run(w, 5000);
	run(w, 100);
	assert_int_equal(outbox_count(o), 1);
	w->manner = ACK;
	outbox_hurry(o);
	run(w, 5000);
	assert_int_equal(outbox_count(o), 0);
	outbox_close(o);
}

static int count_files(const char *dir)
{
	auto_free char *command = xprintf("ls %s | wc -l", dir);
	FILE *f = popen(command, "r");
	int n = -1;

	assert_int_equal(fscanf(f, "%d", &n), 1);
	pclose(f);
	return n;
}

static void a_conflict_is_put_aside_and_not_sent_again(void **state)
{
	struct world *w = *state;
	auto_free char *refused = xprintf("%s/outbox/refused", w->dir);
	struct outbox *o = open_box(w);
	struct err e;

	w->manner = CONFLICT;
	assert_int_equal(put(o, LEASE_A, 1, &e), 0);
	run(w, 5000);
	run(w, 300);
	assert_int_equal(outbox_count(o), 0);
	assert_int_equal(w->posts, 1);
	assert_int_equal(w->overs, 1);
	assert_int_equal(count_files(refused), 1);
	outbox_close(o);
	o = open_box(w);
	assert_int_equal(outbox_count(o), 0);
	outbox_close(o);
}

static void another_grids_results_are_put_aside_at_the_start(void **state)
{
	struct world *w = *state;
	auto_free char *refused = xprintf("%s/outbox/refused", w->dir);
	struct outbox *o = open_box(w);
	struct err e;

	assert_int_equal(put(o, LEASE_A, 1, &e), 0);
	outbox_close(o);
	w->home.grid_id.b[0] ^= 1;
	o = open_box(w);
	assert_int_equal(outbox_count(o), 0);
	assert_int_equal(count_files(refused), 1);
	outbox_close(o);
}

static void outputs_without_a_result_are_removed_at_the_start(void **state)
{
	struct world *w = *state;
	struct outbox *o = open_box(w);
	struct blob b;
	struct err e;

	assert_int_equal(blob_put(outbox_blobs(o), "left over", 9, &b, &e), 0);
	outbox_close(o);
	o = open_box(w);
	assert_int_equal(blob_size(outbox_blobs(o), &b.digest), -1);
	outbox_close(o);
}

/* --- the cache --------------------------------------------------------------------------------------------------- */

struct wanted {
	struct world *w;
	int calls;
	enum err_code code;
};

static void on_want(void *arg, const struct err *e)
{
	struct wanted *x = arg;

	x->calls++;
	x->code = e ? e->code : ERR_NONE;
	loop_stop(x->w->loop);
}

static struct blob make_blob(struct world *w, size_t n)
{
	struct blob b = { .size = (int64_t)n };

	w->blob = xmalloc(n);
	w->blob_n = n;
	memset(w->blob, 'b', n);
	b.digest = digest_of(w->blob, n);
	return b;
}

static struct cache *open_cache(struct world *w, int64_t quota)
{
	auto_free char *dir = xprintf("%s/cache", w->dir);
	struct cache *c;
	struct err e;

	assert_int_equal(cache_new(&c, dir, quota, w->loop, w->fetcher, &w->home, &e), 0);
	return c;
}

static void a_blob_is_fetched_once_for_all_who_want_it(void **state)
{
	struct world *w = *state;
	struct cache *c = open_cache(w, 0);
	struct blob b = make_blob(w, 100000);
	struct wanted x[3] = { { .w = w }, { .w = w }, { .w = w } };
	struct want *wants[3];

	for (int i = 0; i < 3; i++)
		wants[i] = cache_want(c, &b, on_want, &x[i]);
	want_free(wants[1]);
	run(w, 5000);
	run(w, 200);
	assert_int_equal(x[0].calls, 1);
	assert_int_equal(x[1].calls, 0);
	assert_int_equal(x[2].calls, 1);
	assert_int_equal(x[0].code, ERR_NONE);
	assert_int_equal(w->gets, 1);
	want_free(wants[0]);
	want_free(wants[2]);
	wants[0] = cache_want(c, &b, on_want, &x[0]); /* here already */
	run(w, 5000);
	assert_int_equal(x[0].calls, 2);
	assert_int_equal(w->gets, 1);
	want_free(wants[0]);
	cache_free(c);
}

static size_t nobody_is_asked(void *arg, const struct digest *blob, struct link *out, size_t max)
{
	(void)arg, (void)blob, (void)out, (void)max;
	fail_msg("a peer was looked for");
	return 0;
}

/* Large enough to come by pieces, were it the job's. */
static void what_is_one_tasks_own_comes_from_the_coordinator_alone(void **state)
{
	struct world *w = *state;
	struct cache *c = open_cache(w, 0);
	struct blob b = make_blob(w, 600000);
	struct wanted x = { .w = w };
	struct sources peers = { .list = nobody_is_asked };

	cache_know(c, &w->home.grid_id, NULL, &peers, -1);
	struct want *want = cache_want_own(c, &b, on_want, &x);
	assert_null(cache_pull(c, &b.digest));
	run(w, 5000);
	assert_int_equal(x.calls, 1);
	assert_int_equal(x.code, ERR_NONE);
	assert_int_equal(w->gets, 1);
	want_free(want);
	cache_free(c);
}

static void a_broken_transfer_is_resumed(void **state)
{
	struct world *w = *state;
	struct cache *c = open_cache(w, 0);
	struct blob b = make_blob(w, 100000);
	struct wanted x = { .w = w };
	struct blob_in *in;
	char tag[DIGEST_HEX + 1];
	struct want *want;
	struct err e;

	digest_hex(tag, &b.digest);
	assert_int_equal(blob_in_start(&in, cache_blobs(c), tag, &b.digest, b.size, &e), 0);
	assert_int_equal(blob_in_add(in, w->blob, 60000, &e), 0);
	blob_in_leave(in);
	memset(w->blob, 'z', 60000); /* it is not asked for these again */
	want = cache_want(c, &b, on_want, &x);
	run(w, 5000);
	assert_int_equal(x.calls, 1);
	assert_int_equal(x.code, ERR_NONE);
	want_free(want);
	cache_free(c);
}

static void wrong_bytes_are_never_kept_and_not_asked_for_ever(void **state)
{
	struct world *w = *state;
	struct cache *c = open_cache(w, 0);
	struct blob b = make_blob(w, 1000);
	struct wanted x = { .w = w };
	struct want *want;

	w->spoil = true;
	want = cache_want(c, &b, on_want, &x);
	run(w, 10000);
	assert_int_equal(x.calls, 1);
	assert_int_equal(x.code, ERR_DIGEST);
	assert_int_equal(w->gets, 3);
	assert_int_equal(blob_size(cache_blobs(c), &b.digest), -1);
	want_free(want);
	cache_free(c);
}

static void what_is_wanted_is_not_evicted_and_what_is_not_is(void **state)
{
	struct world *w = *state;
	struct cache *c = open_cache(w, 150000);
	struct blob b = make_blob(w, 100000), old;
	struct wanted x = { .w = w }, y = { .w = w };
	struct want *held, *want;
	struct err e;

	assert_int_equal(blob_put(cache_blobs(c), w->blob, 90000, &old, &e), 0);
	held = cache_want(c, &old, on_want, &x);
	run(w, 5000);
	want = cache_want(c, &b, on_want, &y);
	run(w, 5000);
	assert_int_equal(y.code, ERR_FULL);
	want_free(want);
	want_free(held);
	want = cache_want(c, &b, on_want, &y);
	run(w, 5000);
	assert_int_equal(y.code, ERR_NONE);
	assert_int_equal(blob_size(cache_blobs(c), &old.digest), -1);
	want_free(want);
	cache_free(c);
}

/* --- notes and home ------------------------------------------------------------------------------------------------ */

static void the_seq_never_goes_back(void **state)
{
	struct world *w = *state;
	struct notes n;
	int64_t seq, last = 0;
	struct err e;

	for (int start = 0; start < 3; start++) {
		assert_int_equal(notes_open(&n, w->dir, &e), 0);
		for (int i = 0; i < SEQ_BLOCK + 5; i++) {
			assert_int_equal(notes_next_seq(&n, &seq, &e), 0);
			assert_true(seq > last);
			last = seq;
		}
		notes_close(&n); /* saves nothing: the same as a kill -9 */
	}
	assert_int_equal(notes_open(&n, w->dir, &e), 0);
	notes_adopt_seq(&n, 1000000);
	assert_int_equal(notes_next_seq(&n, &seq, &e), 0);
	assert_int_equal(seq, 1000001);
	notes_close(&n);
	assert_int_equal(notes_open(&n, w->dir, &e), 0);
	assert_int_equal(notes_next_seq(&n, &seq, &e), 0);
	assert_true(seq > 1000001);
	notes_close(&n);
}

static int open_ack(struct world *w, int64_t counter, const struct key *k, struct err *e)
{
	struct epoch epoch = { .counter = counter, .id = "0123456789abcdef0123456789abcdef" };
	json_t *j = msg_new_epoch(MSG_ACK, &w->home.grid_id, key_id(k), clock_now_ms(), &epoch);
	char text[DIGEST_TEXT + 1];
	auto_free char *line = NULL;
	struct digest d = digest_of("", 0);
	struct msg m;

	digest_text(text, &d);
	json_object_set_new(j, "of", json_string(text));
	json_object_set_new(j, "now", json_integer(1));
	assert_int_equal(msg_seal(&line, j, NULL, k, e), 0);
	if (home_open_msg(&w->home, &m, line, strlen(line), MSG_ACK, e))
		return -1;
	msg_release(&m);
	return 0;
}

static void a_lower_epoch_is_refused_also_after_a_restart(void **state)
{
	struct world *w = *state;
	auto_free char *dir = xprintf("%s/worker", w->dir);
	struct texts none = { 0 };
	struct err e;

	assert_int_equal(open_ack(w, 3, w->root, &e), 0);
	assert_int_equal(open_ack(w, 2, w->root, &e), -1);
	home_close(&w->home);
	assert_int_equal(home_open(&w->home, dir, &none, &e), 0);
	assert_int_equal(open_ack(w, 2, w->root, &e), -1);
	assert_int_equal(e.code, ERR_REFUSED);
	assert_int_equal(open_ack(w, 3, w->root, &e), 0);
	assert_int_equal(open_ack(w, 4, w->worker, &e), -1);
	assert_int_equal(e.code, ERR_REFUSED);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_result_is_gone_after_a_signed_ack),
		T(a_result_survives_a_crash_and_is_sent_by_the_next_process),
		T(only_an_ack_of_the_coordinator_for_this_envelope_counts),
		T(a_conflict_is_put_aside_and_not_sent_again),
		T(another_grids_results_are_put_aside_at_the_start),
		T(outputs_without_a_result_are_removed_at_the_start),
		T(what_is_one_tasks_own_comes_from_the_coordinator_alone),
		T(a_blob_is_fetched_once_for_all_who_want_it),
		T(a_broken_transfer_is_resumed),
		T(wrong_bytes_are_never_kept_and_not_asked_for_ever),
		T(what_is_wanted_is_not_evicted_and_what_is_not_is),
		T(the_seq_never_goes_back),
		T(a_lower_epoch_is_refused_also_after_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
