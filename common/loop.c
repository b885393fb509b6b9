/* SPDX-License-Identifier: Apache-2.0
 *
 * loop.c: the event loop, on libevent.
 *
 * A turn is: ask the kernel what is ready, queue all of it, call the handlers in that order. A
 * turn_end is one more event put at the end of that queue when somebody asks: so it runs after
 * everything that was ready in this turn, and a busy stranger cannot put it off (a lower priority
 * could be starved for ever). A child is watched through a pidfd, so nobody's child but the one we
 * were told of is ever reaped; where the kernel has no pidfd we look every 20 ms.
 *
 * SIGPIPE is ignored from loop_new() on. That survives exec(): whoever starts programs puts it back.
 */
#include "common/loop.h"
#include "common/log.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_LOOK_MS 20

struct signal_watch {
	TAILQ_ENTRY(signal_watch) next;
	struct event *ev;
	loop_fn *fn;
	void *arg;
};

struct child {
	TAILQ_ENTRY(child) next;
	struct loop *loop;
	struct event *ev;
	int pidfd; /* -1: none, so look now and then */
	pid_t pid;
	child_fn *fn;
	void *arg;
};

struct loop {
	struct event_base *base;
	bool stop;
	TAILQ_HEAD(, signal_watch) signals;
	TAILQ_HEAD(, child) children;
};

struct timer {
	struct event *ev;
	loop_fn *fn;
	void *arg;
};

struct watch {
	struct event *ev;
	loop_fn *fn;
	void *arg;
};

struct turn_end {
	struct event *ev;
	loop_fn *fn;
	void *arg;
};

static struct timeval tv_of(int64_t ms)
{
	if (ms < 0)
		ms = 0;
	return (struct timeval){ .tv_sec = (time_t)(ms / 1000), .tv_usec = (ms % 1000) * 1000 };
}

/* What libevent has to say is about strangers' connections: worth a line only when debugging. */
static void on_libevent_log(int severity, const char *text)
{
	log_line(severity == EVENT_LOG_ERR ? LOG_ERROR : LOG_DEBUG, "libevent: %s", text);
}

/* Tell the kernel only the sum of a turn's changes: an HTTP request makes 6 that add up to 2, and
 * system calls are half of what it costs (measured: 38 to 23 µs a request). In return no two
 * descriptors of one open file (dup) may be watched. */
static struct event_base *base_new(void)
{
	struct event_config *c = event_config_new();
	struct event_base *base = NULL;

	if (c && !event_config_set_flag(c, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST))
		base = event_base_new_with_config(c);
	if (c)
		event_config_free(c);
	return base;
}

int loop_new(struct loop **out, struct err *e)
{
	event_set_log_callback(on_libevent_log);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return err_sys(e, "ignoring SIGPIPE");

	struct event_base *base = base_new();
	if (!base)
		return err_set(e, ERR_SYSTEM, "no event loop can be made here");
	struct loop *l = xcalloc(1, sizeof(*l));
	l->base = base;
	TAILQ_INIT(&l->signals);
	TAILQ_INIT(&l->children);
	*out = l;
	return 0;
}

static void child_free(struct child *c)
{
	TAILQ_REMOVE(&c->loop->children, c, next);
	event_free(c->ev);
	if (c->pidfd >= 0)
		close(c->pidfd);
	free(c);
}

void loop_free(struct loop *l)
{
	struct signal_watch *s;

	if (!l)
		return;
	while ((s = TAILQ_FIRST(&l->signals))) {
		TAILQ_REMOVE(&l->signals, s, next);
		event_free(s->ev);
		free(s);
	}
	while (!TAILQ_EMPTY(&l->children))
		child_free(TAILQ_FIRST(&l->children));
	event_base_free(l->base);
	free(l);
}

void loop_run(struct loop *l)
{
	while (!l->stop)
		if (event_base_loop(l->base, EVLOOP_ONCE) != 0)
			break; /* nothing is left that could ever happen */
	l->stop = false;
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}

struct event_base *loop_base(struct loop *l)
{
	return l->base;
}

/* --- timers ---------------------------------------------------------------------------------- */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct timer *t = arg;

	(void)fd, (void)what;
	t->fn(t->arg);
}

struct timer *timer_new(struct loop *l, loop_fn *fn, void *arg)
{
	struct timer *t = xcalloc(1, sizeof(*t));

	t->fn = fn;
	t->arg = arg;
	t->ev = event_new(l->base, -1, 0, on_timer, t);
	assert(t->ev);
	return t;
}

