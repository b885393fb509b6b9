/* SPDX-License-Identifier: Apache-2.0
 *
 * proc.h: what /proc tells of the processes of a box. Any of them may be gone at any moment.
 */
#ifndef SANDBOX_PROC_H
#define SANDBOX_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* More than any box may have; a tree that is larger is cut and judged by what was seen. */
#define PROC_TREE_MAX 8192

struct proc_tree {
	pid_t pids[PROC_TREE_MAX];
	size_t n;
	bool torn; /* some ended while we read: who was theirs may be missing */
};

/* Everything below `init`, which comes first itself; a parent comes before its children. `proc` is the
 * open /proc. It holds until the next call. */
const struct proc_tree *proc_tree(int proc, pid_t init);

/* "PID/NAME" in `text`, cut to room - 1 bytes and NUL-terminated. */
bool proc_read(int proc, pid_t pid, const char *name, char *text, size_t room);

/* The same, or when the leader of its threads has ended, and so says nothing of memory, of a thread that is
 * left: "PID/task/TID/NAME". `sign` is in a full answer. */
bool proc_read_living(
	int proc, pid_t pid, const char *name, const char *sign, char *text, size_t room);

/* The number after `name` in `text`, or 0. */
int64_t proc_number(const char *text, const char *name);

/* proc_pid_stat(5): times in microseconds, as exact as a tick of the clock. */
struct proc_times {
	char state; /* R S D T t Z X */
	int64_t own_us, waited_us;
	long threads;
};
bool proc_times(struct proc_times *t, int proc, pid_t pid);

/* The threads of `pid`, added to the `n` in `tids`; gives how many there are then, `room` when they do not
 * fit. */
size_t proc_threads(int proc, pid_t pid, pid_t *tids, size_t n, size_t room);

/* CPU time of all threads of `pid`, ended ones too, without what it waited for; to the nanosecond where
 * ticks would hide a process that lives for less than one. -1: it is gone. */
int64_t proc_own_us(pid_t pid);

#endif
