/* SPDX-License-Identifier: Apache-2.0
 *
 * workers.c: banning one and taking it back.
 *
 * A banned worker's leases end and its votes for what is not final never came; what is final stays.
 * Taking the ban back lets it ask again; the votes stay void.
 */
#include "common/log.h"
#include "coordinator/coord.h"

#include <string.h>

static int find(struct coord *c, const char *text, struct id *id, struct err *e)
{
	if (id_parse(id, text))
		return 0;
	if (!id_is_prefix(text))
		return err_set(
			e, ERR_USAGE, "\"%s\" is no worker id, nor 8 or more digits of one", text);
	int n = store_match(c->store, ID_WORKER, text, id);
	if (n == 0)
		return err_set(e, ERR_NOT_FOUND, "no worker's id begins with %s", text);
	if (n > 1)
		return err_set(e, ERR_USAGE, "more than one worker's id begins with %s", text);
	return 0;
}

int ban_worker(struct coord *c, const char *text, bool banned, struct err *e)
{
	struct id id;

	if (find(c, text, &id, e))
		return -1;
	uint32_t at = sched_worker(&c->sched, &id);
	bool fresh = at == NOBODY;
	if (fresh)
		at = sched_add_worker(&c->sched, &id);
	if (at == NOBODY)
		return err_set(e, ERR_FULL, "this grid knows as many workers as it can");
	struct worker *w = &c->sched.workers[at];
	w->banned = banned;
	if (fresh)
		w->row = store_add_worker(c->store, w);
	else
		store_set_worker(c->store, w);
	if (banned) {
		end_leases_of(c, NOBODY, at);
		end_leases_after(c, at);
		store_void_results(c->store, w->row);
		store_close_checkpoints_of(c->store, w->row);
		sched_unvote(&c->sched, at);
		wake_worker(c, at);
	}
	char hex[ID_TEXT + 1];
	id_text(hex, &id);
	log_info("worker %.16s is %s", hex, banned ? "banned" : "no longer banned");
	return 0;
}
