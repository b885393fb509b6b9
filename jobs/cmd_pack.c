/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_pack.c: `talkoot pack`: a run that is watched, a plan, an image, and its proof in the box.
 */
#include "jobs/cmd.h"

#include "common/buf.h"
#include "common/log.h"
#include "jobs/job.h"
#include "jobs/oci_write.h"
#include "jobs/pack_here.h"
#include "jobs/pack_listed.h"
#include "jobs/pack_tell.h"
#include "jobs/difference.h"
#include "jobs/pack_try.h"
#include "jobs/trace.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_MIB 4096
#define MAX_MIB_MOST 8192 /* talkoot-image's own: what workers unpack */
#define NOBODY 65534      /* the box's */

extern char **environ;

struct pack {
	struct cmd cmd;
	const char *output;
	struct texts include, exclude;
	int64_t max_mib;
	bool no_try;
	char *tmp;      /* what is made for the proof */
	off_t stdin_at; /* -1: standard input is no file */
	struct trace trace;
	struct pack_here here;
	struct pack_where where;
	struct pack_plan plan;
	struct pack_env env;
};

/* --- before ----------------------------------------------------------------------------------- */
static int read_options(struct pack *p, int argc, char **argv)
{
	const struct knob knobs[] = {
		{ .name = "output",
			.letter = 'o',
			.kind = KNOB_TEXT,
			.where = &p->output,
			.argument = "IMG",
			.help = "where the image goes" },
		{ .name = "include",
			.kind = KNOB_TEXTS,
			.where = &p->include,
			.argument = "PATH",
			.help = "a file or a whole folder that goes along" },
		{ .name = "exclude",
			.kind = KNOB_TEXTS,
			.where = &p->exclude,
			.argument = "GLOB",
			.help = "what does not, by path or by name" },
		{ .name = "max-mib",
			.kind = KNOB_INT,
			.where = &p->max_mib,
			.min = 1,
			.max = MAX_MIB_MOST,
			.argument = "MIB",
			.help = "the most that all files may have together (4096)" },
		{ .name = "no-try",
			.kind = KNOB_FLAG,
			.where = &p->no_try,
			.help = "do not run it in the box afterwards" },
		{ .name = NULL },
	};
	const struct cmd_about about = { "pack", "talkoot pack -o IMG [OPTIONS] -- PROGRAM [ARG…]",
		"Run PROGRAM here, pack the files that it opens into an image for `talkoot submit "
		"--image`, and run it once\n"
		"more in the box from that image. What is left out is said.",
		CMD_PLAIN, 0, 0, true };

	*p = (struct pack){ .max_mib = MAX_MIB };
	return cmd_read(&p->cmd, &about, knobs, argc, argv);
}

static int check_form(const struct pack *p, struct err *e)
{
	const struct conf *c = &p->cmd.conf;

	if (!p->output || !*p->output)
		return err_set(e, ERR_USAGE, "pack: where to? say -o IMG");
	if (!c->has_rest || !c->rest.n || !*c->rest.at[0])
		return err_set(e, ERR_USAGE, "pack: which program? say `-- PROGRAM [ARG…]`");
	if (c->rest.n > JOB_ARGS_MAX)
		return err_set(
			e, ERR_USAGE, "pack: more than %d words: no job has more", JOB_ARGS_MAX);
	for (size_t i = 0; i < c->rest.n; i++) {
		json_t *word = json_string(c->rest.at[i]);

		json_decref(word);
		if (!word)
			return err_set(e, ERR_USAGE,
				"pack: \"%.200s\" is not UTF-8: an image cannot hold it",
				c->rest.at[i]);
	}
	return here_program(c->rest.at[0], e);
}

/* A folder for what is made on the way. Root's box is nobody's, who must get at the root by its path: nobody's group may
 * pass, and no one else. Where root can give it to no group, its box is root's. */
static int make_tmp(struct pack *p, struct err *e)
{
	const char *base = getenv("TMPDIR");

	p->tmp = xprintf("%s/talkoot-pack.XXXXXX", base && *base ? base : "/tmp");
	if (!mkdtemp(p->tmp)) {
		base_free(&p->tmp);
		return err_sys(e, "pack: making a temporary folder");
	}
	if (!geteuid() && !chown(p->tmp, 0, NOBODY) && chmod(p->tmp, 0710))
		return err_sys(e, "pack: opening the temporary folder");
	return 0;
}

