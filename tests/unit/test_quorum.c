/* SPDX-License-Identifier: Apache-2.0
 *
 * test_quorum.c: what a set of votes proves, and whom they come from.
 */
#include "coordinator/map.h"
#include "coordinator/quorum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct vote vote(uint32_t worker, const char *outcome, bool success)
{
	return (struct vote){ .kind = VOTE,
		.success = success,
		.from = { .worker = worker },
		.outcome = digest_of(outcome, strlen(outcome)),
		.ref = worker };
}

static struct vote attempt(uint32_t worker)
{
	return (struct vote){ .kind = ATTEMPT, .from = { .worker = worker }, .ref = worker };
}

static struct vote on_net(struct vote v, network net)
{
	v.from.net = net;
	return v;
}

static struct vote of_owner(struct vote v, uint64_t owner)
{
	v.from.owner = owner;
	return v;
}

/* As the worker `v` through the relay: 100 + its number is a worker's tag. */
static struct vote tagged(struct vote v)
{
	v.from.self = 100 + v.from.worker;
	return v;
}

static struct vote through(struct vote v, uint32_t relay)
{
	v = on_net(tagged(v), NETWORK_UNKNOWN);
	v.from.relay = 100 + relay;
	return v;
}

static const struct rule two = { 2, 6, 16, BY_NETWORK, false },
			  three = { 3, 7, 16, BY_NETWORK, false };

#define JUDGE(rule, ...)                                                                           \
	quorum_judge((struct vote[]){ __VA_ARGS__ },                                               \
		sizeof((struct vote[]){ __VA_ARGS__ }) / sizeof(struct vote), rule, NULL)

static void one_result_is_not_two(void **state)
{
	(void)state;
	assert_int_equal(JUDGE(&two, vote(1, "a", true)).what, NEED_MORE);
}

static void two_that_agree_are_believed(void **state)
{
	(void)state;
	struct verdict v = JUDGE(&two, vote(1, "a", true), vote(2, "a", true));

	assert_int_equal(v.what, AGREED_VALID);
	assert_int_equal(v.n_counted, 2);
	assert_int_equal(v.counted[0], 1);
	assert_int_equal(v.counted[1], 2);
}

static void a_key_counts_once(void **state)
{
	(void)state;
	assert_int_equal(JUDGE(&two, vote(1, "a", true), vote(1, "a", true)).what, NEED_MORE);
}

static void a_network_counts_once(void **state)
{
	(void)state;
	network n = network_of("192.0.2.7"), m = network_of("192.0.2.99"),
		o = network_of("198.51.100.1");

	assert_int_equal(n, m);
	assert_int_equal(
		JUDGE(&two, on_net(vote(1, "a", true), n), on_net(vote(2, "a", true), m)).what,
		NEED_MORE);
	assert_int_equal(JUDGE(&two, on_net(vote(1, "a", true), n), on_net(vote(2, "a", true), m),
				 on_net(vote(3, "a", true), o))
				 .what,
		AGREED_VALID);
}

static void unknown_networks_are_the_same(void **state)
{
	(void)state;
	assert_int_equal(JUDGE(&two, on_net(vote(1, "a", true), NETWORK_UNKNOWN),
				 on_net(vote(2, "a", true), NETWORK_UNKNOWN))
				 .what,
		NEED_MORE);
}

static void a_worker_and_its_relay_are_not_two(void **state)
{
	(void)state;
	struct vote relay = on_net(tagged(vote(1, "a", true)), network_of("198.51.100.1"));
	struct vote other = on_net(tagged(vote(3, "a", true)), network_of("203.0.113.1"));
	struct vote relayed = through(vote(2, "a", true), 1);

	for (int by = BY_NETWORK; by <= BY_OWNER; by++) {
		struct rule rule = two;

		rule.by = (enum independence)by;
		assert_int_equal(JUDGE(&rule, relay, relayed).what, NEED_MORE);
		assert_int_equal(JUDGE(&rule, relayed, relay).what, NEED_MORE);
		assert_int_equal(JUDGE(&rule, relay, relayed, other).what, AGREED_VALID);
		assert_int_equal(JUDGE(&rule, relayed, relay, other).what, AGREED_VALID);
		assert_int_equal(JUDGE(&rule, relayed, other).what, AGREED_VALID);
	}
	/* not even with a relay whose own network is exempt or unknown */
	assert_int_equal(JUDGE(&two, on_net(relay, NETWORK_EXEMPT), relayed).what, NEED_MORE);
	assert_int_equal(JUDGE(&two, on_net(relay, NETWORK_UNKNOWN), relayed).what, NEED_MORE);
}

