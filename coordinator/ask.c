/* SPDX-License-Identifier: Apache-2.0
 *
 * ask.c: a worker asks: what it holds is renewed, what it gives back is free, and it gets leases.
 *
 * An ask that finds nothing to lease may wait (long poll). Nothing of a waiting ask is written: its
 * seq becomes durable together with what it caused, when it is answered. Renewals need no
 * row: after a restart every live lease has a full term.
 */
#include "common/codec.h"
#include "common/log.h"
#include "coordinator/checkpoint.h"
#include "coordinator/gossip.h"
#include "coordinator/hold.h"
#include "coordinator/sources.h"
#include "jobs/job_words.h"

#include <stdlib.h>
#include <string.h>

#define SERVE_STEP 256     /* waiting asks tried in one turn */
#define SEEN_STEP_MS 30000 /* how stale a worker's row may be */
#define BUSY_ASKS_PER_S 1000.0

/* --- who asks ----------------------------------------------------------------------------- */
static bool same_request(struct call *call, const struct msg *m, enum asker who)
{
	struct last_request last;
	struct err e;
	bool over = true;

	store_last_request(call->c->store, who, &m->author, &last);
	if (last.seq >= m->seq && digest_equal(&last.asked, &m->sealed.digest)) {
		reply_json(call, 200, TAKE(last.answer));
	} else if (last.seq >= m->seq) {
		err_set(&e, ERR_OLD_SEQ, "the last seq known of this author is %lld",
			(long long)last.seq);
		reply_error(call, &e);
	} else {
		over = false;
	}
	free(last.answer);
	return over;
}

/* What it is willing to run. */
static void learn_terms(struct worker *w, const json_t *ask)
{
	const json_t *only = json_object_get(ask, "submitters");
	struct id key;
	json_t *j;
	size_t i;

	w->profiles = words_read(job_profile_words, json_object_get(ask, "profiles"));
	w->bits = words_read(job_bit_words, json_object_get(ask, "bits"));
	free(TAKE(w->only));
	w->n_only = 0;
	if (json_array_size(only))
		w->only = xcalloc(json_array_size(only), sizeof(*w->only));
	json_array_foreach(only, i, j)
		if (id_parse(&key, json_string_value(j)))
			w->only[w->n_only++] = node_tag(&key);
}

/* Its own data, and whose jobs may read it. Not kept: every ask says it. */
static void learn_locals(struct worker *w, const json_t *ask)
{
	const json_t *names = json_object_get(ask, "local"), *keys = json_object_get(ask, "local_for");
	json_t *j;
	size_t i;

	free(TAKE(w->locals));
	if (!json_array_size(names) || !json_array_size(keys))
		return;
	w->locals = xcalloc(1, sizeof(*w->locals)); /* both lists are bounded by the shape */
	json_array_foreach(names, i, j)
		snprintf(w->locals->names[w->locals->n++], sizeof(w->locals->names[0]), "%s", json_string_value(j));
	json_array_foreach(keys, i, j)
		id_parse(&w->locals->keys[w->locals->n_keys++], json_string_value(j));
}

/* What the ask says of the worker; true when the store should know. */
static bool learn(struct worker *w, const json_t *ask, const char *address, int64_t now)
{
	struct worker was = *w;
	struct id via;
	const char *state = jtext(ask, "state"); /* one of three: its shape lets no other through */

	snprintf(w->platform, sizeof(w->platform), "%s", jtext(ask, "platform"));
	snprintf(w->platform_class, sizeof(w->platform_class), "%s", jtext(ask, "platform_class"));
	snprintf(w->agent, sizeof(w->agent), "%s", jtext(ask, "agent"));
	snprintf(w->address, sizeof(w->address), "%s", jtext(ask, "address"));
	learn_terms(w, ask);
	learn_locals(w, ask);
	w->slots = jint(ask, "slots", 1);
	w->cpus = jint(ask, "cpus", 1);
	w->memory_mib = jint(ask, "memory_mib", 0);
	w->disk_mib = jint(ask, "disk_mib", 0);
	w->state = !strcmp(state, "run") ? RUN : !strcmp(state, "pause") ? PAUSE : FINISH;
	/* through a relay the address is the relay's, and says nothing of the worker's network */
	w->voter.relay = id_parse(&via, jtext(ask, "via")) ? node_tag(&via) : 0;
	w->voter.kind = kind_tag(w->platform, w->platform_class);
	w->voter.net = w->voter.relay ? NETWORK_UNKNOWN : network_of(address);
	w->has_asked = true;
	bool stale = now - w->seen_ms > SEEN_STEP_MS || w->voter.net != was.voter.net ||
	             w->voter.relay != was.voter.relay ||
	             w->slots != was.slots || w->cpus != was.cpus ||
	             w->memory_mib != was.memory_mib || w->disk_mib != was.disk_mib ||
	             w->profiles != was.profiles || w->bits != was.bits || strcmp(w->platform, was.platform) != 0 ||
	             strcmp(w->address, was.address) != 0 || strcmp(w->agent, was.agent) != 0 ||
	             strcmp(w->platform_class, was.platform_class) != 0;
	w->seen_ms = now;
	return stale;
}

