/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest_file.c: a manifest read from a file, and shown as one that makes the same.
 */
#include "jobs/manifest.h"

#include "common/buf.h"
#include "common/codec.h"

#include <stdlib.h>
#include <string.h>

#define FILE_MAX ((size_t)(2 * JOB_LIST_MAX)) /* a manifest file may hold its list as text */

/* Replace a blob that names local bytes by its descriptor. */
static int settle_blob(struct manifest *m, json_t *owner, struct err *e)
{
	json_t *blob = json_object_get(owner, "blob"), *settled;
	const char *path = jtext(blob, "path");
	const json_t *text = json_object_get(blob, "text");
	struct blob told, real;

	if (*path)
		settled = uploads_file(&m->uploads, path, e);
	else if (json_is_string(text))
		settled = uploads_text(&m->uploads,
			xmemdup(json_string_value(text), json_string_length(text)),
			json_string_length(text));
	else
		return 0;
	if (!settled)
		return -1;
	blob_from_json(&told, blob);
	blob_from_json(&real, settled);
	bool same = !json_object_get(blob, "digest") || digest_equal(&told.digest, &real.digest);
	if (!same)
		err_set(e, ERR_USAGE, "%s is not what the manifest was made with",
			*path ? path : "a text");
	json_object_set_new(owner, "blob", settled); /* `path` and `text` are gone now */
	return same ? 0 : -1;
}

static int settle_program(struct manifest *m, json_t *program, struct err *e)
{
	const char *path = jtext(json_object_get(program, "blob"), "path");
	char platform[40];

	if (*path) {
		if (manifest_look(path, platform, e))
			return -1;
		auto_json json_t *told = json_pack(
			"{s:s, s:s}", "platform", platform, "name", manifest_base_name(path));
		json_object_update_missing(program, told);
	}
	return settle_blob(m, program, e);
}

static int settle_uploads(struct manifest *m, struct err *e)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(m->fields, "programs"), i, item)
		if (settle_program(m, item, e))
			return -1;
	item = json_object_get(m->fields, "comparator");
	if (item && settle_program(m, item, e))
		return -1;
	json_array_foreach(json_object_get(m->fields, "files"), i, item)
		if (settle_blob(m, item, e))
			return -1;
	json_array_foreach(json_object_get(m->fields, "uploads"), i, item) {
		json_t *blob = uploads_file(
			&m->uploads, json_is_string(item) ? json_string_value(item) : "", e);
		if (!blob)
			return -1;
		json_decref(blob);
	}
	json_object_del(m->fields, "uploads");
	json_t *list = json_object_get(json_object_get(m->fields, "tasks"), "list");
	return manifest_image_settle(m, e) || (list && settle_blob(m, list, e)) ? -1 : 0;
}

static void add_defaults(json_t *j)
{
	int64_t quorum = 2;
	auto_json json_t *d = json_object();
	const char *assurance = jtext(j, "assurance"), *checkpoint = jtext(j, "checkpoint");

	if (!strncmp(assurance, "quorum:", 7))
		int_parse(&quorum, assurance + 7, 1, JOB_QUORUM_MAX);
	bool local = json_array_size(json_object_get(j, "local")) > 0;
	bool files = local || (*checkpoint && strcmp(checkpoint, "none") != 0) ||
	             json_array_size(json_object_get(j, "files")) ||
	             json_array_size(json_object_get(j, "outputs")) ||
	             json_array_size(json_object_get(j, "bits"));
	if (local && !*assurance)
		quorum = 1;
	manifest_set_plain(d, &manifest_defaults, quorum,
		json_object_get(j, "image") ? "image"
		: files                     ? "files"
					    : "compute");
	json_object_set_new(d, "name", json_string(""));
	json_object_set_new(d, "args", json_array());
	json_object_set_new(d, "compare", json_string("exact"));
	json_object_set_new(d, "files", json_array());
	json_object_set_new(d, "tasks", json_pack("{s:{s:i}}", "range", "count", 1));
	json_object_update_missing(j, d);
	if (json_is_object(json_object_get(j, "limits")))
		json_object_update_missing(
			json_object_get(j, "limits"), json_object_get(d, "limits"));
}

int manifest_load(struct manifest *m, const char *path, struct err *e)
{
	static const char *const header[] = { "v", "type", "grid", "author", "time", "crit", "seq",
		"epoch", "nonce" };
	auto_free char *text = NULL;
	size_t n;

	*m = (struct manifest){ 0 };
	if (file_read(&text, &n, path, FILE_MAX, e)) {
		e->code = ERR_USAGE;
		return err_wrap(e, "manifest");
	}
	m->fields = shape_load(text, n, e);
	if (!m->fields) {
		e->code = ERR_USAGE;
		return err_wrap(e, "%s is no manifest (a program goes behind `--`)", path);
	}
	for (size_t i = 0; i < ARRAY_LEN(header); i++)
		json_object_del(m->fields, header[i]);
	if (!settle_uploads(m, e)) {
		add_defaults(m->fields);
		return 0;
	}
	manifest_release(m);
	return err_wrap(e, "%s", path);
}

/* --- shown as such a file ---------------------------------------------------------------------- */
/* Say in a blob where its bytes are here. */
static void show_blob(const struct manifest *m, json_t *owner)
{
	json_t *blob = json_object_get(owner, "blob");
	const struct upload *u;
	struct blob b;

	blob_from_json(&b, blob);
	u = manifest_upload(m, &b.digest);
	if (u && u->path)
		json_object_set_new(blob, "path", json_string(u->path));
	else if (u)
		json_object_set_new(blob, "text", json_stringn(u->text, (size_t)u->blob.size));
}

/* Not a file that stays: the image's is named instead. */
static bool is_layer(const struct manifest *m, const char *path)
{
	return m->parts.dir && !strncmp(path, m->parts.dir, strlen(m->parts.dir));
}

json_t *manifest_show(const struct manifest *m, struct err *e)
{
	for (size_t k = 0; k < m->uploads.n; k++)
		if (m->uploads.at[k].path &&
			manifest_check_text("--dry-run", m->uploads.at[k].path, e))
			return NULL;
	json_t *j = json_deep_copy(m->fields), *uploads = json_array(), *item;
	json_t *list = json_object_get(json_object_get(j, "tasks"), "list");
	size_t i;

	json_array_foreach(json_object_get(j, "programs"), i, item)
		show_blob(m, item);
	json_array_foreach(json_object_get(j, "files"), i, item)
		show_blob(m, item);
	if (m->image)
		json_object_set_new(json_object_get(j, "image"), "path", json_string(m->image));
	if (list)
		show_blob(m, list);
	item = json_object_get(j, "comparator");
	if (item)
		show_blob(m, item);
	for (i = 0; list && i < m->uploads.n; i++) /* what a list's lines name, among others */
		if (m->uploads.at[i].path && !is_layer(m, m->uploads.at[i].path))
			json_array_append_new(uploads, json_string(m->uploads.at[i].path));
	json_object_set_new(j, "uploads", uploads);
	return j;
}
