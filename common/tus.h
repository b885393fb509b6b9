/* SPDX-License-Identifier: Apache-2.0
 *
 * tus.h: a resumable upload (tus 1.0.0 core, client side): create against a signed ticket, ask the
 * offset, PATCH parts of at most 1 MiB until all is there. https://tus.io/protocols/resumable-upload
 *
 *	POST /v1/uploads   Tus-Resumable: 1.0.0, Upload-Length: N, body: the ticket's envelope line
 *	                   -> 201 Location: /v1/uploads/ID, Upload-Offset: bytes already held
 *	HEAD /v1/uploads/ID -> 200 Upload-Offset, Upload-Length
 *	PATCH /v1/uploads/ID Upload-Offset: N, Content-Type: application/offset+octet-stream -> 204
 *
 * The same ticket again names the same upload, so a client that lost everything resumes.
 */
#ifndef COMMON_TUS_H
#define COMMON_TUS_H

#include "common/fetch.h"

#define TUS_VERSION "1.0.0"
#define TUS_PART_MAX MIB
#define TUS_PART_TYPE "application/offset+octet-stream"

struct tus;

/* `via` as in struct fetch_spec. Upload `size` bytes of fd (borrowed until done; read with pread). `ticket` is the envelope line,
 * copied. Network faults are retried with back-off up to `tries` times in a row without progress;
 * refusals (4xx but 409 wrong-offset, which re-asks HEAD) end it. done(arg, NULL) when all is
 * there, else with the reason. */
typedef void tus_fn(void *arg, const struct err *e);
struct tus *tus_start(struct fetcher *f, struct loop *l, const struct link *to, const struct link *via,
	const char *ticket, size_t ticket_len, int fd, int64_t size, int tries, tus_fn *done, void *arg);
void tus_cancel(struct tus *t); /* done is not called */

#endif
