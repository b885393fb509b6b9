/* SPDX-License-Identifier: Apache-2.0
 *
 * conf.h: one table of knobs a program, feeding flags, environment, file and --help alike.
 *
 * Command line beats environment beats file (--config FILE, `key = value` lines, `#` comments). An
 * unknown or malformed one is ERR_USAGE and is named. --help, --version and --config need no row.
 */
#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include "common/base.h"
#include "common/err.h"

enum knob_kind {
	KNOB_TEXT,   /* const char *: last one wins */
	KNOB_TEXTS,  /* struct texts: each adds one */
	KNOB_WORDS,  /* struct texts: all words up to the next option or `--`; at least one; command line only */
	KNOB_INT,    /* int64_t, min..max */
	KNOB_REAL,   /* double, min..max */
	KNOB_CHOICE, /* const char *: one of `choices`, "a|b|c" */
	KNOB_FLAG,   /* bool: present, or in files and environment yes|no */
};

struct texts {
	const char **at;
	size_t n;
};

struct knob {
	const char *name; /* "listen" for --listen; NULL ends the table */
	char letter;      /* 'o' for -o, or 0 */
	enum knob_kind kind;
	void *where;      /* holds the default beforehand */
	const char *argument;  /* "ADDR:PORT" in --help */
	const char *help;      /* one line; with the default in it */
	double min, max;
	const char *choices;
	bool command_line_only; /* not from environment or file */
};

struct conf {
	const char *program, *usage, *about; /* for --help */
	const char *env_prefix;              /* "TALKOOT_WORKER_"; NULL: no environment */
	const struct knob *knobs;
	bool stop_at_word; /* the first word that is no option ends the options (for `talkoot CMD …`) */
	/* out: */
	struct texts words;  /* what is no option, in order (before `--`) */
	struct texts rest;   /* what stands after `--` */
	bool has_rest;       /* there was a `--` */
	bool helped;         /* --help or --version was printed: exit 0 now */
	const char *config;  /* of --config */
};

/* argv without argv[0] in it. Texts are borrowed from argv, or live as long as the process. 0, or
 * -1 with ERR_USAGE (exit 2). */
int conf_read(struct conf *c, int argc, char **argv, struct err *e);
void conf_help(const struct conf *c);

#endif
