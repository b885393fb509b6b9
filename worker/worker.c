/* SPDX-License-Identifier: Apache-2.0
 *
 * worker.c: the agent's decisions, done.
 *
 * Whatever happens (an answer, a box that ended, a signal, a timer) is told to the agent; at the end of the turn
 * drive() takes its acts and does them, by the table `acts`. Nothing is decided here.
 */
#include "worker/worker.h"
#include "worker/host.h"
#include "worker/place.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "jobs/job_words.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define LOCK_PAUSE_MS 20
#define CHECKPOINTS_SHARE 10 /* of --disk, one part for checkpoints */
#define LOCK_TRIES 100
/* All hear of a job at once; those who do not wait at the coordinator's already ask for it within this. */
#define NUDGE_MS 3000
#define AGENT_NAME "talkoot-worker/" TALKOOT_VERSION

/* --- doing ------------------------------------------------------------------------------------------------- */

static void do_stop(struct worker *w, const struct act *act)
{
	errand_stop(&w->errands, act->lease, w->agent.mode == AGENT_STOP);
}

static void do_fetch(struct worker *w, const struct act *act)
{
	errand_begin(&w->errands, act->lease, &act->job, act->index, &act->given);
}

static void do_run(struct worker *w, const struct act *act)
{
	errand_run(&w->errands, act->lease);
}

/* The results are the outbox's once they are on disk; until then the errands keep them. */
static void do_seal(struct worker *w, const struct act *act)
{
	const struct product *products[AGENT_BATCH_MAX];
	struct err e;

	for (size_t i = 0; i < act->n_leases; i++)
		products[i] = errand_product(&w->errands, act->leases[i]);
	if (outbox_put(w->outbox, &act->job, w->self.platform_class, w->self.agent, products, act->n_leases, &e)) {
		log_error("%zu results cannot be written and wait in memory: %s", act->n_leases, e.msg);
		for (size_t i = 0; i < act->n_leases; i++)
			agent_unsealed(&w->agent, act->leases[i], clock_mono_ms());
		return;
	}
	for (size_t i = 0; i < act->n_leases; i++)
		errand_done(&w->errands, act->leases[i]);
}

static void do_ask(struct worker *w, const struct act *act)
{
	struct err e;

	if (talk_ask(w->talk, act->ask, &e)) {
		log_debug("%s", e.msg);
		agent_unheard(&w->agent, false, 0, clock_mono_ms());
	}
}

static void do_exit(struct worker *w, const struct act *act)
{
	(void)act;
	loop_stop(w->loop);
}

typedef void act_fn(struct worker *w, const struct act *act);
static act_fn *const acts[] = {
	[ACT_STOP] = do_stop,
	[ACT_SEAL] = do_seal,
	[ACT_RUN] = do_run,
	[ACT_FETCH] = do_fetch,
	[ACT_ASK] = do_ask,
	[ACT_EXIT] = do_exit,
};

static void drive(void *arg)
{
	struct worker *w = arg;
	struct act act;

	agent_outbox(&w->agent, outbox_count(w->outbox), clock_mono_ms());
	while (agent_next(&w->agent, &act, clock_mono_ms())) {
		acts[act.kind](w, &act);
		agent_outbox(&w->agent, outbox_count(w->outbox), clock_mono_ms());
	}
	timer_in(w->wake, agent_wake(&w->agent, clock_mono_ms()));
}

/* --- telling: the coordinator ---------------------------------------------------------------------------- */

static void note_leases(struct worker *w)
{
	char ids[AGENT_TASKS_MAX][LEASE_HEX + 1];
	size_t n = 0;

	for (size_t i = 0; i < AGENT_TASKS_MAX; i++)
		if (w->agent.tasks[i].state != TASK_NONE)
			memcpy(ids[n++], w->agent.tasks[i].lease, LEASE_HEX + 1);
	notes_save_leases(&w->notes, ids[0], LEASE_HEX + 1, n);
}

static void on_heard(void *arg, const struct agent_answer *answer)
{
	struct worker *w = arg;
	bool silent = w->agent.silent_ms != 0;

	if (w->complained)
		log_info("the coordinator answers");
	w->complained = false;
	claims_heard(w->claims);
	agent_heard(&w->agent, answer, clock_mono_ms());
	if (answer->n_leases)
		note_leases(w);
	if (silent) {
		outbox_hurry(w->outbox);
		cache_hurry(w->cache);
		book_hurry(w->book);
		if (w->carry)
			carry_hurry(w->carry);
		gossip_hurry(w->gossip);
	}
	turn_end_ask(w->turn);
}

