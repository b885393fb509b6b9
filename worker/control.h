/* SPDX-License-Identifier: Apache-2.0
 *
 * control.h: the owner's door: a 0600 socket in DIR that takes one word a connection and answers a text.
 */
#ifndef WORKER_CONTROL_H
#define WORKER_CONTROL_H

#include "common/loop.h"

#define CONTROL_ANSWER_MAX (256 * 1024)

struct control;

/* The answer to `word` (yours to free by the caller of this function), or NULL with `e`. */
typedef char *control_fn(void *arg, const char *word, struct err *e);

int control_new(struct control **out, struct loop *l, const char *dir, control_fn *fn, void *arg, struct err *e);
void control_free(struct control *c); /* removes the socket */

/* The other side, blocking: what the worker that runs on DIR answers to `word`. Yours. ERR_UNREACHABLE: none runs. */
int control_ask(char **answer, const char *dir, const char *word, struct err *e);

#endif
