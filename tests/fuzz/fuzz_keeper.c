/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_keeper.c: a packet as a keeper of boxes hears it: what ask.h promises holds, a command line it
 * refuses has a reason, and where a report is named it can be told there.
 */
#include "sandbox/ask.h"
#include "tests/fuzz/fuzz.h"

static bool within(const char *at, const char *words, size_t n)
{
	return at >= words && at < words + n && memchr(at, 0, n - (size_t)(at - words));
}

static void check_run(const struct spec *s, const char *words, size_t n, enum box_profile profile)
{
	assert(s->what == SPEC_RUN && s->profile == profile && s->argv[0] && s->argv[0][0]);
	for (char **a = s->argv; *a; a++)
		assert(within(*a, words, n));
	for (size_t i = 0; i < s->n_inputs; i++)
		assert(box_name_ok(s->inputs[i].name) && within(s->inputs[i].path, words, n));
}

static void check_words(const struct ask *a, enum box_profile profile)
{
	static char *argv[ASK_WORDS_MAX + 2];
	static struct spec s;
	char *words = xmalloc(a->n ? a->n : 1);
	struct why w;

	memcpy(words, a->words, a->n);
	memset(&s, 'x', sizeof(s));
	memset(&w, 'x', sizeof(w));
	if (ask_read(&s, argv, words, a->n, profile, &w))
		assert(w.text[0] && w.text[0] != 'x' &&
			strnlen(w.text, sizeof(w.text)) < sizeof(w.text));
	else
		check_run(&s, words, a->n, profile);
	if (s.report)
		assert(within(s.report, words, a->n));
	free(words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct ask a;

	if (ask_open(&a, (const char *)data, n))
		return 0;
	assert(n >= sizeof(a.head) && a.n == n - sizeof(a.head));
	check_words(&a, BOX_COMPUTE);
	check_words(&a, BOX_FILES);
	check_words(&a, BOX_IMAGE);
	return 0;
}
