/* SPDX-License-Identifier: Apache-2.0
 *
 * conf.c: knobs from the command line, the environment and a file, by one table.
 *
 * Sources are read weakest first (file, environment, command line), each overwriting. Lists (KNOB_TEXTS)
 * of a stronger source replace those of a weaker one.
 */
#include "common/conf.h"
#include "common/buf.h"
#include "common/codec.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CONF_FILE_MAX 65536

static void texts_add(struct texts *t, const char *s)
{
	t->at = xrealloc(t->at, t->n + 1, sizeof(*t->at));
	t->at[t->n++] = s;
}

static void texts_clear(struct texts *t)
{
	free(t->at);
	*t = (struct texts){ 0 };
}

static int bad_value(const struct knob *k, const char *source, const char *value, const char *must,
	struct err *e)
{
	err_set(e, ERR_USAGE, "%s%s: \"%s\" is not %s", source, k->name, value, must);
	snprintf(e->field, sizeof(e->field), "--%s", k->name);
	return -1;
}

/* What a number of this knob counts, as its argument's name in --help says it; "" where that says nothing. */
static const char *unit(const struct knob *k)
{
	static const char *const units[][2] = { { "MIB", " (MiB)" }, { "KIB", " (KiB)" }, { "S", " (seconds)" },
		{ "SECONDS", " (seconds)" } };

	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (k->argument && !strcmp(k->argument, units[i][0]))
			return units[i][1];
	return "";
}

static int set_number(const struct knob *k, const char *source, const char *value, struct err *e)
{
	char must[96], *end;

	snprintf(must, sizeof(must), "%s number from %.15g to %.15g%s", k->kind == KNOB_INT ? "a whole" : "a",
		k->min, k->max, unit(k));
	if (k->kind == KNOB_INT) {
		int64_t n;

		if (!int_parse(&n, value, (int64_t)k->min, (int64_t)k->max))
			return bad_value(k, source, value, must, e);
		*(int64_t *)k->where = n;
		return 0;
	}
	errno = 0;
	double r = strtod(value, &end);
	bool digit = isdigit((unsigned char)value[0]) || value[0] == '-' || value[0] == '.';
	if (errno || !digit || *end || !isfinite(r) || r < k->min || r > k->max)
		return bad_value(k, source, value, must, e);
	*(double *)k->where = r;
	return 0;
}

/* Set one knob from text; `source` is "--", or says the file and line, or the environment. */
static int set(const struct knob *k, const char *source, const char *value, struct err *e)
{
	switch (k->kind) {
	case KNOB_TEXT:
		*(const char **)k->where = value;
		return 0;
	case KNOB_TEXTS:
	case KNOB_WORDS:
		texts_add(k->where, value);
		return 0;
	case KNOB_INT:
	case KNOB_REAL:
		return set_number(k, source, value, e);
	case KNOB_CHOICE:
		if (!is_one_of(k->choices, value))
			return bad_value(k, source, value, k->choices, e);
		*(const char **)k->where = value;
		return 0;
	case KNOB_FLAG:
		if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
			return bad_value(k, source, value, "yes or no", e);
		*(bool *)k->where = !strcmp(value, "yes");
		return 0;
	}
	return -1;
}

static const struct knob *find(const struct conf *c, const char *name, size_t n)
{
	for (const struct knob *k = c->knobs; k->name; k++)
		if (strlen(k->name) == n && !strncmp(k->name, name, n))
			return k;
	return NULL;
}

static const struct knob *find_letter(const struct conf *c, char letter)
{
	for (const struct knob *k = c->knobs; k->name; k++)
		if (letter && k->letter == letter)
			return k;
	return NULL;
}

/* --- the file --------------------------------------------------------------------------------- */

static char *trim(char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	for (size_t n = strlen(s); n > 0 && isspace((unsigned char)s[n - 1]);)
		s[--n] = '\0';
	return s;
}

