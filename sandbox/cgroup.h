/* SPDX-License-Identifier: Apache-2.0
 *
 * cgroup.h: folders of cgroups: where ours may be made, making, removing, reading, writing.
 */
#ifndef SANDBOX_CGROUP_H
#define SANDBOX_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of a folder: this, the pid of who made it and a number. */
#define CGROUP_PREFIX "talkoot-"
#define CGROUP_NAME_MAX 48

/* One file's text, at most room - 1 bytes, NUL-terminated; 0 or -1. */
int cgroup_read(int dir, const char *name, char *text, size_t room);
int cgroup_write(int dir, const char *name, const char *text);
/* The number after `key` in a file; -1: there is none. */
int64_t cgroup_number(int dir, const char *name, const char *key);

/* Where the kernel shares the processor out by cgroups, what a process is (SCHED_IDLE) counts only among those of its
 * own: let this one stand last, or (`!last`) as any. */
void cgroup_yield(int dir, bool last);

/* Our own path in the hierarchy of `controller`, or of version 2 when NULL; 0 or -1. */
int cgroup_own(const char *controller, char *path, size_t room);

/* The folder `mount`/`path`, if cgroups may be made in it, or -1. */
int cgroup_open(const char *mount, const char *path);

/* Make number `n` in `parent`, named `name`; gives its folder, or -1. No sweep takes it while that is open. */
int cgroup_make(int parent, unsigned n, char name[CGROUP_NAME_MAX]);
/* The last process's exit may still be under way: waits a moment for it. */
void cgroup_remove(int parent, const char *name);
/* Remove what killed launchers left in `parent`: what is empty, of a pid that is gone, and open nowhere. */
void cgroup_sweep(int parent);

#endif
