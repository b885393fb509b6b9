/* SPDX-License-Identifier: Apache-2.0
 *
 * watch.c: see watch.h. What can happen to a box:
 *
 *	the init's word           it is ready, it ended
 *	the program's two streams counted and passed on
 *	every 20 ms, later 50     look what it uses; is its time up?
 *
 * A limit is told to the init, which kills and counts; when it does not answer within GRACE it is
 * killed itself, and the kernel ends all of the box with it. It is over when the init has told its
 * end, or is gone, and both streams are empty.
 */
#include "sandbox/watch.h"

#include "sandbox/errand.h"
#include "sandbox/meter.h"
#include "sandbox/plan.h"
#include "sandbox/pour.h"
#include "sandbox/proc.h"
#include "sandbox/snap.h"
#include "sandbox/space.h"
#include "sandbox/talk.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_US 20000       /* how far a young box may run past a limit before it is seen */
#define LOOK_SOON_US 5000   /* one that gets its cgroup then; most no-ops have ended */
#define LOOK_LATER_US 50000 /* an old one: looking costs the volunteer */
#define YOUNG_US 2000000
#define YIELD_US 500000
#define GRACE_US 2000000 /* for the init to kill, count and answer */
#define STUCK_US                                                                                   \
	5000000 /* for a reader of an ended box's output, when a limit or a signal ended it */

enum { AT_SOCK, AT_OUT, AT_ERR };

struct watch {
	struct place *place;
	const struct spec *spec; /* NULL: it stands by */
	const struct given *given;
	struct plan *plan;
	struct guess guess; /* what it is made for; its descriptor is another's */
	struct limit_cgroup cgroup;
	struct meter meter;
	struct snap snap;
	struct ending end;
	pid_t init;           /* 0: reaped */
	int sock, work;       /* -1: none */
	int told;             /* the socket, once the init has told its end; -1 */
	int out_end, err_end; /* the program's ends of its streams; -1: given */
	struct pour out, err;
	int64_t output_left;
	int64_t start, next_look, kill_at, give_up_at; /* microseconds; 0: not set */
	int64_t held_at, held_us;                      /* since when; how long before that */
	int64_t next_yield; /* when to see that it lets others go first */
};

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Running time: what it was stopped for does not count. */
static int64_t wall_us(const struct watch *k)
{
	int64_t now = now_us(), held = k->held_us + (k->held_at ? now - k->held_at : 0);

	return now - k->start - held;
}

/* --- starting ------------------------------------------------------------------------------------- */

static int make_streams(struct watch *k, struct why *w)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return why_sys(w, "making pipes");
	k->out.from = ends[0];
	k->out_end = ends[1];
	if (pipe2(ends, O_CLOEXEC))
		return why_sys(w, "making pipes");
	k->err.from = ends[0];
	k->err_end = ends[1];
	return 0;
}

/* Beside a /proc a pipe of ours could be opened anew and be read: what is taken out of it between our looking and
 * our reading would hold us up. A socket cannot be opened at all, and this one goes one way. */
static int make_socket(int *from, int *end, struct why *w)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return why_sys(w, "making a socket");
	close(*from);
	close(*end);
	*from = ends[0];
	*end = ends[1];
	return shutdown(ends[1], SHUT_RD) ? why_sys(w, "making a socket") : 0;
}

static void expect(struct watch *k, const struct guess *guess)
{
	k->guess = *guess;
	plan_expect(k->plan, guess);
	limit_cgroup_make(&k->cgroup, &k->place->cgroups);
	k->plan->procs = k->cgroup.procs;
}

static int make_init(struct watch *k, const struct guess *guess, struct why *w)
{
	struct door *door = NULL;
	int ends[2], theirs;

	k->plan = plan_new();
	if (!k->plan)
		return why_sys(w, "making a box");
	k->plan->profile = k->place->profile;
	if (guess && guess->made)
		expect(k, guess);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return why_sys(w, "making a socket");
	k->sock = ends[0];
	k->plan->sock = theirs = fcntl(ends[1], F_DUPFD_CLOEXEC, PLACE_FD_AWAY);
	close(ends[1]);
	if (theirs < 0)
		return why_sys(w, "making a socket");
	k->plan->proc = k->place->proc;
	k->plan->layers = k->place->layers;
	k->plan->once = k->place->brief;
	k->plan->inherits_name = k->plan->inherits_root = k->place->settled;
	if (k->place->profile != BOX_COMPUTE) {
		door = k->plan->alone && door_is_open(k->place->door) ? k->place->door : NULL;
		k->plan->inherits_root = door != NULL;
	}
	k->init = space_start(k->plan, door, w);
	close(theirs); /* the plan keeps the number: it is the init's now */
	return k->init < 0 ? -1 : 0;
}

