/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_mapport.c: a line of the process that talks to the router, whose words may be a stranger's, and --gateway.
 */
#include "tests/fuzz/fuzz.h"
#include "worker/mapport.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_buf struct buf b = fuzz_fill(data, n);
	struct endpoint at;
	const char *why;
	bool mapped;

	if (mapport_read(b.data, &mapped, &at, &why))
		assert(mapped ? at.port > 0 : why >= b.data && why <= b.data + strlen(b.data));
	mapport_gateway_ok(b.data);
	return 0;
}
