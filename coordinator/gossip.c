/* SPDX-License-Identifier: Apache-2.0
 *
 * gossip.c: the coordinator's part in the gossip.
 *
 * What is announced is made from the state after each commit: for every active job a note, for every announced job that
 * is active no more an `over`. So a turn that failed, or a restart, needs no care of its own.
 */
#include "coordinator/gossip.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/say.h"
#include "coordinator/records.h"

#include <stdlib.h>
#include <string.h>

struct ear {
	struct call *call;
	uint64_t since;
	int64_t until_ms; /* of the steady clock */
	int want;
	bool brief;
};

struct gossip {
	struct coord *c;
	struct news *news;
	struct heard_by by;
	struct rate rate;
	struct ear ears[EARS_MAX];
	size_t n_ears;
	struct records *records;
	char *taken[PENDING_MAX], *passed[PENDING_MAX]; /* lines: to be accepted; to be announced */
	size_t n_taken, n_passed;
	bool stale;
	int64_t renewed_ms, looked_ms;
};

/* --- what news.c asks and tells ------------------------------------------------------------ */
static bool is_coordinator(void *arg, const struct id *key)
{
	const struct gossip *g = arg;

	return id_equal(key, &g->c->id) ||
	       grid_allows(&g->c->grid, key, ROLE_COORDINATOR, coord_now(g->c));
}

static bool is_admin(void *arg, const struct id *key)
{
	const struct gossip *g = arg;

	return grid_allows(&g->c->grid, key, ROLE_ADMIN, coord_now(g->c));
}

static void keep_line(char **lines, size_t *n, const char *line, size_t len)
{
	if (*n < PENDING_MAX)
		lines[(*n)++] = xmemdup(line, len);
}

static void drop_lines(char **lines, size_t *n)
{
	while (*n)
		free(lines[--*n]);
}

static void on_fresh(void *arg, const struct heard *h, const char *line, size_t n, bool official)
{
	struct gossip *g = arg;

	if (!official && (h->kind == HEARD_JOB || h->kind == HEARD_CANCEL))
		keep_line(g->taken, &g->n_taken, line, n);
}

/* --- what is accepted ---------------------------------------------------------------------- */
static void accept_line(struct gossip *g, const char *line)
{
	struct coord *c = g->c;
	struct msg m;
	struct job_row row;
	struct err e;
	int bad;

	if (msg_open(&m, line, strlen(line), &c->id, &e))
		return;
	struct digest job = digest_of(m.sealed.payload, m.sealed.n);
	char *ack = NULL;
	if (store_fact(c->store, &m.sealed.digest, &ack) ||
		(m.type == MSG_JOB && store_job(c->store, &job, &row))) {
		free(ack); /* it came the other way */
		msg_release(&m);
		return;
	}
	bad = m.type == MSG_JOB ? accept_job(c, &m, &ack, &e) : accept_cancel(c, &m, &ack, &e);
	free(ack);
	if (bad)
		log_info("a %s that came by gossip is kept out: %s", msg_type_name(m.type), e.msg);
	else
		log_info("a %s came by gossip", msg_type_name(m.type));
	msg_release(&m);
}

static void accept_taken(struct gossip *g)
{
	for (size_t i = 0; i < g->n_taken; i++)
		accept_line(g, g->taken[i]);
	if (g->n_taken)
		g->c->want_turn(g->c->want_turn_arg);
	drop_lines(g->taken, &g->n_taken);
}

static void look_again(void *arg, enum heard_kind kind, const struct digest *job,
	const struct news_item *item, bool official)
{
	struct gossip *g = arg;
	struct job_row row;

	if (!official && kind == HEARD_JOB && !store_job(g->c->store, job, &row))
		keep_line(g->taken, &g->n_taken, item->fact, item->fact_len);
}

/* --- what is announced --------------------------------------------------------------------- */
static void announce(struct gossip *g, const struct digest *of, const char *line, bool over)
{
	struct coord *c = g->c;
	int64_t now = coord_now(c);
	struct err e;
	auto_free char *note = NULL;

	if (note_seal(&note, &c->id, c->key, of, over, news_next_seq(g->news, now), now,
		    now + ANNOUNCE_MS, &e)) {
		log_warn("announcing: %s", e.msg);
		return;
	}
	struct news_item item = { note, line, strlen(note), line ? strlen(line) : 0 };
	if (news_take(g->news, &item, now, &e) > NEWS_KNOWN)
		log_debug("announcing: %s", e.msg);
}

