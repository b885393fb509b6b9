/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest.c: a manifest from options or from a file, and its signing.
 */
#include "jobs/manifest.h"
#include "jobs/job_words.h"
#include "jobs/manifest_compare.h"
#include "jobs/ref.h"

#include "common/buf.h"
#include "common/clock.h"
#include "common/codec.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX ((size_t)(2 * JOB_LIST_MAX)) /* a manifest file may hold its list as text */

const struct manifest_options manifest_defaults = {
	.platform_class = "any",
	.deterministic = "on",
	.checkpoint = "none",
	.name = "",
	.cpu_s = JOB_CPU_S,
	.wall_s = JOB_WALL_S,
	.memory_mib = JOB_MEMORY_MIB,
	.disk_mib = JOB_DISK_MIB,
	.output_mib = JOB_OUTPUT_MIB,
	.processes = JOB_PROCESSES,
	.threads = JOB_THREADS,
};

static int not_yet(struct err *e, const char *what, const char *comes)
{
	return err_set(e, ERR_USAGE, "%s: not there yet: %s", what, comes);
}

/* JSON has no text that is not UTF-8, and jansson answers NULL for it: tell before it is lost. */
static int check_text(const char *what, const char *text, struct err *e)
{
	auto_json json_t *j = json_string(text);

	return j ? 0 : err_set(e, ERR_USAGE, "%s: \"%.100s\" is not UTF-8 text", what, text);
}

/* --- from options ---------------------------------------------------------------------------- */
static int check_later(const struct manifest_options *o, struct err *e)
{
	static const char *const classes[] = { "audit", "trusted", "checker" };

	for (size_t i = 0; o->assurance && i < ARRAY_LEN(classes); i++)
		if (!strncmp(o->assurance, classes[i], strlen(classes[i])))
			return not_yet(e, "--assurance", "cheaper classes come with a later version; "
							 "quorum:N is there");
	return 0;
}

static int read_quorum(int64_t *quorum, const struct manifest_options *o, struct err *e)
{
	*quorum = o->quorum ? o->quorum : o->local.n ? 1 : 2; /* nobody can check what nobody else has */
	if (!o->assurance)
		return 0;
	if (o->quorum)
		return err_set(e, ERR_USAGE, "--quorum and --assurance: say one of them");
	if (strncmp(o->assurance, "quorum:", 7) != 0 ||
		!int_parse(quorum, o->assurance + 7, 1, JOB_QUORUM_MAX))
		return err_set(e, ERR_USAGE, "--assurance: \"%.60s\" is not quorum:N, N from 1 to %d",
			o->assurance, JOB_QUORUM_MAX);
	return 0;
}

/* `files` wherever files are asked for, unless that contradicts what was said. */
static const char *read_profile(const struct manifest_options *o, struct err *e)
{
	bool checkpoints = strcmp(o->checkpoint, "none") != 0;
	bool files = o->files.n || o->outputs.n || o->local.n || checkpoints || o->bits;

	if (files && o->profile && !strcmp(o->profile, "compute")) {
		err_set(e, ERR_USAGE, "--profile compute has no files at all and no bits: leave out %s, or say --profile files",
			o->files.n ? "--file" : o->outputs.n ? "--outputs" : o->local.n ? "--local" : checkpoints ? "--checkpoint" : "--bits");
		return NULL;
	}
	return o->image ? "image" : o->profile ? o->profile : files ? "files" : "compute";
}

/* One --file, as the manifest has it: a file of ours, or an output of another job. */
static json_t *file_json(struct uploads *up, const char *name, const char *path, const struct job_finder *f,
	struct err *e)
{
	struct job_ref r;
	int is = f ? ref_parse(&r, path, e) : 0;
	json_t *bytes = is < 0 ? NULL : is ? ref_from(&r, f, e) : uploads_file(up, path, e);

	return bytes ? json_pack("{s:s, s:o}", "name", name, is ? "from" : "blob", bytes) : NULL;
}

static json_t *read_files(struct uploads *up, const struct manifest_options *o, struct err *e)
{
	const struct texts *files = &o->files;
	json_t *all = json_array();

	for (size_t i = 0; i < files->n; i++) {
		const char *equals = strchr(files->at[i], '=');
		auto_free char *name = xmemdup(files->at[i], equals ? (size_t)(equals - files->at[i]) : 0);
		json_t *file = NULL;

		if (!*name || !equals[1])
			err_set(e, ERR_USAGE, "\"%.100s\" is not NAME=PATH", files->at[i]);
		else if (!job_plain_name(name))
			err_set(e, ERR_USAGE, "\"%.100s\" is no good name: use A-Z a-z 0-9 . _ -, no dot in front",
				name);
		else
			file = file_json(up, name, equals + 1, o->tasks.finder, e);
		if (!file) {
			err_wrap(e, "--file");
			json_decref(all);
			return NULL;
		}
		json_array_append_new(all, file);
	}
	return all;
}

