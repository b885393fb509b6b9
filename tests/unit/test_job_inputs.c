/* SPDX-License-Identifier: Apache-2.0
 *
 * test_job_inputs.c: inputs that are other jobs' outputs: what is waited for, the resolution in and out, references.
 */
#include "jobs/job_inputs.h"
#include "jobs/ref.h"
#include "tests/unit/vectors.h"

#include <string.h>
#include <unistd.h>

static struct err e;

static struct digest id_of(char c)
{
	return digest_of(&c, 1);
}

static struct blob blob_of(const char *text)
{
	struct digest d = digest_of(text, strlen(text));

	return (struct blob){ .digest = d, .root = d, .size = (int64_t)strlen(text) };
}

static struct job_file from(const char *name, char job, int64_t index)
{
	struct job_file f = { .from = true,
		.source = { .job = id_of(job), .index = index, .file = "stdout" } };

	snprintf(f.name, sizeof(f.name), "%s", name);
	return f;
}

/* /in/all of every task of job a, /in/blob, /in/one of task 3 of job b, /in/more of every task of job a again. */
static struct job_file files[4];

static struct job a_job(void)
{
	files[0] = from("all", 'a', -1);
	files[1] = (struct job_file){ .name = "blob" };
	files[2] = from("one", 'b', 3);
	files[3] = from("more", 'a', -1);
	return (struct job){ .files = files, .n_files = 4, .count = 1, .disk_mib = 1 };
}

static struct inputs the_inputs(void)
{
	struct inputs in = { 0 };
	struct blob x = blob_of("x"), y = blob_of("yy"), z = blob_of("");

	inputs_add(&in, 0, 0, &x);
	inputs_add(&in, 0, 1, &y);
	inputs_add(&in, 2, 3, &z);
	inputs_add(&in, 3, 0, &x);
	inputs_add(&in, 3, 1, &y);
	return in;
}

static void each_job_is_waited_for_once(void **state)
{
	(void)state;
	struct job_wait waits[JOB_WAITS_MAX];
	struct job j = a_job();

	j.after[j.n_after++] = id_of('c');
	j.after[j.n_after++] = id_of('b');
	j.tasks = TASKS_EACH;
	j.each = (struct job_source){ .job = id_of('d'), .index = -1, .file = "stdout" };
	assert_true(job_has_sources(&j));
	assert_int_equal(job_waits(&j, waits), 4);
	static const struct {
		char job;
		bool all;
	} want[] = { { 'c', true }, { 'b', true }, { 'a', true }, { 'd', true } };
	for (size_t i = 0; i < 4; i++) {
		struct digest d = id_of(want[i].job);
		assert_true(digest_equal(&waits[i].job, &d) && waits[i].all == want[i].all);
	}
	j.n_after = 0; /* then of b only task 3 must be valid */
	assert_int_equal(job_waits(&j, waits), 3);
	assert_false(waits[1].all);
	assert_int_equal(job_waits(&(struct job){ .count = 1 }, waits), 0);
}

static void a_resolution_comes_back_as_it_was(void **state)
{
	(void)state;
	struct job j = a_job();
	struct inputs in = the_inputs(), again;
	size_t n, parts;
	auto_free char *text = inputs_text(&in, &j, &n);

	assert_int_equal(inputs_read(&again, &j, text, n, &e), 0);
	assert_int_equal(again.n, in.n);
	assert_memory_equal(again.parts, in.parts, in.n * sizeof(*in.parts));
	assert_int_equal(inputs_bytes(&again), 6);
	assert_ptr_equal(inputs_of(&again, 3, &parts), again.parts + 3);
	assert_int_equal(parts, 2);
	inputs_of(&again, 1, &parts);
	assert_int_equal(parts, 0);
	inputs_release(&again);
	inputs_release(&in);
}

