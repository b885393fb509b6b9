/* SPDX-License-Identifier: Apache-2.0
 *
 * test_coord.c: the whole machine without a socket: messages in, turns, replies out.
 */
#include "common/codec.h"
#include "coordinator/checkpoint.h"
#include "coordinator/sources_in.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <cmocka.h>

static char dir[64];
static struct err e;
static struct coord *c;
static struct key *submitter;

/* --- a small world ------------------------------------------------------------------------ */
static struct coord_options options(void)
{
	return (struct coord_options){ .dir = dir,
		.name = "",
		.about = "",
		.contact = "",
		.submit_open = true,
		.work_open = true,
		.by = BY_NETWORK };
}

static void open_again(void)
{
	struct coord_options o = options();

	coord_close(c);
	if (coord_open(&c, &o, &e))
		fail_msg("%s", e.msg);
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/talkoot-coord-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	c = NULL;
	open_again();
	submitter = key_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	coord_close(c);
	key_free(submitter);
	return remove_tree(dir, &e);
}

struct heard {
	int times, status;
	enum err_code code;
	char *body;
};

static void hear(void *arg, struct reply *r)
{
	struct heard *h = arg;

	h->times++;
	h->status = r->status;
	h->code = r->e.code;
	free(h->body);
	h->body = r->body ? xmemdup(r->body, r->n) : NULL;
}

static struct call *post(struct heard *h, const char *text, const char *address)
{
	struct call *call = coord_call(c, hear, h);

	*h = (struct heard){ 0 };
	coord_message(call, text, strlen(text), address);
	return call;
}

static void turns(void)
{
	do
		coord_turn(c);
	while (c->more);
}

/* The strings of static tests never need more than one signed line at a time. */
static char *sealed(const struct key *k, json_t *m)
{
	char *line;

	if (msg_seal(&line, m, NULL, k, &e))
		fail_msg("%s", e.msg);
	return line;
}

static bool travels; /* the next job's checkpoints do, and workers can run it */

/* A job that needs no upload: its program is put in place. `tasks` and `changes` are taken; changes (NULL: none) are
 * fields that differ. */
static void submit_tasks(json_t *tasks, int quorum, json_t *changes)
{
	char program[64 + 56] = "\177ELF\2\1\1", hex[33], assurance[16];
	unsigned char nonce[16];
	struct blob b;
	struct heard h;

	program[16] = 2;
	program[18] = 62;
	program[32] = 64; /* one program header, behind this one */
	program[56] = 1;
	program[52] = 64;
	program[54] = 56;
	assert_int_equal(blob_put(c->blobs, program, sizeof(program), &b, &e), 0);
	store_add_blob(c->store, &b.digest, b.size, true, NULL);
	random_bytes(nonce, sizeof(nonce));
	hex_encode(hex, nonce, sizeof(nonce));
	snprintf(assurance, sizeof(assurance), "quorum:%d", quorum);
	json_t *m = msg_new(MSG_JOB, &c->id, key_id(submitter), 1),
	       *more = json_pack("{s:s,s:s,s:[{s:s,s:s,s:o}],s:s,s:[],s:o,s:[],s:[],s:{s:i,"
				 "s:i,s:i,s:i,s:i,s:i},s:i,s:b,s:s,s:i,"
				 "s:s,s:i,s:s}",
		       "nonce", hex, "name", "test", "programs", "platform", "x86_64-linux", "name",
		       "p", "blob", blob_to_json(&b), "profile", travels ? "files" : "compute", "args", "tasks",
		       tasks, "files", "outputs", "limits", "cpu_s",
		       1, "wall_s", 1, "memory_mib", 1, "disk_mib", 1, "max_output_mib", 1,
		       "processes", 1, "threads", 1, "deterministic", 1, "platform_class", "any",
		       "priority", 0, "assurance", assurance, "max_results", 6, "compare", "exact");
	json_object_update(m, more);
	json_decref(more);
	if (travels)
		json_object_set_new(m, "checkpoint", json_string("travels"));
	if (changes)
		json_object_update(m, changes);
	json_decref(changes);
	auto_free char *line = sealed(submitter, m);
	post(&h, line, "127.0.0.1");
	turns();
	assert_int_equal(h.status, 200);
	free(h.body);
}

static void submit_with(int64_t count, int quorum, json_t *changes)
{
	submit_tasks(json_pack("{s:{s:I}}", "range", "count", (json_int_t)count), quorum, changes);
}

static void submit(int64_t count, int quorum)
{
	submit_with(count, quorum, NULL);
}

struct agent {
	struct key *k;
	int64_t seq;
	const char *address;
	const struct agent *via; /* its relay; NULL: none */
	const char *class;       /* NULL: x */
	struct heard heard;
	struct call *call;
	const struct blob *reached; /* what its task has, of the only lease there is; NULL: nothing */
};

