/* SPDX-License-Identifier: Apache-2.0
 *
 * runner.c: see runner.h.
 */
#include "worker/runner.h"
#include "worker/guard.h"
#include "worker/packet.h"
#include "worker/spawn.h"
#include "common/clock.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct box {
	struct keeper *keeper; /* NULL: a process of ours */
	uint32_t id;           /* in the keeper */
	pid_t pid;
	int guard;
	int64_t began_ms;
	box_fn *fn;
	void *arg;
};

static void over(struct box *b, const char *why)
{
	box_fn *fn = b->fn;
	void *arg = b->arg;

	free(b);
	fn(arg, why);
}

/* --- run by itself --------------------------------------------------------------------------------------- */

static void on_end(void *arg, pid_t pid, int status, const struct rusage *usage)
{
	struct box *b = arg;

	(void)status, (void)usage;
	kill(-pid, SIGKILL); /* what a wrapper left behind in its group */
	guard_drop(b->guard, pid);
	over(b, NULL);
}

static void end_process(const struct box *b)
{
	kill(-b->pid, SIGKILL);
	kill(b->pid, SIGKILL); /* before its setpgid() there is no group */
}

static int run_alone(struct box **out, struct loop *l, int guard, char *const argv[], const char *errors, box_fn *fn,
	void *arg, struct err *e)
{
	auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	auto_close int err = open(errors, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct spawn s = { .argv = argv, .env = environ, .in = null, .out = null, .err = err, .guard = guard,
		.death = SIGKILL, .idle = true };

	if (null < 0 || err < 0)
		return err_sys(e, "opening %s", null < 0 ? "/dev/null" : errors);
	pid_t pid = spawn(&s, e);
	if (pid < 0)
		return -1;
	struct box *b = xcalloc(1, sizeof(*b));
	*b = (struct box){ .pid = pid, .guard = guard, .began_ms = clock_mono_ms(), .fn = fn, .arg = arg };
	if (loop_on_child(l, pid, on_end, b, e)) {
		box_free(b);
		return -1;
	}
	*out = b;
	return 0;
}

/* --- in a keeper ------------------------------------------------------------------------------------------- */

static void on_out(void *arg, const char *why)
{
	over(arg, why);
}

static int lodge(struct box **out, struct keeper *k, struct line *line, box_fn *fn, void *arg)
{
	struct box *b = xcalloc(1, sizeof(*b));

	*b = (struct box){ .keeper = k, .fn = fn, .arg = arg };
	b->id = keeper_ask(k, line, on_out, b);
	if (!b->id) {
		free(b);
		return -1;
	}
	*out = b;
	return 0;
}

/* --- both -------------------------------------------------------------------------------------------------- */

int box_begin(struct box **out, struct keeper *k, struct loop *l, int guard, struct line *line, const char *errors,
	box_fn *fn, void *arg, struct err *e)
{
	if (k && packet_fits(line->argv + 1) && !lodge(out, k, line, fn, arg))
		return 0;
	int bad = run_alone(out, l, guard, line->argv, errors, fn, arg, e);
	line_free(line);
	return bad;
}

int64_t box_ran_ms(const struct box *b)
{
	return b->keeper ? keeper_ran_ms(b->keeper, b->id) : clock_mono_ms() - b->began_ms;
}

/* As Ctrl-Z and `fg` at a terminal. */
void box_hold(struct box *b, bool hold)
{
	if (!b->keeper)
		kill(b->pid, hold ? SIGTSTP : SIGCONT);
}

void box_kill(struct box *b)
{
	if (b->keeper)
		keeper_kill(b->keeper, b->id);
	else
		end_process(b);
}

void box_free(struct box *b)
{
	if (!b)
		return;
	if (b->keeper) {
		keeper_forget(b->keeper, b->id);
	} else {
		end_process(b);
		waitpid(b->pid, NULL, 0);
		guard_drop(b->guard, b->pid);
	}
	free(b);
}
