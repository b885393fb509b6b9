/* SPDX-License-Identifier: Apache-2.0
 *
 * filter_gen.c: run while building: policy.h becomes filter code, for each architecture and each
 * kind of plan, as C on standard output. The only file that knows libseccomp, and no part of any
 * program.
 *
 * policy.h is included as rows of a table; a row is taken when it is meant for the plan. The
 * default is EPERM, a foreign architecture (i386, x32) is killed. The constants in the rows are
 * those of <asm-generic>, the same for both architectures; calls go by name.
 *
 * The code is a binary tree over the numbers, for the kernel runs a new filter once for every
 * number there is (it remembers which need not be asked), and that is most of what attaching costs.
 */
#include "sandbox/filter.h"
#include "sandbox/filter_code.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* x86's own, wherever this is built; and what older headers lack */
#ifndef ARCH_SET_FS
#define ARCH_SET_FS 0x1002
#endif
#ifndef ARCH_GET_FS
#define ARCH_GET_FS 0x1003
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* even: MADV_GUARD_REMOVE differs in the last bit */
#endif
#ifndef MAP_TYPE
#define MAP_TYPE 0x0f
#endif

#define CLONE_THREADLY (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)
#define CLONE_NEVER                                                                                \
	(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | \
		CLONE_NEWCGROUP | CLONE_PTRACE | CLONE_UNTRACED | CLONE_PARENT)

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define TESTS_MAX 2
#define SELF FILTER_SELF
#define API_LEVEL 5 /* with user notification; asked of libseccomp, not of this machine's kernel */

enum who { COMPUTE = 1, FILES = 2, BOTH = 3, ROOTED = 4, JIT = 8 };
enum kind { YES, NO, NONE_HERE, CHANCE };

struct row {
	const char *call;
	enum who who;
	enum kind kind;
	unsigned n;
	struct scmp_arg_cmp tests[TESTS_MAX];
};

/* clang-format off */
#define IS(argument, value) { argument, SCMP_CMP_EQ, (uint64_t)(value), 0 }
#define UPTO(argument, value) { argument, SCMP_CMP_LE, (uint64_t)(value), 0 }
#define MASK(argument, bits, value) { argument, SCMP_CMP_MASKED_EQ, (uint32_t)(bits), (uint32_t)(value) }
#define NONE { { 0, 0, 0, 0 } }
#define COUNT_OF(...) (sizeof((struct scmp_arg_cmp[]){ __VA_ARGS__ }) / sizeof(struct scmp_arg_cmp))
#define ALLOW(who, call, reason) { #call, who, YES, 0, NONE },
#define WHEN(who, call, reason, ...) { #call, who, YES, COUNT_OF(__VA_ARGS__), { __VA_ARGS__ } },
#define SEEDED(who, call, reason) { #call, who, CHANCE, 0, NONE },
#define NOSYS(who, call, reason) { #call, who, NO, 0, NONE },
#define NOTSUP(who, call, reason) { #call, who, NONE_HERE, 0, NONE },
#define NOSYS_WHEN(who, call, reason, ...) { #call, who, NO, COUNT_OF(__VA_ARGS__), { __VA_ARGS__ } },
/* clang-format on */

static const struct row table[] = {
#include "sandbox/policy.h"
};

struct plan {
	bool files, rooted, seeded, jit;
};

static const struct {
	uint32_t token;
	const char *name;
} arches[] = { { SCMP_ARCH_X86_64, "x86_64" }, { SCMP_ARCH_AARCH64, "aarch64" } };

static _Noreturn void fail(const char *what, int rc)
{
	fprintf(stderr, "filter_gen: %s: %s\n", what, strerror(-rc));
	exit(1);
}

static struct plan plan_of(int variant)
{
	int more = variant - FILTER_VARIANT_FILES;

	if (more >= 0)
		return (struct plan){ true, true, more & 1, more >> 1 };
	return (struct plan){ false, variant & 1, variant >> 1, false };
}

static bool meant(const struct row *r, struct plan p)
{
	if (p.files)
		return r->who & (p.jit ? FILES | JIT : FILES);
	return r->who & (p.rooted ? COMPUTE | ROOTED : COMPUTE);
}

static uint32_t action(const struct row *r, struct plan p)
{
	if (r->kind == NO)
		return SCMP_ACT_ERRNO(ENOSYS);
	if (r->kind == NONE_HERE)
		return SCMP_ACT_ERRNO(EOPNOTSUPP);
	return r->kind == CHANCE && p.seeded ? SCMP_ACT_NOTIFY : SCMP_ACT_ALLOW;
}

