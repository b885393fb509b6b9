/* SPDX-License-Identifier: Apache-2.0
 *
 * view.c: who is known, who goes when there is no room, and what became of them.
 */
#include "worker/view.h"
#include "common/dial.h"

#include <stdlib.h>
#include <string.h>

static struct entry *find(struct view *v, const struct id *node)
{
	for (size_t i = 0; i < v->n; i++)
		if (id_equal(&v->entries[i].to.node, node))
			return &v->entries[i];
	return NULL;
}

static void drop(struct view *v, struct entry *x)
{
	free(x->to.host);
	free(x->line);
	*x = v->entries[--v->n];
}

void view_release(struct view *v)
{
	while (v->n)
		drop(v, &v->entries[v->n - 1]);
}

static void set_address(struct entry *x, const struct endpoint *at)
{
	free(x->to.host);
	x->to.host = xstrdup(at->host);
	x->to.port = at->port;
	x->block = dial_block(at);
}

bool view_pin(struct view *v, const struct link *to)
{
	struct entry *x = find(v, &to->node);
	bool fresh = !x || !x->pinned;
	struct endpoint at = link_at(to);

	if (!x && v->n < VIEW_MAX) {
		x = &v->entries[v->n++];
		*x = (struct entry){ .to.node = to->node };
		set_address(x, &at);
	}
	if (!x)
		return false;
	x->pinned = true;
	return fresh;
}

static void drop_record(struct entry *x)
{
	free(x->line);
	x->line = NULL;
	x->len = 0;
}

void view_age(struct view *v, int64_t now)
{
	for (size_t i = v->n; i-- > 0;) {
		struct entry *x = &v->entries[i];

		if (!x->line || x->expires_ms > now)
			continue;
		if (x->pinned)
			drop_record(x);
		else
			drop(v, x);
	}
}

/* --- room ---------------------------------------------------------------------------------- */

static bool gone(const struct entry *x)
{
	return !x->pinned && x->fails >= FAILS_GONE;
}

/* Who makes room in a block that has its share: only who is gone. */
static struct entry *victim_of_block(struct view *v, uint64_t block, bool *full)
{
	struct entry *worst = NULL;
	size_t n = 0;

	for (size_t i = 0; i < v->n; i++)
		if (block && v->entries[i].block == block) {
			n++;
			if (gone(&v->entries[i]))
				worst = &v->entries[i];
		}
	*full = n >= VIEW_BLOCK_MAX;
	return worst;
}

/* Who makes room in a full view: who is gone; else any that was never reached, by chance; else the one that was reached
 * longest ago. So what was only heard of never pushes out all that is known to be true. */
static struct entry *victim(struct view *v, uint64_t *seed)
{
	struct entry *oldest = NULL, *fresh = NULL;
	size_t n_fresh = 0;

	for (size_t i = 0; i < v->n; i++) {
		struct entry *x = &v->entries[i];

		if (x->pinned)
			continue;
		if (gone(x))
			return x;
		if (!x->reached_ms && rng_below(seed, ++n_fresh) == 0)
			fresh = x;
		if (!oldest || x->reached_ms < oldest->reached_ms)
			oldest = x;
	}
	return fresh ? fresh : oldest;
}

static struct entry *make_room(struct view *v, const struct view_rules *r, uint64_t block)
{
	bool full;
	struct entry *x = victim_of_block(v, block, &full);

	if (full && !x)
		return NULL;
	if (!full && v->n == VIEW_MAX)
		x = victim(v, r->seed);
	if (full || v->n == VIEW_MAX) {
		if (!x)
			return NULL;
		drop(v, x);
	}
	x = &v->entries[v->n++];
	*x = (struct entry){ 0 };
	return x;
}

/* --- records ------------------------------------------------------------------------------- */

static const struct endpoint *address_of(const struct heard *h, bool private_ok)
{
	for (size_t i = 0; i < h->n_at; i++)
		if (dial_allowed(&h->at[i], private_ok))
			return &h->at[i];
	return NULL;
}

static bool known_line(const struct view *v, const char *line, size_t n)
{
	for (size_t i = 0; i < v->n; i++)
		if (v->entries[i].len == n && !memcmp(v->entries[i].line, line, n))
			return true;
	return false;
}

/* The entry for this record, or NULL when there is no place for it. */
static struct entry *entry_for(struct view *v, const struct view_rules *r, const struct heard *h,
	const struct endpoint *at)
{
	struct entry *x = find(v, &h->author);
	uint64_t block = dial_block(at);
	bool full;

	if (x && x->block != block) { /* it moved: as if it were new, but its deeds stay */
		victim_of_block(v, block, &full);
		return full ? NULL : x;
	}
	return x ? x : make_room(v, r, block);
}

