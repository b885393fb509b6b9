/* SPDX-License-Identifier: Apache-2.0
 *
 * test_keep.c: what a worker does with its keeper of boxes, what goes over the keeper's socket, and the order of what
 * is opened for a box.
 */
#include "worker/keep.h"
#include "worker/line.h"
#include "worker/packet.h"
#include "common/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define T(name) cmocka_unit_test(name)

/* --- packets ---------------------------------------------------------------------------------------------- */

static void an_ask_is_a_head_and_words_each_with_its_end(void **state)
{
	static const char want[] = "--profile\0compute\0--\0p\0";
	char *words[] = { (char[]){ "--profile" }, (char[]){ "compute" }, (char[]){ "--" },
		(char[]){ "p" }, NULL };
	struct packet *p = xcalloc(1, sizeof(*p));
	struct box_ask head;

	(void)state;
	packet_ask(p, BOX_ASK_RUN, 77, words);
	memcpy(&head, p->bytes, sizeof(head));
	assert_true(head.kind == BOX_ASK_RUN && head.id == 77);
	assert_int_equal(p->n, sizeof(head) + sizeof(want) - 1);
	assert_memory_equal(p->bytes + sizeof(head), want, sizeof(want) - 1);
	packet_ask(p, BOX_ASK_KILL, 78, NULL);
	assert_int_equal(p->n, sizeof(head));
	free(p);
}

static void what_is_too_long_for_a_packet_is_known_before(void **state)
{
	char *many[PACKET_WORDS_MAX + 2] = { 0 },
				      *longest[] = { xmalloc(BOX_ASK_BYTES), NULL, NULL };
	struct packet *p = xcalloc(1, sizeof(*p));
	char x[] = "x";

	(void)state;
	for (int i = 0; i < PACKET_WORDS_MAX; i++)
		many[i] = x;
	assert_true(packet_fits(many));
	many[PACKET_WORDS_MAX] = many[0];
	assert_false(packet_fits(many));
	memset(longest[0], 'x', BOX_ASK_BYTES);
	longest[0][BOX_ASK_BYTES - 1] = '\0';
	assert_true(packet_fits(longest));
	packet_ask(p, BOX_ASK_RUN, 1, longest);
	assert_int_equal(p->n, PACKET_MAX);
	longest[1] = (char[]){ "" };
	assert_false(packet_fits(longest));
	free(longest[0]);
	free(p);
}

static bool takes(uint32_t kind, uint32_t id, int32_t code, size_t n)
{
	char bytes[sizeof(struct box_say) + 4] = { 0 };
	struct box_say say = { kind, id, code }, got = { 0 };

	memcpy(bytes, &say, sizeof(say));
	if (!packet_say(&got, bytes, n))
		return false;
	assert_memory_equal(&got, &say, sizeof(say));
	return true;
}

static void only_what_a_keeper_may_say_is_taken(void **state)
{
	const size_t n = sizeof(struct box_say);

	(void)state;
	assert_true(takes(BOX_SAY_READY, 0, 0, n));
	assert_true(takes(BOX_SAY_ENDED, 1, 0, n) && takes(BOX_SAY_ENDED, UINT32_MAX, 255, n));
	assert_false(takes(BOX_SAY_READY, 1, 0, n) || takes(BOX_SAY_READY, 0, 1, n));
	assert_false(takes(BOX_SAY_ENDED, 0, 0, n));
	assert_false(takes(BOX_SAY_ENDED, 1, -1, n) || takes(BOX_SAY_ENDED, 1, 256, n));
	assert_false(takes(2, 1, 0, n) || takes(UINT32_MAX, 0, 0, n));
	assert_false(takes(BOX_SAY_READY, 0, 0, n - 1) || takes(BOX_SAY_READY, 0, 0, n + 1) ||
		     takes(BOX_SAY_READY, 0, 0, 0));
}

/* --- a keeper ------------------------------------------------------------------------------------------------ */

struct house {
	struct keep k;
	int64_t now;
	uint32_t id; /* of the last act */
};

static struct house *house(void)
{
	struct house *h = xcalloc(1, sizeof(*h));

	h->now = 1000000;
	keep_init(&h->k, 7);
	return h;
}

static enum keep_act next(struct house *h)
{
	enum keep_act act = keep_next(&h->k, &h->id, h->now);

	if (act == KEEP_NOTHING) /* what is due is never behind what it says */
		assert_int_not_equal(keep_wake(&h->k, h->now), 0);
	return act;
}

static enum keep_heard hear(struct house *h, uint32_t kind, uint32_t id)
{
	struct box_say say = { kind, id, 0 };

	return keep_hear(&h->k, &say, h->now);
}

