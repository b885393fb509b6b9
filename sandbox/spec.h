/* SPDX-License-Identifier: Apache-2.0
 *
 * spec.h: what was asked for on the command line, checked, before anything is opened.
 */
#ifndef SANDBOX_SPEC_H
#define SANDBOX_SPEC_H

#include "sandbox/box.h"
#include "sandbox/fail.h"

struct spec_input {
	char name[BOX_NAME_MAX + 1];
	const char *path;
};

struct spec {
	enum box_profile profile;
	struct box_limits limits;
	struct spec_input inputs[BOX_INPUTS_MAX];
	int n_inputs;
	const char *root, *out, *in_path, *out_path, *err_path, *report;
	char **argv; /* PROGRAM and its arguments, NULL at the end */
	bool help, version, check;
};

/* Texts stay argv's. -1 and a sentence naming the flag when it is malformed (exit 2). */
int spec_parse(struct spec *s, int argc, char **argv, struct fail *f);
void spec_help(void);

/* [A-Za-z0-9._-]{1,100}, not beginning with a dot: what one part of an input's or output's name may be. */
bool spec_name_ok(const char *name);

#endif