enum news_verdict view_take(struct view *v, const struct view_rules *r, const char *line, size_t n,
	int64_t now, struct err *e)
{
	struct heard h;
	const struct endpoint *at;

	if (n > PEER_LINE_MAX) {
		err_set(e, ERR_TOO_BIG, "a peer record of %zu bytes", n);
		return NEWS_BAD;
	}
	if (known_line(v, line, n))
		return NEWS_KNOWN;
	if (r->fns->open(r->fns->open_arg, &h, line, n, e))
		return e->code == ERR_SIGNATURE ? NEWS_FORGED : NEWS_BAD;
	if (h.kind != HEARD_PEER) {
		err_set(e, ERR_FIELD, "what stands for a peer record is none");
		return NEWS_BAD;
	}
	at = address_of(&h, r->private_ok);
	err_set(e, ERR_REFUSED,
		"the record is ours, has expired, lasts too long, or has no address to be dialled");
	if (id_equal(&h.author, r->self) || h.expires_ms <= now ||
		h.expires_ms > now + PEER_LIFE_MAX_MS || !at)
		return NEWS_NO;
	struct entry *x = find(v, &h.author);
	if (x && x->line && h.seq <= x->seq)
		return NEWS_KNOWN;
	x = entry_for(v, r, &h, at);
	if (!x)
		return NEWS_NO;
	drop_record(x);
	x->to.node = h.author;
	set_address(x, at);
	x->line = xmemdup(line, n);
	x->len = n;
	x->mark = mark_of(line, n);
	x->seq = h.seq;
	x->expires_ms = h.expires_ms;
	x->relay = h.relay;
	return NEWS_NEW;
}

/* --- deeds --------------------------------------------------------------------------------- */

static void forgive(struct entry *x, int64_t now)
{
	int64_t points = x->scored_ms ? (now - x->scored_ms) / FORGIVE_MS : 0;

	if (points > 0 && x->score < 0)
		x->score = points > -x->score ? 0 : x->score + (int)points;
	if (points > 0 || !x->scored_ms)
		x->scored_ms = now;
}

static void unreachable(struct entry *x, int64_t now)
{
	int64_t wait = RETRY_MIN_MS;

	for (int i = 0; i < x->fails && wait < RETRY_MAX_MS; i++)
		wait *= 2;
	x->fails++;
	x->retry_ms = now + (wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS);
}

bool view_deed(struct view *v, const struct id *node, enum peer_deed deed, int64_t now)
{
	static const int points[] = { [PEER_GOOD] = 1,
		[PEER_WRONG_BYTES] = -4,
		[PEER_BAD_SIGNATURE] = -8,
		[PEER_FLOOD] = -4,
		[PEER_STALE] = -1,
		[PEER_UNREACHABLE] = 0 };
	struct entry *x = find(v, node);

	if (!x)
		return false;
	if (deed == PEER_UNREACHABLE) {
		unreachable(x, now);
		return false;
	}
	forgive(x, now);
	x->score += points[deed];
	if (x->score > SCORE_BEST)
		x->score = SCORE_BEST;
	if (x->score > SCORE_BAN)
		return false;
	x->ban_ms = now + BAN_MS;
	x->score = SCORE_BAN / 2; /* when it comes back, half as much is enough */
	return true;
}

void view_reached(struct view *v, const struct id *node, int64_t now)
{
	struct entry *x = find(v, node);

	if (!x)
		return;
	x->reached_ms = now;
	x->fails = 0;
	x->retry_ms = 0;
}

void view_hurry(struct view *v, int64_t now)
{
	for (size_t i = 0; i < v->n; i++)
		if (v->entries[i].fails && v->entries[i].retry_ms > now)
			v->entries[i].retry_ms = now;
}

void view_rest(struct view *v, const struct id *node, int64_t until)
{
	struct entry *x = find(v, node);

	if (x)
		x->retry_ms = until;
}

size_t view_bytes(const struct view *v)
{
	size_t n = 0;

	for (size_t i = 0; i < v->n; i++)
		n += v->entries[i].len + 1 + strlen(v->entries[i].to.host) + 1;
	return n;
}

bool entry_usable(const struct entry *x, int64_t now)
{
	return x->ban_ms <= now;
}

void entry_link(struct link *out, const struct entry *x, const struct id *grid)
{
	*out = (struct link){ .node = x->to.node, .grid = *grid, .port = x->to.port };
	snprintf(out->host, sizeof(out->host), "%s", x->to.host);
}
