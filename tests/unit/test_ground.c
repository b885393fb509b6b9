/* SPDX-License-Identifier: Apache-2.0
 *
 * test_ground.c: memory, errors, growing bytes, files, and what reaches a terminal.
 */
#include "common/base.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "tests/unit/vectors.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static void taking_leaves_nothing_behind(void **state)
{
	(void)state;
	char *p = xstrdup("mine");
	auto_free char *q = TAKE(p);

	assert_null(p);
	assert_string_equal(q, "mine");
}

static void arrays_grow_to_hold_any_index(void **state)
{
	(void)state;
	int *at = NULL;
	size_t room = 0;

	for (size_t i = 0; i < 1000; i++) {
		array_room(&at, &room, i, sizeof(*at));
		assert_true(room > i);
		at[i] = (int)i;
	}
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(at[i], (int)i);
	free(at);
}

static void splitmix64_is_the_published_one(void **state)
{
	(void)state;
	/* the first values of seed 1234567, as published with the algorithm */
	uint64_t s = 1234567;

	assert_int_equal(rng_next(&s), 6457827717110365317u);
	assert_int_equal(rng_next(&s), 3203168211198807973u);
	assert_int_equal(rng_next(&s), 9817491932198370423u);
}

static void drawing_stays_below_and_reaches_all(void **state)
{
	(void)state;
	uint64_t s = 7;
	int seen[5] = { 0 };

	for (int i = 0; i < 1000; i++) {
		uint64_t n = rng_below(&s, 5);

		assert_true(n < 5);
		seen[n]++;
	}
	for (int i = 0; i < 5; i++)
		assert_true(seen[i] > 100);
	assert_int_equal(rng_below(&s, 1), 0);
	assert_true(rng_below(&s, UINT64_MAX) < UINT64_MAX);
}

static void an_error_keeps_its_context_and_field(void **state)
{
	(void)state;
	struct err e;

	assert_int_equal(err_field(&e, "limits.cpu_s", "is %d", 0), -1);
	assert_int_equal(e.code, ERR_FIELD);
	assert_string_equal(e.field, "limits.cpu_s");
	assert_string_equal(e.msg, "field limits.cpu_s: is 0");
	assert_int_equal(err_wrap(&e, "line %d", 3), -1);
	assert_string_equal(e.msg, "line 3: field limits.cpu_s: is 0");
	assert_string_equal(e.field, "limits.cpu_s");
	errno = ENOSPC;
	err_sys(&e, "writing %s", "x");
	assert_int_equal(e.code, ERR_FULL);
	assert_string_equal(e.field, "");
	errno = EACCES;
	err_sys(&e, "writing %s", "x");
	assert_int_equal(e.code, ERR_SYSTEM);
	assert_string_equal(e.msg, "writing x: Permission denied");
}

static void a_long_error_is_cut_not_overflowed(void **state)
{
	(void)state;
	auto_free char *big = xmalloc(5000);
	struct err e;

	memset(big, 'x', 4999);
	big[4999] = '\0';
	err_field(&e, big, "%s", big);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	assert_int_equal(strlen(e.field), sizeof(e.field) - 1);
	for (int i = 0; i < 100; i++)
		err_wrap(&e, "%s", big);
	errno = EIO;
	err_sys(&e, "%s", big);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
}

/* Whether jansson takes it, as the problem documents need. */
static bool is_utf8(const char *s)
{
	json_t *j = json_string(s);

	json_decref(j);
	return j != NULL;
}

static void an_error_is_utf8_whatever_went_into_it(void **state)
{
	(void)state;
	static const char *const bad[] = { "\xff", "a\xc3", "\xc0\x80", "\xed\xa0\x80",
		"\xf4\x90\x80\x80", "\xe2\x82", "\xf8\x88\x80\x80\x80", "\x80", "\xe0\x9f\xbf",
		"\xf0\x8f\xbf\xbf" };
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		err_set(&e, ERR_MALFORMED, "%s", bad[i]);
		assert_true(is_utf8(e.msg));
		assert_non_null(strchr(e.msg, '?'));
		err_field(&e, bad[i], "%s", bad[i]);
		assert_true(is_utf8(e.msg));
		assert_true(is_utf8(e.field));
		err_wrap(&e, "%s", bad[i]);
		assert_true(is_utf8(e.msg));
	}
	err_set(&e, ERR_MALFORMED, "%s", "grün € 😀");
	assert_string_equal(e.msg, "grün € 😀");
	err_set(&e, ERR_MALFORMED, "%.2s", "a€");
	assert_string_equal(e.msg, "a?");
	/* cut at every place of a character */
	auto_free char *long_text = xmalloc(4000);
	for (size_t shift = 0; shift < 4; shift++) {
		memset(long_text, 'x', shift);
		for (size_t i = shift; i + 4 < 4000; i += 4)
			memcpy(long_text + i, "😀", 5);
		err_field(&e, long_text, "%s", long_text);
		assert_true(is_utf8(e.msg));
		assert_true(is_utf8(e.field));
	}
}

