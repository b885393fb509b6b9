/* SPDX-License-Identifier: Apache-2.0
 *
 * test_tabulate.c: results folders, and those of retries beside them, become one table; what was changed does not.
 */
#include "jobs/resdir.h"
#include "jobs/table_out.h"
#include "jobs/tabulate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct err e;
static char *top;

static int make_top(void **s)
{
	char path[] = "/tmp/test_tabulate.XXXXXX";

	(void)s;
	top = mkdtemp(path) ? xstrdup(path) : NULL;
	return top ? 0 : -1;
}

static int drop_top(void **s)
{
	(void)s;
	remove_tree(top, &e);
	free(top);
	return 0;
}

/* DIR/NAME below the test's folder. */
static void put(const char *dir, const char *name, const char *text)
{
	auto_free char *path = xprintf("%s/%s/%s", top, dir, name);
	auto_free char *parent = xstrdup(path);

	*strrchr(parent, '/') = '\0';
	if (make_dirs(parent, 0700, &e) || file_write_atomic(path, text, strlen(text), 0600, &e))
		fail_msg("%s", e.msg);
}

static void add_line(
	struct buf *b, int64_t index, const char *state, const char *out, const char *more)
{
	struct digest d = digest_of(out, strlen(out));
	char text[DIGEST_TEXT + 1];

	digest_text(text, &d);
	buf_printf(b, "{\"index\":%lld,\"state\":\"%s\"", (long long)index, state);
	if (!strcmp(state, "valid"))
		buf_printf(b, ",\"stdout\":\"%s\"", text);
	buf_printf(b, "%s}\n", more);
}

/* Four tasks: 0 and 2 valid, 1 and 3 not. */
static void put_job(void)
{
	auto_buf struct buf b = { 0 };

	add_line(&b, 0, "valid", "zero\n", ",\"params\":{\"k\":\"a\"}");
	add_line(&b, 1, "failed", "", ",\"params\":{\"k\":\"b\"},\"why\":\"no agreement\"");
	add_line(&b, 2, "valid", "two\n", ",\"params\":{\"k\":\"c\"}");
	add_line(&b, 3, "cancelled", "", ",\"params\":{\"k\":\"d\"}");
	put("job", RESDIR_RESULTS, b.data);
	put("job", "0/stdout", "zero\n");
	put("job", "2/stdout", "two\n");
}

/* What tabulate() writes; NULL with `e` when it refuses. Yours. */
static char *table(const char *retry1, const char *retry2)
{
	auto_free char *dir = xprintf("%s/job", top),
		       *one = xprintf("%s/%s", top, retry1 ? retry1 : "");
	auto_free char *two = xprintf("%s/%s", top, retry2 ? retry2 : "");
	struct tabulate t = {
		.dir = dir, .retries = { one, two }, .n_retries = (size_t) !!retry1 + !!retry2
	};
	FILE *out = tmpfile();
	char *text = NULL;
	size_t n;

	assert_non_null(out);
	if (!tabulate(&t, out, &e)) {
		rewind(out);
		assert_int_equal(fd_read_all(&text, &n, fileno(out), 1 << 20, &e), 0);
	}
	fclose(out);
	return text;
}

#define HEAD "index,state,k,stdout,why\r\n"

static void a_folder_is_a_table_and_what_failed_is_empty(void **s)
{
	(void)s;
	put_job();
	auto_free char *got = table(NULL, NULL);
	assert_string_equal(got, HEAD "0,valid,a,zero,\r\n1,failed,b,,no "
				      "agreement\r\n2,valid,c,two,\r\n3,cancelled,d,,\r\n");
}

