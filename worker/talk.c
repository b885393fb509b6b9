/* SPDX-License-Identifier: Apache-2.0
 *
 * talk.c: asks out, answers in.
 *
 * The bytes of an ask are kept until it is answered: said again, they get the same answer, so leases are not
 * lost with a broken connection.
 */
#include "worker/talk.h"
#include "common/clock.h"
#include "common/codec.h"
#include "common/log.h"
#include "jobs/job_words.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_SLACK_MS 20000 /* what an answer may take beyond the wait it was asked for */
#define LEASE_MSGS_MAX 64

struct talk {
	struct fetcher *fetcher;
	struct home *home;
	struct notes *notes;
	const struct key *key;
	const struct talk_self *self;
	struct talk_fns fns;
	struct fetch *fetch;
	char *line; /* the last ask */
	int64_t wait_ms;
	struct digest digest;
	struct way way; /* that it goes */
	unsigned turn;
};

/* What an answer is unpacked into; some tens of KiB, so not on the stack. */
struct heard {
	struct agent_lease leases[LEASE_MSGS_MAX * 64];
	char renewed[AGENT_TASKS_MAX][LEASE_HEX + 1];
	char ended[512][LEASE_HEX + 1];
	struct agent_answer answer;
};

struct talk *talk_new(struct fetcher *f, struct home *h, struct notes *n, const struct key *k,
	const struct talk_self *self, const struct talk_fns *fns)
{
	struct talk *t = xcalloc(1, sizeof(*t));

	*t = (struct talk){ .fetcher = f, .home = h, .notes = n, .key = k, .self = self, .fns = *fns };
	return t;
}

void talk_free(struct talk *t)
{
	if (!t)
		return;
	if (t->fetch)
		fetch_cancel(t->fetch);
	free(t->line);
	free(t);
}

/* --- out ---------------------------------------------------------------------------------------------- */

static json_t *held_json(const struct agent_ask *ask)
{
	json_t *held = json_array();

	for (size_t i = 0; i < ask->n_held; i++)
		json_array_append_new(held, json_string(ask->held[i]));
	return held;
}

static json_t *returned_json(const struct agent_ask *ask)
{
	json_t *returned = json_array();

	for (size_t i = 0; i < ask->n_returned; i++)
		json_array_append_new(returned, json_pack("{s:s, s:s}", "lease", ask->returned[i].lease,
			"why", ask->returned[i].why));
	return returned;
}

/* What is not said is any submitter, and no bit. */
static void add_terms(json_t *j, const struct terms *t, unsigned bits_here)
{
	json_t *bits = words_json(job_bit_words, t->bits & bits_here), *submitters = json_array();
	char id[ID_TEXT + 1];

	for (size_t i = 0; i < t->n_submitters; i++) {
		id_text(id, &t->submitters[i]);
		json_array_append_new(submitters, json_string(id));
	}
	if (json_array_size(bits))
		json_object_set(j, "bits", bits);
	if (t->n_submitters)
		json_object_set(j, "submitters", submitters);
	json_decref(bits);
	json_decref(submitters);
}

static void add_self(json_t *j, const struct talk_self *self)
{
	json_object_set_new(j, "slots", json_integer(self->slots));
	json_object_set_new(j, "cpus", json_integer(self->cpus));
	json_object_set_new(j, "memory_mib", json_integer(self->memory_mib));
	json_object_set_new(j, "disk_mib", json_integer(self->disk_mib));
	json_object_set_new(j, "profiles", words_json(job_profile_words, self->profiles));
	json_object_set_new(j, "platform", json_string(self->platform));
	json_object_set_new(j, "platform_class", json_string(self->platform_class));
	json_object_set_new(j, "agent", json_string(self->agent));
	add_terms(j, self->terms, self->bits);
	if (self->address)
		json_object_set_new(j, "address", json_string(self->address));
}

static void add_local(json_t *j, const struct local *l)
{
	json_t *names = json_array(), *keys = json_array();
	char hex[ID_TEXT + 1];

	for (size_t i = 0; l && i < l->n; i++)
		json_array_append_new(names, json_string(l->at[i].name));
	for (size_t i = 0; l && i < l->n_keys; i++) {
		id_text(hex, &l->keys[i]);
		json_array_append_new(keys, json_string(hex));
	}
	if (l && l->n) {
		json_object_set(j, "local", names);
		json_object_set(j, "local_for", keys);
	}
	json_decref(names);
	json_decref(keys);
}

