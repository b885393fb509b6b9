/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c: talkoot-sandbox: run one program with nothing but what the options give it.
 *
 *	spec    what is asked for            (pure)
 *	given   everything opened, then rights given up
 *	watch   the launcher's loop    --->  reap: the box's init  --->  start: the program
 *	report  how it ended                 (pure)
 *
 * It protects the machine from the program; nothing here protects the program from the machine.
 */
#include "sandbox/check.h"
#include "sandbox/spec.h"
#include "sandbox/watch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Beyond the program's own memory: what the kernel keeps for its processes. */
#define CGROUP_ROOM_MIB 8

static void complain(const struct why *w)
{
	fprintf(stderr, "talkoot-sandbox: %s\n", w->text);
}

/* Were one of 0, 1, 2 closed, the next file opened would take its place. */
static int hold_standard(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd < 3);
	return fd < 0 ? -1 : close(fd);
}

/* Files in a tmpfs are memory too, and so are inputs that had to be copied. */
static int64_t cgroup_bytes(const struct spec *s, const struct given *g)
{
	int64_t bytes = (s->limits.memory_mib + CGROUP_ROOM_MIB) * 1048576;
	struct stat st;

	if (s->profile == BOX_COMPUTE)
		return bytes;
	for (size_t i = 0; g->was_root && i < g->n_inputs; i++)
		bytes += fstat(g->inputs[i], &st) == 0 ? st.st_size : 0;
	return bytes + s->limits.disk_mib * 1048576;
}

static void run(struct ending *e, const struct spec *s, struct given *g)
{
	struct limit_cgroup cgroup;

	if (given_open(g, s, &e->why)) {
		e->failed = true;
		return;
	}
	limit_cgroup_make(&cgroup, cgroup_bytes(s, g));
	if (given_become_nobody(g, &e->why))
		e->failed = true;
	else
		watch_run(e, s, g, &cgroup);
	limit_cgroup_remove(&cgroup);
}

/* 0, or -1 when there is a report to write and it could not be. */
static int tell(const struct ending *e, const struct verdict *v, int fd)
{
	FILE *f;
	int rc;

	if (fd < 0)
		return 0;
	f = fdopen(dup(fd), "w");
	rc = !f || report_write(f, e, v) ? -1 : 0;
	if (f && fclose(f))
		rc = -1;
	return rc;
}

static int run_and_tell(const struct spec *s)
{
	static struct ending e; /* large */
	struct verdict v;
	struct given g;

	given_init(&g);
	if (given_open_report(&g, s, &e.why))
		e.failed = true;
	else
		run(&e, s, &g);
	v = report_judge(&e, &s->limits);
	if (e.why.text[0])
		complain(&e.why);
	if (tell(&e, &v, g.report))
		perror("talkoot-sandbox: --report");
	collect_release(&e.out);
	given_release(&g);
	return v.code;
}

int main(int argc, char **argv)
{
	static struct spec s; /* large */
	struct why w;

	if (hold_standard())
		return BOX_EXIT_SETUP;
	if (spec_read(&s, argc, argv, &w)) {
		complain(&w);
		return BOX_EXIT_USAGE;
	}
	switch (s.what) {
	case SPEC_HELP:
		return fputs(spec_help, stdout) < 0;
	case SPEC_VERSION:
		return printf("talkoot-sandbox %s\n", TALKOOT_VERSION) < 0;
	case SPEC_CHECK:
		return check_run(stdout);
	case SPEC_RUN:
		break;
	}
	return run_and_tell(&s);
}