static bool is_active(const struct coord *c, const struct digest *job)
{
	uint32_t at = sched_job(&c->sched, job);

	return at != NOBODY && !c->sched.jobs[at].ending;
}

static void announce_job(struct gossip *g, const struct digest *job)
{
	struct job_row row;

	if (!store_job(g->c->store, job, &row))
		return;
	auto_free char *line = store_line(g->c->store, row.envelope);
	struct digest of = digest_of(line, strlen(line));
	if (!news_announced(g->news, &g->c->id, &of))
		announce(g, &of, line, false);
}

struct ended {
	struct gossip *g;
	struct digest of[NEWS_NOTES_MAX];
	size_t n, live;
};

static void find_ended(void *arg, enum heard_kind kind, const struct digest *job,
	const struct news_item *item, bool official)
{
	struct ended *x = arg;
	bool active = kind == HEARD_JOB && is_active(x->g->c, job);

	if (kind != HEARD_JOB || !official)
		return;
	x->live += active;
	if (!active && x->n < NEWS_NOTES_MAX)
		x->of[x->n++] = digest_of(item->fact, item->fact_len);
}

static void put_right(struct gossip *g)
{
	struct coord *c = g->c;
	auto_free struct ended *x = xcalloc(1, sizeof(*x));

	g->stale = false;
	x->g = g;
	news_each(g->news, find_ended, x);
	for (size_t i = 0; i < x->n; i++)
		announce(g, &x->of[i], NULL, true);
	size_t live = 0;
	for (size_t i = 0; i < c->sched.n_jobs && live < ANNOUNCED_MAX; i++)
		if (!c->sched.jobs[i].gone && !c->sched.jobs[i].ending) {
			announce_job(g, &c->sched.jobs[i].id);
			live++;
		}
}

/* --- a question ---------------------------------------------------------------------------- */
static bool charge(struct gossip *g, const char *address, struct err *e)
{
	if (rate_ok(&g->rate, address, strlen(address), clock_mono_ms(), true))
		return true;
	err_set(e, ERR_RATE, "more than %d facts a second came from this address", GOSSIP_RATE);
	return false;
}

static int take(struct gossip *g, const struct say *q, const char *address, struct err *e)
{
	struct err why = { 0 };

	if (!charge(g, address, e))
		return -1;
	for (size_t i = 0; i < q->n_items + q->n_peers; i++) {
		enum news_verdict v;

		if (!charge(g, address, e))
			return -1;
		if (i < q->n_items) {
			struct news_item item = { q->items[i].note.line, q->items[i].fact.line,
				q->items[i].note.len, q->items[i].fact.len };

			v = news_take(g->news, &item, coord_now(g->c), &why);
		} else {
			v = records_take(g->records, &g->by, q->peers[i - q->n_items].line,
				q->peers[i - q->n_items].len, coord_now(g->c));
		}
		if (v == NEWS_FORGED)
			return err_set(e, ERR_SIGNATURE, "a signature in it does not hold");
		if (v == NEWS_BAD)
			return err_set(e, ERR_FIELD, "nobody passes this on: %s", why.msg);
	}
	return 0;
}

static void answer(struct call *call, struct say *s)
{
	s->held = EARS_MAX; /* workers are to be preferred */
	char *text = say_write(s);

	say_release(s);
	reply_json(call, 200, text);
}

void gossip_message(struct call *call, const char *bytes, size_t n, const char *address)
{
	struct coord *c = call->c;
	struct gossip *g = c->gossip;
	struct say q, out;
	struct err e;

	err_set(&e, ERR_FULL, "the coordinator cannot write its database; try again later");
	if (c->failed || coord_garbage(c, address, false, &e)) {
		reply_error(call, &e);
		return;
	}
	if (say_read(&q, bytes, n, &e)) {
		struct err rated;

		coord_garbage(c, address, true, &rated);
		reply_error(call, &e);
		return;
	}
	int bad = say_is_of(&q, &c->id)
	                  ? take(g, &q, address, &e)
	                  : err_set(&e, ERR_GRID, "this is another grid's coordinator");
	accept_taken(g);
	if (bad) {
		struct err rated;

		coord_garbage(c, address, true, &rated);
		reply_error(call, &e);
	} else if (say_answer(&out, g->news, &q) || q.want > 1 || !q.wait_ms ||
		   g->n_ears == EARS_MAX || c->draining) {
		records_add(g->records, &out, &q, coord_now(c));
		answer(call, &out);
	} else {
		say_release(&out);
		g->ears[g->n_ears++] = (struct ear){ call, news_tick(g->news),
			clock_mono_ms() + q.wait_ms, q.want, out.brief };
		call->hears = true;
		c->want_turn(c->want_turn_arg); /* the timer is set by it */
	}
	say_release(&q);
}

