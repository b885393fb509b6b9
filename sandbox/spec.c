/* SPDX-License-Identifier: Apache-2.0
 *
 * spec.c: the command line, read into a struct spec.
 *
 * Options are a table of (flag, how to read it, where it goes). `--flag VALUE` and `--flag=VALUE`
 * are the same; the first word that is no option, or `--`, begins the program.
 */
#include "sandbox/spec.h"

#include "sandbox/seed.h"

#include <string.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

const char spec_help[] =
	"usage: talkoot-sandbox [OPTION]... -- PROGRAM [ARG...]\n"
	"Run one program with nothing but what the options give it.\n"
	"\n"
	"  --profile compute     a static program, standard input to standard output (default)\n"
	"  --profile files       also: reads /in, writes /out and /tmp, may start processes\n"
	"  --profile image       as files, but PROGRAM is a path in --root, or a word looked up in "
	"its PATH\n"
	"  --in NAME=PATH        show PATH, read-only, as /in/NAME (files, image; repeatable)\n"
	"  --out DIR             take what it leaves in /out into DIR, empty or new (files, "
        "image)\n"
	"  --checkpoint S        every S seconds copy /out/checkpoint to DIR/.checkpoint of --out "
        "(files, image)\n"
	"  --root DIR            show what is in DIR, read-only: a root file system (files, "
	"image)\n"
	"  --env NAME=VALUE      one more in its environment (image; repeatable)\n"
	"  --cwd DIR             where it begins, a folder of the root (image; default /)\n"
	"  --bits WORD,...       jit: memory that was written may be executed; proc: a masked "
        "/proc,\n"
	"                        which tells paths of this machine (files, image)\n"
	"  --stdin PATH          standard input (default: /dev/null; -: our own)\n"
	"  --stdout PATH, --stderr PATH\n"
	"                        write them there (default: our own)\n"
	"  --cpu S               CPU seconds of all its processes together (default 3600)\n"
	"  --wall S              seconds from its start (default 7200)\n"
	"  --memory MIB          memory of all its processes together (default 512)\n"
	"  --disk MIB            /out and /tmp together (default 256)\n"
	"  --max-output MIB      standard output and error together (default 64)\n"
	"  --processes N, --threads N\n"
	"                        N + N - 1 tasks may exist at once (default 32 and 1)\n"
	"  --deterministic on|off\n"
	"                        fixed addresses, CPU-independent libm, fixed seeds (default on)\n"
	"  --seed HEX            64 digits: what getrandom and /dev/urandom draw from (default 0)\n"
	"  --priority idle|normal\n"
	"                        idle: only when nothing else wants the processor (default)\n"
	"  --report PATH         write what happened there, one JSON object\n"
	"  --serve               make boxes for who holds the other end of standard input, a "
	"socket\n"
	"                        (see talkoot-sandbox(1)); takes only --profile\n"
	"  --check               try each layer on this machine, print one JSON object\n"
	"  --help, --version\n"
	"\n"
	"Exit: the program's own code; 128+N when signal N killed it; 124 a limit ended it;\n"
	"125 it was not started; 2 wrong usage.\n";

struct option {
	const char *flag;
	int (*read)(struct spec *s, const struct option *o, const char *value, struct why *w);
	size_t at;    /* offset in struct spec */
	int64_t most; /* for numbers */
};

static int read_text(struct spec *s, const struct option *o, const char *value, struct why *w)
{
	if (*value == 0)
		return why_set(w, "--%s: must not be empty", o->flag);
	*(const char **)(void *)((char *)s + o->at) = value;
	return 0;
}

/* Plain decimal digits: no sign, no space, no exponent. */
static int read_number(struct spec *s, const struct option *o, const char *value, struct why *w)
{
	int64_t n = 0;
	const char *p = value;

	for (; *p >= '0' && *p <= '9' && n <= o->most; p++)
		n = n * 10 + (*p - '0');
	if (p == value || *p != 0 || n < 1 || n > o->most)
		return why_set(w, "--%s: '%.40s' is not a whole number from 1 to %lld", o->flag,
			value, (long long)o->most);
	*(int64_t *)(void *)((char *)s + o->at) = n;
	return 0;
}

static int read_switch(struct spec *s, const struct option *o, const char *value, struct why *w)
{
	bool on = strcmp(value, "on") == 0;

	if (!on && strcmp(value, "off") != 0)
		return why_set(w, "--%s: '%.40s' is neither on nor off", o->flag, value);
	*(bool *)((char *)s + o->at) = on;
	return 0;
}

