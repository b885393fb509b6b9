/* SPDX-License-Identifier: Apache-2.0
 *
 * hoard.c: see hoard.h. How many descriptors a process has is quick to ask; only where even all of them
 * being sockets would matter are they looked at, and only where the address space has room for many
 * mappings are those counted.
 */
#include "sandbox/hoard.h"

#include "sandbox/limit.h"
#include "sandbox/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_KIB 4
#define PROC_BLOCK 1024
#define SEEN_MAX 32768 /* different ones that are told apart: 2 GiB if all are pipes */

/* --- deciding ------------------------------------------------------------------------------------------ */

static int64_t beyond(int64_t n, int64_t each_kib, const struct box_limits *l)
{
	int64_t free_kib = HOARD_FREE_EACH * limit_tasks(l) * each_kib;
	int64_t part_kib = l->memory_mib * 1024 / HOARD_FREE_PART;
	int64_t kib = n * each_kib - (free_kib < part_kib ? free_kib : part_kib);

	return kib > 0 ? kib : 0;
}

int64_t hoard_charge_kib(const struct hoard *h, const struct box_limits *l)
{
	return beyond(h->sockets, HOARD_SOCKET_KIB, l) + beyond(h->pipes, HOARD_PIPE_KIB, l) +
	       beyond(h->records, h->record_kib, l) +
	       (h->mappings * HOARD_MAPPING_BYTES + h->watches * HOARD_WATCH_BYTES) / 1024;
}

/* All threads of a process have the same descriptors and mappings (the filter sees to the former), but one
 * that has ended shows none, and the leader may. */
static void path_of(char *path, size_t room, int proc, pid_t pid, const char *name)
{
	struct proc_times t;
	pid_t tids[2] = { pid, pid };
	size_t n;

	if (!proc_times(&t, proc, pid) || t.state != 'Z' || t.threads < 2) {
		snprintf(path, room, "%d/%s", pid, name);
		return;
	}
	n = proc_threads(proc, pid, tids, 0, 2);
	snprintf(path, room, "%d/task/%d/%s", pid, tids[n > 0 ? n - 1 : 0], name);
}

/* --- descriptors ---------------------------------------------------------------------------------------- */

struct seen {
	uint64_t inodes[2 * SEEN_MAX]; /* a hash table; 0: free */
	size_t n;
};

/* True: it is new. */
static bool see(struct seen *s, uint64_t inode)
{
	size_t at = inode * UINT64_C(0x9e3779b97f4a7c15) >> 48; /* Fibonacci hashing */

	for (at %= 2 * (size_t)SEEN_MAX; s->inodes[at]; at = (at + 1) % (2 * (size_t)SEEN_MAX)) {
		if (s->inodes[at] == inode)
			return false;
	}
	if (s->n == SEEN_MAX)
		return false;
	s->inodes[at] = inode;
	s->n++;
	return true;
}

/* All files of /proc say of themselves that they are empty, in blocks of 1024 bytes (fs/proc/root.c). */
static bool is_record(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_size == 0 && st->st_blksize == PROC_BLOCK;
}

/* A named pipe's descriptor looks like a file's in all but this. */
static void count_one(struct hoard *h, struct seen *s, const struct stat *st)
{
	uint64_t id = (uint64_t)st->st_ino << 20 ^ st->st_dev << 1;

	if (S_ISSOCK(st->st_mode))
		h->sockets += see(s, id | 1);
	else if (S_ISFIFO(st->st_mode))
		h->pipes += see(s, id | 1);
	else if (h->record_kib > 0 && is_record(st))
		h->records++; /* each that is opened has a buffer of its own */
}

static DIR *open_fds(int proc, pid_t pid)
{
	char path[64];
	int fd;
	DIR *d;

	path_of(path, sizeof(path), proc, pid, "fd");
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d && fd >= 0)
		close(fd);
	return d;
}

/* What is no file of any type may be an epoll set, which may watch all others. */
static void count_fds_of(struct hoard *h, struct seen *s, int proc, pid_t pid)
{
	DIR *d = open_fds(proc, pid);
	int64_t all = 0, nameless = 0;
	struct dirent *e;
	struct stat st;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, 0))
			continue;
		all++;
		nameless += (st.st_mode & S_IFMT) == 0;
		count_one(h, s, &st);
	}
	if (d)
		closedir(d);
	if (all * nameless > HOARD_WATCHES_FREE)
		h->watches += all * nameless - HOARD_WATCHES_FREE;
}

/* Since Linux 6.2 the folder's size says it; before, it is 0, and we have to look. */
static int64_t how_many_fds(int proc, pid_t pid)
{
	char path[64];
	struct stat st;

	path_of(path, sizeof(path), proc, pid, "fd");
	if (fstatat(proc, path, &st, 0))
		return 0;
	return st.st_size > 0 ? st.st_size : LIMIT_OPEN_FILES;
}

static void count_fds(
	struct hoard *h, int proc, const struct proc_tree *t, const struct box_limits *l)
{
	static struct seen s; /* large */
	int64_t n = 0;

	for (size_t i = 1; i < t->n; i++)
		n += how_many_fds(proc, t->pids[i]);
	if (beyond(n, h->record_kib > HOARD_SOCKET_KIB ? h->record_kib : HOARD_SOCKET_KIB, l) == 0)
		return;
	memset(&s, 0, sizeof(s));
	for (size_t i = 1; i < t->n; i++)
		count_fds_of(h, &s, proc, t->pids[i]);
}

/* --- mappings ------------------------------------------------------------------------------------------- */

/* A line for each. */
static int64_t lines(int proc, pid_t pid)
{
	char path[64], text[65536];
	int64_t n = 0;
	ssize_t got;
	int fd;

	path_of(path, sizeof(path), proc, pid, "maps");
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && (got = read(fd, text, sizeof(text))) > 0) {
		for (const char *at = text; (at = memchr(at, '\n', (size_t)(text + got - at)));
			at++)
			n++;
	}
	if (fd >= 0)
		close(fd);
	return n;
}

/* None is smaller than a page, which bounds how many there can be. */
static void count_mappings(struct hoard *h, int proc, const struct proc_tree *t, int64_t mapped_kib,
	const struct box_limits *l)
{
	int64_t most_kib = mapped_kib / PAGE_KIB * HOARD_MAPPING_BYTES / 1024;

	if (most_kib < l->memory_mib * 1024 / HOARD_FREE_PART)
		return;
	for (size_t i = 1; i < t->n; i++) {
		int64_t n = lines(proc, t->pids[i]);

		if (n > HOARD_MAPPINGS_FREE)
			h->mappings += n - HOARD_MAPPINGS_FREE;
	}
}

void hoard_count(struct hoard *h, int proc, pid_t init, int64_t mapped_kib, int64_t names,
	const struct box_limits *l)
{
	const struct proc_tree *t = proc_tree(proc, init);

	*h = (struct hoard){ 0 };
	if (names >= 0)
		h->record_kib = HOARD_RECORD_KIB + names * HOARD_RECORD_NAME_KIB;
	count_fds(h, proc, t, l);
	count_mappings(h, proc, t, mapped_kib, l);
}
