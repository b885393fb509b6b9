/* SPDX-License-Identifier: Apache-2.0
 *
 * reap.h: the box's init: builds it from inside, starts the program, waits, clears up, and tells
 * the launcher by notes on a socket that the program never sees.
 *
 *	launcher                       init                          program
 *	  | -- REAP_GO --------------->| builds the root                |
 *	  | <-- NOTE_READY, work dir --| forks ----------------------->| binds itself
 *	  | (<-- NOTE_FAILED) ------------------------------------------| execs
 *	  | (-- REAP_END, or gone ---->| kills)                         |
 *	  | <-- NOTE_ENDED ------------| reaps all, ends <-------------| ends
 */
#ifndef SANDBOX_REAP_H
#define SANDBOX_REAP_H

#include "sandbox/given.h"
#include "sandbox/limit.h"

enum { REAP_GO = 'g', REAP_END = 'e' }; /* the launcher's words, a byte each */

enum note_kind { NOTE_READY, NOTE_ENDED, NOTE_FAILED };

struct note {
	enum note_kind kind;
	unsigned layers; /* READY: the namespaces that hold */
	int status;      /* ENDED: the program's, as wait(2) gives it */
	int64_t cpu_us;  /* ENDED: of all that was reaped */
	int64_t rss_kib; /* ENDED: of the largest of them */
	struct why why;  /* FAILED */
};

/* Send one, with descriptor `fd` unless it is -1. */
int note_send(int sock, const struct note *n, int fd);
/* Receive one; *fd is -1 or the receiver's. 1: got one; 0: none will come; -1: error. */
int note_recv(int sock, struct note *n, int *fd);

struct reap_plan {
	const struct spec *spec;
	const struct given *given;
	unsigned layers;  /* the namespaces it was born in */
	int in, out, err; /* the program's streams */
	int sock;
	pid_t launcher;
};

/* What the child of space_fork does, from then on. */
_Noreturn void reap_run(const struct reap_plan *plan);

#endif
