/* SPDX-License-Identifier: Apache-2.0
 *
 * carry.c: submitted jobs on disk until they are acknowledged; one is delivered at a time, the oldest first:
 * its uploads with the submitter's own tickets, then its manifest. The coordinator answers a manifest that it
 * has already with the same ack, so a delivery may be repeated.
 */
#include "worker/carry_in.h"
#include "worker/agent.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/tus.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UPLOAD_TRIES 3

const struct carry_limits carry_defaults = {
	.bytes = 1024 * MIB,
	.tickets = 8192,
	.tickets_each = 4096,
	.jobs = 64,
	.jobs_each = 16,
	.idle_ms = 24 * 3600 * 1000,
};

struct parcel {
	struct digest id, line_digest;
	struct id submitter;
	char name[201];
	int64_t count, since_ms;
	struct blob *needs;
	size_t n_needs, room, sent;
	struct parcel *next;
};

/* --- quotas ----------------------------------------------------------------------------------------------- */

int carry_admit_ticket(const struct carry_limits *l, int64_t bytes_now, int64_t size, int all, int of_author,
	struct err *e)
{
	if (all >= l->tickets || of_author >= l->tickets_each)
		return err_set(e, ERR_RATE, "this worker keeps as many uploads as it can; try another one");
	if (size > l->bytes - bytes_now)
		return err_set(e, ERR_FULL, "this worker keeps at most %lld bytes for others; try another one",
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

static char *path_of(const struct carry *c, const char *folder, const struct digest *id, const char *suffix)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, id);
	return xprintf("%s/%s/%s%s", c->dir, folder, hex, suffix);
}

