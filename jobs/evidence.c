/* SPDX-License-Identifier: Apache-2.0
 *
 * evidence.c: open signed messages, and judge what they prove together.
 */
#include "jobs/evidence.h"

#include "jobs/comparator.h"
#include "jobs/line.h"

#include <stdlib.h>
#include <string.h>

static const struct digest no_outcome;

/* --- taking in ------------------------------------------------------------------------------- */
int evidence_grid(struct evidence *v, const char *line, size_t n, struct err *e)
{
	struct msg m;

	if (msg_open(&m, line, n, NULL, e))
		return -1;
	int bad = grid_read(&v->grid, &m, e);
	v->has_grid = !bad;
	msg_release(&m);
	return bad;
}

static int open_as(struct msg *m, enum msg_type type, struct evidence *v, const char *line, size_t n,
	struct err *e)
{
	if (msg_open(m, line, n, &v->grid.id, e))
		return -1;
	if (m->type == type)
		return 0;
	err_field(e, "type", "is %s, but a %s is needed here", msg_type_name(m->type),
		msg_type_name(type));
	msg_release(m);
	return -1;
}

int evidence_job(struct evidence *v, const char *line, size_t n, struct err *e)
{
	struct msg m;

	if (open_as(&m, MSG_JOB, v, line, n, e))
		return -1;
	int bad = job_read(&v->job, &m, e);
	msg_release(&m);
	if (bad)
		return -1;
	v->has_job = true;
	v->tasks = xcalloc((size_t)v->job.count, sizeof(struct judged *));
	return 0;
}

int evidence_list(struct evidence *v, const char *text, size_t n, struct err *e)
{
	struct digest d = digest_of(text, n);
	int64_t lines = 0;

	if (!digest_equal(&d, &v->job.list.digest))
		return err_set(e, ERR_DIGEST, "is not the list that the manifest names");
	v->list = xmemdup(text, n);
	v->list_n = n;
	v->list_at = xcalloc((size_t)v->job.count + 1, sizeof(size_t));
	for (size_t at = 0; at < n; lines++) {
		const char *eol = memchr(v->list + at, '\n', n - at);

		if (lines == v->job.count)
			break;
		at = eol ? (size_t)(eol - v->list) + 1 : n;
		v->list_at[lines + 1] = at;
	}
	if (lines != v->job.count || v->list_at[lines] != n)
		return err_set(e, ERR_MALFORMED, "has not the %lld lines that the manifest says",
			(long long)v->job.count);
	return 0;
}

int evidence_inputs(struct evidence *v, const char *text, size_t n, struct err *e)
{
	if (!job_has_sources(&v->job))
		return err_set(e, ERR_FIELD, "the job has no files of other jobs");
	if (inputs_read(&v->inputs, &v->job, text, n, e)) {
		inputs_release(&v->inputs);
		return -1;
	}
	v->has_inputs = true;
	return 0;
}

int evidence_attest(struct evidence *v, const char *line, size_t n, struct err *e)
{
	struct attested a = { 0 };
	struct msg m;

	if (open_as(&m, MSG_RESULT, v, line, n, e))
		return -1;
	a.digest = m.sealed.digest;
	int bad = results_read(&a.results, &m, e);
	msg_release(&m);
	if (bad)
		return -1;
	if (memcmp(a.results.job.b, v->job.id.b, sizeof(v->job.id.b)) != 0) {
		results_release(&a.results);
		return err_set(e, ERR_FIELD, "is about another job");
	}
	for (size_t i = 0; i < a.results.n; i++)
		if (a.results.items[i].index >= v->job.count) {
			results_release(&a.results);
			return err_set(e, ERR_FIELD, "is about a task that the job does not have");
		}
	array_room(&v->atts, &v->atts_room, v->n_atts, sizeof(*v->atts));
	v->atts[v->n_atts++] = a;
	v->sorted = false;
	return 0;
}

static void judged_free(struct judged *j)
{
	if (j)
		free(j->named);
	free(j);
}

static void read_positions(struct judged *j, const json_t *array)
{
	json_t *p;
	size_t i;

	if (!json_array_size(array))
		return;
	j->named = xrealloc(j->named, j->n_named + json_array_size(array), sizeof(*j->named));
	json_array_foreach(array, i, p) {
		struct position *at = &j->named[j->n_named++];

		digest_from_text(&at->envelope, jtext(p, "envelope"));
		at->pos = jint(p, "pos", 0);
	}
}

