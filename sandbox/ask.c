/* SPDX-License-Identifier: Apache-2.0
 *
 * ask.c: see ask.h.
 */
#include "sandbox/ask.h"

#include <string.h>

int ask_open(struct ask *a, const char *packet, size_t n)
{
	if (n < sizeof(a->head))
		return -1;
	memcpy(&a->head, packet, sizeof(a->head));
	a->words = packet + sizeof(a->head);
	a->n = n - sizeof(a->head);
	return 0;
}

/* argv of the words; gives argc, or -1: they are too many, or the last has no end. */
static int split(char *argv[ASK_WORDS_MAX + 2], char *words, size_t n)
{
	static char name[] = "talkoot-sandbox";
	int argc = 0;

	argv[argc++] = name;
	for (size_t at = 0; at < n;) {
		const char *end = memchr(words + at, 0, n - at);

		if (!end || argc > ASK_WORDS_MAX)
			return -1;
		argv[argc++] = words + at;
		at = (size_t)(end - words) + 1;
	}
	argv[argc] = NULL;
	return argc;
}

int ask_read(struct spec *s, char *argv[ASK_WORDS_MAX + 2], char *words, size_t n,
	enum box_profile profile, struct why *w)
{
	int argc = split(argv, words, n);

	s->report = NULL;
	if (argc < 0)
		return why_set(w, "the command line is not whole");
	if (spec_read(s, argc, argv, w))
		return -1;
	if (s->what != SPEC_RUN)
		return why_set(w, "%s: not here", argv[1]);
	if (s->profile != profile)
		return why_set(w, "--profile: this keeper serves another");
	return 0;
}