static void asks(struct agent *a, int want, int wait_ms)
{
	json_t *m = msg_new_request(MSG_ASK, &c->id, key_id(a->k), 1, ++a->seq),
	       *more = json_pack("{s:i,s:[],s:[],s:i,s:i,s:i,s:i,s:i,s:[s,s],s:s,s:s,s:s,s:s}",
		       "want", want, "held", "returned", "wait_ms", wait_ms, "slots", 4, "cpus", 4,
		       "memory_mib", 100, "disk_mib", 100, "profiles", "compute", "files", "platform",
		       "x86_64-linux", "platform_class", a->class ? a->class : "x", "agent", "test", "state", "run");
	json_object_update(m, more);
	json_decref(more);
	if (a->via) {
		char relay[ID_TEXT + 1];

		id_text(relay, key_id(a->via->k));
		json_object_set_new(m, "via", json_string(relay));
	}
	if (a->reached) {
		char lease[2 * LEASE_ID_BYTES + 1];

		hex_encode(lease, c->sched.leases[c->sched.first_lease].id, LEASE_ID_BYTES);
		json_object_set_new(m, "checkpoints",
			json_pack("[{s:s,s:o}]", "lease", lease, "blob", blob_to_json(a->reached)));
	}
	auto_free char *line = sealed(a->k, m);
	free(a->heard.body);
	a->call = post(&a->heard, line, a->address);
	turns();
}

/* What results are to say that they were given; NULL: nothing. */
static const struct digest *given;

/* Returns every lease of the last answer with the output `out`; how many. */
static int returns_all(struct agent *a, const char *out, struct heard *h)
{
	auto_json json_t *answer = shape_load(a->heard.body, strlen(a->heard.body), &e);
	json_t *envelope, *l;
	size_t i, k;
	int n = 0;

	json_array_foreach (json_object_get(answer, "leases"), i, envelope) {
		auto_free char *line = shape_dump(envelope),
			       *blob = base64_encode(out, strlen(out));
		struct digest d = digest_of(out, strlen(out));
		struct results r = {
			.agent = "test", .platform = "x86_64-linux", .platform_class = "x"
		};

		snprintf(r.platform_class, sizeof(r.platform_class), "%s", a->class ? a->class : "x");
		struct msg m;
		char text[DIGEST_TEXT + 1], *sent;

		assert_int_equal(msg_open(&m, line, strlen(line), &c->id, &e), 0);
		id_parse(&r.job, jtext(m.body, "job"));
		r.n = json_array_size(json_object_get(m.body, "leases"));
		r.items = xcalloc(r.n, sizeof(*r.items));
		json_array_foreach (json_object_get(m.body, "leases"), k, l) {
			struct result *x = &r.items[k];

			x->index = jint(l, "index", 0);
			snprintf(x->lease, sizeof(x->lease), "%s", jtext(l, "id"));
			snprintf(x->reason, sizeof(x->reason), "exited");
			x->has_inputs = given != NULL;
			x->inputs = given ? *given : d;
			result_add_output(x, "stdout", &d, &d,
				(int64_t)strlen(out)); /* one leaf: the root is the digest */
			n++;
		}
		r.author = *key_id(a->k);
		assert_int_equal(results_seal(&sent, &r, &c->id, a->k, 1, &e), 0);
		digest_text(text, &d);
		auto_free char *body =
			xprintf("{\"envelope\":%s,\"blobs\":{\"%s\":\"%s\"}}", sent, text, blob);
		post(h, body, a->address);
		turns();
		free(h->body);
		h->body = NULL;
		free(sent);
		results_release(&r);
		msg_release(&m);
	}
	return n;
}

static struct agent an_agent(const char *address)
{
	return (struct agent){ .k = key_new(), .address = address };
}

static void agent_free(struct agent *a)
{
	key_free(a->k);
	free(a->heard.body);
}

/* --- claims ------------------------------------------------------------------------------- */
static void two_workers_finish_a_job(void **state)
{
	(void)state;
	struct agent a = an_agent("127.0.0.1"), b = an_agent("127.0.0.1");
	struct heard h;

	submit(5, 2);
	asks(&a, 8, 0);
	assert_int_equal(returns_all(&a, "x", &h), 5);
	asks(&b, 8, 0);
	assert_int_equal(returns_all(&b, "x", &h), 5);
	assert_int_equal(c->sched.active, 0);
	assert_int_equal(c->counts.valid, 5);
	agent_free(&a);
	agent_free(&b);
}

static json_t *tasks_of(const struct digest *job, int count)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, job);
	return json_pack("{s:{s:s,s:s,s:i}}", "each", "job", hex, "file", "stdout", "count", count);
}

/* The job with this number in the store. */
static struct job_row job_number(int64_t n)
{
	struct job_row row;

	assert_int_equal(store_jobs(c->store, n - 1, false, &row, 1), 1);
	return row;
}

/* What the last answer's leases have as their standard input: `text`, all of them. */
static void stdin_is(const struct agent *a, const char *text)
{
	struct digest d = digest_of(text, strlen(text));
	char want[DIGEST_TEXT + 1];
	json_t *l;
	size_t k;

	auto_json json_t *answer = shape_load(a->heard.body, strlen(a->heard.body), &e);
	auto_free char *line = shape_dump(json_array_get(json_object_get(answer, "leases"), 0));
	struct msg m;
	digest_text(want, &d);
	assert_int_equal(msg_open(&m, line, strlen(line), &c->id, &e), 0);
	json_array_foreach(json_object_get(m.body, "leases"), k, l)
		assert_string_equal(jtext(json_object_get(l, "stdin"), "digest"), want);
	msg_release(&m);
}

