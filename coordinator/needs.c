/* SPDX-License-Identifier: Apache-2.0
 *
 * needs.c: what a job needs of a worker. One table says for each need who meets it and what one says of those who do
 * not; whether a worker can run a job, and which need stops all of them, are read from it.
 */
#include "coordinator/sched.h"

#include <stddef.h>
#include <string.h>

struct needs needs_of(const struct job *job)
{
	struct needs n = { job->profile, job->memory_mib, job_wants_disk_mib(job), job->threads,
		.n_platforms = job->n_programs, .bits = job->bits, .n_local = job->n_local,
		.submitter = job->submitter };

	memcpy(n.local, job->local, sizeof(n.local));
	for (size_t i = 0; i < job->n_programs; i++)
		memcpy(n.platforms[i], job->programs[i].platform, sizeof(n.platforms[i]));
	return n;
}

/* --- who meets them ----------------------------------------------------------------------- */
static bool has_box(const struct worker *w, const struct needs *n)
{
	(void)n;
	return w->profiles != 0;
}

static bool has_profile(const struct worker *w, const struct needs *n)
{
	return w->profiles & 1u << n->profile;
}

static bool has_platform(const struct worker *w, const struct needs *n)
{
	for (size_t i = 0; i < n->n_platforms; i++)
		if (!strcmp(w->platform, n->platforms[i]))
			return true;
	return false;
}

static bool takes_from(const struct worker *w, const struct needs *n)
{
	uint64_t tag = node_tag(&n->submitter);

	for (size_t i = 0; i < w->n_only; i++)
		if (w->only[i] == tag)
			return true;
	return w->n_only == 0;
}

static bool has_bits(const struct worker *w, const struct needs *n)
{
	return !(n->bits & ~w->bits);
}

static bool has_name(const struct locals *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->names[i], name))
			return true;
	return false;
}

/* All of the data, and for this submitter. */
static bool has_local(const struct worker *w, const struct needs *n)
{
	const struct locals *l = w->locals;
	bool serves = false;

	for (size_t i = 0; l && i < n->n_local; i++)
		if (!has_name(l, n->local[i]))
			return false;
	for (size_t i = 0; l && i < l->n_keys; i++)
		serves |= id_equal(&l->keys[i], &n->submitter);
	return serves || !n->n_local;
}

static bool has_memory(const struct worker *w, const struct needs *n)
{
	return w->memory_mib >= n->memory_mib;
}

static bool has_disk(const struct worker *w, const struct needs *n)
{
	return w->disk_mib >= n->disk_mib;
}

static bool has_cpus(const struct worker *w, const struct needs *n)
{
	return w->cpus >= n->threads;
}

/* --- the table ---------------------------------------------------------------------------- */
/* In the order in which they are told. What a worker that meets it does, in words, around a name or a count of the job's. */
static const struct {
	bool (*met)(const struct worker *w, const struct needs *n);
	const char *before, *after; /* NULL: nothing */
	size_t name, count;         /* where in struct needs; 0: none */
} needs[N_NEEDS] = {
	{ .met = has_box,
		.before = "can set up a box: `talkoot-worker check` on its machine says why" },
	{ .met = has_profile,
		.before = "can set up a box of the job's profile: `talkoot-worker check` on its "
	                  "machine says why" },
	{ .met = has_platform,
		.before = "runs programs for ",
		.name = offsetof(struct needs, platforms) },
	{ .met = takes_from, .before = "takes its submitter's jobs (its owner's --submitters)" },
	{ .met = has_bits, .before = "allows the bits that the job asks for (its owner's --bits)" },
	{ .met = has_local,
		.before = "has the data ",
		.name = offsetof(struct needs, local),
		.after = " for its submitter (its owner's --allow-local and --local-for)" },
	{ .met = has_memory,
		.before = "gives a task ",
		.count = offsetof(struct needs, memory_mib),
		.after = " MiB of memory" },
	{ .met = has_disk,
		.before = "gives a task ",
		.count = offsetof(struct needs, disk_mib),
		.after = " MiB of disk" },
	{ .met = has_cpus,
		.before = "has ",
		.count = offsetof(struct needs, threads),
		.after = " processors" },
};

size_t needs_met(const struct worker *w, const struct needs *n)
{
	size_t i = 0;

	while (i < N_NEEDS && needs[i].met(w, n))
		i++;
	return i;
}

bool worker_can(const struct worker *w, const struct needs *n)
{
	return needs_met(w, n) == N_NEEDS;
}

void needs_say(const struct needs *n, size_t i, char *out, size_t size)
{
	const char *base = (const char *)n;
	char value[64] = "";
	int64_t count;

	if (needs[i].name)
		snprintf(value, sizeof(value), "%.60s", base + needs[i].name);
	if (needs[i].count) {
		memcpy(&count, base + needs[i].count, sizeof(count));
		snprintf(value, sizeof(value), "%lld", (long long)count);
	}
	snprintf(out, size, "%s%s%s", needs[i].before, value, needs[i].after ? needs[i].after : "");
}