/* As much time as it says it may sleep. */
static void sleep_on(struct house *h)
{
	int64_t ms = keep_wake(&h->k, h->now);

	assert_true(ms > 0);
	h->now += ms;
}

static void serve(struct house *h)
{
	assert_int_equal(next(h), KEEP_START);
	assert_int_equal(next(h), KEEP_NOTHING);
	assert_int_equal(hear(h, BOX_SAY_READY, 0), HEARD_NEWS);
}

static uint32_t lodge(struct house *h)
{
	uint32_t id = keep_add(&h->k);

	assert_int_not_equal(id, 0);
	assert_int_equal(next(h), KEEP_ASK);
	assert_int_equal(h->id, id);
	assert_true(keep_is_in(&h->k, id));
	return id;
}

static void no_keeper_is_started_for_nobody(void **state)
{
	struct house *h = house();

	(void)state;
	assert_int_equal(next(h), KEEP_NOTHING);
	assert_int_equal(keep_wake(&h->k, h->now), -1);
	free(h);
}

static void lodgers_wait_until_it_is_ready_and_go_in_in_order(void **state)
{
	struct house *h = house();
	uint32_t a = keep_add(&h->k), b = keep_add(&h->k);

	(void)state;
	assert_false(keep_is_in(&h->k, a));
	serve(h);
	assert_int_equal(next(h), KEEP_ASK);
	assert_int_equal(h->id, a);
	assert_int_equal(next(h), KEEP_ASK);
	assert_int_equal(h->id, b);
	assert_int_equal(next(h), KEEP_NOTHING);
	assert_int_equal(hear(h, BOX_SAY_ENDED, b), HEARD_ENDED);
	assert_int_equal(hear(h, BOX_SAY_ENDED, a), HEARD_ENDED);
	assert_int_equal(next(h), KEEP_NOTHING);
	free(h);
}

static void one_that_is_not_ready_in_time_is_ended_and_who_waited_is_lost(void **state)
{
	struct house *h = house();
	uint32_t a = keep_add(&h->k);

	(void)state;
	assert_int_equal(next(h), KEEP_START);
	sleep_on(h);
	assert_int_equal(next(h), KEEP_END);
	assert_int_equal(next(h), KEEP_NOTHING);
	sleep_on(h);
	assert_int_equal(next(h), KEEP_FORCE);
	assert_int_equal(next(h), KEEP_NOTHING);
	keep_gone(&h->k, h->now);
	assert_int_equal(keep_lost(&h->k), a);
	assert_int_equal(keep_lost(&h->k), 0);
	free(h);
}

static void a_keeper_that_dies_takes_along_who_was_in_and_nobody_else(void **state)
{
	struct house *h = house();
	uint32_t a = keep_add(&h->k), b, c;

	(void)state;
	serve(h);
	assert_int_equal(next(h), KEEP_ASK);
	b = lodge(h);
	assert_false(keep_stop(&h->k, b, h->now));
	c = keep_add(&h->k);
	keep_gone(&h->k, h->now);
	assert_int_equal(keep_lost(&h->k), a);
	assert_int_equal(keep_lost(&h->k), b);
	assert_int_equal(keep_lost(&h->k), 0);
	assert_int_equal(next(h), KEEP_NOTHING);
	sleep_on(h);
	serve(h);
	assert_int_equal(next(h), KEEP_ASK);
	assert_int_equal(h->id, c);
	free(h);
}

static void the_pause_before_the_next_one_grows_until_a_box_is_through(void **state)
{
	struct house *h = house();
	int64_t first, last = 0;

	(void)state;
	keep_add(&h->k);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(next(h), KEEP_START);
		keep_gone(&h->k, h->now);
		assert_int_not_equal(keep_lost(&h->k), 0);
		keep_add(&h->k);
		last = keep_wake(&h->k, h->now);
		first = i ? first : last;
		sleep_on(h);
	}
	assert_true(first >= 500 && last > 4 * first);
	serve(h);
	assert_int_equal(next(h), KEEP_ASK);
	assert_int_equal(hear(h, BOX_SAY_ENDED, h->id), HEARD_ENDED);
	keep_gone(&h->k, h->now);
	keep_add(&h->k);
	assert_true(keep_wake(&h->k, h->now) <= 750);
	free(h);
}

