/* SPDX-License-Identifier: Apache-2.0
 *
 * relay.c: tunnels to the coordinator, within quotas.
 *
 * A tunnel goes only where this worker itself goes: the target's text must be one of its own addresses of the
 * coordinator, and what is dialled is a numeric address, the one at which it was reached with its key. What
 * passes is TLS between the two ends; the relay can count it, delay it and cut it.
 *
 * The rates are token buckets (RFC 2697's, with one second's worth as burst), one a tunnel and one for all.
 */
#include "worker/relay.h"
#include "common/clock.h"
#include "common/log.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define DIAL_MS 8000 /* less than the client's limit for both connections */
#define SWEEP_MS 1000
#define PART_MIN 4096 /* rather wait for this many tokens than pass a few bytes at a time */
#define DAY_MS (24 * 3600 * 1000)

const struct relay_limits relay_defaults = {
	.tunnels = RELAY_TUNNELS_MAX,
	.tunnels_per_address =
		24, /* a worker has up to ten connections; two share a home's address */
	.bytes = 4096 * MIB,
	.bytes_a_day = 65536 * MIB,
	.rate = 4 * MIB,
	.rate_all = 8 * MIB,
	.hello_ms = 15 * 1000, /* who asked for it speaks first (TLS) */
	.idle_ms =
		120 * 1000, /* longer than the coordinator lets a connection idle or an ask wait */
	.total_ms = 3600 * 1000,
};

/* --- quotas ----------------------------------------------------------------------------------------------- */

static void fill(struct relay_bucket *b, int64_t rate, int64_t now)
{
	int64_t ms = now - b->at_ms;

	if (ms <= 0)
		return;
	b->tokens = ms >= 1000 ? rate : b->tokens + rate * ms / 1000;
	if (b->tokens > rate)
		b->tokens = rate;
	b->at_ms = now;
}

/* An address as it is counted: an IPv4 one, or the /64 of an IPv6 one. */
static void origin(unsigned char out[16], const char *address)
{
	unsigned char six[16];

	memset(out, 0, 16);
	if (inet_pton(AF_INET, address, out + 12) == 1)
		out[11] = 4;
	else if (inet_pton(AF_INET6, address, six) == 1)
		memcpy(out, six, 8);
}

void quota_init(struct relay_quota *q, const struct relay_limits *limits, int64_t now)
{
	*q = (struct relay_quota){
		.limits = *limits, .bucket = { limits->rate_all, now }, .day_ms = now
	};
	if (q->limits.tunnels > RELAY_TUNNELS_MAX)
		q->limits.tunnels = RELAY_TUNNELS_MAX;
}

static void turn_day(struct relay_quota *q, int64_t now)
{
	if (now - q->day_ms < DAY_MS)
		return;
	q->day_ms = now;
	q->day_bytes = 0;
}

static int count_of(const struct relay_quota *q, const unsigned char from[16])
{
	int n = 0;

	for (int i = 0; i < RELAY_TUNNELS_MAX; i++)
		n += q->slots[i].used && !memcmp(q->slots[i].from, from, 16);
	return n;
}

int quota_yield(const struct relay_quota *q, const char *address)
{
	unsigned char from[16];
	int all = 0, most = 0, slot = -1;

	origin(from, address);
	for (int i = 0; i < RELAY_TUNNELS_MAX; i++) {
		const struct relay_slot *s = &q->slots[i];
		int n = s->used ? count_of(q, s->from) : 0;

		all += s->used;
		if (n > most || (n && n == most && s->active_ms < q->slots[slot].active_ms)) {
			most = n;
			slot = i;
		}
	}
	return all >= q->limits.tunnels && most > count_of(q, from) + 1 ? slot : -1;
}

