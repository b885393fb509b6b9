/* SPDX-License-Identifier: Apache-2.0
 *
 * spawn.h: clone into a function on a stack of its own. As the C library's clone(), but raw (raw.h):
 * that one writes errno when it fails.
 */
#ifndef SANDBOX_SPAWN_H
#define SANDBOX_SPAWN_H

#include "sandbox/raw.h"

#include <sched.h>
#include <signal.h>
#include <stddef.h>

typedef void spawn_fn(void *arg); /* does not return */

/* The child has nothing of its parent's stack but what `arg` points to, and must not return. */
#if defined(__x86_64__)
static inline long spawn_raw(long nr, long a, long b, long tid, spawn_fn *fn, void *arg)
{
	register long rdx __asm__("rdx") = 0;
	register long r10 __asm__("r10") = tid;
	register long r8 __asm__("r8") = 0;
	register spawn_fn *r12 __asm__("r12") = fn;
	register void *r13 __asm__("r13") = arg;
	long rc;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %%r13, %%rdi\n\t"
			 "call *%%r12\n\t"
			 "hlt\n\t"
			 "1:"
			 : "=a"(rc)
			 : "a"(nr), "D"(a), "S"(b), "r"(rdx), "r"(r10), "r"(r8), "r"(r12), "r"(r13)
			 : "rcx", "r11", "memory", "cc");
	return rc;
}
#elif defined(__aarch64__)
static inline long spawn_raw(long nr, long a, long b, long tid, spawn_fn *fn, void *arg)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = 0;
	register long x3 __asm__("x3") = 0;
	register long x4 __asm__("x4") = tid;
	register spawn_fn *x19 __asm__("x19") = fn;
	register void *x20 __asm__("x20") = arg;

	__asm__ volatile("svc 0\n\t"
			 "cbnz x0, 1f\n\t"
			 "mov x29, xzr\n\t"
			 "mov x0, x20\n\t"
			 "blr x19\n\t"
			 "brk 1\n\t"
			 "1:"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x19), "r"(x20)
			 : "memory", "cc", "x30");
	return x0;
}
#endif

/* `flags` are clone's; the end is told by SIGCHLD; `word`, if CLONE_CHILD_CLEARTID is among them, becomes 0
 * and is woken (futex) when the child leaves this memory. The child's pid or -errno. */
static inline long spawn(
	uint64_t flags, void *stack, size_t size, spawn_fn *fn, void *arg, uint32_t *word)
{
	return spawn_raw(
		SYS_clone, (long)(flags | SIGCHLD), RAW((char *)stack + size), RAW(word), fn, arg);
}

#endif