static void a_lodger_that_leaves_is_told_once_and_ends_the_keeper_if_it_stays(void **state)
{
	struct house *h = house();
	uint32_t a = keep_add(&h->k);

	(void)state;
	serve(h);
	assert_int_equal(next(h), KEEP_ASK);
	assert_false(keep_stop(&h->k, a, h->now));
	assert_false(keep_stop(&h->k, a, h->now));
	assert_int_equal(next(h), KEEP_KILL);
	assert_int_equal(h->id, a);
	assert_int_equal(next(h), KEEP_NOTHING);
	h->now += KEEP_KILL_MS - 1;
	assert_int_equal(next(h), KEEP_NOTHING);
	sleep_on(h);
	assert_int_equal(next(h), KEEP_END);
	assert_int_equal(hear(h, BOX_SAY_ENDED, a), HEARD_ENDED); /* better late */
	keep_gone(&h->k, h->now);
	assert_int_equal(keep_lost(&h->k), 0);
	free(h);
}

static void who_only_waits_is_gone_at_once(void **state)
{
	struct house *h = house();
	uint32_t a = keep_add(&h->k);

	(void)state;
	assert_true(keep_stop(&h->k, a, h->now));
	assert_true(keep_stop(&h->k, a, h->now));
	assert_int_equal(next(h), KEEP_NOTHING);
	free(h);
}

