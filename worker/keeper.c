/* SPDX-License-Identifier: Apache-2.0
 *
 * keeper.c: keep.h's acts, done over a wire (wire.h).
 *
 * Whatever happens is told to `keep`, and drive() does what follows at the end of the turn.
 */
#include "worker/keeper.h"
#include "worker/keep.h"
#include "worker/wire.h"
#include "common/clock.h"
#include "common/log.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAYS_AT_ONCE 64 /* of its answers, then others have their turn */

struct lodger {
	uint32_t id;       /* 0: a free entry */
	struct line *line; /* until it is sent */
	int64_t since_ms;  /* sent */
	keeper_fn *fn;     /* NULL: forgotten */
	void *arg;
};

struct keeper {
	struct loop *loop;
	const char *sandbox;
	enum box_profile profile;
	struct keep keep;
	bool holds; /* its boxes stand still */
	struct lodger lodgers[KEEP_LODGERS_MAX];
	struct packet packet;
	struct wire wire;
	struct watch *on_sock, *on_complaints;
	struct turn_end *turn;
	struct timer *wake;
};

static const char *name_of(const struct keeper *k)
{
	static const char *const names[] = BOX_PROFILE_NAMES;

	return names[k->profile];
}

/* --- lodgers ----------------------------------------------------------------------------------------------- */

static struct lodger *find(struct keeper *k, uint32_t id)
{
	for (size_t i = 0; i < KEEP_LODGERS_MAX; i++)
		if (k->lodgers[i].id == id)
			return &k->lodgers[i];
	return NULL;
}

static void out(struct keeper *k, uint32_t id, const char *why)
{
	struct lodger *at = find(k, id), l;

	if (!id || !at)
		return;
	l = *at;
	*at = (struct lodger){ 0 };
	line_free(l.line);
	if (l.fn)
		l.fn(l.arg, why);
}

uint32_t keeper_ask(struct keeper *k, struct line *line, keeper_fn *fn, void *arg)
{
	struct lodger *l = find(k, 0);
	uint32_t id = l ? keep_add(&k->keep) : 0;

	if (id) {
		*l = (struct lodger){ .id = id, .line = line, .fn = fn, .arg = arg };
		turn_end_ask(k->turn);
	}
	return id;
}

void keeper_kill(struct keeper *k, uint32_t id)
{
	if (keep_stop(&k->keep, id, clock_mono_ms()))
		out(k, id, "it was stopped before it began");
	turn_end_ask(k->turn);
}

void keeper_forget(struct keeper *k, uint32_t id)
{
	struct lodger *l = id ? find(k, id) : NULL;

	if (!l)
		return;
	l->fn = NULL;
	keeper_kill(k, id);
}

/* A packet that finds no room is lost: the box then runs on until the next word. */
static void bid_stand(struct keeper *k, uint32_t id)
{
	packet_ask(&k->packet, k->holds ? BOX_ASK_HOLD : BOX_ASK_GO_ON, id, NULL);
	if (wire_post(&k->wire, &k->packet, NULL, 0) != WIRED)
		log_warn("a box could not be told to %s", k->holds ? "stand still" : "go on");
}

void keeper_hold(struct keeper *k, bool hold)
{
	k->holds = hold;
	for (size_t i = 0; i < KEEP_LODGERS_MAX; i++)
		if (k->lodgers[i].id && keep_is_in(&k->keep, k->lodgers[i].id))
			bid_stand(k, k->lodgers[i].id);
}

int64_t keeper_ran_ms(const struct keeper *k, uint32_t id)
{
	for (size_t i = 0; id && i < KEEP_LODGERS_MAX; i++)
		if (k->lodgers[i].id == id && keep_is_in(&k->keep, id))
			return clock_mono_ms() - k->lodgers[i].since_ms;
	return 0;
}

void keeper_renew(struct keeper *k)
{
	keep_renew(&k->keep, clock_mono_ms());
	turn_end_ask(k->turn);
}

/* --- what it says ------------------------------------------------------------------------------------------ */

static void on_complaint(void *arg)
{
	struct keeper *k = arg;

	if (wire_listen(&k->wire) == WIRED_NOT) /* its end is told otherwise */
		watch_free(TAKE(k->on_complaints));
}

static void take(struct keeper *k, const void *bytes, size_t n)
{
	struct box_say say;

	if (!packet_say(&say, bytes, n)) {
		log_error("the keeper of profile %s says what makes no sense, in %zu bytes",
			name_of(k), n);
		keep_break(&k->keep);
		return;
	}
	switch (keep_hear(&k->keep, &say, clock_mono_ms())) {
	case HEARD_ENDED:
		out(k, say.id, NULL);
		break;
	case HEARD_NONSENSE:
		log_error("the keeper of profile %s speaks of box %u, which it has not", name_of(k),
			say.id);
		break;
	case HEARD_NEWS:
		break;
	}
}

/* One packet. False: there is none now. */
static bool hear(struct keeper *k)
{
	char bytes[sizeof(struct box_say) + 1]; /* one that is too long is seen as that */
	size_t n;

	switch (wire_hear(&k->wire, bytes, sizeof(bytes), &n)) {
	case WIRED:
		take(k, bytes, n);
		return true;
	case WIRED_LATER:
		return false;
	case WIRED_NOT:
		break;
	}
	watch_free(TAKE(k->on_sock));
	keep_break(&k->keep);
	return false;
}

static void on_say(void *arg)
{
	struct keeper *k = arg;

	for (int i = 0; i < SAYS_AT_ONCE && hear(k); i++)
		;
	turn_end_ask(k->turn);
}

/* --- its end ----------------------------------------------------------------------------------------------- */

