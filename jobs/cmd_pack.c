/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_pack.c: `talkoot pack`: a run that is watched, a plan, an image, and its proof in the box.
 */
#include "jobs/cmd.h"

#include "common/buf.h"
#include "common/elf.h"
#include "common/log.h"
#include "jobs/beside.h"
#include "jobs/oci_write.h"
#include "jobs/pack_listed.h"
#include "jobs/pack_tell.h"
#include "jobs/pack_try.h"
#include "jobs/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_MIB 4096
#define MAX_MIB_MOST 8192 /* talkoot-image's own: what workers unpack */
#define ELF_HEAD 4096

extern char **environ;

struct pack {
	struct cmd cmd;
	const char *output;
	struct texts include, exclude;
	int64_t max_mib;
	bool no_try;
	char *cwd, *homes[PACK_HOMES_MAX], *image; /* absolute */
	char *tmp;                                 /* what is made for the proof */
	off_t stdin_at;                            /* -1: standard input is no file */
	struct trace trace;
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

static bool is_program(const char *path)
{
	struct stat st;

	return !access(path, X_OK) && !stat(path, &st) && S_ISREG(st.st_mode);
}

/* As execvp(3) finds it. Yours; NULL: it is nowhere. */
static char *find_program(const char *name)
{
	const char *path = getenv("PATH");

	if (strchr(name, '/'))
		return is_program(name) ? xstrdup(name) : NULL;
	for (const char *at = path; at && *at; at += strcspn(at, ":"), at += *at == ':') {
		size_t n = strcspn(at, ":");
		char *file = xprintf("%.*s%s%s", (int)n, at, n ? "/" : "./", name);

		if (is_program(file))
			return file;
		free(file);
	}
	return NULL;
}

static int check_program(const char *name, struct err *e)
{
	auto_free char *path = find_program(name);
	auto_close int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	char head[ELF_HEAD], platform[40];

	if (!path)
		return err_set(e, ERR_USAGE,
			"pack: %.300s: there is no such program, or it is not executable", name);
	ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof(head));
	if (n < 0)
		return err_sys(e, "pack: reading %s", path);
	if (elf_look(head, (size_t)n, platform) != ELF_STATIC)
		return 0;
	return err_set(e, ERR_USAGE,
		"pack: %.300s is a static program: it needs no image, submit it as it is: talkoot "
		"submit -- %.200s",
		name, path);
}

static int check_form(const struct pack *p, struct err *e)
{
	const struct conf *c = &p->cmd.conf;

	if (!p->output || !*p->output)
		return err_set(e, ERR_USAGE, "pack: where to? say -o IMG");
	if (!c->has_rest || !c->rest.n || !*c->rest.at[0])
		return err_set(e, ERR_USAGE, "pack: which program? say `-- PROGRAM [ARG…]`");
	for (size_t i = 0; i < c->rest.n; i++) {
		json_t *word = json_string(c->rest.at[i]);

		json_decref(word);
		if (!word)
			return err_set(e, ERR_USAGE,
				"pack: \"%.200s\" is not UTF-8: an image cannot hold it",
				c->rest.at[i]);
	}
	return check_program(c->rest.at[0], e);
}

/* The real path of a home, unless that is a folder of the system, as some accounts have. */
static char *real_home(const char *home)
{
	static const char *const no[] = { "/usr", "/bin", "/sbin", "/lib", "/etc" };
	char *path = home && *home == '/' ? realpath(home, NULL) : NULL;
	bool none = path && !path[1];

	for (size_t i = 0; path && i < ARRAY_LEN(no); i++)
		none |= path_below(path, no[i]);
	if (none)
		base_free(&path);
	return path;
}

/* HOME and the account's home: a test, or sudo, may have set one that the other is not. */
static void find_homes(struct pack *p)
{
	const struct passwd *user = getpwuid(getuid());
	size_t n = 0;

	p->homes[n] = real_home(getenv("HOME"));
	n += p->homes[n] != NULL;
	p->homes[n] = real_home(user ? user->pw_dir : NULL);
	for (size_t i = 0; i < PACK_HOMES_MAX; i++)
		p->where.homes[i] = p->homes[i];
}

/* Links in /proc are this process's, not the program's: they lead nowhere. */
static void look_here(void *arg, const char *path, struct look *out)
{
	char text[TOUCH_PATH_MAX + 1];
	struct stat st;
	ssize_t n;

	(void)arg;
	if (lstat(path, &st))
		return;
	*out = (struct look){ FILE_OTHER, st.st_mode & 0777, 0, NULL };
	if (S_ISDIR(st.st_mode))
		out->kind = FILE_FOLDER;
	if (S_ISREG(st.st_mode))
		*out = (struct look){ FILE_REGULAR, st.st_mode & 0777, st.st_size, NULL };
	if (S_ISLNK(st.st_mode) && !path_below(path, "/proc") &&
		(n = readlink(path, text, sizeof(text))) > 0 && n < (ssize_t)sizeof(text))
		*out = (struct look){ FILE_LINK, 0777, 0, xmemdup(text, (size_t)n) };
}

static char *absolute(const struct pack *p, const char *path)
{
	return *path == '/' ? xstrdup(path) : xprintf("%s/%s", p->cwd, path);
}

/* What the box sets (talkoot-sandbox(1)) and which files a program opens may hang on: a run with other words than in the
 * box would open other files. And Python leaves no files beside its own that the next image would have. */
