/* SPDX-License-Identifier: Apache-2.0
 *
 * snap.c: see snap.h.
 *
 * A child copies, since a checkpoint may be large and its keeper has other boxes; it dies with the keeper. The file is
 * a stranger's and may change while it is read: it is opened once, without following links, and what is read counts,
 * up to the size it had.
 */
#include "sandbox/snap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PART ".checkpoint.part"

static int open_checkpoint(int work)
{
	struct open_how h = { .flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV };

	return (int)syscall(SYS_openat2, work, "out/" SNAP_NAME, &h, sizeof(h));
}

static bool same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int copy(int from, int to, int64_t size)
{
	off_t at = 0;

	while (at < size) {
		ssize_t n = sendfile(to, from, &at, (size_t)(size - at));

		if (n <= 0) /* it became shorter */
			return -1;
	}
	return 0;
}

static _Noreturn void copy_apart(int from, int outputs, int64_t size, pid_t keeper)
{
	int to;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) || getppid() != keeper)
		_exit(1);
	(void)unlinkat(outputs, PART, 0);
	to = openat(outputs, PART, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0 || copy(from, to, size) || fdatasync(to))
		_exit(1);
	_exit(renameat(outputs, PART, outputs, SNAP_COPY) ? 1 : 0);
}

static void begin(struct snap *s, int work, int outputs)
{
	int from = open_checkpoint(work);
	pid_t keeper = getpid();
	struct stat st;

	if (from < 0)
		return;
	if (fstat(from, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= s->most_bytes && !same(&st, &s->last)) {
		s->copier = fork();
		if (s->copier == 0)
			copy_apart(from, outputs, st.st_size, keeper);
		if (s->copier < 0)
			s->copier = 0;
		else
			s->last = st;
	}
	close(from);
}

void snap_turn(struct snap *s, int work, int outputs, int64_t now_us)
{
	if (s->copier && waitpid(s->copier, NULL, WNOHANG) == s->copier)
		s->copier = 0;
	if (s->every_us == 0 || work < 0 || outputs < 0 || s->copier || now_us < s->next_us)
		return;
	if (s->next_us)
		begin(s, work, outputs);
	s->next_us = now_us + s->every_us;
}

bool snap_reaped(struct snap *s, pid_t child)
{
	if (child <= 0 || child != s->copier)
		return false;
	s->copier = 0;
	return true;
}

void snap_end(struct snap *s, int outputs)
{
	if (s->copier > 0) {
		kill(s->copier, SIGKILL);
		while (waitpid(s->copier, NULL, 0) < 0 && errno == EINTR)
			;
		s->copier = 0;
	}
	if (s->every_us && outputs >= 0)
		(void)unlinkat(outputs, PART, 0);
}
