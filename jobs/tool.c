/* SPDX-License-Identifier: Apache-2.0
 *
 * tool.c: see tool.h.
 */
#include "jobs/tool.h"

#include "common/buf.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

char *tool_path(const char *name)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		if (slash) {
			*slash = '\0';
			char *beside = xprintf("%s/%s", self, name);
			if (!access(beside, X_OK))
				return beside;
			free(beside);
		}
	}
	return xstrdup(name);
}

void tool_word(struct tool *t, char *text)
{
	assert(t->n < TOOL_WORDS_MAX); /* the job's bounds are below */
	t->at[t->n++] = text;
}

void tool_option(struct tool *t, const char *name, char *value)
{
	tool_word(t, xstrdup(name));
	tool_word(t, value);
}

void tool_number(struct tool *t, const char *name, int64_t value)
{
	tool_option(t, name, xprintf("%lld", (long long)value));
}

void tool_release(struct tool *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->at[i]);
	t->n = 0;
}

int tool_run(struct tool *t, const char *in, const char *out, const char *errors, int *status,
	struct err *e)
{
	const int write_new = O_WRONLY | O_CREAT | O_TRUNC;
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int no;

	t->at[t->n] = NULL;
	posix_spawn_file_actions_init(&actions);
	if (in)
		posix_spawn_file_actions_addopen(&actions, 0, in, O_RDONLY, 0);
	if (out)
		posix_spawn_file_actions_addopen(&actions, 1, out, write_new, 0600);
	if (errors)
		posix_spawn_file_actions_addopen(&actions, 2, errors, write_new, 0600);
	no = posix_spawnp(&pid, t->at[0], &actions, NULL, t->at, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (no) {
		errno = no;
		return err_sys(e, "starting %s", t->at[0]);
	}
	while (waitpid(pid, status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "waiting for %s", t->at[0]);
	return 0;
}

char *tool_cache(const char *name, struct err *e)
{
	const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	auto_free char *path = NULL;

	if (base && *base == '/')
		path = xprintf("%s/talkoot/%s", base, name);
	else if (geteuid() == 0)
		path = xprintf("/var/cache/talkoot/%s", name);
	else if (home && *home)
		path = xprintf("%s/.cache/talkoot/%s", home, name);
	if (!path) {
		err_set(e, ERR_SYSTEM, "there is no place for a cache: set HOME or XDG_CACHE_HOME");
		return NULL;
	}
	return make_dirs(path, 0755, e) ? NULL : TAKE(path);
}
