/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.c: see plan.h. Everything here is the keeper's, before the clone or after the end.
 */
#include "sandbox/plan.h"

#include "sandbox/lookup.h"
#include "sandbox/report.h"
#include "sandbox/space.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define PAGE 4096

/* plan | guard | the init's stack | guard | the program's stack. Stacks grow down. */
#define PLAN_ROOM ((sizeof(struct plan) + PAGE - 1) / PAGE * PAGE)
#define TOTAL (PLAN_ROOM + 2 * (PAGE + PLAN_STACK_BYTES))

#define WORK_OPTIONS sizeof(((struct plan *)0)->work_options)
enum {
#define X(field, flag, usual, most) usual_##field = usual,
	BOX_LIMIT_TABLE(X)
#undef X
};

static void work_options(char text[WORK_OPTIONS], int64_t disk_mib)
{
	snprintf(text, WORK_OPTIONS, "mode=0755,size=%lldm,nr_inodes=%d",
		(long long)disk_mib + SPACE_DISK_SLACK_MIB, SPACE_INODES + SPACE_INODE_SLACK);
}

/* Room that was used before has its pages: a keeper makes one box after another. */
#define IDLE_MAX 4
static struct plan *idle[IDLE_MAX];
static size_t n_idle;

static struct plan *map_room(void)
{
	char *at = mmap(NULL, TOTAL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct plan *p = (struct plan *)(void *)at;

	if (at == MAP_FAILED)
		return NULL;
	if (mprotect(at + PLAN_ROOM, PAGE, PROT_NONE) ||
		mprotect(at + PLAN_ROOM + PAGE + PLAN_STACK_BYTES, PAGE, PROT_NONE)) {
		munmap(at, TOTAL);
		return NULL;
	}
	return p;
}

struct plan *plan_new(void)
{
	struct plan *p = n_idle ? idle[--n_idle] : map_room();

	if (!p)
		return NULL;
	memset(p, 0, sizeof(*p));
	work_options(p->work_usual, usual_disk_mib);
	work_options(p->work_options, usual_disk_mib);
	p->proc = p->sock = p->listener = p->urandom = p->rule = p->procs = p->host = p->work = -1;
	return p;
}

void *plan_stack(struct plan *p, bool programs)
{
	return (char *)p + PLAN_ROOM + PAGE + (programs ? PLAN_STACK_BYTES + PAGE : 0);
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	free(p->in.path);
	free(p->program.path);
	for (size_t i = 0; i < p->n_inputs; i++)
		free(p->inputs[i].path);
	free(p->inputs);
	for (size_t i = 0; i < p->n_roots; i++) {
		free(p->roots[i].name);
		free(p->roots[i].path);
		free(p->roots[i].link);
	}
	free(p->roots);
	free(p->tries);
	if (n_idle < IDLE_MAX)
		idle[n_idle++] = p;
	else
		munmap(p, TOTAL);
}

/* --- inputs and --root: paths, for a descriptor of ours cannot be mounted in another namespace ---- */

static char *path_of(int fd)
{
	char link[40], path[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0 || n == (ssize_t)sizeof(path) - 1)
		return NULL;
	path[n] = 0;
	return strdup(path);
}

static int fill_input(struct plan_input *in, int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -1;
	in->regular = S_ISREG(st.st_mode);
	in->dev = st.st_dev;
	in->ino = st.st_ino;
	in->bytes = st.st_size;
	return 0;
}

static int fill_stdin(struct plan *p, const struct given *g, struct why *w)
{
	struct stat st;

	if (fill_input(&p->in, g->in))
		return why_sys(w, "--stdin");
	/* by /proc/self/fd/0 its other end could be had, for Landlock does not ask about pipes */
	if (p->bits & BOX_PROC && fstat(g->in, &st) == 0 && S_ISFIFO(st.st_mode))
		return why_set(w, "--stdin: with --bits proc it cannot be a pipe; give it a file");
	strcpy(p->in.show, ".stdin");
	if (p->in.regular)
		p->in.path = path_of(g->in);
	return 0;
}

static int fill_program(struct plan *p, const struct given *g, struct why *w)
{
	if (!(p->bits & BOX_PROC) || p->profile != BOX_FILES)
		return 0;
	if (fill_input(&p->program, g->program))
		return why_sys(w, "PROGRAM");
	strcpy(p->program.show, ".program");
	p->program.path = path_of(g->program);
	return 0;
}

static int fill_inputs(struct plan *p, const struct spec *s, const struct given *g, struct why *w)
{
	p->inputs = calloc(g->n_inputs ? g->n_inputs : 1, sizeof(*p->inputs));
	if (!p->inputs)
		return why_sys(w, "--in");
	for (size_t i = 0; i < g->n_inputs; i++) {
		struct plan_input *in = &p->inputs[i];

		if (fill_input(in, g->inputs[i]))
			return why_sys(w, "--in: looking at %s", s->inputs[i].name);
		snprintf(in->show, sizeof(in->show), "in/%s", s->inputs[i].name);
		in->path = path_of(g->inputs[i]);
		p->n_inputs = i + 1;
	}
	return 0;
}

/* Names at the top that are ours, or would show the machine. */
static const char *const not_from_root[] = { ".", "..", "proc", "sys", "dev", "in", "out", "tmp" };

static bool is_ours(const char *name)
{
	for (size_t i = 0; i < LEN(not_from_root); i++) {
		if (strcmp(name, not_from_root[i]) == 0)
			return true;
	}
	return false;
}

/* Folders and links, of an image also files; what else may be at the top is of no use. */
static int add_root(struct plan *p, int dir, const char *top, const char *name, struct why *w)
{
	struct plan_root *r = &p->roots[p->n_roots];
	char target[4096];
	struct stat st;
	ssize_t n = 0;

	if (is_ours(name))
		return 0;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return why_sys(w, "--root: %.80s", name);
	if (!S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode) &&
		!(S_ISREG(st.st_mode) && p->profile == BOX_IMAGE))
		return 0;
	if (p->n_roots == BOX_ROOT_MAX)
		return why_set(w, "--root: more than %d entries at its top", BOX_ROOT_MAX);
	if (S_ISLNK(st.st_mode) && (n = readlinkat(dir, name, target, sizeof(target) - 1)) <= 0)
		return 0;
	target[n] = 0;
	memset(r, 0, sizeof(*r));
	p->n_roots++;
	r->name = strdup(name);
	if (n > 0)
		r->link = strdup(target);
	else if (asprintf(&r->path, "%s/%s", strcmp(top, "/") ? top : "", name) < 0)
		r->path = NULL;
	return r->name && (r->link || r->path) ? 0 : why_set(w, "--root: no memory");
}

