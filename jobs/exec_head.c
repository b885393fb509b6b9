/* SPDX-License-Identifier: Apache-2.0
 *
 * exec_head.c: see exec_head.h. The `#!` line as binfmt_script.c of Linux reads it, ELF as elf(5) says.
 */
#include "jobs/exec_head.h"

#include <elf.h>
#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Blanks may follow the `#!`; the name ends at a blank, the line's end or the kernel's buffer's. */
static bool script_names(char *path, const char *line, size_t n)
{
	size_t from = 2, to;

	n = n < EXEC_SCRIPT_LINE_MAX ? n : EXEC_SCRIPT_LINE_MAX;
	while (from < n && is_blank(line[from]))
		from++;
	for (to = from; to < n && !is_blank(line[to]) && line[to] != '\n' && line[to] != '\0';)
		to++;
	memcpy(path, line + from, to - from);
	path[to - from] = '\0';
	return to > from;
}

/* The text of one PT_INTERP, which ends in a NUL. */
static bool text_at(char *path, const char *head, size_t n, const Elf64_Phdr *p)
{
	if (p->p_offset >= n || p->p_filesz < 2 || p->p_filesz > n - p->p_offset ||
		p->p_filesz >= EXEC_HEAD_BYTES)
		return false;
	memcpy(path, head + p->p_offset, (size_t)p->p_filesz);
	return path[p->p_filesz - 1] == '\0' && path[0];
}

static bool elf_names(char *path, const char *head, size_t n)
{
	Elf64_Ehdr e;
	Elf64_Phdr p;

	memcpy(&e, head, sizeof(e));
	if (e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_ident[EI_DATA] != ELFDATA2LSB ||
		e.e_phentsize != sizeof(p) || e.e_phoff > n ||
		e.e_phnum > (n - e.e_phoff) / sizeof(p))
		return false;
	for (size_t i = 0; i < e.e_phnum; i++) {
		memcpy(&p, head + e.e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_type == PT_INTERP)
			return text_at(path, head, n, &p);
	}
	return false;
}

bool exec_head_names(char path[EXEC_HEAD_BYTES], const void *head, size_t n)
{
	if (n >= 2 && !memcmp(head, "#!", 2))
		return script_names(path, head, n);
	return n >= sizeof(Elf64_Ehdr) && !memcmp(head, ELFMAG, SELFMAG) &&
	       elf_names(path, head, n);
}
