/* SPDX-License-Identifier: Apache-2.0
 *
 * given.h: everything the command line gives to a box, opened before any right is given up.
 */
#ifndef SANDBOX_GIVEN_H
#define SANDBOX_GIVEN_H

#include "sandbox/spec.h"

#include <sys/types.h>

/* Who a box is when root starts it: nobody. */
#define GIVEN_NOBODY 65534

struct given {
	int program;      /* an ELF file for this machine */
	const char *base; /* its argv[0] */
	int in, out, err; /* the three streams' outer ends */
	int inputs[BOX_INPUTS_MAX];
	size_t n_inputs;
	int root;    /* directory or -1 */
	int outputs; /* directory, empty, or -1 */
	int report;  /* or -1 */
	bool was_root, is_nobody;
};

/* Every descriptor -1, so that given_release may always be called. */
void given_init(struct given *g);
/* Only the report, so that every later failure can be told there. */
int given_open_report(struct given *g, const struct spec *s, struct why *w);
/* All the rest. -1: `w` names the flag or the program. */
int given_open(struct given *g, const struct spec *s, struct why *w);
void given_release(struct given *g);

/* Root becomes nobody, keeping in this process alone the right to write into the folders it
 * was given (CAP_DAC_OVERRIDE: the outputs' folder, the cgroup). Others stay who they are. */
int given_become_nobody(struct given *g, struct why *w);
/* Give up every capability, for good. */
int given_drop_capabilities(struct why *w);

#endif
