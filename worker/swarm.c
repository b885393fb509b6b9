/* SPDX-License-Identifier: Apache-2.0
 *
 * swarm.c: which piece to ask from whom next.
 *
 * A flight is one piece on its way from one source. What must hold: a source's in_flight is the number of its flights;
 * flying[p] is the number of flights of piece p, at most two; available[p] is the number of sources other than
 * first seeds that have p.
 */
#include "worker/swarm.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FLIGHTS_MIN 4
#define FAST_MS 500     /* a piece that comes in this time: its source can take one more … */
#define SLOW_MS 4000    /* … and one that takes longer, one less */
#define CROWDED_MS 8000 /* pieces that take so long are too many at once for our own line */
#define LATE_MIN_MS                                                                                \
	500 /* a piece on its way for so long, and for twice as long as usual, is late: in the end game … */
#define LATE_UNKNOWN_MS                                                                            \
	2000         /* … it is asked elsewhere too. While nothing has come there is no "usual" */
#define REST_MS 2000 /* after a failure; doubled with each more */
#define COPIES_MAX 2 /* flights of one piece */
#define WAKE_MAX_MS 10000

struct source {
	bool used, seeds, out, wrong;
	unsigned char have[HAVE_BYTES_MAX];
	uint16_t offers[SWARM_OFFER_MAX];
	size_t n_offers;
	int depth, in_flight, strikes;
	int64_t rest_ms; /* until then nothing is asked */
};

struct flight {
	int source;
	size_t piece, moved; /* moved: in this window */
	int64_t since_ms, window_ms;
	bool cancel;
};

struct swarm {
	size_t n, n_have;
	int64_t piece_bytes;
	unsigned char have[HAVE_BYTES_MAX];
	uint8_t available[HAVE_PIECES_MAX], flying[HAVE_PIECES_MAX];
	int64_t lack_ms[HAVE_PIECES_MAX]; /* when the last source that had it went */
	struct source sources[SWARM_SOURCES_MAX];
	struct flight flights[SWARM_FLIGHTS_MAX];
	size_t n_flights, room, room_max; /* room: of flights */
	int64_t usual_ms; /* that a piece takes: a moving average; 0: none came yet */
	uint64_t rng;
};

struct swarm *swarm_new(size_t n_pieces, int64_t piece_bytes, const unsigned char *have,
	int64_t budget_bytes, uint64_t seed, int64_t now_ms)
{
	struct swarm *s = xcalloc(1, sizeof(*s));
	int64_t room = budget_bytes / piece_bytes;

	assert(n_pieces > 0 && n_pieces <= HAVE_PIECES_MAX && piece_bytes > 0);
	s->n = n_pieces;
	s->piece_bytes = piece_bytes;
	memcpy(s->have, have, have_bytes(n_pieces));
	s->n_have = have_count(have, n_pieces);
	s->room_max = room < 2 ? 2 : room > SWARM_FLIGHTS_MAX ? SWARM_FLIGHTS_MAX : (size_t)room;
	s->room = s->room_max < SWARM_FLIGHTS_START ? s->room_max : SWARM_FLIGHTS_START;
	s->rng = seed;
	for (size_t i = 0; i < n_pieces; i++)
		s->lack_ms[i] = now_ms;
	return s;
}

void swarm_free(struct swarm *s)
{
	free(s);
}

const unsigned char *swarm_map(const struct swarm *s)
{
	return s->have;
}

size_t swarm_missing(const struct swarm *s)
{
	return s->n - s->n_have;
}

/* --- flights ------------------------------------------------------------------------------- */
static struct flight *find_flight(struct swarm *s, int source, size_t piece)
{
	for (size_t i = 0; i < s->n_flights; i++)
		if (s->flights[i].source == source && s->flights[i].piece == piece)
			return &s->flights[i];
	return NULL;
}

static void land(struct swarm *s, struct flight *f)
{
	s->flying[f->piece]--;
	s->sources[f->source].in_flight--;
	*f = s->flights[--s->n_flights];
}

static void take_off(struct swarm *s, int source, size_t piece, int64_t now)
{
	s->flights[s->n_flights++] = (struct flight){
		.source = source, .piece = piece, .since_ms = now, .window_ms = now
	};
	s->flying[piece]++;
	s->sources[source].in_flight++;
}

