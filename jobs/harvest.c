/* SPDX-License-Identifier: Apache-2.0
 *
 * harvest.c: messages first, then outputs, and results.ndjson last of all.
 *
 * Verdicts are fetched before attestations, so that every envelope that a verdict names is either in the
 * answer or of a job that is still going on (an envelope is shown when all of its tasks are final).
 */
#include "jobs/harvest.h"

#include "jobs/ask_job.h"
#include "jobs/download.h"
#include "jobs/evidence.h"
#include "jobs/resdir.h"
#include "jobs/table_out.h"
#include "jobs/tolerance.h"

#include "common/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct harvest {
	struct client *c;
	const char *id, *dir;
	struct evidence ev;
	struct buf verdicts, attestations, lines;
	struct downloads outputs, inputs, evidence;
	struct harvest_tally *tally;
	bool for_table;
};

static int write_text(
	const struct harvest *h, const char *name, const char *text, size_t n, struct err *e)
{
	auto_free char *path = resdir_path(h->dir, name);

	return file_write_atomic(path, text ? text : "", n, 0644, e);
}

static int write_line(const struct harvest *h, const char *name, const char *line, struct err *e)
{
	auto_free char *text = xprintf("%s\n", line);

	return write_text(h, name, text, strlen(text), e);
}

/* --- the evidence ---------------------------------------------------------------------------- */
/* The folder may hold this job's results already, but not another's. */
static int check_folder(const struct harvest *h, const char *manifest, struct err *e)
{
	auto_free char *path = resdir_path(h->dir, RESDIR_JOB);
	auto_free char *line = NULL;
	size_t n;

	if (make_dirs(h->dir, 0777, e))
		return -1;
	if (access(path, F_OK))
		return 0;
	if (resdir_one_line(h->dir, RESDIR_JOB, &line, &n, e) || strcmp(line, manifest) != 0)
		return err_set(e, ERR_CONFLICT, "%s holds another job's results", h->dir);
	return 0;
}

int harvest_claim(const char *dir, struct err *e)
{
	auto_free char *path = resdir_path(dir, RESDIR_JOB);

	if (make_dirs(dir, 0777, e))
		return -1;
	return access(path, F_OK) ? 0
	                          : err_set(e, ERR_CONFLICT, "%s holds another job's results", dir);
}

static int fetch_manifest(struct harvest *h, struct err *e)
{
	auto_free char *line = NULL;

	if (ask_manifest(h->c, h->id, &h->ev, &line, e))
		return -1;
	if (check_folder(h, line, e) || write_line(h, RESDIR_GRID, h->c->grid_line, e) ||
		write_line(h, RESDIR_JOB, line, e))
		return err_wrap(e, "job %.12s", h->id);
	return 0;
}

static int fetch_list(struct harvest *h, struct err *e)
{
	auto_free char *path = resdir_path(h->dir, RESDIR_TASKS);
	auto_free char *partial = resdir_path(h->dir, RESDIR_PARTIAL);
	auto_free char *text = NULL;
	struct downloads one = { 0 };
	size_t n;

	if (h->ev.job.tasks != TASKS_LIST)
		return 0;
	downloads_add(&one, &h->ev.job.list.digest, h->ev.job.list.size, xstrdup(path));
	int bad = downloads_run(&one, h->c, partial, e);
	if (!bad && one.missing)
		bad = err_set(e, ERR_UNKNOWN_BLOB, "the grid does not have the list of tasks");
	downloads_release(&one);
	if (bad || file_read(&text, &n, path, (size_t)JOB_LIST_MAX, e) ||
		evidence_list(&h->ev, text, n, e))
		return err_wrap(e, RESDIR_TASKS);
	return 0;
}

/* What its files from other jobs came to. A job that was cancelled before has none. */
static int fetch_sources(struct harvest *h, struct err *e)
{
	auto_free char *path = xprintf("/v1/jobs/%s/inputs", h->id);
	struct fetch_spec spec = { .method = "GET", .to = &h->c->to, .via = client_via(h->c), .path = path,
		.answer_max = INPUTS_TEXT_MAX };
	struct answer a = { 0 };

	if (!job_has_sources(&h->ev.job))
		return 0;
	int bad = fetch_wait(h->c->fetcher, &spec, &a, e);
	if (bad && e->code == ERR_NOT_FOUND) {
		answer_release(&a);
		return 0;
	}
	bad = bad || evidence_inputs(&h->ev, a.body.data ? a.body.data : "", a.body.len, e) ||
		write_text(h, RESDIR_SOURCES, a.body.data, a.body.len, e);
	answer_release(&a);
	return bad ? err_wrap(e, RESDIR_SOURCES) : 0;
}

