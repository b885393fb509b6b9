/* SPDX-License-Identifier: Apache-2.0
 *
 * heard.c: envelopes that are passed on, opened; and notes on them, made.
 */
#include "common/heard.h"

static void read_addresses(struct heard *h, const json_t *body)
{
	json_t *text;
	size_t i;
	struct err e;

	json_array_foreach(json_object_get(body, "addresses"), i, text)
		if (h->n_at < PEER_ADDRESSES_MAX &&
			!endpoint_parse(&h->at[h->n_at], json_string_value(text), &e) &&
			h->at[h->n_at].port)
			h->n_at++;
}

static bool is_named(const struct grid *g, const struct id *key)
{
	for (size_t i = 0; g && i < g->n_revoked; i++)
		if (id_equal(&g->revoked[i], key))
			return false;
	for (size_t i = 0; g && i < g->n_keys; i++)
		if (id_equal(&g->keys[i].id, key))
			return true;
	return false;
}

static int read_other(struct heard *h, const struct heard_by *by, struct err *e)
{
	h->kind = HEARD_OTHER;
	if (!is_named(by->grid, &h->author))
		return err_set(e, ERR_REFUSED,
			"a message of this type is carried only for keys of the descriptor");
	return 0;
}

static int read_kind(struct heard *h, const struct heard_by *by, const struct msg *m, struct err *e)
{
	switch (m->type) {
	case MSG_ANNOUNCE:
		h->kind = HEARD_NOTE;
		digest_from_text(&h->of, jtext(m->body, "of"));
		h->over = jbool(m->body, "over", false);
		h->expires_ms = jint(m->body, "expires", 0);
		return 0;
	case MSG_PEER:
		h->kind = HEARD_PEER;
		h->expires_ms = jint(m->body, "expires", 0);
		h->relay = jbool(m->body, "relay", false);
		read_addresses(h, m->body);
		return 0;
	case MSG_JOB:
		h->kind = HEARD_JOB;
		h->job = digest_of(m->sealed.payload, m->sealed.n);
		return 0;
	case MSG_CANCEL:
		h->kind = HEARD_CANCEL;
		digest_from_hex(&h->job, jtext(m->body, "job"));
		return 0;
	case MSG_GRID:
		h->kind = HEARD_GRID;
		h->serial = jint(m->body, "serial", 0);
		return id_equal(&m->author, &m->grid)
		               ? 0
		               : err_set(e, ERR_REFUSED,
					 "the descriptor is not signed by the grid's root key");
	case N_MSG_TYPES:
		return read_other(h, by, e);
	default:
		return err_set(e, ERR_REFUSED, "a %s is not passed on", msg_type_name(m->type));
	}
}

int heard_open(void *arg, struct heard *out, const char *line, size_t n, struct err *e)
{
	const struct heard_by *by = arg;
	struct msg m;

	*out = (struct heard){ 0 };
	if (n > HEARD_LINE_MAX)
		return err_set(
			e, ERR_TOO_BIG, "%zu bytes; at most %zu are passed on", n, HEARD_LINE_MAX);
	if (msg_open_any(&m, line, n, &by->grid_id, e))
		return -1;
	out->author = m.author;
	out->line = m.sealed.digest;
	out->seq = m.seq;
	int bad = read_kind(out, by, &m, e);
	msg_release(&m);
	return bad;
}

int note_seal(char **out, const struct id *grid, const struct key *key, const struct digest *of,
	bool over, int64_t seq, int64_t now_ms, int64_t expires_ms, struct err *e)
{
	json_t *j = msg_new_request(MSG_ANNOUNCE, grid, key_id(key), now_ms, seq);
	char text[DIGEST_TEXT + 1];

	digest_text(text, of);
	json_object_set_new(j, "of", json_string(text));
	json_object_set_new(j, "over", json_boolean(over));
	json_object_set_new(j, "expires", json_integer(expires_ms));
	return msg_seal(out, j, NULL, key, e);
}
