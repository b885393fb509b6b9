/* SPDX-License-Identifier: Apache-2.0
 *
 * notes.h: the little that must outlive the process: the ask's seq, and which leases are held.
 *
 *	DIR/seq     no ask has used this number or a higher one; reserved in blocks, so an ask costs no write
 *	DIR/leases  a lease id a line: after kill -9 they are given back instead of left to expire
 */
#ifndef WORKER_NOTES_H
#define WORKER_NOTES_H

#include "common/base.h"
#include "common/err.h"

#define SEQ_BLOCK 1000

struct notes {
	char *dir;
	int64_t seq, reserved; /* the next one; up to here the file allows */
};

int notes_open(struct notes *n, const char *dir, struct err *e);
void notes_close(struct notes *n);
/* A number higher than every earlier one, kill -9 or not. */
int notes_next_seq(struct notes *n, int64_t *seq, struct err *e);
/* Somebody knows a higher one of ours (a restored DIR): go on behind it. */
void notes_adopt_seq(struct notes *n, int64_t known);

/* Not fsynced: after a power cut the leases expire. `ids` are n texts of `stride` bytes. */
void notes_save_leases(const struct notes *n, const char *ids, size_t stride, size_t count);
/* Call fn for each lease that the process before this one held. */
void notes_each_lease(const struct notes *n, void (*fn)(void *arg, const char *lease), void *arg);

#endif
