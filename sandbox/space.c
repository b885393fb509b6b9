/* SPDX-License-Identifier: Apache-2.0
 *
 * space.c: the keeper's half of space.h: where a box is born.
 *
 * An init shares the keeper's memory (CLONE_VM): copying its page tables would cost more than all
 * the rest of a launch. What a warm keeper has settled into (network, ipc, host name, empty root)
 * is not made again for each box; the user, pid and mount namespaces always are.
 */
#include "sandbox/space.h"

#include "sandbox/plan.h"
#include "sandbox/reap.h"
#include "sandbox/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

const struct space_kind space_kinds[SPACE_KINDS] = {
	{ BOX_LAYER_USERNS, CLONE_NEWUSER },
	{ BOX_LAYER_PIDNS, CLONE_NEWPID },
	{ BOX_LAYER_MOUNTNS, CLONE_NEWNS },
	{ BOX_LAYER_NETNS, CLONE_NEWNET },
	{ BOX_LAYER_IPCNS, CLONE_NEWIPC },
	{ BOX_LAYER_UTSNS, CLONE_NEWUTS },
};

static uint64_t clone_flags(unsigned layers)
{
	uint64_t flags = CLONE_VM;

	for (size_t i = 0; i < SPACE_KINDS; i++) {
		if (layers & (1u << space_kinds[i].layer))
			flags |= (unsigned)space_kinds[i].flag;
	}
	return flags;
}

/* One id, never root. */
static void write_maps(struct plan *p)
{
	snprintf(p->uid_map, sizeof(p->uid_map), "%d %u 1", SPACE_UID, geteuid());
	snprintf(p->gid_map, sizeof(p->gid_map), "%d %u 1", SPACE_UID, getegid());
}

static pid_t start(struct plan *p, unsigned layers, spawn_fn *fn, struct door *door)
{
	long pid;

	write_maps(p);
	if (door)
		pid = door_spawn(
			door, clone_flags(layers), plan_stack(p, false), PLAN_STACK_BYTES, fn, p);
	else
		pid = spawn(
			clone_flags(layers), plan_stack(p, false), PLAN_STACK_BYTES, fn, p, NULL);
	if (pid >= 0)
		return (pid_t)pid;
	errno = (int)-pid;
	return -1;
}

/* The user namespace gives the rights to make the others, the pid namespace must be there at birth. The
 * others the init makes, while the keeper goes on. */
pid_t space_start(struct plan *p, struct door *door, struct why *w)
{
	static const unsigned born[] = { BOX_BIT(USERNS) | BOX_BIT(PIDNS), BOX_BIT(USERNS), 0 };
	size_t n = p->profile == BOX_COMPUTE ? sizeof(born) / sizeof(born[0]) : 1;
	pid_t pid = -1;

	for (size_t i = 0; i < n && pid < 0; i++) {
		p->born = born[i] & p->layers;
		p->ahead = p->ahead && i == 0;
		pid = start(p, p->born, reap_run, door);
	}
	return pid < 0 ? why_sys(w, "layer userns or pidns" PLAN_MENDED) : pid;
}

/* --- probing --------------------------------------------------------------------------------------- */

static _Noreturn void try_maps(void *arg)
{
	struct plan *p = arg;

	raw1(SYS_exit_group, (p->layers & BOX_BIT(USERNS)) && space_map(p));
	__builtin_unreachable();
}

static _Noreturn void try_root(void *arg)
{
	struct plan *p = arg;

	raw1(SYS_exit_group, space_map(p) || space_unshare(p) || space_prepare(p) ||
				     space_furnish(p, NULL) || space_leave(p));
	__builtin_unreachable();
}

static bool try_one(
	int proc, unsigned layers, unsigned born, unsigned bits, spawn_fn *fn, struct why *w)
{
	struct plan *p = plan_new();
	int status = 0;
	pid_t pid;

	if (!p) {
		why_sys(w, "no memory");
		return false;
	}
	p->profile = BOX_FILES;
	p->layers = layers;
	p->born = born;
	p->bits = bits;
	p->proc = proc;
	pid = start(p, born, fn, NULL);
	if (pid < 0)
		why_sys(w, "making namespaces");
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid > 0 && status != 0)
		plan_why(p, w);
	plan_free(p);
	return pid > 0 && status == 0;
}

unsigned space_probe(int proc, struct why why[BOX_N_LAYERS])
{
	unsigned granted = 0;

	for (size_t i = 0; i < SPACE_KINDS; i++) {
		enum box_layer l = space_kinds[i].layer;

		if (i > 0 && !(granted & BOX_BIT(USERNS)))
			why_set(&why[l], "needs the user namespace");
		else if (try_one(proc, BOX_BIT(USERNS) | 1u << l, BOX_BIT(USERNS) | 1u << l, 0,
				 try_maps, &why[l]))
			granted |= 1u << l;
	}
	return granted;
}

bool space_try_root(int proc, struct why *w)
{
	return try_one(proc, BOX_NAMESPACES, BOX_BIT(USERNS) | BOX_BIT(PIDNS), 0, try_root, w);
}

bool space_try_proc(int proc, struct why *w)
{
	return try_one(
		proc, BOX_NAMESPACES, BOX_BIT(USERNS) | BOX_BIT(PIDNS), BOX_PROC, try_root, w);
}

/* --- settling -------------------------------------------------------------------------------------- */

static int settle(struct plan *p, enum box_profile profile, struct why *w)
{
	const int own = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
	bool users = geteuid() != 0;

	snprintf(p->uid_map, sizeof(p->uid_map), "%u %u 1", geteuid(), geteuid());
	snprintf(p->gid_map, sizeof(p->gid_map), "%u %u 1", getegid(), getegid());
	if (unshare(own | (users ? CLONE_NEWUSER : 0))) {
		why_sys(w, "making the keeper's namespaces");
		return 1;
	}
	if ((users && space_map(p)) || space_name(p) ||
		(profile == BOX_COMPUTE && (space_empty(p) || space_leave(p)))) {
		plan_why(p, w);
		/* root in a chroot: namespaces are made, but "/" is no mount that could be left */
		return !users && p->told.fault.step == STEP_PRIVATE ? 1 : -1;
	}
	/* what is mounted later is seen, what boxes mount is not */
	if (profile != BOX_COMPUTE && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL))
		return why_sys(w, "mount namespace: making it a follower");
	return 0;
}

int space_settle(int proc, enum box_profile profile, struct why *w)
{
	struct plan *p = plan_new();
	int rc;

	if (!p)
		return why_sys(w, "no memory");
	p->proc = proc;
	rc = settle(p, profile, w);
	plan_free(p);
	return rc;
}

int64_t space_names(int work)
{
	struct statfs f;

	return work < 0 || fstatfs(work, &f) ? SPACE_INODES : (int64_t)(f.f_files - f.f_ffree);
}

bool space_full(int work, int64_t disk_mib)
{
	struct statfs f;

	if (work < 0 || fstatfs(work, &f))
		return false;
	return (int64_t)(f.f_blocks - f.f_bfree) * (int64_t)f.f_bsize > disk_mib * 1048576 ||
	       f.f_files - f.f_ffree > SPACE_INODES;
}
