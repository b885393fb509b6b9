/* SPDX-License-Identifier: Apache-2.0
 *
 * msg.c: the way of messages in and out. What each type has to look like is msg_table.c's.
 */
#include "common/msg_table.h"
#include "common/codec.h"

#include <stdlib.h>
#include <string.h>

const char *msg_type_name(enum msg_type type)
{
	return msg_table[type].name;
}

static int find_type(enum msg_type *type, const char *name, bool statement, struct err *e)
{
	for (size_t i = 0; i < N_MSG_TYPES; i++)
		if (!strcmp(msg_table[i].name, name) && statement == (i == MSG_RESULT)) {
			*type = (enum msg_type)i;
			return 0;
		}
	return err_field(e, "type", "\"%.20s\" is not a message of protocol 1", name);
}

/* Every name in crit must be a field that we know. */
static int check_crit(const struct msg *m, struct err *e)
{
	const json_t *crit = json_object_get(m->body, "crit");
	json_t *name;
	size_t i;

	json_array_foreach(crit, i, name)
		if (!shape_knows(msg_header_shape, json_string_value(name)) &&
			!shape_knows(msg_table[m->type].shape, json_string_value(name)))
			return err_set(e, ERR_CRIT, "field %.64s is critical and not understood here",
				json_string_value(name));
	return 0;
}

static int check_statement(const json_t *s, struct err *e)
{
	if (shape_check(s, msg_statement_shape, e))
		return -1;
	if (strcmp(jtext(s, "_type"), STATEMENT_TYPE) != 0)
		return err_field(e, "_type", "must be " STATEMENT_TYPE);
	if (strcmp(jtext(s, "predicateType"), PREDICATE_TYPE) != 0)
		return err_field(e, "predicateType", "must be " PREDICATE_TYPE);
	return 0;
}

static int check_header(const struct msg *m, struct err *e)
{
	if (msg_table[m->type].header == MSG_NUMBERED && !json_object_get(m->body, "seq"))
		return err_field(e, "seq", "is missing");
	if (msg_table[m->type].header == MSG_EPOCH && !json_object_get(m->body, "epoch"))
		return err_field(e, "epoch", "is missing");
	return 0;
}

/* Everything that can be said of a payload without asking who sent it. */
static int check_shape(struct msg *m, struct err *e)
{
	bool statement = m->statement != NULL;

	if (shape_check(m->body, msg_header_shape, e) ||
		find_type(&m->type, jtext(m->body, "type"), statement, e) || check_crit(m, e) ||
		check_header(m, e))
		return -1;
	return shape_check(m->body, msg_table[m->type].shape, e);
}

static void read_header(struct msg *m)
{
	const json_t *epoch = json_object_get(m->body, "epoch");

	id_parse(&m->grid, jtext(m->body, "grid"));
	id_parse(&m->author, jtext(m->body, "author"));
	m->time_ms = jint(m->body, "time", 0);
	m->seq = jint(m->body, "seq", 0);
	m->epoch.counter = jint(epoch, "counter", 0);
	snprintf(m->epoch.id, sizeof(m->epoch.id), "%s", jtext(epoch, "id"));
}

static int check_who(const struct msg *m, const struct id *grid, struct err *e)
{
	char theirs[ID_TEXT + 1];

	if (grid && !id_equal(grid, &m->grid)) {
		id_text(theirs, &m->grid);
		return err_set(e, ERR_GRID, "the message is of grid %s, not of this one", theirs);
	}
	if (!id_equal(&m->author, &m->sealed.keyid))
		return err_field(e, "author", "is not the key that signed");
	return seal_verify(&m->sealed, e);
}

static int open_payload(struct msg *m, struct err *e)
{
	json_t *j = shape_load(m->sealed.payload, m->sealed.n, e);

	if (!j)
		return -1;
	if (strcmp(m->sealed.type, SEAL_STATEMENT) != 0) {
		m->body = j;
		return 0;
	}
	m->statement = j;
	if (check_statement(j, e))
		return -1;
	m->body = json_incref(json_object_get(j, "predicate"));
	return 0;
}