static void on_unheard(void *arg, bool anew, int64_t retry_ms, bool other, const struct err *e)
{
	struct worker *w = arg;
	bool refused = e->code == ERR_REFUSED || e->code == ERR_BANNED;

	agent_unheard(&w->agent, anew, retry_ms, clock_mono_ms());
	if (other && e->code == ERR_UNREACHABLE)
		agent_nudge(&w->agent, clock_mono_ms());
	snprintf(w->agent.refusal, sizeof(w->agent.refusal), "%.159s", refused ? e->msg : "");
	if (!w->complained && w->agent.silent_ms) {
		log_warn("no answer from the coordinator: %s; trying again until there is one", e->msg);
		w->complained = true;
	}
	turn_end_ask(w->turn);
}

static void say_ready(struct worker *w)
{
	char id[ID_TEXT + 1];

	if (w->ready || !w->home.known)
		return;
	id_text(id, key_id(w->key));
	printf("ready %s %s\n", id, w->link);
	fflush(stdout);
	w->ready = true;
}

static void on_learned(void *arg)
{
	struct worker *w = arg;

	port_link(w);
	gossip_learned(w->gossip);
	if (!w->ready)
		agent_nudge(&w->agent, clock_mono_ms());
	say_ready(w);
	turn_end_ask(w->turn);
}

/* --- telling: the peers ------------------------------------------------------------------------------------- */

/* Ask at once, and not all in the same moment. */
static void on_job_heard(void *arg)
{
	struct worker *w = arg;

	if (!timer_is_on(w->nudge))
		timer_in(w->nudge, (int64_t)(random_seed() % NUDGE_MS));
}

static void on_nudge(void *arg)
{
	struct worker *w = arg;

	agent_hint(&w->agent, clock_mono_ms());
	turn_end_ask(w->turn);
}

static void on_cancel_heard(void *arg, const struct digest *job)
{
	struct worker *w = arg;

	agent_cancelled(&w->agent, job, clock_mono_ms());
	turn_end_ask(w->turn);
}

static void on_peers(void *arg)
{
	struct worker *w = arg;

	home_relays_changed(&w->home);
}

static void on_learned_by_peer(void *arg)
{
	struct worker *w = arg;

	port_link(w);
	agent_nudge(&w->agent, clock_mono_ms());
	say_ready(w);
	turn_end_ask(w->turn);
}

/* --- telling: errands and the outbox ------------------------------------------------------------------------ */

static void on_fetched(void *arg, const char *lease, int threads, int64_t memory_mib)
{
	struct worker *w = arg;

	agent_fetched(&w->agent, lease, threads, memory_mib, clock_mono_ms());
	turn_end_ask(w->turn);
}

static void on_failed(void *arg, const char *lease, const char *why, bool full)
{
	struct worker *w = arg;

	if (full && w->agent.full_ms < clock_mono_ms())
		log_error("the disk, or what --disk allows, is full: no new work until there is room");
	agent_failed(&w->agent, lease, why, full, clock_mono_ms());
	turn_end_ask(w->turn);
}

static void on_exited(void *arg, const char *lease, const struct agent_exit *x)
{
	struct worker *w = arg;

	agent_exited(&w->agent, lease, x, clock_mono_ms());
	turn_end_ask(w->turn);
}

static void on_stopped(void *arg, const char *lease)
{
	struct worker *w = arg;

	agent_stopped(&w->agent, lease, clock_mono_ms());
	turn_end_ask(w->turn);
}

static void on_over(void *arg, const char *lease)
{
	struct worker *w = arg;

	agent_acked(&w->agent, lease, clock_mono_ms());
	turn_end_ask(w->turn);
}

static void on_claim(void *arg)
{
	struct worker *w = arg;

	agent_news(&w->agent);
	turn_end_ask(w->turn);
}

static bool on_needed(void *arg, const struct digest *output)
{
	const struct worker *w = arg;

	return errands_need(&w->errands, output);
}

/* --- opening --------------------------------------------------------------------------------------------------- */

