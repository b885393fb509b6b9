/* SPDX-License-Identifier: Apache-2.0
 *
 * watch.c: see watch.h. One loop over everything that can happen:
 *
 *	the init's notes          it is ready, it failed, it ended
 *	the program's two streams counted and passed on
 *	SIGTERM, SIGINT, SIGHUP   end the box and report
 *	every 20 ms               look what it uses; is its time up?
 *
 * A limit is told to the init, which kills and counts; when it does not answer within GRACE it is
 * killed itself, and the kernel ends all of the box with it. The loop is over when the
 * init is gone and both streams are empty.
 */
#include "sandbox/watch.h"

#include "sandbox/pour.h"
#include "sandbox/reap.h"
#include "sandbox/space.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_US 20000    /* how far a box may run past a limit before it is seen */
#define GRACE_US 2000000 /* for the init to kill, count and answer */
#define STUCK_US                                                                                   \
	5000000 /* for a reader of an ended box's output, when a limit or a signal ended it */

enum { AT_SOCK, AT_SIGNALS, AT_OUT, AT_ERR, N_AT };

struct watch {
	const struct spec *spec;
	const struct given *given;
	struct limit_cgroup *cgroup;
	struct ending *end;
	pid_t init;
	int sock, signals, work; /* -1: none */
	struct pour out, err;
	int64_t output_left;
	int64_t start, next_look, kill_at, give_up_at; /* microseconds; 0: not set */
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

/* --- starting ------------------------------------------------------------------------------ */

/* What the child needs and what we keep. */
struct ends {
	int sock[2], out[2], err[2];
};

static int make_ends(struct ends *x, struct why *w)
{
	memset(x, -1, sizeof(*x));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, x->sock) ||
		pipe2(x->out, O_CLOEXEC) || pipe2(x->err, O_CLOEXEC))
		return why_sys(w, "making pipes");
	return 0;
}

static void missing(struct why *w, unsigned granted, const struct why *why)
{
	for (int l = 0; l < BOX_N_LAYERS; l++) {
		if ((BOX_NAMESPACES & ~granted) & (1u << l)) {
			why_set(w, "layer %s is required and missing: %.200s", report_layers[l],
				why[l].text);
			return;
		}
	}
	why_set(w, "namespaces: not granted together");
}

/* All namespaces at once is the usual case; which of them is missing is found out only when that
 * fails. The new layers' set comes in *layers. */
static pid_t fork_box(enum box_profile profile, unsigned *layers, struct why *w)
{
	struct why each[BOX_N_LAYERS];
	pid_t pid;

	*layers = BOX_NAMESPACES;
	pid = space_fork(*layers, w);
	if (pid >= 0)
		return pid;
	memset(each, 0, sizeof(each));
	*layers = space_probe(each);
	if (profile != BOX_COMPUTE) {
		missing(w, *layers, each);
		return -1;
	}
	w->text[0] = 0; /* what compute does without is told by the layers alone */
	return space_fork(*layers, w);
}

static _Noreturn void be_init(
	const struct watch *k, struct ends *x, unsigned layers, pid_t launcher)
{
	struct reap_plan p = { k->spec, k->given, layers, k->given->in, x->out[1], x->err[1],
		x->sock[1], launcher };

	close(x->sock[0]); /* else its end would never show that the launcher is gone */
	reap_run(&p);
}

static int watch_start(struct watch *k, struct why *w)
{
	pid_t launcher = getpid();
	const char go = REAP_GO;
	unsigned layers;
	struct ends x;

	if (make_ends(&x, w))
		return -1;
	k->init = fork_box(k->spec->profile, &layers, w);
	if (k->init == 0)
		be_init(k, &x, layers, launcher);
	close(x.sock[1]);
	close(x.out[1]);
	close(x.err[1]);
	k->sock = x.sock[0];
	pour_init(&k->out, x.out[0], k->given->out);
	pour_init(&k->err, x.err[0], k->given->err);
	if (k->init < 0)
		return -1;
	if (limit_cgroup_join(k->cgroup, k->init))
		k->end->layers |= BOX_BIT(CGROUP);
	k->start = now_us();
	k->next_look = k->start + LOOK_US;
	if (send(k->sock, &go, 1, MSG_NOSIGNAL) != 1)
		return why_sys(w, "starting the init");
	return 0;
}

/* --- ending ---------------------------------------------------------------------------------- */

/* Tell the init that it is enough; the first reason counts. */
static void stop(struct watch *k)
{
	const char end = REAP_END;

	if (k->kill_at)
		return;
	k->kill_at = now_us() + GRACE_US;
	if (k->sock >= 0 && send(k->sock, &end, 1, MSG_NOSIGNAL) != 1)
		k->kill_at = now_us();
}

static void stop_for(struct watch *k, enum box_reason limit)
{
	if (k->end->limit == BOX_REASON_EXITED && !k->end->asked && !k->end->known)
		k->end->limit = limit;
	stop(k);
}

static void fail(struct watch *k, const struct why *w)
{
	if (!k->end->failed)
		k->end->why = *w;
	k->end->failed = true;
	stop(k);
}

/* --- what can happen ---------------------------------------------------------------------------
 */

static void on_ended(struct watch *k, const struct note *n)
{
	struct ending *e = k->end;

	e->known = true;
	e->status = n->status;
	e->wall_us = now_us() - k->start;
	if (n->cpu_us > e->cpu_us)
		e->cpu_us = n->cpu_us;
	if (n->rss_kib > e->rss_kib)
		e->rss_kib = n->rss_kib;
}

