/* SPDX-License-Identifier: Apache-2.0
 *
 * pack_try.c: see pack_try.h.
 *
 *	image ──split, in a box──> TMP/split/root: layer-0 layer-1 image.json
 *	layers ──flatten, in a box──> TMP/root ──the program, in a box──> TMP/stdout TMP/stderr
 */
#include "jobs/pack_try.h"

#include "common/buf.h"
#include "jobs/image.h"
#include "jobs/tool.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STDERR_SHOWN 2000
#define REPORT_MAX 65536
#define NOT_STARTED 125

static void words(struct tool *t, const char *const *texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		tool_word(t, xstrdup(texts[i]));
}

/* --- unpacking -------------------------------------------------------------------------------- */
static int unpack(const struct pack_try *t, struct err *e)
{
	auto_free char *split = xprintf("%s/split", t->tmp);
	char *layers[PACK_LAYERS];

	if (make_dirs(split, 0755, e) || image_take_apart(t->image, split, t->image, e))
		return -1;
	for (int i = 0; i < PACK_LAYERS; i++)
		layers[i] = xprintf("%s/root/layer-%d", split, i);
	int bad = image_flatten(layers, PACK_LAYERS, t->tmp, t->image, e);
	for (int i = 0; i < PACK_LAYERS; i++)
		free(layers[i]);
	return bad;
}

/* --- the program ------------------------------------------------------------------------------ */
/* Limits that no proof should meet; one thread, as submit has by default. */
static void box_around_program(const struct pack_try *t, struct tool *box)
{
	static const char *const usual[] = { "--profile", "image", "--priority", "normal",
		"--memory", "4096", "--disk", "1024", "--processes", "256", "--threads", "1",
		"--cwd", PACK_WORK };

	tool_word(box, tool_path("talkoot-sandbox"));
	words(box, usual, ARRAY_LEN(usual));
	tool_option(box, "--stdin", xstrdup(t->stdin_file ? "-" : "/dev/null"));
	tool_option(box, "--root", xprintf("%s/root", t->tmp));
	tool_option(box, "--stdout", xprintf("%s/stdout", t->tmp));
	tool_option(box, "--stderr", xprintf("%s/stderr", t->tmp));
	tool_option(box, "--report", xprintf("%s/report", t->tmp));
	for (size_t i = 0; i < t->env->n; i++)
		tool_option(box, "--env", xstrdup(t->env->at[i]));
	tool_word(box, xstrdup("--"));
	words(box, t->command->at, t->command->n);
}

static int read_report(struct pack_try *t, struct err *e)
{
	auto_free char *path = xprintf("%s/report", t->tmp), *text = NULL;
	size_t n;

	if (file_read(&text, &n, path, REPORT_MAX, e))
		return -1;
	json_t *j = json_loadb(text, n, 0, NULL);
	const char *reason = json_string_value(json_object_get(j, "reason"));
	snprintf(t->reason, sizeof(t->reason), "%s", reason ? reason : "unknown");
	json_decref(j);
	return 0;
}

/* The end of what it said. */
static void read_stderr(struct pack_try *t)
{
	auto_free char *path = xprintf("%s/stderr", t->tmp);
	size_t n;

	t->stderr_text = file_tail(&n, path, STDERR_SHOWN);
	if (!t->stderr_text)
		t->stderr_text = xstrdup("");
}

static int run(struct pack_try *t, struct err *e)
{
	struct tool box = { .n = 0 };
	int status;

	box_around_program(t, &box);
	int bad = tool_run(&box, NULL, NULL, NULL, &status, e);
	tool_release(&box);
	if (bad || read_report(t, e))
		return -1;
	t->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); /* as a shell tells it */
	read_stderr(t);
	if (t->code == NOT_STARTED && !strcmp(t->reason, "setup"))
		return err_set(e, ERR_PROGRAM, "the box refused to start the program (see above)");
	return 0;
}

int pack_try(struct pack_try *t, struct err *e)
{
	t->stdout_path = xprintf("%s/stdout", t->tmp);
	t->stderr_text = NULL;
	return unpack(t, e) || run(t, e) ? -1 : 0;
}

int pack_try_again(struct pack_try *t, struct err *e)
{
	free(TAKE(t->stderr_text));
	return run(t, e);
}

void pack_try_release(struct pack_try *t)
{
	free(TAKE(t->stdout_path));
	free(TAKE(t->stderr_text));
}