static void who_waits_is_given_what_the_verdicts_say(void **state)
{
	(void)state;
	struct agent a = an_agent("127.0.0.1");
	static const struct inputs none;
	struct digest x = digest_of("x", 1);
	struct blob in = { .digest = x };
	struct heard h;

	submit(3, 1);
	struct job_row source = job_number(1);
	submit_tasks(tasks_of(&source.id, 3), 1, NULL);
	asks(&a, 8, 0);
	open_again(); /* what is live stays so, and who waits goes on waiting */
	assert_true(c->sched.jobs[1].waits);
	assert_int_equal(returns_all(&a, "x", &h), 3);
	asks(&a, 8, 0);
	stdin_is(&a, "x");
	int64_t before = c->counts.received;
	returns_all(&a, "y", &h); /* they do not say what they were given */
	assert_int_equal(h.status, 0);
	assert_int_equal(h.code, ERR_FIELD);
	given = &x;
	returns_all(&a, "y", &h); /* they say something else */
	assert_int_equal(h.code, ERR_FIELD);
	assert_int_equal(c->counts.received, before);
	open_again();
	struct digest right = inputs_digest(&none, &(struct job){ .n_files = 0 }, &in);
	given = &right;
	assert_int_equal(returns_all(&a, "y", &h), 3);
	given = NULL;
	assert_int_equal(h.status, 200);
	assert_int_equal(c->sched.active, 0);
	assert_int_equal(job_number(2).valid, 3);
	agent_free(&a);
}

static void gives_back(void)
{
	store_end_lease(c->store, c->sched.leases[c->sched.first_lease].id, "returned");
	sched_give_back(&c->sched, c->sched.first_lease);
}

/* A worker may ask and give back as often as it likes. */
static void an_envelope_is_opened_once_for_all_that_are_given_of_it(void **state)
{
	(void)state;
	struct agent a = an_agent("127.0.0.1");
	struct heard h;

	submit(8, 1);
	struct job_row source = job_number(1);
	for (int i = 0; i < 2; i++) {
		asks(&a, 4, 0);
		assert_int_equal(returns_all(&a, "x", &h), 4);
	}
	submit_tasks(tasks_of(&source.id, 8), 1, NULL);
	for (int i = 0; i < 10; i++) {
		asks(&a, 8, 0);
		assert_int_equal(c->sched.live, 8);
		stdin_is(&a, "x");
		while (c->sched.live > 0)
			gives_back();
		turns();
	}
	assert_int_equal(c->sources->opened, 2);
	agent_free(&a);
}

static void who_waits_ends_with_what_it_waits_for(void **state)
{
	(void)state;

	submit(2, 1);
	struct job_row a = job_number(1);
	submit_tasks(tasks_of(&a.id, 2), 1, NULL);
	struct job_row b = job_number(2);
	submit_tasks(tasks_of(&b.id, 2), 1, NULL);
	assert_int_equal(cancel_job(c, &a.id, "for a test", &e), 0);
	turns();
	assert_int_equal(c->sched.active, 0);
	for (int64_t n = 1; n <= 3; n++)
		assert_string_equal(job_number(n).state, "cancelled");
	assert_non_null(strstr(job_number(3).why, "which it waits for, was cancelled"));
}

static void two_of_one_network_do_not(void **state)
{
	(void)state;
	struct agent a = an_agent("192.0.2.1"), b = an_agent("192.0.2.2"),
		     d = an_agent("198.51.100.1");
	struct heard h;

	submit(1, 2);
	asks(&a, 8, 0);
	assert_int_equal(returns_all(&a, "x", &h), 1);
	asks(&b, 8, 0);
	assert_int_equal(returns_all(&b, "x", &h), 0);
	asks(&d, 8, 0);
	assert_int_equal(returns_all(&d, "x", &h), 1);
	assert_int_equal(c->counts.valid, 1);
	agent_free(&a);
	agent_free(&b);
	agent_free(&d);
}

/* B comes through A, so from A's address. Both orders, and a restart between. */
static void a_worker_and_its_relay_never_complete_a_quorum(void **state)
{
	(void)state;
	struct heard h;

	for (int order = 0; order < 2; order++) {
		struct agent a = an_agent("192.0.2.1"), b = an_agent("192.0.2.1"), d = an_agent("198.51.100.1");
		struct agent *first = order ? &b : &a, *second = order ? &a : &b;
		int64_t valid = c->counts.valid;

		b.via = &a;
		submit(3, 2);
		asks(first, 8, 0);
		assert_int_equal(returns_all(first, "x", &h), 3);
		if (order)
			open_again();
		asks(second, 8, 0);
		assert_int_equal(returns_all(second, "x", &h), 0);
		b.via = NULL; /* and B comes directly, from elsewhere: what it said through A stays so */
		b.address = "203.0.113.1";
		if (order) {
			asks(&a, 8, 0);
			assert_int_equal(returns_all(&a, "x", &h), 0);
		}
		asks(&d, 8, 0);
		assert_int_equal(returns_all(&d, "x", &h), 3);
		assert_int_equal(c->counts.valid, valid + 3);
		agent_free(&a);
		agent_free(&b);
		agent_free(&d);
	}
}

static void two_relayed_workers_never_complete_a_quorum(void **state)
{
	(void)state;
	struct agent r = an_agent("192.0.2.1"), s = an_agent("198.51.100.1"), a = an_agent("192.0.2.1"),
		     b = an_agent("198.51.100.1");
	struct heard h;

	a.via = &r;
	b.via = &s;
	submit(1, 2);
	asks(&a, 8, 0);
	assert_int_equal(returns_all(&a, "x", &h), 1);
	asks(&b, 8, 0);
	assert_int_equal(returns_all(&b, "x", &h), 0);
	asks(&s, 8, 0); /* the relay of the other may */
	assert_int_equal(returns_all(&s, "x", &h), 1);
	assert_int_equal(c->counts.valid, 1);
	agent_free(&r);
	agent_free(&s);
	agent_free(&a);
	agent_free(&b);
}

