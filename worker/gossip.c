/* SPDX-License-Identifier: Apache-2.0
 *
 * gossip.c: the loop, the sockets and the file around peers.c: our questions, our record, what is told to the rest of this
 * worker. What others ask is answered in gossip_serve.c, jobs are announced in gossip_jobs.c.
 *
 * What peers.c tells by its callback is only noted; it is acted on at the end of the turn, since acting may change what
 * peers.c stands on.
 */
#include "worker/gossip_in.h"
#include "worker/peers_file.h"
#include "common/dial.h"
#include "common/clock.h"
#include "common/log.h"
#include "jobs/job.h"
#include "jobs/job_words.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_LATE_MS 15000 /* an answer may come so long after the wait that was asked for */

struct asking {
	LIST_ENTRY(asking) next;
	struct gossip *g;
	struct peers_ref ref;
	struct id node;
	struct fetch *fetch;
};

static void go_on(struct gossip *g);
static void save_soon(struct gossip *g);

/* --- what peers.c asks and tells ----------------------------------------------------------- */

static bool holds(const struct gossip *g, const struct id *key, enum role role)
{
	return g->home->known && grid_allows(&g->home->grid, key, role, clock_now_ms());
}

static bool is_coordinator(void *arg, const struct id *key)
{
	return holds(arg, key, ROLE_COORDINATOR);
}

static bool is_admin(void *arg, const struct id *key)
{
	return holds(arg, key, ROLE_ADMIN);
}

static void on_fresh(void *arg, const struct heard *h, const char *line, size_t n, bool official)
{
	struct gossip *g = arg;

	(void)line;
	(void)n;
	(void)official;
	g->job |= h->kind == HEARD_JOB;
	g->grid |= h->kind == HEARD_GRID;
	if (h->kind == HEARD_CANCEL && g->n_cancels < CANCELS_MAX)
		g->cancels[g->n_cancels++] = h->job;
	turn_end_ask(g->turn);
}

/* Who is known without a record: the joined links, and the coordinator. */
static void pin_all(struct gossip *g)
{
	for (size_t i = 0; i < g->home->n_joins; i++)
		peers_pin(g->peers, &g->home->joins[i]);
	for (size_t i = 0; i < g->home->ways.n; i++)
		peers_pin(g->peers, &g->home->ways.at[i].to);
}

static void tell_descriptor(struct gossip *g)
{
	struct err e;

	g->by.grid = g->home->known ? &g->home->grid : NULL;
	if (g->home->known && news_take_grid(peers_news(g->peers), g->home->line,
				      strlen(g->home->line), &e) > NEWS_KNOWN)
		log_debug("our own descriptor: %s", e.msg);
}

/* --- our record ---------------------------------------------------------------------------- */

static void sign_record(void *arg)
{
	struct gossip *g = arg;
	const struct talk_self *s = g->self;
	int64_t now = clock_now_ms();
	struct endpoint at;
	struct err e;
	auto_free char *line = NULL;

	timer_in(g->renew, PEER_RENEW_MS);
	/* a name is for links; a record has numbers, which need no asking of anybody */
	if (!s->address || endpoint_parse(&at, s->address, &e) || !dial_allowed(&at, true)) {
		peers_set_self(g->peers, NULL);
		return;
	}
	json_t *j = msg_new_request(MSG_PEER, &g->home->grid_id, key_id(g->key), now, now);
	json_t *more = json_pack("{s:[s], s:i, s:o, s:s, s:s, s:b, s:I}", "addresses", s->address,
		"slots", s->slots, "profiles", words_json(job_profile_words, s->profiles), "platform", s->platform,
		"platform_class", s->platform_class, "relay", s->relays, "expires",
		(json_int_t)(now + PEER_LIFE_MS));
	json_object_update(j, more);
	json_decref(more);
	if (msg_seal(&line, j, NULL, g->key, &e))
		log_warn("our peer record: %s", e.msg);
	else
		peers_set_self(g->peers, line);
}

/* --- asking -------------------------------------------------------------------------------- */

static void end_asking(struct asking *a)
{
	LIST_REMOVE(a, next);
	fetch_cancel(a->fetch);
	free(a);
}

/* No room for us now, or of a version that does not gossip. */
static bool is_busy(const struct answer *a)
{
	return a->status == 429 || a->status == 503 || a->status == 404 || a->status == 405;
}

