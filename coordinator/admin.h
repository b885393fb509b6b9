/* SPDX-License-Identifier: Apache-2.0
 *
 * admin.h: the commands of whoever runs the grid: over a 0600 socket in DIR while the coordinator
 * serves, on the store itself while it does not.
 */
#ifndef COORDINATOR_ADMIN_H
#define COORDINATOR_ADMIN_H

#include "common/conf.h"
#include "common/loop.h"
#include "coordinator/coord.h"

struct admin;

/* Listen on DIR/admin.sock. */
int admin_new(struct admin **out, struct loop *l, struct coord *c, struct err *e);
void admin_free(struct admin *a);

/* Check the words of a command without doing anything: ERR_USAGE. */
int admin_check(const struct texts *words, struct err *e);
/* Do it: through the socket, or, when nobody serves, here. Gives the exit code; prints what it has
 * to say. */
int admin_run(const struct coord_options *o, const struct texts *words);

#endif
