/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_exec_head.c: the head of a file that was executed: what it names is text of the head itself, and where common/elf.c
 * sees no loader and no script, nothing is named.
 */
#include "common/elf.h"
#include "jobs/exec_head.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	size_t head = n < EXEC_HEAD_BYTES ? n : EXEC_HEAD_BYTES, len;
	char path[EXEC_HEAD_BYTES], platform[40];
	enum elf_kind kind = elf_look(data, head, platform);

	memset(path, 'x', sizeof(path));
	if (!exec_head_names(path, data, head)) {
		assert(kind != ELF_SCRIPT || head <= 2 || data[2] <= ' ');
		return 0;
	}
	len = strnlen(path, sizeof(path));
	assert(len > 0 && len < sizeof(path));
	assert(memmem(data, head, path, len));
	assert(kind != ELF_STATIC);
	assert(kind != ELF_SCRIPT || len < EXEC_SCRIPT_LINE_MAX);
	return 0;
}
