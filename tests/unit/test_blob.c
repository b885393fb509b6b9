/* SPDX-License-Identifier: Apache-2.0
 *
 * test_blob.c: what is in the store has its digest, whatever came in between.
 */
#include "common/blob.h"
#include "tests/unit/vectors.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static char *dir;
static struct blobs *s;
static struct err e;
static const int64_t any = -1;

static int setup(void **state)
{
	(void)state;
	dir = fresh_folder();
	return blobs_open(&s, dir, 0, &e);
}

static int teardown(void **state)
{
	(void)state;
	blobs_close(s);
	drop_folder(dir);
	return 0;
}

/* Open the store anew, as another process or after a crash. */
static void reopen(int64_t quota)
{
	blobs_close(s);
	s = NULL;
	assert_int_equal(blobs_open(&s, dir, quota, &e), 0);
}

static int files_in(const char *sub)
{
	auto_free char *command = xprintf("find %s/%s -type f | wc -l", dir, sub);
	FILE *p = popen(command, "r");
	int n = -1;

	assert_int_equal(fscanf(p, "%d", &n), 1);
	pclose(p);
	return n;
}

static char *text_of(const struct digest *d)
{
	char *out;
	size_t n;

	return blob_read(s, d, &out, &n, 1 << 20, &e) ? NULL : out;
}

static void a_blob_round_trips(void **state)
{
	(void)state;
	static const size_t sizes[] = { 0, 1, 16383, 16384, 16385, 65536, 200000 };
	auto_free char *bytes = xmalloc(200000), *out = NULL;
	struct pieces *p = pieces_new();

	for (size_t i = 0; i < 200000; i++)
		bytes[i] = (char)(i * 31 + i / 251);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct digest d = digest_of(bytes, sizes[i]), root;
		struct blob b;
		size_t n;

		assert_int_equal(blob_size(s, &d), -1);
		assert_int_equal(blob_put(s, bytes, sizes[i], &b, &e), 0);
		pieces_add(p, bytes, sizes[i]);
		root = pieces_end(p);
		assert_true(digest_equal(&b.digest, &d));
		assert_true(digest_equal(&b.root, &root));
		assert_int_equal(b.size, sizes[i]);
		assert_int_equal(blob_size(s, &d), sizes[i]);
		assert_int_equal(blob_read(s, &d, &out, &n, sizes[i], &e), 0);
		assert_int_equal(n, sizes[i]);
		assert_memory_equal(out, bytes, n);
		free(TAKE(out));
		if (sizes[i]) {
			assert_int_equal(blob_read(s, &d, &out, &n, sizes[i] - 1, &e), -1);
			assert_int_equal(e.code, ERR_TOO_BIG);
		}
	}
	pieces_free(p);
	assert_int_equal(blobs_bytes(s), 0 + 1 + 16383 + 16384 + 16385 + 65536 + 200000);
	assert_int_equal(files_in("partial"), 0);
	reopen(0);
	assert_int_equal(blobs_bytes(s), 0 + 1 + 16383 + 16384 + 16385 + 65536 + 200000);
}

static void a_blob_is_read_only_in_its_shard(void **state)
{
	(void)state;
	struct blob b;
	struct stat st;
	char hex[DIGEST_HEX + 1];

	assert_int_equal(blob_put(s, "x", 1, &b, &e), 0);
	digest_hex(hex, &b.digest);
	auto_free char *path = blob_path(s, &b.digest);
	auto_free char *book = xprintf("%s/sha256/%.2s/%s", dir, hex, hex);
	assert_string_equal(path, book);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0444);
}

static void the_same_bytes_again_are_stored_and_counted_once(void **state)
{
	(void)state;
	struct blob a, b;

	assert_int_equal(blob_put(s, "same", 4, &a, &e), 0);
	assert_int_equal(blob_put(s, "same", 4, &b, &e), 0);
	assert_true(digest_equal(&a.digest, &b.digest));
	assert_int_equal(blobs_bytes(s), 4);
	assert_int_equal(files_in("sha256"), 1);
	assert_int_equal(blob_remove(s, &a.digest, &e), 0);
	assert_int_equal(blob_remove(s, &a.digest, &e), 0);
	assert_int_equal(blobs_bytes(s), 0);
	assert_int_equal(blob_size(s, &a.digest), -1);
}

