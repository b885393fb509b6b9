/* SPDX-License-Identifier: Apache-2.0
 *
 * home.h: the grid that this worker belongs to: whom to call, and whom to believe.
 *
 * DIR/grid.json is the newest descriptor seen, DIR/epoch the highest epoch counter: a lower serial or
 * counter is refused even after a restart. A coordinator's message counts only if its author holds that
 * role in the descriptor.
 */
#ifndef WORKER_HOME_H
#define WORKER_HOME_H

#include "common/conf.h"
#include "common/grid.h"
#include "common/id.h"
#include "common/msg.h"
#include "worker/ways.h"

#define HOME_LINKS_MAX 16 /* --join may be given so often */
#define HOME_RELAYS_MAX 8  /* peers that are tried as relays */
#define HOME_SEEN_MAX 16   /* names whose numeric address is remembered */

/* More peers that may lend a tunnel (relay.h), best first: up to max into out, and how many. */
struct relays {
	size_t (*list)(void *arg, struct link *out, size_t max);
	void *arg;
};

struct home {
	char *dir;
	struct id grid_id;
	struct grid grid; /* valid when known */
	char *line;       /* the descriptor's envelope */
	bool known;
	int64_t epoch;
	struct link joins[HOME_LINKS_MAX];
	size_t n_joins;
	struct ways ways;
	struct relays relays;
	struct home_seen { /* where a name was reached, with the coordinator's key */
		struct endpoint name;
		char ip[46];
	} seen[HOME_SEEN_MAX];
	size_t n_seen;
	enum { HOME_UNREACHED, HOME_DIRECT, HOME_RELAYED } reached; /* last told to the log */
};

/* Read what DIR remembers. Links must be of one grid; none is fine when DIR knows one. A DIR of another
 * grid than the links' starts anew with theirs. */
int home_open(struct home *h, const char *dir, const struct texts *links, struct err *e);
void home_close(struct home *h);

/* A descriptor from anybody: taken when it is this grid's and not older than ours. */
int home_learn(struct home *h, const char *line, size_t n, struct err *e);
/* How to try the coordinator now; NULL while no descriptor is known. Everybody who talks to it goes this way:
 * `to`, and way_via() as the relay. */
const struct way *home_way(const struct home *h);
/* Which way that is; home_failed() wants the number from when the try began. */
unsigned home_turn(const struct home *h);
/* Whether this node acts as the grid's coordinator: it is reached by a way and counted as that, never as a peer. */
bool home_is_coordinator(const struct home *h, const struct id *node);
/* Whether a link we were given, or a way, is on a private network: then its neighbours may be dialled too. */
bool home_is_private(const struct home *h);
/* Whether a node that a stranger named may be called by us, `self`: of this grid, not us, not the coordinator, at an address
 * that dial.h allows. */
bool home_may_call(const struct home *h, const struct id *self, const struct link *l);
/* After a failure the next way's turn comes; true: it was not tried since the last round, so do it at once. */
bool home_failed(struct home *h, unsigned turn);
/* It answered on this way, at this numeric address ("" or of a relay: not noted). */
void home_worked(struct home *h, const struct way *way, const char *ip);
/* Where more relays than the joined links come from; and: they have changed. */
void home_set_relays(struct home *h, const struct relays *relays);
void home_relays_changed(struct home *h);
/* What a relay dials for the target HOST:PORT: a numeric address. ERR_REFUSED when the text is not one of our
 * own direct ways, ERR_UNREACHABLE when it is a name that we have not reached ourselves. */
int home_target(struct endpoint *out, const struct home *h, const char *target, struct err *e);
/* Open a message that only the coordinator may send. Release `m` on success. */
int home_open_msg(struct home *h, struct msg *m, const char *line, size_t n, enum msg_type type, struct err *e);
/* Its ack, a newline behind it or not, of the envelope with this digest. */
int home_open_ack(struct home *h, struct msg *m, const char *line, size_t n,
	const struct digest *of, struct err *e);

#endif
