/* SPDX-License-Identifier: Apache-2.0
 *
 * test_verify.c: a folder of evidence made here with fresh keys is believed; with any byte changed, anything left
 * out, or anything swapped in, it is not.
 */
#include "tests/unit/evidence_world.h"

#include "jobs/boxrun.h"

#include <fcntl.h>
#include <sys/stat.h>

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

/* A pipe would hold us up for ever, a device has no end, a link leads out of the folder, and a file with holes costs
 * its maker nothing. */
static void only_plain_files_are_evidence(void **s)
{
	static const char *const files[] = { RESDIR_GRID, RESDIR_JOB, RESDIR_ATTESTATIONS, RESDIR_VERDICTS,
		RESDIR_RESULTS };
	struct err e;

	(void)s;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		auto_free char *path = resdir_path(w.dir, files[i]), *kept = xprintf("%s.kept", path);

		assert_int_equal(rename(path, kept), 0);
		assert_int_equal(mkfifo(path, 0600), 0);
		is_refused(&w, "is not a plain file");
		assert_int_equal(unlink(path), 0);
		assert_int_equal(symlink("/dev/zero", path), 0);
		is_refused(&w, files[i]);
		assert_int_equal(unlink(path), 0);
		assert_int_equal(symlink(kept, path), 0);
		is_refused(&w, files[i]);
		assert_int_equal(unlink(path), 0);
		put(w.dir, files[i], "");
		assert_int_equal(truncate(path, (off_t)1 << 40), 0);
		is_refused(&w, "more than");
		assert_int_equal(rename(kept, path), 0);
	}
	auto_free char *sources = resdir_path(w.dir, RESDIR_SOURCES);
	assert_int_equal(mkfifo(sources, 0600), 0);
	is_refused(&w, "is not a plain file");
	must(remove_tree(sources, &e), &e);
	is_believed(&w);
}