static int settle(struct pack *p, struct err *e)
{
	if (here_open(&p->here, p->output, e) || make_tmp(p, e))
		return -1;
	p->where = (struct pack_where){ .cwd = p->here.cwd,
		.image = p->here.image,
		.exclude = p->exclude,
		.bytes_max = p->max_mib * MIB,
		.look = here_look };
	for (size_t i = 0; i < PACK_HOMES_MAX; i++)
		p->where.homes[i] = p->here.homes[i];
	pack_env_code(&p->where.code, environ);
	p->stdin_at = lseek(0, 0, SEEK_CUR);
	here_as_in_the_box();
	return 0;
}

/* --- the run ---------------------------------------------------------------------------------- */
static int run_here(struct pack *p, struct err *e)
{
	const struct texts *words = &p->cmd.conf.rest;
	auto_free char *copy = xprintf("%s/here", p->tmp),
		       **argv = xcalloc(words->n + 1, sizeof(*argv));

	for (size_t i = 0; i < words->n; i++)
		argv[i] = (char *)(uintptr_t)words->at[i]; /* execvp(3) writes nothing */
	if (trace_run(&p->trace, argv, copy, e))
		return err_wrap(e, "pack");
	if (WIFSIGNALED(p->trace.status))
		return err_set(e, ERR_PROGRAM,
			"pack: the program was ended by signal %d here: nothing was packed",
			WTERMSIG(p->trace.status));
	return 0;
}

static int make_plan(struct pack *p, struct err *e)
{
	for (size_t i = 0; i < p->include.n; i++)
		if (here_include(&p->trace.touches, &p->where.asked, p->include.at[i], e))
			return -1;
	if (pack_plan_make(&p->plan, &p->where, &p->trace.touches, e))
		return err_wrap(e, "pack");
	pack_env_make(&p->env, &p->where, &p->plan, environ);
	return 0;
}

static int write_image(struct pack *p, int64_t *bytes, struct err *e)
{
	const struct oci_image image = { &p->plan, &p->env, &p->cmd.conf.rest };
	auto_free char *tmp = xprintf("%s.tmp-XXXXXX", p->here.image);
	struct err ignored;

	if (!mkdtemp(tmp))
		return err_sys(e, "pack: writing %s", p->output);
	int bad = oci_write(p->here.image, &image, tmp, bytes, e);
	remove_tree(tmp, &ignored);
	return bad ? err_wrap(e, "pack") : 0;
}

/* --- telling ---------------------------------------------------------------------------------- */
static void tell_network(const struct trace *t)
{
	auto_buf struct buf b = { 0 };

	if (!t->network)
		return;
	for (size_t i = 0; i < t->n_peers; i++)
		buf_printf(&b, "%s%s", i ? ", " : ": ", t->peers[i]);
	complain("pack: the program asked for the network%s; there is none in the box",
		b.data ? b.data : "");
}

static void tell(struct pack *p, int64_t bytes)
{
	complain("pack: %s has %zu files, %.1f MiB (%.1f MiB as they are)", p->output,
		p->plan.files, (double)bytes / (double)MIB, (double)p->plan.bytes / (double)MIB);
	for (int why = TOOK_HOME; why < PACK_WHYS; why++) {
		auto_free char *text = tell_notes(&p->plan, (enum pack_why)why);

		if (text)
			complain("pack: %s", text);
	}
	auto_free char *listed = listed_left(&p->where, &p->plan, &p->trace.touches);
	if (listed)
		complain("pack: seen in a folder and not opened: %s; if another task needs them, "
			 "say --include",
			listed);
	tell_network(&p->trace);
	if (p->no_try && WEXITSTATUS(p->trace.status))
		complain("pack: the program ended with exit %d here: the image has what it opened "
			 "until then",
			WEXITSTATUS(p->trace.status));
	if (p->trace.foreign)
		complain("pack: a program of another architecture (32 bits?) ran: what it opened "
			 "is not known and not in the image");
}

/* --- the proof -------------------------------------------------------------------------------- */
static void show_lines(const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		auto_free char *line = text_safe(text, n);

		fprintf(stderr, "  | %s\n", line);
		text += n + (text[n] == '\n');
	}
}

static int differs(const struct pack *p, const struct pack_try *t, int here)
{
	auto_free char *missing = tell_missing(&p->plan, t->stderr_text);

	show_lines(t->stderr_text);
	if (strcmp(t->reason, "exited") != 0 && strcmp(t->reason, "signaled") != 0)
		complain("pack: in the box the program was ended by its limit: %s", t->reason);
	else
		complain("pack: here the program ended with exit %d, in the box with %d", here,
			t->code);
	if (missing)
		complain("pack: it may miss a file: %s", missing);
	if (here && !t->code && access("/out", F_OK))
		complain("pack: the box has a folder /out to write to, and this machine has none: "
			 "to have "
			 "it proven, let it write elsewhere here; with `talkoot submit` it may say "
			 "/out");
	if (here && t->code)
		complain("pack: it failed here, and what it had not opened by then is not in the image: "
			 "mend what it failed of here first");
	if (p->stdin_at < 0)
		complain("pack: in the box its standard input was empty: give it a file (<FILE) to "
			 "have that read in both runs");
	complain("pack: %s is written, and not proven", p->output);
	return 1;
}