static void on_note(struct watch *k)
{
	struct note n;
	int fd, got = note_recv(k->sock, &n, &fd);

	if (got <= 0) {
		shut(&k->sock);
		return;
	}
	if (n.kind == NOTE_READY) {
		k->end->layers |= n.layers | BOX_ALWAYS;
		k->work = fd;
	} else if (n.kind == NOTE_ENDED) {
		on_ended(k, &n);
	} else {
		fail(k, &n.why);
	}
}

static void on_signal(struct watch *k)
{
	struct signalfd_siginfo info;

	if (read(k->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (!k->end->asked && k->end->limit == BOX_REASON_EXITED && !k->end->known)
		k->end->asked = (int)info.ssi_signo;
	k->give_up_at = now_us() + STUCK_US;
	stop(k);
}

static void on_stream(struct watch *k, struct pour *p)
{
	enum poured rc = pour_move(p, &k->output_left);

	if (rc == POUR_FAILED && !k->end->why.text[0])
		why_sys(&k->end->why, "passing on the output");
	if (rc != POUR_OK) {
		/* even when the program has ended: what it wrote is not all there */
		if (k->end->limit == BOX_REASON_EXITED && !k->end->asked)
			k->end->limit = BOX_REASON_OUTPUT;
		stop(k);
	}
}

static void look(struct watch *k)
{
	const struct box_limits *l = &k->spec->limits;
	struct ending *e = k->end;
	enum box_reason beyond;
	struct limit_use u;

	limit_look(&u, k->init, l->memory_mib * 1024);
	if (u.cpu_us > e->cpu_us)
		e->cpu_us = u.cpu_us;
	if (u.memory_kib > e->rss_kib)
		e->rss_kib = u.memory_kib;
	beyond = limit_judge(&u, l);
	if (beyond == BOX_REASON_EXITED && limit_cgroup_starved(k->cgroup))
		beyond = BOX_REASON_MEMORY;
	if (beyond == BOX_REASON_EXITED && space_full(k->work, l->disk_mib))
		beyond = BOX_REASON_DISK;
	if (beyond == BOX_REASON_EXITED && now_us() - k->start > l->wall_s * 1000000)
		beyond = BOX_REASON_WALL;
	if (beyond != BOX_REASON_EXITED)
		stop_for(k, beyond);
}

static void on_time(struct watch *k)
{
	int64_t now = now_us();

	if (k->sock >= 0 && now >= k->next_look) {
		look(k);
		k->next_look = now_us() + LOOK_US;
	}
	if (k->sock >= 0 && k->kill_at && now >= k->kill_at) {
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

static bool is_over(const struct watch *k)
{
	return k->sock < 0 && pour_want(&k->out).fd < 0 && pour_want(&k->err).fd < 0;
}

static void turn(struct watch *k)
{
	struct pollfd fds[N_AT] = {
		[AT_SOCK] = { k->sock, POLLIN, 0 },
		[AT_SIGNALS] = { k->signals, POLLIN, 0 },
		[AT_OUT] = pour_want(&k->out),
		[AT_ERR] = pour_want(&k->err),
	};
	int64_t until = k->sock >= 0 ? k->next_look - now_us() : STUCK_US / 10;
	struct timespec wait = { 0, until > 0 ? until * 1000 : 0 };

	if (ppoll(fds, N_AT, &wait, NULL) < 0)
		memset(fds, 0, sizeof(fds));
	if (fds[AT_SOCK].revents)
		on_note(k);
	if (fds[AT_SIGNALS].revents)
		on_signal(k);
	if (fds[AT_OUT].revents)
		on_stream(k, &k->out);
	if (fds[AT_ERR].revents)
		on_stream(k, &k->err);
	on_time(k);
}

/* --- the whole ---------------------------------------------------------------------------------
 */

/* Signals that mean: end it. The box's own children must not inherit our ignoring SIGPIPE (start.c
 * resets all). */
static int take_signals(struct why *w)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sigprocmask(SIG_BLOCK, &set, NULL))
		return why_sys(w, "taking signals");
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	return fd < 0 ? why_sys(w, "taking signals") : fd;
}

/* After the init is gone: what it did not live to tell, and the outputs. */
static void settle(struct watch *k)
{
	struct ending *e = k->end;
	int64_t most = k->spec->limits.disk_mib * 1048576;
	int out;

	while (waitpid(k->init, NULL, 0) < 0 && errno == EINTR)
		;
	if (!e->known)
		e->wall_us = now_us() - k->start;
	e->starved = limit_cgroup_starved(k->cgroup);
	e->full = space_full(k->work, k->spec->limits.disk_mib);
	if (k->work < 0 || k->given->outputs < 0 || e->failed)
		return;
	out = openat(k->work, "out", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (out < 0 || collect_take(&e->out, out, k->given->outputs, most, &e->why))
		e->limit = e->limit == BOX_REASON_EXITED ? BOX_REASON_DISK : e->limit;
	shut(&out);
}

void watch_run(
	struct ending *e, const struct spec *s, const struct given *g, struct limit_cgroup *cgroup)
{
	static struct watch k; /* large; all zero, for this runs once */

	k.spec = s;
	k.given = g;
	k.cgroup = cgroup;
	k.end = e;
	k.init = k.sock = k.signals = k.work = k.out.from = k.err.from = -1;
	k.output_left = s->limits.max_output_mib * 1048576;
	e->limit = BOX_REASON_EXITED;
	k.signals = take_signals(&e->why);
	if (k.signals < 0 || watch_start(&k, &e->why))
		e->failed = true;
	if (k.init > 0) {
		while (!is_over(&k))
			turn(&k);
		settle(&k);
	}
	shut(&k.signals);
	shut(&k.work);
}
