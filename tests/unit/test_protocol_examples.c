/* SPDX-License-Identifier: Apache-2.0
 *
 * test_protocol_examples.c: docs/protocol.md, section 12: every example opens as the message that its
 * heading names, says what stands below it, and no type is without one. Runs at the repository's top.
 */
#include "common/buf.h"
#include "common/msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define DOCUMENT "docs/protocol.md"
#define EXAMPLES_MAX 32

struct example {
	char heading[64];
	char *line, *payload; /* of the document's text, cut there */
};

static char *text;
static struct example examples[EXAMPLES_MAX];
static size_t n_examples;

/* The text between the fence that begins with `fence` at or after `from` and the next one. */
static char *fenced(char *from, const char *fence)
{
	char *at = strstr(from, fence);

	assert_non_null(at);
	at += strlen(fence);
	char *end = strstr(at, "\n```");
	assert_non_null(end);
	*end = '\0';
	return at;
}

static int read_document(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(file_read(&text, NULL, DOCUMENT, MIB, &e), 0);
	char *at = strstr(text, "\n## 12. ");
	assert_non_null(at);
	while ((at = strstr(at, "\n### "))) {
		struct example *x = &examples[n_examples++];

		assert_true(n_examples < EXAMPLES_MAX);
		at += strlen("\n### ");
		snprintf(x->heading, sizeof(x->heading), "%.*s", (int)strcspn(at, ",\n"), at);
		x->line = fenced(at, "\n```envelope\n");
		x->payload = fenced(x->line + strlen(x->line) + 1, "\n```json\n");
		at = x->payload + strlen(x->payload) + 1;
	}
	return 0;
}

static int forget_document(void **state)
{
	(void)state;
	free(text);
	return 0;
}

static void each_example_is_what_its_heading_says(void **state)
{
	struct msg m;
	struct err e;

	(void)state;
	for (size_t i = 0; i < n_examples; i++) {
		if (msg_open(&m, examples[i].line, strlen(examples[i].line), NULL, &e))
			fail_msg("%s: %s", examples[i].heading, e.msg);
		assert_string_equal(msg_type_name(m.type), examples[i].heading);
		msg_release(&m);
	}
}

static void every_type_has_an_example(void **state)
{
	(void)state;
	for (int type = 0; type < N_MSG_TYPES; type++) {
		size_t i = 0;

		while (i < n_examples && strcmp(examples[i].heading, msg_type_name((enum msg_type)type)) != 0)
			i++;
		if (i == n_examples)
			fail_msg("%s has no example", msg_type_name((enum msg_type)type));
	}
}

static void the_json_below_is_the_payload(void **state)
{
	struct msg m;
	struct err e;

	(void)state;
	for (size_t i = 0; i < n_examples; i++) {
		auto_json json_t *shown = shape_load(examples[i].payload, strlen(examples[i].payload), &e);

		if (!shown)
			fail_msg("%s: %s", examples[i].heading, e.msg);
		assert_int_equal(msg_open(&m, examples[i].line, strlen(examples[i].line), NULL, &e), 0);
		if (!json_equal(shown, m.statement ? m.statement : m.body))
			fail_msg("%s: its JSON is not its payload", examples[i].heading);
		msg_release(&m);
	}
}

/* All are of one run: one grid, whose descriptor comes first. */
static void all_are_of_the_grid_that_is_shown(void **state)
{
	struct msg m, grid;
	struct err e;

	(void)state;
	assert_string_equal(examples[0].heading, "grid");
	assert_int_equal(msg_open(&grid, examples[0].line, strlen(examples[0].line), NULL, &e), 0);
	for (size_t i = 1; i < n_examples; i++) {
		assert_int_equal(msg_open(&m, examples[i].line, strlen(examples[i].line), &grid.grid, &e), 0);
		msg_release(&m);
	}
	msg_release(&grid);
}

static void any_changed_byte_is_refused(void **state)
{
	struct msg m;
	struct err e;

	(void)state;
	for (size_t i = 0; i < n_examples; i++) {
		size_t n = strlen(examples[i].line);

		for (size_t at = i % 3; at < n; at += 3) { /* a third of them each, for the time it takes */
			examples[i].line[at] ^= 1;
			if (!msg_open(&m, examples[i].line, n, NULL, &e))
				fail_msg("%s: byte %zu may change", examples[i].heading, at);
			examples[i].line[at] ^= 1;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_example_is_what_its_heading_says),
		cmocka_unit_test(every_type_has_an_example),
		cmocka_unit_test(the_json_below_is_the_payload),
		cmocka_unit_test(all_are_of_the_grid_that_is_shown),
		cmocka_unit_test(any_changed_byte_is_refused),
	};

	return cmocka_run_group_tests_name("protocol_examples", tests, read_document, forget_document);
}