static char *epitaph(const struct keeper *k, int status)
{
	auto_free char *said = text_safe(k->wire.said, strlen(k->wire.said));

	if (WIFSIGNALED(status))
		return xprintf("the keeper of profile %s was killed by signal %d", name_of(k),
			WTERMSIG(status));
	return xprintf("the keeper of profile %s ended with exit %d%s%s", name_of(k),
		WEXITSTATUS(status), *said ? ": " : "", said);
}

static void lose(struct keeper *k, const char *why)
{
	bool wanted = k->keep.wanted;

	keep_gone(&k->keep, clock_mono_ms());
	if (!wanted)
		log_warn("%s", why);
	for (uint32_t id; (id = keep_lost(&k->keep)) != 0;)
		out(k, id, why);
	turn_end_ask(k->turn);
}

static void unwatch(struct keeper *k)
{
	watch_free(TAKE(k->on_sock));
	watch_free(TAKE(k->on_complaints));
}

/* What it had said before counts. */
static void on_end(void *arg, pid_t pid, int status, const struct rusage *usage)
{
	struct keeper *k = arg;

	(void)pid, (void)usage;
	while (hear(k))
		;
	while (wire_listen(&k->wire) == WIRED)
		;
	unwatch(k);
	wire_shut(&k->wire);
	auto_free char *why = epitaph(k, status);
	lose(k, why);
}

static int start(struct keeper *k, struct err *e)
{
	if (wire_open(&k->wire, k->sandbox, name_of(k), e))
		return -1;
	if (loop_on_child(k->loop, k->wire.pid, on_end, k, e)) {
		wire_end(&k->wire);
		return -1;
	}
	k->on_sock = watch_read(k->loop, k->wire.sock, on_say, k);
	k->on_complaints = watch_read(k->loop, k->wire.complaints, on_complaint, k);
	return 0;
}

/* --- acts -------------------------------------------------------------------------------------------------- */

/* Where it is not sent now, it is sent later, be it to another process. */
static bool post(struct keeper *k, uint32_t id, const int *fds, size_t n)
{
	enum wired how = wire_post(&k->wire, &k->packet, fds, n);

	if (how == WIRED_NOT)
		keep_break(&k->keep);
	if (how != WIRED)
		keep_full(&k->keep, id, clock_mono_ms());
	return how == WIRED;
}

static void do_ask(struct keeper *k, uint32_t id)
{
	struct lodger *l = find(k, id);
	int fds[LINE_FILES_MAX];
	struct err e;
	size_t n;

	assert(l && l->line);
	if (line_open(l->line, fds, &n, &e)) {
		keep_drop(&k->keep, id, clock_mono_ms());
		out(k, id, e.msg);
		return;
	}
	packet_ask(&k->packet, BOX_ASK_RUN, id, l->line->argv + 1);
	if (post(k, id, fds, n)) {
		line_free(TAKE(l->line));
		l->since_ms = clock_mono_ms();
		if (k->holds)
			bid_stand(k, id);
	}
	while (n)
		close(fds[--n]);
}

static void do_kill(struct keeper *k, uint32_t id)
{
	packet_ask(&k->packet, BOX_ASK_KILL, id, NULL);
	post(k, id, NULL, 0);
}

static void do_start(struct keeper *k, uint32_t id)
{
	struct err e;

	(void)id;
	if (!start(k, &e))
		return;
	auto_free char *why =
		xprintf("the keeper of profile %s cannot be started: %s", name_of(k), e.msg);
	lose(k, why);
}

static void do_end(struct keeper *k, uint32_t id)
{
	(void)id;
	if (!k->keep.wanted)
		log_warn("the keeper of profile %s does not answer as it should and is ended",
			name_of(k));
	kill(k->wire.pid, SIGTERM);
}

static void do_force(struct keeper *k, uint32_t id)
{
	(void)id;
	kill(-k->wire.pid, SIGKILL);
}

typedef void act_fn(struct keeper *k, uint32_t id);
static act_fn *const acts[] = {
	[KEEP_START] = do_start,
	[KEEP_ASK] = do_ask,
	[KEEP_KILL] = do_kill,
	[KEEP_END] = do_end,
	[KEEP_FORCE] = do_force,
};

static void drive(void *arg)
{
	struct keeper *k = arg;
	enum keep_act act;
	uint32_t id = 0;
	int64_t ms;

	while ((act = keep_next(&k->keep, &id, clock_mono_ms())) != KEEP_NOTHING)
		acts[act](k, id);
	ms = keep_wake(&k->keep, clock_mono_ms());
	if (ms < 0)
		timer_off(k->wake);
	else
		timer_in(k->wake, ms);
}

/* --- the whole --------------------------------------------------------------------------------------------- */

struct keeper *keeper_new(struct loop *l, int guard, const char *sandbox, enum box_profile profile)
{
	struct keeper *k = xcalloc(1, sizeof(*k));

	k->loop = l;
	k->sandbox = sandbox;
	k->profile = profile;
	wire_init(&k->wire, guard);
	k->turn = turn_end_new(l, drive, k);
	k->wake = timer_new(l, drive, k);
	keep_init(&k->keep, random_seed());
	return k;
}

void keeper_end(struct keeper *k)
{
	if (!k)
		return;
	unwatch(k);
	wire_end(&k->wire);
	for (size_t i = 0; i < KEEP_LODGERS_MAX; i++) {
		line_free(TAKE(k->lodgers[i].line));
		k->lodgers[i] = (struct lodger){ 0 };
	}
}

void keeper_free(struct keeper *k)
{
	if (!k)
		return;
	keeper_end(k);
	turn_end_free(k->turn);
	timer_free(k->wake);
	free(k);
}
