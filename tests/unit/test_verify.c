/* SPDX-License-Identifier: Apache-2.0
 *
 * test_verify.c: a folder of evidence made here with fresh keys is believed; with any byte changed, anything left
 * out, or anything swapped in, it is not.
 *
 * The job has two tasks from a list. Task 0 is valid on two workers with a third in dissent; task 1 failed,
 * agreed, with exit 3.
 */
#include "common/buf.h"
#include "jobs/resdir.h"
#include "jobs/verify.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW 1700000000000
#define LIST "{\"name\":\"first\",\"line\":\"a\"}\n{\"name\":\"second\",\"line\":\"b\"}\n"

struct world {
	struct key *root, *submitter, *worker[3];
	char *dir;
	char *grid, *job; /* lines */
	struct id job_id;
	char *envelope[3];
	char *verdict;
};

static void must(int bad, const struct err *e)
{
	if (bad)
		fail_msg("%s", e->msg);
}

static void put(const char *dir, const char *name, const char *text)
{
	auto_free char *path = resdir_path(dir, name);
	auto_free char *parent = xstrdup(path);
	struct err e;

	*strrchr(parent, '/') = '\0';
	must(make_dirs(parent, 0700, &e), &e);
	must(file_write_atomic(path, text, strlen(text), 0600, &e), &e);
}

static struct blob blob_of(const char *text)
{
	struct pieces *p = pieces_new();
	struct blob b = { .digest = digest_of(text, strlen(text)), .size = (int64_t)strlen(text) };

	pieces_add(p, text, strlen(text));
	b.root = pieces_end(p);
	pieces_free(p);
	return b;
}

static void make_grid(struct world *w)
{
	struct grid g = { .id = *key_id(w->root), .serial = 1, .expires_ms = NOW + 1000, .name = "test",
		.n_keys = 1 };
	struct err e;

	g.keys[0] = (struct grid_key){ .id = g.id, .roles = ROLE_COORDINATOR, .from_ms = NOW - 1000,
		.until_ms = NOW + 1000 };
	must(grid_seal(&w->grid, &g, w->root, NOW, &e), &e);
}

static void make_job(struct world *w, const char *assurance)
{
	struct blob program = blob_of("program"), list = blob_of(LIST);
	json_t *j = msg_new(MSG_JOB, key_id(w->root), key_id(w->submitter), NOW);
	struct sealed s;
	struct digest d;
	struct err e;

	json_t *more = json_pack("{s:s, s:s, s:[{s:s, s:s, s:o}], s:s, s:[s], s:{s:{s:o, s:i}}, s:[], s:[s],"
				 "s:{s:i, s:i, s:i, s:i, s:i, s:i}, s:i, s:b, s:s, s:i, s:s, s:i, s:s}",
		"nonce", "00112233445566778899aabbccddeeff", "name", "t", "programs", "platform",
		"x86_64-linux", "name", "prog", "blob", blob_to_json(&program), "profile", "files", "args",
		"{name}", "tasks", "list", "blob", blob_to_json(&list), "count", 2, "files", "outputs", "*",
		"limits", "cpu_s", 10, "wall_s", 10, "memory_mib", 64, "disk_mib", 64, "max_output_mib", 1,
		"processes", 4, "threads", 1, "deterministic", 1, "platform_class", "any", "priority", 0,
		"assurance", assurance, "max_results", 6, "compare", "exact");
	assert_non_null(more);
	json_object_update(j, more);
	json_decref(more);
	must(msg_seal(&w->job, j, NULL, w->submitter, &e), &e);
	must(seal_open(&s, w->job, strlen(w->job), MSG_LINE_MAX, &e), &e);
	d = digest_of(s.payload, s.n);
	memcpy(w->job_id.b, d.b, sizeof(d.b));
	seal_release(&s);
}

