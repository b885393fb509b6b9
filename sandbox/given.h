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
	int program; /* an ELF file for this machine; in `image` /dev/null: it lies in the root */
	int in, out, err; /* the three streams' outer ends */
	int inputs[BOX_INPUTS_MAX];
	size_t n_inputs;
	int root;    /* directory or -1 */
	int outputs; /* directory, empty, or -1 */
	int report;  /* or -1 */
	bool was_root, is_nobody;
};

/* Where things come from: NULL where a function takes one means by path, as whoever started us. Else
 * who asks us has opened them, in this order: report, program (not in `image`), root, inputs, out, stdin,
 * stdout, stderr; only what the spec names, but always the three streams. */
struct given_from {
	int *fds; /* each is taken over, and -1 afterwards */
	size_t n, at;
	bool was_root, is_nobody; /* what the keeper was and is */
};

/* Every descriptor -1, so that given_release may always be called. */
void given_init(struct given *g);
/* Only the report, so that every later failure can be told there. */
int given_open_report(
	struct given *g, const struct spec *s, struct given_from *from, struct why *w);
/* All the rest. -1: `w` names the flag or the program. */
int given_open(struct given *g, const struct spec *s, struct given_from *from, struct why *w);
void given_release(struct given *g);

/* Root becomes nobody, keeping in this process alone the right to write into the folders it
 * was given (CAP_DAC_OVERRIDE: the outputs' folder, the cgroup). Others stay who they are. */
int given_become_nobody(struct given *g, struct why *w);

#endif
