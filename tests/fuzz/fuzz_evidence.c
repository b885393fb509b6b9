/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_evidence.c: what `talkoot verify` reads. Each line of the input is a letter and a payload, which is signed here:
 *
 *	g descriptor   j manifest   a attestation   v verdict      l a line of the task list   i of sources.ndjson
 *
 * @J is the job's id, @0 to @3 are the digests of the envelopes that were signed so far, and a result's outcome is put right.
 * All of them may be anything; what is believed in the end has to follow from what was read.
 */
#include "jobs/evidence.h"
#include "tests/fuzz/fuzz.h"

#define LOOK_MAX 64 /* tasks looked at */

struct folder {
	struct evidence v;
	struct digest at[4];
	size_t n;
	bool listed, resolved;
	struct buf list, sources;
};

static struct buf fill(const struct folder *f, const uint8_t *data, size_t n)
{
	auto_buf struct buf b = { 0 };
	char text[DIGEST_TEXT + 1];
	struct digest id;

	for (size_t i = 0; i < n; i++) {
		int c = data[i] == '@' && i + 1 < n ? data[i + 1] : 0;

		if (c == 'J' && f->v.has_job) {
			memcpy(id.b, f->v.job.id.b, sizeof(id.b));
			digest_hex(text, &id);
			buf_text(&b, text);
		} else if (c >= '0' && c <= '3') {
			digest_text(text, &f->at[c - '0']);
			buf_text(&b, text);
		} else {
			buf_add(&b, data + i, 1), c = 0;
		}
		i += c != 0;
	}
	return fuzz_fill((const uint8_t *)b.data, b.len);
}

/* Put the right outcome into each result, so that what comes after is reached. */
static void right_outcomes(json_t *statement)
{
	json_t *items = json_object_get(json_object_get(statement, "predicate"), "results"), *item,
	       *s;
	size_t i, k;

	json_array_foreach(items, i, item) {
		auto_free char *prefix = xprintf("%lld/", (long long)jint(item, "index", 0));
		struct result r = { .exit = jint(item, "exit", 0),
			.signal = jint(item, "signal", 0) };
		struct digest zero = { { 0 } }, d;
		char text[DIGEST_TEXT + 1];

		json_array_foreach(json_object_get(statement, "subject"), k, s) {
			const char *name = jtext(s, "name");

			if (!strncmp(name, prefix, strlen(prefix)) &&
				digest_from_hex(&d, jtext(json_object_get(s, "digest"), "sha256")))
				result_add_output(&r, name + strlen(prefix), &d, &zero, 0);
		}
		d = outcome_of(&r);
		digest_text(text, &d);
		if (json_object_get(item, "outcome"))
			json_object_set_new(item, "outcome", json_string(text));
		struct results all = { .items = xmalloc(sizeof(r)), .n = 1 };
		all.items[0] = r;
		results_release(&all);
	}
}

static int take_envelope(struct folder *f, int kind, const struct buf *payload, struct err *e)
{
	json_t *statement =
		kind == 'a' ? json_loadb(payload->data, payload->len, JSON_REJECT_DUPLICATES, NULL)
			    : NULL;
	auto_free char *text = NULL;

	if (statement) {
		right_outcomes(statement);
		text = json_dumps(statement, JSON_COMPACT);
	}
	json_decref(statement);
	auto_free char *line = seal(fuzz_key(), kind == 'a' ? SEAL_STATEMENT : SEAL_MESSAGE,
		text ? text : payload->data, text ? strlen(text) : payload->len);
	if (kind == 'g')
		return f->v.has_grid ? 0 : evidence_grid(&f->v, line, strlen(line), e);
	if (!f->v.has_grid)
		return 0;
	if (kind == 'j')
		return f->v.has_job ? 0 : evidence_job(&f->v, line, strlen(line), e);
	if (!f->v.has_job)
		return 0;
	if (kind == 'v')
		return evidence_verdict(&f->v, line, strlen(line), e);
	int bad = evidence_attest(&f->v, line, strlen(line), e);
	if (!bad && f->n < ARRAY_LEN(f->at))
		f->at[f->n++] = digest_of(line, strlen(line));
	return bad;
}

static void take(struct folder *f, int kind, const uint8_t *data, size_t n)
{
	auto_buf struct buf b = fill(f, data, n);
	struct err e = { 0 };

	if (kind == 'l' || kind == 'i') {
		buf_add(kind == 'l' ? &f->list : &f->sources, b.data, b.len);
		buf_text(kind == 'l' ? &f->list : &f->sources, "\n");
	} else if (strchr("gjav", kind) && take_envelope(f, kind, &b, &e)) {
		assert(e.code != ERR_NONE && e.code != ERR_INTERNAL && e.msg[0]);
	}
}

/* Nobody can guess a digest: the manifest's is made that of the list. */
static bool has_list(struct folder *f)
{
	struct err e;

	if (f->v.job.tasks != TASKS_LIST)
		return true;
	buf_add(&f->list, "", 0);
	f->v.job.list.digest = digest_of(f->list.data, f->list.len);
	return !evidence_list(&f->v, f->list.data, f->list.len, &e);
}

static void look(struct folder *f, int64_t index)
{
	struct evidence *v = &f->v;
	auto_free char *line = NULL;
	struct err e = { 0 };

	if (!v->tasks[index])
		return;
	if (evidence_check(v, index, &e)) {
		assert(e.code != ERR_NONE && e.msg[0]);
		return;
	}
	const struct result *shown = evidence_result(v, index), *r;
	assert(!shown == !evidence_agreed(v, index));
	for (size_t i = 0; (r = evidence_counted(v, index, i)); i++)
		assert(r->index == index && result_votes(r) && r->exit == shown->exit &&
			r->signal == shown->signal);
	assert(!shown || strcmp(v->tasks[index]->state,
				 shown->exit || shown->signal ? "failed" : "valid") == 0);
	evidence_last_words(v, index);
	if (evidence_line(v, index, &line, &e)) {
		assert(v->job.tasks == TASKS_LIST && e.msg[0]); /* its line of the list is broken */
		return;
	}
	json_t *j = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	assert(j && jint(j, "index", -1) == index && !strchr(line, '\n'));
	json_decref(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct folder f = { .n = 0 };
	struct err e;

	for (size_t at = 0; at < n;) {
		const uint8_t *eol = memchr(data + at, '\n', n - at);
		size_t len = eol ? (size_t)(eol - data) - at : n - at;

		if (len)
			take(&f, data[at], data + at + 1, len - 1);
		at += len + 1;
	}
	if (f.v.has_job && has_list(&f)) {
		buf_add(&f.sources, "", 0);
		if (f.sources.len)
			(void)evidence_inputs(&f.v, f.sources.data, f.sources.len, &e);
		for (int64_t i = 0; i < f.v.job.count && i < LOOK_MAX; i++)
			look(&f, i);
	}
	evidence_release(&f.v);
	buf_release(&f.list);
	buf_release(&f.sources);
	return 0;
}
