/* SPDX-License-Identifier: Apache-2.0
 *
 * ticket.c: what begins an upload.
 */
#include "common/ticket.h"

int ticket_seal(char **line, const struct id *grid, const struct key *k, const struct digest *d, int64_t size,
	int64_t time_ms, struct err *e)
{
	json_t *j = msg_new(MSG_TICKET, grid, key_id(k), time_ms);
	char text[DIGEST_TEXT + 1];

	digest_text(text, d);
	json_object_set_new(j, "digest", json_string(text));
	json_object_set_new(j, "size", json_integer(size));
	return msg_seal(line, j, NULL, k, e);
}
