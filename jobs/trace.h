/* SPDX-License-Identifier: Apache-2.0
 *
 * trace.h: run a program here and note what it touches: it, and all processes and threads that it starts.
 */
#ifndef JOBS_TRACE_H
#define JOBS_TRACE_H

#include "jobs/touch.h"

#include <sys/types.h>

#define TRACE_TASKS_MAX 4096 /* processes and threads at once */
#define TRACE_PEERS_MAX 8    /* addresses that are told */
#define TRACE_STDOUT_MAX                                                                           \
	(64 * MIB) /* of its output, kept to be compared; the box's usual --max-output */

struct trace {
	struct touches touches;
	char *peers[TRACE_PEERS_MAX]; /* "ADDRESS:PORT" that it wanted to reach */
	size_t n_peers;
	bool network; /* it asked for a socket of the network */
	bool foreign; /* a program by another architecture's system calls (32 bits) ran: what that touched is not known */
	int status; /* as waitpid(2) gives it */
};

/* Run argv (found in PATH as execvp(3) does) to its end, in a process group of its own. Standard input and standard
 * error are ours. Standard output is a pipe, as in a box it is no terminal: what comes out of it goes to ours at once,
 * and the first TRACE_STDOUT_MAX + 1 bytes into the new file `copy`. Ctrl-C, Ctrl-Z, SIGTERM, SIGHUP and SIGQUIT go to the program.
 * When it ends, what it left running is ended too, as in a box. -1: it could not be started or traced. */
int trace_run(struct trace *t, char *const argv[], const char *copy, struct err *e);
void trace_release(struct trace *t);

#endif
