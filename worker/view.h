/* SPDX-License-Identifier: Apache-2.0
 *
 * view.h: the nodes that a node knows: records, addresses, deeds. Part of peers.h; its bounds are there.
 */
#ifndef WORKER_VIEW_H
#define WORKER_VIEW_H

#include "worker/peers.h"

/* Small, since a simulator has many: the host is kept apart. */
struct entry {
	struct {
		struct id node;
		char *host; /* owned */
		uint16_t port;
	} to;
	uint64_t block; /* 0: exempt */
	char *line;     /* its record, owned; NULL: known by a joined link alone */
	size_t len;
	struct mark mark; /* of the line */
	int64_t seq, expires_ms;
	int64_t reached_ms; /* last; 0: never */
	int64_t retry_ms;   /* not before */
	int64_t ban_ms;     /* until */
	int64_t scored_ms;  /* when the score was last changed or forgiven */
	int score, fails;
	bool pinned;
	bool relay; /* it lends tunnels, as it says */
};

struct view {
	struct entry entries[VIEW_MAX];
	size_t n;
};

struct view_rules {
	const struct news_fns *fns;
	const struct id *self;
	bool private_ok;
	uint64_t *seed;
	void *arg;
};

void view_release(struct view *v);
bool view_pin(struct view *v, const struct link *to);
enum news_verdict view_take(struct view *v, const struct view_rules *r, const char *line, size_t n,
	int64_t now_ms, struct err *e);
void view_age(struct view *v, int64_t now_ms);
/* True: the node is banned by it. */
bool view_deed(struct view *v, const struct id *node, enum peer_deed deed, int64_t now_ms);
void view_reached(struct view *v, const struct id *node, int64_t now_ms);
void view_rest(struct view *v, const struct id *node, int64_t until_ms);
/* Who could not be reached may be tried again at once. */
void view_hurry(struct view *v, int64_t now_ms);
size_t view_bytes(const struct view *v);

/* May be dialled and named to others, as far as its deeds go. */
bool entry_usable(const struct entry *x, int64_t now_ms);
void entry_link(struct link *out, const struct entry *x, const struct id *grid);

#endif
