/* SPDX-License-Identifier: Apache-2.0
 *
 * test_peers.c: what is known, who is talked to, and that no flood takes memory or place. Real signatures.
 */
#include "common/heard.h"
#include "common/dial.h"
#include "worker/peers.h"
#include "worker/view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define NOW ((int64_t)1800000000000)
#define HOUR ((int64_t)3600 * 1000)

static struct key *root, *worker_key, *submitter, *stranger;
static struct id grid;
static struct heard_by by;

struct world {
	struct peers *p;
	int jobs, cancels, others, grids, official;
};

static bool is_root(void *arg, const struct id *key)
{
	(void)arg;
	return id_equal(key, &grid);
}

static void fresh(void *arg, const struct heard *h, const char *line, size_t n, bool official)
{
	struct world *w = arg;

	(void)line;
	(void)n;
	w->jobs += h->kind == HEARD_JOB;
	w->cancels += h->kind == HEARD_CANCEL;
	w->others += h->kind == HEARD_OTHER;
	w->grids += h->kind == HEARD_GRID;
	w->official += official;
}

static struct world *world_new(uint64_t seed, const struct id *self)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct peers_conf conf = { .grid = grid,
		.self = *self,
		.seed = seed,
		.fns = { .open = heard_open,
			.open_arg = &by,
			.coordinator = is_root,
			.admin = is_root,
			.fresh = fresh,
			.arg = w } };

	w->p = peers_new(&conf, NOW);
	return w;
}

static void world_free(struct world *w)
{
	peers_free(w->p);
	free(w);
}

/* --- making envelopes ---------------------------------------------------------------------- */

static char *sealed(json_t *j, const struct key *k)
{
	auto_free char *text = shape_dump(j);

	json_decref(j);
	return seal(k, SEAL_MESSAGE, text, strlen(text));
}

static char *note(const struct key *k, int64_t seq, const char *fact, bool over, int64_t expires)
{
	json_t *j = msg_new_request(MSG_ANNOUNCE, &grid, key_id(k), NOW, seq);
	struct digest d = digest_of(fact, strlen(fact));
	char of[DIGEST_TEXT + 1];

	digest_text(of, &d);
	json_object_set_new(j, "of", json_string(of));
	json_object_set_new(j, "over", json_boolean(over));
	json_object_set_new(j, "expires", json_integer(expires));
	return sealed(j, k);
}

static char *job(const struct key *k, int number, size_t padding)
{
	auto_free char *pad = xmalloc(padding + 1);
	char nonce[33];

	memset(pad, 'x', padding);
	pad[padding] = '\0';
	snprintf(nonce, sizeof(nonce), "%032x", (unsigned)number);
	json_t *j = msg_new(MSG_JOB, &grid, key_id(k), NOW);
	json_t *blob = json_pack("{s:s, s:i, s:s}", "digest",
		"sha256:0000000000000000000000000000000000000000000000000000000000000001", "size",
		1, "pieces_root",
		"0000000000000000000000000000000000000000000000000000000000000001");
	json_t *args = json_array();
	for (size_t at = 0; at < padding; at += 8000)
		json_array_append_new(
			args, json_stringn(pad, padding - at < 8000 ? padding - at : 8000));
	json_t *more =
		json_pack("{s:s, s:s, s:[{s:s, s:s, s:o}], s:s, s:o, s:{s:{s:i}}, s:[], s:[], "
			  "s:{s:i, s:i, s:i, s:i, s:i, s:i}, s:i, s:s, s:i, s:s, s:b, s:s, s:i}",
			"nonce", nonce, "name", "n", "programs", "platform", "x86_64-linux", "name",
			"p", "blob", blob, "profile", "compute", "args", args, "tasks", "range",
			"count", 1, "files", "outputs", "limits", "cpu_s", 1, "wall_s", 1,
			"memory_mib", 1, "disk_mib", 1, "max_output_mib", 1, "processes", 1,
			"threads", 1, "assurance", "quorum:1", "max_results", 2, "compare", "exact",
			"deterministic", 1, "platform_class", "any", "priority", 0);
	assert_non_null(more);
	json_object_update(j, more);
	json_decref(more);
	return sealed(j, k);
}

static char *cancel(const struct key *k, const char *job_line)
{
	struct heard h;
	struct err e;
	char hex[DIGEST_HEX + 1];
	json_t *j = msg_new(MSG_CANCEL, &grid, key_id(k), NOW);

	assert_int_equal(heard_open(&by, &h, job_line, strlen(job_line), &e), 0);
	digest_hex(hex, &h.job);
	json_object_set_new(j, "job", json_string(hex));
	return sealed(j, k);
}

static char *record(const struct key *k, int64_t seq, const char *address, int64_t expires,
	const char *admission)
{
	json_t *j = msg_new_request(MSG_PEER, &grid, key_id(k), NOW, seq);
	json_t *more = json_pack("{s:[s], s:i, s:[s], s:s, s:s, s:b, s:I}", "addresses", address,
		"slots", 1, "profiles", "compute", "platform", "x86_64-linux", "platform_class",
		"x86_64-v3", "relay", 0, "expires", (json_int_t)expires);

	json_object_update(j, more);
	json_decref(more);
	if (admission)
		json_object_set_new(j, "admission", json_string(admission));
	return sealed(j, k);
}

