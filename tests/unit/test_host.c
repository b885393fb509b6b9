/* SPDX-License-Identifier: Apache-2.0
 *
 * test_host.c: claims about what a machine lends when nobody says how much.
 */
#include "worker/host.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void a_tenth_of_what_is_free_is_lent_within_bounds(void **state)
{
	(void)state;
	assert_int_equal(host_lent_mib(50000), 5000);
	assert_int_equal(host_lent_mib(5000000), HOST_DISK_MOST_MIB);
	assert_int_equal(host_lent_mib(-1), HOST_DISK_MOST_MIB);
}

static void a_full_disk_lends_the_least_not_the_most(void **state)
{
	(void)state;
	for (int64_t mib = 0; mib < 10 * HOST_DISK_LEAST_MIB; mib++)
		assert_int_equal(host_lent_mib(mib), HOST_DISK_LEAST_MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tenth_of_what_is_free_is_lent_within_bounds),
		cmocka_unit_test(a_full_disk_lends_the_least_not_the_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
