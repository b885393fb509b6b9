/* SPDX-License-Identifier: Apache-2.0
 *
 * test_carry.c: a worker's peer port takes a job for a coordinator that is silent.
 */
#include "common/clock.h"
#include "common/codec.h"
#include "jobs/job.h"
#include "worker/carry.h"
#include "worker/serve.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static const struct carry_limits small = { .bytes = 100000,
	.tickets = 6,
	.tickets_each = 4,
	.jobs = 3,
	.jobs_each = 2,
	.list_bytes = 1000,
	.refused = 2,
	.writing = 6,
	.leave_ms = 1000000,
	.unfinished_ms = 1000000,
	.idle_ms = 1000000 };

struct world {
	char dir[64];
	struct loop *l;
	struct fetcher *f;
	struct key *root, *self, *submitter, *other;
	struct home home;
	struct cache *cache;
	struct serve *serve;
	struct carry *carry;
	struct carry_limits limits;
	struct link to;
	int taken;
	struct answer last;
	struct err e;
};

static void on_taken(void *arg, const char *line, const struct digest *job)
{
	struct world *w = arg;

	(void)line, (void)job;
	w->taken++;
}

/* As the worker does at its start; again after close_port(): a restart. */
static void open_port(struct world *w)
{
	auto_free char *dir = xprintf("%s/carried", w->dir);
	struct carry_fns fns = { .taken = on_taken, .arg = w };

	struct serve_parts parts = { .loop = w->l, .fetcher = w->f, .key = w->self, .listen = { "127.0.0.1", 0 },
		.cache = w->cache, .home = &w->home, .upload_kib = -1 };

	if (serve_new(&w->serve, &parts, &w->e) ||
		carry_open(&w->carry, dir, &w->limits, w->l, w->f, &w->home, &fns, &w->e))
		fail_msg("%s", w->e.msg);
	serve_carry(w->serve, w->carry, key_id(w->self));
	serve_tell(w->serve, &(struct teller){ carry_each, w->carry });
	w->to = (struct link){ .node = *key_id(w->self),
		.grid = *key_id(w->root),
		.host = "127.0.0.1",
		.port = serve_port(w->serve) };
}

static void close_port(struct world *w)
{
	serve_free(w->serve);
	carry_close(w->carry);
}

/* A descriptor without an address: there is no coordinator to deliver to. */
static void learn(struct world *w)
{
	auto_free struct grid *g = xcalloc(1, sizeof(*g));
	auto_free char *line = NULL;
	char link[LINK_TEXT_MAX + 1];
	struct link l = {
		.node = *key_id(w->other), .grid = *key_id(w->root), .host = "127.0.0.1", .port = 1
	};
	const char *texts[1] = { link };
	struct texts links = { texts, 1 };

	link_text(link, &l);
	g->id = *key_id(w->root);
	g->serial = 1;
	g->expires_ms = clock_now_ms() + 1000000;
	g->keys[0] = (struct grid_key){
		.id = g->id, .roles = ROLE_COORDINATOR, .until_ms = INT64_C(1) << 50
	};
	g->n_keys = 1;
	assert_int_equal(grid_seal(&line, g, w->root, clock_now_ms(), &w->e), 0);
	assert_int_equal(home_open(&w->home, w->dir, &links, &w->e), 0);
	assert_int_equal(home_learn(&w->home, line, strlen(line), &w->e), 0);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	auto_free char *blobs = NULL;

	*state = w;
	snprintf(w->dir, sizeof(w->dir), "/tmp/talkoot-carry-XXXXXX");
	if (!mkdtemp(w->dir))
		return -1;
	blobs = xprintf("%s/blobs", w->dir);
	w->limits = small;
	w->root = key_new();
	w->self = key_new();
	w->submitter = key_new();
	w->other = key_new();
	if (loop_new(&w->l, &w->e) || fetcher_new(&w->f, w->l, &w->e) ||
		cache_new(&w->cache, blobs, (int64_t)1 << 30, w->l, w->f, &w->home, &w->e))
		return -1;
	learn(w);
	open_port(w);
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	answer_release(&w->last);
	close_port(w);
	cache_free(w->cache);
	fetcher_free(w->f);
	home_close(&w->home);
	loop_free(w->l);
	key_free(w->root);
	key_free(w->self);
	key_free(w->submitter);
	key_free(w->other);
	remove_tree(w->dir, &w->e);
	free(w);
	return 0;
}

