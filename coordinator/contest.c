/* SPDX-License-Identifier: Apache-2.0
 *
 * contest.c: see contest.h. All below contest_start() runs in the child: it never touches the database, a socket or the
 * loop, which are its parent's.
 */
#include "coordinator/contest.h"
#include "common/buf.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

char *contest_sandbox(void)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return NULL;
	*slash = '\0';
	auto_free char *beside = xprintf("%s/talkoot-sandbox", self);
	return access(beside, X_OK) ? NULL : TAKE(beside);
}

/* The file of one side's output: the blob's own, or one made of its bytes. Yours. */
static char *side_path(
	const struct contest *x, const struct match *m, int side, const char *dir, struct err *e)
{
	auto_free char *path = xprintf("%s/%c", dir, 'a' + side);
	auto_close int fd = -1;
	int64_t size;

	if (m->bytes[side]) {
		if (file_write_atomic(path, m->bytes[side], m->n[side], 0644, e))
			return NULL;
		return TAKE(path);
	}
	if (blob_open(x->blobs, &m->digest[side], &fd, &size, e)) /* it verifies */
		return NULL;
	return blob_path(x->blobs, &m->digest[side]);
}

/* --- numbers ------------------------------------------------------------------------------ */
static int numeric(const struct match *m, const char *a, const char *b, struct err *e)
{
	auto_close int x = open(a, O_RDONLY | O_CLOEXEC), y = open(b, O_RDONLY | O_CLOEXEC);

	if (x < 0 || y < 0)
		return err_sys(e, "opening %s", x < 0 ? a : b);
	return compare_files(&m->how, x, y, e);
}

/* --- the submitter's program --------------------------------------------------------------- */
/* The comparator's file under its own name, as that is argv[0]. Yours. */
static char *program_path(const struct contest *x, const char *dir, struct err *e)
{
	const struct job_program *p = &x->job->comparator;
	auto_free char *bin = xprintf("%s/bin", dir), *path = xprintf("%s/%s", bin, p->name),
		       *blob = NULL;
	auto_close int fd = -1;
	int64_t size;

	if (!access(path, X_OK))
		return TAKE(path);
	if (blob_open(x->blobs, &p->blob.digest, &fd, &size, e) || make_dirs(bin, 0700, e))
		return NULL;
	blob = blob_path(x->blobs, &p->blob.digest);
	if (fchmod(fd, 0555) || link(blob, path)) {
		err_sys(e, "linking the comparator");
		return NULL;
	}
	return TAKE(path);
}

static int run(char **argv, int *status, struct err *e)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			execvp(argv[0], argv);
		_exit(125);
	}
	if (pid < 0)
		return err_sys(e, "starting %s", argv[0]);
	while (waitpid(pid, status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "waiting for %s", argv[0]);
	return 0;
}

static int by_program(const struct contest *x, const struct match *m, const char *dir,
	const char *a, const char *b, struct err *e)
{
	auto_free char *sandbox = contest_sandbox(), *program = program_path(x, dir, e);
	char **argv = sandbox && program ? comparator_argv(sandbox, program, a, b, m->name) : NULL;
	char why[80];
	int status, answer = -1;

	if (!sandbox)
		err_set(e, ERR_NOT_FOUND, "talkoot-sandbox is gone");
	if (argv && !run(argv, &status, e)) {
		answer = comparator_answer(status, why);
		if (answer < 0)
			err_set(e, ERR_PROGRAM, "the comparator %s gave no answer: %s",
				x->job->comparator.name, why);
	}
	comparator_free(argv);
	return answer;
}

/* --- the child ---------------------------------------------------------------------------- */
/* 1 same, 0 different, -1. */
static int hold(const struct contest *x, const struct match *m, const char *dir, struct err *e)
{
	auto_free char *a = side_path(x, m, 0, dir, e), *b = a ? side_path(x, m, 1, dir, e) : NULL;

	if (!a || !b)
		return -1;
	return m->how.kind == COMPARE_PROGRAM ? by_program(x, m, dir, a, b, e)
	                                      : numeric(m, a, b, e);
}

static int contest(const struct contest *x, const char *dir)
{
	char job[DIGEST_HEX + 1];
	struct err e;

	for (size_t i = 0; i < x->n; i++) {
		int same = hold(x, &x->matches[i], dir, &e);

		if (same > 0)
			continue;
		if (same == 0)
			return CONTEST_DIFFERENT;
		digest_hex(job, &x->job->id);
		if (!x->quiet)
			log_warn("job %.16s: comparing %s: %s", job, x->matches[i].name, e.msg);
		return CONTEST_FAILED;
	}
	return CONTEST_SAME;
}

pid_t contest_start(const struct contest *x, const char *dir, unsigned wall_s, struct err *e)
{
	static const int back[] = { SIGTERM, SIGINT, SIGCHLD, SIGPIPE, SIGALRM };
	pid_t parent = getpid(), pid = fork();
	sigset_t none;

	if (pid < 0)
		return err_sys(e, "starting a process");
	if (pid > 0)
		return pid;
	close_range(3, ~0U, 0); /* the lock on DIR; and our parent's connections end when it ends them */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(CONTEST_FAILED);
	setpgid(0, 0);
	for (size_t i = 0; i < ARRAY_LEN(back); i++)
		signal(back[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	(void)!nice(10);        /* the grid goes first */
	alarm(wall_s);
	_exit(contest(x, dir));
}

void match_release(struct match *m)
{
	free(TAKE(m->bytes[0]));
	free(TAKE(m->bytes[1]));
}

void contest_release(struct contest *x)
{
	for (size_t i = 0; i < x->n; i++)
		match_release(&x->matches[i]);
	x->n = 0;
}
