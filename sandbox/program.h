/* SPDX-License-Identifier: Apache-2.0
 *
 * program.h: is this file a program that a box can start?
 */
#ifndef SANDBOX_PROGRAM_H
#define SANDBOX_PROGRAM_H

#include "sandbox/why.h"

#include <stdbool.h>
#include <stddef.h>

/* The first bytes of a file that are looked at; program headers must lie within. */
#define PROGRAM_HEAD 4096

/* Judge a file by its first n bytes. A dynamic program is one only where `dynamic_ok`. Pure. */
int program_judge(const void *head, size_t n, bool dynamic_ok, struct why *w);

/* Open `path`, closed on exec. -1: `w` names it. */
int program_find(const char *path, struct why *w);

/* Judge the open file `fd` (taken over), called `path`. A file that nobody could execute is copied into
 * memory when `for_nobody`. Gives the descriptor to execute, or -1. */
int program_settle(int fd, const char *path, bool dynamic_ok, bool for_nobody, struct why *w);

#endif
