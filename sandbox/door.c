/* SPDX-License-Identifier: Apache-2.0
 *
 * door.c: see door.h. What the other process does is below `stand`: raw system calls only (raw.h).
 *
 *	OPENING ---> IDLE <---> ASKED      SHUT: it is gone (the kernel writes that)
 *
 * The keeper writes a call, says ASKED and sleeps until that is over: never both at once.
 */
#include "sandbox/door.h"

#include "sandbox/given.h"
#include "sandbox/plan.h"
#include "sandbox/space.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { SHUT, OPENING, IDLE, ASKED };

struct door {
	struct plan *room; /* for its stack, and for building the root */
	bool was_root;
	pid_t pid;
	uint32_t state;
	struct {
		uint64_t flags;
		void *stack;
		size_t size;
		spawn_fn *fn;
		void *arg;
		long pid;
	} call;
};

static void change(struct door *d, uint32_t state)
{
	__atomic_store_n(&d->state, state, __ATOMIC_RELEASE);
	raw3(SYS_futex, RAW(&d->state), FUTEX_WAKE, 1);
}

static uint32_t state_after(struct door *d, uint32_t state)
{
	uint32_t now;

	while ((now = __atomic_load_n(&d->state, __ATOMIC_ACQUIRE)) == state)
		raw4(SYS_futex, RAW(&d->state), FUTEX_WAIT, state, 0);
	return now;
}

/* --- the other process ------------------------------------------------------------------------------ */

static _Noreturn void leave(void)
{
	for (;;)
		raw1(SYS_exit_group, 0);
}

/* As given_become_nobody, but without any right; where there is no nobody (EINVAL), root stays so. */
static bool give_up_rights(const struct door *d)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { { 0 } };
	const long id = GIVEN_NOBODY;

	if (d->was_root) {
		raw2(SYS_setgroups, 0, 0);
		if (raw3(SYS_setresgid, id, id, id) == 0)
			raw3(SYS_setresuid, id, id, id);
	}
	return raw2(SYS_capset, RAW(&head), RAW(none)) == 0 &&
	       raw2(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL) == 0;
}

static _Noreturn void stand(void *arg)
{
	struct door *d = arg;

	if (space_bare(d->room) || !give_up_rights(d))
		leave();
	change(d, IDLE);
	for (;;) {
		if (state_after(d, IDLE) != ASKED)
			leave();
		d->call.pid = spawn(d->call.flags | CLONE_PARENT, d->call.stack, d->call.size,
			d->call.fn, d->call.arg, NULL);
		change(d, IDLE);
	}
}

/* --- the keeper's ------------------------------------------------------------------------------------ */

struct door *door_open(int proc, bool was_root)
{
	static struct door d; /* one keeper, one door */
	long pid;

	d.room = plan_new();
	d.was_root = was_root;
	d.state = OPENING;
	if (!d.room)
		return NULL;
	d.room->proc = proc;
	pid = spawn(CLONE_VM | CLONE_FILES | CLONE_NEWNS | CLONE_CHILD_CLEARTID,
		plan_stack(d.room, false), PLAN_STACK_BYTES, stand, &d, &d.state);
	d.pid = (pid_t)pid;
	if (pid > 0 && state_after(&d, OPENING) == IDLE)
		return &d;
	door_close(&d);
	return NULL;
}

bool door_is_open(const struct door *d)
{
	return d && __atomic_load_n(&d->state, __ATOMIC_ACQUIRE) == IDLE;
}

long door_spawn(struct door *d, uint64_t flags, void *stack, size_t size, spawn_fn *fn, void *arg)
{
	d->call.flags = flags;
	d->call.stack = stack;
	d->call.size = size;
	d->call.fn = fn;
	d->call.arg = arg;
	d->call.pid = -ECHILD;
	change(d, ASKED);
	state_after(d, ASKED);
	return d->call.pid;
}

void door_close(struct door *d)
{
	if (!d || !d->room)
		return;
	if (d->pid > 0) {
		kill(d->pid, SIGKILL);
		while (waitpid(d->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	plan_free(d->room);
	d->room = NULL;
}
