/* SPDX-License-Identifier: Apache-2.0
 *
 * pack_try.c: see pack_try.h.
 *
 *	image ──split, in a box──> TMP/split: layer-0 layer-1 image.json
 *	layers ──flatten, in a box──> TMP/root ──the program, in a box──> TMP/stdout TMP/stderr
 *
 * What comes out of a box that reads archives is a stream, which `talkoot-image plant` makes into files.
 */
#include "jobs/pack_try.h"

#include "common/buf.h"
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

/* Run it to its end; its exit code as a shell would tell it. */
static int run_tool(struct tool *t, const char *in, const char *out, int *code, struct err *e)
{
	int status = 0, bad = tool_run(t, in, out, NULL, &status, e);

	tool_release(t);
	*code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return bad;
}

static int must_do(struct tool *t, const char *in, const char *out, const char *what, struct err *e)
{
	int code;

	if (run_tool(t, in, out, &code, e))
		return -1;
	return code ? err_set(e, ERR_PROGRAM, "talkoot-image %s failed with exit %d (see above)",
			      what, code)
	            : 0;
}

/* --- unpacking -------------------------------------------------------------------------------- */
/* A box around talkoot-image, up to its own words. */
static void box_around_image(struct tool *t, int64_t bytes_max)
{
	static const char *const usual[] = { "--profile", "files", "--priority", "normal",
		"--memory", "1024", "--disk", "16", "--cpu", "3600", "--wall", "3600", "--stdin",
		"-" };

	tool_word(t, tool_path("talkoot-sandbox"));
	words(t, usual, ARRAY_LEN(usual));
	tool_number(t, "--max-output", bytes_max / MIB + 64); /* the stream's own words */
}

/* Run `from` on the file `in`, and plant the stream that it writes as `folder`. */
static int unpack(struct tool *from, const char *in, const char *stream, const char *folder,
	const char *what, struct err *e)
{
	struct tool plant = { .n = 0 };

	tool_word(&plant, tool_path("talkoot-image"));
	tool_word(&plant, xstrdup("plant"));
	tool_word(&plant, xstrdup(folder));
	int bad = must_do(from, in, stream, what, e) || must_do(&plant, stream, NULL, "plant", e);
	tool_release(&plant);
	unlink(stream);
	return bad ? -1 : 0;
}

static int split(const struct pack_try *t, int64_t bytes_max, struct err *e)
{
	auto_free char *stream = xprintf("%s/stream", t->tmp),
		       *folder = xprintf("%s/split", t->tmp);
	struct tool box = { .n = 0 };

	box_around_image(&box, bytes_max);
	tool_word(&box, xstrdup("--"));
	tool_word(&box, tool_path("talkoot-image"));
	tool_word(&box, xstrdup("split"));
	return unpack(&box, t->image, stream, folder, "split", e);
}

static int flatten(const struct pack_try *t, int64_t bytes_max, struct err *e)
{
	auto_free char *stream = xprintf("%s/stream", t->tmp), *folder = xprintf("%s/root", t->tmp);
	struct tool box = { .n = 0 };

	box_around_image(&box, bytes_max);
	for (int i = 0; i < PACK_LAYERS; i++)
		tool_option(&box, "--in", xprintf("layer-%d=%s/split/layer-%d", i, t->tmp, i));
	tool_word(&box, xstrdup("--"));
	tool_word(&box, tool_path("talkoot-image"));
	tool_word(&box, xstrdup("flatten"));
	for (int i = 0; i < PACK_LAYERS; i++)
		tool_word(&box, xprintf("/in/layer-%d", i));
	return unpack(&box, "/dev/null", stream, folder, "flatten", e);
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

	box_around_program(t, &box);
	if (run_tool(&box, NULL, NULL, &t->code, e) || read_report(t, e))
		return -1;
	read_stderr(t);
	if (t->code == NOT_STARTED && !strcmp(t->reason, "setup"))
		return err_set(e, ERR_PROGRAM, "the box refused to start the program (see above)");
	return 0;
}

int pack_try(struct pack_try *t, int64_t bytes_max, struct err *e)
{
	t->stdout_path = xprintf("%s/stdout", t->tmp);
	t->stderr_text = NULL;
	return split(t, bytes_max, e) || flatten(t, bytes_max, e) || run(t, e) ? -1 : 0;
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

/* --- comparing -------------------------------------------------------------------------------- */
int files_equal(const char *a, const char *b, int64_t max, bool *equal, struct err *e)
{
	auto_file FILE *x = fopen(a, "re"), *y = fopen(b, "re");
	char p[16384], q[sizeof(p)];

	if (!x || !y)
		return err_sys(e, "opening %s", x ? b : a);
	*equal = true;
	for (size_t n = 1; *equal && n > 0 && max > 0; max -= (int64_t)n) {
		size_t m = fread(q, 1, sizeof(q), y);

		n = fread(p, 1, sizeof(p), x);
		*equal = n == m && !memcmp(p, q, n);
	}
	return ferror(x) || ferror(y) ? err_set(e, ERR_SYSTEM, "reading %s or %s failed", a, b) : 0;
}

/* Bytes of the next line, without its end; -1 at the end of the file. */
static ssize_t next_line(char **line, size_t *room, FILE *f)
{
	ssize_t n = getline(line, room, f);

	if (n > 0 && (*line)[n - 1] == '\n')
		(*line)[--n] = '\0';
	return n;
}

static void keep_begin(char *to, const char *line, ssize_t n)
{
	snprintf(to, DIFFERENCE_SHOWN + 1, "%.*s", n < 0 ? 0 : DIFFERENCE_SHOWN, n < 0 ? "" : line);
}

struct difference files_differ(const char *a, const char *b)
{
	auto_file FILE *x = fopen(a, "re"), *y = fopen(b, "re");
	auto_free char *p = NULL, *q = NULL;
	size_t room_p = 0, room_q = 0;
	struct difference d = { .line = 0 };

	for (size_t line = 1; x && y && !d.line; line++) {
		ssize_t n = next_line(&p, &room_p, x), m = next_line(&q, &room_q, y);

		if (n < 0 && m < 0)
			break;
		if (n == m && !memcmp(p, q, (size_t)n))
			continue;
		d.line = line;
		keep_begin(d.a, p, n);
		keep_begin(d.b, q, m);
	}
	return d;
}