static enum news_verdict take(struct world *w, const char *n, const char *fact)
{
	struct news_item item = { n, fact, strlen(n), fact ? strlen(fact) : 0 };
	struct err e;

	return news_take(peers_news(w->p), &item, NOW, &e);
}

static enum news_verdict take_record(struct world *w, const char *line, int64_t now)
{
	struct err e;

	return peers_take(w->p, line, strlen(line), now, &e);
}

/* Announce and take; both lines are freed. */
static enum news_verdict tell(struct world *w, const struct key *k, int64_t seq, char *fact)
{
	auto_free char *n = note(k, seq, fact, false, NOW + HOUR);
	enum news_verdict v = take(w, n, fact);

	free(fact);
	return v;
}

static int setup(void **state)
{
	(void)state;
	root = key_new();
	worker_key = key_new();
	submitter = key_new();
	stranger = key_new();
	grid = *key_id(root);
	by = (struct heard_by){ .grid_id = grid };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	key_free(root);
	key_free(worker_key);
	key_free(submitter);
	key_free(stranger);
	return 0;
}

/* --- news ---------------------------------------------------------------------------------- */

static void a_fact_counts_once_whoever_announces_it(void **state)
{
	struct world *w = world_new(1, key_id(worker_key));
	auto_free char *j = job(submitter, 1, 0), *first = note(stranger, 5, j, false, NOW + HOUR),
		       *ours = note(root, 9, j, false, NOW + HOUR);

	(void)state;
	assert_int_equal(take(w, first, j), NEWS_NEW);
	assert_int_equal(take(w, first, j), NEWS_KNOWN);
	assert_int_equal(w->jobs, 1);
	assert_int_equal(w->official, 0);
	assert_int_equal(take(w, ours, NULL), NEWS_NEW); /* the fact is here already */
	assert_int_equal(w->jobs, 2);                    /* and now it is official */
	assert_int_equal(w->official, 1);
	struct news_counts c = news_count(peers_news(w->p));
	assert_int_equal(c.facts, 1);
	assert_int_equal(c.notes, 2);
	world_free(w);
}

static void a_note_binds_its_number_to_its_fact(void **state)
{
	struct world *w = world_new(1, key_id(worker_key));
	auto_free char *j = job(submitter, 1, 0), *other = job(submitter, 2, 0),
		       *n = note(stranger, 5, j, false, NOW + HOUR);
	auto_free char *forged = xstrdup(n), *moved = note(stranger, 5, other, false, NOW + HOUR);
	char *sig = strstr(forged, "\"sig\":\"") + 10;

	(void)state;
	assert_int_equal(take(w, n, other), NEWS_BAD);
	*sig = *sig == 'A' ? 'B' : 'A';
	assert_int_equal(take(w, forged, j), NEWS_FORGED);
	assert_int_equal(take(w, n, NULL), NEWS_NO);
	assert_int_equal(take(w, n, j), NEWS_NEW);
	assert_int_equal(
		take(w, moved, other), NEWS_KNOWN); /* the number is used: the first one stays */
	assert_int_equal(news_count(peers_news(w->p)).facts, 1);
	world_free(w);
}

static void what_expired_lasts_too_long_or_is_over_is_not_taken(void **state)
{
	struct world *w = world_new(1, key_id(worker_key));
	auto_free char *j = job(submitter, 1, 0);
	auto_free char *old = note(stranger, 1, j, false, NOW),
		       *eternal = note(stranger, 2, j, false, NOW + 26 * HOUR),
		       *good = note(stranger, 3, j, false, NOW + HOUR),
		       *over = note(root, 1, j, true, NOW + HOUR),
		       *again = note(stranger, 4, j, false, NOW + HOUR),
		       *foreign = note(submitter, 1, j, true, NOW + HOUR);
	size_t n;

	(void)state;
	assert_int_equal(take(w, old, j), NEWS_NO);
	assert_int_equal(take(w, eternal, j), NEWS_NO);
	assert_int_equal(take(w, good, j), NEWS_NEW);
	assert_int_equal(take(w, foreign, NULL), NEWS_NEW); /* ends only its own notes */
	assert_int_equal(news_count(peers_news(w->p)).facts, 1);
	assert_int_equal(take(w, over, NULL), NEWS_NEW);
	assert_int_equal(news_count(peers_news(w->p)).facts, 0);
	assert_int_equal(take(w, again, j), NEWS_NO);
	news_age(peers_news(w->p), NOW + HOUR);
	assert_int_equal(news_count(peers_news(w->p)).notes, 0);
	assert_int_equal(news_count(peers_news(w->p)).origins, 0);
	assert_null(news_job(peers_news(w->p), &(struct digest){ { 0 } }, &n));
	world_free(w);
}

static void only_the_submitter_or_an_admin_cancels(void **state)
{
	struct world *w = world_new(1, key_id(worker_key));
	auto_free char *j = job(submitter, 1, 0);

	(void)state;
	assert_int_equal(tell(w, stranger, 1, cancel(submitter, j)), NEWS_NO); /* of what? */
	assert_int_equal(tell(w, stranger, 2, xstrdup(j)), NEWS_NEW);
	assert_int_equal(tell(w, stranger, 3, cancel(stranger, j)), NEWS_NO);
	assert_int_equal(w->cancels, 0);
	assert_int_equal(tell(w, stranger, 4, cancel(submitter, j)), NEWS_NEW);
	assert_int_equal(tell(w, stranger, 5, cancel(root, j)), NEWS_NEW);
	assert_int_equal(w->cancels, 2);
	world_free(w);
}

