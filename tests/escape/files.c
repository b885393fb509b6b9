/* SPDX-License-Identifier: Apache-2.0
 *
 * files.c: files that a program was not given, and those that it was given only for reading.
 * links.c has names that lead elsewhere.
 *
 * /in/data is the input; SECRET_FILE is a file beside the box. Outside of a box a row may change
 * only copies: the runner puts them at the same places.
 */
#define _GNU_SOURCE
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#define IN "/in/data"

/* --- not given ----------------------------------------------------------------------------- */

static const char *const paths[] = { "/etc/passwd", "../../../../../../etc/passwd",
	"/proc/self/environ", "/proc/1/environ", "/sys/kernel", "/dev/mem", "/dev/kmsg", "/dev/tty",
	"/dev/fuse", "/dev/shm", "/proc/sys/kernel/core_pattern", "/dev/pts/ptmx", "/proc/kcore",
	"/sys/fs/cgroup", "/proc/self/mem", "/dev/kvm" };
enum {
	PASSWD,
	DOTDOT,
	ENVIRON,
	INIT_ENVIRON,
	SYS_DIR,
	MEM,
	KMSG,
	TTY,
	FUSE,
	SHM,
	CORE_PATTERN,
	PTMX,
	KCORE,
	CGROUP,
	SELF_MEM,
	KVM
};

static void open_path(long which)
{
	const char *p = paths[which];
	struct stat st;

	tried(open(p, O_RDONLY | O_NONBLOCK) >= 0, "reading %s", p);
	tried(open(p, O_PATH) >= 0, "O_PATH of %s", p);
	tried(stat(p, &st) == 0, "stat of %s", p);
	tried(access(p, F_OK) == 0, "whether %s is there", p);
}

/* Called as old programs do, and through the call whose flags no filter sees. */
static void open_otherwise(long n)
{
	struct {
		unsigned long flags, mode, resolve;
	} how = { 0, 0, 0 };

	(void)n;
#ifdef SYS_open
	tried(syscall(SYS_open, "/etc/passwd", O_RDONLY) >= 0, "open");
#endif
	tried(syscall(SYS_openat, -1, "/etc/passwd", O_RDONLY) >= 0, "openat");
	tried(syscall(437 /* openat2 */, AT_FDCWD, "/etc/passwd", &how, sizeof(how)) >= 0,
		"openat2");
}

static void open_secret(long n)
{
	int fd = open(argument(SECRET_FILE), n ? O_WRONLY : O_RDONLY);

	tried(fd >= 0, "the file beside the box");
}

static void write_root(long n)
{
	static const char *const places[] = { "/new", "/dev/new", "/in/new", "/etc/new" };

	(void)n;
	for (int i = 0; i < 4; i++)
		tried(open(places[i], O_WRONLY | O_CREAT | O_EXCL, 0600) >= 0, "making %s",
			places[i]);
}

static void open_by_handle(long n)
{
	struct {
		struct file_handle h;
		char room[128];
	} h = { .h.handle_bytes = 128 };
	int id, at = open("/", O_RDONLY | O_DIRECTORY);

	(void)n;
	tried(name_to_handle_at(AT_FDCWD, "/tmp", &h.h, &id, 0) == 0, "a file's handle");
	h.h.handle_bytes = 8;
	h.h.handle_type = 1;
	reached(open_by_handle_at(at, &h.h, O_RDONLY), "opening by handle");
}

/* --- given for reading --------------------------------------------------------------------- */

static void change_input(long n)
{
	int fd = open(IN, O_RDONLY);

	(void)n;
	tried(open(IN, O_WRONLY) >= 0, "writing to " IN);
	tried(open(IN, O_RDWR | O_TRUNC) >= 0, "emptying " IN);
	tried(truncate(IN, 0) == 0, "truncating " IN);
	tried(ftruncate(fd, 0) == 0, "truncating its descriptor");
	tried(write(fd, "x", 1) == 1, "writing to its descriptor");
}

static void change_input_mapped(long n)
{
	int fd = open(IN, O_RDONLY);
	char *p = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);

	(void)n;
	if (p == MAP_FAILED || fd < 0)
		tried(false, "mapping it");
	else
		tried(mprotect(p, 1, PROT_READ | PROT_WRITE) == 0, "making its mapping writable");
	tried(mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, open(IN, O_RDWR), 0) != MAP_FAILED,
		"a writable mapping");
}

