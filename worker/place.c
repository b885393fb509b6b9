/* SPDX-License-Identifier: Apache-2.0
 *
 * place.c: see place.h.
 */
#include "worker/place.h"
#include "common/buf.h"
#include "common/digest.h"
#include "common/log.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Root's boxes are made by nobody, who has to get there by its path. The folder above all that is closed to others; "": none.
 * Yours. */
static char *closed_above(const char *dir)
{
	char *path = realpath(dir, NULL);
	struct stat st;

	for (char *slash = path ? path + strlen(path) : NULL; slash && slash != path;
		slash = strrchr(path, '/')) {
		*slash = '\0';
		if (*path && (stat(path, &st) || !(st.st_mode & 0001)))
			return path;
	}
	free(path);
	return xstrdup("");
}

#define AWAY "/var/cache/talkoot"

/* What workers left whose own folder is no more: AWAY/worker-X.of is a link to that. */
static void sweep_away(void)
{
	DIR *d = opendir(AWAY);
	struct dirent *entry;
	struct stat st;
	struct err e;

	while (d && (entry = readdir(d))) {
		size_t n = strlen(entry->d_name);
		auto_free char *of = xprintf(AWAY "/%s", entry->d_name);

		if (strncmp(entry->d_name, "worker-", 7) != 0 || n < 11 ||
			strcmp(entry->d_name + n - 3, ".of") != 0 || !stat(of, &st) ||
			errno != ENOENT)
			continue;
		auto_free char *tree = xmemdup(of, strlen(of) - 3);
		if (!remove_tree(tree, &e))
			unlink(of);
	}
	if (d)
		closedir(d);
}

/* So that the tree is found when its worker is gone. */
static void note_away(const char *place, const char *worker_dir)
{
	auto_free char *of = xprintf("%s.of", place);
	struct err e;

	if (make_dirs(AWAY, 0755, &e) || (symlink(worker_dir, of) && errno != EEXIST))
		log_warn("noting whose %s is: %s", place, strerror(errno));
}

char *place_new(const char *worker_dir, bool *away)
{
	auto_free char *real = realpath(worker_dir, NULL), *closed = closed_above(worker_dir);
	char hex[DIGEST_HEX + 1];
	struct stat st;

	*away = geteuid() == 0 && real && (*closed || stat(real, &st) || !(st.st_mode & 0001));
	if (!*away)
		return xprintf("%s/images", worker_dir);
	struct digest d = digest_of(real, strlen(real));
	digest_hex(hex, &d);
	char *place = xprintf(AWAY "/worker-%.16s", hex);
	sweep_away();
	note_away(place, real);
	return place;
}

/* Outside of the worker's folder nobody would look for it. */
void place_leave(const char *place)
{
	auto_free char *of = xprintf("%s.of", place);
	struct err e;

	if (remove_tree(place, &e))
		log_warn("%s", e.msg);
	else
		unlink(of);
}

static int check_way(const char *dir, struct err *e)
{
	auto_free char *closed = closed_above(dir);

	if (!*closed)
		return 0;
	return err_set(e, ERR_REFUSED,
		"boxes of a worker that root runs are nobody's, and %s is closed to others: run "
	        "the worker as an "
		"ordinary user, or `chmod o+x %s`",
		closed, closed);
}

int place_check(const char *dir, const char *tool, struct err *e)
{
	struct statvfs fs;

	if (!tool || access(tool, X_OK))
		return err_set(e, ERR_NOT_FOUND, "talkoot-image is not beside talkoot-worker");
	if (!dir)
		return 0;
	if (make_dirs(dir, 0755, e))
		return -1;
	if (statvfs(dir, &fs))
		return err_sys(e, "looking at %s", dir);
	if (fs.f_flag & ST_NOEXEC)
		return err_set(e, ERR_REFUSED,
			"%s is where nothing may be executed (mount option noexec)", dir);
	return geteuid() ? 0 : check_way(dir, e);
}