static void nothing_is_answered_before_the_commit(void **state)
{
	(void)state;
	struct heard h;

	post(&h, "{\"envelope\":0}", "127.0.0.1");
	assert_int_equal(h.times, 0);
	turns();
	assert_int_equal(h.times, 1);
	assert_int_equal(h.code, ERR_FIELD);
}

static void a_restart_forgets_nothing(void **state)
{
	(void)state;
	struct agent a = an_agent("127.0.0.1"), b = an_agent("127.0.0.1");
	struct heard h;

	submit(10, 2);
	asks(&a, 4, 0);
	returns_all(&a, "x", &h);
	asks(&a, 4, 0);
	int64_t before = coord_now(c);
	open_again();
	assert_true(coord_now(c) >= before);
	assert_int_equal(c->sched.active, 1);
	const struct sjob *j = &c->sched.jobs[0];
	assert_int_equal(j->tally[TASK_CHECKING], 4);
	assert_int_equal(j->tally[TASK_RUNNING], 4);
	assert_int_equal(j->tally[TASK_PENDING], 2);
	assert_int_equal(returns_all(&a, "x", &h), 4);
	asks(&a, 4, 0);
	assert_int_equal(returns_all(&a, "x", &h), 2);
	asks(&b, 10, 0);
	assert_int_equal(returns_all(&b, "x", &h), 10);
	assert_int_equal(c->counts.valid, 10);
	open_again();
	assert_int_equal(c->sched.active, 0);
	assert_int_equal(c->counts.valid, 10);
	assert_int_equal(c->agreed, 20);
	agent_free(&a);
	agent_free(&b);
}

static void a_failed_commit_leaves_no_belief(void **state)
{
	(void)state;
	struct agent a = an_agent("127.0.0.1");
	struct rlimit old, none;
	struct heard h;

	submit(10, 2);
	asks(&a, 4, 0);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	none = (struct rlimit){ 0, old.rlim_max };
	setrlimit(RLIMIT_FSIZE, &none);
	returns_all(&a, "x", &h);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(h.code, ERR_FULL);
	assert_int_equal(c->sched.jobs[0].tally[TASK_CHECKING], 0);
	assert_int_equal(c->sched.jobs[0].tally[TASK_RUNNING], 4);
	c->retry_ms = 0; /* instead of waiting half a second */
	returns_all(&a, "x", &h);
	assert_int_equal(h.code, ERR_NONE);
	assert_int_equal(c->sched.jobs[0].tally[TASK_CHECKING], 4);
	agent_free(&a);
}

static void a_waiting_ask_gets_the_next_job(void **state)
{
	(void)state;
	struct agent a = an_agent("127.0.0.1"), b = an_agent("127.0.0.1");
	struct heard h;

	asks(&a, 4, 20000);
	asks(&b, 4, 20000);
	assert_int_equal(a.heard.times + b.heard.times, 0);
	assert_int_equal(c->n_holds, 2);
	coord_gone(b.call);
	assert_int_equal(c->n_holds, 1);
	submit(3, 1);
	assert_int_equal(a.heard.times, 1);
	assert_int_equal(returns_all(&a, "x", &h), 3);
	agent_free(&a);
	agent_free(&b);
}

static void a_ban_reaches_an_ask_that_waits(void **state)
{
	(void)state;
	struct agent a = an_agent("127.0.0.1");
	char id[ID_TEXT + 1];

	asks(&a, 4, 20000);
	id_text(id, key_id(a.k));
	assert_int_equal(ban_worker(c, id, true, &e), 0);
	submit(3, 1);
	assert_int_equal(a.heard.times, 1);
	assert_int_equal(c->sched.live, 0);
	asks(&a, 4, 0);
	assert_int_equal(a.heard.code, ERR_BANNED);
	agent_free(&a);
}

/* --- checkpoints -------------------------------------------------------------------------- */
static void reaches(struct agent *a, const char *text, struct blob *b)
{
	struct upload_row row = { .author = *key_id(a->k), .done = true };
	static int64_t n;

	n++;
	assert_int_equal(blob_put(c->blobs, text, strlen(text), b, &e), 0);
	row.id = digest_of((const char *)&n, sizeof(n));
	row.digest = b->digest;
	row.size = b->size;
	store_add_upload(c->store, &row, n);
	store_upload_done(c->store, &row, false);
	a->reached = b;
	asks(a, 0, 0);
	a->reached = NULL;
}

static bool is_handed(const struct agent *a, const struct blob *b)
{
	char text[DIGEST_TEXT + 1];
	struct msg m;

	auto_json json_t *answer = shape_load(a->heard.body, strlen(a->heard.body), &e);
	auto_free char *line = shape_dump(json_array_get(json_object_get(answer, "leases"), 0));
	assert_int_equal(msg_open(&m, line, strlen(line), &c->id, &e), 0);
	const json_t *one = json_array_get(json_object_get(m.body, "leases"), 0);
	digest_text(text, &b->digest);
	bool is = !strcmp(jtext(json_object_get(one, "checkpoint"), "digest"), text);
	msg_release(&m);
	return is;
}