static int read_seed(struct spec *s, const struct option *o, const char *value, struct why *w)
{
	uint64_t seed[4] = { 0 };

	if (seed_read(seed, value))
		return why_set(w, "--%s: '%.80s' is not 64 digits 0-9 a-f", o->flag, value);
	memcpy(s->seed, seed, sizeof(seed));
	return 0;
}

static int read_priority(struct spec *s, const struct option *o, const char *value, struct why *w)
{
	s->idle = strcmp(value, "idle") == 0;
	if (!s->idle && strcmp(value, "normal") != 0)
		return why_set(w, "--%s: '%.40s' is neither idle nor normal", o->flag, value);
	return 0;
}

static int read_profile(struct spec *s, const struct option *o, const char *value, struct why *w)
{
	static const char *const names[] = BOX_PROFILE_NAMES;

	for (int i = 0; i < BOX_N_PROFILES; i++) {
		if (strcmp(value, names[i]) == 0) {
			s->profile = (enum box_profile)i;
			return 0;
		}
	}
	return why_set(w, "--%s: '%.40s' is none of compute, files, image", o->flag, value);
}

/* Words with commas between them. */
static int read_bits(struct spec *s, const struct option *o, const char *value, struct why *w)
{
	static const char *const names[] = BOX_BITS_NAMES;

	for (const char *at = value;; at++) {
		size_t n = strcspn(at, ","), i = 0;

		while (i < LEN(names) && (strlen(names[i]) != n || memcmp(names[i], at, n) != 0))
			i++;
		if (i == LEN(names))
			return why_set(w, "--%s: '%.*s' is neither jit nor proc", o->flag,
				n > 40 ? 40 : (int)n, at);
		s->bits |= 1u << i;
		at += n;
		if (*at == 0)
			return 0;
	}
}

static int read_input(struct spec *s, const struct option *o, const char *value, struct why *w)
{
	const char *eq = strchr(value, '=');
	size_t n = eq ? (size_t)(eq - value) : 0;
	struct spec_input *in = &s->inputs[s->n_inputs];

	if (s->n_inputs == BOX_INPUTS_MAX)
		return why_set(w, "--%s: more than %d inputs", o->flag, BOX_INPUTS_MAX);
	if (!eq || eq[1] == 0)
		return why_set(w, "--%s: '%.80s' is not NAME=PATH", o->flag, value);
	if (n > BOX_NAME_MAX)
		return why_set(w, "--%s: the name is longer than %d bytes", o->flag, BOX_NAME_MAX);
	memcpy(in->name, value, n);
	in->name[n] = 0;
	in->path = eq + 1;
	if (!box_name_ok(in->name))
		return why_set(w,
			"--%s: '%.*s' is no good name: use A-Z a-z 0-9 . _ -, no dot in front",
			o->flag, (int)n, value);
	for (size_t i = 0; i < s->n_inputs; i++) {
		if (strcmp(s->inputs[i].name, in->name) == 0)
			return why_set(w, "--%s: %s is given twice", o->flag, in->name);
	}
	s->n_inputs++;
	return 0;
}

static int read_env(struct spec *s, const struct option *o, const char *value, struct why *w)
{
	const char *eq = strchr(value, '=');

	if (s->n_env == BOX_ENV_MAX)
		return why_set(w, "--%s: more than %d", o->flag, BOX_ENV_MAX);
	if (!eq || eq == value)
		return why_set(w, "--%s: '%.80s' is not NAME=VALUE", o->flag, value);
	if (strlen(value) > BOX_ENV_BYTES)
		return why_set(
			w, "--%s: %.40s… is longer than %d bytes", o->flag, value, BOX_ENV_BYTES);
	s->env[s->n_env++] = value;
	return 0;
}

static int read_folder(struct spec *s, const struct option *o, const char *value, struct why *w)
{
	if (value[0] != '/')
		return why_set(w, "--%s: '%.80s' does not begin with a slash", o->flag, value);
	return read_text(s, o, value, w);
}

