/* SPDX-License-Identifier: Apache-2.0
 *
 * keep.h: what to do with a keeper of boxes and with who lodges there. Pure: events and `now` go in, acts come out;
 * keeper.c does them. All times are milliseconds of one monotonic clock.
 *
 *	off --START--> starting --ready--> serving --END--> ending --gone--> off
 *	                  \------------- END, gone ------------^
 *
 * It is started for a lodger and ended after a while without one; what it does not answer in time, or says and may
 * not, ends it. A lodger waits until the keeper serves and is in when the packet is sent. A keeper that is gone
 * takes along who was in; one that never was ready also who waited for it. The next one is started after a
 * pause that grows.
 */
#ifndef WORKER_KEEP_H
#define WORKER_KEEP_H

#include "common/base.h"
#include "sandbox/box.h"

/* As many tasks as a worker holds. So many unread answers fit the socket's buffer: a keeper takes one that is full
 * for deaf. */
#define KEEP_LODGERS_MAX 256
#define KEEP_READY_MS 10000 /* a start takes 10 ms */
#define KEEP_KILL_MS                                                                               \
	10000 /* a box is killed within 2 s, then the keeper waits 5 s for who reads its output */
#define KEEP_END_MS 3000   /* to kill all boxes and remove their cgroups */
#define KEEP_IDLE_MS 60000 /* without a lodger so long it costs memory for nothing */
#define KEEP_RETRY_MS 5    /* the socket is full: the keeper reads soon */

enum keep_state { KEEP_OFF, KEEP_STARTING, KEEP_SERVING, KEEP_ENDING };

enum lodger_state { LODGER_NONE, LODGER_WAITS, LODGER_IN, LODGER_LEAVES, LODGER_LOST };

struct keep_lodger {
	enum lodger_state state;
	uint32_t id;
	bool tell;      /* LEAVES: the keeper has to be told */
	int64_t due_ms; /* LEAVES: gone by then */
};

struct keep {
	enum keep_state state;
	struct keep_lodger lodgers[KEEP_LODGERS_MAX];
	uint32_t last_id;
	int64_t due_ms;   /* STARTING, ENDING: over by then */
	int64_t idle_ms;  /* SERVING: nobody lodges since */
	int64_t retry_ms; /* nothing is sent before */
	bool ready;       /* it has served */
	bool broken;      /* it is to be ended */
	bool wanted;      /* ENDING: it was well, so no pause follows */
	int tries;        /* ends in a row before a box was through */
	int64_t rest_ms;  /* not started before */
	uint64_t seed;
};

enum keep_act {
	KEEP_NOTHING,
	KEEP_START, /* the process; then keep_gone() if that fails */
	KEEP_ASK,   /* send the lodger's packet; then keep_full() if there is no room */
	KEEP_KILL,  /* tell the keeper to kill the lodger's box; the same */
	KEEP_END,   /* bid the process end */
	KEEP_FORCE, /* kill it */
};

enum keep_heard { HEARD_NEWS, HEARD_ENDED, HEARD_NONSENSE };

void keep_init(struct keep *k, uint64_t seed);
/* A new lodger's number, not 0; 0: the house is full. */
uint32_t keep_add(struct keep *k);
/* It is to leave. True: it is gone already, for it only waited; else HEARD_ENDED or keep_lost() follows. */
bool keep_stop(struct keep *k, uint32_t id, int64_t now);
/* Whether it is in, or was and is to leave. */
bool keep_is_in(const struct keep *k, uint32_t id);
/* The keeper's word. ENDED: that lodger is out. NONSENSE: it may not say that now, and is to be ended. */
enum keep_heard keep_hear(struct keep *k, const struct box_say *say, int64_t now);
/* Its socket is no good. */
void keep_break(struct keep *k);
/* What KEEP_ASK or KEEP_KILL was to send had no room. */
void keep_full(struct keep *k, uint32_t id, int64_t now);
/* KEEP_ASK cannot be done for this lodger: it is out. */
void keep_drop(struct keep *k, uint32_t id, int64_t now);
/* The process has ended, or could not be started. keep_lost() then gives who was lost, one by one, and 0. */
void keep_gone(struct keep *k, int64_t now);
uint32_t keep_lost(struct keep *k);
/* When nobody lodges there it is ended soon: what it knows of this machine may be old. */
void keep_renew(struct keep *k, int64_t now);

/* The next act, already counted as begun; `id` for ASK and KILL. */
enum keep_act keep_next(struct keep *k, uint32_t *id, int64_t now);
/* Milliseconds until keep_next() may have something by the mere passing of time; -1: never. */
int64_t keep_wake(const struct keep *k, int64_t now);

#endif
