/* SPDX-License-Identifier: Apache-2.0
 *
 * boxrun.c: a temporary folder, one talkoot-sandbox, and its report read.
 *
 *	TMP/bin/NAME  the program: its base name is argv[0]      TMP/out     what it writes
 *	TMP/stdin     a task's line                              TMP/stdout stderr report
 */
#include "jobs/boxrun.h"

#include "jobs/image.h"
#include "jobs/job_words.h"
#include "jobs/resdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"

#define REPORT_MAX 65536
#define DEPTH_MAX 3 /* folders below out, as resdir_name_ok() */
#define NOT_STARTED 125

/* Copy what is left of `in`, and tell its digest. */
static int pour(int in, int out, struct digest *d, struct err *e)
{
	struct hasher *h = hasher_new();
	char part[65536];
	ssize_t n;
	int bad = 0;

	while (!bad && (n = read(in, part, sizeof(part))) != 0) {
		if (n < 0)
			bad = err_sys(e, "reading");
		else
			bad = fd_write_all(out, part, (size_t)n, e);
		if (!bad)
			hasher_add(h, part, (size_t)n);
	}
	*d = hasher_end(h);
	hasher_free(h);
	return bad;
}

int boxrun_copy_fd(const char *to, int in, const struct digest *d, mode_t mode, struct err *e)
{
	auto_close int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	struct digest got;

	if (out < 0)
		return err_sys(e, "creating %s", to);
	if (pour(in, out, &got, e))
		return err_wrap(e, "%s", to);
	return digest_equal(&got, d) ? 0 : err_set(e, ERR_DIGEST, "does not have the digest that was agreed on");
}

int boxrun_copy(const char *to, const char *from, const struct digest *d, mode_t mode, struct err *e)
{
	/* O_NONBLOCK: in a folder of somebody else's it may be a pipe by now */
	auto_close int in = open(from, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (in < 0)
		return err_sys(e, "opening %s", from);
	return boxrun_copy_fd(to, in, d, mode, e) ? err_wrap(e, "%s", from) : 0;
}

/* --- before ---------------------------------------------------------------------------------- */
/* The program, under its own name, or its path in the image. Yours. */
static char *put_program(struct boxrun *b, const char *tmp, struct err *e)
{
	const struct job_program *p = job_program(b->job, platform_here());

	if (!p) {
		err_set(e, ERR_PROGRAM, "the job has no program for %s", platform_here());
		return NULL;
	}
	if (b->job->profile == PROFILE_IMAGE)
		return xstrdup(p->path);
	auto_free char *from = b->find(b->arg, &p->blob, e);
	auto_free char *dir = xprintf("%s/bin", tmp);
	auto_free char *path = xprintf("%s/%s", dir, p->name);
	if (!from || make_dirs(dir, 0755, e) || boxrun_copy(path, from, &p->blob.digest, 0755, e))
		return NULL;
	return TAKE(path);
}

static char *put_stdin(struct boxrun *b, const char *tmp, struct err *e)
{
	if (b->task->has_stdin_blob)
		return b->find(b->arg, &b->task->stdin_blob, e);
	if (!b->task->stdin_text)
		return xstrdup("/dev/null");
	auto_free char *path = xprintf("%s/stdin", tmp);
	if (file_write_atomic(path, b->task->stdin_text, strlen(b->task->stdin_text), 0644, e))
		return NULL;
	return TAKE(path);
}

static char *seed_text(const struct boxrun *b)
{
	struct digest seed = job_seed(b->job, b->task->index);
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, &seed);
	return xstrdup(hex);
}

static int append_file(int out, const char *from, struct err *e)
{
	auto_close int in = open(from, O_RDONLY | O_CLOEXEC);
	char part[65536];
	ssize_t n = -1;

	while (in >= 0 && (n = read(in, part, sizeof(part))) > 0)
		if (fd_write_all(out, part, (size_t)n, e))
			return -1;
	return n < 0 ? err_sys(e, "reading %s", from) : 0;
}

