/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest.c: a manifest from options, and its signing.
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
int manifest_check_text(const char *what, const char *text, struct err *e)
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

		if (manifest_check_text("--outputs", glob, e))
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
		if (manifest_check_text(what, program->at[i], e) || task_set_check_arg(t, program->at[i], e))
			return -1;
	}
	json_object_set_new(m->fields, "args", texts_json(program->at + 1, program->n - 1));
	return 0;
}

void manifest_set_plain(json_t *j, const struct manifest_options *o, int64_t quorum, const char *profile)
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
		manifest_check_text("--name", o->name, e) || (o->bits && set_bits(m, o->bits, e)))
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
		manifest_set_plain(m->fields, o, quorum, profile);
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

const struct upload *manifest_upload(const struct manifest *m, const struct digest *d)
{
	for (size_t i = 0; i < m->uploads.n; i++)
		if (digest_equal(&m->uploads.at[i].blob.digest, d))
			return &m->uploads.at[i];
	return NULL;
}

const char *manifest_path(const struct manifest *m, const struct digest *d)
{
	const struct upload *u = manifest_upload(m, d);

	return u ? u->path : NULL;
}
