/* SPDX-License-Identifier: Apache-2.0
 *
 * tree.c: the tree stream, written and read.
 */
#include "image/tree.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define HEADER "talkoot-tree 1\n"
#define LINE_MAX_BYTES (NAME_QUOTED_MAX + 64) /* a kind, three numbers, a path */

/* --- writing ------------------------------------------------------------------------------------ */

void tree_begin(struct tree_writer *w, FILE *f)
{
	*w = (struct tree_writer){ .f = f };
	fputs(HEADER, f);
}

static const char *begin_record(struct tree_writer *w, const char *path)
{
	static char quoted[NAME_QUOTED_MAX + 1];
	size_t n = strlen(path);

	assert(w->owed == 0 && w->records < TREE_RECORDS_MAX && name_ok(path, n));
	w->records++;
	name_quote(quoted, path, n);
	return quoted;
}

void tree_folder(struct tree_writer *w, unsigned mode, const char *path)
{
	assert(mode <= 0777);
	fprintf(w->f, "d %04o %s\n", mode, begin_record(w, path));
}

void tree_file(
	struct tree_writer *w, unsigned mode, int64_t mtime_s, int64_t size, const char *path)
{
	assert(mode <= 0777 && size >= 0 && mtime_s >= 0 && mtime_s <= TREE_MTIME_MAX);
	fprintf(w->f, "f %04o %" PRId64 " %" PRId64 " %s\n", mode, mtime_s, size,
		begin_record(w, path));
	w->owed = size;
}

void tree_bytes(struct tree_writer *w, const void *bytes, size_t n)
{
	assert((int64_t)n <= w->owed);
	w->owed -= (int64_t)n;
	fwrite(bytes, 1, n, w->f);
}

static void write_text(struct tree_writer *w, char kind, const char *path, const char *text)
{
	size_t n = strlen(text);

	assert(n >= 1 && n <= TREE_LINK_MAX);
	fprintf(w->f, "%c %zu %s\n", kind, n, begin_record(w, path));
	fwrite(text, 1, n, w->f);
}

void tree_link(struct tree_writer *w, const char *path, const char *text)
{
	write_text(w, TREE_LINK, path, text);
}

void tree_name(struct tree_writer *w, const char *path, const char *file)
{
	assert(name_ok(file, strlen(file)));
	write_text(w, TREE_NAME, path, file);
}

int tree_end(struct tree_writer *w, struct err *e)
{
	assert(w->owed == 0);
	fprintf(w->f, "e %" PRIu32 "\n", w->records);
	if (fflush(w->f) || ferror(w->f))
		return err_sys(e, "writing the tree stream");
	return 0;
}

/* --- reading ------------------------------------------------------------------------------------ */

static int broken(struct tree_reader *r, struct err *e, const char *why)
{
	return err_set(e, ERR_MALFORMED, "tree stream, record %" PRIu32 ": %s", r->records, why);
}

/* A line without its end into `line`; its length, or -1. */
static int read_line(struct tree_reader *r, char line[LINE_MAX_BYTES], struct err *e)
{
	int c, n = 0;

	while ((c = getc_unlocked(r->f)) != '\n') {
		if (c == EOF)
			return broken(r, e, "the stream ends in the middle: it was cut short");
		if (n == LINE_MAX_BYTES)
			return broken(r, e, "a line is too long");
		line[n++] = (char)c;
	}
	return n;
}

/* What is left of a line. */
struct rest {
	const char *at, *end;
};

/* Decimal digits up to a space (or the end), no leading zero, at most `most`. */
static bool take_number(struct rest *l, int64_t most, int64_t *out)
{
	const char *begin = l->at;
	int64_t n = 0;

	for (; l->at < l->end && *l->at != ' '; l->at++) {
		if (*l->at < '0' || *l->at > '9' || n > most / 10)
			return false;
		n = n * 10 + (*l->at - '0');
	}
	if (l->at == begin || (*begin == '0' && l->at - begin > 1) || n > most)
		return false;
	l->at += l->at < l->end;
	*out = n;
	return true;
}

static bool take_mode(struct rest *l, unsigned *mode)
{
	*mode = 0;
	if (l->end - l->at < 5 || l->at[0] != '0' || l->at[4] != ' ')
		return false;
	for (int i = 1; i < 4; i++) {
		if (l->at[i] < '0' || l->at[i] > '7')
			return false;
		*mode = *mode << 3 | (unsigned)(l->at[i] - '0');
	}
	l->at += 5;
	return true;
}

