/* SPDX-License-Identifier: Apache-2.0
 *
 * terms.c: the volunteer's terms.
 */
#include "worker/terms.h"

#include <stdlib.h>
#include <string.h>

static const char *const profile_words[] = {
	[PROFILE_COMPUTE] = "compute", [PROFILE_FILES] = "files", [PROFILE_IMAGE] = "image", NULL
};
const char *const terms_bit_words[] = { "jit", "proc", NULL };

/* The words of `text`, with commas between them, as bits by their place in `known`. */
static int read_set(unsigned *set, const char *flag, const char *text, const char *const *known, struct err *e)
{
	auto_free char *copy = xstrdup(text);
	char *rest = copy, *word;

	*set = 0;
	while ((word = strsep(&rest, ","))) {
		size_t i = 0;

		while (known[i] && strcmp(known[i], word) != 0)
			i++;
		if (!known[i])
			return err_set(e, ERR_USAGE, "--%s: \"%.40s\" is none of them; there are %s, %s%s%s", flag, word,
				known[0], known[1], known[2] ? ", " : "", known[2] ? known[2] : "");
		*set |= 1u << i;
	}
	return 0;
}

static bool is_among(const struct terms *t, const struct id *key)
{
	for (size_t i = 0; i < t->n_submitters; i++)
		if (id_equal(&t->submitters[i], key))
			return true;
	return false;
}

static int add_submitter(struct terms *t, const char *word, struct err *e)
{
	struct id key;

	if (!id_parse(&key, word))
		return err_set(e, ERR_USAGE, "--submitters: \"%.70s\" is neither `any` nor a key of 64 hex digits (`talkoot id` prints one's own)",
			word);
	if (is_among(t, &key))
		return 0;
	if (t->n_submitters == TERMS_SUBMITTERS_MAX)
		return err_set(e, ERR_USAGE, "--submitters: more than %d keys", TERMS_SUBMITTERS_MAX);
	t->submitters[t->n_submitters++] = key;
	return 0;
}

static int read_submitters(struct terms *t, const struct texts *texts, struct err *e)
{
	bool any = false;

	for (size_t i = 0; i < texts->n; i++) {
		auto_free char *copy = xstrdup(texts->at[i]);
		char *rest = copy, *word;

		while ((word = strsep(&rest, ",")))
			if (!strcmp(word, "any"))
				any = true;
			else if (add_submitter(t, word, e))
				return -1;
	}
	if (any && t->n_submitters)
		return err_set(e, ERR_USAGE, "--submitters: `any` and single keys contradict each other");
	return 0;
}

int terms_read(struct terms *t, const struct texts *submitters, const char *profiles, const char *bits, struct err *e)
{
	*t = (struct terms){ .profiles = ~0u };
	if (profiles && read_set(&t->profiles, "profiles", profiles, profile_words, e))
		return -1;
	if (bits && read_set(&t->bits, "bits", bits, terms_bit_words, e))
		return -1;
	return read_submitters(t, submitters, e);
}

int terms_check(const struct terms *t, const struct job *job, struct err *e)
{
	char id[ID_TEXT + 1];

	if (t->n_submitters && !is_among(t, &job->submitter)) {
		id_text(id, &job->submitter);
		return err_set(e, ERR_REFUSED, "its submitter %.16s is not among --submitters", id);
	}
	if (!(t->profiles & 1u << job->profile))
		return err_set(e, ERR_REFUSED, "the profile %s is not among --profiles", profile_words[job->profile]);
	for (size_t i = 0; terms_bit_words[i]; i++)
		if (job->bits & ~t->bits & 1u << i)
			return err_set(e, ERR_REFUSED, "it asks for the bit %s, which is not among --bits", terms_bit_words[i]);
	return 0;
}
