/* SPDX-License-Identifier: Apache-2.0
 *
 * landlock.c: see landlock.h. The numbers are the kernel's (include/uapi/linux/landlock.h); they
 * stand here because the C library's headers of 2022 know only the first two versions.
 *
 * Every right that the running kernel knows is taken away; the places give some back. A newer
 * kernel's further rights are not asked for: what they guard stays guarded by seccomp.
 */
#include "sandbox/landlock.h"

#include "sandbox/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>

enum {
	FS_EXECUTE = 1 << 0,
	FS_WRITE_FILE = 1 << 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_REMOVE_DIR = 1 << 4,
	FS_REMOVE_FILE = 1 << 5,
	FS_MAKE_CHAR = 1 << 6,
	FS_MAKE_DIR = 1 << 7,
	FS_MAKE_REG = 1 << 8,
	FS_MAKE_SOCK = 1 << 9,
	FS_MAKE_FIFO = 1 << 10,
	FS_MAKE_BLOCK = 1 << 11,
	FS_MAKE_SYM = 1 << 12,
	FS_REFER = 1 << 13,     /* version 2 */
	FS_TRUNCATE = 1 << 14,  /* version 3 */
	FS_IOCTL_DEV = 1 << 15, /* version 5 */
};

struct ruleset_attr {
	uint64_t fs, net, scoped;
};

/* The kernel's layout: packed. */
struct path_beneath_attr {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

#define RULE_PATH_BENEATH 1
#define CREATE_VERSION 1u

/* What each version handles; the last row serves all later ones. `size` is of the struct it knew.
 */
static const struct version {
	uint64_t fs, net, scoped;
	size_t size;
} versions[] = {
	{ 0, 0, 0, 0 }, { FS_REFER - 1, 0, 0, 8 }, { FS_TRUNCATE - 1, 0, 0, 8 },
	{ FS_IOCTL_DEV - 1, 0, 0, 8 }, { FS_IOCTL_DEV - 1, 3, 0, 16 }, /* bind and connect TCP */
	{ (FS_IOCTL_DEV << 1) - 1, 3, 0, 16 },
	{ (FS_IOCTL_DEV << 1) - 1, 3, 3, 24 }, /* abstract unix sockets, signals */
};
#define N_VERSIONS ((int)(sizeof(versions) / sizeof(versions[0])))

static const uint64_t rights[] = {
	[LANDLOCK_RUN] = FS_EXECUTE | FS_READ_FILE,
	[LANDLOCK_READ] = FS_READ_FILE | FS_READ_DIR,
	[LANDLOCK_LIVE] = FS_EXECUTE | FS_READ_FILE | FS_READ_DIR,
	[LANDLOCK_OWN] = FS_READ_FILE | FS_READ_DIR | FS_WRITE_FILE | FS_REMOVE_DIR |
	                 FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG | FS_MAKE_FIFO | FS_MAKE_SYM |
	                 FS_REFER | FS_TRUNCATE,
	[LANDLOCK_DEVICE] = FS_READ_FILE | FS_WRITE_FILE,
};
#define OF_A_FILE (FS_EXECUTE | FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

static long add(int ruleset, const struct landlock_place *p, uint64_t handled)
{
	struct path_beneath_attr rule = { rights[p->use] & handled, p->fd };
	struct stat st;
	long rc = raw4(SYS_newfstatat, p->fd, RAW(""), RAW(&st), AT_EMPTY_PATH);

	if (rc < 0)
		return rc;
	if (!S_ISDIR(st.st_mode))
		rule.allowed &= OF_A_FILE; /* EINVAL otherwise */
	return raw4(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, RAW(&rule), 0);
}

/* A program in memory (memfd) lies in no tree that Landlock knows, and no rule is needed. */
static long add_all(int ruleset, const struct landlock_place *places, size_t n, uint64_t handled)
{
	for (size_t i = 0; i < n; i++) {
		long rc = add(ruleset, &places[i], handled);

		if (rc < 0 && rc != -EBADFD)
			return rc;
	}
	return 0;
}

int landlock_version(void)
{
	long v = raw3(SYS_landlock_create_ruleset, 0, 0, CREATE_VERSION);

	return v > 0 ? (int)v : 0;
}

long landlock_bind(const struct landlock_place *places, size_t n)
{
	static int abi; /* asked once; whoever comes second finds the same */
	const struct version *v;
	struct ruleset_attr attr;
	long ruleset, rc;

	if (abi == 0)
		abi = landlock_version();
	if (abi == 0)
		return -EOPNOTSUPP;
	v = &versions[abi < N_VERSIONS ? abi : N_VERSIONS - 1];
	attr = (struct ruleset_attr){ v->fs, v->net, v->scoped };
	ruleset = raw3(SYS_landlock_create_ruleset, RAW(&attr), (long)v->size, 0);
	if (ruleset < 0)
		return ruleset;
	rc = add_all((int)ruleset, places, n, v->fs);
	if (rc >= 0)
		rc = raw2(SYS_landlock_restrict_self, ruleset, 0);
	raw1(SYS_close, ruleset);
	return rc;
}
