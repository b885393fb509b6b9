/* SPDX-License-Identifier: Apache-2.0
 *
 * gossip_serve.c: what other nodes ask, answered at once or held until there is something to tell.
 */
#include "worker/gossip_in.h"
#include "common/clock.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

struct waiting {
	LIST_ENTRY(waiting) next;
	struct gossip *g;
	struct req *req;
	struct peers_held held;
	struct timer *timer;
};

static void end_waiting(struct waiting *w)
{
	LIST_REMOVE(w, next);
	peers_set_load(w->g->peers, (int)--w->g->n_waiting);
	timer_free(w->timer);
	free(w);
}

static void answer(struct req *r, struct say *say)
{
	auto_free char *text = say_write(say);

	say_release(say);
	req_answer_bare(r, 200, text, strlen(text));
}

static void on_gone(void *arg)
{
	end_waiting(arg);
}

static void on_time_up(void *arg)
{
	struct waiting *w = arg;
	struct req *r = w->req;
	struct say say;

	peers_release(w->g->peers, &w->held, &say, clock_now_ms());
	end_waiting(w);
	answer(r, &say);
}

static void hold(struct gossip *g, struct req *r, const struct peers_held *held, int64_t wait_ms)
{
	struct waiting *w = xcalloc(1, sizeof(*w));

	w->g = g;
	w->req = r;
	w->held = *held;
	w->timer = timer_new(g->loop, on_time_up, w);
	timer_in(w->timer, wait_ms);
	LIST_INSERT_HEAD(&g->waiting, w, next);
	peers_set_load(g->peers, (int)++g->n_waiting);
	req_on_gone(r, on_gone, w);
}

/* Whom to charge: the address it came from; of IPv6 the /64 that a subscriber has. */
static uint64_t charged(const struct gossip *g, const char *address)
{
	unsigned char bytes[16] = { 0 };
	uint64_t h = g->seed;
	size_t n = inet_pton(AF_INET6, address, bytes) == 1 ? 8 : 4;

	if (n == 4)
		inet_pton(AF_INET, address, bytes);
	for (size_t i = 0; i < n; i++) {
		h ^= bytes[i];
		h = rng_next(&h);
	}
	return h;
}

void gossip_serve(struct gossip *g, struct req *r)
{
	struct say q, out;
	struct peers_held held;
	struct err e;
	size_t n;
	const char *body = req_body(r, &n);

	if (say_read(&q, body, n, &e)) {
		req_problem(r, &e);
		return;
	}
	if (!say_is_of(&q, &g->home->grid_id)) {
		err_set(&e, ERR_GRID, "this worker belongs to another grid");
		req_problem(r, &e);
		say_release(&q);
		return;
	}
	switch (peers_asked(
		g->peers, charged(g, req_address(r)), &q, &out, &held, clock_now_ms())) {
	case REPLY_NOW:
		seeking_asked(g->seeking, &q, &out);
		answer(r, &out);
		break;
	case REPLY_HOLD:
		hold(g, r, &held, q.wait_ms);
		break;
	case REPLY_REFUSE:
		err_set(&e, ERR_RATE,
			"too much, or something wrong, came from this address; it is not listened "
			"to now");
		req_problem(r, &e);
		break;
	}
	say_release(&q);
	turn_end_ask(g->turn);
}

void gossip_hint(struct gossip *g)
{
	struct waiting *w = LIST_FIRST(&g->waiting);

	while (w) {
		struct waiting *next = LIST_NEXT(w, next);
		struct req *r = w->req;
		struct say say;

		if (peers_hint(g->peers, &w->held, &say, clock_now_ms())) {
			end_waiting(w);
			req_on_gone(r, NULL, NULL);
			answer(r, &say);
		}
		w = next;
	}
}

void gossip_serve_end(struct gossip *g)
{
	while (!LIST_EMPTY(&g->waiting)) {
		req_on_gone(LIST_FIRST(&g->waiting)->req, NULL, NULL);
		end_waiting(LIST_FIRST(&g->waiting));
	}
}