/* Whom this ask comes through: our network is then not what the coordinator sees. */
static void add_via(json_t *j, const struct way *way)
{
	char relay[ID_TEXT + 1];

	if (!way->relayed)
		return;
	id_text(relay, &way->via.node);
	json_object_set_new(j, "via", json_string(relay));
}

static bool same_relay(const struct way *a, const struct way *b)
{
	return a->relayed == b->relayed && (!a->relayed || id_equal(&a->via.node, &b->via.node));
}

static int build(struct talk *t, const struct agent_ask *ask, struct err *e)
{
	int64_t seq;

	if (notes_next_seq(t->notes, &seq, e))
		return -1;
	json_t *j = msg_new_request(MSG_ASK, &t->home->grid_id, key_id(t->key), clock_now_ms(), seq);
	json_object_set_new(j, "want", json_integer(ask->want));
	json_object_set_new(j, "held", held_json(ask));
	json_object_set_new(j, "returned", returned_json(ask));
	json_t *checkpoints = claims_json(t->self->claims);
	if (checkpoints)
		json_object_set_new(j, "checkpoints", checkpoints);
	json_object_set_new(j, "wait_ms", json_integer(ask->wait_ms));
	add_self(j, t->self);
	add_local(j, t->self->local);
	json_object_set_new(j, "state", json_string(agent_mode_name(ask->mode)));
	add_via(j, &t->way);
	free(t->line);
	t->line = NULL;
	if (msg_seal(&t->line, j, NULL, t->key, e))
		return err_wrap(e, "building an ask");
	t->digest = digest_of(t->line, strlen(t->line));
	t->wait_ms = ask->wait_ms;
	return 0;
}

static fetch_fn on_answer;

int talk_ask(struct talk *t, const struct agent_ask *ask, struct err *e)
{
	const struct way *way = home_way(t->home);

	if (!way)
		return err_set(e, ERR_UNREACHABLE, "the grid's descriptor names no coordinator's address");
	if (t->fetch)
		fetch_cancel(TAKE(t->fetch));
	/* what was said on another way would tell of the wrong network, so it is said anew */
	bool anew = !ask->again || !t->line || !same_relay(way, &t->way);
	t->way = *way;
	t->turn = home_turn(t->home);
	if (anew && build(t, ask, e))
		return -1;
	struct fetch_spec spec = { .method = "POST", .to = &t->way.to, .via = way_via(&t->way), .path = "/v1/messages",
		.headers = { "Content-Type: application/json" }, .body = t->line, .n = strlen(t->line),
		.answer_max = 4 * MIB, .timeout_ms = t->wait_ms + ANSWER_SLACK_MS };
	t->fetch = fetch_start(t->fetcher, &spec, on_answer, t);
	return 0;
}

/* --- in ------------------------------------------------------------------------------------------------- */

static int read_ack(struct talk *t, struct heard *h, const json_t *envelope, struct err *e)
{
	auto_free char *line = envelope ? shape_dump(envelope) : NULL;
	struct msg m;
	json_t *j;
	size_t i;

	if (!line)
		return err_field(e, "ack", "is missing in the answer");
	if (home_open_ack(t->home, &m, line, strlen(line), &t->digest, e))
		return -1;
	json_array_foreach(json_object_get(m.body, "renewed"), i, j)
		if (h->answer.n_renewed < ARRAY_LEN(h->renewed))
			snprintf(h->renewed[h->answer.n_renewed++], LEASE_HEX + 1, "%s", json_string_value(j));
	json_array_foreach(json_object_get(m.body, "ended"), i, j)
		if (h->answer.n_ended < ARRAY_LEN(h->ended))
			snprintf(h->ended[h->answer.n_ended++], LEASE_HEX + 1, "%s", jtext(j, "lease"));
	h->answer.next_ms = jint(m.body, "next_ms", 0);
	msg_release(&m);
	return 0;
}