/* The first lines that are not the same: a date or a time is seen at once. */
static void tell_lines(const char *one, const char *name, const char *other, const char *other_name)
{
	struct difference d = files_differ(one, other);
	auto_free char *a = text_safe(d.a, strlen(d.a)), *b = text_safe(d.b, strlen(d.b));

	complain("pack: what it printed in the box differs from %s, first in line %zu:", name,
		d.line);
	fprintf(stderr, "  %-5s | %s\n  %-5s | %s\n", name, a, other_name, b);
}

/* It printed something else than here. Results are compared with each other and never with this machine's, so what
 * counts is whether the box prints the same twice: mathematics that the box pins does, a clock does not. */
static int tell_difference(struct pack *p, struct pack_try *t, const char *here, struct err *e)
{
	auto_free char *first = xprintf("%s/first", p->tmp);
	bool equal;

	tell_lines(here, "here", t->stdout_path, "box");
	if (rename(t->stdout_path, first))
		return err_sys(e, "renaming %s", t->stdout_path);
	if (t->stdin_file)
		(void)lseek(0, p->stdin_at, SEEK_SET);
	if (pack_try_again(t, e) || files_equal(first, t->stdout_path, TRACE_STDOUT_MAX, &equal, e))
		return -1;
	if (equal) {
		complain("pack: run once more, the box printed the same: there mathematics does "
		         "not choose by the "
			 "processor, so results agree with each other, if not with this machine's");
		return 0;
	}
	tell_lines(first, "itself", t->stdout_path, "again");
	complain("pack: the time, or how long something took? Results that differ cannot agree");
	return 0;
}

static int compare(struct pack *p, struct pack_try *t, struct err *e)
{
	auto_free char *copy = xprintf("%s/here", p->tmp);
	int here = WEXITSTATUS(p->trace.status);
	bool equal;

	if (here != t->code ||
		(strcmp(t->reason, "exited") != 0 && strcmp(t->reason, "signaled") != 0))
		return differs(p, t, here);
	if (files_equal(copy, t->stdout_path, TRACE_STDOUT_MAX, &equal, e))
		return cmd_fail(e);
	if (!equal && tell_difference(p, t, copy, e))
		return -1;
	if (here) {
		complain(
			"pack: the program ended with exit %d, here as in the box: mend that first",
			here);
		return 1;
	}
	complain("pack: it ran in the box from the image%s",
		equal ? ", and printed the same as here" : "");
	return 0;
}

static int prove(struct pack *p, struct err *e)
{
	struct pack_try t = { .image = p->here.image,
		.command = &p->cmd.conf.rest,
		.env = &p->env,
		.tmp = p->tmp,
		.stdin_file = p->stdin_at >= 0 };

	if (t.stdin_file)
		(void)lseek(0, p->stdin_at, SEEK_SET);
	int code = pack_try(&t, e) ? -1 : compare(p, &t, e);
	if (code < 0) {
		err_wrap(e, "pack: %s is written, but could not be tried", p->output);
		(void)cmd_fail(e);
		code = 1;
	}
	pack_try_release(&t);
	return code;
}

/* --- all together ----------------------------------------------------------------------------- */
static void release(struct pack *p)
{
	struct err ignored;

	if (p->tmp)
		remove_tree(p->tmp, &ignored);
	trace_release(&p->trace);
	pack_plan_release(&p->plan);
	pack_env_release(&p->env);
	here_close(&p->here);
	free(p->tmp);
}

int cmd_pack(int argc, char **argv)
{
	static struct pack p; /* options live as long as the process */
	int code = read_options(&p, argc, argv);
	int64_t bytes = 0;
	struct err e;

	if (code >= 0)
		return code;
	if (check_form(&p, &e) || settle(&p, &e) || run_here(&p, &e) || make_plan(&p, &e) ||
		write_image(&p, &bytes, &e)) {
		code = cmd_fail(&e);
	} else {
		tell(&p, bytes);
		code = p.no_try ? WEXITSTATUS(p.trace.status) != 0 : prove(&p, &e);
	}
	release(&p);
	return code;
}