static void two_relayed_workers_are_not_two_whoever_relays_them(void **state)
{
	(void)state;
	struct vote b = through(vote(2, "a", true), 1), d = through(vote(3, "a", true), 4);

	assert_int_equal(JUDGE(&two, b, d).what, NEED_MORE);
	assert_int_equal(JUDGE(&two, b, through(vote(3, "a", true), 1)).what, NEED_MORE);
}

static void by_key_relays_mean_as_little_as_networks(void **state)
{
	(void)state;
	struct rule by_key = two;

	by_key.by = BY_KEY;
	assert_int_equal(JUDGE(&by_key, tagged(vote(1, "a", true)), through(vote(2, "a", true), 1)).what,
		AGREED_VALID);
	assert_int_equal(JUDGE(&by_key, through(vote(2, "a", true), 1), through(vote(3, "a", true), 1)).what,
		AGREED_VALID);
}

static void an_owner_counts_once_where_owners_count(void **state)
{
	(void)state;
	struct rule by_owner = two;

	by_owner.by = BY_OWNER;
	assert_int_equal(
		JUDGE(&by_owner, of_owner(vote(1, "a", true), 9), of_owner(vote(2, "a", true), 9))
			.what,
		NEED_MORE);
	assert_int_equal(
		JUDGE(&two, of_owner(vote(1, "a", true), 9), of_owner(vote(2, "a", true), 9)).what,
		AGREED_VALID);
	assert_int_equal(
		JUDGE(&by_owner, vote(1, "a", true), vote(2, "a", true)).what, AGREED_VALID);
}

static void two_liars_cannot_beat_three_honest(void **state)
{
	(void)state;
	struct verdict v = JUDGE(&three, vote(1, "lie", true), vote(2, "lie", true),
		vote(3, "true", true), vote(4, "true", true), vote(5, "true", true));
	struct digest honest = digest_of("true", 4);

	assert_int_equal(v.what, AGREED_VALID);
	assert_true(digest_equal(&v.outcome, &honest));
	assert_int_equal(v.counted[0], 3);
}

static void an_agreed_bad_exit_fails_the_task_at_once(void **state)
{
	(void)state;
	assert_int_equal(JUDGE(&two, vote(1, "exit 3", false), vote(2, "exit 3", false)).what,
		AGREED_FAILED);
}

static void attempts_do_not_vote_but_count(void **state)
{
	(void)state;
	assert_int_equal(JUDGE(&two, attempt(1), attempt(2), vote(3, "a", true)).what, NEED_MORE);
	assert_int_equal(
		JUDGE(&two, attempt(1), attempt(2), attempt(3), attempt(4), attempt(5), attempt(6))
			.what,
		NO_AGREEMENT);
}

static void disagreement_goes_on_to_max_results(void **state)
{
	(void)state;
	struct vote v[6];

	for (uint32_t i = 0; i < 6; i++)
		v[i] = vote(i, (const char[2]){ (char)('a' + i), 0 }, true);
	assert_int_equal(quorum_judge(v, 5, &two, NULL).what, NEED_MORE);
	assert_int_equal(quorum_judge(v, 6, &two, NULL).what, NO_AGREEMENT);
	v[5] = vote(5, "a", true);
	assert_int_equal(quorum_judge(v, 6, &two, NULL).what, AGREED_VALID);
}

static void a_task_that_keeps_expiring_fails(void **state)
{
	(void)state;
	struct vote v[16] = { 0 };

	for (uint32_t i = 0; i < 16; i++)
		v[i] = (struct vote){ .kind = EXPIRED, .from = { .worker = i } };
	assert_int_equal(quorum_judge(v, 15, &two, NULL).what, NEED_MORE);
	assert_int_equal(quorum_judge(v, 16, &two, NULL).what, NO_RESULT);
}

static void private_addresses_are_exempt(void **state)
{
	(void)state;
	static const char *const ours[] = { "127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.7.7",
		"169.254.1.1", "::1", "fe80::1", "fd00::1", "::ffff:10.0.0.1" };

	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		assert_int_equal(network_of(ours[i]), NETWORK_EXEMPT);
	assert_int_not_equal(network_of("172.32.0.1"), NETWORK_EXEMPT);
	assert_int_equal(network_of("::ffff:192.0.2.1"), network_of("192.0.2.200"));
	assert_int_equal(network_of("2001:db8:1:2::1"), network_of("2001:db8:1:ffff::9"));
	assert_int_not_equal(network_of("2001:db8:1::1"), network_of("2001:db8:2::1"));
	assert_int_equal(network_of("nonsense"), NETWORK_UNKNOWN);
}

