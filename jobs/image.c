/* SPDX-License-Identifier: Apache-2.0
 *
 * image.c: see image.h.
 *
 *	CACHE/split-XXXXXX/   while an image is submitted: stream, errors, root/ (what is in the stream)
 *	CACHE/images/KEY      trees; KEY.XXXXXX while one is made
 */
#include "jobs/image.h"

#include "jobs/tool.h"

#include "common/buf.h"
#include "common/clock.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONFIG_MAX ((size_t)(1 * MIB)) /* of image.json */
#define STREAM_MIB 65536
#define OLD_S (24 * 60 * 60) /* what a killed submit left */

/* --- talkoot-image, in a box and outside ---------------------------------------------------------------------- */

/* It ran to its end with exit 0, or e says why not. */
static int judge(int status, const char *errors, const char *what, struct err *e)
{
	auto_free char *said = file_last_said(errors, "talkoot-image");

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
		return err_set(e, ERR_PROGRAM, "%s: %s", what, *said ? said : "it is no image");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(e, ERR_NOT_FOUND,
			"%s: talkoot-image is neither beside this program nor in PATH", what);
	return err_set(e, ERR_SYSTEM, "%s: reading it in the box ended with exit %d, signal %d: %s",
		what, WIFEXITED(status) ? WEXITSTATUS(status) : 0,
		WIFSIGNALED(status) ? WTERMSIG(status) : 0, said);
}

/* Run it; what it says goes to DIR/errors. */
static int run(struct tool *t, const char *in, const char *out, const char *dir, const char *what, struct err *e)
{
	auto_free char *errors = xprintf("%s/errors", dir);
	int status, bad = tool_run(t, in, out, errors, &status, e) || judge(status, errors, what, e);

	tool_release(t);
	return bad ? -1 : 0;
}

static void begin_box(struct tool *t)
{
	tool_word(t, tool_path("talkoot-sandbox"));
	tool_option(t, "--profile", xstrdup("files"));
	tool_number(t, "--max-output", STREAM_MIB);
	tool_number(t, "--processes", 1);
	tool_option(t, "--priority", xstrdup("normal"));
}

static void in_box(struct tool *t, const char *verb)
{
	tool_word(t, xstrdup("--"));
	tool_word(t, tool_path("talkoot-image"));
	tool_word(t, xstrdup(verb));
}

/* DIR/stream, which goes, becomes the folder DIR/root. */
static int plant(const char *dir, const char *what, struct err *e)
{
	auto_free char *stream = xprintf("%s/stream", dir);
	struct tool t = { .n = 0 };

	tool_word(&t, tool_path("talkoot-image"));
	tool_word(&t, xstrdup("plant"));
	tool_word(&t, xprintf("%s/root", dir));
	int bad = run(&t, stream, "/dev/null", dir, what, e);
	unlink(stream); /* as large as the image */
	return bad;
}

int image_take_apart(const char *file, const char *dir, const char *what, struct err *e)
{
	auto_free char *stream = xprintf("%s/stream", dir);
	struct tool t = { .n = 0 };

	begin_box(&t);
	tool_option(&t, "--stdin", xstrdup(file));
	in_box(&t, "split");
	return run(&t, NULL, stream, dir, what, e) || plant(dir, what, e) ? -1 : 0;
}

int image_flatten(char *const *layers, size_t n, const char *dir, const char *what, struct err *e)
{
	auto_free char *stream = xprintf("%s/stream", dir);
	struct tool t = { .n = 0 };

	begin_box(&t);
	for (size_t i = 0; i < n; i++)
		tool_option(&t, "--in", xprintf("layer-%zu=%s", i, layers[i]));
	in_box(&t, "flatten");
	for (size_t i = 0; i < n; i++)
		tool_word(&t, xprintf("/in/layer-%zu", i));
	return run(&t, "/dev/null", stream, dir, what, e) || plant(dir, what, e) ? -1 : 0;
}

/* --- taking apart ----------------------------------------------------------------------------------------------- */

