/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_proc.c: /proc/PID/stat and status of a process whose name, up to the first NUL, is the input: the one thing in
 * them that a boxed program writes. Whatever it calls itself, its times and its memory are those that the kernel wrote.
 */
#include "sandbox/proc.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define NAME_MAX_BYTES 63 /* the kernel has 15; a kernel thread's may be longer */

static char top[] = "/tmp/talkoot-fuzz-XXXXXX";

static void end(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/7/stat", top);
	unlink(path);
	snprintf(path, sizeof(path), "%s/7", top);
	rmdir(path);
	rmdir(top);
}

/* A folder in which /proc/7 is to be. */
static int made(void)
{
	static int proc = -1;

	if (proc >= 0)
		return proc;
	bool ok = mkdtemp(top) && (proc = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0 &&
	          !mkdirat(proc, "7", 0700) && !atexit(end);
	assert(ok);
	return proc;
}

/* The kernel writes a name as it is in stat; in status with \n and \\ for a line's end and a backslash. */
static void put_name(struct buf *b, const uint8_t *name, size_t n, bool escaped)
{
	for (size_t i = 0; i < n; i++) {
		if (escaped && (name[i] == '\n' || name[i] == '\\'))
			buf_text(b, name[i] == '\n' ? "\\n" : "\\\\");
		else
			buf_add(b, name + i, 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	size_t name = strnlen((const char *)data, n < NAME_MAX_BYTES ? n : NAME_MAX_BYTES);
	int64_t tick_us = 1000000 / sysconf(_SC_CLK_TCK);
	struct buf stat = { 0 }, status = { 0 };
	struct proc_times t;
	struct err e;
	int proc = made(),
	    fd = openat(proc, "7/stat", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	buf_text(&stat, "7 (");
	put_name(&stat, data, name, false);
	buf_text(&stat, ") S 1 7 7 0 -1 4194304 90 80 0 0 11 22 33 44 39 19 5 0 1234 4096 10 "
	                "18446744073709551615\n");
	bool bad = fd < 0 || fd_write_all(fd, stat.data, stat.len, &e) || close(fd);
	assert(!bad);
	assert(proc_times(&t, proc, 7));
	assert(t.state == 'S' && t.threads == 5);
	assert(t.own_us == 33 * tick_us && t.waited_us == 77 * tick_us);

	buf_text(&status, "Name:\t");
	put_name(&status, data, name, true);
	buf_text(&status, "\nVmSize:\t    9000 kB\nRssAnon:\t      77 kB\nVmPTE:\t      32 "
	                  "kB\nVmSwap:\t       5 kB\n");
	buf_add(&status, "", 1);
	assert(proc_number(status.data, "\nRssAnon:") == 77 &&
		proc_number(status.data, "\nVmSize:") == 9000);
	assert(proc_number(status.data, "\nVmSwap:") == 5 &&
		proc_number(status.data, "\nVmPTE:") == 32);
	free(stat.data);
	free(status.data);
	return 0;
}
