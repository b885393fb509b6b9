/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_ref.c: JOB/INDEX/FILE on the command line: what is taken is a prefix of an id, an index and an output's name.
 */
#include "jobs/ref.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_free char *text = xmemdup((const char *)data, n);
	struct job_ref r;
	struct err e;

	if (ref_parse(&r, text, &e) == 1) {
		assert(id_is_prefix(r.job) && r.index >= -1 && r.index < JOB_TASKS_MAX &&
			job_output_name(r.file));
		assert(!strncmp(text, r.job, strlen(r.job)));
	}
	return 0;
}
