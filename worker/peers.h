/* SPDX-License-Identifier: Apache-2.0
 *
 * peers.h: which other nodes a node knows, which of them it talks to, and what is said. Values and `now` in, verdicts out:
 * no clock, socket, log or chance but a seed.
 *
 * Membership is a partial view with an active part, after HyParView (Leitao, Pereira, Rodrigues 2007): of at most
 * VIEW_MAX known nodes PEERS_SLOTS reachable ones are *neighbours*, to whom a connection is kept open outward. Views are
 * mixed by exchanging a few random records a minute and by ageing, after Cyclon (Voulgaris, Gavidia, van Steen 2005). A
 * record is signed by the node it is about; only nodes that can be dialled have one.
 *
 * An exchange is one question and one answer (say.h). The question is held by the other side until it has something new:
 * so what is new goes down all held questions at once (*hint*), each item once to a node, and an idle connection costs a few
 * hundred bytes a minute. A question that wants many records names those that are known (say.h, marks), and so is told
 * only of others. Whoever announces a fact first also tells its own neighbours at once. What hints miss the next
 * exchange finds, by hash, then summary (news.h).
 *
 *	slot:  EMPTY --a node of the view--> REST --due--> ASKING --answer--> REST
 *	                              ASKING --none, the first time--> REST, else EMPTY; misbehaved--> EMPTY
 *
 * Eclipse: one network block (/16, IPv6 /32) has at most VIEW_BLOCK_MAX places in the view and one among the neighbours;
 * what was never reached cannot push out what was; a node of the joined links stays. Until a signature holds only
 * the sender is charged: TELLER_CHECKS items and TELLER_BYTES a round, else it is not listened to for a while.
 */
#ifndef WORKER_PEERS_H
#define WORKER_PEERS_H

#include "common/say.h"
#include "worker/deed.h"

#define VIEW_MAX 64
#define VIEW_BLOCK_MAX 4
#define VIEW_HUNGRY 32 /* below it many records are asked for, while that brings any */
#define PEER_LINE_MAX ((size_t)4096)
#define PEER_LIFE_MS ((int64_t)24 * 3600 * 1000)     /* what our own record says */
#define PEER_RENEW_MS ((int64_t)6 * 3600 * 1000)     /* and when it is signed anew */
#define PEER_LIFE_MAX_MS ((int64_t)48 * 3600 * 1000) /* one that says more is not taken */
#define PEERS_SLOTS 4
#define ROUND_MS 10000
/* A question is held so long, plus or minus an eighth; with four neighbours there is an exchange every 11 s. */
#define HOLD_MS 44000
#define SPREAD_TRIES 8
/* Questions held at most; more are answered at once, and who asked goes elsewhere. Each costs about 10 bytes a second: so
 * the busiest node too stays under 300 while nothing happens, where a quarter of the nodes can be reached (tests/sim). */
#define PEERS_HELD_MAX 18
/* With those that had a place before (a brief question), so that nobody takes it from them while they ask anew. */
#define PEERS_HELD_AGAIN 24
/* And with those that have hardly any neighbours: to be heard goes before the budget. */
#define PEERS_HELD_ALONE 64
/* Who finds no room asks again so soon, then half as often each time, down to once in CROWD_MS; with CROWD_ENOUGH other
 * neighbours once in CROWD_LONG_MS. */
#define CROWD_FIRST_MS 10000
#define CROWD_MS ((int64_t)3 * 60 * 1000)
#define CROWD_LONG_MS ((int64_t)30 * 60 * 1000)
#define CROWD_ENOUGH 2
/* Of a neighbour that is full one in so many answers makes who has enough others leave. */
#define GIVE_WAY 8
/* A neighbour whose connection broke is tried once more after this. */
#define AGAIN_MS 2000
/* An answer sooner than this that brings nothing makes the next question wait. */
#define EARLY_MS 1000
/* Then another neighbour's turn comes, plus or minus half: of four, one every ten minutes. So views are mixed by their
 * members, and halves of a grid that were apart find each other. */
#define NEIGHBOUR_MS ((int64_t)40 * 60 * 1000)
/* Records given and asked for in the first exchange with a neighbour: 800 bytes each. */
#define MIX_FIRST 1
/* A new node walks about until its view is mixed, with eight records an exchange: its first neighbours stay a minute,
 * those after WALK_STEP two, and so on, for WALK_CONTACTS. A quarter of an hour. */
#define NEIGHBOUR_FIRST_MS 60000
#define WALK_STEP 8
#define WALK_CONTACTS 24
/* In a small grid, after so long, a new neighbour that knows of nobody new counts for WALK_KNOWN: there is nothing to be
 * mixed. */
#define WALK_SOONEST_MS 180000
#define WALK_KNOWN 6
/* Records that such a node gives a new neighbour: its own, and one. */
#define WALK_GIVE 2
/* A view that is not full asks so soon again, then half as often each time it gets nothing new. */
#define MIX_FIRST_MS 15000
#define MIX_MS 600000
#define PEERS_TELLERS_MAX 64
/* A new neighbour that holds more questions than half as many again as the others on average, and LOAD_SLACK, is left for
 * another, once in PICKY_MS; and whose turn it is to go is the one that holds most. */
