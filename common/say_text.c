/* SPDX-License-Identifier: Apache-2.0
 *
 * say_text.c: an exchange of gossip, as JSON.
 *
 * Envelopes stand in it as objects. An envelope has one spelling, so writing the object out again gives the line that
 * was signed.
 */
#include "common/say.h"
#include "common/buf.h"
#include "common/codec.h"
#include "common/have.h"

#include <stdlib.h>
#include <string.h>

#define HASH_HEX 16
#define KNOWN_TEXT_MAX (SAY_KNOWN_MAX * MARK_BYTES / 3 * 4)
#define SAY_QUESTIONS_MAX 100000 /* that anybody may say it holds */

static const struct shape origin_shape[] = {
	{ .name = "id", .kind = SHAPE_ID },
	{ .name = "held", .kind = SHAPE_TEXT, .min = 1, .max = SAY_HELD_MAX },
	{ .name = NULL },
};
static const struct shape summary_shape[] = {
	{ .name = "serial", .kind = SHAPE_INT, .max = SHAPE_INT_MAX },
	{ .name = "origins", .kind = SHAPE_ARRAY, .max = NEWS_ORIGINS_MAX, .of = origin_shape },
	{ .name = NULL },
};
static const struct shape item_shape[] = {
	{ .name = "note", .kind = SHAPE_OBJECT },
	{ .name = "fact", .kind = SHAPE_OBJECT, .optional = true },
	{ .name = NULL },
};
static const struct shape have_shape[] = {
	{ .name = "digest", .kind = SHAPE_DIGEST },
	{ .name = "pieces", .kind = SHAPE_INT, .max = HAVE_PIECES_MAX },
	{ .name = "at", .kind = SHAPE_TEXT, .optional = true, .max = LINK_TEXT_MAX },
	{ .name = NULL },
};
static const struct shape say_shape[] = {
	{ .name = "grid", .kind = SHAPE_ID, .optional = true },
	{ .name = "node", .kind = SHAPE_ID, .optional = true },
	{ .name = "hash", .kind = SHAPE_TEXT, .min = HASH_HEX, .max = HASH_HEX },
	{ .name = "summary", .kind = SHAPE_OBJECT, .optional = true, .of = summary_shape },
	{ .name = "peers",
		.kind = SHAPE_ARRAY,
		.optional = true,
		.max = SAY_PEERS_MAX,
		.each = SHAPE_OBJECT },
	{ .name = "facts",
		.kind = SHAPE_ARRAY,
		.optional = true,
		.max = SAY_ITEMS_MAX,
		.of = item_shape },
	{ .name = "descriptor", .kind = SHAPE_OBJECT, .optional = true },
	{ .name = "wait_ms", .kind = SHAPE_INT, .optional = true, .max = SAY_WAIT_MAX_MS },
	{ .name = "want", .kind = SHAPE_INT, .optional = true, .max = SAY_PEERS_MAX },
	{ .name = "held", .kind = SHAPE_INT, .optional = true, .max = SAY_QUESTIONS_MAX },
	{ .name = "more", .kind = SHAPE_BOOL, .optional = true },
	{ .name = "known", .kind = SHAPE_TEXT, .optional = true, .max = KNOWN_TEXT_MAX },
	{ .name = "seek",
		.kind = SHAPE_ARRAY,
		.optional = true,
		.max = SAY_SEEK_MAX,
		.each = SHAPE_DIGEST },
	{ .name = "have",
		.kind = SHAPE_ARRAY,
		.optional = true,
		.max = SAY_HAVE_MAX,
		.of = have_shape },
	{ .name = "alone", .kind = SHAPE_BOOL, .optional = true },
	{ .name = "brief", .kind = SHAPE_BOOL, .optional = true },
	{ .name = NULL },
};

/* --- out ----------------------------------------------------------------------------------- */

static void write_id(struct buf *b, const char *name, const struct id *id)
{
	static const struct id nobody;
	char hex[ID_TEXT + 1];

	if (id_equal(id, &nobody))
		return;
	id_text(hex, id);
	buf_printf(b, "\"%s\":\"%s\",", name, hex);
}

static void write_summary(struct buf *b, const struct summary *s)
{
	buf_printf(b, ",\"summary\":{\"serial\":%lld,\"origins\":[", (long long)s->serial);
	for (size_t i = 0; i < s->n_origins; i++) {
		char hex[ID_TEXT + 1];

		id_text(hex, &s->origins[i].id);
		buf_printf(b, "%s{\"id\":\"%s\",\"held\":\"", i ? "," : "", hex);
		for (size_t k = 0; k < s->origins[i].n; k++) {
			const struct seq_range *r = &s->ranges[s->origins[i].first + k];

			buf_printf(b, "%s%lld", k ? "," : "", (long long)r->from);
			if (r->to > r->from)
				buf_printf(b, "-%lld", (long long)r->to);
		}
		buf_text(b, "\"}");
	}
	buf_text(b, "]}");
}