static void on_answer(void *arg, struct answer *a)
{
	struct asking *q = arg;
	struct gossip *g = q->g;
	int64_t now = clock_now_ms();
	struct say say;
	struct err e = a->e;

	q->fetch = NULL;
	if (a->status != 200) {
		log_debug("gossip: %s", e.msg);
		peers_failed(g->peers, &q->ref, is_busy(a), now);
	} else if (say_read(&say, a->body.data ? a->body.data : "", a->body.len, &e)) {
		log_debug("gossip: a neighbour answers nonsense: %s", e.msg);
		peers_failed(g->peers, &q->ref, false, now);
		peers_deed(g->peers, &q->node, PEER_FLOOD, now);
	} else {
		peers_answered(g->peers, &q->ref, &say, now);
		say_release(&say);
	}
	end_asking(q);
	turn_end_ask(g->turn);
}

static void ask(struct gossip *g, struct peers_turn *t)
{
	struct asking *q = xcalloc(1, sizeof(*q));
	auto_free char *body = say_write(&t->say);
	struct fetch_spec spec = { .method = "POST",
		.to = &t->to,
		.path = "/v1/gossip",
		.body = body,
		.n = strlen(body),
		.headers = { "User-Agent:", "Accept:" }, /* an idle exchange is counted in bytes */
		.answer_max = SAY_BODY_MAX,
		.timeout_ms = t->say.wait_ms + ANSWER_LATE_MS };

	q->g = g;
	q->ref = t->ref;
	q->node = t->to.node;
	LIST_INSERT_HEAD(&g->asking, q, next);
	q->fetch = fetch_start(g->fetcher, &spec, on_answer, q);
	say_release(&t->say);
}

static void go_on(struct gossip *g)
{
	struct peers_turn t;

	while (peers_next(g->peers, &t, clock_now_ms()))
		ask(g, &t);
	int64_t due = peers_due(g->peers, clock_now_ms());
	timer_in(g->wake, due > 10 ? due : 10);
}

static void on_wake(void *arg)
{
	go_on(arg);
}

/* --- the end of a turn --------------------------------------------------------------------- */

static void learn_grid(struct gossip *g)
{
	int64_t serial;
	size_t n;
	const char *line = news_grid(peers_news(g->peers), &n, &serial);
	struct err e;

	if (g->home->known && serial <= g->home->grid.serial)
		return;
	if (home_learn(g->home, line, n, &e)) {
		log_warn("%s", e.msg);
		return;
	}
	log_info("the grid's descriptor %lld came from a peer", (long long)serial);
	gossip_learned(g);
	g->fns.learned(g->fns.arg);
}

static void on_turn(void *arg)
{
	struct gossip *g = arg;
	bool job = g->job, grid = g->grid;

	g->job = g->grid = false;
	save_soon(g);
	gossip_hint(g);
	go_on(g);
	if (grid)
		learn_grid(g);
	for (size_t i = 0; i < g->n_cancels; i++)
		g->fns.cancel(g->fns.arg, &g->cancels[i]);
	g->n_cancels = 0;
	if (job)
		g->fns.job(g->fns.arg);
	size_t known = peers_count(g->peers, clock_now_ms()).known;
	if (known == g->told_known)
		return;
	g->told_known = known;
	g->fns.peers(g->fns.arg);
}

/* --- for the others of this worker ---------------------------------------------------------- */

static size_t list_sources(void *arg, const struct digest *blob, struct link *out, size_t max)
{
	struct gossip *g = arg;
	size_t n = seeking_list(g->seeking, blob, out, (max + 1) / 2);

	/* the others are asked whether they have it */
	return n + peers_links(g->peers, out + n, max - n, clock_now_ms());
}

void gossip_tells(struct gossip *g, seek_count_fn *count, void *arg)
{
	seeking_tells(g->seeking, count, arg);
}

static void report_source(void *arg, const struct id *node, enum peer_deed deed)
{
	struct gossip *g = arg;

	peers_deed(g->peers, node, deed, clock_now_ms());
	turn_end_ask(g->turn);
}

size_t gossip_relays(void *arg, struct link *out, size_t max)
{
	struct gossip *g = arg;

	return peers_relays(g->peers, out, max, clock_now_ms());
}

void gossip_self_changed(struct gossip *g)
{
	sign_record(g);
	turn_end_ask(g->turn);
}

