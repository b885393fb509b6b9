/* SPDX-License-Identifier: Apache-2.0
 *
 * table_out.c: columns learnt from the rows, then the rows.
 *
 * Cells are text that others made. Control characters other than tab and line ends would steer a terminal, so text
 * with such is given as JSON (quoted, escaped), and standard output with such as its digest.
 */
#include "jobs/table_out.h"

#include "common/digest.h"
#include "common/shape.h"

#include <string.h>
#include <strings.h>

void table_out_init(struct table_out *t, bool exact)
{
	*t = (struct table_out){ .exact = exact,
		.spread = true,
		.inputs = json_object(),
		.members = json_object(),
		.taken = json_object() };
}

void table_out_release(struct table_out *t)
{
	json_decref(t->inputs);
	json_decref(t->members);
	json_decref(t->taken);
	*t = (struct table_out){ 0 };
}

/* --- what is text ---------------------------------------------------------------------------- */
/* Whether a control character other than tab, CR and LF is in it: C0, or C1 as UTF-8 writes it. */
static bool has_controls(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i],
			      next = i + 1 < n ? (unsigned char)s[i + 1] : 0;

		if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || (c == 0xc2 && next < 0xa0))
			return true;
	}
	return false;
}

static bool is_text(const char *s, size_t n)
{
	if (n > TABLE_TEXT_MAX || has_controls(s, n))
		return false;
	json_t *j = json_stringn(s, n); /* NULL: not UTF-8 */
	json_decref(j);
	return j != NULL;
}

/* Whether brackets are open within at most `left` others. */
static bool shallow(json_t *j, int left)
{
	const char *name;
	json_t *inner;
	size_t i;

	if (json_is_object(j) || json_is_array(j)) {
		if (left-- == 0)
			return false;
		json_object_foreach(j, name, inner)
			if (!shallow(inner, left))
				return false;
		json_array_foreach(j, i, inner)
			if (!shallow(inner, left))
				return false;
	}
	return true;
}

json_t *table_object(const char *text, size_t n)
{
	json_t *j = n > TABLE_TEXT_MAX ? NULL : json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(j) && shallow(j, TABLE_DEPTH_MAX)) /* the parser itself stops at 2048 */
		return j;
	json_decref(j);
	return NULL;
}

static size_t digits(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n && s[i] >= '0' && s[i] <= '9')
		i++;
	return i;
}

bool table_is_number(const char *s, size_t n)
{
	size_t sign = n && (*s == '-' || *s == '+'), whole, places = 0;

	s += sign, n -= sign;
	if (n == 3 && (!strncasecmp(s, "inf", 3) || !strncasecmp(s, "nan", 3)))
		return true;
	whole = digits(s, n);
	s += whole, n -= whole;
	if (n && *s == '.') {
		places = digits(s + 1, n - 1);
		s += 1 + places, n -= 1 + places;
	}
	if (whole + places == 0)
		return false;
	if (n && (*s == 'e' || *s == 'E')) {
		sign = n > 1 && (s[1] == '-' || s[1] == '+');
		s += 1 + sign, n -= 1 + sign;
		whole = digits(s, n);
		return whole > 0 && whole == n;
	}
	return n == 0;
}

/* --- cells ----------------------------------------------------------------------------------- */
static bool is_formula(const char *s, size_t n)
{
	return n && strchr("=+-@\t\r", *s) && !table_is_number(s, n);
}

static void add_quoted(struct buf *out, const char *s, size_t n)
{
	buf_text(out, "\"");
	for (const char *quote; (quote = n ? memchr(s, '"', n) : NULL);
		n -= (size_t)(quote + 1 - s), s = quote + 1) {
		buf_add(out, s, (size_t)(quote + 1 - s));
		buf_text(out, "\"");
	}
	buf_add(out, s, n);
	buf_text(out, "\"");
}

static bool needs_quotes(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strchr(",\"\r\n", s[i]))
			return true;
	return n && (*s == ' ' || s[n - 1] == ' '); /* some readers trim what is bare */
}

/* Text without NUL. */
static void add_text(const struct table_out *t, struct buf *out, const char *s, size_t n)
{
	auto_free char *marked = !t->exact && is_formula(s, n) ? xprintf("'%.*s", (int)n, s) : NULL;

	if (marked)
		s = marked, n++;
	if (needs_quotes(s, n))
		add_quoted(out, s, n);
	else
		buf_add(out, s, n);
}

/* JSON as text that reads back as the same: with as few digits of its reals as that takes. */
static char *compact(const json_t *j)
{
	size_t flags = JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII;

	for (size_t precision = 15; precision < 17; precision++) {
		char *text = json_dumps(j, flags | JSON_REAL_PRECISION(precision));
		json_t *back = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
		bool same = back && json_equal(back, j);

		json_decref(back);
		if (same)
			return text;
		base_free(&text);
	}
	return json_dumps(j, flags | JSON_REAL_PRECISION(17));
}

/* Strings as they are, null as nothing, all else as JSON writes it. */
static void add_value(const struct table_out *t, struct buf *out, const json_t *j)
{
	const char *s = json_string_value(j);
	size_t n = json_string_length(j);

	if (!j || json_is_null(j))
		return;
	if (s && !has_controls(s, n)) {
		add_text(t, out, s, n);
		return;
	}
	auto_free char *text = compact(j);
	if (text)
		add_text(t, out, text, strlen(text));
}

/* --- the first walk -------------------------------------------------------------------------- */
static void no_spread(struct table_out *t)
{
	t->spread = false;
	json_object_clear(t->members);
}

