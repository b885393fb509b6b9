/* SPDX-License-Identifier: Apache-2.0
 *
 * test_compare.c: what two outputs have to have in common.
 */
#include "common/base.h"
#include "jobs/comparator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct err e;

/* Both ways, as the relation is symmetric. */
static bool same_n(const char *how, const char *a, size_t na, const char *b, size_t nb)
{
	struct comparison c;

	if (compare_parse(&c, how, "compare", &e))
		fail_msg("%s", e.msg);
	bool same = compare_numeric(&c, a, na, b, nb);
	assert_int_equal(compare_numeric(&c, b, nb, a, na), same);
	return same;
}

static bool same(const char *how, const char *a, const char *b)
{
	return same_n(how, a, strlen(a), b, strlen(b));
}

#define REL "numeric:rtol=1e-6,atol=0"
#define ABS "numeric:rtol=0,atol=0.5"
#define NONE "numeric:rtol=0,atol=0"

static void numbers_within_the_tolerance_are_equal(void **state)
{
	(void)state;
	assert_true(same(REL, "1.0000001", "1.0000002"));
	assert_false(same(REL, "1.00001", "1.00002"));
	assert_true(same(REL, "-1e300", "-1.0000001e300"));
	assert_true(same(REL, "1e-300", "1.0000001e-300"));
	assert_true(same(ABS, "1", "1.5"));
	assert_false(same(ABS, "1", "1.5000001"));
	assert_false(same("numeric:rtol=0.9,atol=1", "1", "-1.0000001e2"));
	assert_true(same("numeric:rtol=0.5,atol=0", "1", "2"));
	assert_false(same("numeric:rtol=0.5,atol=0", "1", "2.0000001"));
}

static void one_number_may_be_written_in_many_ways(void **state)
{
	(void)state;
	static const char *const one[] = { "1", "+1", "1.", "1.0", "001", "1e0", "1E+00", "10e-1",
		".1e1", "0.1e01" };

	for (size_t i = 0; i < ARRAY_LEN(one); i++)
		for (size_t k = 0; k < ARRAY_LEN(one); k++)
			assert_true(same(NONE, one[i], one[k]));
	assert_true(same(NONE, "0", "-0"));
	assert_true(same(NONE, "-0.0", "0e5"));
}

static void what_is_no_number_is_compared_by_its_bytes(void **state)
{
	(void)state;
	static const char *const pairs[][2] = { { "0x10", "16" }, { "1_000", "1000" },
		{ "1e", "1" }, { ".", "0" }, { "-", "0" }, { "+-1", "-1" }, { "--1", "1" },
		{ "1.2.3", "1.2" }, { "1e5.0", "1e5" }, { "a", "b" }, { "1d0", "1" },
		{ "0x1p3", "8" }, { "1e+", "1" }, { "\xd9\xa1", "1" }, { "e5", "0" },
		{ "nan1", "nan" }, { "nan(1)", "nan" }, { "infinit", "inf" }, { "1f", "1" },
		{ "1e999", "1e998" }, { "1e999", "inf" } };
	char longer[200], other[200];

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		assert_false(same("numeric:rtol=0.9,atol=1e300", pairs[i][0], pairs[i][1]));
		assert_true(same(NONE, pairs[i][0], pairs[i][0]));
	}
	snprintf(longer, sizeof(longer), "0.%0130d", 1);
	snprintf(other, sizeof(other), "0.%0130d", 2);
	assert_false(same(ABS, longer, other));
	assert_true(
		same("numeric:rtol=0,atol=1", longer + 10, other + 10)); /* of 122 bytes: numbers */
	assert_false(same_n(ABS, "1\0", 2, "1", 1));
}

static void nan_equals_nan_and_infinity_its_like_alone(void **state)
{
	(void)state;
	assert_true(same(NONE, "nan", "NaN"));
	assert_true(same(NONE, "-nan", "nan"));
	assert_true(same(NONE, "inf", "+Infinity"));
	assert_true(same(NONE, "-inf", "-INFINITY"));
	assert_false(same("numeric:rtol=0.9,atol=1e300", "inf", "-inf"));
	assert_false(same("numeric:rtol=0.9,atol=1e300", "inf", "1e308"));
	assert_false(same("numeric:rtol=0.9,atol=1e300", "nan", "0"));
	assert_false(same("numeric:rtol=0.9,atol=1e300", "nan", "inf"));
}

