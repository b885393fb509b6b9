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

#include "sandbox/plan.h"
#include "sandbox/pour.h"
#include "sandbox/space.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_US 20000       /* how far a young box may run past a limit before it is seen */
#define LOOK_LATER_US 50000 /* an old one: looking costs the volunteer */
#define YOUNG_US 2000000
#define GRACE_US 2000000 /* for the init to kill, count and answer */
#define STUCK_US                                                                                   \
	5000000 /* for a reader of an ended box's output, when a limit or a signal ended it */

/* Beyond the program's own memory: what the kernel keeps for its processes. */
#define CGROUP_ROOM_MIB 8

enum { AT_SOCK, AT_OUT, AT_ERR };

struct watch {
	struct place *place;
	const struct spec *spec; /* NULL: it stands by */
	const struct given *given;
	struct plan *plan;
	struct guess guess; /* what it is made for; its descriptor is another's */
	struct limit_cgroup cgroup;
	struct ending end;
	pid_t init;           /* 0: reaped */
	int sock, work;       /* -1: none */
	int told;             /* the socket, once the init has told its end; -1 */
	int out_end, err_end; /* the program's ends of its streams; -1: given */
	struct pour out, err;
	int64_t output_left;
	int64_t start, next_look, kill_at, give_up_at; /* microseconds; 0: not set */
	int64_t held_at, held_us;                      /* since when; how long before that */
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

/* Files in a tmpfs are memory too, and so are inputs that had to be copied. */
static int64_t cgroup_bytes(const struct spec *s, const struct given *g)
{
	int64_t bytes = (s->limits.memory_mib + CGROUP_ROOM_MIB) * 1048576;
	struct stat st;

	if (s->profile == BOX_COMPUTE)
		return bytes;
	for (size_t i = 0; g->was_root && i < g->n_inputs; i++)
		bytes += fstat(g->inputs[i], &st) == 0 ? st.st_size : 0;
	return bytes + s->limits.disk_mib * 1048576;
}

static int send_fds(int sock, const int *fds, size_t n, struct why *w)
{
	char word = PLAN_GO;
	struct iovec iov = { &word, 1 };
	union {
		char room[CMSG_SPACE(PLAN_INPUTS_AT_ONCE * sizeof(int))];
		struct cmsghdr align;
	} c;
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = c.room,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)) };
	struct cmsghdr *h;

	memset(&c, 0, CMSG_SPACE(n * sizeof(int)));
	h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(h), fds, n * sizeof(int));
	return sendmsg(sock, &m, MSG_NOSIGNAL) == 1 ? 0 : why_sys(w, "telling the init");
}

static int send_task(struct watch *k, struct why *w)
{
	const struct given *g = k->given;
	int procs = k->cgroup.procs >= 0 ? k->cgroup.procs : k->place->null;
	const int first[PLAN_N_FDS] = { g->in, k->out_end, k->err_end, g->program, procs };

	if (send_fds(k->sock, first, PLAN_N_FDS, w))
		return -1;
	for (size_t at = 0; k->spec->profile != BOX_COMPUTE && at < g->n_inputs;) {
		size_t n = g->n_inputs - at;

		if (n > PLAN_INPUTS_AT_ONCE)
			n = PLAN_INPUTS_AT_ONCE;
		if (send_fds(k->sock, g->inputs + at, n, w))
			return -1;
		at += n;
	}
	return 0;
}

static int give(struct watch *k, struct why *w)
{
	if (plan_fill(k->plan, k->spec, k->given, w))
		return -1;
	if (k->cgroup.dir < 0)
		limit_cgroup_make(&k->cgroup, &k->place->cgroups);
	limit_cgroup_set(&k->cgroup, cgroup_bytes(k->spec, k->given));
	k->plan->has_procs = k->cgroup.procs >= 0;
	pour_init(&k->out, k->out.from, k->given->out);
	pour_init(&k->err, k->err.from, k->given->err);
	k->start = now_us();
	k->next_look = k->start + LOOK_US;
	return send_task(k, w);
}

