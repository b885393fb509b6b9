/* SPDX-License-Identifier: Apache-2.0
 *
 * spawn.h: start a program that is bound to us: its own process group, known to the guard, with a parent-death
 * signal, and with nothing of ours open but its three streams.
 */
#ifndef WORKER_SPAWN_H
#define WORKER_SPAWN_H

#include "common/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct spawn {
	char *const *argv; /* argv[0] is the program's path */
	char *const *env;
	int in, out, err;
	int guard; /* guard.h's fd */
	int death; /* the signal that it gets when we are gone */
	bool idle; /* at idle priority */
};

/* The process, or -1. A program that cannot be executed is an error. */
pid_t spawn(const struct spawn *s, struct err *e);

#endif