static void fill(struct result *r, int64_t index, int exit, const char *out, const char *file)
{
	struct blob o = blob_of(out), f = blob_of(file), err_text = blob_of("oops\n");

	*r = (struct result){ .index = index, .exit = exit, .cpu_ms = 1250, .wall_ms = 1310, .rss_kib = 1 };
	snprintf(r->reason, sizeof(r->reason), "exited");
	snprintf(r->lease, sizeof(r->lease), "%032llx", (long long)random_seed());
	result_add_output(r, "stdout", &o.digest, &o.root, o.size);
	if (*file)
		result_add_output(r, "files/sub/out.txt", &f.digest, &f.root, f.size);
	r->has_stderr = index == 1;
	r->stderr_digest = err_text.digest;
	r->stderr_size = err_text.size;
}

/* Worker i's envelope about both tasks. */
static void attest(struct world *w, size_t i, const char *out0)
{
	struct results r = { .job = w->job_id, .author = *key_id(w->worker[i]), .platform = "x86_64-linux",
		.platform_class = "x86_64-v3", .agent = "test/1", .n = 2 };
	struct err e;

	r.items = xcalloc(2, sizeof(*r.items));
	fill(&r.items[0], 0, 0, out0, "a file");
	fill(&r.items[1], 1, 3, "", "");
	must(results_seal(&w->envelope[i], &r, key_id(w->root), w->worker[i], NOW, &e), &e);
	results_release(&r);
}

static json_t *position(const struct world *w, size_t i, int pos)
{
	char text[DIGEST_TEXT + 1];
	struct digest d = digest_of(w->envelope[i], strlen(w->envelope[i]));

	digest_text(text, &d);
	return json_pack("{s:s, s:i}", "envelope", text, "pos", pos);
}

static json_t *judge(const struct world *w, int index, const char *state, int exit, const char *out,
	const char *file, json_t *counted, json_t *dissent, const char *class)
{
	struct result r;
	char text[DIGEST_TEXT + 1];

	fill(&r, index, exit, out, file);
	struct digest outcome = outcome_of(&r);
	struct results all = { .items = xmalloc(sizeof(r)), .n = 1 };
	all.items[0] = r;
	results_release(&all);
	digest_text(text, &outcome);
	json_t *j = json_pack("{s:i, s:s, s:s, s:s, s:s, s:o, s:o, s:[]}", "index", index, "state", state,
		"outcome", text, "class", class, "basis", "agreement", "counted", counted, "dissent",
		dissent, "late");
	if (exit)
		json_object_set_new(j, "why", json_sprintf("exit %d", exit));
	(void)w;
	return j;
}

static char *seal_verdict(struct world *w, json_t *tasks, const struct key *by)
{
	struct epoch epoch = { 1, "00112233445566778899aabbccddeeff" };
	json_t *j = msg_new_epoch(MSG_VERDICT, key_id(w->root), key_id(by), NOW, &epoch);
	char hex[ID_TEXT + 1], *line;
	struct err e;

	id_text(hex, &w->job_id);
	json_object_set_new(j, "job", json_string(hex));
	json_object_set_new(j, "tasks", tasks);
	must(msg_seal(&line, j, NULL, by, &e), &e);
	return line;
}

static json_t *honest_tasks(const struct world *w)
{
	return json_pack("[o, o]",
		judge(w, 0, "valid", 0, "hello\n", "a file", json_pack("[o, o]", position(w, 0, 0), position(w, 1, 0)),
			json_pack("[o]", position(w, 2, 0)), "quorum:2"),
		judge(w, 1, "failed", 3, "", "", json_pack("[o, o]", position(w, 0, 1), position(w, 2, 1)),
			json_array(), "quorum:2"));
}

static void write_verdict(struct world *w, char *line)
{
	auto_free char *mine = line;
	auto_free char *text = xprintf("%s\n", mine);

	put(w->dir, RESDIR_VERDICTS, text);
}

