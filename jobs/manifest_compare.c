/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest_compare.c: see manifest_compare.h.
 */
#include "jobs/manifest_compare.h"

#include <stdlib.h>
#include <string.h>

#define PROGRAM "program:"

static bool is_how(const char *word)
{
	return !strcmp(word, "exact") || !strncmp(word, "numeric:", 8) ||
	       !strncmp(word, PROGRAM, strlen(PROGRAM)) || !strcmp(word, "numeric") ||
	       !strcmp(word, "program");
}

/* What the manifest says of HOW. Yours; NULL with `e`. *file: the comparator's. */
static char *read_how(const char *how, const char **file, struct err *e)
{
	struct comparison read;

	if (!strncmp(how, PROGRAM, strlen(PROGRAM)) && how[strlen(PROGRAM)]) {
		const char *path = how + strlen(PROGRAM);

		if (*file && strcmp(*file, path) != 0) {
			err_set(e, ERR_USAGE,
				"--compare: %.100s and %.100s: a job has one comparator", *file,
				path);
			return NULL;
		}
		*file = path;
		return xstrdup("program");
	}
	if (!strcmp(how, "program"))
		err_set(e, ERR_USAGE, "--compare: which program? say program:FILE");
	else if (!compare_parse(&read, how, "--compare", e))
		return xstrdup(how);
	e->code = ERR_USAGE;
	return NULL;
}

static int add_by(json_t *by, const char *word, const char **file, struct err *e)
{
	const char *equals = strchr(word, '=');
	auto_free char *glob = xmemdup(word, equals ? (size_t)(equals - word) : 0);
	auto_free char *how = NULL;

	if (!*glob)
		return err_set(e, ERR_USAGE,
			"--compare: \"%.100s\" is neither exact, numeric:rtol=R,atol=A, "
		        "program:FILE, nor GLOB= and one "
			"of these",
			word);
	how = read_how(equals + 1, file, e);
	if (!how)
		return -1;
	json_t *one = json_pack("{s:s, s:s}", "glob", glob, "how", how);
	if (!one)
		return err_set(e, ERR_USAGE, "--compare: \"%.100s\" is not UTF-8 text", glob);
	json_array_append_new(by, one);
	return json_array_size(by) <= JOB_COMPARE_MAX
	               ? 0
	               : err_set(e, ERR_USAGE, "--compare: at most %d with a GLOB",
				 JOB_COMPARE_MAX);
}

static int add_all(json_t *fields, const char *word, const char **file, struct err *e)
{
	auto_free char *how = NULL;

	if (json_object_get(fields, "compare"))
		return err_set(e, ERR_USAGE,
			"--compare: \"%.100s\": there is one for all outputs already; say GLOB=HOW",
			word);
	how = read_how(word, file, e);
	if (!how)
		return -1;
	json_object_set_new(fields, "compare", json_string(how));
	return 0;
}

int manifest_compare(struct manifest *m, const struct texts *words, struct err *e)
{
	auto_json json_t *by = json_array();
	const char *file = NULL;

	for (size_t i = 0; i < words->n; i++)
		if (is_how(words->at[i]) ? add_all(m->fields, words->at[i], &file, e)
					 : add_by(by, words->at[i], &file, e))
			return -1;
	if (!json_object_get(m->fields, "compare"))
		json_object_set_new(m->fields, "compare", json_string("exact"));
	if (json_array_size(by))
		json_object_set(m->fields, "compare_by", by);
	if (!file)
		return 0;
	json_t *program = manifest_program(&m->uploads, file, e);
	if (!program)
		return err_wrap(e, "--compare");
	json_object_set_new(m->fields, "comparator", program);
	return 0;
}
