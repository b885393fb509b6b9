/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_box_spec.c: the box's command line, a word up to each NUL: what spec.h promises holds, and
 * `--flag VALUE` means what `--flag=VALUE` does.
 */
#include "sandbox/spec.h"
#include "tests/fuzz/fuzz.h"

#define WORDS_MAX 1024

static void check_limits(const struct box_limits *l)
{
#define X(field, flag, usual, most) assert(l->field >= 1 && l->field <= (most));
	BOX_LIMIT_TABLE(X)
#undef X
}

static void check_inputs(const struct spec *s)
{
	assert(s->n_inputs <= BOX_INPUTS_MAX);
	for (size_t i = 0; i < s->n_inputs; i++) {
		assert(box_name_ok(s->inputs[i].name) && s->inputs[i].path[0]);
		for (size_t k = 0; k < i; k++)
			assert(strcmp(s->inputs[i].name, s->inputs[k].name) != 0);
	}
}

static void check_paths(const struct spec *s)
{
	const char *paths[] = { s->root, s->out, s->in, s->stdout_path, s->stderr_path, s->report };

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		assert(!paths[i] || paths[i][0]);
	assert(s->profile != BOX_COMPUTE || (!s->root && !s->out && !s->n_inputs));
	assert(s->profile == BOX_IMAGE ? s->root || s->what != SPEC_RUN : !s->n_env && !s->cwd);
	assert(!s->cwd || s->cwd[0] == '/');
	assert(s->n_env <= BOX_ENV_MAX);
	for (size_t i = 0; i < s->n_env; i++)
		assert(s->env[i][0] != '=' && strchr(s->env[i], '=') &&
			strlen(s->env[i]) <= BOX_ENV_BYTES);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static void check_same(const struct spec *a, const struct spec *b)
{
	assert(a->what == b->what && a->profile == b->profile && a->n_inputs == b->n_inputs);
	assert(a->n_env == b->n_env && same_text(a->cwd, b->cwd));
#define X(field, flag, usual, most) assert(a->limits.field == b->limits.field);
	BOX_LIMIT_TABLE(X)
#undef X
	assert(a->limits.deterministic == b->limits.deterministic);
	assert(same_text(a->root, b->root) && same_text(a->out, b->out) && same_text(a->in, b->in));
	assert(same_text(a->stdout_path, b->stdout_path) && same_text(a->report, b->report) &&
		same_text(a->stderr_path, b->stderr_path));
	for (size_t i = 0; i < a->n_inputs; i++)
		assert(same_text(a->inputs[i].name, b->inputs[i].name) &&
			same_text(a->inputs[i].path, b->inputs[i].path));
}

/* The same words in the other spelling: those with = apart, the others joined. */
static void other_spelling(const struct spec *s, char **argv)
{
	static char *words[2 * WORDS_MAX];
	static struct spec other;
	struct why w;
	int n = 0, first;

	words[n++] = argv[0];
	for (char **at = argv + 1; at < s->argv && strcmp(*at, "--") != 0; at++) {
		char *eq = strchr(*at, '=');

		words[n++] = eq ? xmemdup(*at, (size_t)(eq - *at)) : xprintf("%s=%s", *at, at[1]);
		if (eq)
			words[n++] = xstrdup(eq + 1);
		else
			at++;
	}
	first = n;
	words[n++] = (char[]){ "--" };
	for (char **at = s->argv; *at; at++)
		words[n++] = *at;
	words[n] = NULL;
	int bad = spec_read(&other, n, words, &w);
	assert(!bad);
	check_same(s, &other);
	for (int i = 0; s->argv[i]; i++)
		assert(other.argv[i] == s->argv[i]);
	for (int i = 1; i < first; i++)
		free(words[i]);
}

static void check(const struct spec *s, int argc, char **argv)
{
	if (s->what != SPEC_RUN) /* nothing is promised of the rest */
		return;
	assert(s->argv > argv && s->argv < argv + argc && s->argv[0][0]);
	assert((int)s->profile >= BOX_COMPUTE && s->profile < BOX_N_PROFILES);
	assert(s->bits < 1u << BOX_N_BITS && (s->bits == 0 || s->profile != BOX_COMPUTE));
	check_limits(&s->limits);
	check_inputs(s);
	check_paths(s);
	other_spelling(s, argv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_free char *copy = xmemdup(data, n), *name = xstrdup("talkoot-sandbox");
	static char *argv[WORDS_MAX];
	static struct spec s;
	struct why w;
	int argc = 0;

	argv[argc++] = name;
	for (size_t at = 0; at < n && argc < WORDS_MAX - 1; at += strlen(copy + at) + 1)
		argv[argc++] = copy + at;
	argv[argc] = NULL;
	memset(&w, 'x', sizeof(w));
	if (spec_read(&s, argc, argv, &w))
		assert(w.text[0] && w.text[0] != 'x' &&
			strnlen(w.text, sizeof(w.text)) < sizeof(w.text));
	else
		check(&s, argc, argv);
	return 0;
}
