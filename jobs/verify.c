/* SPDX-License-Identifier: Apache-2.0
 *
 * verify.c: read the evidence of a folder, recompute results.ndjson from it, and hold every file against it.
 *
 * Order matters: nothing is read with trust in something that was not checked before. The grid's descriptor
 * says whose verdicts count, the manifest which tasks there are; only then verdicts and attestations.
 */
#include "jobs/verify.h"

#include "jobs/resdir.h"

#include "common/buf.h"
#include "common/codec.h"
#include "common/log.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void verify_fault(struct verify *v, const char *what, const char *fmt, ...)
{
	char why[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	v->faults++;
	if (v->fault)
		v->fault(v->fault_arg, what, why);
}

static void task_fault(struct verify *v, int64_t index, const char *why)
{
	char what[32];

	snprintf(what, sizeof(what), "task %lld", (long long)index);
	verify_fault(v, what, "%s", why);
}

/* --- the evidence ---------------------------------------------------------------------------- */
static bool begins(const char *hex, const char *wanted)
{
	return strlen(wanted) <= ID_TEXT && !strncmp(hex, wanted, strlen(wanted));
}

static int check_grid(struct verify *v)
{
	auto_free char *line = NULL, *path = resdir_path(v->dir, RESDIR_GRID);
	char hex[ID_TEXT + 1];
	struct err e;
	size_t n;

	if (access(path, F_OK) && (errno == ENOENT || errno == ENOTDIR)) {
		verify_fault(v, RESDIR_GRID,
			"there is none in %s: give a folder that `talkoot results JOB --output DIR` wrote", v->dir);
		return -1;
	}
	if (resdir_one_line(v->dir, RESDIR_GRID, &line, &n, &e) ||
		evidence_grid(&v->evidence, line, n, &e)) {
		verify_fault(v, RESDIR_GRID, "%s", e.msg);
		return -1;
	}
	id_text(hex, &v->evidence.grid.id);
	if (v->grid && !begins(hex, v->grid)) {
		verify_fault(v, RESDIR_GRID, "is of grid %s, not of %s", hex, v->grid);
		return -1;
	}
	return 0;
}

static int check_job(struct verify *v)
{
	auto_free char *line = NULL;
	char hex[DIGEST_HEX + 1];
	struct err e;
	size_t n;

	if (resdir_one_line(v->dir, RESDIR_JOB, &line, &n, &e) ||
		evidence_job(&v->evidence, line, n, &e)) {
		verify_fault(v, RESDIR_JOB, "%s", e.msg);
		return -1;
	}
	digest_hex(hex, &v->evidence.job.id);
	if (v->job && !begins(hex, v->job)) {
		verify_fault(v, RESDIR_JOB, "is job %s, not %s", hex, v->job);
		return -1;
	}
	return 0;
}

static int check_list(struct verify *v)
{
	auto_free char *path = resdir_path(v->dir, RESDIR_TASKS);
	auto_free char *text = NULL;
	struct err e;
	size_t n;

	if (v->evidence.job.tasks != TASKS_LIST)
		return 0;
	if (!resdir_read(&text, &n, path, (size_t)JOB_LIST_MAX, &e) &&
		!evidence_list(&v->evidence, text, n, &e))
		return 0;
	verify_fault(v, RESDIR_TASKS, "%s", e.msg);
	return -1;
}

/* It may be absent: then what results were given is not known here. */
static void check_sources(struct verify *v)
{
	auto_free char *path = resdir_path(v->dir, RESDIR_SOURCES);
	auto_free char *text = NULL;
	struct err e;
	size_t n;

	if (access(path, F_OK))
		return;
	if (resdir_read(&text, &n, path, (size_t)INPUTS_TEXT_MAX, &e) || evidence_inputs(&v->evidence, text, n, &e))
		verify_fault(v, RESDIR_SOURCES, "%s", e.msg);
}

static void take(struct verify *v, const char *file, size_t number, int bad, const struct err *e)
{
	char what[64];

	if (!bad)
		return;
	snprintf(what, sizeof(what), "%s line %zu", file, number);
	verify_fault(v, what, "%s", e->msg);
}

static void take_attestation(void *arg, const char *line, size_t n, size_t number)
{
	struct verify *v = arg;
	struct err e;

	take(v, RESDIR_ATTESTATIONS, number, evidence_attest(&v->evidence, line, n, &e), &e);
}

static void take_verdict(void *arg, const char *line, size_t n, size_t number)
{
	struct verify *v = arg;
	struct err e;

	take(v, RESDIR_VERDICTS, number, evidence_verdict(&v->evidence, line, n, &e), &e);
}

static void check_messages(struct verify *v)
{
	struct err e;

	if (resdir_lines(v->dir, RESDIR_ATTESTATIONS, take_attestation, v, &e))
		verify_fault(v, RESDIR_ATTESTATIONS, "%s", e.msg);
	if (resdir_lines(v->dir, RESDIR_VERDICTS, take_verdict, v, &e))
		verify_fault(v, RESDIR_VERDICTS, "%s", e.msg);
}

/* --- results.ndjson -------------------------------------------------------------------------- */
struct lines {
	struct verify *v;
	int64_t next;     /* the index that must come now */
	int64_t gap_from; /* tasks from here to next-1 lack a verdict: told as one line. -1: none */
};

/* The index that a line claims, or -1. */
static int64_t claimed(const char *line, size_t n)
{
	static const char head[] = "{\"index\":";
	char digits[24];
	int64_t index;
	size_t len = 0;

	if (n < sizeof(head) || memcmp(line, head, sizeof(head) - 1) != 0)
		return -1;
	line += sizeof(head) - 1;
	n -= sizeof(head) - 1;
	while (len < n && len < sizeof(digits) - 1 && line[len] >= '0' && line[len] <= '9')
		len++;
	memcpy(digits, line, len);
	digits[len] = '\0';
	return int_parse(&index, digits, 0, JOB_TASKS_MAX) ? index : -1;
}

static void tell_gap(struct lines *l)
{
	char what[64];

	if (l->gap_from < 0)
		return;
	if (l->gap_from == l->next - 1)
		snprintf(what, sizeof(what), "task %lld", (long long)l->gap_from);
	else
		snprintf(what, sizeof(what), "tasks %lld to %lld", (long long)l->gap_from,
			(long long)l->next - 1);
	verify_fault(l->v, what, "incomplete: there is no verdict");
	l->gap_from = -1;
}

/* The task whose turn it is has no line. */
static void skip(struct lines *l)
{
	struct evidence *ev = &l->v->evidence;
	struct err e;

	if (!ev->tasks[l->next]) {
		if (l->gap_from < 0)
			l->gap_from = l->next;
		l->next++;
		return;
	}
	tell_gap(l);
	task_fault(l->v, l->next,
		evidence_check(ev, l->next, &e) ? e.msg : "is missing in " RESDIR_RESULTS);
	l->next++;
}

static void take_line(void *arg, const char *line, size_t n, size_t number)
{
	struct lines *l = arg;
	struct evidence *ev = &l->v->evidence;
	int64_t index = claimed(line, n);
	auto_free char *expected = NULL;
	char what[64];
	struct err e;

	if (index < l->next || index >= ev->job.count) {
		snprintf(what, sizeof(what), RESDIR_RESULTS " line %zu", number);
		verify_fault(l->v, what, "does not belong here (task %lld)", (long long)index);
		return;
	}
	while (l->next < index)
		skip(l);
	if (!ev->tasks[index]) {
		skip(l);
		return;
	}
	tell_gap(l);
	if (evidence_line(ev, index, &expected, &e))
		task_fault(l->v, index, e.msg);
	else if (strlen(expected) != n || memcmp(expected, line, n) != 0)
		task_fault(l->v, index, "its line in " RESDIR_RESULTS " is not what the evidence says");
	l->next++;
}

static void check_lines(struct verify *v)
{
	struct lines l = { .v = v, .gap_from = -1 };
	struct err e;

	if (resdir_lines(v->dir, RESDIR_RESULTS, take_line, &l, &e))
		verify_fault(v, RESDIR_RESULTS, "%s", e.msg);
	while (l.next < v->evidence.job.count)
		skip(&l);
	tell_gap(&l);
}

/* --- files ----------------------------------------------------------------------------------- */
static bool expects(const struct result *r, const char *name)
{
	if (!strcmp(name, "stdout") || !strcmp(name, "stderr"))
		return true;
	for (size_t i = 0; i < r->n_outputs; i++)
		if (!strcmp(r->outputs[i].name, name))
			return true;
	return false;
}

/* Whether `name` is a folder on the way to an expected file. */
static bool leads(const struct result *r, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < r->n_outputs; i++)
		if (!strncmp(r->outputs[i].name, name, n) && r->outputs[i].name[n] == '/')
			return true;
	return false;
}

