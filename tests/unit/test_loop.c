/* SPDX-License-Identifier: Apache-2.0
 *
 * test_loop.c: timers, descriptors, children, signals and the end of a turn.
 */
#include "common/loop.h"
#include "common/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

struct world {
	struct loop *l;
	char log[64]; /* one letter an event */
	struct turn_end *end;
	struct timer *t;
	struct watch *w;
	int fd[2], other[2];
	int status, calls;
	pid_t pid;
};

static void note(struct world *w, char c)
{
	size_t n = strlen(w->log);

	assert_true(n + 1 < sizeof(w->log));
	w->log[n] = c;
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct err e;

	*state = w;
	return loop_new(&w->l, &e) || pipe(w->fd) || pipe(w->other);
}

static int teardown(void **state)
{
	struct world *w = *state;

	watch_free(w->w);
	timer_free(w->t);
	turn_end_free(w->end);
	loop_free(w->l);
	for (int i = 0; i < 2; i++) {
		close(w->fd[i]);
		close(w->other[i]);
	}
	free(w);
	return 0;
}

static void on_stop(void *arg)
{
	struct world *w = arg;

	note(w, 's');
	loop_stop(w->l);
}

static void a_timer_fires_once_and_not_early(void **state)
{
	struct world *w = *state;
	int64_t before = clock_mono_ms();

	w->t = timer_new(w->l, on_stop, w);
	assert_false(timer_is_on(w->t));
	timer_in(w->t, 60);
	assert_true(timer_is_on(w->t));
	loop_run(w->l);
	assert_string_equal(w->log, "s");
	assert_false(timer_is_on(w->t));
	assert_true(clock_mono_ms() - before >= 50); /* libevent's clock is coarse */
}

static void a_timer_that_is_off_does_not_fire(void **state)
{
	struct world *w = *state;
	struct timer *off = timer_new(w->l, on_stop, w);

	timer_in(off, 1);
	timer_off(off);
	w->t = timer_new(w->l, on_stop, w);
	timer_in(w->t, 30);
	loop_run(w->l);
	assert_string_equal(w->log, "s");
	timer_free(off);
}

static void free_own_timer(void *arg)
{
	struct world *w = arg;

	timer_free(w->t);
	w->t = NULL;
	note(w, 'f');
	loop_stop(w->l);
}

static void a_handler_may_free_its_own_handle(void **state)
{
	struct world *w = *state;

	w->t = timer_new(w->l, free_own_timer, w);
	timer_in(w->t, 0);
	loop_run(w->l);
	assert_string_equal(w->log, "f");
}

static void read_a(void *arg)
{
	struct world *w = arg;
	char c;

	assert_int_equal(read(w->fd[0], &c, 1), 1);
	note(w, 'a');
	turn_end_ask(w->end);
	turn_end_ask(w->end);
}

static void read_b(void *arg)
{
	struct world *w = arg;
	char c;

	assert_int_equal(read(w->other[0], &c, 1), 1);
	note(w, 'b');
	turn_end_ask(w->end);
}

static void on_end(void *arg)
{
	struct world *w = arg;

	note(w, 'E');
	if (++w->calls == 2)
		loop_stop(w->l);
}

static void the_end_of_a_turn_comes_once_after_all_that_was_ready(void **state)
{
	struct world *w = *state;
	struct watch *b = watch_read(w->l, w->other[0], read_b, w);

	w->w = watch_read(w->l, w->fd[0], read_a, w);
	w->end = turn_end_new(w->l, on_end, w);
	assert_int_equal(write(w->fd[1], "xx", 2), 2);
	assert_int_equal(write(w->other[1], "xx", 2), 2);
	loop_run(w->l);
	/* two bytes each, one a turn */
	assert_int_equal(strlen(w->log), 6);
	assert_true(strchr(w->log, 'a') && strchr(w->log, 'b'));
	assert_int_equal(w->log[2], 'E');
	assert_int_equal(w->log[5], 'E');
	watch_free(b);
}

static void flood(void *arg)
{
	struct world *w = arg;

	(void)w; /* never reads: ready in every turn, for ever */
}

static void end_under_flood(void *arg)
{
	struct world *w = arg;

	note(w, 'E');
	loop_stop(w->l);
}

static void a_flood_cannot_put_off_the_end_of_a_turn(void **state)
{
	struct world *w = *state;

	w->w = watch_read(w->l, w->fd[0], flood, w);
	w->end = turn_end_new(w->l, end_under_flood, w);
	assert_int_equal(write(w->fd[1], "x", 1), 1);
	turn_end_ask(w->end);
	loop_run(w->l);
	assert_string_equal(w->log, "E");
}

static void on_child(void *arg, pid_t pid, int status, const struct rusage *usage)
{
	struct world *w = arg;

	assert_true(usage->ru_maxrss > 0);
	w->pid = pid;
	w->status = status;
	note(w, 'c');
	loop_stop(w->l);
}

static void a_child_is_reported_with_its_status_and_no_other_is_reaped(void **state)
{
	struct world *w = *state;
	struct err e;
	pid_t other = fork();

	if (other == 0)
		_exit(3);
	pid_t child = fork();
	if (child == 0) {
		char c;
		close(w->fd[1]);
		_exit(read(w->fd[0], &c, 1) == 1 ? 7 : 8);
	}
	assert_int_equal(loop_on_child(w->l, child, on_child, w, &e), 0);
	assert_int_equal(write(w->fd[1], "x", 1), 1);
	loop_run(w->l);
	assert_int_equal(w->pid, child);
	assert_true(WIFEXITED(w->status) && WEXITSTATUS(w->status) == 7);
	int status;
	assert_int_equal(waitpid(other, &status, 0), other);
}

static void a_child_that_ended_before_is_reported_too(void **state)
{
	struct world *w = *state;
	struct err e;
	siginfo_t info;
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(loop_on_child(w->l, child, on_child, w, &e), 0);
	loop_run(w->l);
	assert_string_equal(w->log, "c");
}

static void nobodys_child_is_an_error(void **state)
{
	struct world *w = *state;
	struct err e;
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(loop_on_child(w->l, child, on_child, w, &e), -1);
	assert_int_equal(e.code, ERR_SYSTEM);
}

static void a_signal_is_an_event(void **state)
{
	struct world *w = *state;
	struct err e;

	assert_int_equal(loop_on_signal(w->l, SIGUSR1, on_stop, w, &e), 0);
	raise(SIGUSR1);
	loop_run(w->l);
	assert_string_equal(w->log, "s");
}

static void writing_to_nobody_is_no_signal(void **state)
{
	struct world *w = *state;
	int p[2];

	(void)w;
	assert_int_equal(pipe(p), 0);
	close(p[0]);
	assert_int_equal(write(p[1], "x", 1), -1);
	close(p[1]);
}

static void a_loop_without_anything_to_wait_for_returns(void **state)
{
	struct world *w = *state;

	loop_run(w->l);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_timer_fires_once_and_not_early),
		T(a_timer_that_is_off_does_not_fire),
		T(a_handler_may_free_its_own_handle),
		T(the_end_of_a_turn_comes_once_after_all_that_was_ready),
		T(a_flood_cannot_put_off_the_end_of_a_turn),
		T(a_child_is_reported_with_its_status_and_no_other_is_reaped),
		T(a_child_that_ended_before_is_reported_too),
		T(nobodys_child_is_an_error),
		T(a_signal_is_an_event),
		T(writing_to_nobody_is_no_signal),
		T(a_loop_without_anything_to_wait_for_returns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
