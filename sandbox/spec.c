/* SPDX-License-Identifier: Apache-2.0
 *
 * spec.c: the options, by one table.
 */
#include "sandbox/spec.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { NUMBER, PATH, PROFILE, INPUT, ON_OFF, FLAG };

struct option {
	const char *name, *argument, *help;
	enum kind kind;
	size_t at; /* in struct spec */
	int64_t max;
};

#define AT(field) offsetof(struct spec, field)

static const struct option options[] = {
	{ "profile", "compute|files", "what the program may use (default compute)", PROFILE, 0, 0 },
	{ "root", "DIR", "files: a read-only base for dynamic programs", PATH, AT(root), 0 },
	{ "in", "NAME=PATH", "files: PATH as read-only /in/NAME (repeatable)", INPUT, 0, 0 },
	{ "out", "DIR", "files: where regular files of /out go; must be empty or new", PATH, AT(out), 0 },
	{ "stdin", "PATH", "standard input (default: nothing)", PATH, AT(in_path), 0 },
	{ "stdout", "PATH", "standard output (default: this one)", PATH, AT(out_path), 0 },
	{ "stderr", "PATH", "standard error (default: this one)", PATH, AT(err_path), 0 },
	{ "cpu", "S", "CPU seconds of all processes together (default 3600)", NUMBER, AT(limits.cpu_s),
		BOX_SECONDS_MAX },
	{ "wall", "S", "seconds (default 7200)", NUMBER, AT(limits.wall_s), BOX_SECONDS_MAX },
	{ "memory", "MIB", "memory of all processes together (default 512)", NUMBER,
		AT(limits.memory_mib), BOX_MIB_MAX },
	{ "disk", "MIB", "files: /out and /tmp together (default 256)", NUMBER, AT(limits.disk_mib),
		BOX_MIB_MAX },
	{ "max-output", "MIB", "standard output and error together (default 64)", NUMBER,
		AT(limits.max_output_mib), BOX_OUTPUT_MIB_MAX },
	{ "processes", "N", "files: processes at once (default 32)", NUMBER, AT(limits.processes),
		BOX_PROCESSES_MAX },
	{ "threads", "N", "threads the program is told to use (default 1)", NUMBER, AT(limits.threads),
		BOX_THREADS_MAX },
	{ "deterministic", "on|off", "pin what differs between machines (default on)", ON_OFF,
		AT(limits.deterministic), 0 },
	{ "report", "PATH", "a JSON object about the run goes here", PATH, AT(report), 0 },
	{ "check", NULL, "print as JSON what this machine grants, and exit", FLAG, AT(check), 0 },
	{ "help", NULL, "show this and exit", FLAG, AT(help), 0 },
	{ "version", NULL, "show the version and exit", FLAG, AT(version), 0 },
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

void spec_help(void)
{
	printf("usage: talkoot-sandbox [OPTIONS] -- PROGRAM [ARG...]\n\n"
	       "Runs one program with nothing but what the options give it. Exit: the program's own\n"
	       "code; 128+N when signal N ended it; 124 when a limit did; 125 when it was not started.\n\n");
	for (size_t i = 0; i < N_OPTIONS; i++) {
		char left[40];

		snprintf(left, sizeof(left), "--%s %s", options[i].name,
			options[i].argument ? options[i].argument : "");
		printf("  %-26s %s\n", left, options[i].help);
	}
}

bool spec_name_ok(const char *name)
{
	size_t n = strlen(name);

	return n >= 1 && n <= BOX_NAME_MAX && name[0] != '.' &&
		strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

static int usage(struct fail *f, const char *name, const char *value, const char *must)
{
	return fail_set(f, BOX_EXIT_USAGE, "--%s: \"%.100s\" is not %s", name, value, must);
}

static int set_number(int64_t *n, const struct option *o, const char *value, struct fail *f)
{
	char must[64];
	char *end;

	snprintf(must, sizeof(must), "a whole number from 1 to %lld", (long long)o->max);
	errno = 0;
	long long v = value[0] >= '1' && value[0] <= '9' ? strtoll(value, &end, 10) : 0;
	if (v < 1 || errno || *end || v > o->max)
		return usage(f, o->name, value, must);
	*n = v;
	return 0;
}

static int set_profile(struct spec *s, const char *value, struct fail *f)
{
	if (!strcmp(value, "image"))
		return fail_set(f, BOX_EXIT_USAGE, "--profile image: images are not there yet");
	if (strcmp(value, "compute") != 0 && strcmp(value, "files") != 0)
		return usage(f, "profile", value, "compute or files");
	s->profile = !strcmp(value, "files") ? BOX_FILES : BOX_COMPUTE;
	return 0;
}

static int add_input(struct spec *s, const char *value, struct fail *f)
{
	const char *equals = strchr(value, '=');
	struct spec_input *in = &s->inputs[s->n_inputs];

	if (!equals || equals - value > BOX_NAME_MAX || !equals[1])
		return usage(f, "in", value, "NAME=PATH");
	if (s->n_inputs == BOX_INPUTS_MAX)
		return fail_set(f, BOX_EXIT_USAGE, "--in: more than %d inputs", BOX_INPUTS_MAX);
	memcpy(in->name, value, (size_t)(equals - value));
	in->name[equals - value] = '\0';
	in->path = equals + 1;
	if (!spec_name_ok(in->name))
		return usage(f, "in", value, "NAME=PATH with a NAME of [A-Za-z0-9._-], no dot first");
	for (int i = 0; i < s->n_inputs; i++)
		if (!strcmp(s->inputs[i].name, in->name))
			return fail_set(f, BOX_EXIT_USAGE, "--in: %s is there twice", in->name);
	s->n_inputs++;
	return 0;
}

static int set(struct spec *s, const struct option *o, const char *value, struct fail *f)
{
	char *field = (char *)s + o->at;

	switch (o->kind) {
	case NUMBER:
		return set_number((int64_t *)(void *)field, o, value, f);
	case PATH:
		if (!*value)
			return usage(f, o->name, value, "a path");
		*(const char **)(void *)field = value;
		return 0;
	case PROFILE:
		return set_profile(s, value, f);
	case INPUT:
		return add_input(s, value, f);
	case ON_OFF:
		if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
			return usage(f, o->name, value, "on or off");
		*(bool *)field = !strcmp(value, "on");
		return 0;
	case FLAG:
		*(bool *)field = true;
		return 0;
	}
	return -1;
}

static const struct option *find(const char *name, size_t n)
{
	for (size_t i = 0; i < N_OPTIONS; i++)
		if (strlen(options[i].name) == n && !strncmp(options[i].name, name, n))
			return &options[i];
	return NULL;
}

static int check_whole(const struct spec *s, struct fail *f)
{
	if (s->help || s->version || s->check)
		return 0;
	if (!s->argv || !s->argv[0] || !*s->argv[0])
		return fail_set(f, BOX_EXIT_USAGE, "no program: write `-- PROGRAM [ARG...]` at the end");
	if (s->profile == BOX_COMPUTE && (s->n_inputs || s->out || s->root))
		return fail_set(f, BOX_EXIT_USAGE, "--%s: the profile compute has no files; use --profile files",
			s->n_inputs ? "in" : s->out ? "out" : "root");
	return 0;
}

int spec_parse(struct spec *s, int argc, char **argv, struct fail *f)
{
	*s = (struct spec){ .limits = BOX_LIMITS_DEFAULT };
	for (int i = 1; i < argc; i++) {
		const char *name = argv[i] + 2, *equals = strchr(argv[i], '=');

		if (!strcmp(argv[i], "--")) {
			s->argv = argv + i + 1;
			break;
		}
		if (strncmp(argv[i], "--", 2) != 0)
			return fail_set(f, BOX_EXIT_USAGE, "\"%.100s\" is no option; the program stands after --",
				argv[i]);
		size_t n = equals ? (size_t)(equals - name) : strlen(name);
		const struct option *o = find(name, n);
		if (!o)
			return fail_set(f, BOX_EXIT_USAGE, "unknown option --%.*s (see --help)",
				n > 100 ? 100 : (int)n, name);
		const char *value = equals ? equals + 1 : NULL;
		if (o->kind == FLAG && value)
			return fail_set(f, BOX_EXIT_USAGE, "--%s takes no value", o->name);
		if (o->kind != FLAG && !value) {
			if (i + 1 >= argc)
				return fail_set(f, BOX_EXIT_USAGE, "--%s: needs a value (%s)", o->name,
					o->argument);
			value = argv[++i];
		}
		if (set(s, o, value, f))
			return -1;
	}
	return check_whole(s, f);
}
