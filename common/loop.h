/* SPDX-License-Identifier: Apache-2.0
 *
 * loop.h: the one event loop of a process, and its timers, descriptors, signals and children.
 *
 * Everything is called from loop_run() on the one thread. A handle that is freed never fires
 * again. Handlers may free their own handle.
 */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include "common/base.h"
#include "common/err.h"

#include <sys/resource.h>
#include <sys/types.h>

struct loop;
struct timer;
struct watch;
struct event_base;

typedef void loop_fn(void *arg);

int loop_new(struct loop **out, struct err *e);
void loop_free(struct loop *l);
void loop_run(struct loop *l);  /* until loop_stop() */
void loop_stop(struct loop *l); /* loop_run() returns after the turn */

/* A timer that is off until timer_in(); fires once, then is off again. */
struct timer *timer_new(struct loop *l, loop_fn *fn, void *arg);
void timer_in(struct timer *t, int64_t ms); /* sets anew when it was set */
void timer_off(struct timer *t);
bool timer_is_on(const struct timer *t);
void timer_free(struct timer *t); /* NULL is fine */

/* Call fn when fd may be read; stays on until freed. fd stays yours: close it after
 * freeing, and never watch two descriptors of one open file (dup). */
struct watch *watch_read(struct loop *l, int fd, loop_fn *fn, void *arg);
void watch_free(struct watch *w);

int loop_on_signal(struct loop *l, int signo, loop_fn *fn, void *arg, struct err *e);

/* Call fn once when the child `pid` ends, with wait4()'s status and usage. The loop reaps only
 * the pids it was told of. */
typedef void child_fn(void *arg, pid_t pid, int status, const struct rusage *usage);
int loop_on_child(struct loop *l, pid_t pid, child_fn *fn, void *arg, struct err *e);

/* Call fn once at the end of this turn: after every event that is ready now was handled. Asked
 * twice in a turn it is still called once. This is where group commit lives. */
struct turn_end *turn_end_new(struct loop *l, loop_fn *fn, void *arg);
void turn_end_ask(struct turn_end *t);
void turn_end_free(struct turn_end *t);

struct event_base *loop_base(struct loop *l); /* for httpd.c and fetch.c */

#endif
