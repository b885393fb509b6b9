/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c: talkoot-sandbox: run one program with nothing but what the options give it, or (serve.c)
 * many.
 *
 *	spec    what is asked for            (pure)
 *	given   everything opened, then rights given up
 *	place   what boxes of one keeper share
 *	watch   one box from outside   --->  reap: its init  --->  start: the program
 *	finish  outputs, verdict, report
 *
 * It protects the machine from the program; nothing here protects the program from the machine.
 */
#include "sandbox/check.h"
#include "sandbox/finish.h"
#include "sandbox/serve.h"
#include "sandbox/spec.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void complain(const struct why *w)
{
	fprintf(stderr, "talkoot-sandbox: %s\n", w->text);
}

/* Were one of 0, 1, 2 closed, the next file opened would take its place. */
static int hold_standard(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd < 3);
	return fd < 0 ? -1 : close(fd);
}

/* Ctrl-Z stops the box and us; `fg` lets both go on. */
static void pause_with(struct watch *k)
{
	watch_hold(k, true);
	kill(getpid(), SIGSTOP);
	watch_hold(k, false);
}

static void on_signal(struct watch *k, int signals)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGCHLD: /* its socket says more */
	case SIGCONT:
		return;
	case SIGTSTP:
		pause_with(k);
		return;
	default:
		watch_stop(k, (int)info.ssi_signo, true);
	}
}

static void turn(struct watch *k, int signals)
{
	struct pollfd fds[1 + WATCH_FDS] = { { signals, POLLIN, 0 } };
	int64_t us = watch_due_us(k);
	struct timespec wait = { us / 1000000, us % 1000000 * 1000 };

	watch_want(k, fds + 1);
	if (ppoll(fds, 1 + WATCH_FDS, &wait, NULL) < 0)
		for (int i = 0; i < 1 + WATCH_FDS; i++)
			fds[i].revents = 0;
	if (fds[0].revents)
		on_signal(k, signals);
	watch_turn(k, fds + 1);
}

/* The box builds itself while the rest is looked for. Root first opens what only root may. */
static struct watch *begin(const struct spec *s, struct given *g, struct place *p, struct why *w)
{
	bool root = geteuid() == 0;
	struct watch *k = NULL;

	if (place_open(p, s->profile, w) ||
		(root && (given_open(g, s, NULL, w) || given_become_nobody(g, w))))
		return NULL;
	p->brief = true;
	k = watch_new(p, NULL, w);
	if (k && ((!root && given_open(g, s, NULL, w)) || place_watch(p, w))) {
		watch_drop(k);
		return NULL;
	}
	return k;
}

static int run(const struct spec *s, struct given *g, struct place *p, struct why *w)
{
	struct watch *k;
	int code;

	k = begin(s, g, p, w);
	if (!k)
		return -1;
	(void)watch_give(k, s, g); /* the ending says it */
	while (!watch_is_over(k))
		turn(k, p->signals);
	watch_leave(k);
	watch_end_copy(k);
	code = finish_box(k, s, g);
	if (watch_return(k))
		limit_cgroups_close(&p->cgroups); /* while its init ends */
	watch_drop(k);
	return code;
}

static int run_and_tell(const struct spec *s)
{
	struct place p = { .proc = -1, .signals = -1, .null = -1 };
	static struct given g; /* large */
	struct why w = { "" };
	int code = -1;

	given_init(&g);
	if (given_open_report(&g, s, NULL, &w) == 0)
		code = run(s, &g, &p, &w);
	if (code < 0)
		code = finish_nothing(&w, s, &g);
	given_release(&g);
	place_close(&p);
	return code;
}

int main(int argc, char **argv)
{
	static struct spec s; /* large */
	struct why w;

	if (hold_standard())
		return BOX_EXIT_SETUP;
	if (spec_read(&s, argc, argv, &w)) {
		complain(&w);
		return BOX_EXIT_USAGE;
	}
	switch (s.what) {
	case SPEC_HELP:
		return fputs(spec_help, stdout) < 0;
	case SPEC_VERSION:
		return printf("talkoot-sandbox %s\n", TALKOOT_VERSION) < 0;
	case SPEC_CHECK:
		return check_run(stdout);
	case SPEC_SERVE:
		return serve_run(s.profile);
	case SPEC_RUN:
		break;
	}
	return run_and_tell(&s);
}