/* `any`: of an unknown type only the header is looked at. */
static int open_line(struct msg *m, const char *line, size_t n, const struct id *grid, bool any, struct err *e)
{
	*m = (struct msg){ 0 };
	if (seal_open(&m->sealed, line, n, MSG_LINE_MAX, e) || open_payload(m, e))
		goto bad;
	bool unknown = any && !m->statement && !shape_check(m->body, msg_header_shape, e) &&
		find_type(&m->type, jtext(m->body, "type"), false, e);
	if (unknown)
		m->type = N_MSG_TYPES;
	else if (check_shape(m, e))
		goto bad;
	if (!unknown && n > msg_table[m->type].line_max) {
		err_set(e, ERR_TOO_BIG, "a %s of %zu bytes; at most %zu are taken", msg_table[m->type].name, n,
			msg_table[m->type].line_max);
		goto bad;
	}
	read_header(m);
	if (check_who(m, grid, e))
		goto bad;
	m->line = xmemdup(line, n);
	m->line_len = n;
	return 0;
bad:
	msg_release(m);
	return -1;
}

int msg_open(struct msg *m, const char *line, size_t n, const struct id *grid, struct err *e)
{
	return open_line(m, line, n, grid, false, e);
}

int msg_open_any(struct msg *m, const char *line, size_t n, const struct id *grid, struct err *e)
{
	return open_line(m, line, n, grid, true, e);
}

void msg_release(struct msg *m)
{
	json_decref(m->body);
	json_decref(m->statement);
	seal_release(&m->sealed);
	free(m->line);
	*m = (struct msg){ 0 };
}

json_t *msg_new(enum msg_type type, const struct id *grid, const struct id *author, int64_t now_ms)
{
	char grid_hex[ID_TEXT + 1], author_hex[ID_TEXT + 1];

	id_text(grid_hex, grid);
	id_text(author_hex, author);
	return json_pack("{s:i, s:s, s:s, s:s, s:I}", "v", 1, "type", msg_table[type].name, "grid", grid_hex,
		"author", author_hex, "time", (json_int_t)now_ms);
}

json_t *msg_new_request(enum msg_type type, const struct id *grid, const struct id *author,
	int64_t now_ms, int64_t seq)
{
	json_t *j = msg_new(type, grid, author, now_ms);

	json_object_set_new(j, "seq", json_integer(seq));
	return j;
}

json_t *msg_new_epoch(enum msg_type type, const struct id *grid, const struct id *author,
	int64_t now_ms, const struct epoch *epoch)
{
	json_t *j = msg_new(type, grid, author, now_ms);

	json_object_set_new(j, "epoch",
		json_pack("{s:I, s:s}", "counter", (json_int_t)epoch->counter, "id", epoch->id));
	return j;
}

int msg_seal(char **line, json_t *payload, json_t *subject, const struct key *k, struct err *e)
{
	struct msg m = { .body = payload };

	*line = NULL;
	if (subject)
		m.statement = json_pack("{s:s, s:o, s:s, s:O}", "_type", STATEMENT_TYPE, "subject", subject,
			"predicateType", PREDICATE_TYPE, "predicate", payload);
	int bad = check_shape(&m, e) || (m.statement && check_statement(m.statement, e));
	if (!bad) {
		auto_free char *text = shape_dump(m.statement ? m.statement : m.body);
		auto_free char *sealed =
			seal(k, m.statement ? SEAL_STATEMENT : SEAL_MESSAGE, text, strlen(text));
		bad = strlen(sealed) > msg_table[m.type].line_max
			? err_set(e, ERR_TOO_BIG, "a %s of %zu bytes; at most %zu may be sent",
				  msg_table[m.type].name, strlen(sealed), msg_table[m.type].line_max)
			: 0;
		if (!bad)
			*line = TAKE(sealed);
	}
	msg_release(&m);
	return bad ? -1 : 0;
}
