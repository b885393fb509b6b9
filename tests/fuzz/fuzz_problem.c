/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_problem.c: what came with a status that is no success, from whoever was asked: it becomes an error that can be told on.
 * The first two bytes are the status.
 */
#include "common/problem.h"
#include "tests/fuzz/fuzz.h"

#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err e = { 0 };

	if (n < 2)
		return 0;
	problem_read(&e, data[0] << 8 | data[1], (const char *)data + 2, n - 2, "127.0.0.1:7070");
	assert(e.code != ERR_NONE && e.msg[0]);
	assert(memchr(e.msg, 0, sizeof(e.msg)) && memchr(e.field, 0, sizeof(e.field)));
	auto_free char *again = problem_json(&e);
	json_t *j = json_loads(again, JSON_REJECT_DUPLICATES, NULL);
	assert(j && json_is_string(json_object_get(j, "detail")));
	json_decref(j);
	return 0;
}
