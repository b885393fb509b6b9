/* SPDX-License-Identifier: Apache-2.0
 *
 * msg_table.h: what every type of message has to look like. For msg.c.
 */
#ifndef COMMON_MSG_TABLE_H
#define COMMON_MSG_TABLE_H

#include "common/msg.h"

enum msg_header { MSG_PLAIN, MSG_NUMBERED, MSG_EPOCH }; /* numbered: by the author, in `seq` */

extern const struct msg_kind {
	const char *name;
	const struct shape *shape;
	size_t line_max; /* bytes of the envelope line */
	enum msg_header header;
} msg_table[N_MSG_TYPES];

extern const struct shape msg_header_shape[]; /* of all of them */

/* What a result is the predicate of (in-toto). */
#define STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define PREDICATE_TYPE "urn:talkoot:result:v1"
extern const struct shape msg_statement_shape[];

#endif
