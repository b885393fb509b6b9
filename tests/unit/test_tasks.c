/* SPDX-License-Identifier: Apache-2.0
 *
 * test_tasks.c: what task options mean: values, products, lists, placeholders, and what is refused.
 */
#include "common/buf.h"
#include "common/shape.h"
#include "jobs/param.h"
#include "jobs/tasks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void values_are(const char *text, const char *expected)
{
	auto_buf struct buf b = { 0 };
	struct param p;
	struct err e = { 0 };

	if (param_parse(&p, text, 1000, &e)) {
		assert_int_equal(e.code, ERR_USAGE);
		assert_string_equal("refused", expected);
		return;
	}
	for (size_t i = 0; i < p.n; i++)
		buf_printf(&b, "%s%s", i ? " " : "", p.values[i]);
	param_release(&p);
	assert_string_equal(b.data, expected);
}

static void values_are_listed_or_counted(void **s)
{
	(void)s;
	values_are("k=a,b,c", "a b c");
	values_are("k=one", "one");
	values_are("k=a,,c", "a  c");
	values_are("k=1..5", "1 2 3 4 5");
	values_are("k=3..3", "3");
	values_are("k=-2..1", "-2 -1 0 1");
	values_are("k=0..10:5", "0 5 10");
	values_are("k=5..1:-2", "5 3 1");
	values_are("k=1..4:2", "1 3");
}

static void decimals_do_not_drift(void **s)
{
	(void)s;
	values_are("k=0..1:0.1", "0.0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1.0");
	values_are("k=-0.1..0.1:0.05", "-0.10 -0.05 0.00 0.05 0.10");
	values_are("k=1.5..2", "1.5");
	values_are("k=0.001..0.003:0.001", "0.001 0.002 0.003");
}

static void bad_values_are_refused(void **s)
{
	static const char *const bad[] = { "k", "k=", "=1", "k l=2", "k.l=2", "k=1..x", "k=..5", "k=1..",
		"k=5..1", "k=1..5:-1", "k=1..5:0", "k=1..2000", "k=1...5",
		"k=0..9999999999999999999", "k=0..999999999999999999:0.00001" };

	(void)s;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		values_are(bad[i], "refused");
}

/* --- task sets --------------------------------------------------------------------------------*/
static char *a_file(const char *text)
{
	char *path = xstrdup("/tmp/test_tasks.XXXXXX");
	int fd = mkstemp(path);
	struct err e;

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text), &e), 0);
	close(fd);
	return path;
}

static struct texts one_text(const char **text)
{
	return (struct texts){ .at = text, .n = 1 };
}

/* The tasks as JSON and the list, if any, behind it. */
static void tasks_are(const struct task_options *o, const char *json, const char *list)
{
	struct task_set t;
	struct uploads up = { 0 };
	struct err e = { 0 };

	if (task_set_make(&t, &up, o, &e))
		fail_msg("%s", e.msg);
	auto_free char *text = shape_dump(t.tasks);
	if (json)
		assert_string_equal(text, json);
	if (list)
		assert_string_equal(up.at[up.n - 1].text, list);
	task_set_release(&t);
	uploads_release(&up);
}

