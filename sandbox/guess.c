/* SPDX-License-Identifier: Apache-2.0
 *
 * guess.c: see guess.h.
 */
#include "sandbox/guess.h"

#include "sandbox/place.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct guess guess_of(const struct spec *s, const struct given *g)
{
	struct guess t = { .program = g->program,
		.deterministic = s->limits.deterministic,
		.rooted = g->root >= 0,
		.bits = s->bits,
		.alone = g->root < 0 && g->n_inputs == 0 };
	struct stat st;

	/* a file as standard input is reopened by its path */
	if (fstat(g->in, &st) || S_ISREG(st.st_mode))
		t.alone = false;
	/* beside a /proc the program is not the file that was given (take.c), and none is bound to it before */
	if (s->bits & BOX_PROC || fstat(g->program, &st))
		return t;
	t.dev = st.st_dev;
	t.ino = st.st_ino;
	t.made = true;
	return t;
}

bool guess_fits(const struct guess *guess, const struct guess *task)
{
	return guess->made && task->made && guess->dev == task->dev && guess->ino == task->ino &&
	       guess->deterministic == task->deterministic && guess->rooted == task->rooted &&
	       guess->bits == task->bits && guess->alone == task->alone;
}

void guess_learn(struct guess *guess, const struct guess *task)
{
	if (guess_fits(guess, task))
		return;
	guess_forget(guess);
	if (!task->made)
		return;
	*guess = *task;
	guess->program = fcntl(task->program, F_DUPFD_CLOEXEC, PLACE_FD_AWAY);
	guess->made = guess->program >= 0;
}

void guess_forget(struct guess *guess)
{
	if (guess->made)
		close(guess->program);
	guess->made = false;
}
