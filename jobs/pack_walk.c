/* SPDX-License-Identifier: Apache-2.0
 *
 * pack_walk.c: see pack_walk.h. path_resolution(7), with what it meets written down.
 */
#include "jobs/pack_walk.h"

#include "common/buf.h"
#include "jobs/touch.h"

#include <stdlib.h>
#include <string.h>

/* Where a walk stands: behind `done`, with `rest` to go. */
struct way {
	struct buf done; /* "" is the root */
	char *rest;
	size_t at;
	int links;
};

/* The next part of the rest; its length, 0 at the end. */
static size_t next_part(struct way *y, const char **part)
{
	while (y->rest[y->at] == '/')
		y->at++;
	*part = y->rest + y->at;
	size_t n = strcspn(*part, "/");
	y->at += n;
	return n;
}

static void cut(struct buf *b, size_t n)
{
	if (b->data)
		b->data[n] = '\0';
	b->len = n;
}

static void go_up(struct buf *done)
{
	const char *slash = done->len ? strrchr(done->data, '/') : NULL;

	if (slash)
		cut(done, (size_t)(slash - done->data));
}

/* Go on from where the link leads. False: that would be too long, or round and round. */
static bool follow(struct way *y, const char *text)
{
	if (++y->links > WALK_LINKS_MAX || !text || !*text ||
		strlen(text) + strlen(y->rest + y->at) > 2 * TOUCH_PATH_MAX)
		return false;
	char *rest = xprintf("%s%s", text, y->rest + y->at); /* what is left begins with a slash */
	if (text[0] == '/')
		cut(&y->done, 0);
	else
		go_up(&y->done);
	free(y->rest);
	y->rest = rest;
	y->at = 0;
	return true;
}

/* One part further. False: there is no way on. */
static bool step(
	struct walk *w, struct way *y, const char *part, size_t n, look_fn *look, void *arg)
{
	struct look l = { FILE_NONE, 0, 0, NULL };

	if (y->done.len + n + 1 > TOUCH_PATH_MAX)
		return false;
	buf_text(&y->done, "/");
	buf_add(&y->done, part, n);
	look(arg, y->done.data, &l);
	if (l.kind == FILE_NONE)
		return false;
	array_room(&w->steps, &w->room, w->n, sizeof(*w->steps));
	w->steps[w->n++] = (struct step){ xstrdup(y->done.data), l };
	if (l.kind == FILE_LINK)
		return follow(y, l.text);
	return l.kind == FILE_FOLDER || !y->rest[y->at];
}

void walk_go(struct walk *w, const char *path, look_fn *look, void *arg)
{
	struct way y = { .rest = xstrdup(path) };
	const char *part;
	size_t n;

	*w = (struct walk){ .found = true };
	while (w->found && (n = next_part(&y, &part)) > 0) {
		if (n == 2 && !memcmp(part, "..", 2))
			go_up(&y.done);
		else if (n != 1 || *part != '.')
			w->found = step(w, &y, part, n, look, arg);
	}
	/* `folder/..` ends at a folder that was passed before */
	if (w->found && y.done.len && w->n && strcmp(w->steps[w->n - 1].path, y.done.data) != 0) {
		struct look l = { FILE_NONE, 0, 0, NULL };

		look(arg, y.done.data, &l);
		array_room(&w->steps, &w->room, w->n, sizeof(*w->steps));
		w->steps[w->n++] = (struct step){ xstrdup(y.done.data), l };
		w->found = l.kind != FILE_NONE;
	}
	w->found &= y.done.len > 0;
	buf_release(&y.done);
	free(y.rest);
}

const struct step *walk_end(const struct walk *w)
{
	return w->found && w->n ? &w->steps[w->n - 1] : NULL;
}

void walk_release(struct walk *w)
{
	for (size_t i = 0; i < w->n; i++) {
		free(w->steps[i].path);
		free(w->steps[i].look.text);
	}
	free(w->steps);
	*w = (struct walk){ 0 };
}

bool path_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	if (n && folder[n - 1] == '/')
		n--;
	return !strncmp(path, folder, n) && (path[n] == '/' || path[n] == '\0');
}
