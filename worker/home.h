/* SPDX-License-Identifier: Apache-2.0
 *
 * home.h: the grid that this worker belongs to: whom to call, and whom to believe.
 *
 * DIR/grid.json is the newest descriptor seen, DIR/epoch the highest epoch counter: a lower serial or
 * counter is refused even after a restart. A coordinator's message counts only if its author holds that
 * role in the descriptor.
 */
#ifndef WORKER_HOME_H
#define WORKER_HOME_H

#include "common/conf.h"
#include "common/grid.h"
#include "common/id.h"
#include "common/msg.h"

#define HOME_LINKS_MAX 16 /* --join may be given so often */
#define HOME_WAYS_MAX 64  /* links and addresses through which the coordinator may be tried */

struct home {
	char *dir;
	struct id grid_id;
	struct grid grid; /* valid when known */
	char *line;       /* the descriptor's envelope */
	bool known;
	int64_t epoch;
	struct link joins[HOME_LINKS_MAX];
	size_t n_joins;
	struct link ways[HOME_WAYS_MAX];
	size_t n_ways, way;
};

/* Read what DIR remembers. Links must be of one grid; none is fine when DIR knows one. A DIR of another
 * grid than the links' starts anew with theirs. */
int home_open(struct home *h, const char *dir, const struct texts *links, struct err *e);
void home_close(struct home *h);

/* A descriptor from anybody: taken when it is this grid's and not older than ours. */
int home_learn(struct home *h, const char *line, size_t n, struct err *e);
/* Where to try the coordinator now; NULL while no descriptor is known. After a failure the next way's turn comes. */
const struct link *home_way(const struct home *h);
void home_failed(struct home *h);
/* Open a message that only the coordinator may send. Release `m` on success. */
int home_open_msg(struct home *h, struct msg *m, const char *line, size_t n, enum msg_type type, struct err *e);

#endif