/* Words up to the next option are a thing of command lines, whatever the table says. */
static bool elsewhere(const struct knob *k)
{
	return !k->command_line_only && k->kind != KNOB_WORDS;
}

static int file_line(const struct conf *c, bool *seen, char *line, int number, struct err *e)
{
	auto_free char *source = xprintf("%s line %d: ", c->config, number);

	line = trim(line);
	if (*line == '\0' || *line == '#')
		return 0;
	char *equals = strchr(line, '=');
	if (!equals)
		return err_set(e, ERR_USAGE, "%snot `key = value`", source);
	*equals = '\0';
	char *key = trim(line);
	const struct knob *k = find(c, key, strlen(key));
	if (!k || !elsewhere(k))
		return err_set(e, ERR_USAGE, "%sunknown key \"%s\"", source, key);
	size_t at = (size_t)(k - c->knobs);
	if (k->kind == KNOB_TEXTS && !seen[at])
		texts_clear(k->where);
	seen[at] = true;
	return set(k, source, trim(equals + 1), e);
}

static int read_file(const struct conf *c, size_t n_knobs, struct err *e)
{
	auto_free bool *seen = xcalloc(n_knobs, sizeof(bool));
	static struct texts kept; /* for good: knobs borrow from what was read */
	char *text;
	size_t n;
	int number = 0;

	if (file_read(&text, &n, c->config, CONF_FILE_MAX, e)) {
		e->code = ERR_USAGE;
		return err_wrap(e, "--config");
	}
	texts_add(&kept, text);
	if (strlen(text) != n)
		return err_set(e, ERR_USAGE, "%s: a NUL byte in it", c->config);
	for (char *line = text; line;) {
		char *end = strchr(line, '\n');

		if (end)
			*end++ = '\0';
		if (file_line(c, seen, line, ++number, e))
			return -1;
		line = end;
	}
	return 0;
}

/* --- the environment -------------------------------------------------------------------------- */

static int read_environment(const struct conf *c, struct err *e)
{
	for (const struct knob *k = c->knobs; k->name && c->env_prefix; k++) {
		auto_free char *name = xprintf("%s%s", c->env_prefix, k->name);

		for (char *at = name; *at; at++)
			*at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
		const char *value = getenv(name);
		if (!value || !elsewhere(k))
			continue;
		if (k->kind == KNOB_TEXTS)
			texts_clear(k->where);
		auto_free char *source = xprintf("%s: --", name);
		if (set(k, source, value, e))
			return -1;
	}
	return 0;
}

/* --- the command line ------------------------------------------------------------------------- */

struct line {
	struct conf *c;
	int argc, at;
	char **argv;
	bool *seen;
	bool dry; /* first pass: only --config, --help, --version and the form */
};

static int words(struct line *l, const struct knob *k, struct err *e)
{
	int n = 0;

	for (; l->at < l->argc && l->argv[l->at][0] != '-'; l->at++, n++)
		if (!l->dry)
			texts_add(k->where, l->argv[l->at]);
	return n ? 0 : err_set(e, ERR_USAGE, "--%s: needs at least one %s", k->name, k->argument);
}

static int give(struct line *l, const struct knob *k, const char *inline_value, struct err *e)
{
	size_t at = (size_t)(k - l->c->knobs);

	if (k->kind == KNOB_FLAG) {
		if (inline_value)
			return err_set(e, ERR_USAGE, "--%s takes no value", k->name);
		if (!l->dry)
			*(bool *)k->where = true;
		return 0;
	}
	if (!l->dry && !l->seen[at] && (k->kind == KNOB_TEXTS || k->kind == KNOB_WORDS))
		texts_clear(k->where);
	l->seen[at] = true;
	if (k->kind == KNOB_WORDS && !inline_value)
		return words(l, k, e);
	if (!inline_value && l->at >= l->argc)
		return err_set(e, ERR_USAGE, "--%s: needs a value (%s)", k->name, k->argument);
	const char *value = inline_value ? inline_value : l->argv[l->at++];
	return l->dry ? 0 : set(k, "--", value, e);
}

