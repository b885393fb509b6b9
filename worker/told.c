/* SPDX-License-Identifier: Apache-2.0
 *
 * told.c: what this worker can tell of jobs, as JSON. Who is asked first wins where two know the same job.
 */
#include "worker/told.h"
#include "common/shape.h"

#include <stdlib.h>
#include <string.h>

#define TOLD_MAX 1000

const struct told_job *told_once(struct told_kept *k, const struct digest *id,
	bool (*read)(void *arg, struct told_job *out), void *arg)
{
	struct told_job fresh = { .id = *id };

	for (size_t i = 0; i < k->n; i++)
		if (digest_equal(&k->jobs[i].id, id))
			return &k->jobs[i];
	if (!read(arg, &fresh))
		return NULL;
	struct told_job *mine = &k->jobs[k->n < TOLD_KEPT_MAX ? k->n++ : k->next++ % TOLD_KEPT_MAX];
	*mine = fresh;
	return mine;
}

struct telling {
	json_t *jobs;
	const struct digest *only; /* NULL: all */
};

static void add(void *arg, const struct told_job *j)
{
	struct telling *t = arg;
	char id[DIGEST_HEX + 1], submitter[ID_TEXT + 1];

	if (json_object_size(t->jobs) >= TOLD_MAX || (t->only && !digest_equal(t->only, &j->id)))
		return;
	digest_hex(id, &j->id);
	id_text(submitter, &j->submitter);
	if (!json_object_get(t->jobs, id))
		json_object_set_new(t->jobs, id,
			json_pack("{s:s, s:s, s:s, s:I, s:s, s:I}", "id", id, "name", j->name,
				"submitter", submitter, "count", (json_int_t)j->count, "state",
				j->state, "age_ms", (json_int_t)j->age_ms));
}

static json_t *ask(const struct teller *tellers, size_t n, const struct digest *only)
{
	struct telling t = { json_object(), only };

	for (size_t i = 0; i < n; i++)
		tellers[i].each(tellers[i].arg, add, &t);
	return t.jobs;
}

char *told_list(const struct teller *tellers, size_t n)
{
	auto_json json_t *jobs = ask(tellers, n, NULL);
	json_t *list = json_array(), *j;
	const char *id;

	json_object_foreach(jobs, id, j)
		json_array_append(list, j);
	auto_json json_t *all = json_pack("{s:o, s:n}", "jobs", list, "next");
	return shape_dump(all);
}

char *told_one(const struct teller *tellers, size_t n, const struct digest *id)
{
	auto_json json_t *jobs = ask(tellers, n, id);
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, id);
	const json_t *j = json_object_get(jobs, hex);
	return j ? shape_dump(j) : NULL;
}
