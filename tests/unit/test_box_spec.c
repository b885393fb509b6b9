/* SPDX-License-Identifier: Apache-2.0
 *
 * test_box_spec.c: the box's command line, its environment and its limits: what is decided without
 * touching anything.
 */
#include "sandbox/env.h"
#include "sandbox/limit.h"
#include "sandbox/lookup.h"
#include "sandbox/seed.h"
#include "sandbox/spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct spec s;
static struct why w;

#define READ(...) read_words((char *[]){ (char *)(uintptr_t) "talkoot-sandbox", __VA_ARGS__, NULL })
#define W(text) (char *)(uintptr_t)(text)

static int read_words(char **argv)
{
	int n = 0;

	while (argv[n])
		n++;
	w.text[0] = 0;
	return spec_read(&s, n, argv, &w);
}

static void defaults_are_those_of_the_table(void **state)
{
	(void)state;
	assert_int_equal(READ(W("prog")), 0);
	assert_int_equal(s.what, SPEC_RUN);
	assert_int_equal(s.profile, BOX_COMPUTE);
	assert_true(s.limits.deterministic);
#define X(field, flag, usual, most) assert_int_equal(s.limits.field, usual);
	BOX_LIMIT_TABLE(X)
#undef X
	assert_null(s.report);
	assert_string_equal(s.argv[0], "prog");
}

static void every_limit_has_its_flag_and_its_bounds(void **state)
{
	char flag[40], text[40];

	(void)state;
#define X(field, name, usual, most)                                                                \
	snprintf(flag, sizeof(flag), "--%s", name);                                                \
	snprintf(text, sizeof(text), "%lld", (long long)(most));                                   \
	assert_int_equal(READ(flag, text, W("--"), W("p")), 0);                                    \
	assert_int_equal(s.limits.field, most);                                                    \
	snprintf(text, sizeof(text), "%lld", (long long)(most) + 1);                               \
	assert_int_equal(READ(flag, text, W("--"), W("p")), -1);                                   \
	assert_non_null(strstr(w.text, flag));
	BOX_LIMIT_TABLE(X)
#undef X
}

static void a_number_is_nothing_but_digits(void **state)
{
	static const char *const bad[] = { "", "0", "-1", "+1", " 1", "1 ", "1.5", "1e3", "0x10",
		"one", "99999999999999999999999999" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(READ(W("--cpu"), W(bad[i]), W("--"), W("p")), -1);
		assert_non_null(strstr(w.text, "--cpu"));
	}
}

static void options_end_where_the_program_begins(void **state)
{
	(void)state;
	assert_int_equal(READ(W("--cpu=5"), W("prog"), W("--cpu"), W("nine")), 0);
	assert_int_equal(s.limits.cpu_s, 5);
	assert_string_equal(s.argv[1], "--cpu");
	assert_int_equal(READ(W("--"), W("--help")), 0);
	assert_string_equal(s.argv[0], "--help");
	assert_int_equal(READ(W("--cpu"), W("5"), W("--")), -1);
	assert_non_null(strstr(w.text, "PROGRAM"));
	assert_int_equal(READ(W("--"), W("")), -1);
}

static void help_version_and_check_need_no_program(void **state)
{
	(void)state;
	assert_int_equal(READ(W("--help")), 0);
	assert_int_equal(s.what, SPEC_HELP);
	assert_int_equal(READ(W("--version")), 0);
	assert_int_equal(s.what, SPEC_VERSION);
	assert_int_equal(READ(W("--check")), 0);
	assert_int_equal(s.what, SPEC_CHECK);
}

static void what_is_wrong_is_named(void **state)
{
	(void)state;
	assert_int_equal(READ(W("--frobnicate"), W("p")), -1);
	assert_non_null(strstr(w.text, "--frobnicate"));
	assert_int_equal(READ(W("-x"), W("p")), -1);
	assert_int_equal(READ(W("--cpus"), W("1"), W("p")), -1);
	assert_int_equal(READ(W("--wall")), -1);
	assert_non_null(strstr(w.text, "--wall"));
	assert_int_equal(READ(W("--out"), W("d"), W("p")), -1);
	assert_non_null(strstr(w.text, "--out"));
	assert_int_equal(READ(W("--report="), W("p")), -1);
}