static void a_map_finds_what_was_put_and_only_that(void **state)
{
	(void)state;
	struct map m = { .seed = 7 };
	uint64_t rng = 1;
	static unsigned char names[2000][32];

	for (size_t i = 0; i < 2000; i++) {
		for (size_t k = 0; k < 32; k++)
			names[i][k] = (unsigned char)rng_next(&rng);
		map_put(&m, names[i], (uint32_t)i);
	}
	for (size_t i = 0; i < 2000; i += 2)
		map_drop(&m, names[i]);
	for (size_t i = 0; i < 2000; i++)
		assert_int_equal(map_get(&m, names[i]), i % 2 ? i : MAP_NONE);
	assert_int_equal(m.n, 1000);
	map_release(&m);
}

/* --- agreement that is not transitive --------------------------------------------------------------- */
/* Votes whose outcomes are numbers: they agree when these are at most `reach` apart. */
static struct verdict judge_numbers(const struct vote *votes, const int *numbers, size_t n, const struct rule *rule, int reach)
{
	struct relation r = { { 0 } };

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++)
			if (i != k && abs(numbers[i] - numbers[k]) <= reach)
				r.agrees[i] |= (uint64_t)1 << k;
	return quorum_judge(votes, n, rule, &r);
}

static size_t make_numbered(struct vote *votes, const int *numbers, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%d", numbers[i]);
		votes[i] = vote((uint32_t)i + 1, text, true);
	}
	return n;
}

/* a ~ b, b ~ c, not a ~ c, in all six orders: whoever of a and c comes first with b wins, and who came first of the two is
 * the outcome. */
static void of_a_chain_the_first_pair_wins(void **state)
{
	(void)state;
	static const struct {
		int numbers[3], counted[2];
	} cases[] = { { { 0, 1, 2 }, { 1, 2 } }, { { 0, 2, 1 }, { 1, 3 } }, { { 1, 0, 2 }, { 1, 2 } },
		{ { 1, 2, 0 }, { 1, 2 } }, { { 2, 0, 1 }, { 1, 3 } }, { { 2, 1, 0 }, { 1, 2 } } };
	struct vote votes[3];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		make_numbered(votes, cases[i].numbers, 3);
		struct verdict v = judge_numbers(votes, cases[i].numbers, 3, &two, 1);

		assert_int_equal(v.what, AGREED_VALID);
		assert_int_equal(v.n_counted, 2);
		assert_int_equal(v.counted[0], cases[i].counted[0]);
		assert_int_equal(v.counted[1], cases[i].counted[1]);
		assert_true(digest_equal(&v.outcome, &votes[0].outcome));
		assert_int_equal(judge_numbers(votes, cases[i].numbers, 3, &three, 1).what, NEED_MORE);
	}
}

static void a_quorum_agrees_pair_by_pair(void **state)
{
	(void)state;
	static const int numbers[] = { 0, 3, 1, 6, 2, 7, 8 }; /* reach 2: 0 1 2 is the only three before 6 7 8 */
	struct vote votes[7];
	struct verdict v;

	make_numbered(votes, numbers, 7);
	assert_int_equal(judge_numbers(votes, numbers, 4, &three, 2).what, NEED_MORE);
	v = judge_numbers(votes, numbers, 7, &three, 2);
	assert_int_equal(v.what, AGREED_VALID);
	assert_int_equal(v.counted[0], 1);
	assert_int_equal(v.counted[1], 3);
	assert_int_equal(v.counted[2], 5);
}

static void the_members_of_a_clique_are_independent_and_of_one_end(void **state)
{
	(void)state;
	static const int same[] = { 0, 0, 0 };
	struct vote votes[3];

	make_numbered(votes, same, 3);
	votes[1].from = votes[0].from;
	struct verdict v = judge_numbers(votes, same, 3, &two, 1);
	assert_int_equal(v.counted[1], 3);
	votes[2].success = false;
	assert_int_equal(judge_numbers(votes, same, 3, &two, 1).what, NEED_MORE);
	votes[0].success = false;
	v = judge_numbers(votes, same, 3, &two, 1);
	assert_int_equal(v.what, AGREED_FAILED);
	assert_int_equal(v.counted[0], 1);
	votes[2].kind = ATTEMPT;
	assert_int_equal(judge_numbers(votes, same, 3, &two, 1).what, NEED_MORE);
}

