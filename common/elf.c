/* SPDX-License-Identifier: Apache-2.0
 *
 * elf.c: the first bytes of an executable, looked at without trusting them.
 */
#include "common/elf.h"

#include <elf.h>
#include <string.h>
#include <sys/utsname.h>

static const struct {
	uint16_t machine;
	const char *name;
} machines[] = { { EM_X86_64, "x86_64" }, { EM_AARCH64, "aarch64" }, { EM_RISCV, "riscv64" } };

const char *platform_here(void)
{
	static char name[40];
	struct utsname u;

	if (!name[0])
		snprintf(name, sizeof(name), "%.30s-linux", uname(&u) ? "unknown" : u.machine);
	return name;
}

/* The program headers are there, and all of them within what we were given: the box reads no further. */
static bool whole(size_t n, const Elf64_Ehdr *head)
{
	return head->e_phnum > 0 && head->e_phoff <= n &&
		head->e_phnum <= (n - head->e_phoff) / sizeof(Elf64_Phdr);
}

static bool asks_for_loader(const unsigned char *bytes, const Elf64_Ehdr *head)
{
	for (size_t i = 0; i < head->e_phnum; i++) {
		Elf64_Phdr part;

		memcpy(&part, bytes + head->e_phoff + i * sizeof(part), sizeof(part));
		if (part.p_type == PT_INTERP)
			return true;
	}
	return false;
}

enum elf_kind elf_look(const void *bytes, size_t n, char platform[40])
{
	Elf64_Ehdr head;

	platform[0] = '\0';
	if (n >= 2 && !memcmp(bytes, "#!", 2))
		return ELF_SCRIPT;
	if (n < sizeof(head) || memcmp(bytes, ELFMAG, SELFMAG) != 0)
		return ELF_NOT;
	memcpy(&head, bytes, sizeof(head));
	if (head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_ident[EI_DATA] != ELFDATA2LSB)
		return ELF_FOREIGN;
	if ((head.e_type != ET_EXEC && head.e_type != ET_DYN) ||
		head.e_phentsize != sizeof(Elf64_Phdr) || !whole(n, &head))
		return ELF_NOT;
	for (size_t i = 0; i < ARRAY_LEN(machines); i++)
		if (machines[i].machine == head.e_machine)
			snprintf(platform, 40, "%s-linux", machines[i].name);
	if (!platform[0])
		return ELF_FOREIGN;
	return asks_for_loader(bytes, &head) ? ELF_DYNAMIC : ELF_STATIC;
}