/* results.ndjson as the folder's own evidence makes it. */
static void write_lines(struct world *w)
{
	struct evidence v = { 0 };
	auto_buf struct buf b = { 0 };
	struct err e;

	must(evidence_grid(&v, w->grid, strlen(w->grid), &e), &e);
	must(evidence_job(&v, w->job, strlen(w->job), &e), &e);
	must(evidence_list(&v, LIST, strlen(LIST), &e), &e);
	for (size_t i = 0; i < 3; i++)
		must(evidence_attest(&v, w->envelope[i], strlen(w->envelope[i]), &e), &e);
	must(evidence_verdict(&v, w->verdict, strlen(w->verdict), &e), &e);
	for (int64_t i = 0; i < 2; i++) {
		char *line;

		must(evidence_line(&v, i, &line, &e), &e);
		buf_printf(&b, "%s\n", line);
		free(line);
	}
	put(w->dir, RESDIR_RESULTS, b.data);
	evidence_release(&v);
}

static void write_all(struct world *w)
{
	auto_free char *grid = xprintf("%s\n", w->grid), *job = xprintf("%s\n", w->job);
	auto_free char *atts = xprintf("%s\n%s\n%s\n", w->envelope[0], w->envelope[1], w->envelope[2]);

	put(w->dir, RESDIR_GRID, grid);
	put(w->dir, RESDIR_JOB, job);
	put(w->dir, RESDIR_TASKS, LIST);
	put(w->dir, RESDIR_ATTESTATIONS, atts);
	write_verdict(w, xstrdup(w->verdict));
	write_lines(w);
	put(w->dir, "0/stdout", "hello\n");
	put(w->dir, "0/stderr", "");
	put(w->dir, "0/files/sub/out.txt", "a file");
	put(w->dir, "1/stdout", "");
	put(w->dir, "1/stderr", "oops\n");
}

static void world_make(struct world *w, struct key *root)
{
	char dir[] = "/tmp/test_verify.XXXXXX";

	*w = (struct world){ .root = root, .submitter = key_new(), .dir = xstrdup(mkdtemp(dir)) };
	for (size_t i = 0; i < 3; i++)
		w->worker[i] = key_new();
	make_grid(w);
	make_job(w, "quorum:2");
	attest(w, 0, "hello\n");
	attest(w, 1, "hello\n");
	attest(w, 2, "a lie\n");
	w->verdict = seal_verdict(w, honest_tasks(w), w->root);
	write_all(w);
}

static void world_free(struct world *w)
{
	struct err e;

	must(remove_tree(w->dir, &e), &e);
	for (size_t i = 0; i < 3; i++) {
		key_free(w->worker[i]);
		free(w->envelope[i]);
	}
	key_free(w->submitter);
	free(w->dir);
	free(w->grid);
	free(w->job);
	free(w->verdict);
}

struct told {
	char text[8192];
};

static void tell(void *arg, const char *what, const char *why)
{
	struct told *t = arg;
	size_t n = strlen(t->text);

	snprintf(t->text + n, sizeof(t->text) - n, "%s: %s\n", what, why);
}

static int look(const struct world *w, struct told *t)
{
	struct verify v = { .dir = w->dir, .fault = tell, .fault_arg = t };

	t->text[0] = '\0';
	int bad = verify_dir(&v);
	assert_int_equal(bad, v.faults ? -1 : 0);
	verify_release(&v);
	return bad;
}

static void is_believed(const struct world *w)
{
	struct told t;

	if (look(w, &t))
		fail_msg("not believed: %s", t.text);
}

static void is_refused(const struct world *w, const char *says)
{
	struct told t;

	assert_int_equal(look(w, &t), -1);
	if (!strstr(t.text, says))
		fail_msg("does not say \"%s\": %s", says, t.text);
}

/* --- claims ---------------------------------------------------------------------------------- */
static struct world w;
static struct key *root;

static int set_up(void **s)
{
	(void)s;
	root = key_new();
	world_make(&w, root);
	return 0;
}

static int tear_down(void **s)
{
	(void)s;
	world_free(&w);
	key_free(root);
	return 0;
}

static void honest_evidence_is_believed(void **s)
{
	(void)s;
	is_believed(&w);
}

