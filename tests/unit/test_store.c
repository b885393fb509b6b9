/* SPDX-License-Identifier: Apache-2.0
 *
 * test_store.c: what was committed is there after a crash, and nothing else is.
 */
#include "common/buf.h"
#include "coordinator/store.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[64];
static struct err e;

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/talkoot-store-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return remove_tree(dir, &e);
}

static struct store *reopen(struct store *s)
{
	store_close(s);
	s = NULL;
	if (store_open(&s, dir, &e))
		fail_msg("%s", e.msg);
	return s;
}

static struct worker a_worker(int n)
{
	struct worker w = { .voter = { .net = (network)6 << 56 | 0xffeeddccbbaa,
				    .owner = UINT64_MAX, .relay = UINT64_MAX - 1 },
		.slots = 3,
		.cpus = 4,
		.memory_mib = 5,
		.disk_mib = 6,
		.profiles = 3,
		.first_ms = 7,
		.seen_ms = 8 };

	memset(w.id.b, n, sizeof(w.id.b));
	snprintf(w.platform, sizeof(w.platform), "x86_64-linux");
	return w;
}

static void time_and_epoch_are_kept(void **state)
{
	(void)state;
	struct store *s = reopen(NULL);
	struct epoch first, second;

	assert_int_equal(store_meta(s, "time_ms"), 0);
	store_set_meta(s, "time_ms", 1234567890123);
	store_epoch(s, &first, 5);
	assert_true(store_dirty(s));
	assert_int_equal(store_commit(s, &e), 0);
	assert_false(store_dirty(s));
	s = reopen(s);
	store_epoch(s, &second, 6);
	assert_int_equal(store_meta(s, "time_ms"), 1234567890123);
	assert_int_equal(second.counter, 1);
	assert_string_equal(first.id, second.id);
	store_close(s);
}

static void a_second_process_is_refused(void **state)
{
	(void)state;
	struct store *s = reopen(NULL), *other;

	assert_int_equal(store_open(&other, dir, &e), -1);
	assert_int_equal(e.code, ERR_CONFLICT);
	store_close(s);
}

static void what_is_rolled_back_never_was(void **state)
{
	(void)state;
	struct store *s = reopen(NULL);
	struct id key = { { 1 } };

	store_allow(s, &key, true);
	assert_true(store_may_submit(s, &key));
	store_rollback(s);
	assert_false(store_may_submit(s, &key));
	store_close(s);
}

static void find_worker(void *arg, const struct worker *w)
{
	struct worker *found = arg;

	*found = *w;
}

static void a_worker_comes_back_as_it_was(void **state)
{
	(void)state;
	struct store *s = reopen(NULL);
	struct worker w = a_worker(9), found = { 0 };
	struct last_request last;
	struct digest asked = digest_of("ask", 3);
	struct id id;

	assert_int_equal(store_add_worker(s, &w), 1);
	store_answered(s, ASKER_WORKER, &w.id, 42, &asked, "answer");
	store_commit(s, &e);
	s = reopen(s);
	store_each_worker(s, find_worker, &found);
	assert_int_equal(found.row, 1);
	assert_true(id_equal(&found.id, &w.id));
	assert_true(found.voter.net == w.voter.net && found.voter.owner == w.voter.owner &&
		    found.voter.relay == w.voter.relay);
	assert_true(found.slots == 3 && found.memory_mib == 5 && found.has_asked && !found.banned &&
		    !found.ever_leased);
	store_last_request(s, ASKER_WORKER, &w.id, &last);
	assert_int_equal(last.seq, 42);
	assert_string_equal(last.answer, "answer");
	assert_true(digest_equal(&last.asked, &asked));
	free(last.answer);
	assert_int_equal(store_match(s, ID_WORKER, "09090909", &id), 1);
	assert_int_equal(store_match(s, ID_WORKER, "08090909", &id), 0);
	store_close(s);
}