static void inputs_have_good_and_distinct_names(void **state)
{
	static const char *const bad[] = { "=x", "a=", "a", ".a=x", "..=x", "a/b=x", "a b=x",
		"\xc3\xa4=x" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
			READ(W("--profile"), W("files"), W("--in"), W(bad[i]), W("p")), -1);
	assert_int_equal(READ(W("--profile"), W("files"), W("--in"), W("a=x=y"), W("--in"),
				 W("b=x"), W("p")),
		0);
	assert_int_equal(s.n_inputs, 2);
	assert_string_equal(s.inputs[0].name, "a");
	assert_string_equal(s.inputs[0].path, "x=y");
	assert_int_equal(
		READ(W("--profile"), W("files"), W("--in"), W("a=x"), W("--in"), W("a=y"), W("p")),
		-1);
	assert_non_null(strstr(w.text, "twice"));
}

static void names_are_a_hundred_plain_bytes(void **state)
{
	char name[103];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[100] = 0;
	assert_true(box_name_ok(name));
	name[100] = 'a';
	name[101] = 0;
	assert_false(box_name_ok(name));
	assert_false(box_name_ok(""));
	assert_false(box_name_ok("."));
	assert_false(box_name_ok("a\n"));
	assert_false(box_name_ok("a/b"));
	assert_true(box_name_ok("-a.B_9"));
}

static bool has(const struct env *e, const char *word)
{
	for (char *const *p = e->words; *p; p++) {
		if (strncmp(*p, word, strlen(word)) == 0)
			return true;
	}
	return false;
}

static void the_environment_depends_on_the_limits_alone(void **state)
{
	struct box_limits l = { .threads = 4, .deterministic = true };
	struct env e;

	(void)state;
	env_build(&e, &l);
	assert_true(has(&e, "TZ=UTC0") && has(&e, "LANG=C") && has(&e, "HOME=/tmp"));
	assert_true(has(&e, "OMP_NUM_THREADS=4"));
	assert_true(has(&e, "GLIBC_TUNABLES=glibc.cpu.hwcaps="));
	l.deterministic = false;
	env_build(&e, &l);
	assert_true(has(&e, "TZ=UTC0"));
	assert_false(has(&e, "GLIBC_TUNABLES"));
	assert_false(has(&e, "PYTHONHASHSEED"));
}

#define IMAGE(...) READ(W("--profile"), W("image"), W("--root"), W("r"), __VA_ARGS__)

static void an_image_needs_a_root_and_has_an_environment_and_a_folder(void **state)
{
	(void)state;
	assert_int_equal(READ(W("--profile"), W("image"), W("p")), -1);
	assert_non_null(strstr(w.text, "--root"));
	assert_int_equal(
		IMAGE(W("--env"), W("A=b=c"), W("--env=B="), W("--cwd"), W("/x"), W("p")), 0);
	assert_int_equal(s.n_env, 2);
	assert_string_equal(s.env[0], "A=b=c");
	assert_string_equal(s.env[1], "B=");
	assert_string_equal(s.cwd, "/x");
	assert_int_equal(IMAGE(W("--env"), W("=b"), W("p")), -1);
	assert_int_equal(IMAGE(W("--env"), W("A"), W("p")), -1);
	assert_non_null(strstr(w.text, "--env"));
	assert_int_equal(IMAGE(W("--cwd"), W("x"), W("p")), -1);
	assert_non_null(strstr(w.text, "--cwd"));
	assert_int_equal(READ(W("--profile"), W("files"), W("--env"), W("A=b"), W("p")), -1);
	assert_int_equal(READ(W("--profile"), W("files"), W("--cwd"), W("/"), W("p")), -1);
	assert_int_equal(READ(W("--serve"), W("--profile"), W("image")), 0);
	assert_int_equal(READ(W("--serve"), W("--profile"), W("image"), W("--env"), W("A=b")), -1);
}

