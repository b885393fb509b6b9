/* SPDX-License-Identifier: Apache-2.0
 *
 * meter.c: see meter.h.
 */
#include "sandbox/meter.h"

#include "sandbox/hoard.h"
#include "sandbox/proc.h"

#include <time.h>

#define HOLD_ROUNDS 8 /* of stopping at once: a program that wakes another is stopped in the next */

/* Processor time: on a busy machine looking takes long, but costs no more. */
static int64_t own_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

/* --- CPU time of those that nobody waits for --- */

static void count_threads(struct counter *c, const struct meter_of *of)
{
	const struct proc_tree *t = proc_tree(of->proc, of->init);
	pid_t tids[COUNTER_MAX + 1];
	size_t n = 0;

	for (size_t i = 1; i < t->n && n <= COUNTER_MAX; i++)
		n = proc_threads(of->proc, t->pids[i], tids, n, COUNTER_MAX + 1);
	if (n <= COUNTER_MAX)
		(void)counter_start(c, tids, n);
}

/* A box that cannot start processes is not counted besides, nor one whose memory cgroup counts. */
static void begin(struct meter *m, const struct meter_of *of, int64_t used_us)
{
	m->looked = true;
	m->base_us = used_us;
	if (of->enter) {
		limit_cgroups_open(of->enter, of->forks);
		limit_cgroup_enter(of->cgroup, of->enter, of->bytes, of->proc, of->init, used_us);
	}
	if (!of->forks || limit_cgroup_us(of->cgroup) >= 0)
		return;
	if (!limit_pen_make(&m->pen, of->cgroup->all, of->proc, of->init))
		count_threads(&m->counter, of);
}

static int64_t counted_us(const struct meter *m, const struct meter_of *of)
{
	int64_t us = limit_cgroup_us(of->cgroup);

	if (us >= 0)
		return us;
	us = pen_us(&m->pen);
	if (us < 0)
		us = counter_us(&m->counter);
	return us < 0 ? 0 : m->base_us + us;
}

/* --- memory of the kernel's --- */

/* Also where a cgroup holds the memory, for that has room for the files in /out and /tmp, which may be
 * unused. */
static int64_t hoarded_kib(
	struct meter *m, const struct limit_use *u, const struct meter_of *of, int64_t now_us)
{
	struct hoard h;
	int64_t took;

	if (!of->forks)
		return 0;
	if (now_us < m->next_hoard_us)
		return m->hoard_kib;
	took = own_us();
	hoard_count(&h, of->proc, of->init, u->mapped_kib, of->names, of->limits);
	m->hoard_kib = hoard_charge_kib(&h, of->limits);
	took = METER_PART * (own_us() - took);
	if (took < METER_HOARD_US)
		took = METER_HOARD_US;
	m->next_hoard_us = now_us + (took < METER_HOARD_MAX_US ? took : METER_HOARD_MAX_US);
	return m->hoard_kib;
}

/* --- looking --- */

void meter_look(struct meter *m, struct limit_use *u, const struct meter_of *of, int64_t now_us)
{
	int64_t us, began = own_us();

	limit_look(u, of->proc, of->init, of->limits->memory_mib * 1024, &m->crowd);
	if (!m->looked && u->processes > 0) /* on a busy machine it may not have started yet */
		begin(m, of, u->cpu_us);
	us = counted_us(m, of);
	if (us > u->cpu_us)
		u->cpu_us = us;
	m->forgets = u->forgets || crowd_forgets(&m->crowd);
	m->took_us = own_us() - began;
	u->memory_kib += hoarded_kib(m, u, of, now_us);
}

int64_t meter_pause_us(const struct meter *m, int64_t usual_us)
{
	int64_t soon = METER_PART * m->took_us;

	if (usual_us < METER_LARGE_PART * m->took_us)
		usual_us = METER_LARGE_PART * m->took_us;
	if (usual_us > METER_LATEST_US)
		usual_us = METER_LATEST_US;
	if (m->pen.all || m->counter.n > 0 || !m->forgets)
		return usual_us;
	if (soon < METER_SOON_US)
		soon = METER_SOON_US;
	return soon < usual_us ? soon : usual_us;
}

/* --- holding --- */

void meter_hold(const struct meter *m, const struct meter_of *of)
{
	if (limit_cgroup_freeze(of->cgroup, true) || pen_freeze(&m->pen, true))
		return;
	for (int i = 0; i < HOLD_ROUNDS && limit_hold(of->proc, of->init) > 0; i++)
		;
}

/* Before the first look there was no pen, so it may be both. */
void meter_release(const struct meter *m, const struct meter_of *of)
{
	(void)limit_cgroup_freeze(of->cgroup, false);
	(void)pen_freeze(&m->pen, false);
	limit_release(of->proc, of->init);
}

void meter_drop(struct meter *m)
{
	crowd_release(&m->crowd);
	counter_stop(&m->counter);
	pen_drop(&m->pen);
}
