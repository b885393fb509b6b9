/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_compare.c: two outputs, apart at the first ^, or at the middle: every output equals itself, the order of two does not
 * matter, and what is equal under a tolerance is so under a larger one. What `how` makes of any text is within its bounds.
 */
#include "jobs/compare.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct comparison none = { COMPARE_NUMERIC, 0, 0 },
				       some = { COMPARE_NUMERIC, 1e-3, 1e-9 },
				       most = { COMPARE_NUMERIC, 0.5, 1e300 };
	auto_free char *text = xmemdup((const char *)data, n);
	const char *gap = memchr(text, '^', n);
	size_t na = gap ? (size_t)(gap - text) : n / 2, from = gap ? na + 1 : na;
	/* copies of their own, so that a read beyond either is seen */
	char *a = xmalloc(na ? na : 1), *b = xmalloc(n - from ? n - from : 1);
	size_t nb = n - from;
	struct comparison how;
	struct err e;

	memcpy(a, text, na);
	memcpy(b, text + from, nb);
	assert(compare_numeric(&none, a, na, a, na) && compare_numeric(&none, b, nb, b, nb));
	bool small = compare_numeric(&none, a, na, b, nb),
	     middle = compare_numeric(&some, a, na, b, nb),
	     large = compare_numeric(&most, a, na, b, nb);
	assert((!small || middle) && (!middle || large));
	assert(compare_numeric(&some, b, nb, a, na) == middle &&
		compare_numeric(&most, b, nb, a, na) == large);
	assert(na != nb || memcmp(a, b, na) != 0 || small);
	if (!compare_parse(&how, text, "compare", &e))
		assert(how.rtol >= 0 && how.rtol < 1 && how.atol >= 0 &&
			how.atol <= COMPARE_ATOL_MAX);
	else
		assert(e.code == ERR_FIELD);
	free(a);
	free(b);
	return 0;
}
