/* SPDX-License-Identifier: Apache-2.0
 *
 * errand.h: what an init is sent out with: the descriptors of one task, and room for its memory.
 */
#ifndef SANDBOX_ERRAND_H
#define SANDBOX_ERRAND_H

#include "sandbox/given.h"
#include "sandbox/plan.h"

#include <stdint.h>

/* What a memory cgroup has to hold for the limits to be what they say. */
int64_t errand_bytes(const struct spec *s, const struct given *g);

/* Send the init on its way through `sock`: PLAN_GO, its streams, `procs` (a cgroup's, or anything that
 * is open) and the inputs. `p` is filled. 0, or -1 and `w`. */
struct errand {
	int sock, out, err, procs;
};
int errand_send(const struct errand *e, const struct plan *p, const struct given *g, struct why *w);

#endif
