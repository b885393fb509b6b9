/* SPDX-License-Identifier: Apache-2.0
 *
 * pour.h: one stream of a program, read from its pipe and written where it belongs, counted.
 */
#ifndef SANDBOX_POUR_H
#define SANDBOX_POUR_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POUR_BUFFER 65536

struct pour {
	int from, to; /* `from` is ours, -1 once it has ended */
	bool to_file; /* a regular file: always takes all */
	bool last;    /* nobody writes any more: see pour_last */
	size_t have, at;
	char *buffer; /* made when there is something to pass on; NULL before */
};

enum poured { POUR_OK, POUR_OVER, POUR_FAILED };

void pour_init(struct pour *p, int from, int to);
/* What to poll for: fd -1 when there is nothing left to do. */
struct pollfd pour_want(const struct pour *p);
/* After poll, which gave `revents`: move what can be moved without waiting. *left is what may still be written, of all
 * streams together. POUR_OVER: the program wrote more than that. POUR_FAILED: errno says why it
 * could not be written; a reader that went away is none: the program then gets SIGPIPE. */
enum poured pour_move(struct pour *p, short revents, int64_t *left);
/* All who wrote to it are gone, though somebody may still hold it: it ends with what is in it now. */
void pour_last(struct pour *p);
void pour_stop(struct pour *p);

#endif
