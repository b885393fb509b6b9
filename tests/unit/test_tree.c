/* SPDX-License-Identifier: Apache-2.0
 *
 * test_tree.c: names and the tree stream: one spelling, and nothing else is taken.
 */
#include "image/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect_clean(const char *raw, const char *clean)
{
	char out[NAME_BYTES_MAX + 1];
	struct err e = { 0 };
	int bad = name_clean(out, raw, &e);

	assert_int_equal(bad, clean ? 0 : -1);
	if (clean)
		assert_string_equal(out, clean);
}

static void an_archives_name_becomes_a_good_path_or_is_refused(void **s)
{
	char long_part[NAME_PART_MAX + 2], deep[2 * NAME_DEPTH_MAX + 4] = "x";

	(void)s;
	expect_clean("./a/./b//c/", "a/b/c");
	expect_clean("/a", "a");
	expect_clean("./", "");
	expect_clean("", "");
	expect_clean("...", "...");
	expect_clean("a/..b", "a/..b");
	expect_clean("..", NULL);
	expect_clean("/../a", NULL);
	expect_clean("a/b/..", NULL);
	memset(long_part, 'n', sizeof(long_part));
	long_part[NAME_PART_MAX + 1] = 0;
	expect_clean(long_part, NULL);
	expect_clean(long_part + 1, long_part + 1);
	for (int i = 1; i < NAME_DEPTH_MAX; i++)
		strcat(deep, "/x");
	expect_clean(deep, deep);
	strcat(deep, "/x");
	expect_clean(deep, NULL);
}

