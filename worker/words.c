/* SPDX-License-Identifier: Apache-2.0
 *
 * words.c: what the agent says of itself: what goes on or, when nothing does, why. Pure, as agent.c.
 */
#include "worker/agent.h"

#include <string.h>

const char *agent_mode_name(enum agent_mode mode)
{
	static const char *const names[] = { "run", "pause", "finish", "finish" };

	return names[mode];
}

static void say_silence(const struct agent *a, char out[AGENT_WORDS_MAX], int64_t now)
{
	int64_t next = a->next_ms > now ? (a->next_ms - now + 999) / 1000 : 0;

	if (a->refusal[0]) {
		snprintf(out, AGENT_WORDS_MAX, "the coordinator refuses: %s", a->refusal);
		return;
	}
	snprintf(out, AGENT_WORDS_MAX,
		"cannot reach the coordinator for %lld s; next try in %lld s; %zu result envelopes wait for it",
		(long long)((now - a->silent_ms) / 1000), (long long)next, a->unsent);
}

static void say_trouble(const struct agent *a, char out[AGENT_WORDS_MAX])
{
	snprintf(out, AGENT_WORDS_MAX, "waiting: the last tasks could not be started here: %s",
		a->broken[0] ? a->broken : "the log says why");
}

/* Why nothing runs, the most telling reason first. */
static void say_why(const struct agent *a, char out[AGENT_WORDS_MAX], int64_t now)
{
	size_t fetching = agent_count(a, TASK_FETCHING) + agent_count(a, TASK_LEASED);
	const char *why = "waiting: the grid has no work for this worker now";

	if (a->mode == AGENT_PAUSE)
		why = a->suspended ? "suspended by its owner; `resume` goes on" : "paused by its owner; `resume` goes on";
	else if (a->mode > AGENT_PAUSE)
		why = "finishing: takes no more work and delivers what it has";
	else if (now < a->full_ms)
		why = "waiting: the disk is full, or --disk is used up";
	else if (a->silent_ms) {
		say_silence(a, out, now);
		return;
	} else if (now < a->rest_ms) {
		say_trouble(a, out);
		return;
	} else if (fetching)
		why = "fetching inputs";
	else if (!a->told_mode)
		why = "asking the coordinator for work";
	else if (a->unsent)
		why = "delivering results";
	snprintf(out, AGENT_WORDS_MAX, "%s", why);
}

void agent_words(const struct agent *a, char out[AGENT_WORDS_MAX], int64_t now)
{
	size_t running = agent_count(a, TASK_RUNNING);
	static const char *const but[] = { "", "; paused: takes no more", "; finishing: takes no more",
		"; stopping" };

	if (!running) {
		say_why(a, out, now);
		return;
	}
	snprintf(out, AGENT_WORDS_MAX, "%s%zu task%s%s%s%s%s", a->suspended ? "suspended: " : "running ", running,
		running == 1 ? "" : "s", a->suspended ? (running == 1 ? " stands still until `resume`" : " stand still until `resume`") : but[a->mode], a->silent_ms ? "; the coordinator is silent, results are kept" : "",
		a->broken[0] ? "; the last one could not be started here: " : "", a->broken);
}
