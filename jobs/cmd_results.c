/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_results.c: `talkoot results JOB`: into a folder, as a table, or both.
 *
 * A table without a folder is made from a temporary one, which has only what the table shows.
 */
#include "jobs/harvest.h"
#include "jobs/resdir.h"
#include "jobs/tabulate.h"

#include "common/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

struct results {
	struct cmd cmd;
	struct texts output, with;
	const char *format; /* NULL: no table */
	bool exact;
	/* what the options mean: */
	const char *dir, *file; /* NULL: none; a table without a file goes to standard output */
	struct client client;
	char *scratch; /* the temporary folder */
};

static int read_options(struct results *r, int argc, char **argv)
{
	const struct knob knobs[] = {
		{ .name = "output",
			.letter = 'o',
			.kind = KNOB_TEXTS,
			.where = &r->output,
			.argument = "DIR",
			.help = "the folder to write; with --format also FILE.csv or FILE.ndjson "
		                "for the table" },
		{ .name = "format",
			.kind = KNOB_CHOICE,
			.where = &r->format,
			.argument = "csv|ndjson",
			.help = "a table, a row a task, on standard output or into FILE",
			.choices = "csv|ndjson" },
		{ .name = "with",
			.kind = KNOB_TEXTS,
			.where = &r->with,
			.argument = "RETRYJOB",
			.help = "rows of tasks that `retry` tried again are taken from there; "
		                "repeatable" },
		{ .name = "exact",
			.kind = KNOB_FLAG,
			.where = &r->exact,
			.help = "csv: no ' before text that a spreadsheet would take for a "
		                "formula" },
		{ .name = NULL },
	};
	const struct cmd_about about = { "results",
		"talkoot results JOB --output DIR\n       talkoot results JOB --format csv [-o "
		"FILE.csv] [--with RETRYJOB]",
		"Fetch a job's results and the evidence for them. Again on the same folder, it "
		"fetches what is new.\n"
		"Of an unfinished job it writes what is final and exits 1.",
		CMD_READING, 1, 1, false };

	return cmd_read(&r->cmd, &about, knobs, argc, argv);
}

/* --- what the options mean ------------------------------------------------------------------- */
/* With a format: `-`, and what ends in its name, is the table; all else is the folder. */
static bool names_table(const struct results *r, const char *path)
{
	const char *dot = strrchr(path, '.');

	return r->format && (!strcmp(path, "-") || (dot && !strcmp(dot + 1, r->format)));
}

/* With a format: a name that people give to files, and that would become a folder. One that is there, or ends in a slash, is meant. */
static bool looks_like_file(const struct results *r, const char *path)
{
	static const char *const endings[] = { "csv", "tsv", "txt", "json", "ndjson", "xlsx" };
	const char *dot = strrchr(path, '.');
	struct stat st;

	if (!r->format || !dot || (!stat(path, &st) && S_ISDIR(st.st_mode)))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		if (!strcasecmp(dot + 1, endings[i]))
			return true;
	return false;
}

static int check(struct results *r, struct err *e)
{
	for (size_t i = 0; i < r->output.n; i++) {
		bool table = names_table(r, r->output.at[i]);
		const char **place = table ? &r->file : &r->dir;

		if (!table && looks_like_file(r, r->output.at[i]))
			return err_set(e, ERR_USAGE,
				"results: --output %s: the table's name ends in .%s; if a folder is meant: %s/",
				r->output.at[i], r->format, r->output.at[i]);
		if (*place)
			return err_set(e, ERR_USAGE, "results: --output: %s and %s: say one %s",
				*place, r->output.at[i], table ? "file" : "folder");
		*place = r->output.at[i];
	}
	if (!r->format && !r->dir)
		return err_set(e, ERR_USAGE,
			"results: --output DIR is needed, or --format csv for a table");
	bool csv = r->format && !strcmp(r->format, "csv");
	if ((r->with.n || r->exact) && !csv)
		return err_set(e, ERR_USAGE, "results: --%s goes with --format csv",
			r->with.n ? "with" : "exact");
	if (r->with.n > TABULATE_RETRIES_MAX)
		return err_set(e, ERR_USAGE, "results: more than %d --with", TABULATE_RETRIES_MAX);
	if (r->file && !strcmp(r->file, "-"))
		r->file = NULL;
	if (r->format && !r->file && r->cmd.json)
		return err_set(e, ERR_USAGE,
			"results: --json: the table goes to standard output: name a file for it "
		        "with -o");
	return 0;
}

