/* SPDX-License-Identifier: Apache-2.0
 *
 * filter.c: see filter.h.
 *
 * Only getrandom, and only in a seeded plan, is decided by user notification: a signal interrupts the
 * wait for the answer, and a fork that fails with EINTR is something no shell has heard of. Once who
 * listens has begun to answer, only a signal that kills interrupts, on kernels that can (5.19).
 */
#include "sandbox/filter.h"

#include "sandbox/raw.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "gen/filter_code.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

#if defined(__x86_64__)
#define HERE filter_x86_64
#elif defined(__aarch64__)
#define HERE filter_aarch64
#else
#error "the box knows x86-64 and aarch64"
#endif

const char filter_policy[] = POLICY_DIGEST;

static const struct filter_code *code_of(const struct filter_plan *plan)
{
	unsigned seeded = plan->seeded, rooted = plan->rooted, jit = plan->jit;

	if (plan->profile == BOX_COMPUTE)
		return &HERE[rooted + 2 * seeded];
	return &HERE[FILTER_VARIANT_FILES + seeded + 2 * jit];
}

void filter_make(struct filter *f, const struct filter_plan *plan)
{
	const struct filter_code *c = code_of(plan);

	for (unsigned i = 0; i < c->n; i++) {
		f->code[i] = c->code[i];
		if (f->code[i].code == (BPF_JMP | BPF_JEQ | BPF_K) && f->code[i].k == FILTER_SELF)
			f->code[i].k = (uint32_t)plan->self;
	}
	f->n = c->n;
}

static long load(const struct filter *f, long flags)
{
	struct {
		unsigned short n;
		const struct sock_filter *code;
	} program = { f->n, f->code }; /* struct sock_fprog, whose pointer is not const */

	return raw3(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, (long)(uintptr_t)&program);
}

int filter_bind(const struct filter *f, bool seeded, int *listener)
{
	const long listen = SECCOMP_FILTER_FLAG_NEW_LISTENER;
	long rc = seeded ? load(f, listen | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) : load(f, 0);

	if (seeded && rc == -EINVAL)
		rc = load(f, listen);
	*listener = seeded && rc >= 0 ? (int)rc : -1;
	return rc < 0 ? (int)rc : 0;
}

bool filter_lists(const struct filter_plan *plan, int nr)
{
	const struct filter_code *c = code_of(plan);

	for (unsigned i = 0; i < c->n_reach; i++) {
		if (c->reach[i] == nr)
			return true;
	}
	return false;
}