/* A task that writes for days would fill the disk. */
static void a_checkpoint_that_nobody_was_told_of_goes_when_a_newer_one_comes(void **state)
{
	(void)state;
	struct agent a = an_agent("127.0.0.1"), b = an_agent("127.0.0.1");
	struct blob first, second, third;

	travels = true;
	submit(1, 1);
	asks(&a, 1, 0);
	reaches(&a, "first", &first);
	assert_true(blob_size(c->blobs, &first.digest) > 0);
	reaches(&a, "second", &second);
	assert_int_equal(blob_size(c->blobs, &first.digest), -1);
	gives_back();
	asks(&b, 1, 0);
	assert_true(is_handed(&b, &second));
	reaches(&b, "third", &third);
	assert_true(blob_size(c->blobs, &second.digest) > 0); /* a result may name it */
	reaches(&b, "third", &third);                        /* once more the same */
	assert_true(blob_size(c->blobs, &third.digest) > 0);
	asks(&b, 0, 0);
	travels = false;
	struct digest job = c->sched.jobs[0].id;
	assert_int_equal(cancel_job(c, &job, "enough", &e), 0);
	for (int i = 0; i < 8; i++)
		turns();
	assert_int_equal(c->sched.active, 0);
	assert_int_equal(blob_size(c->blobs, &third.digest), -1);
	agent_free(&a);
	agent_free(&b);
}

/* It begins again from its own, and comes far enough to write a newer one before its result is in. */
static void what_was_handed_on_may_be_named_in_a_result(void **state)
{
	(void)state;
	struct agent a = an_agent("127.0.0.1");
	struct blob first, second, third;
	struct result r = { .has_inherited = true };

	travels = true;
	submit(1, 1);
	asks(&a, 1, 0);
	reaches(&a, "first", &first);
	gives_back();
	asks(&a, 1, 0);
	travels = false;
	assert_true(is_handed(&a, &first));
	reaches(&a, "second", &second);
	reaches(&a, "third", &third);
	r.inherited = first.digest;
	assert_int_equal(checkpoint_check_result(c, 0, &r, &e), 0);
	checkpoint_close(c, 0, 0); /* a result is in: the next copy begins at the start */
	assert_int_equal(checkpoint_check_result(c, 0, &r, &e), -1);
	r.inherited = second.digest; /* nobody was told of it */
	assert_int_equal(checkpoint_check_result(c, 0, &r, &e), -1);
	agent_free(&a);
}

static void a_lost_checkpoint_is_not_handed_on(void **state)
{
	(void)state;
	struct agent a = an_agent("127.0.0.1"), b = an_agent("127.0.0.1");
	struct blob first;

	travels = true;
	submit(1, 1);
	asks(&a, 1, 0);
	reaches(&a, "first", &first);
	gives_back();
	assert_int_equal(blob_remove(c->blobs, &first.digest, &e), 0);
	asks(&b, 1, 0);
	travels = false;
	assert_false(is_handed(&b, &first));
	agent_free(&a);
	agent_free(&b);
}

/* What rests on the work of a worker that is banned ends; who wrote it is not forgotten, also not by a restart. */
static void a_ban_ends_what_goes_on_from_the_banned_ones_checkpoint(void **state)
{
	(void)state;
	struct agent a = an_agent("127.0.0.1"), b = an_agent("127.0.0.1");
	struct blob first, second;
	char id[ID_TEXT + 1];

	travels = true;
	submit(1, 2);
	asks(&a, 1, 0);
	reaches(&a, "first", &first);
	gives_back();
	asks(&b, 1, 0);
	assert_true(is_handed(&b, &first));
	reaches(&b, "second", &second);
	id_text(id, key_id(a.k));
	assert_int_equal(ban_worker(c, id, true, &e), 0);
	assert_int_equal(c->sched.live, 0);
	turns();
	open_again();
	asks(&b, 1, 0);
	travels = false;
	assert_int_equal(c->sched.live, 1);
	assert_false(is_handed(&b, &first) || is_handed(&b, &second));
	assert_true(sched_is_author(&c->sched, c->sched.first_lease, sched_worker(&c->sched, key_id(a.k))));
	agent_free(&a);
	agent_free(&b);
}

static void garbage_never_hurts(void **state)
{
	(void)state;
	uint64_t rng = 5;
	struct agent a = an_agent("127.0.0.1");
	char text[600];

	submit(3, 1);
	for (int i = 0; i < 3000; i++) {
		struct heard h;
		size_t n = rng_below(&rng, sizeof(text) - 1);

		for (size_t k = 0; k < n; k++)
			text[k] = "{}[]\":,payloadenvsgtur0123\\\"u00\x80"[rng_below(&rng, 32)];
		text[n] = '\0';
		if (i % 3 == 0)
			memcpy(text, "{\"envelope\":{\"payload\":", n < 23 ? n : 23);
		post(&h, text, "192.0.2.1");
		turns();
		assert_int_equal(h.times, 1);
		assert_int_not_equal(h.code, ERR_NONE);
		free(h.body);
	}
	asks(&a, 4, 0);
	assert_int_equal(a.heard.status, 200);
	agent_free(&a);
}

/* --- by tolerance ------------------------------------------------------------------------- */
static json_t *tolerance(const char *how)
{
	return json_pack("{s:s}", "compare", how);
}

/* One answer after the other until the job is over; how many were taken. */
static int answers(const char *const *outs, int n)
{
	int taken = 0;

	for (int i = 0; i < n; i++) {
		struct agent a = an_agent("127.0.0.1");
		struct heard h;

		asks(&a, 8, 0);
		taken += returns_all(&a, outs[i], &h);
		agent_free(&a);
	}
	return taken;
}

