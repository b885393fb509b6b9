/* SPDX-License-Identifier: Apache-2.0
 *
 * comparator.h: the submitter's comparator: a static program that says whether two outputs say the same.
 *
 * It runs in the box (profile files), once for each pair of outputs that differ: /in/a and /in/b are the outputs, its one
 * argument is their name ("stdout", "files/NAME"), standard input is empty, what it prints is thrown away. Exit 0: the
 * same; exit 1: different. Any other end says nothing, and the outputs count as different. This file only makes the
 * command and reads the answer; the coordinator and `talkoot verify` start it, each in its way.
 */
#ifndef JOBS_COMPARATOR_H
#define JOBS_COMPARATOR_H

#include "common/result.h"
#include "jobs/job.h"

/* Fixed: a comparator is to be small beside what it compares. */
#define COMPARATOR_CPU_S 10
#define COMPARATOR_WALL_S 20
#define COMPARATOR_MEMORY_MIB 256
#define COMPARATOR_DISK_MIB 16

/* What to start, ending in NULL: `program` is the file of the comparator (its base name becomes argv[0]), `a` and `b` the
 * files of the outputs. Yours: comparator_free(). */
char **comparator_argv(const char *sandbox, const char *program, const char *a, const char *b,
	const char *output) MUST_USE;
void comparator_free(char **argv);

/* From waitpid()'s status: 1 the same, 0 different, -1 it gave no answer, and *why says in a few words. */
int comparator_answer(int status, char why[80]);

/* Whether two results end alike, outputs aside: exit, signal, and the names of what they left. Where they do not they never
 * agree, however outputs are compared. */
bool results_end_alike(const struct result *a, const struct result *b);

#endif
