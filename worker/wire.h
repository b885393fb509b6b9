/* SPDX-License-Identifier: Apache-2.0
 *
 * wire.h: a keeper's process and what leads to it: a socket for packets, a pipe for its complaints.
 *
 * The process has nothing of ours: no other descriptor but /dev/null, and no environment. When we are gone,
 * so is it, by its socket's end, by its parent-death signal and by the guard. Nothing here waits but wire_end().
 */
#ifndef WORKER_WIRE_H
#define WORKER_WIRE_H

#include "common/err.h"
#include "worker/packet.h"

#include <sys/types.h>

#define WIRE_FDS_MAX 128  /* of one packet */
#define WIRE_SAID_MAX 200 /* of what it complained of: the end */

struct wire {
	pid_t pid;            /* 0: no process */
	int guard;            /* guard.h's fd */
	int sock, complaints; /* -1: closed */
	char said[WIRE_SAID_MAX + 1];
};

enum wired { WIRED, WIRED_LATER, WIRED_NOT };

void wire_init(struct wire *w, int guard);
/* Start `sandbox --serve --profile PROFILE`. Who waits for the process calls wire_shut() after its end. */
int wire_open(struct wire *w, const char *sandbox, const char *profile, struct err *e);
/* Send a packet and `n` descriptors, which stay yours. LATER: there is no room now. NOT: its other end is gone. */
enum wired wire_post(struct wire *w, const struct packet *p, const int *fds, size_t n);
/* The next packet, or its first `room` bytes; *n of them. LATER: there is none now. */
enum wired wire_hear(struct wire *w, void *bytes, size_t room, size_t *n);
/* Take in what it complained of, into `said`; NOT: there will be no more. */
enum wired wire_listen(struct wire *w);
/* The process has ended and was waited for: who is left of its group goes, all is closed. */
void wire_shut(struct wire *w);
/* Bid the process end and wait for that, a moment at most, then kill it; then as wire_shut(). */
void wire_end(struct wire *w);

#endif
