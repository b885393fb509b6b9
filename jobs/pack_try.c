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
#include "jobs/beside.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX (PACK_ENV_MAX * 2 + 64)
#define STDERR_SHOWN 2000
#define REPORT_MAX 65536
#define NOT_STARTED 125

/* A command line: words that are its own. */
struct line {
	char *at[WORDS_MAX];
	size_t n;
};

static void word(struct line *l, char *text)
{
	if (l->n + 1 < WORDS_MAX)
		l->at[l->n++] = text;
	else
		free(text);
}

static void words(struct line *l, const char *const *texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		word(l, xstrdup(texts[i]));
}

static void line_release(struct line *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->at[i]);
	l->n = 0;
}

/* --- unpacking -------------------------------------------------------------------------------- */
/* A box around talkoot-image, up to its own words. */
static void box_around_image(struct line *l, int64_t bytes_max)
{
	static const char *const usual[] = { "--profile", "files", "--priority", "normal",
		"--memory", "1024", "--disk", "16", "--cpu", "3600", "--wall", "3600", "--stdin",
		"-" };

	word(l, beside("talkoot-sandbox"));
	words(l, usual, ARRAY_LEN(usual));
	word(l, xstrdup("--max-output"));
	word(l, xprintf("%lld", (long long)(bytes_max / MIB + 64))); /* the stream's own words */
}

/* Run `from` with standard input `in` into the file STREAM, then plant STREAM as `folder`. */
static int unpack(struct line *from, int in, const char *stream, const char *folder,
	const char *what, struct err *e)
{
	auto_close int out = open(stream, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char *plant[] = { beside("talkoot-image"), xstrdup("plant"), xstrdup(folder), NULL };
	int code = 0, bad = out < 0 ? err_sys(e, "creating %s", stream) : 0;

	bad = bad || run_program(from->at, in, out, &code, e);
	if (!bad && code)
		bad = err_set(e, ERR_PROGRAM, "talkoot-image %s failed with exit %d (see above)",
			what, code);
	if (!bad)
		bad = lseek(out, 0, SEEK_SET) < 0 ? err_sys(e, "%s", stream)
		                                  : run_program(plant, out, -1, &code, e);
	if (!bad && code)
		bad = err_set(e, ERR_PROGRAM, "talkoot-image plant failed with exit %d (see above)",
			code);
	unlink(stream);
	for (size_t i = 0; plant[i]; i++)
		free(plant[i]);
	return bad;
}

static int split(const struct pack_try *t, int64_t bytes_max, struct err *e)
{
	auto_close int in = open(t->image, O_RDONLY | O_CLOEXEC);
	auto_free char *stream = xprintf("%s/stream", t->tmp),
		       *folder = xprintf("%s/split", t->tmp);
	struct line l = { .n = 0 };

	if (in < 0)
		return err_sys(e, "opening %s", t->image);
	box_around_image(&l, bytes_max);
	word(&l, xstrdup("--"));
	word(&l, beside("talkoot-image"));
	word(&l, xstrdup("split"));
	int bad = unpack(&l, in, stream, folder, "split", e);
	line_release(&l);
	return bad;
}

static int flatten(const struct pack_try *t, int64_t bytes_max, struct err *e)
{
	auto_close int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	auto_free char *stream = xprintf("%s/stream", t->tmp), *folder = xprintf("%s/root", t->tmp);
	struct line l = { .n = 0 };

	box_around_image(&l, bytes_max);
	for (int i = 0; i < PACK_LAYERS; i++) {
		word(&l, xstrdup("--in"));
		word(&l, xprintf("layer-%d=%s/split/layer-%d", i, t->tmp, i));
	}
	word(&l, xstrdup("--"));
	word(&l, beside("talkoot-image"));
	word(&l, xstrdup("flatten"));
	for (int i = 0; i < PACK_LAYERS; i++)
		word(&l, xprintf("/in/layer-%d", i));
	int bad = unpack(&l, in, stream, folder, "flatten", e);
	line_release(&l);
	return bad;
}

/* --- the program ------------------------------------------------------------------------------ */
/* Limits that no proof should meet; one thread, as submit has by default. */
static void box_around_program(const struct pack_try *t, struct line *l)
{
	static const char *const usual[] = { "--profile", "image", "--priority", "normal",
		"--memory", "4096", "--disk", "1024", "--processes", "256", "--threads", "1",
		"--cwd", PACK_WORK };
	static const char *const files[][2] = { { "root", "root" }, { "stdout", "stdout" },
		{ "stderr", "stderr" }, { "report", "report" } };

	word(l, beside("talkoot-sandbox"));
	words(l, usual, ARRAY_LEN(usual));
	word(l, xstrdup("--stdin"));
	word(l, xstrdup(t->stdin_file ? "-" : "/dev/null"));
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		word(l, xprintf("--%s", files[i][0]));
		word(l, xprintf("%s/%s", t->tmp, files[i][1]));
	}
	for (size_t i = 0; i < t->env->n; i++) {
		word(l, xstrdup("--env"));
		word(l, xstrdup(t->env->at[i]));
	}
	word(l, xstrdup("--"));
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
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	struct err ignored;

	if (end < 0 || lseek(fd, end > STDERR_SHOWN ? end - STDERR_SHOWN : 0, SEEK_SET) < 0 ||
		fd_read_all(&t->stderr_text, NULL, fd, STDERR_SHOWN, &ignored))
		t->stderr_text = xstrdup("");
}

static int run(struct pack_try *t, struct err *e)
{
	struct line l = { .n = 0 };

	box_around_program(t, &l);
	char **argv = xcalloc(l.n + t->command->n + 1, sizeof(*argv));
	memcpy(argv, l.at, l.n * sizeof(*argv));
	for (size_t i = 0; i < t->command->n; i++)
		argv[l.n + i] = xstrdup(t->command->at[i]);
	int bad = run_program(argv, -1, -1, &t->code, e);
	for (size_t i = 0; i < l.n + t->command->n; i++)
		free(argv[i]);
	free(argv);
	if (bad || read_report(t, e))
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
