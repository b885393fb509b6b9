/* SPDX-License-Identifier: Apache-2.0
 *
 * test_harvest.c: results are fetched from a coordinator (a child process that serves prepared evidence over TLS),
 * and what was fetched verifies; what is wrong is never given a final name.
 */
#include "tests/unit/evidence_world.h"

#include "common/clock.h"
#include "common/httpd.h"
#include "jobs/harvest.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* What the child serves; shared with the test, which changes it between calls. */
struct served {
	int blob_requests;
	bool corrupt;       /* a wrong byte in every output */
	bool lacks_stdout;  /* 404 */
	bool unfinished;    /* the verdict on task 1 is not there, nor what hangs on it */
	char other[200000]; /* a verdict line on task 0 alone */
	uint16_t port;
};

static struct world w;
static struct served *served;
static pid_t child;

/* --- the child ------------------------------------------------------------------------------- */
static void give_line(struct req *r, const char *line)
{
	auto_free char *text = xprintf("%s\n", line);

	req_answer(r, 200, "application/x-ndjson", text, strlen(text));
}

static void on_grid(void *arg, struct req *r)
{
	(void)arg;
	req_answer(r, 200, "application/json", w.grid, strlen(w.grid));
}

static void on_manifest(void *arg, struct req *r)
{
	(void)arg;
	req_answer(r, 200, "application/json", w.job, strlen(w.job));
}

static void on_verdicts(void *arg, struct req *r)
{
	(void)arg;
	give_line(r, served->unfinished ? served->other : w.verdict);
}

/* An envelope a page. */
static void on_attestations(void *arg, struct req *r)
{
	const char *after = req_query(r, "after");
	size_t n = after ? (size_t)atol(after) : 0;
	char next[8];

	(void)arg;
	if (n >= 3) {
		req_answer(r, 200, "application/x-ndjson", "", 0);
		return;
	}
	snprintf(next, sizeof(next), "%zu", n + 1);
	req_out_header(r, "Talkoot-Next", next);
	give_line(r, w.envelope[n]);
}

static void on_blob(void *arg, struct req *r)
{
	static const char *const blobs[] = { LIST, "program", "hello\n", "a file", "", "oops\n" };
	struct digest wanted, d;
	struct err e;

	(void)arg;
	served->blob_requests++;
	for (size_t i = 0; i < ARRAY_LEN(blobs) && digest_from_text(&wanted, req_part(r, 0)); i++) {
		d = digest_of(blobs[i], strlen(blobs[i]));
		if (!digest_equal(&d, &wanted) || (i == 2 && served->lacks_stdout))
			continue;
		auto_free char *bytes = xstrdup(blobs[i]);
		if (served->corrupt && i == 2)
			bytes[0] ^= 1;
		req_answer_range(r, "application/octet-stream", bytes, strlen(bytes), NULL);
		return;
	}
	err_set(&e, ERR_UNKNOWN_BLOB, "not here");
	req_problem(r, &e);
}

static void serve(int ready)
{
	static const struct route routes[] = {
		{ "GET", "/v1/grid", on_grid, 0 },
		{ "GET", "/v1/jobs/*/manifest", on_manifest, 0 },
		{ "GET", "/v1/jobs/*/verdicts", on_verdicts, 0 },
		{ "GET", "/v1/jobs/*/attestations", on_attestations, 0 },
		{ "GET", "/v1/blobs/*", on_blob, 0 },
	};
	struct httpd_spec spec = { .listen = { .host = "127.0.0.1" }, .routes = routes,
		.n_routes = ARRAY_LEN(routes) };
	struct httpd *h;
	struct loop *l;
	struct err e;

	if (loop_new(&l, &e) || key_tls_server(&spec.tls, w.root, &e) || httpd_new(&h, l, &spec, &e)) {
		fprintf(stderr, "%s\n", e.msg);
		_exit(1);
	}
	served->port = httpd_port(h);
	if (write(ready, "x", 1) != 1)
		_exit(1);
	loop_run(l);
	_exit(0);
}

