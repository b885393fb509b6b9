/* SPDX-License-Identifier: Apache-2.0
 *
 * compare.h: whether two outputs say the same: bit for bit, or number by number within a tolerance.
 *
 * The coordinator decides by it, `talkoot verify` checks it again: one function for both. What is equal:
 *
 *	exact     the same bytes.
 *	numeric   token by token. Blanks (space, TAB, VT, FF, CR) separate tokens and are otherwise not looked at; each
 *	          newline and each of  , ; : ( ) [ ] { } < > = | " '  is a token of its own; what stands between is a word.
 *	          Two words that are both numbers are equal when |a-b| <= atol + rtol*max(|a|,|b|), in doubles; all
 *	          other tokens are equal when their bytes are. An empty output equals an empty one only.
 *	program   the submitter's comparator says so: no business of this file.
 *
 * A number is [+-] digits [. digits] [e [+-] digits], with a digit before or behind the point, at most
 * COMPARE_NUMBER_MAX bytes; or [+-] nan, inf or infinity in any case. NaN equals NaN (of any sign), an infinity the same
 * infinity, and neither anything else; 0 and -0 are equal. Two whole numbers (digits alone) one of which has more than 15
 * significant digits are compared by their bytes, as a double cannot tell them apart; so is what is too large for a double.
 * The relation is symmetric, and not transitive.
 *
 * Nothing here depends on the locale, a clock or the machine: the numbers are IEEE 754 doubles, rounded to nearest,
 * without contraction (-std=c11 says so).
 */
#ifndef JOBS_COMPARE_H
#define JOBS_COMPARE_H

#include "common/err.h"

#include <stddef.h>

#define COMPARE_NUMBER_MAX 127         /* bytes of a word that may be a number */
#define COMPARE_NUMERIC_MAX (64 * MIB) /* larger outputs are equal bit for bit only */
#define COMPARE_ATOL_MAX 1e300

enum compare_kind { COMPARE_EXACT, COMPARE_NUMERIC, COMPARE_PROGRAM };

struct comparison {
	enum compare_kind kind;
	double rtol, atol; /* COMPARE_NUMERIC */
};

/* "exact", "program", or "numeric:rtol=R,atol=A": R and A are numbers as above, R from 0 to less than 1, A from 0 to 1e300.
 * -1: `field` is none of these (ERR_FIELD). */
int compare_parse(struct comparison *out, const char *how, const char *field, struct err *e);

/* Whether a (of na bytes) and b say the same. Both are borrowed and need no NUL. The time is linear in na + nb. */
bool compare_numeric(
	const struct comparison *how, const char *a, size_t na, const char *b, size_t nb);

/* The same of two files, read by their descriptors: 1 equal, 0 different, -1 they cannot be read. Files larger than
 * COMPARE_NUMERIC_MAX are compared by their bytes. */
int compare_files(const struct comparison *how, int a, int b, struct err *e);

#endif
