/* SPDX-License-Identifier: Apache-2.0
 *
 * program.c: see program.h. The ELF rules are elf(5)'s.
 */
#include "sandbox/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#define MACHINE_NAME "x86_64"
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#define MACHINE_NAME "aarch64"
#else
#error "the policy is written for x86_64 and aarch64"
#endif

#ifndef MFD_EXEC
#define MFD_EXEC 0x10u /* Linux 6.3 */
#endif

static bool needs_interpreter(const char *head, const Elf64_Ehdr *e)
{
	Elf64_Phdr p;

	for (unsigned i = 0; i < e->e_phnum; i++) {
		memcpy(&p, head + e->e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_type == PT_INTERP)
			return true;
	}
	return false;
}

int program_judge(const void *head, size_t n, bool dynamic_ok, struct why *w)
{
	Elf64_Ehdr e;

	if (n >= 2 && memcmp(head, "#!", 2) == 0)
		return why_set(w, "a script, not a program: give its interpreter as PROGRAM");
	if (n < sizeof(e) || memcmp(head, ELFMAG, SELFMAG) != 0)
		return why_set(w, "not an ELF program");
	memcpy(&e, head, sizeof(e));
	if (e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_ident[EI_DATA] != ELFDATA2LSB ||
		e.e_machine != MACHINE)
		return why_set(w, "a program for another machine than " MACHINE_NAME);
	if (e.e_type != ET_EXEC && e.e_type != ET_DYN)
		return why_set(w, "an ELF file, but no program");
	if (e.e_phentsize != sizeof(Elf64_Phdr) || e.e_phnum == 0 || e.e_phoff > n ||
		e.e_phnum > (n - e.e_phoff) / sizeof(Elf64_Phdr))
		return why_set(w, "an ELF file with damaged program headers");
	if (!dynamic_ok && needs_interpreter(head, &e))
		return why_set(w, "a dynamic program: link it with -static, or use --profile files "
				  "--root DIR");
	return 0;
}

/* Why: after root has become nobody, a 0700 program of root's will not execute. */
static int copy_to_memory(int from, off_t size, struct why *w)
{
	int fd = memfd_create("program", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	off_t at = 0;

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("program", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return why_sys(w, "copying it into memory");
	while (at < size) {
		if (sendfile(fd, from, &at, (size_t)(size - at)) <= 0) {
			why_sys(w, "copying it into memory");
			close(fd);
			return -1;
		}
	}
	if (fchmod(fd, 0555) ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)) {
		why_sys(w, "sealing its copy");
		close(fd);
		return -1;
	}
	return fd;
}

static int judge_file(int fd, const struct stat *st, bool dynamic_ok, struct why *w)
{
	char head[PROGRAM_HEAD];
	ssize_t n;

	if (!S_ISREG(st->st_mode))
		return why_set(w, "not a regular file");
	if (!(st->st_mode & 0111))
		return why_set(w, "not executable");
	n = pread(fd, head, sizeof(head), 0);
	if (n < 0)
		return why_sys(w, "reading it");
	return program_judge(head, (size_t)n, dynamic_ok, w);
}

/* The descriptor to execute, which may be `fd` itself. */
static int settle(int fd, bool dynamic_ok, bool for_nobody, struct why *w)
{
	struct stat st;

	if (fstat(fd, &st))
		return why_sys(w, "looking at it");
	if (judge_file(fd, &st, dynamic_ok, w))
		return -1;
	return for_nobody && !(st.st_mode & 0001) ? copy_to_memory(fd, st.st_size, w) : fd;
}

int program_settle(int fd, const char *path, bool dynamic_ok, bool for_nobody, struct why *w)
{
	struct why inner;
	int use = settle(fd, dynamic_ok, for_nobody, &inner);

	if (use != fd)
		close(fd);
	return use < 0 ? why_set(w, "PROGRAM %.120s: %s", path, inner.text) : use;
}

int program_find(const char *path, struct why *w)
{
	/* O_NONBLOCK: a FIFO would wait for a writer before we could refuse it */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? why_sys(w, "PROGRAM %.120s", path) : fd;
}