static void every_code_has_a_name_and_comes_back_by_it(void **state)
{
	(void)state;
#define X(code, name, status, exit_code, title)                                                    \
	assert_int_equal(err_by_name(name), code);                                                 \
	assert_string_equal(err_name(code), name);                                                 \
	assert_int_equal(err_status(code), status);                                                \
	assert_int_equal(err_exit(code), exit_code);                                               \
	assert_string_equal(err_title(code), title);
	ERR_TABLE(X)
#undef X
	assert_int_equal(err_by_name("nonsense"), ERR_INTERNAL);
}

static void a_buffer_is_terminated_at_every_length(void **state)
{
	(void)state;
	struct buf b = { 0 };

	buf_add(&b, NULL, 0);
	assert_string_equal(b.data, "");
	for (size_t i = 0; i < 3000; i++) {
		if (i % 3)
			buf_add(&b, "z", 1);
		else
			buf_printf(&b, "%c", 'z');
		assert_int_equal(strlen(b.data), b.len);
		assert_int_equal(b.len, i + 1);
	}
	auto_free char *text = buf_take(&b);
	assert_int_equal(strlen(text), 3000);
	assert_null(b.data);
	auto_free char *empty = buf_take(&b);
	assert_string_equal(empty, "");
	buf_text(&b, "again");
	buf_release(&b);
	assert_int_equal(b.len, 0);
}

static void a_file_is_read_whole_or_refused(void **state)
{
	(void)state;
	char *dir = fresh_folder();
	auto_free char *path = xprintf("%s/f", dir);
	auto_free char *big = xcalloc(50000, 1);
	char *text;
	struct err e;
	size_t n;

	assert_int_equal(file_write_atomic(path, big, 50000, 0600, &e), 0);
	assert_int_equal(file_read(&text, &n, path, 50000, &e), 0);
	assert_int_equal(n, 50000);
	assert_int_equal(text[n], '\0');
	free(text);
	assert_int_equal(file_read(&text, &n, path, 49999, &e), -1);
	assert_int_equal(e.code, ERR_TOO_BIG);
	assert_int_equal(file_read(&text, &n, "/nowhere/f", 1, &e), -1);
	assert_int_equal(e.code, ERR_SYSTEM);
	assert_int_equal(file_read(&text, &n, dir, 1, &e), -1); /* a folder */
	drop_folder(dir);
}

static void of_a_long_file_the_end_is_read_and_of_a_link_nothing(void **state)
{
	(void)state;
	char *dir = fresh_folder();
	auto_free char *path = xprintf("%s/f", dir), *link = xprintf("%s/l", dir);
	struct err e;
	size_t n;

	assert_null(file_tail(&n, path, 4));
	assert_int_equal(file_write_atomic(path, "", 0, 0600, &e), 0);
	assert_null(file_tail(&n, path, 4));
	assert_int_equal(file_write_atomic(path, "abcdef", 6, 0600, &e), 0);
	for (size_t max = 1; max < 9; max++) {
		auto_free char *end = file_tail(&n, path, max);

		assert_int_equal(n, max < 6 ? max : 6);
		assert_string_equal(end, &"abcdef"[6 - n]);
	}
	assert_int_equal(symlink(path, link), 0);
	assert_null(file_tail(&n, link, 4));
	assert_null(file_tail(&n, dir, 4));
	drop_folder(dir);
}

static void of_what_a_program_said_the_last_line_counts(void **state)
{
	static const struct {
		const char *said, *last;
	} cases[] = { { "", "" }, { "\n\n", "" }, { "it broke", "it broke" }, { "a\nb\n", "b" }, { "a\nit: b\n\n", "b" },
		{ "it: a: b", "a: b" }, { "item: b", "item: b" }, { "it:", "it:" }, { "\033[2J", "\\x1b[2J" } };
	(void)state;
	char *dir = fresh_folder();
	auto_free char *path = xprintf("%s/f", dir);
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(file_write_atomic(path, cases[i].said, strlen(cases[i].said), 0600, &e), 0);
		auto_free char *last = file_last_said(path, "it");

		assert_string_equal(last, cases[i].last);
	}
	auto_free char *none = file_last_said("/nowhere/f", "it");
	assert_string_equal(none, "");
	drop_folder(dir);
}

