/* SPDX-License-Identifier: Apache-2.0
 *
 * raw.h: system calls with nothing around them: no errno, no cancellation, no lock. The answer is the
 * kernel's: negative numbers are -errno.
 *
 * The init of a box and the program before its exec share the keeper's memory (CLONE_VM), thread-local
 * storage and all. A C library call that fails there would write the keeper's errno; so from
 * the clone on, nothing but these is called.
 */
#ifndef SANDBOX_RAW_H
#define SANDBOX_RAW_H

#include <stdint.h>
#include <sys/syscall.h>

#if defined(__x86_64__)

static inline long raw6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long rc;

	__asm__ volatile("syscall"
			 : "=a"(rc)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return rc;
}

#elif defined(__aarch64__)

static inline long raw6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory", "cc");
	return x0;
}

#else
#error "the box is written for x86_64 and aarch64"
#endif

static inline long raw0(long nr)
{
	return raw6(nr, 0, 0, 0, 0, 0, 0);
}
static inline long raw1(long nr, long a)
{
	return raw6(nr, a, 0, 0, 0, 0, 0);
}
static inline long raw2(long nr, long a, long b)
{
	return raw6(nr, a, b, 0, 0, 0, 0);
}
static inline long raw3(long nr, long a, long b, long c)
{
	return raw6(nr, a, b, c, 0, 0, 0);
}
static inline long raw4(long nr, long a, long b, long c, long d)
{
	return raw6(nr, a, b, c, d, 0, 0);
}
static inline long raw5(long nr, long a, long b, long c, long d, long e)
{
	return raw6(nr, a, b, c, d, e, 0);
}

/* A pointer as an argument. */
#define RAW(p) ((long)(uintptr_t)(p))

#endif
