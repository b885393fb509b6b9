/* SPDX-License-Identifier: Apache-2.0
 *
 * reap.h: the box's init: builds it from inside, starts the program, waits, clears up and tells.
 * plan.h draws who says what.
 */
#ifndef SANDBOX_REAP_H
#define SANDBOX_REAP_H

/* What a clone of the keeper does with its struct plan, from then on. */
_Noreturn void reap_run(void *plan);

#endif
