/* SPDX-License-Identifier: Apache-2.0
 *
 * tarball.c: a tar archive, read by libarchive.
 *
 * Of libarchive it takes the tar reader and four decompressors, and nothing that touches a disk. Warnings
 * are refusals, but for one: names are bytes here, and that they are not text of some locale is no matter.
 * Its error texts may quote a stranger's bytes, so they are cleaned.
 */
#include "image/tarball.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct tarball {
	struct archive *a;
	const char *what;
	int fd;
	int64_t at, size; /* in the file; the file's, -1 when it is not known */
	int64_t most;
	int64_t filled;   /* bytes of the entry given so far */
	int64_t declared; /* bytes the entry says it has */
	bool sparse, had_end, begun;
	char block[65536];
};

/* --- what libarchive asks of us ---------------------------------------------------------------------- */

static la_ssize_t give_bytes(struct archive *a, void *self, const void **bytes)
{
	struct tarball *t = self;
	ssize_t n;

	do {
		n = read(t->fd, t->block, sizeof(t->block));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		archive_set_error(a, errno, "reading failed");
	*bytes = t->block;
	t->at += n > 0 ? n : 0;
	return n;
}

/* Never past the end of the file, where a cut would not be seen. */
static la_int64_t skip_bytes(struct archive *a, void *self, la_int64_t n)
{
	struct tarball *t = self;
	int64_t most = t->size > t->at ? t->size - t->at : 0;

	(void)a;
	if (n > most)
		n = most;
	if (n <= 0 || lseek(t->fd, n, SEEK_CUR) < 0)
		return 0;
	t->at += n;
	return n;
}

/* --- what it tells us ------------------------------------------------------------------------------- */

static int fail(struct tarball *t, const char *path, struct err *e)
{
	char text[200];
	const char *said = archive_error_string(t->a);

	snprintf(text, sizeof(text), "%s", said ? said : "it cannot be read");
	for (char *p = text; *p; p++) {
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	}
	if (path)
		return err_set(
			e, ERR_MALFORMED, "%s: entry %s: %s", t->what, name_shown(path), text);
	return err_set(e, ERR_MALFORMED, "%s: %s", t->what, text);
}

static bool only_about_letters(struct tarball *t)
{
	const char *said = archive_error_string(t->a);

	return said && strstr(said, "can't be converted");
}

static int check_filters(struct tarball *t, struct err *e)
{
	if (archive_filter_count(t->a) > 2)
		return err_set(e, ERR_REFUSED, "%s: is compressed more than once", t->what);
	return 0;
}

struct tarball *tarball_open(int fd, const char *what, int64_t most_bytes, struct err *e)
{
	struct tarball *t;
	struct stat s;

	if (lseek(fd, 0, SEEK_SET) < 0 || fstat(fd, &s)) {
		err_sys(e, "%s: must be a file, not a pipe", what);
		return NULL;
	}
	t = xcalloc(1, sizeof(*t));
	t->a = archive_read_new();
	t->fd = fd;
	t->what = what;
	t->size = s.st_size;
	t->most = most_bytes;
	if (!t->a || archive_read_support_format_tar(t->a) ||
		archive_read_support_filter_gzip(t->a) || archive_read_support_filter_zstd(t->a) ||
		archive_read_support_filter_xz(t->a) || archive_read_support_filter_bzip2(t->a) ||
		archive_read_open2(t->a, t, NULL, give_bytes, skip_bytes, NULL)) {
		fail(t, NULL, e);
		tarball_close(t);
		return NULL;
	}
	if (check_filters(t, e)) {
		tarball_close(t);
		return NULL;
	}
	return t;
}

void tarball_close(struct tarball *t)
{
	if (!t)
		return;
	archive_read_free(t->a);
	free(t);
}

static int check_bytes(struct tarball *t, struct err *e)
{
	if (archive_filter_bytes(t->a, 0) <= t->most + TARBALL_SLACK)
		return 0;
	return err_set(e, ERR_TOO_BIG,
		"%s: unpacks to more than %lld MiB (--max-mib) and their headers", t->what,
		(long long)(t->most / MIB));
}

/* A sparse entry may tell a small size and bring much. */
static int pass_sparse(struct tarball *t, struct err *e)
{
	const void *bytes;
	la_int64_t at;
	size_t n;
	int r;

	while ((r = archive_read_data_block(t->a, &bytes, &n, &at)) == ARCHIVE_OK) {
		if (check_bytes(t, e))
			return -1;
	}
	return r == ARCHIVE_EOF ? 0 : fail(t, NULL, e);
}

static int pass_contents(struct tarball *t, struct err *e)
{
	if (!t->begun)
		return 0;
	if (t->sparse && pass_sparse(t, e))
		return -1;
	return archive_read_data_skip(t->a) < ARCHIVE_OK ? fail(t, NULL, e) : check_bytes(t, e);
}

static enum merge_kind kind_of(struct archive_entry *entry)
{
	if (archive_entry_hardlink(entry))
		return MERGE_NAME;
	switch (archive_entry_filetype(entry)) {
	case AE_IFREG:
		return MERGE_FILE;
	case AE_IFDIR:
		return MERGE_FOLDER;
	case AE_IFLNK:
		return MERGE_LINK;
	case AE_IFCHR:
	case AE_IFBLK:
		return MERGE_DEVICE;
	case AE_IFIFO:
		return MERGE_FIFO;
	case AE_IFSOCK:
		return MERGE_SOCKET;
	default:
		return MERGE_OTHER;
	}
}

static int64_t mtime_of(struct archive_entry *entry)
{
	int64_t s = archive_entry_mtime_is_set(entry) ? archive_entry_mtime(entry) : 0;

	return s < 0 ? 0 : s > TREE_MTIME_MAX ? TREE_MTIME_MAX : s;
}

static int describe(
	struct tarball *t, struct archive_entry *entry, struct merge_entry *out, struct err *e)
{
	const char *text;

	out->path = archive_entry_pathname(entry);
	if (!out->path)
		return err_set(e, ERR_MALFORMED, "%s: an entry has no name", t->what);
	out->kind = kind_of(entry);
	out->mode = archive_entry_mode(entry) & 07777;
	out->mtime_s = mtime_of(entry);
	out->size = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;
	text = out->kind == MERGE_NAME   ? archive_entry_hardlink(entry)
	       : out->kind == MERGE_LINK ? archive_entry_symlink(entry)
	                                 : "";
	out->text = text ? text : "";
	if (out->size < 0 || out->size > t->most)
		return err_set(e, ERR_TOO_BIG,
			"%s: entry %s: its %lld bytes are more than %lld MiB (--max-mib)", t->what,
			name_shown(out->path), (long long)out->size, (long long)(t->most / MIB));
	t->sparse = archive_entry_sparse_count(entry) > 0;
	t->declared = out->size;
	t->filled = 0;
	t->begun = true;
	return 1;
}

int tarball_next(struct tarball *t, struct merge_entry *out, struct err *e)
{
	struct archive_entry *entry = NULL;
	int64_t before;
	int r;

	if (pass_contents(t, e))
		return -1;
	before = archive_filter_bytes(t->a, 0);
	r = archive_read_next_header(t->a, &entry);
	if (r == ARCHIVE_EOF) {
		t->had_end = archive_filter_bytes(t->a, 0) > before;
		return 0;
	}
	if (r < ARCHIVE_WARN || !entry)
		return fail(t, NULL, e);
	if (r == ARCHIVE_WARN && !only_about_letters(t))
		return fail(t, archive_entry_pathname(entry), e);
	return check_bytes(t, e) ? -1 : describe(t, entry, out, e);
}

ssize_t tarball_read(struct tarball *t, void *into, size_t n, struct err *e)
{
	la_ssize_t got;

	if (t->filled == t->declared)
		return 0;
	if ((int64_t)n > t->declared - t->filled)
		n = (size_t)(t->declared - t->filled);
	got = archive_read_data(t->a, into, n);
	if (got < 0)
		return fail(t, NULL, e);
	if (got == 0)
		return err_set(
			e, ERR_MALFORMED, "%s: a file ends before its size is reached", t->what);
	t->filled += got;
	return check_bytes(t, e) ? -1 : got;
}

bool tarball_had_end(const struct tarball *t)
{
	return t->had_end;
}
