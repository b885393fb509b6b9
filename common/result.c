/* SPDX-License-Identifier: Apache-2.0
 *
 * result.c: results in and out of a signed statement.
 */
#include "common/result.h"
#include "common/buf.h"
#include "common/codec.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
	const struct output *x = a, *y = b;

	return strcmp(x->name, y->name);
}

struct digest outcome_of(const struct result *r)
{
	auto_buf struct buf b = { 0 };
	char text[DIGEST_TEXT + 1];

	if (r->n_outputs)
		qsort(r->outputs, r->n_outputs, sizeof(*r->outputs), by_name);
	buf_printf(&b, "talkoot-outcome-v1\nexit %lld\nsignal %lld\n", (long long)r->exit,
		(long long)r->signal);
	for (size_t i = 0; i < r->n_outputs; i++) {
		digest_text(text, &r->outputs[i].digest);
		buf_printf(&b, "%s %s\n", r->outputs[i].name, text);
	}
	return digest_of(b.data, b.len);
}

bool result_votes(const struct result *r)
{
	return !strcmp(r->reason, "exited") || !strcmp(r->reason, "signaled");
}

void result_add_output(struct result *r, const char *name, const struct digest *d,
	const struct digest *root, int64_t size)
{
	r->outputs = xrealloc(r->outputs, r->n_outputs + 1, sizeof(*r->outputs));
	r->outputs[r->n_outputs++] =
		(struct output){ .name = xstrdup(name), .digest = *d, .root = *root, .size = size };
}

void results_release(struct results *r)
{
	for (size_t i = 0; i < r->n; i++) {
		for (size_t k = 0; k < r->items[i].n_outputs; k++)
			free(r->items[i].outputs[k].name);
		free(r->items[i].outputs);
	}
	free(r->items);
	*r = (struct results){ 0 };
}

/* --- what holds in and out ---------------------------------------------------------------------- */