/* --- saying ------------------------------------------------------------------------------------------------- */

static int say(struct world *w, const char *method, const char *path, const void *body, size_t n,
	const char *h1, const char *h2)
{
	struct fetch_spec spec = { .method = method,
		.to = &w->to,
		.path = path,
		.body = body,
		.n = n,
		.headers = { "Tus-Resumable: 1.0.0", h1, h1 ? h2 : NULL } };

	answer_release(&w->last);
	fetch_wait(w->f, &spec, &w->last, &w->e);
	return w->last.status;
}

/* The ticket's status; the upload's path into `path`. */
static int ticket(struct world *w, const struct key *who, const struct digest *d, int64_t size,
	char path[256])
{
	json_t *j = msg_new(MSG_TICKET, key_id(w->root), key_id(who), 1);
	auto_free char *line = NULL, *length = xprintf("Upload-Length: %lld", (long long)size);
	char text[DIGEST_TEXT + 1];

	digest_text(text, d);
	json_object_set_new(j, "digest", json_string(text));
	json_object_set_new(j, "size", json_integer(size));
	assert_int_equal(msg_seal(&line, j, NULL, who, &w->e), 0);
	int status = say(w, "POST", "/v1/uploads", line, strlen(line), length, NULL);
	snprintf(path, 256, "%s", w->last.location);
	return status;
}

static int part(struct world *w, const char *path, int64_t offset, const void *bytes, size_t n)
{
	auto_free char *at = xprintf("Upload-Offset: %lld", (long long)offset);

	return say(w, "PATCH", path, bytes, n, at, "Content-Type: application/offset+octet-stream");
}

static void upload(struct world *w, const struct key *who, const char *bytes, size_t n)
{
	struct digest d = digest_of(bytes, n);
	char path[256];

	assert_int_equal(ticket(w, who, &d, (int64_t)n, path), 201);
	if (w->last.upload_offset < (int64_t)n)
		assert_int_equal(part(w, path, 0, bytes, n), 204);
	assert_int_equal(w->last.upload_offset, n);
}

/* A manifest whose program is these bytes. Yours. */
static char *manifest(struct world *w, const char *program, size_t n)
{
	struct digest d = digest_of(program, n);
	struct blob b = { .digest = d, .root = d, .size = (int64_t)n };
	unsigned char nonce[16];
	char hex[33], *line = NULL;

	random_bytes(nonce, sizeof(nonce));
	hex_encode(hex, nonce, sizeof(nonce));
	json_t *m = msg_new(MSG_JOB, key_id(w->root), key_id(w->submitter), 1),
	       *more = json_pack("{s:s,s:s,s:[{s:s,s:s,s:o}],s:s,s:[],s:{s:{s:I}},s:[],s:[],s:{s:i,"
	                         "s:i,s:i,s:i,s:i,s:i},"
				 "s:i,s:b,s:s,s:i,s:s,s:i,s:s}",
		       "nonce", hex, "name", "carried", "programs", "platform", "x86_64-linux",
		       "name", "p", "blob", blob_to_json(&b), "profile", "compute", "args", "tasks",
		       "range", "count", (json_int_t)5, "files", "outputs", "limits", "cpu_s", 1,
		       "wall_s", 1, "memory_mib", 1, "disk_mib", 1, "max_output_mib", 1,
		       "processes", 1, "threads", 1, "deterministic", 1, "platform_class", "any",
		       "priority", 0, "assurance", "quorum:2", "max_results", 6, "compare",
		       "exact");
	json_object_update(m, more);
	json_decref(more);
	if (msg_seal(&line, m, NULL, w->submitter, &w->e))
		fail_msg("%s", w->e.msg);
	return line;
}

