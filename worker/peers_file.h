/* SPDX-License-Identifier: Apache-2.0
 *
 * peers_file.h: what is known of peers and news, over a restart: a file of at most PEERS_FILE_MAX, written whole.
 */
#ifndef WORKER_PEERS_FILE_H
#define WORKER_PEERS_FILE_H

#include "worker/peers.h"

#define PEERS_FILE_MAX                                                                             \
	((size_t)12 * 1024 * 1024) /* above PEERS_BYTES_MAX, which bounds what is written */

int peers_save(struct peers *p, const char *path, struct err *e);
/* Takes what still counts; a file that is absent or damaged is as if it were shorter. */
void peers_load(struct peers *p, const char *path, int64_t now_ms);

#endif