static bool refused(struct coord *c, const struct msg *m, uint32_t at, struct err *e)
{
	char id[ID_TEXT + 1];

	id_text(id, &m->author);
	if (at != NOBODY && c->sched.workers[at].banned)
		err_set(e, ERR_BANNED, "worker %s is banned", id);
	else if (!c->o.work_open && (at == NOBODY || !c->sched.workers[at].admitted))
		err_set(e, ERR_REFUSED,
			"this grid takes only invited workers, and %s was not invited", id);
	else if (at == NOBODY && c->sched.n_workers >= WORKERS_MAX)
		err_set(e, ERR_RATE, "this grid knows as many workers as it can");
	else
		return false;
	return true;
}

static uint32_t meet(struct coord *c, const struct msg *m, uint32_t at, const char *address)
{
	int64_t now = coord_now(c);
	bool fresh = at == NOBODY;

	if (fresh)
		at = sched_add_worker(&c->sched, &m->author);
	struct worker *w = &c->sched.workers[at];
	if (fresh)
		w->first_ms = now;
	bool stale = learn(w, m->body, address, now);
	if (fresh)
		w->row = store_add_worker(c->store, w);
	else if (stale)
		store_set_worker(c->store, w);
	return at;
}

/* --- what it holds ------------------------------------------------------------------------ */
static uint32_t its_lease(const struct coord *c, uint32_t worker, const char *hex)
{
	unsigned char id[LEASE_ID_BYTES];

	if (!hex_decode(id, sizeof(id), hex))
		return NOBODY;
	uint32_t at = sched_find_lease(&c->sched, id);
	return at != NOBODY && c->sched.leases[at].worker == worker ? at : NOBODY;
}

static void take_back(struct coord *c, uint32_t worker, const json_t *ask)
{
	json_t *r;
	size_t i;

	json_array_foreach(json_object_get(ask, "returned"), i, r) {
		uint32_t at = its_lease(c, worker, jtext(r, "lease"));

		if (at == NOBODY)
			continue;
		/* no row is left: else who asks and gives back all day would fill the disk */
		store_drop_lease(c->store, c->sched.leases[at].id);
		log_debug("a lease was given back: %s", jtext(r, "why"));
		sched_give_back(&c->sched, at);
	}
}

static const char *why_ended(struct coord *c, uint32_t worker, const char *hex)
{
	unsigned char id[LEASE_ID_BYTES];
	struct lease_row row;

	if (!hex_decode(id, sizeof(id), hex) || !store_lease(c->store, id, &row) ||
		row.worker != c->sched.workers[worker].row)
		return "unknown";
	return !strcmp(row.state, "expired")     ? "expired"
	       : !strcmp(row.state, "cancelled") ? "cancelled"
	                                         : "unknown";
}

static bool any_ended(const struct coord *c, uint32_t worker, const json_t *ask)
{
	json_t *h;
	size_t i;

	json_array_foreach(json_object_get(ask, "held"), i, h)
		if (its_lease(c, worker, json_string_value(h)) == NOBODY)
			return true;
	return false;
}

