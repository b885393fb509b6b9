/* SPDX-License-Identifier: Apache-2.0
 *
 * grid.h: the grid descriptor, which says which keys act for a grid (after TUF's root role).
 *
 * The grid id is the root key. The descriptor is signed by it; every verifier looks roles up here
 * instead of comparing with the grid id.
 */
#ifndef COMMON_GRID_H
#define COMMON_GRID_H

#include "common/msg.h"

#define GRID_KEYS_MAX 64
#define GRID_ADDRESSES_MAX 16

enum role { ROLE_COORDINATOR = 1, ROLE_LOG = 2, ROLE_ARBITER = 4, ROLE_ADMIN = 8 };

struct grid_key {
	struct id id;
	unsigned roles;       /* bits of enum role */
	int64_t from_ms, until_ms; /* of the calendar; by the time in the message */
};

struct grid {
	struct id id;
	int64_t serial, expires_ms;
	char name[201], about[1001], contact[201];
	struct grid_key keys[GRID_KEYS_MAX];
	size_t n_keys;
	struct endpoint addresses[GRID_ADDRESSES_MAX];
	size_t n_addresses;
	struct id revoked[GRID_KEYS_MAX];
	size_t n_revoked;
};

/* From an opened MSG_GRID: its author must be its grid id. */
int grid_read(struct grid *g, const struct msg *m, struct err *e);
/* Sign `g` by the root key. The line is yours. */
int grid_seal(char **line, const struct grid *g, const struct key *root, int64_t now_ms, struct err *e);
/* Whether `id` holds `role` at `when_ms`. */
bool grid_allows(const struct grid *g, const struct id *id, enum role role, int64_t when_ms);

#endif