static void whole_numbers_that_no_double_tells_apart_are_compared_by_their_bytes(void **state)
{
	(void)state;
	assert_false(same(ABS, "9007199254740993", "9007199254740992"));
	assert_false(same(REL, "1234567890123456", "1234567890123457"));
	assert_true(same(REL, "123456789012345", "123456789012346"));
	assert_true(same(REL, "1234567890123456.0", "1234567890123457"));
	assert_true(same(REL, "000000000000000000001", "1"));
	assert_false(same(ABS, "-9007199254740993", "9007199254740993"));
}

static void an_empty_output_equals_an_empty_one_only(void **state)
{
	(void)state;
	assert_true(same(ABS, "", ""));
	assert_false(same(ABS, "", "0"));
	assert_false(same(ABS, "", " "));
	assert_false(same(ABS, "", "\n"));
}

static void blanks_only_separate_and_lines_count(void **state)
{
	(void)state;
	assert_true(same(REL, "  1.0\t2.0\r\n", "1 2 \n"));
	assert_true(same(REL, "a,1", "a, 1"));
	assert_false(same(REL, "1 2\n3", "1 2 3"));
	assert_false(same(REL, "1\n", "1"));
	assert_false(same(REL, "1\n\n2", "1\n2"));
	assert_false(same(REL, "12", "1 2"));
	assert_false(same(REL, "a b", "ab"));
}

static void punctuation_stands_for_itself(void **state)
{
	(void)state;
	assert_true(
		same(REL, "{\"x\": [1.0, 2.0], 'y'=(3;4)<5>|6}", "{\"x\":[1,2],'y'=(3;4)<5>|6}"));
	assert_false(same(REL, "1,2", "1;2"));
	assert_false(same(REL, "1,2", "1 2"));
	assert_false(same(REL, "[1]", "1"));
	assert_false(same(REL, "1,,2", "1,2"));
}

static void another_order_is_another_output(void **state)
{
	(void)state;
	assert_false(same(REL, "1 2", "2 1"));
	assert_false(same(REL, "a 1\nb 2\n", "b 2\na 1\n"));
	assert_false(same(REL, "1 2 3", "1 2"));
}

static void the_relation_is_not_transitive(void **state)
{
	(void)state;
	assert_true(same(ABS, "1.0", "1.4"));
	assert_true(same(ABS, "1.4", "1.8"));
	assert_false(same(ABS, "1.0", "1.8"));
}

static void how_is_read_strictly(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "Exact", "exact ", "numeric",
		"numeric:", "numeric:rtol=1e-6", "numeric:atol=0,rtol=0",
		"numeric:rtol=1e-6,atol=", "numeric:rtol=,atol=0", "numeric:rtol=1,atol=0",
		"numeric:rtol=-1e-6,atol=0", "numeric:rtol=0,atol=-1", "numeric:rtol=nan,atol=0",
		"numeric:rtol=0,atol=inf", "numeric:rtol=0,atol=1e301", "numeric:rtol=0,atol=0 ",
		"numeric:rtol=0,atol=0,x=1", "numeric:rtol=0x1,atol=0", "program:x",
		"numeric:rtol= 0,atol=0" };
	struct comparison c;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(compare_parse(&c, bad[i], "compare_by", &e), -1);
		assert_int_equal(e.code, ERR_FIELD);
		assert_string_equal(e.field, "compare_by");
	}
	assert_int_equal(compare_parse(&c, "numeric:rtol=1e-6,atol=.5", "compare", &e), 0);
	assert_true(c.kind == COMPARE_NUMERIC && c.rtol == 1e-6 && c.atol == 0.5);
	assert_int_equal(compare_parse(&c, "program", "compare", &e), 0);
	assert_int_equal(c.kind, COMPARE_PROGRAM);
	assert_int_equal(compare_parse(&c, "exact", "compare", &e), 0);
	assert_int_equal(c.kind, COMPARE_EXACT);
}

