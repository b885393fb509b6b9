/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_tasks.c: a --lines file (first byte 'l'), a --table (first byte 't') or a --param a line: the
 * tasks that the command line makes of it are tasks to whoever reads the job.
 */
#include "jobs/job.h"
#include "jobs/param.h"
#include "jobs/tasks.h"
#include "tests/fuzz/fuzz.h"

#define UNFOLDED 20
#define TASKS_TRIED 4000

static const char *file_of(const uint8_t *data, size_t n)
{
	static char path[32];
	static int fd = -1;
	struct err e;

	if (fd < 0)
		fd = (int)memfd_create("tasks", 0);
	int bad = ftruncate(fd, 0) || lseek(fd, 0, SEEK_SET) || fd_write_all(fd, data, n, &e);
	assert(!bad);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return path;
}

static int visit(void *arg, const struct blob *b, const char *what)
{
	(void)arg, (void)b, (void)what;
	return 0;
}

/* All words that the tasks may use, as one argument. */
static void unfold(const struct task_set *t, const struct uploads *up)
{
	const char *list = up->n ? up->at[0].text : "";
	size_t n = up->n ? (size_t)up->at[0].blob.size : 0;
	auto_buf struct buf arg = { 0 };
	struct job_task task;
	struct err e;

	for (size_t i = 0; i < t->n_words && i < 8; i++)
		buf_printf(&arg, "{%s}", t->words[i]);
	char *args[] = { arg.data };
	struct job job = { .tasks = TASKS_LIST, .count = t->count, .args = args, .n_args = 1 };
	int bad = task_set_check_arg(t, arg.data, &e);
	assert(!bad);
	if (!json_object_get(t->tasks, "list"))
		return;
	bad = job_each_list_blob(&job, list, n, visit, NULL, &e);
	assert(!bad);
	for (int64_t i = 0; i < t->count && i < UNFOLDED; i++) {
		bad = job_task(&task, &job, i, list, n, &e);
		assert(!bad || !strncmp(e.field, "args[", 5)); /* too long when put together */
		if (!bad)
			job_task_release(&task);
	}
}

/* A million tasks are allowed, and take longer than a fuzzer waits. */
static bool too_many(const struct texts *params)
{
	struct param p;
	struct err e;
	size_t count = 1;

	for (size_t i = 0; i < params->n; i++) {
		if (param_parse(&p, params->at[i], TASKS_TRIED, &e))
			return strstr(e.msg, "more than") != NULL;
		count *= p.n;
		param_release(&p);
		if (count > TASKS_TRIED)
			return true;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_free char *copy = xmemdup(data, n);
	struct task_options o = { 0 };
	struct uploads up = { 0 };
	struct task_set t;
	struct texts all = { 0 };
	struct err e;
	const char *lines[JOB_PARAMS_MAX + 1];

	if (n && *data == 'l') {
		o.lines = file_of(data + 1, n - 1);
	} else if (n && *data == 't') {
		o.table = file_of(data + 1, n - 1);
	} else {
		char *rest = copy, *line;

		while (all.n < ARRAY_LEN(lines) && (line = strsep(&rest, "\n")))
			lines[all.n++] = line;
		all.at = lines;
		o.params = all;
		if (too_many(&all))
			return 0;
	}
	if (task_set_make(&t, &up, &o, &e)) {
		assert(e.code == ERR_USAGE && e.msg[0] && !t.tasks && !t.words);
	} else {
		assert(t.tasks && t.count >= 1 && t.count <= JOB_TASKS_MAX && t.n_words >= 1);
		unfold(&t, &up);
		task_set_release(&t);
	}
	uploads_release(&up);
	return 0;
}