static void the_line_says_what_the_contract_says(void **s)
{
	auto_free char *path = resdir_path(w.dir, RESDIR_RESULTS);
	auto_free char *text = NULL;
	struct err e;

	(void)s;
	must(file_read(&text, NULL, path, 100000, &e), &e);
	assert_int_equal(strncmp(text, "{\"index\":0,\"state\":\"valid\",\"exit\":0,\"stdout\":\"sha256:", 53), 0);
	assert_non_null(strstr(text, "\"files\":{\"sub/out.txt\":\"sha256:"));
	assert_non_null(strstr(text,
		"\"assurance\":\"quorum:2\",\"cpu_s\":1.250,\"wall_s\":1.310,\"name\":\"first\",\"line\":\"a\"}"));
	assert_non_null(strstr(text, "\"state\":\"failed\",\"exit\":3,"));
	assert_non_null(strstr(text, "\"why\":\"exit 3\"}"));
}

static void flip_all(const char *name)
{
	auto_free char *path = resdir_path(w.dir, name);
	auto_close int fd = open(path, O_RDWR);
	struct stat st;
	struct told t;
	char c;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	for (off_t at = 0; at < st.st_size; at++) {
		assert_int_equal(pread(fd, &c, 1, at), 1);
		char changed = (char)(c ^ (1 << (at % 8)));
		assert_int_equal(pwrite(fd, &changed, 1, at), 1);
		if (!look(&w, &t))
			fail_msg("%s: byte %lld changed and nobody noticed", name, (long long)at);
		assert_int_equal(pwrite(fd, &c, 1, at), 1);
	}
	is_believed(&w);
}

static void any_changed_byte_is_noticed(void **s)
{
	static const char *const files[] = { RESDIR_RESULTS, RESDIR_GRID, RESDIR_JOB, RESDIR_TASKS,
		RESDIR_VERDICTS, RESDIR_ATTESTATIONS, "0/stdout", "0/files/sub/out.txt", "1/stderr" };

	(void)s;
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		flip_all(files[i]);
}

static void any_missing_file_is_named(void **s)
{
	static const char *const files[] = { RESDIR_RESULTS, RESDIR_GRID, RESDIR_JOB, RESDIR_TASKS,
		RESDIR_VERDICTS, RESDIR_ATTESTATIONS, "0/stdout", "0/stderr", "0/files/sub/out.txt",
		"1/stdout", "1/stderr" };

	(void)s;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		auto_free char *path = resdir_path(w.dir, files[i]);
		auto_free char *away = xprintf("%s/away", w.dir);

		assert_int_equal(rename(path, away), 0);
		is_refused(&w, files[i]);
		assert_int_equal(rename(away, path), 0);
	}
	is_believed(&w);
}

static void files_that_no_result_names_are_named(void **s)
{
	static const char *const files[] = { "0/extra", "1/files/out.txt", "0/files/sub/more", "2/stdout",
		"inputs/nonsense" };

	(void)s;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		auto_free char *path = resdir_path(w.dir, files[i]);
		auto_free char *first = xmemdup(files[i], strcspn(files[i], "/"));
		struct err e;

		put(w.dir, files[i], "x");
		is_refused(&w, first);
		if (*first == '0')
			assert_int_equal(unlink(path), 0);
		else {
			auto_free char *top = resdir_path(w.dir, *first == '1' ? "1/files" : first);
			must(remove_tree(top, &e), &e);
		}
	}
	put(w.dir, "notes.txt", "a person's own file does no harm");
	is_believed(&w);
}

static void a_dropped_or_repeated_task_is_named(void **s)
{
	auto_free char *path = resdir_path(w.dir, RESDIR_RESULTS);
	auto_free char *text = NULL, *keep = NULL;
	struct err e;

	(void)s;
	must(file_read(&text, NULL, path, 100000, &e), &e);
	keep = xstrdup(text);
	char *second = strchr(text, '\n') + 1;
	put(w.dir, RESDIR_RESULTS, second);
	is_refused(&w, "task 0: is missing in results.ndjson");
	auto_free char *twice = xprintf("%s%s", text, second);
	put(w.dir, RESDIR_RESULTS, twice);
	is_refused(&w, "results.ndjson line 3: does not belong here");
	*second = '\0';
	put(w.dir, RESDIR_RESULTS, text);
	is_refused(&w, "task 1: is missing in results.ndjson");
	put(w.dir, RESDIR_RESULTS, keep);
	is_believed(&w);
}

