/* SPDX-License-Identifier: Apache-2.0
 *
 * uploads.h: the server side of resumable uploads (tus 1.0.0 core), each against a signed ticket.
 */
#ifndef COORDINATOR_UPLOADS_H
#define COORDINATOR_UPLOADS_H

#include "coordinator/coord.h"

struct uploads *uploads_new(struct coord *c);
void uploads_free(struct uploads *u);

/* Read some more of what was left of uploads that go on. */
void uploads_turn(struct coord *c);

/* POST /v1/uploads: `line` is the ticket's envelope, `size` the length that it came with. */
void upload_create(struct call *call, const char *line, size_t n, int64_t size, const char *address);
/* HEAD /v1/uploads/ID */
void upload_tell(struct call *call, const char *id);
/* PATCH /v1/uploads/ID: bytes that belong `at` this offset. */
void upload_add(struct call *call, const char *id, int64_t at, const char *bytes, size_t n);

#endif
