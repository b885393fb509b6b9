/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_cid.c: a word that may be a CID, as the command line takes it. There is one spelling of each digest.
 */
#include "tests/fuzz/fuzz.h"
#include "jobs/cid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_free char *text = xmemdup((const char *)data, n);
	char again[CID_TEXT + 1];
	struct digest d;

	if (cid_parse(&d, text)) {
		cid_text(again, &d);
		assert(!strcmp(text, again));
	}
	return 0;
}
