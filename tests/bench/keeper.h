/* SPDX-License-Identifier: Apache-2.0
 *
 * keeper.h: asking a warm keeper for boxes, as sandbox/box.h says; for the benches. What fails ends the program.
 */
#ifndef BENCH_KEEPER_H
#define BENCH_KEEPER_H

#include "sandbox/box.h"

#include <stddef.h>
#include <sys/types.h>

struct keeper {
	const char *profile;
	pid_t pid;
	int sock, null, report;
	uint32_t id;
};

_Noreturn void die(const char *what);

/* `sandbox` is talkoot-sandbox; it is ready then. */
void keeper_start(struct keeper *k, const char *sandbox, const char *profile);
/* Close the socket, see it end. */
void keeper_end(struct keeper *k);

/* Ask for a box: the program's own words stand after the options. `files`: what box.h lists between the report
 * and the streams. `out`: both streams; -1: nowhere. The report is empty then. */
struct keeper_box {
	const char *const *options; /* NULL-terminated */
	const char *const *words;   /* the same: its name first */
	const int *files;
	size_t n_files;
	int out;
};
void keeper_ask(struct keeper *k, const struct keeper_box *b);
/* The same of a program without words that says nothing, at normal priority: what is measured is not how busy the
 * machine is. */
void keeper_ask_plain(struct keeper *k, int program);
/* End the box that was asked for as number `id`, counted from 1. */
void keeper_kill(struct keeper *k, uint32_t id);
/* Wait for the word of a box's end; gives its exit. */
int keeper_hear(struct keeper *k);
/* Ask plainly, and see it exit 0. */
void keeper_launch(struct keeper *k, int program);

#endif
