/* SPDX-License-Identifier: Apache-2.0
 *
 * serve.c: see serve.h.
 *
 *	asked for ---> runs ---> over ---> finished, told ---> its init is reaped: gone
 *
 * More boxes than are asked for stand by, so that what a box costs before its task is known is paid while
 * nobody waits: one for the like of the last task (guess.h), one for any. A box that leaves outputs is finished by a child, for copying
 * would hold up the limits of the others.
 */
#include "sandbox/serve.h"

#include "sandbox/ask.h"
#include "sandbox/finish.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONTROL 0 /* standard input */

struct task {
	uint32_t id;
	char *words; /* what argv points into */
	char *argv[ASK_WORDS_MAX + 2];
	struct spec spec;
	struct given given;
	struct watch *watch;
	pid_t finisher;
	bool told;
	struct task *next;
};

#define IDLE_MAX 4 /* of used ones: their pages are there, and they are large */

enum { SPARE_LIKE, SPARE_ANY, SPARES };

struct keeper {
	struct place place;
	bool was_root, is_nobody;
	int control; /* -1: nobody asks any more */
	struct task *tasks;
	int n;
	struct guess guess; /* of the next task */
	struct watch *spare[SPARES];
	bool rested; /* nothing happened for a while */
	struct task *idle[IDLE_MAX];
	int n_idle;
	struct pollfd *fds; /* control, signals, then each task's in order */
};

/* --- one task --------------------------------------------------------------------------------------- */

static void say(struct keeper *k, enum box_say_kind kind, uint32_t id, int code)
{
	struct box_say m = { kind, id, code };

	/* a full socket: who asks does not listen any more */
	if (k->control >= 0 && send(k->control, &m, sizeof(m), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		close(k->control);
		k->control = -1;
	}
}

static void tell(struct keeper *k, struct task *t, int code)
{
	t->told = true;
	given_release(&t->given); /* so that who hears of it may remove what it gave */
	say(k, BOX_SAY_ENDED, t->id, code);
	sched_yield(); /* who hears of it goes on first: to tidy up takes longer than to tell */
	if (t->watch)
		watch_leave(t->watch);
}

static void task_free(struct keeper *k, struct task *t)
{
	struct task **at = &k->tasks;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	k->n--;
	if (t->finisher > 0) { /* nobody waits for it any more */
		kill(t->finisher, SIGKILL);
		waitpid(t->finisher, NULL, 0);
	}
	watch_drop(t->watch);
	given_release(&t->given);
	free(t->words);
	if (k->n_idle < IDLE_MAX)
		k->idle[k->n_idle++] = t;
	else
		free(t);
}

static int open_task(struct keeper *k, struct task *t, int *fds, size_t n, struct why *w)
{
	struct given_from from = { fds, n, 0, k->was_root, k->is_nobody };

	if (given_open_report(&t->given, &t->spec, &from, w) ||
		given_open(&t->given, &t->spec, &from, w))
		return -1;
	return from.at == n ? 0 : why_set(w, "more descriptors were passed than are named");
}

static int start_task(struct keeper *k, struct task *t, struct why *w)
{
	struct guess task = guess_of(&t->spec, &t->given);

	for (int i = 0; i < SPARES && !t->watch; i++) {
		if (k->spare[i] && watch_fits(k->spare[i], &task)) {
			t->watch = k->spare[i];
			k->spare[i] = NULL;
		}
	}
	if (!guess_fits(&k->guess, &task)) { /* what was made for the last one is of no use */
		watch_drop(k->spare[SPARE_LIKE]);
		k->spare[SPARE_LIKE] = NULL;
		guess_learn(&k->guess, &task);
	}
	if (!t->watch)
		t->watch = watch_new(&k->place, NULL, w);
	if (!t->watch)
		return -1;
	/* the program's name is all it shall see of its path */
	(void)watch_give(t->watch, &t->spec, &t->given);
	return 0;
}

/* The exit code of what cannot be started, or -1: it runs. A wrong command line is told in the report too, if
 * that is named before what is wrong. */
static int begin(struct keeper *k, struct task *t, size_t n, int *fds, size_t n_fds, struct why *w)
{
	struct given_from from = { fds, n_fds, 0, false, false };
	struct why no_report;

	if (ask_read(&t->spec, t->argv, t->words, n, k->place.profile, w)) {
		(void)given_open_report(&t->given, &t->spec, &from, &no_report);
		return BOX_EXIT_USAGE;
	}
	return open_task(k, t, fds, n_fds, w) || start_task(k, t, w) ? BOX_EXIT_SETUP : -1;
}

static void on_run(
	struct keeper *k, uint32_t id, const char *words, size_t n, int *fds, size_t n_fds)
{
	/* only what counts is cleared */
	struct task *t = k->n_idle ? k->idle[--k->n_idle] : malloc(sizeof(*t));
	struct why w = { "" };
	int code;

	if (!t || !(t->words = malloc(n ? n : 1))) {
		free(t);
		say(k, BOX_SAY_ENDED, id, BOX_EXIT_SETUP);
		return;
	}
	memcpy(t->words, words, n);
	t->id = id;
	t->watch = NULL;
	t->finisher = 0;
	t->told = false;
	given_init(&t->given);
	t->next = k->tasks;
	k->tasks = t;
	k->n++;
	code = begin(k, t, n, fds, n_fds, &w);
	if (code < 0)
		return;
	finish_nothing(&w, &t->spec, &t->given);
	tell(k, t, code);
	task_free(k, t);
}

/* --- what is asked ------------------------------------------------------------------------------------ */

static struct task *find(struct keeper *k, uint32_t id)
{
	struct task *t = k->tasks;

	while (t && (t->told || t->id != id))
		t = t->next;
	return t;
}

static void obey(struct keeper *k, const struct ask *a, int *fds, size_t n_fds)
{
	uint32_t id = a->head.id;
	struct task *t = find(k, id);

	switch ((enum box_ask_kind)a->head.kind) {
	case BOX_ASK_RUN:
		if (t || k->n >= BOX_AT_ONCE)
			say(k, BOX_SAY_ENDED, id, BOX_EXIT_USAGE);
		else
			on_run(k, id, a->words, a->n, fds, n_fds);
		break;
	case BOX_ASK_KILL:
		if (t)
			watch_stop(t->watch, SIGKILL, true);
		break;
	case BOX_ASK_HOLD:
	case BOX_ASK_GO_ON:
		if (t)
			watch_hold(t->watch, a->head.kind == BOX_ASK_HOLD);
		break;
	}
}

/* One packet. */
static void hear(struct keeper *k)
{
	static char packet[sizeof(struct box_ask) + BOX_ASK_BYTES];
	union {
		char room[CMSG_SPACE(BOX_ASK_FDS * sizeof(int))];
		struct cmsghdr align;
	} c;
	struct iovec iov = { packet, sizeof(packet) };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = c.room,
		.msg_controllen = sizeof(c.room) };
	int fds[BOX_ASK_FDS];
	const struct cmsghdr *h;
	struct ask a;
	size_t n_fds = 0;
	ssize_t n = recvmsg(k->control, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	h = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
		n_fds = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(h), n_fds * sizeof(int));
	}
	if (n > 0 && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
		ask_open(&a, packet, (size_t)n) == 0) {
		obey(k, &a, fds, n_fds);
	} else { /* gone, or does not know the language */
		close(k->control);
		k->control = -1;
	}
	for (size_t i = 0; i < n_fds; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}