/* Outputs of another job as one file, TMP/in-NAME. Its path is yours. */
static char *join_parts(struct boxrun *b, size_t file, const char *tmp, struct err *e)
{
	auto_free char *path = xprintf("%s/in-%s", tmp, b->job->files[file].name);
	auto_close int out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	size_t n = 0;
	const struct inputs_part *p = b->inputs ? inputs_of(b->inputs, file, &n) : NULL;

	if (out < 0 || !n) {
		err_set(e, ERR_NOT_FOUND, "what /in/%s is of another job is not here", b->job->files[file].name);
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		auto_free char *from = b->find(b->arg, &p[i].blob, e);

		if (!from || append_file(out, from, e))
			return NULL;
	}
	return TAKE(path);
}

static int put_files(struct boxrun *b, struct tool *a, const char *tmp, struct err *e)
{
	if (b->job->n_local)
		return err_set(e, ERR_NOT_FOUND, "the data %s is with the workers", b->job->local[0]);
	for (size_t i = 0; i < b->job->n_files; i++) {
		const struct job_file *f = &b->job->files[i];
		auto_free char *path = f->from ? join_parts(b, i, tmp, e) : b->find(b->arg, &f->blob, e);

		if (!path)
			return -1;
		tool_option(a, "--in", xprintf("%s=%s", b->job->files[i].name, path));
	}
	return 0;
}

static int put_image(struct boxrun *b, struct tool *a, struct err *e)
{
	const struct job_image *im = &b->job->image;
	char *tree = image_tree(im, b->find, b->arg, e);

	if (!tree)
		return -1;
	tool_option(a, "--root", tree);
	for (size_t i = 0; i < im->n_env; i++)
		tool_option(a, "--env", xstrdup(im->env[i]));
	tool_option(a, "--cwd", xstrdup(im->workdir));
	return 0;
}

static int build(struct boxrun *b, struct tool *a, const char *tmp, struct err *e)
{
	bool files = b->job->profile != PROFILE_COMPUTE;

	tool_word(a, tool_path("talkoot-sandbox"));
	tool_option(a, "--profile", xstrdup(job_profile_words[b->job->profile]));
	tool_option(a, "--stdout", xprintf("%s/stdout", tmp));
	tool_option(a, "--stderr", xprintf("%s/stderr", tmp));
	tool_option(a, "--report", xprintf("%s/report", tmp));
	tool_number(a, "--cpu", b->job->cpu_s);
	tool_number(a, "--wall", b->job->wall_s);
	tool_number(a, "--memory", b->job->memory_mib);
	tool_number(a, "--disk", b->job->disk_mib);
	tool_number(a, "--max-output", b->job->output_mib);
	tool_number(a, "--processes", b->job->processes);
	tool_number(a, "--threads", b->job->threads);
	tool_option(a, "--deterministic", xstrdup(b->job->deterministic ? "on" : "off"));
	tool_option(a, "--seed", seed_text(b)); /* as every worker drew */
	tool_option(a, "--priority", xstrdup("normal"));
	if (b->job->bits)
		tool_option(a, "--bits", words_text(job_bit_words, b->job->bits));
	if (files) {
		auto_free char *out = xprintf("%s/out", tmp);

		if (make_dirs(out, 0777, e) || chmod(out, 0777))
			return err_sys(e, "making %s", out);
		tool_option(a, "--out", xstrdup(out));
	}
	char *in = put_stdin(b, tmp, e);
	if (!in)
		return -1;
	tool_option(a, "--stdin", in);
	if (put_files(b, a, tmp, e) || (b->job->profile == PROFILE_IMAGE && put_image(b, a, e)))
		return -1;
	char *program = put_program(b, tmp, e);
	if (!program)
		return -1;
	tool_word(a, xstrdup("--"));
	tool_word(a, program);
	for (char **word = b->task->argv + 1; *word; word++)
		tool_word(a, xstrdup(*word));
	return 0;
}

/* --- after ----------------------------------------------------------------------------------- */
static int add_output(struct boxrun *b, const char *path, const char *name, struct err *e)
{
	auto_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct digest d, root;
	int64_t size;

	if (fd < 0)
		return err_sys(e, "opening %s", path);
	if (digest_fd(fd, &d, &root, &size, e))
		return -1;
	result_add_output(&b->result, name, &d, &root, size);
	return 0;
}