/* Each once, in the order in which they were given. */
static int set_bits(struct manifest *m, const char *text, struct err *e)
{
	auto_free char *copy = xstrdup(text);
	auto_json json_t *all = json_array();
	char *rest = copy, *word;
	unsigned left;

	if (words_parse(&left, "bits", text, job_bit_words, e))
		return -1;
	while ((word = strsep(&rest, ","))) {
		unsigned bit = 1u << word_place(job_bit_words, word);

		if (left & bit)
			json_array_append_new(all, json_string(word));
		left &= ~bit;
	}
	json_object_set(m->fields, "bits", all);
	return 0;
}

static json_t *texts_json(const char *const *at, size_t n)
{
	json_t *all = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(all, json_string(at[i]));
	return all;
}

/* What is refused here could never match a file of a task. */
static int check_outputs(const struct texts *globs, struct err *e)
{
	for (size_t i = 0; i < globs->n; i++) {
		const char *glob = globs->at[i];

		if (check_text("--outputs", glob, e))
			return -1;
		if (!*glob || *glob == '/' || !strncmp(glob, "../", 3) || strstr(glob, "/../"))
			return err_set(e, ERR_USAGE, "--outputs: \"%.100s\" is no pattern of paths below /out", glob);
	}
	return 0;
}

static int set_args(struct manifest *m, const struct task_set *t, const struct texts *program, struct err *e)
{
	for (size_t i = 1; i < program->n; i++) {
		char what[40];

		snprintf(what, sizeof(what), "argument %zu", i);
		if (check_text(what, program->at[i], e) || task_set_check_arg(t, program->at[i], e))
			return -1;
	}
	json_object_set_new(m->fields, "args", texts_json(program->at + 1, program->n - 1));
	return 0;
}

static void set_plain(json_t *j, const struct manifest_options *o, int64_t quorum, const char *profile)
{
	json_object_set_new(j, "profile", json_string(profile));
	json_object_set_new(j, "outputs", texts_json(o->outputs.at, o->outputs.n));
	json_object_set_new(j, "limits",
		json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "cpu_s", (json_int_t)o->cpu_s, "wall_s",
			(json_int_t)o->wall_s, "memory_mib", (json_int_t)o->memory_mib, "disk_mib",
			(json_int_t)o->disk_mib, "max_output_mib", (json_int_t)o->output_mib, "processes",
			(json_int_t)o->processes));
	json_object_set_new(j, "threads", json_integer(o->threads));
	json_object_set_new(j, "deterministic", json_boolean(!strcmp(o->deterministic, "on")));
	json_object_set_new(j, "platform_class", json_string(o->platform_class));
	json_object_set_new(j, "priority", json_integer(o->priority));
	json_object_set_new(j, "assurance", json_sprintf("quorum:%lld", (long long)quorum));
	json_object_set_new(j, "max_results", json_integer(o->max_results ? o->max_results : quorum + 4));
	if (strcmp(o->checkpoint, "none") != 0)
		json_object_set_new(j, "checkpoint", json_string(o->checkpoint));
	if (o->max_failures)
		json_object_set_new(j, "max_failures", json_integer(o->max_failures));
}

static int set_program(struct manifest *m, const char *path, bool image, struct err *e)
{
	json_t *first = image ? manifest_image_program(path, e) : manifest_program(&m->uploads, path, e);

	if (!first)
		return -1;
	json_object_set_new(m->fields, "programs", json_pack("[o]", first));
	return 0;
}

static int set_after(json_t *fields, const struct manifest_options *o, struct err *e)
{
	json_t *all = json_array();
	char id[DIGEST_HEX + 1];

	for (size_t i = 0; i < o->after.n; i++) {
		if (o->tasks.finder->find(o->tasks.finder->arg, o->after.at[i], id, NULL, e)) {
			json_decref(all);
			return err_wrap(e, "--after");
		}
		json_array_append_new(all, json_string(id));
	}
	if (o->after.n)
		json_object_set(fields, "after", all);
	json_decref(all);
	return 0;
}

static int set_local(json_t *fields, const struct texts *local, struct err *e)
{
	for (size_t i = 0; i < local->n; i++)
		if (!job_plain_name(local->at[i]))
			return err_set(e, ERR_USAGE, "--local: \"%.100s\" is no good name: use A-Z a-z 0-9 . _ -, no dot in front",
				local->at[i]);
	if (local->n)
		json_object_set_new(fields, "local", texts_json(local->at, local->n));
	return 0;
}

static int fill(struct manifest *m, const struct manifest_options *o, const struct texts *program,
	struct err *e)
{
	struct task_set t;
	int64_t quorum;

	if (check_later(o, e) || read_quorum(&quorum, o, e) || check_outputs(&o->outputs, e) ||
		check_text("--name", o->name, e) || (o->bits && set_bits(m, o->bits, e)))
		return -1;
	if (o->max_results && o->max_results < quorum)
		return err_set(e, ERR_USAGE, "--max-results: %lld is less than the quorum of %lld",
			(long long)o->max_results, (long long)quorum);
	const char *profile = read_profile(o, e);
	json_object_set_new(m->fields, "name", json_string(o->name));
	if (!profile || set_program(m, program->at[0], o->image != NULL, e))
		return -1;
	json_t *files = read_files(&m->uploads, o, e);
	if (!files)
		return -1;
	json_object_set_new(m->fields, "files", files);
	if (set_after(m->fields, o, e) || set_local(m->fields, &o->local, e) ||
		task_set_make(&t, &m->uploads, &o->tasks, e))
		return -1;
	json_object_set(m->fields, "tasks", t.tasks);
	int bad = set_args(m, &t, program, e);
	task_set_release(&t);
	bad = bad || manifest_compare(m, &o->compare, e);
	if (!bad)
		set_plain(m->fields, o, quorum, profile);
	return bad;
}

