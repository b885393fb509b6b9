/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_tabulate.c: any results.ndjson, with a retry's beside it (behind a line that is `--`), becomes a table that a reader of CSV
 * reads back, each row as long as the head and a state in its place; or it is refused.
 */
#include "jobs/csv.h"
#include "jobs/resdir.h"
#include "jobs/tabulate.h"
#include "tests/fuzz/fuzz.h"

static char *dir;

static void put(const char *name, const void *bytes, size_t n)
{
	auto_free char *path = xprintf("%s/%s", dir, name), *file = resdir_path(path, RESDIR_RESULTS);
	struct err e;
	int bad = make_dirs(path, 0700, &e);
	FILE *f = fopen(file, "we");

	assert(!bad && f && fwrite(bytes, 1, n, f) == n);
	fclose(f);
}

static bool is_state(const char *text)
{
	static const char *const states[] = { "pending", "running", "checking", "provisional",
		"valid", "failed", "cancelled" };

	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		if (!strcmp(text, states[i]))
			return true;
	return false;
}

static void read_back(const char *text, size_t n)
{
	struct csv_row row;
	struct csv c;
	struct err e;
	size_t width = 0;
	int more;

	csv_open(&c, text, n);
	for (size_t line = 0; (more = csv_next(&c, &row, &e)) > 0; line++) {
		width = line ? width : row.n;
		assert(row.n == width && width >= 4);
		assert(!strcmp(row.at[0], "index") == !line);
		assert(!line || is_state(row.at[1]));
		assert(!line || strspn(row.at[0], "0123456789") == strlen(row.at[0]));
		csv_row_release(&row);
	}
	assert(more == 0 || strstr(e.msg, "more than") ||
		strstr(e.msg, "at most")); /* our reader takes fewer, or shorter, fields */
}

static void sweep(void)
{
	struct err e;

	remove_tree(dir, &e);
	free(dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char rule[] = "\n--\n";
	const uint8_t *cut = memmem(data, n, rule, strlen(rule));
	size_t first = cut ? (size_t)(cut - data) + 1 : n;
	char *text = NULL;
	size_t len = 0;
	struct err e = { 0 };

	if (!dir) {
		char path[] = "/tmp/talkoot-fuzz-XXXXXX";

		dir = mkdtemp(path) ? xstrdup(path) : NULL;
		assert(dir);
		atexit(sweep);
	}
	auto_free char *job = xprintf("%s/job", dir), *retry = xprintf("%s/retry", dir);
	struct tabulate t = { .dir = job, .retries = { retry }, .n_retries = cut != NULL };
	put("job", data, first);
	if (cut)
		put("retry", cut + strlen(rule), n - first - strlen(rule) + 1);
	FILE *out = open_memstream(&text, &len);
	assert(out);
	int bad = tabulate(&t, out, &e);
	fclose(out);
	assert(!bad || (e.code != ERR_NONE && e.msg[0]));
	if (!bad)
		read_back(text, len);
	free(text);
	return 0;
}
