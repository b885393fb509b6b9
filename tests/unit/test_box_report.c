/* SPDX-License-Identifier: Apache-2.0
 *
 * test_box_report.c: how an ending is judged and told, which programs may start, which system calls
 * a program may make, and which outputs are taken.
 */
#include "sandbox/filter.h"
#include "sandbox/program.h"
#include "sandbox/report.h"

#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static const struct box_limits limits = { 10, 20, 64, 2, 1, 8, 1, true };

#define EXITED(code) ((code) << 8)
#define KILLED(sig) (sig)

static void is(const struct ending *e, enum box_reason reason, int code, int sig)
{
	struct verdict v = report_judge(e, &limits);

	assert_int_equal(v.reason, reason);
	assert_int_equal(v.code, code);
	assert_int_equal(v.exit, reason == BOX_REASON_EXITED ? code : 0);
	assert_int_equal(v.signal, sig);
}

static void a_status_alone_is_what_it_says(void **state)
{
	struct ending e = { .known = true };

	(void)state;
	is(&e, BOX_REASON_EXITED, 0, 0);
	e.status = EXITED(124);
	is(&e, BOX_REASON_EXITED, 124, 0);
	e.status = KILLED(SIGSEGV);
	is(&e, BOX_REASON_SIGNALED, 139, SIGSEGV);
	e.status = KILLED(SIGSYS);
	is(&e, BOX_REASON_POLICY, 128 + SIGSYS, SIGSYS);
	e.status = KILLED(SIGXCPU);
	is(&e, BOX_REASON_SIGNALED, 128 + SIGXCPU, SIGXCPU);
	e.status = KILLED(SIGXFSZ);
	is(&e, BOX_REASON_DISK, 124, SIGXFSZ);
}

static void what_we_ended_it_for_comes_before_its_status(void **state)
{
	struct ending e = { .known = true, .limit = BOX_REASON_WALL, .starved = true };

	(void)state;
	is(&e, BOX_REASON_WALL, 124, 0);
	e.limit = BOX_REASON_EXITED;
	is(&e, BOX_REASON_MEMORY, 124, 0);
	e.failed = true;
	is(&e, BOX_REASON_SETUP, 125, 0);
}

static void a_kill_beyond_the_cpu_limit_is_the_cpu_limit(void **state)
{
	struct ending e = { .known = true, .status = KILLED(SIGKILL), .cpu_us = 10000001 };

	(void)state;
	is(&e, BOX_REASON_CPU, 124, SIGKILL);
	e.status = KILLED(SIGXCPU);
	is(&e, BOX_REASON_CPU, 124, SIGXCPU);
	e.cpu_us--;
	is(&e, BOX_REASON_SIGNALED, 128 + SIGXCPU, SIGXCPU);
	e.status = KILLED(SIGKILL);
	is(&e, BOX_REASON_SIGNALED, 137, SIGKILL);
}

static void being_asked_to_end_is_that_signal(void **state)
{
	struct ending e = { .known = true, .status = KILLED(SIGKILL), .asked = SIGTERM };

	(void)state;
	is(&e, BOX_REASON_SIGNALED, 143, SIGTERM);
}

static void an_init_that_told_nothing_was_killed(void **state)
{
	struct ending e = { .known = false };

	(void)state;
	is(&e, BOX_REASON_SIGNALED, 137, SIGKILL);
}

static void the_report_is_one_line_of_json(void **state)
{
	struct ending e = { .known = true,
		.cpu_us = 1250000,
		.wall_us = 2000001,
		.rss_kib = 7,
		.layers = BOX_BIT(USERNS) | BOX_BIT(SECCOMP) };
	struct verdict v = report_judge(&e, &limits);
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	char *name = strdup("a\"\\\n\xff");

	(void)state;
	e.out.not_taken = 1;
	e.out.names[0] = name;
	assert_int_equal(report_write(f, &e, &v), 0);
	fclose(f);
	assert_non_null(strstr(text,
		"{\"exit\":0,\"signal\":0,\"reason\":\"exited\",\"cpu_s\":1.250000,"
		"\"wall_s\":2.000001,\"max_rss_kib\":7,\"layers\":[\"userns\",\"seccomp\"],"
		"\"policy\":\"sha256:"));
	assert_non_null(strstr(text, "\"not_taken\":[\"a\\\"\\\\\\u000a\\u00ff\"]}\n"));
	free(text);
	free(name);
}

/* --- programs --- */

static size_t elf(char *out, uint32_t segment)
{
	Elf64_Ehdr e = { .e_type = ET_EXEC,
		.e_phoff = sizeof(e),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 1 };
	Elf64_Phdr p = { .p_type = segment };

	memcpy(e.e_ident, ELFMAG, SELFMAG);
	e.e_ident[EI_CLASS] = ELFCLASS64;
	e.e_ident[EI_DATA] = ELFDATA2LSB;
#ifdef __aarch64__
	e.e_machine = EM_AARCH64;
#else
	e.e_machine = EM_X86_64;
#endif
	memcpy(out, &e, sizeof(e));
	memcpy(out + sizeof(e), &p, sizeof(p));
	return sizeof(e) + sizeof(p);
}

