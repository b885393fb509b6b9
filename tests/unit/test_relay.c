/* SPDX-License-Identifier: Apache-2.0
 *
 * test_relay.c: what a relay lends, and which way to the coordinator is taken.
 */
#include "worker/relay.h"
#include "worker/ways.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct relay_limits limits = { .tunnels = 5,
	.tunnels_per_address = 2,
	.bytes = 100000,
	.bytes_a_day = 250000,
	.rate = 10000,
	.rate_all = 15000,
	.hello_ms = 15000,
	.idle_ms = 60000,
	.total_ms = 600000 };

static struct relay_quota *quota(void)
{
	static struct relay_quota q;

	quota_init(&q, &limits, 1000);
	return &q;
}

/* --- places ------------------------------------------------------------------------------------------------ */
static void an_address_has_only_so_many_tunnels_at_once(void **state)
{
	struct relay_quota *q = quota();
	struct err e;

	(void)state;
	int a = quota_take(q, "198.51.100.7", 1000, &e);
	assert_true(a >= 0);
	assert_true(quota_take(q, "198.51.100.7", 1000, &e) >= 0);
	assert_int_equal(quota_take(q, "198.51.100.7", 1000, &e), -1);
	assert_int_equal(e.code, ERR_RATE);
	assert_true(quota_take(q, "198.51.100.8", 1000, &e) >= 0);
	quota_give(q, a);
	assert_true(quota_take(q, "198.51.100.7", 1000, &e) >= 0);
}

static void a_v6_subscriber_is_one_address(void **state)
{
	struct relay_quota *q = quota();
	struct err e;

	(void)state;
	assert_true(quota_take(q, "2001:db8:1:2::1", 1000, &e) >= 0);
	assert_true(quota_take(q, "2001:db8:1:2:ffff::9", 1000, &e) >= 0);
	assert_int_equal(quota_take(q, "2001:db8:1:2:3:4:5:6", 1000, &e), -1);
	assert_true(quota_take(q, "2001:db8:1:3::1", 1000, &e) >= 0);
}

static void all_together_have_only_so_many_tunnels(void **state)
{
	struct relay_quota *q = quota();
	char address[32];
	struct err e;

	(void)state;
	for (int i = 0; i < 5; i++) {
		snprintf(address, sizeof(address), "198.51.100.%d", i);
		assert_true(quota_take(q, address, 1000, &e) >= 0);
	}
	assert_int_equal(quota_take(q, "198.51.100.99", 1000, &e), -1);
	assert_int_equal(e.code, ERR_RATE);
}

static void who_holds_most_makes_room_for_others(void **state)
{
	struct relay_quota *q = quota();
	int first, second;
	int64_t wait;
	struct err e;

	(void)state;
	q->limits.tunnels_per_address = 5;
	first = quota_take(q, "198.51.100.7", 1000, &e);
	second = quota_take(q, "198.51.100.7", 1000, &e);
	assert_int_equal(quota_yield(q, "198.51.100.8"), -1); /* there is room */
	for (int i = 2; i < 5; i++)
		assert_true(quota_take(q, "198.51.100.7", 2000, &e) >= 0);
	assert_int_equal(quota_yield(q, "198.51.100.7"), -1);
	quota_pass(q, first, 10, 3000, &wait);
	assert_int_equal(quota_yield(q, "198.51.100.8"), second); /* the idlest */
	for (int i = 0; i < 2; i++) {
		quota_give(q, quota_yield(q, "198.51.100.8"));
		assert_true(quota_take(q, "198.51.100.8", 4000, &e) >= 0);
	}
	assert_int_equal(quota_yield(q, "198.51.100.8"), -1); /* three and two: nobody gains */
	assert_true(quota_yield(q, "198.51.100.9") >= 0);
}

