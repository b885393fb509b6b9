/* SPDX-License-Identifier: Apache-2.0
 *
 * worker.h: the worker: the agent's decisions, done.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "worker/ability.h"
#include "worker/carry.h"
#include "worker/control.h"
#include "worker/errand.h"
#include "worker/gossip.h"
#include "worker/guard.h"
#include "worker/join.h"
#include "worker/lan.h"
#include "worker/local.h"
#include "worker/mapport.h"
#include "worker/outbox.h"
#include "worker/probe.h"
#include "worker/relay.h"
#include "worker/serve.h"
#include "worker/talk.h"
#include "worker/terms.h"
#include "common/conf.h"

/* What the owner decided. All borrowed. */
struct worker_conf {
	const char *dir;
	struct texts join;
	bool listens;
	struct endpoint listen;
	bool relays; /* lends tunnels to the coordinator, when it listens */
	bool carries; /* takes jobs for a silent coordinator, when it listens */
	bool advertises;
	struct endpoint advertise;
	bool web_seeds;
	struct endpoint web_seed;
	bool maps_port;      /* at the router */
	const char *gateway; /* which one; NULL: found by itself */
	bool discovers; /* nodes on the local network */
	struct terms terms;
	int64_t slots, memory_mib, disk_mib;
	int64_t upload_kib;   /* a second, to peers; 0: nothing, -1: no limit */
	struct texts allow_local, local_for; /* local.h */
	const char *sandbox;  /* a path */
	const char *image_tool; /* talkoot-image; NULL: not found */
	bool own_sandbox;     /* it is talkoot-sandbox, not what --sandbox names */
	int64_t exit_idle_ms; /* 0: never */
};

struct worker {
	struct worker_conf conf;
	int lock; /* of DIR: one worker at a time */
	struct guard guard;
	struct loop *loop;
	struct fetcher *fetcher;
	struct key *key;
	struct home home;
	struct notes notes;
	struct ability ability;
	struct local local;
	struct agent agent;
	char address[LINK_HOST_MAX + 9]; /* told to the coordinator; "": none */
	char link[LINK_TEXT_MAX + 1];    /* "none" without --listen */
	struct talk_self self;
	struct talk *talk;
	struct cache *cache;
	struct book *book;
	struct saved saved;
	struct claims *claims;
	char *images; /* where trees of images are; `images_away`: not in DIR */
	bool images_away;
	struct errands errands;
	struct outbox *outbox;
	struct serve *serve;
	struct relay *relay; /* NULL: none */
	struct carry *carry; /* NULL: none */
	struct control *control;
	struct join *joining;
	struct probe *probe; /* NULL: nothing but loopback to publish */
	struct mapport *mapport; /* NULL without --map-port */
	struct lan *lan; /* NULL: does not listen, or was told not to look */
	struct gossip *gossip;
	struct timer *nudge; /* a job was heard of */
	struct timer *announce; /* what is carried, again */
	struct turn_end *turn;
	struct timer *wake;
	bool ready; /* was printed */
	bool complained; /* of the coordinator's silence */
};

/* Run until told to end. 0, or -1 when it could not start. */
int worker_run(const struct worker_conf *conf, struct err *e);

/* Ask the box what it can: that is what we offer, and nothing else is run. Waits for it, a few seconds at most. */
void worker_know_box(struct worker *w);

/* owner.c: what the owner says. */
int owner_open(struct worker *w, struct err *e);

/* port.c: the peer port, when it listens; what is carried is announced once there is gossip. */
int port_open(struct worker *w, struct err *e);
void port_announce(struct worker *w);
/* Make w->link anew: the home, or the way to it, may have changed. */
void port_link(struct worker *w);

/* outside.c: how it is found and reached. */
int outside_open(struct worker *w, struct err *e);
void outside_close(struct worker *w);

/* status.c: one JSON document of what goes on; and the same for people. Yours. */
char *status_json(const struct worker *w) MUST_USE;
void status_print(const char *json, FILE *out);

#endif
