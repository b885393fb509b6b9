/* SPDX-License-Identifier: Apache-2.0
 *
 * carry.c: submitted jobs and their uploads, kept on disk until carry_out.c has delivered them. What is in a file
 * is in memory too; both are made anew from the files at the start.
 */
#include "worker/carry_in.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/tus.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const struct carry_limits carry_defaults = {
	.bytes = 1024 * MIB,
	.tickets = 8192,
	.tickets_each = 4096,
	.jobs = 64,
	.jobs_each = 16,
	.list_bytes = MIB,
	.refused = 64,
	.writing = 32,
	.leave_ms = 60 * 1000,
	.unfinished_ms = 3600 * 1000,
	.idle_ms = 24 * 3600 * 1000,
};

/* --- quotas ----------------------------------------------------------------------------------------------- */

int carry_admit_ticket(const struct carry_limits *l, int64_t bytes_now, int64_t size, int all,
	int of_author, struct err *e)
{
	if (all >= l->tickets || of_author >= l->tickets_each)
		return err_set(e, ERR_RATE,
			"this worker keeps as many uploads as it can; try another one");
	if (size > l->bytes - bytes_now)
		return err_set(e, ERR_FULL,
			"this worker keeps at most %lld bytes for others; try another one",
			(long long)l->bytes);
	return 0;
}

int carry_admit_job(const struct carry_limits *l, int all, int of_author, struct err *e)
{
	if (all < l->jobs && of_author < l->jobs_each)
		return 0;
	return err_set(e, ERR_RATE, "this worker carries as many jobs as it can; try another one");
}

/* --- files ------------------------------------------------------------------------------------------------ */

char *carry_path(
	const struct carry *c, const char *folder, const struct digest *id, const char *suffix)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, id);
	return xprintf("%s/%s/%s%s", c->dir, folder, hex, suffix);
}

void carry_forget(
	const struct carry *c, const char *folder, const struct digest *id, const char *suffix)
{
	auto_free char *path = carry_path(c, folder, id, suffix);

	if (unlink(path) && errno != ENOENT)
		log_error("removing %s: %s", path, strerror(errno));
}

