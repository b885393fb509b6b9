/* SPDX-License-Identifier: Apache-2.0
 *
 * test_result.c: what votes, and which statements about results are refused.
 */
#include "common/result.h"
#include "tests/unit/vectors.h"

#include <time.h>

static struct key *key;
static struct id grid;
static const struct digest zero;

static int make_key(void **state)
{
	(void)state;
	key = key_new();
	grid = *key_id(key);
	return 0;
}

static int drop_key(void **state)
{
	(void)state;
	key_free(key);
	return 0;
}

/* n results with a stdout each. */
static struct results made(size_t n)
{
	struct results r = {
		.platform = "x86_64-linux", .platform_class = "x86_64-v3", .agent = "a", .n = n
	};

	r.items = xcalloc(n, sizeof(*r.items));
	for (size_t i = 0; i < n; i++) {
		struct digest d = digest_of(&i, sizeof(i));

		r.items[i] = (struct result){
			.index = (int64_t)(i * 3), .reason = "exited", .cpu_ms = 5
		};
		snprintf(r.items[i].lease, sizeof(r.items[i].lease), "%032zx", i);
		result_add_output(&r.items[i], "stdout", &d, &d, 8);
	}
	return r;
}

/* Seal, open and read: 0, or -1 with e. */
static int again(struct results *out, struct results *r, struct err *e)
{
	auto_free char *line = NULL;
	struct msg m;

	*e = (struct err){ 0 };
	if (results_seal(&line, r, &grid, key, 7, e))
		return -1;
	if (msg_open(&m, line, strlen(line), &grid, e))
		fail_msg("sealed, but does not open: %s", e->msg);
	int bad = results_read(out, &m, e);
	if (bad)
		fail_msg("sealed, but does not read: %s", e->msg);
	msg_release(&m);
	return 0;
}

static void results_round_trip(void **state)
{
	(void)state;
	struct results r = made(RESULT_BATCH_MAX), back;
	struct digest d = digest_of("file", 4);
	struct err e;

	r.policy = r.items[0].stderr_digest = d;
	r.items[0].has_stderr = true;
	r.items[0].stderr_size = 65536;
	r.items[3].has_inputs = true;
	r.items[3].inputs = d;
	r.items[1].exit = 255;
	r.items[2].signal = 9;
	strcpy(r.items[2].reason, "signaled");
	result_add_output(&r.items[1], "files/b", &d, &zero, 0);
	result_add_output(&r.items[1], "files/a/x.txt", &d, &d, (int64_t)64 << 30);
	assert_int_equal(again(&back, &r, &e), 0);
	assert_int_equal(back.n, RESULT_BATCH_MAX);
	assert_true(id_equal(&back.author, key_id(key)));
	assert_true(digest_equal(&back.policy, &d));
	assert_string_equal(back.platform_class, "x86_64-v3");
	assert_true(back.items[0].has_stderr && back.items[0].stderr_size == 65536);
	assert_true(back.items[3].has_inputs && digest_equal(&back.items[3].inputs, &d));
	assert_false(back.items[4].has_inputs);
	assert_int_equal(back.items[1].exit, 255);
	assert_int_equal(back.items[2].signal, 9);
	assert_int_equal(back.items[1].n_outputs, 3);
	assert_string_equal(back.items[1].outputs[0].name, "files/a/x.txt");
	assert_true(back.items[1].outputs[0].size == ((int64_t)64 << 30));
	assert_string_equal(back.items[1].outputs[2].name, "stdout");
	for (size_t i = 0; i < back.n; i++) {
		assert_int_equal(back.items[i].index, i * 3);
		assert_string_equal(back.items[i].lease, r.items[i].lease);
		assert_true(digest_equal(&back.items[i].outcome, &r.items[i].outcome));
	}
	results_release(&back);
	results_release(&r);
}