#define LOAD_SLACK 4
#define PICKY_MS 300000
#define PACE_MS (ROUND_MS / 4) /* between questions while there is more than a message holds */
#define TELLER_CHECKS 400      /* items taken of one sender a round */
/* And of all who ask us together, however many addresses they have: half a second's work. */
#define ASKERS_CHECKS 4000
#define TELLER_BYTES ((size_t)512 * 1024)
#define TELLER_BLOCK_MS ((int64_t)5 * 60 * 1000)
#define BAN_MS ((int64_t)3600 * 1000)
#define SCORE_BAN (-8) /* at or below: not dialled, not named to others, for BAN_MS */
#define SCORE_BEST 4
#define FORGIVE_MS ((int64_t)10 * 60 * 1000) /* a point is forgiven so often */
#define RETRY_MIN_MS 30000                   /* of an unreachable node; doubles to RETRY_MAX_MS */
#define RETRY_MAX_MS ((int64_t)3600 * 1000)
#define FAILS_GONE 3 /* so often unreachable in a row: the first to go */
/* The view (records, addresses), the tellers, and news.h's. Shown by tests/unit/test_peers.c. */
#define PEERS_BYTES_MAX (NEWS_BYTES_MAX + (size_t)1024 * 1024)

struct peers_conf {
	struct id grid, self;
	uint64_t seed;
	bool private_ok; /* the joined link is loopback or private, so such addresses may be dialled */
	struct news_fns fns;
};

struct peers;
struct peers *peers_new(const struct peers_conf *conf, int64_t now_ms);
void peers_free(struct peers *p);
struct news *peers_news(struct peers *p); /* borrowed */

/* --- the view ----------------------------------------------------------------------------------------------- */
/* A joined link: known without a record, kept for good. False: it is so already, or the view is full. */
bool peers_pin(struct peers *p, const struct link *to);
/* A record from anybody. */
enum news_verdict peers_take(
	struct peers *p, const char *line, size_t n, int64_t now_ms, struct err *e);
/* The coordinator answers again, so it was perhaps our line that was cut: within a round, who has places free tries those
 * again that could not be reached. */
void peers_hurry(struct peers *p, int64_t now_ms);
/* Our own record, to be passed on; NULL: none. Copied. */
void peers_set_self(struct peers *p, const char *line);
void peers_deed(struct peers *p, const struct id *node, enum peer_deed deed, int64_t now_ms);
/* Up to `max` nodes that may be dialled, the neighbours first. */
size_t peers_links(struct peers *p, struct link *out, size_t max, int64_t now_ms);
/* The same of those that say that they lend tunnels. */
size_t peers_relays(struct peers *p, struct link *out, size_t max, int64_t now_ms);
/* Records kept, for a file; and who is known without one is not in it. */
void peers_each_record(
	const struct peers *p, void (*fn)(void *arg, const char *line, size_t n), void *arg);

/* --- our questions ------------------------------------------------------------------------------------------- */
struct peers_ref {
	int slot;
	bool push;   /* beside the question that is held: wait_ms 0, its answer ends the push */
	uint64_t id; /* of the neighbour's time in this slot: what comes later is ignored */
};
struct peers_turn {
	struct peers_ref ref;
	struct link to;
	struct say say; /* yours: release */
};
/* The next question that is due, counted as asked. False: none before peers_due(). */
bool peers_next(struct peers *p, struct peers_turn *t, int64_t now_ms);
int64_t peers_due(const struct peers *p, int64_t now_ms); /* in how many ms */
/* The answer, or none. `busy`: the node lives but has no room for us. True: something new was learned. */
bool peers_answered(
	struct peers *p, const struct peers_ref *ref, const struct say *answer, int64_t now_ms);
void peers_failed(struct peers *p, const struct peers_ref *ref, bool busy, int64_t now_ms);

/* How many questions the shell holds: told in answers, so that others spread. */
void peers_set_load(struct peers *p, int n_held);

/* --- others' questions ----------------------------------------------------------------------------------------- */
enum peers_reply { REPLY_NOW, REPLY_HOLD, REPLY_REFUSE };
/* A question that is held. */
struct peers_held {
	struct id node;
	uint64_t since; /* it lacks what came after this tick */
	int want;
	bool brief;
};
/* `from`: who is charged (a number made from its address). NOW: `out` is the answer (release it). HOLD: it may wait, as
 * `held` says. REFUSE: it told too much, or something wrong. */
enum peers_reply peers_asked(struct peers *p, uint64_t from, const struct say *question,
	struct say *out, struct peers_held *held, int64_t now_ms);
/* Whether who is held has something to hear; then `out` is its answer. */
bool peers_hint(struct peers *p, const struct peers_held *held, struct say *out, int64_t now_ms);
/* The answer when the time is up. */
void peers_release(struct peers *p, const struct peers_held *held, struct say *out, int64_t now_ms);

/* A fact of our own, with the note that we signed (news_next_seq()). It goes to the neighbours at once. */
enum news_verdict peers_announce(
	struct peers *p, const struct news_item *item, int64_t now_ms, struct err *e);

struct peers_counts {
	size_t known, neighbours; /* neighbours: that have answered */
	size_t blocked;           /* senders that are not listened to */
	size_t bytes;             /* in memory, the news included */
	struct news_counts news;
};
struct peers_counts peers_count(const struct peers *p, int64_t now_ms);
/* Each neighbour that has answered. */
void peers_each_neighbour(
	const struct peers *p, void (*fn)(void *arg, const struct link *to), void *arg);

#endif
