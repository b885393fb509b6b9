/* SPDX-License-Identifier: Apache-2.0
 *
 * carry_jobs.c: the jobs that were submitted to this worker: their manifests, and which blobs each needs.
 */
#include "worker/carry_in.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
		if (id_equal(&p->submitter, &t->says.author) && needs(p, &t->says.digest))
			return true;
	return false;
}

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

void carry_take_job(struct carry *c, const char *name)
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
