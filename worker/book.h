/* SPDX-License-Identifier: Apache-2.0
 *
 * book.h: the jobs whose tasks are here: their manifests, verified, and their lists.
 *
 * A page is one job. It stays while somebody refers to it, and a few more after that, since the next lease
 * is probably of the same job.
 */
#ifndef WORKER_BOOK_H
#define WORKER_BOOK_H

#include "worker/cache.h"
#include "jobs/job.h"

struct book;
struct page_ref;

/* e NULL: job and list may be read. Called once, from the loop, never from within book_want(). */
typedef void page_fn(void *arg, const struct err *e);

/* A job's envelope from somewhere nearer than the coordinator; borrowed; NULL: not there. Asked first. */
typedef const char *manifest_fn(void *arg, const struct digest *job, size_t *n);
void book_ask_first(struct book *b, manifest_fn *fn, void *arg);

struct book *book_new(struct loop *l, struct fetcher *f, struct home *h, struct cache *c);
void book_free(struct book *b);
struct page_ref *book_want(struct book *b, const struct digest *job, page_fn *fn, void *arg);
void page_free(struct page_ref *r); /* fn is not called any more; NULL is fine */

/* Valid after fn, while the reference is held. */
const struct job *page_job(const struct page_ref *r);
const char *page_list(const struct page_ref *r, size_t *n);
/* Something was heard from the coordinator: what waits for a retry is tried now. */
void book_hurry(struct book *b);

#endif