/* Tell of everything in INDEX/ (at `name` in it) that no result names. */
static void check_extra(struct verify *v, int64_t index, const struct result *r, const char *name)
{
	auto_free char *path = resdir_task_path(v->dir, index, name);
	DIR *d = opendir(path);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		auto_free char *inner = xprintf("%s%s%s", name, *name ? "/" : "", entry->d_name);

		if (leads(r, inner)) {
			check_extra(v, index, r, inner);
		} else if (!expects(r, inner)) {
			auto_free char *raw = xprintf("%lld/%s", (long long)index, inner);
			auto_free char *what = text_safe(raw, strlen(raw));
			verify_fault(v, what, "task %lld: is in no result", (long long)index);
		}
	}
	if (d)
		closedir(d);
}

static void check_file(struct verify *v, int64_t index, const char *name, const struct digest *d)
{
	auto_free char *what = xprintf("%lld/%s", (long long)index, name);
	auto_free char *path = resdir_path(v->dir, what);
	struct err e;

	if (!resdir_name_ok(name) && strcmp(name, "stderr") != 0)
		verify_fault(v, what, "task %lld: its name is not allowed", (long long)index);
	else if (resdir_file_is(path, d, &e))
		verify_fault(v, what, "task %lld: %s", (long long)index, e.msg);
}

