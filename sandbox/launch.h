/* SPDX-License-Identifier: Apache-2.0
 *
 * launch.h: one run of the box, from opening what it is given to the report's facts.
 */
#ifndef SANDBOX_LAUNCH_H
#define SANDBOX_LAUNCH_H

#include <stdio.h>

#include "sandbox/collect.h"
#include "sandbox/space.h"

/* What happened. */
struct run {
	enum box_reason reason;
	int exit, signal;
	int64_t cpu_us, wall_us, max_rss_kib;
	struct space space; /* which namespaces there were */
	bool cgroup, started;
	struct collect outputs;
	struct fail fail; /* BOX_SETUP: why */
};

void launch(struct run *r, const struct spec *spec);
/* One JSON object. */
void launch_report(FILE *to, const struct run *r, const struct spec *spec);
/* talkoot-sandbox's exit code. */
int launch_exit(const struct run *r);

#endif
