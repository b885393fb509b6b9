/* SPDX-License-Identifier: Apache-2.0
 *
 * collect.c: from a box's folder to a result.
 *
 * The program could write what it liked below out/ and into its two streams, so: nothing is followed, only
 * regular files count, names are plain, sizes and numbers are bounded, and only what the job declared is taken.
 */
#include "worker/collect.h"
#include "common/buf.h"
#include "common/log.h"
#include "sandbox/box.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define REPORT_MAX 65536
#define DEPTH_MAX 4                  /* folders below out/, as protocol 6 names outputs */
#define PIECES_BYTES_MAX (512 * KIB) /* of one task beside its envelope; the rest is uploaded */
#define FULL_BYTES 65536 /* less free than this is a full disk */
#define SETUP_EXIT 125

struct bag {
	struct product *p;
	const struct job *job;
	struct blobs *store;
	int64_t left;   /* output bytes that the job still allows */
	size_t inlined; /* bytes beside the envelope so far */
	bool too_much;
};

/* --- the report ----------------------------------------------------------------------------------------- */

static int64_t milliseconds(const json_t *report, const char *name)
{
	double s = json_number_value(json_object_get(report, name));

	return s > 0 && s < 1e9 ? (int64_t)(s * 1000 + 0.5) : 0;
}

static bool whole(const json_t *report, const char *name, int64_t max, int64_t *out)
{
	const json_t *j = json_object_get(report, name);

	*out = json_integer_value(j);
	return json_is_integer(j) && *out >= 0 && *out <= max;
}

static bool known_reason(const char *reason)
{
#define X(id, name) name,
	static const char *const reasons[] = { BOX_REASON_TABLE(X) };
#undef X

	for (size_t i = 0; reason && i < ARRAY_LEN(reasons); i++)
		if (!strcmp(reasons[i], reason))
			return true;
	return false;
}

bool product_read_report(struct product *p, const char *text, size_t n)
{
	json_t *j = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
	const char *reason = json_string_value(json_object_get(j, "reason"));
	const char *policy = json_string_value(json_object_get(j, "policy"));
	const char *why = json_string_value(json_object_get(j, "why"));
	struct result *r = &p->result;
	int64_t code, sig;
	bool good = whole(j, "exit", 255, &code) && whole(j, "signal", 64, &sig) && known_reason(reason);

	if (good) {
		r->exit = sig ? 0 : code; /* protocol 6; a box that was asked to end may tell both */
		r->signal = sig;
		snprintf(r->reason, sizeof(r->reason), "%s", reason);
		r->cpu_ms = milliseconds(j, "cpu_s");
		r->wall_ms = milliseconds(j, "wall_s");
		if (!whole(j, "max_rss_kib", INT32_MAX, &r->rss_kib))
			r->rss_kib = 0;
		snprintf(p->why, sizeof(p->why), "%s", why ? why : "");
		if (policy)
			digest_from_text(&p->policy, policy);
	}
	json_decref(j);
	return good;
}

static bool read_report(struct product *p, const char *dir)
{
	auto_free char *path = xprintf("%s/report", dir);
	auto_free char *text = NULL;
	struct err e;
	size_t n;

	return !file_read(&text, &n, path, REPORT_MAX, &e) && product_read_report(p, text, n);
}

/* --- outputs ---------------------------------------------------------------------------------------------- */

static void add_piece(struct product *p, const struct digest *d, char *bytes, size_t n)
{
	p->pieces = xrealloc(p->pieces, p->n_pieces + 1, sizeof(*p->pieces));
	p->pieces[p->n_pieces++] = (struct piece){ .digest = *d, .bytes = bytes, .n = n };
}

static int add_small(struct bag *b, const char *name, int fd, struct err *e)
{
	char *bytes;
	size_t n;

	if (fd_read_all(&bytes, &n, fd, RESULT_INLINE_MAX, e))
		return -1;
	struct digest d = digest_of(bytes, n), root = pieces_of(bytes, n);
	result_add_output(&b->p->result, name, &d, &root, (int64_t)n);
	add_piece(b->p, &d, bytes, n);
	b->inlined += n;
	return 0;
}

static int add_large(struct bag *b, const char *name, int fd, struct err *e)
{
	struct product *p = b->p;
	struct blob blob;

	if (blob_put_fd(b->store, fd, &blob, e))
		return err_wrap(e, "keeping an output");
	result_add_output(&p->result, name, &blob.digest, &blob.root, blob.size);
	p->stored = xrealloc(p->stored, p->n_stored + 1, sizeof(*p->stored));
	p->stored[p->n_stored++] = blob.digest;
	return 0;
}

static int add_output(struct bag *b, const char *name, int fd, int64_t size, struct err *e)
{
	b->left -= size;
	if (b->left < 0 || b->p->result.n_outputs > RESULT_FILES_MAX) {
		b->too_much = true;
		return 0;
	}
	if (size <= RESULT_INLINE_MAX && b->inlined + (size_t)size <= (size_t)PIECES_BYTES_MAX)
		return add_small(b, name, fd, e);
	return add_large(b, name, fd, e);
}

static bool plain_name(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

	return n >= 1 && n <= 100 && s[n] == '\0' && *s != '.';
}

static int walk(struct bag *b, int dir, const char *prefix, int depth, struct err *e);

