/* SPDX-License-Identifier: Apache-2.0
 *
 * line.c: see line.h.
 */
#include "worker/line.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* How each is opened; `usual` stands in for what the line does not name. */
static const struct {
	int how;
	const char *usual;
} roles[LINE_N_ROLES] = {
	[LINE_REPORT] = { O_WRONLY | O_CREAT | O_TRUNC, NULL },
	[LINE_PROGRAM] = { O_RDONLY, NULL },
	[LINE_ROOT] = { O_RDONLY | O_DIRECTORY, NULL },
	[LINE_INPUT] = { O_RDONLY, NULL },
	[LINE_OUT] = { O_RDONLY | O_DIRECTORY, NULL },
	[LINE_STDIN] = { O_RDONLY, "/dev/null" },
	[LINE_STDOUT] = { O_WRONLY | O_CREAT | O_TRUNC, "/dev/null" },
	[LINE_STDERR] = { O_WRONLY | O_CREAT | O_TRUNC, "/dev/null" },
};

struct line *line_new(const char *sandbox)
{
	struct line *l = xcalloc(1, sizeof(*l));

	line_word(l, xstrdup(sandbox));
	return l;
}

void line_free(struct line *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++)
		free(l->argv[i]);
	for (size_t i = 0; i < l->n_files; i++)
		free(l->files[i].path);
	free(l);
}

void line_word(struct line *l, char *text)
{
	assert(l->n < LINE_WORDS_MAX); /* the job's bounds are below */
	l->argv[l->n++] = text;
}

void line_option(struct line *l, const char *name, char *value)
{
	line_word(l, xstrdup(name));
	line_word(l, value);
}

void line_number(struct line *l, const char *name, int64_t n)
{
	line_option(l, name, xprintf("%lld", (long long)n));
}

static void note(struct line *l, enum line_role role, char *path)
{
	assert(l->n_files < LINE_FILES_MAX);
	l->files[l->n_files].role = role;
	l->files[l->n_files++].path = path;
}

void line_file(struct line *l, enum line_role role, const char *name, char *path)
{
	line_option(l, name, xstrdup(path));
	note(l, role, path);
}

void line_input(struct line *l, const char *name, char *path)
{
	line_option(l, "--in", xprintf("%s=%s", name, path));
	note(l, LINE_INPUT, path);
}

void line_program(struct line *l, char *path)
{
	line_word(l, xstrdup("--"));
	line_word(l, xstrdup(path));
	note(l, LINE_PROGRAM, path);
}

void line_program_within(struct line *l, char *path)
{
	line_word(l, xstrdup("--"));
	line_word(l, path);
}

/* --- opening ------------------------------------------------------------------------------------------------ */

static int open_one(const char *path, enum line_role role, int *fds, size_t *n, struct err *e)
{
	int fd = open(path, roles[role].how | O_CLOEXEC | O_NOCTTY, 0600);

	if (fd < 0)
		return err_sys(e, "opening %s", path);
	fds[(*n)++] = fd;
	return 0;
}

static int open_role(const struct line *l, enum line_role role, int *fds, size_t *n, struct err *e)
{
	size_t before = *n;

	for (size_t i = 0; i < l->n_files; i++)
		if (l->files[i].role == role && open_one(l->files[i].path, role, fds, n, e))
			return -1;
	return *n > before || !roles[role].usual ? 0 : open_one(roles[role].usual, role, fds, n, e);
}

int line_open(const struct line *l, int fds[LINE_FILES_MAX], size_t *n, struct err *e)
{
	*n = 0;
	for (int role = 0; role < LINE_N_ROLES; role++) {
		if (!open_role(l, (enum line_role)role, fds, n, e))
			continue;
		while (*n)
			close(fds[--*n]);
		return -1;
	}
	return 0;
}
