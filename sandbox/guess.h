/* SPDX-License-Identifier: Apache-2.0
 *
 * guess.h: what the next task will be like: as the last one was.
 *
 * A volunteer gets many tasks of one job. So a box may stand by that is made for the last task's program:
 * its process is there, bound to Landlock and the filter, and only its descriptors, words and limits are
 * still to come. A task that is not like the guess takes another box; nothing is ever bent to fit.
 */
#ifndef SANDBOX_GUESS_H
#define SANDBOX_GUESS_H

#include "sandbox/given.h"

struct guess {
	bool made;
	/* What is bound before the task is known. The program's file: Landlock lets just that one execute. It is
	 * held open, so that its number cannot come to mean another file. Of an image it is always the same one,
	 * which is not executed. */
	int program;
	dev_t dev;
	ino_t ino;
	bool deterministic; /* how addresses and chance are made */
	bool rooted;        /* it has folders of --root */
	unsigned bits;      /* what the filter and Landlock let it do besides */
	bool alone; /* neither these nor inputs nor a file as standard input: the host's root
	             * can be let go at once */
};

/* What `s` and `g` ask for; g->program is only borrowed. Nothing is made when it cannot be looked at. */
struct guess guess_of(const struct spec *s, const struct given *g);

/* Whether a box made for `guess` can take `task`. Pure. */
bool guess_fits(const struct guess *guess, const struct guess *task);

/* Make `guess` be `task`, with a descriptor of its own. */
void guess_learn(struct guess *guess, const struct guess *task);
void guess_forget(struct guess *guess);

#endif
