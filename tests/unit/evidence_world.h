/* SPDX-License-Identifier: Apache-2.0
 *
 * evidence_world.h: a small grid's evidence, made here with fresh keys, for tests of those who read it.
 *
 * The job has two tasks from a list. Task 0 is valid on two workers with a third in dissent; task 1 failed,
 * agreed, with exit 3.
 */
#ifndef TESTS_UNIT_EVIDENCE_WORLD_H
#define TESTS_UNIT_EVIDENCE_WORLD_H

#include "common/buf.h"
#include "jobs/resdir.h"
#include "jobs/verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW 1700000000000
#define LIST "{\"name\":\"first\",\"line\":\"a\"}\n{\"name\":\"second\",\"line\":\"b\"}\n"

struct world {
	struct key *root, *submitter, *worker[3];
	char *dir;
	char *grid, *job; /* lines */
	struct id job_id;
	char *envelope[3];
	char *verdict;
	const char *compare; /* of the manifest; NULL: exact */
	const char *class;   /* of worker 1; NULL: the others' */
	bool same_class;     /* of the manifest */
};

/* What the next world's manifest has as its files (taken; NULL: none), and what each worker says that its tasks were
 * given (NULL: nothing). */
static json_t *world_files;
static const struct digest *world_given[3];

static void must(int bad, const struct err *e)
{
	if (bad)
		fail_msg("%s", e->msg);
}

static void put(const char *dir, const char *name, const char *text)
{
	auto_free char *path = resdir_path(dir, name);
	auto_free char *parent = xstrdup(path);
	struct err e;

	*strrchr(parent, '/') = '\0';
	must(make_dirs(parent, 0700, &e), &e);
	must(file_write_atomic(path, text, strlen(text), 0600, &e), &e);
}

static struct blob blob_of(const char *text)
{
	struct pieces *p = pieces_new();
	struct blob b = { .digest = digest_of(text, strlen(text)), .size = (int64_t)strlen(text) };

	pieces_add(p, text, strlen(text));
	b.root = pieces_end(p);
	pieces_free(p);
	return b;
}

static void make_grid(struct world *w)
{
	struct grid g = { .id = *key_id(w->root), .serial = 1, .expires_ms = NOW + 1000, .name = "test",
		.n_keys = 1 };
	struct err e;

	g.keys[0] = (struct grid_key){ .id = g.id, .roles = ROLE_COORDINATOR, .from_ms = NOW - 1000,
		.until_ms = NOW + 1000 };
	must(grid_seal(&w->grid, &g, w->root, NOW, &e), &e);
}

static void make_job(struct world *w, const char *assurance)
{
	struct blob program = blob_of("program"), list = blob_of(LIST);
	json_t *j = msg_new(MSG_JOB, key_id(w->root), key_id(w->submitter), NOW);
	json_t *files = world_files ? TAKE(world_files) : json_array();
	struct sealed s;
	struct digest d;
	struct err e;

	json_t *more = json_pack("{s:s, s:s, s:[{s:s, s:s, s:o}], s:s, s:[s], s:{s:{s:o, s:i}}, s:o, s:[s],"
				 "s:{s:i, s:i, s:i, s:i, s:i, s:i}, s:i, s:b, s:s, s:i, s:s, s:i, s:s}",
		"nonce", "00112233445566778899aabbccddeeff", "name", "t", "programs", "platform",
		"x86_64-linux", "name", "prog", "blob", blob_to_json(&program), "profile", "files", "args",
		"{name}", "tasks", "list", "blob", blob_to_json(&list), "count", 2, "files", files, "outputs", "*",
		"limits", "cpu_s", 10, "wall_s", 10, "memory_mib", 64, "disk_mib", 64, "max_output_mib", 1,
		"processes", 4, "threads", 1, "deterministic", 1, "platform_class", w->same_class ? "same" : "any",
		"priority", 0, "assurance", assurance, "max_results", 6, "compare", w->compare ? w->compare : "exact");
	assert_non_null(more);
	json_object_update(j, more);
	json_decref(more);
	must(msg_seal(&w->job, j, NULL, w->submitter, &e), &e);
	must(seal_open(&s, w->job, strlen(w->job), MSG_LINE_MAX, &e), &e);
	d = digest_of(s.payload, s.n);
	memcpy(w->job_id.b, d.b, sizeof(d.b));
	seal_release(&s);
}

static void fill(struct result *r, int64_t index, int exit, const char *out, const char *file)
{
	struct blob o = blob_of(out), f = blob_of(file), err_text = blob_of("oops\n");

	*r = (struct result){ .index = index, .exit = exit, .cpu_ms = 1250, .wall_ms = 1310, .rss_kib = 1 };
	snprintf(r->reason, sizeof(r->reason), "exited");
	snprintf(r->lease, sizeof(r->lease), "%032llx", (long long)random_seed());
	result_add_output(r, "stdout", &o.digest, &o.root, o.size);
	if (*file)
		result_add_output(r, "files/sub/out.txt", &f.digest, &f.root, f.size);
	r->has_stderr = index == 1;
	r->stderr_digest = err_text.digest;
	r->stderr_size = err_text.size;
}

/* Worker i's envelope about both tasks. */
static void attest(struct world *w, size_t i, const char *out0)
{
	struct results r = { .job = w->job_id, .author = *key_id(w->worker[i]), .platform = "x86_64-linux",
		.platform_class = "x86_64-v3", .agent = "test/1", .n = 2 };
	struct err e;

	if (w->class && i == 1)
		snprintf(r.platform_class, sizeof(r.platform_class), "%s", w->class);
	r.items = xcalloc(2, sizeof(*r.items));
	fill(&r.items[0], 0, 0, out0, "a file");
	fill(&r.items[1], 1, 3, "", "");
	for (size_t k = 0; world_given[i] && k < 2; k++) {
		r.items[k].has_inputs = true;
		r.items[k].inputs = *world_given[i];
	}
	must(results_seal(&w->envelope[i], &r, key_id(w->root), w->worker[i], NOW, &e), &e);
	results_release(&r);
}

