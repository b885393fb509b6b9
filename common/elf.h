/* SPDX-License-Identifier: Apache-2.0
 *
 * elf.h: whether some bytes are a program, and for which platform.
 */
#ifndef COMMON_ELF_H
#define COMMON_ELF_H

#include "common/base.h"

/* What an executable is: for submit's checks and the worker's. */
enum elf_kind { ELF_NOT, ELF_STATIC, ELF_DYNAMIC, ELF_SCRIPT, ELF_FOREIGN };
/* From the first 4096 bytes of a file, in which all its program headers must lie, as for the box;
 * platform gets e.g. "x86_64-linux". */
enum elf_kind elf_look(const void *bytes, size_t n, char platform[40]);
/* The platform this program runs on. */
const char *platform_here(void);

#endif
