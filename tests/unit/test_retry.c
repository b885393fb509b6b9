/* SPDX-License-Identifier: Apache-2.0
 *
 * test_retry.c: which tasks are tried again, and the manifest that says so.
 */
#include "jobs/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEX64 "1111111111111111111111111111111111111111111111111111111111111111"

static struct err e;

/* A job of a product, two by three, and what became of each task: v valid, n no agreement, x agreed exit, c
 * cancelled, '.' nothing yet. */
static void world(struct evidence *ev, const char *fates)
{
	static char text[] = "1\0002\0x\0y\0z";
	static char *a[] = { text, text + 2 }, *b[] = { text + 4, text + 6, text + 8 };
	static struct job_param params[2];

	params[0] = (struct job_param){ .name = "a", .values = a, .n = 2 };
	params[1] = (struct job_param){ .name = "b", .values = b, .n = 3 };
	*ev = (struct evidence){
		.job = { .tasks = TASKS_PRODUCT, .count = 6, .params = params, .n_params = 2 }
	};
	digest_from_hex(&ev->job.id, HEX64);
	ev->tasks = xcalloc(6, sizeof(struct judged *));
	for (int64_t i = 0; i < 6; i++) {
		const char *state = fates[i] == 'v'   ? "valid"
		                    : fates[i] == 'c' ? "cancelled"
		                                      : "failed";
		struct judged *j = fates[i] == '.' ? NULL : xcalloc(1, sizeof(*j));

		ev->tasks[i] = j;
		if (!j)
			continue;
		snprintf(j->state, sizeof(j->state), "%s", state);
		j->outcome.b[0] = fates[i] == 'v' || fates[i] == 'x';
		ev->n_judged++;
	}
}

static void drop(struct evidence *ev)
{
	for (int64_t i = 0; i < 6; i++)
		free(ev->tasks[i]);
	free(ev->tasks);
}

static void list_is(const char *fates, bool all, const char *expected)
{
	auto_buf struct buf list = { 0 };
	struct evidence ev;
	struct retry_tally tally;

	world(&ev, fates);
	if (retry_list(&ev, all, &list, &tally, &e))
		fail_msg("%s", e.msg);
	buf_text(&list, "");
	assert_string_equal(list.data ? list.data : "", expected);
	drop(&ev);
}

static void what_may_go_otherwise_is_tried_again_under_its_own_number(void **s)
{
	(void)s;
	list_is("vvnvxc", false,
		"{\"params\":{\"a\":\"1\",\"b\":\"z\"},\"of\":2}\n{\"params\":{\"a\":\"2\",\"b\":"
	        "\"z\"},\"of\":5}\n");
	list_is("vvvvvv", false, "");
	list_is("vvvvvv", true, "");
	list_is("xvvvvv", false, "");
}

static void what_failed_in_agreement_is_tried_again_when_asked_for(void **s)
{
	(void)s;
	list_is("xvvvvn", true,
		"{\"params\":{\"a\":\"1\",\"b\":\"x\"},\"of\":0}\n{\"params\":{\"a\":\"2\",\"b\":"
	        "\"z\"},\"of\":5}\n");
}

static void they_are_counted_by_why(void **s)
{
	auto_buf struct buf list = { 0 };
	struct retry_tally tally;
	struct evidence ev;

	(void)s;
	world(&ev, "nxxccv");
	assert_int_equal(retry_list(&ev, false, &list, &tally, &e), 0);
	assert_int_equal(tally.undecided, 1);
	assert_int_equal(tally.agreed, 2);
	assert_int_equal(tally.cancelled, 2);
	assert_int_equal(tally.chosen, 3);
	drop(&ev);
}

static void a_job_that_goes_on_is_not_tried_again(void **s)
{
	auto_buf struct buf list = { 0 };
	struct retry_tally tally;
	struct evidence ev;

	(void)s;
	world(&ev, "nn.vvv");
	assert_int_equal(retry_list(&ev, false, &list, &tally, &e), -1);
	assert_int_equal(e.code, ERR_CONFLICT);
	assert_non_null(strstr(e.msg, "5 of 6"));
	drop(&ev);
}

static void a_retry_of_a_retry_keeps_the_first_numbers(void **s)
{
	char text[] = "{\"line\":\"a\",\"of\":40}\n{\"line\":\"b\",\"of\":7}\n";
	size_t at[] = { 0, 21, strlen(text) };
	struct judged failed = { .state = "failed" }, valid = { .state = "valid" },
		      *tasks[] = { &failed, &valid };
	struct evidence ev = { .job = { .tasks = TASKS_LIST, .count = 2, .is_retry = true },
		.tasks = tasks,
		.n_judged = 2,
		.list = text,
		.list_n = strlen(text),
		.list_at = at };
	auto_buf struct buf list = { 0 };
	struct retry_tally tally;

	(void)s;
	at[1] = (size_t)(strchr(text, '\n') - text) + 1;
	assert_int_equal(retry_list(&ev, false, &list, &tally, &e), 0);
	assert_string_equal(list.data, "{\"line\":\"a\",\"of\":40}\n");
}

/* The new manifest as text. */
static char *fields(const struct evidence *ev, const struct retry_options *o)
{
	json_t *old = json_pack("{s:i, s:s, s:[s], s:s, s:s, s:[s], s:{s:i, s:i}, s:i, s:{}}", "v",
		1, "grid", "g", "crit", "v", "nonce", "00", "name", "old", "args", "{index}",
		"limits", "cpu_s", 5, "memory_mib", 64, "priority", 3, "tasks");
	json_t *new = retry_fields(ev, old, json_string("BLOB"), 2, o);
	char *text = json_dumps(new, JSON_COMPACT);

	json_decref(old);
	json_decref(new);
	return text;
}

static void the_manifest_is_the_old_one_but_for_what_is_said_anew(void **s)
{
	struct retry_options none = { .priority = RETRY_AS_IT_WAS };
	struct retry_options some = {
		.priority = 0, .memory_mib = 512, .threads = 2, .name = "again"
	};
	struct evidence ev;

	(void)s;
	world(&ev, "vvvvvv");
	auto_free char *plain = fields(&ev, &none);
	assert_string_equal(plain,
		"{\"name\":\"retry of " HEX64
		"\",\"args\":[\"{index}\"],\"limits\":{\"cpu_s\":5,\"memory_mib\":64},"
		"\"priority\":3,\"tasks\":{\"list\":{\"blob\":\"BLOB\",\"count\":2}},\"retry_of\":"
	        "\"" HEX64 "\"}");
	memset(&ev.job.retry_of, 0x22, sizeof(ev.job.retry_of));
	ev.job.is_retry = true;
	auto_free char *other = fields(&ev, &some);
	assert_non_null(strstr(other, "\"retry_of\":\"2222"));
	assert_non_null(strstr(other, "{\"cpu_s\":5,\"memory_mib\":512}"));
	assert_non_null(strstr(other, "\"priority\":0"));
	assert_non_null(strstr(other, "\"threads\":2"));
	assert_non_null(strstr(other, "\"name\":\"again\""));
	drop(&ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_may_go_otherwise_is_tried_again_under_its_own_number),
		cmocka_unit_test(what_failed_in_agreement_is_tried_again_when_asked_for),
		cmocka_unit_test(they_are_counted_by_why),
		cmocka_unit_test(a_job_that_goes_on_is_not_tried_again),
		cmocka_unit_test(a_retry_of_a_retry_keeps_the_first_numbers),
		cmocka_unit_test(the_manifest_is_the_old_one_but_for_what_is_said_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
