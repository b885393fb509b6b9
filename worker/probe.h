/* SPDX-License-Identifier: Apache-2.0
 *
 * probe.h: asks a node of the grid to call us back, as reach.h says when.
 */
#ifndef WORKER_PROBE_H
#define WORKER_PROBE_H

#include "worker/home.h"
#include "worker/reach.h"
#include "common/fetch.h"
#include "common/loop.h"

struct probe;

struct probe_spec {
	struct loop *loop;
	struct fetcher *fetcher;
	struct home *home; /* the coordinator is asked */
	struct id node;
	/* Called from the loop when it changed whether we can be reached; at: where we were called, as seen from there. */
	void (*changed)(void *arg, bool reached, const struct endpoint *at);
	void *arg;
};

struct probe *probe_new(const struct probe_spec *spec);
void probe_free(struct probe *p); /* NULL is fine */
/* "yes", "no", "unknown". */
const char *probe_word(const struct probe *p);
/* Ask for this port from now on (0: for none), as if nothing were known. */
void probe_port(struct probe *p, uint16_t port);

#endif
