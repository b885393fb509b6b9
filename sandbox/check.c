/* SPDX-License-Identifier: Apache-2.0
 *
 * check.c: see check.h. What binds a process for ever is tried in a child, which tells the reason
 * through a pipe.
 */
#include "sandbox/check.h"

#include "sandbox/filter.h"
#include "sandbox/landlock.h"
#include "sandbox/limit.h"
#include "sandbox/report.h"
#include "sandbox/space.h"

#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

typedef int try_fn(struct why *w);

static int try_root(struct why *w)
{
	static struct spec s;
	struct given g;
	int work;

	given_init(&g);
	s.profile = BOX_FILES;
	s.limits.disk_mib = 1;
	return space_root(&g, &s, &work, w);
}

static int try_landlock(struct why *w)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return why_sys(w, "no_new_privs");
	return landlock_bind(NULL, 0, w);
}

static int try_filter(struct why *w)
{
	struct filter_plan plan = { .profile = BOX_FILES, .rooted = true, .self = getpid() };
	struct filter f;
	int listener, rc;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return why_sys(w, "no_new_privs");
	filter_make(&f, &plan);
	rc = filter_bind(&f, plan.seeded, &listener);
	return rc ? why_set(w, "seccomp: loading the filter: %s", strerror(-rc)) : 0;
}

static int try_rlimits(struct why *w)
{
	const struct box_limits l = { 1, 1, 64, 1, 1, 1, 1, true };

	return limit_can_look(w) || limit_bind(&l, true, w) ? -1 : 0;
}

/* Run `fn` in a child with new namespaces `layers`, which waits until its id maps are there. Empty
 * text: it succeeded. */
static void try_in_child(try_fn *fn, unsigned layers, struct why *w)
{
	int go[2], told[2];
	ssize_t n;
	pid_t pid;
	char c;

	if (pipe2(go, O_CLOEXEC) || pipe2(told, O_CLOEXEC)) {
		why_sys(w, "making pipes");
		return;
	}
	pid = space_fork(layers, w);
	if (pid == 0) {
		close(go[1]);
		if (read(go[0], &c, 1) == 0 && fn(w) == 0)
			w->text[0] = 0;
		/* write may be forbidden by what was tried; then an empty text is right */
		_exit(write(told[1], w->text, strlen(w->text)) < 0);
	}
	close(go[0]);
	close(go[1]);
	close(told[1]);
	n = pid < 0 ? -1 : read(told[0], w->text, sizeof(w->text) - 1);
	if (n >= 0)
		w->text[n] = 0;
	close(told[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static const struct {
	enum box_layer layer;
	try_fn *fn;
	unsigned within;
} tries[] = {
	{ BOX_LAYER_MOUNTNS, try_root, BOX_NAMESPACES },
	{ BOX_LAYER_LANDLOCK, try_landlock, 0 },
	{ BOX_LAYER_SECCOMP, try_filter, 0 },
	{ BOX_LAYER_RLIMITS, try_rlimits, 0 },
};

static void try_all(struct why why[BOX_N_LAYERS])
{
	struct limit_cgroup c;
	struct given g;

	given_init(&g);
	g.was_root = geteuid() == 0;
	limit_cgroup_make(&c, 67108864);
	if (c.dir < 0)
		why_set(&why[BOX_LAYER_CGROUP],
			"not granted; memory is watched from outside instead");
	limit_cgroup_remove(&c);
	if (given_become_nobody(&g, &why[BOX_LAYER_USERNS]))
		return;
	(void)space_probe(why);
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct why *w = &why[tries[i].layer];

		if (!w->text[0])
			try_in_child(tries[i].fn, tries[i].within, w);
	}
}

int check_run(FILE *f)
{
	static struct why why[BOX_N_LAYERS];
	unsigned have = 0;

	try_all(why);
	for (int l = 0; l < BOX_N_LAYERS; l++)
		have |= why[l].text[0] ? 0 : 1u << l;
	fprintf(f, "{\"compute\":%s,\"files\":%s,\"layers\":{",
		(have & BOX_ALWAYS) == BOX_ALWAYS ? "true" : "false",
		(~have & (BOX_ALWAYS | BOX_NAMESPACES)) ? "false" : "true");
	for (int l = 0; l < BOX_N_LAYERS; l++) {
		fprintf(f, "%s\"%s\":", l ? "," : "", report_layers[l]);
		report_string(f, why[l].text[0] ? why[l].text : "ok");
	}
	fprintf(f, "},\"policy\":\"%s\"}\n", filter_policy);
	return (have & BOX_ALWAYS) == BOX_ALWAYS ? 0 : 1;
}
