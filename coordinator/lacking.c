/* SPDX-License-Identifier: Apache-2.0
 *
 * lacking.c: why nothing of a job moves, in words: how many workers it needs, and what those who are there are missing.
 */
#include "coordinator/sched.h"

#include <string.h>

#define CLASSES_MAX 16 /* looked at to say what a job waits for */

/* Each worker that has the data takes one task: say when there are more tasks than workers left. */
static void lacks_holders(const struct sched *s, const struct sjob *j, int64_t now, char *out, size_t size)
{
	int64_t open = j->count - j->leased - j->tally[TASK_VALID] - j->tally[TASK_FAILED] - j->tally[TASK_CANCELLED], have = 0;

	for (size_t i = 0; i < s->n_workers; i++)
		have += worker_online(&s->workers[i], now) && worker_can(&s->workers[i], &j->needs) &&
			!job_had(j, (uint32_t)i);
	if (open > have)
		snprintf(out, size, "%lld task%s need%s another worker that has the data %.60s and lets its submitter read it "
			    "(one task a worker)", (long long)(open - have), open - have == 1 ? "" : "s",
			open - have == 1 ? "s" : "", j->needs.local[0]);
}

/* Of the classes of workers that can run it (the first CLASSES_MAX met), the one with most independent workers: how many,
 * and its name. */
static int best_class(
	const struct sched *s, const struct needs *n, int64_t now, int enough, const char **name)
{
	uint64_t met[CLASSES_MAX];
	int best = 0, k = 0;

	*name = "";
	for (size_t i = 0; i < s->n_workers && k < CLASSES_MAX && best < enough; i++) {
		const struct worker *w = &s->workers[i];
		bool fresh = worker_online(w, now) && worker_can(w, n);

		for (int c = 0; fresh && c < k; c++)
			fresh = met[c] != w->voter.kind;
		if (!fresh)
			continue;
		met[k++] = w->voter.kind;
		int has = sched_independent(s, n, w->voter.kind, now, enough);
		if (has > best) {
			best = has;
			*name = w->platform_class;
		}
	}
	return best;
}

/* How many that count together the job has, up to its quorum; *class: theirs, where it asks for one of them. */
static int has_workers(const struct sched *s, const struct sjob *j, int64_t now, const char **class)
{
	*class = "";
	return j->rule.same_class ? best_class(s, &j->needs, now, j->rule.quorum, class)
	                          : sched_independent(s, &j->needs, 0, now, j->rule.quorum);
}

static void need_workers(char *out, size_t size, const struct sjob *j, int has, const char *class)
{
	int need = j->rule.quorum;
	const char *s = need == 1 ? "" : "s";

	if (j->rule.same_class && need > 1 && has)
		snprintf(out, size,
			"needs %d independent worker%s of one platform class, has %d of %s", need,
			s, has, class);
	else
		snprintf(out, size, "needs %d independent worker%s%s, has %d", need, s,
			j->rule.same_class && need > 1 ? " of one platform class" : "", has);
}

void sched_waiting(const struct sched *s, const struct sjob *j, int64_t now, char *out, size_t size)
{
	const char *class = "";
	int need = j->rule.quorum, has = has_workers(s, j, now, &class);

	out[0] = '\0';
	if (j->ending || sched_job_over(j))
		return;
	if (j->needs.n_local)
		lacks_holders(s, j, now, out, size);
	else if (has < need)
		need_workers(out, size, j, has, class);
	else if (j->leased == 0 && j->fresh >= j->count && j->n_window > 0 &&
		 j->tally[TASK_CHECKING] == (int64_t)j->n_window)
		snprintf(out, size,
			"%zu tasks need a worker independent of all who answered them so far%s",
			j->n_window, j->rule.same_class ? " and of their platform class" : "");
}

/* How many workers are online, and how many of these meet each need and all those before it. */
struct hurdles {
	int64_t known, online, met[N_NEEDS], at_work;
};

static void leap(struct hurdles *h, const struct worker *w, const struct needs *n, int64_t now)
{
	h->known += w->has_asked && !w->banned;
	if (!worker_online(w, now))
		return;
	h->online++;
	size_t met = needs_met(w, n);

	for (size_t i = 0; i < met; i++)
		h->met[i]++;
	h->at_work += met == N_NEEDS && (w->state == RUN || w->leased > 0);
}

/* The first hurdle that no worker passes, as what "none of them" does; empty when there is none. */
static void first_hurdle(const struct hurdles *h, const struct needs *n, char *out, size_t size)
{
	size_t i = 0;

	while (i < N_NEEDS && h->met[i])
		i++;
	out[0] = '\0';
	if (i < N_NEEDS)
		needs_say(n, i, out, size);
	else if (!h->at_work)
		snprintf(out, size, "takes work now: they are paused or leaving");
}

void sched_unmet(const struct sched *s, const struct needs *n, int64_t now, char *out, size_t size)
{
	struct hurdles h = { 0 };

	for (size_t i = 0; i < s->n_workers; i++)
		leap(&h, &s->workers[i], n, now);
	out[0] = '\0';
	if (h.online && !h.met[N_NEEDS - 1] && !n->n_local)
		first_hurdle(&h, n, out, size);
}

void sched_lacking(const struct sched *s, const struct sjob *j, int64_t now, char *out, size_t size)
{
	const struct needs *n = &j->needs;
	struct hurdles h = { 0 };
	char why[160] = "";
	const char *class;

	out[0] = '\0';
	if (j->ending || sched_job_over(j) || has_workers(s, j, now, &class) >= j->rule.quorum)
		return;
	for (size_t i = 0; i < s->n_workers; i++)
		leap(&h, &s->workers[i], n, now);
	if (!h.online) {
		snprintf(out, size, h.known ? "none of the %lld workers that came before is online" : "no worker has come yet",
			(long long)h.known);
		return;
	}
	first_hurdle(&h, n, why, sizeof(why));
	if (*why)
		snprintf(out, size, "%lld worker%s online, but none %s", (long long)h.online, h.online == 1 ? " is" : "s are",
			why);
	else
		snprintf(out, size, "%lld worker%s online, %lld can run it; two of one network, or of one owner, count as one%s",
			(long long)h.online, h.online == 1 ? " is" : "s are", (long long)h.at_work,
			j->rule.same_class ? ", and only those of one platform class count together" : "");
}
