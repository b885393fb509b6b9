/* SPDX-License-Identifier: Apache-2.0
 *
 * book.c: the jobs whose tasks are here.
 *
 *	manifest: fetching -> (verified) -> list: wanted -> (mapped) -> open, or failed on the way
 *
 * What a manifest says is believed because its digest is the job id and its signature holds, whoever sent it.
 */
#include "worker/book.h"
#include "worker/backoff.h"
#include "worker/waiters.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define IDLE_MAX 8 /* pages kept though nobody refers to them: a manifest each, no list */

enum page_state { PAGE_FETCHING, PAGE_LISTING, PAGE_OPEN, PAGE_FAILED };

struct page_ref {
	struct waiter waiter;
	struct page *page;
};

struct page {
	struct book *book;
	struct digest id;
	enum page_state state;
	struct err e;
	bool has_job;
	struct job job;
	struct want *list_want;
	void *list; /* mapped; NULL: none */
	size_t list_len;
	struct fetch *fetch;
	struct timer *timer;
	int tries;
	unsigned turn; /* of the way that the fetch goes */
	uint64_t used;
	struct waiters refs;
	struct page *next;
};

struct book {
	struct loop *loop;
	struct fetcher *fetcher;
	struct home *home;
	struct cache *cache;
	struct page *pages;
	manifest_fn *nearer;
	void *nearer_arg;
	uint64_t uses, seed;
};

/* --- pages ------------------------------------------------------------------------------------------- */

static void drop_list(struct page *p)
{
	if (p->list)
		munmap(p->list, p->list_len);
	p->list = NULL;
	want_free(p->list_want);
	p->list_want = NULL;
}

static void remove_page(struct page *p)
{
	struct page **at = &p->book->pages;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	if (p->fetch)
		fetch_cancel(p->fetch);
	drop_list(p);
	if (p->has_job)
		job_release(&p->job);
	timer_free(p->timer);
	free(p);
}

/* Keep IDLE_MAX pages that nobody refers to; a failed or half-read one is not kept. */
static void trim(struct book *b)
{
	for (;;) {
		struct page *oldest = NULL;
		int idle = 0;

		for (struct page *p = b->pages; p; p = p->next)
			if (waiters_none(&p->refs)) {
				idle++;
				if (!oldest || !p->has_job || (oldest->has_job && p->used < oldest->used))
					oldest = p;
			}
		if (!oldest || (oldest->has_job && idle <= IDLE_MAX))
			return;
		remove_page(oldest);
	}
}

/* Nobody refers to it any more. */
static void unheld(struct page *p)
{
	drop_list(p);
	if (p->state == PAGE_FAILED && p->has_job) /* its list failed; the next one tries again */
		p->state = PAGE_OPEN;
	trim(p->book);
}

static void page_failed(struct page *p, const struct err *e)
{
	p->state = PAGE_FAILED;
	p->e = *e;
	timer_in(p->timer, 0);
}

/* --- the list -------------------------------------------------------------------------------------------- */

static int map_list(struct page *p, struct err *e)
{
	auto_close int fd = -1;
	int64_t size;

	if (blob_open(cache_blobs(p->book->cache), &p->job.list.digest, &fd, &size, e))
		return -1;
	if (size == 0)
		return err_field(e, "tasks.list", "is empty");
	void *at = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		return err_sys(e, "mapping the list");
	p->list = at;
	p->list_len = (size_t)size;
	return 0;
}

static void on_list(void *arg, const struct err *e)
{
	struct page *p = arg;
	struct err mine;

	if (!e && map_list(p, &mine))
		e = &mine;
	if (e) {
		page_failed(p, e);
		return;
	}
	p->state = PAGE_OPEN;
	timer_in(p->timer, 0);
}

static void want_list(struct page *p)
{
	if (p->job.tasks != TASKS_LIST || p->list) {
		p->state = PAGE_OPEN;
		timer_in(p->timer, 0);
		return;
	}
	p->state = PAGE_LISTING;
	if (!p->list_want)
		p->list_want = cache_want(p->book->cache, &p->job.list, on_list, p);
}

/* --- the manifest ------------------------------------------------------------------------------------------- */

