/* SPDX-License-Identifier: Apache-2.0
 *
 * agree.c: see agree.h.
 *
 *	undecided task -> a pair of votes that nobody knows -> differ in how they end, or in what is compared exactly: DIFFER
 *	                                                    -> small and numeric: compared now
 *	                                                    -> else: a child process of ours (contest.c)
 *	all its pairs known -> the scheduler judges it
 */
#include "coordinator/agree.h"
#include "common/buf.h"
#include "common/log.h"
#include "common/loop.h"
#include "coordinator/contest.h"
#include "coordinator/coord.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What else takes time, in bytes compared. */
#define OPENING_COSTS (32 * KIB) /* an envelope's signature; its length comes on top */
#define LOOKUP_COSTS 64          /* of a pair */
#define SETTLING_COSTS (16 * KIB)
#define OPENED_MAX 4 /* two of them are in use at a time */

struct pair {
	unsigned char name[DIGEST_BYTES];
};

struct child {
	struct agree *agree;
	pid_t pid; /* 0: this place is free */
	struct pair pair;
	struct digest job;
};

/* An envelope that was opened lately: up to 64 tasks in a row need the same ones. */
struct opened {
	int64_t envelope, used; /* envelope 0: none */
	struct results all;
};

struct agree {
	struct coord *c;
	struct map known;         /* a pair's name to enum related */
	size_t next;              /* which undecided task is looked at first */
	int64_t bytes;            /* left in this turn */
	int64_t pair_bytes;       /* left to be compared here of this pair */
	struct digest complained; /* the job of the last complaint: one a job is enough */
	char *dir;
	struct child children[AGREE_CHILDREN];
	struct opened opened[OPENED_MAX];
	int64_t clock;
};

/* --- what is known ------------------------------------------------------------------------ */
static struct pair pair_of(const struct digest *job, const struct vote *a, const struct vote *b)
{
	bool swap = digest_compare(&a->outcome, &b->outcome) > 0;
	struct digest three[3] = { *job, swap ? b->outcome : a->outcome,
		swap ? a->outcome : b->outcome },
		      name;
	struct pair p;

	name = digest_of(three, sizeof(three));
	memcpy(p.name, name.b, sizeof(p.name));
	return p;
}

static enum related between(
	void *arg, const struct sjob *j, const struct vote *a, const struct vote *b)
{
	struct agree *g = arg;
	struct pair p = pair_of(&j->id, a, b);
	uint32_t known = map_get(&g->known, p.name);

	g->bytes -= LOOKUP_COSTS;
	return known == MAP_NONE ? UNRELATED : (enum related)known;
}

static void learn(struct agree *g, const struct pair *p, bool same)
{
	if (g->known.n >= AGREE_KNOWN_MAX)
		map_release(&g->known); /* found out again where it is still asked for */
	map_put(&g->known, p->name, same ? AGREE : DIFFER);
}

static void close_opened(struct opened *o)
{
	results_release(&o->all);
	*o = (struct opened){ 0 };
}

struct relating agree_begin(struct agree *g)
{
	for (size_t i = 0; i < OPENED_MAX; i++)
		close_opened(&g->opened[i]);
	return (struct relating){ between, g };
}

/* The first time in a row that a job's results cannot be compared it is told: the submitter could fill the log else. */
static void complain_of(struct agree *g, const struct digest *job, const char *why)
{
	char hex[DIGEST_HEX + 1];

	if (digest_equal(&g->complained, job))
		return;
	g->complained = *job;
	digest_hex(hex, job);
	log_warn("job %.16s: two results could not be compared: %s; they count as different (told "
		 "once)",
		hex, why);
}

/* --- children ----------------------------------------------------------------------------- */
static void child_over(struct child *k, int status)
{
	struct agree *g = k->agree;
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	auto_free char *dir = xprintf("%s/%zu", g->dir, (size_t)(k - g->children));
	struct err e;

	if (code != CONTEST_SAME && code != CONTEST_DIFFERENT)
		complain_of(
			g, &k->job, code >= 0 ? "see above" : "it took too long, or was killed");
	learn(g, &k->pair, code == CONTEST_SAME);
	remove_tree(dir, &e);
	k->pid = 0;
	g->c->want_turn(g->c->want_turn_arg);
}

