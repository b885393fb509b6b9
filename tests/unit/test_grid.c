/* SPDX-License-Identifier: Apache-2.0
 *
 * test_grid.c: who may act for a grid, and when.
 */
#include "common/grid.h"
#include "tests/unit/vectors.h"

static struct key *root, *deputy;
static struct grid sample;

static int make_keys(void **state)
{
	(void)state;
	root = key_new();
	deputy = key_new();
	sample = (struct grid){ .id = *key_id(root),
		.serial = 3,
		.expires_ms = 9000,
		.name = "grün €",
		.about = "a",
		.contact = "c",
		.n_keys = 2,
		.n_addresses = 2,
		.n_revoked = 1 };
	sample.keys[0] =
		(struct grid_key){ *key_id(root), ROLE_COORDINATOR | ROLE_ADMIN, 100, 200 };
	sample.keys[1] = (struct grid_key){ *key_id(deputy), ROLE_LOG | ROLE_ARBITER, 0, 1000 };
	strcpy(sample.addresses[0].host, "example.org");
	sample.addresses[0].port = 7411;
	strcpy(sample.addresses[1].host, "::1");
	sample.addresses[1].port = 1;
	sample.revoked[0].b[5] = 7;
	return 0;
}

static int drop_keys(void **state)
{
	(void)state;
	key_free(root);
	key_free(deputy);
	return 0;
}

/* Seal `g` by `k` and read it again: 0, or -1 with e. */
static int again(struct grid *out, const struct grid *g, const struct key *k, struct err *e)
{
	auto_free char *line = NULL;
	struct msg m;

	if (grid_seal(&line, g, k, 1, e) || msg_open(&m, line, strlen(line), NULL, e))
		return -1;
	int bad = grid_read(out, &m, e);
	msg_release(&m);
	return bad;
}

static void a_descriptor_round_trips(void **state)
{
	(void)state;
	struct grid g;
	struct err e;

	assert_int_equal(again(&g, &sample, root, &e), 0);
	assert_true(id_equal(&g.id, &sample.id));
	assert_int_equal(g.serial, 3);
	assert_int_equal(g.expires_ms, 9000);
	assert_string_equal(g.name, "grün €");
	assert_string_equal(g.about, "a");
	assert_string_equal(g.contact, "c");
	assert_int_equal(g.n_keys, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_true(id_equal(&g.keys[i].id, &sample.keys[i].id));
		assert_int_equal(g.keys[i].roles, sample.keys[i].roles);
		assert_int_equal(g.keys[i].from_ms, sample.keys[i].from_ms);
		assert_int_equal(g.keys[i].until_ms, sample.keys[i].until_ms);
	}
	assert_int_equal(g.n_addresses, 2);
	assert_string_equal(g.addresses[1].host, "::1");
	assert_int_equal(g.n_revoked, 1);
	assert_true(id_equal(&g.revoked[0], &sample.revoked[0]));
}

static void only_the_root_key_describes_its_grid(void **state)
{
	(void)state;
	struct grid g;
	struct err e;

	assert_int_equal(again(&g, &sample, deputy, &e), -1);
	assert_int_equal(e.code, ERR_FIELD);
	assert_string_equal(e.field, "author");
}

static void a_role_holds_from_until_and_not_when_revoked(void **state)
{
	(void)state;
	struct grid g = sample;
	const struct id *r = key_id(root), *d = key_id(deputy);
	struct id stranger = { { 1 } };

	assert_true(grid_allows(&g, r, ROLE_COORDINATOR, 100));
	assert_true(grid_allows(&g, r, ROLE_COORDINATOR, 199));
	assert_false(grid_allows(&g, r, ROLE_COORDINATOR, 99));
	assert_false(grid_allows(&g, r, ROLE_COORDINATOR, 200));
	assert_true(grid_allows(&g, r, ROLE_ADMIN, 150));
	assert_false(grid_allows(&g, r, ROLE_LOG, 150));
	assert_false(grid_allows(&g, d, ROLE_COORDINATOR, 150));
	assert_true(grid_allows(&g, d, ROLE_LOG, 150));
	assert_false(grid_allows(&g, &stranger, ROLE_ADMIN, 150));
	g.keys[1] = (struct grid_key){ *r, ROLE_COORDINATOR, 300, 400 }; /* a second term */
	assert_true(grid_allows(&g, r, ROLE_COORDINATOR, 300));
	assert_false(grid_allows(&g, r, ROLE_COORDINATOR, 250));
	g.revoked[0] = *r;
	assert_false(grid_allows(&g, r, ROLE_COORDINATOR, 150));
	assert_false(grid_allows(&g, r, ROLE_COORDINATOR, 300));
}

