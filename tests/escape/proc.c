/* SPDX-License-Identifier: Apache-2.0
 *
 * proc.c: what a /proc shows and lets change, even a masked one (talkoot-sandbox --bits proc): the init, the
 * machine, descriptors opened anew, memory written past its protection. And what the bit jit must leave
 * refused: code out of files. Without the bits all of it is refused as well.
 */
#define _GNU_SOURCE
#include "hostile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define IN "/in/data"

/* --- others than oneself --- */

static const char *const of_init[] = { "environ", "root", "cwd", "mem", "fd", "exe", "maps",
	"cmdline", "status", "stat", "ns/mnt", "ns/user", "task/1/fd", "mountinfo", "cgroup",
	"syscall", "auxv", "comm" };

static void init_entries(long n)
{
	char path[64], text[64];
	struct stat st;

	(void)n;
	for (size_t i = 0; i < LEN(of_init); i++) {
		snprintf(path, sizeof(path), "/proc/1/%s", of_init[i]);
		tried(open(path, O_RDONLY) >= 0, "%s", path);
		tried(readlink(path, text, sizeof(text)) > 0, "the link %s", path);
	}
	tried(chdir("/proc/1/root") == 0, "going to the init's root");
	tried(stat("/proc/1", &st) == 0, "whether there is an init");
}

/* Every process that is shown is this one or its child. */
static void listed(long n)
{
	DIR *d = opendir("/proc");
	const struct dirent *e;

	(void)n;
	if (!d)
		tried(false, "/proc");
	while (d && (e = readdir(d))) {
		if (atoi(e->d_name) > 0 && atoi(e->d_name) != getpid())
			broke("/proc shows process %s", e->d_name);
	}
}

static const char *const of_machine[] = { "sys", "sys/kernel/core_pattern",
	"sys/vm/overcommit_memory", "kcore", "sysrq-trigger", "kmsg", "kallsyms", "meminfo",
	"cpuinfo", "stat", "uptime", "loadavg", "version", "cmdline", "interrupts", "iomem",
	"modules", "keys", "key-users", "mounts", "net", "net/arp", "partitions", "diskstats",
	"swaps", "bus", "irq", "fs", "acpi", "scsi", "tty", "driver", "sysvipc", "timer_list",
	"kpagecount", "config.gz", "device-tree", "vmcore", "sys/kernel/random/boot_id" };

static void machine_entries(long n)
{
	char path[64];

	(void)n;
	for (size_t i = 0; i < LEN(of_machine); i++) {
		snprintf(path, sizeof(path), "/proc/%s", of_machine[i]);
		tried(open(path, O_RDONLY) >= 0, "%s", path);
		tried(open(path, O_PATH) >= 0, "O_PATH of %s", path);
	}
	tried(open("/proc/sysrq-trigger", O_WRONLY) >= 0, "/proc/sysrq-trigger for writing");
}

/* --- writing --- */

static const char *const own[] = { "mem", "oom_score_adj", "oom_adj", "uid_map", "gid_map",
	"setgroups", "projid_map", "comm", "attr/current", "attr/exec", "attr/keycreate",
	"clear_refs", "coredump_filter", "timerslack_ns", "autogroup", "sched", "loginuid",
	"timens_offsets", "make-it-fail", "environ", "maps" };

static void own_entries(long n)
{
	static const char *const whose[] = { "/proc/self", "/proc/thread-self" };
	char path[64];

	(void)n;
	for (size_t i = 0; i < LEN(own) * LEN(whose); i++) {
		snprintf(path, sizeof(path), "%s/%s", whose[i / LEN(own)], own[i % LEN(own)]);
		tried(open(path, O_WRONLY) >= 0, "writing %s", path);
		tried(open(path, O_RDWR) >= 0, "reading and writing %s", path);
		tried(chmod(path, 0666) == 0, "the mode of %s", path);
	}
	tried(mkdir("/proc/x", 0700) == 0, "a folder in /proc");
	tried(symlink("x", "/proc/self/x") == 0, "a link in /proc/self");
}

/* The kernel writes through this file whatever the pages allow. */
static void read_only_text(long n)
{
	int fd = open("/proc/self/mem", O_RDWR);
	off_t at = (off_t)(size_t)read_only_text;
	char byte;

	(void)n;
	if (!tried(fd >= 0, "/proc/self/mem for writing"))
		fd = open("/proc/self/mem", O_RDONLY);
	if (fd >= 0 && pread(fd, &byte, 1, at) == 1)
		tried(pwrite(fd, &byte, 1, at) == 1, "its own text");
}

/* --- descriptors --- */

static void again(int fd, int how, const char *what)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	tried(open(path, how) >= 0, "%d %s", fd, what);
}

static void outputs_again(long n)
{
	(void)n;
	for (int fd = 1; fd <= 2; fd++) {
		char path[40];

		again(fd, O_RDONLY | O_NONBLOCK, "for reading");
		again(fd, O_RDWR | O_NONBLOCK, "for both");
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		tried(truncate(path, 0) == 0, "truncating %d", fd);
	}
}

