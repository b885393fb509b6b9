/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_swarm.c: what strangers send to `POST /v1/swarm` and answer to it; what is taken is written again and
 * read as the same, and a swarm and a first seed bear it.
 */
#include "common/have.h"
#include "coordinator/seed.h"
#include "tests/fuzz/fuzz.h"
#include "worker/swarm.h"

#define PIECES 77

static void body(const char *text, size_t n)
{
	static struct swarm_ask a, b;
	uint16_t out[SWARM_OFFER_MAX];
	struct err e = { 0 };

	if (swarm_ask_read(&a, text, n, &e)) {
		assert(e.code != ERR_NONE && e.msg[0]);
		return;
	}
	assert(a.n_have <= HAVE_BYTES_MAX && a.n_want <= SWARM_WANT_MAX &&
		a.wait_ms <= SWARM_WAIT_MAX_MS);
	auto_free char *again = swarm_ask_text(&a);
	int bad = swarm_ask_read(&b, again, strlen(again), &e);
	auto_free char *third = bad ? NULL : swarm_ask_text(&b);
	assert(third && !strcmp(again, third));
	if (!have_fits(a.have, a.n_have, PIECES))
		return;
	struct seeding *s = seeding_new();
	for (int64_t now = 1; now < 60000; now += 20000) {
		seed_heard(s, &a, PIECES, now);
		size_t offered = seed_offer(s, &a, PIECES, now > 30000, now, out);
		assert(offered <= SWARM_OFFER_MAX);
		for (size_t i = 0; i < offered; i++)
			assert(out[i] < PIECES && !have_get(a.have, out[i]));
	}
	seeding_free(s);
}

static void answer(const char *text, size_t n)
{
	static struct swarm_answer a, b;
	static const unsigned char nothing[HAVE_BYTES_MAX];
	struct swarm_act act;
	struct err e = { 0 };

	if (swarm_answer_read(&a, text, n, &e)) {
		assert(e.code != ERR_NONE && e.msg[0]);
		return;
	}
	assert(a.n_have <= HAVE_BYTES_MAX && a.n_peers <= SWARM_PEERS_MAX &&
		a.n_offer <= SWARM_OFFER_MAX);
	auto_free char *again = swarm_answer_text(&a);
	int bad = swarm_answer_read(&b, again, strlen(again), &e);
	auto_free char *third = bad ? NULL : swarm_answer_text(&b);
	assert(third && !strcmp(again, third));
	struct swarm *s = swarm_new(PIECES, 256 * KIB, nothing, 32 * MIB, 1, 0);
	int source = swarm_add(s, a.seeds);
	swarm_has(s, source, a.has && have_fits(a.have, a.n_have, PIECES) ? a.have : NULL, 0);
	swarm_offered(s, source, a.offer, a.n_offer);
	while (swarm_next(s, 0, &act))
		assert(act.kind == SWARM_ASK && act.piece < PIECES && act.source == source);
	swarm_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_buf struct buf b = fuzz_fill(data, n);

	body(b.data, b.len);
	answer(b.data, b.len);
	return 0;
}