static void later_kinds_are_carried_for_keys_of_the_descriptor(void **state)
{
	struct world *w = world_new(1, key_id(worker_key));
	struct grid g = { .id = grid, .n_keys = 1 };
	char hex[ID_TEXT + 1], mine[ID_TEXT + 1];

	(void)state;
	g.keys[0].id = grid;
	by.grid = &g;
	id_text(hex, &grid);
	id_text(mine, key_id(stranger));
	char *plan =
		sealed(json_pack("{s:i, s:s, s:s, s:s, s:I, s:i}", "v", 1, "type", "plan", "grid",
			       hex, "author", hex, "time", (json_int_t)NOW, "serial", 1),
			root);
	char *theirs = sealed(json_pack("{s:i, s:s, s:s, s:s, s:I}", "v", 1, "type", "plan", "grid",
				      hex, "author", mine, "time", (json_int_t)NOW),
		stranger);
	assert_int_equal(tell(w, root, 1, plan), NEWS_NEW);
	assert_int_equal(w->others, 1);
	assert_int_equal(tell(w, stranger, 1, theirs), NEWS_NO);
	assert_int_equal(w->others, 1);
	by.grid = NULL;
	world_free(w);
}

/* Give `b` what it lacks of `a`'s, as two nodes do. */
static size_t sync_news(struct world *a, struct world *b)
{
	struct summary *theirs = xmalloc(sizeof(*theirs));
	struct news_item items[SAY_ITEMS_MAX];
	bool more;

	news_summary(peers_news(b->p), theirs);
	size_t n = news_missing(
		peers_news(a->p), theirs, 0, items, SAY_ITEMS_MAX, SAY_ITEMS_BYTES, &more);
	for (size_t i = 0; i < n; i++) {
		struct err e;

		news_take(peers_news(b->p), &items[i], NOW, &e);
	}
	free(theirs);
	return n;
}

static void two_that_exchange_what_the_summaries_lack_agree(void **state)
{
	struct world *a = world_new(1, key_id(worker_key)), *b = world_new(2, key_id(stranger));

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_int_equal(tell(i % 3 ? a : b, i % 2 ? root : stranger,
					 100 + i * (i % 5 ? 1 : 7), job(submitter, i, 0)),
			i < 100 ? NEWS_NEW : NEWS_NO);
	assert_true(news_hash(peers_news(a->p)) != news_hash(peers_news(b->p)));
	assert_true(sync_news(a, b) > 0);
	assert_true(sync_news(b, a) > 0);
	assert_true(news_hash(peers_news(a->p)) == news_hash(peers_news(b->p)));
	assert_int_equal(sync_news(a, b), 0);
	world_free(a);
	world_free(b);
}

/* --- floods -------------------------------------------------------------------------------- */

static void valid_but_huge_announcements_leave_memory_bounded_and_room_for_the_coordinator(
	void **state)
{
	struct world *w = world_new(1, key_id(worker_key));
	int taken = 0;

	(void)state;
	for (int i = 0; i < 60; i++) { /* of many keys, each with its largest manifests */
		struct key *who = key_new(), *author = key_new();

		for (int k = 0; k < 4; k++)
			taken += tell(w, who, k + 1, job(author, i * 8 + k, 60000)) == NEWS_NEW;
		key_free(who);
		key_free(author);
	}
	struct news_counts c = news_count(peers_news(w->p));
	assert_true(taken > 5);
	assert_true(c.bytes <= NEWS_BYTES_MAX);
	assert_true(c.bytes <= NEWS_STRANGER_BYTES * 2);
	assert_true(c.origins <= NEWS_ORIGINS_MAX);
	for (int i = 0; i < 40;
		i++) /* 40 of 84 KB: what the coordinator has is taken all the same */
		assert_int_equal(tell(w, root, i + 1, job(submitter, i, 60000)), NEWS_NEW);
	c = news_count(peers_news(w->p));
	print_message("        %zu notes, %zu facts: %zu KiB of at most %zu\n", c.notes, c.facts,
		c.bytes / 1024, NEWS_BYTES_MAX / 1024);
	assert_true(c.bytes <= NEWS_BYTES_MAX);
	assert_true(peers_count(w->p, NOW).bytes <= PEERS_BYTES_MAX);
	for (int i = 0; i < 300; i++) /* and the coordinator itself cannot go beyond */
		tell(w, root, i + 100, job(submitter, 1000 + i, i % 2 ? 60000 : 0));
	assert_true(news_count(peers_news(w->p)).bytes <= NEWS_BYTES_MAX);
	world_free(w);
}

