/* SPDX-License-Identifier: Apache-2.0
 *
 * resdir.h: the folder that `results` writes and `verify` reads.
 *
 *	DIR/results.ndjson        a line a task, in index order
 *	DIR/grid.json job.json    the signed descriptor and manifest: one line each
 *	DIR/tasks.ndjson          the list blob, where the job has one
 *	DIR/sources.ndjson        what the job's files from other jobs came to, where it has any
 *	DIR/verdicts.ndjson attestations.ndjson
 *	DIR/INDEX/stdout stderr files/NAME
 *	DIR/inputs/HEX            programs and inputs, for `verify --rerun`
 *	DIR/evidence/HEX          other outputs that a task was believed on (by a tolerance)
 *	DIR/.partial/             on its way in; never under a final name
 *
 * Names in messages come from strangers: only what resdir_name_ok() takes becomes a path.
 */
#ifndef JOBS_RESDIR_H
#define JOBS_RESDIR_H

#include "common/digest.h"

#include <stdio.h>

/* Of a file of lines. A signed envelope is the longest there is; a line of results.ndjson has a list's line (64 KiB) and the
 * names and digests of at most 65 outputs. */
#define RESDIR_LINE_MAX (1024 * 1024)

#define RESDIR_GRID "grid.json"
#define RESDIR_JOB "job.json"
#define RESDIR_TASKS "tasks.ndjson"
#define RESDIR_SOURCES "sources.ndjson"
#define RESDIR_VERDICTS "verdicts.ndjson"
#define RESDIR_ATTESTATIONS "attestations.ndjson"
#define RESDIR_RESULTS "results.ndjson"
#define RESDIR_INPUTS "inputs"
#define RESDIR_EVIDENCE "evidence"
#define RESDIR_PARTIAL ".partial"

/* "stdout", or "files/" and 1 to 4 parts of [A-Za-z0-9._-]{1,100}, none beginning with a dot. */
bool resdir_name_ok(const char *name);

char *resdir_path(const char *dir, const char *name) MUST_USE;
char *resdir_task_path(const char *dir, int64_t index, const char *name) MUST_USE;
char *resdir_input_path(const char *dir, const struct digest *d) MUST_USE;

/* Whether the file at `path` is a plain file with exactly these bytes. When not, `e` says why:
 * ERR_NOT_FOUND when there is none. */
int resdir_file_is(const char *path, const struct digest *d, struct err *e);
/* The same, and the file itself to read from its begin: whoever made the folder may put another in its place meanwhile. Yours
 * to close; -1 with `e`. */
int resdir_open_if(const char *path, const struct digest *d, struct err *e);

/* A file of at most `max` bytes; the text is yours. A link, a pipe or a device is refused before a byte of it is read, and
 * so is what says that it is larger. */
int resdir_read(char **text, size_t *n, const char *path, size_t max, struct err *e);
/* A file to read as resdir_read() does, but bit by bit: plain, and at most 4 GiB. NULL with `e`. Yours to fclose(). */
FILE *resdir_open(const char *path, struct err *e);
/* The next line into `line` (RESDIR_LINE_MAX + 1 bytes), its newline cut off and a NUL behind it; its length in *n. 1: there
 * is one; 0: there are no more; -1 with `e`: it is too long, does not end, or cannot be read. */
int resdir_next_line(FILE *f, char *line, size_t *n, struct err *e);
/* Call fn for each line (without its newline), numbered from 1. The text must end in a newline. One line is in memory at a
 * time. -1 when a line is too long or does not end, or the file cannot be read. */
typedef void resdir_line_fn(void *arg, const char *line, size_t n, size_t number);
int resdir_lines(const char *dir, const char *name, resdir_line_fn *fn, void *arg, struct err *e);
/* A file of one line of at most MSG_LINE_MAX bytes; the line is yours, without the newline. */
int resdir_one_line(const char *dir, const char *name, char **line, size_t *n, struct err *e);

#endif
