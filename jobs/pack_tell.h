/* SPDX-License-Identifier: Apache-2.0
 *
 * pack_tell.h: a plan in sentences: what goes along that a person may not expect, and what does not.
 */
#ifndef JOBS_PACK_TELL_H
#define JOBS_PACK_TELL_H

#include "jobs/pack_plan.h"

#define TELL_NAMES_MAX 8 /* of files in one sentence */

/* The sentence about all notes of that kind; NULL: there are none. Yours. */
char *tell_notes(const struct pack_plan *p, enum pack_why why) MUST_USE;
/* What may be missing where a run said `text` and failed: a file that was left out, or lies outside, whose name is in the text, with what to
 * do; NULL: none is. Yours. */
char *tell_missing(const struct pack_plan *p, const char *text) MUST_USE;

#endif
