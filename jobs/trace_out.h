/* SPDX-License-Identifier: Apache-2.0
 *
 * trace_out.h: the terminal and the output, lent to a program that is traced.
 */
#ifndef JOBS_TRACE_OUT_H
#define JOBS_TRACE_OUT_H

#include "common/base.h"
#include "common/err.h"

#include <sys/types.h>

/* A process that passes on what is written into *in, until all who can write are gone: to our standard output, and the
 * first `max` bytes to the new file `copy`. Its pid; -1 with `e`. *in is yours. */
pid_t out_start(int *in, const char *copy, int64_t max, struct err *e);

/* The terminal, when we are what it talks to. */
struct tty {
	int fd; /* -1: none, or we stand in the background */
};

void tty_open(struct tty *t);
/* Ctrl-C and input go to that process group; to ours. */
void tty_lend(const struct tty *t, pid_t group);
void tty_take(const struct tty *t);
void tty_close(struct tty *t);

/* From now on signals that would end us go to that process group, until out_signals_back(). */
void out_signals_to(pid_t group);
void out_signals_back(void);

#endif