/* Else every neighbour would take our summary for nonsense, and us for a flood. */
static void an_over_that_finds_no_room_leaves_a_summary_that_can_be_read(void **state)
{
	struct world *w = world_new(1, key_id(worker_key));
	auto_free char *fact = job(submitter, 1, 0);
	struct key *k = NULL;
	struct say s, back;
	struct err e;

	(void)state;
	for (int i = 0; i < NEWS_STRANGER_NOTES_MAX; i++) {
		if (i % NEWS_STRANGER_NOTES == 0) {
			key_free(k);
			k = key_new();
		}
		auto_free char *n = note(k, i + 1, fact, false, NOW + HOUR);
		assert_int_equal(take(w, n, fact), NEWS_NEW);
	}
	key_free(k);
	auto_free char *over = note(stranger, 1, "something", true, NOW + HOUR);
	assert_int_equal(take(w, over, NULL), NEWS_NO);
	say_begin(&s, peers_news(w->p));
	say_add_summary(&s, peers_news(w->p));
	auto_free char *text = say_write(&s);
	assert_int_equal(say_read(&back, text, strlen(text), &e), 0);
	say_release(&back);
	say_release(&s);
	world_free(w);
}

static void one_submitter_does_not_fill_the_news(void **state)
{
	struct world *w = world_new(1, key_id(worker_key));
	int taken = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		taken += tell(w, i % 2 ? stranger : worker_key, i + 1, job(submitter, i, 0)) ==
		         NEWS_NEW;
	assert_int_equal(taken, NEWS_SUBMITTER_JOBS);
	world_free(w);
}

static void forged_records_cost_their_sender_its_hearing_and_nobody_else(void **state)
{
	struct world *w = world_new(1, key_id(worker_key));
	struct key *author = key_new();
	auto_free char *admission = xmalloc(901);
	int refused = 0, said = 0;
	char address[48];

	(void)state;
	memset(admission, 'x', 900);
	admission[900] = '\0';
	for (int i = 0; i < 10000 / SAY_PEERS_MAX;
		i++) { /* forged: eight a message, a new one each */
		struct say q = { .grid = grid, .wait_ms = 1000 }, out;
		struct peers_held held;

		for (int k = 0; k < SAY_PEERS_MAX; k++) {
			snprintf(address, sizeof(address), "%d.%d.1.1:4000", 20 + i % 100, k);
			auto_free char *line =
				record(author, i * 8 + k + 1, address, NOW + HOUR, admission);
			char *sig = strstr(line, "\"sig\":\"") + 10;

			*sig = *sig == 'A' ? 'B' : 'A';
			say_add_peer(&q, line, strlen(line));
		}
		said += SAY_PEERS_MAX;
		enum peers_reply r = peers_asked(w->p, 7, &q, &out, &held, NOW + i);
		refused += r == REPLY_REFUSE;
		say_release(&q);
	}
	struct peers_counts c = peers_count(w->p, NOW + 2000);
	assert_int_equal(said, 10000);
	assert_int_equal(refused, 10000 / SAY_PEERS_MAX);
	assert_int_equal(c.known, 0);
	assert_int_equal(c.blocked, 1);
	assert_true(c.bytes <= PEERS_BYTES_MAX);
	struct say q = { .grid = grid, .hash = news_hash(peers_news(w->p)), .wait_ms = 1000 }, out;
	struct peers_held held;
	assert_int_equal(peers_asked(w->p, 8, &q, &out, &held, NOW + 2000),
		REPLY_HOLD); /* somebody else is heard */
	key_free(author);
	world_free(w);
}

static void many_askers_together_cost_no_more_than_one_round_allows(void **state)
{
	struct world *w = world_new(1, key_id(worker_key));
	int heard = 0, asked = 2 * ASKERS_CHECKS / SAY_PEERS_MAX;
	auto_free char *line = record(stranger, 1, "20.1.1.1:1", NOW + HOUR, NULL);

	(void)state;
	for (int i = 0; i < asked;
		i++) { /* each from an address of its own, which is charged for little */
		struct say q = { .grid = grid, .wait_ms = 1000 }, out = { 0 };
		struct peers_held held;

		for (int k = 0; k < SAY_PEERS_MAX; k++)
			say_add_peer(&q, line, strlen(line));
		heard += peers_asked(w->p, 100 + (uint64_t)i, &q, &out, &held, NOW) != REPLY_REFUSE;
		say_release(&q);
		say_release(&out);
	}
	assert_in_range(heard, ASKERS_CHECKS / SAY_PEERS_MAX, ASKERS_CHECKS / SAY_PEERS_MAX + 1);
	struct say q = { .grid = grid, .hash = news_hash(peers_news(w->p)), .wait_ms = 1000 }, out;
	struct peers_held held;
	assert_int_equal(peers_asked(w->p, 7, &q, &out, &held, NOW + ROUND_MS), REPLY_HOLD);
	world_free(w);
}

static void thousands_of_true_records_of_strangers_leave_the_view_its_size(void **state)
{
	struct world *w = world_new(1, key_id(worker_key));
	auto_free char *admission = xmalloc(901);
	char address[48];
	int n = 2000; /* signing takes a while under the sanitizers; the view has 64 places */

	(void)state;
	memset(admission, 'x', 900);
	admission[900] = '\0';
	for (int i = 0; i < n; i++) {
		struct key *k = key_new();

		snprintf(address, sizeof(address), "%d.%d.1.1:4000", 20 + i % 100, i / 100);
		auto_free char *line = record(k, 1, address, NOW + HOUR, admission);
		assert_int_equal(take_record(w, line, NOW), NEWS_NEW);
		key_free(k);
	}
	struct peers_counts c = peers_count(w->p, NOW);
	assert_int_equal(c.known, VIEW_MAX);
	assert_true(c.bytes <= sizeof(struct view) + VIEW_MAX * (PEER_LINE_MAX + 300) + 64 * 1024);
	world_free(w);
}

