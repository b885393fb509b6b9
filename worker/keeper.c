/* SPDX-License-Identifier: Apache-2.0
 *
 * keeper.c: keep.h's acts, done: a process, its socket, its standard error.
 *
 * Whatever happens is told to `keep`, and drive() does what follows at the end of the turn.
 */
#include "worker/keeper.h"
#include "worker/guard.h"
#include "worker/keep.h"
#include "worker/packet.h"
#include "worker/spawn.h"
#include "common/clock.h"
#include "common/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAYS_AT_ONCE 64   /* of its answers, then others have their turn */
#define SAYS_BYTES 393216 /* the kernel counts 768 and more an answer; all lodgers' and then some */
#define SAID_MAX 200      /* of what it complained of: the end */
#define END_LOOK_MS 5
#define END_WAIT_MS 500 /* when the worker ends: for its boxes and their cgroups */

struct lodger {
	uint32_t id;       /* 0: a free entry */
	struct line *line; /* until it is sent */
	int64_t since_ms;  /* sent */
	keeper_fn *fn;     /* NULL: forgotten */
	void *arg;
};

struct keeper {
	struct loop *loop;
	int guard;
	const char *sandbox;
	enum box_profile profile;
	struct keep keep;
	struct lodger lodgers[KEEP_LODGERS_MAX];
	struct packet packet;
	pid_t pid; /* 0: no process */
	int sock, complaints;
	struct watch *on_sock, *on_complaints;
	char said[SAID_MAX + 1];
	struct turn_end *turn;
	struct timer *wake;
};

static const char *name_of(const struct keeper *k)
{
	static const char *const names[] = BOX_PROFILE_NAMES;

	return names[k->profile];
}

/* --- lodgers ------------------------------------------------------------------------------------------------- */

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

/* --- what it says ---------------------------------------------------------------------------------------------- */

/* The end of what it complained of, on one line. */
static void keep_said(struct keeper *k, const char *part, size_t n)
{
	size_t have = strlen(k->said);

	while (n && part[n - 1] == '\n')
		n--;
	if (n > SAID_MAX) {
		part += n - SAID_MAX;
		n = SAID_MAX;
	}
	if (have + n > SAID_MAX) {
		memmove(k->said, k->said + (have + n - SAID_MAX), SAID_MAX - n);
		have = SAID_MAX - n;
	}
	for (size_t i = 0; i < n; i++)
		k->said[have++] = part[i] && part[i] != '\n' ? part[i] : ' ';
	k->said[have] = '\0';
}

static void on_complaint(void *arg)
{
	struct keeper *k = arg;
	char part[1024];
	ssize_t n = read(k->complaints, part, sizeof(part));

	if (n > 0) {
		auto_free char *safe = text_safe(part, (size_t)n);

		log_debug("keeper of profile %s: %s", name_of(k), safe);
		keep_said(k, part, (size_t)n);
	} else if (n == 0 || errno != EAGAIN) { /* its end is told otherwise */
		watch_free(TAKE(k->on_complaints));
	}
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
	ssize_t n;

	if (k->sock < 0)
		return false;
	n = recv(k->sock, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n > 0) {
		take(k, bytes, (size_t)n);
		return true;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		watch_free(TAKE(k->on_sock));
		keep_break(&k->keep);
	}
	return false;
}

static void on_say(void *arg)
{
	struct keeper *k = arg;

	for (int i = 0; i < SAYS_AT_ONCE && hear(k); i++)
		;
	turn_end_ask(k->turn);
}

/* --- its end ------------------------------------------------------------------------------------------------------ */

static void shut(struct keeper *k)
{
	watch_free(TAKE(k->on_sock));
	watch_free(TAKE(k->on_complaints));
	if (k->sock >= 0)
		close(k->sock);
	if (k->complaints >= 0)
		close(k->complaints);
	k->sock = k->complaints = -1;
}

