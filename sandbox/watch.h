/* SPDX-License-Identifier: Apache-2.0
 *
 * watch.h: one box from outside: started, given something to run, fed, limited, judged.
 *
 * It does not wait: whoever holds it polls what watch_want says and calls watch_turn.
 */
#ifndef SANDBOX_WATCH_H
#define SANDBOX_WATCH_H

#include "sandbox/guess.h"
#include "sandbox/place.h"
#include "sandbox/report.h"

#include <poll.h>

struct watch;

#define WATCH_FDS 3
#define WATCH_LATER_US 1000000 /* when nothing is due */

/* A new box in `place`, which must outlive it: its init stands by. With `guess`, whose descriptor must stay
 * open until it is dropped, it is made for what is like that; NULL: for anything. NULL: `w` says why. */
struct watch *watch_new(struct place *place, const struct guess *guess, struct why *w);
/* Whether it can be given `task`. */
bool watch_fits(const struct watch *k, const struct guess *task);

/* Run what `s` asks for with what `g` holds; both are borrowed until the end. -1: it was not
 * started; the ending says so too. */
int watch_give(struct watch *k, const struct spec *s, const struct given *g);

void watch_want(const struct watch *k, struct pollfd fds[WATCH_FDS]);
/* After poll. */
void watch_turn(struct watch *k, const struct pollfd fds[WATCH_FDS]);
/* Microseconds from now until watch_turn is due even if nothing happens. */
int64_t watch_due_us(const struct watch *k);

/* Somebody asks for its end by `signal`. `hurry`: a reader of its output is not waited for long. */
void watch_stop(struct watch *k, int signal, bool hurry);
/* Stop all its processes, or let them go on. Stopped time is no wall time. */
void watch_hold(struct watch *k, bool hold);

/* Whether all is said and its streams are empty; then it may be asked for its ending. */
bool watch_is_over(const struct watch *k);
pid_t watch_init(const struct watch *k);
/* Its init has been waited for by the caller. */
void watch_reaped(struct watch *k);
/* The same of another child; whether it was one of this box's. */
bool watch_helper_reaped(struct watch *k, pid_t child);
/* Once it is over: its init, all that is left of it, may end too. */
void watch_leave(struct watch *k);
/* After watch_ending: another box may have its cgroup, where nothing can be left in it: then true. */
bool watch_return(struct watch *k);

/* Once it is over, before watch_collect and by who made it: no copy of its checkpoint is being made any more. */
void watch_end_copy(struct watch *k);
/* What happened, once it is over; without outputs until watch_collect. It lives as long as `k`. */
struct ending *watch_ending(struct watch *k);
/* Once, after watch_ending: copy its outputs to g->outputs. This may take long. */
void watch_collect(struct watch *k);

/* Kill its init if it is not reaped, and wait for it. NULL is allowed. */
void watch_drop(struct watch *k);

#endif
