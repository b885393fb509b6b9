/* SPDX-License-Identifier: Apache-2.0
 *
 * accept.c: a job comes in, or is cancelled.
 *
 * A job is taken only when everything it needs is here: its submitter may submit, every blob it
 * names is held, each program is what it says, and somebody could run it. From then on its blobs
 * are public: workers fetch them by digest.
 */
#include "common/log.h"
#include "coordinator/contest.h"
#include "coordinator/coord.h"
#include "coordinator/gossip.h"
#include "coordinator/sources.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ELF_HEAD 4096

bool may_submit(struct coord *c, const struct id *key, struct err *e)
{
	char id[ID_TEXT + 1];

	if (c->o.submit_open || store_may_submit(c->store, key))
		return true;
	id_text(id, key);
	err_set(e, ERR_REFUSED,
		"key %s may not submit here; whoever runs this grid may allow it: "
	        "talkoot-coordinator --data %s allow"
		" submitter %s",
		id, c->o.dir, id);
	return false;
}

/* --- blobs -------------------------------------------------------------------------------- */
int blob_head(
	struct coord *c, const struct digest *d, char *out, size_t room, size_t *n, struct err *e)
{
	auto_free char *inside = store_blob_bytes(c->store, d, n);
	int64_t size;

	if (inside) {
		*n = *n < room ? *n : room;
		memcpy(out, inside, *n);
		return 0;
	}
	auto_close int fd = -1;
	if (blob_open(c->blobs, d, &fd, &size, e))
		return -1;
	ssize_t got = pread(fd, out, room, 0);
	if (got < 0)
		return err_sys(e, "reading a blob");
	*n = (size_t)got;
	return 0;
}

int blob_whole(
	struct coord *c, const struct digest *d, char **out, size_t *n, size_t max, struct err *e)
{
	*out = store_blob_bytes(c->store, d, n);
	return *out ? 0 : blob_read(c->blobs, d, out, n, max, e);
}

struct checking {
	struct coord *c;
	const struct id *author;
	struct err *e;
};

static int is_here(void *arg, const struct blob *b, const char *what)
{
	struct checking *k = arg;
	char text[DIGEST_TEXT + 1];
	int64_t size;

	digest_text(text, &b->digest);
	if (!store_holds(k->c->store, k->author, &b->digest, &size)) {
		err_set(k->e, ERR_MISSING_BLOB, "%s: %s is not here yet; upload it first", what,
			text);
		snprintf(k->e->field, sizeof(k->e->field), "%s", what);
		return -1;
	}
	if (size != b->size)
		return err_field(k->e, what, "%s has %lld bytes, not %lld", text, (long long)size,
			(long long)b->size);
	return 0;
}

static int publish(void *arg, const struct blob *b, const char *what)
{
	struct checking *k = arg;

	(void)what;
	store_add_blob(k->c->store, &b->digest, b->size, true, NULL);
	return 0;
}

/* --- a job -------------------------------------------------------------------------------- */
static int check_program(struct coord *c, const struct job_program *p, struct err *e)
{
	char head[ELF_HEAD], platform[40] = "";
	size_t n;

	if (blob_head(c, &p->blob.digest, head, sizeof(head), &n, e))
		return -1;
	switch (elf_look(head, n, platform)) {
	case ELF_STATIC:
		if (strcmp(platform, p->platform) == 0)
			return 0;
		return err_set(
			e, ERR_PROGRAM, "%s is for %s, not for %s", p->name, platform, p->platform);
	case ELF_DYNAMIC:
		return err_set(e, ERR_PROGRAM,
			"%s is dynamically linked; without an image only static programs run",
			p->name);
	case ELF_SCRIPT:
		return err_set(e, ERR_PROGRAM,
			"%s is a script; without an image only static programs run", p->name);
	default:
		return err_set(e, ERR_PROGRAM, "%s is no program for %s", p->name, p->platform);
	}
}

/* It runs here, so it must be this machine's. */
static int check_comparator(struct coord *c, const struct job *job, struct err *e)
{
	if (!job->has_comparator)
		return 0;
	auto_free char *sandbox = contest_sandbox();
	if (c->o.no_comparators || !sandbox)
		return err_set(e, ERR_PROGRAM,
			"this coordinator runs no comparators%s; use numeric:rtol=R,atol=A, or exact",
			c->o.no_comparators ? "" : ", as talkoot-sandbox is not beside it");
	if (strcmp(job->comparator.platform, platform_here()) != 0)
		return err_set(e, ERR_PROGRAM, "the comparator %s is for %s, but the coordinator that runs it is %s",
			job->comparator.name, job->comparator.platform, platform_here());
	return check_program(c, &job->comparator, e);
}

static int check_list(struct checking *k, const struct job *job,
	int (*fn)(void *, const struct blob *, const char *), struct err *e)
{
	auto_free char *list = NULL;
	size_t n;

	if (job->tasks != TASKS_LIST)
		return 0;
	if (blob_whole(k->c, &job->list.digest, &list, &n, JOB_LIST_MAX, e))
		return -1;
	return job_each_list_blob(job, list, n, fn, k, e);
}