int quota_take(struct relay_quota *q, const char *address, int64_t now, struct err *e)
{
	unsigned char from[16];
	int slot = -1, all = 0;

	origin(from, address);
	turn_day(q, now);
	for (int i = 0; i < RELAY_TUNNELS_MAX; i++) {
		all += q->slots[i].used;
		if (!q->slots[i].used && slot < 0)
			slot = i;
	}
	if (slot < 0 || all >= q->limits.tunnels)
		return err_set(e, ERR_RATE,
			"all %d tunnels of this relay are taken; try another relay or later",
			q->limits.tunnels);
	if (count_of(q, from) >= q->limits.tunnels_per_address)
		return err_set(e, ERR_RATE,
			"%d tunnels from your address are open, which is the most",
			q->limits.tunnels_per_address);
	if (q->day_bytes >= q->limits.bytes_a_day)
		return err_set(e, ERR_RATE,
			"this relay has passed on as much as it does in a day; try another one");
	q->slots[slot] = (struct relay_slot){
		.used = true, .since_ms = now, .active_ms = now, .bucket = { q->limits.rate, now }
	};
	memcpy(q->slots[slot].from, from, sizeof(from));
	return slot;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

size_t quota_pass(struct relay_quota *q, int slot, size_t n, int64_t now, int64_t *wait_ms)
{
	struct relay_slot *s = &q->slots[slot];
	int64_t part = least((int64_t)n, least(PART_MIN, q->limits.rate)), may;

	fill(&s->bucket, q->limits.rate, now);
	fill(&q->bucket, q->limits.rate_all, now);
	turn_day(q, now);
	may = least((int64_t)n, least(s->bucket.tokens, q->bucket.tokens));
	if (may < part) {
		*wait_ms = 1 + 1000 * (part - may) / least(q->limits.rate, q->limits.rate_all);
		return 0;
	}
	may = least(may, least(q->limits.bytes - s->bytes, q->limits.bytes_a_day - q->day_bytes));
	if (may <= 0) {
		*wait_ms = SWEEP_MS; /* it is over, and about to be cut */
		return 0;
	}
	s->bucket.tokens -= may;
	q->bucket.tokens -= may;
	s->bytes += may;
	q->day_bytes += may;
	s->active_ms = now;
	*wait_ms = 1 + 1000 * part / q->limits.rate;
	return (size_t)may;
}

const char *quota_over(const struct relay_quota *q, int slot, int64_t now)
{
	const struct relay_slot *s = &q->slots[slot];

	return s->bytes >= q->limits.bytes             ? "it passed on as much as one tunnel may"
	       : q->day_bytes >= q->limits.bytes_a_day ? "the day's bytes are used up"
	       : !s->bytes && now - s->since_ms >= q->limits.hello_ms
	               ? "nothing was said through it"
	       : now - s->active_ms >= q->limits.idle_ms ? "nothing passed for too long"
	       : now - s->since_ms >= q->limits.total_ms ? "it has been open long enough"
	                                                 : NULL;
}

void quota_give(struct relay_quota *q, int slot)
{
	q->slots[slot].used = false;
}

/* --- tunnels ------------------------------------------------------------------------------------------------ */

struct held {
	struct relay *relay;
	struct tunnel *tunnel; /* NULL: none in this slot */
};

struct relay {
	const struct home *home;
	struct relay_quota quota;
	struct held held[RELAY_TUNNELS_MAX]; /* by the quota's slot */
	struct timer *sweep;
	size_t count;
	int64_t bytes;
};

static int slot_of(const struct held *h)
{
	return (int)(h - h->relay->held);
}

static size_t may_pass(void *arg, size_t n, int64_t *wait_ms)
{
	struct held *h = arg;
	size_t may = quota_pass(&h->relay->quota, slot_of(h), n, clock_mono_ms(), wait_ms);

	h->relay->bytes += (int64_t)may;
	return may;
}

static void on_over(void *arg)
{
	struct held *h = arg;

	h->tunnel = NULL;
	h->relay->count--;
	quota_give(&h->relay->quota, slot_of(h));
}

static void end_tunnel(struct relay *r, int slot, const char *why)
{
	log_debug("a relayed tunnel is ended: %s", why);
	tunnel_cut(r->held[slot].tunnel);
	on_over(&r->held[slot]);
}

static void sweep(void *arg)
{
	struct relay *r = arg;
	int64_t now = clock_mono_ms();

	for (int i = 0; i < RELAY_TUNNELS_MAX; i++) {
		const char *why = r->held[i].tunnel ? quota_over(&r->quota, i, now) : NULL;

		if (why)
			end_tunnel(r, i, why);
	}
	if (r->count)
		timer_in(r->sweep, SWEEP_MS);
}

struct relay *relay_new(struct loop *l, const struct home *home, const struct relay_limits *limits)
{
	struct relay *r = xcalloc(1, sizeof(*r));

	r->home = home;
	quota_init(&r->quota, limits, clock_mono_ms());
	for (size_t i = 0; i < ARRAY_LEN(r->held); i++)
		r->held[i].relay = r;
	r->sweep = timer_new(l, sweep, r);
	return r;
}

void relay_free(struct relay *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < ARRAY_LEN(r->held); i++)
		if (r->held[i].tunnel)
			tunnel_cut(TAKE(r->held[i].tunnel));
	timer_free(r->sweep);
	free(r);
}

static int take_place(struct relay *r, const char *address, struct err *e)
{
	int other = quota_yield(&r->quota, address);

	if (other >= 0)
		end_tunnel(r, other, "others have fewer, and there are no more");
	return quota_take(&r->quota, address, clock_mono_ms(), e);
}

void relay_serve(struct relay *r, struct req *req)
{
	struct tunnel_spec spec = { .connect_ms = DIAL_MS, .may = may_pass, .over = on_over };
	struct err e;
	int slot;

	if (home_target(&spec.to, r->home, req_path(req), &e) ||
		(slot = take_place(r, req_address(req), &e)) < 0) {
		req_problem(req, &e);
		return;
	}
	spec.arg = &r->held[slot];
	r->held[slot].tunnel = req_tunnel(req, &spec);
	r->count++;
	if (!timer_is_on(r->sweep))
		timer_in(r->sweep, SWEEP_MS);
}

size_t relay_count(const struct relay *r)
{
	return r->count;
}

int64_t relay_bytes(const struct relay *r)
{
	return r->bytes;
}