static void the_outcome_is_the_digest_of_the_documented_text(void **state)
{
	(void)state;
	struct result r = { .exit = 3, .signal = 0 };
	struct digest a = digest_of("a", 1), b = digest_of("b", 1), o = digest_of("", 0);
	/* written out, not computed by the same code */
	static const char text[] =
		"talkoot-outcome-v1\nexit 3\nsignal 0\n"
		"files/B sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d\n"
		"files/a sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb\n"
		"stdout sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n";
	static const char bare[] = "talkoot-outcome-v1\nexit 0\nsignal 11\n";

	result_add_output(&r, "stdout", &o, &zero, 0);
	result_add_output(&r, "files/a", &a, &zero, 1);
	result_add_output(&r, "files/B", &b, &zero, 1);
	struct digest mine = outcome_of(&r), book = digest_of(text, sizeof(text) - 1);
	assert_true(digest_equal(&mine, &book));
	struct result none = { .signal = 11 };
	mine = outcome_of(&none);
	book = digest_of(bare, sizeof(bare) - 1);
	assert_true(digest_equal(&mine, &book));
	for (size_t i = 0; i < r.n_outputs; i++)
		free(r.outputs[i].name);
	free(r.outputs);
}

static void what_does_not_vote_does_not_change_the_outcome(void **state)
{
	(void)state;
	struct results r = made(1);
	struct digest before = outcome_of(&r.items[0]);

	r.items[0].cpu_ms = 99;
	r.items[0].has_stderr = true;
	r.items[0].stderr_digest = before;
	r.items[0].index = 12;
	strcpy(r.items[0].reason, "cpu");
	struct digest after = outcome_of(&r.items[0]);
	assert_true(digest_equal(&before, &after));
	r.items[0].exit = 1;
	after = outcome_of(&r.items[0]);
	assert_false(digest_equal(&before, &after));
	r.items[0].exit = 0;
	r.items[0].signal = 1;
	after = outcome_of(&r.items[0]);
	assert_false(digest_equal(&before, &after));
	results_release(&r);
}

static void only_exited_and_signaled_vote(void **state)
{
	(void)state;
	static const char *const others[] = { "cpu", "wall", "memory", "disk", "output",
		"processes", "policy", "setup", "" };
	struct result r = { .reason = "exited" };

	assert_true(result_votes(&r));
	strcpy(r.reason, "signaled");
	assert_true(result_votes(&r));
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		strcpy(r.reason, others[i]);
		assert_false(result_votes(&r));
	}
}

/* Take a good statement of two results, break it by `by`, sign it and read it. */
static void assert_refused(void (*by)(json_t *predicate, json_t *subject), const char *field)
{
	struct results r = made(2), back;
	auto_free char *line = NULL, *sealed = NULL;
	struct msg m;
	struct err e = { 0 };

	assert_int_equal(results_seal(&line, &r, &grid, key, 7, &e), 0);
	results_release(&r);
	assert_int_equal(msg_open(&m, line, strlen(line), &grid, &e), 0);
	by(m.body, json_object_get(m.statement, "subject"));
	assert_int_equal(msg_seal(&sealed, json_incref(m.body),
				 json_incref(json_object_get(m.statement, "subject")), key, &e),
		0);
	msg_release(&m);
	assert_int_equal(msg_open(&m, sealed, strlen(sealed), &grid, &e), 0);
	if (!results_read(&back, &m, &e))
		fail_msg("taken, though %s is wrong", field);
	assert_int_equal(e.code, ERR_FIELD);
	assert_string_equal(e.field, field);
	assert_null(back.items);
	msg_release(&m);
}

static json_t *item(json_t *predicate, size_t i)
{
	return json_array_get(json_object_get(predicate, "results"), i);
}

static void same_index(json_t *p, json_t *s)
{
	json_array_remove(s, 1);
	json_object_set_new(item(p, 1), "index", json_integer(0));
}

static void same_lease(json_t *p, json_t *s)
{
	(void)s;
	json_object_set(item(p, 1), "lease", json_object_get(item(p, 0), "lease"));
}

static void no_stdout(json_t *p, json_t *s)
{
	(void)p;
	json_array_remove(s, 1);
}

static void stdout_twice(json_t *p, json_t *s)
{
	(void)p;
	json_array_append_new(s, json_deep_copy(json_array_get(s, 0)));
}

static void other_outcome(json_t *p, json_t *s)
{
	(void)s;
	json_object_set(item(p, 1), "outcome", json_object_get(item(p, 0), "outcome"));
}

static void other_exit(json_t *p, json_t *s)
{
	(void)s;
	json_object_set_new(item(p, 0), "exit", json_integer(1));
}

static void exit_and_signal(json_t *p, json_t *s)
{
	(void)s;
	json_object_set_new(item(p, 1), "exit", json_integer(1));
	json_object_set_new(item(p, 1), "signal", json_integer(9));
}

