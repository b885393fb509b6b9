/* SPDX-License-Identifier: Apache-2.0
 *
 * letter.h: how results travel: their signed envelope, with the small outputs beside it.
 *
 *	{"envelope":LINE,"blobs":{DIGEST:BASE64,…}}
 */
#ifndef WORKER_LETTER_H
#define WORKER_LETTER_H

#include "worker/agent.h"
#include "worker/collect.h"
#include "common/key.h"

/* Sign n results of one job; *line is yours, the rest borrowed. */
int letter_sign(char **line, const struct digest *job, const char *platform_class,
	const char *agent, const struct product *const *products, size_t n, const struct id *grid,
	const struct key *k, int64_t time_ms, struct err *e);
/* The letter of that envelope, every blob once. Yours. */
char *letter_write(const char *line, const struct product *const *products, size_t n) MUST_USE;

struct letter_says {
	struct digest digest; /* of the envelope's line */
	int64_t time_ms;
	char (*leases)[LEASE_HEX + 1];
	size_t n_leases;
	struct blob *uploads; /* the outputs that are not in it */
	size_t n_uploads;
};

/* What a letter says, of results of this grid; released also after -1. */
int letter_read(
	struct letter_says *s, const char *text, size_t n, const struct id *grid, struct err *e);
void letter_says_release(struct letter_says *s);

#endif
