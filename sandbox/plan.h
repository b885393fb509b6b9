/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.h: one box, as its keeper, its init and (until its exec) its program share it.
 *
 * The keeper allocates it, starts the init in it, writes what is to be done and sends the word; the
 * init and the program read that, and write into `told` alone. A system call (send, recv) stands
 * between every writing and the other side's reading. Nothing in it is a secret: the init is ours,
 * and the program's exec leaves this memory behind.
 *
 *	keeper                       init                          program
 *	  | -- clone --------------->| binds itself, builds
 *	  |                          | -- clone, when ahead ------>| binds itself, waits
 *	  | <-- PLAN_READY, work ----| (files only)
 *	  |                          | waits
 *	  | -- PLAN_GO, descriptors->| adds the inputs
 *	  |                          | -- clone, when not ahead -->| binds itself, waits
 *	  |                          | leaves the host's root,     |
 *	  |                          | limits it; `go` ----------->|
 *	  |                          |                             | execs
 *	  | (-- PLAN_END, or gone -->| kills)                      |
 *	  | <-- PLAN_ENDED ----------| reaps all, tells <----------| ends
 *	  | -- gone ---------------->| ends
 */
#ifndef SANDBOX_PLAN_H
#define SANDBOX_PLAN_H

#include "sandbox/env.h"
#include "sandbox/filter.h"
#include "sandbox/guess.h"
#include "sandbox/limit.h"

enum { PLAN_GO = 'g', PLAN_END = 'x', PLAN_READY = 'r', PLAN_ENDED = 'e' }; /* a byte each */

/* The kernel writes the 0, at the exec or the end, whichever parts its memory from the init's. */
enum { STAGE_GONE, STAGE_BINDING, STAGE_BOUND };

/* Descriptors that come with PLAN_GO, and their numbers in the init and the program. */
enum { PLAN_IN, PLAN_OUT, PLAN_ERR, PLAN_PROGRAM, PLAN_PROCS, PLAN_N_FDS };
#define PLAN_INPUTS_AT_ONCE 200 /* in one packet; the kernel takes 253 */

/* Of the init's CPU time for answers; beyond, all of it counts as the program's, and the init has to wait for others. */
#define PLAN_ANSWERS_FREE_US 20000

#define PLAN_STACK_BYTES 65536 /* each; the kernel gives only the pages that are touched */

/* Of a layer. */
#define PLAN_MENDED " is required and missing (talkoot-worker check says what mends it)"

/* What can fail in the init and the program, and the sentence about it. %d is `at`, %s a name. */
#define STEP_TABLE(X)                                                                              \
	X(NONE, "nothing")                                                                         \
	X(LAYER, "layer %s" PLAN_MENDED)                                                           \
	X(MAPS, "user namespace: writing its id maps")                                             \
	X(LIFE, "binding the init's life to the keeper's")                                         \
	X(SESSION, "leaving the session")                                                          \
	X(WORD, "waiting for what to run")                                                         \
	X(HOSTNAME, "setting the host name")                                                       \
	X(PRIVATE, "mount namespace: making it private")                                           \
	X(TMPFS, "mount namespace: mounting a tmpfs")                                              \
	X(PIVOT, "mount namespace: leaving the old root")                                          \
	X(READ_ONLY, "mount namespace: making the root read-only")                                 \
	X(STDIN, "--stdin: opening it read-only")                                                  \
	X(INPUT, "--in: showing /in/%s")                                                           \
	X(DEVICES, "making /dev")                                                                  \
	X(ROOT, "--root: showing /%s")                                                             \
	X(WORK, "making /out and /tmp")                                                            \
	X(CAPABILITIES, "giving up capabilities")                                                  \
	X(EXEMPT, "rlimits: the limit on processes does not bind root here; start it as "          \
		  "another user")                                                                  \
	X(CHILD, "starting a process in the box")                                                  \
	X(STREAMS, "init: its descriptors")                                                        \
	X(SIGNALS, "unblocking signals")                                                           \
	X(DEATH, "binding its life to the init's")                                                 \
	X(ADDRESSES, "fixing addresses")                                                           \
	X(FOLDER, "going to /tmp")                                                                 \
	X(RLIMIT, "rlimits: number %d")                                                            \
	X(PRIVILEGES, "no_new_privs")                                                              \
	X(LANDLOCK_NONE, "landlock: this kernel has none, or it is switched off")                  \
	X(LANDLOCK, "landlock: binding to its rules")                                              \
	X(SECCOMP, "seccomp: loading the filter")                                                  \
	X(EXEC, "PROGRAM %s: executing it")                                                        \
	X(CWD, "--cwd %s: going there")                                                            \
	X(PROC, "--bits proc: mounting a /proc of its own")                                        \
	X(PROGRAM, "--bits proc: showing PROGRAM by a mount of its own")