/* What was left by who was killed. */
static void sweep(const char *cache)
{
	DIR *d = opendir(cache);
	struct dirent *entry;
	struct stat st;
	struct err e;

	while (d && (entry = readdir(d))) {
		auto_free char *path = xprintf("%s/%s", cache, entry->d_name);

		if (!strncmp(entry->d_name, "split-", 6) && !lstat(path, &st) &&
			st.st_mtime < clock_now_ms() / 1000 - OLD_S)
			remove_tree(path, &e);
	}
	if (d)
		closedir(d);
}

/* A folder is made a tar of it first. The path of the file to read; yours. */
static char *as_file(const char *path, const char *dir, struct err *e)
{
	auto_free char *tar = xprintf("%s/tar", dir), *errors = xprintf("%s/errors", dir);
	struct tool t = { .n = 0 };
	struct stat st;
	int status;

	if (stat(path, &st)) {
		err_sys(e, "image %s", path);
		e->code = ERR_USAGE;
		return NULL;
	}
	if (S_ISREG(st.st_mode))
		return xstrdup(path);
	if (!S_ISDIR(st.st_mode)) { /* it is read more than once, and a pipe may have no writer */
		err_set(e, ERR_USAGE, "image %s is neither a file nor a folder", path);
		return NULL;
	}
	tool_word(&t, xstrdup("tar"));
	tool_option(&t, "-C", xstrdup(path));
	tool_word(&t, xstrdup("-cf"));
	tool_word(&t, xstrdup(tar));
	tool_word(&t, xstrdup("."));
	int bad = tool_run(&t, "/dev/null", "/dev/null", errors, &status, e);
	tool_release(&t);
	auto_free char *said = file_last_said(errors, "tar");
	if (!bad && status)
		bad = err_set(e, ERR_USAGE, "image %s: tar: %s", path, said);
	return bad ? NULL : TAKE(tar);
}

static const struct shape config_shape[] = {
	{ .name = "entrypoint",
		.kind = SHAPE_ARRAY,
		.optional = true,
		.max = JOB_ARGS_MAX,
		.each = SHAPE_TEXT,
		.each_max = 4096 },
	{ .name = "cmd",
		.kind = SHAPE_ARRAY,
		.optional = true,
		.max = JOB_ARGS_MAX,
		.each = SHAPE_TEXT,
		.each_max = 4096 },
	{ .name = "env",
		.kind = SHAPE_ARRAY,
		.optional = true,
		.max = JOB_ENV_MAX,
		.each = SHAPE_TEXT,
		.each_max = 4096 },
	{ .name = "workdir", .kind = SHAPE_TEXT, .optional = true, .max = 1024 },
	{ .name = "architecture", .kind = SHAPE_TEXT, .optional = true, .max = 40 },
	{ .name = "os", .kind = SHAPE_TEXT, .optional = true, .max = 40 },
	{ .name = "layers", .kind = SHAPE_INT, .min = 1, .max = JOB_LAYERS_MAX },
	{ .name = NULL },
};

/* The machine, as images name it. */
static bool runs_here(const char *architecture)
{
	static const struct {
		const char *image, *platform;
	} names[] = { { "amd64", "x86_64-linux" }, { "arm64", "aarch64-linux" } };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(names[i].image, architecture))
			return !strcmp(names[i].platform, platform_here());
	return !*architecture;
}

static int check_config(struct image_parts *p, const char *path, struct err *e)
{
	if (shape_check(p->config, config_shape, e))
		return err_wrap(e, "image %s", path);
	const char *os = jtext(p->config, "os"), *architecture = jtext(p->config, "architecture");
	if (!runs_here(architecture) || (*os && strcmp(os, "linux") != 0))
		return err_set(e, ERR_USAGE,
			"image %s is for %s/%s, but this machine and its grid run %s", path, os,
			architecture, platform_here());
	if (jtext(p->config, "workdir")[0] != '/') /* none, or of whoever starts it */
		json_object_set_new(
			p->config, "workdir", json_sprintf("/%s", jtext(p->config, "workdir")));
	p->n_layers = (size_t)jint(p->config, "layers", 0);
	return 0;
}