/* The same job, a task for each line of this list. Yours. */
static char *list_manifest(struct world *w, const char *list, int64_t count)
{
	auto_free char *line = manifest(w, "program", 7);
	struct digest d = digest_of(list, strlen(list));
	struct blob b = { .digest = d, .root = d, .size = (int64_t)strlen(list) };
	char *sealed = NULL;
	struct msg m;

	assert_int_equal(msg_open(&m, line, strlen(line), key_id(w->root), &w->e), 0);
	json_t *j = json_deep_copy(m.body);
	msg_release(&m);
	json_object_set_new(j, "tasks",
		json_pack("{s:{s:o,s:I}}", "list", "blob", blob_to_json(&b), "count",
			(json_int_t)count));
	if (msg_seal(&sealed, j, NULL, w->submitter, &w->e))
		fail_msg("%s", w->e.msg);
	return sealed;
}

static int submit(struct world *w, const char *line)
{
	return say(w, "POST", "/v1/messages", line, strlen(line), NULL, NULL);
}

/* --- claims --------------------------------------------------------------------------------------------------- */

static void a_job_is_taken_when_its_bytes_are_here_and_only_once(void **state)
{
	struct world *w = *state;
	auto_free char *line = manifest(w, "program", 7);

	assert_int_equal(submit(w, line), 409);
	assert_int_equal(w->last.e.code, ERR_MISSING_BLOB);
	upload(w, w->submitter, "program", 7);
	assert_int_equal(submit(w, line), 202);
	assert_non_null(strstr(w->last.body.data, "\"carried_by\""));
	assert_int_equal(submit(w, line), 202);
	assert_int_equal(carry_count(w->carry), 1);
	assert_int_equal(w->taken, 1);
	assert_int_equal(say(w, "GET", "/v1/jobs", NULL, 0, NULL, NULL), 200);
	assert_non_null(strstr(w->last.body.data, "\"state\":\"carried\""));
}

static void what_another_uploaded_does_not_help(void **state)
{
	struct world *w = *state;
	auto_free char *line = manifest(w, "program", 7);

	upload(w, w->other, "program", 7);
	assert_int_equal(submit(w, line), 409);
	/* nor does the answer to a ticket tell that the bytes are here */
	struct digest d = digest_of("program", 7);
	char path[256];
	assert_int_equal(ticket(w, w->submitter, &d, 7, path), 201);
	assert_int_equal(w->last.upload_offset, 0);
}

static void other_bytes_than_the_ticket_names_are_not_kept(void **state)
{
	struct world *w = *state;
	auto_free char *line = manifest(w, "program", 7);
	struct digest d = digest_of("program", 7);
	char path[256];

	assert_int_equal(ticket(w, w->submitter, &d, 7, path), 201);
	assert_int_equal(part(w, path, 0, "brogram", 7), 422);
	assert_int_equal(submit(w, line), 409);
	assert_int_equal(part(w, path, 0, "program and more", 16), 413);
	assert_int_equal(part(w, path, 3, "gram", 4), 409);
	assert_int_equal(part(w, path, 0, "pro", 3), 204);
	assert_int_equal(part(w, path, 3, "gram", 4), 204);
	assert_int_equal(submit(w, line), 202);
}

static void a_restart_forgets_neither_halves_nor_jobs(void **state)
{
	struct world *w = *state;
	auto_free char *line = manifest(w, "program", 7);
	struct digest d = digest_of("a longer text", 13);
	char path[256];

	upload(w, w->submitter, "program", 7);
	assert_int_equal(submit(w, line), 202);
	assert_int_equal(ticket(w, w->submitter, &d, 13, path), 201);
	assert_int_equal(part(w, path, 0, "a longer", 8), 204);
	close_port(w);
	open_port(w);
	assert_int_equal(carry_count(w->carry), 1);
	assert_int_equal(say(w, "HEAD", path, NULL, 0, NULL, NULL), 200);
	assert_int_equal(w->last.upload_offset, 8);
	assert_int_equal(part(w, path, 8, " text", 5), 204);
	assert_int_equal(submit(w, line), 202);
	assert_int_equal(w->taken, 1);
}

