/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd.h: what the commands of `talkoot` share: their options, their errors, and their one-line table.
 *
 * A command is a function from its words to an exit code. It reads its options with cmd_read(), which adds
 * the ones that every command has.
 */
#ifndef JOBS_CMD_H
#define JOBS_CMD_H

#include "common/conf.h"

#include <jansson.h>

#define CMD_KNOBS_MAX 48

/* Its words live as long as the process, so it is static wherever it is one. */
struct cmd {
	const char *grid, *identity, *log_level;
	bool json;
	struct conf conf; /* .words are the command's words */
	struct knob knobs[CMD_KNOBS_MAX];
};

enum cmd_kind {
	CMD_PLAIN,   /* no grid needed: no environment, no configuration, so it works with everything switched off */
	CMD_KEY,     /* --identity */
	CMD_GRID,    /* --grid, --identity */
	CMD_READING, /* the same, and --json */
};

/* What a command says of itself. */
struct cmd_about {
	const char *name, *usage, *about;
	enum cmd_kind kind;
	size_t words_min, words_max; /* of .conf.words */
	bool takes_rest;             /* what stands behind `--` */
};

/* Read the words of a command. -1: go on; else the exit code, when all is said already. `own` may be NULL. */
int cmd_read(struct cmd *c, const struct cmd_about *about, const struct knob *own, int argc, char **argv);
/* Complain; give the exit code that belongs to the error. */
int cmd_fail(const struct err *e);
/* Print one JSON document and take it. Exit 0. */
int cmd_print_json(json_t *j);
/* The identity's file: of --identity, or where it lives by default. Yours. */
char *cmd_identity_path(const struct cmd *c) MUST_USE;

typedef int cmd_fn(int argc, char **argv);
cmd_fn cmd_submit, cmd_jobs, cmd_status, cmd_wait, cmd_cancel, cmd_retry, cmd_results, cmd_verify,
	cmd_workers, cmd_grid, cmd_blob, cmd_pack, cmd_keygen, cmd_id;

#endif