static int read_config(struct image_parts *p, const char *path, struct err *e)
{
	auto_free char *file = xprintf("%s/root/image.json", p->dir), *text = NULL;
	size_t n;

	if (file_read(&text, &n, file, CONFIG_MAX, e))
		return err_wrap(e, "image %s", path);
	p->config = shape_load(text, n, e);
	return p->config ? check_config(p, path, e) : err_wrap(e, "image %s", path);
}

static int take_apart(struct image_parts *p, const char *path, struct err *e)
{
	auto_free char *file = as_file(path, p->dir, e), *what = xprintf("image %s", path);

	if (!file || image_take_apart(file, p->dir, what, e))
		return -1;
	if (strcmp(file, path) != 0)
		unlink(file);
	return read_config(p, path, e);
}

int image_split(struct image_parts *p, const char *path, struct err *e)
{
	auto_free char *cache = tool_cache("", e);

	*p = (struct image_parts){ 0 };
	if (!cache)
		return -1;
	sweep(cache);
	p->dir = xprintf("%s/split-XXXXXX", cache);
	if (!mkdtemp(p->dir)) {
		err_sys(e, "making %s", p->dir);
		free(TAKE(p->dir));
		return -1;
	}
	if (!take_apart(p, path, e))
		return 0;
	if (e->code != ERR_NOT_FOUND && e->code != ERR_SYSTEM)
		e->code = ERR_USAGE;
	image_release(p);
	return -1;
}

char *image_layer(const struct image_parts *p, size_t i)
{
	return xprintf("%s/root/layer-%zu", p->dir, i);
}

void image_release(struct image_parts *p)
{
	struct err ignored;

	if (p->dir)
		remove_tree(p->dir, &ignored);
	free(p->dir);
	json_decref(p->config);
	*p = (struct image_parts){ 0 };
}

/* --- a tree ------------------------------------------------------------------------------------------------------- */

/* DIR/root is what the image's layers make. */
static int flatten(const struct job_image *im, image_find *find, void *arg, const char *dir, struct err *e)
{
	char *layers[JOB_LAYERS_MAX] = { NULL };
	int bad = 0;

	for (size_t i = 0; i < im->n_layers && !bad; i++)
		bad = !(layers[i] = find(arg, &im->layers[i], e));
	bad = bad || image_flatten(layers, im->n_layers, dir, "the image", e);
	for (size_t i = 0; i < im->n_layers; i++)
		free(layers[i]);
	return bad ? -1 : 0;
}

static int make_tree(const struct job_image *im, image_find *find, void *arg, const char *dir, const char *tree,
	struct err *e)
{
	auto_free char *made = xprintf("%s/root", dir);

	if (flatten(im, find, arg, dir, e))
		return -1;
	/* who came first made the same */
	if (chmod(made, 0755) || (rename(made, tree) && errno != ENOTEMPTY && errno != EEXIST))
		return err_sys(e, "keeping %s", tree);
	return 0;
}

char *image_tree(const struct job_image *im, image_find *find, void *arg, struct err *e)
{
	auto_free char *cache = tool_cache("images", e);
	struct digest key = job_image_key(im);
	char hex[DIGEST_HEX + 1];
	struct err ignored;

	if (!cache)
		return NULL;
	digest_hex(hex, &key);
	auto_free char *tree = xprintf("%s/%s", cache, hex), *dir = xprintf("%s.XXXXXX", tree);
	if (!access(tree, F_OK))
		return TAKE(tree);
	if (!mkdtemp(dir)) {
		err_sys(e, "making %s", dir);
		return NULL;
	}
	int bad = make_tree(im, find, arg, dir, tree, e);
	remove_tree(dir, &ignored);
	return bad ? NULL : TAKE(tree);
}
