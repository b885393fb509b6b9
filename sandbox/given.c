/* SPDX-License-Identifier: Apache-2.0
 *
 * given.c: see given.h.
 *
 * All opening happens as whoever started us, before anything of the program runs; afterwards nobody
 * needs a right that the starter had, except writing the outputs and removing the cgroup.
 */
#include "sandbox/given.h"

#include "sandbox/program.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void given_init(struct given *g)
{
	memset(g, 0, sizeof(*g));
	g->program = g->in = g->out = g->err = g->root = g->outputs = g->report = -1;
}

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void given_release(struct given *g)
{
	int *each[] = { &g->program, &g->in, &g->out, &g->err, &g->root, &g->outputs, &g->report };

	for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++)
		shut(each[i]);
	for (size_t i = 0; i < g->n_inputs; i++)
		shut(&g->inputs[i]);
}

/* The next of those that were passed. */
static int next_passed(struct given_from *from, const char *flag, struct why *w)
{
	int fd;

	if (from->at == from->n)
		return why_set(w, "--%s: its descriptor was not passed", flag);
	fd = from->fds[from->at];
	from->fds[from->at++] = -1;
	return fd;
}

static int open_for(struct given_from *from, const char *flag, const char *path, int how, int *fd,
	struct why *w)
{
	*fd = from ? next_passed(from, flag, w) : open(path, how | O_CLOEXEC | O_NOCTTY, 0600);
	if (*fd >= 0)
		return 0;
	return from ? -1 : why_sys(w, "--%s %.120s", flag, path);
}

/* No path, or "-": our own. Never one of 0, 1, 2: should those be closed, an opened file must not
 * take their place (hold_standard() in main.c). */
static int open_stream(struct given_from *from, const char *flag, const char *path, int own,
	int how, int *fd, struct why *w)
{
	struct stat st;

	if (path && strcmp(path, "-") == 0)
		path = NULL;
	if (path || from ? open_for(from, flag, path, how, fd, w)
			 : (*fd = fcntl(own, F_DUPFD_CLOEXEC, 3)) < 0)
		return path || from ? -1 : why_sys(w, "%s is closed", flag);
	if (fstat(*fd, &st))
		return why_sys(w, "--%s", flag);
	/* a directory would be a way out for the calls that take one */
	if (S_ISDIR(st.st_mode))
		return why_set(w, "--%s %.120s: it is a directory", flag, path ? path : "");
	return 0;
}

static int open_inputs(
	struct given *g, const struct spec *s, struct given_from *from, struct why *w)
{
	struct stat st;

	for (size_t i = 0; i < s->n_inputs; i++) {
		const char *path = s->inputs[i].path;

		if (open_for(from, "in", path, O_RDONLY | O_NONBLOCK, &g->inputs[i], w))
			return -1;
		g->n_inputs = i + 1;
		if (fstat(g->inputs[i], &st))
			return why_sys(w, "--in %.120s", path);
		if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
			return why_set(w, "--in %.120s: neither a file nor a directory", path);
	}
	return 0;
}

/* `fd` is used up: 1 empty, 0 not, -1 error. */
static int is_empty(int fd)
{
	DIR *d = fdopendir(fd);
	struct dirent *e;
	int empty = 1;

	if (!d) {
		close(fd);
		return -1;
	}
	while (empty && (e = readdir(d)))
		empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	closedir(d);
	return empty;
}

static int open_outputs(
	struct given *g, const struct spec *s, struct given_from *from, struct why *w)
{
	int look, empty;