static void write_items(struct buf *b, const struct say *s)
{
	buf_text(b, ",\"facts\":[");
	for (size_t i = 0; i < s->n_items; i++) {
		buf_text(b, i ? ",{\"note\":" : "{\"note\":");
		buf_add(b, s->items[i].note.line, s->items[i].note.len);
		if (s->items[i].fact.line) {
			buf_text(b, ",\"fact\":");
			buf_add(b, s->items[i].fact.line, s->items[i].fact.len);
		}
		buf_text(b, "}");
	}
	buf_text(b, "]");
}

static void write_peers(struct buf *b, const struct say *s)
{
	buf_text(b, ",\"peers\":[");
	for (size_t i = 0; i < s->n_peers; i++) {
		buf_text(b, i ? "," : "");
		buf_add(b, s->peers[i].line, s->peers[i].len);
	}
	buf_text(b, "]");
}

static void write_known(struct buf *b, const struct say *s)
{
	auto_free char *text = base64_encode(s->known, s->n_known * MARK_BYTES);

	buf_printf(b, ",\"known\":\"%s\"", text);
}

static void write_seek(struct buf *b, const struct say *s)
{
	char text[DIGEST_TEXT + 1];

	buf_text(b, ",\"seek\":[");
	for (size_t i = 0; i < s->n_seek; i++) {
		digest_text(text, &s->seek[i]);
		buf_printf(b, "%s\"%s\"", i ? "," : "", text);
	}
	buf_text(b, "]");
}

static void write_have(struct buf *b, const struct say *s)
{
	char digest[DIGEST_TEXT + 1], at[LINK_TEXT_MAX + 1];

	buf_text(b, ",\"have\":[");
	for (size_t i = 0; i < s->n_have; i++) {
		digest_text(digest, &s->have[i].digest);
		buf_printf(b, "%s{\"digest\":\"%s\",\"pieces\":%lld", i ? "," : "", digest,
			(long long)s->have[i].pieces);
		if (!s->have[i].self) { /* a link has no character that JSON would escape */
			link_text(at, &s->have[i].at);
			buf_printf(b, ",\"at\":\"%s\"", at);
		}
		buf_text(b, "}");
	}
	buf_text(b, "]");
}

char *say_write(const struct say *s)
{
	auto_buf struct buf b = { 0 };

	buf_text(&b, "{");
	write_id(&b, "grid", &s->grid);
	write_id(&b, "node", &s->node);
	buf_printf(&b, "\"hash\":\"%016llx\"", (unsigned long long)s->hash);
	if (s->summary)
		write_summary(&b, s->summary);
	if (s->n_peers)
		write_peers(&b, s);
	if (s->n_items)
		write_items(&b, s);
	if (s->descriptor.line) {
		buf_text(&b, ",\"descriptor\":");
		buf_add(&b, s->descriptor.line, s->descriptor.len);
	}
	if (s->wait_ms)
		buf_printf(&b, ",\"wait_ms\":%lld", (long long)s->wait_ms);
	if (s->want)
		buf_printf(&b, ",\"want\":%d", s->want);
	if (s->held)
		buf_printf(&b, ",\"held\":%d", s->held);
	if (s->n_known)
		write_known(&b, s);
	if (s->n_seek)
		write_seek(&b, s);
	if (s->n_have)
		write_have(&b, s);
	if (s->alone)
		buf_text(&b, ",\"alone\":true");
	if (s->brief)
		buf_text(&b, ",\"brief\":true");
	buf_text(&b, s->more ? ",\"more\":true}" : "}");
	return buf_take(&b);
}

/* --- in ------------------------------------------------------------------------------------ */

bool ranges_read(struct seq_range *out, size_t max, size_t *n, const char *text)
{
	auto_free char *copy = xstrdup(text);
	char *rest = copy, *part;
	int64_t last = -1; /* a gap of one lies between ranges, so there is one spelling */

	*n = 0;
	while ((part = strsep(&rest, ","))) {
		char *dash = strchr(part, '-');
		struct seq_range r;

		if (dash)
			*dash = '\0';
		if (*n == max || !int_parse(&r.from, part, 1, SHAPE_INT_MAX) ||
			!int_parse(&r.to, dash ? dash + 1 : part, r.from, SHAPE_INT_MAX) ||
			(dash && r.to == r.from) || (*n && r.from <= last + 1))
			return false;
		last = r.to;
		out[(*n)++] = r;
	}
	return true;
}

