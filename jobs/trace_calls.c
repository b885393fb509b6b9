/* SPDX-License-Identifier: Apache-2.0
 *
 * trace_calls.c: a table. Older calls are not there on every architecture, newer ones not in every header. Links that
 * a run makes are not noted: the path of one is, for everybody behind it, the file that it leads to.
 */
#include "jobs/trace_calls.h"

#include "jobs/touch.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <sys/syscall.h>

#define LOOK TOUCH_STAT
#define GONE TOUCH_WRITE
#define MADE (TOUCH_MADE | TOUCH_WRITE)

#define ONE(call_, dir_, path_, how_)                                                              \
	{                                                                                          \
		.nr = SYS_##call_, .kind = CALL_PATHS, .paths = { { dir_, path_, how_ } }          \
	}
#define TWO(call_, dir_, path_, how_, dir2_, path2_, how2_)                                        \
	{                                                                                          \
		.nr = SYS_##call_, .kind = CALL_PATHS, .paths = {                                  \
			{ dir_, path_, how_ },                                                     \
			{ dir2_, path2_, how2_ }                                                   \
		}                                                                                  \
	}
#define OPEN(call_, kind_, dir_, path_, flags_)                                                    \
	{                                                                                          \
		.nr = SYS_##call_, .kind = kind_, .paths = { { dir_, path_, TOUCH_READ } },        \
		.flags = flags_                                                                    \
	}
#define EXEC(call_, dir_, path_)                                                                   \
	{                                                                                          \
		.nr = SYS_##call_, .kind = CALL_EXEC, .paths = {                                   \
			{ dir_, path_, TOUCH_EXEC | TOUCH_READ }                                   \
		}                                                                                  \
	}
#define OTHER(call_, kind_)                                                                        \
	{                                                                                          \
		.nr = SYS_##call_, .kind = kind_                                                   \
	}

static const struct call calls[] = {
	OPEN(openat, CALL_OPEN, 0, 1, 2),
	EXEC(execve, CALL_HERE, 0),
	EXEC(execveat, 0, 1),
	ONE(newfstatat, 0, 1, LOOK),
	ONE(statx, 0, 1, LOOK),
	ONE(faccessat, 0, 1, LOOK),
	ONE(readlinkat, 0, 1, LOOK),
	ONE(chdir, CALL_HERE, 0, LOOK),
	ONE(statfs, CALL_HERE, 0, LOOK),
	ONE(getxattr, CALL_HERE, 0, LOOK),
	ONE(lgetxattr, CALL_HERE, 0, LOOK),
	ONE(listxattr, CALL_HERE, 0, LOOK),
	ONE(inotify_add_watch, CALL_HERE, 1, LOOK),
	OTHER(getdents64, CALL_FOLDER),
	ONE(mkdirat, 0, 1, MADE),
	ONE(mknodat, 0, 1, MADE),
	ONE(unlinkat, 0, 1, GONE),
	ONE(truncate, CALL_HERE, 0, TOUCH_WRITE),
	TWO(linkat, 0, 1, LOOK, 2, 3, MADE),
	TWO(renameat2, 0, 1, GONE, 2, 3, MADE),
	OTHER(socket, CALL_SOCKET),
	OTHER(connect, CALL_CONNECT),
#ifdef SYS_renameat
	TWO(renameat, 0, 1, GONE, 2, 3, MADE),
#endif
#ifdef SYS_openat2
	OPEN(openat2, CALL_OPEN_HOW, 0, 1, 2),
#endif
#ifdef SYS_faccessat2
	ONE(faccessat2, 0, 1, LOOK),
#endif
#ifdef SYS_open
	OPEN(open, CALL_OPEN, CALL_HERE, 0, 1),
	ONE(creat, CALL_HERE, 0, MADE),
	ONE(stat, CALL_HERE, 0, LOOK),
	ONE(lstat, CALL_HERE, 0, LOOK),
	ONE(access, CALL_HERE, 0, LOOK),
	ONE(readlink, CALL_HERE, 0, LOOK),
	OTHER(getdents, CALL_FOLDER),
	ONE(mkdir, CALL_HERE, 0, MADE),
	ONE(mknod, CALL_HERE, 0, MADE),
	ONE(unlink, CALL_HERE, 0, GONE),
	ONE(rmdir, CALL_HERE, 0, GONE),
	TWO(link, CALL_HERE, 0, LOOK, CALL_HERE, 1, MADE),
	TWO(rename, CALL_HERE, 0, GONE, CALL_HERE, 1, MADE),
#endif
};

const struct call *call_find(uint64_t nr)
{
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		if ((uint64_t)calls[i].nr == nr)
			return &calls[i];
	return NULL;
}

unsigned call_open_how(uint64_t flags, bool was_there)
{
	unsigned how = 0;

	if (flags & O_PATH || (flags & O_TMPFILE) == O_TMPFILE)
		return TOUCH_STAT; /* O_TMPFILE: the path is the folder's */
	if ((flags & O_ACCMODE) != O_WRONLY)
		how |= TOUCH_READ;
	if ((flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC)
		how |= TOUCH_WRITE;
	return flags & O_CREAT && !was_there ? how | TOUCH_MADE : how;
}

uint32_t call_architecture(void)
{
#if defined(__x86_64__)
	return AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
	return AUDIT_ARCH_AARCH64;
#elif defined(__riscv)
	return AUDIT_ARCH_RISCV64;
#else
#error "which AUDIT_ARCH_ is this?"
#endif
}
