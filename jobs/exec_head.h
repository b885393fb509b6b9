/* SPDX-License-Identifier: Apache-2.0
 *
 * exec_head.h: what a program asks to be started with: the interpreter of its `#!` line, or its loader.
 */
#ifndef JOBS_EXEC_HEAD_H
#define JOBS_EXEC_HEAD_H

#include "common/base.h"

#define EXEC_HEAD_BYTES 4096     /* of a file, in which both must lie */
#define EXEC_SCRIPT_LINE_MAX 256 /* BINPRM_BUF_SIZE of Linux since 5.1 */
#define EXEC_NEST_MAX                                                                              \
	5 /* scripts whose interpreter is a script: exec_binprm() of Linux allows as many */

/* `head` is the first n bytes of a file. True: `path` is the program named by its `#!` line, or by PT_INTERP of an ELF
 * file of 64 bits, little-endian; as it is written there, never empty. False: it names none. */
bool exec_head_names(char path[EXEC_HEAD_BYTES], const void *head, size_t n);

#endif