/* Note the names of `from` in `columns`. False: too many, or too long. */
static bool learn(json_t *columns, const json_t *from)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)from, name, value) {
		if (json_object_get(columns, name))
			continue;
		if (json_object_size(columns) == TABLE_COLUMNS_MAX || strlen(name) > TABLE_NAME_MAX)
			return false;
		json_object_set_new(columns, name, json_string(name));
	}
	return true;
}

static void look_at_text(struct table_out *t, const struct table_row *row)
{
	json_t *object = t->spread ? table_object(row->text, row->n) : NULL;

	t->has_digest |= !is_text(row->text, row->n);
	if (!object) {
		no_spread(t);
	} else if (!learn(t->members, object)) {
		t->crowded = "standard output has more, or longer, names than a table takes";
		no_spread(t);
	}
	json_decref(object);
}

int table_out_look(struct table_out *t, const struct table_row *row, struct err *e)
{
	t->has_of |= row->of != NULL;
	t->has_local |= row->local != NULL;
	t->has_name |= row->name != NULL;
	t->has_line |= row->line != NULL;
	if (row->text) {
		look_at_text(t, row);
	} else if (row->digest) {
		t->has_digest = true;
		no_spread(t);
	}
	if (!learn(t->inputs, row->params))
		return err_set(e, ERR_TOO_BIG,
			"task %lld: the tasks have more than %d parameters together, or one with a "
			"name of more than %d bytes: "
			"too many for a table; take --format ndjson",
			(long long)row->index, TABLE_COLUMNS_MAX, TABLE_NAME_MAX);
	return 0;
}

/* --- the second walk ------------------------------------------------------------------------- */
static bool spreads(const struct table_out *t)
{
	return t->spread && json_object_size(t->members);
}

/* A name that no column has yet: NAME, else prefixNAME, and so on. Yours. */
static char *claim(struct table_out *t, const char *name, const char *prefix)
{
	char *mine = xstrdup(name);

	while (json_object_get(t->taken, mine)) {
		char *longer = xprintf("%s%s", prefix, mine);

		base_free(&mine);
		mine = longer;
	}
	json_object_set_new(t->taken, mine, json_true());
	return mine;
}

static void add_name(const struct table_out *t, struct buf *out, const char *name)
{
	auto_json json_t *j = json_string(name);

	buf_text(out, ",");
	add_value(t, out, j);
}

static void add_head(struct table_out *t, struct buf *out, const char *name, const char *prefix)
{
	auto_free char *mine = claim(t, name, prefix);

	add_name(t, out, mine);
}

static void add_heads(struct table_out *t, struct buf *out, json_t *columns, const char *prefix)
{
	const char *name;
	json_t *value;

	json_object_foreach(columns, name, value)
		add_head(t, out, name, prefix);
}

void table_out_head(struct table_out *t, struct buf *out)
{
	static const char *const always[] = { "index", "state", "why" };

	for (size_t i = 0; i < ARRAY_LEN(always); i++)
		json_object_set_new(t->taken, always[i], json_true());
	buf_text(out, "index,state");
	if (t->has_of)
		add_head(t, out, "of", "in.");
	if (t->has_local)
		add_head(t, out, "local", "in.");
	if (t->has_name)
		add_head(t, out, "name", "in.");
	if (t->has_line)
		add_head(t, out, "line", "in.");
	add_heads(t, out, t->inputs, "in.");
	if (spreads(t))
		add_heads(t, out, t->members, "out.");
	else
		add_head(t, out, "stdout", "out.");
	if (!spreads(t) && t->has_digest)
		add_head(t, out, "stdout_digest", "out.");
	buf_text(out, ",why\r\n");
}

static void add_cells(
	const struct table_out *t, struct buf *out, json_t *columns, const json_t *values)
{
	const char *name;
	json_t *value;

	json_object_foreach(columns, name, value) {
		buf_text(out, ",");
		add_value(t, out, json_object_get(values, name));
	}
}

static void add_stdout(const struct table_out *t, const struct table_row *row, struct buf *out)
{
	bool shown = row->text && is_text(row->text, row->n);
	size_t n = row->n;
	char digest[DIGEST_TEXT + 1] = "";

	buf_text(out, ",");
	if (shown) {
		n -= n && row->text[n - 1] == '\n';
		n -= n && n < row->n && row->text[n - 1] == '\r';
		add_text(t, out, row->text, n);
	} else if (row->text) {
		struct digest d = digest_of(row->text, row->n);
		digest_text(digest, &d);
	}
	if (t->has_digest)
		buf_printf(out, ",%s", row->digest ? row->digest : digest);
}

static void add_own(const struct table_out *t, struct buf *out, bool has, const json_t *value)
{
	if (!has)
		return;
	buf_text(out, ",");
	add_value(t, out, value);
}

void table_out_row(const struct table_out *t, const struct table_row *row, struct buf *out)
{
	buf_printf(out, "%lld,%s", (long long)row->index, row->state);
	add_own(t, out, t->has_of, row->of);
	add_own(t, out, t->has_local, row->local);
	add_own(t, out, t->has_name, row->name);
	add_own(t, out, t->has_line, row->line);
	add_cells(t, out, t->inputs, row->params);
	if (spreads(t)) {
		json_t *object = row->text ? table_object(row->text, row->n) : NULL;

		add_cells(t, out, t->members, object);
		json_decref(object);
	} else {
		add_stdout(t, row, out);
	}
	buf_text(out, ",");
	add_text(t, out, row->why, strlen(row->why));
	buf_text(out, "\r\n");
}
