/* SPDX-License-Identifier: Apache-2.0
 *
 * coord.c: the machine: opening, the turn with its one commit, and who gets a message.
 *
 *	message -> handler: read, decide, write facts, leave a reply
 *	turn    -> expire, cancel, serve who waits, sign verdicts, COMMIT, then send the replies
 *
 * When a commit fails (a full disk) every reply of the turn becomes that problem and the state in
 * memory is read anew from the store: nothing unacknowledged stays believed.
 */
#include "coordinator/coord.h"
#include "common/clock.h"
#include "common/log.h"
#include "coordinator/agree.h"
#include "coordinator/gossip.h"
#include "coordinator/hold.h"
#include "coordinator/sources.h"
#include "coordinator/uploads.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_MS 500 /* after a failed commit: how often a small write is tried */

int64_t coord_now(const struct coord *c)
{
	return c->time_base + clock_mono_ms() - c->mono_base;
}

/* --- meters ------------------------------------------------------------------------------- */
void meter_add(struct meter *m, int64_t now, int64_t n)
{
	int64_t s = now / 1000;
	size_t i = (size_t)(s % (METER_S + 1));

	if (m->at[i] != s) {
		m->at[i] = s;
		m->n[i] = 0;
	}
	m->n[i] += n;
}

double meter_rate(const struct meter *m, int64_t now)
{
	int64_t s = now / 1000, sum = 0;

	for (size_t i = 0; i <= METER_S; i++)
		if (m->at[i] < s && m->at[i] >= s - METER_S)
			sum += m->n[i];
	return (double)sum / METER_S;
}

/* --- calls and replies -------------------------------------------------------------------- */
struct call *coord_call(struct coord *c, reply_fn *fn, void *arg)
{
	struct call *call = xcalloc(1, sizeof(*call));

	*call = (struct call){ .c = c, .fn = fn, .arg = arg };
	call->reply.fd = -1;
	call->reply.offset = call->reply.length = -1;
	return call;
}

static void call_free(struct call *call)
{
	if (call->reply.fd >= 0)
		base_close(&call->reply.fd);
	free(call->reply.body);
	free(call);
}

void coord_gone(struct call *call)
{
	call->fn = NULL;
	if (call->hears) {
		gossip_forget(call->c->gossip, call);
		call_free(call);
	} else if (call->hold) {
		drop_hold(call->hold);
		call_free(call);
	}
}

static void replied(struct call *call)
{
	struct coord *c = call->c;

	call->replied = true;
	call->hold = NULL;
	call->hears = false;
	*c->answered_end = call;
	c->answered_end = &call->next;
	c->want_turn(c->want_turn_arg);
}

void reply_text(struct call *call, int status, const char *type, char *body, size_t n)
{
	call->reply.status = status;
	call->reply.type = type;
	call->reply.body = body;
	call->reply.n = n;
	replied(call);
}

void reply_json(struct call *call, int status, char *text)
{
	reply_text(call, status, "application/json", text, strlen(text));
}

void reply_error(struct call *call, const struct err *e)
{
	call->reply.e = *e;
	call->c->rejected += e->code == ERR_SIGNATURE || e->code == ERR_CONFLICT;
	replied(call);
}

static void send_replies(struct coord *c, const struct err *failed)
{
	struct call *call = c->answered, *next;

	c->answered = NULL;
	c->answered_end = &c->answered;
	for (; call; call = next) {
		next = call->next;
		if (failed)
			call->reply.e = *failed;
		if (call->fn)
			call->fn(call->arg, &call->reply);
		call_free(call);
	}
}

/* --- what we sign ------------------------------------------------------------------------- */
char *seal_ours(struct coord *c, json_t *payload)
{
	struct err e;
	char *line;

	if (msg_seal(&line, payload, NULL, c->key, &e)) {
		log_error("our own message breaks its shape: %s", e.msg); /* a bug */
		abort();
	}
	return line;
}

json_t *new_ack(struct coord *c, enum msg_type type, const struct digest *of)
{
	json_t *ack = msg_new_epoch(type, &c->id, &c->id, coord_now(c), &c->epoch);
	char text[DIGEST_TEXT + 1];

	digest_text(text, of);
	json_object_set_new(ack, "of", json_string(text));
	json_object_set_new(ack, "now", json_integer(coord_now(c)));
	return ack;
}

bool replied_before(struct call *call, const struct digest *line)
{
	char *answer;
	struct err e;

	if (!store_fact(call->c->store, line, &answer))
		return false;
	if (answer) {
		reply_json(call, 200, answer);
	} else {
		err_set(&e, ERR_CONFLICT, "another result for the same lease came first");
		reply_error(call, &e);
	}
	return true;
}

