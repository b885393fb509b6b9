/* SPDX-License-Identifier: Apache-2.0
 *
 * leaks.c: what tells one machine, one person or one launcher from another. What cannot be hidden from
 * a program (CPUID, kernel version, amount of memory, times) is not asked here.
 */
#define _GNU_SOURCE
#include "hostile.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

extern char **environ;

/* The runner starts everything with this name in the environment, and a descriptor on a secret. */
static void environment(long n)
{
	const char *name = argument(LAUNCHER_ENV);

	(void)n;
	errno = ENOENT;
	tried(*name && getenv(name), "the launcher's environment");
	tried(getenv("USER") || getenv("LOGNAME") || getenv("PWD") || getenv("LD_LIBRARY_PATH") ||
			getenv("SHELL"),
		"usual variables");
}

/* The whole of the stack's upper end: what the kernel copied there before main. */
static void stack_above(long n)
{
	const char *name = argument(LAUNCHER_ENV), *end = (const char *)getauxval(AT_EXECFN);
	size_t length = strlen(name);

	(void)n;
	errno = ENOENT;
	tried(environ[0] && length && memmem(environ[0], (size_t)(end - environ[0]), name, length),
		"the launcher's environment in memory");
}

static void descriptors(long n)
{
	char byte;

	for (int fd = 3; fd < n; fd++) {
		if (read(fd, &byte, 0) >= 0 || errno != EBADF)
			broke("descriptor %d", fd);
	}
	say("denied nothing: looked at them all\n");
}

static void host_name(long n)
{
	struct utsname u;

	(void)n;
	errno = ENOENT;
	tried(uname(&u) == 0 && strcmp(u.nodename, argument(HOST_NAME)) == 0, "the host's name");
	tried(u.domainname[0] && strcmp(u.domainname, "(none)"), "a domain");
}

static void numbers(long n)
{
	(void)n;
	errno = EPERM;
	tried(getpid() > 100 || getppid() > 100, "real process numbers");
	tried((long)getuid() == atol(argument(REAL_UID)) || getuid() != geteuid(), "the real user");
	tried(getuid() == 0, "a root of some kind");
}

static void groups(long n)
{
	gid_t list[64];
	int got = getgroups(64, list);

	(void)n;
	for (int i = 0; i < got; i++)
		tried(list[i] != 65534 && list[i] != getgid(), "group %d", (int)list[i]);
	say("denied nothing: looked at them all\n");
}

/* Where its file lies, by the several ways in which a process can ask for that. */
static void own_path(long n)
{
	const char *name = (const char *)getauxval(AT_EXECFN);
	char text[4096];

	(void)n;
	errno = ENOENT;
	tried(name && strstr(name, "/talkoot"), "its path, in the auxiliary vector");
	tried(readlink("/proc/self/exe", text, sizeof(text)) > 0, "/proc/self/exe");
	tried(readlink("/proc/self/cwd", text, sizeof(text)) > 0, "/proc/self/cwd");
	tried(readlink("/proc/self/fd/0", text, sizeof(text)) > 0, "/proc/self/fd/0");
	tried(getcwd(text, sizeof(text)) && strcmp(text, "/tmp") && strcmp(text, "/"),
		"the working folder");
}

static const char *const paths[] = { "/proc/self/mountinfo", "/proc/sys/kernel/random/boot_id",
	"/etc/machine-id", "/proc/net/arp", "/proc/cmdline", "/proc/version", "/proc/cpuinfo",
	"/sys/class/net", "/proc/keys", "/proc/self/cgroup", "/proc/self/status", "/etc/hostname",
	"/etc/resolv.conf", "/proc/uptime", "/proc/self/maps", "/var/log", "/proc/1/root",
	"/dev/disk" };
enum {
	MOUNTINFO,
	BOOT_ID,
	MACHINE_ID,
	ARP,
	CMDLINE,
	VERSION,
	CPUINFO,
	CLASS_NET,
	KEYS,
	OWN_CGROUP,
	OWN_STATUS,
	HOSTNAME,
	RESOLV,
	UPTIME,
	MAPS,
	LOG,
	INIT_ROOT,
	DISK
};

static void known_file(long which)
{
	char text[64];
	int fd = open(paths[which], O_RDONLY);

	tried(fd >= 0, "opening %s", paths[which]);
	tried(readlink(paths[which], text, sizeof(text)) > 0, "the link %s", paths[which]);
}

