/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_conf.c: a command line, an argument a line; after an empty line, the file of --config @F.
 */
#include "common/conf.h"
#include "tests/fuzz/fuzz.h"

static struct {
	const char *text, *choice;
	int64_t number;
	double real;
	bool flag;
	struct texts texts, words;
} v;

static const struct knob knobs[] = {
	{ "text", 't', KNOB_TEXT, &v.text, "TEXT", "a text", 0, 0, NULL, false },
	{ "number", 'n', KNOB_INT, &v.number, "N", "a number", -5, 100, NULL, false },
	{ "real", 0, KNOB_REAL, &v.real, "X", "a real number", 0.5, 2.5, NULL, false },
	{ "choice", 'c', KNOB_CHOICE, &v.choice, "a|bb|c", "one of these", 0, 0, "a|bb|c", false },
	{ "flag", 'f', KNOB_FLAG, &v.flag, NULL, "a flag", 0, 0, NULL, false },
	{ "many", 'm', KNOB_TEXTS, &v.texts, "TEXT", "many texts", 0, 0, NULL, false },
	{ "each", 'e', KNOB_WORDS, &v.words, "FILE...", "words", 0, 0, NULL, true },
	{ 0 },
};

/* The file of this input, in memory. */
static char *config_path(const char *text, size_t n)
{
	static int fd = -1;
	struct err e;

	if (fd < 0)
		fd = (int)memfd_create("conf", 0);
	int bad = ftruncate(fd, 0) || lseek(fd, 0, SEEK_SET) || fd_write_all(fd, text, n, &e);
	assert(!bad);
	return xprintf("/proc/self/fd/%d", fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_free char *copy = xmemdup(data, n), *path = NULL;
	char *gap = strstr(copy, "\n\n"), *argv[64];
	struct conf c = { .program = "fuzz",
		.usage = "u",
		.about = "a",
		.env_prefix = "NOT_SET_",
		.knobs = knobs,
		.stop_at_word = n % 2 };
	struct err e = { 0 };
	int argc = 0;

	path = config_path(gap ? gap + 2 : "", gap ? n - (size_t)(gap + 2 - copy) : 0);
	if (gap)
		*gap = '\0';
	for (char *line = copy; line && argc < 64;) {
		char *end = strchr(line, '\n');

		if (end)
			*end++ = '\0';
		argv[argc++] = strcmp(line, "@F") ? line : path;
		line = end;
	}
	fflush(stdout);
	if (conf_read(&c, argc, argv, &e))
		assert(e.code == ERR_USAGE && e.msg[0]);
	else
		assert(v.number >= -5 && v.number <= 100 &&
			(v.real == 0 || (v.real >= 0.5 && v.real <= 2.5)));
	free(v.texts.at);
	free(v.words.at);
	free(c.words.at);
	free(c.rest.at);
	v.texts = v.words = (struct texts){ 0 };
	return 0;
}