void timer_in(struct timer *t, int64_t ms)
{
	struct timeval tv = tv_of(ms);
	int bad = event_add(t->ev, &tv);

	assert(!bad);
}

void timer_off(struct timer *t)
{
	event_del(t->ev);
}

bool timer_is_on(const struct timer *t)
{
	return event_pending(t->ev, EV_TIMEOUT, NULL);
}

void timer_free(struct timer *t)
{
	if (!t)
		return;
	event_free(t->ev);
	free(t);
}

/* --- descriptors ------------------------------------------------------------------------------ */
static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;

	(void)fd, (void)what;
	w->fn(w->arg);
}

struct watch *watch_read(struct loop *l, int fd, loop_fn *fn, void *arg)
{
	struct watch *w = xcalloc(1, sizeof(*w));

	w->fn = fn;
	w->arg = arg;
	w->ev = event_new(l->base, fd, EV_READ | EV_PERSIST, on_ready, w);
	int bad = !w->ev || event_add(w->ev, NULL);
	assert(!bad); /* a bug: fd is closed, or a plain file, which is always ready */
	return w;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	event_free(w->ev);
	free(w);
}

/* --- signals ---------------------------------------------------------------------------------- */
static void on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct signal_watch *s = arg;

	(void)signo, (void)what;
	s->fn(s->arg);
}

int loop_on_signal(struct loop *l, int signo, loop_fn *fn, void *arg, struct err *e)
{
	struct signal_watch *s = xcalloc(1, sizeof(*s));

	s->fn = fn;
	s->arg = arg;
	s->ev = event_new(l->base, signo, EV_SIGNAL | EV_PERSIST, on_signal, s);
	if (!s->ev || event_add(s->ev, NULL)) {
		if (s->ev)
			event_free(s->ev);
		free(s);
		return err_set(e, ERR_SYSTEM, "cannot listen for signal %d", signo);
	}
	TAILQ_INSERT_TAIL(&l->signals, s, next);
	return 0;
}

/* --- children --------------------------------------------------------------------------------- */
static void child_wait(struct child *c)
{
	struct timeval tv = tv_of(CHILD_LOOK_MS);
	int bad = event_add(c->ev, c->pidfd < 0 ? &tv : NULL);

	assert(!bad);
}

static void on_child(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;
	struct rusage usage = { 0 };
	int status = 0;
	pid_t got;

	(void)fd, (void)what;
	do
		got = wait4(c->pid, &status, WNOHANG, &usage);
	while (got < 0 && errno == EINTR);
	if (got == 0) {
		child_wait(c);
		return;
	}
	child_fn *fn = c->fn;
	void *fn_arg = c->arg;
	pid_t pid = c->pid;

	child_free(c);
	fn(fn_arg, pid, status, &usage);
}

int loop_on_child(struct loop *l, pid_t pid, child_fn *fn, void *arg, struct err *e)
{
	int pidfd = pidfd_open(pid, 0); /* close-on-exec by itself */

	if (pidfd < 0 && errno != ENOSYS && errno != EPERM)
		return err_sys(e, "watching process %d", (int)pid);
	struct child *c = xcalloc(1, sizeof(*c));

	*c = (struct child){ .loop = l, .pidfd = pidfd, .pid = pid, .fn = fn, .arg = arg };
	c->ev = event_new(l->base, pidfd, pidfd < 0 ? 0 : EV_READ, on_child, c);
	assert(c->ev);
	TAILQ_INSERT_TAIL(&l->children, c, next);
	child_wait(c);
	return 0;
}

/* --- the end of the turn ---------------------------------------------------------------------- */
static void on_turn_end(evutil_socket_t fd, short what, void *arg)
{
	struct turn_end *t = arg;

	(void)fd, (void)what;
	t->fn(t->arg);
}

struct turn_end *turn_end_new(struct loop *l, loop_fn *fn, void *arg)
{
	struct turn_end *t = xcalloc(1, sizeof(*t));

	t->fn = fn;
	t->arg = arg;
	t->ev = event_new(l->base, -1, 0, on_turn_end, t);
	assert(t->ev);
	return t;
}

void turn_end_ask(struct turn_end *t)
{
	event_active(t->ev, EV_TIMEOUT, 0);
}

void turn_end_free(struct turn_end *t)
{
	if (!t)
		return;
	event_free(t->ev);
	free(t);
}
