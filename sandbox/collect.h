/* SPDX-License-Identifier: Apache-2.0
 *
 * collect.h: take out of a box what its program left in /out, once all its processes are gone.
 */
#ifndef SANDBOX_COLLECT_H
#define SANDBOX_COLLECT_H

#include "sandbox/box.h"
#include "sandbox/why.h"

#include <stddef.h>

#define COLLECT_PATH_MAX 1024 /* of four components, the last of which may be a foreign name */

struct collected {
	int taken;
	int64_t bytes;
	int not_taken; /* how many; of the first BOX_NOT_TAKEN_MAX the paths */
	char *names[BOX_NOT_TAKEN_MAX];
};

/* Copy regular files with good names, at most BOX_OUTPUT_LEVELS deep, BOX_OUTPUTS_MAX of them and
 * `most` bytes together, from directory `from` into the empty directory `to`, as new files of
 * mode 0600. All else is named in `c` and stays. -1: the folder `to` could not hold them. */
int collect_take(struct collected *c, int from, int to, int64_t most, struct why *w);
void collect_release(struct collected *c);

#endif
