/* SPDX-License-Identifier: Apache-2.0
 *
 * place.c: see place.h.
 *
 * SIGPIPE is blocked, not ignored: a blocked signal is reset by one call in the program, an ignored one
 * would be inherited through its exec.
 */
#include "sandbox/place.h"

#include "sandbox/space.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define LAST_STANDARD 31         /* of the signals that a shell or nohup may have made ignored */
#define FIRST_TO_BE_ENDED "1000" /* oom_score_adj: a box goes before anything of the volunteer's */

static int away(int fd)
{
	int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, PLACE_FD_AWAY);

	if (fd >= 0)
		close(fd);
	return high;
}

/* None stays ignored, for an exec would hand that on. */
static int take_signals(struct why *w)
{
	static const int ours[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGCHLD };
	struct sigaction old, usual = { .sa_handler = SIG_DFL };
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (size_t i = 0; i < LEN(ours); i++)
		sigaddset(&set, ours[i]);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	sigaddset(&set, SIGPIPE);
	if (fd < 0 || sigprocmask(SIG_SETMASK, &set, NULL))
		return why_sys(w, "taking signals");
	for (int i = 1; i <= LAST_STANDARD; i++) {
		if (sigaction(i, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
			(void)sigaction(i, &usual, NULL);
	}
	return away(fd);
}

/* Not every container lets us; the machine's own order then holds. */
static void offer_to_be_ended(int proc)
{
	int fd = openat(proc, "self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, FIRST_TO_BE_ENDED, strlen(FIRST_TO_BE_ENDED)) < 0)
		close(fd);
	else
		close(fd);
}

int place_open(struct place *p, enum box_profile profile, struct why *w)
{
	memset(p, 0, sizeof(*p));
	p->profile = profile;
	p->layers = BOX_NAMESPACES;
	p->cgroups.parent = p->cgroups.pens.parent = p->signals = -1;
	p->null = away(open("/dev/null", O_RDWR | O_CLOEXEC));
	p->proc = away(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
	if (p->null < 0 || p->proc < 0)
		return why_sys(w, "opening %s", p->null < 0 ? "/dev/null" : "/proc");
	p->signals = take_signals(w);
	if (p->signals < 0 || limit_settle(w))
		return -1;
	offer_to_be_ended(p->proc);
	return 0;
}

int place_watch(struct place *p, struct why *w)
{
	if (limit_can_look(p->proc, w))
		return -1;
	if (!p->brief)
		limit_cgroups_open(&p->cgroups, p->profile != BOX_COMPUTE);
	return 0;
}

int place_settle(struct place *p, struct why *w)
{
	bool was_root = geteuid() == 0;
	int rc = space_settle(p->proc, p->profile, w);

	p->settled = rc == 0;
	if (rc == 0 && p->profile != BOX_COMPUTE)
		p->door = door_open(p->proc, was_root);
	return rc == 0 || (rc > 0 && p->profile == BOX_COMPUTE) ? 0 : -1;
}

void place_close(struct place *p)
{
	door_close(p->door);
	limit_cgroups_close(&p->cgroups);
	if (p->signals >= 0)
		close(p->signals);
	if (p->null >= 0)
		close(p->null);
	if (p->proc >= 0)
		close(p->proc);
}