/* --- sources ------------------------------------------------------------------------------- */
int swarm_add(struct swarm *s, bool first_seed)
{
	for (int i = 0; i < SWARM_SOURCES_MAX; i++)
		if (!s->sources[i].used) {
			s->sources[i] = (struct source){
				.used = true, .seeds = first_seed, .depth = SWARM_DEPTH_START
			};
			if (first_seed)
				s->sources[i].depth = SWARM_DEPTH_MAX;
			return i;
		}
	return -1;
}

void swarm_doubt(struct swarm *s, int source)
{
	s->sources[source].depth = 1;
}

static void one_less(struct swarm *s, size_t piece, int64_t now)
{
	if (--s->available[piece] == 0)
		s->lack_ms[piece] = now;
}

void swarm_has(struct swarm *s, int source, const unsigned char *have, int64_t now_ms)
{
	struct source *from = &s->sources[source];

	if (from->out || from->seeds)
		return;
	for (size_t i = 0; i < s->n; i++) {
		bool had = have_get(from->have, i), has = have && have_get(have, i);

		if (has && !had)
			s->available[i]++;
		else if (had && !has)
			one_less(s, i, now_ms);
	}
	memset(from->have, 0, sizeof(from->have));
	if (have)
		memcpy(from->have, have, have_bytes(s->n));
}

/* Nothing more from it. Its flights are cancelled by swarm_next(), and then it is dropped. */
static void put_out(struct swarm *s, int source, bool wrong, int64_t now)
{
	struct source *from = &s->sources[source];

	swarm_has(s, source, NULL, now);
	from->n_offers = 0;
	from->out = true;
	from->wrong = wrong;
	for (size_t i = 0; i < s->n_flights; i++)
		s->flights[i].cancel |= s->flights[i].source == source;
}

void swarm_remove(struct swarm *s, int source, int64_t now_ms)
{
	swarm_has(s, source, NULL, now_ms);
	for (size_t i = s->n_flights; i-- > 0;)
		if (s->flights[i].source == source)
			land(s, &s->flights[i]);
	s->sources[source].used = false;
}

static void strike(struct swarm *s, int source, int64_t now)
{
	struct source *from = &s->sources[source];

	from->depth = 1;
	if (++from->strikes >= SWARM_STRIKES_MAX && !from->seeds)
		put_out(s, source, false, now);
	else
		from->rest_ms = now + (REST_MS << (from->strikes < 5 ? from->strikes - 1 : 4));
}

/* --- offers of a first seed ------------------------------------------------------------------ */
void swarm_offered(struct swarm *s, int source, const uint16_t *pieces, size_t n)
{
	struct source *from = &s->sources[source];

	from->n_offers = 0;
	if (from->out)
		return;
	for (size_t i = 0; i < n && from->n_offers < SWARM_OFFER_MAX; i++)
		if (pieces[i] < s->n && !have_get(s->have, pieces[i]))
			from->offers[from->n_offers++] = pieces[i];
}

static void forget_offer(struct source *from, size_t piece)
{
	for (size_t i = 0; i < from->n_offers; i++)
		if (from->offers[i] == piece) {
			from->offers[i] = from->offers[--from->n_offers];
			return;
		}
}

size_t swarm_offers(const struct swarm *s, int source)
{
	return s->sources[source].n_offers;
}

size_t swarm_lacking(struct swarm *s, int64_t now_ms, uint16_t *out, size_t max)
{
	size_t from = (size_t)rng_below(&s->rng, s->n), n = 0;

	for (size_t k = 0; k < s->n && n < max; k++) {
		size_t i = (from + k) % s->n;

		if (!have_get(s->have, i) && !s->flying[i] && !s->available[i] &&
			now_ms - s->lack_ms[i] >= SWARM_LACK_MS)
			out[n++] = (uint16_t)i;
	}
	return n;
}

/* --- choosing -------------------------------------------------------------------------------- */
/* What a first seed offers that is not on its way yet. */
static size_t pick_offer(const struct swarm *s, const struct source *from)
{
	for (size_t i = 0; i < from->n_offers; i++)
		if (!s->flying[from->offers[i]])
			return from->offers[i];
	return s->n;
}