static void an_atomic_write_replaces_all_or_nothing(void **state)
{
	(void)state;
	char *dir = fresh_folder();
	auto_free char *path = xprintf("%s/f", dir);
	auto_free char *in_file = xprintf("%s/f/g", dir);
	auto_free char *text = NULL;
	struct stat st;
	struct err e;

	assert_int_equal(file_write_atomic(path, "one", 3, 0640, &e), 0);
	assert_int_equal(file_write_atomic(path, "two", 3, 0600, &e), 0);
	assert_int_equal(file_read(&text, NULL, path, 10, &e), 0);
	assert_string_equal(text, "two");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(file_write_atomic(in_file, "x", 1, 0600, &e), -1);
	/* a folder of that name cannot be replaced; nothing may be left lying about */
	auto_free char *sub = xprintf("%s/d/e", dir);
	auto_free char *d = xprintf("%s/d", dir);
	assert_int_equal(make_dirs(sub, 0700, &e), 0);
	assert_int_equal(file_write_atomic(d, "x", 1, 0600, &e), -1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(sub), 0);
	assert_int_equal(rmdir(d), 0);
	assert_int_equal(rmdir(dir), 0); /* so it was empty */
	free(dir);
}

static void folders_are_made_on_the_way(void **state)
{
	(void)state;
	char *dir = fresh_folder();
	auto_free char *deep = xprintf("%s/a//b/c/", dir);
	auto_free char *file = xprintf("%s/f", dir);
	auto_free char *below = xprintf("%s/f/x", dir);
	struct err e;

	assert_int_equal(make_dirs(deep, 0700, &e), 0);
	assert_int_equal(make_dirs(deep, 0700, &e), 0);
	assert_int_equal(access(deep, F_OK), 0);
	assert_int_equal(file_write_atomic(file, "", 0, 0600, &e), 0);
	assert_int_equal(make_dirs(file, 0700, &e), -1);
	assert_int_equal(make_dirs(below, 0700, &e), -1);
	assert_int_equal(make_dirs("", 0700, &e), -1);
	assert_int_equal(make_dirs("/", 0700, &e), 0);
	drop_folder(dir);
}

static void removing_a_tree_does_not_follow_links(void **state)
{
	(void)state;
	char *dir = fresh_folder(), *other = fresh_folder();
	auto_free char *kept = xprintf("%s/kept", other);
	auto_free char *sub = xprintf("%s/sub", dir);
	auto_free char *link = xprintf("%s/sub/link", dir);
	struct err e;

	assert_int_equal(file_write_atomic(kept, "x", 1, 0600, &e), 0);
	assert_int_equal(make_dirs(sub, 0700, &e), 0);
	assert_int_equal(symlink(other, link), 0);
	drop_folder(dir);
	assert_int_equal(access(kept, F_OK), 0);
	drop_folder(other);
	assert_int_equal(remove_tree("/nowhere/at/all", &e), 0);
}

static void assert_safe(const char *in, size_t n, const char *out)
{
	auto_free char *safe = text_safe(in, n);

	assert_string_equal(safe, out);
}

static void what_a_terminal_would_obey_is_escaped(void **state)
{
	(void)state;
	assert_safe("plain grün € 😀", strlen("plain grün € 😀"), "plain grün € 😀");
	assert_safe("\x1b[31m", 5, "\\x1b[31m");
	assert_safe("a\nb\tc\0d\x7f", 8, "a\\x0ab\\x09c\\x00d\\x7f");
	assert_safe("\xc2\x9b", 2, "\\xc2\\x9b");          /* C1: CSI */
	assert_safe("\xe2\x80\xae", 3, "\\xe2\\x80\\xae"); /* right-to-left override */
	assert_safe("\xe2\x81\xa6", 3, "\\xe2\\x81\\xa6"); /* isolate */
	assert_safe("\xe2\x80\xa8", 3, "\\xe2\\x80\\xa8"); /* line separator */
	assert_safe("\xff\xc0\x80\xed\xa0\x80", 6, "\\xff\\xc0\\x80\\xed\\xa0\\x80");
	assert_safe("\xe2\x82", 2, "\\xe2\\x82"); /* cut */
	assert_safe("\xf5\x80\x80\x80", 4, "\\xf5\\x80\\x80\\x80");
	assert_safe("", 0, "");
}

