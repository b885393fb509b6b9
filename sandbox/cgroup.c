/* SPDX-License-Identifier: Apache-2.0
 *
 * cgroup.c: see cgroup.h; cgroups(7).
 */
#include "sandbox/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define REMOVE_TRIES 200 /* of 1 ms */

int cgroup_read(int dir, const char *name, char *text, size_t room)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, room - 1);
	close(fd);
	if (n < 0)
		return -1;
	text[n] = 0;
	return 0;
}

int cgroup_write(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	int ok;

	if (fd < 0)
		return -1;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok ? 0 : -1;
}

int64_t cgroup_number(int dir, const char *name, const char *key)
{
	char text[1024];
	const char *at;

	if (cgroup_read(dir, name, text, sizeof(text)))
		return -1;
	at = strstr(text, key);
	return at ? strtoll(at + strlen(key), NULL, 10) : -1;
}

/* A kernel has some of them, or none; one that is idle refuses a weight, and leaving that gives it the usual one. */
void cgroup_yield(int dir, bool last)
{
	static const struct {
		const char *name, *last, *usual;
	} shares[] = {
		{ "cpu.weight", "1", "100" }, { "cpu.shares", "2", "1024" },
		{ "cpu.idle", "1", "0" }, /* Linux 5.15 */
	};

	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
		(void)cgroup_write(dir, shares[i].name, last ? shares[i].last : shares[i].usual);
}

/* Lines "N:CONTROLLERS:/PATH" (v1) or "0::/PATH" (v2). */
int cgroup_own(const char *controller, char *path, size_t room)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[512];
	int found = -1;

	while (f && found && fgets(line, sizeof(line), f)) {
		char *names = strchr(line, ':'), *at = names ? strchr(names + 1, ':') : NULL;

		if (!at)
			continue;
		*at++ = 0;
		at[strcspn(at, "\n")] = 0;
		if (controller ? strstr(names + 1, controller) != NULL : names[1] == 0) {
			snprintf(path, room, "%s", at);
			found = 0;
		}
	}
	if (f)
		fclose(f);
	return found;
}

int cgroup_open(const char *mount, const char *path)
{
	char all[1100];

	snprintf(all, sizeof(all), "%s%s", mount, path);
	if (faccessat(AT_FDCWD, all, W_OK, AT_EACCESS)) /* most ordinary users: no more is asked */
		return -1;
	return open(all, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Who may sweep does not see every keeper: one in another pid namespace may share our parent. So a folder is held by
 * a lock, flock(2), as long as its maker has it open. */
static int hold(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat ours, there;

	if (fd < 0)
		return -1;
	if (flock(fd, LOCK_SH | LOCK_NB) == 0 && fstat(fd, &ours) == 0 &&
		fstatat(parent, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
		there.st_ino == ours.st_ino)
		return fd;
	close(fd); /* it was swept before it was locked */
	return -1;
}

int cgroup_make(int parent, unsigned n, char name[CGROUP_NAME_MAX])
{
	snprintf(name, CGROUP_NAME_MAX, CGROUP_PREFIX "%d-%u", getpid(), n);
	if (mkdirat(parent, name, 0755))
		return -1;
	return hold(parent, name);
}

void cgroup_remove(int parent, const char *name)
{
	const struct timespec ms = { 0, 1000000 };

	for (int i = 0; i < REMOVE_TRIES; i++) {
		if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno != EBUSY)
			return;
		nanosleep(&ms, NULL);
	}
}

/* rmdir takes only empty ones; those of the living are in use even so, for the next box. */
static void sweep_one(int parent, const char *name)
{
	int pid, fd;

	if (sscanf(name, CGROUP_PREFIX "%d", &pid) != 1 || kill(pid, 0) == 0 || errno != ESRCH)
		return;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		(void)unlinkat(parent, name, AT_REMOVEDIR);
	close(fd);
}

void cgroup_sweep(int parent)
{
	int fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (d && (e = readdir(d)))
		sweep_one(parent, e->d_name);
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}
