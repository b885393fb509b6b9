/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_blob.c: `talkoot blob put FILE` and `talkoot blob get DIGEST -o FILE`: bytes in and out of the grid.
 */
#include "jobs/upload.h"

#include "common/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GET_TIMEOUT_MS (6 * 3600 * 1000)

static int put(struct client *c, const char *path, char text[DIGEST_TEXT + 1], struct err *e)
{
	struct uploads up = { 0 };
	json_t *blob = uploads_file(&up, path, e);
	int bad = !blob || uploads_run(&up, c, e);

	if (!bad)
		digest_text(text, &up.at[0].blob.digest);
	else
		client_explain_refusal(c, e);
	json_decref(blob);
	uploads_release(&up);
	return bad ? -1 : 0;
}

struct sink {
	int fd;
	struct hasher *hasher;
};

static int take(void *arg, const void *bytes, size_t n, struct err *e)
{
	struct sink *s = arg;

	hasher_add(s->hasher, bytes, n);
	return fd_write_all(s->fd, bytes, n, e);
}

static int get(struct client *c, const char *text, const char *output, struct err *e)
{
	auto_free char *part = xprintf("%s.XXXXXX", output), *path = xprintf("/v1/blobs/%s", text);
	auto_close int fd = mkostemp(part, O_CLOEXEC);
	struct sink s = { fd, hasher_new() };
	struct fetch_spec spec = { .method = "GET", .to = &c->to, .via = client_via(c), .path = path,
		.timeout_ms = GET_TIMEOUT_MS, .sink = take, .sink_arg = &s };
	struct answer a = { 0 };
	struct digest want, got;
	int bad = fd < 0 ? err_sys(e, "creating %s", output) : fetch_wait(c->fetcher, &spec, &a, e);

	digest_from_text(&want, text);
	got = hasher_end(s.hasher);
	hasher_free(s.hasher);
	answer_release(&a);
	if (!bad && !digest_equal(&want, &got))
		bad = err_set(e, ERR_DIGEST, "the bytes that came are not the ones that were asked for");
	if (!bad && (fchmod(fd, 0644) || rename(part, output)))
		bad = err_sys(e, "writing %s", output);
	if (bad && fd >= 0)
		unlink(part);
	return bad;
}

int cmd_blob(int argc, char **argv)
{
	const char *output = NULL;
	const struct knob knobs[] = {
		{ .name = "output", .letter = 'o', .kind = KNOB_TEXT, .where = &output, .argument = "FILE",
			.help = "where `get` writes", .command_line_only = true },
		{ .name = NULL },
	};
	const struct cmd_about about = { "blob",
		"talkoot blob put FILE\n       talkoot blob get DIGEST -o FILE",
		"Upload a file and print its digest (sha256:…), or fetch one: an input once a job that names it was\n"
		"submitted, an output once its task is final.", CMD_GRID, 2, 2, false };
	char text[DIGEST_TEXT + 1];
	struct client c = { 0 };
	struct digest d;
	static struct cmd cmd;
	struct err e;

	int exit_code = cmd_read(&cmd, &about, knobs, argc, argv);
	if (exit_code >= 0)
		return exit_code;
	const char *what = cmd.conf.words.at[0], *which = cmd.conf.words.at[1];
	bool putting = !strcmp(what, "put");
	int bad = 0;
	if (!putting && strcmp(what, "get") != 0)
		bad = err_set(&e, ERR_USAGE, "blob: %.40s: put or get?", what);
	else if (!putting && !digest_from_text(&d, which))
		bad = err_set(&e, ERR_USAGE, "blob get: %.80s is not sha256: and 64 hex digits", which);
	else if (!putting && !output)
		bad = err_set(&e, ERR_USAGE, "blob get: -o FILE is needed");
	bad = bad || client_open(&c, &cmd, &e);
	if (putting)
		bad = bad || client_key(&c, &cmd, true, &e) || put(&c, which, text, &e);
	else
		bad = bad || get(&c, which, output, &e);
	client_close(&c);
	if (bad)
		return cmd_fail(&e);
	if (putting)
		puts(text);
	return 0;
}
