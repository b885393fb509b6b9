/* SPDX-License-Identifier: Apache-2.0
 *
 * finish.h: after a box's end: take out its outputs, judge, report.
 */
#ifndef SANDBOX_FINISH_H
#define SANDBOX_FINISH_H

#include "sandbox/watch.h"

/* `k` is over. Gives the exit code. May take long when there are outputs. */
int finish_box(struct watch *k, const struct spec *s, const struct given *g);

/* It did not come to a box. */
int finish_nothing(const struct why *w, const struct spec *s, const struct given *g);

#endif
