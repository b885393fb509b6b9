/* SPDX-License-Identifier: Apache-2.0
 *
 * feed.c: see feed.h.
 */
#include "worker/feed.h"
#include "common/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <unistd.h>

static char *joined_path(const char *dir, const struct job_file *f)
{
	return xprintf("%s/in/%s", dir, f->name);
}

char *feed_path(const struct inputs *in, const struct job *job, size_t file,
	const struct blobs *blobs, const char *dir)
{
	size_t n;
	const struct inputs_part *p = inputs_of(in, file, &n);

	return n == 1 ? blob_path(blobs, &p->blob.digest) : joined_path(dir, &job->files[file]);
}

static int add_part(int out, struct blobs *blobs, const struct blob *b, struct err *e)
{
	auto_close int fd = -1;
	int64_t left;
	ssize_t n = 1;

	if (blob_open(blobs, &b->digest, &fd, &left, e))
		return -1;
	while (left > 0 && n > 0) {
		n = sendfile(out, fd, NULL, (size_t)left);
		left -= n > 0 ? n : 0;
	}
	return n < 0 ? err_sys(e, "joining the parts of an input") : 0;
}

static int join(const struct inputs_part *parts, size_t n, struct blobs *blobs, const char *path,
	struct err *e)
{
	auto_close int out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (out < 0)
		return err_sys(e, "making %s", path);
	for (size_t i = 0; i < n; i++)
		if (add_part(out, blobs, &parts[i].blob, e))
			return -1;
	return 0;
}

int feed_make(const struct inputs *in, const struct job *job, struct blobs *blobs, const char *dir,
	struct err *e)
{
	auto_free char *folder = xprintf("%s/in", dir);

	if (in->n && make_dirs(folder, 0700, e))
		return -1;
	for (size_t i = 0; i < job->n_files; i++) {
		auto_free char *path = joined_path(dir, &job->files[i]);
		size_t n;
		const struct inputs_part *p = inputs_of(in, i, &n);

		if (job->files[i].from && n != 1 && join(p, n, blobs, path, e))
			return -1;
	}
	return 0;
}
