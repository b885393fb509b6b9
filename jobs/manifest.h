/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest.h: what is to be submitted: the manifest's own fields as JSON, and what to upload for it.
 *
 * `submit` makes it from options, or reads it from a file. In a file a blob may say `"path"` (a local file) or
 * `"text"` instead of, or beside, its digest, and the top may have `"uploads":[PATH…]` for files that only the
 * list of tasks names, `image` a `"path"`; what is left out gets its default; header fields and nonce are always made anew.
 * That is also what `--dry-run` prints.
 */
#ifndef JOBS_MANIFEST_H
#define JOBS_MANIFEST_H

#include "common/key.h"
#include "jobs/image.h"
#include "jobs/job.h"
#include "jobs/tasks.h"

struct manifest_options {
	struct task_options tasks;
	struct texts files, outputs; /* NAME=PATH or NAME=JOB/INDEX/FILE; globs */
	struct texts env;            /* NAME=VALUE, of an image */
	struct texts after, local;   /* jobs; datasets of the volunteers' */
	struct texts compare;        /* [GLOB=]HOW */
	const char *profile, *bits, *image, *workdir, *assurance, *platform_class, *deterministic, *name, *checkpoint;
	int64_t quorum, max_results, max_failures, priority; /* quorum, max_*: 0 is not given */
	int64_t cpu_s, wall_s, memory_mib, disk_mib, output_mib, processes, threads;
};

struct manifest {
	json_t *fields; /* without header and nonce */
	struct uploads uploads;
	struct image_parts parts; /* of the image, while it may still be uploaded */
	char *image;              /* its file, or NULL */
};

extern const struct manifest_options manifest_defaults;

/* From options, and the program with its arguments. ERR_USAGE for what does not fit together. */
int manifest_make(struct manifest *m, const struct manifest_options *o, const struct texts *program,
	struct err *e);
/* From a file. */
int manifest_load(struct manifest *m, const char *path, struct err *e);
void manifest_release(struct manifest *m);

/* Sign it for a grid. The envelope line is yours. */
int manifest_seal(const struct manifest *m, char **line, const struct id *grid, const struct key *k,
	int64_t now_ms, struct err *e);
/* Read it back as every receiver will (under a throw-away key). Wrong fields are ERR_USAGE. */
int manifest_check(const struct manifest *m, struct job *job, struct err *e);
/* What --dry-run prints. NULL: a local path is no text. */
json_t *manifest_show(const struct manifest *m, struct err *e) MUST_USE;
/* The local file of a blob, or NULL. */
const char *manifest_path(const struct manifest *m, const struct digest *d);

/* --- manifest.c, for manifest_file.c -------------------------------------------------------------------------- */
/* What needs no reading: the profile, limits and the like. */
void manifest_set_plain(json_t *fields, const struct manifest_options *o, int64_t quorum, const char *profile);
/* JSON has no text that is not UTF-8. `what` is its name for a person. */
int manifest_check_text(const char *what, const char *text, struct err *e);
/* What is uploaded as that blob, or NULL. */
const struct upload *manifest_upload(const struct manifest *m, const struct digest *d);
/* --- manifest_program.c, for manifest.c ---------------------------------------------------------------------- */
const char *manifest_base_name(const char *path); /* borrowed of it */
/* Whether it can run in the box without an image, and on which platform. Says what to do when not. */
int manifest_look(const char *path, char platform[40], struct err *e);
/* Its place in `programs`, and itself to upload. */
json_t *manifest_program(struct uploads *up, const char *path, struct err *e) MUST_USE;
/* --- manifest_image.c, for manifest.c ------------------------------------------------------------------------ */
/* Whether the options about images go together. */
int manifest_image_options(const struct manifest_options *o, struct err *e);
/* Take o->image apart: the field `image`, and its layers to upload. */
int manifest_image(struct manifest *m, const struct manifest_options *o, struct err *e);
/* What it runs: what was said behind `--`, else what the image says. command->at is yours; its texts are not. */
int manifest_image_command(struct texts *command, const struct manifest *m, const struct manifest_options *o,
	const struct texts *said, struct err *e);
json_t *manifest_image_program(const char *path, struct err *e) MUST_USE;
/* The same for the image of a manifest file. */
int manifest_image_settle(struct manifest *m, struct err *e);

#endif
