/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_list.c: a job's list blob: what job_each_list_blob() accepts, every task can be unfolded
 * from.
 */
#include "jobs/job.h"
#include "tests/fuzz/fuzz.h"

static int visit(void *arg, const struct blob *b, const char *what)
{
	(void)arg;
	assert(b->size >= 0 && *what);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *args[] = { (char[]){ "{name}" }, (char[]){ "{line}:{x}{y}{index}" } };
	struct job job = { .tasks = TASKS_LIST, .args = args, .n_args = 2, .is_retry = n % 2 };
	auto_buf struct buf b = fuzz_fill(data, n);
	struct job_task t;
	struct err e;

	for (const char *at = b.data; at < b.data + b.len; job.count++) {
		const char *stop = memchr(at, '\n', (size_t)(b.data + b.len - at));

		at = stop ? stop + 1 : b.data + b.len;
	}
	bool good = !job_each_list_blob(&job, b.data, b.len, visit, NULL, &e);
	for (int64_t i = 0; i < job.count && i < 20; i++) {
		int bad = job_task(&t, &job, i, b.data, b.len, &e);

		assert(!bad || !good || !strncmp(e.field, "args[", 5));
		if (!bad)
			job_task_release(&t);
	}
	return 0;
}