static void wrong_bytes_leave_nothing(void **state)
{
	(void)state;
	struct digest expect = digest_of("right", 5), wrong = digest_of("wrong", 5);
	struct blob_in *in;

	assert_int_equal(blob_in_start(&in, s, "tag", &expect, 5, &e), 0);
	assert_int_equal(blob_in_add(in, "wrong", 5, &e), 0);
	assert_int_equal(blob_in_finish(in, NULL, &e), -1);
	assert_int_equal(e.code, ERR_DIGEST);
	assert_int_equal(blob_size(s, &expect), -1);
	assert_int_equal(blob_size(s, &wrong), -1);
	assert_int_equal(files_in("."), 0);
	assert_int_equal(blobs_bytes(s), 0);
	/* too few, and too many */
	assert_int_equal(blob_in_start(&in, s, "tag", &expect, 5, &e), 0);
	assert_int_equal(blob_in_add(in, "righ", 4, &e), 0);
	assert_int_equal(blob_in_finish(in, NULL, &e), -1);
	assert_int_equal(e.code, ERR_DIGEST);
	assert_int_equal(blob_in_start(&in, s, "tag", &expect, 5, &e), 0);
	assert_int_equal(blob_in_add(in, "right!", 6, &e), -1);
	assert_int_equal(e.code, ERR_TOO_BIG);
	assert_int_equal(blob_in_add(in, "right", 5, &e), 0);
	assert_int_equal(blob_in_finish(in, NULL, &e), 0);
	assert_int_equal(blob_size(s, &expect), 5);
}

static void an_upload_resumes_where_it_was_left(void **state)
{
	(void)state;
	struct digest d = digest_of("abcdef", 6);
	struct blob_in *in;
	struct blob b;

	assert_int_equal(blob_in_start(&in, s, "tag", &d, 6, &e), 0);
	assert_int_equal(blob_in_add(in, "abc", 3, &e), 0);
	blob_in_leave(in);
	assert_int_equal(blobs_bytes(s), 3);
	reopen(0);
	assert_int_equal(blobs_bytes(s), 3);
	assert_int_equal(blob_in_start(&in, s, "tag", &d, 6, &e), 0);
	assert_int_equal(blob_in_offset(in), 3);
	assert_int_equal(blob_in_add(in, "def", 3, &e), 0);
	assert_int_equal(blob_in_finish(in, &b, &e), 0);
	assert_true(digest_equal(&b.digest, &d));
	assert_int_equal(blobs_bytes(s), 6);
	auto_free char *text = text_of(&d);
	assert_string_equal(text, "abcdef");
	/* more than can be: it begins anew */
	assert_int_equal(blob_in_start(&in, s, "tag", NULL, any, &e), 0);
	assert_int_equal(blob_in_add(in, "longer", 6, &e), 0);
	blob_in_leave(in);
	assert_int_equal(blob_in_start(&in, s, "tag", NULL, 3, &e), 0);
	assert_int_equal(blob_in_offset(in), 0);
	assert_int_equal(blob_in_add(in, "xyz", 3, &e), 0);
	assert_int_equal(blob_in_finish(in, &b, &e), 0);
	struct digest xyz = digest_of("xyz", 3);
	assert_true(digest_equal(&b.digest, &xyz));
	assert_int_equal(blobs_bytes(s), 9);
}

static void one_tag_has_one_writer(void **state)
{
	(void)state;
	struct blob_in *in, *other;

	assert_int_equal(blob_in_start(&in, s, "tag", NULL, any, &e), 0);
	assert_int_equal(blob_in_start(&other, s, "tag", NULL, any, &e), -1);
	assert_int_equal(e.code, ERR_CONFLICT);
	assert_int_equal(blob_in_start(&other, s, "tag2", NULL, any, &e), 0);
	blob_in_drop(other);
	blob_in_drop(in);
	assert_int_equal(files_in("partial"), 0);
	assert_int_equal(blob_in_start(&in, s, "tag", NULL, any, &e), 0);
	blob_in_drop(in);
}

/* What happens between the open and the lock of a partial file: blob.c's flock() is this one. */
static const char *named_from, *named_to;

int flock(int fd, int how)
{
	if (named_from)
		assert_int_equal(rename(named_from, named_to), 0);
	named_from = NULL;
	return (int)syscall(SYS_flock, fd, how);
}

