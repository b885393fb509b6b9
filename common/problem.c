/* SPDX-License-Identifier: Apache-2.0
 *
 * problem.c: problem documents, written by the server and read by the client.
 */
#include "common/problem.h"
#include "common/buf.h"
#include "common/log.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char urn[] = "urn:talkoot:problem:";

/* `s` between quotes. text_safe() leaves valid UTF-8 without control characters. */
static void json_text(struct buf *b, const char *s)
{
	auto_free char *safe = text_safe(s, strlen(s));

	buf_text(b, "\"");
	for (const char *c = safe; *c; c++)
		buf_printf(b, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
	buf_text(b, "\"");
}

char *problem_json(const struct err *e)
{
	struct buf b = { 0 };

	buf_printf(&b, "{\"type\":\"%s%s\",\"title\":", urn, err_name(e->code));
	json_text(&b, err_title(e->code));
	buf_printf(&b, ",\"status\":%d,\"detail\":", err_status(e->code));
	json_text(&b, e->msg);
	if (e->field[0]) {
		buf_text(&b, ",\"field\":");
		json_text(&b, e->field);
	}
	buf_text(&b, "}");
	return buf_take(&b);
}

/* The code that a bare HTTP status stands for. */
static enum err_code code_of_status(int status)
{
	static const struct {
		int status;
		enum err_code code;
	} known[] = {
		{ 400, ERR_MALFORMED }, { 401, ERR_TOKEN }, { 403, ERR_REFUSED },
		{ 404, ERR_NOT_FOUND }, { 405, ERR_METHOD },  { 409, ERR_CONFLICT },
		{ 413, ERR_TOO_BIG },   { 416, ERR_RANGE },   { 429, ERR_RATE },
		{ 503, ERR_UNREACHABLE }, { 507, ERR_FULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (known[i].status == status)
			return known[i].code;
	return ERR_INTERNAL;
}

void problem_read(struct err *e, int status, const char *text, size_t n, const char *where)
{
	json_t *doc = n ? json_loadb(text, n, 0, NULL) : NULL;
	const char *type = json_string_value(json_object_get(doc, "type"));
	const char *detail = json_string_value(json_object_get(doc, "detail"));
	const char *field = json_string_value(json_object_get(doc, "field"));
	enum err_code code = ERR_NONE;

	if (type && !strncmp(type, urn, strlen(urn)))
		code = err_by_name(type + strlen(urn));
	if (code == ERR_NONE)
		code = code_of_status(status);
	if (detail && *detail)
		err_set(e, code, "%s", detail);
	else
		err_set(e, code, "%s answers %d", where, status);
	if (field)
		snprintf(e->field, sizeof(e->field), "%s", field);
	json_decref(doc);
}
