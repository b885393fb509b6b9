/* SPDX-License-Identifier: Apache-2.0
 *
 * coord.h: the coordinator as one machine: a message in, a decision, facts written, an answer out.
 *
 * Everything that happens in one turn of the loop is one transaction. A handler never answers at
 * once: it leaves a reply, and coord_turn() sends the replies after the commit. So what is
 * acknowledged is durable, and what could not be made durable is not believed either: the state in
 * memory is rebuilt from the store. There is no socket in here: routes.c speaks HTTP, tests call
 * directly.
 */
#ifndef COORDINATOR_COORD_H
#define COORDINATOR_COORD_H

#include "common/blob.h"
#include "common/buf.h"
#include "common/grid.h"
#include "common/seeds.h"
#include "coordinator/rate.h"
#include "coordinator/store.h"

#define HOLDS_MAX 8192        /* asks kept waiting; beyond it they are answered at once */
#define CANCEL_STEP 2048      /* tasks that one turn cancels */
#define EXPIRE_STEP 4096      /* leases that one turn expires */
#define VERDICT_TASKS_MAX 256 /* in one verdict */
#define CONFLICTS_MAX 16      /* kept as evidence for each worker */
#define AUTHOR_RATE 400       /* messages a second of one author; twice that at once */
#define GARBAGE_RATE 50       /* messages a second of one address that could not be opened */
#define METER_S 10

struct coord_options {
	const char *dir;
	const char *name, *about, *contact;
	bool submit_open, work_open;
	bool no_comparators; /* submitters' programs that compare outputs are not run here */
	enum independence by;
	int64_t blobs_max; /* bytes of uploaded blobs; 0: no limit */
};

/* What goes back. Exactly one of: an error (e.code), a file (fd ≥ 0), bytes. */
struct reply {
	int status;
	const char *type; /* a literal; NULL: no body */
	char *body;
	size_t n;
	bool ranged; /* Range is honoured */
	int fd;      /* -1: none */
	int64_t size;
	char etag[DIGEST_TEXT + 3];
	char location[90];
	int64_t offset, length; /* of an upload; -1: not told */
	int64_t next;           /* Talkoot-Next; 0: not told */
	int retry_s;            /* Retry-After of a refusal; 0: what is usual */
	struct err e;
};
typedef void reply_fn(void *arg, struct reply *r); /* r is borrowed; set fd to -1 to keep it */

struct coord;
struct agree;
struct loop;
struct hold;
struct gossip;

/* Somebody waits for an answer. Made by coord_call(), freed after fn was called or by coord_gone().
 */
struct call {
	struct coord *c;
	reply_fn *fn; /* NULL: gone */
	void *arg;
	struct reply reply;
	struct hold *hold;
	bool hears; /* a question of gossip that is held */
	struct call *next;
	bool replied;
};

/* How many a second, over the last ten. */
struct meter {
	int64_t at[METER_S + 1], n[METER_S + 1];
};
void meter_add(struct meter *m, int64_t now, int64_t n);
double meter_rate(const struct meter *m, int64_t now);

struct decided {
	uint32_t job;
	int64_t index;
	enum task_state state;
	struct verdict v;
};

struct uploads;
struct sources;

struct coord {
	struct coord_options o;
	struct store *store;
	struct blobs *blobs;
	struct key *key;
	struct id id;
	struct grid grid;
	char *grid_line;
	struct epoch epoch;
	struct sched sched;
	struct job **manifests; /* by the scheduler's number */
	size_t manifests_room;
	int64_t time_base, mono_base, started_ms;
	struct call *answered, **answered_end;
	struct hold **holds;
	size_t n_holds, holds_room, next_hold;
	struct decided *decided;
	size_t n_decided, decided_room;
	struct uploads *uploads;
	struct sources *sources; /* sources.h */
	struct agree *agree;
	struct loop *loop; /* for child processes; NULL (a test): they are awaited */
	char web_seed[SEED_BASE_MAX]; /* "http://HOST:PORT" of --web-seed; "": none */
	struct gossip *gossip;
	bool draining, more; /* more: the next turn has work waiting */
	bool failed;         /* the last commit did; try gently */
	int64_t retry_ms;
	struct counts counts;
	struct rate authors, garbage;
	int64_t rejected, disagreed, agreed, told_agreed, told_disagreed; /* told: to the store */
	struct meter results, tasks, asks;
	void (*want_turn)(void *arg);
	void *want_turn_arg;
};

