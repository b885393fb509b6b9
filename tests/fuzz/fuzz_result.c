/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_result.c: a signed statement; what is read can be sealed and read again as the same. @O is
 * the outcome that fits, when it can be told.
 */
#include "common/result.h"
#include "tests/fuzz/fuzz.h"

static void check_names(const struct results *r)
{
	for (size_t i = 0; i < r->n; i++)
		for (size_t k = 0; k < r->items[i].n_outputs; k++) {
			const char *name = r->items[i].outputs[k].name;

			assert(!strcmp(name, "stdout") || !strncmp(name, "files/", 6));
			assert(!strstr(name, "..") ||
				!strstr(name, "/..")); /* no part begins with a dot */
			assert(!strstr(name, "//") && !strstr(name, "/."));
		}
}

static void again(struct results *r)
{
	auto_free char *line = NULL;
	struct results back;
	struct msg m;
	struct err e;
	struct id grid = r->author;

	if (results_seal(&line, r, &grid, fuzz_key(), 1, &e)) {
		assert(e.code == ERR_TOO_BIG);
		return;
	}
	int bad = msg_open(&m, line, strlen(line), NULL, &e) || results_read(&back, &m, &e);
	assert(!bad && back.n == r->n);
	for (size_t i = 0; i < r->n; i++)
		assert(digest_equal(&back.items[i].outcome, &r->items[i].outcome));
	results_release(&back);
	msg_release(&m);
}

/* Put the right outcome into each result, so that what comes after is reached. */
static bool right_outcomes(struct msg *m)
{
	json_t *items = json_object_get(m->body, "results"), *item, *s;
	size_t i, k;

	json_array_foreach (items, i, item) {
		auto_free char *prefix = xprintf("%lld/", (long long)jint(item, "index", 0));
		struct result r = { .exit = jint(item, "exit", 0),
			.signal = jint(item, "signal", 0) };
		struct digest zero = { { 0 } }, d;
		char text[DIGEST_TEXT + 1];

		json_array_foreach (json_object_get(m->statement, "subject"), k, s) {
			const char *name = jtext(s, "name");

			digest_from_hex(&d, jtext(json_object_get(s, "digest"), "sha256"));
			if (!strncmp(name, prefix, strlen(prefix)))
				result_add_output(&r, name + strlen(prefix), &d, &zero, 0);
		}
		d = outcome_of(&r);
		digest_text(text, &d);
		json_object_set_new(item, "outcome", json_string(text));
		for (k = 0; k < r.n_outputs; k++)
			free(r.outputs[k].name);
		free(r.outputs);
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_buf struct buf b = fuzz_fill(data, n);
	struct results r;
	struct msg m;
	struct err e;

	if (!fuzz_open(&m, true, b.data, b.len))
		return 0;
	if (!results_read(&r, &m, &e) || (right_outcomes(&m) && !results_read(&r, &m, &e))) {
		check_names(&r);
		again(&r);
		results_release(&r);
	} else {
		assert(e.code == ERR_FIELD && !r.items);
	}
	msg_release(&m);
	return 0;
}
