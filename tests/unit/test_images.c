/* SPDX-License-Identifier: Apache-2.0
 *
 * test_images.c: what the end of an unpacking means, and which trees of an earlier process are taken up.
 */
#include "worker/images.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct err e;

static int judge(const char *reason, int64_t exit, int64_t signal, const char *said)
{
	const struct unpacked u = {
		.reason = reason, .exit = exit, .signal = signal, .said = said
	};

	e.code = ERR_NONE;
	return unpacked_judge(&u, &e);
}

static void only_exit_0_is_a_tree(void **state)
{
	(void)state;
	assert_int_equal(judge("exited", 0, 0, "notes may be told"), 0);
	assert_int_equal(judge("exited", 2, 0, ""), -1);
	assert_int_equal(judge(NULL, 0, 0, ""), -1);
}

static void what_is_the_images_fault_is_refused_for_good_with_its_sentence(void **state)
{
	(void)state;
	assert_int_equal(judge("exited", 1, 0, "layer-0: ../x: leads out"), -1);
	assert_int_equal(e.code, ERR_PROGRAM);
	assert_non_null(strstr(e.msg, "refused: layer-0: ../x: leads out"));
	for (const char *const *r = (const char *const[]){ "cpu", "memory", "processes", NULL }; *r;
		r++) {
		assert_int_equal(judge(*r, 0, 0, ""), -1);
		assert_int_equal(e.code, ERR_PROGRAM);
		assert_non_null(strstr(e.msg, *r));
	}
	/* archives that crash their reader would do so everywhere */
	assert_int_equal(judge("signaled", 0, 11, ""), -1);
	assert_int_equal(e.code, ERR_PROGRAM);
}

static void what_is_this_machines_fault_is_not_held_against_the_image(void **state)
{
	(void)state;
	for (const char *const *r =
			(const char *const[]){ "setup", "wall", "disk", "policy", "output", NULL };
		*r; r++) {
		assert_int_equal(judge(*r, 0, 0, "why"), -1);
		assert_int_not_equal(e.code, ERR_PROGRAM);
	}
	assert_int_equal(judge("signaled", 0, 9, ""), -1);
	assert_int_not_equal(e.code, ERR_PROGRAM);
	assert_int_equal(judge("signaled", 0, 15, ""), -1);
	assert_int_not_equal(e.code, ERR_PROGRAM);
	assert_int_equal(judge(NULL, 0, 0, "the keeper was killed"), -1);
	assert_int_not_equal(e.code, ERR_PROGRAM);
	assert_non_null(strstr(e.msg, "the keeper was killed"));
}

static void what_may_pass_is_tried_again_sooner_than_what_was_refused(void **state)
{
	(void)state;
	assert_true(image_patience_ms(ERR_PROGRAM) > image_patience_ms(ERR_TOO_DEMANDING));
	assert_true(image_patience_ms(ERR_FULL) > image_patience_ms(ERR_SYSTEM));
	assert_true(image_patience_ms(ERR_SYSTEM) > 0);
}

static void a_tree_of_this_boot_alone_is_taken_up(void **state)
{
	static const char boot[] = "0f1e2d3c-0000-4000-8000-1234567890ab";
	static const char *const bad[] = { "", "12", "12 ",
		" 0f1e2d3c-0000-4000-8000-1234567890ab\n",
		"x 0f1e2d3c-0000-4000-8000-1234567890ab\n",
		"-1 0f1e2d3c-0000-4000-8000-1234567890ab\n",
		"12 0f1e2d3c-0000-4000-8000-1234567890ab",
		"12 0f1e2d3c-0000-4000-8000-1234567890abc\n",
		"12 ffffffff-0000-4000-8000-1234567890ab\n" };
	char *text = image_size_text(12345678901, boot);
	int64_t bytes = 0;

	(void)state;
	assert_int_equal(image_size_read(&bytes, text, boot), 0);
	assert_true(bytes == 12345678901);
	free(text);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (!image_size_read(&bytes, bad[i], boot))
			fail_msg("taken: %s", bad[i]);
	text = image_size_text(1, "");
	assert_int_equal(image_size_read(&bytes, text, ""), -1); /* a kernel that does not say */
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_exit_0_is_a_tree),
		cmocka_unit_test(what_is_the_images_fault_is_refused_for_good_with_its_sentence),
		cmocka_unit_test(what_is_this_machines_fault_is_not_held_against_the_image),
		cmocka_unit_test(what_may_pass_is_tried_again_sooner_than_what_was_refused),
		cmocka_unit_test(a_tree_of_this_boot_alone_is_taken_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