/* The call's number there; negative when that architecture has none. */
static int number(const struct row *r, uint32_t arch)
{
	int nr = seccomp_syscall_resolve_name_arch(arch, r->call);

	if (nr == __NR_SCMP_ERROR)
		fail(r->call, -ENOSYS); /* misspelt, or libseccomp is too old */
	return nr;
}

/* A rule is added under this machine's number (or pseudo-number) and translated by libseccomp. */
static void add(scmp_filter_ctx ctx, const struct row *r, struct plan p)
{
	int rc = seccomp_rule_add_array(
		ctx, action(r, p), seccomp_syscall_resolve_name(r->call), r->n, r->tests);

	if (rc)
		fail(r->call, rc);
}

static scmp_filter_ctx begin(uint32_t arch)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc;

	if (!ctx)
		fail("seccomp_init", -ENOMEM);
	rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (rc == 0)
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (rc == 0 && arch != seccomp_arch_native()) {
		rc = seccomp_arch_add(ctx, arch);
		if (rc == 0)
			rc = seccomp_arch_remove(ctx, SCMP_ARCH_NATIVE);
	}
	if (rc)
		fail("preparing", rc);
	return ctx;
}

/* The only way out of libseccomp is a descriptor. */
static size_t export(scmp_filter_ctx ctx, struct sock_filter code[FILTER_MAX])
{
	FILE *f = tmpfile();
	size_t n;
	int rc;

	if (!f)
		fail("a temporary file", -errno);
	rc = seccomp_export_bpf(ctx, fileno(f));
	if (rc)
		fail("exporting", rc);
	rewind(f);
	n = fread(code, sizeof(*code), FILTER_MAX, f);
	if (n == FILTER_MAX)
		fail("the code is longer than FILTER_MAX", -E2BIG);
	fclose(f);
	return n;
}

static void print_code(scmp_filter_ctx ctx, const char *arch, int variant)
{
	static struct sock_filter code[FILTER_MAX];
	size_t n = export(ctx, code);

	printf("\nstatic const struct sock_filter filter_%s_%d[] = {\n", arch, variant);
	for (size_t i = 0; i < n; i++)
		printf("\t{ 0x%02x, %u, %u, 0x%08x },\n", code[i].code, code[i].jt, code[i].jf,
			code[i].k);
	puts("};");
}

static int rising(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void print_reach(uint32_t arch, const char *name, int variant)
{
	int nr[LEN(table)], n = 0;

	for (size_t i = 0; i < LEN(table); i++) {
		if (table[i].kind != NO && table[i].kind != NONE_HERE &&
			meant(&table[i], plan_of(variant)) && number(&table[i], arch) >= 0)
			nr[n++] = number(&table[i], arch);
	}
	qsort(nr, (size_t)n, sizeof(nr[0]), rising);
	printf("static const unsigned short filter_%s_%d_reach[] = {", name, variant);
	for (int i = 0; i < n; i++) {
		if (i == 0 || nr[i] != nr[i - 1])
			printf(" %d,", nr[i]);
	}
	puts(" };");
}

static void print_variant(uint32_t arch, const char *name, int variant)
{
	scmp_filter_ctx ctx = begin(arch);

	for (size_t i = 0; i < LEN(table); i++) {
		if (meant(&table[i], plan_of(variant)) && number(&table[i], arch) >= 0)
			add(ctx, &table[i], plan_of(variant));
	}
	print_code(ctx, name, variant);
	print_reach(arch, name, variant);
	seccomp_release(ctx);
}

static void print_list(const char *name)
{
	printf("\nstatic const struct filter_code filter_%s[FILTER_VARIANTS] = {\n", name);
	for (int v = 0; v < FILTER_VARIANTS; v++) {
		printf("\t{ filter_%s_%d, filter_%s_%d_reach, ", name, v, name, v);
		printf("sizeof(filter_%s_%d) / sizeof(struct sock_filter), ", name, v);
		printf("sizeof(filter_%s_%d_reach) / sizeof(unsigned short) },\n", name, v);
	}
	puts("};");
}

int main(void)
{
	int rc = seccomp_api_set(API_LEVEL);

	if (rc)
		fail("seccomp_api_set", rc);
	puts("/* Made by sandbox/filter_gen.c from sandbox/policy.h. */\n"
	     "#include \"sandbox/filter_code.h\"");
	for (size_t i = 0; i < LEN(arches); i++) {
		for (int v = 0; v < FILTER_VARIANTS; v++)
			print_variant(arches[i].token, arches[i].name, v);
		print_list(arches[i].name);
	}
	return fflush(stdout) || ferror(stdout);
}
