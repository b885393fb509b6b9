/* SPDX-License-Identifier: Apache-2.0
 *
 * errand_in.h: what one errand has; only errand*.c include it.
 */
#ifndef WORKER_ERRAND_IN_H
#define WORKER_ERRAND_IN_H

#include "worker/errand.h"
#include "worker/feed.h"

struct errand {
	struct errands *all;
	char lease[LEASE_HEX + 1];
	int64_t index;
	char *dir;
	struct resume resume;
	struct page_ref *page;
	bool opened; /* the page may be read */
	struct job_task task;
	struct agent_given given;
	struct feed_ref *feed; /* what it is given of other jobs; NULL: no files */
	struct image_want *image; /* NULL: no such job */
	char *refusal;            /* why its image is none; NULL: it is one */
	struct want **wants;
	size_t n_wants, wants_room, missing;
	struct box *box;
	int64_t began_ms, stood_ms; /* how long it was stopped */
	struct timer *overrun;
	bool overran, stopping, hands_on, has_product;
	struct product product;
	struct errand *next;
};

/* --- errand_line.c: what its box is told ------------------------------------------------------------------------ */
enum box_profile errand_box(const struct job *job);
/* Make the folder t->dir with the program and what standard input is to be. */
int errand_folder(struct errand *t, const struct job *job, struct err *e);
/* The box's command line, once the folder is there and t->resume has begun. Yours. */
struct line *errand_line(const struct errand *t, const struct job *job);

#endif
