/* SPDX-License-Identifier: Apache-2.0
 *
 * comparator.c: see comparator.h.
 */
#include "jobs/comparator.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define BOX_LIMIT 124 /* talkoot-sandbox(1), EXIT STATUS */
#define BOX_REFUSED 125

char **comparator_argv(
	const char *sandbox, const char *program, const char *a, const char *b, const char *output)
{
	char *const words[] = { xstrdup(sandbox), xstrdup("--profile"), xstrdup("files"),
		xstrdup("--stdout"), xstrdup("/dev/null"), xstrdup("--stderr"),
		xstrdup("/dev/null"), xstrdup("--cpu"), xprintf("%d", COMPARATOR_CPU_S),
		xstrdup("--wall"), xprintf("%d", COMPARATOR_WALL_S), xstrdup("--memory"),
		xprintf("%d", COMPARATOR_MEMORY_MIB), xstrdup("--disk"),
		xprintf("%d", COMPARATOR_DISK_MIB), xstrdup("--max-output"), xstrdup("1"),
		xstrdup("--processes"), xstrdup("1"), xstrdup("--threads"), xstrdup("1"),
		xstrdup("--deterministic"), xstrdup("on"), xstrdup("--priority"), xstrdup("normal"),
		xstrdup("--in"), xprintf("a=%s", a), xstrdup("--in"), xprintf("b=%s", b),
		xstrdup("--"), xstrdup(program), xstrdup(output), NULL };
	char **argv = xcalloc(ARRAY_LEN(words), sizeof(*argv));

	memcpy(argv, words, sizeof(words));
	return argv;
}

void comparator_free(char **argv)
{
	for (char **word = argv; word && *word; word++)
		free(*word);
	free(argv);
}

int comparator_answer(int status, char why[80])
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	if (code == 0 || code == 1)
		return code == 0;
	if (code == BOX_LIMIT)
		snprintf(why, 80, "a limit ended it");
	else if (code == BOX_REFUSED)
		snprintf(why, 80, "the box could not start it");
	else if (code > 128)
		snprintf(why, 80, "signal %d killed it", code - 128);
	else if (code >= 0)
		snprintf(why, 80, "it ended with exit %d, and only 0 and 1 are answers", code);
	else
		snprintf(why, 80, "the box was killed");
	return -1;
}

bool results_end_alike(const struct result *a, const struct result *b)
{
	bool alike = a->exit == b->exit && a->signal == b->signal && a->n_outputs == b->n_outputs;

	for (size_t i = 0; alike && i < a->n_outputs; i++)
		alike = !strcmp(a->outputs[i].name, b->outputs[i].name);
	return alike;
}