/* The folder is somebody's who may change it while we look. */
static void what_was_checked_is_what_is_used(void **s)
{
	(void)s;
	auto_free char *path = xprintf("%s/swapped", w.dir), *to = xprintf("%s/copy", w.dir), *text = NULL;
	struct digest d = digest_of("right", 5);
	struct err e;
	size_t n;

	assert_int_equal(file_write_atomic(path, "right", 5, 0600, &e), 0);
	auto_close int fd = resdir_open_if(path, &d, &e);
	assert_true(fd >= 0);
	assert_int_equal(file_write_atomic(path, "wrong", 5, 0600, &e), 0); /* another file in its place */
	assert_int_equal(fd_read_all(&text, &n, fd, 100, &e), 0);
	assert_int_equal(n, 5);
	assert_memory_equal(text, "right", 5);
	assert_int_equal(boxrun_copy(to, path, &d, 0600, &e), -1);
	assert_int_equal(e.code, ERR_DIGEST);
	unlink(to);
	assert_int_equal(unlink(path) || mkfifo(path, 0600), 0); /* opening it must not wait for a writer */
	assert_int_equal(boxrun_copy(to, path, &d, 0600, &e), -1);
	unlink(to);
	unlink(path);
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

/* --- what a task was given -------------------------------------------------------------------- */
/* A world in which worker i says that it was given given[i], of a job whose /in/x is another's output (or not). What
 * is said of task 0: "" when it is believed. `list`: the resolution, or NULL. */
static void said_of(char out[sizeof(((struct err *)0)->msg)], bool from, const struct digest *const given[3],
	const char *list)
{
	struct evidence v = { 0 };
	struct world x;
	struct err e = { 0 };

	world_files = from ? json_pack("[{s:s, s:{s:s, s:i, s:s}}]", "name", "x", "from", "job",
				     "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "index", 0, "file",
				     "stdout")
			   : NULL;
	memcpy(world_given, given, sizeof(world_given));
	world_say(&x, root);
	memset(world_given, 0, sizeof(world_given));
	must(evidence_grid(&v, x.grid, strlen(x.grid), &e) || evidence_job(&v, x.job, strlen(x.job), &e) ||
			evidence_list(&v, LIST, strlen(LIST), &e) || (list && evidence_inputs(&v, list, strlen(list), &e)),
		&e);
	for (size_t i = 0; i < 3; i++)
		must(evidence_attest(&v, x.envelope[i], strlen(x.envelope[i]), &e), &e);
	must(evidence_verdict(&v, x.verdict, strlen(x.verdict), &e), &e);
	e = (struct err){ 0 };
	evidence_check(&v, 0, &e);
	memcpy(out, e.msg, sizeof(e.msg));
	evidence_release(&v);
	world_free(&x);
}

static void all_that_count_were_given_the_same(void **s)
{
	static const char list[] = "{\"name\":\"x\",\"index\":0,\"blob\":{\"digest\":\"sha256:"
				   "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\",\"size\":1,\"pieces_root\":"
				   "\"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\"}}\n"; /* of "x" */
	static const char text[] = "talkoot-inputs-v1\nin/x sha256:"
				   "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\n";
	struct digest right = digest_of(text, strlen(text)), wrong = digest_of("", 0);
	const struct digest *const same[3] = { &right, &right, NULL }, *const none[3] = { NULL }, *const one[3] = { &right },
					   *const differ[3] = { &right, &wrong }, *const false_[3] = { &wrong, &wrong };
	char said[sizeof(((struct err *)0)->msg)];

	(void)s;
	said_of(said, true, same, NULL);
	assert_string_equal(said, "");
	said_of(said, true, same, list);
	assert_string_equal(said, "");
	said_of(said, false, none, NULL);
	assert_string_equal(said, "");
	said_of(said, true, none, NULL);
	assert_string_equal(said, "a counted result does not say what the task was given");
	said_of(said, true, one, NULL);
	assert_string_equal(said, "a counted result does not say what the task was given");
	said_of(said, false, same, NULL);
	assert_string_equal(said, "a counted result names inputs that the job does not have");
	said_of(said, true, differ, NULL);
	assert_string_equal(said, "the counted results were not given the same inputs");
	said_of(said, true, false_, NULL); /* what they were given is not known here */
	assert_string_equal(said, "");
	said_of(said, true, false_, list);
	assert_string_equal(said, "was not given what sources.ndjson says");
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

/* --- by tolerance ---------------------------------------------------------------------------- */
static void say_all(const char *first, const char *second)
{
	for (size_t i = 0; i < 3; i++) {
		free(TAKE(w.envelope[i]));
		attest(&w, i, i == 0 ? first : i == 1 ? second : "a lie");
	}
	free(TAKE(w.verdict));
	w.verdict = seal_verdict(&w,
		json_pack("[o, o]",
			judge(&w, 0, "valid", 0, first, "a file", json_pack("[o, o]", position(&w, 0, 0), position(&w, 1, 0)),
				json_pack("[o]", position(&w, 2, 0)), "quorum:2"),
			judge(&w, 1, "failed", 3, "", "", json_pack("[o, o]", position(&w, 0, 1), position(&w, 2, 1)),
				json_array(), "quorum:2")),
		root);
}

/* The world anew: worker 0 and 1 said these, and are counted together; the second's bytes are in evidence/. */
static void make_tolerant(const char *compare, const char *first, const char *second)
{
	char hex[DIGEST_HEX + 1];
	struct digest d = digest_of(second, strlen(second));

	free(TAKE(w.job));
	w.compare = compare;
	make_job(&w, "quorum:2");
	say_all(first, second);
	write_all(&w);
	put(w.dir, "0/stdout", first);
	digest_hex(hex, &d);
	auto_free char *name = xprintf(RESDIR_EVIDENCE "/%s", hex);
	put(w.dir, name, second);
}

#define NEAR "numeric:rtol=1e-6,atol=0"

static void counted_results_may_differ_by_what_the_job_allows(void **s)
{
	(void)s;
	make_tolerant(NEAR, "x = 1.0\n", "x = 1.0000001\n");
	is_believed(&w);
}

/* Everything is signed, as if the coordinator had lied. */
static void counted_results_that_differ_by_more_are_found(void **s)
{
	(void)s;
	make_tolerant(NEAR, "x = 1.0\n", "x = 1.00001\n");
	is_refused(&w, "task 0: two counted results differ in stdout by more than the job allows");
}

static void what_is_compared_is_checked_to_be_what_was_signed(void **s)
{
	char hex[DIGEST_HEX + 1];
	struct digest d = digest_of("x = 1.00001\n", 12);

	(void)s;
	make_tolerant(NEAR, "x = 1.0\n", "x = 1.00001\n");
	digest_hex(hex, &d);
	auto_free char *name = xprintf(RESDIR_EVIDENCE "/%s", hex), *path = resdir_path(w.dir, name);
	put(w.dir, name, "x = 1.0\n"); /* what would agree */
	is_refused(&w, "does not have the digest that was agreed on");
	assert_int_equal(unlink(path), 0);
	is_refused(&w, "is missing");
	put(w.dir, RESDIR_EVIDENCE "/more", "");
	is_refused(&w, "is not named by a digest");
}

static void an_outcome_is_that_of_the_first_counted(void **s)
{
	(void)s;
	make_tolerant(NEAR, "1.0", "1.0000001");
	a_verdict_is_refused(json_pack("[o]",
				     judge(&w, 0, "valid", 0, "1.0000001", "a file",
					     json_pack("[o, o]", position(&w, 0, 0), position(&w, 1, 0)), json_array(), "quorum:2")),
		root, "a counted result has another outcome");
}

static void one_platform_class_is_one_platform_class(void **s)
{
	(void)s;
	w.same_class = true;
	make_tolerant("exact", "1", "1");
	is_believed(&w);
	w.class = "x86_64-v2";
	say_all("1", "1");
	auto_free char *atts = xprintf("%s\n%s\n%s\n", w.envelope[0], w.envelope[1], w.envelope[2]);
	put(w.dir, RESDIR_ATTESTATIONS, atts);
	write_verdict(&w, xstrdup(w.verdict));
	is_refused(&w, "results of two platform classes are counted together");
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
		cmocka_unit_test(only_plain_files_are_evidence),
		cmocka_unit_test(what_was_checked_is_what_is_used),
		cmocka_unit_test(a_missing_envelope_is_named),
		cmocka_unit_test(an_unfinished_job_is_incomplete),
		cmocka_unit_test(another_jobs_evidence_is_refused),
		cmocka_unit_test(another_grids_evidence_is_refused),
		cmocka_unit_test(expected_ids_must_be_met),
		cmocka_unit_test(only_a_coordinator_judges),
		cmocka_unit_test(a_quorum_needs_distinct_agreeing_workers),
		cmocka_unit_test(class_and_state_follow_from_the_manifest_and_the_results),
		cmocka_unit_test(all_that_count_were_given_the_same),
		cmocka_unit_test(names_from_strangers_stay_in_their_folder),
	};

	const struct CMUnitTest tolerant[] = {
		cmocka_unit_test_setup_teardown(counted_results_may_differ_by_what_the_job_allows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(counted_results_that_differ_by_more_are_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_compared_is_checked_to_be_what_was_signed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_outcome_is_that_of_the_first_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_platform_class_is_one_platform_class, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("verify", tests, set_up, tear_down) |
	       cmocka_run_group_tests_name("verify by tolerance", tolerant, NULL, NULL);
}
