/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd.c: options that every command has, and where their defaults live.
 */
#include "jobs/cmd.h"

#include "common/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* DIR of the XDG base directory specification, then talkoot/NAME. NULL without a home. */
static char *xdg_path(const char *variable, const char *under_home, const char *name)
{
	const char *base = getenv(variable), *home = getenv("HOME");

	if (base && *base == '/')
		return xprintf("%s/talkoot/%s", base, name);
	if (home && *home)
		return xprintf("%s/%s/talkoot/%s", home, under_home, name);
	return NULL;
}

/* The person's own file holds `grid` and `identity`, and is weaker than everything else. */
static int read_defaults(struct cmd *c, struct err *e)
{
	char *path = xdg_path("XDG_CONFIG_HOME", ".config", "config");
	const struct knob knobs[] = {
		{ .name = "grid", .kind = KNOB_TEXT, .where = &c->grid },
		{ .name = "identity", .kind = KNOB_TEXT, .where = &c->identity },
		{ .name = NULL },
	};
	struct conf conf = { .program = "talkoot", .knobs = knobs, .config = path };
	int bad = path && !access(path, F_OK) ? conf_read(&conf, 0, NULL, e) : 0;

	free(path);
	return bad;
}

static void add_knobs(struct cmd *c, const struct cmd_about *about, const struct knob *own)
{
	const struct {
		enum cmd_kind from;
		struct knob knob;
	} shared[] = {
		{ CMD_GRID,
			{ .name = "grid", .kind = KNOB_TEXT, .where = &c->grid, .argument = "LINK",
				.help = "the grid, talkoot://…" } },
		{ CMD_KEY,
			{ .name = "identity", .kind = KNOB_TEXT, .where = &c->identity, .argument = "FILE",
				.help = "your key; made on first use" } },
		{ CMD_READING,
			{ .name = "json", .kind = KNOB_FLAG, .where = &c->json,
				.help = "print one JSON document" } },
		{ CMD_PLAIN,
			{ .name = "log-level", .kind = KNOB_CHOICE, .where = &c->log_level, .argument = "LEVEL",
				.help = "error, warn, info or debug (warn)", .choices = "error|warn|info|debug" } },
	};
	size_t n = 0;

	for (; own && own->name && n < CMD_KNOBS_MAX - ARRAY_LEN(shared) - 1; own++)
		c->knobs[n++] = *own;
	for (size_t i = 0; i < ARRAY_LEN(shared); i++)
		if (about->kind >= shared[i].from)
			c->knobs[n++] = shared[i].knob;
	c->knobs[n].name = NULL;
}

int cmd_read(struct cmd *c, const struct cmd_about *about, const struct knob *own, int argc, char **argv)
{
	struct err e;

	*c = (struct cmd){ .log_level = "warn" };
	add_knobs(c, about, own);
	c->conf = (struct conf){ .program = "talkoot", .usage = about->usage, .about = about->about,
		.knobs = c->knobs, .env_prefix = about->kind == CMD_PLAIN ? NULL : "TALKOOT_" };
	if ((about->kind != CMD_PLAIN && read_defaults(c, &e)) || conf_read(&c->conf, argc, argv, &e))
		return cmd_fail(&e);
	if (c->conf.helped)
		return 0;
	log_open("talkoot", (enum log_level)log_level_by_name(c->log_level));
	if (c->conf.words.n >= about->words_min && c->conf.words.n <= about->words_max &&
		(about->takes_rest || !c->conf.has_rest))
		return -1;
	err_set(&e, ERR_USAGE, "%s: usage: %.*s", about->name, (int)strcspn(about->usage, "\n"), about->usage);
	return cmd_fail(&e);
}

int cmd_fail(const struct err *e)
{
	complain("%s", e->msg);
	return err_exit(e->code);
}

int cmd_print_json(json_t *j)
{
	json_dumpf(j, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
	putchar('\n');
	json_decref(j);
	return 0;
}

char *cmd_identity_path(const struct cmd *c)
{
	char *path = c->identity ? xstrdup(c->identity)
				 : xdg_path("XDG_DATA_HOME", ".local/share", "identity.key");

	return path ? path : xstrdup("identity.key");
}
