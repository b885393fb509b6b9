/* SPDX-License-Identifier: Apache-2.0
 *
 * probe.c: asks a node of the grid to call us back.
 */
#include "worker/probe.h"
#include "common/clock.h"
#include "common/dialback.h"
#include "common/log.h"
#include "common/shape.h"

#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS (DIALBACK_TIMEOUT_MS + 10 * 1000)
#define NO_WAY_MS 500 /* there is no descriptor yet */

struct probe {
	struct probe_spec spec;
	struct reach reach;
	uint16_t port;
	struct timer *timer;
	struct fetch *fetch;
};

static void on_answer(void *arg, struct answer *a)
{
	struct probe *p = arg;
	struct endpoint at;
	struct err e = a->e;
	bool reached;

	p->fetch = NULL;
	if (a->status == 200 && !dialback_read_answer(&reached, &at,
					a->body.data ? a->body.data : "", a->body.len, &e)) {
		if (reach_told(&p->reach, reached, clock_mono_ms()))
			p->spec.changed(p->spec.arg, reached, &at);
	} else {
		log_debug("asking to be called back: %s", e.msg);
		reach_unanswered(&p->reach, a->retry_after_s > 0 ? a->retry_after_s * 1000 : 0,
			clock_mono_ms());
	}
	timer_in(p->timer, reach_wait(&p->reach, clock_mono_ms()));
}

static void ask(void *arg)
{
	struct probe *p = arg;
	const struct way *way = home_way(p->spec.home);
	/* through a tunnel the call back would go to the relay: so ask that one */
	const struct link *to = way && way->relayed ? way_via(way) : way ? &way->to : NULL;
	char id[ID_TEXT + 1];

	if (!p->port || p->fetch)
		return;
	if (!to) {
		timer_in(p->timer, NO_WAY_MS);
		return;
	}
	id_text(id, &p->spec.node);
	auto_json json_t *o = json_pack("{s:s,s:i}", "node", id, "port", (int)p->port);
	auto_free char *body = shape_dump(o);
	struct fetch_spec spec = { .method = "POST",
		.to = to,
		.path = "/v1/dial-back",
		.headers = { "Content-Type: application/json" },
		.body = body,
		.timeout_ms = TIMEOUT_MS };
	spec.n = strlen(body);
	p->fetch = fetch_start(p->spec.fetcher, &spec, on_answer, p);
}

struct probe *probe_new(const struct probe_spec *spec)
{
	struct probe *p = xcalloc(1, sizeof(*p));

	p->spec = *spec;
	p->timer = timer_new(spec->loop, ask, p);
	return p;
}

const char *probe_word(const struct probe *p)
{
	static const char *const words[] = {
		[REACH_UNKNOWN] = "unknown", [REACH_YES] = "yes", [REACH_NO] = "no"
	};

	return words[p->reach.state];
}

void probe_port(struct probe *p, uint16_t port)
{
	if (p->fetch)
		fetch_cancel(p->fetch);
	p->fetch = NULL;
	p->port = port;
	reach_init(&p->reach, random_seed(), clock_mono_ms());
	timer_in(p->timer, 0);
}

void probe_free(struct probe *p)
{
	if (!p)
		return;
	if (p->fetch)
		fetch_cancel(p->fetch);
	timer_free(p->timer);
	free(p);
}
