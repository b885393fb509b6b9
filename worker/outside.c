/* SPDX-License-Identifier: Apache-2.0
 *
 * outside.c: how the worker is found and reached: nodes nearby, a port at the router, a call back.
 */
#include "worker/worker.h"
#include "common/log.h"

#include <string.h>

/* Our address changed. */
static void tell_all(struct worker *w)
{
	agent_news(&w->agent);
	gossip_self_changed(w->gossip);
	cache_moved(w->cache, w->self.address);
	turn_end_ask(w->turn);
}

/* --- whether we can be reached --------------------------------------------------------------------------------- */

/* What we tell: --advertise; with --map-port alone the address that was called, at the router's port. */
static void on_reach(void *arg, bool reached, const struct endpoint *at)
{
	struct worker *w = arg;
	const struct endpoint *public = w->conf.advertises ? &w->conf.advertise : at;
	char text[LINK_HOST_MAX + 9], tried[LINK_HOST_MAX + 9];

	endpoint_text(text, public);
	endpoint_text(tried, at);
	w->self.address = NULL;
	if (reached) {
		memcpy(w->address, text, sizeof(text));
		w->self.address = w->address;
		log_info("reachable at %s", text);
	} else {
		log_warn("not reachable: nobody got through to this worker at %s, so %s is not "
		         "published; is the port open "
			 "in firewall and router?",
			tried, text);
	}
	tell_all(w);
}

/* The router opened a port, or does not any more. */
static void on_mapped(void *arg, const struct endpoint *at)
{
	struct worker *w = arg;

	if (w->conf.advertises)
		return; /* the owner knows better where we are */
	probe_port(w->probe, at ? at->port : 0);
	if (at || !w->self.address)
		return;
	w->self.address = NULL;
	tell_all(w);
}

static int open_reach(struct worker *w, struct err *e)
{
	struct probe_spec spec = { .loop = w->loop,
		.fetcher = w->fetcher,
		.home = &w->home,
		.node = *key_id(w->key),
		.changed = on_reach,
		.arg = w };
	struct mapport_spec map = {
		.loop = w->loop, .gateway = w->conf.gateway, .changed = on_mapped, .arg = w
	};

	if (!w->serve || (!w->conf.advertises && !w->conf.maps_port))
		return 0;
	w->probe = probe_new(&spec);
	if (w->conf.advertises)
		probe_port(w->probe, w->conf.advertise.port);
	map.port = serve_port(w->serve);
	return w->conf.maps_port ? mapport_new(&w->mapport, &map, e) : 0;
}

/* --- nodes nearby ---------------------------------------------------------------------------------------------- */

static bool is_lonely(void *arg)
{
	const struct worker *w = arg;

	return !w->home.known || w->agent.silent_ms != 0;
}

static void on_found(void *arg, const struct id *node, const struct endpoint *at)
{
	struct worker *w = arg;
	char id[ID_TEXT + 1];

	id_text(id, node);
	if (is_lonely(w))
		log_info("found %.8s of this grid nearby, at %s:%u", id, at->host, at->port);
	join_found(w->joining, node, at);
	gossip_found(w->gossip, node, at);
}

static void open_lan(struct worker *w)
{
	struct lan_spec spec = { .listen = w->conf.listen,
		.grid = w->home.grid_id,
		.node = *key_id(w->key),
		.lonely = is_lonely,
		.found = on_found,
		.arg = w };

	if (!w->serve || !w->conf.discovers)
		return;
	spec.listen.port = serve_port(w->serve);
	w->lan = lan_new(w->loop, &spec);
}

int outside_open(struct worker *w, struct err *e)
{
	open_lan(w);
	return open_reach(w, e);
}

void outside_close(struct worker *w)
{
	lan_free(w->lan);
	mapport_free(w->mapport);
	probe_free(w->probe);
}
