/* SPDX-License-Identifier: Apache-2.0
 *
 * ability.h: what the box can do on this machine, by `SANDBOX --check`, and what would mend what it cannot.
 */
#ifndef WORKER_ABILITY_H
#define WORKER_ABILITY_H

#include "common/base.h"
#include "worker/mend.h"

struct ability {
	bool answered; /* false: a program that knows no --check; it is taken to do everything */
	bool compute, files;
	bool image; /* only where it was answered so, and ability_image() finds the rest too */
	char no_image[400]; /* why not; "" when the box said it alone */
	unsigned bits; /* of JOB_BIT_…: what it can give besides; none where it was not answered so */
	char no_bit[BOX_N_BITS][160]; /* why not; "" when not said */
	struct {
		const char *name;
		char why[160]; /* "ok", or what is missing; "" when not said */
	} layers[BOX_N_LAYERS];
};

/* What --check printed; anything else than its object counts as no answer. Pure. */
void ability_read(struct ability *a, const char *text, size_t n);
/* Waits for the program, a few seconds at most. */
void ability_ask(struct ability *a, const char *sandbox);
/* Whether images can be unpacked into `dir` by `tool` (talkoot-image, NULL: not found); else there is no `image`. */
void ability_image(struct ability *a, const char *dir, const char *tool);
/* The profiles that work, 1 << enum job_profile each. */
unsigned ability_profiles(const struct ability *a);
/* For `check`: every layer, what is missing, the command that mends it. True when `compute` works. */
bool ability_print(const struct ability *a, const struct facts *f, const char *sandbox, FILE *out);

#endif