/* --- the view ------------------------------------------------------------------------------ */

static void a_thousand_attackers_of_one_block_do_not_eclipse_fifty(void **state)
{
	struct id honest[50];
	char address[48];

	(void)state;
	for (int order = 0; order < 3; order++) { /* attackers first, last, and in between */
		struct world *w = world_new(3 + (uint64_t)order, key_id(worker_key));
		size_t n_honest = 0;
		struct link links[VIEW_MAX];

		for (int i = 0; i < 1050; i++) {
			bool good = order == 0 ? i >= 1000 : order == 1 ? i < 50 : i % 21 == 0;
			struct key *k = key_new();

			snprintf(address, sizeof(address),
				good ? "%d.%d.1.1:4000" : "66.66.%d.%d:4000",
				good ? 20 + i % 50 : i / 250, good ? i / 50 : i % 250);
			auto_free char *line = record(k, 1, address, NOW + HOUR, NULL);
			take_record(w, line, NOW);
			if (good && n_honest < 50)
				honest[n_honest++] = *key_id(k);
			key_free(k);
		}
		size_t n = peers_links(w->p, links, VIEW_MAX, NOW), good = 0;
		for (size_t i = 0; i < n; i++)
			for (size_t h = 0; h < 50; h++)
				good += id_equal(&links[i].node, &honest[h]);
		assert_true(n >= 50);
		assert_true(n - good <= VIEW_BLOCK_MAX);
		assert_true(good * 10 >= n * 3);
		world_free(w);
	}
}

static void a_joined_link_stays_and_one_block_is_one_neighbour(void **state)
{
	struct world *w = world_new(5, key_id(worker_key));
	struct link first = {
		.node = *key_id(stranger), .grid = grid, .port = 4000, .host = "50.1.1.1"
	};
	struct peers_turn t;
	char address[48];
	int n = 0;

	(void)state;
	assert_true(peers_pin(w->p, &first));
	assert_false(peers_pin(w->p, &first)); /* so that it is not counted twice */
	for (int i = 0; i < 100; i++) {
		struct key *k = key_new();

		snprintf(address, sizeof(address), "60.%d.1.%d:4000", i / 4, i);
		auto_free char *line = record(k, 1, address, NOW + HOUR, NULL);
		take_record(w, line, NOW);
		key_free(k);
	}
	bool joined = false;
	uint64_t blocks[PEERS_SLOTS];
	while (peers_next(w->p, &t, NOW)) {
		struct endpoint at = { .port = 1 };

		memcpy(at.host, t.to.host, sizeof(at.host));
		blocks[n] = dial_block(&at);
		for (int i = 0; i < n; i++)
			assert_true(blocks[i] != blocks[n]);
		joined |= id_equal(&t.to.node, &first.node);
		say_release(&t.say);
		n++;
	}
	assert_int_equal(n, PEERS_SLOTS);
	assert_true(joined);
	assert_int_equal(peers_count(w->p, NOW).known, VIEW_MAX);
	world_free(w);
}

static void the_newest_record_of_an_author_counts(void **state)
{
	struct world *w = world_new(1, key_id(worker_key));
	auto_free char *a = record(stranger, 5, "20.1.1.1:1", NOW + HOUR, NULL),
		       *b = record(stranger, 6, "20.2.1.1:2", NOW + HOUR, NULL),
		       *bad = record(submitter, 1, "127.0.0.1:1", NOW + HOUR, NULL),
		       *late = record(submitter, 2, "20.3.1.1:1", NOW, NULL),
		       *own = record(worker_key, 1, "20.4.1.1:1", NOW + HOUR, NULL);
	struct link l;

	(void)state;
	assert_int_equal(take_record(w, b, NOW), NEWS_NEW);
	assert_int_equal(take_record(w, b, NOW), NEWS_KNOWN);
	assert_int_equal(take_record(w, a, NOW), NEWS_KNOWN);
	assert_int_equal(
		take_record(w, bad, NOW), NEWS_NO); /* loopback, and the joined link is public */
	assert_int_equal(take_record(w, late, NOW), NEWS_NO);
	assert_int_equal(take_record(w, own, NOW), NEWS_NO);
	assert_int_equal(peers_links(w->p, &l, 1, NOW), 1);
	assert_string_equal(l.host, "20.2.1.1");
	world_free(w);
}

