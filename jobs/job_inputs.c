/* SPDX-License-Identifier: Apache-2.0
 *
 * job_inputs.c: the resolution of a job's inputs, in and out.
 */
#include "jobs/job_inputs.h"
#include "common/buf.h"

#include <stdlib.h>
#include <string.h>

static const struct shape part_shape[] = {
	{ .name = "name", .kind = SHAPE_TEXT, .min = 1, .max = 100 },
	{ .name = "index", .kind = SHAPE_INT, .max = JOB_TASKS_MAX - 1 },
	{ .name = "blob", .kind = SHAPE_OBJECT, .of = shape_blob },
	{ .name = NULL },
};

/* --- what is waited for --------------------------------------------------------------------------- */

bool job_has_sources(const struct job *job)
{
	for (size_t i = 0; i < job->n_files; i++)
		if (job->files[i].from)
			return true;
	return false;
}

static void wait_for(struct job_wait *out, size_t *n, const struct digest *job, bool all)
{
	for (size_t i = 0; i < *n; i++)
		if (digest_equal(&out[i].job, job)) {
			out[i].all |= all;
			return;
		}
	out[(*n)++] = (struct job_wait){ *job, all };
}

size_t job_waits(const struct job *job, struct job_wait out[JOB_WAITS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < job->n_after; i++)
		wait_for(out, &n, &job->after[i], true);
	for (size_t i = 0; i < job->n_files; i++)
		if (job->files[i].from)
			wait_for(
				out, &n, &job->files[i].source.job, job->files[i].source.index < 0);
	if (job->tasks == TASKS_EACH)
		wait_for(out, &n, &job->each.job, true);
	return n;
}

/* --- parts ---------------------------------------------------------------------------------------- */

void inputs_add(struct inputs *in, size_t file, int64_t index, const struct blob *b)
{
	array_room(&in->parts, &in->room, in->n, sizeof(*in->parts));
	in->parts[in->n++] = (struct inputs_part){ file, index, *b };
}

void inputs_release(struct inputs *in)
{
	free(in->parts);
	*in = (struct inputs){ 0 };
}

int64_t inputs_bytes(const struct inputs *in)
{
	int64_t sum = 0;

	for (size_t i = 0; i < in->n; i++)
		sum += in->parts[i].blob.size; /* 4096 of at most 64 GiB: far below 2^63 */
	return sum;
}

const struct inputs_part *inputs_of(const struct inputs *in, size_t file, size_t *n)
{
	size_t at = 0, end;

	while (at < in->n && in->parts[at].file != file)
		at++;
	for (end = at; end < in->n && in->parts[end].file == file;)
		end++;
	*n = end - at;
	return in->parts + at;
}

char *inputs_text(const struct inputs *in, const struct job *job, size_t *n)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < in->n; i++) {
		const struct inputs_part *p = &in->parts[i];
		auto_json json_t *j = json_pack("{s:s, s:I, s:o}", "name", job->files[p->file].name,
			"index", (json_int_t)p->index, "blob", blob_to_json(&p->blob));
		auto_free char *line = shape_dump(j);

		buf_text(&b, line);
		buf_text(&b, "\n");
	}
	*n = b.len;
	return buf_take(&b);
}

struct digest inputs_digest(
	const struct inputs *in, const struct job *job, const struct blob *standard_input)
{
	auto_buf struct buf b = { 0 };
	char text[DIGEST_TEXT + 1];

	buf_text(&b, "talkoot-inputs-v1\n");
	for (size_t i = 0; i < in->n; i++) {
		digest_text(text, &in->parts[i].blob.digest);
		buf_printf(&b, "in/%s %s\n", job->files[in->parts[i].file].name, text);
	}
	if (standard_input) {
		digest_text(text, &standard_input->digest);
		buf_printf(&b, "stdin %s\n", text);
	}
	return digest_of(b.data, b.len);
}

/* --- reading -------------------------------------------------------------------------------------- */

/* The part that may come now: `file` is where the reader stands, `index` the one that must come of a file that has
 * all of its source's outputs. */
struct reading {
	struct inputs *in;
	const struct job *job;
	size_t file;
	int64_t index;
};

static void skip_blobs(struct reading *r)
{
	while (r->file < r->job->n_files && !r->job->files[r->file].from)
		r->file++;
}

static void next_file(struct reading *r)
{
	r->file++;
	r->index = 0;
	skip_blobs(r);
}

static bool fits(struct reading *r, const char *name, int64_t index)
{
	const struct job_file *f = &r->job->files[r->file];

	if (r->file == r->job->n_files)
		return false;
	if (f->source.index < 0 && r->index > 0 &&
		strcmp(f->name, name) != 0) { /* that one is whole */
		next_file(r);
		return fits(r, name, index);
	}
	return !strcmp(f->name, name) &&
	       index == (f->source.index < 0 ? r->index : f->source.index);
}

static int read_part(struct reading *r, const char *line, size_t n, struct err *e)
{
	auto_json json_t *j = shape_load(line, n, e);
	struct blob b;

	if (!j || shape_check(j, part_shape, e))
		return -1;
	if (!fits(r, jtext(j, "name"), jint(j, "index", 0)))
		return err_field(e, "name", "%.100s of task %lld is not what comes here",
			jtext(j, "name"), (long long)jint(j, "index", 0));
	blob_from_json(&b, json_object_get(j, "blob"));
	inputs_add(r->in, r->file, jint(j, "index", 0), &b);
	if (r->job->files[r->file].source.index < 0)
		r->index++;
	else
		next_file(r);
	return 0;
}

/* After the last line: nothing is missing, and it is not too much. */
static int check_end(struct reading *r, struct err *e)
{
	if (r->file < r->job->n_files && r->index > 0)
		next_file(r);
	if (r->file < r->job->n_files)
		return err_field(e, "name", "%s is missing", r->job->files[r->file].name);
	if (inputs_bytes(r->in) > r->job->disk_mib * MIB)
		return err_set(e, ERR_TOO_DEMANDING,
			"the inputs have %lld bytes together, more than the job's %lld MiB of disk",
			(long long)inputs_bytes(r->in), (long long)r->job->disk_mib);
	return 0;
}

int inputs_read(struct inputs *in, const struct job *job, const char *text, size_t n, struct err *e)
{
	struct reading r = { .in = in, .job = job };
	const char *at = text, *end = text + n;

	*in = (struct inputs){ 0 };
	if (n > INPUTS_TEXT_MAX)
		return err_set(e, ERR_TOO_BIG, "a resolution of %zu bytes; at most %lld are taken",
			n, (long long)INPUTS_TEXT_MAX);
	skip_blobs(&r);
	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		if (!stop || in->n == INPUTS_PARTS_MAX)
			return err_set(e, ERR_MALFORMED,
				stop ? "more than %d parts" : "the last of %d lines has no end",
				stop ? INPUTS_PARTS_MAX : (int)in->n + 1);
		if (read_part(&r, at, (size_t)(stop - at), e))
			return err_wrap(e, "line %zu of the resolution", in->n + 1);
		at = stop + 1;
	}
	return check_end(&r, e);
}
