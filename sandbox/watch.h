/* SPDX-License-Identifier: Apache-2.0
 *
 * watch.h: the launcher: starts a box, holds it to its limits from outside, and sees how it ends.
 */
#ifndef SANDBOX_WATCH_H
#define SANDBOX_WATCH_H

#include "sandbox/given.h"
#include "sandbox/limit.h"
#include "sandbox/report.h"

/* Run what the spec asks for with what is given, to its end, outputs included. All that happened
 * is in `e`; a box that could not be started is e->failed. */
void watch_run(
	struct ending *e, const struct spec *s, const struct given *g, struct limit_cgroup *cgroup);

#endif
