/* SPDX-License-Identifier: Apache-2.0
 *
 * door.h: a second place where a keeper of `files` lets boxes be born: in an empty root.
 *
 * Inputs and folders of --root are taken from the host's mounts, so the keeper stands among those, and each
 * box begins with a copy of them all that it then takes down. A task without any needs none of it. The
 * door is a process in the keeper's memory, as an init is, that stands in an empty root with /in, /out, /tmp
 * and the devices; it makes inits there, which are the keeper's own children. Without it boxes only cost more.
 */
#ifndef SANDBOX_DOOR_H
#define SANDBOX_DOOR_H

#include "sandbox/spawn.h"

#include <stdbool.h>
#include <sys/types.h>

struct door;

/* Before rights are given up; `was_root`: it becomes nobody. It dies with the caller. NULL: there is none. */
struct door *door_open(int proc, bool was_root);
bool door_is_open(const struct door *d);
/* As spawn(), with a new stack at `stack`. */
long door_spawn(struct door *d, uint64_t flags, void *stack, size_t size, spawn_fn *fn, void *arg);
/* NULL is allowed. */
void door_close(struct door *d);

#endif
