/* SPDX-License-Identifier: Apache-2.0
 *
 * shape.c: strict JSON and the walk over a table of fields.
 *
 * jansson refuses duplicate keys (JSON_REJECT_DUPLICATES), invalid UTF-8 and NUL by itself, and
 * has a depth limit of its own (2048) which guards its stack; ours is checked before it.
 */
#include "common/shape.h"
#include "common/buf.h"
#include "common/digest.h"
#include "common/id.h"

#include <stdlib.h>
#include <string.h>

void shape_decref(json_t **j)
{
	json_decref(*j);
}

/* `e` is about `part`, a member or "[3]": put that before the field it names. Gives -1. */
static int within(struct err *e, const char *part)
{
	auto_free char *inner = xstrdup(e->field);

	snprintf(e->field, sizeof(e->field), "%s%s%s", part, *inner && *inner != '[' ? "." : "", inner);
	return -1;
}

/* 0 when `j` is strict: no reals, bounded integers; else e->field says where. Its depth is bounded already. */
static int strict(const json_t *j, struct err *e)
{
	char part[24];
	const char *key;
	json_t *member;
	size_t i;

	switch (json_typeof(j)) {
	case JSON_REAL:
		return err_set(e, ERR_MALFORMED, "JSON has a number that is no integer");
	case JSON_INTEGER:
		if (json_integer_value(j) > SHAPE_INT_MAX || json_integer_value(j) < -SHAPE_INT_MAX)
			return err_set(e, ERR_MALFORMED, "JSON has an integer beyond 2^53");
		return 0;
	case JSON_ARRAY:
		json_array_foreach(j, i, member)
			if (strict(member, e)) {
				snprintf(part, sizeof(part), "[%zu]", i);
				return within(e, part);
			}
		return 0;
	case JSON_OBJECT:
		/* jansson's macro wants it non-const and does not write */
		json_object_foreach((json_t *)(uintptr_t)j, key, member)
			if (strict(member, e))
				return within(e, key);
		return 0;
	default:
		return 0;
	}
}

/* jansson recurses as deep as its input nests; look first, so that no stack is at stake. */
static bool too_deep(const char *text, size_t n)
{
	int depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < n; i++) {
		if (quoted) {
			if (text[i] == '\\')
				i++;
			else if (text[i] == '"')
				quoted = false;
		} else if (text[i] == '"') {
			quoted = true;
		} else if (text[i] == '{' || text[i] == '[') {
			if (++depth > SHAPE_DEPTH_MAX)
				return true;
		} else if (text[i] == '}' || text[i] == ']') {
			depth--;
		}
	}
	return false;
}

json_t *shape_load(const char *text, size_t n, struct err *e)
{
	json_error_t why;

	if (too_deep(text, n)) {
		err_set(e, ERR_MALFORMED, "JSON nests deeper than %d levels", SHAPE_DEPTH_MAX);
		return NULL;
	}
	json_t *j = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
	if (!j) {
		err_set(e, ERR_MALFORMED, "not JSON: %s at byte %d", why.text, why.position);
		return NULL;
	}
	if (!json_is_object(j))
		err_set(e, ERR_MALFORMED, "the JSON is not an object");
	else if (!strict(j, e))
		return j;
	json_decref(j);
	return NULL;
}

char *shape_dump(const json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT);

	if (!text) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return text;
}

static int check_object(const json_t *o, const struct shape *shape, const char *path, struct err *e);

static int bad_length(const char *path, const char *what, int64_t n, int64_t min, int64_t max,
	struct err *e)
{
	return err_field(e, path, "%lld %s, but it must be %lld to %lld", (long long)n, what,
		(long long)min, (long long)max);
}

static int check_text(const json_t *j, enum shape_kind kind, int64_t min, int64_t max, const char *path,
	struct err *e)
{
	struct digest d;

	if (!json_is_string(j))
		return err_field(e, path, "must be a text");
	const char *s = json_string_value(j);
	int64_t n = (int64_t)json_string_length(j);
	struct id id;

