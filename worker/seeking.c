/* SPDX-License-Identifier: Apache-2.0
 *
 * seeking.c: questions to the neighbours about blobs. One at a time to each; an answer brings nothing but `have`.
 */
#include "worker/seeking.h"
#include "common/clock.h"
#include "common/dial.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 15000 /* such a question is not held */

struct asking {
	struct seeking *s;
	struct link to;
	struct fetch *fetch; /* NULL: free */
};

struct seeking {
	struct fetcher *fetcher;
	struct home *home;
	const struct id *id;
	const struct talk_self *self;
	struct peers *peers;
	struct seek seek;
	seek_count_fn *count;
	void *count_arg;
	struct timer *timer;
	struct asking asking[PEERS_SLOTS];
};

static int64_t count(void *arg, const struct digest *d, bool *whole)
{
	const struct seeking *s = arg;

	*whole = false;
	return s->count ? s->count(s->count_arg, d, whole) : -1;
}

/* at: room for our own link. */
static struct seek_self self_of(struct seeking *s, struct link *at)
{
	struct seek_self self = { .count = count, .arg = s };
	struct endpoint where;
	struct err e;

	if (s->self->address && !endpoint_parse(&where, s->self->address, &e) &&
		dial_allowed(&where, true)) {
		*at = link_to(s->id, &s->home->grid_id, &where);
		self.at = at;
	}
	return self;
}

static void look_again(struct seeking *s)
{
	int64_t due = seek_due(&s->seek, clock_mono_ms());

	if (due >= 0)
		timer_in(s->timer, due);
	else
		timer_off(s->timer);
}

/* from: who answered; NULL: it was asked, and tells of itself by its link. */
static void hear(struct seeking *s, const struct say *said, const struct link *from)
{
	for (size_t i = 0; i < said->n_have; i++) {
		const struct said_have *h = &said->have[i];
		const struct link *at = !h->self ? &h->at : from;
		char text[DIGEST_TEXT + 1];

		if (!at || (at != from && !home_may_call(s->home, s->id, at)))
			continue;
		if (from && !seek_wants(&s->seek, &h->digest, clock_mono_ms()))
			continue; /* that was not asked for */
		seek_hear(&s->seek, &h->digest, h->pieces, at, clock_mono_ms());
		digest_text(text, &h->digest);
		log_debug("%s:%u is said to have %lld pieces of %s", at->host, at->port,
			(long long)h->pieces, text);
	}
}

/* --- asking -------------------------------------------------------------------------------- */

static void on_answer(void *arg, struct answer *a)
{
	struct asking *q = arg;
	struct say said;
	struct err e;

	q->fetch = NULL;
	if (a->status != 200) /* the question that is held tells whether it lives */
		return;
	if (say_read(&said, a->body.data ? a->body.data : "", a->body.len, &e)) {
		log_debug("gossip: a neighbour answers nonsense: %s", e.msg);
		peers_deed(q->s->peers, &q->to.node, PEER_FLOOD, clock_now_ms());
		return;
	}
	hear(q->s, &said, &q->to);
	say_release(&said);
}

struct round {
	struct seeking *s;
	char *body;
};

static void ask_one(void *arg, const struct link *to)
{
	struct round *r = arg;
	struct fetch_spec spec = { .method = "POST",
		.to = to,
		.path = "/v1/gossip",
		.body = r->body,
		.n = strlen(r->body),
		.headers = { "User-Agent:", "Accept:" },
		.answer_max = SAY_BODY_MAX,
		.timeout_ms = ANSWER_MS };

	if (home_is_coordinator(r->s->home, &to->node)) /* it tells by POST /v1/swarm */
		return;
	for (int i = 0; i < PEERS_SLOTS; i++) {
		struct asking *q = &r->s->asking[i];

		if (q->fetch)
			continue;
		q->s = r->s;
		q->to = *to;
		q->fetch = fetch_start(r->s->fetcher, &spec, on_answer, q);
		return;
	}
}

static void on_timer(void *arg)
{
	struct seeking *s = arg;
	struct say say;
	struct link at;
	struct seek_self self = self_of(s, &at);

	say_begin(&say, peers_news(s->peers));
	say.grid = s->home->grid_id;
	if (seek_question(&s->seek, &say, &self, clock_mono_ms())) {
		auto_free char *body = say_write(&say);
		struct round r = { s, body };

		peers_each_neighbour(s->peers, ask_one, &r);
	}
	say_release(&say);
	look_again(s);
}

/* --- for others ---------------------------------------------------------------------------- */

void seeking_tells(struct seeking *s, seek_count_fn *fn, void *arg)
{
	s->count = fn;
	s->count_arg = arg;
}

size_t seeking_list(struct seeking *s, const struct digest *d, struct link *out, size_t max)
{
	int64_t now = clock_mono_ms();

	seek_want(&s->seek, d, now);
	look_again(s);
	return seek_list(&s->seek, d, out, max, now);
}

void seeking_asked(struct seeking *s, const struct say *q, struct say *out)
{
	struct link at;
	struct seek_self self = self_of(s, &at);

	hear(s, q, NULL);
	seek_answer(&s->seek, q, out, &self, clock_mono_ms());
}

struct seeking *seeking_new(struct loop *l, struct fetcher *f, struct home *h, const struct id *id,
	const struct talk_self *self, struct peers *p)
{
	struct seeking *s = xcalloc(1, sizeof(*s)); /* 40 KiB */

	*s = (struct seeking){ .fetcher = f, .home = h, .id = id, .self = self, .peers = p };
	s->timer = timer_new(l, on_timer, s);
	return s;
}

void seeking_free(struct seeking *s)
{
	if (!s)
		return;
	for (int i = 0; i < PEERS_SLOTS; i++)
		if (s->asking[i].fetch)
			fetch_cancel(s->asking[i].fetch);
	timer_free(s->timer);
	free(s);
}
