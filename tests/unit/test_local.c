/* SPDX-License-Identifier: Apache-2.0
 *
 * test_local.c: which data an owner lends, to whose jobs, and what is not lent at all.
 */
#include "common/buf.h"
#include "worker/local.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define KEY "ab00000000000000000000000000000000000000000000000000000000000000"

static char top[64];
static struct err e;

static char *in_top(const char *before, const char *name)
{
	return xprintf("%s%s/%s", before, top, name);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(top, sizeof(top), "/tmp/talkoot-local-XXXXXX");
	if (!mkdtemp(top))
		return -1;
	for (const char *const *d = (const char *const[]){ "data", "worker", NULL }; *d; d++) {
		auto_free char *path = in_top("", *d);
		if (mkdir(path, 0700))
			return -1;
	}
	auto_free char *file = in_top("", "data/rows");
	return file_write_atomic(file, "rows", 4, 0600, &e);
}

static int tear_down(void **state)
{
	(void)state;
	return remove_tree(top, &e);
}

/* Read `--allow-local text` for KEY: 0 or -1. */
static int lend(struct local *l, const char *text)
{
	const char *allowed[] = { text }, *keys[] = { KEY };
	auto_free char *worker = in_top("", "worker");

	local_release(l);
	return local_read(l, &(struct texts){ .at = allowed, .n = 1 },
		&(struct texts){ .at = keys, .n = 1 }, worker, &e);
}

static void what_is_lent_is_found_by_its_name(void **state)
{
	(void)state;
	auto_free char *folder = in_top("d=", "data"), *file = in_top("f=", "data/rows"),
		       *real = NULL;
	struct local l = { 0 };

	assert_int_equal(lend(&l, folder), 0);
	real = realpath(folder + 2, NULL);
	assert_string_equal(local_path(&l, "d"), real);
	assert_null(local_path(&l, "f"));
	assert_int_equal(lend(&l, file), 0);
	assert_non_null(local_path(&l, "f"));
	local_release(&l);
	assert_null(local_path(&l, "f"));
}

static void what_is_no_good_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "d", "=", ".d=", "a/b=", "d=" };
	auto_free char *missing = in_top("d=", "nothing"), *own = in_top("d=", "worker"),
		       *around = in_top("d=", "."), *fifo = in_top("", "data/fifo"),
		       *folder = in_top("d=", "data"), *itself = in_top("d=", "data/fifo");
	struct local l = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		auto_free char *text = bad[i][0] && strcmp(bad[i], "d") && strcmp(bad[i], "d=")
		                               ? in_top(bad[i], "data")
		                               : xstrdup(bad[i]);

		assert_int_equal(lend(&l, text), -1);
		assert_int_equal(e.code, ERR_USAGE);
	}
	assert_int_equal(lend(&l, missing), -1);
	assert_int_equal(lend(&l, own), -1);
	assert_int_equal(lend(&l, around), -1);
	assert_int_equal(lend(&l, "d=/"), -1);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(lend(&l, folder), -1);
	assert_int_equal(lend(&l, itself), -1);
	unlink(fifo);
	assert_int_equal(lend(&l, folder), 0);
	local_release(&l);
}

static void only_jobs_of_those_named_read_only_what_is_here(void **state)
{
	(void)state;
	auto_free char *folder = in_top("d=", "data");
	struct job job = { .submitter = { { 0xab } } };
	struct local l = { 0 };

	assert_int_equal(local_allows(&l, &job, &e), 0); /* it asks for nothing */
	assert_int_equal(lend(&l, folder), 0);
	snprintf(job.local[job.n_local++], sizeof(job.local[0]), "d");
	assert_int_equal(local_allows(&l, &job, &e), 0);
	job.submitter.b[0] = 0xac;
	assert_int_equal(local_allows(&l, &job, &e), -1);
	assert_int_equal(e.code, ERR_REFUSED);
	assert_non_null(strstr(e.msg, "--local-for"));
	job.submitter.b[0] = 0xab;
	snprintf(job.local[job.n_local++], sizeof(job.local[0]), "other");
	assert_int_equal(local_allows(&l, &job, &e), -1);
	assert_non_null(strstr(e.msg, "no data other here"));
	local_release(&l);
	assert_int_equal(local_allows(&l, &job, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_lent_is_found_by_its_name),
		cmocka_unit_test(what_is_no_good_is_refused),
		cmocka_unit_test(only_jobs_of_those_named_read_only_what_is_here),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
