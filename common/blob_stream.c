/* SPDX-License-Identifier: Apache-2.0
 *
 * blob_stream.c: a blob that comes front to end.
 *
 * A partial file belongs to one writer at a time (flock), so a second process with the same tag is refused rather than
 * mixed in.
 */
#include "common/blob_in.h"
#include "common/buf.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PART 65536 /* bytes read at once */

struct blob_in {
	struct blobs *store;
	char *path;
	int fd;
	bool expects;
	struct digest expect;
	int64_t size; /* -1: any */
	int64_t offset, unread; /* bytes held; of these, at their end, not hashed yet */
	struct hasher *hash;
	struct layer *layer;
};

static bool tag_ok(const char *tag)
{
	size_t n = strlen(tag);

	return n > 0 && n <= BLOB_TAG_MAX && tag[0] != '.' &&
	       strspn(tag, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
	               n;
}

static void in_free(struct blob_in *in)
{
	if (in->fd >= 0)
		close(in->fd);
	hasher_free(in->hash);
	layer_free(in->layer);
	free(in->path);
	free(in);
}

/* What an earlier writer left counts from here on, and is to be hashed. */
static int resume(struct blob_in *in, struct err *e)
{
	struct stat st;

	if (fstat(in->fd, &st))
		return err_sys(e, "looking at %s", in->path);
	if (in->size >= 0 && st.st_size > in->size) {
		blobs_forget(in->store, st.st_size);
		if (ftruncate(in->fd, 0))
			return err_sys(e, "restarting %s", in->path);
		st.st_size = 0;
	}
	in->offset = in->unread = st.st_size;
	return 0;
}

int blob_in_read(struct blob_in *in, int64_t max, struct err *e)
{
	auto_free char *part = xmalloc(PART);

	while (in->unread > 0 && max > 0) {
		size_t want = (size_t)(in->unread < (int64_t)PART ? in->unread : (int64_t)PART);
		ssize_t got = read(in->fd, part, want);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "reading %s", in->path);
		if (got == 0)
			return err_set(e, ERR_SYSTEM, "%s became shorter", in->path);
		hasher_add(in->hash, part, (size_t)got);
		layer_add(in->layer, part, (size_t)got);
		in->unread -= got;
		max -= got;
	}
	return 0;
}

int64_t blob_in_unread(const struct blob_in *in)
{
	return in->unread;
}

int64_t blob_in_left(const struct blobs *s, const char *tag)
{
	auto_free char *path = xprintf("%s/partial/%s", s->dir, tag);
	struct stat st;

	return tag_ok(tag) && !lstat(path, &st) && S_ISREG(st.st_mode) ? st.st_size : 0;
}

int partial_own(const char *path, int *fd, struct err *e)
{
	auto_close int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat mine, there;

	if (file < 0 && errno == EACCES &&
		!chmod(path, 0600)) /* a crash came between 0444 and its name */
		file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (file < 0)
		return err_sys(e, "creating %s", path);
	if (flock(file, LOCK_EX | LOCK_NB))
		return err_set(e, ERR_CONFLICT, "somebody else is writing %s", path);
	if (fstat(file, &mine))
		return err_sys(e, "looking at %s", path);
	if (lstat(path, &there) || there.st_ino != mine.st_ino || there.st_dev != mine.st_dev)
		return err_set(e, ERR_CONFLICT, "somebody else has just finished %s", path);
	*fd = file;
	file = -1;
	return 0;
}

int blob_in_reopen(struct blob_in **out, struct blobs *s, const char *tag,
	const struct digest *expect, int64_t size, struct err *e)
{
	if (!tag_ok(tag))
		return err_set(e, ERR_INTERNAL, "\"%s\" is no name for an upload", tag);
	if (size > BLOB_SIZE_MAX)
		return err_set(e, ERR_TOO_BIG, "a blob of %lld bytes; at most %lld are taken",
			(long long)size, (long long)BLOB_SIZE_MAX);
	struct blob_in *in = xcalloc(1, sizeof(*in));
	in->store = s;
	in->size = size;
	in->path = xprintf("%s/partial/%s", s->dir, tag);
	in->hash = hasher_new();
	in->layer = layer_new(0);
	in->expects = expect != NULL;
	if (expect)
		in->expect = *expect;
	in->fd = -1;
	if (!partial_own(in->path, &in->fd, e)) {
		if (!resume(in, e) && !(size > 0 && blobs_fit(s, size - in->offset, e))) {
			*out = in;
			return 0;
		}
		if (in->offset == 0)
			unlink(in->path);
	}
	in_free(in);
	return -1;
}

int blob_in_start(struct blob_in **out, struct blobs *s, const char *tag,
	const struct digest *expect, int64_t size, struct err *e)
{
	if (blob_in_reopen(out, s, tag, expect, size, e))
		return -1;
	if (!blob_in_read(*out, INT64_MAX, e))
		return 0;
	in_free(TAKE(*out));
	return -1;
}