static void a_quoted_name_has_one_spelling(void **s)
{
	static const char *const wrong[] = { "%61", "%c3", "%", "%4", "a b", "%00", "a\n", "\xc3",
		"%GG" };
	char all[256], quoted[NAME_QUOTED_MAX + 1], back[NAME_BYTES_MAX + 1];

	(void)s;
	for (int i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	name_quote(quoted, all, 255);
	assert_int_equal(name_unquote(back, quoted, strlen(quoted)), 255);
	assert_memory_equal(back, all, 255);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(name_unquote(back, wrong[i], strlen(wrong[i])), -1);
}

/* Read a whole stream; the number of records, or -1 with `e` set. */
static int read_stream(const char *text, size_t n, int64_t most, struct err *e)
{
	static struct tree_record rec;
	struct tree_reader r;
	FILE *f = fmemopen((void *)(uintptr_t)text, n, "r");
	int more = tree_open(&r, f, most, e) ? -1 : 1;

	while (more > 0)
		more = tree_next(&r, &rec, e);
	fclose(f);
	return more < 0 ? -1 : (int)r.records;
}

static void refused(const char *body, const char *why)
{
	auto_free char *text = xprintf("talkoot-tree 1\n%s", body);
	struct err e = { 0 };

	assert_int_equal(read_stream(text, strlen(text), 100, &e), -1);
	if (!strstr(e.msg, why))
		fail_msg("%s: '%s' does not say '%s'", body, e.msg, why);
}

static void what_was_written_is_read(void **s)
{
	static struct tree_record rec;
	struct tree_writer w;
	struct tree_reader r;
	struct err e = { 0 };
	char *text = NULL, bytes[8];
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	(void)s;
	tree_begin(&w, f);
	tree_folder(&w, 0755, "a b");
	tree_file(&w, 0640, 7, 5, "a b/\xff");
	tree_bytes(&w, "he", 2);
	tree_bytes(&w, "llo", 3);
	tree_link(&w, "l", "/any where");
	tree_name(&w, "h", "a b/\xff");
	assert_int_equal(tree_end(&w, &e), 0);
	fclose(f);
	assert_string_equal(text, "talkoot-tree 1\nd 0755 a%20b\nf 0640 7 5 a%20b/%FF\nhello"
				  "l 10 l\n/any whereh 5 h\na b/\xff"
				  "e 4\n");
	f = fmemopen(text, n, "r");
	assert_int_equal(tree_open(&r, f, 5, &e), 0);
	assert_int_equal(tree_next(&r, &rec, &e), 1);
	assert_int_equal(rec.kind, TREE_FOLDER);
	assert_int_equal(tree_next(&r, &rec, &e), 1);
	assert_string_equal(rec.path, "a b/\xff");
	assert_int_equal(rec.mode, 0640);
	assert_int_equal(rec.mtime_s, 7);
	assert_int_equal(tree_read(&r, bytes, 3, &e), 3);
	assert_memory_equal(bytes, "hel", 3); /* the rest is passed over */
	assert_int_equal(tree_next(&r, &rec, &e), 1);
	assert_string_equal(rec.text, "/any where");
	assert_int_equal(tree_next(&r, &rec, &e), 1);
	assert_string_equal(rec.text, "a b/\xff");
	assert_int_equal(tree_next(&r, &rec, &e), 0);
	fclose(f);
	free(text);
}

static void whatever_is_not_exactly_right_is_refused(void **s)
{
	(void)s;
	refused("", "cut short");
	refused("d 0755 a\n", "cut short");
	refused("d 0755 a\ne 0\n", "number of records");
	refused("e 00\n", "number of records");
	refused("e 0\n\n", "follows the end");
	refused("d 755 a\ne 1\n", "no 'd MODE PATH'");
	refused("d 1755 a\ne 1\n", "no 'd MODE PATH'");
	refused("d 0755 a/\ne 1\n", "no 'd MODE PATH'");
	refused("d 0755 ./a\ne 1\n", "no 'd MODE PATH'");
	refused("d 0755 \ne 1\n", "no 'd MODE PATH'");
	refused("d  0755 a\ne 1\n", "no 'd MODE PATH'");
	refused("f 0644 0 -1 a\ne 1\n", "no 'f MODE");
	refused("f 0644 0 9 a\nxye 1\n", "cut short");
	refused("f 0644 4294967296 0 a\ne 1\n", "no 'f MODE");
	refused("f 0644 0 99999999999999999999 a\ne 1\n", "no 'f MODE");
	refused("f 0644 0 101 a\n", "more than");
	refused("l 0 a\ne 1\n", "text is empty");
	refused("l 4096 a\n", "of a link");
	refused("h 2 a\n..e 1\n", "no good path");
	refused("x 0 a\n", "of no kind");
	refused("d\n", "no record");
}

static void files_are_bounded_together(void **s)
{
	static const char text[] = "talkoot-tree 1\nf 0644 0 3 a\nabcf 0644 0 3 b\nabce 2\n";
	struct err e = { 0 };

	(void)s;
	assert_int_equal(read_stream(text, strlen(text), 6, &e), 2);
	assert_int_equal(read_stream(text, strlen(text), 5, &e), -1);
}

static void records_are_bounded(void **s)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	struct err e = { 0 };

	(void)s;
	fputs("talkoot-tree 1\n", f);
	for (int i = 0; i < TREE_RECORDS_MAX; i++)
		fputs("d 0755 a\n", f);
	fprintf(f, "e %d\n", TREE_RECORDS_MAX);
	fclose(f);
	assert_int_equal(read_stream(text, n, 0, &e), TREE_RECORDS_MAX);
	memcpy(text + n - 9, "d 0755 a\n", 9);
	assert_int_equal(read_stream(text, n, 0, &e), -1);
	assert_non_null(strstr(e.msg, "262144"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_archives_name_becomes_a_good_path_or_is_refused),
		cmocka_unit_test(a_quoted_name_has_one_spelling),
		cmocka_unit_test(what_was_written_is_read),
		cmocka_unit_test(whatever_is_not_exactly_right_is_refused),
		cmocka_unit_test(files_are_bounded_together),
		cmocka_unit_test(records_are_bounded),
	};

	return cmocka_run_group_tests_name("tree", tests, NULL, NULL);
}