/* --- ending ---------------------------------------------------------------------------------------- */

/* Tell the init that it is enough; the first reason counts. */
static void stop(struct watch *k)
{
	const char end = PLAN_END;

	if (k->kill_at)
		return;
	k->kill_at = now_us() + GRACE_US;
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

/* --- holding --------------------------------------------------------------------------------------- */

void watch_hold(struct watch *k, bool hold)
{
	if (hold == (k->held_at != 0) || !k->spec || k->sock < 0)
		return;
	if (hold) {
		k->held_at = now_us();
		if (!limit_cgroup_freeze(&k->cgroup, true))
			(void)limit_hold(k->place->proc, k->init);
		return;
	}
	k->held_us += now_us() - k->held_at;
	k->held_at = 0;
	if (!limit_cgroup_freeze(&k->cgroup, false))
		limit_release(k->place->proc, k->init);
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
}

static int hear(int sock, char *word, int *fd)
{
	struct iovec iov = { word, 1 };
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} c = { { 0 } };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = c.room,
		.msg_controllen = sizeof(c.room) };
	const struct cmsghdr *h;
	ssize_t got;

	*fd = -1;
	/* ECONNRESET comes once, when the other side ended without having read our last word; what
	 * it had sent before comes after that. */
	do {
		got = recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (got < 0 && (errno == EINTR || errno == ECONNRESET));
	h = got > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(h), sizeof(*fd));
	return (int)got;
}

static void on_word(struct watch *k)
{
	char word = 0;
	int fd, got = hear(k->sock, &word, &fd);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got == 1 && word == PLAN_READY && fd >= 0 && k->work < 0) {
		k->work = fd;
		return;
	}
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

static void look(struct watch *k)
{
	const struct box_limits *l = &k->spec->limits;
	struct ending *e = &k->end;
	enum box_reason beyond;
	struct limit_use u;

	limit_look(&u, k->place->proc, k->init, l->memory_mib * 1024);
	if (u.cpu_us > e->cpu_us)
		e->cpu_us = u.cpu_us;
	if (u.memory_kib > e->rss_kib)
		e->rss_kib = u.memory_kib;
	beyond = limit_judge(&u, l);
	if (beyond == BOX_REASON_EXITED && limit_cgroup_starved(&k->cgroup))
		beyond = BOX_REASON_MEMORY;
	if (beyond == BOX_REASON_EXITED && space_full(k->work, l->disk_mib))
		beyond = BOX_REASON_DISK;
	if (beyond == BOX_REASON_EXITED && wall_us(k) > l->wall_s * 1000000)
		beyond = BOX_REASON_WALL;
	if (beyond != BOX_REASON_EXITED)
		stop_for(k, beyond);
	else if (k->held_at && !limit_cgroup_freeze(&k->cgroup, true))
		(void)limit_hold(k->place->proc, k->init); /* one may have woken another */
}

static void on_time(struct watch *k)
{
	int64_t now = now_us();

	if (k->sock >= 0 && now >= k->next_look) {
		look(k);
		k->next_look = now_us() + (now - k->start < YOUNG_US ? LOOK_US : LOOK_LATER_US);
	}
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

void watch_leave(struct watch *k)
{
	shut(&k->told);
}

void watch_return(struct watch *k)
{
	if (k->end.known) /* all else of it is dead */
		limit_cgroup_drop(&k->cgroup);
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
	e->layers = k->plan->told.layers | (k->plan->told.started ? BOX_ALWAYS : 0);
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
	pour_stop(&k->out);
	pour_stop(&k->err);
	shut(&k->sock);
	shut(&k->told);
	shut(&k->work);
	shut(&k->out_end);
	shut(&k->err_end);
	limit_cgroup_drop(&k->cgroup);
	plan_free(k->plan);
	free(k);
}