static void read_given(struct agent_given *g, const json_t *inputs, const json_t *one)
{
	const json_t *standard_input = json_object_get(one, "stdin"), *checkpoint = json_object_get(one, "checkpoint");

	g->has_inputs = inputs != NULL;
	g->has_stdin = standard_input != NULL;
	if (inputs)
		blob_from_json(&g->inputs, inputs);
	if (standard_input)
		blob_from_json(&g->standard_input, standard_input);
	g->has_checkpoint = checkpoint != NULL;
	if (checkpoint)
		blob_from_json(&g->checkpoint, checkpoint);
}

static void read_leases(struct talk *t, struct heard *h, const struct msg *m)
{
	char me[ID_TEXT + 1];
	struct digest job;
	json_t *j;
	size_t i;

	id_text(me, key_id(t->key));
	if (strcmp(jtext(m->body, "worker"), me) != 0) {
		log_warn("a lease for another worker is ignored");
		return;
	}
	const json_t *inputs = json_object_get(m->body, "inputs");
	digest_from_hex(&job, jtext(m->body, "job"));
	json_array_foreach(json_object_get(m->body, "leases"), i, j) {
		struct agent_lease *l = &h->leases[h->answer.n_leases++];

		*l = (struct agent_lease){ .job = job, .index = jint(j, "index", 0),
			.ttl_ms = jint(j, "ttl_ms", 0) };
		snprintf(l->lease, sizeof(l->lease), "%s", jtext(j, "id"));
		read_given(&l->given, inputs, j);
	}
}

static int read_answer(struct talk *t, struct heard *h, const struct answer *a, struct err *e)
{
	auto_json json_t *body = shape_load(a->body.data ? a->body.data : "", a->body.len, e);
	const json_t *leases = json_object_get(body, "leases");
	json_t *envelope;
	size_t i;

	if (!body || read_ack(t, h, json_object_get(body, "ack"), e))
		return -1;
	if (json_array_size(leases) > LEASE_MSGS_MAX)
		return err_field(e, "leases", "more than %d messages", LEASE_MSGS_MAX);
	json_array_foreach(leases, i, envelope) {
		auto_free char *line = shape_dump(envelope);
		struct msg m;

		if (home_open_msg(t->home, &m, line, strlen(line), MSG_LEASE, e))
			return -1;
		read_leases(t, h, &m);
		msg_release(&m);
	}
	return 0;
}

/* The last number in the problem's detail. */
static void adopt_seq(struct talk *t, const char *detail)
{
	size_t n = strlen(detail);
	int64_t known;

	while (n && (detail[n - 1] < '0' || detail[n - 1] > '9'))
		n--;
	size_t end = n;
	while (n && detail[n - 1] >= '0' && detail[n - 1] <= '9')
		n--;
	auto_free char *digits = xmemdup(detail + n, end - n);
	if (int_parse(&known, digits, 0, INT64_MAX / 2)) {
		log_info("the coordinator knows sequence number %lld of this worker; going on from there",
			(long long)known);
		notes_adopt_seq(t->notes, known);
	}
}

static void refused(struct talk *t, const struct answer *a)
{
	bool anew = a->status >= 400 && a->status < 500 && a->status != 429 && a->status != 408;

	bool other = false;

	if (a->e.code == ERR_OLD_SEQ)
		adopt_seq(t, a->e.msg);
	else if (a->status == 0 || a->status >= 500) /* else it was the coordinator who refused */
		other = home_failed(t->home, t->turn);
	t->fns.unheard(t->fns.arg, anew, a->retry_after_s > 0 ? a->retry_after_s * 1000 : 0, other, &a->e);
}

static void on_answer(void *arg, struct answer *a)
{
	struct talk *t = arg;
	struct err e;

	t->fetch = NULL;
	if (a->status < 200 || a->status >= 300) {
		if (!a->e.code)
			err_set(&a->e, ERR_UNREACHABLE, "an answer with status %d", a->status);
		refused(t, a);
		return;
	}
	auto_free struct heard *h = xcalloc(1, sizeof(*h));

	h->answer = (struct agent_answer){ .leases = h->leases, .renewed = (const char(*)[LEASE_HEX + 1])h->renewed,
		.ended = (const char(*)[LEASE_HEX + 1])h->ended };
	if (read_answer(t, h, a, &e)) {
		t->fns.unheard(t->fns.arg, false, 0, home_failed(t->home, t->turn), &e);
		return;
	}
	home_worked(t->home, &t->way, a->ip);
	t->fns.heard(t->fns.arg, &h->answer);
}
