/* SPDX-License-Identifier: Apache-2.0
 *
 * export.h: a blob of the grid made known to BitTorrent: its layer from the node we call, and as web seeds the
 * nodes that have it.
 */
#ifndef JOBS_EXPORT_H
#define JOBS_EXPORT_H

#include "jobs/client.h"

#define EXPORT_WORKERS_MAX 32 /* workers with a published address that are asked */
#define EXPORT_URLS_MAX 64

/* The bytes of the torrent (yours, *n of them) and the magnet link that names it (yours). The layer is believed as the
 * node says it, since it is the grid's: the file that comes out must have the digest that is its name. */
int export_torrent(struct client *c, const struct digest *d, char **torrent, size_t *n,
	char **magnet, struct err *e);

#endif
