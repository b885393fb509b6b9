/* SPDX-License-Identifier: Apache-2.0
 *
 * problem.h: an error on the wire: application/problem+json (RFC 9457), type
 * "urn:talkoot:problem:NAME", with title, status, detail and, where one is at fault, field.
 */
#ifndef COMMON_PROBLEM_H
#define COMMON_PROBLEM_H

#include "common/err.h"

/* Valid JSON in valid UTF-8, whatever e->msg holds. Yours. */
char *problem_json(const struct err *e) MUST_USE;

/* Fill `e` from the document in `text` (n bytes, a stranger's) that came with `status`; what is no
 * such document leaves the status to speak. `where` is HOST:PORT for people. */
void problem_read(struct err *e, int status, const char *text, size_t n, const char *where);

#endif
