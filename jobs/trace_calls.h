/* SPDX-License-Identifier: Apache-2.0
 *
 * trace_calls.h: which system calls name files, by which arguments, and what they do with them.
 */
#ifndef JOBS_TRACE_CALLS_H
#define JOBS_TRACE_CALLS_H

#include "common/base.h"

#define CALL_PATHS_MAX 2

enum call_kind {
	CALL_PATHS,    /* each path is touched as the row says */
	CALL_OPEN,     /* as the open flags in argument `flags` say */
	CALL_OPEN_HOW, /* as the struct open_how at argument `flags` says (openat2) */
	CALL_FOLDER,   /* argument 0 is a descriptor of the folder */
	CALL_EXEC,
	CALL_SOCKET,  /* argument 0 is its family */
	CALL_CONNECT, /* arguments 1 and 2 are the address */
};

struct call_path {
	int dir,
		path; /* arguments: the descriptor it begins at (CALL_HERE: the working folder), and its text */
	unsigned how; /* enum touch_how; 0: there is no such path */
};

#define CALL_HERE (-1)

struct call {
	long nr;
	enum call_kind kind;
	struct call_path paths[CALL_PATHS_MAX];
	int flags;
};

/* NULL: a call that names no file. */
const struct call *call_find(uint64_t nr);
/* What opening a file with these flags does to it; TOUCH_MADE only when it was not there. */
unsigned call_open_how(uint64_t flags, bool was_there);
/* AUDIT_ARCH_… of the calls in the table. */
uint32_t call_architecture(void);

#endif
