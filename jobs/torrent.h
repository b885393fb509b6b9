/* SPDX-License-Identifier: Apache-2.0
 *
 * torrent.h: a blob as a BitTorrent v2 torrent (BEP 52) of one file with web seeds (BEP 19).
 *
 * The file is called by the blob's digest in hex, so whoever exports a blob exports the same torrent: one swarm.
 * Writes bencode (BEP 3); reads none.
 */
#ifndef JOBS_TORRENT_H
#define JOBS_TORRENT_H

#include "common/digest.h"

#include <jansson.h>

struct torrent {
	struct digest digest;       /* of the blob: its name */
	int64_t size;               /* > 0 */
	const struct digest *layer; /* of pieces of piece_bytes(size) */
	size_t n;
	const json_t *urls; /* texts */
};

/* The torrent's bytes (yours, *len of them), and the magnet link's name of it: the SHA-256 of its info. */
char *torrent_make(const struct torrent *t, size_t *len, struct digest *info) MUST_USE;

#endif