static void renew(struct coord *c, uint32_t worker, const json_t *ask, json_t *ack, int64_t now)
{
	json_t *renewed = json_array(), *ended = json_array(), *h;
	size_t i;

	json_array_foreach(json_object_get(ask, "held"), i, h) {
		const char *hex = json_string_value(h);
		uint32_t at = its_lease(c, worker, hex);

		if (at == NOBODY) {
			json_array_append_new(ended, json_pack("{s:s,s:s}", "lease", hex, "why",
							     why_ended(c, worker, hex)));
			continue;
		}
		sched_renew(&c->sched, at, now);
		if (sched_relayed(&c->sched, at))
			store_set_lease_voter(c->store, &c->sched.leases[at]);
		json_array_append(renewed, h);
	}
	if (ack) {
		json_object_set_new(ack, "renewed", renewed);
		json_object_set_new(ack, "ended", ended);
	} else {
		json_decref(renewed);
		json_decref(ended);
	}
}

/* --- the answer --------------------------------------------------------------------------- */
static char *lease_message(struct coord *c, const uint32_t *at, size_t n, int64_t now)
{
	const struct lease *first = &c->sched.leases[at[0]];
	json_t *m = msg_new_epoch(MSG_LEASE, &c->id, &c->id, now, &c->epoch), *list = json_array();
	char text[ID_TEXT + 1];

	id_text(text, &c->sched.workers[first->worker].id);
	json_object_set_new(m, "worker", json_string(text));
	digest_hex(text, &c->sched.jobs[first->job].id);
	json_object_set_new(m, "job", json_string(text));
	for (size_t i = 0; i < n; i++) {
		const struct lease *l = &c->sched.leases[at[i]];
		char id[2 * LEASE_ID_BYTES + 1];

		hex_encode(id, l->id, LEASE_ID_BYTES);
		json_t *one = json_pack("{s:s,s:I,s:I}", "id", id, "index", (json_int_t)l->index, "ttl_ms",
			(json_int_t)LEASE_TERM_MS);
		sources_tell_task(c, l->job, l->index, one);
		checkpoint_tell(c, l, one);
		json_array_append_new(list, one);
	}
	sources_tell_job(c, first->job, m);
	json_object_set_new(m, "leases", list);
	json_object_set_new(m, "now", json_integer(now));
	return seal_ours(c, m);
}

/* Ask again after this: at once while there is work, after a pause when there was none and the ask
 * did not wait either, and later the busier the coordinator is. */
static int64_t next_ms(const struct coord *c, const struct hold *h, size_t given, int64_t now)
{
	double load = 1.0 + meter_rate(&c->asks, now) / BUSY_ASKS_PER_S;

	return (int64_t)((given || h->waited ? 10 : 250) * load * load);
}

/* Leases are sorted by job: one message for each job. */
static char *leases_text(struct coord *c, const uint32_t *at, size_t n, int64_t now)
{
	struct buf b = { 0 };

	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1;
			end < n && c->sched.leases[at[end]].job == c->sched.leases[at[i]].job;)
			end++;
		auto_free char *line = lease_message(c, at + i, end - i, now);
		buf_printf(&b, "%s%s", i ? "," : "", line);
	}
	return buf_take(&b);
}

static void answer(struct coord *c, struct hold *h, const uint32_t *at, size_t n, int64_t now)
{
	json_t *ack = new_ack(c, MSG_ACK, &h->ask.sealed.digest);
	struct call *call = h->call;

	renew(c, h->worker, h->ask.body, ack, now);
	json_object_set_new(ack, "next_ms", json_integer(next_ms(c, h, n, now)));
	for (size_t i = 0; i < n; i++) {
		const struct lease *l = &c->sched.leases[at[i]];

		store_add_lease(c->store, l, c->sched.jobs[l->job].row,
			c->sched.workers[h->worker].row, now);
	}
	auto_free char *line = seal_ours(c, ack);
	auto_free char *leases = leases_text(c, at, n, now);
	char *text = xprintf("{\"ack\":%s,\"leases\":[%s]}", line, leases);
	store_answered(
		c->store, ASKER_WORKER, &h->ask.author, h->ask.seq, &h->ask.sealed.digest, text);
	drop_hold(h);
	reply_json(call, 200, text);
}

static void draw_id(unsigned char id[LEASE_ID_BYTES])
{
	random_bytes(id, LEASE_ID_BYTES);
}

