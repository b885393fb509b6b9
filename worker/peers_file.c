/* SPDX-License-Identifier: Apache-2.0
 *
 * peers_file.c: what is known of peers and news, over a restart.
 *
 * A line each: a record's envelope, or {"note":…,"fact":…}.
 */
#include "worker/peers_file.h"
#include "common/buf.h"

#include <string.h>

static void save_record(void *arg, const char *line, size_t n)
{
	buf_add(arg, line, n);
	buf_text(arg, "\n");
}

static void save_fact(void *arg, enum heard_kind kind, const struct digest *job,
	const struct news_item *item, bool official)
{
	struct buf *b = arg;

	(void)kind;
	(void)job;
	(void)official;
	buf_text(b, "{\"note\":");
	buf_add(b, item->note, item->note_len);
	buf_text(b, ",\"fact\":");
	buf_add(b, item->fact, item->fact_len);
	buf_text(b, "}\n");
}

int peers_save(struct peers *p, const char *path, struct err *e)
{
	auto_buf struct buf b = { 0 };

	peers_each_record(p, save_record, &b);
	news_each(peers_news(p), save_fact, &b);
	return file_write_atomic(path, b.data ? b.data : "", b.len, 0600, e);
}

/* Each line is checked as if a stranger had sent it: the file may be old or damaged. */
static void load_line(struct peers *p, const char *line, size_t n, int64_t now)
{
	struct err e;
	auto_json json_t *j = shape_load(line, n, &e);
	const json_t *note = json_object_get(j, "note"), *fact = json_object_get(j, "fact");

	if (!j)
		return;
	if (!note) {
		peers_take(p, line, n, now, &e);
		return;
	}
	if (!json_is_object(note) || !json_is_object(fact))
		return;
	auto_free char *a = shape_dump(note), *b = shape_dump(fact);
	struct news_item item = { a, b, strlen(a), strlen(b) };
	news_take(peers_news(p), &item, now, &e);
}

void peers_load(struct peers *p, const char *path, int64_t now)
{
	auto_free char *text = NULL;
	struct err e;
	size_t n;

	if (file_read(&text, &n, path, PEERS_FILE_MAX, &e))
		return;
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
		if (*line)
			load_line(p, line, strlen(line), now);
}
