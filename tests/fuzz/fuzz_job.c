/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_job.c: a signed manifest, an empty line, and a list: the job read and some of its tasks
 * unfolded. The input is also looked at as an executable and its first line as a path under the
 * job's globs.
 */
#include "jobs/job.h"
#include "tests/fuzz/fuzz.h"

static int visit(void *arg, const struct blob *b, const char *what)
{
	assert(b->size >= 0 && *what);
	++*(int *)arg;
	return 0;
}

static void unfold(const struct job *job, const char *list, size_t n)
{
	const int64_t indices[] = { 0, 1, job->count / 2, job->count - 1, job->count, -1 };
	struct job_task t;
	struct err e;
	int seen = 0;

	for (size_t i = 0; i < ARRAY_LEN(indices); i++) {
		if (job_task(&t, job, indices[i], list, n, &e)) {
			assert(e.code != ERR_NONE && !t.argv);
			continue;
		}
		size_t args = 0;
		while (t.argv[args])
			args++;
		assert(args == job->n_args + 1);
		job_task_release(&t);
		job_seed(job, indices[i]);
	}
	job_each_blob(job, visit, &seen);
	if (job->tasks == TASKS_LIST)
		job_each_list_blob(job, list, n, visit, &seen, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_buf struct buf b = fuzz_fill(data, n);
	const char *gap = strstr(b.data, "\n\n");
	size_t head = gap ? (size_t)(gap - b.data) : b.len;
	auto_free char *path = xmemdup(b.data, head < 512 ? head : 512);
	char platform[40];
	struct job job;
	struct msg m;
	struct err e;

	elf_look(data, n, platform);
	if (!fuzz_open(&m, false, b.data, head))
		return 0;
	if (!job_read(&job, &m, &e)) {
		unfold(&job, gap ? gap + 2 : "", gap ? b.len - head - 2 : 0);
		job_declares(&job, path);
		job_declares(&job, job.n_args ? job.args[0] : "a/b.txt");
		job_release(&job);
	} else {
		assert(e.code == ERR_FIELD || e.code == ERR_REFUSED || e.code == ERR_TOO_BIG);
	}
	msg_release(&m);
	return 0;
}