static void settle_environment(void)
{
	static const char *const box[][2] = { { "LANG", "C" }, { "LC_ALL", "C" }, { "TZ", "UTC0" },
		{ "PYTHONHASHSEED", "0" }, { "MKL_NUM_THREADS", "1" }, { "OMP_NUM_THREADS", "1" },
		{ "OPENBLAS_NUM_THREADS", "1" }, { "PYTHONDONTWRITEBYTECODE", "1" } };

	for (size_t i = 0; i < ARRAY_LEN(box); i++)
		(void)setenv(box[i][0], box[i][1], 1);
}

static int settle(struct pack *p, struct err *e)
{
	const char *base = getenv("TMPDIR");

	p->cwd = realpath(".", NULL);
	if (!p->cwd)
		return err_sys(e, "pack: the working folder");
	if (!p->cwd[1])
		return err_set(e, ERR_USAGE,
			"pack: the working folder is /: go to the folder of your program first");
	p->image = absolute(p, p->output);
	auto_free char *folder = xmemdup(p->image, (size_t)(strrchr(p->image, '/') - p->image));
	if (access(*folder ? folder : "/", W_OK)) /* known before a long run */
		return err_sys(e, "pack: writing %s", p->output);
	p->tmp = xprintf("%s/talkoot-pack.XXXXXX", base && *base ? base : "/tmp");
	if (!mkdtemp(p->tmp)) {
		base_free(&p->tmp);
		return err_sys(e, "pack: making a temporary folder");
	}
	if (!geteuid() &&
		chmod(p->tmp,
			0711)) /* root's box is nobody's, who must get at the root by its path */
		return err_sys(e, "pack: opening the temporary folder");
	find_homes(p);
	p->where.cwd = p->cwd;
	p->where.image = p->image;
	p->where.exclude = p->exclude;
	p->where.bytes_max = p->max_mib * MIB;
	p->where.look = look_here;
	pack_env_code(&p->where.code, environ);
	p->stdin_at = lseek(0, 0, SEEK_CUR);
	settle_environment();
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

/* Everything below `path`, as asked for. What a link leads to is not: it is judged for itself. */
static int include(struct pack *p, const char *path, struct err *e)
{
	char *real = realpath(path, NULL), *at[] = { real, NULL };
	FTS *tree = real ? fts_open(at, FTS_PHYSICAL | FTS_NOCHDIR, NULL) : NULL;
	FTSENT *entry;

	if (!tree) {
		free(real);
		return err_sys(e, "pack: --include %s", path);
	}
	p->where.asked.at =
		xrealloc(p->where.asked.at, p->where.asked.n + 1, sizeof(*p->where.asked.at));
	p->where.asked.at[p->where.asked.n++] = real;
	auto_free char *spelled = absolute(p, path); /* its own links */
	touches_add(&p->trace.touches, spelled, TOUCH_STAT | TOUCH_ASKED);
	while ((entry = fts_read(tree)) && !p->trace.touches.full) {
		bool link = entry->fts_info == FTS_SL || entry->fts_info == FTS_SLNONE;

		if (entry->fts_info != FTS_DP)
			touches_add(&p->trace.touches, entry->fts_path,
				link ? TOUCH_STAT : TOUCH_STAT | TOUCH_ASKED);
	}
	fts_close(tree);
	return 0;
}

static int make_plan(struct pack *p, struct err *e)
{
	for (size_t i = 0; i < p->include.n; i++)
		if (include(p, p->include.at[i], e))
			return e->code = ERR_USAGE, -1;
	if (pack_plan_make(&p->plan, &p->where, &p->trace.touches, e))
		return err_wrap(e, "pack");
	pack_env_make(&p->env, &p->where, &p->plan, environ);
	return 0;
}

static int write_image(struct pack *p, int64_t *bytes, struct err *e)
{
	const struct oci_image image = { &p->plan, &p->env, &p->cmd.conf.rest };
	auto_free char *tmp = xprintf("%s.tmp-XXXXXX", p->image);
	struct err ignored;

	if (!mkdtemp(tmp))
		return err_sys(e, "pack: writing %s", p->output);
	int bad = oci_write(p->image, &image, tmp, bytes, e);
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
	if (p->stdin_at < 0)
		complain("pack: in the box its standard input was empty: give it a file (<FILE) to "
			 "have that read in both runs");
	complain("pack: %s is written, and not proven", p->output);
	return 1;
}

static int compare(struct pack *p, const struct pack_try *t, struct err *e)
{
	auto_free char *copy = xprintf("%s/here", p->tmp);
	int here = WEXITSTATUS(p->trace.status);
	bool equal;

	if (here != t->code ||
		(strcmp(t->reason, "exited") != 0 && strcmp(t->reason, "signaled") != 0))
		return differs(p, t, here);
	if (files_equal(copy, t->stdout_path, TRACE_STDOUT_MAX, &equal, e))
		return cmd_fail(e);
	if (!equal)
		complain(
			"pack: what it printed in the box differs from here: time, chance, this "
			"machine's "
			"name, or mathematics that the box pins? Results that differ cannot agree");
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
	struct pack_try t = { .image = p->image,
		.command = &p->cmd.conf.rest,
		.env = &p->env,
		.tmp = p->tmp,
		.stdin_file = p->stdin_at >= 0 };

	if (t.stdin_file)
		(void)lseek(0, p->stdin_at, SEEK_SET);
	int code = pack_try(&t, p->max_mib * MIB, e) ? -1 : compare(p, &t, e);
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
	free(p->cwd);
	free(p->image);
	free(p->tmp);
	for (size_t i = 0; i < PACK_HOMES_MAX; i++)
		free(p->homes[i]);
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
