/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_keep.c: a worker's side of a keeper, whatever the keeper says and whenever it dies: no lodger is
 * forgotten, none is told of twice, nothing is asked of a keeper that is not there, and time alone gets on.
 *
 *	a lodger comes      x ID    it is to leave      w  time passes until something is due
 *	r  ready            e ID    a box has ended     s BYTES  any packet
 *	f  the socket is full       d  the keeper dies  n  renew
 */
#include "tests/fuzz/fuzz.h"
#include "worker/keep.h"
#include "worker/packet.h"

#define STEPS_MAX 2000

struct world {
	struct keep k;
	bool process;
	bool here[256]; /* lodgers by number; there are no more numbers than steps */
	size_t n;
	int64_t now;
	uint32_t last; /* of the last act */
};

static void out(struct world *w, uint32_t id)
{
	assert(id && id < ARRAY_LEN(w->here) && w->here[id]);
	w->here[id] = false;
	w->n--;
}

static void act(struct world *w, enum keep_act a, uint32_t id)
{
	assert(w->process == (a != KEEP_START));
	w->process = true;
	if (a == KEEP_ASK || a == KEEP_KILL) {
		assert(w->k.state == KEEP_SERVING && id < ARRAY_LEN(w->here) && w->here[id]);
		assert(keep_is_in(&w->k, id));
		w->last = id;
	}
}

static void drive(struct world *w)
{
	enum keep_act a;
	uint32_t id = 0;
	int n = 0;

	while ((a = keep_next(&w->k, &id, w->now)) != KEEP_NOTHING) {
		act(w, a, id);
		assert(++n <= 2 * KEEP_LODGERS_MAX + 2);
	}
	assert(keep_wake(&w->k, w->now) != 0);
}

static void die(struct world *w)
{
	uint32_t id;

	if (!w->process)
		return;
	w->process = false;
	keep_gone(&w->k, w->now);
	while ((id = keep_lost(&w->k)) != 0)
		out(w, id);
}

static void hear(struct world *w, const void *bytes, size_t n)
{
	struct box_say say;
	enum keep_heard heard;
	bool in;

	if (!w->process)
		return;
	if (!packet_say(&say, bytes, n)) {
		keep_break(&w->k);
		return;
	}
	in = say.kind == BOX_SAY_ENDED && keep_is_in(&w->k, say.id);
	heard = keep_hear(&w->k, &say, w->now);
	assert((heard == HEARD_ENDED) == in);
	if (in)
		out(w, say.id);
}

static void say(struct world *w, uint32_t kind, uint32_t id)
{
	struct box_say s = { kind, id, 0 };

	hear(w, &s, sizeof(s));
}

static void come(struct world *w)
{
	uint32_t id = w->k.last_id + 1 < ARRAY_LEN(w->here) ? keep_add(&w->k) : 0;

	if (id) {
		assert(!w->here[id]);
		w->here[id] = true;
		w->n++;
	}
}

static void leave(struct world *w, uint32_t id)
{
	if (id && id < ARRAY_LEN(w->here) && w->here[id] && keep_stop(&w->k, id, w->now))
		out(w, id);
}

static void pass(struct world *w)
{
	int64_t ms = keep_wake(&w->k, w->now);

	w->now += ms > 0 ? ms : 1;
}

/* How many bytes of `data` it took. */
static size_t step(struct world *w, const uint8_t *data, size_t n)
{
	uint32_t id = n > 1 ? data[1] : 0;

	switch (data[0]) {
	case 'a':
		come(w);
		return 1;
	case 'x':
		leave(w, id);
		return 2;
	case 'w':
		pass(w);
		return 1;
	case 'r':
		say(w, BOX_SAY_READY, 0);
		return 1;
	case 'e':
		say(w, BOX_SAY_ENDED, id);
		return 2;
	case 's':
		hear(w, data + 1, n - 1 < sizeof(struct box_say) ? n - 1 : sizeof(struct box_say));
		return 1 + sizeof(struct box_say);
	case 'f':
		if (w->process && w->last)
			keep_full(&w->k, w->last, w->now);
		return 1;
	case 'd':
		die(w);
		return 1;
	case 'n':
		keep_renew(&w->k, w->now);
		return 1;
	default:
		return 1;
	}
}

/* A keeper that answers nothing more is ended in the end, and with each start it loses somebody. */
static void nobody_waits_for_ever(struct world *w)
{
	for (int i = 0; w->n; i++) {
		assert(i < 8 * KEEP_LODGERS_MAX + 8);
		for (uint32_t id = 1; id < ARRAY_LEN(w->here); id++)
			leave(w, id);
		drive(w);
		if (w->k.state == KEEP_ENDING)
			die(w);
		pass(w);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct world w;
	size_t at = 0;

	memset(&w, 0, sizeof(w));
	keep_init(&w.k, n);
	w.now = 1000000;
	for (int i = 0; at < n && i < STEPS_MAX; i++) {
		at += step(&w, data + at, n - at);
		drive(&w);
	}
	nobody_waits_for_ever(&w);
	return 0;
}