/* "stdout" or "files/…", each part of it plain: what may become a file name at the submitter's. */
static bool output_name_ok(const char *name)
{
	int levels = 0;

	if (!strcmp(name, "stdout"))
		return true;
	if (strncmp(name, "files/", 6) != 0 || strlen(name) > RESULT_NAME_MAX)
		return false;
	for (const char *at = name + 6;;) {
		size_t n = strspn(at,
			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

		if (n < 1 || n > 100 || *at == '.' || ++levels > 4)
			return false;
		if (at[n] == '\0')
			return true;
		if (at[n] != '/')
			return false;
		at += n + 1;
	}
}

/* Whether one output's name stands as a folder in the name of another. */
static bool both_file_and_folder(const struct result *r)
{
	for (size_t i = 0; i < r->n_outputs; i++)
		for (size_t k = 0; k < r->n_outputs; k++) {
			size_t n = strlen(r->outputs[i].name);

			if (!strncmp(r->outputs[i].name, r->outputs[k].name, n) && r->outputs[k].name[n] == '/')
				return true;
		}
	return false;
}

/* The outputs of results[pos]: plain names, each once, stdout among them. */
static int check_outputs(const struct result *r, const char *field, struct err *e)
{
	bool has_stdout = false;

	if (r->n_outputs > RESULT_FILES_MAX + 1)
		return err_field(e, field, "more than %d files of one task", RESULT_FILES_MAX);
	for (size_t k = 0; k < r->n_outputs; k++) {
		if (!output_name_ok(r->outputs[k].name))
			return err_field(e, field, "output \"%s\" is not stdout or files/PATH of plain names",
				r->outputs[k].name);
		for (size_t i = 0; i < k; i++)
			if (!strcmp(r->outputs[i].name, r->outputs[k].name))
				return err_field(e, field, "output %s is there twice", r->outputs[k].name);
		has_stdout |= !strcmp(r->outputs[k].name, "stdout");
	}
	if (!has_stdout)
		return err_field(e, field, "has no subject %lld/stdout", (long long)r->index);
	if (both_file_and_folder(r))
		return err_field(e, field, "one name is both a file and a folder");
	return 0;
}

/* What must hold for results[pos] whether we read or write it. */
static int check_item(const struct results *r, size_t pos, struct err *e)
{
	const struct result *item = &r->items[pos];
	char field[48];

	snprintf(field, sizeof(field), "results[%zu].exit", pos);
	if (item->exit && item->signal)
		return err_field(e, field, "must be 0 when a signal ended it");
	snprintf(field, sizeof(field), "results[%zu]", pos);
	for (size_t k = 0; k < pos; k++)
		if (r->items[k].index == item->index || !strcmp(r->items[k].lease, item->lease))
			return err_field(e, field, "has the index or lease of another one here");
	return check_outputs(item, field, e);
}

static int check_outcome(const struct result *item, size_t pos, struct err *e)
{
	struct digest outcome = outcome_of(item);
	char field[48];

	if (digest_equal(&outcome, &item->outcome))
		return 0;
	snprintf(field, sizeof(field), "results[%zu]", pos);
	return err_field(e, field, "its outcome is not the digest of its exit, signal and outputs");
}

/* --- in --------------------------------------------------------------------------------------- */

static void read_item(struct result *r, const json_t *j)
{
	const json_t *err_output = json_object_get(j, "stderr");

	*r = (struct result){ .index = jint(j, "index", 0), .exit = jint(j, "exit", 0),
		.signal = jint(j, "signal", 0), .cpu_ms = jint(j, "cpu_ms", 0),
		.wall_ms = jint(j, "wall_ms", 0), .rss_kib = jint(j, "rss_kib", 0) };
	snprintf(r->lease, sizeof(r->lease), "%s", jtext(j, "lease"));
	snprintf(r->reason, sizeof(r->reason), "%s", jtext(j, "reason"));
	digest_from_text(&r->outcome, jtext(j, "outcome"));
	if (err_output) {
		r->has_stderr = true;
		digest_from_text(&r->stderr_digest, jtext(err_output, "digest"));
		r->stderr_size = jint(err_output, "size", 0);
	}
	r->has_inherited = digest_from_text(&r->inherited, jtext(j, "inherited"));
	r->has_inputs = digest_from_text(&r->inputs, jtext(j, "inputs"));
}

/* Give subject `j` ("INDEX/NAME") to its item. */
static int read_subject(struct results *out, const json_t *j, size_t pos, struct err *e)
{
	const json_t *notes = json_object_get(j, "annotations");
	const char *full = jtext(j, "name");
	const char *slash = strchr(full, '/');
	char field[40], index[24] = "";
	struct digest d, root;
	int64_t n;

	snprintf(field, sizeof(field), "subject[%zu].name", pos);
	if (slash && slash - full < (long)sizeof(index))
		memcpy(index, full, (size_t)(slash - full));
	if (!slash || !int_parse(&n, index, 0, INT32_MAX) || !output_name_ok(slash + 1))
		return err_field(e, field, "must be INDEX/stdout or INDEX/files/PATH of plain names");
	digest_from_hex(&d, jtext(json_object_get(j, "digest"), "sha256"));
	digest_from_hex(&root, jtext(notes, "pieces_root"));
	for (size_t i = 0; i < out->n; i++) {
		struct result *r = &out->items[i];

		if (r->index != n)
			continue;
		if (r->n_outputs > RESULT_FILES_MAX)
			return err_field(e, field, "more than %d files of one task", RESULT_FILES_MAX);
		result_add_output(r, slash + 1, &d, &root, jint(notes, "size", 0));
		return 0;
	}
	return err_field(e, field, "%s belongs to no result here", full);
}

int results_read(struct results *out, const struct msg *m, struct err *e)
{
	const json_t *items = json_object_get(m->body, "results");
	json_t *j;
	size_t i;

	if (m->type != MSG_RESULT)
		return err_field(e, "type", "is %s; a result is needed", msg_type_name(m->type));
	*out = (struct results){ .author = m->author, .n = json_array_size(items) };
	out->items = xcalloc(out->n, sizeof(*out->items));
	id_parse(&out->job, jtext(m->body, "job"));
	digest_from_text(&out->policy, jtext(m->body, "policy"));
	snprintf(out->platform, sizeof(out->platform), "%s", jtext(m->body, "platform"));
	snprintf(out->platform_class, sizeof(out->platform_class), "%s", jtext(m->body, "platform_class"));
	snprintf(out->agent, sizeof(out->agent), "%s", jtext(m->body, "agent"));
	json_array_foreach(items, i, j)
		read_item(&out->items[i], j);
	json_array_foreach(json_object_get(m->statement, "subject"), i, j)
		if (read_subject(out, j, i, e))
			goto bad;
	for (i = 0; i < out->n; i++)
		if (check_item(out, i, e) || check_outcome(&out->items[i], i, e))
			goto bad;
	return 0;
bad:
	results_release(out);
	return -1;
}

/* --- out -------------------------------------------------------------------------------------- */

static json_t *subject_of(const struct result *r, const struct output *o)
{
	auto_free char *name = xprintf("%lld/%s", (long long)r->index, o->name);
	char hex[DIGEST_HEX + 1], root[DIGEST_HEX + 1];

	digest_hex(hex, &o->digest);
	digest_hex(root, &o->root);
	return json_pack("{s:s, s:{s:s}, s:{s:I, s:s}}", "name", name, "digest", "sha256", hex,
		"annotations", "size", (json_int_t)o->size, "pieces_root", root);
}

static json_t *item_of(const struct result *r)
{
	char outcome[DIGEST_TEXT + 1], err_digest[DIGEST_TEXT + 1], inputs[DIGEST_TEXT + 1], inherited[DIGEST_TEXT + 1];

	digest_text(outcome, &r->outcome);
	json_t *j = json_pack("{s:I, s:s, s:s, s:I, s:I, s:s, s:I, s:I, s:I}", "index",
		(json_int_t)r->index, "lease", r->lease, "outcome", outcome, "exit", (json_int_t)r->exit,
		"signal", (json_int_t)r->signal, "reason", r->reason, "cpu_ms", (json_int_t)r->cpu_ms,
		"wall_ms", (json_int_t)r->wall_ms, "rss_kib", (json_int_t)r->rss_kib);
	if (r->has_stderr) {
		digest_text(err_digest, &r->stderr_digest);
		json_object_set_new(j, "stderr",
			json_pack("{s:s, s:I}", "digest", err_digest, "size", (json_int_t)r->stderr_size));
	}
	if (r->has_inherited) {
		digest_text(inherited, &r->inherited);
		json_object_set_new(j, "inherited", json_string(inherited));
	}
	if (r->has_inputs) {
		digest_text(inputs, &r->inputs);
		json_object_set_new(j, "inputs", json_string(inputs));
	}
	return j;
}

int results_seal(char **line, struct results *r, const struct id *grid, const struct key *k,
	int64_t now_ms, struct err *e)
{
	char job[ID_TEXT + 1], policy[DIGEST_TEXT + 1];

	*line = NULL;
	for (size_t i = 0; i < r->n; i++)
		if (check_item(r, i, e))
			return -1;
	json_t *predicate = msg_new(MSG_RESULT, grid, key_id(k), now_ms);
	json_t *subject = json_array(), *items = json_array();
	int bad = 0;

	id_text(job, &r->job);
	digest_text(policy, &r->policy);
	for (size_t i = 0; i < r->n; i++) {
		r->items[i].outcome = outcome_of(&r->items[i]);
		bad |= json_array_append_new(items, item_of(&r->items[i]));
		for (size_t o = 0; o < r->items[i].n_outputs; o++)
			bad |= json_array_append_new(subject, subject_of(&r->items[i], &r->items[i].outputs[o]));
	}
	json_object_set_new(predicate, "job", json_string(job));
	json_object_set_new(predicate, "policy", json_string(policy));
	json_object_set_new(predicate, "platform", json_string(r->platform));
	json_object_set_new(predicate, "platform_class", json_string(r->platform_class));
	json_object_set_new(predicate, "agent", json_string(r->agent));
	json_object_set_new(predicate, "results", items);
	if (!bad)
		return msg_seal(line, predicate, subject, k, e);
	json_decref(predicate);
	json_decref(subject);
	return err_field(e, "results", "a text in it is not UTF-8");
}