static void refused(const struct task_options *o, const char *says)
{
	struct task_set t;
	struct uploads up = { 0 };
	struct err e = { 0 };

	assert_int_equal(task_set_make(&t, &up, o, &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
	if (!strstr(e.msg, says))
		fail_msg("\"%s\" does not say \"%s\"", e.msg, says);
	uploads_release(&up);
}

static void a_range_is_a_range_and_nothing_is_one_task(void **s)
{
	(void)s;
	tasks_are(&(struct task_options){ .range = 7 }, "{\"range\":{\"count\":7}}", NULL);
	tasks_are(&(struct task_options){ 0 }, "{\"range\":{\"count\":1}}", NULL);
}

static void params_multiply_with_the_last_fastest(void **s)
{
	const char *params[] = { "a=1..2", "b=x,y" };
	struct task_options o = { .params = { .at = params, .n = 2 } };

	(void)s;
	tasks_are(&o,
		"{\"product\":[{\"name\":\"a\",\"values\":[\"1\",\"2\"]},"
		"{\"name\":\"b\",\"values\":[\"x\",\"y\"]}]}",
		NULL);
}

static void a_product_too_long_for_a_manifest_is_a_list_in_the_same_order(void **s)
{
	const char *params[] = { "a=1..9000", "b=x,y" };
	struct task_options o = { .params = { .at = params, .n = 2 } };
	struct task_set t;
	struct uploads up = { 0 };
	struct err e = { 0 };

	(void)s;
	assert_int_equal(task_set_make(&t, &up, &o, &e), 0);
	assert_int_equal(t.count, 18000);
	assert_int_equal(strncmp(up.at[0].text,
		"{\"params\":{\"a\":\"1\",\"b\":\"x\"}}\n{\"params\":{\"a\":\"1\",\"b\":\"y\"}}\n{\"params\":{\"a\":\"2\"",
		75), 0);
	task_set_release(&t);
	uploads_release(&up);
}

static void lines_are_tasks(void **s)
{
	auto_free char *path = a_file("one\n\nthree \"3\"\nlast");

	(void)s;
	tasks_are(&(struct task_options){ .lines = path }, NULL,
		"{\"line\":\"one\"}\n{\"line\":\"\"}\n{\"line\":\"three \\\"3\\\"\"}\n{\"line\":\"last\"}\n");
	unlink(path);
}

static void table_rows_are_tasks(void **s)
{
	auto_free char *path = a_file("x,name\r\n1,\"a, b\"\r\n2,c\r\n");

	(void)s;
	tasks_are(&(struct task_options){ .table = path }, NULL,
		"{\"params\":{\"x\":\"1\",\"name\":\"a, b\"}}\n{\"params\":{\"x\":\"2\",\"name\":\"c\"}}\n");
	unlink(path);
}

static void each_file_is_a_task_and_equal_files_are_sent_once(void **s)
{
	auto_free char *one = a_file("same"), *two = a_file("same");
	const char *paths[] = { one, two };
	struct task_options o = { .each = { .at = paths, .n = 2 } };
	struct task_set t;
	struct uploads up = { 0 };
	struct err e = { 0 };

	(void)s;
	assert_int_equal(task_set_make(&t, &up, &o, &e), 0);
	assert_int_equal(t.count, 2);
	assert_int_equal(up.n, 2); /* the file and the list */
	assert_non_null(strstr(up.at[1].text, strrchr(two, '/') + 1));
	task_set_release(&t);
	uploads_release(&up);
	unlink(one);
	unlink(two);
}

static void wrong_sources_say_where(void **s)
{
	const char *twice[] = { "a=1", "a=2" }, *index[] = { "index=1,2" },
		   *huge[] = { "a=1..5000", "b=1..5000" }, *missing[] = { "/nonexistent/file" };
	auto_free char *ragged = a_file("a,b\n1,2\n3\n"), *empty = a_file(""),
		       *latin1 = a_file("good\nb\xe4""d\n"), *head = a_file("a,a\n1,2\n"),
		       *only_head = a_file("a,b\n"), *bad_name = a_file("{a}\n1\n");

	(void)s;
	refused(&(struct task_options){ .range = 2, .lines = "x" }, "--range and --lines");
	refused(&(struct task_options){ .params = { twice, 2 } }, "a is there twice");
	refused(&(struct task_options){ .params = one_text(index) }, "index");
	refused(&(struct task_options){ .params = { huge, 2 } }, "more than 1048576");
	refused(&(struct task_options){ .each = one_text(missing) }, "/nonexistent/file");
	refused(&(struct task_options){ .lines = "/nonexistent/file" }, "/nonexistent/file");
	refused(&(struct task_options){ .lines = empty }, "no task");
	refused(&(struct task_options){ .lines = latin1 }, "line 2 is not UTF-8");
	refused(&(struct task_options){ .table = ragged }, "line 3 has 1 fields");
	refused(&(struct task_options){ .table = empty }, "head");
	refused(&(struct task_options){ .table = head }, "there twice");
	refused(&(struct task_options){ .table = only_head }, "no task");
	refused(&(struct task_options){ .table = bad_name }, "column 1");
	const char *files[] = { ragged, empty, latin1, head, only_head, bad_name };
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		unlink(files[i]);
}

static void only_known_words_may_stand_in_braces(void **s)
{
	const char *params[] = { "alpha=1,2" };
	struct task_options o = { .params = one_text(params) };
	struct task_set t;
	struct uploads up = { 0 };
	struct err e = { 0 };

	(void)s;
	assert_int_equal(task_set_make(&t, &up, &o, &e), 0);
	assert_int_equal(task_set_check_arg(&t, "{index}-{alpha}", &e), 0);
	assert_int_equal(task_set_check_arg(&t, "{} { x } {1} {a b} {{index}} {\"k\":1} {", &e), 0);
	assert_int_equal(task_set_check_arg(&t, "x{beta}", &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
	assert_non_null(strstr(e.msg, "{beta}"));
	assert_int_equal(task_set_check_arg(&t, "{line}", &e), -1);
	assert_int_equal(task_set_check_arg(&t, "{{name}}", &e), -1);
	task_set_release(&t);
	uploads_release(&up);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_listed_or_counted),
		cmocka_unit_test(decimals_do_not_drift),
		cmocka_unit_test(bad_values_are_refused),
		cmocka_unit_test(a_range_is_a_range_and_nothing_is_one_task),
		cmocka_unit_test(params_multiply_with_the_last_fastest),
		cmocka_unit_test(a_product_too_long_for_a_manifest_is_a_list_in_the_same_order),
		cmocka_unit_test(lines_are_tasks),
		cmocka_unit_test(table_rows_are_tasks),
		cmocka_unit_test(each_file_is_a_task_and_equal_files_are_sent_once),
		cmocka_unit_test(wrong_sources_say_where),
		cmocka_unit_test(only_known_words_may_stand_in_braces),
	};

	return cmocka_run_group_tests_name("tasks", tests, NULL, NULL);
}
