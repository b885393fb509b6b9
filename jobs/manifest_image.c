/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest_image.c: what `--image` makes of a manifest: the layers to upload, the environment, where it starts, and what
 * it runs.
 *
 * In a manifest file `image` may say `"path"` (an image file) instead of, or beside, its layers.
 */
#include "jobs/manifest.h"

#include <stdlib.h>
#include <string.h>

/* --- what it runs ------------------------------------------------------------------------------------------------- */

static void add_words(struct texts *t, const json_t *words)
{
	json_t *word;
	size_t i;

	json_array_foreach(words, i, word) {
		t->at = xrealloc(t->at, t->n + 1, sizeof(*t->at));
		t->at[t->n++] = json_string_value(word);
	}
}

int manifest_image_command(struct texts *command, const struct manifest *m,
	const struct manifest_options *o, const struct texts *said, struct err *e)
{
	*command = (struct texts){ 0 };
	if (said->n) {
		command->at = xcalloc(said->n, sizeof(*command->at));
		memcpy(command->at, said->at, said->n * sizeof(*command->at));
		command->n = said->n;
		return 0;
	}
	add_words(command, json_object_get(m->parts.config, "entrypoint"));
	add_words(command, json_object_get(m->parts.config, "cmd"));
	if (command->n)
		return 0;
	return err_set(e, ERR_USAGE,
		"image %s does not say what it runs: say `-- PROGRAM [ARG…]`, PROGRAM a path in it",
		o->image);
}

/* Its name is for people only; what runs is the path. */
json_t *manifest_image_program(const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	struct job_program p;

	if (!*path || strlen(path) >= sizeof(p.path)) {
		err_set(e, ERR_USAGE, "program %.100s: a path of 1 to %zu bytes is needed", path,
			sizeof(p.path) - 1);
		return NULL;
	}
	return json_pack("{s:s, s:s, s:s}", "platform", platform_here(), "name",
		job_plain_name(name) ? name : "program", "path", path);
}

/* --- where ---------------------------------------------------------------------------------------------------------- */

static bool same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return !strncmp(a, b, n + 1);
}

/* Set it, in the place of what has its name. */
static void set_env(json_t *env, const char *text)
{
	json_t *at;
	size_t i;

	json_array_foreach(env, i, at)
		if (same_name(json_string_value(at), text)) {
			json_array_set_new(env, i, json_string(text));
			return;
		}
	json_array_append_new(env, json_string(text));
}

static int add_env(json_t *env, const struct texts *said, struct err *e)
{
	for (size_t i = 0; i < said->n; i++) {
		const char *text = said->at[i], *equals = strchr(text, '=');
		auto_json json_t *j = json_string(text);

		if (!j || !equals || equals == text)
			return err_set(e, ERR_USAGE, "--env: \"%.100s\" is not NAME=VALUE", text);
		set_env(env, text);
	}
	if (json_array_size(env) > JOB_ENV_MAX)
		return err_set(e, ERR_USAGE,
			"--env: with the image's own there are %zu, and at most %d may be",
			json_array_size(env), JOB_ENV_MAX);
	return 0;
}

/* --- the image ------------------------------------------------------------------------------------------------------- */

/* Take the file apart; the layers' descriptors. NULL with `e`. */
static json_t *take_layers(struct manifest *m, const char *path, struct err *e)
{
	json_t *layers;

	if (m->parts.dir || image_split(&m->parts, path, e))
		return NULL;
	m->image = xstrdup(path);
	layers = json_array();
	for (size_t i = 0; i < m->parts.n_layers; i++) {
		auto_free char *layer = image_layer(&m->parts, i);
		json_t *blob = uploads_file(&m->uploads, layer, e);

		if (!blob) {
			json_decref(layers);
			return NULL;
		}
		json_array_append_new(layers, blob);
	}
	return layers;
}

int manifest_image(struct manifest *m, const struct manifest_options *o, struct err *e)
{
	json_t *layers = take_layers(m, o->image, e), *image, *env;
	const char *workdir = o->workdir ? o->workdir : jtext(m->parts.config, "workdir");

	if (!layers)
		return -1;
	env = json_object_get(m->parts.config, "env");
	env = env ? json_deep_copy(env) : json_array();
	image = json_pack("{s:o, s:o, s:s}", "layers", layers, "env", env, "workdir", workdir);
	json_object_set_new(m->fields, "image", image);
	if (*workdir != '/')
		return err_set(
			e, ERR_USAGE, "--workdir: \"%.100s\" does not begin with a slash", workdir);
	return add_env(env, &o->env, e);
}

/* In a manifest file: its layers must be those that are stated, where any are. */
int manifest_image_settle(struct manifest *m, struct err *e)
{
	json_t *image = json_object_get(m->fields, "image"),
	       *told = json_object_get(image, "layers");
	auto_free char *path = xstrdup(jtext(image, "path"));

	json_object_del(image, "path");
	if (!*path)
		return 0;
	auto_json json_t *layers = take_layers(m, path, e);
	if (!layers)
		return -1;
	if (told && !json_equal(told, layers))
		return err_set(
			e, ERR_USAGE, "%s is not the image that the manifest was made with", path);
	json_object_set(image, "layers", layers);
	auto_json json_t *usual = json_pack(
		"{s:o, s:s}", "env", json_array(), "workdir", jtext(m->parts.config, "workdir"));
	if (json_object_get(m->parts.config, "env"))
		json_object_set(usual, "env", json_object_get(m->parts.config, "env"));
	json_object_update_missing(image, usual);
	return 0;
}

int manifest_image_options(const struct manifest_options *o, struct err *e)
{
	if (o->image && o->profile && strcmp(o->profile, "image") != 0)
		return err_set(e, ERR_USAGE,
			"--image has the profile image: leave out --profile %s", o->profile);
	if (o->image)
		return 0;
	if (o->profile && !strcmp(o->profile, "image"))
		return err_set(e, ERR_USAGE, "--profile image: which? say --image FILE");
	if (o->env.n || o->workdir)
		return err_set(e, ERR_USAGE, "--%s is for images: say --image FILE, too",
			o->env.n ? "env" : "workdir");
	return 0;
}
