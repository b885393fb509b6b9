/* SPDX-License-Identifier: Apache-2.0
 *
 * host.h: what this machine has and may lend.
 */
#ifndef WORKER_HOST_H
#define WORKER_HOST_H

#include "common/base.h"

int host_cpus(void);               /* that this process may use */
int64_t host_memory_mib(void);     /* of the machine */
int64_t host_free_mib(const char *dir); /* that an ordinary user may fill; -1: not known */
/* The psABI level: "x86_64-v2" … "-v4", "x86_64", or "any". Programs must not need more. */
const char *host_platform_class(void);
/* DIR of this program's file: where its sisters are. Yours; NULL when not known. */
char *host_program_dir(void) MUST_USE;

#endif