int64_t blob_in_offset(const struct blob_in *in)
{
	return in->offset;
}

int blob_in_add(struct blob_in *in, const void *bytes, size_t n, struct err *e)
{
	int64_t max = in->size >= 0 ? in->size : BLOB_SIZE_MAX;

	assert(!in->unread);
	if ((int64_t)n > max - in->offset)
		return err_set(e, ERR_TOO_BIG, "more bytes than the %lld that were announced",
			(long long)max);
	if (blobs_fit(in->store, (int64_t)n, e))
		return -1;
	if (fd_write_all(in->fd, bytes, n, e)) {
		/* what was written in part must not stay between us and the digest */
		if (ftruncate(in->fd, in->offset) || lseek(in->fd, in->offset, SEEK_SET) < 0)
			e->code = ERR_SYSTEM;
		return err_wrap(e, "the blob store");
	}
	hasher_add(in->hash, bytes, n);
	layer_add(in->layer, bytes, n);
	in->offset += (int64_t)n;
	in->store->bytes += (int64_t)n;
	return 0;
}

static int sync_dir(const char *path, struct err *e)
{
	auto_free char *dir = xstrdup(path);

	*strrchr(dir, '/') = '\0';
	auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) ? err_sys(e, "syncing %s", dir) : 0;
}

int partial_name(struct blobs *s, int fd, const char *partial, int64_t size, const struct digest *d,
	struct err *e)
{
	auto_free char *path = blob_path(s, d);
	auto_free char *dir = xstrdup(path);
	int64_t had = blob_size(s, d);
	struct stat st;

	*strrchr(dir, '/') = '\0';
	int made = mkdir(dir, 0700);
	if ((made && errno != EEXIST && err_sys(e, "making %s", dir)) ||
		(!made && sync_dir(dir, e)))
		return -1;
	if (fchmod(fd, 0444) || fsync(fd) || fstat(fd, &st))
		return err_sys(e, "syncing %s", partial);
	if (st.st_size != size)
		return err_set(e, ERR_SYSTEM, "%s has %lld bytes, not the %lld that were hashed",
			partial, (long long)st.st_size, (long long)size);
	if (rename(partial, path))
		return err_sys(e, "naming blob");
	if (had >= 0)
		blobs_forget(s, had);
	if (sync_dir(path, e)) {
		unlink(path);
		return -1;
	}
	blobs_remember(s, d, &st);
	return 0;
}

int blob_in_finish(struct blob_in *in, struct blob *b, struct err *e)
{
	int64_t size = in->offset;

	assert(!in->unread);
	if (in->size >= 0 && size != in->size) {
		err_set(e, ERR_DIGEST, "%lld bytes came, %lld were announced", (long long)size,
			(long long)in->size);
		blob_in_drop(in);
		return -1;
	}
	struct digest d = hasher_end(in->hash), root;
	if (in->expects && !digest_equal(&d, &in->expect)) {
		char text[DIGEST_TEXT + 1];

		digest_text(text, &d);
		err_set(e, ERR_DIGEST, "the bytes are %s, not what was announced", text);
		blob_in_drop(in);
		return -1;
	}
	blob_layer_end(in->store, &d, in->layer, &root);
	if (partial_name(in->store, in->fd, in->path, size, &d, e)) {
		blob_in_drop(in);
		return -1;
	}
	if (b)
		*b = (struct blob){ .digest = d, .root = root, .size = size };
	in_free(in);
	return 0;
}

void blob_in_leave(struct blob_in *in)
{
	in_free(in);
}

void blob_in_drop(struct blob_in *in)
{
	unlink(in->path);
	blobs_forget(in->store, in->offset);
	in_free(in);
}

/* A tag nobody else has. */
static void fresh_tag(char tag[40])
{
	snprintf(tag, 40, "put-%016llx", (unsigned long long)random_seed());
}

int blob_put_fd(struct blobs *s, int fd, struct blob *b, struct err *e)
{
	struct blob_in *in;
	char tag[40];
	auto_free char *part = xmalloc(PART);
	ssize_t got;

	fresh_tag(tag);
	if (blob_in_start(&in, s, tag, NULL, -1, e))
		return -1;
	while ((got = read(fd, part, PART)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 ? err_sys(e, "reading") : blob_in_add(in, part, (size_t)got, e)) {
			blob_in_drop(in);
			return -1;
		}
	}
	return blob_in_finish(in, b, e);
}

int blob_put(struct blobs *s, const void *bytes, size_t n, struct blob *b, struct err *e)
{
	struct blob_in *in;
	char tag[40];

	fresh_tag(tag);
	if (blob_in_start(&in, s, tag, NULL, (int64_t)n, e))
		return -1;
	if (blob_in_add(in, bytes, n, e)) {
		blob_in_drop(in);
		return -1;
	}
	return blob_in_finish(in, b, e);
}