static void change_input_otherwise(long n)
{
	int fd = open(IN, O_RDONLY), from = open("/tmp/x", O_RDWR | O_CREAT, 0600);

	(void)n;
	if (write(from, "xxxx", 4) < 4)
		return;
	tried(copy_file_range(from, &(off_t){ 0 }, fd, &(off_t){ 0 }, 4, 0) > 0,
		"copying into " IN);
	tried(ioctl(fd, 0x40049409 /* FICLONE */, from) == 0, "cloning into " IN);
	tried(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0,
		"a hole in " IN);
	fd = open(IN, O_RDWR);
	tried(fd >= 0, "opening " IN " for both");
}

static void change_input_names(long n)
{
	(void)n;
	tried(rename(IN, "/in/other") == 0, "renaming " IN);
	tried(rename(IN, "/out/data") == 0, "moving " IN " out");
	write_file("/tmp/mine", 3);
	tried(rename("/tmp/mine", IN) == 0, "renaming over " IN);
	tried(unlink(IN) == 0, "unlinking " IN);
	tried(rmdir("/in") == 0, "removing /in");
	tried(mkdir("/in/dir", 0700) == 0, "a folder in /in");
	tried(symlink("/etc/passwd", "/in/link") == 0, "a link in /in");
}

static void change_input_modes(long n)
{
	struct timeval times[2] = { { 1, 0 }, { 1, 0 } };

	(void)n;
	tried(chmod(IN, 0777) == 0, "the mode of " IN);
	tried(fchmod(open(IN, O_RDONLY), 0777) == 0, "the mode of its descriptor");
	tried(chmod("/in", 0777) == 0, "the mode of /in");
	tried(utimes(IN, times) == 0, "the times of " IN);
	tried(utime(IN, NULL) == 0, "the time of " IN);
	tried(futimens(open(IN, O_RDONLY), NULL) == 0, "the times of its descriptor");
	tried(chown(IN, getuid(), (gid_t)-1) == 0, "the owner of " IN);
	tried(setxattr(IN, "user.escape", "x", 1, 0) == 0, "an attribute of " IN);
}

/* Both work on what is open only for reading, and hold up whoever else uses it. */
static void flock_input(long how)
{
	tried(flock(open(IN, O_RDONLY), (int)how | LOCK_NB) == 0, "flock of " IN);
}

static void lease_input(long type)
{
	tried(fcntl(open(IN, O_RDONLY), F_SETLEASE, type) == 0, "a lease on " IN);
}

static void notify_input(long n)
{
	int fd = (int)syscall(SYS_inotify_init1, 0);

	(void)n;
	tried(fd >= 0, "inotify");
	tried(fcntl(open("/in", O_RDONLY), F_NOTIFY, 2 /* DN_MODIFY */) == 0, "F_NOTIFY of /in");
}

static void lock_input(long n)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(IN, O_RDWR);

	(void)n;
	if (fd < 0)
		fd = open(IN, O_RDONLY);
	tried(fcntl(fd, F_SETLK, &l) == 0, "a write lock on " IN);
	tried(fcntl(fd, F_OFD_SETLK, &l) == 0, "an open file's lock on " IN);
}

static void flags_of_input(long n)
{
	int fd = open(IN, O_RDONLY), flags = 0x40; /* FS_NODUMP_FL: any flag would do */

	(void)n;
	reached(ioctl(fd, 0x40086602 /* FS_IOC_SETFLAGS */, &flags), "file flags");
	reached(ioctl(fd, 0x80086601 /* FS_IOC_GETFLAGS */, &flags), "reading file flags");
	reached(ioctl(fd, 0xc020660b /* FS_IOC_FIEMAP */, NULL), "where on the disk it lies");
}

/* Standard input may be the host's own file, open for reading. */
static void change_stdin(long n)
{
	const struct timespec old[2] = { { 1, 0 }, { 1, 0 } };

	(void)n;
	tried(fchmod(0, 0644) == 0, "the mode of standard input");
	tried(futimens(0, NULL) == 0, "the times of standard input");
	tried(futimens(0, old) == 0, "other times of standard input");
	tried(ftruncate(0, 0) == 0, "the size of standard input");
	tried(linkat(0, "", AT_FDCWD, "/tmp/name", AT_EMPTY_PATH) == 0, "a name of standard input");
}

