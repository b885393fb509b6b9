/* SPDX-License-Identifier: Apache-2.0
 *
 * talk.h: the keeper's half of its talk with an init: words of one byte, with descriptors (plan.h).
 */
#ifndef SANDBOX_TALK_H
#define SANDBOX_TALK_H

#include "sandbox/why.h"

#include <stddef.h>

/* PLAN_GO with `n` descriptors, at most PLAN_INPUTS_AT_ONCE. */
int talk_send_fds(int sock, const int *fds, size_t n, struct why *w);

/* One word, without waiting, and its descriptor, or -1 in *fd; it is the caller's. 1: a word; 0: the init is
 * gone; -1: errno. */
int talk_hear(int sock, char *word, int *fd);

#endif
