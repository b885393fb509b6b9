/* SPDX-License-Identifier: Apache-2.0
 *
 * raw.h: system calls without a C library: no errno, no thread pointer, no cancellation. For a child
 * that shares its parent's memory (vfork), where the library's own would write into the parent.
 * Each returns what the kernel returns: -errno when it failed.
 */
#ifndef SANDBOX_RAW_H
#define SANDBOX_RAW_H

#if defined(__x86_64__) && defined(__LP64__)

/* Number in rax; rcx and r11 are the kernel's to overwrite. */
static inline long raw6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

#elif defined(__aarch64__) && defined(__LP64__)

/* Number in x8; x0 comes back, all others stay. */
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
			 : "memory");
	return x0;
}

#else
#error "raw.h knows x86-64 and aarch64"
#endif

/* Arguments that a call does not have are 0: the kernel does not look at them. */
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

#endif