/* Every declared plain file below out/`under`. */
static int add_files(struct boxrun *b, const char *out, const char *under, int depth, struct err *e)
{
	auto_free char *dir = xprintf("%s/%s", out, under);
	DIR *d = opendir(dir);
	struct dirent *entry;
	int bad = 0;

	while (d && !bad && (entry = readdir(d))) {
		auto_free char *inner = xprintf("%s%s%s", under, *under ? "/" : "", entry->d_name);
		auto_free char *path = xprintf("%s/%s", out, inner);
		auto_free char *name = xprintf("files/%s", inner);
		struct stat st;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") || lstat(path, &st))
			continue;
		if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
			bad = add_files(b, out, inner, depth + 1, e);
		else if (S_ISREG(st.st_mode) && resdir_name_ok(name) && job_declares(b->job, inner))
			bad = add_output(b, path, name, e);
	}
	if (d)
		closedir(d);
	return bad;
}

/* The box's own object has reals in it, so shape_load() is not for it. */
static int read_report(struct boxrun *b, const char *tmp, struct err *e)
{
	auto_free char *path = xprintf("%s/report", tmp);
	auto_free char *text = NULL;
	size_t n;

	if (file_read(&text, &n, path, REPORT_MAX, e))
		return -1;
	auto_json json_t *j = json_loadb(text, n, 0, NULL);
	const json_t *reason = json_object_get(j, "reason");
	if (!json_is_string(reason))
		return err_set(e, ERR_MALFORMED, "the box's report is not what it should be");
	b->result.exit = jint(j, "exit", 0);
	b->result.signal = jint(j, "signal", 0);
	b->result.cpu_ms = (int64_t)(json_number_value(json_object_get(j, "cpu_s")) * 1000);
	b->result.wall_ms = (int64_t)(json_number_value(json_object_get(j, "wall_s")) * 1000);
	snprintf(b->result.reason, sizeof(b->result.reason), "%s", json_string_value(reason));
	return 0;
}

static void read_stderr(struct boxrun *b, const char *tmp)
{
	auto_free char *path = xprintf("%s/stderr", tmp);

	b->stderr_n = 0;
	b->stderr_text = file_tail(&b->stderr_n, path, RESULT_STDERR_MAX);
	if (!b->stderr_text)
		b->stderr_text = xstrdup("");
}

static int collect(struct boxrun *b, const char *tmp, struct err *e)
{
	auto_free char *out = xprintf("%s/out", tmp), *stdout_path = xprintf("%s/stdout", tmp);

	read_stderr(b, tmp);
	if (read_report(b, tmp, e) || add_output(b, stdout_path, "stdout", e) ||
		(b->job->profile != PROFILE_COMPUTE && add_files(b, out, "", 0, e)))
		return -1;
	b->result.outcome = outcome_of(&b->result);
	return b->look ? b->look(b->arg, b, tmp, e) : 0;
}

int boxrun_spawn(struct tool *box, int *status, struct err *e)
{
	if (tool_run(box, NULL, NULL, NULL, status, e))
		return -1;
	if (WIFEXITED(*status) && WEXITSTATUS(*status) == NOT_STARTED)
		return err_set(e, ERR_PROGRAM, "the box refused to start the program (see above)");
	return 0;
}

int boxrun(struct boxrun *b, struct err *e)
{
	const char *base = getenv("TMPDIR");
	auto_free char *tmp = xprintf("%s/talkoot-box.XXXXXX", base && *base ? base : "/tmp");
	struct tool a = { .n = 0 };
	struct err ignored;
	int status = 0;

	b->result = (struct result){ .index = b->task->index };
	b->stderr_text = NULL;
	if (!mkdtemp(tmp))
		return err_sys(e, "making a temporary folder in %s", base && *base ? base : "/tmp");
	int bad = build(b, &a, tmp, e) || boxrun_spawn(&a, &status, e) || collect(b, tmp, e);
	tool_release(&a);
	remove_tree(tmp, &ignored);
	if (bad)
		boxrun_release(b);
	return bad ? -1 : 0;
}

void boxrun_release(struct boxrun *b)
{
	struct results all = { .items = xmalloc(sizeof(b->result)), .n = 1 };

	all.items[0] = b->result;
	results_release(&all);
	free(TAKE(b->stderr_text));
	b->result = (struct result){ 0 };
}