enum step {
#define X(id, text) STEP_##id,
	STEP_TABLE(X)
#undef X
		STEP_N
};

/* What failed first. */
struct fault {
	enum step step;
	int error; /* errno's number */
	int at;    /* which layer, input, root entry or rlimit */
};

struct told {
	struct fault fault;
	unsigned layers; /* the namespaces that hold */
	bool started;    /* the exec was reached; what it did shows in `fault` or in `status` */
	int status;      /* the program's, as wait(2) gives it */
	int64_t cpu_us;  /* of all that was reaped */
	int64_t rss_kib; /* of the largest of them */
};

struct plan_input {
	char show[8 + BOX_NAME_MAX]; /* "in/NAME" */
	char *path;                  /* where the keeper sees it, or NULL: only to be copied */
	dev_t dev;
	ino_t ino;
	bool regular;
	int64_t bytes;
};

struct plan_root { /* an entry of --root's top level */
	char *name;
	char *path; /* a folder or a file to show */
	char *link; /* or a link to make: its target */
};

struct plan {
	/* fixed when the init is started */
	unsigned layers;    /* the namespaces it is to have */
	unsigned born;      /* those that its clone made; the others it makes itself */
	bool inherits_root; /* the keeper stands in an empty root already */
	bool inherits_name; /* and has its host name */
	int proc, sock;     /* /proc; the init's end */
	bool once;          /* nobody waits for it to be ready: its task is there already */
	bool ahead; /* the program's process is started before PLAN_GO, for what is guessed: */
	bool alone; /* no inputs and no --root; besides: deterministic, seeded, bits, has_root, filter */
	int rule, procs; /* the init's: the guessed program, and where it joins its cgroup, or -1 */
	char uid_map[40], gid_map[40];
	char work_usual[96]; /* options of the tmpfs of /out and /tmp, as most tasks have them */

	/* written before PLAN_GO */
	enum box_profile profile;
	bool prove; /* still root: see STEP_EXEMPT */
	bool deterministic, seeded, idle;
	unsigned bits; /* BOX_JIT, BOX_PROC; of one that stands by: as guessed */
	uint64_t seed[4];
	struct plan_input in;      /* standard input, when it is a file */
	struct plan_input program; /* `files` beside a /proc */
	struct plan_input *inputs;
	size_t n_inputs;
	struct plan_root *roots;
	size_t n_roots;
	bool has_root, has_procs;
	char work_options[96];
	struct limit_rlimit rlimits[LIMIT_RLIMITS];
	size_t n_rlimits;
	struct filter filter;
	char **argv;
	char **tries;    /* `image`: the paths at which the program may be; NULL at the end */
	const char *cwd; /* `image` */
	struct env env;
	int listener;   /* the program's: where its getrandom calls arrive, or -1 */
	int urandom;    /* the init's: the other end of /dev/urandom, or -1 */
	int host, work; /* the init's: the old root, and the folder that holds out and tmp, or -1 */

	/* between the init and the program; words to sleep on (futex) */
	uint32_t go;    /* 1: all is there, execute */
	uint32_t stage; /* of the program: one of the following */

	long parent;      /* the init's pid, as the program sees it */
	int64_t built_us; /* CPU time of the init until it let the program go */
	bool dear;        /* it has spent more than is free on answering */
	struct told told;
	uint32_t drawn[256]; /* words given to each thread (seed.h) */
};

/* A new one with room for two stacks; NULL: no memory. */
struct plan *plan_new(void);
void plan_free(struct plan *p);
void *plan_stack(struct plan *p, bool programs);

/* Before its init is started: have it stand by for what is like `guess`. */
void plan_expect(struct plan *p, const struct guess *guess);

/* Write what `s` asks for and `g` holds; both must outlive the box. */
int plan_fill(struct plan *p, const struct spec *s, const struct given *g, struct why *w);

/* The sentence about `p->told.fault`. */
void plan_why(const struct plan *p, struct why *w);

/* For the init and the program: record the first failure. 0 when rc is none, else -1. */
static inline int plan_fails(struct plan *p, enum step step, int at, long rc)
{
	if (rc >= 0)
		return 0;
	if (p->told.fault.step == STEP_NONE)
		p->told.fault = (struct fault){ step, (int)-rc, at };
	return -1;
}

#endif
