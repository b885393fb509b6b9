/* SPDX-License-Identifier: Apache-2.0
 *
 * errand.h: one task on its way through this machine: manifest, inputs, box, result.
 *
 * The agent decides when each step begins; an errand does it and tells how it went. Its folder is
 * DIR/tasks/LEASE, gone as soon as the result is in hand.
 */
#ifndef WORKER_ERRAND_H
#define WORKER_ERRAND_H

#include "worker/ability.h"
#include "worker/agent.h"
#include "worker/book.h"
#include "worker/collect.h"
#include "worker/images.h"
#include "worker/keeper.h"
#include "worker/local.h"
#include "worker/resume.h"
#include "worker/terms.h"

struct errand;
struct feeds;

struct errands {
	struct loop *loop;
	struct book *book;
	struct cache *cache;
	struct blobs *outputs; /* where large outputs go */
	struct resume_of resume; /* where checkpoints are kept, and how they are sent */
	const char *dir;       /* DIR/tasks */
	const char *sandbox;
	bool own_sandbox;      /* it is talkoot-sandbox: it knows more than the common flags */
	int guard;             /* guard.h's fd */
	const struct ability *ability; /* what the box can do here, now */
	const char *images_dir; /* DIR/images */
	const char *image_tool; /* talkoot-image, or NULL */
	struct images *images;  /* the errands' */
	const struct terms *terms;
	const struct local *local; /* data of the owner's */
	int64_t disk_mib;
	struct keeper *keepers[BOX_N_PROFILES]; /* NULL: boxes of that profile are started by themselves */
	/* How it went; called from the loop. */
	void (*fetched)(void *arg, const char *lease, int threads, int64_t memory_mib);
	void (*failed)(void *arg, const char *lease, const char *why, bool full);
	void (*exited)(void *arg, const char *lease, const struct agent_exit *x);
	void (*stopped)(void *arg, const char *lease);
	void *arg;
	struct errand *list;
	struct feeds *feeds;
	int64_t held_ms; /* stands still since; 0: runs */
};

/* Removes what an earlier process left in `dir`, but for checkpoints, which are kept. The other fields but `keepers`, `list`,
 * `feeds` and `images` are the caller's to fill before. */
int errands_open(struct errands *all, struct err *e);
/* Stop what runs and what starts, where it stands; or let all go on. */
void errands_hold(struct errands *all, bool hold);
void errands_close(struct errands *all); /* kills what runs, and waits */
/* This machine may have changed: what was made for boxes is made anew. */
void errands_renew(struct errands *all);

void errand_begin(struct errands *all, const char *lease, const struct digest *job, int64_t index,
	const struct agent_given *given);
void errand_run(struct errands *all, const char *lease);
/* stopped() follows, at once or when the box is dead; `hand_on`: and a checkpoint that travels is sent. */
void errand_stop(struct errands *all, const char *lease, bool hand_on);
/* The result in hand, or NULL. Borrowed till errand_done(). */
const struct product *errand_product(const struct errands *all, const char *lease);
void errand_done(struct errands *all, const char *lease);
/* Whether a result in hand has this large output. */
bool errands_need(const struct errands *all, const struct digest *output);

/* For `status`: calls fn for each task whose box runs. */
void errands_each_running(const struct errands *all,
	void (*fn)(void *arg, const struct job *job, int64_t index, int64_t for_ms), void *arg);

#endif