/* One name below out/: a declared file is taken, a folder entered, all else left. */
static int visit(struct bag *b, int dir, const char *prefix, const char *name, int depth, struct err *e)
{
	auto_close int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	auto_free char *path = xprintf("%s%s", prefix, name);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || !plain_name(name))
		return 0;
	if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
		auto_free char *below = xprintf("%s/", path);

		return walk(b, fd, below, depth + 1, e);
	}
	if (!S_ISREG(st.st_mode) || !job_declares(b->job, path) || strlen(path) + 6 > RESULT_NAME_MAX)
		return 0;
	auto_free char *output = xprintf("files/%s", path);
	return add_output(b, output, fd, st.st_size, e);
}

static int walk(struct bag *b, int dir, const char *prefix, int depth, struct err *e)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int bad = 0;

	if (!d && fd >= 0)
		close(fd);
	while (d && !bad && !b->too_much && (entry = readdir(d)))
		bad = visit(b, dir, prefix, entry->d_name, depth, e);
	if (d)
		closedir(d);
	return bad;
}

static int add_stdout(struct bag *b, const char *dir, struct err *e)
{
	auto_free char *path = xprintf("%s/stdout", dir);
	auto_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return err_set(e, ERR_SYSTEM, "the box left no standard output");
	return add_output(b, "stdout", fd, st.st_size, e);
}

static int add_outputs(struct bag *b, const char *dir, struct err *e)
{
	auto_free char *out = xprintf("%s/out", dir);
	auto_close int fd = open(out, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (add_stdout(b, dir, e))
		return -1;
	return fd < 0 ? 0 : walk(b, fd, "", 1, e);
}

/* An attempt that does not vote: nothing came out. */
static void empty_outputs(struct product *p)
{
	struct digest d = digest_of("", 0), root = { { 0 } };

	for (size_t i = 0; i < p->result.n_outputs; i++)
		free(p->result.outputs[i].name);
	for (size_t i = 0; i < p->n_pieces; i++)
		free(p->pieces[i].bytes);
	p->result.n_outputs = p->n_pieces = 0;
	result_add_output(&p->result, "stdout", &d, &root, 0);
	add_piece(p, &d, xstrdup(""), 0);
}

/* --- stderr ------------------------------------------------------------------------------------------------- */

static char *tail(const char *dir, const char *name, size_t max, size_t *n)
{
	auto_free char *path = xprintf("%s/%s", dir, name);

	return file_tail(n, path, max);
}

static void add_stderr(struct product *p, const char *dir)
{
	size_t n;
	char *bytes = tail(dir, "stderr", RESULT_STDERR_MAX, &n);

	if (!bytes && p->broken)
		bytes = tail(dir, "errors", RESULT_STDERR_MAX, &n);
	if (!bytes && p->broken) { /* a keeper's box has no standard error of its own */
		bytes = xstrdup(p->why);
		n = strlen(p->why);
	}
	if (!bytes)
		return;
	p->result.has_stderr = true;
	p->result.stderr_digest = digest_of(bytes, n);
	p->result.stderr_size = (int64_t)n;
	add_piece(p, &p->result.stderr_digest, bytes, n);
}

static void note_setup(struct product *p, const char *dir)
{
	size_t n;
	auto_free char *said = tail(dir, "errors", sizeof(p->why) - 1, &n);

	if (said || !p->why[0])
		snprintf(p->why, sizeof(p->why), "%s", said ? said : "it left no report");
	for (size_t k = strlen(p->why); k && p->why[k - 1] == '\n';)
		p->why[--k] = '\0';
	p->broken = true;
}

/* Not even a report would fit. */
static bool disk_is_full(const char *dir)
{
	struct statvfs fs;

	return !statvfs(dir, &fs) && (fs.f_bavail * fs.f_frsize < FULL_BYTES || (fs.f_files && !fs.f_favail));
}

/* --- all of it ------------------------------------------------------------------------------------------------ */

/* What the result adds to a message, in base64 and JSON; rather too much than too little. */
static size_t weigh(const struct product *p)
{
	size_t bytes = 1000 + p->result.n_outputs * 560;

	for (size_t i = 0; i < p->result.n_outputs; i++)
		bytes += strlen(p->result.outputs[i].name) * 4 / 3;
	for (size_t i = 0; i < p->n_pieces; i++)
		bytes += 100 + p->pieces[i].n * 4 / 3;
	return bytes;
}

static void set_reason(struct product *p, const char *reason)
{
	snprintf(p->result.reason, sizeof(p->result.reason), "%s", reason);
}

int collect(struct product *p, const char *dir, const struct job *job, struct blobs *store, bool overran,
	struct err *e)
{
	struct bag b = { .p = p, .job = job, .store = store, .left = job->output_mib * MIB };

	if (overran || !read_report(p, dir)) { /* what was killed by us says nothing of the program */
		p->result.exit = overran ? 124 : SETUP_EXIT;
		p->result.signal = 0;
		set_reason(p, overran ? "wall" : "setup");
	}
	if (!strcmp(p->result.reason, "setup")) {
		note_setup(p, dir);
		if (disk_is_full(dir)) /* ours, not the task's: it goes back instead of being an attempt */
			return err_set(e, ERR_FULL, "the disk is full");
	}
	if (result_votes(&p->result) && add_outputs(&b, dir, e))
		return -1;
	if (b.too_much)
		set_reason(p, "output");
	if (!result_votes(&p->result))
		empty_outputs(p);
	add_stderr(p, dir);
	p->bytes = weigh(p);
	return 0;
}

void product_release(struct product *p)
{
	for (size_t i = 0; i < p->result.n_outputs; i++)
		free(p->result.outputs[i].name);
	free(p->result.outputs);
	for (size_t i = 0; i < p->n_pieces; i++)
		free(p->pieces[i].bytes);
	free(p->pieces);
	free(p->stored);
	*p = (struct product){ 0 };
}
