/* SPDX-License-Identifier: Apache-2.0
 *
 * test_conf.c: flag beats environment beats file, and every mistake is named.
 */
#include "common/conf.h"
#include "tests/unit/vectors.h"

#include <fcntl.h>

static struct {
	const char *text, *choice;
	int64_t number;
	double real;
	bool flag;
	struct texts texts, words;
	const char *secret;
} v;

static const struct knob knobs[] = {
	{ "text", 't', KNOB_TEXT, &v.text, "TEXT", "a text", 0, 0, NULL, false },
	{ "a-number", 'n', KNOB_INT, &v.number, "N", "a number", -5, 100, NULL, false },
	{ "real", 0, KNOB_REAL, &v.real, "X", "a real number", 0.5, 2.5, NULL, false },
	{ "choice", 'c', KNOB_CHOICE, &v.choice, "a|bb|c", "one of these", 0, 0, "a|bb|c", false },
	{ "flag", 'f', KNOB_FLAG, &v.flag, NULL, "a flag", 0, 0, NULL, false },
	{ "many", 'm', KNOB_TEXTS, &v.texts, "TEXT", "many texts", 0, 0, NULL, false },
	{ "each", 'e', KNOB_WORDS, &v.words, "FILE...", "words", 0, 0, NULL, false },
	{ "secret", 0, KNOB_TEXT, &v.secret, "TEXT", "not from elsewhere", 0, 0, NULL, true },
	{ 0 },
};

static struct conf c;
static struct err e;
static char *dir, *file;

static int setup(void **state)
{
	(void)state;
	dir = fresh_folder();
	file = xprintf("%s/conf", dir);
	memset(&v, 0, sizeof(v));
	v.text = "default";
	v.number = 7;
	c = (struct conf){ .program = "unit",
		.usage = "unit [OPTION]...",
		.about = "About.",
		.env_prefix = "UNIT_CONF_",
		.knobs = knobs };
	return 0;
}

static void forget(void)
{
	free(v.texts.at);
	free(v.words.at);
	free(c.words.at);
	free(c.rest.at);
	v.texts = v.words = c.words = c.rest = (struct texts){ 0 };
}

static int teardown(void **state)
{
	static const char *const names[] = { "TEXT", "A_NUMBER", "REAL", "CHOICE", "FLAG", "MANY",
		"EACH", "SECRET" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		auto_free char *name = xprintf("UNIT_CONF_%s", names[i]);

		unsetenv(name);
	}
	forget();
	free(file);
	drop_folder(dir);
	return 0;
}

static int read_args(const char *const *argv)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	forget();
	c.has_rest = c.helped = false;
	c.config = NULL;
	e = (struct err){ 0 };
	return conf_read(&c, argc, (char **)(uintptr_t)argv, &e);
}
#define READ(...) read_args((const char *[]){ __VA_ARGS__, NULL })

static void write_file(const char *text)
{
	assert_int_equal(file_write_atomic(file, text, strlen(text), 0600, &e), 0);
}

static void defaults_stay_without_any_source(void **state)
{
	(void)state;
	assert_int_equal(read_args((const char *[]){ NULL }), 0);
	assert_string_equal(v.text, "default");
	assert_int_equal(v.number, 7);
	assert_false(c.helped || c.has_rest);
	assert_int_equal(c.words.n, 0);
}

static void the_command_line_beats_the_environment_beats_the_file(void **state)
{
	(void)state;
	write_file("# comment\n\n text = from file \r\na-number=1\nchoice = a\nflag = yes\n  # "
	           "another\nreal = 0.5");
	setenv("UNIT_CONF_A_NUMBER", "2", 1);
	setenv("UNIT_CONF_CHOICE", "bb", 1);
	assert_int_equal(READ("--choice", "c", "--config", file), 0);
	assert_string_equal(v.text, "from file");
	assert_int_equal(v.number, 2);
	assert_string_equal(v.choice, "c");
	assert_true(v.flag);
	assert_true(v.real == 0.5);
	assert_string_equal(c.config, file);
	setenv("UNIT_CONF_FLAG", "no", 1);
	assert_int_equal(READ("--config", file), 0);
	assert_false(v.flag);
	assert_int_equal(READ("-f"), 0);
	assert_true(v.flag);
}

static void lists_of_a_stronger_source_replace_the_weaker(void **state)
{
	(void)state;
	write_file("many = a\nmany = b\n");
	assert_int_equal(READ("--config", file), 0);
	assert_int_equal(v.texts.n, 2);
	assert_string_equal(v.texts.at[1], "b");
	setenv("UNIT_CONF_MANY", "env", 1);
	assert_int_equal(READ("--config", file), 0);
	assert_int_equal(v.texts.n, 1);
	assert_string_equal(v.texts.at[0], "env");
	assert_int_equal(READ("--config", file, "--many", "x", "-m", "y", "--many=z"), 0);
	assert_int_equal(v.texts.n, 3);
	assert_string_equal(v.texts.at[0], "x");
	assert_string_equal(v.texts.at[2], "z");
}

