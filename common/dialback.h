/* SPDX-License-Identifier: Apache-2.0
 *
 * dialback.h: the answer to "can you reach me?" (POST /v1/dial-back).
 *
 *	{"node":ID,"port":N}  ->  {"reached":true|false,"address":"HOST:PORT"}
 *
 * A call is made back to the very address that the request came from, at the port it names, and counts as having
 * got through when TLS there shows the key that the request names. Never to another address, so nobody
 * else can be reached by it; and not often: once in DIALBACK_EVERY_MS for an address and port, RECENT_MAX in that time
 * in all, DIALBACK_MAX at a time. What answers at a port that is not that node is not told.
 */
#ifndef COMMON_DIALBACK_H
#define COMMON_DIALBACK_H

#include "common/fetch.h"
#include "common/httpd.h"
#include "common/key.h"

#define DIALBACK_MAX 16 /* calls at a time */
#define DIALBACK_EVERY_MS (10 * 1000)
#define DIALBACK_TIMEOUT_MS 5000 /* who is reachable answers sooner */
#define DIALBACK_BODY_MAX 1024

/* Read a request's body. */
int dialback_read(struct id *node, uint16_t *port, const char *body, size_t n, struct err *e);

struct dialback;

/* f: borrowed, outlives it. */
struct dialback *dialback_new(struct fetcher *f);
void dialback_free(struct dialback *d); /* before the fetcher and the server */
/* The route's handler: answers `r`, now or later. */
void dialback_handle(struct dialback *d, struct req *r);

/* Read an answer: whether it got through, and the address it was tried at. */
int dialback_read_answer(
	bool *reached, struct endpoint *at, const char *body, size_t n, struct err *e);

#endif
