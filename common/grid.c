/* SPDX-License-Identifier: Apache-2.0
 *
 * grid.c: the descriptor in and out, and the one question asked of it.
 */
#include "common/grid.h"

#include <string.h>

static const struct {
	const char *name;
	enum role role;
} roles[] = {
	{ "coordinator", ROLE_COORDINATOR },
	{ "log", ROLE_LOG },
	{ "arbiter", ROLE_ARBITER },
	{ "admin", ROLE_ADMIN },
};

static void read_key(struct grid_key *k, const json_t *j)
{
	json_t *name;
	size_t i;

	*k = (struct grid_key){ .from_ms = jint(j, "from", 0), .until_ms = jint(j, "until", 0) };
	id_parse(&k->id, jtext(j, "id"));
	json_array_foreach(json_object_get(j, "roles"), i, name)
		for (size_t r = 0; r < ARRAY_LEN(roles); r++)
			if (!strcmp(json_string_value(name), roles[r].name))
				k->roles |= roles[r].role;
}

int grid_read(struct grid *g, const struct msg *m, struct err *e)
{
	json_t *j;
	size_t i;

	if (m->type != MSG_GRID)
		return err_field(e, "type", "is %s; a grid descriptor is needed", msg_type_name(m->type));
	if (!id_equal(&m->author, &m->grid))
		return err_field(e, "author", "a grid's descriptor is signed by its root key alone");
	*g = (struct grid){ .id = m->grid, .serial = jint(m->body, "serial", 0),
		.expires_ms = jint(m->body, "expires", 0) };
	snprintf(g->name, sizeof(g->name), "%s", jtext(m->body, "name"));
	snprintf(g->about, sizeof(g->about), "%s", jtext(m->body, "about"));
	snprintf(g->contact, sizeof(g->contact), "%s", jtext(m->body, "contact"));
	json_array_foreach(json_object_get(m->body, "keys"), i, j)
		read_key(&g->keys[g->n_keys++], j);
	json_array_foreach(json_object_get(m->body, "addresses"), i, j)
		if (endpoint_parse(&g->addresses[g->n_addresses++], json_string_value(j), e))
			return err_field(e, "addresses", "[%zu] is not HOST:PORT", i);
	json_array_foreach(json_object_get(m->body, "revoked"), i, j)
		id_parse(&g->revoked[g->n_revoked++], json_string_value(j));
	return 0;
}

static json_t *keys_to_json(const struct grid *g)
{
	json_t *keys = json_array();
	char hex[ID_TEXT + 1];

	for (size_t i = 0; i < g->n_keys; i++) {
		const struct grid_key *k = &g->keys[i];
		json_t *names = json_array();

		for (size_t r = 0; r < ARRAY_LEN(roles); r++)
			if (k->roles & roles[r].role)
				json_array_append_new(names, json_string(roles[r].name));
		id_text(hex, &k->id);
		json_array_append_new(keys,
			json_pack("{s:s, s:o, s:I, s:I}", "id", hex, "roles", names, "from",
				(json_int_t)k->from_ms, "until", (json_int_t)k->until_ms));
	}
	return keys;
}

int grid_seal(char **line, const struct grid *g, const struct key *root, int64_t now_ms, struct err *e)
{
	json_t *j = msg_new(MSG_GRID, &g->id, key_id(root), now_ms);
	json_t *addresses = json_array(), *revoked = json_array();
	char text[LINK_HOST_MAX + 9], hex[ID_TEXT + 1];

	for (size_t i = 0; i < g->n_addresses; i++) {
		endpoint_text(text, &g->addresses[i]);
		json_array_append_new(addresses, json_string(text));
	}
	for (size_t i = 0; i < g->n_revoked; i++) {
		id_text(hex, &g->revoked[i]);
		json_array_append_new(revoked, json_string(hex));
	}
	json_object_set_new(j, "serial", json_integer(g->serial));
	json_object_set_new(j, "expires", json_integer(g->expires_ms));
	json_object_set_new(j, "name", json_string(g->name));
	json_object_set_new(j, "about", json_string(g->about));
	json_object_set_new(j, "contact", json_string(g->contact));
	json_object_set_new(j, "keys", keys_to_json(g));
	json_object_set_new(j, "protocols", json_pack("[i]", 1));
	json_object_set_new(j, "features", json_array());
	json_object_set_new(j, "addresses", addresses);
	json_object_set_new(j, "revoked", revoked);
	return msg_seal(line, j, NULL, root, e);
}

bool grid_allows(const struct grid *g, const struct id *id, enum role role, int64_t when_ms)
{
	for (size_t i = 0; i < g->n_revoked; i++)
		if (id_equal(&g->revoked[i], id))
			return false;
	for (size_t i = 0; i < g->n_keys; i++) {
		const struct grid_key *k = &g->keys[i];

		if (id_equal(&k->id, id) && (k->roles & role) && when_ms >= k->from_ms &&
			when_ms < k->until_ms)
			return true;
	}
	return false;
}