static void a_tunnel_through_which_nothing_is_said_ends_soon(void **state)
{
	struct relay_quota *q = quota();
	struct err e;
	int a = quota_take(q, "198.51.100.7", 1000, &e);
	int64_t wait;

	(void)state;
	assert_null(quota_over(q, a, 15999));
	assert_non_null(strstr(quota_over(q, a, 16000), "nothing was said"));
	quota_pass(q, a, 1, 15999, &wait);
	assert_null(quota_over(q, a, 16000));
}

/* --- bytes ---------------------------------------------------------------------------------------------------- */
/* How many of as many as one likes pass in so many ms, asked whenever it says. */
static int64_t pass_for(struct relay_quota *q, int slot, int64_t from_ms, int64_t ms)
{
	int64_t passed = 0, wait = 0;

	for (int64_t now = from_ms; now < from_ms + ms; now += wait) {
		passed += (int64_t)quota_pass(q, slot, 1 << 20, now, &wait);
		assert_true(wait > 0);
	}
	return passed;
}

static void a_tunnel_has_its_rate_and_a_second_at_once(void **state)
{
	struct relay_quota *q = quota();
	struct err e;
	int a = quota_take(q, "198.51.100.7", 1000, &e);

	(void)state;
	int64_t passed = pass_for(q, a, 1000, 5000);
	assert_in_range(passed, 50000, 60000);
}

static void all_tunnels_share_one_rate(void **state)
{
	struct relay_quota *q = quota();
	struct err e;
	int slots[3];
	int64_t passed = 0, wait;

	(void)state;
	for (int i = 0; i < 3; i++) {
		char address[32];

		snprintf(address, sizeof(address), "198.51.100.%d", i);
		slots[i] = quota_take(q, address, 1000, &e);
	}
	for (int64_t now = 1000; now < 6000; now += 7)
		for (int i = 0; i < 3; i++)
			passed += (int64_t)quota_pass(q, slots[i], 1 << 20, now, &wait);
	assert_in_range(passed, 70000, 90000); /* 15000 a second, not 30000 */
}

static void small_parts_pass_at_once(void **state)
{
	struct relay_quota *q = quota();
	struct err e;
	int a = quota_take(q, "198.51.100.7", 1000, &e);
	int64_t wait;

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(quota_pass(q, a, 100, 1000, &wait), 100);
	assert_int_equal(quota_pass(q, a, 100, 1000, &wait), 0);
	assert_in_range(wait, 1, 20);
}

static void a_tunnel_ends_after_its_bytes(void **state)
{
	struct relay_quota *q = quota();
	struct err e;
	int a = quota_take(q, "198.51.100.7", 1000, &e);

	(void)state;
	assert_int_equal(pass_for(q, a, 1000, 30000), 100000);
	assert_non_null(strstr(quota_over(q, a, 31000), "as much as one tunnel may"));
}

static void a_day_has_its_bytes_and_then_a_new_one_begins(void **state)
{
	struct relay_quota *q = quota();
	int64_t now = 1000, passed = 0;
	struct err e;
	int a = -1;

	(void)state;
	for (int i = 0; i < 3; i++, now += 30000) {
		a = quota_take(q, "198.51.100.7", now, &e);
		assert_true(a >= 0);
		passed += pass_for(q, a, now, 30000);
		if (i < 2)
			quota_give(q, a);
	}
	assert_int_equal(passed, 250000);
	assert_non_null(strstr(quota_over(q, a, now), "day"));
	assert_int_equal(quota_take(q, "198.51.100.9", now, &e), -1);
	assert_true(quota_take(q, "198.51.100.9", now + 24 * 3600 * 1000, &e) >= 0);
}

