/* SPDX-License-Identifier: Apache-2.0
 *
 * status.c: what goes on, as one JSON document and for people.
 */
#include "worker/worker.h"
#include "common/clock.h"
#include "common/log.h"
#include "jobs/job_words.h"

#include <stdlib.h>
#include <string.h>

static void add_running(void *arg, const struct job *job, int64_t index, int64_t for_ms)
{
	char id[DIGEST_HEX + 1];

	digest_hex(id, &job->id);
	json_array_append_new(arg, json_pack("{s:s, s:s, s:I, s:I}", "job", id, "name", job->name, "index",
					   (json_int_t)index, "for_s", (json_int_t)(for_ms / 1000)));
}

static json_t *tasks_json(const struct agent *a)
{
	static const struct {
		const char *name;
		enum task_state state;
	} states[] = { { "leased", TASK_LEASED }, { "fetching", TASK_FETCHING }, { "ready", TASK_READY },
		{ "running", TASK_RUNNING }, { "stopping", TASK_QUITTING }, { "done", TASK_DONE },
		{ "unsent", TASK_SEALED } };
	json_t *j = json_object();

	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		json_object_set_new(j, states[i].name,
			json_integer((json_int_t)agent_count(a, states[i].state)));
	return j;
}

static json_t *coordinator_json(const struct worker *w)
{
	const struct way *way = home_way(&w->home);
	char relay[ID_TEXT + 1] = "", where[LINK_HOST_MAX + 9] = "";
	int64_t silent = w->agent.silent_ms ? clock_mono_ms() - w->agent.silent_ms : 0;

	if (way) {
		struct endpoint at = link_at(&way->to);

		endpoint_text(where, &at);
		if (way->relayed)
			id_text(relay, &way->via.node);
	}
	return json_pack("{s:s, s:s, s:b, s:I}", "address", where, "via", relay, "answers", w->agent.silent_ms == 0 && w->agent.told_mode,
		"silent_s", (json_int_t)(silent / 1000));
}

char *status_json(const struct worker *w)
{
	char id[ID_TEXT + 1], grid[ID_TEXT + 1], words[AGENT_WORDS_MAX];
	json_t *running = json_array();

	id_text(id, key_id(w->key));
	id_text(grid, &w->home.grid_id);
	agent_words(&w->agent, words, clock_mono_ms());
	errands_each_running(&w->errands, add_running, running);
	auto_json json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "worker", id, "grid", grid,
		"grid_name", w->home.known ? w->home.grid.name : "", "link", w->link, "state",
		agent_mode_name(w->agent.mode), "why", words, "running", running, "tasks", tasks_json(&w->agent),
		"coordinator", coordinator_json(w));
	json_object_set_new(j, "results",
		json_pack("{s:I, s:I, s:I}", "made", (json_int_t)w->agent.n_done, "acknowledged",
			(json_int_t)w->agent.n_acked, "unsent", (json_int_t)outbox_count(w->outbox)));
	if (w->carry)
		json_object_set_new(j, "carried", json_integer((json_int_t)carry_count(w->carry)));
	if (w->relay)
		json_object_set_new(j, "relay",
			json_pack("{s:I, s:I}", "tunnels", (json_int_t)relay_count(w->relay), "bytes",
				(json_int_t)relay_bytes(w->relay)));
	json_object_set_new(j, "lends",
		json_pack("{s:I, s:I, s:I, s:I, s:o, s:o}", "slots", (json_int_t)w->conf.slots, "memory_mib",
			(json_int_t)w->conf.memory_mib, "disk_mib", (json_int_t)w->conf.disk_mib, "cached_mib",
			(json_int_t)(blobs_bytes(cache_blobs(w->cache)) / MIB), "profiles",
			words_json(job_profile_words, w->self.profiles), "bits",
			words_json(job_bit_words, w->conf.terms.bits & w->self.bits)));
	int64_t bytes;
	size_t images = images_count(w->errands.images, &bytes);
	json_object_set_new(j, "images",
		json_pack("{s:I, s:I}", "unpacked", (json_int_t)images, "mib", (json_int_t)(bytes / MIB)));
	json_object_set_new(j, "published", json_string(w->self.address ? w->self.address : ""));
	json_object_set_new(j, "reachable", json_string(w->probe ? probe_word(w->probe) : "unknown"));
	json_object_set_new(j, "peers", gossip_status(w->gossip));
	json_object_set_new(j, "version", json_string(TALKOOT_VERSION));
	return shape_dump(j);
}

/* One line for people; grid and job names are strangers' text. */
static void line(FILE *out, const char *label, const char *text)
{
	auto_free char *safe = text_safe(text, strlen(text));

	fprintf(out, "%-12s %s\n", label, safe);
}

static void print_running(const json_t *running, FILE *out)
{
	json_t *j;
	size_t i;

	json_array_foreach(running, i, j) {
		auto_free char *name = text_safe(jtext(j, "name"), strlen(jtext(j, "name")));

		fprintf(out, "  task %lld of job %.8s%s%s, for %lld s\n", (long long)jint(j, "index", 0),
			jtext(j, "job"), *name ? " " : "", name, (long long)jint(j, "for_s", 0));
	}
}

void status_print(const char *json, FILE *out)
{
	struct err e;
	auto_json json_t *j = shape_load(json, strlen(json), &e);
	const json_t *results = json_object_get(j, "results"), *lends = json_object_get(j, "lends");

	line(out, "worker", jtext(j, "worker"));
	line(out, "grid", *jtext(j, "grid_name") ? jtext(j, "grid_name") : jtext(j, "grid"));
	line(out, "coordinator", jtext(json_object_get(j, "coordinator"), "address"));
	if (*jtext(json_object_get(j, "coordinator"), "via"))
		line(out, "through relay", jtext(json_object_get(j, "coordinator"), "via"));
	if (jint(j, "carried", 0))
		fprintf(out, "%-12s %lld jobs, until the coordinator has them\n", "carries",
			(long long)jint(j, "carried", 0));
	line(out, "peer port", jtext(j, "link"));
	auto_free char *published = *jtext(j, "published") ? xstrdup(jtext(j, "published"))
							     : xprintf("no address (reachable: %s)", jtext(j, "reachable"));
	line(out, "published", published);
	line(out, "now", jtext(j, "why"));
	print_running(json_object_get(j, "running"), out);
	const json_t *peers = json_object_get(j, "peers");
	fprintf(out, "%-12s %lld neighbours of %lld known, %lld jobs heard of\n", "peers",
		(long long)jint(peers, "neighbours", 0), (long long)jint(peers, "known", 0),
		(long long)jint(peers, "jobs", 0));
	fprintf(out, "%-12s %lld made, %lld acknowledged; %lld envelopes wait\n", "results",
		(long long)jint(results, "made", 0), (long long)jint(results, "acknowledged", 0),
		(long long)jint(results, "unsent", 0));
	fprintf(out, "%-12s %lld slots, %lld MiB memory, %lld MiB disk (%lld used)\n", "lends",
		(long long)jint(lends, "slots", 0), (long long)jint(lends, "memory_mib", 0),
		(long long)jint(lends, "disk_mib", 0), (long long)jint(lends, "cached_mib", 0));
}
