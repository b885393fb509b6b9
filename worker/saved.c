/* SPDX-License-Identifier: Apache-2.0
 *
 * saved.c: checkpoints of tasks that were stopped before their end.
 */
#include "worker/saved.h"

#include "common/buf.h"
#include "common/codec.h"
#include "common/log.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK "task"
#define MARK_MAX 128

static char *path_of(const struct saved *s, const struct digest *job, int64_t index)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, job);
	return xprintf("%s/%s-%lld", s->dir, hex, (long long)index);
}

int saved_open(struct saved *s, const char *dir, int64_t max_bytes, struct err *e)
{
	*s = (struct saved){ .dir = xstrdup(dir), .max_bytes = max_bytes };
	return make_dirs(dir, 0700, e);
}

void saved_close(struct saved *s)
{
	free(TAKE(s->dir));
}

char *saved_path(const struct saved *s, const struct digest *job, int64_t index)
{
	char *path = path_of(s, job, index);

	if (!access(path, R_OK))
		return path;
	free(path);
	return NULL;
}

void saved_drop(const struct saved *s, const struct digest *job, int64_t index)
{
	auto_free char *path = path_of(s, job, index);

	if (unlink(path) && errno != ENOENT)
		log_warn("removing %s: %s", path, strerror(errno));
}

/* --- room for new ones --------------------------------------------------------------------------------------- */

struct kept {
	char *path;
	struct timespec when;
	int64_t bytes;
};

static int older_first(const void *a, const void *b)
{
	const struct timespec *x = &((const struct kept *)a)->when, *y = &((const struct kept *)b)->when;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? -1 : 1;
	return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

static size_t list(struct kept **all, const struct saved *s)
{
	DIR *d = opendir(s->dir);
	size_t n = 0, room = 0;
	struct dirent *entry;

	*all = NULL;
	while (d && (entry = readdir(d))) {
		auto_free char *path = xprintf("%s/%s", s->dir, entry->d_name);
		struct stat st;

		if (lstat(path, &st) || !S_ISREG(st.st_mode))
			continue;
		array_room(all, &room, n, sizeof(**all));
		(*all)[n++] = (struct kept){ TAKE(path), st.st_mtim, st.st_size };
	}
	if (d)
		closedir(d);
	return n;
}

static void trim(const struct saved *s)
{
	struct kept *all;
	size_t n = list(&all, s), left = n;
	int64_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += all[i].bytes;
	if (n)
		qsort(all, n, sizeof(*all), older_first);
	for (size_t i = 0; i < n; i++) {
		if ((left > SAVED_MAX || bytes > s->max_bytes) && !unlink(all[i].path)) {
			bytes -= all[i].bytes;
			left--;
		}
		free(all[i].path);
	}
	free(all);
}

/* --- keeping -------------------------------------------------------------------------------------------------- */

/* Only a regular file: the box copies nothing else, but another program may be named by --sandbox. */
static bool move_here(const char *to, const char *out, const char *name)
{
	auto_free char *from = xprintf("%s/%s", out, name);
	struct stat st;

	return !lstat(from, &st) && S_ISREG(st.st_mode) && !rename(from, to);
}

void saved_keep(const struct saved *s, const struct digest *job, int64_t index, const char *out)
{
	auto_free char *to = path_of(s, job, index);

	if (!move_here(to, out, "checkpoint") && !move_here(to, out, ".checkpoint"))
		return;
	log_info("task %lld: its checkpoint is kept", (long long)index);
	trim(s);
}

int saved_mark(const char *task_dir, const struct digest *job, int64_t index, struct err *e)
{
	auto_free char *path = xprintf("%s/" MARK, task_dir);
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, job);
	auto_free char *text = xprintf("%s %lld\n", hex, (long long)index);
	return file_write_atomic(path, text, strlen(text), 0600, e);
}

static void rescue(const struct saved *s, const char *task_dir)
{
	auto_free char *mark = xprintf("%s/" MARK, task_dir), *out = xprintf("%s/out", task_dir);
	auto_free char *text = NULL;
	struct digest job;
	struct err e;
	int64_t index;
	size_t n;

	if (file_read(&text, &n, mark, MARK_MAX, &e) || n <= DIGEST_HEX + 1 || text[n - 1] != '\n')
		return;
	text[n - 1] = text[DIGEST_HEX] = '\0';
	if (digest_from_hex(&job, text) && int_parse(&index, text + DIGEST_HEX + 1, 0, INT64_MAX))
		saved_keep(s, &job, index, out);
}

void saved_rescue(const struct saved *s, const char *tasks)
{
	DIR *d = opendir(tasks);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		auto_free char *dir = xprintf("%s/%s", tasks, entry->d_name);

		if (entry->d_name[0] != '.')
			rescue(s, dir);
	}
	if (d)
		closedir(d);
}
