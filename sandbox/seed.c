/* SPDX-License-Identifier: Apache-2.0
 *
 * seed.c: see seed.h.
 *
 * Each thread of the box has its own stream, by its number there: two processes that draw at the
 * same time still draw the same in every copy. /dev/urandom is one more stream.
 *
 * The filter hands getrandom to the init and the caller waits. The init writes into the caller's
 * memory (it may: the caller is its descendant, with fewer rights). Where the kernel forbids even
 * that, the real getrandom goes on: a program that breaks would be worse than one that differs.
 */
#include "sandbox/seed.h"

#include "sandbox/plan.h"
#include "sandbox/raw.h"

#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#define STREAM_URANDOM UINT64_MAX
#define PIECE 512            /* bytes at once */
#define ANSWER_MAX (1 << 20) /* of one call; the kernel's own answers may be short beyond 256 */
#define FLAGS_KNOWN 7        /* GRND_NONBLOCK, GRND_RANDOM, GRND_INSECURE */
#define EINVAL_ 22
/* linux/seccomp.h, of newer headers */
#define NOTIF_SET_FLAGS SECCOMP_IOW(4, uint64_t)
#define NOTIF_SYNC_WAKE_UP 1

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

#define GAMMA UINT64_C(0x9e3779b97f4a7c15)

uint32_t seed_draw(
	const uint64_t seed[4], uint64_t stream, uint32_t word, unsigned char *out, size_t n)
{
	uint64_t base = mix(stream + GAMMA);
	uint32_t words = 0;

	for (int i = 0; i < 4; i++)
		base = mix(base ^ seed[i]) + GAMMA;
	for (size_t at = 0; at < n; words++) {
		uint64_t z = mix(base + GAMMA * (word + (uint64_t)words));

		for (int b = 0; b < 8 && at < n; b++, z >>= 8)
			out[at++] = (unsigned char)z;
	}
	return words;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int seed_read(uint64_t seed[4], const char *text)
{
	for (int i = 0; i < 64; i++) {
		int d = digit(text[i]);

		if (d < 0)
			return -1;
		seed[i / 16] = seed[i / 16] << 4 | (unsigned)d;
	}
	return text[64] ? -1 : 0;
}

/* --- the init's ------------------------------------------------------------------------------------ */

static uint32_t *drawn_by(struct plan *p, uint64_t stream)
{
	return &p->drawn[stream % (sizeof(p->drawn) / sizeof(p->drawn[0]))];
}

/* Into the caller's memory at `to`: bytes given, or -errno. */
static long give(struct plan *p, int tid, uint64_t to, uint64_t want)
{
	/* without a pid namespace its number means nothing */
	uint64_t stream = p->told.layers & BOX_BIT(PIDNS) ? (unsigned)tid : 0;
	uint32_t *drawn = drawn_by(p, stream);
	unsigned char piece[PIECE];
	uint64_t given = 0;

	if (want > ANSWER_MAX)
		want = ANSWER_MAX;
	while (given < want) {
		size_t n = want - given < PIECE ? (size_t)(want - given) : PIECE;
		struct iovec from = { piece, n }, at = { (void *)(uintptr_t)(to + given), n };
		long rc;

		*drawn += seed_draw(p->seed, stream, *drawn, piece, n);
		rc = raw6(SYS_process_vm_writev, tid, RAW(&from), 1, RAW(&at), 1, 0);
		if (rc <= 0)
			return given ? (long)given : rc;
		given += (uint64_t)rc;
	}
	return (long)given;
}

void seed_hurry(const struct plan *p)
{
	if (p->listener >= 0)
		raw3(SYS_ioctl, p->listener, (long)NOTIF_SET_FLAGS, NOTIF_SYNC_WAKE_UP);
}

void seed_answer(struct plan *p)
{
	struct seccomp_notif ask;
	struct seccomp_notif_resp answer;
	long rc = -EINVAL_;

	memset(&ask, 0, sizeof(ask));
	memset(&answer, 0, sizeof(answer));
	/* ENOENT: the caller was killed meanwhile */
	if (raw3(SYS_ioctl, p->listener, (long)SECCOMP_IOCTL_NOTIF_RECV, RAW(&ask)) < 0)
		return;
	answer.id = ask.id;
	if ((ask.data.args[2] & ~(uint64_t)FLAGS_KNOWN) == 0)
		rc = give(p, (int)ask.pid, ask.data.args[0], ask.data.args[1]);
	if (rc == -1 /* EPERM */)
		answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else if (rc < 0)
		answer.error = (int)rc;
	else
		answer.val = rc;
	raw3(SYS_ioctl, p->listener, (long)SECCOMP_IOCTL_NOTIF_SEND, RAW(&answer));
}

void seed_pour(struct plan *p)
{
	uint32_t *drawn = drawn_by(p, STREAM_URANDOM);
	unsigned char piece[PIECE];
	long rc;

	do {
		uint32_t words = seed_draw(p->seed, STREAM_URANDOM, *drawn, piece, PIECE);

		rc = raw3(SYS_write, p->urandom, RAW(piece), PIECE);
		if (rc == PIECE)
			*drawn += words;
	} while (rc == PIECE);
}