struct watch *watch_new(struct place *place, const struct guess *guess, struct why *w)
{
	struct watch *k = calloc(1, sizeof(*k));

	if (!k) {
		why_sys(w, "making a box");
		return NULL;
	}
	k->place = place;
	k->sock = k->work = k->told = k->out.from = k->err.from = k->out_end = k->err_end = -1;
	k->cgroup.dir = k->cgroup.procs = k->cgroup.events = -1;
	if (make_init(k, guess, w) == 0) {
		if (make_streams(k, w) == 0)
			return k;
	} else {
		k->init = 0;
	}
	watch_drop(k);
	return NULL;
}

bool watch_fits(const struct watch *k, const struct guess *task)
{
	return k->sock >= 0 && (!k->plan->ahead || guess_fits(&k->guess, task));
}

static int send_task(struct watch *k, struct why *w)
{
	const struct errand e = { k->sock, k->out_end, k->err_end,
		k->plan->has_procs ? k->cgroup.procs : k->place->null };

	return errand_send(&e, k->plan, k->given, w);
}

static int give(struct watch *k, struct why *w)
{
	if (plan_fill(k->plan, k->spec, k->given, w))
		return -1;
	if (k->spec->bits & BOX_PROC && (make_socket(&k->out.from, &k->out_end, w) ||
						make_socket(&k->err.from, &k->err_end, w)))
		return -1;
	if (k->cgroup.dir < 0 && !k->place->brief)
		limit_cgroup_make(&k->cgroup, &k->place->cgroups);
	limit_cgroup_set(&k->cgroup, errand_bytes(k->spec, k->given));
	k->plan->has_procs = k->cgroup.procs >= 0;
	pour_init(&k->out, k->out.from, k->given->out);
	pour_init(&k->err, k->err.from, k->given->err);
	k->start = now_us();
	k->snap.every_us = k->spec->checkpoint_s * 1000000;
	k->snap.most_bytes = k->spec->limits.max_output_mib * 1048576;
	k->next_look = k->start + (k->place->brief ? LOOK_SOON_US : LOOK_US);
	return send_task(k, w);
}

/* --- ending ---------------------------------------------------------------------------------------- */

/* A program may begin a new session at any time. Once it is to end it is let go first, for only that frees what
 * it holds. */
static void yield(struct watch *k, int64_t now)
{
	bool last = k->spec && k->spec->idle && k->kill_at == 0;

	limit_cgroup_yield(&k->cgroup, last);
	pen_yield(&k->meter.pen, last);
	if (k->spec && k->spec->idle && k->init > 0 && limit_yield(k->place->proc, k->init, last))
		k->next_yield = now + YIELD_US;
}

/* Tell the init that it is enough; the first reason counts. */
static void stop(struct watch *k)
{
	const char end = PLAN_END;

	if (k->kill_at)
		return;
	k->kill_at = now_us() + GRACE_US;
	k->next_yield = 0; /* a refused wish is repeated at each look */
	yield(k, now_us());
	if (k->sock >= 0 && send(k->sock, &end, 1, MSG_NOSIGNAL) != 1)
		k->kill_at = now_us();
}

static void stop_for(struct watch *k, enum box_reason limit)
{
	if (k->end.limit == BOX_REASON_EXITED && !k->end.asked && !k->end.known)
		k->end.limit = limit;
	stop(k);
}

static void fail(struct watch *k, const struct why *w)
{
	if (!k->end.failed)
		k->end.why = *w;
	k->end.failed = true;
	stop(k);
}

int watch_give(struct watch *k, const struct spec *s, const struct given *g)
{
	struct why w;
	int rc;

	k->spec = s;
	k->given = g;
	k->output_left = s->limits.max_output_mib * 1048576;
	k->end.limit = BOX_REASON_EXITED;
	rc = give(k, &w);
	shut(&k->out_end);
	shut(&k->err_end);
	if (rc == 0)
		return 0;
	if (k->plan->told.fault.step != STEP_NONE) /* it broke while it stood by */
		plan_why(k->plan, &w);
	fail(k, &w);
	return -1;
}

void watch_stop(struct watch *k, int signal, bool hurry)
{
	if (!k->end.asked && k->end.limit == BOX_REASON_EXITED && !k->end.known)
		k->end.asked = signal;
	if (hurry)
		k->give_up_at = now_us() + STUCK_US;
	stop(k);
}

