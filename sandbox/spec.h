/* SPDX-License-Identifier: Apache-2.0
 *
 * spec.h: what the command line asks for, as one struct. Pure: touches no file and prints nothing.
 */
#ifndef SANDBOX_SPEC_H
#define SANDBOX_SPEC_H

#include "sandbox/box.h"
#include "sandbox/why.h"

#include <stddef.h>

enum spec_what { SPEC_RUN, SPEC_SERVE, SPEC_CHECK, SPEC_HELP, SPEC_VERSION };

struct spec_input {
	char name[BOX_NAME_MAX + 1]; /* /in/NAME */
	const char *path;
};

/* All strings are borrowed from argv. */
struct spec {
	enum spec_what what;
	enum box_profile profile;
	struct box_limits limits;
	unsigned bits;    /* BOX_JIT, BOX_PROC */
	bool idle;        /* run when nothing else wants the processor or the disk */
	int64_t checkpoint_s; /* so often what is at /out/checkpoint is copied out; 0: never */
	uint64_t seed[4]; /* of all chance in a deterministic run */
	const char *root, *out, *in, *stdout_path, *stderr_path, *report; /* NULL: not given */
	const char *cwd;              /* where the program begins (image); NULL: the usual place */
	const char *env[BOX_ENV_MAX]; /* NAME=VALUE (image) */
	size_t n_env;
	char **argv; /* the program and its arguments; NULL at the end */
	size_t n_inputs;
	struct spec_input inputs[BOX_INPUTS_MAX]; /* large, and last */
};

/* Read `argv` (argv[0] is skipped). -1: wrong usage, and `w` names the flag or the word at fault.
 * What the spec promises when it is 0: argv[0] is there and not empty; input names are good and
 * distinct; limits are in range; options that give files come only with `files` and `image`, those about
 * what is in an image only with `image`, which has a root, and bits never with `compute`. */
int spec_read(struct spec *s, int argc, char **argv, struct why *w);

/* The text of --help. */
extern const char spec_help[];

#endif