/* --help, --version, --config: 1 when it was one of them and is done with, -1 for an error. */
static int builtin(struct line *l, const char *name, size_t n, const char *value, struct err *e)
{
	if (n == 4 && !strncmp(name, "help", n)) {
		if (l->dry)
			conf_help(l->c);
		return l->c->helped = true, 1;
	}
	if (n == 7 && !strncmp(name, "version", n)) {
		if (l->dry)
			printf("%s %s\n", l->c->program, TALKOOT_VERSION);
		return l->c->helped = true, 1;
	}
	if (n == 6 && !strncmp(name, "config", n)) {
		if (!value && l->at >= l->argc)
			return err_set(e, ERR_USAGE, "--config: needs a file");
		l->c->config = value ? value : l->argv[l->at++];
		return 1;
	}
	return 0;
}

static int option(struct line *l, const char *arg, struct err *e)
{
	const struct knob *k;

	if (arg[1] != '-') {
		k = find_letter(l->c, arg[1]);
		if (!k)
			return err_set(e, ERR_USAGE, "unknown option %s (see --help)", arg);
		return give(l, k, arg[2] ? arg + 2 : NULL, e);
	}
	const char *name = arg + 2, *equals = strchr(name, '=');
	size_t n = equals ? (size_t)(equals - name) : strlen(name);
	const char *value = equals ? equals + 1 : NULL;
	int done = builtin(l, name, n, value, e);
	if (done)
		return done < 0 ? -1 : 0;
	k = find(l->c, name, n);
	if (!k)
		return err_set(e, ERR_USAGE, "unknown option --%.*s (see --help)", (int)n, name);
	return give(l, k, value, e);
}

static int read_line(struct line *l, struct err *e)
{
	bool only_words = false;

	for (l->at = 0; l->at < l->argc && !(l->c->helped && l->dry);) {
		char *arg = l->argv[l->at++];

		if (!only_words && !strcmp(arg, "--")) {
			l->c->has_rest = true;
			for (; l->at < l->argc; l->at++)
				if (!l->dry)
					texts_add(&l->c->rest, l->argv[l->at]);
		} else if (only_words || arg[0] != '-' || !arg[1]) {
			if (!l->dry)
				texts_add(&l->c->words, arg);
			only_words = l->c->stop_at_word;
		} else if (option(l, arg, e)) {
			return -1;
		}
	}
	return 0;
}

int conf_read(struct conf *c, int argc, char **argv, struct err *e)
{
	size_t n = 0;

	while (c->knobs[n].name)
		n++;
	auto_free bool *seen = xcalloc(n, sizeof(bool));
	struct line l = { .c = c, .argc = argc, .argv = argv, .seen = seen, .dry = true };
	if (read_line(&l, e))
		return -1;
	if (c->helped)
		return 0;
	if ((c->config && read_file(c, n, e)) || read_environment(c, e))
		return -1;
	memset(seen, 0, n * sizeof(bool));
	l.dry = false;
	return read_line(&l, e);
}

void conf_help(const struct conf *c)
{
	printf("usage: %s\n\n%s\n\n", c->usage, c->about);
	for (const struct knob *k = c->knobs; k->name; k++) {
		char left[64];

		snprintf(left, sizeof(left), "%s%c%s--%s%s%s", k->letter ? "-" : "", k->letter ? k->letter : ' ',
			k->letter ? ", " : "   ", k->name, k->argument ? " " : "", k->argument ? k->argument : "");
		printf("  %-30s %s\n", left, k->help);
	}
	printf("  %-30s %s\n", "    --config FILE", "read `key = value` lines (the options' names) from FILE");
	printf("  %-30s %s\n  %-30s %s\n", "    --help", "show this and exit", "    --version",
		"show the version and exit");
}
