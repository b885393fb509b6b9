/* SPDX-License-Identifier: Apache-2.0
 *
 * ticket.h: what begins an upload: its author's word on which bytes will come.
 */
#ifndef COMMON_TICKET_H
#define COMMON_TICKET_H

#include "common/msg.h"

/* Sign a ticket; *line is yours. The same `time_ms` makes the same ticket, which resumes the same upload. */
int ticket_seal(char **line, const struct id *grid, const struct key *k, const struct digest *d, int64_t size,
	int64_t time_ms, struct err *e);

#endif