static void a_partial_file_that_was_just_named_is_not_taken_over(void **state)
{
	(void)state;
	auto_free char *partial = xprintf("%s/partial/tag", dir);
	struct blob_in *in;
	struct blob b;

	/* its last writer gives it its name after we have opened it and before we have locked it */
	assert_int_equal(blob_put(s, "verified", 8, &b, &e), 0);
	auto_free char *path = blob_path(s, &b.digest);
	assert_int_equal(file_write_atomic(partial, "verified", 8, 0600, &e), 0);
	named_from = partial;
	named_to = path;
	assert_int_equal(
		blob_in_start(&in, s, "tag", NULL, 3, &e), -1); /* would cut it to nothing */
	assert_int_equal(e.code, ERR_CONFLICT);
	auto_free char *text = text_of(&b.digest);
	assert_string_equal(text, "verified");
	assert_int_equal(
		blob_in_start(&in, s, "tag", NULL, 3, &e), 0); /* the next try is a fresh one */
	assert_int_equal(blob_in_offset(in), 0);
	blob_in_drop(in);
}

static void a_crash_before_the_name_does_not_lock_the_owner_out(void **state)
{
	(void)state;
	auto_free char *partial = xprintf("%s/partial/tag", dir);
	struct digest d = digest_of("abc", 3);
	struct blob_in *in;

	assert_int_equal(file_write_atomic(partial, "abc", 3, 0444, &e), 0);
	reopen(0);
	assert_int_equal(blob_in_start(&in, s, "tag", &d, 3, &e), 0);
	assert_int_equal(blob_in_offset(in), 3);
	assert_int_equal(blob_in_finish(in, NULL, &e), 0);
	assert_int_equal(blob_size(s, &d), 3);
	assert_int_equal(blobs_bytes(s), 3);
}