/* --- its own ------------------------------------------------------------------------------- */

static void set_user_id(long n)
{
	int fd;

	(void)n;
	write_file("/out/tool", 10);
	fd = open("/out/tool", O_RDWR);
	tried(chmod("/out/tool", 04755) == 0, "chmod");
	tried(fchmod(fd, 02755) == 0, "fchmod");
	tried(fchmodat(AT_FDCWD, "/out/tool", 04755, 0) == 0, "fchmodat");
	tried(syscall(452 /* fchmodat2 */, AT_FDCWD, "/out/tool", 04755, 0) == 0, "fchmodat2");
	/* open() with such a mode is not filtered: /out is nosuid and noexec; see out_set_user_id */
}

static void make_device(long kind)
{
	/* 1:3 is null: harmless, and as forbidden as any */
	tried(mknod("/tmp/device", (mode_t)kind | 0600, (1 << 8) + 3) == 0, "mknod");
	tried(mknodat(AT_FDCWD, "/out/device", (mode_t)kind | 0600, (1 << 8) + 3) == 0, "mknodat");
}

static void set_attributes(long n)
{
	static char large[60000];
	int fd = open("/tmp/x", O_RDWR | O_CREAT, 0600);

	(void)n;
	tried(setxattr("/tmp/x", "trusted.escape", large, 1000, 0) == 0, "setxattr");
	tried(fsetxattr(fd, "user.escape", large, sizeof(large), 0) == 0, "fsetxattr");
	tried(lsetxattr("/tmp/x", "security.capability", large, 20, 0) == 0, "lsetxattr");
}

/* A file without a name, named later: allowed in /tmp, must lead to nothing else. */
static void unnamed_file(long n)
{
	static const char *const places[] = { "/", "/in", "/dev", "/etc" };
	char path[40];
	int fd;

	(void)n;
	for (int i = 0; i < 4; i++)
		tried(open(places[i], O_TMPFILE | O_RDWR, 0600) >= 0, "an unnamed file in %s",
			places[i]);
	fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	tried(fd >= 0 && linkat(AT_FDCWD, path, AT_FDCWD, "/in/named", AT_SYMLINK_FOLLOW) == 0,
		"naming one in /in");
}

static void execute(long where)
{
	static const char *const places[] = { "/tmp/program", "/out/program", IN };
	char block[65536], *argv[] = { "program", NULL };
	int from = open("/proc/self/exe", O_RDONLY), to, status = -1;
	ssize_t n;

	/* in a box there is no such thing: then a script, which noexec refuses as well */
	to = where < 2 ? open(places[where], O_WRONLY | O_CREAT, 0755) : -1;
	if (to >= 0 && from < 0 && write(to, "#!/tmp/program\n", 15) < 15)
		return;
	while (to >= 0 && from >= 0 && (n = read(from, block, sizeof(block))) > 0) {
		if (write(to, block, (size_t)n) < n)
			return;
	}
	close(to);
	if (where == 2)
		chmod(IN, 0755);
	if (fork() == 0) {
		execv(places[where], argv);
		_exit(errno == EACCES || errno == EPERM ? 100 : 99);
	}
	/* "2" is the program's own: wrong usage */
	if (wait(&status) > 0)
		errno = WEXITSTATUS(status) == 100 ? EACCES : EINVAL;
	else
		errno = ECHILD;
	reached(errno == EACCES || errno == ECHILD ? -1 : 0, "executing %s", places[where]);
}

static void list_root(long n)
{
	static const char *const none[] = { "/sys", "/etc", "/home", "/root", "/var", "/usr",
		"/bin", "/lib", "/run", "/boot", "/mnt", "/opt", "/srv" };
	struct stat st;

	for (size_t i = 0; n == 0 && i < sizeof(none) / sizeof(none[0]); i++)
		tried(stat(none[i], &st) == 0, "%s", none[i]);
	if (n)
		tried(stat("/proc", &st) == 0, "/proc");
}