static struct judged *judged_read(const json_t *t, const struct id *by)
{
	struct judged *j = xcalloc(1, sizeof(*j));

	j->index = jint(t, "index", 0);
	j->by = *by;
	snprintf(j->state, sizeof(j->state), "%s", jtext(t, "state"));
	snprintf(j->class, sizeof(j->class), "%s", jtext(t, "class"));
	snprintf(j->basis, sizeof(j->basis), "%s", jtext(t, "basis"));
	snprintf(j->why, sizeof(j->why), "%s", jtext(t, "why"));
	digest_from_text(&j->outcome, jtext(t, "outcome"));
	read_positions(j, json_object_get(t, "counted"));
	j->n_counted = j->n_named;
	read_positions(j, json_object_get(t, "dissent"));
	read_positions(j, json_object_get(t, "late"));
	return j;
}

static int verdict_task(struct evidence *v, const json_t *t, const struct id *by, struct err *e)
{
	int64_t index = jint(t, "index", 0);

	if (index >= v->job.count)
		return err_set(e, ERR_FIELD, "judges task %lld, which the job does not have",
			(long long)index);
	if (v->tasks[index])
		return err_set(e, ERR_CONFLICT, "judges task %lld a second time", (long long)index);
	v->tasks[index] = judged_read(t, by);
	v->n_judged++;
	return 0;
}

static int verdict_author(struct evidence *v, const struct msg *m, struct err *e)
{
	struct id job;

	id_parse(&job, jtext(m->body, "job"));
	if (memcmp(job.b, v->job.id.b, sizeof(job.b)) != 0)
		return err_set(e, ERR_FIELD, "is about another job");
	if (!grid_allows(&v->grid, &m->author, ROLE_COORDINATOR, m->time_ms))
		return err_set(e, ERR_REFUSED, "its author was not a coordinator of the grid then");
	return 0;
}

int evidence_verdict(struct evidence *v, const char *line, size_t n, struct err *e)
{
	struct msg m;
	json_t *t;
	size_t i;

	if (open_as(&m, MSG_VERDICT, v, line, n, e))
		return -1;
	int bad = verdict_author(v, &m, e);
	json_array_foreach(json_object_get(m.body, "tasks"), i, t)
		bad = bad || verdict_task(v, t, &m.author, e);
	msg_release(&m);
	return bad ? -1 : 0;
}

void evidence_release(struct evidence *v)
{
	for (size_t i = 0; i < v->n_atts; i++)
		results_release(&v->atts[i].results);
	free(v->atts);
	for (int64_t i = 0; v->tasks && i < v->job.count; i++)
		judged_free(v->tasks[i]);
	free(v->tasks);
	inputs_release(&v->inputs);
	free(v->list);
	free(v->list_at);
	if (v->has_job)
		job_release(&v->job);
	*v = (struct evidence){ 0 };
}

/* --- judging --------------------------------------------------------------------------------- */
static int by_digest(const void *a, const void *b)
{
	const struct attested *x = a, *y = b;

	return digest_compare(&x->digest, &y->digest);
}

static const struct attested *find(struct evidence *v, const struct digest *d)
{
	struct attested key = { .digest = *d };

	if (!v->sorted && v->n_atts)
		qsort(v->atts, v->n_atts, sizeof(*v->atts), by_digest);
	v->sorted = true;
	return v->n_atts ? bsearch(&key, v->atts, v->n_atts, sizeof(key), by_digest) : NULL;
}

/* The result that a verdict names; its worker in *who. */
static const struct result *named(struct evidence *v, const struct judged *j, size_t i, struct id *who,
	struct err *e)
{
	const struct attested *a = find(v, &j->named[i].envelope);
	char text[DIGEST_TEXT + 1];

	digest_text(text, &j->named[i].envelope);
	if (!a) {
		err_set(e, ERR_NOT_FOUND, "the envelope %s, which the verdict names, is missing", text);
		return NULL;
	}
	if (j->named[i].pos >= (int64_t)a->results.n ||
		a->results.items[j->named[i].pos].index != j->index) {
		err_set(e, ERR_FIELD, "the envelope %s says nothing of it where the verdict points", text);
		return NULL;
	}
	*who = a->results.author;
	return &a->results.items[j->named[i].pos];
}

static int distinct(const struct id *workers, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++)
			if (id_equal(&workers[i], &workers[k]))
				return err_set(e, ERR_FIELD, "one worker is counted twice");
	return 0;
}

