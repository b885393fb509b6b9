/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_envelope.c: a line as it comes from the network, and a payload behind a signature that
 * holds.
 */
#include "common/grid.h"
#include "tests/fuzz/fuzz.h"

/* What opens is spelled as we would spell it, and nothing else is accepted of it. */
static void as_line(const char *line, size_t n)
{
	struct sealed s;
	struct msg m;
	struct err e;

	if (!seal_open(&s, line, n, MSG_LINE_MAX, &e)) {
		auto_free char *mine = seal(fuzz_key(), s.type, s.payload, s.n);

		assert(strlen(mine) == n); /* only key and signature may differ */
		seal_release(&s);
	}
	if (!msg_open(&m, line, n, NULL, &e))
		msg_release(&m);
}

static void as_payload(const char *text, size_t n)
{
	struct msg m;
	struct grid g;
	struct err e;

	if (!fuzz_open(&m, false, text, n))
		return;
	auto_free char *line = NULL;
	/* what was accepted may be said again by us */
	int bad = msg_seal(&line, json_incref(m.body), NULL, fuzz_key(), &e);
	assert(!bad || e.code == ERR_TOO_BIG);
	if (m.type == MSG_GRID && !grid_read(&g, &m, &e)) {
		grid_allows(&g, &m.author, ROLE_ADMIN, m.time_ms);
		free(TAKE(line));
		bad = grid_seal(&line, &g, fuzz_key(), m.time_ms, &e);
		assert(!bad || !strncmp(e.field, "keys[",
				       5)); /* a key of unknown roles alone has none here */
	}
	msg_release(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_buf struct buf b = fuzz_fill(data, n);

	as_line((const char *)data, n);
	as_payload(b.data, b.len);
	return 0;
}
