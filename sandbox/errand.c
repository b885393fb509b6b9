/* SPDX-License-Identifier: Apache-2.0
 *
 * errand.c: see errand.h.
 */
#include "sandbox/errand.h"

#include "sandbox/talk.h"

#include <sys/stat.h>

/* Beyond the program's own memory: what the kernel keeps for its processes. */
#define CGROUP_ROOM_MIB 8

/* Files in a tmpfs are memory too, and so are inputs that had to be copied. */
int64_t errand_bytes(const struct spec *s, const struct given *g)
{
	int64_t bytes = (s->limits.memory_mib + CGROUP_ROOM_MIB) * 1048576;
	struct stat st;

	if (s->profile == BOX_COMPUTE)
		return bytes;
	for (size_t i = 0; g->was_root && i < g->n_inputs; i++)
		bytes += fstat(g->inputs[i], &st) == 0 ? st.st_size : 0;
	return bytes + s->limits.disk_mib * 1048576;
}

int errand_send(const struct errand *e, const struct plan *p, const struct given *g, struct why *w)
{
	const int first[PLAN_N_FDS] = { g->in, e->out, e->err, g->program, e->procs };

	if (talk_send_fds(e->sock, first, PLAN_N_FDS, w))
		return -1;
	for (size_t at = 0; at < p->n_inputs;) {
		size_t n = p->n_inputs - at;

		if (n > PLAN_INPUTS_AT_ONCE)
			n = PLAN_INPUTS_AT_ONCE;
		if (talk_send_fds(e->sock, g->inputs + at, n, w))
			return -1;
		at += n;
	}
	return 0;
}
