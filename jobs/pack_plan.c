/* SPDX-License-Identifier: Apache-2.0
 *
 * pack_plan.c: see pack_plan.h.
 *
 * Two passes. First each path is walked to its file, and what was done to a file by any of its names is put together (a
 * file written by one name and read by another was written). Then each file is judged, and what is on the way to it placed.
 */
#include "jobs/pack_plan.h"

#include "jobs/pack_home.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

/* What the box has itself (furnish.c), or nobody's machine but this has. */
static const char *const kernels[] = { "/proc", "/sys", "/dev" };
static const char *const boxes[] = { "/run", "/tmp", "/in", "/out" };
static const char *const devices[] = { "/dev/null", "/dev/zero", "/dev/urandom", "/dev", "/proc",
	"/sys" };
/* Where files are the system's: nobody needs to be told of each. */
static const char *const systems[] = { "/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/etc",
	"/opt" };

/* A path, its way, and its file. */
struct found {
	struct walk walk;
	const struct step *end; /* NULL: not there */
	unsigned how;
};

static bool below_any(const char *path, const char *const *folders, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (path_below(path, folders[i]))
			return true;
	return false;
}

static bool is_any(const char *path, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(path, words[i]))
			return true;
	return false;
}

/* --- judging ---------------------------------------------------------------------------------- */
static bool excluded(const struct pack_where *w, const char *path)
{
	const int how = FNM_PATHNAME | FNM_LEADING_DIR;
	const char *name = strrchr(path, '/') + 1,
		   *inner = path_below(path, w->cwd) ? path + strlen(w->cwd) : "";

	inner += *inner == '/';
	if (w->image && !strcmp(path, w->image))
		return true;
	for (size_t i = 0; i < w->exclude.n; i++) {
		const char *glob = w->exclude.at[i];

		if (!fnmatch(glob, path, how) || (*inner && !fnmatch(glob, inner, how)) ||
			(!strchr(glob, '/') && !fnmatch(glob, name, 0)))
			return true;
	}
	return false;
}

/* Whether others could not get at the file. Folders above a home, or above the working folder, do not count: to look
 * into one's own home is what it is closed for. */
static bool is_secret(const struct pack_where *w, const struct found *f)
{
	for (size_t i = 0; i < f->walk.n; i++) {
		const struct step *s = &f->walk.steps[i];
		bool ours = path_below(w->cwd, s->path);

		for (size_t h = 0; h < PACK_HOMES_MAX; h++)
			ours |= w->homes[h] && path_below(w->homes[h], s->path);
		if (s->look.kind == FILE_FOLDER && s != f->end && !ours && !(s->look.mode & 0001) &&
			path_below(f->end->path, s->path))
			return true;
	}
	return f->end->look.kind == FILE_REGULAR && !(f->end->look.mode & 0004);
}

/* What may not go in whoever asks. */
static enum pack_why judge_place(const struct pack_where *w, const char *path)
{
	if (excluded(w, path))
		return LEFT_EXCLUDED;
	if (work_has(w, path))
		return PACK_TAKEN;
	if (below_any(path, kernels, ARRAY_LEN(kernels)))
		return LEFT_KERNEL;
	return below_any(path, boxes, ARRAY_LEN(boxes)) ? LEFT_BOX : PACK_TAKEN;
}

/* *root: for TOOK_HOME, the folder of code; yours. */
static enum pack_why judge(const struct pack_where *w, const struct found *f, char **root)
{
	const char *path = f->end->path, *home = home_of(w, path);
	enum pack_why why = judge_place(w, path);

	*root = NULL;
	if (why)
		return why;
	if (f->end->look.kind == FILE_OTHER)
		return LEFT_KIND;
	if (f->how & TOUCH_ASKED)
		return !work_has(w, path) && is_secret(w, f) ? TOOK_SECRET : PACK_TAKEN;
	if (f->how & (TOUCH_WRITE | TOUCH_MADE))
		return LEFT_WRITTEN;
	if (work_has(w, path))
		return PACK_TAKEN;
	if (home && !(*root = home_takes(w, home, path, f->how)))
		return LEFT_HOME;
	if (is_secret(w, f))
		return LEFT_SECRET;
	if (home)
		return TOOK_HOME;
	return below_any(path, systems, ARRAY_LEN(systems)) ? PACK_TAKEN : TOOK_OUTSIDE;
}