/* --- a message ---------------------------------------------------------------------------- */
static void dispatch(struct call *call, struct msg *m, const json_t *blobs, const char *address)
{
	struct err e;

	switch (m->type) {
	case MSG_ASK:
		handle_ask(call, m, address);
		return;
	case MSG_JOB:
		handle_job(call, m);
		break;
	case MSG_CANCEL:
		handle_cancel(call, m);
		break;
	case MSG_RESULT:
		handle_result(call, m, blobs);
		break;
	case MSG_QUERY:
		handle_query(call, m);
		break;
	default:
		err_field(&e, "type", "a coordinator takes no \"%s\" here", msg_type_name(m->type));
		reply_error(call, &e);
	}
	msg_release(m);
}

/* Until a signature holds, only the sender's address can be charged for the work. */
int coord_garbage(struct coord *c, const char *address, bool take, struct err *e)
{
	if (rate_ok(&c->garbage, address, strlen(address), clock_mono_ms(), take))
		return 0;
	return err_set(e, ERR_RATE, "too many messages from this address could not be read");
}

int coord_open_message(struct coord *c, struct msg *m, const char *line, size_t n,
	const char *address, struct err *e)
{
	struct err rated;

	if (coord_garbage(c, address, false, e))
		return -1;
	if (msg_open(m, line, n, &c->id, e)) {
		coord_garbage(c, address, true, &rated);
		return -1;
	}
	if (rate_ok(&c->authors, m->author.b, sizeof(m->author.b), clock_mono_ms(), true))
		return 0;
	msg_release(m);
	return err_set(e, ERR_RATE, "more than %d messages a second", AUTHOR_RATE);
}

static void open_and_dispatch(
	struct call *call, const char *line, size_t n, const json_t *blobs, const char *address)
{
	struct digest d = digest_of(line, n);
	struct msg m;
	struct err e;

	if (replied_before(call, &d))
		return;
	if (coord_open_message(call->c, &m, line, n, address, &e))
		reply_error(call, &e);
	else
		dispatch(call, &m, blobs, address);
}

/* After a commit that failed: whether there is room again. */
static bool recovered(struct coord *c, struct err *e)
{
	int64_t now = clock_mono_ms();

	err_set(e, ERR_FULL, "the coordinator cannot write its database; try again later");
	if (now < c->retry_ms)
		return false;
	c->retry_ms = now + RETRY_MS;
	store_set_meta(c->store, "time_ms", coord_now(c));
	if (store_commit(c->store, e)) {
		store_rollback(c->store);
		return false;
	}
	*e = (struct err){ 0 };
	c->failed = false;
	log_info("the database can be written again");
	return true;
}

void coord_message(struct call *call, const char *bytes, size_t n, const char *address)
{
	static const char wrapped[] = "{\"payload\":";
	auto_json json_t *wrapper = NULL;
	struct err e = { 0 }, rated;

	if (call->c->failed && !recovered(call->c, &e)) {
		reply_error(call, &e);
		return;
	}
	if (n >= sizeof(wrapped) && !memcmp(bytes, wrapped, sizeof(wrapped) - 1)) {
		open_and_dispatch(call, bytes, n, NULL, address);
		return;
	}
	if (coord_garbage(call->c, address, false, &e)) {
		reply_error(call, &e);
		return;
	}
	wrapper = shape_load(bytes, n, &e);
	const json_t *envelope = wrapper ? json_object_get(wrapper, "envelope") : NULL;
	const json_t *blobs = wrapper ? json_object_get(wrapper, "blobs") : NULL;
	if (wrapper && !json_is_object(envelope))
		err_field(&e, "envelope", "is missing, and this is no envelope either");
	else if (wrapper && blobs && !json_is_object(blobs))
		err_field(&e, "blobs", "must be an object");
	if (e.code != ERR_NONE) {
		coord_garbage(call->c, address, true, &rated);
		reply_error(call, &e);
		return;
	}
	auto_free char *line = shape_dump(envelope);
	open_and_dispatch(call, line, strlen(line), blobs, address);
}

/* --- the turn ----------------------------------------------------------------------------- */
static void expire(struct coord *c, int64_t now)
{
	uint32_t at;

	for (int i = 0; i < EXPIRE_STEP && (at = sched_overdue(&c->sched, now)) != NOBODY; i++) {
		struct lease l = c->sched.leases[at];
		struct verdict v = sched_expire(&c->sched, at);

		store_end_lease(c->store, l.id, "expired");
		if (v.what != NEED_MORE)
			decide(c, l.job, l.index, TASK_FAILED, &v);
		wake_worker(c, l.worker);
		log_debug("a lease of task %lld expired", (long long)l.index);
	}
}

static void believe_nothing(struct coord *c, const struct err *why)
{
	struct err e;

	log_error("nothing of this turn was kept: %s", why->msg);
	store_rollback(c->store);
	while (c->n_holds > 0) {
		struct call *call = c->holds[0]->call;

		drop_hold(c->holds[0]);
		reply_error(call, why);
	}
	coord_unload(c);
	if (coord_load(c, &e)) {
		log_error("and the database cannot be read: %s", e.msg);
		abort();
	}
	c->failed = true;
	c->retry_ms = clock_mono_ms() + RETRY_MS;
}

