/* SPDX-License-Identifier: Apache-2.0
 *
 * peers_in.h: what peers.c, peers_ask.c, peers_hear.c and peers_crowd.c share.
 */
#ifndef WORKER_PEERS_IN_H
#define WORKER_PEERS_IN_H

#include "worker/peers.h"
#include "worker/view.h"

#include <stdlib.h>

enum slot_state { SLOT_EMPTY, SLOT_REST, SLOT_ASKING };

struct slot {
	enum slot_state state;
	uint64_t id; /* of this neighbour's time here */
	struct link to;
	uint64_t block;
	bool heard;      /* it has answered */
	bool pinned;     /* of a joined link */
	bool shaky;      /* its last question got no answer */
	bool told_self;  /* it has our record */
	bool push;       /* a fact of ours waits to be told beside the held question */
	bool summarized; /* the question that is out has our summary */
	bool hungry;     /* and asks for many records */
	bool at_once;    /* and so is answered at once */
	int64_t due_ms, asked_ms, until_ms;
	int64_t end_ms;   /* when the question that is out is answered at the latest */
	int64_t pause_ms; /* the last one that a fruitless answer caused; stays with the place */
	bool brief;       /* it knows that our questions are of its grid */
	int load;         /* questions it holds, as it says */
	bool leave;       /* after the next answer */
	uint64_t told, asked_tick, pushed_tick;
	bool more;               /* the question that is out had no room for all */
	uint64_t hash;           /* theirs, as last said */
	struct summary *summary; /* theirs, said in the last answer; NULL: none */
};

struct teller {
	uint64_t key;
	int64_t round_ms, blocked_ms; /* until */
	int checks;
	size_t bytes;
};

struct peers {
	struct peers_conf conf;
	uint64_t seed;
	struct news *news;
	struct view view;
	struct slot slots[PEERS_SLOTS];
	struct teller tellers[PEERS_TELLERS_MAX];
	char *self_line;
	struct mark self_mark;
	int64_t began_ms;
	int64_t mixed_ms, aged_ms, mix_ms; /* the wait till the next mixing */
	uint64_t ids;
	uint64_t contacts; /* neighbours that have answered so far */
	bool hungry;
	int64_t asked_ms; /* the round of all who ask us, and what it cost so far */
	int asked_checks;
	int load;
	int64_t picked_ms; /* when a neighbour was last left for its load */
};

/* Where this node is a neighbour, or NULL. */
struct slot *peers_slot(struct peers *p, const struct id *node);

struct taking {
	struct peers *p;
	struct teller *t;
	int64_t now;
	bool gained, peers;
	enum peer_deed deed; /* PEER_GOOD until something was wrong */
};
/* Take what a message carries; `key` is charged. What its sender did is in the result. */
struct taking peers_hear(struct peers *p, uint64_t key, const struct say *s, int64_t now);
/* Up to n random records, none of those that `q` (NULL: no question) says are known; ours among them: always when many
 * are wanted, else now and then. */
void peers_add(struct peers *p, struct say *s, int n, const struct id *to, const struct say *q,
	int64_t now);

/* --- a neighbour's place --------------------------------------------------------------------- */

static inline void empty(struct slot *s, int64_t due)
{
	free(s->summary);
	*s = (struct slot){ .due_ms = due };
}

/* Still young: its view is to be mixed. */
static inline bool walking(const struct peers *p)
{
	return p->contacts < WALK_CONTACTS;
}

/* Then, and while few are known, who was named by the owner stays a neighbour, so that the grid stays in one piece. */
static inline bool clings(const struct peers *p)
{
	return walking(p) || p->view.n < VIEW_HUNGRY;
}

/* Neighbours beside this one. */
static inline int count_others(const struct peers *p, const struct slot *s)
{
	int n = 0;

	for (int i = 0; i < PEERS_SLOTS; i++)
		n += p->slots[i].heard && &p->slots[i] != s;
	return n;
}

/* --- peers_crowd.c --------------------------------------------------------------------------- */

/* How long to wait before the next question, after an answer that came at once and brought nothing. */
int64_t crowd_pause_after(struct slot *s, bool fruitful, int64_t now);
/* An answer long before its time, with nothing in it and nothing different: it holds as many questions as it can. */
bool crowd_told(const struct slot *s, const struct say *answer, uint64_t hash, int64_t now);
/* How long before the next question after that, by chance a quarter more or less. Who went elsewhere at once, and was
 * told the same there, waits too; and who has neighbours enough lets others have the room. */
int64_t crowd_pause(struct peers *p, struct slot *s);
/* A neighbour that has no room for others is left now and then by those who have enough without it. */
bool crowd_gives_way(struct peers *p, const struct slot *s);
/* Leave it for another neighbour, whose turn comes at `due`. */
void crowd_leave(struct peers *p, struct slot *s, int64_t due, int64_t now);
/* A new neighbour that has much more to do than the others; not while young, when all of the few known have. */
bool crowd_overloaded(struct peers *p, const struct slot *s, int64_t now);

#endif