struct said {
	json_t *tasks;
};

static bool keep_verdict(void *arg, int64_t n, const char *line, size_t len)
{
	struct said *s = arg;
	struct msg m;

	(void)n;
	assert_int_equal(msg_open(&m, line, len, &c->id, &e), 0);
	json_decref(s->tasks);
	s->tasks = json_incref(json_object_get(m.body, "tasks"));
	msg_release(&m);
	return true;
}

/* The last verdict on the job in row `job`: its first task. Yours. */
static json_t *verdict_on(int64_t job)
{
	struct said s = { NULL };

	store_each_verdict(c->store, job, 0, keep_verdict, &s);
	json_t *first = json_incref(json_array_get(s.tasks, 0));
	json_decref(s.tasks);
	return first;
}

static void results_within_the_tolerance_agree(void **state)
{
	(void)state;
	static const char *const outs[] = { "1.0\n", "2.0\n", "1.0000001\n" };
	char text[DIGEST_TEXT + 1];

	submit_with(1, 2, tolerance("numeric:rtol=1e-6,atol=0"));
	assert_int_equal(answers(outs, 2), 2);
	assert_int_equal(c->sched.active, 1);
	assert_int_equal(answers(outs + 2, 1), 1);
	assert_int_equal(c->counts.valid, 1);
	auto_json json_t *t = verdict_on(1);
	assert_int_equal(json_array_size(json_object_get(t, "counted")), 2);
	assert_int_equal(json_array_size(json_object_get(t, "dissent")), 1);
	/* the outcome is that of the first of the two */
	struct result first = { .outputs = NULL };
	struct digest d = digest_of(outs[0], 4);
	result_add_output(&first, "stdout", &d, &d, 4);
	d = outcome_of(&first);
	digest_text(text, &d);
	assert_string_equal(jtext(t, "outcome"), text);
	free(first.outputs[0].name);
	free(first.outputs);
}

static void exactly_they_do_not(void **state)
{
	(void)state;
	static const char *const outs[] = { "1.0\n", "1.0000001\n", "1.0000002\n", "1.0000003\n", "1.0000004\n",
		"1.0000005\n" };

	submit(1, 2);
	assert_int_equal(answers(outs, 6), 6);
	assert_int_equal(c->counts.failed, 1);
	submit_with(1, 2, tolerance("numeric:rtol=1e-9,atol=0"));
	assert_int_equal(answers(outs, 6), 6);
	assert_int_equal(c->counts.failed, 2);
}

/* a ~ b and b ~ c, but a and c differ: with a quorum of three no three agree. */
static void a_chain_is_no_quorum(void **state)
{
	(void)state;
	static const char *const outs[] = { "1.0", "1.4", "1.8", "1.2" };

	submit_with(1, 3, tolerance("numeric:rtol=0,atol=0.5"));
	assert_int_equal(answers(outs, 3), 3);
	assert_int_equal(c->sched.active, 1);
	assert_int_equal(answers(outs + 3, 1), 1); /* 1.0, 1.4 and 1.2 */
	assert_int_equal(c->counts.valid, 1);
	auto_json json_t *t = verdict_on(1);
	assert_int_equal(json_array_size(json_object_get(t, "counted")), 3);
	assert_int_equal(json_array_size(json_object_get(t, "dissent")), 1);
}

static void what_was_compared_is_compared_again_after_a_restart(void **state)
{
	(void)state;
	static const char *const outs[] = { "1", "5", "5.1" };

	submit_with(1, 2, tolerance("numeric:rtol=0,atol=0.5"));
	assert_int_equal(answers(outs, 2), 2);
	open_again();
	assert_int_equal(c->sched.n_undecided, 1);
	turns();
	assert_int_equal(c->sched.n_undecided, 0);
	assert_int_equal(answers(outs + 2, 1), 1);
	assert_int_equal(c->counts.valid, 1);
}

/* The results are in, and the coordinator dies before it has compared them. */
static void a_comparison_that_was_pending_is_made_after_a_restart(void **state)
{
	(void)state;
	struct agent a = an_agent("127.0.0.1"), b = an_agent("127.0.0.1");
	struct heard h;

	submit_with(1, 2, tolerance("numeric:rtol=0,atol=0.5"));
	asks(&a, 8, 0);
	assert_int_equal(returns_all(&a, "1", &h), 1);
	asks(&b, 8, 0);
	c->sched.relating.between = NULL; /* as if this one could not compare */
	assert_int_equal(returns_all(&b, "1.25", &h), 1);
	assert_int_equal(c->counts.valid, 0);
	open_again();
	turns();
	assert_int_equal(c->counts.valid, 1);
	agent_free(&a);
	agent_free(&b);
}

static void a_ban_takes_its_votes_out_of_what_is_undecided(void **state)
{
	(void)state;
	struct agent a = an_agent("127.0.0.1"), b = an_agent("127.0.0.1"), d = an_agent("127.0.0.1");
	struct heard h;
	char id[ID_TEXT + 1];

	submit_with(1, 2, tolerance("numeric:rtol=0,atol=0.5"));
	asks(&a, 8, 0);
	assert_int_equal(returns_all(&a, "1", &h), 1);
	asks(&b, 8, 0);
	c->sched.relating.between = NULL;
	assert_int_equal(returns_all(&b, "1.25", &h), 1);
	open_again(); /* undecided now, and not looked at */
	assert_int_equal(c->sched.n_undecided, 1);
	id_text(id, key_id(a.k));
	assert_int_equal(ban_worker(c, id, true, &e), 0);
	turns();
	assert_int_equal(c->counts.valid, 0);
	assert_int_equal(c->sched.n_undecided, 0);
	asks(&d, 8, 0);
	assert_int_equal(returns_all(&d, "1.5", &h), 1);
	assert_int_equal(c->counts.valid, 1);
	agent_free(&a);
	agent_free(&b);
	agent_free(&d);
}