static void deeds_ban_and_time_forgives(void **state)
{
	struct world *w = world_new(1, key_id(worker_key));
	auto_free char *a = record(stranger, 5, "20.1.1.1:1", NOW + 40 * HOUR, NULL);
	struct link l;

	(void)state;
	take_record(w, a, NOW);
	peers_deed(w->p, key_id(stranger), PEER_WRONG_BYTES, NOW);
	assert_int_equal(peers_links(w->p, &l, 1, NOW), 1);
	peers_deed(w->p, key_id(stranger), PEER_WRONG_BYTES, NOW);
	assert_int_equal(peers_links(w->p, &l, 1, NOW), 0);
	assert_int_equal(peers_links(w->p, &l, 1, NOW + BAN_MS), 1);
	peers_deed(w->p, key_id(stranger), PEER_WRONG_BYTES, NOW + BAN_MS + FORGIVE_MS * 8);
	assert_int_equal(peers_links(w->p, &l, 1, NOW + BAN_MS + FORGIVE_MS * 8), 1); /* long ago */
	world_free(w);
}

/* --- an exchange --------------------------------------------------------------------------- */

/* One question of a's to b, answered at once or held and released. */
static enum peers_reply exchange(struct world *a, struct world *b, int64_t now, bool *asked)
{
	struct peers_turn t;
	struct say out;
	struct peers_held held;
	enum peers_reply r = REPLY_REFUSE;

	*asked = peers_next(a->p, &t, now);
	if (!*asked)
		return r;
	auto_free char *text = say_write(&t.say);
	struct say q;
	struct err e;
	assert_int_equal(say_read(&q, text, strlen(text), &e), 0); /* over the wire and back */
	r = peers_asked(b->p, 1, &q, &out, &held, now);
	if (r == REPLY_HOLD)
		peers_release(b->p, &held, &out, now + q.wait_ms);
	auto_free char *answer = say_write(&out);
	struct say got;
	assert_int_equal(say_read(&got, answer, strlen(answer), &e), 0);
	peers_answered(a->p, &t.ref, &got, now + (r == REPLY_HOLD ? q.wait_ms : 1));
	say_release(&t.say);
	say_release(&q);
	say_release(&out);
	say_release(&got);
	return r;
}

static void two_nodes_end_with_the_same_news_whoever_asks(void **state)
{
	struct world *a = world_new(1, key_id(worker_key)), *b = world_new(2, key_id(stranger));
	struct link to = {
		.node = *key_id(stranger), .grid = grid, .port = 4000, .host = "20.1.1.1"
	};
	int64_t now = NOW;
	bool asked;

	(void)state;
	peers_pin(a->p, &to);
	for (int i = 0; i < 10; i++) /* 10 of 84 KB to one side: several messages */
		tell(a, root, i + 1, job(submitter, i, i < 5 ? 60000 : 0));
	for (int i = 0; i < 100; i++)
		tell(b, root, i + 100, job(submitter, 100 + i, 0));
	enum peers_reply last = REPLY_NOW;
	for (int i = 0; i < 200 && last != REPLY_HOLD; i++, now += PACE_MS) {
		enum peers_reply r = exchange(a, b, now, &asked);

		last = asked ? r : last;
	}
	assert_int_equal(last, REPLY_HOLD);
	assert_true(news_hash(peers_news(a->p)) == news_hash(peers_news(b->p)));
	assert_int_equal(news_count(peers_news(a->p)).facts, 110);
	assert_int_equal(peers_count(a->p, now).blocked, 0);
	assert_int_equal(peers_count(b->p, now).blocked, 0);
	world_free(a);
	world_free(b);
}

static void a_held_question_hears_of_news_once(void **state)
{
	struct world *b = world_new(2, key_id(stranger));
	struct say q = { .grid = grid, .hash = news_hash(peers_news(b->p)), .wait_ms = 1000 }, out;
	struct peers_held held;

	(void)state;
	assert_int_equal(peers_asked(b->p, 1, &q, &out, &held, NOW), REPLY_HOLD);
	assert_false(peers_hint(b->p, &held, &out, NOW));
	tell(b, root, 1, job(submitter, 1, 0));
	assert_true(peers_hint(b->p, &held, &out, NOW));
	assert_int_equal(out.n_items, 1);
	say_release(&out);
	tell(b, root, 2, job(submitter, 2, 60000)); /* too large to be sent unasked */
	assert_true(peers_hint(b->p, &held, &out, NOW));
	assert_int_equal(out.n_items, 0);
	assert_non_null(out.summary);
	say_release(&out);
	world_free(b);
}

static void our_own_news_are_pushed_beside_a_held_question(void **state)
{
	struct world *a = world_new(1, key_id(worker_key));
	struct link to = {
		.node = *key_id(stranger), .grid = grid, .port = 4000, .host = "20.1.1.1"
	};
	struct peers_turn t;
	struct err e;

	(void)state;
	peers_pin(a->p, &to);
	assert_true(peers_next(a->p, &t, NOW));
	assert_false(t.ref.push);
	say_release(&t.say);
	auto_free char *j = job(submitter, 1, 0), *n = note(worker_key, 1, j, false, NOW + HOUR);
	struct news_item item = { n, j, strlen(n), strlen(j) };
	assert_int_equal(peers_announce(a->p, &item, NOW, &e), NEWS_NEW);
	assert_int_equal(peers_due(a->p, NOW), 0);
	assert_true(peers_next(a->p, &t, NOW));
	assert_true(t.ref.push);
	assert_int_equal(t.say.n_items, 1);
	say_release(&t.say);
	assert_false(peers_next(a->p, &t, NOW));
	world_free(a);
}

