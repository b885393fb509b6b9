/* SPDX-License-Identifier: Apache-2.0
 *
 * vectors.h: what the unit tests share: cmocka, third-party vectors, folders that go away.
 *
 * Vectors stand in $TALKOOT_VECTORS, else ../shared/vectors; without them a test says SKIP.
 */
#ifndef TESTS_VECTORS_H
#define TESTS_VECTORS_H

#include "common/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

static inline void unit_decref(json_t **j)
{
	json_decref(*j);
}
#define auto_json_unit __attribute__((cleanup(unit_decref)))

/* The bytes of a vector file (yours), or NULL when there are none here. */
static inline char *vectors_text(const char *name, size_t *n)
{
	const char *dir = getenv("TALKOOT_VECTORS");
	auto_free char *path = xprintf("%s/%s", dir ? dir : "../shared/vectors", name);
	struct err e;
	char *text;

	if (!file_read(&text, n, path, 8 * 1024 * 1024, &e))
		return text;
	printf("SKIP: published vectors: %s is not there (TALKOOT_VECTORS=DIR)\n", path);
	return NULL;
}

static inline json_t *vectors_json(const char *name)
{
	size_t n;
	auto_free char *text = vectors_text(name, &n);
	json_t *j = text ? json_loadb(text, n, JSON_ALLOW_NUL, NULL) : NULL;

	if (text)
		assert_non_null(j);
	return j;
}

/* A fresh folder below $TMPDIR; remove_tree() it and free the path. */
static inline char *fresh_folder(void)
{
	const char *tmp = getenv("TMPDIR");
	char *path = xprintf("%s/talkoot-test-XXXXXX", tmp ? tmp : "/tmp");

	assert_non_null(mkdtemp(path));
	return path;
}

static inline void drop_folder(char *path)
{
	struct err e;

	assert_int_equal(remove_tree(path, &e), 0);
	free(path);
}

#endif
