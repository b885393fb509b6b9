/* SPDX-License-Identifier: Apache-2.0
 *
 * filter.c: policy.h as BPF by libseccomp, and the rules that look at arguments.
 *
 * A foreign architecture's call ends the process; an unlisted call gets EPERM; clone3 gets ENOSYS because
 * its flags lie behind a pointer that no filter can look through. Only registers are compared.
 */
#include "sandbox/filter.h"
#include "sandbox/policy.h"

#include <asm/prctl.h>
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef POLICY_DIGEST
#define POLICY_DIGEST "0000000000000000000000000000000000000000000000000000000000000000"
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#define NAMESPACES \
	(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | \
		CLONE_NEWCGROUP)

const char filter_policy[] = "sha256:" POLICY_DIGEST;

struct plain {
	const char *name; /* a call this machine does not have is left out */
	bool files_only;
};

#define BOTH(name) { #name, false },
#define FILES(name) { #name, true },
static const struct plain plains[] = { POLICY(BOTH, FILES) };

/* One allowed combination of arguments. */
struct rule {
	const char *name;
	bool files_only, compute_only;
	unsigned n;
	struct scmp_arg_cmp at[2];
};

#define MASK(arg, mask, value) { arg, SCMP_CMP_MASKED_EQ, mask, value }
#define IS(arg, value) { arg, SCMP_CMP_EQ, value, 0 }

static const struct rule rules[] = {
	/* threads alone in compute; processes too in files; never a namespace */
	{ "clone", false, true, 1, { MASK(0, NAMESPACES | CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM) } },
	{ "clone", true, false, 1, { MASK(0, NAMESPACES | CLONE_PTRACE, 0) } },
	/* compute maps no code and no shared memory; files never both writable and executable */
	{ "mmap", false, true, 2, { MASK(2, PROT_EXEC, 0), MASK(3, MAP_SHARED, 0) } },
	{ "mmap", true, false, 1, { MASK(2, PROT_EXEC, 0) } },
	{ "mmap", true, false, 1, { MASK(2, PROT_EXEC | PROT_WRITE, PROT_EXEC) } },
	{ "mprotect", false, false, 1, { MASK(1, PROT_EXEC, 0) } },
	/* names of threads and of memory; not PDEATHSIG, not dumpable, not seccomp */
	{ "prctl", false, false, 1, { IS(0, PR_SET_NAME) } },
	{ "prctl", false, false, 1, { IS(0, PR_GET_NAME) } },
	{ "prctl", false, false, 1, { IS(0, PR_SET_VMA) } },
	/* is it a terminal, how much is there to read */
	{ "ioctl", false, false, 1, { IS(1, TCGETS) } },
	{ "ioctl", false, false, 1, { IS(1, TIOCGWINSZ) } },
	{ "ioctl", false, false, 1, { IS(1, FIONREAD) } },
	{ "ioctl", true, false, 1, { IS(1, FIOCLEX) } },
	/* no leases, no locks, no signals to others' descriptors */
	{ "fcntl", false, false, 1, { IS(1, F_GETFL) } },
	{ "fcntl", false, false, 1, { IS(1, F_GETFD) } },
	{ "fcntl", false, false, 1, { IS(1, F_SETFD) } },
	{ "fcntl", false, false, 1, { IS(1, F_SETFL) } },
	{ "fcntl", true, false, 1, { IS(1, F_DUPFD) } },
	{ "fcntl", true, false, 1, { IS(1, F_DUPFD_CLOEXEC) } },
	/* its own limits may be read */
	{ "prlimit64", false, false, 2, { IS(0, 0), IS(2, 0) } },
	{ "socketpair", true, false, 1, { IS(0, AF_UNIX) } },
};

static int add_plain(scmp_filter_ctx ctx, enum box_profile profile)
{
	for (size_t i = 0; i < sizeof(plains) / sizeof(plains[0]); i++) {
		int nr = seccomp_syscall_resolve_name(plains[i].name);

		if (nr == __NR_SCMP_ERROR || nr < 0 || (plains[i].files_only && profile != BOX_FILES))
			continue;
		int bad = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
		if (bad)
			return bad;
	}
	return 0;
}

static int add_rules(scmp_filter_ctx ctx, enum box_profile profile)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *r = &rules[i];
		int nr = seccomp_syscall_resolve_name(r->name);

		if (nr < 0 || (r->files_only && profile != BOX_FILES) ||
			(r->compute_only && profile != BOX_COMPUTE))
			continue;
		int bad = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, nr, r->n, r->at);
		if (bad)
			return bad;
	}
	return 0;
}

/* With a pid namespace every visible process is its own; without one only itself may be signalled. */
static int add_kill(scmp_filter_ctx ctx, int self)
{
	static const int calls[] = { SCMP_SYS(kill), SCMP_SYS(tgkill) };
	int bad = 0;

	for (int i = 0; i < 2 && !bad; i++)
		bad = self ? seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 1,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)self))
			   : seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	return bad;
}

int filter_install(enum box_profile profile, int self)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int bad;

	if (!ctx) {
		errno = ENOMEM;
		return -1;
	}
	bad = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (!bad)
		bad = add_plain(ctx, profile);
	if (!bad)
		bad = add_rules(ctx, profile);
	if (!bad)
		bad = add_kill(ctx, self);
	if (!bad)
		bad = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (!bad)
		bad = seccomp_load(ctx);
	seccomp_release(ctx);
	errno = -bad;
	return bad ? -1 : 0;
}

int filter_available(void)
{
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0 ? -1 : 0;
}