/* --- what ends ---------------------------------------------------------------------------------------- */

/* In a child, which dies with the keeper. */
static _Noreturn void finish_apart(struct task *t, pid_t keeper)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) || getppid() != keeper)
		_exit(BOX_EXIT_SETUP);
	_exit(finish_box(t->watch, &t->spec, &t->given));
}

static void finish(struct keeper *k, struct task *t)
{
	pid_t keeper = getpid();

	watch_end_copy(t->watch);
	if (t->given.outputs >= 0 && (t->finisher = fork()) == 0)
		finish_apart(t, keeper);
	if (t->finisher <= 0) {
		t->finisher = 0;
		tell(k, t, finish_box(t->watch, &t->spec, &t->given));
	}
}

static void on_reaped(struct keeper *k, pid_t pid, int status)
{
	for (int i = 0; i < SPARES; i++) {
		if (k->spare[i] && watch_init(k->spare[i]) == pid) {
			watch_reaped(k->spare[i]);
			watch_drop(k->spare[i]);
			k->spare[i] = NULL;
			return;
		}
	}
	for (struct task *t = k->tasks; t; t = t->next) {
		if (watch_init(t->watch) == pid) {
			watch_reaped(t->watch);
			return;
		}
		if (watch_helper_reaped(t->watch, pid))
			return;
		if (t->finisher == pid) {
			t->finisher = 0;
			tell(k, t, WIFEXITED(status) ? WEXITSTATUS(status) : BOX_EXIT_SETUP);
			return;
		}
	}
}

