/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_keys.c: `talkoot keygen` and `talkoot id`: who we are, without any grid.
 */
#include "jobs/client.h"

#include "common/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of the command's key, which is made where there is none. */
static int print_id(const struct cmd *cmd)
{
	char hex[ID_TEXT + 1];
	struct key *k;
	struct err e;

	if (key_of_cmd(&k, cmd, true, &e))
		return cmd_fail(&e);
	id_text(hex, key_id(k));
	key_free(k);
	puts(hex);
	return 0;
}

int cmd_id(int argc, char **argv)
{
	const struct cmd_about about = { "id", "talkoot id", "Print the id of your key, which is made on first use.",
		CMD_KEY, 0, 0, false };
	static struct cmd cmd;

	int exit_code = cmd_read(&cmd, &about, NULL, argc, argv);
	if (exit_code >= 0)
		return exit_code;
	return print_id(&cmd);
}

int cmd_keygen(int argc, char **argv)
{
	const struct cmd_about about = { "keygen", "talkoot keygen [FILE]",
		"Make a key in FILE, or where your identity lives, and print its id. Never overwrites.", CMD_KEY, 0,
		1, false };
	static struct cmd cmd;

	int exit_code = cmd_read(&cmd, &about, NULL, argc, argv);
	if (exit_code >= 0)
		return exit_code;
	if (cmd.conf.words.n)
		cmd.identity = cmd.conf.words.at[0];
	auto_free char *path = cmd_identity_path(&cmd);
	if (!access(path, F_OK)) {
		complain("keygen: %s is there already", path);
		return 1;
	}
	return print_id(&cmd);
}