static void bits_are_words_for_what_has_files(void **state)
{
	static const char *const bad[] = { "", "jit,", ",proc", "jit proc", "JIT", "jit,root", "ji",
		"jits" };

	(void)state;
	assert_int_equal(READ(W("--profile=files"), W("p")), 0);
	assert_int_equal(s.bits, 0);
	assert_int_equal(READ(W("--profile=files"), W("--bits"), W("jit"), W("p")), 0);
	assert_int_equal(s.bits, BOX_JIT);
	assert_int_equal(IMAGE(W("--bits=proc,jit"), W("p")), 0);
	assert_int_equal(s.bits, BOX_JIT | BOX_PROC);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(READ(W("--profile=files"), W("--bits"), W(bad[i]), W("p")), -1);
		assert_non_null(strstr(w.text, "--bits"));
	}
	assert_int_equal(READ(W("--bits"), W("jit"), W("p")), -1); /* compute */
	assert_non_null(strstr(w.text, "--bits"));
	assert_int_equal(READ(W("--serve"), W("--profile=files"), W("--bits=jit")), -1);
}

static void an_images_environment_is_bounded(void **state)
{
	static char *argv[8 + 2 * BOX_ENV_MAX];
	static char one[BOX_ENV_BYTES + 2];
	int n = 0;

	(void)state;
	argv[n++] = W("talkoot-sandbox");
	argv[n++] = W("--profile=image");
	argv[n++] = W("--root=r");
	for (int i = 0; i < BOX_ENV_MAX; i++)
		argv[n++] = W("--env=A=b");
	argv[n] = W("p");
	assert_int_equal(read_words(argv), 0);
	argv[n++] = W("--env=A=b");
	argv[n] = W("p");
	assert_int_equal(read_words(argv), -1);
	memset(one, 'x', sizeof(one) - 1);
	one[1] = '=';
	assert_int_equal(IMAGE(W("--env"), one, W("p")), -1);
	one[BOX_ENV_BYTES] = 0;
	assert_int_equal(IMAGE(W("--env"), one, W("p")), 0);
}

