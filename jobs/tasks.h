/* SPDX-License-Identifier: Apache-2.0
 *
 * tasks.h: what `--range`, `--each`, `--lines`, `--param` and `--table` mean: the manifest's `tasks`, the list
 * blob where there is one, and the files that have to be uploaded for it.
 *
 *	--range N      {"range":{"count":N}}
 *	--each FILE…   a list: {"name":"the base name","stdin":BLOB} a line
 *	--each JOB/'*'/FILE  {"each":{"job","file","count"}}: a task for each of another job's
 *	--lines FILE   a list: {"line":"…"}
 *	--param …      {"product":[{"name","values"}]}; a list of {"params":{…}} when that would not fit a manifest
 *	--table FILE   a list: {"params":{COLUMN:"…"}}
 *
 * Without any of them a job has one task.
 */
#ifndef JOBS_TASKS_H
#define JOBS_TASKS_H

#include "common/blob.h"
#include "common/conf.h"

#include <jansson.h>

struct job_finder;

struct task_options {
	int64_t range; /* 0: not given */
	struct texts each, params;
	const char *lines, *table;
	const struct job_finder *finder; /* NULL: outputs of other jobs are not to be found */
};

/* Something to upload: a file's bytes, or text of ours. */
struct upload {
	struct blob blob;
	char *path; /* NULL: it is `text` */
	char *text;
};

struct uploads {
	struct upload *at;
	size_t n, room;
};

struct task_set {
	json_t *tasks; /* the manifest's `tasks` */
	int64_t count;
	char **words;  /* what may stand in braces in an argument */
	size_t n_words, words_room;
};

/* Read what the options name. What is to be uploaded is added to `up`. Wrong options are ERR_USAGE. */
int task_set_make(struct task_set *t, struct uploads *up, const struct task_options *o, struct err *e);
void task_set_release(struct task_set *t);
/* Refuse an argument with a {word} that no task replaces. Braces around anything else stay. */
int task_set_check_arg(const struct task_set *t, const char *arg, struct err *e);

/* Describe a file (by its path) or a text, note it for upload, and give the descriptor as JSON. Equal bytes
 * are noted once. NULL with `e` when the file cannot be read. */
json_t *uploads_file(struct uploads *up, const char *path, struct err *e) MUST_USE;
json_t *uploads_text(struct uploads *up, char *text, size_t n) MUST_USE; /* takes `text` */
void uploads_release(struct uploads *up);

#endif