static void a_keeper_that_talks_nonsense_is_ended(void **state)
{
	static const struct box_say nonsense[] = { { BOX_SAY_READY, 0, 0 },
		{ BOX_SAY_ENDED, 99, 0 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
		struct house *h = house();

		keep_add(&h->k);
		serve(h);
		assert_int_equal(next(h), KEEP_ASK);
		assert_int_equal(keep_hear(&h->k, &nonsense[i], h->now), HEARD_NONSENSE);
		assert_int_equal(next(h), KEEP_END);
		free(h);
	}
}

static void an_end_before_it_is_ready_or_of_who_is_not_in_is_nonsense(void **state)
{
	struct house *h = house();
	uint32_t a = keep_add(&h->k);

	(void)state;
	assert_int_equal(next(h), KEEP_START);
	assert_int_equal(hear(h, BOX_SAY_ENDED, a), HEARD_NONSENSE);
	assert_int_equal(next(h), KEEP_END);
	free(h);
}

static void a_full_socket_is_tried_again(void **state)
{
	struct house *h = house();
	uint32_t a = keep_add(&h->k);

	(void)state;
	serve(h);
	assert_int_equal(next(h), KEEP_ASK);
	keep_full(&h->k, a, h->now);
	assert_false(keep_is_in(&h->k, a));
	assert_int_equal(next(h), KEEP_NOTHING);
	sleep_on(h);
	assert_int_equal(next(h), KEEP_ASK);
	assert_false(keep_stop(&h->k, a, h->now));
	assert_int_equal(next(h), KEEP_KILL);
	keep_full(&h->k, a, h->now);
	sleep_on(h);
	assert_int_equal(next(h), KEEP_KILL);
	keep_full(&h->k, a, h->now);
	assert_int_equal(hear(h, BOX_SAY_ENDED, a), HEARD_ENDED);
	assert_int_equal(next(h), KEEP_NOTHING); /* and nothing is due for who is gone */
	assert_true(keep_wake(&h->k, h->now) > KEEP_RETRY_MS);
	free(h);
}

static void without_lodgers_it_ends_after_a_while_and_comes_back_without_a_pause(void **state)
{
	struct house *h = house();

	(void)state;
	keep_add(&h->k);
	serve(h);
	assert_int_equal(next(h), KEEP_ASK);
	h->now += 10 * KEEP_IDLE_MS; /* a long task */
	assert_int_equal(next(h), KEEP_NOTHING);
	assert_int_equal(hear(h, BOX_SAY_ENDED, h->id), HEARD_ENDED);
	assert_int_equal(next(h), KEEP_NOTHING);
	sleep_on(h);
	assert_int_equal(next(h), KEEP_END);
	keep_add(&h->k); /* too late for this one */
	keep_gone(&h->k, h->now);
	assert_int_equal(keep_lost(&h->k), 0);
	serve(h);
	assert_int_equal(next(h), KEEP_ASK);
	free(h);
}

static void renewed_it_ends_when_it_has_nothing_to_do(void **state)
{
	struct house *h = house();

	(void)state;
	keep_add(&h->k);
	serve(h);
	assert_int_equal(next(h), KEEP_ASK);
	keep_renew(&h->k, h->now);
	assert_int_equal(next(h), KEEP_NOTHING);
	assert_int_equal(hear(h, BOX_SAY_ENDED, h->id), HEARD_ENDED);
	keep_renew(&h->k, h->now);
	assert_int_equal(next(h), KEEP_END);
	free(h);
}

static void the_house_is_full_at_its_bound(void **state)
{
	struct house *h = house();

	(void)state;
	h->k.last_id = UINT32_MAX - 5; /* numbers go round, without 0 */
	for (int i = 0; i < KEEP_LODGERS_MAX; i++)
		assert_int_not_equal(keep_add(&h->k), 0);
	assert_int_equal(keep_add(&h->k), 0);
	serve(h);
	assert_int_equal(next(h), KEEP_ASK);
	assert_int_equal(h->id, UINT32_MAX - 4);
	keep_drop(&h->k, h->id, h->now);
	assert_int_not_equal(keep_add(&h->k), 0);
	free(h);
}

/* --- a box's files -------------------------------------------------------------------------------------------- */

static ino_t inode(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static ino_t inode_of(const char *dir, const char *name)
{
	auto_free char *path = xprintf("%s/%s", dir, name);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static void make_file(const char *dir, const char *name)
{
	auto_free char *path = xprintf("%s/%s", dir, name);
	struct err e;

	assert_int_equal(file_write_atomic(path, "x", 1, 0600, &e), 0);
}

static struct line *line_in(const char *dir)
{
	struct line *l = line_new("/box");

	line_file(l, LINE_STDOUT, "--stdout", xprintf("%s/stdout", dir));
	line_file(l, LINE_OUT, "--out", xstrdup(dir));
	line_input(l, "b", xprintf("%s/b", dir));
	line_input(l, "a", xprintf("%s/a", dir));
	line_number(l, "--cpu", 10);
	line_file(l, LINE_REPORT, "--report", xprintf("%s/report", dir));
	line_file(l, LINE_STDERR, "--stderr", xprintf("%s/stderr", dir));
	line_program(l, xprintf("%s/program", dir));
	line_word(l, xstrdup("argument"));
	return l;
}

static void files_are_opened_in_the_keepers_order_whatever_the_lines(void **state)
{
	static const char *const want[] = { "report", "program", "b", "a", ".", NULL, "stdout",
		"stderr" };
	char dir[] = "/tmp/talkoot-unit-XXXXXX";
	int fds[LINE_FILES_MAX];
	struct err e;
	size_t n;

	(void)state;
	assert_non_null(mkdtemp(dir));
	make_file(dir, "a");
	make_file(dir, "b");
	make_file(dir, "program");
	struct line *l = line_in(dir);
	assert_string_equal(l->argv[0], "/box");
	assert_string_equal(l->argv[l->n - 3], "--");
	assert_string_equal(l->argv[l->n - 1], "argument");
	assert_null(l->argv[l->n]);
	assert_int_equal(line_open(l, fds, &n, &e), 0);
	assert_int_equal(n, ARRAY_LEN(want));
	for (size_t i = 0; i < n; i++) {
		struct stat null;

		assert_int_equal(stat("/dev/null", &null), 0);
		assert_int_equal(inode(fds[i]), want[i] ? inode_of(dir, want[i]) : null.st_ino);
		close(fds[i]);
	}
	line_free(l);
	assert_int_equal(remove_tree(dir, &e), 0);
}

static void a_file_that_is_not_there_is_named_and_nothing_stays_open(void **state)
{
	char dir[] = "/tmp/talkoot-unit-XXXXXX";
	int fds[LINE_FILES_MAX];
	struct err e;
	size_t n;

	(void)state;
	assert_non_null(mkdtemp(dir));
	make_file(dir, "program");
	struct line *l = line_in(dir);
	int before = dup(0);
	assert_int_equal(line_open(l, fds, &n, &e), -1);
	assert_int_equal(n, 0);
	assert_non_null(strstr(e.msg, "/b: No such file"));
	close(before);
	int after = dup(0);
	assert_int_equal(before, after);
	close(after);
	line_free(l);
	assert_int_equal(remove_tree(dir, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_ask_is_a_head_and_words_each_with_its_end),
		T(what_is_too_long_for_a_packet_is_known_before),
		T(only_what_a_keeper_may_say_is_taken),
		T(no_keeper_is_started_for_nobody),
		T(lodgers_wait_until_it_is_ready_and_go_in_in_order),
		T(one_that_is_not_ready_in_time_is_ended_and_who_waited_is_lost),
		T(a_keeper_that_dies_takes_along_who_was_in_and_nobody_else),
		T(the_pause_before_the_next_one_grows_until_a_box_is_through),
		T(a_lodger_that_leaves_is_told_once_and_ends_the_keeper_if_it_stays),
		T(who_only_waits_is_gone_at_once),
		T(a_keeper_that_talks_nonsense_is_ended),
		T(an_end_before_it_is_ready_or_of_who_is_not_in_is_nonsense),
		T(a_full_socket_is_tried_again),
		T(without_lodgers_it_ends_after_a_while_and_comes_back_without_a_pause),
		T(renewed_it_ends_when_it_has_nothing_to_do),
		T(the_house_is_full_at_its_bound),
		T(files_are_opened_in_the_keepers_order_whatever_the_lines),
		T(a_file_that_is_not_there_is_named_and_nothing_stays_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
