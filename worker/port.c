/* SPDX-License-Identifier: Apache-2.0
 *
 * port.c: the peer port: its link, what it tells of jobs, and the jobs that are taken there for a silent coordinator.
 */
#include "worker/worker.h"
#include "common/clock.h"

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#define ANNOUNCE_AGAIN_MS ((int64_t)3600 * 1000) /* what is carried is looked through so often */

/* --- our link -------------------------------------------------------------------------------------------------- */

/* The address of ours that faces `l`: for a link to hand out when we listen on all of them. No packet is sent. */
static void own_address(char out[INET6_ADDRSTRLEN], const struct link *l)
{
	struct sockaddr_in to = { .sin_family = AF_INET }, me;
	auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t n = sizeof(me);

	snprintf(out, INET6_ADDRSTRLEN, "127.0.0.1");
	if (!l || fd < 0 || inet_pton(AF_INET, l->host, &to.sin_addr) != 1)
		return;
	to.sin_port = htons(l->port);
	if (!connect(fd, (struct sockaddr *)&to, sizeof(to)) &&
		!getsockname(fd, (struct sockaddr *)&me, &n))
		inet_ntop(AF_INET, &me.sin_addr, out, INET6_ADDRSTRLEN);
}

/* Whom our address should face: the coordinator, or the relay to it. */
static const struct link *facing(const struct home *h)
{
	const struct way *way = home_way(h);

	return !way ? NULL : way->relayed ? &way->via : h->n_joins ? &h->joins[0] : &way->to;
}

void port_link(struct worker *w)
{
	struct link l = { .node = *key_id(w->key), .grid = w->home.grid_id };
	const struct endpoint *at = w->conf.advertises ? &w->conf.advertise : &w->conf.listen;

	if (!w->serve) {
		snprintf(w->link, sizeof(w->link), "none");
		return;
	}
	l.port = w->conf.advertises ? at->port : serve_port(w->serve);
	memcpy(l.host, at->host, sizeof(l.host));
	if (!strcmp(l.host, "0.0.0.0") || !strcmp(l.host, "::"))
		own_address(l.host, facing(&w->home));
	link_text(w->link, &l);
}

/* --- who asks about jobs ----------------------------------------------------------------------------------- */

struct told_here {
	const struct worker *w;
	told_fn *fn;
	void *arg;
};

static void tell_aged(void *arg, const struct told_job *job)
{
	const struct told_here *t = arg;
	struct told_job j = *job;

	j.age_ms = clock_mono_ms() - t->w->agent.heard_ms;
	t->fn(t->arg, &j);
}

/* What gossip says, and not what is in the book: who works on what is nobody's business. */
static void tell_heard(void *teller, told_fn *fn, void *arg)
{
	const struct worker *w = teller;
	struct told_here t = { w, fn, arg };

	if (w->gossip)
		gossip_each_job(w->gossip, tell_aged, &t);
}

/* --- what is carried ----------------------------------------------------------------------------------------- */

/* Jobs that we took for the coordinator are news. */
static void on_taken(void *arg, const char *line, const struct digest *job)
{
	struct worker *w = arg;

	(void)job;
	if (w->gossip)
		gossip_announce(w->gossip, line);
}

static void on_refused(void *arg, const struct digest *line)
{
	struct worker *w = arg;

	if (w->gossip)
		gossip_withdraw(w->gossip, line);
}

static void announce_again(void *arg, const struct told_job *job)
{
	struct worker *w = arg;
	auto_free char *line = carry_manifest(w->carry, &job->id);

	if (line)
		gossip_announce(w->gossip, line);
}

/* At the start, and before what we said of a job runs out while the coordinator is still silent. */
static void on_announce(void *arg)
{
	struct worker *w = arg;

	carry_each(w->carry, announce_again, w);
	timer_in(w->announce, ANNOUNCE_AGAIN_MS);
}

void port_announce(struct worker *w)
{
	w->announce = timer_new(w->loop, on_announce, w);
	if (w->carry)
		timer_in(w->announce, 0);
}

static int open_carry(struct worker *w, struct err *e)
{
	auto_free char *dir = xprintf("%s/carried", w->conf.dir);
	struct carry_limits limits = carry_defaults;
	struct carry_fns fns = { .taken = on_taken, .refused = on_refused, .arg = w };

	if (limits.bytes > w->conf.disk_mib * MIB / 10)
		limits.bytes = w->conf.disk_mib * MIB / 10;
	if (carry_open(&w->carry, dir, &limits, w->loop, w->fetcher, &w->home, &fns, e))
		return err_wrap(e, "carried jobs");
	if (w->conf.carries) /* else what was taken earlier is delivered, and nothing new taken */
		serve_carry(w->serve, w->carry, key_id(w->key));
	serve_tell(w->serve, &(struct teller){ carry_each, w->carry });
	serve_tell(w->serve, &(struct teller){ tell_heard, w });
	return 0;
}

/* --- opening --------------------------------------------------------------------------------------------------- */

int port_open(struct worker *w, struct err *e)
{
	struct endpoint public = w->conf.listen;

	if (!w->conf.listens)
		return 0;
	if (w->conf.relays)
		w->relay = relay_new(w->loop, &w->home, &relay_defaults);
	struct serve_parts parts = { .loop = w->loop,
		.fetcher = w->fetcher,
		.key = w->key,
		.listen = w->conf.listen,
		.cache = w->cache,
		.home = &w->home,
		.relay = w->relay,
		.upload_kib = w->conf.upload_kib };
	if (serve_new(&w->serve, &parts, e) || open_carry(w, e))
		return -1;
	if (w->conf.web_seeds && serve_web(w->serve, w->loop, &w->conf.web_seed,
					 w->conf.advertises ? &w->conf.advertise : NULL, e))
		return -1;
	public.port = serve_port(w->serve);
	if (!w->conf.advertises && endpoint_is_loopback(&public))
		endpoint_text(w->address, &public);
	return 0; /* another is published when told to, and once somebody got through to it */
}
