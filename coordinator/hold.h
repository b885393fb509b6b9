/* SPDX-License-Identifier: Apache-2.0
 *
 * hold.h: an ask that waits for something to lease.
 */
#ifndef COORDINATOR_HOLD_H
#define COORDINATOR_HOLD_H

#include "coordinator/coord.h"

struct hold {
	struct call *call;
	struct msg ask;
	uint32_t worker;
	int64_t until_ms;
	bool waited;
	bool now;  /* answer it in this turn, whatever there is */
	size_t at; /* its place among the holds */
};

#endif