static int set_up(void **s)
{
	int ready[2];
	char c;

	(void)s;
	world_make(&w, key_new());
	served = mmap(NULL, sizeof(*served), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		close(ready[0]);
		serve(ready[1]);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return 0;
}

static int tear_down(void **s)
{
	(void)s;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	munmap(served, sizeof(*served));
	struct key *root = w.root;
	world_free(&w);
	key_free(root);
	return 0;
}

/* --- claims ---------------------------------------------------------------------------------- */
static char *fresh_dir(void)
{
	char dir[] = "/tmp/test_harvest.XXXXXX";

	return xstrdup(mkdtemp(dir));
}

static void drop(char *dir)
{
	struct err e;

	must(remove_tree(dir, &e), &e);
	free(dir);
}

/* `talkoot results` without its command line. */
static int fetch(const char *dir, struct harvest_tally *tally, struct err *e)
{
	char link[LINK_TEXT_MAX + 1], job[ID_TEXT + 1];
	struct link l = { .node = *key_id(w.root), .grid = *key_id(w.root), .port = served->port };
	struct cmd cmd = { .grid = link };
	struct client c;

	snprintf(l.host, sizeof(l.host), "127.0.0.1");
	link_text(link, &l);
	id_text(job, &w.job_id);
	must(client_open(&c, &cmd, e), e);
	int bad = harvest(&c, job, dir, tally, e);
	client_close(&c);
	return bad;
}

static void fetched_evidence_verifies(void **s)
{
	char *dir = fresh_dir();
	struct harvest_tally tally;
	struct verify v = { .dir = dir };
	struct err e;

	(void)s;
	must(fetch(dir, &tally, &e), &e);
	assert_int_equal(tally.final, 2);
	assert_int_equal(tally.count, 2);
	assert_int_equal(verify_dir(&v), 0);
	verify_release(&v);
	auto_free char *partial = resdir_path(dir, RESDIR_PARTIAL);
	assert_int_equal(access(partial, F_OK), -1);
	drop(dir);
}

static void what_is_there_is_not_fetched_again(void **s)
{
	char *dir = fresh_dir();
	auto_free char *path = resdir_task_path(dir, 0, "stdout");
	struct harvest_tally tally;
	struct err e;

	(void)s;
	must(fetch(dir, &tally, &e), &e);
	int before = served->blob_requests;
	must(fetch(dir, &tally, &e), &e);
	assert_int_equal(served->blob_requests, before);
	must(file_write_atomic(path, "torn", 4, 0644, &e), &e);
	must(fetch(dir, &tally, &e), &e);
	assert_int_equal(served->blob_requests, before + 1);
	struct digest d = digest_of("hello\n", 6);
	assert_int_equal(resdir_file_is(path, &d, &e), 0);
	drop(dir);
}

static void wrong_bytes_never_get_a_name(void **s)
{
	char *dir = fresh_dir();
	auto_free char *path = resdir_task_path(dir, 0, "stdout"), *lines = resdir_path(dir, RESDIR_RESULTS);
	struct harvest_tally tally;
	struct err e;

	(void)s;
	served->corrupt = true;
	assert_int_equal(fetch(dir, &tally, &e), -1);
	served->corrupt = false;
	assert_int_equal(e.code, ERR_DIGEST);
	assert_non_null(strstr(e.msg, "0/stdout"));
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(access(lines, F_OK), -1);
	must(fetch(dir, &tally, &e), &e); /* and it goes on from there */
	drop(dir);
}

static void a_missing_output_is_an_error(void **s)
{
	char *dir = fresh_dir();
	struct harvest_tally tally;
	struct err e;

	(void)s;
	served->lacks_stdout = true;
	assert_int_equal(fetch(dir, &tally, &e), -1);
	served->lacks_stdout = false;
	assert_int_equal(e.code, ERR_UNKNOWN_BLOB);
	drop(dir);
}

static void of_an_unfinished_job_what_is_final_is_written(void **s)
{
	char *dir = fresh_dir();
	auto_free char *first = resdir_task_path(dir, 0, "stdout"), *second = resdir_task_path(dir, 1, "stdout");
	struct harvest_tally tally;
	struct verify v = { .dir = dir };
	json_t *tasks = honest_tasks(&w);
	struct err e;

	(void)s;
	json_array_remove(tasks, 1);
	auto_free char *line = seal_verdict(&w, tasks, w.root);
	snprintf(served->other, sizeof(served->other), "%s", line);
	served->unfinished = true;
	must(fetch(dir, &tally, &e), &e);
	served->unfinished = false;
	assert_int_equal(tally.final, 1);
	assert_int_equal(access(first, F_OK), 0);
	assert_int_equal(access(second, F_OK), -1);
	assert_int_equal(verify_dir(&v), -1);
	assert_int_equal(v.faults, 1);
	verify_release(&v);
	must(fetch(dir, &tally, &e), &e); /* later, the rest */
	assert_int_equal(verify_dir(&v), 0);
	verify_release(&v);
	drop(dir);
}

static void another_jobs_folder_is_left_alone(void **s)
{
	char *dir = fresh_dir();
	struct harvest_tally tally;
	struct err e;

	(void)s;
	put(dir, RESDIR_JOB, "{}\n");
	assert_int_equal(fetch(dir, &tally, &e), -1);
	assert_int_equal(e.code, ERR_CONFLICT);
	drop(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fetched_evidence_verifies),
		cmocka_unit_test(what_is_there_is_not_fetched_again),
		cmocka_unit_test(wrong_bytes_never_get_a_name),
		cmocka_unit_test(a_missing_output_is_an_error),
		cmocka_unit_test(of_an_unfinished_job_what_is_final_is_written),
		cmocka_unit_test(another_jobs_folder_is_left_alone),
	};

	return cmocka_run_group_tests_name("harvest", tests, set_up, tear_down);
}