#define AT(field) offsetof(struct spec, field)
static const struct option options[] = {
	{ "profile", read_profile, 0, 0 }, { "root", read_text, AT(root), 0 },
	{ "in", read_input, 0, 0 }, { "out", read_text, AT(out), 0 },
	{ "stdin", read_text, AT(in), 0 }, { "stdout", read_text, AT(stdout_path), 0 },
	{ "stderr", read_text, AT(stderr_path), 0 }, { "report", read_text, AT(report), 0 },
	{ "deterministic", read_switch, AT(limits.deterministic), 0 }, { "seed", read_seed, 0, 0 },
	{ "priority", read_priority, 0, 0 }, { "env", read_env, 0, 0 },
	{ "cwd", read_folder, AT(cwd), 0 }, { "bits", read_bits, 0, 0 },
	{ "checkpoint", read_number, AT(checkpoint_s), 86400 },
#define X(field, flag, usual, most) { flag, read_number, AT(limits.field), most },
	BOX_LIMIT_TABLE(X)
#undef X
};

/* Options that stand alone and say what to do instead of running. */
static const struct {
	const char *word;
	enum spec_what what;
} instead[] = {
	{ "--help", SPEC_HELP },
	{ "--version", SPEC_VERSION },
	{ "--check", SPEC_CHECK },
	{ "--serve", SPEC_SERVE },
};

static const struct option *find(const char *flag, size_t n)
{
	for (size_t i = 0; i < LEN(options); i++) {
		if (strlen(options[i].flag) == n && memcmp(options[i].flag, flag, n) == 0)
			return &options[i];
	}
	return NULL;
}

static bool says_what(struct spec *s, const char *word)
{
	for (size_t i = 0; i < LEN(instead); i++) {
		if (strcmp(word, instead[i].word) == 0) {
			s->what = instead[i].what;
			return true;
		}
	}
	return false;
}

/* Read the option at argv[*i] and step over it and its value. */
static int read_option(struct spec *s, int argc, char **argv, int *i, struct why *w)
{
	const char *flag = argv[*i] + 2, *eq = strchr(flag, '='), *value;
	size_t n = eq ? (size_t)(eq - flag) : strlen(flag);
	const struct option *o = find(flag, n);

	if (!o)
		return why_set(w, "--%.*s: unknown option", n > 60 ? 60 : (int)n, flag);
	if (eq) {
		value = eq + 1;
	} else if (*i + 1 < argc) {
		value = argv[++*i];
	} else {
		return why_set(w, "--%s: needs a value", o->flag);
	}
	++*i;
	return o->read(s, o, value, w);
}

/* What only makes sense together. */
static int check(const struct spec *s, struct why *w)
{
	const char *files = s->root ? "root" : s->out ? "out" : s->n_inputs ? "in" : NULL;
	const char *image = s->n_env ? "env" : s->cwd ? "cwd" : NULL;

	if (s->checkpoint_s && !s->out)
		return why_set(w, "--checkpoint: needs --out, where the copy goes");
	if (s->what == SPEC_SERVE)
		return s->argv[0] || files || image || s->bits
		               ? why_set(w, "--serve takes nothing but --profile")
		               : 0;
	if (!s->argv[0])
		return why_set(w, "no PROGRAM is given");
	if (s->argv[0][0] == 0)
		return why_set(w, "PROGRAM must not be empty");
	if (files && s->profile == BOX_COMPUTE)
		return why_set(w, "--%s: needs --profile files (compute has no files)", files);
	if (s->bits && s->profile == BOX_COMPUTE)
		return why_set(w, "--bits: needs --profile files or image (compute has none)");
	if (image && s->profile != BOX_IMAGE)
		return why_set(w, "--%s: needs --profile image", image);
	if (s->profile == BOX_IMAGE && !s->root)
		return why_set(w, "--profile image: needs --root DIR, the image's files");
	return 0;
}

int spec_read(struct spec *s, int argc, char **argv, struct why *w)
{
	int i = 1;

	memset(s, 0, offsetof(struct spec, inputs)); /* n_inputs says which of those are read */
	s->limits.deterministic = s->idle = true;
#define X(field, flag, usual, most) s->limits.field = usual;
	BOX_LIMIT_TABLE(X)
#undef X
	while (i < argc && argv[i][0] == '-') {
		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		if (says_what(s, argv[i]) && s->what != SPEC_SERVE)
			return 0;
		if (s->what == SPEC_SERVE && strcmp(argv[i], "--serve") == 0) {
			i++;
			continue;
		}
		if (argv[i][1] != '-')
			return why_set(w, "%.60s: unknown option", argv[i]);
		if (read_option(s, argc, argv, &i, w))
			return -1;
	}
	s->argv = argv + (i < argc ? i : argc);
	return check(s, w);
}
