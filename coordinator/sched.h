/* SPDX-License-Identifier: Apache-2.0
 *
 * sched.h: who does what: jobs, their tasks, workers and leases, in memory.
 *
 *	            lease                result, more needed
 *	  open  ------------->  leased  ----------------------> open (again, for another worker)
 *	   ^                      |  \
 *	   +--- given back, ------+   +-- result, decided --> final (valid, failed)
 *	   ^                      |          ^
 *	   |                      +-- result, not known with which others it agrees (a tolerance)
 *	   +---- more needed ----  undecided -+
 *	        expired                    any state, cancelled --> final (cancelled)
 *
 * What must always hold: a task has at most one live lease; a lease goes only to a worker that is
 * independent of all whose results for the task are in; a final task never changes. Time is handed
 * in (the coordinator's, ms), chance too; nothing here knows a clock, a socket or a database, and
 * what happens here is true only once the caller has committed it.
 */
#ifndef COORDINATOR_SCHED_H
#define COORDINATOR_SCHED_H

#include "coordinator/map.h"
#include "coordinator/quorum.h"
#include "jobs/job.h"

#define LEASE_TERM_MS 60000
#define LEASES_PER_ASK 64
#define LEASES_NEWCOMER 32    /* before its first result, however many slots it claims */
#define LEASES_PER_WORKER 256 /* what one `ask` can list as held */
#define LEASE_ID_BYTES 16
#define WINDOW_MIN 1024 /* tasks that the next one is drawn from: order reveals nothing */
#define WINDOW_PER_LEASE 16
#define AUTHORS_MAX 16     /* of one task's checkpoints */
#define EXPIRED_MAX 16     /* workers that may let one task's lease run out */
#define WORKERS_MAX 200000 /* known; an ask of one more is refused */
#define JOBS_ACTIVE_MAX 4096
#define ONLINE_MS 90000 /* a worker heard of within this is online */
#define NOBODY UINT32_MAX

enum task_state {
	TASK_PENDING,
	TASK_RUNNING,
	TASK_CHECKING,
	TASK_VALID,
	TASK_FAILED,
	TASK_CANCELLED,
	N_TASK_STATES
};
#define TASK_IS_FINAL(s) ((s) >= TASK_VALID)

/* 12 bytes: a job of a million tasks costs 12 MB while it is open. */
struct task {
	uint32_t results; /* the first of its results; NOBODY: none */
	uint32_t place;   /* leased: its lease; in the window: where */
	uint8_t state;    /* enum task_state */
	bool leased, in_window;
	bool undecided; /* some of its votes are still being compared: neither leased nor in the window */
};

struct needs {
	enum job_profile profile;
	int64_t memory_mib, disk_mib, threads;
	char platforms[JOB_PROGRAMS_MAX][40];
	size_t n_platforms;
	unsigned bits; /* JOB_BIT_… */
	char local[JOB_LOCAL_MAX][101]; /* data that the worker must have, for this submitter */
	size_t n_local;
	struct id submitter;
};

/* Data of a worker's own, and whose jobs may read it. */
#define LOCALS_MAX 16
struct locals {
	char names[LOCALS_MAX][101];
	struct id keys[LOCALS_MAX];
	size_t n, n_keys;
};

struct sjob {
	struct digest id;
	int64_t row; /* the store's */
	uint32_t submitter;
	int64_t count, max_failures, priority;
	bool ending; /* cancelled: what is not final is being cancelled */
	bool gone;   /* its slot is free */
	bool tolerant; /* votes of different outcomes may agree */
	bool waits;  /* for other jobs: nothing of it is leased yet */
	uint32_t *had; /* of a job that reads workers' own data: who has or had a task, and gets no other */
	size_t n_had, had_room;
	struct rule rule;
	struct needs needs;
	struct task *tasks;
	uint32_t *window;
	size_t n_window, window_room;
	int64_t fresh; /* the first task that was never looked at */
	int64_t leased;
	int64_t tally[N_TASK_STATES];
};

struct hold;

struct worker {
	struct id id;
	int64_t row;
	struct voter voter;
	bool banned, admitted, has_asked, ever_leased;
	enum { RUN, PAUSE, FINISH } state;
	unsigned profiles; /* bits 1 << enum job_profile */
	unsigned bits;     /* JOB_BIT_… that it allows */
	uint64_t *only;    /* node_tag() of the submitters whose jobs it takes; NULL: of any */
	size_t n_only;
	int64_t slots, cpus, memory_mib, disk_mib;
	char platform[40], platform_class[40], agent[64], address[270];
	int64_t seen_ms, first_ms;
	int64_t leased;
	double pace;      /* results a second, fading */
	int64_t returned; /* results since the start */
	int64_t paced_ms;
	struct locals *locals; /* its own; NULL: nothing */
	struct hold *hold; /* its ask that waits, or NULL: the coordinator's */
};