static void forget_file(const struct carry *c, const char *folder, const struct digest *id, const char *suffix)
{
	auto_free char *path = path_of(c, folder, id, suffix);

	if (unlink(path) && errno != ENOENT)
		log_error("removing %s: %s", path, strerror(errno));
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

static struct ticket *add_ticket(struct carry *c, const struct ticket *t)
{
	struct ticket *mine = xcalloc(1, sizeof(*mine));

	*mine = *t;
	mine->next = c->tickets;
	c->tickets = mine;
	return mine;
}

struct ticket *carry_keep_ticket(struct carry *c, const struct ticket *t, const char *line, size_t n, struct err *e)
{
	auto_free char *path = path_of(c, "tickets", &t->id, "");

	return file_write_atomic(path, line, n, 0600, e) ? NULL : add_ticket(c, t);
}

int carry_ticket_done(struct carry *c, struct ticket *t, struct err *e)
{
	auto_free char *path = path_of(c, "tickets", &t->id, ".done");

	t->done = !file_write_atomic(path, "", 0, 0600, e);
	return t->done ? 0 : -1;
}

static bool is_used(const struct carry *c, const struct ticket *t)
{
	for (const struct parcel *p = c->parcels; p; p = p->next)
		for (size_t i = 0; i < p->n_needs && id_equal(&p->submitter, &t->author); i++)
			if (digest_equal(&p->needs[i].digest, &t->digest))
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
	forget_file(c, "tickets", &t->id, ".done");
	forget_file(c, "tickets", &t->id, "");
	free(t);
}

void carry_sweep(struct carry *c)
{
	int64_t now = clock_now_ms();

	for (struct ticket *t = c->tickets, *next; t; t = next) {
		next = t->next;
		if (now - t->since_ms > c->limits.idle_ms && !is_used(c, t))
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
	if (blob_read(c->blobs, &job->list.digest, &list, &n, JOB_LIST_MAX, e))
		return -1;
	return job_each_list_blob(job, list, n, fn, arg, e);
}

static int add_need(void *arg, const struct blob *b, const char *what)
{
	struct parcel *p = arg;

	(void)what;
	for (size_t i = 0; i < p->n_needs; i++)
		if (digest_equal(&p->needs[i].digest, &b->digest))
			return 0;
	array_room(&p->needs, &p->room, p->n_needs, sizeof(*p->needs));
	p->needs[p->n_needs++] = *b;
	return 0;
}

static void parcel_free(struct parcel *p)
{
	free(p->needs);
	free(p);
}

static int add_parcel(struct carry *c, const struct job *job, const char *line, int64_t since_ms, struct err *e)
{
	struct parcel *p = xcalloc(1, sizeof(*p)), **at = &c->parcels;

	*p = (struct parcel){ .id = job->id, .submitter = job->submitter, .count = job->count, .since_ms = since_ms,
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
	auto_free char *path = path_of(c, "jobs", &job->id, "");

	if (file_write_atomic(path, line, strlen(line), 0600, e))
		return -1;
	if (add_parcel(c, job, line, clock_now_ms(), e)) {
		forget_file(c, "jobs", &job->id, "");
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
		struct told_job t = { .id = p->id, .submitter = p->submitter, .count = p->count, .state = "carried" };

		memcpy(t.name, p->name, sizeof(t.name));
		fn(arg, &t);
	}
}

char *carry_manifest(struct carry *c, const struct digest *job)
{
	auto_free char *path = path_of(c, "jobs", job, "");
	char *line = NULL;
	struct err e;
	size_t n;

	return carry_has_job(c, job) && !file_read(&line, &n, path, CARRY_JOB_MAX, &e) ? line : NULL;
}

/* --- delivering ------------------------------------------------------------------------------------------- */

static void next(void *arg);

/* The first job is done with; what only it needed goes too. */
static void parcel_over(struct carry *c)
{
	struct parcel *p = c->parcels;

	c->parcels = p->next;
	c->tries = 0;
	forget_file(c, "jobs", &p->id, "");
	for (size_t i = 0; i < p->n_needs; i++) {
		struct ticket *t = carry_held(c, &p->submitter, &p->needs[i]);

		if (t && !is_used(c, t))
			carry_drop_ticket(c, t);
	}
	parcel_free(p);
	timer_in(c->timer, 0);
}

static void refused(struct carry *c, const struct err *e)
{
	auto_free char *from = path_of(c, "jobs", &c->parcels->id, "");
	auto_free char *to = path_of(c, "refused", &c->parcels->id, "");

	log_error("a job that was carried for its submitter was refused for good (%s: %s); it is now %s",
		err_name(e->code), e->msg, to);
	if (rename(from, to))
		log_error("moving %s to %s: %s", from, to, strerror(errno));
	parcel_over(c);
}

static void put_off(struct carry *c, const struct err *e)
{
	log_debug("a carried job waits: %s", e->msg);
	home_failed(c->home, c->turn);
	timer_in(c->timer, backoff_ms(++c->tries, &c->seed));
}

static bool is_final(const struct err *e)
{
	switch (e->code) {
	case ERR_UNREACHABLE:
	case ERR_RATE:
	case ERR_FULL:
	case ERR_SYSTEM:
	case ERR_INTERNAL:
	case ERR_CANCELLED:
	case ERR_OFFSET:
	case ERR_MISSING_BLOB:
		return false;
	default:
		return true;
	}
}

static int check_ack(struct carry *c, const struct answer *a, struct err *e)
{
	const char *line = a->body.data ? a->body.data : "";
	char of[DIGEST_TEXT + 1];
	size_t n = a->body.len;
	struct msg m;
	int bad = 0;

	while (n && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		n--;
	if (home_open_msg(c->home, &m, line, n, MSG_ACK, e))
		return -1;
	digest_text(of, &c->parcels->line_digest);
	if (strcmp(jtext(m.body, "of"), of) != 0)
		bad = err_field(e, "of", "the ack names another envelope");
	msg_release(&m);
	return bad;
}

static void on_posted(void *arg, struct answer *a)
{
	struct carry *c = arg;
	struct err e = a->e;
	char hex[DIGEST_HEX + 1];

	c->fetch = NULL;
	if (a->status == 200 && !check_ack(c, a, &e)) {
		digest_hex(hex, &c->parcels->id);
		log_info("job %.16s, carried for its submitter, is acknowledged", hex);
		parcel_over(c);
	} else if (a->status >= 400 && a->status < 500 && is_final(&e)) {
		refused(c, &e);
	} else {
		c->parcels->sent = e.code == ERR_MISSING_BLOB ? 0 : c->parcels->sent;
		put_off(c, &e);
	}
}

static void on_uploaded(void *arg, const struct err *e)
{
	struct carry *c = arg;

	c->tus = NULL;
	close(c->fd);
	c->fd = -1;
	if (!e) {
		c->tries = 0;
		c->parcels->sent++;
		timer_in(c->timer, 0);
	} else if (is_final(e)) {
		refused(c, e);
	} else {
		put_off(c, e);
	}
}

/* Send the ticket that the submitter signed, and the bytes. */
static int upload(struct carry *c, const struct way *way, const struct blob *b, struct err *e)
{
	struct ticket *t = carry_held(c, &c->parcels->submitter, b);
	auto_free char *path = t ? path_of(c, "tickets", &t->id, "") : NULL;
	auto_free char *line = NULL;
	int64_t size;
	size_t n;

	if (!t)
		return err_set(e, ERR_UNKNOWN_BLOB, "an upload of it is lost");
	if (file_read(&line, &n, path, CARRY_TICKET_MAX, e) || blob_open(c->blobs, &b->digest, &c->fd, &size, e))
		return -1;
	c->tus = tus_start(c->fetcher, c->loop, &way->to, way_via(way), line, n, c->fd, size, UPLOAD_TRIES,
		on_uploaded, c);
	return 0;
}

static int post(struct carry *c, const struct way *way, struct err *e)
{
	auto_free char *line = carry_manifest(c, &c->parcels->id);
	struct fetch_spec spec = { .method = "POST", .to = &way->to, .via = way_via(way), .path = "/v1/messages",
		.headers = { "Content-Type: application/json" }, .body = line };

	if (!line)
		return err_set(e, ERR_NOT_FOUND, "its file is gone");
	spec.n = strlen(line);
	c->fetch = fetch_start(c->fetcher, &spec, on_posted, c);
	return 0;
}

static void next(void *arg)
{
	struct carry *c = arg;
	struct parcel *p = c->parcels;
	const struct way *way = home_way(c->home);
	struct err e;

	if (!p || c->tus || c->fetch)
		return;
	c->turn = home_turn(c->home);
	if (!way) {
		err_set(&e, ERR_UNREACHABLE, "no way to the coordinator is known");
		put_off(c, &e);
	} else if (p->sent < p->n_needs ? upload(c, way, &p->needs[p->sent], &e) : post(c, way, &e)) {
		refused(c, &e);
	}
}

void carry_hurry(struct carry *c)
{
	c->tries = 0;
	if (!c->tus && !c->fetch)
		timer_in(c->timer, 0);
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
	if (file_read(&line, &n, path, CARRY_TICKET_MAX, &e) || msg_open(&m, line, n, &c->home->grid_id, &e)) {
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
	if (file_read(&line, &n, path, CARRY_JOB_MAX, &e) || msg_open(&m, line, n, &c->home->grid_id, &e)) {
		log_warn("%s: %s", path, e.msg);
		return;
	}
	if (job_read(&job, &m, &e) || add_parcel(c, &job, line, (int64_t)st.st_mtime * 1000, &e))
		log_warn("%s: %s", path, e.msg);
	job_release(&job);
	msg_release(&m);
}

static int each_file(struct carry *c, const char *folder, void (*fn)(struct carry *c, const char *name), struct err *e)
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

int carry_open(struct carry **out, const char *dir, const struct carry_limits *limits, struct loop *l,
	struct fetcher *f, struct home *h, const struct carry_fns *fns, struct err *e)
{
	struct carry *c = xcalloc(1, sizeof(*c));
	auto_free char *blobs = xprintf("%s/blobs", dir);

	*c = (struct carry){ .dir = xstrdup(dir), .limits = *limits, .loop = l, .fetcher = f, .home = h, .fns = *fns,
		.fd = -1, .seed = random_seed() };
	c->timer = timer_new(l, next, c);
	if (blobs_open(&c->blobs, blobs, limits->bytes, e) || each_file(c, "tickets", take_ticket, e) ||
		each_file(c, "jobs", take_job, e) || each_file(c, "refused", NULL, e)) {
		carry_close(c);
		return -1;
	}
	carry_sweep(c);
	if (c->parcels)
		log_info("%zu submitted jobs of an earlier run wait to be delivered", carry_count(c));
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