static void every_two_bytes_come_out_as_printable_utf8(void **state)
{
	(void)state;
	char in[2];

	for (unsigned i = 0; i < 65536; i++) {
		in[0] = (char)(i >> 8), in[1] = (char)i;
		auto_free char *safe = text_safe(in, 2);

		for (const char *c = safe; *c; c++)
			if ((unsigned char)*c < 0x20 || *c == 0x7f)
				fail_msg("%04x gave a control character", i);
		if (!is_utf8(safe))
			fail_msg("%04x gave bad UTF-8", i);
	}
}

static void naughty_strings_are_safe_for_a_terminal(void **state)
{
	(void)state;
	auto_json_unit json_t *all = vectors_json("blns/blns.json");
	json_t *j;
	size_t i;

	if (!all)
		skip();
	json_array_foreach (all, i, j) {
		auto_free char *safe = text_safe(json_string_value(j), json_string_length(j));

		assert_true(is_utf8(safe));
		for (const char *c = safe; *c; c++)
			assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
		assert_null(strstr(safe, "\xe2\x80\xae"));
	}
	assert_true(i > 500);
}

static void a_log_line_is_one_line(void **state)
{
	(void)state;
	char *dir = fresh_folder();
	auto_free char *path = xprintf("%s/log", dir);
	auto_free char *text = NULL, *big = xmalloc(10000);
	struct err e;

	memset(big, '\n', 9999);
	big[9999] = '\0';
	fflush(stderr);
	int old = dup(2), fd = open(path, O_WRONLY | O_CREAT, 0600);
	dup2(fd, 2);
	log_open("unit", LOG_WARN);
	log_info("not said");
	log_warn("one\n%s", "two\x1b[2J");
	log_error("%s", big);
	complain("%s", "three\r");
	fflush(stderr);
	dup2(old, 2);
	close(old);
	close(fd);
	log_open("talkoot", LOG_INFO);
	assert_int_equal(file_read(&text, NULL, path, 100000, &e), 0);
	int lines = 0;
	for (char *c = text; *c; c++)
		lines += *c == '\n';
	assert_int_equal(lines, 3);
	assert_non_null(strstr(text, "unit: warn: one\\x0atwo\\x1b[2J\n"));
	assert_non_null(strstr(text, "unit: three\\x0d\n"));
	assert_null(strstr(text, "not said"));
	drop_folder(dir);
}

static void log_levels_have_names(void **state)
{
	(void)state;
	assert_int_equal(log_level_by_name("error"), LOG_ERROR);
	assert_int_equal(log_level_by_name("debug"), LOG_DEBUG);
	assert_int_equal(log_level_by_name("loud"), -1);
	assert_int_equal(log_level_by_name(""), -1);
}

static void clocks_run_forward(void **state)
{
	(void)state;
	int64_t a = clock_mono_ms(), b = clock_mono_ms();

	assert_true(b >= a);
	assert_true(clock_now_ms() > 1700000000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(taking_leaves_nothing_behind),
		cmocka_unit_test(arrays_grow_to_hold_any_index),
		cmocka_unit_test(splitmix64_is_the_published_one),
		cmocka_unit_test(drawing_stays_below_and_reaches_all),
		cmocka_unit_test(an_error_keeps_its_context_and_field),
		cmocka_unit_test(a_long_error_is_cut_not_overflowed),
		cmocka_unit_test(an_error_is_utf8_whatever_went_into_it),
		cmocka_unit_test(every_code_has_a_name_and_comes_back_by_it),
		cmocka_unit_test(a_buffer_is_terminated_at_every_length),
		cmocka_unit_test(a_file_is_read_whole_or_refused),
		cmocka_unit_test(of_a_long_file_the_end_is_read_and_of_a_link_nothing),
		cmocka_unit_test(of_what_a_program_said_the_last_line_counts),
		cmocka_unit_test(an_atomic_write_replaces_all_or_nothing),
		cmocka_unit_test(folders_are_made_on_the_way),
		cmocka_unit_test(removing_a_tree_does_not_follow_links),
		cmocka_unit_test(what_a_terminal_would_obey_is_escaped),
		cmocka_unit_test(every_two_bytes_come_out_as_printable_utf8),
		cmocka_unit_test(naughty_strings_are_safe_for_a_terminal),
		cmocka_unit_test(a_log_line_is_one_line),
		cmocka_unit_test(log_levels_have_names),
		cmocka_unit_test(clocks_run_forward),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