static void a_missing_envelope_is_named(void **s)
{
	auto_free char *good = xprintf("%s\n%s\n%s\n", w.envelope[0], w.envelope[1], w.envelope[2]);

	(void)s;
	for (size_t out = 0; out < 3; out++) { /* counted, counted, dissenting */
		auto_free char *less = xprintf("%s\n%s\n", w.envelope[out == 0], w.envelope[out == 2 ? 1 : 2]);

		put(w.dir, RESDIR_ATTESTATIONS, less);
		is_refused(&w, "task 0: the envelope sha256:");
	}
	put(w.dir, RESDIR_ATTESTATIONS, good);
	is_believed(&w);
}

static void an_unfinished_job_is_incomplete(void **s)
{
	json_t *tasks = honest_tasks(&w);
	struct err e;
	auto_free char *one = resdir_path(w.dir, "1"), *path = resdir_path(w.dir, RESDIR_RESULTS);
	auto_free char *text = NULL;

	(void)s;
	json_array_remove(tasks, 1);
	write_verdict(&w, seal_verdict(&w, tasks, w.root));
	must(file_read(&text, NULL, path, 100000, &e), &e);
	strchr(text, '\n')[1] = '\0';
	put(w.dir, RESDIR_RESULTS, text);
	must(remove_tree(one, &e), &e);
	is_refused(&w, "task 1: incomplete");
	write_all(&w);
	is_believed(&w);
}

static void another_jobs_evidence_is_refused(void **s)
{
	static const char *const files[] = { RESDIR_JOB, RESDIR_ATTESTATIONS, RESDIR_VERDICTS };
	struct world other;

	(void)s;
	world_make(&other, root); /* the same grid, the same lists, another submitter */
	is_believed(&other);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		auto_free char *theirs = resdir_path(other.dir, files[i]);
		auto_free char *text = NULL;
		struct err e;

		must(file_read(&text, NULL, theirs, 1000000, &e), &e);
		put(w.dir, files[i], text);
		is_refused(&w, i ? "is about another job" : RESDIR_ATTESTATIONS);
		write_all(&w);
	}
	world_free(&other);
	is_believed(&w);
}

static void another_grids_evidence_is_refused(void **s)
{
	struct key *their_root = key_new();
	struct world other;

	(void)s;
	world_make(&other, their_root);
	is_believed(&other);
	auto_free char *grid = xprintf("%s\n", other.grid);
	put(w.dir, RESDIR_GRID, grid);
	is_refused(&w, "job.json: ");
	write_all(&w);
	world_free(&other);
	key_free(their_root);
}

static void expected_ids_must_be_met(void **s)
{
	char grid[ID_TEXT + 1], job[ID_TEXT + 1];
	struct verify v = { .dir = w.dir, .grid = grid, .job = job };

	(void)s;
	id_text(grid, key_id(root));
	id_text(job, &w.job_id);
	grid[10] = '\0'; /* a prefix will do */
	assert_int_equal(verify_dir(&v), 0);
	verify_release(&v);
	job[20] = job[20] == 'a' ? 'b' : 'a';
	assert_int_equal(verify_dir(&v), -1);
	verify_release(&v);
	job[20] = '\0';
	grid[3] = grid[3] == 'a' ? 'b' : 'a';
	assert_int_equal(verify_dir(&v), -1);
	verify_release(&v);
}

/* --- verdicts that a dishonest coordinator might sign ---------------------------------------- */
static void a_verdict_is_refused(json_t *tasks, const struct key *by, const char *says)
{
	write_verdict(&w, seal_verdict(&w, tasks, by));
	is_refused(&w, says);
	write_all(&w);
}