static void who_cancelled_a_job_is_said(void **state)
{
	const struct {
		const struct key *by;
		const char *why;
	} cases[] = { { submitter, "by its submitter" }, { c->key, "by an admin" } };
	struct endpoint at;
	char hex[DIGEST_HEX + 1];
	struct heard h;

	(void)state;
	assert_int_equal(endpoint_parse(&at, "127.0.0.1:7070", &e), 0);
	assert_int_equal(coord_publish(c, &at, &e), 0); /* the root is an admin too */
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		submit(1, 2);
		json_t *m = msg_new(MSG_CANCEL, &c->id, key_id(cases[i].by), 1);
		struct job_row job = job_number((int64_t)i + 1);

		digest_hex(hex, &job.id);
		json_object_set_new(m, "job", json_string(hex));
		auto_free char *line = sealed(cases[i].by, m);
		post(&h, line, "127.0.0.1");
		turns();
		assert_int_equal(h.status, 200);
		free(h.body);
		assert_string_equal(job_number((int64_t)i + 1).why, cases[i].why);
	}
}

static void a_cancelled_job_has_nothing_undecided(void **state)
{
	(void)state;
	static const char *const outs[] = { "1", "5" };

	submit_with(1, 2, tolerance("numeric:rtol=0,atol=0.5"));
	assert_int_equal(answers(outs, 2), 2);
	open_again();
	assert_int_equal(c->sched.n_undecided, 1);
	struct digest id = c->sched.jobs[0].id;
	assert_int_equal(cancel_job(c, &id, "", &e), 0);
	turns();
	assert_int_equal(c->sched.active, 0);
	submit(1, 2); /* in its slot */
	turns();
	assert_int_equal(c->sched.n_undecided, 0);
	assert_int_equal(c->sched.jobs[0].tally[TASK_PENDING], 1);
}

/* What follows from a comparison is not kept either when the turn is not; it follows again. */
static void a_failed_commit_leaves_a_task_undecided(void **state)
{
	(void)state;
	struct agent a = an_agent("127.0.0.1"), b = an_agent("127.0.0.1");
	struct rlimit old, none;
	struct heard h;

	submit_with(1, 2, tolerance("numeric:rtol=0,atol=0.5"));
	asks(&a, 8, 0);
	assert_int_equal(returns_all(&a, "1", &h), 1);
	asks(&b, 8, 0);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	none = (struct rlimit){ 0, old.rlim_max };
	setrlimit(RLIMIT_FSIZE, &none);
	returns_all(&b, "1.25", &h);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(h.code, ERR_FULL);
	assert_int_equal(c->sched.active, 1);
	assert_int_equal(c->sched.n_undecided, 0);
	c->retry_ms = 0; /* instead of waiting half a second */
	returns_all(&b, "1.25", &h);
	assert_int_equal(h.code, ERR_NONE);
	assert_int_equal(c->counts.valid, 1);
	agent_free(&a);
	agent_free(&b);
}

/* --- of one class ------------------------------------------------------------------------- */
static void the_first_result_pins_the_class(void **state)
{
	(void)state;
	struct agent a = an_agent("127.0.0.1"), b = an_agent("127.0.0.1"), d = an_agent("127.0.0.1");
	char waiting[160];
	struct heard h;

	a.class = d.class = "x86_64-v3";
	b.class = "x86_64-v2";
	submit_with(2, 2, json_pack("{s:s}", "platform_class", "same"));
	asks(&a, 1, 0);
	assert_int_equal(returns_all(&a, "x", &h), 1);
	asks(&b, 8, 0); /* the task that nobody answered */
	assert_int_equal(returns_all(&b, "x", &h), 1);
	for (int again = 0; again < 2; again++) {
		asks(&b, 8, 0);
		assert_int_equal(returns_all(&b, "x", &h), 0);
		sched_waiting(&c->sched, &c->sched.jobs[0], coord_now(c), waiting, sizeof(waiting));
		assert_string_equal(waiting, "needs 2 independent workers of one platform class, has 1 of x86_64-v3");
		open_again();
	}
	asks(&d, 8, 0);
	assert_int_equal(returns_all(&d, "x", &h), 1);
	sched_waiting(&c->sched, &c->sched.jobs[0], coord_now(c), waiting, sizeof(waiting));
	assert_string_equal(waiting, "1 tasks need a worker independent of all who answered them so far and of their platform class");
	agent_free(&d);
	d = an_agent("127.0.0.1");
	d.class = "x86_64-v2";
	asks(&d, 8, 0);
	assert_int_equal(returns_all(&d, "x", &h), 1);
	assert_int_equal(c->counts.valid, 2);
	agent_free(&a);
	agent_free(&b);
	agent_free(&d);
}