static void only_a_static_elf_of_this_machine_is_a_program(void **state)
{
	char head[256];
	size_t n = elf(head, PT_LOAD);
	struct why w;

	(void)state;
	assert_int_equal(program_judge(head, n, false, &w), 0);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(program_judge(head, cut, true, &w), -1);
	head[EI_CLASS] = ELFCLASS32;
	assert_int_equal(program_judge(head, n, true, &w), -1);
	assert_int_equal(program_judge("#!/bin/sh\n", 10, true, &w), -1);
	assert_non_null(strstr(w.text, "script"));
	n = elf(head, PT_INTERP);
	assert_int_equal(program_judge(head, n, true, &w), 0);
	assert_int_equal(program_judge(head, n, false, &w), -1);
	assert_non_null(strstr(w.text, "-static"));
}

/* --- the policy --- */

static void the_policy_lists_what_a_profile_needs_and_no_more(void **state)
{
	static const int never[] = { SYS_ptrace, SYS_mount, SYS_unshare, SYS_setns, SYS_socket,
		SYS_connect, SYS_keyctl, SYS_bpf, SYS_perf_event_open, SYS_process_vm_readv,
		SYS_init_module, SYS_chroot, SYS_setrlimit, SYS_personality, SYS_flock,
		SYS_memfd_create, SYS_setuid, SYS_clone3, 425 };
	const struct filter_plan compute = { BOX_COMPUTE, true, false, 2, false },
				 bare = { BOX_COMPUTE, false, false, 7, false },
				 files = { BOX_FILES, true, false, 2, false };

	(void)state;
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		assert_false(filter_lists(&compute, never[i]));
		assert_false(filter_lists(&files, never[i]));
	}
	assert_true(filter_lists(&compute, SYS_read) && filter_lists(&files, SYS_openat));
	assert_false(filter_lists(&compute, SYS_openat));
	assert_false(filter_lists(&compute, SYS_wait4));
	assert_true(filter_lists(&compute, SYS_newfstatat));
	assert_false(filter_lists(&bare, SYS_newfstatat));
}

/* --- outputs --- */

struct dirs {
	char from[40], to[40];
	int f, t;
};

static struct dirs make_dirs(void)
{
	struct dirs d = { "/tmp/box-from-XXXXXX", "/tmp/box-to-XXXXXX", -1, -1 };

	assert_non_null(mkdtemp(d.from));
	assert_non_null(mkdtemp(d.to));
	d.f = open(d.from, O_RDONLY | O_DIRECTORY);
	d.t = open(d.to, O_RDONLY | O_DIRECTORY);
	return d;
}

static void put(int dir, const char *name, size_t bytes)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT, 0640);

	assert_true(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
	close(fd);
}

static void drop(struct dirs *d, const char *const *names, size_t n)
{
	for (size_t i = n; i-- > 0;) {
		if (unlinkat(d->f, names[i], 0))
			(void)unlinkat(d->f, names[i], AT_REMOVEDIR);
		if (unlinkat(d->t, names[i], 0))
			(void)unlinkat(d->t, names[i], AT_REMOVEDIR);
	}
	close(d->f);
	close(d->t);
	assert_int_equal(rmdir(d->from), 0);
	assert_int_equal(rmdir(d->to), 0);
}

static void only_plain_files_with_plain_names_are_taken(void **state)
{
	static const char *const names[] = { "ok", "d", "d/x", ".dot", "sp ace", "link", "fifo" };
	struct dirs d = make_dirs();
	struct collected c = { 0 };
	struct stat st;
	struct why w;

	(void)state;
	put(d.f, "ok", 5);
	put(d.f, ".dot", 5);
	put(d.f, "sp ace", 5);
	assert_int_equal(mkdirat(d.f, "d", 0700), 0);
	put(d.f, "d/x", 7);
	assert_int_equal(symlinkat("ok", d.f, "link"), 0);
	assert_int_equal(mkfifoat(d.f, "fifo", 0600), 0);
	assert_int_equal(collect_take(&c, d.f, d.t, 1000, &w), 0);
	assert_int_equal(c.taken, 2);
	assert_int_equal(c.bytes, 12);
	assert_int_equal(c.not_taken, 4);
	assert_int_equal(fstatat(d.t, "d/x", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(st.st_size, 7);
	collect_release(&c);
	drop(&d, names, sizeof(names) / sizeof(names[0]));
}

static void what_is_more_than_the_limit_stays(void **state)
{
	static const char *const names[] = { "a", "b" };
	struct dirs d = make_dirs();
	struct collected c = { 0 };
	struct why w;

	(void)state;
	put(d.f, "a", 600);
	put(d.f, "b", 600);
	assert_int_equal(collect_take(&c, d.f, d.t, 1000, &w), 0);
	assert_int_equal(c.taken, 1);
	assert_int_equal(c.not_taken, 1);
	collect_release(&c);
	drop(&d, names, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_status_alone_is_what_it_says),
		cmocka_unit_test(what_we_ended_it_for_comes_before_its_status),
		cmocka_unit_test(a_kill_beyond_the_cpu_limit_is_the_cpu_limit),
		cmocka_unit_test(being_asked_to_end_is_that_signal),
		cmocka_unit_test(an_init_that_told_nothing_was_killed),
		cmocka_unit_test(the_report_is_one_line_of_json),
		cmocka_unit_test(only_a_static_elf_of_this_machine_is_a_program),
		cmocka_unit_test(the_policy_lists_what_a_profile_needs_and_no_more),
		cmocka_unit_test(only_plain_files_with_plain_names_are_taken),
		cmocka_unit_test(what_is_more_than_the_limit_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
