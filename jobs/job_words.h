/* SPDX-License-Identifier: Apache-2.0
 *
 * job_words.h: what can be in a set of a job's or a worker's, by its names in messages and flags. Bit i of a set stands for
 * the i-th word of its list.
 */
#ifndef JOBS_JOB_WORDS_H
#define JOBS_JOB_WORDS_H

#include "common/base.h"
#include "common/err.h"

#include <jansson.h>

/* NULL ends them. */
extern const char *const job_profile_words[]; /* by enum job_profile */
extern const char *const job_bit_words[];     /* by JOB_BIT_… */

/* The set that the value of --FLAG names, with commas between the words. */
int words_parse(
	unsigned *set, const char *flag, const char *text, const char *const *words, struct err *e);
/* The word's place in the list, or -1. */
int word_place(const char *const *words, const char *word);
/* The words of a set: with commas between them, or as an array. Yours. */
char *words_text(const char *const *words, unsigned set) MUST_USE;
json_t *words_json(const char *const *words, unsigned set) MUST_USE;
/* The set that an array of texts (NULL: none) names; of words that are not in the list nothing comes. */
unsigned words_read(const char *const *words, const json_t *array);

#endif
