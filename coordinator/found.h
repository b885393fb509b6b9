/* SPDX-License-Identifier: Apache-2.0
 *
 * found.h: outputs of final tasks that were looked up lately, so that an envelope need not be opened again for each lease.
 *
 * A table of fixed size; what falls on a taken place takes it. What a verdict stands for never changes, so nothing in it grows
 * old; who goes back behind a verdict (a turn that could not be kept) empties it.
 */
#ifndef COORDINATOR_FOUND_H
#define COORDINATOR_FOUND_H

#include "common/blob.h"

/* A job's tasks are leased out of a window of some thousand, so that most of what is asked for is here. 7 MiB. */
#define FOUND_MAX 65536

struct found;

struct found *found_new(void) MUST_USE;
void found_free(struct found *f);

void found_put(struct found *f, const struct digest *job, int64_t index, const char *file,
	const struct blob *b);
/* False: it is not here. */
bool found_get(const struct found *f, const struct digest *job, int64_t index, const char *file,
	struct blob *out);

#endif