/* --- the table ------------------------------------------------------------------------------- */
static int make_scratch(struct results *r, struct err *e)
{
	const char *tmp = getenv("TMPDIR");

	r->scratch = xprintf("%s/talkoot-results-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (mkdtemp(r->scratch))
		return client_on_interrupt(&r->client, e); /* so that it goes away in any case */
	err_sys(e, "making the temporary folder %s", r->scratch);
	free(TAKE(r->scratch));
	return -1;
}

/* Whether the folder's job says that it retries `id`. */
static int check_retry(const char *dir, const char *retry, const char *id, struct err *e)
{
	auto_free char *line = NULL;
	struct msg m;
	size_t n;

	if (resdir_one_line(dir, RESDIR_JOB, &line, &n, e) || msg_open(&m, line, n, NULL, e))
		return -1;
	bool same = !strcmp(jtext(m.body, "retry_of"), id);
	msg_release(&m);
	return same ? 0
	            : err_set(e, ERR_USAGE, "--with %.12s: is no retry of job %.12s", retry, id);
}

static int fetch_retries(struct results *r, const char *id, struct tabulate *t,
	struct harvest_tally *all, struct err *e)
{
	for (size_t i = 0; i < r->with.n; i++) {
		char retry[DIGEST_HEX + 1];
		char *dir = xprintf("%s/retry-%zu", r->scratch, i);
		struct harvest_tally tally;

		t->retries[t->n_retries++] = dir;
		if (client_job_id(&r->client, retry, r->with.at[i], e) ||
			harvest_for_table(&r->client, retry, dir, &tally, e) ||
			check_retry(dir, retry, id, e))
			return -1;
		all->count += tally.count;
		all->final += tally.final;
	}
	return 0;
}

static int copy_lines(const char *dir, FILE *out, struct err *e)
{
	auto_free char *path = resdir_path(dir, RESDIR_RESULTS);
	auto_file FILE *in = fopen(path, "re");
	char bytes[65536];
	size_t n;

	if (!in)
		return err_sys(e, "opening %s", path);
	while ((n = fread(bytes, 1, sizeof(bytes), in)) > 0)
		if (fwrite(bytes, 1, n, out) != n)
			return err_sys(e, "writing the table");
	return ferror(in) || fflush(out) ? err_sys(e, "writing the table") : 0;
}

static int write_table(const struct results *r, struct tabulate *t, FILE *out, struct err *e)
{
	if (!strcmp(r->format, "ndjson"))
		return copy_lines(t->dir, out, e);
	int bad = tabulate(t, out, e);
	if (!bad && t->crowded)
		complain("results: %s: it is given as text", t->crowded);
	return bad;
}

/* No half-written file under the final name. */
static int write_file(const struct results *r, struct tabulate *t, struct err *e)
{
	auto_free char *part = xprintf("%s.XXXXXX", r->file);
	int fd = mkstemp(part);
	FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
	mode_t mask = umask(0);

	umask(mask);
	if (!out)
		return err_sys(e, "creating %s", part);
	int bad = fchmod(fd, 0666 & ~mask) ? err_sys(e, "creating %s", part)
	                                   : write_table(r, t, out, e);
	if (fclose(out) && !bad)
		bad = err_sys(e, "writing %s", part);
	if (!bad && rename(part, r->file))
		bad = err_sys(e, "renaming %s to %s", part, r->file);
	if (bad)
		unlink(part);
	return bad;
}

/* --- all of it ------------------------------------------------------------------------------- */
static int fetch(struct results *r, const char *id, struct tabulate *t, struct harvest_tally *tally,
	struct err *e)
{
	if (r->format && (!r->dir || r->with.n) && make_scratch(r, e))
		return -1;
	if (r->dir)
		t->dir = r->dir;
	else
		t->dir = xprintf("%s/job", r->scratch);
	return (r->dir ? harvest : harvest_for_table)(&r->client, id, t->dir, tally, e) ||
	                       fetch_retries(r, id, t, tally, e)
	               ? -1
	               : 0;
}

static int run(
	struct results *r, char id[DIGEST_HEX + 1], struct harvest_tally *tally, struct err *e)
{
	struct tabulate t = { .exact = r->exact };
	struct err ignored;

	int bad = client_open(&r->client, &r->cmd, e) ||
	          client_job_id(&r->client, id, r->cmd.conf.words.at[0], e) ||
	          fetch(r, id, &t, tally, e);
	if (!bad && r->format)
		bad = r->file ? write_file(r, &t, e) : write_table(r, &t, stdout, e);
	if (bad && e->code == ERR_FULL)
		e->code = ERR_SYSTEM; /* it is this disk: nobody refused anything */
	client_close(&r->client);
	for (size_t i = 0; i < t.n_retries; i++)
		free((char *)(uintptr_t)t.retries[i]);
	if (t.dir != r->dir)
		free((char *)(uintptr_t)t.dir);
	if (r->scratch)
		remove_tree(r->scratch, &ignored);
	return bad ? -1 : 0;
}

int cmd_results(int argc, char **argv)
{
	static struct results r; /* the texts of its options live as long as the process */
	struct harvest_tally tally = { 0 };
	char id[DIGEST_HEX + 1];
	struct err e;

	int exit_code = read_options(&r, argc, argv);
	if (exit_code >= 0)
		return exit_code;
	if (check(&r, &e) || run(&r, id, &tally, &e))
		return cmd_fail(&e);
	if (tally.final < tally.count)
		complain("results: %lld of %lld tasks are final; the rest is not there yet",
			(long long)tally.final, (long long)tally.count);
	if (r.cmd.json) {
		auto_free char *shown = text_safe(r.dir ? r.dir : r.file,
			strlen(r.dir ? r.dir : r.file)); /* a path may be no UTF-8 */

		cmd_print_json(json_pack("{s:s, s:s, s:I, s:I}", "job", id, "output", shown,
			"count", (json_int_t)tally.count, "final", (json_int_t)tally.final));
	}
	return tally.final < tally.count;
}
