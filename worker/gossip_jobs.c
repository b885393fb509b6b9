/* SPDX-License-Identifier: Apache-2.0
 *
 * gossip_jobs.c: jobs that this worker carries are announced to the neighbours and withdrawn; those it heard of are told.
 */
#include "worker/gossip_in.h"
#include "common/clock.h"
#include "jobs/job.h"

#include <string.h>

/* Of a job that we carry: the coordinator then announces it itself. */
#define ANNOUNCE_LIFE_MS ((int64_t)24 * 3600 * 1000)

/* Our word on a fact, told to the neighbours. `line` NULL: it is over. */
static void sign_note(struct gossip *g, const struct digest *of, const char *line)
{
	int64_t now = clock_now_ms();
	struct err e;
	auto_free char *note = NULL;

	if (note_seal(&note, &g->home->grid_id, g->key, of, !line,
		    news_next_seq(peers_news(g->peers), now), now, now + ANNOUNCE_LIFE_MS, &e)) {
		log_warn("announcing a job: %s", e.msg);
		return;
	}
	struct news_item item = { note, line, strlen(note), line ? strlen(line) : 0 };
	if (peers_announce(g->peers, &item, now, &e) > NEWS_KNOWN)
		log_debug("announcing a job: %s", e.msg);
	turn_end_ask(g->turn);
}

void gossip_announce(struct gossip *g, const char *line)
{
	struct digest of = digest_of(line, strlen(line));

	if (!news_announced(peers_news(g->peers), key_id(g->key), &of))
		sign_note(g, &of, line);
}

void gossip_withdraw(struct gossip *g, const struct digest *of)
{
	if (news_announced(peers_news(g->peers), key_id(g->key), of))
		sign_note(g, of, NULL);
}

struct job_telling {
	struct gossip *g;
	told_fn *fn;
	void *arg;
	size_t n;
};

struct job_reading {
	struct gossip *g;
	const struct news_item *item;
};

static bool read_job(void *arg, struct told_job *out)
{
	const struct job_reading *r = arg;
	struct job job;
	struct msg m;
	struct err e;

	if (msg_open(&m, r->item->fact, r->item->fact_len, &r->g->home->grid_id, &e))
		return false;
	bool read = m.type == MSG_JOB && !job_read(&job, &m, &e);
	if (read) {
		out->submitter = job.submitter;
		out->count = job.count;
		memcpy(out->name, job.name, sizeof(out->name));
		job_release(&job);
	}
	msg_release(&m);
	return read;
}

static void tell_job(void *arg, enum heard_kind kind, const struct digest *id,
	const struct news_item *item, bool official)
{
	struct job_telling *t = arg;
	struct job_reading r = { t->g, item };

	if (kind != HEARD_JOB || !item->fact || t->n++ >= GOSSIP_TOLD_MAX)
		return;
	const struct told_job *known = told_once(&t->g->told, id, read_job, &r);
	if (!known)
		return;
	struct told_job told = *known;
	told.state = official ? "announced" : "heard";
	t->fn(t->arg, &told);
}

void gossip_each_job(void *arg, told_fn *fn, void *fn_arg)
{
	struct gossip *g = arg;
	struct job_telling t = { g, fn, fn_arg, 0 };

	news_each(peers_news(g->peers), tell_job, &t);
}

const char *gossip_job(void *arg, const struct digest *job, size_t *n)
{
	struct gossip *g = arg;

	return news_job(peers_news(g->peers), job, n);
}
