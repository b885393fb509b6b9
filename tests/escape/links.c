/* SPDX-License-Identifier: Apache-2.0
 *
 * links.c: names that lead elsewhere: symbolic and hard links, /proc's, mount points, the way up.
 * What is left in /out for the collector to follow is in outputs.c.
 */
#define _GNU_SOURCE
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define IN "/in/data"

static const char *const targets[] = { "/etc/passwd", "../../../../../../etc/passwd",
	"/proc/self/root/etc/passwd", "/proc/1/cwd", "/dev/fd/0", "/proc/self/exe" };
enum { ABSOLUTE, RELATIVE, MAGIC_ROOT, MAGIC_CWD, DEV_FD, EXE };

static void through_link(long which)
{
	const char *link = "/tmp/link";

	if (symlink(targets[which], link)) {
		tried(false, "a link");
		return;
	}
	tried(open(link, O_RDONLY) >= 0, "reading through a link to %s", targets[which]);
	tried(truncate(link, 0) == 0 && 0, "writing through it");
	tried(chdir(link) == 0, "going through it");
}

static void through_link_to_secret(long n)
{
	(void)n;
	if (symlink(argument(SECRET_FILE), "/out/link"))
		tried(false, "a link");
	else
		tried(open("/out/link", O_RDONLY) >= 0, "reading through a link beside the box");
}

static void through_chain(long links)
{
	char name[40], target[40] = "/etc";

	for (long i = 0; i < links; i++) {
		snprintf(name, sizeof(name), "/tmp/l%ld", i);
		if (symlink(target, name))
			return;
		snprintf(target, sizeof(target), "%s", name);
	}
	snprintf(name, sizeof(name), "/tmp/l%ld/passwd", links - 1);
	tried(open(name, O_RDONLY) >= 0, "reading through %ld links", links);
}

static void hard_link_input(long flags)
{
	tried(link(IN, "/out/data") == 0, "link");
	tried(linkat(AT_FDCWD, IN, AT_FDCWD, "/tmp/data", (int)flags) == 0, "linkat");
}

/* From a descriptor, as who holds one may: AT_EMPTY_PATH and /proc/self/fd. */
static void hard_link_descriptor(long n)
{
	char path[40];
	int fd = open(IN, O_RDONLY);

	(void)n;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	tried(linkat(fd, "", AT_FDCWD, "/out/a", AT_EMPTY_PATH) == 0, "linkat of a descriptor");
	tried(linkat(AT_FDCWD, path, AT_FDCWD, "/out/b", AT_SYMLINK_FOLLOW) == 0,
		"linkat through /proc");
	fd = open(path, O_RDWR);
	tried(fd >= 0, "opening it again for writing");
}

/* A folder that is moved while one stands in it: the classic way out of a chroot. */
static void way_up(long n)
{
	int top = open("/", O_RDONLY | O_DIRECTORY);

	(void)n;
	mkdir("/tmp/a", 0755);
	mkdir("/tmp/a/b", 0755);
	if (chdir("/tmp/a/b") || rename("/tmp/a/b", "/out/b"))
		errno = 0;
	for (int i = 0; i < 50; i++) {
		if (chdir(".."))
			break;
	}
	tried(open("etc/passwd", O_RDONLY) >= 0, "/etc above the root");
	if (fchdir(top))
		errno = EBADF;
	tried(openat(top, "../etc/passwd", O_RDONLY) >= 0, "/etc above a descriptor of the root");
	tried(open(".//../etc/./passwd", O_RDONLY) >= 0, "a crooked path");
}

static void mount_points(long n)
{
	(void)n;
	tried(rename("/out", "/tmp/out") == 0, "moving /out");
	tried(rename("/tmp", "/tmp2") == 0, "moving /tmp");
	tried(rmdir("/out") == 0, "removing /out");
	tried(syscall(SYS_renameat2, AT_FDCWD, "/out", AT_FDCWD, "/tmp", 2 /* RENAME_EXCHANGE */) ==
			0,
		"exchanging /out and /tmp");
	tried(symlink("/tmp", "/out") == 0, "a link for /out");
	tried(chmod("/", 0777) == 0, "the mode of /");
	tried(mkdir("/proc2", 0755) == 0, "a folder in /");
}

/* Whether a device that we show read-only is more than a device. */
static void devices(long n)
{
	(void)n;
	tried(unlink("/dev/null") == 0, "removing /dev/null");
	tried(chmod("/dev/null", 0600) == 0, "the mode of /dev/null");
	tried(rename("/tmp", "/dev/null") == 0, "renaming over /dev/null");
	tried(symlink("/tmp/x", "/dev/random") == 0, "a link in /dev");
	tried(truncate("/dev/urandom", 0) == 0 && 0, "truncating /dev/urandom");
}

/* clang-format off: one a line */
const struct behaviour links[] = {
	{ "link_absolute", through_link, ABSOLUTE, BOTH, WEAK, 0, NULL, NULL },
	{ "link_relative", through_link, RELATIVE, BOTH, WEAK, 0, NULL, NULL },
	{ "link_magic_root", through_link, MAGIC_ROOT, BOTH, WEAK, 0, NULL, NULL },
	{ "link_magic_cwd", through_link, MAGIC_CWD, BOTH, WEAK, 0, NULL, NULL },
	{ "link_dev_fd", through_link, DEV_FD, BOTH, WEAK, 0, NULL, NULL },
	{ "link_own_program", through_link, EXE, BOTH, WEAK, BY_BITS, NULL, NULL },
	{ "link_secret", through_link_to_secret, 0, FILES, WEAK, 0, NULL, NULL },
	{ "link_chain", through_chain, 20, FILES, WEAK, 0, NULL, NULL },
	{ "hard_link_input", hard_link_input, 0, FILES, WEAK, 0, NULL, NULL },
	{ "hard_link_descriptor", hard_link_descriptor, 0, FILES, WEAK, 0, NULL, NULL },
	{ "way_up", way_up, 0, BOTH, WEAK, 0, NULL, NULL },
	{ "mount_points", mount_points, 0, BOTH, WEAK, 0, NULL, NULL },
	{ "device_names", devices, 0, BOTH, WEAK, 0, NULL, NULL },
	{ NULL },
};
