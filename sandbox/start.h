/* SPDX-License-Identifier: Apache-2.0
 *
 * start.h: the last steps of a process before it becomes the boxed program.
 */
#ifndef SANDBOX_START_H
#define SANDBOX_START_H

#include "sandbox/reap.h"

/* Bind the calling process to every layer and execute the program. Returns only when that failed;
 * then a NOTE_FAILED is on its way. `rooted`: it stands in its own root. `init` must be alive. */
_Noreturn void start_program(const struct reap_plan *plan, unsigned layers, pid_t init);

#endif