static int read_summary(struct say *s, const json_t *j, struct err *e)
{
	json_t *origin;
	size_t i;

	s->summary = xcalloc(1, sizeof(*s->summary));
	s->summary->serial = jint(j, "serial", 0);
	json_array_foreach(json_object_get(j, "origins"), i, origin) {
		struct summary *sum = s->summary;
		size_t n;

		id_parse(&sum->origins[i].id, jtext(origin, "id"));
		if (i && id_compare(&sum->origins[i - 1].id, &sum->origins[i].id) >= 0)
			return err_field(e, "summary.origins",
				"must be in the order of their ids, each once");
		if (!ranges_read(&sum->ranges[sum->n_ranges], SUMMARY_RANGES_MAX - sum->n_ranges,
			    &n, jtext(origin, "held")))
			return err_field(e, "summary.origins.held",
				"must be ranges such as 3-9,12, ascending, at most %d in all",
				SUMMARY_RANGES_MAX);
		sum->origins[i].first = sum->n_ranges;
		sum->origins[i].n = n;
		sum->n_ranges += n;
		sum->n_origins++;
	}
	return 0;
}

static struct said line_of(const json_t *envelope)
{
	struct said s = { shape_dump(envelope), 0 };

	s.len = strlen(s.line);
	return s;
}

static void read_lines(struct say *s, const json_t *j)
{
	json_t *x;
	size_t i;

	json_array_foreach(json_object_get(j, "peers"), i, x)
		s->peers[s->n_peers++] = line_of(x);
	json_array_foreach(json_object_get(j, "facts"), i, x) {
		const json_t *fact = json_object_get(x, "fact");

		s->items[s->n_items].note = line_of(json_object_get(x, "note"));
		s->items[s->n_items].fact = fact ? line_of(fact) : (struct said){ NULL, 0 };
		s->n_items++;
	}
	x = json_object_get(j, "descriptor");
	if (x)
		s->descriptor = line_of(x);
}

/* Whole marks, in base64 of one spelling. */
static int read_known(struct say *s, const char *text, struct err *e)
{
	auto_free char *bytes = NULL;
	size_t n;

	if (!*text)
		return 0;
	if (!base64_decode(&bytes, &n, text, strlen(text)) || n % MARK_BYTES)
		return err_field(e, "known", "must be base64 of %d bytes a record", MARK_BYTES);
	for (size_t i = 0; i < n; i += MARK_BYTES) {
		struct mark m;

		memcpy(m.b, bytes + i, MARK_BYTES);
		say_add_known(s, &m);
	}
	return 0;
}

static int read_blobs(struct say *s, const json_t *j, struct err *e)
{
	struct said_have have;
	struct digest d;
	json_t *x;
	size_t i;

	json_array_foreach(json_object_get(j, "seek"), i, x) {
		digest_from_text(&d, json_string_value(x));
		say_add_seek(s, &d);
	}
	json_array_foreach(json_object_get(j, "have"), i, x) {
		have = (struct said_have){ .pieces = jint(x, "pieces", 0),
			.self = !json_object_get(x, "at") };
		digest_from_text(&have.digest, jtext(x, "digest"));
		if (!have.self && link_parse(&have.at, jtext(x, "at"), e))
			return err_wrap(e, "have.at");
		say_add_have(s, &have);
	}
	return 0;
}

static int read_head(struct say *s, const json_t *j, struct err *e)
{
	unsigned char hash[HASH_HEX / 2];

	if (!hex_decode(hash, sizeof(hash), jtext(j, "hash")))
		return err_field(e, "hash", "must be 16 lowercase hex digits");
	for (size_t i = 0; i < sizeof(hash); i++)
		s->hash = s->hash << 8 | hash[i];
	id_parse(&s->grid, jtext(j, "grid"));
	id_parse(&s->node, jtext(j, "node"));
	s->wait_ms = jint(j, "wait_ms", 0);
	s->want = (int)jint(j, "want", 0);
	s->held = (int)jint(j, "held", 0);
	s->more = jbool(j, "more", false);
	s->alone = jbool(j, "alone", false);
	s->brief = jbool(j, "brief", false);
	return 0;
}

int say_read(struct say *s, const char *text, size_t n, struct err *e)
{
	*s = (struct say){ 0 };
	if (n > SAY_BODY_MAX)
		return err_set(e, ERR_TOO_BIG, "gossip of %zu bytes; at most %zu are taken", n,
			SAY_BODY_MAX);
	auto_json json_t *j = shape_load(text, n, e);
	if (!j || shape_check(j, say_shape, e) || read_head(s, j, e))
		return -1;
	if (n > SAY_MAX && json_array_size(json_object_get(j, "facts")) > 1)
		return err_set(e, ERR_TOO_BIG,
			"gossip of %zu bytes; at most %zu with more than one fact", n, SAY_MAX);
	const json_t *sum = json_object_get(j, "summary");
	if ((sum && read_summary(s, sum, e)) || read_known(s, jtext(j, "known"), e) ||
		read_blobs(s, j, e)) {
		say_release(s);
		return -1;
	}
	read_lines(s, j);
	return 0;
}
