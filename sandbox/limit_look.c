/* SPDX-License-Identifier: Apache-2.0
 *
 * limit_look.c: the sampler: what a box uses now, as /proc tells it from outside.
 *
 * All processes of a box descend from its init (orphans are given to it), so the tree below it is
 * all there is. CPU time: what each has used plus that of those who have ended (crowd.h).
 */
#include "sandbox/limit.h"

#include "sandbox/crowd.h"
#include "sandbox/proc.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_AT "thread-self/children"

int limit_can_look(int proc, struct why *w)
{
	if (faccessat(proc, LOOK_AT, R_OK, 0))
		return why_sys(w, "rlimits: watching a box needs /proc with CONFIG_PROC_CHILDREN");
	return 0;
}

/* --- memory ------------------------------------------------------------------------------------------- */

#define SIGCHLD_BIT (UINT64_C(1) << (SIGCHLD - 1))

static bool ignores_ends(const char *status)
{
	static const char name[] = "\nSigIgn:";
	const char *at = strstr(status, name);

	return at && strtoull(at + strlen(name), NULL, 16) & SIGCHLD_BIT;
}

static int64_t memory_of(struct limit_use *u, int proc, pid_t pid)
{
	char text[4096];

	if (!proc_read_living(proc, pid, "status", "\nRssAnon:", text, sizeof(text)))
		return 0;
	u->mapped_kib += proc_number(text, "\nVmSize:");
	u->forgets = u->forgets || ignores_ends(text);
	return proc_number(text, "\nRssAnon:") + proc_number(text, "\nVmSwap:") +
	       proc_number(text, "\nVmPTE:");
}

/* The same, but a page that k processes share counts 1/k in each; dearer to ask. */
static int64_t share_of(struct limit_use *u, int proc, pid_t pid)
{
	char text[4096], status[4096];

	if (!proc_read(proc, pid, "smaps_rollup", text, sizeof(text)) ||
		!strstr(text, "\nPss_Anon:") ||
		!proc_read_living(proc, pid, "status", "\nVmPTE:", status, sizeof(status)))
		return memory_of(u, proc, pid);
	u->mapped_kib += proc_number(status, "\nVmSize:");
	return proc_number(text, "\nPss_Anon:") + proc_number(text, "\nSwapPss:") +
	       proc_number(status, "\nVmPTE:");
}

/* --- processor ----------------------------------------------------------------------------------------- */

/* Who is there now, and what the living have used and waited for. */
struct roll {
	struct crowd_one there[PROC_TREE_MAX + 1];
	size_t n;
	int64_t own_us, waited_us;
	bool whole;
};

static int by_pid(const void *a, const void *b)
{
	const struct crowd_one *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

static void call(struct roll *r, pid_t pid, int64_t own_us)
{
	r->there[r->n++] = (struct crowd_one){ pid, own_us };
	r->own_us += own_us;
}

static void add_times(struct roll *r, struct limit_use *u, int proc, pid_t pid)
{
	struct proc_times t;
	int64_t own = proc_own_us(pid);

	if (own < 0 || !proc_times(&t, proc, pid)) {
		r->whole = false;
		return;
	}
	call(r, pid, own > t.own_us ? own : t.own_us);
	r->waited_us += t.waited_us;
	u->tasks += t.threads > 0 ? t.threads : 1; /* a zombie still has its place */
	u->processes++;
}

/* One whose parent ended while the tree was read is in no list that was read; yet it lives. */
static void call_missing(struct roll *r, const struct crowd *c)
{
	size_t n = r->n;

	qsort(r->there, n, sizeof(*r->there), by_pid);
	for (size_t i = 0; i < c->n && r->n < PROC_TREE_MAX; i++) {
		const struct crowd_one *k = &c->known[i];
		int64_t own;

		if (bsearch(k, r->there, n, sizeof(*k), by_pid))
			continue;
		own = proc_own_us(k->pid);
		if (own < 0)
			continue;
		call(r, k->pid, own);
		r->whole = false;
	}
	if (r->n > n)
		qsort(r->there, r->n, sizeof(*r->there), by_pid);
}

/* What the init has waited for: orphans. Whether it was the same before and after all others were read says
 * whether none came to it meanwhile. */
static int64_t waited_by(int proc, pid_t init)
{
	struct proc_times t;

	return proc_times(&t, proc, init) ? t.waited_us : -1;
}

/* The init comes first, so that an orphan which it reaps meanwhile does not count twice. */
static void look_at_times(
	struct limit_use *u, int proc, const struct proc_tree *t, struct crowd *crowd)
{
	static struct roll r; /* large */
	int64_t orphans = waited_by(proc, t->pids[0]);

	r.n = 0;
	r.own_us = 0;
	r.waited_us = orphans < 0 ? 0 : orphans;
	r.whole = !t->torn && orphans >= 0;
	for (size_t i = 1; i < t->n; i++)
		add_times(&r, u, proc, t->pids[i]);
	call_missing(&r, crowd);
	r.whole = r.whole && waited_by(proc, t->pids[0]) == orphans;
	u->cpu_us = r.own_us + crowd_look(crowd, r.there, r.n, r.waited_us, r.whole);
}

/* --- all of it ----------------------------------------------------------------------------------------- */

void limit_look(struct limit_use *u, int proc, pid_t init, int64_t enough_kib, struct crowd *crowd)
{
	const struct proc_tree *t = proc_tree(proc, init);

	memset(u, 0, sizeof(*u));
	look_at_times(u, proc, t, crowd);
	for (size_t i = 1; i < t->n; i++)
		u->memory_kib += memory_of(u, proc, t->pids[i]);
	u->forgets = u->forgets && t->n > 2;
	if (u->memory_kib <= enough_kib || t->n <= 2)
		return;
	u->memory_kib = u->mapped_kib = 0;
	for (size_t i = 1; i < t->n; i++)
		u->memory_kib += share_of(u, proc, t->pids[i]);
}

/* --- stopping from outside ------------------------------------------------------------------------- */

int limit_hold(int proc, pid_t init)
{
	const struct proc_tree *t = proc_tree(proc, init);
	struct proc_times s;
	int running = 0;

	for (size_t i = 1; i < t->n; i++) {
		if (!proc_times(&s, proc, t->pids[i]) || strchr("TtZX", s.state))
			continue;
		running++;
		kill(t->pids[i], SIGSTOP);
	}
	return running;
}

void limit_release(int proc, pid_t init)
{
	const struct proc_tree *t = proc_tree(proc, init);

	for (size_t i = 1; i < t->n; i++)
		kill(t->pids[i], SIGCONT);
}

/* --- priority ---------------------------------------------------------------------------------------- */

/* Of the whole session of `pid`; true also where there are no such groups. */
static bool set_session(int proc, pid_t pid, const char *nice)
{
	char path[32], text[64];
	const char *now;
	ssize_t n;
	bool set;
	int fd;

	snprintf(path, sizeof(path), "%d/autogroup", pid);
	fd = openat(proc, path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return true;
	n = read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = 0;
	now = strstr(text, " nice ");
	set = !now || atoi(now + strlen(" nice ")) == atoi(nice) ||
	      write(fd, nice, strlen(nice)) == (ssize_t)strlen(nice);
	close(fd);
	return set;
}

bool limit_yield(int proc, pid_t init, bool last)
{
	const struct proc_tree *t = proc_tree(proc, init);
	bool all = true;

	for (size_t i = 0; i < t->n && all; i++)
		all = set_session(proc, t->pids[i], last ? "19" : "0");
	return all;
}