void worker_know_box(struct worker *w)
{
	if (!w->images)
		w->images = place_new(w->conf.dir, &w->images_away);
	ability_ask(&w->ability, w->conf.sandbox);
	ability_image(&w->ability, w->images, w->conf.image_tool);
	w->self.bits = w->ability.bits;
	w->self.profiles = ability_profiles(&w->ability) & w->conf.terms.profiles;
	if (!w->ability.compute)
		log_error("the box does not work here, so no task will come; `talkoot-worker check` says why");
	else if (!w->ability.files)
		log_warn("the box works for profile compute only; `talkoot-worker check` says why");
	else if (!w->ability.image)
		log_warn("the box does not work for profile image%s%s", *w->ability.no_image ? ": " : "", w->ability.no_image);
	if (w->ability.files && w->conf.terms.bits & ~w->ability.bits) {
		auto_free char *words = words_text(job_bit_words, w->conf.terms.bits & ~w->ability.bits);

		log_warn("--bits allows %s, which the box cannot give here; `talkoot-worker check` says why", words);
	}
}

static void know_self(struct worker *w)
{
	struct talk_self *s = &w->self;

	s->slots = (int)w->conf.slots;
	s->cpus = host_cpus();
	s->memory_mib = w->conf.memory_mib;
	s->disk_mib = w->conf.disk_mib;
	s->platform = platform_here();
	s->platform_class = host_platform_class();
	s->terms = &w->conf.terms;
	s->claims = w->claims;
	s->relays = w->relay != NULL;
	s->agent = AGENT_NAME;
	s->address = w->address[0] ? w->address : NULL;
	s->local = &w->local;
}

/* A child that a killed worker had just started holds the lock until its first steps are done. */
static int lock_soon(int fd)
{
	const struct timespec pause = { 0, LOCK_PAUSE_MS * 1000000L };

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (!flock(fd, LOCK_EX | LOCK_NB))
			return 0;
		if (errno != EWOULDBLOCK)
			return -1;
		nanosleep(&pause, NULL);
	}
	errno = EWOULDBLOCK;
	return -1;
}

static int lock_dir(struct worker *w, struct err *e)
{
	auto_free char *path = xprintf("%s/lock", w->conf.dir);

	/* Root's boxes are nobody's, who has to get to DIR/images by its path; all else there is closed by itself. */
	if (make_dirs(w->conf.dir, geteuid() ? 0700 : 0711, e))
		return err_wrap(e, "--data");
	w->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (w->lock < 0)
		return err_sys(e, "opening %s", path);
	if (!lock_soon(w->lock))
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(e, ERR_CONFLICT, "another worker runs on %s", w->conf.dir);
	return err_sys(e, "locking %s", path);
}

static int open_identity(struct worker *w, struct err *e)
{
	auto_free char *path = xprintf("%s/identity.key", w->conf.dir);

	return key_load_or_make(&w->key, path, NULL, e) || home_open(&w->home, w->conf.dir, &w->conf.join, e) ||
			notes_open(&w->notes, w->conf.dir, e) ?
		-1 :
		0;
}

static int open_stores(struct worker *w, struct err *e)
{
	auto_free char *blobs = xprintf("%s/blobs", w->conf.dir);
	auto_free char *outbox = xprintf("%s/outbox", w->conf.dir);
	struct outbox_fns fns = { .over = on_over, .needed = on_needed, .arg = w };

	if (cache_new(&w->cache, blobs, w->conf.disk_mib * MIB, w->loop, w->fetcher, &w->home, e))
		return -1;
	w->book = book_new(w->loop, w->fetcher, &w->home, w->cache);
	return outbox_open(&w->outbox, outbox, w->loop, w->fetcher, &w->home, w->key, &fns, e);
}

static int open_errands(struct worker *w, struct err *e)
{
	w->errands = (struct errands){ .loop = w->loop, .terms = &w->conf.terms, .book = w->book, .cache = w->cache,
		.outputs = outbox_blobs(w->outbox), .sandbox = w->conf.sandbox, .own_sandbox = w->conf.own_sandbox, .guard = w->guard.fd,
		.ability = &w->ability, .local = &w->local, .image_tool = w->conf.image_tool, .images_dir = w->images,
		.disk_mib = w->conf.disk_mib, .fetched = on_fetched, .failed = on_failed, .exited = on_exited,
		.stopped = on_stopped, .arg = w };
	w->claims = claims_new(w->loop, w->fetcher, &w->home, w->key, cache_blobs(w->cache), on_claim, w);
	w->errands.resume = (struct resume_of){ .loop = w->loop, .saved = &w->saved, .claims = w->claims, .blobs = cache_blobs(w->cache) };
	w->errands.dir = xprintf("%s/tasks", w->conf.dir);
	auto_free char *checkpoints = xprintf("%s/checkpoints", w->conf.dir);
	if (saved_open(&w->saved, checkpoints, w->conf.disk_mib * MIB / CHECKPOINTS_SHARE, e))
		return -1;
	return errands_open(&w->errands, e);
}

