/* SPDX-License-Identifier: Apache-2.0
 *
 * hoard.h: memory that the kernel keeps for a box and that no column of /proc/PID/status shows: what lies
 * in sockets and pipes, what open files of /proc keep, the records of mappings and of what is waited for. A memory cgroup counts it, too, but has room for files besides.
 */
#ifndef SANDBOX_HOARD_H
#define SANDBOX_HOARD_H

#include "sandbox/box.h"

#include <sys/types.h>

struct hoard {
	int64_t sockets, pipes; /* different ones */
	int64_t mappings;       /* beyond HOARD_MAPPINGS_FREE in each process */
	int64_t watches;    /* that sets of events could hold, beyond HOARD_WATCHES_FREE in each */
	int64_t records;    /* open files of /proc (BOX_PROC) */
	int64_t record_kib; /* what each counts as */
};

/* Neither tells from outside what lies in it, so each counts as full; but so many are free for each task
 * that the box may have, and those never more than HOARD_FREE_PART of its memory. Loops of events need
 * two or three, a child whose streams are pipes or sockets six. */
#define HOARD_SOCKET_KIB 208 /* net.core.wmem_default */
#define HOARD_PIPE_KIB 64    /* pipe(7); asking for more is not in the policy */
#define HOARD_FREE_EACH 8
#define HOARD_FREE_PART 8        /* of its memory: the 8th part, sockets and pipes each */
#define HOARD_MAPPING_BYTES 256  /* struct vm_area_struct and its part of a tree */
#define HOARD_MAPPINGS_FREE 1024 /* in each process: 256 KiB */
#define HOARD_WATCH_BYTES 200    /* struct epitem and its hook */
#define HOARD_WATCHES_FREE 1024  /* four sets that watch all 256 descriptors */

/* An open file of /proc keeps a buffer as large as the longest of its records; `maps` names the files that are mapped,
 * with four characters for each odd one, and the buffer may be twice as large. Of what the box was given a name has
 * at most 4095 bytes; a program can build longer ones, with each folder that it makes. */
#define HOARD_RECORD_KIB 32
#define HOARD_RECORD_NAME_KIB 2

/* What `h` counts as, in KiB. Pure. */
int64_t hoard_charge_kib(const struct hoard *h, const struct box_limits *l);

/* Count what all below `init` hold; `mapped_kib` is their address space, `names` how many files and folders lie in
 * /out and /tmp, or -1: the box has no /proc. What cannot matter is not counted. */
void hoard_count(struct hoard *h, int proc, pid_t init, int64_t mapped_kib, int64_t names,
	const struct box_limits *l);

#endif
