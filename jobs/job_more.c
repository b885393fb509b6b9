/* SPDX-License-Identifier: Apache-2.0
 *
 * job_more.c: what a manifest may say beyond a static program and its tasks: an image, inputs that are another
 * job's outputs, data that the volunteer has, checkpoints, other comparisons than bit for bit, optional bits.
 *
 * All of it is read and bounded here.
 */
#include "jobs/job.h"
#include "jobs/job_words.h"
#include "common/buf.h"

#include <stdlib.h>
#include <string.h>

int job_later(struct err *e, const char *field, const char *what)
{
	err_set(e, ERR_REFUSED, "field %s: %s is not there yet", field, what);
	snprintf(e->field, sizeof(e->field), "%s", field);
	return -1;
}

char **job_texts(const json_t *list, size_t *n)
{
	json_t *j;
	size_t i;
	char **texts = xcalloc(json_array_size(list) + 1, sizeof(*texts));

	json_array_foreach(list, i, j)
		texts[i] = xstrdup(json_string_value(j));
	*n = json_array_size(list);
	return texts;
}

void job_free_texts(char **texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(texts[i]);
	free(texts);
}

int job_read_program(struct job_program *p, const json_t *j, const char *field, bool image, struct err *e)
{
	const json_t *blob = json_object_get(j, "blob");

	snprintf(p->platform, sizeof(p->platform), "%s", jtext(j, "platform"));
	snprintf(p->name, sizeof(p->name), "%s", jtext(j, "name"));
	snprintf(p->path, sizeof(p->path), "%s", jtext(j, "path"));
	if (!job_plain_name(p->name))
		return err_field(e, field, "its name must be [A-Za-z0-9._-], no dot first");
	if (!blob == !*p->path)
		return err_field(e, field, "must have one of blob and path");
	if (image != !blob)
		return err_field(e, field, image ? "with an image it is a path in it, no blob"
						 : "a path is of the profile image; here it is a blob");
	if (blob)
		blob_from_json(&p->blob, blob);
	return 0;
}

int job_read_source(struct job_source *s, const json_t *j, const char *field, struct err *e)
{
	digest_from_hex(&s->job, jtext(j, "job"));
	s->index = jint(j, "index", -1);
	snprintf(s->file, sizeof(s->file), "%s", jtext(j, "file"));
	if (!job_output_name(s->file))
		return err_field(e, field, "\"%.100s\" is neither stdout nor files/NAME", s->file);
	return 0;
}

/* --- the image ------------------------------------------------------------------------------------ */

static int check_env(const struct job_image *im, struct err *e)
{
	for (size_t i = 0; i < im->n_env; i++) {
		const char *equals = strchr(im->env[i], '=');

		if (!equals || equals == im->env[i])
			return err_field(e, "image.env", "\"%.100s\" is not NAME=VALUE", im->env[i]);
	}
	return 0;
}

static int read_image(struct job *job, const json_t *m, struct err *e)
{
	const json_t *image = json_object_get(m, "image"), *layers = json_object_get(image, "layers");
	struct job_image *im = &job->image;
	json_t *j;
	size_t i;

	if ((job->profile == PROFILE_IMAGE) != (image != NULL))
		return err_field(e, "image", image ? "is of the profile image alone" : "is missing: the profile image needs one");
	if (!image)
		return 0;
	im->layers = xcalloc(json_array_size(layers), sizeof(*im->layers));
	json_array_foreach(layers, i, j)
		blob_from_json(&im->layers[im->n_layers++], j);
	im->env = job_texts(json_object_get(image, "env"), &im->n_env);
	snprintf(im->workdir, sizeof(im->workdir), "%s", jtext(image, "workdir"));
	if (im->workdir[0] != '/')
		return err_field(e, "image.workdir", "must begin with a slash");
	return check_env(im, e);
}

struct digest job_image_key(const struct job_image *im)
{
	auto_buf struct buf b = { 0 };

	for (size_t i = 0; i < im->n_layers; i++)
		buf_add(&b, im->layers[i].digest.b, DIGEST_BYTES);
	return digest_of(b.data, b.len);
}

/* --- other jobs, other places --------------------------------------------------------------------- */