static void two_processes_may_write_the_same_blob_at_once(void **state)
{
	(void)state;
	auto_free char *bytes = xmalloc(300000);
	struct digest d;

	memset(bytes, 'z', 300000);
	d = digest_of(bytes, 300000);
	for (int i = 0; i < 8; i++)
		if (fork() == 0) {
			struct blobs *mine;
			struct err why;
			struct blob b;
			bool ok = !blobs_open(&mine, dir, 0, &why);

			for (int k = 0; ok && k < 5; k++)
				ok = !blob_put(mine, bytes, 300000, &b, &why) &&
				     digest_equal(&b.digest, &d);
			_exit(ok ? 0 : 1);
		}
	for (int i = 0; i < 8; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(files_in("sha256"), 1);
	assert_int_equal(files_in("partial"), 0);
	reopen(0);
	assert_int_equal(blobs_bytes(s), 300000);
	auto_free char *text = text_of(&d);
	assert_non_null(text);
}

static void a_damaged_blob_is_found_when_opened_and_removed(void **state)
{
	(void)state;
	struct blob b;
	int64_t size;
	int fd;

	assert_int_equal(blob_put(s, "good bytes", 10, &b, &e), 0);
	auto_free char *path = blob_path(s, &b.digest);
	chmod(path, 0644);
	assert_int_equal(file_write_atomic(path, "evil bytes", 10, 0444, &e), 0);
	assert_int_equal(
		blob_open(s, &b.digest, &fd, &size, &e), -1); /* verified before, but changed */
	assert_int_equal(e.code, ERR_UNKNOWN_BLOB);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(blobs_bytes(s), 0);
	assert_int_equal(blob_open(s, &b.digest, &fd, &size, &e), -1);
	assert_int_equal(e.code, ERR_UNKNOWN_BLOB);
	/* the same with a store that has seen nothing yet, and a blob cut short */
	assert_int_equal(blob_put(s, "good bytes", 10, &b, &e), 0);
	chmod(path, 0644);
	assert_int_equal(truncate(path, 4), 0);
	reopen(0);
	assert_int_equal(blob_open(s, &b.digest, &fd, &size, &e), -1);
	assert_int_equal(blobs_bytes(s), 0);
	/* a damaged one is replaced by a good one, and counted right */
	assert_int_equal(blob_put(s, "good bytes", 10, &b, &e), 0);
	chmod(path, 0644); /* an ordinary user needs it */
	assert_int_equal(truncate(path, 4), 0);
	reopen(0);
	assert_int_equal(blobs_bytes(s), 4);
	assert_int_equal(blob_put(s, "good bytes", 10, &b, &e), 0);
	assert_int_equal(blobs_bytes(s), 10);
	auto_free char *text = text_of(&b.digest);
	assert_string_equal(text, "good bytes");
}

static void a_link_in_the_place_of_a_blob_is_not_followed(void **state)
{
	(void)state;
	struct blob b;
	int64_t size;
	int fd;

	assert_int_equal(blob_put(s, "x", 1, &b, &e), 0);
	auto_free char *path = blob_path(s, &b.digest), *other = xprintf("%s/other", dir);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(blob_open(s, &b.digest, &fd, &size, &e), -1);
	auto_free char *partial = xprintf("%s/partial/tag", dir);
	assert_int_equal(symlink(other, partial), 0);
	struct blob_in *in;
	assert_int_equal(blob_in_start(&in, s, "tag", NULL, any, &e), -1);
}

static void an_opened_blob_is_at_its_start_and_read_only(void **state)
{
	(void)state;
	struct blob b;
	int64_t size;
	int fd;
	char byte;

	assert_int_equal(blob_put(s, "abc", 3, &b, &e), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(blob_open(s, &b.digest, &fd, &size, &e), 0);
		assert_int_equal(size, 3);
		assert_int_equal(read(fd, &byte, 1), 1);
		assert_int_equal(byte, 'a');
		assert_int_equal(write(fd, "x", 1), -1);
		close(fd);
		if (i == 1)
			reopen(0);
	}
}

static void the_quota_holds_whole_and_partial_bytes(void **state)
{
	(void)state;
	auto_free char *bytes = xcalloc(1 << 20, 1);
	struct blob_in *in, *other;
	struct blob b;

	reopen(1 << 20);
	assert_int_equal(blob_put(s, bytes, 1 << 19, &b, &e), 0);
	assert_int_equal(blob_in_start(&in, s, "big", NULL, (1 << 19) + 1, &e), -1);
	assert_int_equal(e.code, ERR_FULL);
	assert_int_equal(files_in("partial"), 0); /* nothing stays of a refusal */
	assert_int_equal(blob_in_start(&in, s, "fits", NULL, 1 << 19, &e), 0);
	assert_int_equal(blob_in_add(in, bytes, 1 << 18, &e), 0);
	assert_int_equal(blob_in_start(&other, s, "more", NULL, any, &e), 0);
	assert_int_equal(blob_in_add(other, bytes, (1 << 18) + 1, &e), -1);
	assert_int_equal(e.code, ERR_FULL);
	assert_int_equal(blob_in_offset(other), 0);
	blob_in_drop(other);
	blob_in_leave(in);
	reopen(1 << 20);
	assert_int_equal(blobs_bytes(s), (1 << 19) + (1 << 18));
	assert_int_equal(blob_in_start(&in, s, "fits", NULL, 1 << 19, &e), 0);
	assert_int_equal(blob_in_add(in, bytes, 1 << 18, &e), 0);
	assert_int_equal(
		blob_in_finish(in, NULL, &e), 0); /* the same bytes as the first: counted once */
	assert_int_equal(blobs_bytes(s), 1 << 19);
}

static void a_size_beyond_any_is_refused_at_the_start(void **state)
{
	(void)state;
	struct blob_in *in;

	assert_int_equal(blob_in_start(&in, s, "tag", NULL, BLOB_SIZE_MAX + 1, &e), -1);
	assert_int_equal(e.code, ERR_TOO_BIG);
	assert_int_equal(blob_in_start(&in, s, "tag", NULL, INT64_MAX, &e), -1);
}

static void a_full_disk_leaves_a_consistent_store(void **state)
{
	(void)state;
	auto_free char *bytes = xcalloc(100000, 1);
	struct rlimit old, small = { 150000, RLIM_INFINITY };
	struct blob_in *in;
	struct blob b;

	memset(bytes, 'q', 100000);
	struct digest d = digest_of(bytes, 100000);
	getrlimit(RLIMIT_FSIZE, &old);
	small.rlim_max = old.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(blob_in_start(&in, s, "tag", NULL, any, &e), 0);
	assert_int_equal(blob_in_add(in, bytes, 100000, &e), 0);
	setrlimit(RLIMIT_FSIZE, &small);
	assert_int_equal(
		blob_in_add(in, bytes, 100000, &e), -1); /* 50000 of it go in, then EFBIG */
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(blob_in_offset(in), 100000);
	assert_int_equal(blobs_bytes(s), 100000);
	blob_in_leave(in);
	assert_int_equal(blob_in_start(&in, s, "tag", &d, 100000, &e), 0);
	assert_int_equal(blob_in_offset(in), 100000); /* the half that went in was cut off */
	assert_int_equal(blob_in_finish(in, &b, &e), 0);
	setrlimit(RLIMIT_FSIZE, &small);
	auto_free char *more = xcalloc(200000, 1);
	assert_int_equal(blob_put(s, more, 200000, &b, &e), -1);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(files_in("partial"), 0);
	assert_int_equal(files_in("sha256"), 1);
	assert_int_equal(blobs_bytes(s), 100000);
}

static void a_put_from_a_descriptor_equals_one_from_memory(void **state)
{
	(void)state;
	struct blob a, b;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "through a pipe", 14), 14);
	close(ends[1]);
	assert_int_equal(blob_put_fd(s, ends[0], &a, &e), 0);
	close(ends[0]);
	assert_int_equal(blob_put(s, "through a pipe", 14, &b, &e), 0);
	assert_true(digest_equal(&a.digest, &b.digest) && digest_equal(&a.root, &b.root) &&
		    a.size == b.size);
	assert_int_equal(blob_put_fd(s, -1, &a, &e), -1);
	assert_int_equal(files_in("partial"), 0);
}

