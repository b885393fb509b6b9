/* SPDX-License-Identifier: Apache-2.0
 *
 * discard.h: folders of many files, removed by a child, for that takes long: one child at a time.
 *
 *	DIR/going  collects what is to go      DIR/gone  is being removed
 *
 * Both may be left by a process that was killed: discards_begin() goes on with them.
 */
#ifndef WORKER_DISCARD_H
#define WORKER_DISCARD_H

#include "common/loop.h"

struct discards;

/* `dir` is borrowed; `guard` is guard.h's fd. */
struct discards *discards_new(struct loop *l, const char *dir, int guard);
/* DIR/NAME and a suffix is out of the way when this returns; one that is not there is fine. */
void discard(struct discards *d, const char *name, const char *suffix);
void discards_begin(struct discards *d);
/* Ends the child; what is left is for the next process. NULL is fine. */
void discards_free(struct discards *d);

#endif
