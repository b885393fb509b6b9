/* SPDX-License-Identifier: Apache-2.0
 *
 * host.c: what this machine has.
 */
#include "worker/host.h"

#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

int host_cpus(void)
{
	cpu_set_t set;

	if (!sched_getaffinity(0, sizeof(set), &set) && CPU_COUNT(&set) > 0)
		return CPU_COUNT(&set);
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	return n > 0 ? (int)n : 1;
}

int64_t host_memory_mib(void)
{
	int64_t pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	return pages > 0 && size > 0 ? pages * size / MIB : 1024;
}

int64_t host_free_mib(const char *dir)
{
	struct statvfs s;

	if (statvfs(dir, &s))
		return -1;
	return (int64_t)s.f_bavail * (int64_t)s.f_frsize / MIB;
}

int64_t host_lent_mib(int64_t free_mib)
{
	int64_t tenth = free_mib / 10;

	if (free_mib < 0 || tenth > HOST_DISK_MOST_MIB)
		return HOST_DISK_MOST_MIB;
	return tenth < HOST_DISK_LEAST_MIB ? HOST_DISK_LEAST_MIB : tenth;
}

/* The features that tell the levels of the x86-64 psABI apart; the others come with them. */
const char *host_platform_class(void)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (!__builtin_cpu_supports("ssse3") || !__builtin_cpu_supports("sse4.2") ||
		!__builtin_cpu_supports("popcnt"))
		return "x86_64";
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi") ||
		!__builtin_cpu_supports("bmi2") || !__builtin_cpu_supports("fma"))
		return "x86_64-v2";
	if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
		!__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
		!__builtin_cpu_supports("avx512vl"))
		return "x86_64-v3";
	return "x86_64-v4";
#else
	return "any";
#endif
}

char *host_program_dir(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n <= 0)
		return NULL;
	path[n] = '\0';
	char *slash = strrchr(path, '/');
	if (!slash)
		return NULL;
	*slash = '\0';
	return xstrdup(path);
}