static void a_tag_is_a_plain_name(void **state)
{
	(void)state;
	static const char *const bad[] = { "", ".", "..", ".x", "a/b", "/a", "a b", "a\nb",
		"\xc3\xa9", "a\\b", "a*" };
	char name[BLOB_TAG_MAX + 2];
	struct blob_in *in;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(blob_in_start(&in, s, bad[i], NULL, any, &e), -1);
	memset(name, 'a', sizeof(name));
	name[BLOB_TAG_MAX + 1] = '\0';
	assert_int_equal(blob_in_start(&in, s, name, NULL, any, &e), -1);
	name[BLOB_TAG_MAX] = '\0';
	assert_int_equal(blob_in_start(&in, s, name, NULL, any, &e), 0);
	blob_in_drop(in);
}

static bool keep_one(void *arg, const struct digest *d)
{
	return arg && digest_equal(arg, d);
}

/* Blobs "0" to "4" of 1000 bytes, used in the order 0, 1, 2, 3, 4. */
static void five_blobs(struct blob b[5])
{
	for (int i = 0; i < 5; i++) {
		auto_free char *bytes = xcalloc(1000, 1);
		struct timespec times[2] = { { .tv_sec = 1000 + i }, { .tv_sec = 1000 } };

		memset(bytes, '0' + i, 1000);
		assert_int_equal(blob_put(s, bytes, 1000, &b[i], &e), 0);
		auto_free char *path = blob_path(s, &b[i].digest);
		utimensat(AT_FDCWD, path, times, 0);
	}
}

static void room_is_made_of_what_was_used_longest_ago(void **state)
{
	(void)state;
	struct blob b[5];
	int64_t size;
	int fd;

	reopen(5000);
	five_blobs(b);
	assert_int_equal(blob_open(s, &b[0].digest, &fd, &size, &e), 0); /* now it is the newest */
	close(fd);
	assert_int_equal(blobs_make_room(s, 0, keep_one, NULL, &e), 0);
	assert_int_equal(files_in("sha256"), 5);
	assert_int_equal(blobs_make_room(s, 1500, keep_one, &b[2].digest, &e), 0);
	assert_int_equal(blob_size(s, &b[0].digest), 1000);
	assert_int_equal(blob_size(s, &b[1].digest), -1);
	assert_int_equal(blob_size(s, &b[2].digest), 1000); /* older, but kept */
	assert_int_equal(blob_size(s, &b[3].digest), -1);
	assert_int_equal(blob_size(s, &b[4].digest), 1000);
	assert_int_equal(blobs_bytes(s), 3000);
	assert_int_equal(blobs_make_room(s, 4500, keep_one, &b[2].digest, &e), -1);
	assert_int_equal(e.code, ERR_FULL);
	assert_int_equal(blobs_make_room(s, 5001, keep_one, NULL, &e), -1);
	reopen(0);
	assert_int_equal(blobs_make_room(s, 1 << 30, keep_one, NULL, &e), 0);
}

