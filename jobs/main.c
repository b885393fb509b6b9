/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c: `talkoot COMMAND …`: a table of commands.
 */
#include "jobs/cmd.h"

#include "common/log.h"

#include <signal.h>
#include <string.h>

static const struct {
	const char *name;
	cmd_fn *run;
	const char *help;
} commands[] = {
	{ "submit", cmd_submit, "submit a job: -- PROGRAM [ARG…]" },
	{ "pack", cmd_pack, "make an image of what a program opens here: -- PROGRAM [ARG…]" },
	{ "jobs", cmd_jobs, "list jobs" },
	{ "status", cmd_status, "how a job, or one task, stands" },
	{ "wait", cmd_wait, "wait until a job is over" },
	{ "results", cmd_results, "fetch results and their evidence" },
	{ "verify", cmd_verify, "check fetched results, offline" },
	{ "cancel", cmd_cancel, "cancel a job" },
	{ "retry", cmd_retry, "try failed tasks again, as a new job" },
	{ "workers", cmd_workers, "who works here" },
	{ "grid", cmd_grid, "what this grid is" },
	{ "blob", cmd_blob, "put or get bytes by digest, and their names elsewhere" },
	{ "keygen", cmd_keygen, "make a key" },
	{ "id", cmd_id, "print the id of your key" },
};

static int help(void)
{
	puts("usage: talkoot [OPTIONS] COMMAND [OPTIONS]\n\nSubmit work to a volunteer computing grid, fetch results, and check "
	     "them.\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].help);
	puts("\n`talkoot COMMAND --help` lists a command's options. The grid comes from --grid LINK, TALKOOT_GRID, or\n"
	     "`grid = LINK` in ~/.config/talkoot/config.");
	return 0;
}

/* Options may stand before the command, as git's do. How many words they are; those that belong to one command alone
 * are refused by whoever reads them. */
static int leading(int argc, char **argv)
{
	static const char *const alone[] = { "--json", "--help", "-h", "--version" };
	int n = 0;

	while (1 + n < argc && argv[1 + n][0] == '-') {
		const char *word = argv[1 + n++];
		bool has_value = strchr(word, '=') != NULL;

		for (size_t i = 0; i < ARRAY_LEN(alone); i++)
			has_value |= !strcmp(word, alone[i]);
		n += !has_value;
	}
	return 1 + n < argc ? n : 0; /* nothing behind them: the first word is at fault */
}

/* argv[1] becomes the command, and the n words that stood before it follow it. */
static void command_first(char **argv, int n)
{
	char *command = argv[1 + n];

	memmove(&argv[2], &argv[1], (size_t)n * sizeof(*argv));
	argv[1] = command;
}

int main(int argc, char **argv)
{
	const char *name;

	log_open("talkoot", LOG_WARN);
	signal(SIGPIPE, SIG_IGN);
	if (argc > 1 && strcmp(argv[1], "--help") != 0 && strcmp(argv[1], "-h") != 0 && strcmp(argv[1], "--version") != 0)
		command_first(argv, leading(argc, argv));
	name = argc > 1 ? argv[1] : NULL;
	if (name && (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")))
		return help();
	if (name && !strcmp(name, "--version"))
		return printf("talkoot %s\n", TALKOOT_VERSION) < 0;
	for (size_t i = 0; name && i < ARRAY_LEN(commands); i++)
		if (!strcmp(name, commands[i].name))
			return commands[i].run(argc - 2, argv + 2);
	if (name)
		complain("%s: there is no such command (see talkoot --help)", name);
	else
		complain("which command? see talkoot --help");
	return 2;
}
