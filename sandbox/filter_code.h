/* SPDX-License-Identifier: Apache-2.0
 *
 * filter_code.h: what the generator (filter_gen.c) makes of policy.h at build time, and in what form
 * filter.c finds it: for each architecture the code of every kind of plan.
 */
#ifndef SANDBOX_FILTER_CODE_H
#define SANDBOX_FILTER_CODE_H

#include <linux/filter.h>

/* Stands in the code for the program's own pid. No pid (at most 2^22) and no other constant. */
#define FILTER_SELF 0x5e1f5e1f

/* The kinds of plan. compute: 0..3, rooted + 2 * seeded; files and image: 4 + seeded + 2 * jit. */
#define FILTER_VARIANTS 8
#define FILTER_VARIANT_FILES 4

struct filter_code {
	const struct sock_filter *code;
	const unsigned short *reach; /* the numbers of the calls that it may let through, rising */
	unsigned short n, n_reach;
};

#endif