/* Whether the first lease of the last answer goes on from a checkpoint. It is given back. */
static bool goes_on(struct agent *a)
{
	auto_json json_t *answer = shape_load(a->heard.body, strlen(a->heard.body), &e);
	json_t *envelope = json_array_get(json_object_get(answer, "leases"), 0);
	if (!envelope)
		fail_msg("no lease: %s", a->heard.body);
	auto_free char *line = shape_dump(envelope);
	struct msg m;
	assert_int_equal(msg_open(&m, line, strlen(line), &c->id, &e), 0);
	bool on = json_object_get(json_array_get(json_object_get(m.body, "leases"), 0), "checkpoint") != NULL;
	msg_release(&m);
	end_leases_of(c, NOBODY, sched_worker(&c->sched, key_id(a->k)));
	turns();
	return on;
}

static void a_checkpoint_travels_within_its_class(void **state)
{
	(void)state;
	struct agent a = an_agent("127.0.0.1"), b = an_agent("127.0.0.1"), d = an_agent("127.0.0.1");
	struct checkpoint_row row = { .index = 0 };

	assert_int_equal(blob_put(c->blobs, "x", 1, &row.blob, &e), 0);
	a.class = d.class = "x86_64-v3";
	b.class = "x86_64-v2";
	for (int same = 1; same >= 0; same--) {
		submit_with(1, 2, json_pack("{s:s,s:s,s:s,s:i}", "platform_class", same ? "same" : "any", "profile", "files",
				"checkpoint", "travels", "priority", same ? 0 : 1));
		asks(&a, 1, 0);
		assert_false(goes_on(&a));
		uint32_t author = sched_worker(&c->sched, key_id(a.k));
		row.worker = c->sched.workers[author].row;
		assert_true(sched_author(&c->sched, (uint32_t)!same, 0, &c->sched.workers[author].voter));
		store_add_checkpoint(c->store, c->sched.jobs[!same].row, key_id(a.k), &row);
		asks(&b, 1, 0);
		assert_int_equal(goes_on(&b), !same);
		asks(&d, 1, 0);
		assert_true(goes_on(&d));
		open_again();
		asks(&b, 1, 0);
		assert_int_equal(goes_on(&b), !same);
	}
	agent_free(&a);
	agent_free(&b);
	agent_free(&d);
}

/* It was leased as one of the class, and signs another. */
static void what_was_signed_is_the_class(void **state)
{
	(void)state;
	struct agent a = an_agent("127.0.0.1"), b = an_agent("127.0.0.1"), d = an_agent("127.0.0.1");
	struct heard h;

	a.class = b.class = d.class = "x86_64-v3";
	submit_with(1, 2, json_pack("{s:s}", "platform_class", "same"));
	asks(&a, 8, 0);
	assert_int_equal(returns_all(&a, "x", &h), 1);
	asks(&b, 8, 0);
	b.class = "x86_64-v2";
	assert_int_equal(returns_all(&b, "x", &h), 1);
	assert_int_equal(c->counts.valid, 0);
	open_again();
	asks(&d, 8, 0);
	assert_int_equal(returns_all(&d, "x", &h), 1);
	assert_int_equal(c->counts.valid, 1);
	agent_free(&a);
	agent_free(&b);
	agent_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(two_workers_finish_a_job, setup, teardown),
		cmocka_unit_test_setup_teardown(who_waits_is_given_what_the_verdicts_say, setup, teardown),
		cmocka_unit_test_setup_teardown(an_envelope_is_opened_once_for_all_that_are_given_of_it, setup, teardown),
		cmocka_unit_test_setup_teardown(who_waits_ends_with_what_it_waits_for, setup, teardown),
		cmocka_unit_test_setup_teardown(two_of_one_network_do_not, setup, teardown),
		cmocka_unit_test_setup_teardown(a_worker_and_its_relay_never_complete_a_quorum, setup, teardown),
		cmocka_unit_test_setup_teardown(two_relayed_workers_never_complete_a_quorum, setup, teardown),
		cmocka_unit_test_setup_teardown(
			nothing_is_answered_before_the_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(a_restart_forgets_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failed_commit_leaves_no_belief, setup, teardown),
		cmocka_unit_test_setup_teardown(a_waiting_ask_gets_the_next_job, setup, teardown),
		cmocka_unit_test_setup_teardown(a_ban_reaches_an_ask_that_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(a_checkpoint_that_nobody_was_told_of_goes_when_a_newer_one_comes, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_handed_on_may_be_named_in_a_result, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lost_checkpoint_is_not_handed_on, setup, teardown),
		cmocka_unit_test_setup_teardown(a_ban_ends_what_goes_on_from_the_banned_ones_checkpoint, setup, teardown),
		cmocka_unit_test_setup_teardown(garbage_never_hurts, setup, teardown),
		cmocka_unit_test_setup_teardown(results_within_the_tolerance_agree, setup, teardown),
		cmocka_unit_test_setup_teardown(exactly_they_do_not, setup, teardown),
		cmocka_unit_test_setup_teardown(a_chain_is_no_quorum, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_compared_is_compared_again_after_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(a_comparison_that_was_pending_is_made_after_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(a_ban_takes_its_votes_out_of_what_is_undecided, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failed_commit_leaves_a_task_undecided, setup, teardown),
		cmocka_unit_test_setup_teardown(who_cancelled_a_job_is_said, setup, teardown),
		cmocka_unit_test_setup_teardown(a_cancelled_job_has_nothing_undecided, setup, teardown),
		cmocka_unit_test_setup_teardown(the_first_result_pins_the_class, setup, teardown),
		cmocka_unit_test_setup_teardown(a_checkpoint_travels_within_its_class, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_signed_is_the_class, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
