/* SPDX-License-Identifier: Apache-2.0
 *
 * hidden.h: the blobs of the store that no peer may hear of: what belongs to one task alone. Who has such a blob
 * works on that task, and who holds the second copy of it must not learn so.
 *
 *	DIR/hidden/HEX		empty: the blob HEX is hidden. It stands there before the first byte of the blob
 *				comes, so a crash between the two tells nothing
 *
 * A mark whose blob is gone is harmless (there is nothing to tell) and is swept at the next start.
 */
#ifndef WORKER_HIDDEN_H
#define WORKER_HIDDEN_H

#include "common/blob.h"

struct hidden;

/* DIR is the store's directory, made if need be; marks of blobs that are not in `s` are removed. Borrows s. */
int hidden_open(struct hidden **out, const char *dir, struct blobs *s, struct err *e);
void hidden_free(struct hidden *h); /* the marks stay; NULL is fine */
/* Hide it. -1: it could not be written down, and the blob must not be fetched. */
int hidden_add(struct hidden *h, const struct digest *d, struct err *e);
/* It belongs to a whole job after all. */
void hidden_drop(struct hidden *h, const struct digest *d);
bool hidden_has(const struct hidden *h, const struct digest *d);

#endif
