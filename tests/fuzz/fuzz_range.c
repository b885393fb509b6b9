/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_range.c: a range is never beyond what there is, and said plainly it is the same one. The first byte chooses how much
 * there is.
 */
#include "common/range.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const int64_t sizes[] = { 0, 1, 2, 10, 16384, INT64_C(1) << 36 };
	char plain[64];

	if (n == 0)
		return 0;
	auto_free char *text = xmemdup((const char *)data + 1, n - 1); /* it ends it with a NUL */
	int64_t size = sizes[data[0] % ARRAY_LEN(sizes)], from = -7, part = -7, from2, part2;
	enum range r = range_parse(text, size, &from, &part);

	if (r != RANGE_PART) {
		assert(from == -7 && part == -7);
		return 0;
	}
	assert(from >= 0 && part > 0 && from <= size - part);
	snprintf(plain, sizeof(plain), "bytes=%lld-%lld", (long long)from,
		(long long)(from + part - 1));
	r = range_parse(plain, size, &from2, &part2);
	assert(r == RANGE_PART && from2 == from && part2 == part);
	return 0;
}
