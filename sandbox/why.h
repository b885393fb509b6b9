/* SPDX-License-Identifier: Apache-2.0
 *
 * why.h: a sentence about what went wrong, for a person. The box links nothing of ours, so it has
 * its own; it carries no code, because every failure here means the same: not started.
 */
#ifndef SANDBOX_WHY_H
#define SANDBOX_WHY_H

#define WHY_MAX 320

struct why {
	char text[WHY_MAX];
};

/* Both set `w` and return -1; why_sys adds errno's text. */
int why_set(struct why *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int why_sys(struct why *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
