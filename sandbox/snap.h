/* SPDX-License-Identifier: Apache-2.0
 *
 * snap.h: a program's checkpoint, copied out while it runs.
 *
 * What is at /out/checkpoint, a regular file, is copied to `.checkpoint` in the outputs' folder every so often, when it
 * is another than last time: so it outlives a killed keeper. A dot in front is no name of an output, so the two never
 * meet. Written beside and renamed: under its name there is always a whole copy. The program should do the same, write
 * elsewhere below /out and rename: what it writes to in place may be copied half-written.
 */
#ifndef SANDBOX_SNAP_H
#define SANDBOX_SNAP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define SNAP_NAME "checkpoint" /* below /out */
#define SNAP_COPY ".checkpoint"

struct snap {
	int64_t every_us; /* 0: never */
	int64_t most_bytes; /* larger ones are not copied: the copy is on the volunteer's disk */
	int64_t next_us;
	pid_t copier;     /* 0: none is at work */
	struct stat last; /* what was copied last */
};

/* At `now_us`: begin a copy if one is due and there is something new. `work`: the folder that holds the box's out;
 * `outputs`: where to. Neither waits for the copy nor reports its failure: the next is tried in time. */
void snap_turn(struct snap *s, int work, int outputs, int64_t now_us);
/* A child of ours ended; whether it was the copier. */
bool snap_reaped(struct snap *s, pid_t child);
/* Before the outputs are collected: end the copier, wait for it, remove what it left half-made. */
void snap_end(struct snap *s, int outputs);

#endif