static void only_a_coordinator_judges(void **s)
{
	(void)s;
	a_verdict_is_refused(honest_tasks(&w), w.worker[0], "was not a coordinator");
}

static json_t *with_first(json_t *first)
{
	json_t *tasks = honest_tasks(&w);

	json_array_set_new(tasks, 0, first);
	return tasks;
}

static void a_quorum_needs_distinct_agreeing_workers(void **s)
{
	(void)s;
	a_verdict_is_refused(with_first(judge(&w, 0, "valid", 0, "hello\n", "a file",
				     json_pack("[o]", position(&w, 0, 0)), json_array(), "quorum:2")),
		root, "1 results are counted");
	a_verdict_is_refused(with_first(judge(&w, 0, "valid", 0, "hello\n", "a file",
				     json_pack("[o, o]", position(&w, 0, 0), position(&w, 0, 0)), json_array(),
				     "quorum:2")),
		root, "one worker is counted twice");
	a_verdict_is_refused(with_first(judge(&w, 0, "valid", 0, "hello\n", "a file",
				     json_pack("[o, o]", position(&w, 0, 0), position(&w, 2, 0)), json_array(),
				     "quorum:2")),
		root, "another outcome");
	a_verdict_is_refused(with_first(judge(&w, 0, "valid", 0, "hello\n", "a file",
				     json_pack("[o, o]", position(&w, 0, 0), position(&w, 1, 1)), json_array(),
				     "quorum:2")),
		root, "says nothing of it");
}

static void class_and_state_follow_from_the_manifest_and_the_results(void **s)
{
	json_t *counted = json_pack("[o, o]", position(&w, 0, 0), position(&w, 1, 0));

	(void)s;
	a_verdict_is_refused(with_first(judge(&w, 0, "valid", 0, "hello\n", "a file", json_incref(counted),
				     json_array(), "quorum:1")),
		root, "quorum:1");
	a_verdict_is_refused(with_first(judge(&w, 0, "failed", 0, "hello\n", "a file", json_incref(counted),
				     json_array(), "quorum:2")),
		root, "says failed");
	json_t *twice = honest_tasks(&w);
	json_array_append(twice, json_array_get(twice, 0));
	a_verdict_is_refused(twice, root, "a second time");
	json_decref(counted);
	is_believed(&w);
}

static void names_from_strangers_stay_in_their_folder(void **s)
{
	static const char *const bad[] = { "files/", "files/../x", "files/.x", "files/a/../b", "files//a",
		"files/a/", "files/a/b/c/d/e", "files/a b", "/etc/passwd", "stderr", "files/a\n", "" };
	static const char *const good[] = { "stdout", "files/a", "files/a/b/c/d", "files/A-1_.x" };

	(void)s;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(resdir_name_ok(bad[i]));
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(resdir_name_ok(good[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(honest_evidence_is_believed),
		cmocka_unit_test(the_line_says_what_the_contract_says),
		cmocka_unit_test(any_changed_byte_is_noticed),
		cmocka_unit_test(any_missing_file_is_named),
		cmocka_unit_test(files_that_no_result_names_are_named),
		cmocka_unit_test(a_dropped_or_repeated_task_is_named),
		cmocka_unit_test(a_missing_envelope_is_named),
		cmocka_unit_test(an_unfinished_job_is_incomplete),
		cmocka_unit_test(another_jobs_evidence_is_refused),
		cmocka_unit_test(another_grids_evidence_is_refused),
		cmocka_unit_test(expected_ids_must_be_met),
		cmocka_unit_test(only_a_coordinator_judges),
		cmocka_unit_test(a_quorum_needs_distinct_agreeing_workers),
		cmocka_unit_test(class_and_state_follow_from_the_manifest_and_the_results),
		cmocka_unit_test(names_from_strangers_stay_in_their_folder),
	};

	return cmocka_run_group_tests_name("verify", tests, set_up, tear_down);
}