struct lease {
	unsigned char id[LEASE_ID_BYTES];
	uint32_t worker, job; /* worker NOBODY: this slot is free */
	int64_t index, until_ms;
	struct voter voter;     /* the worker as it was when the lease was issued */
	bool copy;              /* results were in already; never told */
	uint32_t before, after; /* by until_ms */
};

struct past {
	struct vote vote;
	uint32_t next;
};

/* Chance, handed in: the kernel's in the program, a seed's in a test. */
struct chance {
	uint64_t (*next)(void *state);
	void *state;
};

/* Whether two votes for a task of a tolerant job agree: the caller's knowledge, handed in. What was known once may be
 * UNRELATED again, but never the opposite. Votes of equal outcomes agree without asking. */
enum related { UNRELATED, AGREE, DIFFER };
struct relating {
	enum related (*between)(
		void *arg, const struct sjob *j, const struct vote *a, const struct vote *b);
	void *arg;
};

struct undecided {
	uint32_t job;
	int64_t index, row; /* row: of the job, as its slot may be another's by now */
};

struct sched {
	struct chance chance;
	struct relating relating; /* between NULL: only equal outcomes agree */
	struct undecided *undecided;
	size_t n_undecided, undecided_room;
	enum independence by;
	struct sjob *jobs;
	size_t n_jobs, jobs_room, active;
	struct worker *workers;
	size_t n_workers, workers_room;
	struct lease *leases;
	size_t n_leases, leases_room, live;
	uint32_t free_lease, first_lease, last_lease;
	struct past *past;
	size_t n_past, past_room;
	uint32_t free_past;
	int64_t *submitter_leased;
	size_t n_submitters, submitters_room;
	struct map job_by_id, worker_by_id, lease_by_id, submitter_by_id;
	bool stirred; /* something became leasable since the caller last cleared this */
};

void sched_init(struct sched *s, enum independence by, struct chance chance);
void sched_release(struct sched *s);

/* --- jobs and workers --------------------------------------------------------------------- */
/* What a worker must have for it. */
struct needs needs_of(const struct job *job);
uint32_t sched_add_job(struct sched *s, const struct job *job, int64_t row);
uint32_t sched_job(const struct sched *s, const struct digest *id); /* or NOBODY */
/* Forget a job all of whose tasks are final. */
void sched_drop_job(struct sched *s, uint32_t job);
bool sched_job_over(const struct sjob *j);
uint32_t sched_worker(const struct sched *s, const struct id *id); /* or NOBODY */
/* A new one; the caller knows that it is not there. NOBODY beyond WORKERS_MAX. */
uint32_t sched_add_worker(struct sched *s, const struct id *id);
bool worker_online(const struct worker *w, int64_t now);
/* Whether the worker has what the job needs, banned or not. */
bool worker_can(const struct worker *w, const struct needs *n);
/* How many leases it may hold now. */
int64_t worker_cap(const struct worker *w, int64_t now);
/* Its results a second, faded until now. */
double worker_pace(const struct worker *w, int64_t now);
/* Of the known, not banned workers that can run it: all, or those online, at work and mutually
 * independent (counting stops at `enough`). kind: of this platform and class only (kind_tag(); 0: any). */
bool sched_anyone_can(const struct sched *s, const struct needs *n);
/* What none of the workers that are online does ("gives a task 4096 MiB of memory"); empty when one meets all of it, when
 * none is online, and for data of volunteers. */
void sched_unmet(const struct sched *s, const struct needs *n, int64_t now, char *out, size_t size);
int sched_independent(
	const struct sched *s, const struct needs *n, uint64_t kind, int64_t now, int enough);
/* Why nothing of the job moves, in words, or "". */
void sched_waiting(
	const struct sched *s, const struct sjob *j, int64_t now, char *out, size_t size);

/* What the workers that the job lacks are missing, in words ("2 workers are online, but none of them can set up a box"),
 * or "" when it has enough. `size` should be LACKING_MAX. */
#define LACKING_MAX 240
void sched_lacking(const struct sched *s, const struct sjob *j, int64_t now, char *out, size_t size);

/* --- leases ------------------------------------------------------------------------------- */
/* Up to `want` leases for the worker; out gets their slots, sorted by job. */
size_t sched_lease(struct sched *s, uint32_t worker, size_t want, int64_t now, uint32_t *out,
	void (*draw_id)(unsigned char id[LEASE_ID_BYTES]));
uint32_t sched_find_lease(
	const struct sched *s, const unsigned char id[LEASE_ID_BYTES]); /* or NOBODY */
