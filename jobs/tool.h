/* SPDX-License-Identifier: Apache-2.0
 *
 * tool.h: the other programs that this one runs: talkoot-sandbox, talkoot-image, tar.
 */
#ifndef JOBS_TOOL_H
#define JOBS_TOOL_H

#include "common/base.h"
#include "common/err.h"
#include "jobs/job.h"

#define TOOL_WORDS_MAX (2 * (JOB_FILES_MAX + JOB_ENV_MAX + JOB_LAYERS_MAX) + JOB_ARGS_MAX + 80)

/* A command line; the words are its own. */
struct tool {
	char *at[TOOL_WORDS_MAX + 1];
	size_t n;
};

/* The program `name` beside this one; else `name`, for PATH to be searched. Yours. */
char *tool_path(const char *name) MUST_USE;
/* Each takes its texts over; `name` is borrowed. */
void tool_word(struct tool *t, char *text);
void tool_option(struct tool *t, const char *name, char *value);
void tool_number(struct tool *t, const char *name, int64_t value);
void tool_release(struct tool *t);

/* Run it and wait. in, out, errors: files, or NULL for our own; `in` is read, the others are written anew. The
 * status as waitpid() gives it. */
int tool_run(struct tool *t, const char *in, const char *out, const char *errors, int *status,
	struct err *e);

/* $XDG_CACHE_HOME/talkoot/NAME or what stands for it, made. Root's is where its boxes, which are nobody's, can
 * reach it. Yours; NULL with `e`. */
char *tool_cache(const char *name, struct err *e) MUST_USE;

#endif