/* The rarest piece of the source's that is neither here nor on its way; any, when nothing is here yet. */
static size_t pick_rarest(struct swarm *s, const struct source *from)
{
	size_t best = s->n, start = (size_t)rng_below(&s->rng, s->n);

	for (size_t k = 0; k < s->n; k++) {
		size_t i = (start + k) % s->n;

		if (have_get(s->have, i) || s->flying[i] || !have_get(from->have, i))
			continue;
		if (s->n_have == 0)
			return i;
		if (best == s->n || s->available[i] < s->available[best])
			best = i;
	}
	return best;
}

static int64_t late_ms(const struct swarm *s)
{
	return !s->usual_ms                    ? LATE_UNKNOWN_MS
	       : 2 * s->usual_ms > LATE_MIN_MS ? 2 * s->usual_ms
	                                       : LATE_MIN_MS;
}

/* In the end game: the piece that has been on its way the longest, and from one source only. */
static size_t pick_again(const struct swarm *s, int source, int64_t now)
{
	const struct flight *oldest = NULL;

	for (size_t i = 0; i < s->n_flights; i++) {
		const struct flight *f = &s->flights[i];

		if (!f->cancel && f->source != source && s->flying[f->piece] < COPIES_MAX &&
			have_get(s->sources[source].have, f->piece) &&
			now - f->since_ms >= late_ms(s) &&
			(!oldest || f->since_ms < oldest->since_ms))
			oldest = f;
	}
	return oldest ? oldest->piece : s->n;
}

static bool is_endgame(const struct swarm *s)
{
	if (swarm_missing(s) > s->n_flights)
		return false;
	for (size_t i = 0; i < s->n; i++)
		if (!have_get(s->have, i) && !s->flying[i])
			return false;
	return true;
}

static bool may_ask(const struct source *from, int64_t now)
{
	return from->used && !from->out && from->in_flight < from->depth && now >= from->rest_ms;
}

/* The sources that may be asked: first seeds with offers first, then those with least on its way; ties by chance. */
static size_t in_turn(struct swarm *s, int64_t now, int out[SWARM_SOURCES_MAX])
{
	size_t n = 0, start = (size_t)rng_below(&s->rng, SWARM_SOURCES_MAX);

	for (size_t k = 0; k < SWARM_SOURCES_MAX; k++) {
		int one = (int)((start + k) % SWARM_SOURCES_MAX);
		const struct source *from = &s->sources[one];
		size_t at = n;

		if (!may_ask(from, now))
			continue;
		for (; at > 0; at--) {
			const struct source *before = &s->sources[out[at - 1]];

			if (before->seeds > from->seeds ||
				(before->seeds == from->seeds &&
					before->in_flight <= from->in_flight))
				break;
			out[at] = out[at - 1];
		}
		out[at] = one;
		n++;
	}
	return n;
}

static bool choose(struct swarm *s, int64_t now, struct swarm_act *act)
{
	int turn[SWARM_SOURCES_MAX];
	size_t n = s->n_have < s->n && s->n_flights < s->room ? in_turn(s, now, turn) : 0;
	bool again = false;

	for (size_t i = 0; i < 2 * n; i++) {
		int source = turn[i % n];
		const struct source *from = &s->sources[source];
		size_t piece;

		if (i == n && !(again = is_endgame(s)))
			break;
		piece = again         ? pick_again(s, source, now)
		        : from->seeds ? pick_offer(s, from)
		                      : pick_rarest(s, from);
		if (piece == s->n)
			continue;
		take_off(s, source, piece, now);
		*act = (struct swarm_act){ .kind = SWARM_ASK, .source = source, .piece = piece };
		return true;
	}
	return false;
}

/* --- slow sources ------------------------------------------------------------------------------ */
/* Whether another source could be asked for it. */
static bool elsewhere(const struct swarm *s, const struct flight *f, int64_t now)
{
	for (int i = 0; i < SWARM_SOURCES_MAX; i++)
		if (i != f->source && may_ask(&s->sources[i], now) &&
			have_get(s->sources[i].have, f->piece))
			return true;
	return false;
}

/* What moves slowly while it could come from elsewhere, or does not move at all, is given up. */
static void judge(struct swarm *s, int64_t now)
{
	for (size_t i = 0; i < s->n_flights; i++) {
		struct flight *f = &s->flights[i];

		if (f->cancel || now - f->window_ms < SWARM_WINDOW_MS)
			continue;
		if ((int64_t)f->moved * 1000 < SWARM_RATE_MIN * (now - f->window_ms) &&
			(f->moved == 0 || elsewhere(s, f, now))) {
			f->cancel = true;
			forget_offer(&s->sources[f->source], f->piece);
			strike(s, f->source, now);
		}
		f->moved = 0;
		f->window_ms = now;
	}
}

