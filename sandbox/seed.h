/* SPDX-License-Identifier: Apache-2.0
 *
 * seed.h: chance, answered from a task's seed, so that every copy of the task draws the same.
 *
 * Words are SplitMix64's (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
 * They are no secret and must be none: who checks a result draws them again.
 */
#ifndef SANDBOX_SEED_H
#define SANDBOX_SEED_H

#include <stddef.h>
#include <stdint.h>

/* Fill `n` bytes with the words from `word` on of the stream `stream` (one a thread). Pure. Gives how
 * many words that took. */
uint32_t seed_draw(
	const uint64_t seed[4], uint64_t stream, uint32_t word, unsigned char *out, size_t n);

/* The seed itself from its 64 hexadecimal digits; -1: it is none. */
int seed_read(uint64_t seed[4], const char *text);

/* --- the init's, raw --- */

struct plan;
/* The init's: whoever is answered goes on at once, on the processor of who answers; where the kernel can (6.6). */
void seed_hurry(const struct plan *p);

/* Answer one getrandom that waits on p->listener. */
void seed_answer(struct plan *p);
/* Fill /dev/urandom as far as it takes. */
void seed_pour(struct plan *p);

#endif