static void retries_take_the_rows_that_are_not_valid(void **s)
{
	auto_buf struct buf b = { 0 }, c = { 0 };

	(void)s;
	put_job();
	add_line(
		&b, 0, "valid", "again\n", ",\"of\":3,\"params\":{\"k\":\"d\"}"); /* in any order */
	add_line(&b, 1, "failed", "", ",\"of\":1,\"params\":{\"k\":\"b\"},\"why\":\"no worker\"");
	add_line(&b, 2, "valid", "not wanted\n", ",\"of\":0");
	add_line(&b, 3, "valid", "not ours\n", "");
	add_line(&b, 4, "valid", "far away\n", ",\"of\":9999999999");
	put("r1", RESDIR_RESULTS, b.data);
	put("r1", "0/stdout", "again\n");
	add_line(&c, 0, "failed", "", ",\"of\":3,\"why\":\"worse\"");
	add_line(&c, 1, "failed", "", ",\"of\":1,\"params\":{\"k\":\"b\"},\"why\":\"last\"");
	put("r2", RESDIR_RESULTS, c.data);
	auto_free char *one = table("r1", NULL);
	assert_string_equal(one, HEAD "0,valid,a,zero,\r\n1,failed,b,,no "
				      "worker\r\n2,valid,c,two,\r\n3,valid,d,again,\r\n");
	auto_free char *two = table("r1", "r2");
	assert_string_equal(two, HEAD
		"0,valid,a,zero,\r\n1,failed,b,,last\r\n2,valid,c,two,\r\n3,valid,d,again,\r\n");
}

static void what_has_another_digest_is_no_result(void **s)
{
	(void)s;
	put_job();
	put("job", "2/stdout", "twq\n");
	auto_free char *got = table(NULL, NULL);
	assert_null(got);
	assert_int_equal(e.code, ERR_DIGEST);
	assert_non_null(strstr(e.msg, "2/stdout"));
}

static void what_is_too_long_to_be_fetched_is_its_digest(void **s)
{
	auto_free char *path = xprintf("%s/job/2/stdout", top);
	auto_free char *big = xcalloc(1, TABLE_TEXT_MAX + 2);

	(void)s;
	put_job();
	unlink(path);
	auto_free char *absent = table(NULL, NULL);
	assert_non_null(strstr(absent, "\r\n2,valid,c,,sha256:"));
	memset(big, 'x', TABLE_TEXT_MAX + 1);
	put("job", "2/stdout", big);
	auto_free char *long_one = table(NULL, NULL);
	assert_string_equal(long_one, absent);
}

static void lines_that_are_no_results_are_refused(void **s)
{
	static const char *const bad[] = { "nonsense\n", "[]\n", "{}\n", "{\"index\":\"0\"}\n",
		"\n", "{\"index\":0}\n", "{\"index\":-1,\"state\":\"valid\"}\n",
		/* both would be cells as they stand */
		"{\"index\":0,\"state\":\"valid,=1+1\"}\n",
		"{\"index\":0,\"state\":\"valid\",\"stdout\":\"sha256:,=1+1\"}\n" };

	(void)s;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		put("job", RESDIR_RESULTS, bad[i]);
		auto_free char *got = table(NULL, NULL);
		assert_null(got);
		assert_int_equal(e.code, ERR_MALFORMED);
	}
	auto_free char *path = xprintf("%s/job/" RESDIR_RESULTS, top);
	auto_free char *endless = xcalloc(1, RESDIR_LINE_MAX + 3);
	memset(endless, ' ', RESDIR_LINE_MAX + 1);
	endless[RESDIR_LINE_MAX + 1] = '\n';
	put("job", RESDIR_RESULTS, endless);
	assert_null(table(NULL, NULL));
	assert_int_equal(e.code, ERR_TOO_BIG);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes to it */
	assert_null(table(NULL, NULL));
	assert_int_equal(e.code, ERR_MALFORMED);
	unlink(path);
	put("job", RESDIR_RESULTS, "");
	auto_free char *none = table(NULL, NULL);
	assert_string_equal(none, "index,state,stdout,why\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_folder_is_a_table_and_what_failed_is_empty, make_top, drop_top),
		cmocka_unit_test_setup_teardown(
			retries_take_the_rows_that_are_not_valid, make_top, drop_top),
		cmocka_unit_test_setup_teardown(
			what_has_another_digest_is_no_result, make_top, drop_top),
		cmocka_unit_test_setup_teardown(
			what_is_too_long_to_be_fetched_is_its_digest, make_top, drop_top),
		cmocka_unit_test_setup_teardown(
			lines_that_are_no_results_are_refused, make_top, drop_top),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