/* state and why must follow from the agreed result. */
static int follows(const struct judged *j, const struct result *r, struct err *e)
{
	bool good = r->exit == 0 && r->signal == 0;
	char why[32] = "";

	if (!good && r->signal)
		snprintf(why, sizeof(why), "signal %lld", (long long)r->signal);
	else if (!good)
		snprintf(why, sizeof(why), "exit %lld", (long long)r->exit);
	if (strcmp(j->state, good ? "valid" : "failed") != 0)
		return err_set(e, ERR_FIELD, "the verdict says %s, but the results agree on exit %lld",
			j->state, (long long)r->exit);
	if (strcmp(j->why, why) != 0)
		return err_set(e, ERR_FIELD, "the verdict says \"%s\", but it is \"%s\"", j->why, why);
	return 0;
}

/* All of them say that they were given the same, and as far as that is known here, that it was this. */
static int check_given(const struct evidence *v, const struct result *r, const struct result *first, struct err *e)
{
	bool each = v->job.tasks == TASKS_EACH;

	if (r->has_inputs != (each || job_has_sources(&v->job)))
		return err_set(e, ERR_FIELD, r->has_inputs ? "a counted result names inputs that the job does not have"
							   : "a counted result does not say what the task was given");
	if (r->has_inputs && !digest_equal(&r->inputs, &first->inputs))
		return err_set(e, ERR_FIELD, "the counted results were not given the same inputs");
	if (!v->has_inputs || each)
		return 0;
	struct digest d = inputs_digest(&v->inputs, &v->job, NULL);
	return digest_equal(&r->inputs, &d) ? 0 : err_set(e, ERR_FIELD, "was not given what sources.ndjson says");
}

/* What a counted result must have in common with the first of them. */
static int agrees(const struct evidence *v, const struct judged *j, const struct result *first, const struct result *r,
	struct err *e)
{
	if (!job_tolerant(&v->job) || r == first)
		return digest_equal(&r->outcome, &j->outcome) /* results_read() recomputed it */
			? 0
			: err_set(e, ERR_FIELD, "a counted result has another outcome");
	if (!results_end_alike(first, r))
		return err_set(e, ERR_FIELD, "a counted result ends otherwise, or has other outputs");
	for (size_t i = 0; i < r->n_outputs; i++)
		if (!digest_equal(&first->outputs[i].digest, &r->outputs[i].digest) &&
			job_comparison(&v->job, r->outputs[i].name)->kind == COMPARE_EXACT)
			return err_set(e, ERR_FIELD, "a counted result has another %s, and it must be the same bit for bit",
				r->outputs[i].name);
	return 0;
}

static int same_class(struct evidence *v, const struct judged *j, struct err *e)
{
	const struct attested *first = find(v, &j->named[0].envelope);

	for (size_t i = 1; v->job.same_class && i < j->n_counted; i++) {
		const struct attested *a = find(v, &j->named[i].envelope);

		if (strcmp(a->results.platform, first->results.platform) != 0 ||
			strcmp(a->results.platform_class, first->results.platform_class) != 0)
			return err_set(e, ERR_FIELD, "results of two platform classes are counted together");
	}
	return 0;
}

static int check_agreement(struct evidence *v, const struct judged *j, struct err *e)
{
	const struct result *first = NULL;
	struct id workers[JOB_RESULTS_MAX];

	if (strcmp(j->basis, "agreement") != 0)
		return err_set(e, ERR_FIELD, "an outcome on the basis \"%s\"", j->basis);
	if (j->n_counted < (size_t)v->job.quorum || j->n_counted > JOB_RESULTS_MAX)
		return err_set(e, ERR_FIELD, "%zu results are counted, but %s needs %d", j->n_counted,
			v->job.assurance, v->job.quorum);
	for (size_t i = 0; i < j->n_counted; i++) {
		const struct result *r = named(v, j, i, &workers[i], e);

		if (!r || follows(j, r, e))
			return -1;
		if (!result_votes(r))
			return err_set(e, ERR_FIELD, "a result is counted that has no vote");
		first = first ? first : r;
		if (agrees(v, j, first, r, e) || check_given(v, r, first, e))
			return -1;
	}
	return same_class(v, j, e) ? -1 : distinct(workers, j->n_counted, e);
}