/* What the process before this one held and did not finish would otherwise wait for its expiry. */
static void give_back_old(void *arg, const char *lease)
{
	struct worker *w = arg;

	if (!outbox_has(w->outbox, lease))
		agent_give_back(&w->agent, lease, "the worker was restarted");
}

static void open_agent(struct worker *w)
{
	struct agent_limits limits = { .slots = (int)w->conf.slots, .memory_mib = w->conf.memory_mib,
		.exit_idle_ms = w->conf.exit_idle_ms };
	struct talk_fns fns = { .heard = on_heard, .unheard = on_unheard, .arg = w };

	agent_init(&w->agent, &limits, random_seed(), clock_mono_ms());
	notes_each_lease(&w->notes, give_back_old, w);
	w->talk = talk_new(w->fetcher, &w->home, &w->notes, w->key, &w->self, &fns);
	w->turn = turn_end_new(w->loop, drive, w);
	w->wake = timer_new(w->loop, drive, w);
	struct gossip_fns heard = { .job = on_job_heard, .cancel = on_cancel_heard, .learned = on_learned_by_peer,
		.peers = on_peers, .arg = w };
	w->nudge = timer_new(w->loop, on_nudge, w);
	w->gossip = gossip_new(w->conf.dir, w->loop, w->fetcher, &w->home, w->key, &w->self, &heard);
	book_ask_first(w->book, gossip_job, w->gossip);
	if (w->serve)
		serve_gossip(w->serve, w->gossip);
	struct sources sources = gossip_sources(w->gossip);
	port_announce(w);
	cache_know(w->cache, key_id(w->key), w->self.address, &sources, w->conf.upload_kib);
	home_set_relays(&w->home, &(struct relays){ gossip_relays, w->gossip });
	w->joining = join_new(w->loop, w->fetcher, &w->home, on_learned, w);
}

static int worker_open(struct worker *w, struct err *e)
{
	if (lock_dir(w, e) || local_read(&w->local, &w->conf.allow_local, &w->conf.local_for, w->conf.dir, e) ||
		guard_start(&w->guard, e) || open_identity(w, e) || loop_new(&w->loop, e) || fetcher_new(&w->fetcher, w->loop, e))
		return -1;
	worker_know_box(w);
	if (open_stores(w, e) || open_errands(w, e) || port_open(w, e))
		return -1;
	know_self(w);
	open_agent(w);
	return outside_open(w, e) || owner_open(w, e) ? -1 : 0;
}

static void worker_close(struct worker *w)
{
	if (w->talk && !w->agent.n_returns && agent_count(&w->agent, TASK_NONE) == AGENT_TASKS_MAX)
		note_leases(w); /* none: nothing to give back at the next start */
	control_free(w->control);
	gossip_free(w->gossip);
	timer_free(w->nudge);
	timer_free(w->announce);
	relay_free(w->relay);
	serve_free(w->serve);
	outside_close(w);
	carry_close(w->carry);
	join_free(w->joining);
	errands_close(&w->errands);
	free((char *)(uintptr_t)w->errands.dir);
	if (w->images && w->images_away)
		place_leave(w->images);
	free(TAKE(w->images));
	saved_close(&w->saved);
	claims_free(w->claims);
	outbox_close(w->outbox);
	book_free(w->book);
	cache_free(w->cache);
	talk_free(w->talk);
	timer_free(w->wake);
	if (w->turn)
		turn_end_free(w->turn);
	if (w->fetcher)
		fetcher_free(w->fetcher);
	if (w->loop)
		loop_free(w->loop);
	notes_close(&w->notes);
	home_close(&w->home);
	key_free(w->key);
	local_release(&w->local);
	guard_stop(&w->guard);
	if (w->lock >= 0)
		close(w->lock);
}

int worker_run(const struct worker_conf *conf, struct err *e)
{
	struct worker *w = xcalloc(1, sizeof(*w));
	int bad;

	w->conf = *conf;
	w->lock = w->guard.fd = -1;
	if (geteuid() == 0)
		log_warn("running as root: an ordinary user is enough, and safer");
	signal(SIGPIPE, SIG_IGN);
	bad = worker_open(w, e);
	if (!bad) {
		port_link(w);
		say_ready(w);
		turn_end_ask(w->turn);
		loop_run(w->loop);
		log_info("ended; %zu result envelopes wait for the next start", outbox_count(w->outbox));
	}
	worker_close(w);
	free(w);
	return bad;
}