static bool has_file(const struct verify *v, int64_t index, const char *name)
{
	auto_free char *path = resdir_task_path(v->dir, index, name);

	return access(path, F_OK) == 0;
}

static void check_task_files(struct verify *v, int64_t index)
{
	static const struct result none;
	struct digest empty = digest_of("", 0);
	const struct result *r = evidence_result(&v->evidence, index);

	const struct result *said = r ? NULL : evidence_last_words(&v->evidence, index);

	check_extra(v, index, r ? r : &none, "");
	if (said && has_file(v, index, "stderr")) /* no part of the outcome: it may be absent */
		check_file(v, index, "stderr", &said->stderr_digest);
	for (size_t i = 0; r && i < r->n_outputs; i++)
		check_file(v, index, r->outputs[i].name, &r->outputs[i].digest);
	if (r)
		check_file(v, index, "stderr", r->has_stderr ? &r->stderr_digest : &empty);
}

static void check_task(struct verify *v, int64_t index)
{
	struct err e;

	check_task_files(v, index);
	if (job_tolerant(&v->evidence.job) && !evidence_check(&v->evidence, index, &e) &&
		tolerance_check(&v->tolerance, index, &e))
		task_fault(v, index, e.msg);
}

/* Folders with a number for a name are tasks; a number that is none of ours is somebody else's. */
static void check_folder(struct verify *v)
{
	DIR *d = opendir(v->dir);
	struct dirent *entry;
	int64_t index;

	while (d && (entry = readdir(d))) {
		if (strspn(entry->d_name, "0123456789") != strlen(entry->d_name))
			continue;
		if (!int_parse(&index, entry->d_name, 0, v->evidence.job.count - 1))
			verify_fault(v, entry->d_name, "is no task of this job");
		else if (!v->evidence.tasks[index])
			verify_fault(v, entry->d_name, "task %lld: has files but no verdict",
				(long long)index);
	}
	if (d)
		closedir(d);
}

/* Inputs may be absent (only reruns need them), and evidence that is needed is asked for by name; but what is there must
 * be what its name says. */
static void check_named(struct verify *v, const char *folder)
{
	auto_free char *path = resdir_path(v->dir, folder);
	DIR *d = opendir(path);
	struct dirent *entry;
	struct digest digest;
	struct err e;

	while (d && (entry = readdir(d))) {
		auto_free char *raw = xprintf("%s/%s", folder, entry->d_name);
		auto_free char *what = text_safe(raw, strlen(raw));
		auto_free char *file = resdir_path(v->dir, raw);

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (!digest_from_hex(&digest, entry->d_name))
			verify_fault(v, what, "is not named by a digest");
		else if (resdir_file_is(file, &digest, &e))
			verify_fault(v, what, "is not what its name says");
	}
	if (d)
		closedir(d);
}

int verify_dir(struct verify *v)
{
	v->faults = 0;
	v->evidence = (struct evidence){ 0 };
	v->tolerance = (struct tolerance){ .dir = v->dir, .ev = &v->evidence, .run_comparator = v->run_comparator };
	if (check_grid(v) || check_job(v) || check_list(v))
		return -1;
	check_sources(v);
	check_messages(v);
	check_lines(v);
	for (int64_t i = 0; i < v->evidence.job.count; i++)
		if (v->evidence.tasks[i])
			check_task(v, i);
	check_folder(v);
	check_named(v, RESDIR_INPUTS);
	check_named(v, RESDIR_EVIDENCE);
	return v->faults ? -1 : 0;
}

void verify_release(struct verify *v)
{
	evidence_release(&v->evidence);
}
