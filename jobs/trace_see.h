/* SPDX-License-Identifier: Apache-2.0
 *
 * trace_see.h: one stopped task, and the files that its system call names.
 */
#ifndef JOBS_TRACE_SEE_H
#define JOBS_TRACE_SEE_H

#include "jobs/trace.h"
#include "jobs/trace_calls.h"

#include <sys/ptrace.h>

/* A task between the two stops of a call. Zero but for `tid` outside of one. */
struct seen {
	pid_t tid;
	char *path[CALL_PATHS_MAX]; /* absolute; NULL: none */
	unsigned how[CALL_PATHS_MAX];
	bool exec;
};

/* The call begins: its arguments are read while they are still there. */
void see_entry(struct seen *s, struct trace *t, const struct __ptrace_syscall_info *info);
/* It ended, well or not: what it named is noted or forgotten. */
void see_exit(struct seen *s, struct trace *t, bool well);
/* It became the program that it named: that, its interpreters and its loader are noted. */
void see_exec(struct seen *s, struct trace *t);
void see_forget(struct seen *s);

#endif
