/* SPDX-License-Identifier: Apache-2.0
 *
 * outputs.c: what may be left in /out for whoever takes it out. Judged from outside: only regular files
 * of mode 0600, one link each, of good names, at most 4 levels deep, 4096 of them, no more bytes
 * than --disk, nothing of the host's. The same rules find fault with a plain copy (cp -a).
 */
#define _GNU_SOURCE
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1024L * 1024)

static void check(int rc, const char *what)
{
	if (rc < 0)
		tried(false, "%s", what);
}

static void left_link(long n)
{
	static const char *const targets[] = { "/etc/passwd", "/etc", "/in/data",
		"../../../../../../etc/passwd", "/proc/self/environ", "loop" };

	check(symlink(n < 0 ? argument(SECRET_FILE) : targets[n],
		      n == 5 ? "/out/loop" : "/out/result"),
		"link");
}

/* A folder that is a link, where a file of that path was promised. */
static void left_linked_folder(long n)
{
	(void)n;
	check(mkdir("/out/a", 0755), "mkdir");
	check(symlink("/etc", "/out/a/b"), "link");
	check(symlink("a", "/out/c"), "link");
}

static void left_special(long type)
{
	check(mknod("/out/result", (mode_t)type | 0666, 0), "mknod");
	if (type == S_IFSOCK) {
		struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "/out/socket" };

		check(bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&a, sizeof(a)),
			"bind");
	}
	if (type == S_IFIFO) {
		check(mkdir("/out/d", 0755), "mkdir");
		check(mknod("/out/d/fifo", S_IFIFO | 0666, 0), "mknod");
	}
}

static const char *const names[] = { "new\nline", "\033[31mred\033]0;title\a", "\xff\xfe\x80",
	".hidden", "sp ace", "-rf", "a'b\"c;$(id)`id`", "..\\..\\x",
	"\xe2\x80\xae"
	"gnp.exe",
	"carriage\rreturn", "tab\there", "..." };

static void left_name(long which)
{
	char path[64];

	snprintf(path, sizeof(path), "/out/%s", names[which]);
	write_file(path, 10);
	snprintf(path, sizeof(path), "/out/folder%s", names[which]);
	check(mkdir(path, 0755), "mkdir");
	strcat(path, "/x");
	write_file(path, 10);
}

static void left_long_name(long bytes)
{
	char path[300] = "/out/";

	memset(path + 5, 'n', (size_t)bytes);
	write_file(path, 10);
}

static void left_deep(long levels)
{
	check(chdir("/out"), "chdir");
	for (long i = 0; i < levels; i++) {
		if (mkdir("d", 0755) || chdir("d")) {
			tried(false, "level %ld", i);
			return;
		}
	}
	write_file("bottom", 10);
}

static void left_closed(long mode)
{
	check(mkdir("/out/shut", 0755), "mkdir");
	write_file("/out/shut/file", 10);
	write_file("/out/closed", 10);
	check(chmod("/out/closed", (mode_t)mode), "chmod");
	check(chmod("/out/shut/file", (mode_t)mode), "chmod");
	check(chmod("/out/shut", (mode_t)mode), "chmod");
}

static void left_many(long n)
{
	char path[40];

	for (long i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/out/f%ld", i);
		if (mknod(path, S_IFREG | 0644,
			    0)) { /* a box refuses this, and allows the slower way */
			write_file(path, 1);
			if (access(path, F_OK))
				return;
		}
	}
}

/* Names that cannot be taken, so many that telling of them is work. */
static void left_many_bad(long n)
{
	char path[280];

	for (long i = 0; i < n; i++) {
		int at = snprintf(path, sizeof(path), "/out/\n\033%ld", i);

		memset(path + at, 1, (size_t)(250 - at));
		path[250] = 0;
		if (mkdir(path, 0))
			return;
	}
}

static void left_sparse(long files)
{
	char path[40];

	for (long i = 0; i < files; i++) {
		int fd;

		snprintf(path, sizeof(path), "/out/s%ld", i);
		fd = open(path, O_RDWR | O_CREAT, 0644);
		if (fd < 0 || ftruncate(fd, 2 * MIB))
			tried(false, "file %ld", i);
		if (fd >= 0)
			close(fd);
	}
}

static void left_hard_links(long n)
{
	char path[40];

	write_file("/out/one", MIB);
	for (long i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/out/l%ld", i);
		check(link("/out/one", path), "link");
	}
}

static void left_hard_link_of_input(long n)
{
	(void)n;
	check(link("/in/data", "/out/data"), "link");
}

static void left_set_user_id(long mode)
{
	int fd = open("/out/tool", O_RDWR | O_CREAT, (mode_t)mode);

	if (fd >= 0) {
		check((int)write(fd, "tool", 4), "write");
		check(fchmod(fd, (mode_t)mode), "fchmod");
	}
	check(mkdir("/out/d", (mode_t)mode), "mkdir");
	write_file("/out/d/x", 10);
	check(chmod("/out/d", (mode_t)mode), "chmod");
}

/* A child goes on renaming, swapping a folder for a link, while its parent ends and all is taken. */
static void left_moving(long n)
{
	int ends[2];
	char byte = 0;

	(void)n;
	check(mkdir("/out/a", 0755), "mkdir");
	write_file("/out/a/x", 10);
	check(symlink("/etc", "/out/b"), "link");
	if (pipe(ends))
		return;
	for (int i = 0; i < 3; i++) {
		if (fork() != 0)
			continue;
		for (long k = 0;; k++) {
			if (rename("/out/a", "/out/c") || rename("/out/b", "/out/a") ||
				rename("/out/c", "/out/b"))
				errno = 0;
			if (k == 20 && write(ends[1], &byte, 1) < 0)
				_exit(0);
		}
	}
	while (read(ends[0], &byte, 1) < 0)
		;
}