void sched_renew(struct sched *s, uint32_t lease, int64_t now);
/* The worker that holds the lease has come through a relay since it was issued: from now on the lease's voter is
 * the relayed one (and stays so when the worker comes directly again). Whether that changed it. */
bool sched_relayed(struct sched *s, uint32_t lease);
/* The lease that is over by `now`, or NOBODY. */
uint32_t sched_overdue(const struct sched *s, int64_t now);
/* When the next lease is over; INT64_MAX: none. */
int64_t sched_next_expiry(const struct sched *s);

/* End a live lease. A verdict other than NEED_MORE made the task final. */
struct verdict sched_result(struct sched *s, uint32_t lease, enum vote_kind kind, bool success,
	const struct digest *outcome, int64_t ref, int64_t now);
struct verdict sched_expire(struct sched *s, uint32_t lease);
/* The voter wrote a checkpoint of the task. False: one more than a task can have (AUTHORS_MAX). */
bool sched_author(struct sched *s, uint32_t job, int64_t index, const struct voter *v);
/* Whether the worker wrote a checkpoint of the leased task since its last result. */
bool sched_is_author(const struct sched *s, uint32_t lease, uint32_t worker);
void sched_give_back(struct sched *s, uint32_t lease);

/* --- undecided tasks ---------------------------------------------------------------------- */
/* Two votes of the k-th undecided task that are UNRELATED, and its job. false: there are none: settle it. */
bool sched_unrelated(
	const struct sched *s, size_t k, uint32_t *job, struct vote *a, struct vote *b);
/* Judge the k-th undecided task again; it leaves the list (the last one takes its place), perhaps to stand at its end
 * again. *job is NOBODY when it is no task any more that anything could be said of. */
struct verdict sched_settle(struct sched *s, size_t k, uint32_t *job, int64_t *index);

/* --- endings ------------------------------------------------------------------------------ */
/* Make up to max of its tasks that are not final and not leased `cancelled`; out gets them. */
size_t sched_cancel(struct sched *s, uint32_t job, int64_t *out, size_t max);
/* The votes of the worker for what is not final never came. */
void sched_unvote(struct sched *s, uint32_t worker);

/* --- what the store remembers, at start --------------------------------------------------- */
void sched_restore_final(struct sched *s, uint32_t job, int64_t index, enum task_state state);
/* The worker has had its task of a job that reads workers' own data. */
void sched_restore_had(struct sched *s, uint32_t job, uint32_t worker);
void sched_restore_vote(struct sched *s, uint32_t job, int64_t index, const struct vote *v);
void sched_restore_lease(struct sched *s, const struct lease *l, int64_t now);
/* All of the job was restored: what was undecided is so again. */
void sched_restore_done(struct sched *s, uint32_t job);

/* --- for sched.c, pick.c and relate.c ----------------------------------------------------- */
/* Whether a job that reads workers' own data has given the worker its one task. */
bool job_had(const struct sjob *j, uint32_t worker);
/* A task's votes in the order they came, but what does not vote stands last: so the first RELATED_MAX have all votes
 * among them. At most VOTES_MAX; *n_votes: how many vote. */
size_t task_votes(const struct sched *s, const struct task *t, struct vote *votes, size_t *n_votes);
/* Which of the first n votes agree. false: of two of them it is not known. */
bool task_relate(const struct sched *s, const struct sjob *j, const struct vote *votes, size_t n,
	struct relation *relation);
/* The job of the k-th undecided task, when that still is one; else NULL. */
struct sjob *task_undecided(const struct sched *s, size_t k);
uint32_t lease_new(struct sched *s, uint32_t worker, uint32_t job, int64_t index, int64_t now,
	const unsigned char id[LEASE_ID_BYTES]);
void window_add(struct sjob *j, int64_t index);
void window_drop(struct sjob *j, int64_t index);
/* Whether the worker is independent of all whose results for the task are in, and of their platform class where the job
 * asks for that: the first vote pins it. */
bool task_open_to(
	const struct sched *s, const struct sjob *j, int64_t index, const struct voter *v);

/* --- for lacking.c: needs.c --------------------------------------------------------------- */
#define N_NEEDS 9 /* in the order in which they are told */
/* How many of the job's needs the worker meets before the first that it does not. */
size_t needs_met(const struct worker *w, const struct needs *n);
/* What who meets the i-th does, in words ("gives a task 4096 MiB of memory"). */
void needs_say(const struct needs *n, size_t i, char *out, size_t size);

/* --- for sched.c: past.c ------------------------------------------------------------------ */
void past_add(struct sched *s, struct task *t, const struct vote *v);
/* Take the entry away that *from names. */
void past_drop(struct sched *s, uint32_t *from);
/* A worker that lets the same task expire again counts once. */
bool past_expired(const struct sched *s, const struct task *t, uint32_t worker);

#endif