static char *epitaph(const struct keeper *k, int status)
{
	auto_free char *said = text_safe(k->said, strlen(k->said));

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

/* What it had said before counts. Who is left of its group copies outputs that nobody waits for. */
static void on_end(void *arg, pid_t pid, int status, const struct rusage *usage)
{
	struct keeper *k = arg;

	(void)usage;
	while (hear(k))
		;
	if (k->on_complaints)
		on_complaint(k);
	kill(-pid, SIGKILL);
	guard_drop(k->guard, pid);
	k->pid = 0;
	shut(k);
	auto_free char *why = epitaph(k, status);
	lose(k, why);
}

/* --- its beginning ------------------------------------------------------------------------------------------------- */

static int make_process(struct keeper *k, int theirs, int errors, struct err *e)
{
	auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	auto_free char *path = xstrdup(k->sandbox), *profile = xstrdup(name_of(k));
	char serve[] = "--serve", flag[] = "--profile";
	char *const argv[] = { path, serve, flag, profile, NULL }, *const none[] = { NULL };
	struct spawn s = { .argv = argv,
		.env = none,
		.in = theirs,
		.out = null,
		.err = errors,
		.guard = k->guard,
		.death = SIGTERM }; /* it then ends its boxes and removes their cgroups */

	if (null < 0)
		return err_sys(e, "opening /dev/null");
	k->pid = spawn(&s, e);
	if (k->pid > 0 && !loop_on_child(k->loop, k->pid, on_end, k, e))
		return 0;
	if (k->pid > 0) {
		kill(k->pid, SIGKILL);
		waitpid(k->pid, NULL, 0);
		guard_drop(k->guard, k->pid);
	}
	k->pid = 0;
	return -1;
}

static int start(struct keeper *k, struct err *e)
{
	const int room = SAYS_BYTES;
	auto_close int theirs = -1, errors = -1;
	int ends[2], way[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return err_sys(e, "making a socket for a keeper");
	k->sock = ends[0];
	theirs = ends[1];
	setsockopt(theirs, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	if (pipe2(way, O_CLOEXEC | O_NONBLOCK)) /* its complaints never make it wait */
		return err_sys(e, "making a pipe for a keeper");
	k->complaints = way[0];
	errors = way[1];
	k->said[0] = '\0';
	if (make_process(k, theirs, errors, e))
		return -1;
	k->on_sock = watch_read(k->loop, k->sock, on_say, k);
	k->on_complaints = watch_read(k->loop, k->complaints, on_complaint, k);
	return 0;
}

/* --- acts ------------------------------------------------------------------------------------------------------------ */

static int post(struct keeper *k, const int *fds, size_t n)
{
	union {
		char room[CMSG_SPACE(LINE_FILES_MAX * sizeof(int))];
		struct cmsghdr align;
	} c = { .room = { 0 } };
	struct iovec iov = { k->packet.bytes, k->packet.n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n) {
		c.align = (struct cmsghdr){ CMSG_LEN(n * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(&c.align), fds, n * sizeof(int));
		m.msg_control = c.room;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	return sendmsg(k->sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -1 : 0;
}

/* A full socket, or one whose end we shall hear of: in both cases it is sent later. */
static void not_posted(struct keeper *k, uint32_t id)
{
	if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS && errno != ETOOMANYREFS)
		keep_break(&k->keep);
	keep_full(&k->keep, id, clock_mono_ms());
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
	if (post(k, fds, n)) {
		not_posted(k, id);
	} else {
		line_free(TAKE(l->line));
		l->since_ms = clock_mono_ms();
	}
	while (n)
		close(fds[--n]);
}

static void do_kill(struct keeper *k, uint32_t id)
{
	packet_ask(&k->packet, BOX_ASK_KILL, id, NULL);
	if (post(k, NULL, 0))
		not_posted(k, id);
}

static void do_start(struct keeper *k, uint32_t id)
{
	struct err e;

	(void)id;
	if (!start(k, &e))
		return;
	shut(k);
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
	kill(k->pid, SIGTERM);
}

static void do_force(struct keeper *k, uint32_t id)
{
	(void)id;
	kill(-k->pid, SIGKILL);
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

/* --- the whole --------------------------------------------------------------------------------------------------------- */

struct keeper *keeper_new(struct loop *l, int guard, const char *sandbox, enum box_profile profile)
{
	struct keeper *k = xcalloc(1, sizeof(*k));

	k->loop = l;
	k->guard = guard;
	k->sandbox = sandbox;
	k->profile = profile;
	k->sock = k->complaints = -1;
	k->turn = turn_end_new(l, drive, k);
	k->wake = timer_new(l, drive, k);
	keep_init(&k->keep, random_seed());
	return k;
}

static bool ended_soon(pid_t pid)
{
	const struct timespec look = { 0, END_LOOK_MS * 1000000L };

	for (int i = 0; i < END_WAIT_MS / END_LOOK_MS; i++) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
		nanosleep(&look, NULL);
	}
	return false;
}

void keeper_end(struct keeper *k)
{
	if (!k || !k->pid)
		return;
	kill(k->pid, SIGTERM);
	kill(k->pid, SIGCONT);
	bool ended = ended_soon(k->pid);
	kill(-k->pid, SIGKILL);
	if (!ended)
		waitpid(k->pid, NULL, 0);
	guard_drop(k->guard, k->pid);
	k->pid = 0;
	shut(k);
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
