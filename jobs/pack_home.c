/* SPDX-License-Identifier: Apache-2.0
 *
 * pack_home.c: a list of what may travel, and nothing else does: ~/.ssh needs no line here to stay.
 *
 * Code are the folders where installers put it (pip --user, pyenv, conda, R, Julia, …), virtual environments, folders
 * that the environment names as code, programs that were executed, and shared objects.
 */
#include "jobs/pack_home.h"

#include <string.h>

/* Below a home: where people's installers put programs and their libraries. */
static const char *const folders[] = {
	".asdf/installs",
	".cargo/bin",
	".conda",
	".juliaup",
	".julia",
	".linuxbrew",
	".local/bin",
	".local/lib",
	".local/lib64",
	".local/pipx",
	".local/share/pipx",
	".local/share/uv",
	".local/share/virtualenvs",
	".nix-profile",
	".nvm/versions",
	".opam",
	".pyenv",
	".rbenv",
	".rustup/toolchains",
	".sdkman/candidates",
	".virtualenvs",
	"R",
	"anaconda3",
	"bin",
	"go/bin",
	"mambaforge",
	"micromamba",
	"miniconda3",
	"miniforge3",
	"perl5",
};

/* In a folder, these say that it is an environment of its own. */
static const char *const landmarks[] = { "pyvenv.cfg", "conda-meta" };

static bool has_landmark(const struct pack_where *w, const char *folder)
{
	bool found = false;

	for (size_t i = 0; !found && i < ARRAY_LEN(landmarks); i++) {
		auto_free char *path = xprintf("%s/%s", folder, landmarks[i]);
		struct look l = { FILE_NONE, 0, 0, NULL };

		w->look(w->arg, path, &l);
		found = l.kind == FILE_REGULAR || l.kind == FILE_FOLDER;
		base_free(&l.text);
	}
	return found;
}

/* The highest folder above `path`, below `home`, that is an environment. Yours. */
static char *environment_of(const struct pack_where *w, const char *home, const char *path)
{
	for (const char *at = strchr(path + strlen(home) + 1, '/'); at; at = strchr(at + 1, '/')) {
		char *folder = xmemdup(path, (size_t)(at - path));

		if (has_landmark(w, folder))
			return folder;
		base_free(&folder);
	}
	return NULL;
}

/* libx.so, libx.so.1.2 */
static bool is_shared_object(const char *path)
{
	const char *name = strrchr(path, '/'), *so = name ? strstr(name, ".so") : NULL;

	return so &&
	       (so[3] == '\0' || (so[3] == '.' && strspn(so + 3, ".0123456789") == strlen(so + 3)));
}

char *home_takes(const struct pack_where *w, const char *home, const char *path, unsigned how)
{
	if (!strcmp(path, home))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		auto_free char *folder = xprintf("%s/%s", home, folders[i]);

		if (path_below(path, folder))
			return TAKE(folder);
	}
	for (size_t i = 0; i < w->code.n; i++)
		if (path_below(path, w->code.at[i]) && path_below(w->code.at[i], home) &&
			strcmp(w->code.at[i], home) != 0)
			return xstrdup(w->code.at[i]);
	if (how & TOUCH_EXEC || is_shared_object(path))
		return xstrdup(path);
	return environment_of(w, home, path);
}

bool work_has(const struct pack_where *w, const char *path)
{
	if (!path_below(path, w->cwd))
		return false;
	for (size_t i = 0; i < PACK_HOMES_MAX; i++) {
		const char *home = w->homes[i];

		if (home && path_below(home, w->cwd) && path_below(path, home) &&
			path[strlen(home)] == '/' && path[strlen(home) + 1] == '.')
			return false;
	}
	return true;
}

const char *home_of(const struct pack_where *w, const char *path)
{
	for (size_t i = 0; i < PACK_HOMES_MAX; i++)
		if (w->homes[i] && path_below(path, w->homes[i]) && !work_has(w, path))
			return w->homes[i];
	return NULL;
}
