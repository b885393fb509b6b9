/* SPDX-License-Identifier: Apache-2.0
 *
 * discard.c: see discard.h.
 */
#include "worker/discard.h"
#include "worker/guard.h"
#include "worker/spawn.h"
#include "common/buf.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define REMOVER "/bin/rm"

extern char **environ;

struct discards {
	struct loop *loop;
	const char *dir;
	int guard;
	uint64_t n;    /* names of what is being removed */
	pid_t remover; /* 0: none runs */
};

static char *path_of(const struct discards *d, const char *name, const char *suffix)
{
	return xprintf("%s/%s%s", d->dir, name, suffix);
}

static bool is_there(const struct discards *d, const char *name)
{
	auto_free char *path = path_of(d, name, "");

	return !access(path, F_OK);
}

static void on_removed(void *arg, pid_t pid, int status, const struct rusage *usage)
{
	struct discards *d = arg;

	(void)status, (void)usage;
	guard_drop(d->guard, pid);
	d->remover = 0;
	if (is_there(d, "gone"))
		log_warn("%s/gone cannot be removed", d->dir);
	else
		discards_begin(d);
}

static pid_t start_remover(const struct discards *d, char *what, struct err *e)
{
	auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char program[] = REMOVER, flags[] = "-rf", ends[] = "--",
	     *argv[] = { program, flags, ends, what, NULL };
	struct spawn s = { .argv = argv,
		.env = environ,
		.in = null,
		.out = null,
		.err = null,
		.guard = d->guard,
		.death = SIGKILL,
		.idle = true };

	return null < 0 ? err_sys(e, "opening /dev/null") : spawn(&s, e);
}

/* What it cannot remove stays until the next start. */
void discards_begin(struct discards *d)
{
	auto_free char *gone = path_of(d, "gone", ""), *going = path_of(d, "going", "");
	struct err e;

	if (d->remover || (!is_there(d, "gone") && rename(going, gone)))
		return;
	d->remover = start_remover(d, gone, &e);
	if (d->remover > 0 && !loop_on_child(d->loop, d->remover, on_removed, d, &e))
		return;
	log_warn("removing images: %s", e.msg);
	d->remover = 0;
}

/* DIR/going collects what is to go while an earlier DIR/gone is being removed. */
void discard(struct discards *d, const char *name, const char *suffix)
{
	auto_free char *from = path_of(d, name, suffix), *going = path_of(d, "going", "");
	auto_free char *to = xprintf("%s/%llu", going, (unsigned long long)d->n++);

	if ((mkdir(going, 0700) && errno != EEXIST) || (rename(from, to) && errno != ENOENT))
		log_warn("removing %s: %s", from, strerror(errno));
	discards_begin(d);
}

struct discards *discards_new(struct loop *l, const char *dir, int guard)
{
	struct discards *d = xcalloc(1, sizeof(*d));

	*d = (struct discards){ .loop = l, .dir = dir, .guard = guard, .n = random_seed() };
	return d;
}

void discards_free(struct discards *d)
{
	if (!d)
		return;
	if (d->remover > 0) {
		kill(d->remover, SIGKILL);
		waitpid(d->remover, NULL, 0);
		guard_drop(d->guard, d->remover);
	}
	free(d);
}