static int a_file(const char *text, off_t size)
{
	char path[] = "/tmp/talkoot-compare-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0 && !unlink(path));
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(ftruncate(fd, size), 0);
	return fd;
}

static int files(const char *how, const char *a, off_t na, const char *b, off_t nb)
{
	auto_close int x = a_file(a, na), y = a_file(b, nb);
	struct comparison c;

	assert_int_equal(compare_parse(&c, how, "compare", &e), 0);
	return compare_files(&c, x, y, &e);
}

static void files_are_compared_like_texts_and_huge_ones_by_their_bytes(void **state)
{
	(void)state;
	off_t huge = COMPARE_NUMERIC_MAX + 1;

	assert_int_equal(files(ABS, "1.0", 3, "1.1", 3), 1);
	assert_int_equal(files(ABS, "1.0", 3, "2.1", 3), 0);
	assert_int_equal(files(ABS, "", 0, "", 0), 1);
	assert_int_equal(files(ABS, "", 0, "1", 1), 0);
	assert_int_equal(files("exact", "1.0", 3, "1.1", 3), 0);
	assert_int_equal(files("exact", "1.0", 3, "1.0", 3), 1);
	assert_int_equal(files(ABS, "1.0", huge, "1.0", huge), 1);
	assert_int_equal(files(ABS, "1.0", huge, "1.1", huge), 0);
	assert_int_equal(files(ABS, "1.0", huge, "1.0", huge - 1), 0);
}

static void only_0_and_1_are_answers_of_a_comparator(void **state)
{
	(void)state;
	static const struct {
		int status, answer;
	} cases[] = { { 0, 1 }, { 1 << 8, 0 }, { 2 << 8, -1 }, { 124 << 8, -1 }, { 125 << 8, -1 },
		{ 139 << 8, -1 }, { 9, -1 } };
	char why[80];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		why[0] = '\0';
		assert_int_equal(comparator_answer(cases[i].status, why), cases[i].answer);
		assert_int_equal(why[0] != '\0', cases[i].answer < 0);
	}
}

static void another_end_or_other_files_never_agree(void **state)
{
	(void)state;
	struct output one[] = { { .name = (char *)(uintptr_t) "stdout" } };
	struct output two[] = { { .name = (char *)(uintptr_t) "files/a" }, one[0] };
	struct output three[] = { { .name = (char *)(uintptr_t) "files/b" }, one[0] };
	struct result a = { .outputs = one, .n_outputs = 1 }, b = a;

	assert_true(results_end_alike(&a, &b));
	b.exit = 1;
	assert_false(results_end_alike(&a, &b));
	b = a;
	b.signal = 9;
	assert_false(results_end_alike(&a, &b));
	b = (struct result){ .outputs = two, .n_outputs = 2 };
	assert_false(results_end_alike(&a, &b));
	a = (struct result){ .outputs = three, .n_outputs = 2 };
	assert_false(results_end_alike(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_within_the_tolerance_are_equal),
		cmocka_unit_test(one_number_may_be_written_in_many_ways),
		cmocka_unit_test(what_is_no_number_is_compared_by_its_bytes),
		cmocka_unit_test(nan_equals_nan_and_infinity_its_like_alone),
		cmocka_unit_test(
			whole_numbers_that_no_double_tells_apart_are_compared_by_their_bytes),
		cmocka_unit_test(an_empty_output_equals_an_empty_one_only),
		cmocka_unit_test(blanks_only_separate_and_lines_count),
		cmocka_unit_test(punctuation_stands_for_itself),
		cmocka_unit_test(another_order_is_another_output),
		cmocka_unit_test(the_relation_is_not_transitive),
		cmocka_unit_test(how_is_read_strictly),
		cmocka_unit_test(files_are_compared_like_texts_and_huge_ones_by_their_bytes),
		cmocka_unit_test(only_0_and_1_are_answers_of_a_comparator),
		cmocka_unit_test(another_end_or_other_files_never_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