	if (!s->out)
		return 0;
	if (!from && mkdir(s->out, 0700) && errno != EEXIST)
		return why_sys(w, "--out %.120s", s->out);
	if (open_for(from, "out", s->out, O_RDONLY | O_DIRECTORY, &g->outputs, w))
		return -1;
	look = openat(g->outputs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	empty = look < 0 ? -1 : is_empty(look);
	if (empty < 0)
		return why_sys(w, "--out %.120s", s->out);
	return empty ? 0 : why_set(w, "--out %.120s: it is not empty", s->out);
}

int given_open_report(struct given *g, const struct spec *s, struct given_from *from, struct why *w)
{
	if (!s->report)
		return 0;
	return open_for(from, "report", s->report, O_WRONLY | O_CREAT | O_TRUNC, &g->report, w);
}

static int open_program(
	struct given *g, const struct spec *s, struct given_from *from, struct why *w)
{
	int fd;

	if (s->profile == BOX_IMAGE) { /* something has to have its number */
		g->program = open("/dev/null", O_RDONLY | O_CLOEXEC | O_NOCTTY);
		return g->program < 0 ? why_sys(w, "opening /dev/null") : 0;
	}
	fd = from ? next_passed(from, "PROGRAM", w) : program_find(s->argv[0], w);

	if (fd < 0)
		return -1;
	g->program = program_settle(fd, s->argv[0], s->root != NULL, g->was_root, w);
	return g->program < 0 ? -1 : 0;
}

int given_open(struct given *g, const struct spec *s, struct given_from *from, struct why *w)
{
	const int write_new = O_WRONLY | O_CREAT | O_TRUNC;

	g->was_root = from ? from->was_root : geteuid() == 0;
	g->is_nobody = from && from->is_nobody;
	if (open_program(g, s, from, w))
		return -1;
	if (s->root && open_for(from, "root", s->root, O_RDONLY | O_DIRECTORY, &g->root, w))
		return -1;
	if (open_inputs(g, s, from, w) || open_outputs(g, s, from, w))
		return -1;
	if (open_stream(from, "stdin", s->in ? s->in : "/dev/null", 0, O_RDONLY, &g->in, w) ||
		open_stream(from, "stdout", s->stdout_path, 1, write_new, &g->out, w) ||
		open_stream(from, "stderr", s->stderr_path, 2, write_new, &g->err, w))
		return -1;
	return 0;
}

static int set_capabilities(uint32_t low, struct why *w)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { low, low, 0 }, { 0, 0, 0 } };

	if (syscall(SYS_capset, &head, data))
		return why_sys(w, "giving up capabilities");
	return 0;
}

/* In a user namespace that maps only root there is no nobody to become (EINVAL): then root stays,
 * without capabilities, and whoever needs the limit on tasks has to prove that it binds. */
static int change_user(struct given *g, struct why *w)
{
	if (setgroups(0, NULL) && errno != EPERM)
		return why_sys(w, "leaving root's groups");
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
		return why_sys(w, "keeping one capability");
	g->is_nobody = setresgid(GIVEN_NOBODY, GIVEN_NOBODY, GIVEN_NOBODY) == 0 &&
	               setresuid(GIVEN_NOBODY, GIVEN_NOBODY, GIVEN_NOBODY) == 0;
	if (!g->is_nobody && errno != EINVAL && errno != EPERM)
		return why_sys(w, "becoming nobody");
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) || set_capabilities(1u << CAP_DAC_OVERRIDE, w))
		return why_sys(w, "giving up root's rights");
	return 0;
}

/* The change of user makes /proc/self root's, where the id maps are written, and it forgets that we
 * are to die with who started us: a worker asks for that before it executes us. */
int given_become_nobody(struct given *g, struct why *w)
{
	pid_t parent = getppid();
	int die = 0;

	if (!g->was_root)
		return 0;
	if (prctl(PR_GET_PDEATHSIG, &die, 0, 0, 0))
		return why_sys(w, "asking what we are bound to");
	if (change_user(g, w))
		return -1;
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) || prctl(PR_SET_PDEATHSIG, die, 0, 0, 0))
		return why_sys(w, "staying bound to who started us");
	return die && getppid() != parent ? why_set(w, "who started us is gone") : 0;
}
