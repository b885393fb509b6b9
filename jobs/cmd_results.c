/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_results.c: `talkoot results JOB --output DIR`.
 */
#include "jobs/harvest.h"

#include "common/log.h"

#include <string.h>

int cmd_results(int argc, char **argv)
{
	const char *output = NULL;
	const struct knob knobs[] = {
		{ .name = "output", .letter = 'o', .kind = KNOB_TEXT, .where = &output, .argument = "DIR",
			.help = "the folder to write" },
		{ .name = NULL },
	};
	const struct cmd_about about = { "results", "talkoot results JOB --output DIR",
		"Fetch a job's results and the evidence for them. Again on the same folder, it fetches what is new.\n"
		"Of an unfinished job it writes what is final and exits 1.",
		CMD_READING, 1, 1, false };
	struct harvest_tally tally = { 0 };
	char id[DIGEST_HEX + 1];
	struct client c;
	static struct cmd cmd;
	struct err e;

	int exit_code = cmd_read(&cmd, &about, knobs, argc, argv);
	if (exit_code >= 0)
		return exit_code;
	if (!output) {
		complain("results: --output DIR is needed");
		return 2;
	}
	if (client_open(&c, &cmd, &e))
		return cmd_fail(&e);
	bool failed = client_job_id(&c, id, cmd.conf.words.at[0], &e) || harvest(&c, id, output, &tally, &e);
	client_close(&c);
	if (failed)
		return cmd_fail(&e);
	if (tally.final < tally.count)
		complain("results: %lld of %lld tasks are final; the rest is not there yet",
			(long long)tally.final, (long long)tally.count);
	if (cmd.json) {
		auto_free char *shown = text_safe(output, strlen(output)); /* a path may be no UTF-8 */

		cmd_print_json(json_pack("{s:s, s:s, s:I, s:I}", "job", id, "output", shown, "count",
			(json_int_t)tally.count, "final", (json_int_t)tally.final));
	}
	return tally.final < tally.count;
}
