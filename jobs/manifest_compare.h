/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest_compare.h: `--compare` as fields of a manifest.
 */
#ifndef JOBS_MANIFEST_COMPARE_H
#define JOBS_MANIFEST_COMPARE_H

#include "jobs/manifest.h"

/* Each word is HOW, for all outputs, or GLOB=HOW, for those that match (the first that matches counts). HOW is exact,
 * numeric:rtol=R,atol=A or program:FILE; a word that begins like one of these is HOW. At most one HOW without GLOB, and one
 * FILE. ERR_USAGE. */
int manifest_compare(struct manifest *m, const struct texts *words, struct err *e);

#endif
