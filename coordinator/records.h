/* SPDX-License-Identifier: Apache-2.0
 *
 * records.h: the signed peer records that the coordinator gives to who asks for some: a newcomer's first neighbours.
 * Values and `now` in: no clock, and no chance but a seed.
 *
 * Anybody may make as many keys and records as he likes. So one network block (/16, IPv6 /32) has at most
 * RECORDS_BLOCK_MAX places: its new ones take each other's, and not those of everybody else.
 */
#ifndef COORDINATOR_RECORDS_H
#define COORDINATOR_RECORDS_H

#include "common/heard.h"
#include "common/say.h"

#define RECORDS_MAX 64 /* a new one takes a random place */
#define RECORDS_BLOCK_MAX 4
#define RECORDS_LINE_MAX ((size_t)4096)
#define RECORDS_LIFE_MAX_MS ((int64_t)48 * 3600 * 1000) /* one that says more is not taken */

struct records;
struct records *records_new(uint64_t seed);
void records_free(struct records *r);
/* A line of n bytes from anybody: checked, and kept if it is the newest of its author. */
enum news_verdict records_take(
	struct records *r, struct heard_by *by, const char *line, size_t n, int64_t now_ms);
/* Add as many as question `q` wants that have not expired, from a random one on; not the asker's, and none it knows. */
void records_add(struct records *r, struct say *s, const struct say *q, int64_t now_ms);

#endif