static int check_demands(struct coord *c, const struct job *job, struct err *e)
{
	struct needs needs = needs_of(job);
	bool any = false;

	needs.n_local = 0; /* who has the data may come later, and it is nobody's business who has it */
	for (size_t i = 0; i < c->sched.n_workers && !any; i++)
		any = c->sched.workers[i].has_asked && !c->sched.workers[i].banned;
	if (!any || sched_anyone_can(&c->sched, &needs))
		return 0;
	char why[LACKING_MAX];

	sched_unmet(&c->sched, &needs, coord_now(c), why, sizeof(why));
	if (*why)
		return err_set(e, ERR_TOO_DEMANDING, "no worker of this grid %s", why);
	return err_set(e, ERR_TOO_DEMANDING,
		"no worker of this grid has %lld MiB of memory, %lld MiB of disk, %lld processors, "
	        "the platform, the"
		" profile and the bits that the job asks for, and takes its submitter's jobs%s%s%s",
		(long long)job->memory_mib, (long long)job_wants_disk_mib(job), (long long)job->threads,
		job->n_local ? ", and lets these read the data " : "", job->n_local ? job->local[0] : "",
		job->n_local > 1 ? " and the others that it names" : "");
}

static int check_job(struct coord *c, const struct job *job, struct err *e)
{
	struct checking k = { c, &job->submitter, e };

	if (!may_submit(c, &job->submitter, e))
		return -1;
	if (c->sched.active >= JOBS_ACTIVE_MAX)
		return err_set(
			e, ERR_RATE, "%d jobs are active, which is the most", JOBS_ACTIVE_MAX);
	if (job_each_blob(job, is_here, &k) || check_list(&k, job, is_here, e))
		return -1;
	for (size_t i = 0; job->profile != PROFILE_IMAGE && i < job->n_programs; i++) /* an image's is in a layer */
		if (check_program(c, &job->programs[i], e))
			return -1;
	return sources_check(c, job, e) || check_comparator(c, job, e) || check_demands(c, job, e) ? -1 : 0;
}

static char *take_job(struct coord *c, const struct msg *m, struct job *job)
{
	struct checking k = { c, &job->submitter, NULL };
	char *ack = seal_ours(c, new_ack(c, MSG_ACK, &m->sealed.digest));
	int64_t envelope = store_add_fact(c->store, m, "job", ack, 0, coord_now(c));
	int64_t row = store_add_job(c->store, job, envelope, coord_now(c));
	char id[DIGEST_HEX + 1];
	struct err e;

	job_each_blob(job, publish, &k);
	check_list(&k, job, publish, &e);
	uint32_t at = sched_add_job(&c->sched, job, row);
	array_room(&c->manifests, &c->manifests_room, at, sizeof(struct job *));
	c->manifests[at] = job;
	sources_add(c, at);
	digest_hex(id, &job->id);
	log_info("job %.16s \"%s\": %lld tasks", id, job->name, (long long)job->count);
	return ack;
}

int accept_job(struct coord *c, const struct msg *m, char **ack, struct err *e)
{
	struct job *job = xcalloc(1, sizeof(*job));
	struct job_row row;

	if (job_read(job, m, e)) {
		free(job);
		return -1;
	}
	/* Ed25519 is deterministic, so another envelope of the same payload comes from another
	 * signer */
	if (store_job(c->store, &job->id, &row))
		err_set(e, ERR_CONFLICT, "this job is here already, in another envelope");
	else if (!check_job(c, job, e)) {
		*ack = take_job(c, m, job);
		gossip_stir(c->gossip);
		return 0;
	}
	job_release(job);
	free(job);
	return -1;
}

void handle_job(struct call *call, struct msg *m)
{
	struct err e;
	char *ack;

	if (accept_job(call->c, m, &ack, &e))
		reply_error(call, &e);
	else
		reply_json(call, 200, ack);
}

/* --- the end of a job --------------------------------------------------------------------- */
int cancel_job(struct coord *c, const struct digest *id, const char *why, struct err *e)
{
	struct job_row row;

	if (!store_job(c->store, id, &row))
		return err_set(e, ERR_UNKNOWN_JOB, "no such job");
	uint32_t at = sched_job(&c->sched, id);
	if (strcmp(row.state, "active") != 0 || at == NOBODY)
		return 0; /* over already: nothing left to cancel */
	store_cancel_job(c->store, row.n, why);
	sources_stir(c);
	end_leases_of(c, at, NOBODY);
	sched_cancel(&c->sched, at, NULL, 0);
	gossip_stir(c->gossip);
	c->more = true;
	c->want_turn(c->want_turn_arg);
	char hex[DIGEST_HEX + 1];
	digest_hex(hex, id);
	log_info("job %.16s is cancelled: %s", hex, why);
	return 0;
}

int accept_cancel(struct coord *c, const struct msg *m, char **ack, struct err *e)
{
	struct digest id;
	struct job_row row;

	digest_from_hex(&id, jtext(m->body, "job"));
	if (!store_job(c->store, &id, &row))
		return err_set(e, ERR_UNKNOWN_JOB, "no such job");
	bool own = id_equal(&row.submitter, &m->author);
	if (!own && !grid_allows(&c->grid, &m->author, ROLE_ADMIN, m->time_ms))
		return err_set(e, ERR_REFUSED, "only its submitter or an admin may cancel a job");
	if (cancel_job(c, &id, own ? "by its submitter" : "by an admin", e))
		return -1;
	*ack = seal_ours(c, new_ack(c, MSG_ACK, &m->sealed.digest));
	store_add_fact(c->store, m, "cancel", *ack, 0, coord_now(c));
	gossip_pass(c->gossip, m->line);
	return 0;
}

void handle_cancel(struct call *call, struct msg *m)
{
	struct err e;
	char *ack;

	if (accept_cancel(call->c, m, &ack, &e))
		reply_error(call, &e);
	else
		reply_json(call, 200, ack);
}