static void values_come_in_every_usual_spelling(void **state)
{
	(void)state;
	assert_int_equal(READ("--text=x=y"), 0);
	assert_string_equal(v.text, "x=y");
	assert_int_equal(READ("--text="), 0);
	assert_string_equal(v.text, "");
	assert_int_equal(READ("-t", "-dash"), 0);
	assert_string_equal(v.text, "-dash");
	assert_int_equal(READ("-tjoined"), 0);
	assert_string_equal(v.text, "joined");
	assert_int_equal(READ("--text", "--"), 0);
	assert_string_equal(v.text, "--");
	assert_int_equal(READ("-n", "-5"), 0);
	assert_int_equal(v.number, -5);
	assert_int_equal(READ("--text", "one", "--text", "two"), 0);
	assert_string_equal(v.text, "two");
	assert_int_equal(READ("--secret", "s"), 0);
	assert_string_equal(v.secret, "s");
}

static void words_end_at_the_next_option(void **state)
{
	(void)state;
	assert_int_equal(READ("first", "--each", "a", "b", "c", "--flag", "second", "-"), 0);
	assert_int_equal(v.words.n, 3);
	assert_string_equal(v.words.at[2], "c");
	assert_int_equal(c.words.n, 3);
	assert_string_equal(c.words.at[1], "second");
	assert_string_equal(c.words.at[2], "-");
	assert_int_equal(READ("--each", "a", "--", "prog", "--flag", "--", "x"), 0);
	assert_int_equal(v.words.n, 1);
	assert_true(c.has_rest);
	assert_int_equal(c.rest.n, 4);
	assert_string_equal(c.rest.at[0], "prog");
	assert_string_equal(c.rest.at[2], "--");
	assert_int_equal(READ("--each", "a", "--each", "b", "c", "--each=d"), 0);
	assert_int_equal(v.words.n, 4);
	assert_int_equal(READ("--each"), -1);
	assert_int_equal(READ("--each", "--flag"), -1);
	assert_int_equal(READ("--"), 0);
	assert_true(c.has_rest);
	assert_int_equal(c.rest.n, 0);
}

static void a_command_ends_the_options_where_asked(void **state)
{
	(void)state;
	c.stop_at_word = true;
	assert_int_equal(READ("-f", "submit", "--unknown", "--", "-x", "--help"), 0);
	assert_true(v.flag);
	assert_int_equal(c.words.n, 5);
	assert_string_equal(c.words.at[0], "submit");
	assert_string_equal(c.words.at[2], "--");
	assert_false(c.helped || c.has_rest);
}

static void mistakes_are_usage_and_named(void **state)
{
	(void)state;
	static const struct {
		const char *argv[4];
		const char *named;
	} cases[] = {
		{ { "--nonsense" }, "--nonsense" },
		{ { "--nonsense=5" }, "--nonsense" },
		{ { "--tex", "x" }, "--tex" },
		{ { "--textx", "x" }, "--textx" },
		{ { "-x" }, "-x" },
		{ { "--text" }, "--text" },
		{ { "-t" }, "--text" },
		{ { "--flag=yes" }, "--flag" },
		{ { "-fx" }, "--flag" },
		{ { "--a-number", "" }, "--a-number" },
		{ { "--a-number", "101" }, "101" },
		{ { "--a-number", "-6" }, "-5 to 100" },
		{ { "--a-number", "1.0" }, "1.0" },
		{ { "--a-number", "07" }, "07" },
		{ { "--a-number", "99999999999999999999" }, "--a-number" },
		{ { "--real", "0.4" }, "0.5 to 2.5" },
		{ { "--real", "nan" }, "nan" },
		{ { "--real", "inf" }, "inf" },
		{ { "--real", "1x" }, "1x" },
		{ { "--real", "." }, "--real" },
		{ { "--real", "" }, "--real" },
		{ { "--real", " 1" }, "--real" },
		{ { "--choice", "b" }, "a|bb|c" },
		{ { "--choice", "" }, "a|bb|c" },
		{ { "--choice", "a|bb" }, "a|bb|c" },
		{ { "--config" }, "--config" },
		{ { "--config", "/nowhere/conf" }, "/nowhere/conf" },
		{ { "--config=" }, "--config" },
		{ { "--=x" }, "--" },
		{ { "--\xff" }, "--?" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (!read_args(cases[i].argv))
			fail_msg("taken: %s %s", cases[i].argv[0], cases[i].argv[1]);
		assert_int_equal(e.code, ERR_USAGE);
		assert_int_equal(err_exit(e.code), 2);
		if (!strstr(e.msg, cases[i].named))
			fail_msg("%s is not in: %s", cases[i].named, e.msg);
	}
}

static void mistakes_elsewhere_name_the_line_or_the_variable(void **state)
{
	(void)state;
	static const char *const bad[][2] = { { "\n\nnonsense = 1\n", "line 3" },
		{ "text\n", "line 1" }, { "= 1", "line 1" }, { "a-number = x", "line 1" },
		{ "flag = true", "yes or no" }, { "secret = s", "secret" }, { "each = a", "each" },
		{ "choice = d", "a|bb|c" }, { "text = 1\n\nflag\n", "line 3" },
		{ "config = x", "config" } };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		write_file(bad[i][0]);
		assert_int_equal(READ("--config", file), -1);
		assert_int_equal(e.code, ERR_USAGE);
		if (!strstr(e.msg, bad[i][1]))
			fail_msg("%s is not in: %s", bad[i][1], e.msg);
	}
	setenv("UNIT_CONF_A_NUMBER", "many", 1);
	assert_int_equal(read_args((const char *[]){ NULL }), -1);
	assert_non_null(strstr(e.msg, "UNIT_CONF_A_NUMBER"));
	unsetenv("UNIT_CONF_A_NUMBER");
	setenv("UNIT_CONF_SECRET", "s", 1);
	setenv("UNIT_CONF_EACH", "s", 1);
	assert_int_equal(read_args((const char *[]){ NULL }), 0);
	assert_null(v.secret);
	assert_int_equal(v.words.n, 0);
	c.env_prefix = NULL;
	v.text = "default";
	setenv("UNIT_CONF_TEXT", "x", 1);
	assert_int_equal(read_args((const char *[]){ NULL }), 0);
	assert_string_equal(v.text, "default");
}