/* A file that grows, and one that is mapped, while its size is taken for granted. */
static void left_growing(long n)
{
	static char block[4096];
	int ends[2], fd;
	char byte = 0;

	(void)n;
	if (pipe(ends))
		return;
	if (fork() == 0) {
		fd = open("/out/growing", O_RDWR | O_CREAT | O_APPEND, 0644);
		signal(SIGXFSZ, SIG_IGN);
		for (long k = 0;; k++) {
			if (k < 64 && write(fd, block, sizeof(block)) < 0)
				errno = 0;
			if (k > 64 && k % 2 == 0 && ftruncate(fd, k % 1000))
				errno = 0;
			if (k == 100 && write(ends[1], &byte, 1) < 0)
				_exit(0);
		}
	}
	while (read(ends[0], &byte, 1) < 0)
		;
}

/* In the way of the names that the taker makes. */
static void left_temporary_names(long n)
{
	static const char *const all[] = { "report.json", ".part", "data.tmp", "stdout", "stderr",
		".talkoot-work", "core" };

	(void)n;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		char path[64];

		snprintf(path, sizeof(path), "/out/%s", all[i]);
		check(symlink("/etc/passwd", path), "link");
	}
}

/* It may lose its outputs by that, and the reason may be about them. */
static void left_shut(long mode)
{
	write_file("/out/file", 10);
	check(chmod("/out", (mode_t)mode), "chmod");
}

/* Its own folder gone, or no folder any more. */
static void left_without_folder(long n)
{
	check(rmdir("/out"), "rmdir");
	check(rename("/out", "/tmp/gone"), "rename");
	if (n)
		check(symlink("/etc", "/out"), "link");
}

#define OUT "--disk 2 --wall 60"
#define ROW(name, run, n, bite)                                                                    \
	{                                                                                          \
		name, run, n, FILES, bite, 0, NULL, OUT                                            \
	}
/* clang-format off: one a line */
const struct behaviour outputs[] = {
	ROW("out_link_secret", left_link, -1, COPIED),
	ROW("out_link_absolute", left_link, 0, COPIED),
	ROW("out_link_folder", left_link, 1, COPIED),
	ROW("out_link_input", left_link, 2, COPIED),
	ROW("out_link_relative", left_link, 3, COPIED),
	ROW("out_link_environ", left_link, 4, COPIED),
	ROW("out_link_loop", left_link, 5, COPIED),
	ROW("out_linked_folder", left_linked_folder, 0, COPIED),
	ROW("out_fifo", left_special, S_IFIFO, COPIED),
	ROW("out_socket", left_special, S_IFSOCK, COPIED),
	ROW("out_name_newline", left_name, 0, COPIED),
	ROW("out_name_escape", left_name, 1, COPIED),
	ROW("out_name_not_utf8", left_name, 2, COPIED),
	ROW("out_name_hidden", left_name, 3, COPIED),
	ROW("out_name_space", left_name, 4, COPIED),
	ROW("out_name_dash", left_name, 5, NO_BITE), /* box_name_ok() allows it */
	ROW("out_name_shell", left_name, 6, COPIED),
	ROW("out_name_backslash", left_name, 7, COPIED),
	ROW("out_name_right_to_left", left_name, 8, COPIED),
	ROW("out_name_return", left_name, 9, COPIED),
	ROW("out_name_tab", left_name, 10, COPIED),
	ROW("out_name_dots", left_name, 11, COPIED),
	ROW("out_name_255", left_long_name, 255, COPIED),
	ROW("out_name_101", left_long_name, 101, COPIED),
	ROW("out_deep_5", left_deep, 5, COPIED),
	ROW("out_deep_1500", left_deep, 1500, COPIED),
	ROW("out_mode_0", left_closed, 0, COPIED),
	ROW("out_mode_0111", left_closed, 0111, COPIED),
	ROW("out_mode_0777", left_closed, 0777, COPIED),
	{ "out_shut", left_shut, 0, FILES, COPIED, 0, "exited disk", OUT },
	{ "out_many_5000", left_many, 5000, FILES, COPIED, 0, "exited", "--disk 64 --wall 60" },
	{ "out_many_100000", left_many, 100000, FILES, NO_BITE, 0, "disk", "--disk 600 --wall 60" },
	ROW("out_many_bad_names", left_many_bad, 5000, COPIED),
	ROW("out_sparse", left_sparse, 12, COPIED),
	ROW("out_hard_links", left_hard_links, 20, COPIED),
	ROW("out_hard_link_input", left_hard_link_of_input, 0, COPIED),
	ROW("out_set_user_id", left_set_user_id, 04755, COPIED),
	ROW("out_set_group_id", left_set_user_id, 02755, COPIED),
	ROW("out_sticky", left_set_user_id, 01777, COPIED),
	ROW("out_moving", left_moving, 0, COPIED),
	ROW("out_growing", left_growing, 0, NO_BITE),
	ROW("out_temporary_names", left_temporary_names, 0, COPIED),
	ROW("out_without_folder", left_without_folder, 1, NO_BITE),
	{ NULL },
};
