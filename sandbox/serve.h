/* SPDX-License-Identifier: Apache-2.0
 *
 * serve.h: a keeper of many boxes, for one who asks through a socket (box.h says how).
 */
#ifndef SANDBOX_SERVE_H
#define SANDBOX_SERVE_H

#include "sandbox/box.h"

/* Until the socket's other end is gone or SIGTERM; gives the exit code. */
int serve_run(enum box_profile profile);

#endif
