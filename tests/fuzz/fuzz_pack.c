/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_pack.c: a file system and what was touched in it, as lines. Whatever they are, a plan has each path once, in order,
 * with the folders above it; nothing of the kernel's or the box's; and of a home outside of the working folder only what
 * may travel.
 *
 *	d PATH   f MODE PATH   o PATH   l PATH TEXT   what is there: folder, file (octal), other, link
 *	t HOW PATH                                    what was touched, HOW a number
 *	x GLOB                                        --exclude
 */
#include "jobs/pack_home.h"
#include "tests/fuzz/fuzz.h"

#define WORLD_MAX 256
#define HOME "/home/ann"
#define CWD "/home/ann/proj"

struct there {
	const char *path, *text;
	enum file_kind kind;
	unsigned mode;
};

struct fuzzed {
	struct there at[WORLD_MAX];
	size_t n;
	struct touches touched;
	const char *globs[4];
	size_t n_globs;
};

static void look_fuzzed(void *arg, const char *path, struct look *out)
{
	const struct fuzzed *f = arg;

	assert(path[0] == '/' && strlen(path) <= TOUCH_PATH_MAX);
	for (size_t i = 0; i < f->n; i++)
		if (!strcmp(f->at[i].path, path)) {
			*out = (struct look){ f->at[i].kind, f->at[i].mode,
				f->at[i].kind == FILE_REGULAR ? 1 : 0,
				f->at[i].kind == FILE_LINK ? xstrdup(f->at[i].text) : NULL };
			return;
		}
}

static void read_line(struct fuzzed *f, char *line)
{
	char *save = NULL, *what = strtok_r(line, " ", &save), *a = strtok_r(NULL, " ", &save),
	     *b = strtok_r(NULL, " ", &save);
	enum file_kind kind;

	if (!what || !a)
		return;
	if (*what == 't' && b)
		(void)touches_add(&f->touched, b, (unsigned)strtoul(a, NULL, 10) & 127);
	if (*what == 'x' && f->n_globs < ARRAY_LEN(f->globs))
		f->globs[f->n_globs++] = a;
	kind = *what == 'd'        ? FILE_FOLDER
	       : *what == 'o'      ? FILE_OTHER
	       : *what == 'f' && b ? FILE_REGULAR
	       : *what == 'l' && b ? FILE_LINK
	                           : FILE_NONE;
	if (kind == FILE_NONE || f->n == WORLD_MAX)
		return;
	f->at[f->n++] = (struct there){ kind == FILE_REGULAR ? b : a, b, kind,
		kind == FILE_REGULAR ? (unsigned)strtoul(a, NULL, 8) & 0777 : 0755 };
}

static bool has(const struct pack_plan *p, size_t before, const char *to, size_t n)
{
	for (size_t i = 0; i < before; i++)
		if (strlen(p->entries[i].to) == n && !memcmp(p->entries[i].to, to, n))
			return true;
	return false;
}

static void check_entry(const struct pack_where *w, const struct pack_plan *p, size_t i)
{
	const struct pack_entry *e = &p->entries[i];
	const char *slash = strrchr(e->to, '/');

	assert(e->to[0] == '/' && e->to[1] && slash[1]);
	assert(i == 0 || strcmp(p->entries[i - 1].to, e->to) < 0);
	assert(slash == e->to || has(p, i, e->to, (size_t)(slash - e->to)));
	assert((e->kind == FILE_REGULAR) == (e->from != NULL) &&
		(e->kind == FILE_LINK) == (e->text != NULL));
	assert(e->kind == FILE_REGULAR || e->kind == FILE_FOLDER || e->kind == FILE_LINK);
	assert((e->layer == LAYER_WORK) == path_below(e->to, PACK_WORK));
	if (e->from && !work_has(w, e->from))
		for (size_t k = 0; k < 5; k++)
			assert(!path_below(e->from,
				((const char *[]){ "/proc", "/sys", "/dev", "/tmp", "/run" })[k]));
	if (e->from && path_below(e->from, HOME "/.ssh")) {
		auto_free char *why = home_takes(w, HOME, e->from, TOUCH_READ);
		unsigned how = 0;

		for (size_t t = 0; t < ((const struct fuzzed *)w->arg)->touched.n; t++)
			how |= ((const struct fuzzed *)w->arg)->touched.at[t].how;
		assert(why || how & (TOUCH_ASKED | TOUCH_EXEC));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_free char *text = xmemdup(data, n);
	struct fuzzed f = { .n = 0 };
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		read_line(&f, line);
	struct pack_where w = { .cwd = CWD,
		.homes = { HOME },
		.exclude = { f.globs, f.n_globs },
		.bytes_max = WORLD_MAX,
		.look = look_fuzzed,
		.arg = &f };
	struct pack_plan p;
	struct err e = { 0 };
	int bad = pack_plan_make(&p, &w, &f.touched, &e);
	assert(!bad);
	for (size_t i = 0; i < p.n; i++)
		check_entry(&w, &p, i);
	pack_plan_release(&p);
	touches_release(&f.touched);
	return 0;
}