/* Numbers that no query could count cheaply. */
static void tell_counts(struct coord *c)
{
	if (c->agreed != c->told_agreed)
		store_set_meta(c->store, "agreed", c->told_agreed = c->agreed);
	if (c->disagreed != c->told_disagreed)
		store_set_meta(c->store, "disagreed", c->told_disagreed = c->disagreed);
}

void coord_turn(struct coord *c)
{
	int64_t now = coord_now(c);
	struct err e;

	c->more = false;
	if (!c->failed || recovered(c, &e)) {
		expire(c, now);
		sweep_cancelled(c);
		sources_turn(c);
		uploads_turn(c);
		agree_step(c);
		serve_holds(c, now);
		record_verdicts(c);
	}
	if (store_dirty(c->store)) {
		store_set_meta(c->store, "time_ms", now);
		tell_counts(c);
		if (store_commit(c->store, &e)) {
			gossip_turn(c->gossip, false);
			believe_nothing(c, &e);
			send_replies(c, &e);
			return;
		}
	}
	gossip_turn(c->gossip, true);
	send_replies(c, NULL);
	if (c->more)
		c->want_turn(c->want_turn_arg);
}

/* --- opening ------------------------------------------------------------------------------ */
static void nobody_cares(void *arg)
{
	(void)arg;
}

static int open_key(struct coord *c, struct err *e)
{
	auto_free char *path = xprintf("%s/identity.key", c->o.dir);
	bool made;

	if (key_load_or_make(&c->key, path, &made, e))
		return -1;
	c->id = *key_id(c->key);
	return 0;
}

static void open_time(struct coord *c)
{
	int64_t known = store_meta(c->store, "time_ms"), calendar = clock_now_ms();

	c->mono_base = clock_mono_ms();
	c->time_base = known >= calendar ? known + 1 : calendar;
	c->started_ms = c->mono_base;
	store_set_meta(c->store, "time_ms", c->time_base);
}

int coord_open(struct coord **out, const struct coord_options *o, struct err *e)
{
	struct coord *c = xcalloc(1, sizeof(*c));
	auto_free char *blobs = xprintf("%s/blobs", o->dir);

	c->o = *o;
	c->answered_end = &c->answered;
	c->want_turn = nobody_cares;
	c->authors = (struct rate){
		.seed = random_seed(), .per_s = AUTHOR_RATE, .burst = 2 * AUTHOR_RATE
	};
	c->garbage = (struct rate){
		.seed = random_seed(), .per_s = GARBAGE_RATE, .burst = 4 * GARBAGE_RATE
	};
	if (make_dirs(o->dir, 0700, e) || store_open(&c->store, o->dir, e) || open_key(c, e) ||
		blobs_open(&c->blobs, blobs, o->blobs_max, e)) {
		coord_close(c);
		return -1;
	}
	open_time(c);
	store_epoch(c->store, &c->epoch, c->time_base);
	c->uploads = uploads_new(c);
	c->sources = sources_new();
	c->gossip = gossip_new(c);
	c->agree = agree_new(c);
	if (coord_load(c, e) || store_commit(c->store, e)) {
		coord_close(c);
		return -1;
	}
	*out = c;
	return 0;
}

int coord_publish(struct coord *c, const struct endpoint *at, struct err *e)
{
	int64_t serial = store_meta(c->store, "serial") + 1, now = coord_now(c);
	struct grid *g = &c->grid;

	*g = (struct grid){ .id = c->id,
		.serial = serial,
		.expires_ms = now + 3650 * (int64_t)86400000,
		.n_keys = 1,
		.n_addresses = 1,
		.addresses = { *at } };
	g->keys[0] = (struct grid_key){ c->id,
		ROLE_COORDINATOR | ROLE_LOG | ROLE_ARBITER | ROLE_ADMIN, 0, g->expires_ms };
	snprintf(g->name, sizeof(g->name), "%s", c->o.name);
	snprintf(g->about, sizeof(g->about), "%s", c->o.about);
	snprintf(g->contact, sizeof(g->contact), "%s", c->o.contact);
	if (grid_seal(&c->grid_line, g, c->key, now, e))
		return -1;
	store_set_meta(c->store, "serial", serial);
	return store_commit(c->store, e);
}

void coord_close(struct coord *c)
{
	if (!c)
		return;
	while (c->n_holds > 0) {
		struct call *call = c->holds[0]->call;

		drop_hold(c->holds[0]);
		call_free(call);
	}
	if (c->gossip)
		gossip_release(c->gossip);
	send_replies(c, NULL);
	gossip_free(c->gossip);
	coord_unload(c);
	sources_free(c->sources);
	agree_free(c->agree);
	uploads_free(c->uploads);
	blobs_close(c->blobs);
	store_close(c->store);
	key_free(c->key);
	free(c->grid_line);
	free(c->manifests);
	free(c->holds);
	free(c->decided);
	free(c);
}