static int list_root(struct plan *p, int root, const char *top, struct why *w)
{
	int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return why_sys(w, "--root: listing it");
	}
	while (rc == 0 && (e = readdir(d)))
		rc = add_root(p, fd, top, e->d_name, w);
	closedir(d);
	return rc;
}

static int fill_root(struct plan *p, const struct given *g, struct why *w)
{
	struct statvfs f;
	char *top;
	int rc;

	if (g->root < 0)
		return 0;
	if (p->profile == BOX_IMAGE && (fstatvfs(g->root, &f) || f.f_flag & ST_NOEXEC))
		return why_set(
			w, "--root: it lies where nothing may be executed (mount option noexec)");
	p->roots = calloc(BOX_ROOT_MAX, sizeof(*p->roots));
	top = path_of(g->root);
	rc = p->roots && top ? list_root(p, g->root, top, w) : why_sys(w, "--root");
	free(top);
	return rc;
}

/* --- the whole ------------------------------------------------------------------------------------- */

/* A program sees its name, and nothing of where it lies. */
static char **name_only(char **argv)
{
	char *slash = strrchr(argv[0], '/');

	if (slash)
		argv[0] = slash + 1;
	return argv;
}

/* An image's program sees its name as it was given: that is no path of this machine. */
static int fill_image(struct plan *p, const struct spec *s, struct why *w)
{
	env_add(&p->env, &s->limits, s->env, s->n_env);
	p->cwd = s->cwd ? s->cwd : "/";
	return lookup_paths(&p->tries, s->argv[0], env_value(&p->env, "PATH"), w);
}

static void choose(struct plan *p, bool deterministic, bool rooted, unsigned bits)
{
	struct filter_plan f = { p->profile, true, deterministic, SPACE_PROGRAM,
		(bits & BOX_JIT) != 0 };

	p->deterministic = p->seeded = deterministic;
	p->has_root = rooted;
	p->bits = bits;
	filter_make(&p->filter, &f);
}

void plan_expect(struct plan *p, const struct guess *guess)
{
	p->ahead = true;
	p->alone = guess->alone;
	p->rule = guess->program;
	choose(p, guess->deterministic, guess->rooted, guess->bits);
}

int plan_fill(struct plan *p, const struct spec *s, const struct given *g, struct why *w)
{
	const struct box_limits *l = &s->limits;

	p->profile = s->profile;
	p->prove = s->profile != BOX_COMPUTE && g->was_root && !g->is_nobody;
	if (!p->ahead)
		choose(p, l->deterministic, g->root >= 0, s->bits);
	p->idle = s->idle;
	memcpy(p->seed, s->seed, sizeof(p->seed));
	p->n_rlimits = limit_plan(p->rlimits, l, (p->born & BOX_BIT(USERNS)) != 0);
	work_options(p->work_options, l->disk_mib);
	env_build(&p->env, l);
	p->argv = s->profile == BOX_IMAGE ? s->argv : name_only(s->argv);
	if (s->profile == BOX_COMPUTE)
		return 0;
	if (s->profile == BOX_IMAGE && fill_image(p, s, w))
		return -1;
	return fill_stdin(p, g, w) || fill_program(p, g, w) || fill_inputs(p, s, g, w) ||
	                       fill_root(p, g, w)
	               ? -1
	               : 0;
}

static const char *const texts[] = {
#define X(id, text) text,
	STEP_TABLE(X)
#undef X
};

static const char *name_of(const struct plan *p)
{
	size_t at = (size_t)p->told.fault.at;

	switch (p->told.fault.step) {
	case STEP_LAYER:
		return report_layers[at < BOX_N_LAYERS ? at : 0];
	case STEP_INPUT:
		return at < p->n_inputs ? p->inputs[at].show + 3 : "";
	case STEP_ROOT:
		return at < p->n_roots ? p->roots[at].name : "";
	case STEP_CWD:
		return p->cwd ? p->cwd : "";
	case STEP_EXEC:
		return p->argv ? p->argv[0] : "";
	default:
		return "";
	}
}

void plan_why(const struct plan *p, struct why *w)
{
	const struct fault *f = &p->told.fault;
	const char *text = texts[f->step < STEP_N ? f->step : STEP_NONE], *mark = strchr(text, '%');
	char name[120];
	int head = mark ? (int)(mark - text) : (int)strlen(text);

	name[0] = 0;
	if (mark && mark[1] == 'd')
		snprintf(name, sizeof(name), "%d", f->at);
	else if (mark)
		snprintf(name, sizeof(name), "%.110s", name_of(p));
	why_set(w, "%.*s%s%s%s%s", head, text, name, mark ? mark + 2 : "", f->error ? ": " : "",
		f->error ? strerror(f->error) : "");
}