static int read_after(struct job *job, const json_t *m, struct err *e)
{
	json_t *j;
	size_t i;

	(void)e;
	json_array_foreach(json_object_get(m, "after"), i, j)
		digest_from_hex(&job->after[job->n_after++], json_string_value(j));
	return 0;
}

static int check_local(const struct job *job, size_t i, struct err *e)
{
	const char *name = job->local[i];

	if (!job_plain_name(name))
		return err_field(e, "local", "[%zu] must be [A-Za-z0-9._-], no dot first", i);
	for (size_t k = 0; k < i; k++)
		if (!strcmp(job->local[k], name))
			return err_field(e, "local", "%s is there twice", name);
	for (size_t k = 0; k < job->n_files; k++)
		if (!strcmp(job->files[k].name, name))
			return err_field(e, "local", "%s is among the files too", name);
	return 0;
}

/* Nobody else has the data, so nobody can check. */
static int read_local(struct job *job, const json_t *m, struct err *e)
{
	json_t *j;
	size_t i;

	json_array_foreach(json_object_get(m, "local"), i, j) {
		snprintf(job->local[job->n_local++], sizeof(job->local[0]), "%s", json_string_value(j));
		if (check_local(job, i, e))
			return -1;
	}
	if (job->n_local && job->profile == PROFILE_COMPUTE)
		return err_field(e, "local", "the profile compute has no files; use files or image");
	if (job->n_local && job->quorum != 1)
		return err_field(e, "assurance", "must be quorum:1: nobody else has the local data");
	return 0;
}

static int read_checkpoint(struct job *job, const json_t *m, struct err *e)
{
	const char *word = jtext(m, "checkpoint");

	job->checkpoint = !strcmp(word, "travels") ? CHECKPOINT_TRAVELS
		: !strcmp(word, "local")           ? CHECKPOINT_LOCAL
						   : CHECKPOINT_NONE;
	if (job->checkpoint && job->profile == PROFILE_COMPUTE)
		return err_field(e, "checkpoint", "the profile compute has no files; use files or image");
	if (job->checkpoint == CHECKPOINT_TRAVELS && job->n_local)
		return err_field(e, "checkpoint", "travels: what one worker made of its local data is not for another's; use local");
	for (size_t i = 0; job->checkpoint && i < job->n_files; i++)
		if (!strcmp(job->files[i].name, "checkpoint"))
			return err_field(e, "files", "/in/checkpoint is the checkpoint's; call it otherwise");
	for (size_t i = 0; job->checkpoint && i < job->n_local; i++)
		if (!strcmp(job->local[i], "checkpoint"))
			return err_field(e, "local", "/in/checkpoint is the checkpoint's; call it otherwise");
	return 0;
}

/* --- agreement ------------------------------------------------------------------------------------ */

static int read_class(struct job *job, const json_t *m, struct err *e)
{
	const char *word = jtext(m, "platform_class");

	job->same_class = !strcmp(word, "same");
	if (!job->same_class && strcmp(word, "any") != 0)
		return err_field(e, "platform_class", "must be any or same");
	return 0;
}

/* --- optional bits -------------------------------------------------------------------------------- */

static int read_bits(struct job *job, const json_t *m, struct err *e)
{
	json_t *j;
	size_t i;

	json_array_foreach(json_object_get(m, "bits"), i, j) {
		const char *word = json_string_value(j);

		if (word_place(job_bit_words, word) < 0)
			return err_field(e, "bits", "\"%.20s\" is neither jit nor proc", word);
	}
	job->bits = words_read(job_bit_words, json_object_get(m, "bits"));
	if (job->bits && job->profile == PROFILE_COMPUTE)
		return err_field(e, "bits", "the profile compute has none; use files or image");
	return 0;
}

int job_read_more(struct job *job, const json_t *m, struct err *e)
{
	return read_image(job, m, e) || read_after(job, m, e) || read_local(job, m, e) ||
			read_checkpoint(job, m, e) || job_read_compare(job, m, e) || read_class(job, m, e) ||
			read_bits(job, m, e)
		? -1
		: 0;
}

void job_release_more(struct job *job)
{
	free(job->image.layers);
	job_free_texts(job->image.env, job->image.n_env);
	free(job->compare_by);
}
