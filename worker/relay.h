/* SPDX-License-Identifier: Apache-2.0
 *
 * relay.h: what this worker lends to those who cannot reach the coordinator: a tunnel to it, and to nothing
 * else, within quotas. The quotas are pure; relay.c's other half grants and ends the tunnels.
 */
#ifndef WORKER_RELAY_H
#define WORKER_RELAY_H

#include "worker/home.h"
#include "common/httpd.h"
#include "common/loop.h"

#define RELAY_TUNNELS_MAX 128 /* at once: 256 KiB each, so 32 MiB */

/* All both ways together. */
struct relay_limits {
	int tunnels, tunnels_per_address; /* at once; an IPv6 /64 is one address */
	int64_t bytes, bytes_a_day;       /* of one tunnel; of all in 24 hours */
	int64_t rate, rate_all;           /* bytes a second of one tunnel; of all */
	int64_t hello_ms;                 /* from its start to the first byte */
	int64_t idle_ms, total_ms;        /* without a byte; from its start */
};
extern const struct relay_limits relay_defaults;

struct relay_bucket {
	int64_t tokens, at_ms;
};

struct relay_slot {
	bool used;
	unsigned char from[16];
	int64_t since_ms, active_ms, bytes;
	struct relay_bucket bucket;
};

/* Who has how much. Nothing here reads a clock or a socket; `now` is monotonic ms. */
struct relay_quota {
	struct relay_limits limits;
	struct relay_slot slots[RELAY_TUNNELS_MAX];
	struct relay_bucket bucket;
	int64_t day_ms, day_bytes; /* since when, how many */
};

void quota_init(struct relay_quota *q, const struct relay_limits *limits, int64_t now);
/* A place for a tunnel from this numeric address, or -1 and why (ERR_RATE). */
int quota_take(struct relay_quota *q, const char *address, int64_t now, struct err *e);
/* When all places are taken: whose tunnel goes for one from this address, or -1. The address with most tunnels loses
 * the one that was idle longest, if it then still has no fewer than the newcomer: so strangers who hold many leave
 * room for everybody else (max-min fairness by address). */
int quota_yield(const struct relay_quota *q, const char *address);
/* How many of n bytes may pass now (they count as passed); fewer: ask again in *wait_ms. */
size_t quota_pass(struct relay_quota *q, int slot, size_t n, int64_t now, int64_t *wait_ms);
/* Why the tunnel must end now, or NULL. */
const char *quota_over(const struct relay_quota *q, int slot, int64_t now);
void quota_give(struct relay_quota *q, int slot);

/* --- the relay ------------------------------------------------------------------------------------------ */
struct relay;

/* `home` is borrowed: its direct ways are the only targets. */
struct relay *relay_new(struct loop *l, const struct home *home, const struct relay_limits *limits);
/* Cuts all tunnels. */
void relay_free(struct relay *r);
/* Answer a CONNECT, now or when the coordinator was dialled. */
void relay_serve(struct relay *r, struct req *req);
/* For the owner: tunnels now, and bytes passed since the start. */
size_t relay_count(const struct relay *r);
int64_t relay_bytes(const struct relay *r);

#endif