/* Anybody can give a job that the coordinator refuses. */
static void of_what_was_refused_the_newest_few_are_kept(void **state)
{
	static const int ages[] = { 30, 10, 40, 20 }; /* days */
	struct world *w = *state;
	char hex[DIGEST_HEX + 1];

	close_port(w);
	for (int i = 0; i < 4; i++) {
		struct digest d = digest_of(&ages[i], sizeof(ages[i]));
		struct timespec at = { .tv_sec = clock_now_ms() / 1000 - ages[i] * 86400 };

		digest_hex(hex, &d);
		auto_free char *path = xprintf("%s/carried/refused/%s", w->dir, hex);
		assert_int_equal(file_write_atomic(path, "x", 1, 0600, &w->e), 0);
		assert_int_equal(
			utimensat(AT_FDCWD, path, (struct timespec[2]){ at, at }, 0), 0);
	}
	open_port(w);
	for (int i = 0; i < 4; i++) {
		struct digest d = digest_of(&ages[i], sizeof(ages[i]));

		digest_hex(hex, &d);
		auto_free char *path = xprintf("%s/carried/refused/%s", w->dir, hex);
		assert_int_equal(!access(path, F_OK), ages[i] <= 20);
	}
}

static void uploads_are_bounded_in_bytes_and_number(void **state)
{
	struct world *w = *state;
	char path[256], text[16];

	struct digest d = digest_of("x", 1);
	assert_int_equal(ticket(w, w->submitter, &d, 100001, path), 507);
	for (int i = 0; i < 4; i++) {
		snprintf(text, sizeof(text), "%d", i);
		d = digest_of(text, 1);
		assert_int_equal(ticket(w, w->submitter, &d, 1, path), 201);
	}
	d = digest_of("y", 1);
	assert_int_equal(ticket(w, w->submitter, &d, 1, path), 429);
	assert_int_equal(ticket(w, w->other, &d, 99000, path), 201);
	d = digest_of("z", 1);
	assert_int_equal(ticket(w, w->other, &d, 2000, path), 507);
	assert_int_equal(ticket(w, w->other, &d, 1, path), 201);
	d = digest_of("q", 1);
	assert_int_equal(ticket(w, w->root, &d, 1, path), 429);
}

static void a_list_s_blobs_are_looked_for_and_a_long_list_is_not_read(void **state)
{
	struct world *w = *state;
	struct digest d = digest_of("in", 2);
	struct blob b = { .digest = d, .root = d, .size = 2 };
	auto_json json_t *task = json_pack("{s:o}", "stdin", blob_to_json(&b));
	auto_free char *one = shape_dump(task), *list = xprintf("%s\n%s\n", one, one);
	auto_free char *line = list_manifest(w, list, 2);

	upload(w, w->submitter, "program", 7);
	upload(w, w->submitter, list, strlen(list));
	assert_int_equal(submit(w, line), 409);
	assert_int_equal(w->last.e.code, ERR_MISSING_BLOB);
	upload(w, w->submitter, "in", 2);
	assert_int_equal(submit(w, line), 202);

	char pad[2000];
	memset(pad, 'x', sizeof(pad));
	auto_free char *text = xprintf("{\"line\":\"%.*s\"}\n", (int)small.list_bytes, pad);
	auto_free char *big = list_manifest(w, text, 1);
	upload(w, w->submitter, text, strlen(text));
	assert_int_equal(submit(w, big), 413);
	assert_non_null(strstr(w->last.e.msg, "at most 1000 bytes"));
	assert_int_equal(carry_count(w->carry), 1);
}