static void keep(struct buf *b, const char *line, size_t n)
{
	buf_add(b, line, n);
	buf_add(b, "\n", 1);
}

static int take_verdict(void *arg, const char *line, size_t n, struct err *e)
{
	struct harvest *h = arg;

	keep(&h->verdicts, line, n);
	return evidence_verdict(&h->ev, line, n, e);
}

static int take_attestation(void *arg, const char *line, size_t n, struct err *e)
{
	struct harvest *h = arg;

	keep(&h->attestations, line, n);
	return evidence_attest(&h->ev, line, n, e);
}

static int fetch_messages(struct harvest *h, struct err *e)
{
	auto_free char *verdicts = xprintf("/v1/jobs/%s/verdicts", h->id);
	auto_free char *attestations = xprintf("/v1/jobs/%s/attestations", h->id);

	return client_get_lines(h->c, verdicts, take_verdict, h, e) ||
	                       client_get_lines(h->c, attestations, take_attestation, h, e) ||
	                       write_text(
				       h, RESDIR_VERDICTS, h->verdicts.data, h->verdicts.len, e) ||
	                       write_text(h, RESDIR_ATTESTATIONS, h->attestations.data,
				       h->attestations.len, e)
	               ? -1
	               : 0;
}

/* --- outputs --------------------------------------------------------------------------------- */
static int want_output(struct harvest *h, int64_t index, const char *name, const struct digest *d,
	int64_t size, struct err *e)
{
	if (!resdir_name_ok(name) && strcmp(name, "stderr") != 0) {
		auto_free char *safe = text_safe(name, strlen(name));

		return err_set(e, ERR_REFUSED,
			"task %lld: an output is called %.200s, which is not allowed",
			(long long)index, safe);
	}
	downloads_add(&h->outputs, d, size, resdir_task_path(h->dir, index, name));
	return 0;
}

static int want_evidence(void *arg, const struct output *o)
{
	struct harvest *h = arg;
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, &o->digest);
	downloads_add(&h->evidence, &o->digest, o->size, xprintf("%s/%s/%s", h->dir, RESDIR_EVIDENCE, hex));
	return 0;
}

static int want_task(struct harvest *h, int64_t index, struct err *e)
{
	const struct result *r = evidence_result(&h->ev, index);
	struct digest empty = digest_of("", 0);
	const struct result *said = r ? r : evidence_last_words(&h->ev, index);

	for (size_t i = 0; r && i < r->n_outputs; i++)
		if (want_output(h, index, r->outputs[i].name, &r->outputs[i].digest,
			    r->outputs[i].size, e))
			return -1;
	if (said && said->has_stderr)
		return want_output(h, index, "stderr", &said->stderr_digest, said->stderr_size, e);
	return r ? want_output(h, index, "stderr", &empty, 0, e) : 0;
}

/* Standard output alone, where the table shows it. */
static void want_for_table(struct harvest *h, int64_t index)
{
	const struct result *r = evidence_result(&h->ev, index);
	bool valid = r && r->exit == 0 && r->signal == 0;

	for (size_t i = 0; valid && i < r->n_outputs; i++)
		if (!strcmp(r->outputs[i].name, "stdout") && r->outputs[i].size <= TABLE_TEXT_MAX)
			downloads_add(&h->outputs, &r->outputs[i].digest, r->outputs[i].size,
				resdir_task_path(h->dir, index, "stdout"));
}

/* The lines of what is final, and the outputs to fetch for them. */
static int judge(struct harvest *h, struct err *e)
{
	for (int64_t i = 0; i < h->ev.job.count; i++) {
		char *line;

		if (evidence_line(&h->ev, i, &line, e)) {
			if (e->code == ERR_NOT_FOUND)
				continue; /* not final, or not shown yet */
			return err_wrap(e, "task %lld", (long long)i);
		}
		keep(&h->lines, line, strlen(line));
		free(line);
		if (h->for_table)
			want_for_table(h, i);
		else if (want_task(h, i, e) ||
			 (job_tolerant(&h->ev.job) && tolerance_needs(&h->ev, i, want_evidence, h)))
			return -1;
		h->tally->final++;
	}
	return 0;
}

