/* SPDX-License-Identifier: Apache-2.0
 *
 * test_uploads.c: what is here of an upload is read again a little at a time, and nobody closes another's by having many.
 */
#include "coordinator/uploads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define PART (4 * MIB) /* more than is read in a turn */
#define SIZE (12 * MIB)

static char dir[64];
static struct err e;
static struct coord *c;
static char *bytes; /* SIZE of them */

static void open_again(void)
{
	struct coord_options o = { .dir = dir,
		.name = "",
		.about = "",
		.contact = "",
		.submit_open = true,
		.work_open = true };

	coord_close(c);
	if (coord_open(&c, &o, &e))
		fail_msg("%s", e.msg);
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/talkoot-uploads-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	bytes = xcalloc(1, SIZE);
	memset(bytes, 'x', SIZE);
	c = NULL;
	open_again();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	coord_close(c);
	free(bytes);
	return remove_tree(dir, &e);
}

struct heard {
	int status, retry_s;
	enum err_code code;
	int64_t offset;
	char id[DIGEST_HEX + 1];
};

static void hear(void *arg, struct reply *r)
{
	struct heard *h = arg;

	h->status = r->status;
	h->retry_s = r->retry_s;
	h->code = r->e.code;
	h->offset = r->offset;
	if (r->location[0])
		snprintf(h->id, sizeof(h->id), "%s", r->location + strlen("/v1/uploads/"));
}

/* The upload of `bytes`, each by another ticket. */
static void creates(struct heard *h, const struct key *k, int64_t size)
{
	static int64_t time = 1;
	json_t *m = msg_new(MSG_TICKET, &c->id, key_id(k), ++time);
	struct digest d = digest_of(bytes, (size_t)size);
	char text[DIGEST_TEXT + 1], *line;

	digest_text(text, &d);
	json_object_set_new(m, "digest", json_string(text));
	json_object_set_new(m, "size", json_integer(size));
	if (msg_seal(&line, m, NULL, k, &e))
		fail_msg("%s", e.msg);
	*h = (struct heard){ 0 };
	upload_create(coord_call(c, hear, h), line, strlen(line), size, "127.0.0.1");
	coord_turn(c);
	free(line);
}

/* In one turn: what is left to be read does not get ahead unseen. */
static enum err_code adds(struct heard *h, int64_t at, int64_t n)
{
	h->code = ERR_NONE;
	upload_add(coord_call(c, hear, h), h->id, at, bytes, (size_t)n);
	coord_turn(c);
	return h->code;
}

static void tells(struct heard *h)
{
	upload_tell(coord_call(c, hear, h), h->id);
	coord_turn(c);
}

static void turns(void)
{
	do
		coord_turn(c);
	while (c->more);
}

static void what_was_left_is_read_again_in_turns(void **state)
{
	(void)state;
	struct key *k = key_new();
	struct heard h;

	creates(&h, k, SIZE);
	assert_int_equal(h.status, 201);
	assert_int_equal(adds(&h, 0, PART), ERR_NONE);
	assert_int_equal(adds(&h, PART, PART), ERR_NONE);
	open_again();
	tells(&h);
	assert_int_equal(h.offset, 2 * PART);
	assert_false(c->more); /* nothing was opened for that */
	assert_int_equal(adds(&h, PART, PART), ERR_OFFSET);
	assert_false(c->more);
	assert_int_equal(adds(&h, 2 * PART, PART), ERR_RATE);
	assert_int_equal(h.retry_s, 1);
	assert_true(c->more);
	assert_int_equal(adds(&h, 2 * PART, PART), ERR_RATE); /* one turn is not enough */
	turns();
	assert_int_equal(adds(&h, 2 * PART, PART), ERR_NONE);
	assert_int_equal(h.offset, SIZE);
	tells(&h);
	assert_int_equal(h.status, 200);
	assert_int_equal(h.offset, SIZE);
	struct digest d = digest_of(bytes, SIZE);
	assert_int_equal(blob_size(c->blobs, &d), SIZE);
	key_free(k);
}

static void what_was_whole_before_a_crash_gets_its_name(void **state)
{
	(void)state;
	struct key *k = key_new();
	struct heard h;

	creates(&h, k, SIZE);
	assert_int_equal(adds(&h, 0, PART), ERR_NONE);
	open_again();
	auto_free char *path = xprintf("%s/blobs/partial/%s", dir, h.id);
	if (file_write_atomic(path, bytes, SIZE, 0600, &e))
		fail_msg("%s", e.msg);
	tells(&h);
	assert_int_equal(h.code, ERR_RATE);
	turns();
	h.code = ERR_NONE;
	tells(&h);
	assert_int_equal(h.code, ERR_NONE);
	assert_int_equal(h.offset, SIZE);
	struct digest d = digest_of(bytes, SIZE);
	assert_int_equal(blob_size(c->blobs, &d), SIZE);
	key_free(k);
}

static void who_has_many_closes_his_own(void **state)
{
	(void)state;
	struct key *many = key_new(), *one = key_new();
	struct heard his, h[80];

	creates(&his, one, SIZE);
	assert_int_equal(adds(&his, 0, PART), ERR_NONE);
	for (size_t i = 0; i < ARRAY_LEN(h); i++)
		creates(&h[i], many, SIZE);
	assert_int_equal(
		adds(&his, PART, PART), ERR_NONE); /* else it would have to be read again */
	key_free(many);
	key_free(one);
}

/* More authors than slots, after a restart, each asking again and again: all come on. */
static void who_are_many_come_on_one_after_another(void **state)
{
	(void)state;
	enum { AUTHORS = 70, ROUNDS = 60 };
	static struct heard h[AUTHORS];
	struct key *k[AUTHORS];
	size_t left = AUTHORS;

	for (size_t i = 0; i < AUTHORS; i++) {
		k[i] = key_new();
		creates(&h[i], k[i], SIZE);
		assert_int_equal(adds(&h[i], 0, PART), ERR_NONE);
	}
	open_again();
	for (int round = 0; round < ROUNDS && left; round++)
		for (size_t i = 0; i < AUTHORS; i++) {
			if (!k[i])
				continue;
			enum err_code code = adds(&h[i], PART, 1);
			assert_true(code == ERR_NONE || code == ERR_RATE);
			if (code == ERR_NONE) {
				key_free(k[i]);
				k[i] = NULL;
				left--;
			}
		}
	assert_int_equal(left, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_was_left_is_read_again_in_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_was_whole_before_a_crash_gets_its_name, setup, teardown),
		cmocka_unit_test_setup_teardown(who_has_many_closes_his_own, setup, teardown),
		cmocka_unit_test_setup_teardown(who_are_many_come_on_one_after_another, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