static void key_rings(long n)
{
	char text[64];

	(void)n;
	for (long ring = -1; ring >= -5; ring--)
		tried(syscall(SYS_keyctl, 0 /* GET_KEYRING_ID */, ring, 0) > 0, "key ring %ld",
			ring);
	tried(syscall(SYS_keyctl, 6 /* DESCRIBE */, -3, text, sizeof(text)) > 0,
		"a key ring's name");
}

/* A stream that is a terminal of the user's: its name, size and modes. */
static void terminal_name(long n)
{
	char name[64];

	(void)n;
	for (int fd = 0; fd < 3; fd++) {
		char path[32];

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		tried(ttyname_r(fd, name, sizeof(name)) == 0, "the name of terminal %d", fd);
		tried(readlink(path, name, sizeof(name)) > 0, "the name of stream %d", fd);
	}
}

static void disk_of_input(long n)
{
	struct stat st;

	(void)n;
	errno = EPERM;
	tried(stat("/in", &st) == 0 && st.st_uid == (uid_t)atol(argument(REAL_UID)) &&
			st.st_uid != 0 && st.st_uid != 65534,
		"the owner's number");
	/* more entries than the one that was given */
	tried(access("/in/secret", F_OK) == 0, "the input's neighbour");
}

static void resources_of_others(long n)
{
	struct rusage u;

	(void)n;
	errno = EPERM;
	tried(getrusage(RUSAGE_CHILDREN, &u) == 0 && (u.ru_maxrss > 0 || u.ru_minflt > 0),
		"children it never had");
}

#define FILE_ROW(name, which, how)                                                                 \
	{                                                                                          \
		name, known_file, which, BOTH, WEAK, how, NULL, NULL                               \
	}
/* clang-format off: one a line */
const struct behaviour leaks[] = {
	{ "leak_environment", environment, 0, BOTH, WEAK, 0, NULL, NULL },
	{ "leak_stack_above", stack_above, 0, BOTH, WEAK, 0, NULL, NULL },
	{ "leak_descriptors", descriptors, 1024, BOTH, WEAK, 0, NULL, NULL },
	{ "leak_host_name", host_name, 0, BOTH, WEAK, NAMESPACED, NULL, NULL },
	{ "leak_numbers", numbers, 0, BOTH, WEAK, NAMESPACED, NULL, NULL },
	{ "leak_groups", groups, 0, FILES, NO_BITE, 0, NULL, NULL },
	{ "leak_own_path", own_path, 0, BOTH, WEAK, BY_BITS, NULL, NULL },
	FILE_ROW("leak_mountinfo", MOUNTINFO, BY_BITS),
	FILE_ROW("leak_boot_id", BOOT_ID, 0),
	FILE_ROW("leak_machine_id", MACHINE_ID, 0),
	FILE_ROW("leak_arp", ARP, 0),
	FILE_ROW("leak_command_line", CMDLINE, 0),
	FILE_ROW("leak_version", VERSION, 0),
	FILE_ROW("leak_cpuinfo", CPUINFO, 0),
	FILE_ROW("leak_network_cards", CLASS_NET, 0),
	FILE_ROW("leak_keys", KEYS, 0),
	FILE_ROW("leak_own_cgroup", OWN_CGROUP, BY_BITS),
	FILE_ROW("leak_status", OWN_STATUS, BY_BITS),
	FILE_ROW("leak_etc_hostname", HOSTNAME, 0),
	FILE_ROW("leak_resolv_conf", RESOLV, 0),
	FILE_ROW("leak_uptime", UPTIME, 0),
	FILE_ROW("leak_maps", MAPS, BY_BITS),
	FILE_ROW("leak_logs", LOG, 0),
	FILE_ROW("leak_init_root", INIT_ROOT, 0),
	FILE_ROW("leak_disks", DISK, 0),
	{ "leak_key_rings", key_rings, 0, BOTH, WEAK, 0, NULL, NULL },
	{ "leak_terminal", terminal_name, 0, BOTH, WEAK, TERMINAL | BY_BITS, NULL, NULL },
	{ "leak_beside_input", disk_of_input, 0, FILES, WEAK, 0, NULL, NULL },
	{ "leak_usage", resources_of_others, 0, BOTH, NO_BITE, 0, NULL, NULL },
	{ NULL },
};
