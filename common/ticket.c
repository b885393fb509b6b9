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

int ticket_read(struct ticket_said *out, struct msg *m, struct err *e)
{
	bool ticket = m->type == MSG_TICKET;

	*out = (struct ticket_said){ .id = m->sealed.digest, .author = m->author, .size = jint(m->body, "size", 0) };
	digest_from_text(&out->digest, jtext(m->body, "digest"));
	msg_release(m);
	return ticket ? 0 : err_field(e, "type", "an upload begins with a ticket");
}

int ticket_check_length(const struct ticket_said *t, int64_t bytes, struct err *e)
{
	return t->size == bytes ? 0 :
				  err_field(e, "Upload-Length", "is %lld, but the ticket says %lld", (long long)bytes,
					  (long long)t->size);
}
