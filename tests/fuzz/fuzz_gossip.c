/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_gossip.c: a body of POST /v1/gossip as it comes from the network, and a node that takes what it says. So that a
 * mutation need not guess signatures the node opens plain objects: {"k":KIND,"a":author,"s":seq,"x":expires,"of":
 * digest,"over":bool,"job":digest,"at":"HOST:PORT"}.
 */
#include "tests/fuzz/fuzz.h"
#include "common/say.h"
#include "worker/peers.h"
#include "worker/seek.h"

#define NOW ((int64_t)1800000000000)

static int open_plain(void *arg, struct heard *h, const char *line, size_t n, struct err *e)
{
	static const char *const kinds[] = { "note", "peer", "job", "cancel", "grid", "other" };
	auto_json json_t *j = shape_load(line, n, e);
	size_t kind = 0;

	(void)arg;
	*h = (struct heard){ 0 };
	while (j && kind < ARRAY_LEN(kinds) && strcmp(jtext(j, "k"), kinds[kind]) != 0)
		kind++;
	if (!j || kind == ARRAY_LEN(kinds) || !id_parse(&h->author, jtext(j, "a")))
		return err_set(e, jtext(j, "k")[0] == 'f' ? ERR_SIGNATURE : ERR_FIELD, "no");
	h->kind = (enum heard_kind)kind;
	h->seq = 1 + ((jint(j, "s", 1) - 1) & (SHAPE_INT_MAX - 1));
	h->serial = h->seq;
	h->expires_ms = NOW + jint(j, "x", 1000) % (100 * (int64_t)3600000);
	h->over = jbool(j, "over", false);
	digest_from_text(&h->of, jtext(j, "of"));
	h->job = h->of;
	h->n_at = *jtext(j, "at") && !endpoint_parse(&h->at[0], jtext(j, "at"), e);
	return 0;
}

static bool is_official(void *arg, const struct id *key)
{
	(void)arg;
	return key->b[0] & 1;
}

static void fresh(void *arg, const struct heard *h, const char *line, size_t n, bool official)
{
	(void)arg;
	(void)h;
	(void)line;
	(void)n;
	(void)official;
}

/* What was read may be said again, and is then the same. */
static void round_trip(const struct say *s)
{
	struct say back;
	struct err e;
	auto_free char *text = say_write(s);

	if (say_read(&back, text, strlen(text), &e)) {
		/* the answer may hold what the question did not */
		assert(e.code == ERR_TOO_BIG);
		return;
	}
	assert(back.hash == s->hash && back.n_items == s->n_items && back.n_peers == s->n_peers);
	assert(!back.summary == !s->summary && back.n_known == s->n_known &&
		back.brief == s->brief && back.n_seek == s->n_seek && back.n_have == s->n_have);
	auto_free char *again = say_write(&back);
	assert(!strcmp(text, again));
	say_release(&back);
}

static void tell_node(const struct say *q)
{
	struct peers_conf conf = { .seed = 1,
		.private_ok = true,
		.fns = { .open = open_plain,
			.coordinator = is_official,
			.admin = is_official,
			.fresh = fresh } };
	struct peers *p = peers_new(&conf, NOW);
	struct peers_held held;
	struct peers_turn t;
	struct say out;

	for (int i = 0; i < 3; i++) {
		enum peers_reply r = peers_asked(p, 1, q, &out, &held, NOW + i);

		if (r == REPLY_NOW) {
			round_trip(&out);
			say_release(&out);
		} else if (r == REPLY_HOLD && peers_hint(p, &held, &out, NOW + i)) {
			say_release(&out);
		}
	}
	while (peers_next(p, &t, NOW + 10)) { /* and the same as an answer */
		round_trip(&t.say);
		say_release(&t.say);
		peers_answered(p, &t.ref, q, NOW + 20);
	}
	struct peers_counts c = peers_count(p, NOW);
	assert(c.bytes <= PEERS_BYTES_MAX && c.known <= VIEW_MAX && c.news.notes <= NEWS_NOTES_MAX);
	news_age(peers_news(p), NOW + NEWS_OFFICIAL_MS + 100 * (int64_t)3600000);
	assert(news_count(peers_news(p)).notes == 0 && news_count(peers_news(p)).facts == 0);
	peers_free(p);
}

static int64_t count_some(void *arg, const struct digest *d, bool *whole)
{
	(void)arg;
	*whole = d->b[0] & 1;
	return d->b[0] - 1;
}

/* Claims on blobs: what is kept and told again is bounded, and of what was sought. */
static void tell_seeker(const struct say *q)
{
	static struct seek k;
	static struct link at;
	const struct seek_self self = { .count = count_some, .at = &at };
	struct link out[SEEK_EACH];
	struct say answer = { 0 }, asks = { 0 };

	k = (struct seek){ 0 };
	for (size_t i = 0; i < q->n_have; i++)
		seek_hear(&k, &q->have[i].digest, q->have[i].pieces, &q->have[i].at, NOW);
	seek_answer(&k, q, &answer, &self, NOW);
	assert(answer.n_have <= SAY_HAVE_MAX && (q->n_seek || !answer.n_have));
	for (size_t i = 0; i < q->n_seek; i++) {
		assert(seek_list(&k, &q->seek[i], out, SEEK_EACH, NOW) <= SEEK_EACH);
		seek_want(&k, &q->seek[i], NOW);
	}
	seek_question(&k, &asks, &self, NOW);
	assert(asks.n_seek <= q->n_seek && asks.n_have <= q->n_seek);
	say_release(&asks);
	say_release(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_buf struct buf b = fuzz_fill(data, n);
	struct say s;
	struct err e;

	if (say_read(&s, b.data ? b.data : "", b.len, &e))
		return 0;
	round_trip(&s);
	tell_node(&s);
	tell_seeker(&s);
	say_release(&s);
	return 0;
}
