/* SPDX-License-Identifier: Apache-2.0
 *
 * job_words.c: see job_words.h.
 */
#include "jobs/job_words.h"
#include "jobs/job.h"

#include <string.h>

const char *const job_profile_words[] = {
	[PROFILE_COMPUTE] = "compute", [PROFILE_FILES] = "files", [PROFILE_IMAGE] = "image", NULL
};
const char *const job_bit_words[] = { "jit", "proc", NULL };

int word_place(const char *const *words, const char *word)
{
	for (int i = 0; words[i]; i++)
		if (!strcmp(words[i], word))
			return i;
	return -1;
}

int words_parse(
	unsigned *set, const char *flag, const char *text, const char *const *words, struct err *e)
{
	auto_free char *copy = xstrdup(text);
	char *rest = copy, *word;

	*set = 0;
	while ((word = strsep(&rest, ","))) {
		int place = word_place(words, word);

		if (place < 0)
			return err_set(e, ERR_USAGE,
				"--%s: \"%.40s\" is none of them; there are %s, %s%s%s", flag, word,
				words[0], words[1], words[2] ? ", " : "", words[2] ? words[2] : "");
		*set |= 1u << place;
	}
	return 0;
}

char *words_text(const char *const *words, unsigned set)
{
	char *text = xstrdup("");

	for (size_t i = 0; words[i]; i++) {
		auto_free char *before = text;

		text = set & 1u << i ? xprintf("%s%s%s", before, *before ? "," : "", words[i])
		                     : TAKE(before);
	}
	return text;
}

json_t *words_json(const char *const *words, unsigned set)
{
	json_t *array = json_array();

	for (size_t i = 0; words[i]; i++)
		if (set & 1u << i)
			json_array_append_new(array, json_string(words[i]));
	return array;
}

unsigned words_read(const char *const *words, const json_t *array)
{
	unsigned set = 0;
	json_t *j;
	size_t i;

	json_array_foreach(array, i, j) {
		int place = word_place(words, json_string_value(j));

		if (place >= 0)
			set |= 1u << place;
	}
	return set;
}