/* --- telling ---------------------------------------------------------------------------------- */
/* A folder that was only looked at is told of when its names were read and are not there; what nobody would miss, never. */
static bool is_worth(const struct found *f, enum pack_why why)
{
	enum file_kind kind = f->end->look.kind;

	if (!why || is_any(f->end->path, devices, ARRAY_LEN(devices)))
		return false;
	if (why == LEFT_BOX && f->how & TOUCH_MADE)
		return false; /* the box has room for its own */
	return kind != FILE_FOLDER ||
	       (f->how & TOUCH_LIST && why >= LEFT_EXCLUDED && why != LEFT_WRITTEN);
}

static void note(struct pack_plan *p, const char *path, enum pack_why why)
{
	bool again = why == TOOK_HOME || why == LEFT_KERNEL; /* the others come once each */

	for (size_t i = 0; again && i < p->n_notes; i++)
		if (p->notes[i].why == why && !strcmp(p->notes[i].path, path)) {
			p->notes[i].n++;
			return;
		}
	array_room(&p->notes, &p->notes_room, p->n_notes, sizeof(*p->notes));
	p->notes[p->n_notes++] = (struct pack_note){ xstrdup(path), why, 1 };
}

/* --- placing ---------------------------------------------------------------------------------- */
char *pack_place(const struct pack_where *w, const char *path)
{
	return work_has(w, path) ? xprintf("%s%s", PACK_WORK, path + strlen(w->cwd))
	                         : xstrdup(path);
}

/* One entry, unless it has its place. False: something else has it. */
static bool place_one(struct pack_plan *p, const struct pack_entry *entry)
{
	size_t before = p->places.n, at = touches_add(&p->places, entry->to, TOUCH_STAT);
	const struct pack_entry *old = &p->entries[at];

	if (at < before)
		return old->kind == entry->kind &&
		       (!entry->from || !strcmp(entry->from, old->from)) &&
		       (!entry->text || !strcmp(entry->text, old->text));
	if (p->places.full)
		return true; /* said at the end */
	array_room(&p->entries, &p->room, p->n, sizeof(*p->entries));
	p->entries[p->n++] = (struct pack_entry){ .to = xstrdup(entry->to),
		.kind = entry->kind,
		.size = entry->size,
		.from = entry->from ? xstrdup(entry->from) : NULL,
		.text = entry->text ? xstrdup(entry->text) : NULL,
		.executable = entry->executable,
		.layer = path_below(entry->to, PACK_WORK) ? LAYER_WORK : LAYER_SYSTEM };
	p->bytes += entry->size;
	p->files += entry->kind == FILE_REGULAR;
	return true;
}

/* The folders above `to`, then it. */
static bool place(struct pack_plan *p, const struct pack_entry *entry)
{
	for (const char *slash = strchr(entry->to + 1, '/'); slash;
		slash = strchr(slash + 1, '/')) {
		auto_free char *folder = xmemdup(entry->to, (size_t)(slash - entry->to));

		if (!place_one(p, &(struct pack_entry){ .to = folder, .kind = FILE_FOLDER }))
			return false;
	}
	return place_one(p, entry);
}