static struct meter_of seen_by(struct watch *k)
{
	bool late = k->spec && k->place->brief && !k->meter.looked;

	return (struct meter_of){ k->place->proc, k->init, k->place->profile != BOX_COMPUTE,
		k->spec ? &k->spec->limits : NULL, &k->cgroup, late ? &k->place->cgroups : NULL,
		late ? errand_bytes(k->spec, k->given) : 0,
		k->spec && k->spec->bits & BOX_PROC ? space_names(k->work) : -1 };
}

/* --- holding --------------------------------------------------------------------------------------- */

void watch_hold(struct watch *k, bool hold)
{
	const struct meter_of of = seen_by(k);

	if (hold == (k->held_at != 0) || !k->spec || k->sock < 0)
		return;
	if (hold) {
		k->held_at = now_us();
		meter_hold(&k->meter, &of);
		return;
	}
	k->held_us += now_us() - k->held_at;
	k->held_at = 0;
	meter_release(&k->meter, &of);
}

/* --- what can happen --------------------------------------------------------------------------------- */

/* What the init and the program left in the plan. */
static void on_told(struct watch *k)
{
	const struct told *t = &k->plan->told;
	struct ending *e = &k->end;
	struct why w;

	if (t->fault.step != STEP_NONE) {
		plan_why(k->plan, &w);
		fail(k, &w);
		return;
	}
	e->known = true;
	e->status = t->status;
	e->wall_us = wall_us(k);
	if (t->cpu_us > e->cpu_us)
		e->cpu_us = t->cpu_us;
	if (t->rss_kib > e->rss_kib)
		e->rss_kib = t->rss_kib;
	pour_last(&k->out);
	pour_last(&k->err);
}

static void on_word(struct watch *k)
{
	char word = 0;
	int fd, got;

	/* it may have been made ready, and have ended, since somebody listened */
	while ((got = talk_hear(k->sock, &word, &fd)) == 1 && word == PLAN_READY && fd >= 0 &&
		k->work < 0)
		k->work = fd;
	if (got < 0 && errno == EAGAIN)
		return;
	if (fd >= 0)
		close(fd);
	if (k->spec && (word == PLAN_ENDED || k->plan->told.fault.step != STEP_NONE))
		on_told(k);
	shut(&k->told);
	k->told = k->sock;
	k->sock = -1;
}

static void on_stream(struct watch *k, struct pour *p, short revents)
{
	enum poured rc = pour_move(p, revents, &k->output_left);

	if (rc == POUR_FAILED && !k->end.why.text[0])
		why_sys(&k->end.why, "passing on the output");
	if (rc != POUR_OK) {
		/* even when the program has ended: what it wrote is not all there */
		if (k->end.limit == BOX_REASON_EXITED && !k->end.asked)
			k->end.limit = BOX_REASON_OUTPUT;
		stop(k);
	}
}

/* Which limit it is beyond, or BOX_REASON_EXITED. */
static enum box_reason beyond(struct watch *k, const struct limit_use *u)
{
	const struct box_limits *l = &k->spec->limits;
	enum box_reason reason = limit_judge(u, l);

	if (reason != BOX_REASON_EXITED)
		return reason;
	if (limit_cgroup_starved(&k->cgroup))
		return BOX_REASON_MEMORY;
	if (space_full(k->work, l->disk_mib))
		return BOX_REASON_DISK;
	return wall_us(k) > l->wall_s * 1000000 ? BOX_REASON_WALL : BOX_REASON_EXITED;
}

/* What the init spent on answering a program that asks for chance without end. */
static int64_t answering_us(const struct watch *k)
{
	int64_t us = k->plan->dear && k->init > 0 ? proc_own_us(k->init) : 0;

	return us > k->plan->built_us ? us - k->plan->built_us : 0;
}

static void look(struct watch *k, int64_t now)
{
	const struct meter_of of = seen_by(k);
	struct ending *e = &k->end;
	enum box_reason reason;
	struct limit_use u;

	meter_look(&k->meter, &u, &of, now);
	u.cpu_us += answering_us(k);
	if (u.cpu_us > e->cpu_us)
		e->cpu_us = u.cpu_us;
	if (u.memory_kib > e->rss_kib)
		e->rss_kib = u.memory_kib;
	reason = beyond(k, &u);
	if (reason != BOX_REASON_EXITED)
		stop_for(k, reason);
	else if (k->held_at)
		meter_hold(&k->meter, &of); /* one may have woken another */
}

