/* SPDX-License-Identifier: Apache-2.0
 *
 * pack_env.c: four tables.
 */
#include "jobs/pack_env.h"

#include "common/buf.h"
#include "jobs/pack_home.h"

#include <stdlib.h>
#include <string.h>

/* Lists of folders of code, with `:` between. */
static const char *const lists[] = {
	"CLASSPATH",
	"GEM_PATH",
	"JULIA_LOAD_PATH",
	"LD_LIBRARY_PATH",
	"NODE_PATH",
	"PERL5LIB",
	"PYTHONPATH",
	"R_LIBS",
	"R_LIBS_SITE",
	"R_LIBS_USER",
	"RUBYLIB",
};

/* One folder each, or a word. */
static const char *const words[] = {
	"CONDA_PREFIX",
	"JAVA_HOME",
	"JULIA_DEPOT_PATH",
	"PYENV_ROOT",
	"PYENV_VERSION",
	"PYTHONHOME",
	"PYTHONUSERBASE",
	"R_HOME",
	"VIRTUAL_ENV",
};

/* What a program finds by HOME, and by what it finds it without. */
static const struct {
	const char *below; /* in a home; with something of it in the image */
	const char *name, *value;
} by_home[] = {
	{ ".julia", "JULIA_DEPOT_PATH", ".julia" },
	{ ".local/lib", "PYTHONUSERBASE", ".local" },
	{ ".pyenv", "PYENV_ROOT", ".pyenv" },
};

/* What a library needs beside what the box sets for it. */
static const struct {
	const char *file; /* the end of its place in the image */
	const char *name, *value;
} by_file[] = {
	/* on processors that lack what it is told to do without. Not the box's to set: each start of a Python without numpy
	 * would read its regular expressions first, half as long again */
	{ "/numpy/__init__.py", "PYTHONWARNINGS",
		"ignore:During parsing environment variable:RuntimeWarning" },
};

static const char *const usual_path[] = { "/usr/local/bin", "/usr/bin", "/bin" };

static const char *value_of(char *const *environment, const char *name)
{
	size_t n = strlen(name);

	for (; *environment; environment++)
		if (!strncmp(*environment, name, n) && (*environment)[n] == '=')
			return *environment + n + 1;
	return NULL;
}

/* The next folder of a list; NULL at its end. Yours. */
static char *next_folder(const char **list)
{
	if (!*list)
		return NULL;
	size_t n = strcspn(*list, ":");
	char *folder = xmemdup(*list, n);

	*list = (*list)[n] ? *list + n + 1 : NULL;
	while (n > 1 && folder[n - 1] == '/')
		folder[--n] = '\0';
	return folder;
}

void pack_env_code(struct texts *code, char *const *environment)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		const char *list = value_of(environment, lists[i]);

		for (char *folder; (folder = next_folder(&list)) != NULL;) {
			if (folder[0] != '/') {
				free(folder);
				continue;
			}
			code->at = xrealloc(code->at, code->n + 1, sizeof(*code->at));
			code->at[code->n++] = folder;
		}
	}
}

static void keep(struct pack_env *env, const char *name, const char *value)
{
	if (env->n < PACK_ENV_MAX)
		env->at[env->n++] = xprintf("%s=%s", name, value);
}

static void keep_list(
	struct pack_env *env, const struct pack_where *w, const char *name, const char *list)
{
	auto_buf struct buf b = { 0 };

	for (char *folder; (folder = next_folder(&list)) != NULL; free(folder)) {
		auto_free char *place = pack_place(w, folder);

		buf_printf(&b, "%s%s", b.data ? ":" : "", place);
	}
	keep(env, name, b.data);
}

static bool is_in(const char *list, const char *folder)
{
	for (char *one; (one = next_folder(&list)) != NULL; free(one))
		if (!strcmp(one, folder)) {
			free(one);
			return true;
		}
	return false;
}

static void keep_path(
	struct pack_env *env, const struct pack_where *w, struct pack_plan *p, const char *list)
{
	auto_buf struct buf b = { 0 };

	for (char *folder; (folder = next_folder(&list)) != NULL; free(folder)) {
		auto_free char *place = pack_place(w, folder);

		if (folder[0] == '/' && pack_plan_has(p, place) &&
			!(b.data && is_in(b.data, place)))
			buf_printf(&b, "%s%s", b.data ? ":" : "", place);
	}
	for (size_t i = 0; i < ARRAY_LEN(usual_path); i++)
		if (!b.data || !is_in(b.data, usual_path[i]))
			buf_printf(&b, "%s%s", b.data ? ":" : "", usual_path[i]);
	keep(env, "PATH", b.data);
}

static void keep_by_home(struct pack_env *env, const struct pack_where *w, struct pack_plan *p,
	char *const *environment)
{
	for (size_t i = 0; i < ARRAY_LEN(by_home); i++)
		for (size_t h = 0; h < PACK_HOMES_MAX && w->homes[h]; h++) {
			auto_free char *below = xprintf("%s/%s", w->homes[h], by_home[i].below);
			auto_free char *value = xprintf("%s/%s", w->homes[h], by_home[i].value);

			if (pack_plan_has(p, below) && !value_of(environment, by_home[i].name)) {
				keep(env, by_home[i].name, value);
				break;
			}
		}
}

static bool has_file(const struct pack_plan *p, const char *end)
{
	size_t n = strlen(end);

	for (size_t i = 0; i < p->n; i++) {
		size_t length = strlen(p->entries[i].to);

		if (length >= n && !strcmp(p->entries[i].to + length - n, end))
			return true;
	}
	return false;
}

static void keep_by_file(struct pack_env *env, const struct pack_plan *p)
{
	for (size_t i = 0; i < ARRAY_LEN(by_file); i++)
		if (has_file(p, by_file[i].file))
			keep(env, by_file[i].name, by_file[i].value);
}

void pack_env_make(struct pack_env *env, const struct pack_where *w, struct pack_plan *p,
	char *const *environment)
{
	*env = (struct pack_env){ .n = 0 };
	keep_path(env, w, p, value_of(environment, "PATH"));
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (value_of(environment, lists[i]))
			keep_list(env, w, lists[i], value_of(environment, lists[i]));
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		const char *value = value_of(environment, words[i]);
		auto_free char *place = value && *value == '/' ? pack_place(w, value) : NULL;

		if (value)
			keep(env, words[i], place ? place : value);
	}
	keep_by_home(env, w, p, environment);
	keep_by_file(env, p);
}

void pack_env_release(struct pack_env *env)
{
	for (size_t i = 0; i < env->n; i++)
		free(env->at[i]);
	env->n = 0;
}