int manifest_make(struct manifest *m, const struct manifest_options *o, const struct texts *program,
	struct err *e)
{
	struct texts command = *program;
	int bad;

	*m = (struct manifest){ .fields = json_object() };
	bad = manifest_image_options(o, e);
	if (!bad && o->image)
		bad = manifest_image(m, o, e) || manifest_image_command(&command, m, o, program, e);
	bad = bad || fill(m, o, &command, e);
	if (command.at != program->at)
		free(command.at);
	if (!bad)
		return 0;
	manifest_release(m);
	return -1;
}

/* --- from a file ----------------------------------------------------------------------------- */
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
		err_set(e, ERR_USAGE, "%s is not what the manifest was made with", *path ? path : "a text");
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
		auto_json json_t *told = json_pack("{s:s, s:s}", "platform", platform, "name",
			manifest_base_name(path));
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
		json_t *blob = uploads_file(&m->uploads, json_is_string(item) ? json_string_value(item) : "", e);
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
	bool files = local || (*checkpoint && strcmp(checkpoint, "none") != 0) || json_array_size(json_object_get(j, "files")) ||
		json_array_size(json_object_get(j, "outputs")) || json_array_size(json_object_get(j, "bits"));
	if (local && !*assurance)
		quorum = 1;
	set_plain(d, &manifest_defaults, quorum, json_object_get(j, "image") ? "image" : files ? "files" : "compute");
	json_object_set_new(d, "name", json_string(""));
	json_object_set_new(d, "args", json_array());
	json_object_set_new(d, "compare", json_string("exact"));
	json_object_set_new(d, "files", json_array());
	json_object_set_new(d, "tasks", json_pack("{s:{s:i}}", "range", "count", 1));
	json_object_update_missing(j, d);
	if (json_is_object(json_object_get(j, "limits")))
		json_object_update_missing(json_object_get(j, "limits"), json_object_get(d, "limits"));
}

int manifest_load(struct manifest *m, const char *path, struct err *e)
{
	static const char *const header[] = { "v", "type", "grid", "author", "time", "crit", "seq", "epoch",
		"nonce" };
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

void manifest_release(struct manifest *m)
{
	json_decref(m->fields);
	image_release(&m->parts);
	free(m->image);
	uploads_release(&m->uploads);
	*m = (struct manifest){ 0 };
}

/* --- out ------------------------------------------------------------------------------------- */
int manifest_seal(const struct manifest *m, char **line, const struct id *grid, const struct key *k,
	int64_t now_ms, struct err *e)
{
	json_t *j = msg_new(MSG_JOB, grid, key_id(k), now_ms);
	unsigned char nonce[16];
	char hex[33];

	random_bytes(nonce, sizeof(nonce));
	hex_encode(hex, nonce, sizeof(nonce));
	json_object_set_new(j, "nonce", json_string(hex));
	json_object_update(j, m->fields);
	if (json_object_get(j, "retry_of")) /* its list means something else to who does not know it */
		json_object_set_new(j, "crit", json_pack("[s]", "retry_of"));
	return msg_seal(line, j, NULL, k, e);
}

int manifest_check(const struct manifest *m, struct job *job, struct err *e)
{
	struct key *k = key_new();
	char *line = NULL;
	struct msg msg;
	int bad = manifest_seal(m, &line, key_id(k), k, clock_now_ms(), e);

	if (!bad)
		bad = msg_open(&msg, line, strlen(line), NULL, e);
	if (!bad) {
		bad = job_read(job, &msg, e);
		msg_release(&msg);
	}
	if (bad)
		e->code = ERR_USAGE; /* all of it came from the person */
	free(line);
	key_free(k);
	return bad ? -1 : 0;
}

static const struct upload *find_upload(const struct manifest *m, const struct digest *d)
{
	for (size_t i = 0; i < m->uploads.n; i++)
		if (digest_equal(&m->uploads.at[i].blob.digest, d))
			return &m->uploads.at[i];
	return NULL;
}

const char *manifest_path(const struct manifest *m, const struct digest *d)
{
	const struct upload *u = find_upload(m, d);

	return u ? u->path : NULL;
}

/* Say in a blob where its bytes are here. */
static void show_blob(const struct manifest *m, json_t *owner)
{
	json_t *blob = json_object_get(owner, "blob");
	const struct upload *u;
	struct blob b;

	blob_from_json(&b, blob);
	u = find_upload(m, &b.digest);
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
		if (m->uploads.at[k].path && check_text("--dry-run", m->uploads.at[k].path, e))
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