static int check_none(const struct judged *j, struct err *e)
{
	bool failed = !strcmp(j->state, "failed");

	if (strcmp(j->basis, "none") != 0 || j->n_counted)
		return err_set(e, ERR_FIELD, "the verdict counts results towards no outcome");
	if (!failed && strcmp(j->state, "cancelled") != 0)
		return err_set(e, ERR_FIELD, "the verdict says %s without an outcome", j->state);
	if (failed && !*j->why)
		return err_set(e, ERR_FIELD, "the verdict does not say why it failed");
	return 0;
}

int evidence_check(struct evidence *v, int64_t index, struct err *e)
{
	const struct judged *j = v->tasks[index];
	struct id who;

	if (!j)
		return err_set(e, ERR_NOT_FOUND, "there is no verdict: the job is not finished");
	if (strcmp(j->class, v->job.assurance) != 0)
		return err_set(e, ERR_FIELD, "was judged by %s, but the job asks for %s", j->class,
			v->job.assurance);
	if (digest_equal(&j->outcome, &no_outcome) ? check_none(j, e) : check_agreement(v, j, e))
		return -1;
	for (size_t i = j->n_counted; i < j->n_named; i++)
		if (!named(v, j, i, &who, e))
			return -1;
	return 0;
}

bool evidence_agreed(const struct evidence *v, int64_t index)
{
	return v->tasks[index] && !digest_equal(&v->tasks[index]->outcome, &no_outcome);
}

const struct result *evidence_result(struct evidence *v, int64_t index)
{
	return evidence_counted(v, index, 0);
}

const struct result *evidence_counted(struct evidence *v, int64_t index, size_t i)
{
	const struct judged *j = v->tasks[index];
	struct id who;
	struct err e;

	return j && i < j->n_counted ? named(v, j, i, &who, &e) : NULL;
}

const struct result *evidence_last_words(struct evidence *v, int64_t index)
{
	const struct judged *j = v->tasks[index];
	struct id who;
	struct err e;

	if (!j || strcmp(j->state, "failed") != 0 || evidence_agreed(v, index))
		return NULL;
	for (size_t i = j->n_named; i-- > 0;) {
		const struct result *r = named(v, j, i, &who, &e);

		if (r && r->has_stderr)
			return r;
	}
	return NULL;
}

/* --- the line -------------------------------------------------------------------------------- */
const char *evidence_list_line(const struct evidence *v, int64_t index, size_t *n)
{
	const char *at = v->list + v->list_at[index];

	*n = v->list_at[index + 1] - v->list_at[index];
	if (*n && at[*n - 1] == '\n')
		--*n;
	return at;
}

json_t *evidence_task(const struct evidence *v, int64_t index, struct err *e)
{
	int64_t rest = index;
	size_t n;

	if (v->job.tasks == TASKS_LIST) {
		const char *line = evidence_list_line(v, index, &n);

		return shape_load(line, n, e);
	}
	if (v->job.tasks != TASKS_PRODUCT)
		return json_object();
	json_t *params = json_object(), *reversed = json_object();
	for (size_t i = v->job.n_params; i-- > 0; rest /= (int64_t)v->job.params[i].n) {
		const struct job_param *p = &v->job.params[i];

		json_object_set_new(reversed, p->name, json_string(p->values[rest % (int64_t)p->n]));
	}
	for (size_t i = 0; i < v->job.n_params; i++) /* in the manifest's order */
		json_object_set(params, v->job.params[i].name,
			json_object_get(reversed, v->job.params[i].name));
	json_decref(reversed);
	return json_pack("{s:o}", "params", params);
}

int evidence_line(struct evidence *v, int64_t index, char **line, struct err *e)
{
	const struct judged *j = v->tasks[index];
	struct id workers[JOB_RESULTS_MAX];

	if (evidence_check(v, index, e))
		return -1;
	auto_json json_t *task = evidence_task(v, index, e);
	if (!task)
		return -1;
	for (size_t i = 0; i < j->n_counted; i++)
		if (!named(v, j, i, &workers[i], e))
			return -1;
	*line = line_write(&(struct line){ .index = index, .state = j->state, .assurance = j->class,
		.why = j->why, .result = evidence_result(v, index), .workers = workers,
		.n_workers = j->n_counted, .name = json_object_get(task, "name"),
		.job = &v->job, .line = json_object_get(task, "line"), .params = json_object_get(task, "params"),
		.of = v->job.is_retry ? json_object_get(task, "of") : NULL });
	return 0;
}
