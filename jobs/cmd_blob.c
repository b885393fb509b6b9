/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_blob.c: `talkoot blob put|get|torrent|cid`: bytes in and out of the grid, and their names elsewhere.
 */
#include "jobs/cid.h"
#include "jobs/export.h"
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
	struct fetch_spec spec = { .method = "GET",
		.to = &c->to,
		.via = client_via(c),
		.path = path,
		.timeout_ms = GET_TIMEOUT_MS,
		.sink = take,
		.sink_arg = &s };
	struct answer a = { 0 };
	struct digest want, got;
	int bad = fd < 0 ? err_sys(e, "creating %s", output) : fetch_wait(c->fetcher, &spec, &a, e);

	digest_from_text(&want, text);
	got = hasher_end(s.hasher);
	hasher_free(s.hasher);
	answer_release(&a);
	if (!bad && !digest_equal(&want, &got))
		bad = err_set(
			e, ERR_DIGEST, "the bytes that came are not the ones that were asked for");
	if (!bad && (fchmod(fd, 0644) || rename(part, output)))
		bad = err_sys(e, "writing %s", output);
	if (bad && fd >= 0)
		unlink(part);
	return bad;
}

static int torrent(struct client *c, const char *text, const char *output, struct err *e)
{
	auto_free char *bytes = NULL, *magnet = NULL;
	struct digest d;
	size_t n;

	digest_from_text(&d, text);
	if (export_torrent(c, &d, &bytes, &n, &magnet, e) ||
		file_write_atomic(output, bytes, n, 0644, e))
		return -1;
	puts(magnet);
	return 0;
}

static int print_cid(struct client *c, const char *text, const char *output, struct err *e)
{
	char cid[CID_TEXT + 1];
	struct digest d;

	(void)c, (void)output, (void)e;
	digest_from_text(&d, text);
	cid_text(cid, &d);
	puts(cid);
	return 0;
}

static const struct verb {
	const char *word;
	bool puts, writes, offline; /* puts: its word is a file; writes: needs -o */
	int (*run)(struct client *c, const char *text, const char *output, struct err *e);
} verbs[] = {
	{ .word = "put", .puts = true },
	{ .word = "get", .writes = true, .run = get },
	{ .word = "torrent", .writes = true, .run = torrent },
	{ .word = "cid", .offline = true, .run = print_cid },
};

static const struct verb *find_verb(const char *word, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (!strcmp(word, verbs[i].word))
			return &verbs[i];
	err_set(e, ERR_USAGE, "blob: %.40s: put, get, torrent or cid?", word);
	return NULL;
}

/* The digest of a word, which may be a CID: both are names of the same bytes. */
static int read_digest(
	const struct verb *v, const char *word, char text[DIGEST_TEXT + 1], struct err *e)
{
	struct digest d;

	if (!digest_from_text(&d, word) && !cid_parse(&d, word))
		return err_set(e, ERR_USAGE, "blob %s: %.80s is not sha256: and 64 hex digits",
			v->word, word);
	digest_text(text, &d);
	return 0;
}

int cmd_blob(int argc, char **argv)
{
	const char *output = NULL;
	const struct knob knobs[] = {
		{ .name = "output",
			.letter = 'o',
			.kind = KNOB_TEXT,
			.where = &output,
			.argument = "FILE",
			.help = "where `get` and `torrent` write",
			.command_line_only = true },
		{ .name = NULL },
	};
	const struct cmd_about about = { "blob",
		"talkoot blob put FILE\n       talkoot blob get DIGEST -o FILE\n"
		"       talkoot blob torrent DIGEST -o FILE\n       talkoot blob cid DIGEST",
		"Upload a file and print its digest (sha256:…), or fetch one: an input once a job "
		"that names it was\n"
		"submitted, an output once its task is final. `torrent` writes it as a BitTorrent "
		"v2 torrent with the\n"
		"nodes that have it as web seeds, and prints the magnet link; `cid` prints its "
		"IPFS CIDv1.",
		CMD_GRID, 2, 2, false };
	char text[DIGEST_TEXT + 1];
	struct client c = { 0 };
	static struct cmd cmd;
	struct err e;

	int exit_code = cmd_read(&cmd, &about, knobs, argc, argv);
	if (exit_code >= 0)
		return exit_code;
	const char *which = cmd.conf.words.at[1];
	const struct verb *v = find_verb(cmd.conf.words.at[0], &e);
	int bad = !v || (!v->puts && read_digest(v, which, text, &e));
	if (!bad && v->writes && !output)
		bad = err_set(&e, ERR_USAGE, "blob %s: -o FILE is needed", v->word);
	bad = bad || (!v->offline && client_open(&c, &cmd, &e));
	if (!bad && v->puts)
		bad = client_key(&c, &cmd, true, &e) || put(&c, which, text, &e);
	else if (!bad)
		bad = v->run(&c, text, output, &e);
	client_close(&c);
	if (bad)
		return cmd_fail(&e);
	if (v->puts)
		puts(text);
	return 0;
}
