/* SPDX-License-Identifier: Apache-2.0
 *
 * line.h: what a box is asked: talkoot-sandbox's command line, and beside it which of its words are files, so
 * that the same line can be given to a keeper with these files opened (sandbox/box.h).
 */
#ifndef WORKER_LINE_H
#define WORKER_LINE_H

#include "common/err.h"
#include "jobs/job.h"

#define LINE_WORDS_MAX (64 + 2 * JOB_FILES_MAX + 2 * JOB_ENV_MAX + JOB_ARGS_MAX)
#define LINE_FILES_MAX (JOB_FILES_MAX + 8)

/* In the order in which a keeper takes them. */
enum line_role {
	LINE_REPORT,
	LINE_PROGRAM,
	LINE_ROOT,
	LINE_INPUT,
	LINE_OUT,
	LINE_STDIN,
	LINE_STDOUT,
	LINE_STDERR,
	LINE_N_ROLES
};

struct line {
	char *argv[LINE_WORDS_MAX + 1]; /* argv[0]: the sandbox's path; NULL at the end */
	size_t n;
	struct {
		enum line_role role;
		char *path;
	} files[LINE_FILES_MAX];
	size_t n_files;
};

struct line *line_new(const char *sandbox);
void line_free(struct line *l); /* NULL is fine */

/* Each takes its texts over; `name` is borrowed. */
void line_word(struct line *l, char *text);
void line_option(struct line *l, const char *name, char *value);
void line_number(struct line *l, const char *name, int64_t n);
void line_file(struct line *l, enum line_role role, const char *name, char *path);
/* --in NAME=PATH. */
void line_input(struct line *l, const char *name, char *path);
/* -- PATH; its arguments follow as words. */
void line_program(struct line *l, char *path);
/* The same of a program that is no file here, but a path in the image. */
void line_program_within(struct line *l, char *path);

/* Open all files, those to write anew, in the keeper's order, which always has the three streams: *n of them,
 * at most LINE_FILES_MAX, yours to close. -1: none is open. */
int line_open(const struct line *l, int fds[LINE_FILES_MAX], size_t *n, struct err *e);

#endif
