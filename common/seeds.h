/* SPDX-License-Identifier: Apache-2.0
 *
 * seeds.h: what any node answers about a blob beside its bytes: which layer was asked for, and where a
 * stock BitTorrent client gets the bytes (BEP 19: a web seed is a URL that honours Range).
 */
#ifndef COMMON_SEEDS_H
#define COMMON_SEEDS_H

#include "common/digest.h"
#include "common/err.h"
#include "common/id.h"

#include <jansson.h>

#define SEED_BASE_MAX (LINK_HOST_MAX + 20)

/* The `piece` of a query: a power of two from 16 KiB to 64 GiB. NULL (absent) is ERR_FIELD too. */
int seeds_piece(int64_t *piece, const char *text, struct err *e);

/* "http://HOST:PORT" of a web seed that listens at `listen` (port: the one it got): HOST is `advertised`
 * where there is one, else the address it listens on; "" when that is every address. */
void seeds_base(char out[SEED_BASE_MAX], const struct endpoint *listen, uint16_t port,
	const struct endpoint *advertised);
/* The path of a blob on every port. */
char *seeds_path(const struct digest *d) MUST_USE;

/* {"digest","size","web":[URL]}; base "": no URL. Yours. */
char *seeds_json(const struct digest *d, int64_t size, const char *base) MUST_USE;
/* Read it, as a stranger sent it: it must be about `d`; at most SEEDS_URLS_MAX texts, each an http:// or https:// URL
 * of printable ASCII. *urls: an array of texts, yours. */
#define SEEDS_URLS_MAX 8
#define SEEDS_URL_MAX 512
int seeds_read(const char *text, size_t n, const struct digest *d, int64_t *size, json_t **urls,
	struct err *e);

#endif
