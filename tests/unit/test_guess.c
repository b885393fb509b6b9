/* SPDX-License-Identifier: Apache-2.0
 *
 * Which box that stands by may take a task: one made for exactly its like, or none.
 */
#include "sandbox/guess.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

static const struct guess last = { .made = true,
	.program = 20,
	.dev = 7,
	.ino = 11,
	.deterministic = true,
	.rooted = false,
	.alone = true };

static void the_same_again_fits(void **state)
{
	struct guess task = last;

	(void)state;
	task.program = 33; /* another descriptor of the same file */
	assert_true(guess_fits(&last, &task));
}

static void any_difference_does_not_fit(void **state)
{
	struct guess other[6];

	(void)state;
	for (int i = 0; i < 6; i++)
		other[i] = last;
	other[0].dev++;
	other[1].ino++;
	other[2].deterministic = false;
	other[3].rooted = true;
	other[4].alone = false;
	other[5].bits = BOX_JIT;
	for (int i = 0; i < 6; i++) {
		assert_false(guess_fits(&last, &other[i]));
		assert_false(guess_fits(&other[i], &last));
	}
}

static void what_could_not_be_looked_at_fits_nothing(void **state)
{
	struct guess none = last;

	(void)state;
	none.made = false;
	assert_false(guess_fits(&none, &none));
	assert_false(guess_fits(&last, &none));
}

static void learning_holds_the_program_open_and_forgetting_closes_it(void **state)
{
	struct spec s = { .limits = { .deterministic = true } };
	struct given g;
	struct guess guess = { .made = false }, task;
	int held;

	(void)state;
	given_init(&g);
	g.program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	g.in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC); /* a file needs the host's root */
	task = guess_of(&s, &g);
	assert_true(task.made && !task.alone);
	close(g.in);
	g.in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	task = guess_of(&s, &g);
	assert_true(task.made && task.alone && task.deterministic);
	s.bits = BOX_JIT;
	assert_true(guess_of(&s, &g).made && guess_of(&s, &g).bits == BOX_JIT);
	s.bits = BOX_PROC; /* its program is another file then */
	assert_false(guess_of(&s, &g).made);
	s.bits = 0;
	guess_learn(&guess, &task);
	assert_true(guess_fits(&guess, &task));
	held = guess.program;
	assert_int_not_equal(held, g.program);
	guess_learn(&guess, &task); /* nothing new: nothing is opened */
	assert_int_equal(guess.program, held);
	guess_forget(&guess);
	assert_int_equal(fcntl(held, F_GETFD), -1);
	given_release(&g);
	task = guess_of(&s, &g);
	assert_false(task.made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_again_fits),
		cmocka_unit_test(any_difference_does_not_fit),
		cmocka_unit_test(what_could_not_be_looked_at_fits_nothing),
		cmocka_unit_test(learning_holds_the_program_open_and_forgetting_closes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
