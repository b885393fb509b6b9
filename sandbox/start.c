/* SPDX-License-Identifier: Apache-2.0
 *
 * start.c: see start.h.
 *
 * The order is from wide to narrow: what needs a system call that a later layer takes away comes
 * first, the filter last. Descriptors then are: 0, 1, 2 its streams; 3 the program and 4
 * the socket, both closed by the exec (the policy names number 3).
 */
#include "sandbox/start.h"

#include "sandbox/env.h"
#include "sandbox/filter.h"
#include "sandbox/landlock.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

enum { FD_PROGRAM = 3, FD_SOCK = 4, FD_PLACED, FD_AWAY = 16 };

/* First all out of the way, then down to their numbers, so that none overwrites another. */
static int place_descriptors(const struct reap_plan *p, struct why *w)
{
	const int from[FD_PLACED] = { p->in, p->out, p->err, p->given->program, p->sock };
	int away[FD_PLACED];

	for (int i = 0; i < FD_PLACED; i++) {
		away[i] = fcntl(from[i], F_DUPFD_CLOEXEC, FD_AWAY);
		if (away[i] < 0)
			return why_sys(w, "placing descriptors");
	}
	for (int i = 0; i < FD_PLACED; i++) {
		if (dup3(away[i], i, i > 2 ? O_CLOEXEC : 0) < 0)
			return why_sys(w, "placing descriptors");
	}
	if (syscall(SYS_close_range, FD_PLACED, ~0U, 0))
		return why_sys(w, "closing what was inherited");
	return 0;
}

/* What an ignored or blocked signal of ours would do to the program. */
static int reset_signals(struct why *w)
{
	struct sigaction usual = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		(void)sigaction(
			i, &usual, NULL); /* SIGKILL, SIGSTOP and the C library's own refuse */
	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL))
		return why_sys(w, "resetting signals");
	return 0;
}

/* Only matters where no pid namespace ends with the init; the filter forbids undoing it. */
static int die_with(pid_t init, struct why *w)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		return why_sys(w, "binding its life to the init's");
	return getppid() == init ? 0 : why_set(w, "the init is gone");
}

static int pin(const struct spec *s, struct why *w)
{
	umask(022);
	if (s->limits.deterministic && personality(ADDR_NO_RANDOMIZE) < 0)
		return why_sys(w, "fixing addresses");
	if (s->profile == BOX_FILES && chdir("/tmp"))
		return why_sys(w, "going to /tmp");
	return 0;
}

static const struct {
	const char *path;
	enum landlock_use use;
	bool always; /* else only with --root */
} places[] = {
	{ "/", LANDLOCK_LIVE, false },
	{ "/in", LANDLOCK_READ, true },
	{ "/out", LANDLOCK_OWN, true },
	{ "/tmp", LANDLOCK_OWN, true },
	{ "/dev/null", LANDLOCK_DEVICE, true },
	{ "/dev/zero", LANDLOCK_DEVICE, true },
	{ "/dev/urandom", LANDLOCK_DEVICE, true },
};

/* The program itself is the one thing that `compute` may reach: to be executed. */
static int bind_landlock(const struct spec *s, struct why *w)
{
	struct landlock_place list[LEN(places) + 1] = { { FD_PROGRAM, LANDLOCK_RUN } };
	size_t n = 1;
	int rc;

	for (size_t i = 0; s->profile == BOX_FILES && i < LEN(places); i++) {
		if (!places[i].always && !s->root)
			continue;
		list[n].fd = open(places[i].path, O_PATH | O_CLOEXEC);
		list[n].use = places[i].use;
		if (list[n].fd >= 0)
			n++;
	}
	rc = landlock_bind(list, n, w);
	while (--n > 0)
		close(list[n].fd);
	return rc;
}

static int bind_filter(const struct spec *s, unsigned layers, struct why *w)
{
	struct filter_plan plan = { .profile = s->profile,
		.rooted = (~layers & (BOX_BIT(MOUNTNS) | BOX_BIT(PIDNS))) == 0,
		.self = getpid() };
	struct filter f;
	int listener, rc;

	filter_make(&f, &plan);
	rc = filter_bind(&f, plan.seeded, &listener);
	return rc ? why_set(w, "seccomp: loading the filter: %s", strerror(-rc)) : 0;
}

static int bind_all(const struct reap_plan *p, unsigned layers, pid_t init, struct why *w)
{
	const struct spec *s = p->spec;

	if (place_descriptors(p, w) || reset_signals(w) || die_with(init, w) || pin(s, w))
		return -1;
	if (given_drop_capabilities(w) ||
		limit_bind(&s->limits, (layers & BOX_BIT(USERNS)) != 0, w))
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return why_sys(w, "no_new_privs");
	return bind_landlock(s, w) || bind_filter(s, layers, w) ? -1 : 0;
}

static union {
	const char *in;
	char *out;
} base; /* execveat takes char *const *, but writes nothing */

_Noreturn void start_program(const struct reap_plan *plan, unsigned layers, pid_t init)
{
	struct note n = { .kind = NOTE_FAILED };
	struct env env;

	env_build(&env, &plan->spec->limits);
	base.in = plan->given->base;
	plan->spec->argv[0] = base.out;
	if (bind_all(plan, layers, init, &n.why) == 0) {
		syscall(SYS_execveat, FD_PROGRAM, "", plan->spec->argv, env.words, AT_EMPTY_PATH);
		why_sys(&n.why, "PROGRAM %.100s: executing it", plan->given->base);
	}
	/* the descriptors may not have been placed yet */
	if (note_send(FD_SOCK, &n, -1))
		(void)note_send(plan->sock, &n, -1);
	_exit(BOX_EXIT_SETUP);
}