bool swarm_next(struct swarm *s, int64_t now_ms, struct swarm_act *act)
{
	judge(s, now_ms);
	for (size_t i = 0; i < s->n_flights; i++)
		if (s->flights[i].cancel) {
			*act = (struct swarm_act){ .kind = SWARM_CANCEL,
				.source = s->flights[i].source,
				.piece = s->flights[i].piece };
			land(s, &s->flights[i]);
			return true;
		}
	for (int i = 0; i < SWARM_SOURCES_MAX; i++)
		if (s->sources[i].used && s->sources[i].out) {
			*act = (struct swarm_act){
				.kind = SWARM_DROP, .source = i, .wrong = s->sources[i].wrong
			};
			s->sources[i].used = false;
			return true;
		}
	return choose(s, now_ms, act);
}

static void sooner(int64_t *least, int64_t at, int64_t now)
{
	if (at > now && at - now < *least)
		*least = at - now;
}

int64_t swarm_wake(const struct swarm *s, int64_t now_ms)
{
	int64_t least = WAKE_MAX_MS;

	for (size_t i = 0; i < s->n_flights; i++) {
		sooner(&least, s->flights[i].window_ms + SWARM_WINDOW_MS, now_ms);
		sooner(&least, s->flights[i].since_ms + late_ms(s), now_ms);
	}
	for (int i = 0; i < SWARM_SOURCES_MAX; i++)
		if (s->sources[i].used)
			sooner(&least, s->sources[i].rest_ms, now_ms);
	return least;
}

/* --- what came of it ---------------------------------------------------------------------------- */
void swarm_moved(struct swarm *s, int source, size_t piece, size_t n)
{
	struct flight *f = find_flight(s, source, piece);

	if (f)
		f->moved += n;
}

/* How many pieces at once: one more when they come soon, a quarter less when our line is crowded (AIMD). */
static void pace(struct swarm *s, struct source *from, int64_t took)
{
	s->usual_ms = s->usual_ms ? (7 * s->usual_ms + took) / 8 : took > 0 ? took : 1;
	if (took <= FAST_MS && from->depth < SWARM_DEPTH_MAX)
		from->depth++;
	else if (took > SLOW_MS && from->depth > 1 && !from->seeds)
		from->depth--;
	if (took <= SLOW_MS && s->room < s->room_max)
		s->room++;
	else if (took > CROWDED_MS && s->room * 3 / 4 >= FLIGHTS_MIN)
		s->room = s->room * 3 / 4;
}

static void take(struct swarm *s, size_t piece)
{
	if (have_get(s->have, piece))
		return;
	have_set(s->have, piece);
	s->n_have++;
	for (size_t i = 0; i < s->n_flights; i++)
		s->flights[i].cancel |= s->flights[i].piece == piece;
	for (int i = 0; i < SWARM_SOURCES_MAX; i++)
		forget_offer(&s->sources[i], piece);
}

void swarm_arrived(struct swarm *s, int source, size_t piece, bool right, int64_t now_ms)
{
	struct flight *f = find_flight(s, source, piece);

	if (!f)
		return;
	int64_t took = now_ms - f->since_ms;
	land(s, f);
	if (!right) {
		put_out(s, source, true, now_ms);
		return;
	}
	s->sources[source].strikes = 0;
	pace(s, &s->sources[source], took);
	take(s, piece);
}

void swarm_failed(struct swarm *s, int source, size_t piece, enum swarm_fail why, int64_t rest_ms,
	int64_t now_ms)
{
	struct flight *f = find_flight(s, source, piece);
	struct source *from = &s->sources[source];

	if (!f)
		return;
	land(s, f);
	if (from->out)
		return;
	if (why == SWARM_BUSY) {
		from->rest_ms = now_ms + rest_ms;
		from->depth = 1;
		return;
	}
	forget_offer(from, piece);
	if (why == SWARM_MISSING && have_get(from->have, piece)) {
		have_clear(from->have, piece);
		one_less(s, piece, now_ms);
	}
	strike(s, source, now_ms);
}