static void who_says_nothing_or_stays_too_long_is_ended(void **state)
{
	struct relay_quota *q = quota();
	struct err e;
	int a = quota_take(q, "198.51.100.7", 1000, &e),
	    b = quota_take(q, "198.51.100.8", 1000, &e);
	int64_t wait;

	(void)state;
	assert_int_equal(quota_pass(q, a, 10, 1000, &wait), 10);
	assert_null(quota_over(q, a, 60999));
	assert_non_null(strstr(quota_over(q, a, 61000), "nothing passed"));
	for (int64_t now = 1000; now < 601000; now += 50000) {
		assert_null(quota_over(q, b, now));
		assert_int_equal(quota_pass(q, b, 10, now, &wait), 10);
	}
	assert_non_null(strstr(quota_over(q, b, 601000), "long enough"));
}

/* --- which targets ------------------------------------------------------------------------------------------------ */
static void only_the_coordinators_own_addresses_are_targets(void **state)
{
	static const char *const bad[] = { "198.51.100.1:7701", "198.51.100.2:7700",
		"198.51.100.1:07700", "localhost:7700", "127.0.0.1:22", "198.51.100.1:7700 ",
		"203.0.113.5:9000", "Grid.example:7700" };
	struct home *h = xcalloc(1, sizeof(*h));
	struct endpoint to;
	struct err e;

	(void)state;
	h->known = true;
	struct way ways[] = {
		{ .to = { .host = "198.51.100.1", .port = 7700 } },
		{ .to = { .host = "2001:db8::1", .port = 7700 } },
		{ .to = { .host = "grid.example", .port = 7700 } },
		{ .to = { .host = "198.51.100.1", .port = 7700 },
			.relayed = true,
			.via = { .host = "203.0.113.5", .port = 9000 } },
	};
	ways_set(&h->ways, ways, ARRAY_LEN(ways));
	assert_int_equal(home_target(&to, h, "198.51.100.1:7700", &e), 0);
	assert_string_equal(to.host, "198.51.100.1");
	assert_int_equal(to.port, 7700);
	assert_int_equal(home_target(&to, h, "[2001:db8::1]:7700", &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(home_target(&to, h, bad[i], &e), -1);
		assert_int_equal(e.code, ERR_REFUSED);
	}
	/* a name is dialled only at the address where the relay itself met the coordinator's key */
	assert_int_equal(home_target(&to, h, "grid.example:7700", &e), -1);
	assert_int_equal(e.code, ERR_UNREACHABLE);
	home_worked(h, &ways[2], "192.0.2.77");
	assert_int_equal(home_target(&to, h, "grid.example:7700", &e), 0);
	assert_string_equal(to.host, "192.0.2.77");
	free(h);
}

/* Other eight of twenty nodes each time. */
static size_t some_of_twenty(void *arg, struct link *out, size_t max)
{
	unsigned *from = arg;

	for (size_t i = 0; i < max; i++) {
		out[i] = (struct link){ .host = "203.0.113.5" };
		out[i].port = (uint16_t)(9000 + (*from)++ % 20);
		out[i].node.b[0] = (unsigned char)out[i].port;
	}
	return max;
}

static void a_relay_in_use_stays_however_many_are_known(void **state)
{
	struct home *h = xcalloc(1, sizeof(*h));
	unsigned from = 0;
	struct relays relays = { some_of_twenty, &from };

	(void)state;
	h->known = true;
	h->grid.n_keys = h->grid.n_addresses = 1;
	h->grid.keys[0].roles = ROLE_COORDINATOR;
	h->grid.addresses[0] = (struct endpoint){ .host = "198.51.100.1", .port = 7700 };
	h->grid.keys[0].id.b[0] = 1;
	home_set_relays(h, &relays);
	for (int i = 0; i < 5; i++)
		home_failed(h, home_turn(h));
	struct way used = *home_way(h);
	assert_true(used.relayed);
	home_worked(h, &used, "");
	for (int i = 0; i < 20; i++) {
		home_relays_changed(h);
		assert_true(way_equal(home_way(h), &used));
		assert_true(h->ways.n <= 1 + HOME_RELAYS_MAX);
	}
	free(h);
}

/* --- ways ------------------------------------------------------------------------------------------------------------ */
static const struct way list[] = {
	{ .to = { .host = "c1", .port = 1 } },
	{ .to = { .host = "c2", .port = 1 } },
	{ .to = { .host = "c1", .port = 1 }, .relayed = true, .via = { .host = "a", .port = 2 } },
	{ .to = { .host = "c2", .port = 1 }, .relayed = true, .via = { .host = "a", .port = 2 } },
};

static void direct_ways_are_tried_before_relays(void **state)
{
	struct ways w = { 0 };

	(void)state;
	assert_null(ways_now(&w));
	ways_failed(&w, w.turn, 0);
	ways_set(&w, list, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_true(way_equal(ways_now(&w), &list[i]));
		ways_failed(&w, w.turn, 1000);
	}
	assert_true(way_equal(ways_now(&w), &list[0]));
}

/* How many ways the next round tries: each but the last may be followed at once. */
static size_t round_of(struct ways *w)
{
	size_t n = 1;

	while (ways_failed(w, w->turn, 1000))
		n++;
	return n;
}

static void relays_that_lead_nowhere_are_left_out_of_more_and_more_rounds(void **state)
{
	static const size_t rounds[] = { 4, 2, 4, 2, 2, 4, 2, 2, 2, 2, 4, 2, 2, 2, 2, 4 };
	struct ways w = { 0 };

	(void)state;
	ways_set(&w, list, 4);
	for (size_t i = 0; i < ARRAY_LEN(rounds); i++)
		assert_int_equal(round_of(&w), rounds[i]);
	ways_set(&w, list, 4); /* other relays are known */
	assert_int_equal(round_of(&w), 4);
	assert_int_equal(round_of(&w), 2);
	ways_worked(&w, &list[2], 1000);
	assert_int_equal(round_of(&w), 4);
}

static void a_round_is_tried_at_once_and_then_one_waits(void **state)
{
	struct ways w = { 0 };

	(void)state;
	ways_set(&w, list, 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(ways_failed(&w, w.turn, 1000), i < 3);
	ways_failed(&w, w.turn, 1000);
	ways_worked(&w, &list[1], 1000); /* only the direct ones are tried now: two */
	assert_true(ways_failed(&w, w.turn, 2000));
	assert_false(ways_failed(&w, w.turn, 2000));
	assert_false(ways_failed(&w, w.turn - 1, 2000));
}

static void a_round_begins_with_a_direct_way(void **state)
{
	struct ways w = { 0 };

	(void)state;
	ways_set(&w, list, 4);
	ways_failed(&w, w.turn, 0);
	ways_failed(&w, w.turn, 0);
	ways_worked(&w, &list[2], 0); /* the relay works, until it fails too */
	for (int i = 0; i < 4; i++)
		ways_failed(&w, w.turn, 1000);
	assert_true(way_equal(ways_now(&w), &list[0]));
}

static void several_who_tell_one_failure_move_on_once(void **state)
{
	struct ways w = { 0 };

	(void)state;
	ways_set(&w, list, 4);
	unsigned turn = w.turn;
	for (int i = 0; i < 5; i++)
		ways_failed(&w, turn, 1000);
	assert_true(way_equal(ways_now(&w), &list[1]));
}

static void who_was_reached_directly_is_given_time_before_a_relay(void **state)
{
	struct ways w = { 0 };

	(void)state;
	ways_set(&w, list, 4);
	ways_worked(&w, &list[1], 1000);
	for (int i = 0; i < 10; i++) {
		ways_failed(&w, w.turn, 2000 + i * 1000);
		assert_false(ways_now(&w)->relayed);
	}
	for (int i = 0; i < 2 && !ways_now(&w)->relayed; i++)
		ways_failed(&w, w.turn, 1000 + WAYS_PATIENCE_MS);
	assert_true(ways_now(&w)->relayed);
}

static void nobody_stays_relayed_who_need_not(void **state)
{
	struct ways w = { 0 };
	int64_t wait = 0, last = 0;

	(void)state;
	ways_set(&w, list, 4);
	assert_null(ways_probe(&w, &wait)); /* not relayed */
	ways_failed(&w, w.turn, 0);
	ways_failed(&w, w.turn, 0);
	assert_true(ways_now(&w)->relayed);
	for (int i = 0; i < 12; i++) {
		const struct link *to = ways_probe(&w, &wait);

		assert_string_equal(to->host, i % 2 ? "c2" : "c1"); /* each in its turn */
		assert_in_range(wait, PROBE_MIN_MS, PROBE_MAX_MS);
		assert_true(wait >= last);
		last = wait;
	}
	assert_int_equal(last, PROBE_MAX_MS);
	unsigned turn = w.turn;
	ways_worked(&w, &list[1], 5000);
	assert_true(way_equal(ways_now(&w), &list[1]));
	ways_failed(&w, turn, 6000); /* of the relay, told late: it is not in use any more */
	assert_true(way_equal(ways_now(&w), &list[1]));
}

static void a_new_list_keeps_the_way_in_use(void **state)
{
	struct ways w = { 0 };

	(void)state;
	ways_set(&w, list, 4);
	ways_failed(&w, w.turn, 0);
	ways_failed(&w, w.turn, 0);
	ways_set(&w, list + 1, 3);
	assert_true(way_equal(ways_now(&w), &list[2]));
	ways_set(&w, list, 2);
	assert_true(way_equal(ways_now(&w), &list[0]));
	ways_set(&w, list, 0);
	assert_null(ways_now(&w));
}

static void a_long_list_is_cut(void **state)
{
	struct way *many = xcalloc(WAYS_MAX + 10, sizeof(*many));
	struct ways w = { 0 };

	(void)state;
	for (uint16_t i = 0; i < WAYS_MAX + 10; i++)
		many[i].to.port = (uint16_t)(i + 1);
	ways_set(&w, many, WAYS_MAX + 10);
	assert_int_equal(w.n, WAYS_MAX);
	ways_set(&w, list, 4);
	struct way twice[2] = { list[0], list[0] };
	ways_set(&w, twice, 2);
	assert_int_equal(w.n, 1);
	free(many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_has_only_so_many_tunnels_at_once),
		cmocka_unit_test(a_v6_subscriber_is_one_address),
		cmocka_unit_test(all_together_have_only_so_many_tunnels),
		cmocka_unit_test(who_holds_most_makes_room_for_others),
		cmocka_unit_test(a_tunnel_through_which_nothing_is_said_ends_soon),
		cmocka_unit_test(a_tunnel_has_its_rate_and_a_second_at_once),
		cmocka_unit_test(all_tunnels_share_one_rate),
		cmocka_unit_test(small_parts_pass_at_once),
		cmocka_unit_test(a_tunnel_ends_after_its_bytes),
		cmocka_unit_test(a_day_has_its_bytes_and_then_a_new_one_begins),
		cmocka_unit_test(who_says_nothing_or_stays_too_long_is_ended),
		cmocka_unit_test(only_the_coordinators_own_addresses_are_targets),
		cmocka_unit_test(relays_that_lead_nowhere_are_left_out_of_more_and_more_rounds),
		cmocka_unit_test(direct_ways_are_tried_before_relays),
		cmocka_unit_test(a_round_is_tried_at_once_and_then_one_waits),
		cmocka_unit_test(a_round_begins_with_a_direct_way),
		cmocka_unit_test(several_who_tell_one_failure_move_on_once),
		cmocka_unit_test(who_was_reached_directly_is_given_time_before_a_relay),
		cmocka_unit_test(nobody_stays_relayed_who_need_not),
		cmocka_unit_test(a_new_list_keeps_the_way_in_use),
		cmocka_unit_test(a_relay_in_use_stays_however_many_are_known),
		cmocka_unit_test(a_long_list_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
