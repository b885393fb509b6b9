/* SPDX-License-Identifier: Apache-2.0
 *
 * local.c: see local.h.
 */
#include "worker/local.h"
#include "common/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

/* --- looking at it -------------------------------------------------------------------------------- */

struct look {
	const char *what; /* the option's text */
	dev_t dev;
	int64_t left;
	struct err *e;
};

/* A fifo or a socket would be a way between a box and who holds its other end, and what is mounted below is not
 * shown. */
static int look_kind(const struct look *k, const struct stat *st, const char *name)
{
	if (st->st_dev != k->dev)
		return err_set(k->e, ERR_USAGE,
			"--allow-local %.100s: %.100s in it is another mount; name that by itself",
			k->what, name);
	if (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode) || S_ISLNK(st->st_mode))
		return 0;
	return err_set(k->e, ERR_USAGE,
		"--allow-local %.100s: %.100s is neither a file nor a folder nor a link", k->what,
		name);
}

static int look_into(struct look *k, int dir, int depth);

static int look_entry(struct look *k, int dir, const char *name, int depth)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return 0; /* gone meanwhile */
	if (look_kind(k, &st, name))
		return -1;
	if (!S_ISDIR(st.st_mode))
		return 0;
	if (depth == LOCAL_DEPTH_MAX)
		return err_set(k->e, ERR_USAGE, "--allow-local %.100s: more than %d folders deep",
			k->what, LOCAL_DEPTH_MAX);
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(k->e, "--allow-local %.100s: opening %.100s", k->what, name)
	              : look_into(k, fd, depth + 1);
}

/* Takes `dir`. */
static int look_into(struct look *k, int dir, int depth)
{
	DIR *d = fdopendir(dir);
	struct dirent *entry;
	int bad = 0;

	while (d && !bad && k->left > 0 && (entry = readdir(d))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		k->left--;
		bad = look_entry(k, dir, entry->d_name, depth);
	}
	if (d)
		closedir(d);
	else
		close(dir);
	return bad;
}

static int look_at(const char *what, const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct look k = { .what = what, .left = LOCAL_LOOK_MAX, .e = e };
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		err_sys(e, "--allow-local %.100s: opening it", what);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	k.dev = st.st_dev;
	if (S_ISDIR(st.st_mode)) {
		int bad = look_into(&k, fd, 1);

		if (!bad && !k.left)
			log_warn("--allow-local %.100s: only its first %d entries were looked at",
				what, LOCAL_LOOK_MAX);
		return bad;
	}
	close(fd);
	return S_ISREG(st.st_mode)
	               ? 0
	               : err_set(e, ERR_USAGE, "--allow-local %.100s: neither a file nor a folder",
				 what);
}

/* --- reading -------------------------------------------------------------------------------------- */

/* Whether `path` is `dir`, or lies in it. */
static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return !strcmp(dir, "/") || (!strncmp(path, dir, n) && (path[n] == '/' || path[n] == '\0'));
}

/* The worker's folder has its key in it. */
static int check_apart(const char *what, const char *path, const char *worker_dir, struct err *e)
{
	auto_free char *own = realpath(worker_dir, NULL);

	if (!own)
		return err_sys(e, "%s", worker_dir);
	if (!is_below(own, path) && !is_below(path, own))
		return 0;
	return err_set(e, ERR_USAGE,
		"--allow-local %.100s: the worker's own folder %.200s is in it, or around it", what,
		worker_dir);
}

static int read_one(struct local *l, const char *text, const char *worker_dir, struct err *e)
{
	const char *equals = strchr(text, '=');
	size_t n = equals ? (size_t)(equals - text) : 0;
	struct local_data *d = &l->at[l->n];

	if (l->n == LOCAL_MAX)
		return err_set(e, ERR_USAGE, "--allow-local: more than %d", LOCAL_MAX);
	if (n < 1 || n >= sizeof(d->name) || !equals[1] || strspn(text, NAME_CHARS) != n ||
		*text == '.')
		return err_set(e, ERR_USAGE,
			"--allow-local: \"%.100s\" is not NAME=PATH (a name is of A-Z a-z 0-9 . _ "
			"-)",
			text);
	memcpy(d->name, text, n);
	d->name[n] = '\0';
	if (local_path(l, d->name))
		return err_set(e, ERR_USAGE, "--allow-local: %s is there twice", d->name);
	d->path = realpath(equals + 1, NULL);
	if (!d->path)
		return err_sys(e, "--allow-local %.100s", text);
	l->n++;
	return check_apart(text, d->path, worker_dir, e) ? -1 : look_at(text, d->path, e);
}

int local_read(struct local *l, const struct texts *allowed, const struct texts *keys,
	const char *worker_dir, struct err *e)
{
	*l = (struct local){ 0 };
	for (size_t i = 0; i < allowed->n; i++)
		if (read_one(l, allowed->at[i], worker_dir, e))
			return -1;
	for (size_t i = 0; i < keys->n; i++) {
		if (i == LOCAL_MAX)
			return err_set(e, ERR_USAGE, "--local-for: more than %d", LOCAL_MAX);
		if (!id_parse(&l->keys[l->n_keys++], keys->at[i]))
			return err_set(e, ERR_USAGE,
				"--local-for: \"%.80s\" is no submitter's key (64 hex digits, see "
				"talkoot id)",
				keys->at[i]);
	}
	if (!l->n != !l->n_keys)
		return err_set(e, ERR_USAGE,
			l->n ? "--allow-local: whose programs may read it? Say --local-for KEY"
			     : "--local-for: which data? Say --allow-local NAME=PATH");
	return 0;
}

void local_release(struct local *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->at[i].path);
	*l = (struct local){ 0 };
}

const char *local_path(const struct local *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->at[i].name, name))
			return l->at[i].path;
	return NULL;
}

static bool serves(const struct local *l, const struct id *submitter)
{
	for (size_t i = 0; i < l->n_keys; i++)
		if (id_equal(&l->keys[i], submitter))
			return true;
	return false;
}

int local_allows(const struct local *l, const struct job *job, struct err *e)
{
	char key[ID_TEXT + 1];

	id_text(key, &job->submitter);
	for (size_t i = 0; i < job->n_local; i++)
		if (!local_path(l, job->local[i]))
			return err_set(e, ERR_REFUSED, "there is no data %s here (--allow-local)",
				job->local[i]);
	if (job->n_local && !serves(l, &job->submitter))
		return err_set(e, ERR_REFUSED,
			"the data here is not for the programs of %s (--local-for)", key);
	return 0;
}