static void an_image_adds_to_the_environment_but_unpins_nothing(void **state)
{
	static const char *const words[] = { "PATH=/opt:/bin", "A=1", "A=2", "TZ=Mars",
		"PYTHONHASHSEED=7", "OMP_NUM_THREADS=64", "HOME=/work",
		"LD_LIBRARY_PATH=/opt/lib" };
	struct box_limits l = { .threads = 4, .deterministic = true };
	struct env e;

	(void)state;
	env_build(&e, &l);
	env_add(&e, &l, NULL, 0);
	assert_string_equal(env_value(&e, "PATH"),
		"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	assert_null(env_value(&e, "A"));
	env_add(&e, &l, words, sizeof(words) / sizeof(words[0]));
	assert_string_equal(env_value(&e, "PATH"), "/opt:/bin");
	assert_string_equal(env_value(&e, "A"), "2");
	assert_string_equal(env_value(&e, "TZ"), "UTC0");
	assert_string_equal(env_value(&e, "PYTHONHASHSEED"), "0");
	assert_string_equal(env_value(&e, "OMP_NUM_THREADS"), "4");
	assert_string_equal(env_value(&e, "HOME"), "/work");
	assert_string_equal(env_value(&e, "LD_LIBRARY_PATH"), "/opt/lib");
	l.deterministic = false;
	env_build(&e, &l);
	env_add(&e, &l, words, sizeof(words) / sizeof(words[0]));
	assert_string_equal(env_value(&e, "TZ"), "Mars");
	assert_string_equal(env_value(&e, "OMP_NUM_THREADS"), "64");
}

static void the_fullest_environment_fits(void **state)
{
	static char text[BOX_ENV_MAX][24];
	const char *words[BOX_ENV_MAX];
	struct box_limits l = { .threads = 4, .deterministic = true };
	struct env e;
	size_t n = 0;

	(void)state;
	for (int i = 0; i < BOX_ENV_MAX; i++) {
		snprintf(text[i], sizeof(text[i]), "NAME%d=x", i);
		words[i] = text[i];
	}
	env_build(&e, &l);
	env_add(&e, &l, words, BOX_ENV_MAX);
	while (e.words[n])
		n++;
	assert_true(n < ENV_MAX);
	assert_string_equal(env_value(&e, "NAME63"), "x");
}

static void expect_paths(const char *name, const char *path, const char *const *want)
{
	char **list;
	size_t n = 0;

	assert_int_equal(lookup_paths(&list, name, path, &w), 0);
	for (; want[n]; n++) {
		assert_non_null(list[n]);
		assert_string_equal(list[n], want[n]);
	}
	assert_null(list[n]);
	free(list);
}

static void a_word_is_looked_up_in_path_and_a_path_is_itself(void **state)
{
	(void)state;
	expect_paths(
		"sh", "/usr/bin:/bin", (const char *const[]){ "/usr/bin/sh", "/bin/sh", NULL });
	expect_paths("sh", ":/bin:", (const char *const[]){ "./sh", "/bin/sh", "./sh", NULL });
	expect_paths("sh", "", (const char *const[]){ "./sh", NULL });
	expect_paths("/bin/sh", "/usr/bin", (const char *const[]){ "/bin/sh", NULL });
	expect_paths("./sh", "/usr/bin", (const char *const[]){ "./sh", NULL });
	expect_paths("a/sh", "/usr/bin", (const char *const[]){ "a/sh", NULL });
}

static void looking_up_is_bounded(void **state)
{
	static char path[LOOKUP_MAX + 1], name[LOOKUP_PATH_MAX + 2];
	char **list;

	(void)state;
	memset(path, ':', LOOKUP_MAX);
	assert_int_equal(lookup_paths(&list, "sh", path, &w), -1);
	path[LOOKUP_MAX - 1] = 0;
	assert_int_equal(lookup_paths(&list, "sh", path, &w), 0);
	free(list);
	memset(name, 'x', sizeof(name) - 1);
	assert_int_equal(lookup_paths(&list, name, "/bin", &w), -1);
}

static rlim_t planned(const struct box_limits *l, bool own_users, int which)
{
	struct limit_rlimit plan[LIMIT_RLIMITS];
	size_t n = limit_plan(plan, l, own_users);

	for (size_t i = 0; i < n; i++) {
		if (plan[i].which == which)
			return plan[i].hard;
	}
	return RLIM_INFINITY;
}

static void rlimits_follow_the_limits(void **state)
{
	struct box_limits l = { 10, 20, 64, 2, 1, 8, 3, true };

	(void)state;
	assert_int_equal(limit_tasks(&l), 10);
	assert_int_equal(planned(&l, true, RLIMIT_NPROC), 12);
	assert_true(planned(&l, false, RLIMIT_NPROC) == RLIM_INFINITY);
	assert_int_equal(planned(&l, true, RLIMIT_FSIZE), 2 << 20);
	assert_true(planned(&l, true, RLIMIT_CPU) > 10);
	assert_true(planned(&l, true, RLIMIT_DATA) > 64 << 20);
}

static void the_largest_limits_do_not_overflow(void **state)
{
	struct box_limits l;

	(void)state;
#define X(field, flag, usual, most) l.field = most;
	BOX_LIMIT_TABLE(X)
#undef X
	assert_true(planned(&l, true, RLIMIT_AS) > planned(&l, true, RLIMIT_DATA));
	assert_true(planned(&l, true, RLIMIT_DATA) > (rlim_t)l.memory_mib << 20);
	assert_true(planned(&l, true, RLIMIT_FSIZE) == (rlim_t)l.disk_mib << 20);
}

static void a_seed_is_64_digits(void **state)
{
	uint64_t seed[4] = { 0 };

	(void)state;
	assert_int_equal(seed_read(seed, "00000000000000010000000000000002"
					 "00000000000000030000000000abcdef"),
		0);
	assert_true(seed[0] == 1 && seed[1] == 2 && seed[2] == 3 && seed[3] == 0xabcdef);
	assert_int_equal(seed_read(seed, ""), -1);
	assert_int_equal(seed_read(seed, "12"), -1);
	assert_int_equal(
		seed_read(seed, "0000000000000001000000000000000200000000000000030000000000ABCDEF"),
		-1);
	assert_int_equal(
		seed_read(
			seed, "00000000000000010000000000000002000000000000000300000000000000040"),
		-1);
}

/* Drawn in pieces or at once, the words are the same; each stream and each seed has its own. */
static void streams_do_not_depend_on_how_they_are_drawn(void **state)
{
	const uint64_t seed[4] = { 1, 2, 3, 4 }, other[4] = { 1, 2, 3, 5 };
	unsigned char whole[64], part[64], no[64];

	(void)state;
	assert_int_equal(seed_draw(seed, 2, 0, whole, 64), 8);
	assert_int_equal(seed_draw(seed, 2, 0, part, 16), 2);
	assert_int_equal(seed_draw(seed, 2, 2, part + 16, 48), 6);
	assert_memory_equal(whole, part, 64);
	assert_int_equal(seed_draw(seed, 2, 0, part, 3), 1);
	assert_memory_equal(whole, part, 3);
	seed_draw(seed, 3, 0, no, 64);
	assert_memory_not_equal(whole, no, 64);
	seed_draw(other, 2, 0, no, 64);
	assert_memory_not_equal(whole, no, 64);
}

static void use_is_judged_against_every_limit(void **state)
{
	const struct box_limits l = { 10, 20, 64, 2, 1, 8, 1, true };
	struct limit_use u = { 10000000, 64 * 1024, 0, 8, 8, false };

	(void)state;
	assert_int_equal(limit_judge(&u, &l), BOX_REASON_EXITED);
	u.cpu_us++;
	assert_int_equal(limit_judge(&u, &l), BOX_REASON_CPU);
	u.cpu_us = 0;
	u.memory_kib++;
	assert_int_equal(limit_judge(&u, &l), BOX_REASON_MEMORY);
	u.memory_kib = 0;
	u.tasks++;
	assert_int_equal(limit_judge(&u, &l), BOX_REASON_PROCESSES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_table),
		cmocka_unit_test(every_limit_has_its_flag_and_its_bounds),
		cmocka_unit_test(a_number_is_nothing_but_digits),
		cmocka_unit_test(options_end_where_the_program_begins),
		cmocka_unit_test(help_version_and_check_need_no_program),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(inputs_have_good_and_distinct_names),
		cmocka_unit_test(names_are_a_hundred_plain_bytes),
		cmocka_unit_test(the_environment_depends_on_the_limits_alone),
		cmocka_unit_test(an_image_needs_a_root_and_has_an_environment_and_a_folder),
		cmocka_unit_test(bits_are_words_for_what_has_files),
		cmocka_unit_test(an_images_environment_is_bounded),
		cmocka_unit_test(an_image_adds_to_the_environment_but_unpins_nothing),
		cmocka_unit_test(the_fullest_environment_fits),
		cmocka_unit_test(a_word_is_looked_up_in_path_and_a_path_is_itself),
		cmocka_unit_test(looking_up_is_bounded),
		cmocka_unit_test(rlimits_follow_the_limits),
		cmocka_unit_test(the_largest_limits_do_not_overflow),
		cmocka_unit_test(a_seed_is_64_digits),
		cmocka_unit_test(streams_do_not_depend_on_how_they_are_drawn),
		cmocka_unit_test(use_is_judged_against_every_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
