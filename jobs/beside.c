/* SPDX-License-Identifier: Apache-2.0
 *
 * beside.c: see beside.h.
 */
#include "jobs/beside.h"

#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

char *beside(const char *name)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n > 0 ? n : 0] = '\0';
	char *slash = strrchr(self, '/');
	if (slash) {
		*slash = '\0';
		char *path = xprintf("%s/%s", self, name);
		if (!access(path, X_OK))
			return path;
		base_free(&path);
	}
	return xstrdup(name);
}

int run_program(char *const argv[], int in, int out, int *code, struct err *e)
{
	posix_spawn_file_actions_t streams;
	int status = 0, no;
	pid_t pid;

	posix_spawn_file_actions_init(&streams);
	if (in >= 0)
		posix_spawn_file_actions_adddup2(&streams, in, 0);
	if (out >= 0)
		posix_spawn_file_actions_adddup2(&streams, out, 1);
	no = posix_spawnp(&pid, argv[0], &streams, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&streams);
	if (no) {
		errno = no;
		return err_sys(e, "starting %s", argv[0]);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "waiting for %s", argv[0]);
	*code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return 0;
}