static void on_child(void *arg, pid_t pid, int status, const struct rusage *usage)
{
	(void)pid, (void)usage;
	child_over(arg, status);
}

/* A free place, as far as this job may take one. */
static struct child *free_child(struct agree *g, const struct digest *job)
{
	struct child *place = NULL;
	int its = 0;

	for (size_t i = 0; i < AGREE_CHILDREN; i++) {
		struct child *k = &g->children[i];

		its += k->pid && digest_equal(&k->job, job);
		if (!k->pid)
			place = k;
	}
	return its < AGREE_CHILDREN_A_JOB ? place : NULL;
}

static bool is_running(const struct agree *g, const struct pair *p)
{
	for (size_t i = 0; i < AGREE_CHILDREN; i++)
		if (g->children[i].pid &&
			!memcmp(g->children[i].pair.name, p->name, sizeof(p->name)))
			return true;
	return false;
}

/* Without a loop (a test) the end is awaited here. */
static int await(struct child *k, struct err *e)
{
	int status;

	if (k->agree->c->loop)
		return loop_on_child(k->agree->c->loop, k->pid, on_child, k, e);
	while (waitpid(k->pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "waiting for a comparison");
	child_over(k, status);
	return 0;
}

static void start(struct agree *g, struct child *k, const struct pair *p, struct contest *x)
{
	auto_free char *dir = xprintf("%s/%zu", g->dir, (size_t)(k - g->children));
	struct err e;

	*k = (struct child){ .agree = g, .pair = *p, .job = x->job->id };
	remove_tree(dir, &e);
	if (!make_dirs(dir, 0700, &e)) {
		x->quiet = digest_equal(&g->complained, &x->job->id);
		k->pid = contest_start(x, dir, AGREE_CHILD_S, &e);
		if (k->pid > 0 && !await(k, &e))
			return;
	}
	complain_of(g, &k->job, e.msg);
	if (k->pid > 0) {
		kill(k->pid, SIGKILL);
		waitpid(k->pid, NULL, 0);
	}
	k->pid = 0;
	learn(g, p, false);
}

/* --- one pair ----------------------------------------------------------------------------- */
/* The envelope, from what was opened lately or from the store. NULL: it cannot be read. */
static const struct results *open_envelope(struct agree *g, int64_t envelope, struct err *e)
{
	struct opened *o = &g->opened[0];
	struct msg m;

	for (size_t i = 0; i < OPENED_MAX; i++) {
		if (g->opened[i].envelope == envelope) {
			g->opened[i].used = ++g->clock;
			return &g->opened[i].all;
		}
		o = g->opened[i].used < o->used ? &g->opened[i] : o;
	}
	auto_free char *line = store_line(g->c->store, envelope);
	g->bytes -= OPENING_COSTS + (int64_t)strlen(line);
	close_opened(o);
	if (msg_open(&m, line, strlen(line), &g->c->id, e))
		return NULL;
	int bad = results_read(&o->all, &m, e);
	msg_release(&m);
	if (bad)
		return NULL;
	o->envelope = envelope;
	o->used = ++g->clock;
	return &o->all;
}

static const struct result *read_side(struct agree *g, const struct vote *v, struct err *e)
{
	const struct results *all;
	int64_t envelope, pos;

	if (!store_result_place(g->c->store, v->ref, &envelope, &pos)) {
		err_set(e, ERR_NOT_FOUND, "a result is gone");
		return NULL;
	}
	all = open_envelope(g, envelope, e);
	if (all && pos >= (int64_t)all->n)
		err_set(e, ERR_NOT_FOUND, "a result is gone");
	return all && pos < (int64_t)all->n ? &all->items[pos] : NULL;
}

/* Take outputs of both sides that differ in their bytes: compared now, or left for a child. false: they differ. */
static bool take_output(
	struct agree *g, struct contest *x, const struct output *a, const struct output *b)
{
	const struct comparison *how = job_comparison(x->job, a->name);
	int64_t cost = 0;
	struct match *m = &x->matches[x->n];

	if (digest_equal(&a->digest, &b->digest))
		return true;
	if (how->kind == COMPARE_EXACT || (how->kind == COMPARE_PROGRAM && g->c->o.no_comparators))
		return false;
	*m = (struct match){ .name = a->name, .how = *how, .digest = { a->digest, b->digest } };
	for (int i = 0; i < 2; i++) {
		m->bytes[i] = store_blob_bytes(g->c->store, &m->digest[i], &m->n[i]);
		cost += m->bytes[i] ? (int64_t)m->n[i]
		                    : AGREE_PAIR_BYTES + 1; /* none: a file, not for here */
	}
	if (how->kind != COMPARE_NUMERIC || cost > g->pair_bytes) {
		x->n++;
		return true;
	}
	g->bytes -= cost;
	g->pair_bytes -= cost;
	bool same = compare_numeric(how, m->bytes[0], m->n[0], m->bytes[1], m->n[1]);
	match_release(m);
	return same;
}

/* What can be said without a child: DIFFER, AGREE, or UNRELATED and x is what a child has to look at. */
static enum related look(
	struct agree *g, struct contest *x, const struct result *a, const struct result *b)
{
	if (!results_end_alike(a, b))
		return DIFFER;
	for (size_t i = 0; i < a->n_outputs; i++)
		if (!take_output(g, x, &a->outputs[i], &b->outputs[i]))
			return DIFFER;
	return x->n ? UNRELATED : AGREE;
}

/* false: nothing could be done, a child has to end first. */
static bool relate_pair(struct agree *g, uint32_t job, const struct vote *a, const struct vote *b)
{
	struct contest x = { .job = g->c->manifests[job], .blobs = g->c->blobs };
	struct pair p = pair_of(&x.job->id, a, b);
	struct child *k = free_child(g, &x.job->id);
	bool done = true;
	struct err e;

	g->pair_bytes = AGREE_PAIR_BYTES;
	if (is_running(g, &p) || (!k && x.job->has_comparator))
		return false;
	const struct result *left = read_side(g, a, &e), *right = left ? read_side(g, b, &e) : NULL;
	if (!right) {
		complain_of(g, &x.job->id, e.msg);
		learn(g, &p, false);
	} else {
		enum related r = look(g, &x, left, right);

		if (r != UNRELATED)
			learn(g, &p, r == AGREE);
		else if (k)
			start(g, k, &p, &x);
		done = r != UNRELATED || k;
	}
	contest_release(&x);
	return done;
}

/* --- the turn ----------------------------------------------------------------------------- */
static void settle(struct coord *c, size_t k)
{
	uint32_t job;
	int64_t index;
	struct verdict v = sched_settle(&c->sched, k, &job, &index);

	c->agree->bytes -= SETTLING_COSTS;
	if (job != NOBODY && v.what != NEED_MORE)
		decide(c, job, index, v.what == AGREED_VALID ? TASK_VALID : TASK_FAILED, &v);
}

void agree_step(struct coord *c)
{
	struct agree *g = c->agree;
	bool moved = false;

	g->bytes = AGREE_STEP_BYTES;
	for (size_t looks = 0, idle = 0;
		looks < AGREE_LOOKS && idle < c->sched.n_undecided && g->bytes > 0; looks++) {
		size_t k = g->next % c->sched.n_undecided;
		struct vote a, b;
		uint32_t job;
		bool known = !sched_unrelated(&c->sched, k, &job, &a, &b);

		if (known)
			settle(c, k);
		if (known || relate_pair(g, job, &a, &b)) {
			moved = true;
			idle = 0;
		} else { /* a child is at it, or has to end first */
			g->next = k + 1;
			idle++;
		}
	}
	c->more |= moved && c->sched.n_undecided > 0;
}

/* --- its life ----------------------------------------------------------------------------- */
struct agree *agree_new(struct coord *c)
{
	struct agree *g = xcalloc(1, sizeof(*g));
	struct err e;

	*g = (struct agree){
		.c = c, .known = { .seed = random_seed() }, .dir = xprintf("%s/compare", c->o.dir)
	};
	remove_tree(g->dir, &e);
	return g;
}

void agree_free(struct agree *g)
{
	for (size_t i = 0; g && i < AGREE_CHILDREN; i++)
		if (g->children[i].pid > 0) {
			kill(-g->children[i].pid, SIGKILL);
			kill(g->children[i].pid, SIGKILL);
			waitpid(g->children[i].pid, NULL, 0);
		}
	if (!g)
		return;
	agree_begin(g);
	map_release(&g->known);
	free(g->dir);
	free(g);
}
