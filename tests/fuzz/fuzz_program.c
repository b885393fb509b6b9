/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_program.c: the head of an executable. What the box starts has whole program headers, and what
 * submitters and coordinators call a static program for this machine, the box starts.
 */
#include "common/elf.h"
#include "sandbox/program.h"
#include "tests/fuzz/fuzz.h"

#include <elf.h>

/* By the letter of elf(5), without the code that is tried. */
static bool has_interpreter(const uint8_t *head, size_t n)
{
	Elf64_Ehdr e;
	bool found = false;

	assert(n >= sizeof(e));
	memcpy(&e, head, sizeof(e));
	assert(e.e_phnum > 0 && e.e_phoff + (uint64_t)e.e_phnum * sizeof(Elf64_Phdr) <= n);
	for (size_t i = 0; i < e.e_phnum; i++) {
		Elf64_Phdr p;

		memcpy(&p, head + e.e_phoff + i * sizeof(p), sizeof(p));
		found |= p.p_type == PT_INTERP;
	}
	return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	size_t head = n < PROGRAM_HEAD ? n : PROGRAM_HEAD;
	char platform[40];
	struct why w = { "" };
	bool fixed = !program_judge(data, head, false, &w), any;

	assert(fixed || w.text[0]);
	any = !program_judge(data, head, true, &w);
	assert(any || !fixed);
	if (any)
		assert(fixed == !has_interpreter(data, head));
	enum elf_kind kind = elf_look(data, head, platform);
	if (!strcmp(platform, platform_here()) && (kind == ELF_STATIC || kind == ELF_DYNAMIC))
		assert(any && fixed == (kind == ELF_STATIC));
	return 0;
}
