/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_nearby.c: a datagram of the local network: what is read has one spelling, and what is done about it is
 * bounded: a question of our grid may be answered, nothing else is.
 */
#include "tests/fuzz/fuzz.h"
#include "worker/nearby.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_buf struct buf b = fuzz_fill(data, n);
	struct nearby_rules r = { .seed = 1 };
	struct nearby me = { .kind = NEARBY_HERE, .port = 7 }, heard;
	char again[NEARBY_MAX + 1];

	me.grid = *key_id(fuzz_key());
	if (!nearby_read(&heard, b.data, b.len))
		return 0;
	assert(b.len <= NEARBY_MAX && nearby_write(again, &heard) == b.len &&
		!memcmp(again, b.data, b.len));
	for (int group = 0; group < 2; group++) {
		unsigned todo = nearby_hear(&r, &me, &heard, group, "192.0.2.1", 1);

		assert(!todo || id_equal(&heard.grid, &me.grid));
		assert(!(todo & NEARBY_ANSWER) || (group && heard.kind == NEARBY_SEARCH));
		assert(!(todo & NEARBY_TELL) || heard.port);
		assert(nearby_hear(&r, &me, &heard, group, "192.0.2.1", 2) == 0);
	}
	return 0;
}
