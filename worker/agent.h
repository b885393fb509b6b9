/* SPDX-License-Identifier: Apache-2.0
 *
 * agent.h: what a worker does next. Pure: events and `now` go in, acts come out.
 *
 * The caller tells what happened (agent_heard, agent_fetched, agent_exited, …), then takes acts with
 * agent_next() until there is none, and calls again at agent_wake() at the latest. All times
 * are milliseconds of one monotonic clock.
 *
 * A task's way, and who moves it:
 *
 *	leased --ACT_FETCH--> fetching --fetched--> ready --ACT_RUN--> running --exited--> done
 *	   done --ACT_SEAL--> sealed (in an envelope, on disk) --acked--> gone
 *	leased, fetching, ready, running --ended or given back--ACT_STOP--> quitting --stopped--> gone
 *
 * A result that was made is never dropped here: only an ack (or a refusal) of its envelope ends it.
 */
#ifndef WORKER_AGENT_H
#define WORKER_AGENT_H

#include "common/blob.h"
#include "common/digest.h"

#define LEASE_HEX 32

#define AGENT_TASKS_MAX 256   /* `held` of an ask has room for no more */
#define AGENT_RETURNS_MAX 256 /* the same of `returned` */
#define AGENT_WANT_MAX 64     /* the same of `want` */
#define AGENT_BATCH_MAX 64    /* results an envelope */
#define AGENT_BATCH_MS 200    /* a result waits this long for company of its job */
#define AGENT_BATCH_BYTES (768 * KIB) /* of an envelope with what travels beside it: below 1 MiB */
#define AGENT_WAIT_MS 30000           /* the longest poll */
#define AGENT_LISTEN_MS 1000  /* quiet for so long, an ask that wants nothing waits for news of what is held */
#define AGENT_FULL_MS 30000   /* a full disk is looked at again after this */
#define AGENT_GRACE_MS 2000   /* after SIGTERM what runs may end by itself this long */
#define AGENT_STOP_MS 4500    /* and everything else this long: exit within 5 s */
#define AGENT_RESEAL_MS 5000  /* a result that could not be written is tried again after this */
#define AGENT_HEARTBEAT_MS 30000 /* an ask that wants nothing says that we are here */
#define AGENT_HINT_MS 5000    /* between asks that only the news of a job brings about */
#define AGENT_AHEAD_MS 500    /* of short tasks, as many are held as last this long */
#define AGENT_BROKEN_MAX 160
#define AGENT_WORDS_MAX 320

enum agent_mode {
	AGENT_RUN,
	AGENT_PAUSE,  /* starts nothing; gives back what has not started */
	AGENT_FINISH, /* the same, then exits when all is delivered */
	AGENT_STOP,   /* SIGTERM: gives back what runs too, exits within AGENT_STOP_MS */
};

enum task_state {
	TASK_NONE, /* a free entry */
	TASK_LEASED,
	TASK_FETCHING,
	TASK_READY,
	TASK_RUNNING,
	TASK_QUITTING,
	TASK_DONE,
	TASK_SEALED,
	N_TASK_STATES
};

/* What a lease says its task is given, of other jobs or of who had it before; passed on, not looked at. */
struct agent_given {
	bool has_inputs, has_stdin, has_checkpoint;
	struct blob inputs, standard_input, checkpoint;
};

struct agent_task {
	enum task_state state;
	char lease[LEASE_HEX + 1];
	struct digest job;
	int64_t index;
	struct agent_given given;
	int64_t ttl_ms, renewed_ms;
	int64_t since_ms;  /* in this state */
	uint64_t order;    /* first leased, first run */
	bool stop;         /* ACT_STOP is due */
	int threads;       /* slots it takes */
	int64_t memory_mib;
	struct digest policy; /* of the box; results of two policies share no envelope */
	size_t bytes;         /* what its result adds to a message */
};

struct agent_return {
	char lease[LEASE_HEX + 1];
	char why[64];
	bool listed; /* in the ask that is out */
};

/* What the next ask says. */
struct agent_ask {
	bool again; /* resend the last one's very bytes: it got no answer, and the same bytes get the same answer */
	int want;
	int64_t wait_ms;
	enum agent_mode mode;
	char held[AGENT_TASKS_MAX][LEASE_HEX + 1];
	size_t n_held;
	const struct agent_return *returned;
	size_t n_returned;
};

enum act_kind { ACT_NONE, ACT_STOP, ACT_SEAL, ACT_RUN, ACT_FETCH, ACT_ASK, ACT_EXIT };

struct act {
	enum act_kind kind;
	struct digest job;           /* STOP, RUN, FETCH, SEAL */
	char lease[LEASE_HEX + 1];   /* STOP, RUN, FETCH */
	int64_t index;
	struct agent_given given;    /* FETCH */
	char leases[AGENT_BATCH_MAX][LEASE_HEX + 1]; /* SEAL: one envelope of these */
	size_t n_leases;
	const struct agent_ask *ask; /* ASK: borrowed till the next call; replaces one that is out */
};

struct agent_limits {
	int slots;
	int64_t memory_mib;  /* of all tasks together */
	int64_t exit_idle_ms; /* 0: never */
};

struct agent {
	struct agent_limits limits;
	uint64_t seed;
	enum agent_mode mode;
	struct agent_task tasks[AGENT_TASKS_MAX];
	uint64_t orders;
	struct agent_return returns[AGENT_RETURNS_MAX];
	size_t n_returns;