/* How many files the folder has; the name of the one that is oldest into `oldest`. */
static int count_files(const char *dir, char oldest[DIGEST_HEX + 1])
{
	DIR *d = opendir(dir);
	struct timespec first = { 0 };
	struct dirent *entry;
	struct digest id;
	struct stat st;
	int n = 0;

	while (d && (entry = readdir(d))) {
		if (!digest_from_hex(&id, entry->d_name) ||
			fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		if (!n++ || st.st_mtim.tv_sec < first.tv_sec ||
			(st.st_mtim.tv_sec == first.tv_sec && st.st_mtim.tv_nsec < first.tv_nsec)) {
			first = st.st_mtim;
			digest_hex(oldest, &id);
		}
	}
	if (d)
		closedir(d);
	return n;
}

void carry_bound_refused(const struct carry *c)
{
	auto_free char *dir = xprintf("%s/refused", c->dir);
	char oldest[DIGEST_HEX + 1];

	while (count_files(dir, oldest) > c->limits.refused) {
		auto_free char *path = xprintf("%s/%s", dir, oldest);

		if (unlink(path)) {
			log_error("removing %s: %s", path, strerror(errno));
			return;
		}
	}
}

/* --- tickets ---------------------------------------------------------------------------------------------- */

struct ticket *carry_ticket(struct carry *c, const struct digest *id)
{
	struct ticket *t = c->tickets;

	while (t && !digest_equal(&t->id, id))
		t = t->next;
	return t;
}

struct ticket *carry_held(struct carry *c, const struct id *author, const struct blob *b)
{
	struct ticket *t = c->tickets;

	while (t && !(t->done && t->size == b->size && id_equal(&t->author, author) &&
			    digest_equal(&t->digest, &b->digest)))
		t = t->next;
	return t;
}

static int by_digest(const void *a, const void *b)
{
	const struct ticket *const *x = a, *const *y = b;

	return memcmp((*x)->digest.b, (*y)->digest.b, DIGEST_BYTES);
}

void holdings_read(struct holdings *h, const struct carry *c, const struct id *author)
{
	*h = (struct holdings){ .n = 0 };
	for (const struct ticket *t = c->tickets; t; t = t->next) {
		if (!t->done || !id_equal(&t->author, author))
			continue;
		array_room(&h->at, &h->room, h->n, sizeof(*h->at));
		h->at[h->n++] = t;
	}
	if (h->n)
		qsort(h->at, h->n, sizeof(*h->at), by_digest);
}

bool holdings_have(const struct holdings *h, const struct blob *b)
{
	const struct ticket wanted = { .digest = b->digest }, *key = &wanted;
	const struct ticket **at =
		h->n ? bsearch(&key, h->at, h->n, sizeof(*h->at), by_digest) : NULL;

	return at && (*at)->size == b->size; /* of one digest all that are whole have one size */
}

void holdings_release(struct holdings *h)
{
	free(h->at);
}

static struct ticket *add_ticket(struct carry *c, const struct ticket *t)
{
	struct ticket *mine = xcalloc(1, sizeof(*mine));

	*mine = *t;
	mine->next = c->tickets;
	c->tickets = mine;
	return mine;
}

struct ticket *carry_keep_ticket(
	struct carry *c, const struct ticket *t, const char *line, size_t n, struct err *e)
{
	auto_free char *path = carry_path(c, "tickets", &t->id, "");

	return file_write_atomic(path, line, n, 0600, e) ? NULL : add_ticket(c, t);
}

int carry_ticket_done(struct carry *c, struct ticket *t, struct err *e)
{
	auto_free char *path = carry_path(c, "tickets", &t->id, ".done");

	t->done = !file_write_atomic(path, "", 0, 0600, e);
	return t->done ? 0 : -1;
}

/* Where the digest stands among the needs, or would. */
static size_t place(const struct parcel *p, const struct digest *d)
{
	size_t low = 0, high = p->n_needs;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (memcmp(p->needs[mid].digest.b, d->b, DIGEST_BYTES) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool needs(const struct parcel *p, const struct digest *d)
{
	size_t at = place(p, d);

	return at < p->n_needs && digest_equal(&p->needs[at].digest, d);
}

bool carry_uses(const struct carry *c, const struct ticket *t)
{
	for (const struct parcel *p = c->parcels; p; p = p->next)
		if (id_equal(&p->submitter, &t->author) && needs(p, &t->digest))
			return true;
	return false;
}

void carry_drop_ticket(struct carry *c, struct ticket *t)
{
	struct ticket **at = &c->tickets;
	bool shared = false;
	struct err e;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	for (struct ticket *o = c->tickets; o; o = o->next)
		shared |= o->done && digest_equal(&o->digest, &t->digest);
	if (t->in) {
		blob_in_drop(t->in);
		c->writing--;
	} else if (t->done && !shared) {
		blob_remove(c->blobs, &t->digest, &e);
	}
	carry_forget(c, "tickets", &t->id, ".done");
	carry_forget(c, "tickets", &t->id, "");
	free(t);
}

void carry_sweep(struct carry *c)
{
	int64_t now = clock_now_ms();

	for (struct ticket *t = c->tickets, *next; t; t = next) {
		int64_t life = t->done ? c->limits.idle_ms : c->limits.unfinished_ms;

		next = t->next;
		if (now - t->since_ms > life && !carry_uses(c, t))
			carry_drop_ticket(c, t);
	}
}

/* --- jobs ------------------------------------------------------------------------------------------------- */

int carry_each_blob(struct carry *c, const struct job *job,
	int (*fn)(void *arg, const struct blob *b, const char *what), void *arg, struct err *e)
{
	auto_free char *list = NULL;
	size_t n;

	if (job_each_blob(job, fn, arg))
		return -1;
	if (job->tasks != TASKS_LIST)
		return 0;
	if (job->list.size > c->limits.list_bytes)
		return err_set(e, ERR_TOO_BIG,
			"tasks.list.blob: a worker carries jobs with a list of at most %lld bytes; "
			"submit it in parts, or when the coordinator is back",
			(long long)c->limits.list_bytes);
	if (blob_read(c->blobs, &job->list.digest, &list, &n, JOB_LIST_MAX, e))
		return -1;
	return job_each_list_blob(job, list, n, fn, arg, e);
}

static int add_need(void *arg, const struct blob *b, const char *what)
{
	struct parcel *p = arg;
	size_t at = place(p, &b->digest);

	(void)what;
	if (needs(p, &b->digest))
		return 0;
	array_room(&p->needs, &p->room, p->n_needs, sizeof(*p->needs));
	memmove(&p->needs[at + 1], &p->needs[at], (p->n_needs - at) * sizeof(*p->needs));
	p->needs[at] = *b;
	p->n_needs++;
	return 0;
}

void parcel_free(struct parcel *p)
{
	free(p->needs);
	free(p);
}

static int add_parcel(
	struct carry *c, const struct job *job, const char *line, int64_t since_ms, struct err *e)
{
	struct parcel *p = xcalloc(1, sizeof(*p)), **at = &c->parcels;

	*p = (struct parcel){ .id = job->id,
		.submitter = job->submitter,
		.count = job->count,
		.since_ms = since_ms,
		.line_digest = digest_of(line, strlen(line)) };
	snprintf(p->name, sizeof(p->name), "%s", job->name);
	if (carry_each_blob(c, job, add_need, p, e)) {
		parcel_free(p);
		return -1;
	}
	while (*at && (*at)->since_ms <= since_ms)
		at = &(*at)->next;
	p->next = *at;
	*at = p;
	return 0;
}

bool carry_has_job(const struct carry *c, const struct digest *id)
{
	for (const struct parcel *p = c->parcels; p; p = p->next)
		if (digest_equal(&p->id, id))
			return true;
	return false;
}

int carry_jobs_of(const struct carry *c, const struct id *author, int *all)
{
	int n = 0;

	*all = 0;
	for (const struct parcel *p = c->parcels; p; p = p->next, (*all)++)
		n += id_equal(&p->submitter, author);
	return n;
}

int carry_keep_job(struct carry *c, struct job *job, const char *line, struct err *e)
{
	auto_free char *path = carry_path(c, "jobs", &job->id, "");

	if (file_write_atomic(path, line, strlen(line), 0600, e))
		return -1;
	if (add_parcel(c, job, line, clock_now_ms(), e)) {
		carry_forget(c, "jobs", &job->id, "");
		return -1;
	}
	if (!c->tus && !c->fetch)
		timer_in(c->timer, 0);
	return 0;
}

size_t carry_count(const struct carry *c)
{
	size_t n = 0;

	for (const struct parcel *p = c->parcels; p; p = p->next)
		n++;
	return n;
}

void carry_each(void *carry, told_fn *fn, void *arg)
{
	const struct carry *c = carry;

	for (const struct parcel *p = c->parcels; p; p = p->next) {
		struct told_job t = { .id = p->id,
			.submitter = p->submitter,
			.count = p->count,
			.state = "carried" };

		memcpy(t.name, p->name, sizeof(t.name));
		fn(arg, &t);
	}
}

char *carry_manifest(struct carry *c, const struct digest *job)
{
	auto_free char *path = carry_path(c, "jobs", job, "");
	char *line = NULL;
	struct err e;
	size_t n;

	return carry_has_job(c, job) && !file_read(&line, &n, path, CARRY_JOB_MAX, &e) ? line
	                                                                               : NULL;
}

/* --- opening ---------------------------------------------------------------------------------------------- */

static void take_ticket(struct carry *c, const char *name)
{
	auto_free char *path = xprintf("%s/tickets/%s", c->dir, name);
	auto_free char *done = xprintf("%s.done", path);
	auto_free char *line = NULL;
	struct ticket t = { .in = NULL };
	struct stat st;
	struct err e;
	struct msg m;
	size_t n;

	if (!digest_from_hex(&t.id, name) || stat(path, &st))
		return;
	if (file_read(&line, &n, path, CARRY_TICKET_MAX, &e) ||
		msg_open(&m, line, n, &c->home->grid_id, &e)) {
		log_warn("%s: %s", path, e.msg);
		return;
	}
	t.author = m.author;
	t.size = jint(m.body, "size", 0);
	t.since_ms = (int64_t)st.st_mtime * 1000;
	digest_from_text(&t.digest, jtext(m.body, "digest"));
	t.done = !access(done, F_OK);
	add_ticket(c, &t);
	msg_release(&m);
}

static void take_job(struct carry *c, const char *name)
{
	auto_free char *path = xprintf("%s/jobs/%s", c->dir, name);
	auto_free char *line = NULL;
	struct job job = { 0 };
	struct digest id;
	struct stat st;
	struct err e;
	struct msg m;
	size_t n;

	if (!digest_from_hex(&id, name) || stat(path, &st))
		return;
	if (file_read(&line, &n, path, CARRY_JOB_MAX, &e) ||
		msg_open(&m, line, n, &c->home->grid_id, &e)) {
		log_warn("%s: %s", path, e.msg);
		return;
	}
	if (job_read(&job, &m, &e) || add_parcel(c, &job, line, (int64_t)st.st_mtime * 1000, &e))
		log_warn("%s: %s", path, e.msg);
	job_release(&job);
	msg_release(&m);
}

static int each_file(struct carry *c, const char *folder,
	void (*fn)(struct carry *c, const char *name), struct err *e)
{
	auto_free char *dir = xprintf("%s/%s", c->dir, folder);
	struct dirent *entry;
	DIR *d = make_dirs(dir, 0700, e) ? NULL : opendir(dir);

	if (!d)
		return err_sys(e, "reading %s", dir);
	while ((entry = readdir(d)))
		if (fn)
			fn(c, entry->d_name);
	closedir(d);
	return 0;
}

int carry_open(struct carry **out, const char *dir, const struct carry_limits *limits,
	struct loop *l, struct fetcher *f, struct home *h, const struct carry_fns *fns,
	struct err *e)
{
	struct carry *c = xcalloc(1, sizeof(*c));
	auto_free char *blobs = xprintf("%s/blobs", dir);

	*c = (struct carry){ .dir = xstrdup(dir),
		.limits = *limits,
		.loop = l,
		.fetcher = f,
		.home = h,
		.fns = *fns,
		.fd = -1,
		.seed = random_seed() };
	c->timer = timer_new(l, carry_next, c);
	if (blobs_open(&c->blobs, blobs, limits->bytes, e) ||
		each_file(c, "tickets", take_ticket, e) || each_file(c, "jobs", take_job, e) ||
		each_file(c, "refused", NULL, e)) {
		carry_close(c);
		return -1;
	}
	carry_sweep(c);
	carry_bound_refused(c);
	if (c->parcels)
		log_info("%zu submitted jobs of an earlier run wait to be delivered",
			carry_count(c));
	timer_in(c->timer, 0);
	*out = c;
	return 0;
}

void carry_close(struct carry *c)
{
	if (!c)
		return;
	if (c->tus)
		tus_cancel(c->tus);
	if (c->fetch)
		fetch_cancel(c->fetch);
	if (c->fd >= 0)
		close(c->fd);
	while (c->parcels) {
		struct parcel *p = c->parcels;

		c->parcels = p->next;
		parcel_free(p);
	}
	while (c->tickets) {
		struct ticket *t = c->tickets;

		c->tickets = t->next;
		if (t->in)
			blob_in_leave(t->in);
		free(t);
	}
	timer_free(c->timer);
	blobs_close(c->blobs);
	free(c->dir);
	free(c);
}