static void who_answers_too_much_is_left(void **state)
{
	struct world *a = world_new(1, key_id(worker_key));
	struct link to = {
		.node = *key_id(stranger), .grid = grid, .port = 4000, .host = "20.1.1.1"
	};
	struct peers_turn t;
	struct say answer = { 0 };

	(void)state;
	peers_pin(a->p, &to);
	assert_true(peers_next(a->p, &t, NOW));
	say_release(&t.say);
	say_add_peer(&answer, "{}", 2);
	peers_answered(a->p, &t.ref, &answer, NOW);
	say_release(&answer);
	assert_int_equal(peers_count(a->p, NOW).neighbours, 0);
	assert_int_equal(peers_count(a->p, NOW).blocked, 1);
	assert_false(peers_next(a->p, &t, NOW));
	world_free(a);
}

static void who_could_not_be_reached_is_tried_soon_when_the_coordinator_is_back(void **state)
{
	struct world *a = world_new(1, key_id(worker_key));
	struct link to = {
		.node = *key_id(stranger), .grid = grid, .port = 4000, .host = "20.1.1.1"
	};
	struct peers_turn t;
	int64_t now = NOW;

	(void)state;
	peers_pin(a->p, &to);
	for (int i = 0; i < 8; i++) { /* until it is tried once an hour */
		while (!peers_next(a->p, &t, now))
			now += 1000;
		say_release(&t.say);
		peers_failed(a->p, &t.ref, false, now);
	}
	assert_false(peers_next(a->p, &t, now + RETRY_MAX_MS / 2));
	peers_hurry(a->p, now + RETRY_MAX_MS / 2);
	assert_true(peers_next(a->p, &t, now + RETRY_MAX_MS / 2 + ROUND_MS));
	say_release(&t.say);
	world_free(a);
}

/* --- what idleness costs ------------------------------------------------------------------- */

static void who_wants_many_records_is_told_only_of_those_it_has_not(void **state)
{
	struct world *a = world_new(1, key_id(worker_key)), *b = world_new(2, key_id(stranger));
	struct link to = {
		.node = *key_id(stranger), .grid = grid, .port = 4000, .host = "20.1.1.1"
	};
	struct peers_turn t;
	struct peers_held held;
	struct say out;
	char address[48];

	(void)state;
	for (int i = 0; i < 6; i++) { /* b knows six, a four of them */
		struct key *k = key_new();

		snprintf(address, sizeof(address), "30.%d.1.1:4000", i);
		auto_free char *line = record(k, 1, address, NOW + HOUR, NULL);
		take_record(b, line, NOW);
		if (i < 4)
			take_record(a, line, NOW);
		key_free(k);
	}
	peers_pin(a->p, &to);
	assert_true(peers_next(a->p, &t, NOW));
	assert_int_equal(t.say.want, SAY_PEERS_MAX);
	assert_int_equal(t.say.n_known, 4);
	assert_int_equal(peers_asked(b->p, 1, &t.say, &out, &held, NOW), REPLY_NOW);
	assert_int_equal(out.n_peers, 2);
	say_release(&out);
	say_release(&t.say);
	world_free(a);
	world_free(b);
}

static enum peers_reply knock(struct world *w, int n_held, struct say *q)
{
	struct say out = { 0 };
	struct peers_held held;

	q->hash = news_hash(peers_news(w->p));
	q->wait_ms = 1000;
	peers_set_load(w->p, n_held);
	enum peers_reply r = peers_asked(w->p, 1, q, &out, &held, NOW);
	if (r == REPLY_NOW) {
		assert_false(out.brief); /* it has no place */
		say_release(&out);
	}
	return r;
}

static void a_full_node_holds_who_had_a_place_and_who_is_alone_up_to_a_bound(void **state)
{
	struct world *w = world_new(1, key_id(worker_key));
	struct say fresh = { .grid = grid }, again = { 0 }, alone = { .grid = grid, .alone = true };

	(void)state;
	assert_int_equal(knock(w, PEERS_HELD_MAX - 1, &fresh), REPLY_HOLD);
	assert_int_equal(knock(w, PEERS_HELD_MAX, &fresh), REPLY_NOW);
	assert_int_equal(knock(w, PEERS_HELD_MAX, &again), REPLY_HOLD);
	assert_int_equal(knock(w, PEERS_HELD_AGAIN, &again), REPLY_NOW);
	assert_int_equal(knock(w, PEERS_HELD_AGAIN, &alone), REPLY_HOLD);
	assert_int_equal(knock(w, PEERS_HELD_ALONE, &alone), REPLY_NOW);
	world_free(w);
}

static void who_was_answered_briefly_is_not_told_the_grid_again(void **state)
{
	struct world *a = world_new(1, key_id(worker_key)), *b = world_new(2, key_id(stranger));
	struct link to = {
		.node = *key_id(stranger), .grid = grid, .port = 4000, .host = "20.1.1.1"
	};
	struct id none = { { 0 } };
	struct peers_turn t;
	bool asked;
	int64_t now = NOW;

	(void)state;
	peers_pin(a->p, &to);
	exchange(a, b, now, &asked);
	assert_true(asked);
	while (!peers_next(a->p, &t, now))
		now += 1000;
	assert_true(id_equal(&t.say.grid, &none));
	assert_true(say_is_of(&t.say, &grid));
	t.say.grid = *key_id(submitter);
	assert_false(say_is_of(&t.say, &grid));
	say_release(&t.say);
	world_free(a);
	world_free(b);
}

