/* SPDX-License-Identifier: Apache-2.0
 *
 * test_mapport.c: what the process that talks to the router may say, and what --gateway may be.
 */
#include "tests/unit/vectors.h"
#include "worker/mapport.h"

static void a_line_says_where_or_why_not(void **state)
{
	(void)state;
	static const char *const wrong[] = { "", "mapped", "mapped ", "mapped x",
		"mapped 1.2.3.4:0", "mapped 1.2.3.4", "mapped 1.2.3.4:70000", "Mapped 1.2.3.4:5",
		"open 1.2.3.4:5", "failed" };
	struct endpoint at;
	const char *why;
	bool mapped;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(mapport_read(wrong[i], &mapped, &at, &why));
	assert_true(mapport_read("mapped 192.0.2.1:7", &mapped, &at, &why));
	assert_true(mapped);
	assert_string_equal(at.host, "192.0.2.1");
	assert_int_equal(at.port, 7);
	assert_true(mapport_read("failed no router answers", &mapped, &at, &why));
	assert_false(mapped);
	assert_string_equal(why, "no router answers");
}

static void a_gateway_is_an_address_or_a_url(void **state)
{
	(void)state;
	char longest[400] = "http://";

	assert_true(mapport_gateway_ok("192.168.1.1"));
	assert_true(mapport_gateway_ok("http://192.168.1.1:5000/rootDesc.xml"));
	assert_false(mapport_gateway_ok(""));
	assert_false(mapport_gateway_ok("router"));
	assert_false(mapport_gateway_ok("192.168.1.256"));
	assert_false(mapport_gateway_ok("fe80::1"));
	assert_false(mapport_gateway_ok("https://192.168.1.1/"));
	memset(longest + 7, 'a', 300);
	assert_false(mapport_gateway_ok(longest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_says_where_or_why_not),
		cmocka_unit_test(a_gateway_is_an_address_or_a_url),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
