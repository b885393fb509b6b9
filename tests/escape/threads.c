/* SPDX-License-Identifier: Apache-2.0
 *
 * threads.c: what threads can do that processes cannot: outlive their leader, whose entry in /proc
 * then is a zombie's, and be made with unusual flags. Made by clone itself, without pthread.
 */
#define _GNU_SOURCE
#include "hostile.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOLD_MS 1500

static int wait_long(void *unused)
{
	(void)unused;
	hold(3000);
	return 0;
}

static void flood(long n)
{
	for (long i = 0; i < n; i++) {
		if (start_thread(wait_long, NULL) < 0) {
			hold(HOLD_MS);
			tried(false, "thread %ld", i);
			_exit(0);
		}
	}
	hold(HOLD_MS);
	broke("%ld threads", n);
	_exit(1);
}

/* Threads that end as soon as they start, and more of them. */
static void *nothing(void *p)
{
	return p;
}

static void churn(long n)
{
	long got = 0;

	for (long i = 0; i < n; i++) {
		pthread_t t;

		if (pthread_create(&t, NULL, nothing, NULL) == 0 && pthread_join(t, NULL) == 0)
			got++;
	}
	if (got == n)
		say("denied nothing: threads may come and go\n");
}

static long how_much;

static int use_memory(void *unused)
{
	(void)unused;
	hold(100); /* the leader is gone by then */
	touch((size_t)how_much);
	hold(HOLD_MS);
	broke("%ld MiB in a thread whose leader has ended", how_much);
	syscall(SYS_exit_group, 1);
	return 0;
}

static int use_processor(void *unused)
{
	(void)unused;
	hold(100);
	burn(how_much);
	broke("%ld ms in a thread whose leader has ended", how_much);
	syscall(SYS_exit_group, 1);
	return 0;
}

static int use_time(void *unused)
{
	(void)unused;
	say("here\n");
	hold(3000);
	broke("3 s in a thread whose leader has ended");
	syscall(SYS_exit_group, 1);
	return 0;
}

/* Its children are its own: /proc/PID/task/TID/children. */
static int use_children(void *unused)
{
	(void)unused;
	hold(100);
	for (long i = 0; i < how_much; i++) {
		if ((pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) == 0) {
			touch(40);
			hold(2 * HOLD_MS);
			syscall(SYS_exit_group, 0);
		}
	}
	hold(HOLD_MS);
	broke("%ld children of 40 MiB of a thread whose leader has ended", how_much);
	syscall(SYS_exit_group, 1);
	return 0;
}

static void without_leader(int (*run)(void *), long n)
{
	how_much = n;
	if (start_thread(run, NULL) < 0) {
		tried(false, "a thread");
		return;
	}
	syscall(SYS_exit, 0); /* this thread alone */
}

static void leaderless_memory(long mib)
{
	without_leader(use_memory, mib);
}

static void leaderless_processor(long ms)
{
	without_leader(use_processor, ms);
}

static void leaderless_time(long n)
{
	without_leader(use_time, n);
}

static void leaderless_children(long n)
{
	without_leader(use_children, n);
}

/* A child without a leader: the program itself waits, so that only the child's entry is a zombie's. */
static void leaderless_child(long mib)
{
	if (fork() == 0)
		leaderless_memory(mib);
	wait(NULL);
}

/* CLONE_PARENT: a sibling, which only the init can wait for; CLONE_UNTRACED, CLONE_PTRACE: about tracers. */
static void clone_with(long flag)
{
	pid_t pid = (pid_t)syscall(SYS_clone, flag | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		syscall(SYS_exit_group, 0);
	tried(pid > 0, "clone with %#lx", flag);
}

static void clone3_call(long n)
{
	unsigned long args[11] = { 0 };
	long rc;

	args[4] = (unsigned long)n; /* exit_signal */
	rc = syscall(SYS_clone3, args, 64);
	if (rc == 0)
		syscall(SYS_exit_group, 0);
	tried(rc > 0, "clone3");
}

#define TWO "--memory 48 --threads 4 --wall 60"
/* clang-format off: one a line */
const struct behaviour threads[] = {
	{ "thread_flood", flood, 30, BOTH, WEAK, 0, "processes",
		"--processes 2 --threads 4 --wall 60" },
	{ "thread_churn", churn, 500, BOTH, NO_BITE, 0, NULL, "--threads 2" },
	{ "leaderless_memory", leaderless_memory, 160, BOTH, WEAK, 0, "memory", TWO },
	{ "leaderless_processor", leaderless_processor, 1800, BOTH, WEAK, 0, "cpu",
		TWO " --cpu 1" },
	{ "leaderless_time", leaderless_time, 0, BOTH, WEAK, 0, "wall", "--threads 2 --wall 1" },
	{ "leaderless_children", leaderless_children, 4, FILES, WEAK, 0, "memory", TWO },
	{ "leaderless_child", leaderless_child, 160, FILES, WEAK, 0, "memory", TWO },
	{ "clone_parent", clone_with, CLONE_PARENT, BOTH, WEAK, 0, NULL, NULL },
	{ "clone_traced", clone_with, CLONE_PTRACE, BOTH, WEAK, 0, NULL, NULL },
	{ "clone_untraced", clone_with, CLONE_UNTRACED, BOTH, WEAK, 0, NULL, NULL },
	{ "clone3", clone3_call, SIGCHLD, BOTH, WEAK, 0, NULL, NULL },
	{ NULL },
};