/* clang-format off: one a line */
const struct behaviour files[] = {
	{ "open_absolute", open_path, PASSWD, BOTH, WEAK, 0, NULL, NULL },
	{ "open_dotdot", open_path, DOTDOT, BOTH, WEAK, 0, NULL, NULL },
	{ "open_environ", open_path, ENVIRON, BOTH, WEAK, BY_BITS, NULL, NULL },
	{ "open_init_environ", open_path, INIT_ENVIRON, BOTH, WEAK, 0, NULL, NULL },
	{ "open_sys", open_path, SYS_DIR, BOTH, WEAK, 0, NULL, NULL },
	{ "open_dev_mem", open_path, MEM, BOTH, ROOT, 0, NULL, NULL },
	{ "open_dev_kmsg", open_path, KMSG, BOTH, WEAK, 0, NULL, NULL },
	{ "open_dev_tty", open_path, TTY, BOTH, WEAK, 0, NULL, NULL },
	{ "open_dev_fuse", open_path, FUSE, BOTH, WEAK, 0, NULL, NULL },
	{ "open_dev_shm", open_path, SHM, BOTH, WEAK, 0, NULL, NULL },
	{ "open_dev_kvm", open_path, KVM, BOTH, WEAK, 0, NULL, NULL },
	{ "open_ptmx", open_path, PTMX, BOTH, WEAK, 0, NULL, NULL },
	{ "open_core_pattern", open_path, CORE_PATTERN, BOTH, WEAK, 0, NULL, NULL },
	{ "open_kcore", open_path, KCORE, BOTH, WEAK, 0, NULL, NULL },
	{ "open_cgroup", open_path, CGROUP, BOTH, WEAK, 0, NULL, NULL },
	{ "open_own_memory", open_path, SELF_MEM, BOTH, WEAK, BY_BITS, NULL, NULL },
	{ "open_otherwise", open_otherwise, 0, BOTH, WEAK, 0, NULL, NULL },
	{ "open_secret", open_secret, 0, BOTH, WEAK, 0, NULL, NULL },
	{ "write_secret", open_secret, 1, BOTH, WEAK, 0, NULL, NULL },
	{ "write_root", write_root, 0, BOTH, WEAK, 0, NULL, NULL },
	{ "list_root", list_root, 0, BOTH, WEAK, 0, NULL, NULL },
	{ "list_proc", list_root, 1, BOTH, WEAK, BY_BITS, NULL, NULL },
	{ "open_by_handle", open_by_handle, 0, BOTH, WEAK, 0, NULL, NULL },
	{ "in_write", change_input, 0, FILES, WEAK, 0, NULL, NULL },
	{ "in_mapped", change_input_mapped, 0, FILES, WEAK, 0, NULL, NULL },
	{ "in_copy_into", change_input_otherwise, 0, FILES, WEAK, 0, NULL, NULL },
	{ "in_names", change_input_names, 0, FILES, WEAK, 0, NULL, NULL },
	{ "in_modes", change_input_modes, 0, FILES, WEAK, 0, NULL, NULL },
	{ "in_flock", flock_input, LOCK_EX, FILES, WEAK, 0, NULL, NULL },
	{ "in_flock_shared", flock_input, LOCK_SH, FILES, WEAK, 0, NULL, NULL },
	{ "in_lease", lease_input, F_RDLCK, FILES, WEAK, 0, NULL, NULL },
	{ "in_record_lock", lock_input, 0, FILES, WEAK, 0, NULL, NULL },
	{ "in_notify", notify_input, 0, FILES, WEAK, 0, NULL, NULL },
	{ "in_file_flags", flags_of_input, 0, FILES, WEAK, 0, NULL, NULL },
	{ "stdin_file", change_stdin, 0, BOTH, WEAK, STDIN_FILE, NULL, NULL },
	{ "set_user_id_bit", set_user_id, 0, FILES, WEAK, 0, NULL, NULL },
	{ "device_character", make_device, S_IFCHR, BOTH, ROOT, 0, NULL, NULL },
	{ "device_block", make_device, S_IFBLK, BOTH, ROOT, 0, NULL, NULL },
	{ "device_socket", make_device, S_IFSOCK, BOTH, WEAK, 0, NULL, NULL },
	{ "attributes", set_attributes, 0, FILES, ROOT, 0, NULL, NULL },
	{ "unnamed_file", unnamed_file, 0, FILES, WEAK, 0, NULL, NULL },
	{ "execute_from_tmp", execute, 0, FILES, WEAK, 0, NULL, NULL },
	{ "execute_from_out", execute, 1, FILES, WEAK, 0, NULL, NULL },
	{ "execute_from_in", execute, 2, FILES, WEAK, 0, NULL, NULL },
	{ NULL },
};