/* Answer it if there is something to say, or if it must be. */
static bool try_answer(struct coord *c, struct hold *h, int64_t now)
{
	const json_t *ask = h->ask.body;
	uint32_t at[LEASES_PER_ASK];
	size_t n = 0, want = (size_t)jint(ask, "want", 0);

	const struct worker *w = &c->sched.workers[h->worker];

	if (want > 0 && w->state == RUN && !w->banned && !c->draining)
		n = sched_lease(&c->sched, h->worker, want, now, at, draw_id);
	if (n == 0 && !h->now && now < h->until_ms)
		return false;
	answer(c, h, at, n, now);
	return true;
}

/* --- waiting ------------------------------------------------------------------------------ */
static void add_hold(struct coord *c, struct hold *h)
{
	array_room(&c->holds, &c->holds_room, c->n_holds, sizeof(struct hold *));
	h->at = c->n_holds;
	c->holds[c->n_holds++] = h;
	h->call->hold = h;
	c->sched.workers[h->worker].hold = h;
}

void drop_hold(struct hold *h)
{
	struct coord *c = h->call->c;

	c->holds[h->at] = c->holds[--c->n_holds];
	c->holds[h->at]->at = h->at;
	h->call->hold = NULL;
	if (c->sched.workers[h->worker].hold == h)
		c->sched.workers[h->worker].hold = NULL;
	msg_release(&h->ask);
	free(h);
}

void wake_worker(struct coord *c, uint32_t worker)
{
	struct hold *h = c->sched.workers[worker].hold;

	if (h)
		h->now = true;
}

/* Some of those who wait, in turn: all that are due, and a bounded number if there may be work. */
void serve_holds(struct coord *c, int64_t now)
{
	size_t tries = c->sched.stirred && !c->draining ? SERVE_STEP : 0;

	for (size_t i = c->n_holds; i-- > 0;)
		if (i < c->n_holds && (c->holds[i]->now || now >= c->holds[i]->until_ms)) {
			c->holds[i]->now = true;
			try_answer(c, c->holds[i], now);
		}
	for (; tries > 0 && c->next_hold < c->n_holds; tries--)
		if (!try_answer(c, c->holds[c->next_hold], now))
			c->next_hold++;
	if (c->next_hold >= c->n_holds) {
		c->next_hold = 0;
		c->sched.stirred = false;
	} else if (c->sched.stirred) {
		c->more = true;
	}
}

void coord_release_holds(struct coord *c)
{
	for (size_t i = 0; i < c->n_holds; i++)
		c->holds[i]->now = true;
	gossip_release(c->gossip);
	c->want_turn(c->want_turn_arg);
}

int64_t coord_due_in(const struct coord *c)
{
	int64_t now = coord_now(c), due = sched_next_expiry(&c->sched), heard = now + gossip_due_in(c->gossip);

	if (heard < due)
		due = heard;

	for (size_t i = 0; i < c->n_holds; i++)
		if (c->holds[i]->until_ms < due)
			due = c->holds[i]->until_ms;
	return due <= now ? 1 : due - now < 60000 ? due - now : 60000;
}

/* --- the ask itself ----------------------------------------------------------------------- */
void handle_ask(struct call *call, struct msg *m, const char *address)
{
	struct coord *c = call->c;
	uint32_t at = sched_worker(&c->sched, &m->author);
	struct hold *older = at == NOBODY ? NULL : c->sched.workers[at].hold;
	int64_t now = coord_now(c), wait;
	struct err e;

	if (refused(c, m, at, &e)) {
		reply_error(call, &e);
		msg_release(m);
		return;
	}
	if (older) { /* it asks again: the older ask gets its answer first */
		older->now = true;
		try_answer(c, older, now);
	}
	if (same_request(call, m, ASKER_WORKER)) {
		msg_release(m);
		return;
	}
	meter_add(&c->asks, now, 1);
	at = meet(c, m, at, address);
	checkpoint_take(c, at, m->body);
	take_back(c, at, m->body);
	struct hold *h = xcalloc(1, sizeof(*h));
	wait = jint(m->body, "wait_ms", 0);
	*h = (struct hold){ .call = call, .ask = *m, .worker = at, .until_ms = now + wait };
	h->now = wait == 0 || any_ended(c, at, m->body) || c->n_holds >= HOLDS_MAX;
	add_hold(c, h);
	if (!try_answer(c, h, now)) {
		h->waited = true;
		renew(c, at, h->ask.body, NULL, now);
		c->want_turn(c->want_turn_arg); /* its deadline is to be watched */
	}
}