static void nobodys_subject(json_t *p, json_t *s)
{
	(void)p;
	json_t *j = json_deep_copy(json_array_get(s, 0));

	json_object_set_new(j, "name", json_string("77/stdout"));
	json_array_append_new(s, j);
}

static void other_bytes(json_t *p, json_t *s)
{
	(void)p;
	json_object_set(json_object_get(json_array_get(s, 0), "digest"), "sha256",
		json_object_get(json_object_get(json_array_get(s, 1), "digest"), "sha256"));
}

static void an_inconsistent_statement_is_refused(void **state)
{
	(void)state;
	assert_refused(same_index, "results[1]");
	assert_refused(same_lease, "results[1]");
	assert_refused(no_stdout, "results[1]");
	assert_refused(stdout_twice, "results[0]");
	assert_refused(other_outcome, "results[1]");
	assert_refused(other_exit, "results[0]");
	assert_refused(other_bytes, "results[0]");
	assert_refused(exit_and_signal, "results[1].exit");
	assert_refused(nobodys_subject, "subject[2].name");
}

static const char *subject_name;

static void named_so(json_t *p, json_t *s)
{
	(void)p;
	json_t *j = json_deep_copy(json_array_get(s, 0));

	json_object_set_new(j, "name", json_string(subject_name));
	json_array_append_new(s, j);
}

static char hundred_and_one[] =
	"files/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	"xxxxxxxxxxxxxxxxxxxxxx";

static const char *const evil[] = { "files/../x", "files/x/..", "files/..", "files/.", "files//x",
	"files/x//y", "files/x/", "files/", "files", "files/.x", "files/a/.x", "files/a/b/c/d/e",
	"files/a b", "files/a\\b", "files/a\nb", "files/a:b", "files/\xc3\xa9", "files/~",
	"files/-\x1b[2J", "Files/x", "file/x", "../x", "/x", ".x", "stdout/x", "stdoutx", "stderr",
	"STDOUT", "", "files/a*", "./files/x", hundred_and_one };

static void evil_output_names_are_refused_both_ways(void **state)
{
	(void)state;
	assert_int_equal(strlen(hundred_and_one), 6 + 101);
	for (size_t i = 0; i < ARRAY_LEN(evil); i++) {
		auto_free char *full = xprintf("0/%s", evil[i]);
		struct results r = made(1), back;
		struct err e;

		subject_name = full;
		if (strlen(full) >= 8) /* shorter ones do not pass the shape */
			assert_refused(named_so, "subject[2].name");
		result_add_output(&r.items[0], evil[i], &zero, &zero, 0);
		if (!again(&back, &r, &e))
			fail_msg("sealed: %s", evil[i]);
		assert_string_equal(e.field, "results[0]");
		results_release(&r);
	}
	static const char *const indices[] = { "00/stdout", "-1/stdout", "+0/stdout", " 0/stdout",
		"0x0/stdout", "4294967296/stdout", "99999999999999999999999999999999/stdout",
		"/stdout//", "a/stdout", "noslash0" };
	for (size_t i = 0; i < ARRAY_LEN(indices); i++) {
		subject_name = indices[i];
		assert_refused(named_so, "subject[2].name");
	}
}

static void plain_output_names_are_taken(void **state)
{
	(void)state;
	static const char *const good[] = { "files/x", "files/a.b", "files/a/b/c/d", "files/-",
		"files/_", "files/a..b", "files/0/stdout", "files/stdout" };
	struct results r = made(1), back;
	struct err e;

	hundred_and_one[6 + 100] = '\0';
	result_add_output(&r.items[0], hundred_and_one, &zero, &zero, 0);
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		result_add_output(&r.items[0], good[i], &zero, &zero, 0);
	assert_int_equal(again(&back, &r, &e), 0);
	hundred_and_one[6 + 100] = 'x';
	assert_int_equal(back.items[0].n_outputs, 2 + ARRAY_LEN(good));
	results_release(&back);
	results_release(&r);
}

