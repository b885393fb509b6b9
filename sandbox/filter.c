/* SPDX-License-Identifier: Apache-2.0
 *
 * filter.c: policy.h as a seccomp filter. The only file that knows libseccomp.
 *
 * policy.h is included as rows of a table; a row is taken when it is meant for the plan. The
 * default is EPERM, a foreign architecture (i386, x32) is killed.
 *
 * No call is decided by user notification: a signal interrupts the wait for the answer, and a fork
 * that fails with EINTR is something no shell has heard of.
 */
#include "sandbox/filter.h"

#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#ifndef MAP_TYPE
#define MAP_TYPE 0x0f
#endif

#define CLONE_THREADLY (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)
#define CLONE_NEVER                                                                                \
	(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | \
		CLONE_NEWCGROUP | CLONE_PTRACE | CLONE_UNTRACED | CLONE_PARENT)

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define TESTS_MAX 3
#define SELF UINT64_MAX /* stands for plan->self */

enum who { COMPUTE = 1, FILES = 2, BOTH = 3, ROOTED = 4 };

struct row {
	int nr;
	enum who who;
	uint32_t action;
	unsigned n;
	struct scmp_arg_cmp tests[TESTS_MAX];
};

const char filter_policy[] = POLICY_DIGEST;

#define IS(argument, value)                                                                        \
	{                                                                                          \
		argument, SCMP_CMP_EQ, (uint64_t)(value), 0                                        \
	}
#define MASK(argument, bits, value)                                                                \
	{                                                                                          \
		argument, SCMP_CMP_MASKED_EQ, (uint64_t)(bits), (uint64_t)(value)                  \
	}
#define COUNT_OF(...) (sizeof((struct scmp_arg_cmp[]){ __VA_ARGS__ }) / sizeof(struct scmp_arg_cmp))
#define ALLOW(who, call, reason) { SCMP_SYS(call), who, SCMP_ACT_ALLOW, 0, { { 0, 0, 0, 0 } } },
#define WHEN(who, call, reason, ...)                                                               \
	{ SCMP_SYS(call), who, SCMP_ACT_ALLOW, COUNT_OF(__VA_ARGS__), { __VA_ARGS__ } },
#define NOSYS(who, call, reason)                                                                   \
	{ SCMP_SYS(call), who, SCMP_ACT_ERRNO(ENOSYS), 0, { { 0, 0, 0, 0 } } },

static const struct row table[] = {
#include "sandbox/policy.h"
};

static bool meant(const struct row *r, const struct filter_plan *plan)
{
	enum who as = plan->profile == BOX_COMPUTE ? COMPUTE : FILES;

	/* libseccomp gives calls that this architecture lacks a negative number */
	return r->nr >= 0 &&
	       ((r->who & as) || ((r->who & ROOTED) && as == COMPUTE && plan->rooted));
}

static int add(scmp_filter_ctx ctx, const struct row *r, pid_t self)
{
	struct scmp_arg_cmp tests[TESTS_MAX];

	memcpy(tests, r->tests, sizeof(tests));
	for (unsigned i = 0; i < r->n; i++) {
		if (tests[i].datum_a == SELF)
			tests[i].datum_a = (uint64_t)self;
	}
	return seccomp_rule_add_array(ctx, r->action, r->nr, r->n, tests);
}

bool filter_lists(const struct filter_plan *plan, int nr)
{
	for (size_t i = 0; i < LEN(table); i++) {
		if (table[i].nr == nr && table[i].action != SCMP_ACT_ERRNO(ENOSYS) &&
			meant(&table[i], plan))
			return true;
	}
	return false;
}

/* libseccomp returns -errno. */
static int failed(int rc, const char *what, struct why *w)
{
	return why_set(w, "seccomp: %s: %s", what, strerror(-rc));
}

static int fill(scmp_filter_ctx ctx, const struct filter_plan *plan, struct why *w)
{
	int rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	if (rc)
		return failed(rc, "the answer to foreign calls", w);
	for (size_t i = 0; i < LEN(table); i++) {
		if (!meant(&table[i], plan))
			continue;
		rc = add(ctx, &table[i], plan->self);
		if (rc)
			return why_set(w, "seccomp: rule %zu of the policy (call %d): %s", i,
				table[i].nr, strerror(-rc));
	}
	return 0;
}

int filter_load(const struct filter_plan *plan, struct why *w)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc;

	if (!ctx)
		return why_set(w, "seccomp: no memory");
	rc = fill(ctx, plan, w);
	if (rc == 0 && (rc = seccomp_load(ctx)))
		failed(rc, "loading the filter", w);
	seccomp_release(ctx);
	return rc ? -1 : 0;
}
