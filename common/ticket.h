/* SPDX-License-Identifier: Apache-2.0
 *
 * ticket.h: what begins an upload: its author's word on which bytes will come.
 */
#ifndef COMMON_TICKET_H
#define COMMON_TICKET_H

#include "common/msg.h"

struct ticket_said {
	struct digest id; /* of its line: the upload's name */
	struct digest digest;
	struct id author;
	int64_t size;
};

/* Sign a ticket; *line is yours. The same `time_ms` makes the same ticket, which resumes the same upload. */
int ticket_seal(char **line, const struct id *grid, const struct key *k, const struct digest *d, int64_t size,
	int64_t time_ms, struct err *e);
/* What an opened message says, if it is a ticket; released in any case. */
int ticket_read(struct ticket_said *out, struct msg *m, struct err *e);
/* Whether the upload that it came with is as long as it says. */
int ticket_check_length(const struct ticket_said *t, int64_t bytes, struct err *e);

#endif
