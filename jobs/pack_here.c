/* SPDX-License-Identifier: Apache-2.0
 *
 * pack_here.c: see pack_here.h.
 */
#include "jobs/pack_here.h"

#include "jobs/which.h"

#include "common/elf.h"

#include <fcntl.h>
#include <fts.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ELF_HEAD 4096

/* --- the program ------------------------------------------------------------------------------ */
int here_program(const char *name, struct err *e)
{
	auto_free char *path = which_program(name);
	auto_close int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	char head[ELF_HEAD], platform[40];

	if (!path)
		return err_set(e, ERR_USAGE,
			"pack: %.300s: there is no such program, or it is not executable", name);
	ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof(head));
	if (n < 0)
		return err_sys(e, "pack: reading %s", path);
	if (elf_look(head, (size_t)n, platform) != ELF_STATIC)
		return 0;
	return err_set(e, ERR_USAGE,
		"pack: %.300s is a static program: it needs no image, submit it as it is: talkoot "
		"submit -- %.200s",
		name, path);
}

/* --- where we are ----------------------------------------------------------------------------- */
/* The real path of a home, unless that is a folder of the system, as some accounts have. */
static char *real_home(const char *home)
{
	static const char *const no[] = { "/usr", "/bin", "/sbin", "/lib", "/etc" };
	char *path = home && *home == '/' ? realpath(home, NULL) : NULL;
	bool none = path && !path[1];

	for (size_t i = 0; path && i < ARRAY_LEN(no); i++)
		none |= path_below(path, no[i]);
	if (none)
		base_free(&path);
	return path;
}

/* HOME and the account's home: a test, or sudo, may have set one that the other is not. */
static void find_homes(struct pack_here *h)
{
	const struct passwd *user = getpwuid(getuid());
	size_t n = 0;

	h->homes[n] = real_home(getenv("HOME"));
	n += h->homes[n] != NULL;
	h->homes[n] = real_home(user ? user->pw_dir : NULL);
}

/* The image's real path: its folder is there, it itself perhaps not. Known before a long run. */
static int find_image(struct pack_here *h, const char *image, struct err *e)
{
	const char *slash = strrchr(image, '/'), *name = slash ? slash + 1 : image;
	auto_free char *folder = slash ? xmemdup(image, (size_t)(name - image)) : xstrdup(".");
	auto_free char *real = realpath(folder, NULL);
	struct stat st;

	if (!real || access(real, W_OK))
		return err_sys(e, "pack: writing %s", image);
	h->image = xprintf("%s/%s", real[1] ? real : "", name);
	if (!*name || (!stat(h->image, &st) && !S_ISREG(st.st_mode)))
		return err_set(e, ERR_USAGE, "pack: -o %.300s: it is no file", image);
	return 0;
}

int here_open(struct pack_here *h, const char *image, struct err *e)
{
	*h = (struct pack_here){ .cwd = realpath(".", NULL) };
	if (!h->cwd)
		return err_sys(e, "pack: the working folder");
	if (!h->cwd[1])
		return err_set(e, ERR_USAGE,
			"pack: the working folder is /: go to the folder of your program first");
	find_homes(h);
	return find_image(h, image, e);
}

void here_close(struct pack_here *h)
{
	for (size_t i = 0; i < PACK_HOMES_MAX; i++)
		free(h->homes[i]);
	free(h->cwd);
	free(h->image);
	*h = (struct pack_here){ 0 };
}

/* Links in /proc are this process's, not the program's: they lead nowhere. */
void here_look(void *arg, const char *path, struct look *out)
{
	char text[TOUCH_PATH_MAX + 1];
	struct stat st;
	ssize_t n;

	(void)arg;
	if (lstat(path, &st))
		return;
	*out = (struct look){ FILE_OTHER, st.st_mode & 0777, 0, NULL };
	if (S_ISDIR(st.st_mode))
		out->kind = FILE_FOLDER;
	if (S_ISREG(st.st_mode))
		*out = (struct look){ FILE_REGULAR, st.st_mode & 0777, st.st_size, NULL };
	if (S_ISLNK(st.st_mode) && !path_below(path, "/proc") &&
		(n = readlink(path, text, sizeof(text))) > 0 && n < (ssize_t)sizeof(text))
		*out = (struct look){ FILE_LINK, 0777, 0, xmemdup(text, (size_t)n) };
}

void here_as_in_the_box(void)
{
	static const char *const box[][2] = { { "LANG", "C" }, { "LC_ALL", "C" }, { "TZ", "UTC0" },
		{ "PYTHONHASHSEED", "0" }, { "MKL_NUM_THREADS", "1" }, { "OMP_NUM_THREADS", "1" },
		{ "OPENBLAS_NUM_THREADS", "1" }, { "PYTHONDONTWRITEBYTECODE", "1" } };

	for (size_t i = 0; i < ARRAY_LEN(box); i++)
		(void)setenv(box[i][0], box[i][1], 1);
}

static char *absolute(const char *path)
{
	auto_free char *cwd = realpath(".", NULL);

	return *path == '/' ? xstrdup(path) : xprintf("%s/%s", cwd ? cwd : "", path);
}

/* What a link in a tree leads to is not asked for: it is judged for itself. */
int here_include(struct touches *t, struct texts *asked, const char *path, struct err *e)
{
	char *real = realpath(path, NULL), *at[] = { real, NULL };
	FTS *tree = real ? fts_open(at, FTS_PHYSICAL | FTS_NOCHDIR, NULL) : NULL;
	FTSENT *entry;

	if (!tree) {
		err_sys(e, "pack: --include %s", path);
		e->code = ERR_USAGE;
		free(real);
		return -1;
	}
	asked->at = xrealloc(asked->at, asked->n + 1, sizeof(*asked->at));
	asked->at[asked->n++] = real;
	auto_free char *spelled = absolute(path); /* its own links */
	touches_add(t, spelled, TOUCH_STAT | TOUCH_ASKED);
	while ((entry = fts_read(tree)) && !t->full) {
		bool link = entry->fts_info == FTS_SL || entry->fts_info == FTS_SLNONE;

		if (entry->fts_info != FTS_DP)
			touches_add(
				t, entry->fts_path, link ? TOUCH_STAT : TOUCH_STAT | TOUCH_ASKED);
	}
	fts_close(tree);
	return 0;
}
