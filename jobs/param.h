/* SPDX-License-Identifier: Apache-2.0
 *
 * param.h: one --param, `k=a,b,c` or `k=1..100` or `k=0..1:0.1`, as a name and its values.
 *
 * Ranges include both ends and are counted in decimal, as seq(1) prints them: every value has as many
 * places as the most precise of the three numbers, so 0..1:0.1 is 0.0, 0.1 … 1.0 and never
 * 0.30000000000000004.
 */
#ifndef JOBS_PARAM_H
#define JOBS_PARAM_H

#include "common/base.h"
#include "common/err.h"

#define PARAM_NAME_MAX 40

struct param {
	char name[PARAM_NAME_MAX + 1];
	char **values;
	size_t n, room;
};

/* At most `max` values. ERR_USAGE says what is wrong with `text`. */
int param_parse(struct param *p, const char *text, size_t max, struct err *e);
void param_release(struct param *p);

/* Whether `name` (n bytes) may be a parameter's: letters, digits, _ and -, at most 40. */
bool param_is_name(const char *name, size_t n);
/* Whether {word} looks like a placeholder at all: such a name that begins with a letter or _. */
bool param_is_word(const char *word, size_t n);

#endif
