/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c: talkoot-sandbox: run one program with nothing but what the options give it.
 */
#include "sandbox/check.h"
#include "sandbox/launch.h"

#include <stdio.h>
#include <string.h>

static int complain(const struct fail *f)
{
	fprintf(stderr, "talkoot-sandbox: %s\n", f->text);
	return f->exit;
}

int main(int argc, char **argv)
{
	struct spec spec;
	struct fail f = { 0 };
	struct run run;
	FILE *report = NULL;

	if (spec_parse(&spec, argc, argv, &f))
		return complain(&f);
	if (spec.help)
		return spec_help(), 0;
	if (spec.version)
		return printf("talkoot-sandbox %s\n", TALKOOT_VERSION), 0;
	if (spec.check)
		return check_print(), 0;
	/* opened before the box exists: the report can then always be written */
	if (spec.report && !(report = fopen(spec.report, "we"))) {
		fail_sys(&f, "--report %.200s", spec.report);
		return complain(&f);
	}
	launch(&run, &spec);
	if (report) {
		launch_report(report, &run, &spec);
		if (fclose(report)) {
			fail_sys(&f, "--report %.200s", spec.report);
			return complain(&f);
		}
	}
	if (run.reason == BOX_SETUP)
		complain(&run.fail);
	return launch_exit(&run);
}
