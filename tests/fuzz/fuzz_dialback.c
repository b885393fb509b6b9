/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_dialback.c: a request to be called back, and its answer: what is read is within bounds.
 */
#include "common/dialback.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_buf struct buf b = fuzz_fill(data, n);
	char text[LINK_HOST_MAX + 9];
	struct endpoint at;
	struct id node;
	uint16_t port;
	bool reached;
	struct err e;

	if (!dialback_read(&node, &port, b.data, b.len, &e))
		assert(port > 0);
	if (!dialback_read_answer(&reached, &at, b.data, b.len, &e))
		endpoint_text(text, &at);
	return 0;
}
