/* SPDX-License-Identifier: Apache-2.0
 *
 * line.c: one result as one line. Written by hand, not dumped: times need a fixed number of places, and
 * jansson prints 1.31 as 1.3100000000000001.
 */
#include "jobs/line.h"

#include "common/buf.h"

#include <stdlib.h>
#include <string.h>

static void add_json(struct buf *b, const char *key, const json_t *j)
{
	if (!j)
		return;
	auto_free char *text = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);

	buf_printf(b, ",\"%s\":%s", key, text ? text : "null");
}

static void add_text(struct buf *b, const char *key, const char *text)
{
	auto_json json_t *j = json_string(text);

	add_json(b, key, j);
}

/* Milliseconds as seconds with three places, whatever the locale. */
static void add_seconds(struct buf *b, const char *key, int64_t ms)
{
	buf_printf(b, ",\"%s\":%lld.%03lld", key, (long long)(ms / 1000), (long long)(ms % 1000));
}

static void add_outputs(struct buf *b, const struct result *r)
{
	auto_json json_t *files = json_object();
	char text[DIGEST_TEXT + 1];

	for (size_t i = 0; i < r->n_outputs; i++) {
		digest_text(text, &r->outputs[i].digest);
		if (!strcmp(r->outputs[i].name, "stdout"))
			add_text(b, "stdout", text);
		else if (!strncmp(r->outputs[i].name, "files/", 6))
			json_object_set_new(files, r->outputs[i].name + 6, json_string(text));
	}
	add_json(b, "files", files);
}

static void add_workers(struct buf *b, const struct line *l)
{
	char hex[ID_TEXT + 1];

	buf_text(b, ",\"workers\":[");
	for (size_t i = 0; i < l->n_workers; i++) {
		id_text(hex, &l->workers[i]);
		buf_printf(b, "%s\"%s\"", i ? "," : "", hex);
	}
	buf_text(b, "]");
}

/* Datasets of the worker's own, that nobody else could look at. */
static void add_local(struct buf *b, const struct job *job)
{
	auto_json json_t *names = json_array();

	for (size_t i = 0; i < job->n_local; i++)
		json_array_append_new(names, json_string(job->local[i]));
	if (job->n_local)
		add_json(b, "local", names);
}

char *line_write(const struct line *l)
{
	const struct result *r = l->result;
	struct buf b = { 0 };

	buf_printf(&b, "{\"index\":%lld", (long long)l->index);
	add_text(&b, "state", l->state);
	if (r)
		buf_printf(&b, ",\"exit\":%lld", (long long)r->exit);
	if (r && r->signal)
		buf_printf(&b, ",\"signal\":%lld", (long long)r->signal);
	if (r)
		add_outputs(&b, r);
	add_workers(&b, l);
	add_text(&b, "assurance", l->assurance);
	add_local(&b, l->job);
	if (r) {
		add_seconds(&b, "cpu_s", r->cpu_ms);
		add_seconds(&b, "wall_s", r->wall_ms);
	}
	add_json(&b, "name", l->name);
	add_json(&b, "line", l->line);
	add_json(&b, "params", l->params);
	add_json(&b, "of", l->of);
	if (*l->why)
		add_text(&b, "why", l->why);
	buf_text(&b, "}");
	return buf_take(&b);
}