static void what_stands_beside_the_store_takes_of_its_quota(void **state)
{
	struct blob b[5];

	(void)state;
	reopen(10000);
	five_blobs(b);
	assert_int_equal(blobs_make_room(s, 5000, keep_one, NULL, &e), 0);
	blobs_beside(s, 6000);
	assert_int_equal(blobs_bytes(s), 5000);
	assert_int_equal(blobs_make_room(s, 1000, keep_one, NULL, &e), 0);
	assert_int_equal(blobs_bytes(s), 3000);
	assert_int_equal(blobs_make_room(s, 4001, keep_one, NULL, &e), -1);
	assert_int_equal(e.code, ERR_FULL);
	blobs_beside(s, -6000);
	assert_int_equal(blobs_make_room(s, 10000, keep_one, NULL, &e), 0);
}

static void a_used_blob_is_not_verified_twice_but_a_changed_one_is(void **state)
{
	(void)state;
	struct blob b;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 5 } };
	int64_t size;
	int fd;

	/* 2000 blobs: more than some sets remember; every one must still open */
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(blob_put(s, &i, sizeof(i), &b, &e), 0);
		if (i % 100 == 0) {
			assert_int_equal(blob_open(s, &b.digest, &fd, &size, &e), 0);
			close(fd);
		}
	}
	auto_free char *path = blob_path(s, &b.digest);
	utimensat(AT_FDCWD, path, times, 0);
	assert_int_equal(
		blob_open(s, &b.digest, &fd, &size, &e), 0); /* mtime changed, bytes did not */
	close(fd);
	struct digest zero = { { 0 } };
	assert_int_equal(blob_open(s, &zero, &fd, &size, &e), -1);
	assert_int_equal(e.code, ERR_UNKNOWN_BLOB);
}

static void old_partial_files_go_at_the_next_start(void **state)
{
	(void)state;
	auto_free char *old = xprintf("%s/partial/old", dir), *new = xprintf("%s/partial/new", dir);
	struct timespec times[2] = { { .tv_sec = time(NULL) - 90000 },
		{ .tv_sec = time(NULL) - 90000 } };

	assert_int_equal(file_write_atomic(old, "12345", 5, 0600, &e), 0);
	assert_int_equal(file_write_atomic(new, "123", 3, 0600, &e), 0);
	utimensat(AT_FDCWD, old, times, 0);
	reopen(0);
	assert_int_not_equal(access(old, F_OK), 0);
	assert_int_equal(access(new, F_OK), 0);
	assert_int_equal(blobs_bytes(s), 3);
}

static void bytes_that_were_never_counted_do_not_go_below_zero(void **state)
{
	(void)state;
	struct blobs *other;
	struct blob b;

	assert_int_equal(blobs_open(&other, dir, 0, &e), 0);
	assert_int_equal(blob_put(other, "from elsewhere", 14, &b, &e), 0);
	assert_int_equal(blobs_bytes(s), 0);
	assert_int_equal(blob_remove(s, &b.digest, &e), 0);
	assert_int_equal(blobs_bytes(s), 0);
	blobs_close(other);
	blobs_close(NULL);
	assert_int_equal(blobs_open(&other, "/dev/null/x", 0, &e), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_blob_round_trips),
		TEST(a_blob_is_read_only_in_its_shard),
		TEST(the_same_bytes_again_are_stored_and_counted_once),
		TEST(wrong_bytes_leave_nothing),
		TEST(an_upload_resumes_where_it_was_left),
		TEST(one_tag_has_one_writer),
		TEST(a_partial_file_that_was_just_named_is_not_taken_over),
		TEST(a_crash_before_the_name_does_not_lock_the_owner_out),
		TEST(two_processes_may_write_the_same_blob_at_once),
		TEST(a_damaged_blob_is_found_when_opened_and_removed),
		TEST(a_link_in_the_place_of_a_blob_is_not_followed),
		TEST(an_opened_blob_is_at_its_start_and_read_only),
		TEST(the_quota_holds_whole_and_partial_bytes),
		TEST(a_size_beyond_any_is_refused_at_the_start),
		TEST(a_full_disk_leaves_a_consistent_store),
		TEST(a_put_from_a_descriptor_equals_one_from_memory),
		TEST(a_tag_is_a_plain_name),
		TEST(room_is_made_of_what_was_used_longest_ago),
		TEST(what_stands_beside_the_store_takes_of_its_quota),
		TEST(a_used_blob_is_not_verified_twice_but_a_changed_one_is),
		TEST(old_partial_files_go_at_the_next_start),
		TEST(bytes_that_were_never_counted_do_not_go_below_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
