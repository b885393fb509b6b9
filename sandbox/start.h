/* SPDX-License-Identifier: Apache-2.0
 *
 * start.h: the last steps before a stranger's program runs, in its own process.
 */
#ifndef SANDBOX_START_H
#define SANDBOX_START_H

/* In the clone of the init, while that waits: bind this process to everything, then execute the
 * program. A failure is left in the struct plan's `told`. */
_Noreturn void start_program(void *plan);

#endif
