/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_json.c: strict JSON: what loads, dumps to a line that loads as the same.
 */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err e;
	json_t *j = shape_load((const char *)data, n, &e);

	if (!j)
		return 0;
	auto_free char *line = shape_dump(j);
	json_t *again = shape_load(line, strlen(line), &e);
	assert(again && json_equal(j, again));
	auto_free char *second = shape_dump(again);
	assert(!strcmp(line, second) && !strchr(line, '\n'));
	json_decref(again);
	json_decref(j);
	return 0;
}
