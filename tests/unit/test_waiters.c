/* SPDX-License-Identifier: Apache-2.0
 *
 * test_waiters.c: who waits is told once, whoever goes or comes meanwhile.
 */
#include "worker/waiters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define N 5

static struct world {
	struct waiters all;
	struct waiter *at[N];
	int told[N];
	enum err_code code;
	unsigned drops[N]; /* bit i: the i-th is dropped when this one is told */
	int comes;         /* told that one, this one is added; -1: none */
	int comes_when;
} w;

static void on_told(void *arg, const struct err *e);

static void add(int i)
{
	w.at[i] = xcalloc(1, sizeof(*w.at[i]));
	waiters_add(&w.all, w.at[i], on_told, &w.told[i]);
}

static void on_told(void *arg, const struct err *e)
{
	int me = (int)((int *)arg - w.told);

	assert_false(waiters_none(&w.all));
	w.told[me]++;
	w.code = e ? e->code : ERR_NONE;
	for (int i = 0; i < N; i++)
		if (w.drops[me] & 1u << i && w.at[i])
			waiters_drop(&w.all, TAKE(w.at[i]));
	if (w.comes >= 0 && me == w.comes_when)
		add(w.comes);
}

static void begin(int n)
{
	w = (struct world){ .comes = -1 };
	for (int i = 0; i < n; i++)
		add(i);
}

static void each_is_told_once_and_how_it_went(void **state)
{
	struct err e = { .code = ERR_FULL };

	(void)state;
	begin(N);
	assert_false(waiters_none(&w.all));
	waiters_tell(&w.all, &e);
	assert_int_equal(w.code, ERR_FULL);
	waiters_tell(&w.all, NULL);
	for (int i = 0; i < N; i++)
		assert_int_equal(w.told[i], 1);
	waiters_drop_all(&w.all);
	assert_true(waiters_none(&w.all));
}

static void one_without_a_function_is_not_told(void **state)
{
	struct waiter *quiet = xcalloc(1, sizeof(*quiet));

	(void)state;
	begin(2);
	waiters_add(&w.all, quiet, NULL, NULL);
	waiters_tell(&w.all, NULL);
	assert_int_equal(w.told[0] + w.told[1], 2);
	waiters_drop_all(&w.all);
}

/* Every way in which the first told can drop some of three, itself among them. */
static void whoever_is_dropped_meanwhile_the_others_are_told(void **state)
{
	(void)state;
	for (unsigned drops = 0; drops < 8; drops++)
		for (int who = 0; who < 3; who++) {
			int told = 0;

			begin(3);
			w.drops[who] = drops;
			waiters_tell(&w.all, NULL);
			for (int i = 0; i < 3; i++) {
				assert_int_equal(w.told[i], w.at[i] || i == who ? 1 : w.told[i]);
				assert_in_range(w.told[i], 0, 1);
				told += w.told[i];
			}
			assert_true(told >= 1);
			assert_int_equal(waiters_none(&w.all), drops == 7);
			waiters_drop_all(&w.all);
		}
}

static void who_comes_meanwhile_is_told_too(void **state)
{
	(void)state;
	for (int when = 0; when < 3; when++) {
		begin(3);
		w.comes = 3;
		w.comes_when = when;
		w.drops[when] = 7; /* all that were there, itself too */
		waiters_tell(&w.all, NULL);
		assert_int_equal(w.told[3], 1);
		waiters_drop_all(&w.all);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_told_once_and_how_it_went),
		cmocka_unit_test(one_without_a_function_is_not_told),
		cmocka_unit_test(whoever_is_dropped_meanwhile_the_others_are_told),
		cmocka_unit_test(who_comes_meanwhile_is_told_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
