/* SPDX-License-Identifier: Apache-2.0
 *
 * host.h: what this machine has and may lend.
 */
#ifndef WORKER_HOST_H
#define WORKER_HOST_H

#include "common/base.h"

#define HOST_DISK_LEAST_MIB 16
#define HOST_DISK_MOST_MIB 10240

int host_cpus(void);               /* that this process may use */
int64_t host_memory_mib(void);     /* of the machine */
int64_t host_free_mib(const char *dir); /* that an ordinary user may fill; -1: not known */
/* What --disk is when nobody says: a tenth of what is free, at most 10 GiB, at least what --disk may be. free_mib -1: not known. */
int64_t host_lent_mib(int64_t free_mib);
/* The psABI level: "x86_64-v2" … "-v4", "x86_64", or "any". Programs must not need more. */
const char *host_platform_class(void);
/* DIR of this program's file: where its sisters are. Yours; NULL when not known. */
char *host_program_dir(void) MUST_USE;

#endif
