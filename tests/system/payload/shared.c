/* SPDX-License-Identifier: Apache-2.0
 *
 * shared.c: a library to preload for programs that cannot do without MAP_SHARED | MAP_ANONYMOUS, which the
 * box refuses: they get a deleted file of /tmp instead, which counts as disk.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *map(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	return (void *)syscall(SYS_mmap, at, size, prot, flags, fd, offset);
}

void *mmap64(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	const int kept = errno;
	char name[] = "/tmp/shared-XXXXXX";
	void *got = map(at, size, prot, flags, fd, offset);

	if (got != MAP_FAILED || errno != EPERM || (flags & MAP_TYPE) != MAP_SHARED ||
		(flags & MAP_ANONYMOUS) == 0)
		return got;
	fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0)
		return MAP_FAILED;
	unlink(name);
	if (ftruncate(fd, (off_t)size) == 0)
		got = map(at, size, prot, flags & ~MAP_ANONYMOUS, fd, 0);
	close(fd);
	if (got != MAP_FAILED)
		errno = kept;
	return got;
}

void *mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
	__attribute__((alias("mmap64")));