	switch (kind) {
	case SHAPE_TEXT:
		return n < min || n > max ? bad_length(path, "bytes", n, min, max, e) : 0;
	case SHAPE_ID:
		return id_parse(&id, s) ? 0 : err_field(e, path, "must be 64 lowercase hex digits");
	case SHAPE_DIGEST:
		return digest_from_text(&d, s)
			? 0
			: err_field(e, path, "must be sha256: and 64 lowercase hex digits");
	default:
		return n == 32 && strspn(s, "0123456789abcdef") == 32 ? 0 : err_field(e, path, "must be 32 lowercase hex digits");
	}
}

static int check_value(const json_t *j, enum shape_kind kind, const struct shape *f, const char *path,
	int64_t min, int64_t max, struct err *e);

static int check_array(const json_t *j, const struct shape *f, const char *path, struct err *e)
{
	char at[sizeof(e->field)];
	json_t *member;
	size_t i;

	if (!json_is_array(j))
		return err_field(e, path, "must be a list");
	int64_t n = (int64_t)json_array_size(j);
	if (n < f->min || n > f->max)
		return bad_length(path, "members", n, f->min, f->max, e);
	json_array_foreach(j, i, member) {
		snprintf(at, sizeof(at), "%s[%zu]", path, i);
		if (f->of ? (json_is_object(member) ? check_object(member, f->of, at, e)
						    : err_field(e, at, "must be an object"))
			  : check_value(member, f->each, NULL, at, 0, f->each_max, e))
			return -1;
	}
	return 0;
}

/* "must be run, pause or finish" */
static int not_a_word(const char *words, const char *path, struct err *e)
{
	auto_buf struct buf b = { 0 };

	for (const char *at = words, *last = strrchr(words, '|'); *at; at++)
		if (*at == '|')
			buf_text(&b, at == last ? " or " : ", ");
		else
			buf_add(&b, at, 1);
	return err_field(e, path, "must be %s", b.data);
}

static int check_word(const json_t *j, const char *words, const char *path, struct err *e)
{
	if (!json_is_string(j))
		return err_field(e, path, "must be a text");
	return is_one_of(words, json_string_value(j)) ? 0 : not_a_word(words, path, e);
}

static int check_value(const json_t *j, enum shape_kind kind, const struct shape *f, const char *path,
	int64_t min, int64_t max, struct err *e)
{
	switch (kind) {
	case SHAPE_INT:
		if (!json_is_integer(j))
			return err_field(e, path, "must be an integer");
		if (json_integer_value(j) < min || json_integer_value(j) > max)
			return err_field(e, path, "is %lld, but it must be %lld to %lld",
				(long long)json_integer_value(j), (long long)min, (long long)max);
		return 0;
	case SHAPE_BOOL:
		return json_is_boolean(j) ? 0 : err_field(e, path, "must be true or false");
	case SHAPE_OBJECT:
		if (!json_is_object(j))
			return err_field(e, path, "must be an object");
		return f && f->of ? check_object(j, f->of, path, e) : 0;
	case SHAPE_ARRAY:
		return check_array(j, f, path, e);
	case SHAPE_WORD:
		return check_word(j, f->words, path, e);
	case SHAPE_ANY:
		return 0;
	default:
		return check_text(j, kind, min, max, path, e);
	}
}

static int check_object(const json_t *o, const struct shape *shape, const char *path, struct err *e)
{
	char at[sizeof(e->field)];

	for (const struct shape *f = shape; f->name; f++) {
		const json_t *j = json_object_get(o, f->name);

		snprintf(at, sizeof(at), "%s%s%s", path, *path ? "." : "", f->name);
		if (!j && f->optional)
			continue;
		if (!j)
			return err_field(e, at, "is missing");
		if (check_value(j, f->kind, f, at, f->min, f->max, e))
			return -1;
	}
	return 0;
}

int shape_check(const json_t *object, const struct shape *shape, struct err *e)
{
	return check_object(object, shape, "", e);
}

bool shape_knows(const struct shape *shape, const char *field)
{
	for (; shape->name; shape++)
		if (!strcmp(shape->name, field))
			return true;
	return false;
}

const char *jtext(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

int64_t jint(const json_t *o, const char *name, int64_t absent)
{
	const json_t *j = json_object_get(o, name);

	return json_is_integer(j) ? json_integer_value(j) : absent;
}

bool jbool(const json_t *o, const char *name, bool absent)
{
	const json_t *j = json_object_get(o, name);

	return json_is_boolean(j) ? json_is_true(j) : absent;
}
