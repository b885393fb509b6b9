/* SPDX-License-Identifier: Apache-2.0
 *
 * pull_in.h: what the files of a download share; nobody else includes it.
 *
 *	pull.c       from the layer to the whole: what the swarm says is done
 *	pull_peer.c  peers: whom to know, and polling them
 *	pull_haul.c  hauls: one piece on its way from one peer
 *	pull_guest.c guests, who bring theirs; and bringing ours to others
 */
#ifndef WORKER_PULL_IN_H
#define WORKER_PULL_IN_H

#include "worker/pull.h"
#include "worker/swarm.h"

#define PEERS_MAX 16   /* polled at once: enough that every node is two steps from every other */
#define PULL_HASH_STEP (4 * MIB) /* bytes hashed in a turn of the loop, beside the pieces that came */
#define SHUNNED_MAX 64 /* peers that are not taken again */

struct peer {
	struct pull *pull;
	bool home, guest;
	struct link link;
	int source; /* its number in the swarm */
	struct fetch *poll;
	struct timer *timer;
	int fails;
	unsigned way_turn; /* of the coordinator: which way was taken */
	int64_t known;   /* how many of its pieces we know of */
	int64_t idle_ms; /* since when it has had nothing at all */
};

struct haul {
	struct peer *from;
	size_t piece, n, size;
	unsigned char *bytes; /* size */
	struct fetch *fetch;  /* NULL: a guest brings it */
	bool told;            /* the guest knows */
	struct haul *next;
};

struct gift { /* a piece on its way to a peer that wants it from us */
	struct peer *to;
	struct fetch *fetch;
	struct gift *next;
};

struct shunned {
	struct id node;
	int64_t until_ms;
};

struct pull {
	const struct pull_env *env;
	struct blob blob;
	pull_fn *fn;
	void *arg;
	bool over;
	struct err e; /* when over; code 0: it is here */
	struct timer *timer;
	uint64_t seed;
	int tries, wrong;
	struct fetch *layer_fetch;
	struct id layer_from;
	bool layer_home;   /* the layer was asked from the coordinator */
	unsigned way_turn; /* which way to it was taken (home_turn) */
	size_t layer_turn; /* whom to ask next */
	struct digest *layer;
	size_t n; /* pieces */
	int64_t piece;
	struct blob_parts *parts;
	struct swarm *swarm;
	struct peer *peers[SWARM_SOURCES_MAX];
	size_t n_peers;
	struct haul *hauls;
	struct gift *gifts;
	size_t n_gifts, n_guests;
	bool lends;
	struct shunned shunned[SHUNNED_MAX];
	size_t n_shunned;
	int64_t found_ms;
};

/* pull.c */
void pull_over(struct pull *p, const struct err *e); /* it ends, in the next turn; e NULL: well */
void pull_pump(struct pull *p);                      /* do what the swarm says */
bool pull_is_lent_to(const struct peer *q);          /* it lacks something still */
void pull_report(struct pull *p, const struct peer *from, enum peer_deed deed);
/* Send it to the peer (NULL: the coordinator). False: no way there is known. */
bool pull_aim(const struct pull *p, const struct peer *q, struct fetch_spec *spec);
void pull_url(char out[128], const struct pull *p, const char *more);

/* pull_peer.c */
struct peer *peer_new(struct pull *p, const struct link *l); /* l NULL: the coordinator */
void peer_free(struct peer *q);                              /* it is out of the swarm already */
void peer_poll(void *peer);
void pull_shun(struct pull *p, const struct id *node, bool for_ever);
bool pull_would_call(const struct pull *p, const struct link *l);
bool pull_welcomes(
	const struct pull *p, const struct id *node); /* it has done us no wrong lately */
/* Peers that others know: up to max, not looked at yet. */
size_t pull_look_around(struct pull *p, struct link *out, size_t max);
void pull_find_more(struct pull *p);
/* The body of `POST /v1/swarm`, to a peer or (NULL) for the coordinator's knowledge only; yours. */
char *pull_says(struct pull *p, const struct peer *q, int64_t wait_ms) MUST_USE;

/* pull_guest.c */
void gift_give(struct peer *q, const uint16_t *pieces, size_t n);
void gift_free(struct gift *g);

/* pull_haul.c */
/* All n bytes of the piece are here, from q: whether they are right. -1: it cannot be kept, and the pull is over. */
int haul_arrived(struct peer *q, size_t piece, const void *bytes, size_t n, struct err *e);
void haul_start(struct pull *p, int source, size_t piece);
void haul_cancel(struct pull *p, int source, size_t piece);
void haul_free(struct haul *c);

#endif