int coord_open(struct coord **out, const struct coord_options *o, struct err *e);
void coord_close(struct coord *c);
/* Say where the grid can be reached (it goes into the descriptor). */
int coord_publish(struct coord *c, const struct endpoint *at, struct err *e);
int64_t coord_now(const struct coord *c);
/* Finish the turn. */
void coord_turn(struct coord *c);
/* In how many ms something is due without anybody calling; at most 60000. */
int64_t coord_due_in(const struct coord *c);
/* Answer everybody who is kept waiting, so that the process may end. */
void coord_release_holds(struct coord *c);

struct call *coord_call(struct coord *c, reply_fn *fn, void *arg);
void coord_gone(struct call *call);
/* msg_open(), where a stranger sent `line`: what cannot be opened is charged to `address`, what can to its
 * author; who has sent too much gets ERR_RATE. */
int coord_open_message(struct coord *c, struct msg *m, const char *line, size_t n,
	const char *address, struct err *e);
/* Whether `address` may send what is perhaps no message; `take`: it was none. */
int coord_garbage(struct coord *c, const char *address, bool take, struct err *e);
/* A message has arrived for `call`; address as the coordinator sees it. */
void coord_message(struct call *call, const char *bytes, size_t n, const char *address);

/* --- leaving a reply ---------------------------------------------------------------------- */
void reply_text(
	struct call *call, int status, const char *type, char *body, size_t n); /* takes body */
void reply_json(struct call *call, int status, char *text);                     /* takes text */
void reply_error(struct call *call, const struct err *e);

/* --- load.c: the state in memory, from the store ------------------------------------------ */
int coord_load(struct coord *c, struct err *e);
void coord_unload(struct coord *c);
uint32_t worker_by_row(const struct coord *c, int64_t row); /* or NOBODY */

/* --- for the handlers: each leaves its reply ---------------------------------------------- */
void handle_ask(struct call *call, struct msg *m, const char *address); /* ask.c; takes *m */
void handle_job(struct call *call, struct msg *m);                      /* accept.c */
void handle_cancel(struct call *call, struct msg *m);
/* The same for a fact that came by gossip: the ack (yours), or why not. */
int accept_job(struct coord *c, const struct msg *m, char **ack, struct err *e);
int accept_cancel(struct coord *c, const struct msg *m, char **ack, struct err *e);
void handle_query(struct call *call, struct msg *m);                       /* query.c */
void handle_result(struct call *call, struct msg *m, const json_t *blobs); /* report.c */
bool may_submit(struct coord *c, const struct id *key, struct err *e);
int cancel_job(struct coord *c, const struct digest *id, const char *why, struct err *e);
/* An ack for the envelope; add to it, then seal_reply(). */
json_t *new_ack(struct coord *c, enum msg_type type, const struct digest *of);
char *seal_ours(struct coord *c, json_t *payload);
/* The reply that was given to the same bytes before; false: these are new. */
bool replied_before(struct call *call, const struct digest *line);

/* --- verdict.c ---------------------------------------------------------------------------- */
void decide(struct coord *c, uint32_t job, int64_t index, enum task_state state,
	const struct verdict *v);
void record_verdicts(struct coord *c);
void sweep_cancelled(struct coord *c);
void end_leases_of(struct coord *c, uint32_t job, uint32_t worker); /* NOBODY: any */
void end_leases_after(struct coord *c, uint32_t author); /* that went on from a checkpoint of its */

/* --- ask.c -------------------------------------------------------------------------------- */
void serve_holds(struct coord *c, int64_t now);
void wake_worker(struct coord *c, uint32_t worker);
void drop_hold(struct hold *h);

/* --- workers.c: bans ---------------------------------------------------------------------- */
int ban_worker(struct coord *c, const char *id_or_prefix, bool banned, struct err *e);

/* --- blobs as everybody, or one author, sees them ----------------------------------------- */
/* The first bytes of what `author` may rely on. -1: it is not there for them. */
int blob_head(
	struct coord *c, const struct digest *d, char *out, size_t room, size_t *n, struct err *e);
int blob_whole(
	struct coord *c, const struct digest *d, char **out, size_t *n, size_t max, struct err *e);

#endif