/* The only neighbour answers early with nothing, `n` times, beside what asks for records: how long until the next
 * question. */
static int64_t wait_of_the_crowded_out(int n)
{
	struct world *a = world_new(1, key_id(worker_key));
	struct link to = {
		.node = *key_id(stranger), .grid = grid, .port = 4000, .host = "20.1.1.1"
	};
	struct peers_turn t;
	int64_t now = NOW, answered = NOW;

	peers_pin(a->p, &to);
	while (n > 0) {
		while (!peers_next(a->p, &t, now))
			now += 100;
		struct say answer = { .hash = t.say.hash, .held = PEERS_HELD_MAX };

		n -= t.say.want <= 1;
		answered = now += 500;
		peers_answered(a->p, &t.ref, &answer, now);
		say_release(&t.say);
	}
	while (!peers_next(a->p, &t, now))
		now += 100;
	say_release(&t.say);
	world_free(a);
	return now - answered;
}

static void who_finds_no_room_waits_twice_as_long_each_time(void **state)
{
	(void)state;
	for (int n = 1, first = CROWD_FIRST_MS; n <= 8; n++) {
		int64_t due = (int64_t)first << (n - 1), wait = wait_of_the_crowded_out(n);

		due = due < CROWD_MS ? due : CROWD_MS;
		assert_in_range(wait, due * 3 / 4, due * 5 / 4 + 100);
	}
}

/* --- addresses ----------------------------------------------------------------------------- */

static void private_addresses_are_dialled_only_from_a_private_start(void **state)
{
	static const struct {
		const char *at;
		bool public, private;
	} rows[] = {
		{ "8.8.8.8:1", true, true },
		{ "[2a00:1450::1]:1", true, true },
		{ "127.0.0.1:1", false, true },
		{ "10.0.0.1:1", false, true },
		{ "172.16.0.1:1", false, true },
		{ "172.32.0.1:1", true, true },
		{ "192.168.1.1:1", false, true },
		{ "169.254.169.254:80", false, true },
		{ "100.64.0.1:1", false, true },
		{ "[::1]:1", false, true },
		{ "[fe80::1]:1", false, true },
		{ "[fd00::1]:1", false, true },
		{ "[::ffff:127.0.0.1]:1", false, false },
		{ "[2002:7f00:1::]:1", false, false },
		{ "0.0.0.0:1", false, false },
		{ "224.0.0.1:1", false, false },
		{ "255.255.255.255:1", false, false },
		{ "example.org:1", false, false },
		{ "8.8.8.8:0", false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct endpoint at;
		struct err e;

		assert_int_equal(endpoint_parse(&at, rows[i].at, &e), 0);
		if (dial_allowed(&at, false) != rows[i].public ||
			dial_allowed(&at, true) != rows[i].private)
			fail_msg("%s", rows[i].at);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fact_counts_once_whoever_announces_it),
		cmocka_unit_test(a_note_binds_its_number_to_its_fact),
		cmocka_unit_test(what_expired_lasts_too_long_or_is_over_is_not_taken),
		cmocka_unit_test(only_the_submitter_or_an_admin_cancels),
		cmocka_unit_test(later_kinds_are_carried_for_keys_of_the_descriptor),
		cmocka_unit_test(two_that_exchange_what_the_summaries_lack_agree),
		cmocka_unit_test(
			valid_but_huge_announcements_leave_memory_bounded_and_room_for_the_coordinator),
		cmocka_unit_test(an_over_that_finds_no_room_leaves_a_summary_that_can_be_read),
		cmocka_unit_test(one_submitter_does_not_fill_the_news),
		cmocka_unit_test(forged_records_cost_their_sender_its_hearing_and_nobody_else),
		cmocka_unit_test(many_askers_together_cost_no_more_than_one_round_allows),
		cmocka_unit_test(thousands_of_true_records_of_strangers_leave_the_view_its_size),
		cmocka_unit_test(a_thousand_attackers_of_one_block_do_not_eclipse_fifty),
		cmocka_unit_test(a_joined_link_stays_and_one_block_is_one_neighbour),
		cmocka_unit_test(the_newest_record_of_an_author_counts),
		cmocka_unit_test(deeds_ban_and_time_forgives),
		cmocka_unit_test(two_nodes_end_with_the_same_news_whoever_asks),
		cmocka_unit_test(a_held_question_hears_of_news_once),
		cmocka_unit_test(our_own_news_are_pushed_beside_a_held_question),
		cmocka_unit_test(who_answers_too_much_is_left),
		cmocka_unit_test(
			who_could_not_be_reached_is_tried_soon_when_the_coordinator_is_back),
		cmocka_unit_test(who_wants_many_records_is_told_only_of_those_it_has_not),
		cmocka_unit_test(a_full_node_holds_who_had_a_place_and_who_is_alone_up_to_a_bound),
		cmocka_unit_test(who_was_answered_briefly_is_not_told_the_grid_again),
		cmocka_unit_test(who_finds_no_room_waits_twice_as_long_each_time),
		cmocka_unit_test(private_addresses_are_dialled_only_from_a_private_start),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
