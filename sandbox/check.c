/* SPDX-License-Identifier: Apache-2.0
 *
 * check.c: each layer tried in a child of its own, so that nothing tried here stays.
 */
#include "sandbox/check.h"
#include "sandbox/confine.h"
#include "sandbox/filter.h"
#include "sandbox/limit.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each gives 0 or an errno. */
static int try_user(void)
{
	return unshare(CLONE_NEWUSER) ? errno : 0;
}

static int try_in_user(int flag)
{
	return unshare(CLONE_NEWUSER | flag) ? errno : 0;
}

static int try_pid(void)
{
	return try_in_user(CLONE_NEWPID);
}

/* Some systems grant the namespace and then forbid what it is for. */
static int try_mount(void)
{
	int bad = try_in_user(CLONE_NEWNS);

	if (!bad && (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("t", "/tmp", "tmpfs", 0, NULL)))
		bad = errno;
	return bad;
}

static int try_net(void)
{
	return try_in_user(CLONE_NEWNET);
}

static int try_ipc(void)
{
	return try_in_user(CLONE_NEWIPC);
}

static int try_uts(void)
{
	return try_in_user(CLONE_NEWUTS);
}

static int try_landlock(void)
{
	return confine_landlock() ? 0 : ENOSYS;
}

static int try_seccomp(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return errno;
	return filter_install(BOX_COMPUTE, 0) ? errno : 0;
}

static int try_rlimits(void)
{
	struct rlimit l = { 0, 0 };

	return setrlimit(RLIMIT_CORE, &l) ? errno : 0;
}

static int try_cgroup(void)
{
	struct cgroup g;

	cgroup_make(&g, 64);
	int bad = g.dir[0] ? 0 : EACCES;
	cgroup_remove(&g);
	return bad;
}

static const struct {
	const char *name;
	int (*try)(void);
	bool compute, files; /* required there */
} layers[] = {
	{ "userns", try_user, false, true },
	{ "pidns", try_pid, false, true },
	{ "mountns", try_mount, false, true },
	{ "netns", try_net, false, true },
	{ "ipcns", try_ipc, false, true },
	{ "utsns", try_uts, false, true },
	{ "landlock", try_landlock, true, true },
	{ "seccomp", try_seccomp, true, true },
	{ "rlimits", try_rlimits, true, true },
	{ "cgroup", try_cgroup, false, false },
};

static int in_child(int (*try)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(try());
	if (pid < 0)
		return errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

void check_print(void)
{
	bool compute = true, files = true;
	int bad[sizeof(layers) / sizeof(layers[0])];
	const size_t n = sizeof(layers) / sizeof(layers[0]);

	for (size_t i = 0; i < n; i++) {
		bad[i] = in_child(layers[i].try);
		compute = compute && !(bad[i] && layers[i].compute);
		files = files && !(bad[i] && layers[i].files);
	}
	printf("{\"compute\":%s,\"files\":%s,\"layers\":{", compute ? "true" : "false", files ? "true" : "false");
	for (size_t i = 0; i < n; i++)
		printf("%s\"%s\":\"%s\"", i ? "," : "", layers[i].name, bad[i] ? strerror(bad[i]) : "ok");
	printf("},\"policy\":\"%s\"}\n", filter_policy);
}