static void look_when_due(struct watch *k, int64_t now)
{
	int64_t usual = now - k->start < YOUNG_US ? LOOK_US : LOOK_LATER_US;

	if (now < k->next_look)
		return;
	look(k, now);
	if (now >= k->next_yield)
		yield(k, now);
	if (!k->kill_at && !k->held_at)
		snap_turn(&k->snap, k->work, k->given->outputs, now);
	k->next_look = now_us() + meter_pause_us(&k->meter, usual);
}

static void on_time(struct watch *k)
{
	int64_t now = now_us();

	if (k->sock >= 0)
		look_when_due(k, now);
	if (k->sock >= 0 && k->kill_at && now >= k->kill_at) {
		if (k->init > 0)
			kill(k->init, SIGKILL);
		shut(&k->sock);
	}
	if (k->kill_at && k->sock < 0 && !k->give_up_at)
		k->give_up_at = now + STUCK_US;
	if (k->sock < 0 && k->give_up_at && now >= k->give_up_at) {
		pour_stop(&k->out);
		pour_stop(&k->err);
	}
}

bool watch_is_over(const struct watch *k)
{
	return k->sock < 0 && pour_want(&k->out).fd < 0 && pour_want(&k->err).fd < 0;
}

void watch_want(const struct watch *k, struct pollfd fds[WATCH_FDS])
{
	fds[AT_SOCK] = (struct pollfd){ k->sock, POLLIN, 0 };
	fds[AT_OUT] = pour_want(&k->out);
	fds[AT_ERR] = pour_want(&k->err);
}

int64_t watch_due_us(const struct watch *k)
{
	int64_t left;

	if (!k->spec)
		return WATCH_LATER_US;
	left = k->sock >= 0 ? k->next_look - now_us() : STUCK_US / 10;
	return left > 0 ? left : 0;
}

void watch_turn(struct watch *k, const struct pollfd fds[WATCH_FDS])
{
	if (fds[AT_SOCK].revents)
		on_word(k);
	if (fds[AT_OUT].revents)
		on_stream(k, &k->out, fds[AT_OUT].revents);
	if (fds[AT_ERR].revents)
		on_stream(k, &k->err, fds[AT_ERR].revents);
	if (k->spec)
		on_time(k);
}

/* --- after the end ------------------------------------------------------------------------------------ */

pid_t watch_init(const struct watch *k)
{
	return k->init;
}

void watch_reaped(struct watch *k)
{
	k->init = 0;
}

bool watch_helper_reaped(struct watch *k, pid_t child)
{
	return snap_reaped(&k->snap, child);
}

void watch_end_copy(struct watch *k)
{
	snap_end(&k->snap, k->given ? k->given->outputs : -1);
}

void watch_leave(struct watch *k)
{
	shut(&k->told);
}

bool watch_return(struct watch *k)
{
	if (!k->end.known)
		return false;
	meter_drop(&k->meter); /* all else of it is dead */
	limit_cgroup_drop(&k->cgroup);
	return true;
}

struct ending *watch_ending(struct watch *k)
{
	struct ending *e = &k->end;

	if (!k->spec)
		return e;
	if (!e->known && k->start)
		e->wall_us = wall_us(k);
	e->starved = limit_cgroup_starved(&k->cgroup);
	e->full = space_full(k->work, k->spec->limits.disk_mib);
	e->bits = k->spec->bits;
	e->layers = k->plan->told.layers | (k->plan->told.started ? BOX_ALWAYS : 0);
	if (k->place->brief && k->cgroup.dir >= 0)
		e->layers |= BOX_BIT(CGROUP);
	return e;
}

void watch_collect(struct watch *k)
{
	struct ending *e = &k->end;
	int64_t most = k->spec->limits.disk_mib * 1048576;
	int out;

	if (k->work < 0 || k->given->outputs < 0 || e->failed)
		return;
	out = openat(k->work, "out", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (out < 0 || collect_take(&e->out, out, k->given->outputs, most, &e->why))
		e->limit = e->limit == BOX_REASON_EXITED ? BOX_REASON_DISK : e->limit;
	shut(&out);
}

void watch_drop(struct watch *k)
{
	if (!k)
		return;
	if (k->init > 0) {
		kill(k->init, SIGKILL);
		while (waitpid(k->init, NULL, 0) < 0 && errno == EINTR)
			;
	}
	snap_end(&k->snap, -1);
	pour_stop(&k->out);
	pour_stop(&k->err);
	shut(&k->sock);
	shut(&k->told);
	shut(&k->work);
	meter_drop(&k->meter);
	shut(&k->out_end);
	shut(&k->err_end);
	limit_cgroup_drop(&k->cgroup);
	plan_free(k->plan);
	free(k);
}
