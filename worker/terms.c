/* SPDX-License-Identifier: Apache-2.0
 *
 * terms.c: the volunteer's terms.
 */
#include "worker/terms.h"
#include "jobs/job_words.h"

#include <stdlib.h>
#include <string.h>

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
	if (profiles && words_parse(&t->profiles, "profiles", profiles, job_profile_words, e))
		return -1;
	if (bits && words_parse(&t->bits, "bits", bits, job_bit_words, e))
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
		return err_set(e, ERR_REFUSED, "the profile %s is not among --profiles", job_profile_words[job->profile]);
	for (size_t i = 0; job_bit_words[i]; i++)
		if (job->bits & ~t->bits & 1u << i)
			return err_set(e, ERR_REFUSED, "it asks for the bit %s, which is not among --bits", job_bit_words[i]);
	return 0;
}
