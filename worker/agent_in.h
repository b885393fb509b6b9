/* SPDX-License-Identifier: Apache-2.0
 *
 * agent_in.h: what the two halves of the agent share: agent.c (what happened), choose.c (what to do).
 */
#ifndef WORKER_AGENT_IN_H
#define WORKER_AGENT_IN_H

#include "worker/agent.h"

enum agent_event {
	E_FETCH, /* we begin to */
	E_FETCHED,
	E_FAILED,
	E_RUN, /* we begin to */
	E_EXITED,
	E_SEALED,
	E_UNSEALED,
	E_STOPPED,
	E_ACKED,
	E_ENDED, /* the coordinator ended the lease */
	E_BACK,  /* we give it back */
	N_AGENT_EVENTS
};

/* NULL when there is none. */
struct agent_task *agent_find(struct agent *a, const char *lease);
/* False when the table has no such step, or t is NULL: an event that came too late, which is nobody's
 * fault. */
bool agent_happen(struct agent *a, struct agent_task *t, enum agent_event event, int64_t now);
/* Give back everything up to state `last`. */
void agent_back_all(struct agent *a, enum task_state last, const char *why, int64_t now);

#endif
