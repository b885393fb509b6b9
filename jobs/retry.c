/* SPDX-License-Identifier: Apache-2.0
 *
 * retry.c: the tasks without a good outcome as a list, and the old manifest with what is new in it.
 */
#include "jobs/retry.h"

#include <string.h>

/* --- which tasks ----------------------------------------------------------------------------- */
/* What an agreed outcome says will be said again; limits, absent workers and a cancelled job may be otherwise. */
static bool chosen(const struct evidence *ev, int64_t index, bool all, struct retry_tally *tally)
{
	const struct judged *j = ev->tasks[index];

	if (!strcmp(j->state, "cancelled"))
		tally->cancelled++;
	else if (strcmp(j->state, "failed") != 0)
		return false;
	else if (!evidence_agreed(ev, index))
		tally->undecided++;
	else if (tally->agreed++, !all)
		return false;
	tally->chosen++;
	return true;
}

static int add_line(const struct evidence *ev, int64_t index, struct buf *list, struct err *e)
{
	auto_json json_t *task = evidence_task(ev, index, e);

	if (!task)
		return err_wrap(e, "task %lld", (long long)index);
	if (!ev->job.is_retry)
		json_object_set_new(task, "of", json_integer(index));
	auto_free char *text = shape_dump(task);
	if (strlen(text) > JOB_LIST_LINE_MAX)
		return err_set(e, ERR_TOO_BIG,
			"task %lld: its line in the list would be longer than %d bytes",
			(long long)index, JOB_LIST_LINE_MAX);
	buf_text(list, text);
	buf_text(list, "\n");
	if ((int64_t)list->len > JOB_LIST_MAX)
		return err_set(e, ERR_TOO_BIG, "the list of tasks would be larger than %lld MiB",
			(long long)(JOB_LIST_MAX / MIB));
	return 0;
}

int retry_list(const struct evidence *ev, bool all, struct buf *list, struct retry_tally *tally,
	struct err *e)
{
	*tally = (struct retry_tally){ 0 };
	if (ev->n_judged < ev->job.count)
		return err_set(e, ERR_CONFLICT,
			"the job is not over (%lld of %lld tasks are final): wait for it, or "
		        "cancel it",
			(long long)ev->n_judged, (long long)ev->job.count);
	for (int64_t i = 0; i < ev->job.count; i++)
		if (chosen(ev, i, all, tally) && add_line(ev, i, list, e))
			return -1;
	return 0;
}

/* --- the manifest ---------------------------------------------------------------------------- */
static void set_int(json_t *in, const char *name, int64_t value, int64_t as_it_was)
{
	if (value != as_it_was)
		json_object_set_new(in, name, json_integer(value));
}

static void set_limits(json_t *j, const struct retry_options *o)
{
	const struct {
		const char *name;
		int64_t value;
	} limits[] = {
		{ "cpu_s", o->cpu_s },
		{ "wall_s", o->wall_s },
		{ "memory_mib", o->memory_mib },
		{ "disk_mib", o->disk_mib },
		{ "max_output_mib", o->output_mib },
		{ "processes", o->processes },
	};

	for (size_t i = 0; i < ARRAY_LEN(limits); i++)
		set_int(json_object_get(j, "limits"), limits[i].name, limits[i].value, 0);
	set_int(j, "threads", o->threads, 0);
	set_int(j, "max_results", o->max_results, 0);
	set_int(j, "max_failures", o->max_failures, 0);
	set_int(j, "priority", o->priority, RETRY_AS_IT_WAS);
}

json_t *retry_fields(const struct evidence *ev, const json_t *old, json_t *list, int64_t count,
	const struct retry_options *o)
{
	static const char *const header[] = { "v", "type", "grid", "author", "time", "crit",
		"nonce" };
	json_t *j = json_deep_copy(old);
	char hex[DIGEST_HEX + 1];

	for (size_t i = 0; i < ARRAY_LEN(header); i++)
		json_object_del(j, header[i]);
	digest_hex(hex, &ev->job.id);
	json_object_set_new(
		j, "name", o->name ? json_string(o->name) : json_sprintf("retry of %s", hex));
	digest_hex(hex, ev->job.is_retry ? &ev->job.retry_of : &ev->job.id);
	json_object_set_new(j, "retry_of", json_string(hex));
	json_object_set_new(j, "tasks",
		json_pack("{s:{s:o, s:I}}", "list", "blob", list, "count", (json_int_t)count));
	set_limits(j, o);
	return j;
}
