/* SPDX-License-Identifier: Apache-2.0
 *
 * guard.c: see guard.h.
 *
 * It is cloned into the keeper's memory, as the init is, for that costs least; so it makes raw system calls
 * only (raw.h). It leaves the keeper's session, and what the keeper has blocked stays blocked: a signal to
 * the terminal or the group does not end it. It waits for the end of file of a pipe, which comes when the
 * kernel closes the keeper's descriptors. It has the keeper's rights and does nothing but rmdir, which
 * takes only what is empty.
 */
#include "sandbox/guard.h"

#include "sandbox/cgroup.h"
#include "sandbox/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES 16384
#define TRIES 5000 /* of 2 ms: for its boxes to end */
#define PAUSE_NS 2000000

/* --- its own: raw --- */

static char *number(char *end, unsigned n)
{
	do {
		*--end = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	return end;
}

/* As cgroup_make names them. */
static const char *name_of(char room[CGROUP_NAME_MAX], unsigned keeper, unsigned n)
{
	static const char prefix[] = CGROUP_PREFIX;
	char *at = room + CGROUP_NAME_MAX - 1;

	*at = 0;
	at = number(at, n);
	*--at = '-';
	at = number(at, keeper);
	for (size_t i = sizeof(prefix) - 1; i > 0; i--)
		*--at = prefix[i - 1];
	return at;
}

/* True: one is still in use. */
static bool remove_all(const struct guard *g)
{
	char room[CGROUP_NAME_MAX];
	bool busy = false;

	for (int i = 0; i < GUARD_FOLDERS; i++) {
		for (unsigned n = 0; g->parents[i] >= 0 && n < *g->made[i]; n++)
			busy |= raw3(SYS_unlinkat, i + 1,
					RAW(name_of(room, (unsigned)g->keeper, n)),
					AT_REMOVEDIR) == -EBUSY;
	}
	return busy;
}

/* The pipe becomes 0, the folders 1 and 2; all other descriptors are closed. The keeper's are beyond 2. */
static void keep_own(const struct guard *g)
{
	raw3(SYS_dup3, g->life[0], 0, 0);
	for (int i = 0; i < GUARD_FOLDERS; i++) {
		if (g->parents[i] >= 0)
			raw3(SYS_dup3, g->parents[i], i + 1, 0);
	}
	raw3(SYS_close_range, GUARD_FOLDERS + 1, ~0U, 0);
}

static _Noreturn void stand(void *guard)
{
	const struct guard *g = guard;
	struct timespec pause = { 0, PAUSE_NS };
	char c;

	keep_own(g);
	raw0(SYS_setsid);
	while (raw3(SYS_read, 0, RAW(&c), 1) == -EINTR)
		;
	for (int i = 0; i < TRIES && remove_all(g); i++)
		raw2(SYS_nanosleep, RAW(&pause), 0);
	for (;;)
		raw1(SYS_exit_group, 0);
}

/* --- the keeper's --- */

void guard_start(struct guard *g)
{
	long pid;

	if (g->stack)
		return;
	g->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (g->stack == MAP_FAILED || pipe2(g->life, O_CLOEXEC))
		return;
	g->keeper = getpid();
	pid = spawn(CLONE_VM, g->stack, STACK_BYTES, stand, g, NULL);
	g->pid = pid > 0 ? (pid_t)pid : 0;
	close(g->life[0]);
	if (g->pid == 0)
		close(g->life[1]);
}

void guard_stop(struct guard *g)
{
	if (g->pid == 0)
		return;
	kill(g->pid, SIGKILL);
	while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
		;
	close(g->life[1]);
	g->pid = 0;
}
