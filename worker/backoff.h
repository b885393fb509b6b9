/* SPDX-License-Identifier: Apache-2.0
 *
 * backoff.h: how long to wait before something is tried again.
 */
#ifndef WORKER_BACKOFF_H
#define WORKER_BACKOFF_H

#include "common/base.h"

#define BACKOFF_MIN_MS 500
#define BACKOFF_MAX_MS 30000

/* Wait before try number `tries` (1, 2, …): doubles from 0.5 s to 20 s, plus up to half of it by
 * chance, so 0.5 … 30 s. */
int64_t backoff_ms(int tries, uint64_t *seed);

#endif