static bool take_path(struct rest *l, char out[NAME_BYTES_MAX + 1])
{
	int n = name_unquote(out, l->at, (size_t)(l->end - l->at));

	return n > 0 && name_ok(out, (size_t)n);
}

static int read_text(struct tree_reader *r, struct tree_record *out, size_t n, struct err *e)
{
	if (fread(out->text, 1, n, r->f) != n)
		return broken(r, e, "the stream ends in the middle: it was cut short");
	out->text[n] = 0;
	if (n == 0 || strlen(out->text) != n)
		return broken(r, e, "a link's text is empty or has a NUL");
	if (out->kind == TREE_NAME && !name_ok(out->text, n))
		return broken(r, e, "another name is of no good path");
	return 0;
}

static int read_folder(
	struct tree_reader *r, struct rest *l, struct tree_record *out, struct err *e)
{
	if (!take_mode(l, &out->mode) || !take_path(l, out->path))
		return broken(r, e, "is no 'd MODE PATH'");
	return 1;
}

static int read_file(struct tree_reader *r, struct rest *l, struct tree_record *out, struct err *e)
{
	if (!take_mode(l, &out->mode) || !take_number(l, TREE_MTIME_MAX, &out->mtime_s) ||
		!take_number(l, INT64_MAX / 16, &out->size) || !take_path(l, out->path))
		return broken(r, e, "is no 'f MODE MTIME SIZE PATH'");
	if (out->size > r->most - r->bytes)
		return err_set(e, ERR_TOO_BIG, "%s: the files are more than %" PRId64 " MiB",
			name_shown(out->path), r->most / MIB);
	r->bytes += out->size;
	r->left = out->size;
	return 1;
}

static int read_link(struct tree_reader *r, struct rest *l, struct tree_record *out, struct err *e)
{
	int64_t n;

	if (!take_number(l, TREE_LINK_MAX, &n) || !take_path(l, out->path))
		return broken(r, e, "is no 'SIZE PATH' of a link");
	return read_text(r, out, (size_t)n, e) ? -1 : 1;
}

static int read_end(struct tree_reader *r, struct rest *l, struct err *e)
{
	int64_t n;

	if (!take_number(l, TREE_RECORDS_MAX, &n) || l->at != l->end || n != r->records)
		return broken(r, e, "the end tells another number of records");
	if (getc_unlocked(r->f) != EOF)
		return broken(r, e, "something follows the end");
	return 0;
}

static int pass_over(struct tree_reader *r, struct err *e)
{
	char waste[4096];
	ssize_t n;

	while ((n = tree_read(r, waste, sizeof(waste), e)) > 0)
		;
	return n < 0 ? -1 : 0;
}

int tree_open(struct tree_reader *r, FILE *f, int64_t most_bytes, struct err *e)
{
	char first[sizeof(HEADER)] = "";

	*r = (struct tree_reader){ .f = f, .most = most_bytes };
	if (fread(first, 1, strlen(HEADER), f) != strlen(HEADER) || strcmp(first, HEADER) != 0)
		return err_set(e, ERR_MALFORMED, "this is no tree stream of version 1");
	return 0;
}

int tree_next(struct tree_reader *r, struct tree_record *out, struct err *e)
{
	char line[LINE_MAX_BYTES];
	int n;

	if (pass_over(r, e) || (n = read_line(r, line, e)) < 0)
		return -1;
	struct rest l = { line + 2, line + n };

	if (n < 3 || line[1] != ' ')
		return broken(r, e, "is no record");
	if (line[0] == 'e')
		return read_end(r, &l, e);
	if (r->records++ == TREE_RECORDS_MAX)
		return err_set(
			e, ERR_TOO_BIG, "the tree has more than %d entries", TREE_RECORDS_MAX);
	out->kind = (enum tree_kind)line[0];
	out->mode = 0;
	out->mtime_s = out->size = 0;
	out->text[0] = 0;
	switch (line[0]) {
	case TREE_FOLDER:
		return read_folder(r, &l, out, e);
	case TREE_FILE:
		return read_file(r, &l, out, e);
	case TREE_LINK:
	case TREE_NAME:
		return read_link(r, &l, out, e);
	default:
		return broken(r, e, "is of no kind we know");
	}
}

ssize_t tree_read(struct tree_reader *r, void *into, size_t n, struct err *e)
{
	size_t want = (int64_t)n < r->left ? n : (size_t)r->left;

	if (fread(into, 1, want, r->f) != want)
		return broken(r, e, "the stream ends in the middle: it was cut short");
	r->left -= (int64_t)want;
	return (ssize_t)want;
}