static void a_name_is_a_file_or_a_folder_not_both(void **state)
{
	(void)state;
	struct results r = made(1), back;
	struct err e;

	result_add_output(&r.items[0], "files/a/b", &zero, &zero, 0);
	result_add_output(&r.items[0], "files/a-b", &zero, &zero, 0);
	assert_int_equal(again(&back, &r, &e), 0);
	results_release(&back);
	result_add_output(&r.items[0], "files/a", &zero, &zero, 0);
	assert_int_equal(again(&back, &r, &e), -1);
	assert_string_equal(e.field, "results[0]");
	results_release(&r);
}

static void sixty_four_results_and_files_are_the_most(void **state)
{
	(void)state;
	struct results r = made(RESULT_BATCH_MAX + 1), back;
	struct err e;
	char name[40];

	assert_int_equal(again(&back, &r, &e), -1);
	assert_string_equal(e.field, "results");
	results_release(&r);
	struct results none = made(0);
	assert_int_equal(again(&back, &none, &e), -1);
	results_release(&none);
	r = made(1);
	for (int i = 0; i < RESULT_FILES_MAX; i++) {
		snprintf(name, sizeof(name), "files/%d", i);
		result_add_output(&r.items[0], name, &zero, &zero, 0);
	}
	assert_int_equal(again(&back, &r, &e), 0);
	assert_int_equal(back.items[0].n_outputs, RESULT_FILES_MAX + 1);
	results_release(&back);
	result_add_output(&r.items[0], "files/more", &zero, &zero, 0);
	assert_int_equal(again(&back, &r, &e), -1);
	results_release(&r);
}

static void the_largest_statement_that_fits_reads_fast_and_a_larger_does_not_leave(void **state)
{
	(void)state;
	struct results r = made(RESULT_BATCH_MAX), back;
	struct err e;
	char name[40];

	for (size_t i = 0; i < r.n; i++)
		for (int k = 0; k < 45; k++) {
			snprintf(name, sizeof(name), "files/%d", k);
			result_add_output(&r.items[i], name, &zero, &zero, 0);
		}
	clock_t start = clock();
	assert_int_equal(again(&back, &r, &e), 0);
	assert_true(
		(clock() - start) / (CLOCKS_PER_SEC / 1000) < 5000); /* under ASan; 20 ms without */
	results_release(&back);
	for (size_t i = 0; i < r.n; i++)
		for (int k = 45; k < 64; k++) {
			snprintf(name, sizeof(name), "files/%d", k);
			result_add_output(&r.items[i], name, &zero, &zero, 0);
		}
	assert_int_equal(again(&back, &r, &e), -1);
	assert_int_equal(e.code, ERR_TOO_BIG);
	results_release(&r);
}

static void text_that_is_not_utf8_is_an_error_not_a_lost_output(void **state)
{
	(void)state;
	struct results r = made(2), back;
	struct err e;

	result_add_output(&r.items[1], "files/\xff", &zero, &zero, 0);
	assert_int_equal(again(&back, &r, &e), -1);
	results_release(&r);
	r = made(2);
	strcpy(r.items[1].lease, "\xff");
	assert_int_equal(again(&back, &r, &e), -1);
	assert_int_equal(e.code, ERR_FIELD);
	results_release(&r);
	r = made(1);
	strcpy(r.agent, "\xff");
	assert_int_equal(again(&back, &r, &e), -1);
	assert_string_equal(e.field, "agent");
	results_release(&r);
	r = made(1);
	strcpy(r.items[0].reason, "tired");
	assert_int_equal(again(&back, &r, &e), -1);
	assert_string_equal(e.field, "results[0].reason");
	results_release(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results_round_trip),
		cmocka_unit_test(the_outcome_is_the_digest_of_the_documented_text),
		cmocka_unit_test(what_does_not_vote_does_not_change_the_outcome),
		cmocka_unit_test(only_exited_and_signaled_vote),
		cmocka_unit_test(an_inconsistent_statement_is_refused),
		cmocka_unit_test(evil_output_names_are_refused_both_ways),
		cmocka_unit_test(plain_output_names_are_taken),
		cmocka_unit_test(a_name_is_a_file_or_a_folder_not_both),
		cmocka_unit_test(sixty_four_results_and_files_are_the_most),
		cmocka_unit_test(
			the_largest_statement_that_fits_reads_fast_and_a_larger_does_not_leave),
		cmocka_unit_test(text_that_is_not_utf8_is_an_error_not_a_lost_output),
	};

	return cmocka_run_group_tests(tests, make_key, drop_key);
}