/* SIGINT and SIGHUP are for who asks, on the same terminal. True: SIGTERM. */
static bool on_signal(struct keeper *k)
{
	struct signalfd_siginfo info;
	bool end = false;
	int status;
	pid_t pid;

	while (read(k->place.signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		end = end || info.ssi_signo == SIGTERM;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		on_reaped(k, pid, status);
	return end;
}

static void go_on(struct keeper *k)
{
	struct task *t, *next;

	for (t = k->tasks; t; t = next) {
		next = t->next;
		if (!t->told && t->finisher == 0 && watch_is_over(t->watch))
			finish(k, t);
		if (t->told && watch_init(t->watch) == 0)
			task_free(k, t);
	}
}

/* --- the loop ------------------------------------------------------------------------------------------ */

/* What a spare has to say is heard once it has a task; if it ends before, SIGCHLD tells. */
enum { AT_CONTROL, AT_SIGNALS, AT_TASKS };

static int64_t want(struct keeper *k)
{
	struct pollfd *at = k->fds + AT_TASKS;
	int64_t due = WATCH_LATER_US;

	k->fds[AT_CONTROL] = (struct pollfd){ k->control, POLLIN, 0 };
	k->fds[AT_SIGNALS] = (struct pollfd){ k->place.signals, POLLIN, 0 };
	for (struct task *t = k->tasks; t; t = t->next, at += WATCH_FDS) {
		int64_t us = t->told ? WATCH_LATER_US : watch_due_us(t->watch);

		watch_want(t->watch, at);
		due = us < due ? us : due;
	}
	return due;
}

/* True: it is time to end. */
static bool turn(struct keeper *k)
{
	int64_t us = want(k);
	struct timespec wait = { us / 1000000, us % 1000000 * 1000 };
	const struct pollfd *at = k->fds + AT_TASKS;
	bool end = false;
	int got = ppoll(k->fds, (nfds_t)(AT_TASKS + k->n * WATCH_FDS), &wait, NULL);

	k->rested = got == 0;
	if (got < 0)
		return false;
	for (struct task *t = k->tasks; t; t = t->next, at += WATCH_FDS) {
		if (!t->told && t->finisher == 0)
			watch_turn(t->watch, at);
	}
	if (k->fds[AT_SIGNALS].revents)
		end = on_signal(k);
	go_on(k);
	if (k->fds[AT_CONTROL].revents)
		hear(k);
	return end || k->control < 0;
}

/* Not while a box has just been started: what is made beside it slows it. */
static void stand_by(struct keeper *k)
{
	struct why w;

	if (k->n >= BOX_AT_ONCE || (k->tasks && !k->tasks->told && !k->rested))
		return; /* no failure is told: the next task says why */
	if (!k->spare[SPARE_LIKE] && k->guess.made)
		k->spare[SPARE_LIKE] = watch_new(&k->place, &k->guess, &w);
	if (!k->spare[SPARE_ANY])
		k->spare[SPARE_ANY] = watch_new(&k->place, NULL, &w);
}

/* As root: namespaces are made with root's rights, boxes without. */
static int prepare(struct keeper *k, enum box_profile profile, struct why *w)
{
	struct given g;

	k->control = fcntl(CONTROL, F_DUPFD_CLOEXEC, PLACE_FD_AWAY);
	if (k->control < 0 || dup2(k->control, CONTROL) < 0 || place_open(&k->place, profile, w) ||
		place_watch(&k->place, w))
		return k->control < 0 ? why_sys(w, "standard input") : -1;
	k->fds = calloc(AT_TASKS + (BOX_AT_ONCE + 1) * WATCH_FDS, sizeof(*k->fds));
	if (!k->fds || dup2(k->place.null, CONTROL) < 0)
		return why_sys(w, "serving");
	given_init(&g);
	g.was_root = k->was_root = geteuid() == 0;
	if (place_settle(&k->place, w) || given_become_nobody(&g, w))
		return -1;
	k->is_nobody = g.is_nobody;
	return 0;
}

int serve_run(enum box_profile profile)
{
	static struct keeper k;
	struct why w = { "" };

	if (prepare(&k, profile, &w)) {
		fprintf(stderr, "talkoot-sandbox: %s\n", w.text);
		return BOX_EXIT_SETUP;
	}
	stand_by(&k);
	say(&k, BOX_SAY_READY, 0, 0);
	while (!turn(&k))
		stand_by(&k);
	while (k.tasks)
		task_free(&k, k.tasks);
	while (k.n_idle > 0)
		free(k.idle[--k.n_idle]);
	for (int i = 0; i < SPARES; i++)
		watch_drop(k.spare[i]);
	guess_forget(&k.guess);
	place_close(&k.place);
	free(k.fds);
	return 0;
}