static int want_input(void *arg, const struct blob *b, const char *what)
{
	struct harvest *h = arg;

	(void)what;
	downloads_add(&h->inputs, &b->digest, b->size, resdir_input_path(h->dir, &b->digest));
	return 0;
}

static int same_path(const void *a, const void *b)
{
	const struct download *x = a, *y = b;

	return strcmp(x->path, y->path);
}

/* Many tasks may have the same input: fetch it once. */
static void once_each(struct downloads *d)
{
	size_t kept = 0;

	if (d->n)
		qsort(d->at, d->n, sizeof(*d->at), same_path);
	for (size_t i = 0; i < d->n; i++) {
		if (kept && !strcmp(d->at[kept - 1].path, d->at[i].path))
			free(d->at[i].path);
		else
			d->at[kept++] = d->at[i];
	}
	d->n = kept;
}

/* Programs and inputs, for reruns. What is gone is no reason to fail. */
static int fetch_inputs(struct harvest *h, struct err *e)
{
	auto_free char *partial = resdir_path(h->dir, RESDIR_PARTIAL);

	for (size_t i = 0; i < h->ev.inputs.n; i++)
		want_input(h, &h->ev.inputs.parts[i].blob, "");
	if (job_each_blob(&h->ev.job, want_input, h) ||
		(h->ev.list &&
			job_each_list_blob(&h->ev.job, h->ev.list, h->ev.list_n, want_input, h, e)))
		return -1;
	once_each(&h->inputs);
	if (downloads_run(&h->inputs, h->c, partial, e))
		return -1;
	if (h->inputs.missing)
		log_warn("%zu inputs are gone from the grid: `verify --rerun` will lack them",
			h->inputs.missing);
	return 0;
}

static int fetch_all(struct harvest *h, struct downloads *d, struct err *e)
{
	auto_free char *partial = resdir_path(h->dir, RESDIR_PARTIAL);

	if (downloads_run(d, h->c, partial, e))
		return -1;
	for (size_t i = 0; d->missing && i < d->n; i++)
		if (d->at[i].missing)
			complain("%s: the grid does not have it", d->at[i].path);
	return d->missing ? err_set(e, ERR_UNKNOWN_BLOB, "%zu outputs are missing", d->missing) : 0;
}

static int fetch_outputs(struct harvest *h, struct err *e)
{
	once_each(&h->evidence);
	return fetch_all(h, &h->outputs, e) || fetch_all(h, &h->evidence, e) ? -1 : 0;
}

static int run(struct harvest *h, struct err *e)
{
	*h->tally = (struct harvest_tally){ 0 };
	int bad = fetch_manifest(h, e) || fetch_list(h, e) || fetch_sources(h, e) || fetch_messages(h, e) || judge(h, e) ||
	          fetch_outputs(h, e) ||
	          write_text(h, RESDIR_RESULTS, h->lines.data, h->lines.len, e) ||
	          (!h->for_table && fetch_inputs(h, e));
	h->tally->count = h->ev.job.count;
	downloads_release(&h->outputs);
	downloads_release(&h->inputs);
	downloads_release(&h->evidence);
	buf_release(&h->verdicts);
	buf_release(&h->attestations);
	buf_release(&h->lines);
	evidence_release(&h->ev);
	if (bad && e->code == ERR_FULL)
		e->code = ERR_SYSTEM; /* it is this disk: nobody refused anything */
	return bad ? -1 : 0;
}

int harvest(struct client *c, const char *job_id, const char *dir, struct harvest_tally *tally,
	struct err *e)
{
	return run(&(struct harvest){ .c = c, .id = job_id, .dir = dir, .tally = tally }, e);
}

int harvest_for_table(struct client *c, const char *job_id, const char *dir,
	struct harvest_tally *tally, struct err *e)
{
	return run(
		&(struct harvest){
			.c = c, .id = job_id, .dir = dir, .tally = tally, .for_table = true },
		e);
}
