/* SPDX-License-Identifier: Apache-2.0
 *
 * ref.c: see ref.h.
 */
#include "jobs/ref.h"
#include "common/codec.h"

#include <string.h>
#include <unistd.h>

/* Digits before the first slash: as many as an id, or a prefix of one, may have. 0: it is no reference. */
static size_t id_digits(const char *text)
{
	size_t n = strcspn(text, "/");

	if (text[n] != '/' || n > DIGEST_HEX || strspn(text, "0123456789abcdef") != n)
		return 0;
	auto_free char *head = xmemdup(text, n);
	return id_is_prefix(head) ? n : 0;
}

/* "3" or "*", up to the slash. */
static bool read_index(int64_t *index, const char *text, size_t n)
{
	auto_free char *word = xmemdup(text, n);

	*index = -1;
	return !strcmp(word, "*") || int_parse(index, word, 0, JOB_TASKS_MAX - 1);
}

int ref_parse(struct job_ref *r, const char *text, struct err *e)
{
	size_t digits = id_digits(text), n;

	if (!digits)
		return 0;
	const char *index = text + digits + 1, *file = index + (n = strcspn(index, "/"));
	bool is_ref = *file == '/' && strlen(file + 1) < sizeof(r->file) &&
	              job_output_name(file + 1) && read_index(&r->index, index, n);

	if (!access(text, F_OK))
		return is_ref ? err_set(e, ERR_USAGE,
					"\"%.120s\" is a file here and an output of a job too: "
		                        "write ./%.120s "
					"for the file, or stand in another folder for the output",
					text, text)
		              : 0;
	if (!is_ref)
		return err_set(e, ERR_USAGE,
			"\"%.120s\" is neither a file here nor JOB/INDEX/FILE (FILE is stdout or "
			"files/NAME, INDEX a number or *)",
			text);
	memcpy(r->job, text, digits);
	r->job[digits] = '\0';
	snprintf(r->file, sizeof(r->file), "%s", file + 1);
	return 1;
}

json_t *ref_from(const struct job_ref *r, const struct job_finder *f, struct err *e)
{
	char id[DIGEST_HEX + 1];

	if (f->find(f->arg, r->job, id, NULL, e))
		return NULL;
	json_t *j = json_pack("{s:s, s:s}", "job", id, "file", r->file);
	if (r->index >= 0)
		json_object_set_new(j, "index", json_integer(r->index));
	return j;
}

json_t *ref_each(const struct job_ref *r, const struct job_finder *f, int64_t *count, struct err *e)
{
	char id[DIGEST_HEX + 1];

	if (r->index >= 0) {
		err_set(e, ERR_USAGE, "--each takes every task of a job: %.12s/*/%s", r->job,
			r->file);
		return NULL;
	}
	return f->find(f->arg, r->job, id, count, e)
	               ? NULL
	               : json_pack("{s:s, s:s, s:I}", "job", id, "file", r->file, "count",
				 (json_int_t)*count);
}
