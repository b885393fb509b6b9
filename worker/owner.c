/* SPDX-License-Identifier: Apache-2.0
 *
 * owner.c: what the owner says, by a word to the control socket or by a signal.
 */
#include "worker/worker.h"
#include "common/clock.h"
#include "common/log.h"

#include <signal.h>
#include <string.h>

static void set_mode(struct worker *w, enum agent_mode mode)
{
	agent_set_mode(&w->agent, mode, clock_mono_ms());
	turn_end_ask(w->turn);
}

static void on_terminate(void *arg)
{
	struct worker *w = arg;

	if (w->agent.mode == AGENT_STOP) {
		log_warn("ending at once");
		loop_stop(w->loop);
		return;
	}
	log_info("ending: giving back what runs, delivering what is done");
	set_mode(w, AGENT_STOP);
}

static char *on_word(void *arg, const char *word, struct err *e)
{
	static const struct {
		const char *word, *answer;
		enum agent_mode mode;
		bool suspend;
	} modes[] = {
		{ "pause", "paused: what runs is finished, nothing new is started\n", AGENT_PAUSE, false },
		{ "suspend", "suspended: what runs stands still until `resume`, nothing new is started\n", AGENT_PAUSE, true },
		{ "resume", "resumed\n", AGENT_RUN, false },
		{ "finish", "finishing: the worker exits when what runs is done and delivered\n",
			AGENT_FINISH, false },
	};
	struct worker *w = arg;

	if (!strcmp(word, "status"))
		return status_json(w);
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		if (strcmp(modes[i].word, word) != 0)
			continue;
		if (w->agent.mode > AGENT_PAUSE && modes[i].mode != AGENT_FINISH) {
			err_set(e, ERR_REFUSED, "the worker is finishing already");
			return NULL;
		}
		log_info("the owner says: %s", word);
		if (modes[i].mode == AGENT_RUN)
			worker_know_box(w),
				errands_renew(&w->errands); /* it may have been mended meanwhile */
		w->agent.suspended = modes[i].suspend;
		errands_hold(&w->errands, modes[i].suspend);
		set_mode(w, modes[i].mode);
		return xstrdup(modes[i].answer);
	}
	err_set(e, ERR_USAGE, "\"%s\" is no command", word);
	return NULL;
}

int owner_open(struct worker *w, struct err *e)
{
	return control_new(&w->control, w->loop, w->conf.dir, on_word, w, e) ||
	                       loop_on_signal(w->loop, SIGTERM, on_terminate, w, e) ||
	                       loop_on_signal(w->loop, SIGINT, on_terminate, w, e)
	               ? -1
	               : 0;
}
