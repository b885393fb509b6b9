/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_inputs.c: the resolution of a job's inputs: what is read comes back as the same parts.
 */
#include "jobs/job_inputs.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct job_file files[] = { { .name = "all", .from = true, .source = { .index = -1 } },
		{ .name = "own" }, { .name = "one", .from = true, .source = { .index = 3 } },
		{ .name = "last", .from = true, .source = { .index = -1 } } };
	struct job job = { .files = files, .n_files = 4, .disk_mib = 1 };
	auto_buf struct buf b = fuzz_fill(data, n);
	struct inputs in, again;
	struct err e;
	size_t len;

	if (!inputs_read(&in, &job, b.data, b.len, &e)) {
		auto_free char *text = inputs_text(&in, &job, &len);
		int bad = inputs_read(&again, &job, text, len, &e);
		struct digest one = inputs_digest(&in, &job, NULL),
			      two = inputs_digest(&again, &job, NULL);

		assert(!bad && again.n == in.n && digest_equal(&one, &two));
		assert(!memcmp(again.parts, in.parts, in.n * sizeof(*in.parts)) &&
			inputs_bytes(&in) <= MIB);
		inputs_release(&again);
	}
	inputs_release(&in);
	return 0;
}