static void jobs_are_bounded(void **state)
{
	struct world *w = *state;

	upload(w, w->submitter, "program", 7);
	for (int i = 0; i < 3; i++) {
		auto_free char *line = manifest(w, "program", 7);

		assert_int_equal(submit(w, line), i < 2 ? 202 : 429);
	}
	assert_int_equal(carry_admit_job(&small, 3, 0, &w->e), -1);
	assert_int_equal(carry_admit_job(&small, 2, 1, &w->e), 0);
}

/* Each change of hands makes the worker hash again what is there. */
static void uploads_under_way_do_not_take_turns(void **state)
{
	struct world *w = *state;
	char paths[4][256];

	close_port(w);
	w->limits.writing = 3;
	open_port(w);
	for (int i = 0; i < 4; i++) {
		struct digest d = digest_of(&i, sizeof(i));
		int status = ticket(w, i < 2 ? w->submitter : w->other, &d, 1000, paths[i]);

		assert_int_equal(status, i < 3 ? 201 : 429);
		if (i < 3)
			assert_int_equal(part(w, paths[i], 0, "begun", 5), 204);
	}
	close_port(w);
	w->limits.leave_ms = -1; /* all have had nothing for long enough */
	open_port(w);
	struct digest d = digest_of("x", 1);
	assert_int_equal(ticket(w, w->submitter, &d, 1000, paths[3]), 201);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(say(w, "HEAD", paths[i], NULL, 0, NULL, NULL), 200);
		assert_int_equal(w->last.upload_offset, 5);
	}
}

static void uploads_that_no_job_uses_are_dropped_in_the_end(void **state)
{
	struct world *w = *state;
	auto_free char *line = manifest(w, "program", 7);

	upload(w, w->submitter, "program", 7);
	upload(w, w->submitter, "nobody's", 8);
	assert_int_equal(submit(w, line), 202);
	close_port(w);
	w->limits.idle_ms = -1000000;
	open_port(w);
	w->limits = small;
	auto_free char *blobs = xprintf("%s/carried/blobs", w->dir);
	close_port(w);
	open_port(w);
	upload(w, w->submitter, "nobody's", 8); /* anew */
	auto_free char *second = manifest(w, "program", 7);
	assert_int_equal(submit(w, second), 202); /* what a job uses stayed */
}

static void nothing_but_jobs_of_this_grid_is_taken(void **state)
{
	struct world *w = *state;
	auto_free char *line = manifest(w, "program", 7), *cancel = NULL;
	json_t *j = msg_new(MSG_CANCEL, key_id(w->root), key_id(w->submitter), 1);
	char hex[DIGEST_HEX + 1];

	memset(hex, 'a', DIGEST_HEX);
	hex[DIGEST_HEX] = '\0';
	json_object_set_new(j, "job", json_string(hex));
	assert_int_equal(msg_seal(&cancel, j, NULL, w->submitter, &w->e), 0);
	assert_int_equal(submit(w, cancel), 400);
	assert_int_equal(submit(w, "{}"), 400);
	upload(w, w->submitter, "program", 7);
	char *sig = strstr(line, "\"sig\":\"") + 7;
	sig[0] = sig[0] == 'A' ? 'B' : 'A';
	assert_int_equal(submit(w, line), 403);
	assert_int_equal(carry_count(w->carry), 0);
	assert_int_equal(say(w, "GET", "/v1/jobs/nonsense", NULL, 0, NULL, NULL), 404);
	assert_int_equal(say(w, "PATCH", "/v1/uploads/../../x", "x", 1, NULL, NULL), 404);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_job_is_taken_when_its_bytes_are_here_and_only_once),
		T(what_another_uploaded_does_not_help),
		T(other_bytes_than_the_ticket_names_are_not_kept),
		T(a_restart_forgets_neither_halves_nor_jobs),
		T(of_what_was_refused_the_newest_few_are_kept),
		T(uploads_are_bounded_in_bytes_and_number),
		T(a_list_s_blobs_are_looked_for_and_a_long_list_is_not_read),
		T(jobs_are_bounded),
		T(uploads_under_way_do_not_take_turns),
		T(uploads_that_no_job_uses_are_dropped_in_the_end),
		T(nothing_but_jobs_of_this_grid_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