	struct agent_ask ask;
	bool asking;         /* one is out */
	bool unheard;        /* the last one failed: say it again */
	bool suspended;      /* by the owner: what runs stands still */
	bool told_mode;      /* the coordinator knows the mode (or could not be told while leaving) */
	bool news;           /* what an ask says of the worker has changed since the last one */
	int64_t asked_ms;    /* when it went out */
	int64_t sent_ms;     /* the same, or when it was said again */
	int64_t heard_ms;    /* when one was answered last */
	int64_t next_ms;     /* not before */
	int64_t patience_ms; /* the part of it that the coordinator asked for: never before */
	int tries;           /* failed in a row */
	int64_t silent_ms;   /* the coordinator since; 0: it is not */
	char refusal[160];   /* what it said instead of an answer; "" when it said nothing */

	int trouble;         /* fetches and boxes that failed in a row */
	int64_t rest_ms;     /* take no work before this, because of trouble */
	char broken[AGENT_BROKEN_MAX]; /* what the last box that could not be set up said; "": it could */
	int64_t full_ms;     /* the same, because of a full disk */
	int64_t pace_ms;     /* how long a task takes here, smoothed; 0: not known */
	int64_t idle_ms;     /* without work since */
	int64_t stopped_ms;  /* AGENT_STOP since */
	bool leaving;        /* ACT_EXIT was given */
	size_t unsent;       /* envelopes in the outbox */
	int64_t n_done, n_acked;
};

void agent_init(struct agent *a, const struct agent_limits *limits, uint64_t seed, int64_t now);

/* --- what happened ---------------------------------------------------------------------------- */
struct agent_lease {
	char lease[LEASE_HEX + 1];
	struct digest job;
	int64_t index, ttl_ms;
	struct agent_given given;
};
struct agent_ended {
	char lease[LEASE_HEX + 1];
};
/* The answer to the ask that is out. */
struct agent_answer {
	const struct agent_lease *leases;
	size_t n_leases;
	const char (*renewed)[LEASE_HEX + 1];
	size_t n_renewed;
	const char (*ended)[LEASE_HEX + 1];
	size_t n_ended;
	int64_t next_ms;
};
void agent_heard(struct agent *a, const struct agent_answer *answer, int64_t now);
/* No answer. `anew`: its bytes are no good (an old seq): build another. retry_ms: what the other side asked for. */
void agent_unheard(struct agent *a, bool anew, int64_t retry_ms, int64_t now);

/* All inputs are here; what the task takes. More than the worker has is given back. */
void agent_fetched(struct agent *a, const char *lease, int threads, int64_t memory_mib, int64_t now);
/* It cannot be run here; `full`: because the disk is full. */
void agent_failed(struct agent *a, const char *lease, const char *why, bool full, int64_t now);
/* The box ended and its result is in hand. */
struct agent_exit {
	struct digest policy;
	size_t bytes;
	int64_t wall_ms;
	const char *broken; /* why the box could not be set up; NULL: it could */
};
void agent_exited(struct agent *a, const char *lease, const struct agent_exit *x, int64_t now);
/* ACT_SEAL could not be done (the disk): its results wait in memory and are offered again. */
void agent_unsealed(struct agent *a, const char *lease, int64_t now);
/* ACT_STOP was done: nothing of it is left. */
void agent_stopped(struct agent *a, const char *lease, int64_t now);
/* The envelope that holds this lease's result is acknowledged, or refused for good. */
void agent_acked(struct agent *a, const char *lease, int64_t now);
/* Envelopes that are on disk and not acknowledged. */
void agent_outbox(struct agent *a, size_t unsent, int64_t now);
/* This job was cancelled: stop what runs of it. */
void agent_cancelled(struct agent *a, const struct digest *job, int64_t now);
/* Give this back at the next ask; for leases of before a restart. */
void agent_give_back(struct agent *a, const char *lease, const char *why);
/* What an ask says of the worker has changed: say it, even if one is waiting there. */
void agent_news(struct agent *a);
/* There is a new way to the coordinator: do not wait for the back-off to end. */
void agent_nudge(struct agent *a, int64_t now);
/* A job is news. An ask that waits at the coordinator is answered by itself; a back-off ends early, but never before
 * the coordinator wants to be asked again, and not sooner than AGENT_HINT_MS after the last ask: whoever announces
 * jobs, to however many, makes nobody ask more often than that. */
void agent_hint(struct agent *a, int64_t now);
/* PAUSE, RUN, FINISH, STOP. What leaves does not come back: after FINISH only STOP counts. */
void agent_set_mode(struct agent *a, enum agent_mode mode, int64_t now);

/* --- what to do ------------------------------------------------------------------------------- */
/* The next act, already counted as begun. False: none before agent_wake(). */
bool agent_next(struct agent *a, struct act *act, int64_t now);
/* Milliseconds until agent_next() may have something by the mere passing of time. */
int64_t agent_wake(const struct agent *a, int64_t now);

/* --- what to say ------------------------------------------------------------------------------ */
size_t agent_count(const struct agent *a, enum task_state state);
/* What goes on or, when nothing does, why. */
void agent_words(const struct agent *a, char out[AGENT_WORDS_MAX], int64_t now);
const char *agent_mode_name(enum agent_mode mode); /* as the ask's `state` */

#endif
