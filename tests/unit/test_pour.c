/* SPDX-License-Identifier: Apache-2.0
 *
 * test_pour.c: how a program's stream ends (sandbox/pour.h).
 */
#include "sandbox/pour.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct stream {
	struct pour p;
	int program, reader; /* where it writes, and where that arrives */
	int64_t left;
};

static void begin(struct stream *s, int64_t left)
{
	int in[2], out[2];

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	s->program = in[1];
	s->reader = out[0];
	s->left = left;
	pour_init(&s->p, in[0], out[1]);
}

static void end(struct stream *s)
{
	pour_stop(&s->p);
	close(s->p.to);
	close(s->program);
	close(s->reader);
}

/* As poll would say; how often something was moved. */
static int turns(struct stream *s)
{
	int n = 0;

	for (struct pollfd f = pour_want(&s->p); f.fd >= 0 && poll(&f, 1, 0) > 0;
		f = pour_want(&s->p), n++)
		assert_int_equal(pour_move(&s->p, f.revents, &s->left), POUR_OK);
	return n;
}

static void an_empty_stream_that_is_still_held_ends_when_nobody_writes_any_more(void **state)
{
	struct stream s;

	(void)state;
	begin(&s, 100);
	assert_int_equal(turns(&s), 0);
	assert_true(pour_want(&s.p).fd >= 0);
	pour_last(&s.p);
	assert_int_equal(pour_want(&s.p).fd, -1);
	end(&s);
}

static void what_was_written_is_passed_on_before_it_ends(void **state)
{
	char got[16] = "";
	struct stream s;

	(void)state;
	begin(&s, 100);
	assert_int_equal(write(s.program, "result", 6), 6);
	pour_last(&s.p);
	assert_true(pour_want(&s.p).fd >= 0);
	assert_int_equal(turns(&s), 2);
	assert_int_equal(pour_want(&s.p).fd, -1);
	assert_int_equal(read(s.reader, got, sizeof(got)), 6);
	assert_string_equal(got, "result");
	assert_int_equal(s.left, 94);
	end(&s);
}

static void it_ends_as_well_when_the_last_who_holds_it_closes(void **state)
{
	struct stream s;

	(void)state;
	begin(&s, 100);
	close(s.program);
	assert_int_equal(turns(&s), 1);
	assert_int_equal(pour_want(&s.p).fd, -1);
	s.program = -1;
	end(&s);
}

/* Beside a /proc its streams are sockets, whose end can be read. */
static void a_socket_ends_as_a_pipe_does_also_when_its_end_was_seen_before(void **state)
{
	struct pollfd f;
	struct stream s;
	int ends[2];

	(void)state;
	begin(&s, 100);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	close(s.p.from);
	close(s.program);
	s.p.from = ends[0];
	s.program = ends[1];
	assert_int_equal(write(s.program, "result", 6), 6);
	assert_int_equal(turns(&s), 2);
	close(s.program);
	f = pour_want(&s.p);
	assert_int_equal(poll(&f, 1, 0), 1);
	assert_true(f.revents & POLLIN);
	pour_last(&s.p);
	assert_int_equal(pour_want(&s.p).fd, -1);
	assert_int_equal(pour_move(&s.p, f.revents, &s.left), POUR_OK);
	assert_int_equal(s.left, 94);
	s.program = -1;
	end(&s);
}

static void more_than_may_be_written_is_told_though_nobody_writes_any_more(void **state)
{
	struct stream s;
	struct pollfd f;

	(void)state;
	begin(&s, 3);
	assert_int_equal(write(s.program, "result", 6), 6);
	pour_last(&s.p);
	f = pour_want(&s.p);
	assert_int_equal(poll(&f, 1, 0), 1);
	assert_int_equal(pour_move(&s.p, f.revents, &s.left), POUR_OVER);
	assert_int_equal(s.left, 0);
	assert_int_equal(turns(&s), 1);
	assert_int_equal(pour_want(&s.p).fd, -1);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			an_empty_stream_that_is_still_held_ends_when_nobody_writes_any_more),
		cmocka_unit_test(what_was_written_is_passed_on_before_it_ends),
		cmocka_unit_test(it_ends_as_well_when_the_last_who_holds_it_closes),
		cmocka_unit_test(a_socket_ends_as_a_pipe_does_also_when_its_end_was_seen_before),
		cmocka_unit_test(more_than_may_be_written_is_told_though_nobody_writes_any_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
