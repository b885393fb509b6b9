/* SPDX-License-Identifier: Apache-2.0
 *
 * shape.h: strict JSON, and tables that say what a message must look like.
 *
 * shape_load() takes only what PROTOCOL allows in signed JSON: no duplicate keys, no reals,
 * integers within ±2^53, at most 32 levels, valid UTF-8 without NUL. A shape is an array of fields;
 * shape_check() walks it and names the first field that is missing, ill-typed or out of bounds
 * ("limits.cpu_s", "tasks[3].index"). Fields that a shape does not name are ignored.
 */
#ifndef COMMON_SHAPE_H
#define COMMON_SHAPE_H

#include "common/base.h"
#include "common/err.h"

#include <jansson.h>

#define SHAPE_DEPTH_MAX 32
#define SHAPE_INT_MAX ((int64_t)1 << 53)

enum shape_kind {
	SHAPE_TEXT,   /* min..max bytes */
	SHAPE_WORD,   /* one of `words`: a closed set */
	SHAPE_INT,    /* min..max */
	SHAPE_BOOL,
	SHAPE_ID,     /* 64 lowercase hex digits: a key id, job id, pieces root */
	SHAPE_DIGEST, /* "sha256:" and 64 lowercase hex digits */
	SHAPE_NONCE,  /* 32 lowercase hex digits: 128 bits */
	SHAPE_OBJECT, /* of shape `of` (NULL: any) */
	SHAPE_ARRAY,  /* min..max members, each an object of shape `of`, or of kind `each` */
	SHAPE_ANY,
};

struct shape {
	const char *name; /* NULL ends the table */
	enum shape_kind kind;
	bool optional;
	int64_t min, max; /* for TEXT, INT and ARRAY */
	const struct shape *of;
	const char *words; /* for WORD: "run|pause|finish" */
	enum shape_kind each; /* for ARRAY when `of` is NULL */
	int64_t each_max;     /* for TEXT and INT members: largest (INT members are ≥ 0) */
};

/* Parse; NULL and `e` when it is not strict JSON or its top is not an object. */
json_t *shape_load(const char *text, size_t n, struct err *e) MUST_USE;
int shape_check(const json_t *object, const struct shape *shape, struct err *e);
/* Whether the shape's top level names `field`. */
bool shape_knows(const struct shape *shape, const char *field);

/* One compact line, keys in the order they were set; yours. What gets signed and stored. */
char *shape_dump(const json_t *j) MUST_USE;

/* Read a checked field; the shape said it is there. */
const char *jtext(const json_t *o, const char *name);     /* "" when absent */
int64_t jint(const json_t *o, const char *name, int64_t absent);
bool jbool(const json_t *o, const char *name, bool absent);

/* json_t that frees itself */
void shape_decref(json_t **j);
#define auto_json __attribute__((cleanup(shape_decref)))

#endif