static void as_many_keys_and_addresses_as_allowed_fit(void **state)
{
	(void)state;
	struct grid g = sample, back;
	struct err e;

	for (size_t i = 0; i < GRID_KEYS_MAX; i++) {
		g.keys[i] = g.keys[0];
		g.revoked[i] = sample.revoked[0];
	}
	for (size_t i = 0; i < GRID_ADDRESSES_MAX; i++)
		g.addresses[i] = sample.addresses[0];
	g.n_keys = g.n_revoked = GRID_KEYS_MAX;
	g.n_addresses = GRID_ADDRESSES_MAX;
	memset(g.name, 'x', sizeof(g.name) - 1);
	memset(g.about, 'x', sizeof(g.about) - 1);
	memset(g.contact, 'x', sizeof(g.contact) - 1);
	assert_int_equal(again(&back, &g, root, &e), 0);
	assert_int_equal(back.n_keys, GRID_KEYS_MAX);
	assert_int_equal(back.n_revoked, GRID_KEYS_MAX);
	assert_int_equal(back.n_addresses, GRID_ADDRESSES_MAX);
	assert_string_equal(back.about, g.about);
}

static void a_name_that_is_not_utf8_is_an_error_not_a_crash(void **state)
{
	(void)state;
	struct grid g = sample, back;
	struct err e;

	strcpy(g.name, "\xff\xfe");
	assert_int_equal(again(&back, &g, root, &e), -1);
	assert_int_equal(e.code, ERR_FIELD);
	assert_string_equal(e.field, "name");
}

static void another_message_is_no_descriptor_and_unknown_roles_give_nothing(void **state)
{
	(void)state;
	auto_free char *line = NULL, *sealed = NULL;
	struct msg m;
	struct grid g;
	struct err e;

	json_t *j = msg_new(MSG_CANCEL, key_id(root), key_id(root), 1);
	json_object_set_new(j, "job",
		json_string("0000000000000000000000000000000000000000000000000000000000000000"));
	assert_int_equal(msg_seal(&line, j, NULL, root, &e), 0);
	assert_int_equal(msg_open(&m, line, strlen(line), NULL, &e), 0);
	assert_int_equal(grid_read(&g, &m, &e), -1);
	assert_string_equal(e.field, "type");
	msg_release(&m);
	assert_int_equal(grid_seal(&sealed, &sample, root, 1, &e), 0);
	assert_int_equal(msg_open(&m, sealed, strlen(sealed), NULL, &e), 0);
	json_t *roles =
		json_object_get(json_array_get(json_object_get(m.body, "keys"), 0), "roles");
	json_array_append_new(roles, json_string("emperor"));
	assert_int_equal(grid_read(&g, &m, &e), 0);
	assert_int_equal(g.keys[0].roles, ROLE_COORDINATOR | ROLE_ADMIN);
	json_array_append_new(json_object_get(m.body, "addresses"), json_string("no port"));
	assert_int_equal(grid_read(&g, &m, &e), -1);
	assert_string_equal(e.field, "addresses");
	msg_release(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_descriptor_round_trips),
		cmocka_unit_test(only_the_root_key_describes_its_grid),
		cmocka_unit_test(a_role_holds_from_until_and_not_when_revoked),
		cmocka_unit_test(as_many_keys_and_addresses_as_allowed_fit),
		cmocka_unit_test(a_name_that_is_not_utf8_is_an_error_not_a_crash),
		cmocka_unit_test(another_message_is_no_descriptor_and_unknown_roles_give_nothing),
	};

	return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
