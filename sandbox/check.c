/* SPDX-License-Identifier: Apache-2.0
 *
 * check.c: see check.h. What binds a process for ever is tried in a child, which tells the reason
 * through a pipe.
 */
#include "sandbox/check.h"

#include "sandbox/filter.h"
#include "sandbox/given.h"
#include "sandbox/landlock.h"
#include "sandbox/limit.h"
#include "sandbox/report.h"
#include "sandbox/space.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

typedef int try_fn(int proc, struct why *w);

static int privileges(struct why *w)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? why_sys(w, "no_new_privs") : 0;
}

static int failed(long rc, const char *what, struct why *w)
{
	errno = (int)-rc;
	return rc < 0 ? why_sys(w, "%s", what) : 0;
}

static int try_landlock(int proc, struct why *w)
{
	(void)proc;
	if (landlock_version() == 0)
		return why_set(w, "landlock: this kernel has none, or it is switched off");
	return privileges(w) || failed(landlock_bind(NULL, 0), "landlock", w) ? -1 : 0;
}

/* Seeded, for that asks the most of the kernel. */
static int try_filter(int proc, struct why *w)
{
	struct filter_plan plan = { BOX_FILES, true, true, getpid(), false };
	struct filter f;
	int listener;

	(void)proc;
	filter_make(&f, &plan);
	return privileges(w) || failed(filter_bind(&f, true, &listener), "seccomp", w) ? -1 : 0;
}

static int try_rlimits(int proc, struct why *w)
{
	return limit_can_look(proc, w) || limit_settle(w) ? -1 : 0;
}

/* Run `fn` in a child. Empty text: it succeeded. */
static void try_in_child(try_fn *fn, int proc, struct why *w)
{
	int told[2];
	ssize_t n;
	pid_t pid;

	if (pipe2(told, O_CLOEXEC)) {
		why_sys(w, "making pipes");
		return;
	}
	pid = fork();
	if (pid == 0) {
		if (fn(proc, w) == 0)
			w->text[0] = 0;
		/* write may be forbidden by what was tried; then an empty text is right */
		_exit(write(told[1], w->text, strlen(w->text)) < 0);
	}
	close(told[1]);
	n = pid < 0 ? why_sys(w, "starting a process") : read(told[0], w->text, WHY_MAX - 1);
	if (n >= 0)
		w->text[n] = 0;
	close(told[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static const struct {
	enum box_layer layer;
	try_fn *fn;
} tries[] = {
	{ BOX_LAYER_LANDLOCK, try_landlock },
	{ BOX_LAYER_SECCOMP, try_filter },
	{ BOX_LAYER_RLIMITS, try_rlimits },
};

static void try_cgroup(struct why *w)
{
	struct limit_cgroups all;
	struct limit_cgroup c;

	limit_cgroups_open(&all, true);
	limit_cgroup_make(&c, &all);
	limit_cgroup_set(&c, 67108864);
	if (c.dir < 0)
		why_set(w, "not granted; memory is watched from outside instead");
	limit_cgroup_drop(&c);
	limit_cgroups_close(&all);
}

static void try_all(int proc, struct why why[BOX_N_LAYERS])
{
	struct given g;

	given_init(&g);
	g.was_root = geteuid() == 0;
	try_cgroup(&why[BOX_LAYER_CGROUP]);
	if (given_become_nobody(&g, &why[BOX_LAYER_USERNS])) {
		for (int l = 0; l < BOX_N_LAYERS; l++)
			why[l] = why[BOX_LAYER_USERNS];
		return;
	}
	if (space_probe(proc, why) == BOX_NAMESPACES)
		(void)space_try_root(proc, &why[BOX_LAYER_MOUNTNS]);
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
		try_in_child(tries[i].fn, proc, &why[tries[i].layer]);
}

/* What `files` and `image` could have besides, as the layers: "ok" or why not. */
static void write_bits(FILE *f, int proc, bool files)
{
	static const char *const names[] = BOX_BITS_NAMES;
	struct why why[BOX_N_BITS] = { { "" } };

	if (files)
		(void)space_try_proc(proc, &why[1]);
	fputs(",\"bits\":{", f);
	for (int i = 0; i < BOX_N_BITS; i++) {
		if (!files)
			why_set(&why[i], "needs the profile files");
		fprintf(f, "%s\"%s\":", i ? "," : "", names[i]);
		report_string(f, why[i].text[0] ? why[i].text : "ok");
	}
	fputs("}", f);
}

static const char *word(unsigned have, unsigned needed)
{
	return (have & needed) == needed ? "true" : "false";
}

int check_run(FILE *f)
{
	static struct why why[BOX_N_LAYERS];
	int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	unsigned have = 0;

	try_all(proc, why);
	for (int l = 0; l < BOX_N_LAYERS; l++)
		have |= why[l].text[0] ? 0 : 1u << l;
	fprintf(f, "{\"compute\":%s,\"files\":%s,\"image\":%s,\"layers\":{", word(have, BOX_ALWAYS),
		word(have, BOX_ALWAYS | BOX_NAMESPACES), word(have, BOX_ALWAYS | BOX_NAMESPACES));
	for (int l = 0; l < BOX_N_LAYERS; l++) {
		fprintf(f, "%s\"%s\":", l ? "," : "", report_layers[l]);
		report_string(f, why[l].text[0] ? why[l].text : "ok");
	}
	fputs("}", f);
	write_bits(
		f, proc, (have & (BOX_ALWAYS | BOX_NAMESPACES)) == (BOX_ALWAYS | BOX_NAMESPACES));
	fprintf(f, ",\"policy\":\"%s\"}\n", filter_policy);
	close(proc);
	return (have & BOX_ALWAYS) == BOX_ALWAYS ? 0 : 1;
}