/* What version 1 wrote, made from today's by taking away what was added. */
static void a_database_of_version_1_is_brought_to_today(void **state)
{
	(void)state;
	struct store *s = reopen(NULL);
	struct worker w = a_worker(9), found = { 0 };
	auto_free char *old = xprintf(
		"sqlite3 %s/grid.db 'ALTER TABLE worker DROP COLUMN relay; ALTER TABLE lease DROP COLUMN relay; "
		"ALTER TABLE result DROP COLUMN relay; ALTER TABLE job DROP COLUMN inputs; ALTER TABLE job DROP COLUMN local; DROP TABLE checkpoint; DROP INDEX upload_digest; PRAGMA user_version = 1'",
		dir);

	store_add_worker(s, &w);
	store_commit(s, &e);
	store_close(s);
	assert_int_equal(system(old), 0);
	s = reopen(NULL);
	store_each_worker(s, find_worker, &found);
	assert_true(id_equal(&found.id, &w.id) && found.voter.net == w.voter.net);
	assert_int_equal(found.voter.relay, 0);
	w.row = found.row;
	store_set_worker(s, &w);
	assert_int_equal(store_commit(s, &e), 0);
	s = reopen(s);
	store_each_worker(s, find_worker, &found);
	assert_true(found.voter.relay == w.voter.relay);
	store_close(s);
}

static void a_database_of_version_2_is_brought_to_today(void **state)
{
	(void)state;
	struct store *s = reopen(NULL);
	auto_free char *old = xprintf("sqlite3 %s/grid.db 'ALTER TABLE job DROP COLUMN inputs; ALTER TABLE job DROP COLUMN "
				      "local; DROP TABLE checkpoint; DROP INDEX upload_digest; PRAGMA user_version = 2'", dir);
	struct digest d;

	store_close(s);
	assert_int_equal(system(old), 0);
	s = reopen(NULL);
	assert_false(store_inputs(s, 1, &d));
	assert_int_equal(store_commit(s, &e), 0);
	store_close(s);
}

static void a_blob_is_never_unlearned(void **state)
{
	(void)state;
	struct store *s = reopen(NULL);
	struct digest d = digest_of("hello", 5);
	struct id author = { { 7 } };
	struct upload_row u = { .id = digest_of("t", 1), .digest = d, .author = author, .size = 5 };
	struct blob_row row;
	int64_t size;
	size_t n;

	assert_false(store_blob(s, &d, &row));
	store_add_upload(s, &u, 1);
	assert_false(store_holds(s, &author, &d, &size));
	store_upload_done(s, &u, false);
	assert_true(store_holds(s, &author, &d, &size));
	assert_false(store_holds(s, &(struct id){ { 8 } }, &d, &size));
	store_add_blob(s, &d, 5, true, NULL);
	store_add_blob(s, &d, 5, false, "hello");
	assert_true(store_blob(s, &d, &row));
	assert_true(row.public && row.inside && row.size == 5);
	auto_free char *bytes = store_blob_bytes(s, &d, &n);
	assert_memory_equal(bytes, "hello", 5);
	assert_true(store_holds(s, &(struct id){ { 8 } }, &d, &size));
	store_close(s);
}

static void what_was_committed_survives_a_crash(void **state)
{
	(void)state;
	pid_t pid = fork();

	if (pid == 0) {
		struct store *s;

		if (store_open(&s, dir, &e))
			_exit(1);
		store_set_meta(s, "kept", 1);
		store_commit(s, &e);
		store_set_meta(s, "lost", 1);
		kill(getpid(), SIGKILL);
	}
	waitpid(pid, NULL, 0);
	struct store *s = reopen(NULL);
	assert_int_equal(store_meta(s, "kept"), 1);
	assert_int_equal(store_meta(s, "lost"), 0);
	store_close(s);
}

static void a_full_disk_fails_the_commit_and_passes(void **state)
{
	(void)state;
	struct store *s = reopen(NULL);
	static char big[200000];
	struct digest d = digest_of(big, sizeof(big));
	struct rlimit old, small;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small = (struct rlimit){ 4096, old.rlim_max };
	setrlimit(RLIMIT_FSIZE, &small);
	store_add_blob(s, &d, sizeof(big), true, big);
	int failed = store_commit(s, &e);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(failed, -1);
	assert_int_equal(e.code, ERR_FULL);
	store_rollback(s);
	struct blob_row row;
	assert_false(store_blob(s, &d, &row));
	store_add_blob(s, &d, sizeof(big), true, big);
	assert_int_equal(store_commit(s, &e), 0);
	s = reopen(s);
	assert_true(store_blob(s, &d, &row));
	store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(time_and_epoch_are_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(a_second_process_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_rolled_back_never_was, setup, teardown),
		cmocka_unit_test_setup_teardown(a_worker_comes_back_as_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(a_database_of_version_1_is_brought_to_today, setup, teardown),
		cmocka_unit_test_setup_teardown(a_database_of_version_2_is_brought_to_today, setup, teardown),
		cmocka_unit_test_setup_teardown(a_blob_is_never_unlearned, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_was_committed_survives_a_crash, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_full_disk_fails_the_commit_and_passes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