/* `folder`/`text` with each `.` and `..` gone, as names alone say. Yours. */
static char *join(const char *folder, const char *text)
{
	auto_free char *all = text[0] == '/' ? xstrdup(text) : xprintf("%s/%s", folder, text);
	char *out = xcalloc(strlen(all) + 2, 1), *save = NULL;

	for (char *part = strtok_r(all, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
		char *slash = strrchr(out, '/');

		if (!strcmp(part, ".."))
			*(slash ? slash : out) = '\0';
		else if (strcmp(part, ".") != 0)
			strcat(strcat(out, "/"), part);
	}
	return out;
}

/* What a link says in the image. A relative one that leaves the working folder, or comes into it, would lead elsewhere
 * from where it now stands. Yours. */
static char *link_text(const struct pack_where *w, const struct step *s)
{
	auto_free char *folder = xmemdup(s->path, (size_t)(strrchr(s->path, '/') - s->path));
	auto_free char *target = join(folder, s->look.text);
	bool from = work_has(w, s->path), to = work_has(w, target);

	if ((s->look.text[0] == '/' || from != to) && *target)
		return pack_place(w, target);
	return xstrdup(s->look.text);
}

/* A link on the way is judged as the file that is reached through it, but for what a run may do with that. */
static bool link_goes(const struct pack_where *w, const struct step *s, const struct found *f)
{
	const char *home = home_of(w, s->path);
	auto_free char *root = home ? home_takes(w, home, s->path, f->how) : NULL;

	bool asked = (f->how & TOUCH_ASKED) || below_any(s->path, w->asked.at, w->asked.n);

	return !judge_place(w, s->path) && (!home || root || asked);
}

static void place_found(struct pack_plan *p, const struct pack_where *w, const struct found *f)
{
	const struct look *l = &f->end->look;
	auto_free char *to = pack_place(w, f->end->path);
	struct pack_entry end = { .to = to, .kind = l->kind };

	for (size_t i = 0; i < f->walk.n; i++) {
		const struct step *s = &f->walk.steps[i];

		if (s->look.kind != FILE_LINK || !link_goes(w, s, f))
			continue;
		auto_free char *at = pack_place(w, s->path), *text = link_text(w, s);
		if (!place(p, &(struct pack_entry){ .to = at, .kind = FILE_LINK, .text = text }))
			note(p, s->path, LEFT_CLASH);
	}
	if (l->kind == FILE_REGULAR) {
		end.from = f->end->path;
		end.size = l->size;
		end.executable = l->mode & 0111;
	}
	if (!place(p, &end))
		note(p, f->end->path, LEFT_CLASH);
}

/* The path that the working folder had here leads to where it is now: installers write it into what they install. */
static void place_work(struct pack_plan *p, const struct pack_where *w)
{
	(void)place(p, &(struct pack_entry){ .to = (char[]){ PACK_WORK }, .kind = FILE_FOLDER });
	if (strcmp(w->cwd, PACK_WORK) != 0 && !below_any(w->cwd, kernels, ARRAY_LEN(kernels)) &&
		!below_any(w->cwd, boxes, ARRAY_LEN(boxes))) {
		auto_free char *at = xstrdup(w->cwd);

		(void)place(
			p, &(struct pack_entry){
				   .to = at, .kind = FILE_LINK, .text = (char[]){ PACK_WORK } });
	}
}

/* --- the whole -------------------------------------------------------------------------------- */
static int by_file(const void *a, const void *b)
{
	const struct found *const *x = a, *const *y = b;

	return strcmp((*x)->end ? (*x)->end->path : "", (*y)->end ? (*y)->end->path : "");
}

static int by_place(const void *a, const void *b)
{
	return strcmp(((const struct pack_entry *)a)->to, ((const struct pack_entry *)b)->to);
}

static int by_why(const void *a, const void *b)
{
	const struct pack_note *x = a, *y = b;

	return x->why != y->why ? (x->why > y->why) - (x->why < y->why) : strcmp(x->path, y->path);
}

/* Each knows what was done to its file by any name. */
static void put_together(struct found *all, size_t n)
{
	auto_free struct found **order = xcalloc(n + 1, sizeof(*order));

	for (size_t i = 0; i < n; i++)
		order[i] = &all[i];
	qsort(order, n, sizeof(*order), by_file);
	for (size_t from = 0, to; from < n; from = to) {
		unsigned how = 0;

		for (to = from; to < n && !by_file(&order[from], &order[to]); to++)
			how |= order[to]->how;
		for (size_t i = from; i < to; i++)
			order[i]->how = how;
	}
}

static int check_size(
	const struct pack_plan *p, const struct pack_where *w, bool full, struct err *e)
{
	const struct pack_entry *large = NULL;

	if (full || p->places.full)
		return err_set(e, ERR_TOO_BIG,
			"more than %d paths: more than an image made so may have", TOUCH_PATHS_MAX);
	for (size_t i = 0; i < p->n; i++)
		if (!large || p->entries[i].size > large->size)
			large = &p->entries[i];
	if (p->bytes <= w->bytes_max)
		return 0;
	return err_set(e, ERR_TOO_BIG,
		"its files have %lld MiB, more than --max-mib %lld; the largest is %.400s",
		(long long)(p->bytes / MIB), (long long)(w->bytes_max / MIB),
		large->from ? large->from : large->to);
}

static void judge_all(
	struct pack_plan *p, const struct pack_where *w, const struct found *all, size_t n)
{
	struct touches told = { 0 };

	for (size_t i = 0; i < n; i++) {
		const struct found *f = &all[i];
		char *root;

		if (!f->end)
			continue;
		size_t before = told.n;
		bool first = touches_add(&told, f->end->path, TOUCH_STAT) == before;
		enum pack_why why = judge(w, f, &root);
		if (first && is_worth(f, why))
			note(p, root && why == TOOK_HOME ? root : f->end->path, why);
		if (why < LEFT_EXCLUDED)
			place_found(p, w, f);
		free(root);
	}
	touches_release(&told);
}

/* /proc is each process's own, and what a run had in /dev/shm is gone: neither can be walked afterwards. */
static bool is_passing(struct pack_plan *p, const struct touch *t)
{
	static const char *const own[] = { "/proc", "/dev/shm" };

	if (!below_any(t->path, own, ARRAY_LEN(own)))
		return false;
	if (path_below(t->path, own[1]))
		note(p, own[1], LEFT_KERNEL);
	else if (t->how & (TOUCH_READ | TOUCH_LIST))
		note(p, t->path, LEFT_KERNEL);
	return true;
}

int pack_plan_make(struct pack_plan *p, const struct pack_where *w, const struct touches *touched,
	struct err *e)
{
	struct found *all = xcalloc(touched->n + 1, sizeof(*all));

	*p = (struct pack_plan){ 0 };
	place_work(p, w);
	for (size_t i = 0; i < touched->n; i++) {
		if (is_passing(p, &touched->at[i]))
			continue;
		walk_go(&all[i].walk, touched->at[i].path, w->look, w->arg);
		all[i].end = walk_end(&all[i].walk);
		all[i].how = touched->at[i].how;
	}
	put_together(all, touched->n);
	judge_all(p, w, all, touched->n);
	for (size_t i = 0; i < touched->n; i++)
		walk_release(&all[i].walk);
	free(all);
	int bad = check_size(p, w, touched->full, e);
	qsort(p->entries, p->n, sizeof(*p->entries), by_place);
	if (p->n_notes)
		qsort(p->notes, p->n_notes, sizeof(*p->notes), by_why);
	if (bad)
		pack_plan_release(p);
	return bad;
}

bool pack_plan_has(struct pack_plan *p, const char *to)
{
	struct pack_entry key = { .to = xstrdup(to) };
	bool has = bsearch(&key, p->entries, p->n, sizeof(key), by_place) != NULL;

	free(key.to);
	return has;
}

/* The first entry that is not before `to`; p->n if none is. */
static size_t place_of(const struct pack_plan *p, const char *to)
{
	size_t low = 0, high = p->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(p->entries[middle].to, to) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool pack_plan_compiled(const struct pack_plan *p, const char *to)
{
	const char *name = strrchr(to, '/'), *dot = strrchr(to, '.');

	if (!name || !dot || strcmp(dot, ".py") || dot < name)
		return false;
	auto_free char *begin =
		xprintf("%.*s/__pycache__%.*s.", (int)(name - to), to, (int)(dot - name), name);
	size_t at = place_of(p, begin);

	return at < p->n && !strncmp(p->entries[at].to, begin, strlen(begin));
}

void pack_plan_release(struct pack_plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->entries[i].to);
		free(p->entries[i].from);
		free(p->entries[i].text);
	}
	for (size_t i = 0; i < p->n_notes; i++)
		free(p->notes[i].path);
	free(p->entries);
	free(p->notes);
	touches_release(&p->places);
	*p = (struct pack_plan){ 0 };
}
