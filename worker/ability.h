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
	struct {
		const char *name;
		char why[160]; /* "ok", or what is missing; "" when not said */
	} layers[BOX_N_LAYERS];
};

/* What --check printed; anything else than its object counts as no answer. Pure. */
void ability_read(struct ability *a, const char *text, size_t n);
/* Waits for the program, a few seconds at most. */
void ability_ask(struct ability *a, const char *sandbox);
/* For `check`: every layer, what is missing, the command that mends it. True when `compute` works. */
bool ability_print(const struct ability *a, const struct facts *f, const char *sandbox, FILE *out);

#endif