void gossip_found(struct gossip *g, const struct id *node, const struct endpoint *at)
{
	struct link to = link_to(node, &g->home->grid_id, at);

	if (g->n_found == GOSSIP_FOUND_MAX)
		return;
	g->n_found += peers_pin(g->peers, &to);
	turn_end_ask(g->turn);
}

void gossip_hurry(struct gossip *g)
{
	peers_hurry(g->peers, clock_now_ms());
	turn_end_ask(g->turn);
}

struct sources gossip_sources(struct gossip *g)
{
	return (struct sources){ .list = list_sources, .report = report_source, .arg = g };
}

/* --- DIR/peers ------------------------------------------------------------------------------ */

static void save(struct gossip *g)
{
	struct err e;

	g->saved_ms = clock_mono_ms();
	g->saved_tick = news_tick(peers_news(g->peers));
	g->saved_known = peers_count(g->peers, clock_now_ms()).known;
	if (peers_save(g->peers, g->path, &e))
		log_warn("%s", e.msg);
}

static void on_save(void *arg)
{
	save(arg);
}

static void save_soon(struct gossip *g)
{
	int64_t wait = g->saved_ms ? g->saved_ms + GOSSIP_SAVE_MS - clock_mono_ms() : 0;
	bool same = news_tick(peers_news(g->peers)) == g->saved_tick &&
	            peers_count(g->peers, clock_now_ms()).known == g->saved_known;

	if (!same && !timer_is_on(g->save))
		timer_in(g->save, wait > GOSSIP_SOON_MS ? wait : GOSSIP_SOON_MS);
}

/* --- life ---------------------------------------------------------------------------------- */

struct gossip *gossip_new(const char *dir, struct loop *l, struct fetcher *f, struct home *h,
	const struct key *k, const struct talk_self *self, const struct gossip_fns *fns)
{
	struct gossip *g = xcalloc(1, sizeof(*g));

	*g = (struct gossip){ .loop = l,
		.fetcher = f,
		.home = h,
		.key = k,
		.self = self,
		.fns = *fns,
		.path = xprintf("%s/peers", dir),
		.by = { .grid_id = h->grid_id },
		.seed = random_seed() };
	LIST_INIT(&g->asking);
	LIST_INIT(&g->waiting);
	struct peers_conf conf = { .grid = h->grid_id,
		.self = *key_id(k),
		.seed = random_seed(),
		.private_ok = home_is_private(h),
		.fns = { .open = heard_open,
			.open_arg = &g->by,
			.coordinator = is_coordinator,
			.admin = is_admin,
			.fresh = on_fresh,
			.arg = g } };
	g->turn = turn_end_new(l, on_turn, g);
	g->wake = timer_new(l, on_wake, g);
	g->save = timer_new(l, on_save, g);
	g->renew = timer_new(l, sign_record, g);
	g->peers = peers_new(&conf, clock_now_ms());
	g->seeking = seeking_new(l, f, h, key_id(k), self, g->peers);
	pin_all(g);
	tell_descriptor(g);
	peers_load(g->peers, g->path, clock_now_ms());
	sign_record(g);
	turn_end_ask(g->turn);
	return g;
}

void gossip_free(struct gossip *g)
{
	if (!g)
		return;
	save(g);
	while (!LIST_EMPTY(&g->asking))
		end_asking(LIST_FIRST(&g->asking));
	gossip_serve_end(g);
	timer_free(g->wake);
	timer_free(g->save);
	timer_free(g->renew);
	turn_end_free(g->turn);
	seeking_free(g->seeking);
	peers_free(g->peers);
	free(g->path);
	free(g);
}

void gossip_learned(struct gossip *g)
{
	tell_descriptor(g);
	pin_all(g);
	turn_end_ask(g->turn);
}

static void add_link(void *arg, const struct link *to)
{
	char text[LINK_TEXT_MAX + 1];

	link_text(text, to);
	json_array_append_new(arg, json_string(text));
}

json_t *gossip_status(struct gossip *g)
{
	struct peers_counts c = peers_count(g->peers, clock_now_ms());
	json_t *links = json_array();

	peers_each_neighbour(g->peers, add_link, links);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "known", (json_int_t)c.known,
		"neighbours", (json_int_t)c.neighbours, "facts", (json_int_t)c.news.facts, "jobs",
		(json_int_t)c.news.jobs, "held", (json_int_t)g->n_waiting, "memory_kib",
		(json_int_t)(c.bytes / 1024), "links", links);
}