static int read_manifest(struct page *p, const char *line, size_t n, struct err *e)
{
	struct msg m;
	int bad = 0;

	while (n && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		n--;
	if (msg_open(&m, line, n, &p->book->home->grid_id, e))
		return -1;
	struct digest id = digest_of(m.sealed.payload, m.sealed.n);
	if (m.type != MSG_JOB || !digest_equal(&id, &p->id))
		bad = err_set(e, ERR_DIGEST, "what came is not this job's manifest");
	else
		bad = job_read(&p->job, &m, e);
	p->has_job = !bad;
	msg_release(&m);
	return bad;
}

static void retry(struct page *p)
{
	p->state = PAGE_FETCHING;
	timer_in(p->timer, backoff_ms(++p->tries, &p->book->seed));
}

static void on_manifest(void *arg, struct answer *a)
{
	struct page *p = arg;
	struct err e = a->e;

	p->fetch = NULL;
	if (a->status == 200) {
		if (!read_manifest(p, a->body.data ? a->body.data : "", a->body.len, &e)) {
			want_list(p);
			return;
		}
		err_wrap(&e, "the manifest");
		page_failed(p, &e);
	} else if (a->status == 404 || a->status == 403) {
		page_failed(p, &e);
	} else {
		home_failed(p->book->home, p->turn);
		retry(p);
	}
}

/* Whether it was there. A manifest proves itself, so it does not matter who had it. */
static bool take_nearer(struct page *p)
{
	struct book *b = p->book;
	struct err e;
	size_t n;
	const char *line = b->nearer ? b->nearer(b->nearer_arg, &p->id, &n) : NULL;

	if (!line || read_manifest(p, line, n, &e))
		return false;
	want_list(p);
	return true;
}

static void fetch_manifest(struct page *p)
{
	if (take_nearer(p))
		return;
	const struct way *way = home_way(p->book->home);
	char path[64 + DIGEST_HEX];

	if (!way) {
		retry(p);
		return;
	}
	snprintf(path, sizeof(path), "/v1/jobs/");
	digest_hex(path + strlen(path), &p->id);
	strcat(path, "/manifest");
	struct fetch_spec spec = { .method = "GET", .to = &way->to, .via = way_via(way), .path = path };
	p->turn = home_turn(p->book->home);
	p->fetch = fetch_start(p->book->fetcher, &spec, on_manifest, p);
}

static void on_timer(void *arg)
{
	struct page *p = arg;

	if (p->state == PAGE_FETCHING) {
		fetch_manifest(p);
	} else if (p->state != PAGE_LISTING) {
		waiters_tell(&p->refs, p->state == PAGE_FAILED ? &p->e : NULL);
		if (waiters_none(&p->refs))
			unheld(p);
	}
}

/* --- references -------------------------------------------------------------------------------------------- */

static struct page *page_new(struct book *b, const struct digest *id)
{
	struct page *p = xcalloc(1, sizeof(*p));

	p->book = b;
	p->id = *id;
	p->timer = timer_new(b->loop, on_timer, p);
	p->next = b->pages;
	b->pages = p;
	fetch_manifest(p);
	return p;
}

struct page_ref *book_want(struct book *b, const struct digest *job, page_fn *fn, void *arg)
{
	struct page_ref *r = xcalloc(1, sizeof(*r));
	struct page *p;

	for (p = b->pages; p && !digest_equal(&p->id, job); p = p->next)
		;
	if (!p)
		p = page_new(b, job);
	else if (p->has_job && waiters_none(&p->refs))
		want_list(p);
	else if (p->state == PAGE_OPEN || p->state == PAGE_FAILED)
		timer_in(p->timer, 0);
	p->used = b->uses++;
	r->page = p;
	waiters_add(&p->refs, &r->waiter, fn, arg);
	return r;
}

void page_free(struct page_ref *r)
{
	struct page *p = r ? r->page : NULL;

	if (!r)
		return;
	waiters_drop(&p->refs, &r->waiter);
	if (waiters_none(&p->refs))
		unheld(p);
}

const struct job *page_job(const struct page_ref *r)
{
	return &r->page->job;
}

const char *page_list(const struct page_ref *r, size_t *n)
{
	*n = r->page->list_len;
	return r->page->list;
}

/* --- the book --------------------------------------------------------------------------------------------- */

void book_ask_first(struct book *b, manifest_fn *fn, void *arg)
{
	b->nearer = fn;
	b->nearer_arg = arg;
}

struct book *book_new(struct loop *l, struct fetcher *f, struct home *h, struct cache *c)
{
	struct book *b = xcalloc(1, sizeof(*b));

	*b = (struct book){ .loop = l, .fetcher = f, .home = h, .cache = c, .seed = random_seed() };
	return b;
}

void book_free(struct book *b)
{
	if (!b)
		return;
	while (b->pages) {
		waiters_drop_all(&b->pages->refs);
		remove_page(b->pages);
	}
	free(b);
}

void book_hurry(struct book *b)
{
	for (struct page *p = b->pages; p; p = p->next)
		if (p->state == PAGE_FETCHING && !p->fetch && timer_is_on(p->timer)) {
			p->tries = 0;
			timer_in(p->timer, 0);
		}
}