static void classes_do_not_mix_where_one_class_is_asked_for(void **state)
{
	(void)state;
	static const int same[] = { 0, 0, 0 };
	struct rule rule = two;
	struct vote votes[3];

	make_numbered(votes, same, 3);
	votes[0].from.kind = votes[2].from.kind = kind_tag("x86_64-linux", "x86_64-v3");
	votes[1].from.kind = kind_tag("x86_64-linux", "x86_64-v2");
	for (int by_relation = 0; by_relation < 2; by_relation++) {
		rule.same_class = false;
		struct verdict v = by_relation ? judge_numbers(votes, same, 3, &rule, 0) : quorum_judge(votes, 3, &rule, NULL);
		assert_int_equal(v.counted[1], 2);
		rule.same_class = true;
		v = by_relation ? judge_numbers(votes, same, 3, &rule, 0) : quorum_judge(votes, 3, &rule, NULL);
		assert_int_equal(v.what, AGREED_VALID);
		assert_int_equal(v.counted[0], 1);
		assert_int_equal(v.counted[1], 3);
	}
	assert_int_not_equal(kind_tag("ab", "c"), kind_tag("a", "bc"));
}

/* Against every set there is, tried in order, on random relations. */
static void the_first_clique_of_all_is_found(void **state)
{
	(void)state;
	uint64_t seed = 11;

	for (int round = 0; round < 3000; round++) {
		struct vote votes[9];
		struct relation r = { { 0 } };
		static const int zeros[9];
		int quorum = 1 + (int)rng_below(&seed, 4), best = -1;
		struct rule rule = { quorum, 64, 16, BY_NETWORK, false };

		make_numbered(votes, zeros, 9);
		for (size_t i = 0; i < 9; i++)
			for (size_t k = 0; k < i; k++)
				if (rng_below(&seed, 3)) {
					r.agrees[i] |= (uint64_t)1 << k;
					r.agrees[k] |= (uint64_t)1 << i;
				}
		/* in reversed bits, the lexicographically first set is the largest number */
		for (int set = 0; set < 512; set++) {
			bool clique = __builtin_popcount((unsigned)set) == quorum;

			for (int i = 0; i < 9 && clique; i++)
				for (int k = 0; k < i && clique; k++)
					clique = !(set >> (8 - i) & 1) || !(set >> (8 - k) & 1) || (r.agrees[i] >> k & 1);
			if (clique)
				best = set;
		}
		struct verdict v = quorum_judge(votes, 9, &rule, &r);
		assert_int_equal(v.what, best < 0 ? NEED_MORE : AGREED_VALID);
		for (int i = 0, c = 0; best >= 0 && i < 9; i++)
			if (best >> (8 - i) & 1)
				assert_int_equal(v.counted[c++], i + 1);
	}
}

/* Fourteen groups, within none of which anybody agrees: no fifteen agree, and the search for them is given up. */
static void a_tangle_ends(void **state)
{
	(void)state;
	static const int zeros[64];
	struct rule rule = { 15, 65, 16, BY_NETWORK, false };
	struct vote votes[64];
	struct relation r = { { 0 } };

	make_numbered(votes, zeros, 64);
	for (size_t i = 0; i < 64; i++)
		for (size_t k = 0; k < 64; k++)
			if (i % 14 != k % 14)
				r.agrees[i] |= (uint64_t)1 << k;
	assert_int_equal(quorum_judge(votes, 64, &rule, &r).what, NEED_MORE);
	rule.max_results = 64;
	assert_int_equal(quorum_judge(votes, 64, &rule, &r).what, NO_AGREEMENT);
	rule.quorum = 14;
	assert_int_equal(quorum_judge(votes, 64, &rule, &r).what, AGREED_VALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_result_is_not_two),
		cmocka_unit_test(two_that_agree_are_believed),
		cmocka_unit_test(a_key_counts_once),
		cmocka_unit_test(a_network_counts_once),
		cmocka_unit_test(unknown_networks_are_the_same),
		cmocka_unit_test(a_worker_and_its_relay_are_not_two),
		cmocka_unit_test(two_relayed_workers_are_not_two_whoever_relays_them),
		cmocka_unit_test(by_key_relays_mean_as_little_as_networks),
		cmocka_unit_test(an_owner_counts_once_where_owners_count),
		cmocka_unit_test(two_liars_cannot_beat_three_honest),
		cmocka_unit_test(an_agreed_bad_exit_fails_the_task_at_once),
		cmocka_unit_test(attempts_do_not_vote_but_count),
		cmocka_unit_test(disagreement_goes_on_to_max_results),
		cmocka_unit_test(a_task_that_keeps_expiring_fails),
		cmocka_unit_test(private_addresses_are_exempt),
		cmocka_unit_test(a_map_finds_what_was_put_and_only_that),
		cmocka_unit_test(of_a_chain_the_first_pair_wins),
		cmocka_unit_test(a_quorum_agrees_pair_by_pair),
		cmocka_unit_test(the_members_of_a_clique_are_independent_and_of_one_end),
		cmocka_unit_test(classes_do_not_mix_where_one_class_is_asked_for),
		cmocka_unit_test(the_first_clique_of_all_is_found),
		cmocka_unit_test(a_tangle_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