static void the_digest_is_of_the_lines_that_the_protocol_says(void **state)
{
	(void)state;
	struct job j = a_job();
	struct inputs in = the_inputs();
	auto_buf struct buf b = { 0 };
	struct blob line = blob_of("line");
	char x[DIGEST_TEXT + 1], y[DIGEST_TEXT + 1], z[DIGEST_TEXT + 1], l[DIGEST_TEXT + 1];

	digest_text(x, &in.parts[0].blob.digest);
	digest_text(y, &in.parts[1].blob.digest);
	digest_text(z, &in.parts[2].blob.digest);
	digest_text(l, &line.digest);
	buf_printf(&b,
		"talkoot-inputs-v1\nin/all %s\nin/all %s\nin/one %s\nin/more %s\nin/more %s\n", x,
		y, z, x, y);
	struct digest want = digest_of(b.data, b.len), got = inputs_digest(&in, &j, NULL);
	assert_true(digest_equal(&want, &got));
	buf_printf(&b, "stdin %s\n", l);
	want = digest_of(b.data, b.len);
	got = inputs_digest(&in, &j, &line);
	assert_true(digest_equal(&want, &got));
	inputs_release(&in);
}

/* The text of some lines of the resolution above, chosen by their numbers. */
static char *lines(const char *numbers)
{
	struct job j = a_job();
	struct inputs in = the_inputs();
	size_t n;
	auto_free char *text = inputs_text(&in, &j, &n);
	struct buf b = { 0 };

	for (; *numbers; numbers++) {
		const char *at = text;

		for (char k = '0'; k < *numbers; k++)
			at = strchr(at, '\n') + 1;
		buf_add(&b, at, (size_t)(strchr(at, '\n') + 1 - at));
	}
	buf_add(&b, "", 0);
	inputs_release(&in);
	return buf_take(&b);
}

static void what_is_missing_twice_or_out_of_order_is_refused(void **state)
{
	(void)state;
	static const char *const good[] = { "01234", "0234", "0123" };
	static const char *const bad[] = { "", "0", "01", "012", "2", "10234", "00234", "01334",
		"012234", "0134", "012344", "01324", "1234" };
	struct job j = a_job();
	struct inputs in;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		auto_free char *text = lines(good[i]);
		if (inputs_read(&in, &j, text, strlen(text), &e))
			fail_msg("%s: %s", good[i], e.msg);
		inputs_release(&in);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		auto_free char *text = lines(bad[i]);
		if (!inputs_read(&in, &j, text, strlen(text), &e))
			fail_msg("taken: %s", bad[i]);
		inputs_release(&in);
	}
}

static void a_resolution_is_bounded(void **state)
{
	(void)state;
	struct job_file file = from("all", 'a', -1);
	struct job j = { .files = &file, .n_files = 1, .count = 1, .disk_mib = 1 };
	struct blob b = blob_of("x");
	struct inputs in = { 0 }, out;
	size_t n;

	for (int64_t i = 0; i < INPUTS_PARTS_MAX; i++)
		inputs_add(&in, 0, i, &b);
	auto_free char *most = inputs_text(&in, &j, &n);
	assert_int_equal(inputs_read(&out, &j, most, n, &e), 0);
	assert_int_equal(out.n, INPUTS_PARTS_MAX);
	inputs_release(&out);
	assert_int_equal(inputs_read(&out, &j, most, n - 1, &e), -1); /* its last line has no end */
	inputs_release(&out);
	inputs_add(&in, 0, INPUTS_PARTS_MAX, &b);
	auto_free char *more = inputs_text(&in, &j, &n);
	assert_int_equal(inputs_read(&out, &j, more, n, &e), -1);
	inputs_release(&out);
	in.n = 1;
	in.parts[0].blob.size = MIB + 1; /* more than the job's disk */
	auto_free char *big = inputs_text(&in, &j, &n);
	assert_int_equal(inputs_read(&out, &j, big, n, &e), -1);
	assert_int_equal(e.code, ERR_TOO_DEMANDING);
	inputs_release(&out);
	inputs_release(&in);
}

/* --- JOB/INDEX/FILE ------------------------------------------------------------------------------- */

#define PREFIX "0123abcd"
#define WHOLE "0123abcd0123abcd0123abcd0123abcd0123abcd0123abcd0123abcd0123abcd"

