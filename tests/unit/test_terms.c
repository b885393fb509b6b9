/* SPDX-License-Identifier: Apache-2.0
 *
 * test_terms.c: whose jobs, which profiles and which bits a volunteer takes.
 */
#include "worker/terms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct err e;

static int read_terms(struct terms *t, const char *submitters, const char *profiles, const char *bits)
{
	const char *at[1] = { submitters };
	struct texts texts = { at, submitters ? 1 : 0 };

	e = (struct err){ 0 };
	return terms_read(t, &texts, profiles, bits, &e);
}

static int check(const struct terms *t, const char *submitter, enum job_profile profile, unsigned bits)
{
	struct job j = { .profile = profile, .bits = bits };

	assert_true(id_parse(&j.submitter, submitter));
	e = (struct err){ 0 };
	return terms_check(t, &j, &e);
}

static void without_a_word_every_submitter_and_profile_and_no_bit_is_taken(void **state)
{
	(void)state;
	struct terms t;

	assert_int_equal(read_terms(&t, NULL, NULL, NULL), 0);
	for (int p = PROFILE_COMPUTE; p <= PROFILE_IMAGE; p++)
		assert_int_equal(check(&t, A, (enum job_profile)p, 0), 0);
	assert_int_equal(check(&t, A, PROFILE_FILES, JOB_BIT_JIT), -1);
	assert_int_equal(e.code, ERR_REFUSED);
	assert_non_null(strstr(e.msg, "jit"));
	assert_int_equal(check(&t, A, PROFILE_FILES, JOB_BIT_PROC), -1);
	assert_non_null(strstr(e.msg, "proc"));
	assert_int_equal(read_terms(&t, "any", NULL, NULL), 0);
	assert_int_equal(check(&t, B, PROFILE_COMPUTE, 0), 0);
}

static void only_named_submitters_are_served(void **state)
{
	(void)state;
	struct terms t;

	assert_int_equal(read_terms(&t, A "," A, NULL, NULL), 0);
	assert_int_equal(t.n_submitters, 1);
	assert_int_equal(check(&t, A, PROFILE_COMPUTE, 0), 0);
	assert_int_equal(check(&t, B, PROFILE_COMPUTE, 0), -1);
	assert_non_null(strstr(e.msg, "--submitters"));
	assert_int_equal(read_terms(&t, A "," B, NULL, NULL), 0);
	assert_int_equal(check(&t, B, PROFILE_COMPUTE, 0), 0);
}

static void only_named_profiles_and_bits_are_allowed(void **state)
{
	(void)state;
	struct terms t;

	assert_int_equal(read_terms(&t, NULL, "compute,image", "proc"), 0);
	assert_int_equal(check(&t, A, PROFILE_COMPUTE, 0), 0);
	assert_int_equal(check(&t, A, PROFILE_IMAGE, JOB_BIT_PROC), 0);
	assert_int_equal(check(&t, A, PROFILE_FILES, 0), -1);
	assert_non_null(strstr(e.msg, "files"));
	assert_int_equal(check(&t, A, PROFILE_IMAGE, JOB_BIT_PROC | JOB_BIT_JIT), -1);
	assert_non_null(strstr(e.msg, "jit"));
}

static void what_is_no_word_of_theirs_is_named(void **state)
{
	(void)state;
	static const struct {
		const char *submitters, *profiles, *bits, *flag, *word;
	} cases[] = { { "nobody", NULL, NULL, "--submitters", "nobody" }, { "", NULL, NULL, "--submitters", "\"\"" },
		{ A ",", NULL, NULL, "--submitters", "\"\"" }, { "any," A, NULL, NULL, "--submitters", "contradict" },
		{ NULL, "compute,vm", NULL, "--profiles", "vm" }, { NULL, "", NULL, "--profiles", "\"\"" },
		{ NULL, NULL, "jit,root", "--bits", "root" } };
	struct terms t;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(read_terms(&t, cases[i].submitters, cases[i].profiles, cases[i].bits), -1);
		assert_int_equal(e.code, ERR_USAGE);
		if (!strstr(e.msg, cases[i].flag) || !strstr(e.msg, cases[i].word))
			fail_msg("case %zu: %s", i, e.msg);
	}
}

static void as_many_submitters_as_an_ask_can_list(void **state)
{
	(void)state;
	auto_free char *many = xcalloc(1, 66 * 65 + 1);
	struct terms t;

	for (int i = 0; i < 64; i++)
		sprintf(many + strlen(many), "%s%064x", i ? "," : "", i + 1);
	assert_int_equal(read_terms(&t, many, NULL, NULL), 0);
	assert_int_equal(t.n_submitters, 64);
	strcat(many, "," A);
	assert_int_equal(read_terms(&t, many, NULL, NULL), -1);
	assert_non_null(strstr(e.msg, "64"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_word_every_submitter_and_profile_and_no_bit_is_taken),
		cmocka_unit_test(only_named_submitters_are_served),
		cmocka_unit_test(only_named_profiles_and_bits_are_allowed),
		cmocka_unit_test(what_is_no_word_of_theirs_is_named),
		cmocka_unit_test(as_many_submitters_as_an_ask_can_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