/* Nothing is written: it is a file of the runner's. */
static void input_again(long n)
{
	(void)n;
	again(0, O_WRONLY | O_APPEND, "for writing");
	again(0, O_RDWR, "for both");
	tried(chmod("/proc/self/fd/0", 0644) == 0, "the mode of 0");
}

static void data_again(long n)
{
	int fd = open(IN, O_RDONLY), folder = open("/in", O_PATH);

	(void)n;
	if (fd < 0 || folder < 0)
		return;
	again(fd, O_WRONLY | O_APPEND, "for writing, an input");
	again(fd, O_RDWR, "for both, an input");
	again(folder, O_TMPFILE | O_RDWR, "for a file in /in");
}

static void namespaces_again(long n)
{
	static const char *const names[] = { "user", "mnt", "net", "pid", "ipc", "uts", "cgroup",
		"time" };
	char path[40];

	(void)n;
	for (size_t i = 0; i < LEN(names); i++) {
		int fd;

		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		fd = open(path, O_RDONLY);
		reached(syscall(SYS_setns, fd, 0), "setns %s", names[i]);
		reached(ioctl(fd, 0xb701 /* NS_GET_USERNS */), "the owner of %s", names[i]);
		reached(ioctl(fd, 0xb702 /* NS_GET_PARENT */), "what %s lies in", names[i]);
	}
}

static void up_by_magic(long n)
{
	static const char *const ways[] = { "/proc/self/root/../../../etc/passwd",
		"/proc/self/cwd/../../../../../etc/passwd", "/proc/thread-self/root/etc/passwd" };

	(void)n;
	for (size_t i = 0; i < LEN(ways); i++)
		tried(open(ways[i], O_RDONLY) >= 0, "%s", ways[i]);
}

/* --- code --- */

static int own_copy(const char *to)
{
	int from = open("/proc/self/exe", O_RDONLY),
	    fd = open(to, O_RDWR | O_CREAT | O_TRUNC, 0755);
	char block[65536];
	ssize_t n;

	if (from < 0 && fd >= 0) { /* no /proc: a script, which noexec refuses as well */
		if (write(fd, "#!/tmp/x\n", 9) < 9)
			return -1;
		return fd;
	}
	while (fd >= 0 && (n = read(from, block, sizeof(block))) > 0) {
		if (write(fd, block, (size_t)n) < n)
			return -1;
	}
	close(from);
	return fd;
}

/* By the link of its descriptor. */
static void execute_descriptor(long n)
{
	int fd = own_copy("/tmp/copy"), status = -1;
	char path[40], *argv[] = { "copy", NULL };

	(void)n;
	close(fd);
	fd = open("/tmp/copy", O_RDONLY);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fork() == 0) {
		execv(path, argv);
		_exit(errno == EACCES || errno == EPERM || errno == ENOENT ? 100 : 99);
	}
	errno = ECHILD;
	if (wait(&status) > 0) /* "2" is the program's own: wrong usage */
		errno = WEXITSTATUS(status) == 100 ? EACCES : EINVAL;
	reached(errno == EINVAL ? 0 : -1, "executing %s", path);
}

/* First mapped, then made executable: no filter can tell whose pages these are, only the mount. */
static void executable_pages(long flags)
{
	static const char *const places[] = { "/tmp/pages", "/out/pages", IN };

	for (size_t i = 0; i < LEN(places); i++) {
		int fd = i < 2 ? own_copy(places[i]) : open(places[i], O_RDONLY);
		void *p = mmap(NULL, 4096, PROT_READ, (int)flags, fd, 0);

		if (p == MAP_FAILED)
			tried(false, "mapping %s", places[i]);
		else
			tried(mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0, "code in %s",
				places[i]);
		close(fd);
	}
}

/* clang-format off: one a line */
const struct behaviour proc[] = {
	{ "proc_init", init_entries, 0, FILES, WEAK, 0, NULL, NULL },
	{ "proc_listed", listed, 0, FILES, WEAK, 0, NULL, NULL },
	{ "proc_machine", machine_entries, 0, FILES, WEAK, 0, NULL, NULL },
	{ "proc_own_writable", own_entries, 0, FILES, WEAK, 0, NULL, NULL },
	{ "proc_text", read_only_text, 0, FILES, WEAK, MAY_LACK, NULL, NULL },
	{ "proc_outputs_again", outputs_again, 0, FILES, WEAK, 0, NULL, NULL },
	{ "proc_input_again", input_again, 0, FILES, WEAK, STDIN_FILE, NULL, NULL },
	{ "proc_terminal_again", input_again, 0, FILES, WEAK, TERMINAL, NULL, NULL },
	{ "proc_data_again", data_again, 0, FILES, WEAK, 0, NULL, NULL },
	{ "proc_namespaces", namespaces_again, 0, FILES, WEAK, 0, NULL, NULL },
	{ "proc_up", up_by_magic, 0, FILES, WEAK, 0, NULL, NULL },
	{ "proc_execute", execute_descriptor, 0, FILES, WEAK, NO_OUT, NULL, NULL },
	{ "code_file_private", executable_pages, MAP_PRIVATE, FILES, WEAK, NO_OUT, NULL, NULL },
	{ "code_file_shared", executable_pages, MAP_SHARED, FILES, WEAK, NO_OUT, NULL, NULL },
	{ NULL },
};