static void references_are_told_from_paths(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int is;
		int64_t index;
		const char *file;
	} cases[] = {
		{ PREFIX "/0/stdout", 1, 0, "stdout" },
		{ WHOLE "/1048575/files/a/b.txt", 1, 1048575, "files/a/b.txt" },
		{ WHOLE "/*/stdout", 1, -1, "stdout" },
		{ "0123abc/0/stdout", 0, 0, NULL }, /* seven digits */
		{ WHOLE "0/0/stdout", 0, 0, NULL }, /* 65 */
		{ "0123ABCD/0/stdout", 0, 0, NULL },
		{ "./" PREFIX "/0/stdout", 0, 0, NULL },
		{ "/" PREFIX "/0/stdout", 0, 0, NULL },
		{ "data.txt", 0, 0, NULL },
		{ PREFIX, 0, 0, NULL },
		{ "", 0, 0, NULL },
		{ PREFIX "/", -1, 0, NULL },
		{ PREFIX "/0", -1, 0, NULL },
		{ PREFIX "/0/", -1, 0, NULL },
		{ PREFIX "/-1/stdout", -1, 0, NULL },
		{ PREFIX "/01/stdout", -1, 0, NULL },
		{ PREFIX "/1048576/stdout", -1, 0, NULL },
		{ PREFIX "/**/stdout", -1, 0, NULL },
		{ PREFIX "/0/stderr", -1, 0, NULL },
		{ PREFIX "/0/files/", -1, 0, NULL },
		{ PREFIX "/0/files/../x", -1, 0, NULL },
		{ PREFIX "/0/stdout/x", -1, 0, NULL },
	};
	struct job_ref r;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int is = ref_parse(&r, cases[i].text, &e);

		if (is != cases[i].is)
			fail_msg("%s: %d", cases[i].text, is);
		if (is < 0)
			assert_int_equal(e.code, ERR_USAGE);
		if (is != 1)
			continue;
		assert_int_equal(r.index, cases[i].index);
		assert_string_equal(r.file, cases[i].file);
		assert_memory_equal(r.job, cases[i].text, strlen(r.job));
	}
}

static int finds(
	void *arg, const char *prefix, char id[DIGEST_HEX + 1], int64_t *count, struct err *err)
{
	(void)arg, (void)err;
	assert_memory_equal(WHOLE, prefix, strlen(prefix));
	memcpy(id, WHOLE, DIGEST_HEX + 1);
	if (count)
		*count = 7;
	return 0;
}

static void references_become_what_the_manifest_has(void **state)
{
	(void)state;
	struct job_finder f = { finds, NULL };
	struct job_ref r;
	int64_t count;

	assert_int_equal(ref_parse(&r, PREFIX "/2/stdout", &e), 1);
	auto_json json_t *one = ref_from(&r, &f, &e);
	auto_free char *text = shape_dump(one);
	assert_string_equal(text, "{\"job\":\"" WHOLE "\",\"file\":\"stdout\",\"index\":2}");
	assert_null(ref_each(&r, &f, &count, &e));
	assert_int_equal(e.code, ERR_USAGE);
	assert_int_equal(ref_parse(&r, PREFIX "/*/files/x", &e), 1);
	auto_json json_t *all = ref_from(&r, &f, &e), *each = ref_each(&r, &f, &count, &e);
	auto_free char *every = shape_dump(all), *tasks = shape_dump(each);
	assert_string_equal(every, "{\"job\":\"" WHOLE "\",\"file\":\"files/x\"}");
	assert_string_equal(tasks, "{\"job\":\"" WHOLE "\",\"file\":\"files/x\",\"count\":7}");
	assert_int_equal(count, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_job_is_waited_for_once),
		cmocka_unit_test(a_resolution_comes_back_as_it_was),
		cmocka_unit_test(the_digest_is_of_the_lines_that_the_protocol_says),
		cmocka_unit_test(what_is_missing_twice_or_out_of_order_is_refused),
		cmocka_unit_test(a_resolution_is_bounded),
		cmocka_unit_test(references_are_told_from_paths),
		cmocka_unit_test(references_become_what_the_manifest_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