/* --- those who wait ------------------------------------------------------------------------ */
void gossip_forget(struct gossip *g, const struct call *call)
{
	for (size_t i = 0; i < g->n_ears; i++)
		if (g->ears[i].call == call) {
			g->ears[i] = g->ears[--g->n_ears];
			return;
		}
}

static void answer_ears(struct gossip *g, bool all)
{
	int64_t now = clock_mono_ms();

	for (size_t i = g->n_ears; i-- > 0;) {
		struct ear ear = g->ears[i];
		struct say out;

		if (!say_hint(&out, g->news, ear.since)) {
			if (!all && ear.until_ms > now)
				continue;
			say_begin(&out, g->news);
		}
		out.brief = ear.brief;
		g->ears[i] = g->ears[--g->n_ears];
		records_add(g->records, &out, &(struct say){ .want = ear.want }, coord_now(g->c));
		answer(ear.call, &out);
	}
}

void gossip_release(struct gossip *g)
{
	answer_ears(g, true);
}

void gossip_stir(struct gossip *g)
{
	g->stale = true;
}

void gossip_pass(struct gossip *g, const char *line)
{
	keep_line(g->passed, &g->n_passed, line, strlen(line));
}

static void tell_descriptor(struct gossip *g)
{
	struct err e;

	if (g->c->grid_line &&
		news_take_grid(g->news, g->c->grid_line, strlen(g->c->grid_line), &e) > NEWS_KNOWN)
		log_warn("our own descriptor: %s", e.msg);
}

void gossip_turn(struct gossip *g, bool kept)
{
	int64_t now = clock_mono_ms();

	if (!kept) {
		drop_lines(g->passed, &g->n_passed);
		return;
	}
	news_age(g->news, coord_now(g->c));
	tell_descriptor(g);
	if (now - g->renewed_ms > ANNOUNCE_MS / 2) {
		g->renewed_ms = now;
		g->stale = true;
	}
	if (g->stale)
		put_right(g);
	for (size_t i = 0; i < g->n_passed; i++) {
		struct digest of = digest_of(g->passed[i], strlen(g->passed[i]));

		announce(g, &of, g->passed[i], false);
	}
	drop_lines(g->passed, &g->n_passed);
	if (now - g->looked_ms > KEPT_OUT_MS) {
		g->looked_ms = now;
		news_each(g->news, look_again, g);
		accept_taken(g);
	}
	answer_ears(g, false);
}

int64_t gossip_due_in(const struct gossip *g)
{
	int64_t now = clock_mono_ms(), due = now + 60000;

	for (size_t i = 0; i < g->n_ears; i++)
		if (g->ears[i].until_ms < due)
			due = g->ears[i].until_ms;
	return due > now ? due - now : 0;
}

/* --- opening ------------------------------------------------------------------------------- */
struct gossip *gossip_new(struct coord *c)
{
	struct gossip *g = xcalloc(1, sizeof(*g));
	int64_t now = clock_mono_ms();

	*g = (struct gossip){ .c = c,
		.by = { .grid_id = c->id, .grid = &c->grid },
		.rate = { .seed = random_seed(), .per_s = GOSSIP_RATE, .burst = 8 * GOSSIP_RATE },
		.records = records_new(random_seed()),
		.stale = true,
		.renewed_ms = now,
		.looked_ms = now };
	struct news_fns fns = { .open = heard_open,
		.open_arg = &g->by,
		.coordinator = is_coordinator,
		.admin = is_admin,
		.fresh = on_fresh,
		.arg = g };
	g->news = news_new(&fns, &c->id);
	return g;
}

void gossip_free(struct gossip *g)
{
	if (!g)
		return;
	records_free(g->records);
	drop_lines(g->taken, &g->n_taken);
	drop_lines(g->passed, &g->n_passed);
	news_free(g->news);
	free(g);
}