static void nothing_in_a_file_is_silently_not_read(void **state)
{
	(void)state;
	auto_free char *big = xmalloc(70000);

	assert_int_equal(file_write_atomic(file, "text = a\0\na-number = 1\n", 23, 0600, &e), 0);
	assert_int_equal(READ("--config", file), -1);
	assert_int_equal(e.code, ERR_USAGE);
	memset(big, '#', 70000);
	assert_int_equal(file_write_atomic(file, big, 70000, 0600, &e), 0);
	assert_int_equal(READ("--config", file), -1);
	assert_int_equal(e.code, ERR_USAGE);
	write_file("");
	assert_int_equal(READ("--config", file), 0);
}

/* What conf_read prints on stdout with these arguments. */
static char *printed(const char *const *argv)
{
	auto_free char *path = xprintf("%s/out", dir);
	char *text;
	int old, fd;

	fflush(stdout);
	old = dup(1);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	dup2(fd, 1);
	int bad = read_args(argv);
	fflush(stdout);
	dup2(old, 1);
	close(old);
	close(fd);
	assert_int_equal(bad, 0);
	assert_true(c.helped);
	assert_int_equal(file_read(&text, NULL, path, 100000, &e), 0);
	return text;
}

static void help_is_printed_once_and_names_every_knob(void **state)
{
	(void)state;
	auto_free char *text = printed((const char *[]){ "--help", "--nonsense", NULL });

	assert_non_null(strstr(text, "usage: unit [OPTION]..."));
	assert_null(strstr(strstr(text, "usage: ") + 1, "usage: "));
	for (const struct knob *k = knobs; k->name; k++) {
		auto_free char *name = xprintf("--%s", k->name);

		assert_non_null(strstr(text, name));
		assert_non_null(strstr(text, k->help));
	}
	assert_non_null(strstr(text, "--version"));
	auto_free char *version = printed((const char *[]){ "--version", NULL });
	assert_string_equal(version, "unit " TALKOOT_VERSION "\n");
}

static void a_table_of_no_knobs_works(void **state)
{
	(void)state;
	static const struct knob none[] = { { 0 } };

	c.knobs = none;
	assert_int_equal(READ("word"), 0);
	assert_int_equal(c.words.n, 1);
	assert_int_equal(READ("--text", "x"), -1);
	auto_free char *text = printed((const char *[]){ "--help", NULL });
	assert_non_null(strstr(text, "--help"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(defaults_stay_without_any_source),
		TEST(the_command_line_beats_the_environment_beats_the_file),
		TEST(lists_of_a_stronger_source_replace_the_weaker),
		TEST(values_come_in_every_usual_spelling),
		TEST(words_end_at_the_next_option),
		TEST(a_command_ends_the_options_where_asked),
		TEST(mistakes_are_usage_and_named),
		TEST(mistakes_elsewhere_name_the_line_or_the_variable),
		TEST(nothing_in_a_file_is_silently_not_read),
		TEST(help_is_printed_once_and_names_every_knob),
		TEST(a_table_of_no_knobs_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
