/* SPDX-License-Identifier: Apache-2.0
 *
 * errand_line.c: a task's folder and its box's command line, from the manifest and what the lease gave.
 */
#include "worker/errand_in.h"
#include "jobs/job_words.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum box_profile errand_box(const struct job *job)
{
	static const enum box_profile profiles[] = {
		[PROFILE_COMPUTE] = BOX_COMPUTE, [PROFILE_FILES] = BOX_FILES, [PROFILE_IMAGE] = BOX_IMAGE
	};

	return profiles[job->profile];
}

static const char *box_name(const struct job *job)
{
	static const char *const names[] = BOX_PROFILE_NAMES;

	return names[errand_box(job)];
}

static void put_limits(struct line *l, const struct job *job)
{
	line_number(l, "--cpu", job->cpu_s);
	line_number(l, "--wall", job->wall_s);
	line_number(l, "--memory", job->memory_mib);
	line_number(l, "--disk", job->disk_mib);
	line_number(l, "--max-output", job->output_mib);
	line_number(l, "--processes", job->processes);
	line_number(l, "--threads", job->threads);
	line_option(l, "--deterministic", xstrdup(job->deterministic ? "on" : "off"));
}

/* Every copy of a task draws the same, wherever it runs. */
static void put_seed(struct line *l, const struct errand *t, const struct job *job)
{
	struct digest seed = job_seed(job, t->index);
	char hex[DIGEST_HEX + 1];

	if (!t->all->own_sandbox || !job->deterministic)
		return;
	digest_hex(hex, &seed);
	line_option(l, "--seed", xstrdup(hex));
}

static void put_files(struct line *l, const struct errand *t, const struct job *job)
{
	if (job->profile == PROFILE_COMPUTE)
		return;
	for (size_t i = 0; i < job->n_files; i++)
		line_input(l, job->files[i].name,
			job->files[i].from
				? feed_path(t->feed, job, i)
				: blob_path(cache_blobs(t->all->cache), &job->files[i].blob.digest));
	if (t->resume.from)
		line_input(l, "checkpoint", xstrdup(t->resume.from));
	for (size_t i = 0; i < job->n_local; i++)
		line_input(l, job->local[i], xstrdup(local_path(t->all->local, job->local[i])));
	if (job->checkpoint && t->all->own_sandbox)
		line_number(l, "--checkpoint", RESUME_COPY_S);
	line_file(l, LINE_OUT, "--out", xprintf("%s/out", t->dir));
}

static void put_streams(struct line *l, const struct errand *t)
{
	if (t->task.has_stdin_blob)
		line_file(l, LINE_STDIN, "--stdin",
			blob_path(cache_blobs(t->all->cache), &t->task.stdin_blob.digest));
	else if (t->task.stdin_text)
		line_file(l, LINE_STDIN, "--stdin", xprintf("%s/stdin", t->dir));
	line_file(l, LINE_STDOUT, "--stdout", xprintf("%s/stdout", t->dir));
	line_file(l, LINE_STDERR, "--stderr", xprintf("%s/stderr", t->dir));
}

static void put_image(struct line *l, const struct errand *t, const struct job *job)
{
	if (job->profile != PROFILE_IMAGE)
		return;
	line_file(l, LINE_ROOT, "--root", xstrdup(image_folder(t->image)));
	for (size_t i = 0; i < job->image.n_env; i++)
		line_option(l, "--env", xstrdup(job->image.env[i]));
	line_option(l, "--cwd", xstrdup(job->image.workdir));
}

_Static_assert(JOB_BIT_JIT == BOX_JIT && JOB_BIT_PROC == BOX_PROC, "the box's words for a job's bits");

static void put_bits(struct line *l, const struct job *job)
{
	if (job->bits)
		line_option(l, "--bits", words_text(job_bit_words, job->bits));
}

static void put_program(struct line *l, const struct errand *t, const struct job *job)
{
	const struct job_program *p = job_program(job, platform_here());

	if (job->profile == PROFILE_IMAGE)
		line_program_within(l, xstrdup(p->path));
	else
		line_program(l, xprintf("%s/program/%s", t->dir, p->name));
}

/* The report comes first, so that a keeper can tell there what is wrong with the rest. */
struct line *errand_line(const struct errand *t, const struct job *job)
{
	struct line *l = line_new(t->all->sandbox);

	line_file(l, LINE_REPORT, "--report", xprintf("%s/report", t->dir));
	line_option(l, "--profile", xstrdup(box_name(job)));
	put_image(l, t, job);
	put_files(l, t, job);
	put_streams(l, t);
	put_limits(l, job);
	put_seed(l, t, job);
	put_bits(l, job);
	put_program(l, t, job);
	for (char **a = t->task.argv + 1; *a; a++)
		line_word(l, xstrdup(*a));
	return l;
}

/* Programs look at argv[0], which is the base name of the path: so the blob gets its name, by a hard link,
 * and may be executed. */
static int link_program(struct errand *t, const struct job_program *program, struct err *e)
{
	auto_free char *dir = xprintf("%s/program", t->dir);
	auto_free char *path = xprintf("%s/%s", dir, program->name);
	auto_free char *blob = blob_path(cache_blobs(t->all->cache), &program->blob.digest);
	auto_close int fd = -1;
	int64_t size;

	if (blob_open(cache_blobs(t->all->cache), &program->blob.digest, &fd, &size, e))
		return -1;
	if (fchmod(fd, 0555) || mkdir(dir, 0700) || link(blob, path))
		return err_sys(e, "making %s", path);
	return 0;
}

int errand_folder(struct errand *t, const struct job *job, struct err *e)
{
	auto_free char *out = NULL, *in = NULL;

	t->dir = xprintf("%s/%s", t->all->dir, t->lease);
	out = xprintf("%s/out", t->dir);
	in = xprintf("%s/stdin", t->dir);
	if (make_dirs(out, 0700, e))
		return -1;
	if (job->profile != PROFILE_IMAGE && link_program(t, job_program(job, platform_here()), e))
		return -1;
	if (!t->task.stdin_text)
		return 0;
	auto_file FILE *f = fopen(in, "we");
	if (!f || fputs(t->task.stdin_text, f) == EOF || fflush(f))
		return err_sys(e, "writing %s", in);
	return 0;
}
