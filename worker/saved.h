/* SPDX-License-Identifier: Apache-2.0
 *
 * saved.h: checkpoints of tasks that were stopped before their end: DIR/checkpoints/JOB-INDEX.
 *
 * They outlive the worker. The oldest make room for new ones: SAVED_MAX of them, and max_bytes together.
 */
#ifndef WORKER_SAVED_H
#define WORKER_SAVED_H

#include "common/digest.h"

#define SAVED_MAX 256

struct saved {
	char *dir;
	int64_t max_bytes;
};

int saved_open(struct saved *s, const char *dir, int64_t max_bytes, struct err *e);
void saved_close(struct saved *s);

/* The file with the task's checkpoint, or NULL: there is none. Yours. */
char *saved_path(const struct saved *s, const struct digest *job, int64_t index) MUST_USE;
/* Take over what a box left in its outputs' folder `out`: its checkpoint, else the last copy made while it ran. */
void saved_keep(const struct saved *s, const struct digest *job, int64_t index, const char *out);
void saved_drop(const struct saved *s, const struct digest *job, int64_t index);

/* Say whose the folder of a running task is, DIR/tasks/LEASE; and after a crash, keep what is in all those below `tasks`. */
int saved_mark(const char *task_dir, const struct digest *job, int64_t index, struct err *e);
void saved_rescue(const struct saved *s, const char *tasks);

#endif