static json_t *position(const struct world *w, size_t i, int pos)
{
	char text[DIGEST_TEXT + 1];
	struct digest d = digest_of(w->envelope[i], strlen(w->envelope[i]));

	digest_text(text, &d);
	return json_pack("{s:s, s:i}", "envelope", text, "pos", pos);
}

static json_t *judge(const struct world *w, int index, const char *state, int exit, const char *out,
	const char *file, json_t *counted, json_t *dissent, const char *class)
{
	struct result r;
	char text[DIGEST_TEXT + 1];

	fill(&r, index, exit, out, file);
	struct digest outcome = outcome_of(&r);
	struct results all = { .items = xmalloc(sizeof(r)), .n = 1 };
	all.items[0] = r;
	results_release(&all);
	digest_text(text, &outcome);
	json_t *j = json_pack("{s:i, s:s, s:s, s:s, s:s, s:o, s:o, s:[]}", "index", index, "state", state,
		"outcome", text, "class", class, "basis", "agreement", "counted", counted, "dissent",
		dissent, "late");
	if (exit)
		json_object_set_new(j, "why", json_sprintf("exit %d", exit));
	(void)w;
	return j;
}

static char *seal_verdict(struct world *w, json_t *tasks, const struct key *by)
{
	struct epoch epoch = { 1, "00112233445566778899aabbccddeeff" };
	json_t *j = msg_new_epoch(MSG_VERDICT, key_id(w->root), key_id(by), NOW, &epoch);
	char hex[ID_TEXT + 1], *line;
	struct err e;

	id_text(hex, &w->job_id);
	json_object_set_new(j, "job", json_string(hex));
	json_object_set_new(j, "tasks", tasks);
	must(msg_seal(&line, j, NULL, by, &e), &e);
	return line;
}

static json_t *honest_tasks(const struct world *w)
{
	return json_pack("[o, o]",
		judge(w, 0, "valid", 0, "hello\n", "a file", json_pack("[o, o]", position(w, 0, 0), position(w, 1, 0)),
			json_pack("[o]", position(w, 2, 0)), "quorum:2"),
		judge(w, 1, "failed", 3, "", "", json_pack("[o, o]", position(w, 0, 1), position(w, 2, 1)),
			json_array(), "quorum:2"));
}

static void write_verdict(struct world *w, char *line)
{
	auto_free char *mine = line;
	auto_free char *text = xprintf("%s\n", mine);

	put(w->dir, RESDIR_VERDICTS, text);
}

/* results.ndjson as the folder's own evidence makes it. */
static void write_lines(struct world *w)
{
	struct evidence v = { 0 };
	auto_buf struct buf b = { 0 };
	struct err e;

	must(evidence_grid(&v, w->grid, strlen(w->grid), &e), &e);
	must(evidence_job(&v, w->job, strlen(w->job), &e), &e);
	must(evidence_list(&v, LIST, strlen(LIST), &e), &e);
	for (size_t i = 0; i < 3; i++)
		must(evidence_attest(&v, w->envelope[i], strlen(w->envelope[i]), &e), &e);
	must(evidence_verdict(&v, w->verdict, strlen(w->verdict), &e), &e);
	for (int64_t i = 0; i < 2; i++) {
		char *line;

		must(evidence_line(&v, i, &line, &e), &e);
		buf_printf(&b, "%s\n", line);
		free(line);
	}
	put(w->dir, RESDIR_RESULTS, b.data);
	evidence_release(&v);
}

static void write_all(struct world *w)
{
	auto_free char *grid = xprintf("%s\n", w->grid), *job = xprintf("%s\n", w->job);
	auto_free char *atts = xprintf("%s\n%s\n%s\n", w->envelope[0], w->envelope[1], w->envelope[2]);

	put(w->dir, RESDIR_GRID, grid);
	put(w->dir, RESDIR_JOB, job);
	put(w->dir, RESDIR_TASKS, LIST);
	put(w->dir, RESDIR_ATTESTATIONS, atts);
	write_verdict(w, xstrdup(w->verdict));
	write_lines(w);
	put(w->dir, "0/stdout", "hello\n");
	put(w->dir, "0/stderr", "");
	put(w->dir, "0/files/sub/out.txt", "a file");
	put(w->dir, "1/stdout", "");
	put(w->dir, "1/stderr", "oops\n");
}

/* All but the folder. */
static void world_say(struct world *w, struct key *root)
{
	*w = (struct world){ .root = root, .submitter = key_new() };
	for (size_t i = 0; i < 3; i++)
		w->worker[i] = key_new();
	make_grid(w);
	make_job(w, "quorum:2");
	attest(w, 0, "hello\n");
	attest(w, 1, "hello\n");
	attest(w, 2, "a lie\n");
	w->verdict = seal_verdict(w, honest_tasks(w), w->root);
}

static void world_make(struct world *w, struct key *root)
{
	char dir[] = "/tmp/test_verify.XXXXXX";

	world_say(w, root);
	w->dir = xstrdup(mkdtemp(dir));
	write_all(w);
}

static void world_free(struct world *w)
{
	struct err e;

	if (w->dir)
		must(remove_tree(w->dir, &e), &e);
	for (size_t i = 0; i < 3; i++) {
		key_free(w->worker[i]);
		free(w->envelope[i]);
	}
	key_free(w->submitter);
	free(w->dir);
	free(w->grid);
	free(w->job);
	free(w->verdict);
}

#endif
