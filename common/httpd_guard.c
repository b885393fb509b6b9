/* SPDX-License-Identifier: Apache-2.0
 *
 * httpd_guard.c: the framing of HTTP/1.1 requests (RFC 9112), strictly.
 *
 *	START -> FIELDS -> START                       no body
 *	                -> BODY -> START               Content-Length
 *	                -> CHUNK_SIZE -> CHUNK -> CHUNK_END -> CHUNK_SIZE … -> TRAILER -> START
 *
 * Refused: lines that do not end in CRLF, control bytes, folded fields, a space before the colon,
 * two lengths, a length and a coding, any coding but `chunked`, chunk extensions, a body where
 * libevent would not read one, HTTP/1.1 without exactly one Host, targets that are not a plain path.
 * Where the server has tunnels, CONNECT and only CONNECT has a target HOST:PORT.
 */
#include "common/httpd_guard.h"
#include "common/id.h"

#include <string.h>
#include <strings.h>

#define LINE_KEPT 512 /* a longer line buffer is given back between messages */

/* RFC 9110, 5.6.2 */
static bool is_token(const char *s, size_t n)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < n; i++) {
		char c = s[i];
		bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!alnum && (c == '\0' || !strchr(marks, c)))
			return false;
	}
	return n > 0;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* An absolute path with an optional query (RFC 3986), no NUL hidden in it. */
static bool is_target(const char *s)
{
	static const char marks[] = "-._~!$&'()*+,;=:@/?";

	if (s[0] != '/' || s[1] == '/')
		return false;
	for (; *s; s++) {
		bool alnum = (*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') ||
			(*s >= 'A' && *s <= 'Z');

		if (*s == '%') {
			if (hex_value(s[1]) < 0 || hex_value(s[2]) < 0 || (s[1] == '0' && s[2] == '0'))
				return false;
			s += 2;
		} else if (!alnum && !strchr(marks, *s)) {
			return false;
		}
	}
	return true;
}

/* HOST:PORT or [V6]:PORT (RFC 9112, 3.2.3), as endpoint_parse() takes it, and a port. */
static bool is_authority(const char *s)
{
	struct endpoint at;
	struct err e;

	return !endpoint_parse(&at, s, &e) && at.port && at.host[0];
}

/* 1 to `max` digits of `base` and nothing else. */
static bool number(uint64_t *out, const char *s, size_t max, unsigned base)
{
	size_t n = strlen(s);

	*out = 0;
	for (size_t i = 0; i < n && n <= max; i++) {
		int v = hex_value(s[i]);

		if (v < 0 || v >= (int)base)
			return false;
		*out = *out * base + (unsigned)v;
	}
	return n > 0 && n <= max;
}

static int refuse(struct guard *g, enum err_code code, const char *why)
{
	g->state = GUARD_REFUSED;
	g->code = code;
	g->why = why;
	return -1;
}

void guard_init(struct guard *g, guard_limit_fn *limit, void *arg)
{
	*g = (struct guard){ .limit = limit, .arg = arg };
}

void guard_release(struct guard *g)
{
	buf_release(&g->line);
}

bool guard_between(const struct guard *g)
{
	return g->state == GUARD_START && g->line.len == 0;
}

static int message_end(struct guard *g)
{
	g->messages++;
	g->state = GUARD_START;
	if (g->line.room > LINE_KEPT)
		buf_release(&g->line);
	return 0;
}

/* These are the methods for which libevent reads a body. With any other, the body would be taken
 * for the next request. */
static bool reads_body(const char *method)
{
	static const char *const names[] = { "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(method, names[i]))
			return true;
	return false;
}

static int request_line(struct guard *g, char *line)
{
	char *target = strchr(line, ' ');
	char *version = target ? strchr(target + 1, ' ') : NULL;

	if (!version)
		return refuse(g, ERR_MALFORMED, "this is not a line METHOD TARGET HTTP/1.1");
	*target++ = '\0';
	*version++ = '\0';
	if (!is_token(line, strlen(line)))
		return refuse(g, ERR_MALFORMED, "the method is not a token");
	if (!(g->tunnels && !strcmp(line, "CONNECT") ? is_authority(target) : is_target(target)))
		return refuse(g, ERR_MALFORMED, "the target is not an absolute path");
	g->http11 = !strcmp(version, "HTTP/1.1");
	if (!g->http11 && strcmp(version, "HTTP/1.0") != 0)
		return refuse(g, ERR_MALFORMED, "the version is not HTTP/1.1");
	g->has_length = g->has_coding = g->has_host = false;
	g->may_have_body = reads_body(line);
	g->left = g->body = 0;
	g->n_fields = 0;
	g->body_max = g->limit(g->arg, line, target);
	g->state = GUARD_FIELDS;
	return 0;
}

static int field_length(struct guard *g, const char *value)
{
	if (g->has_length)
		return refuse(g, ERR_MALFORMED, "Content-Length is given twice");
	g->has_length = true;
	if (!number(&g->left, value, 18, 10))
		return refuse(g, ERR_MALFORMED, "Content-Length is not a number");
	return 0;
}

static int field_coding(struct guard *g, const char *value)
{
	if (g->has_coding || !g->http11)
		return refuse(g, ERR_MALFORMED, "Transfer-Encoding is given twice or to HTTP/1.0");
	g->has_coding = true;
	if (strcasecmp(value, "chunked") != 0)
		return refuse(g, ERR_MALFORMED, "the only Transfer-Encoding here is chunked");
	return 0;
}

static int field_host(struct guard *g, const char *value)
{
	(void)value;
	if (g->has_host)
		return refuse(g, ERR_MALFORMED, "Host is given twice");
	g->has_host = true;
	return 0;
}

static int field_expect(struct guard *g, const char *value)
{
	g->expects = true;
	if (strcasecmp(value, "100-continue") != 0)
		return refuse(g, ERR_MALFORMED, "the only Expect here is 100-continue");
	return 0;
}

static const struct {
	const char *name;
	int (*see)(struct guard *g, const char *value);
} fields[] = {
	{ "Content-Length", field_length },
	{ "Transfer-Encoding", field_coding },
	{ "Host", field_host },
	{ "Expect", field_expect },
};

/* Check "Name: value"; cut the value's blanks off. *value is NULL when it is not a field. */
static int field_split(struct guard *g, char *line, char **value)
{
	char *colon = strchr(line, ':');

	if (++g->n_fields > GUARD_FIELDS_MAX)
		return refuse(g, ERR_TOO_BIG, "more than 64 header fields");
	if (!colon || !is_token(line, (size_t)(colon - line)))
		return refuse(g, ERR_MALFORMED, "a header line is not NAME: VALUE");
	*colon = '\0';
	*value = colon + 1 + strspn(colon + 1, " \t");
	for (char *end = *value + strlen(*value); end > *value && strchr(" \t", end[-1]);)
		*--end = '\0';
	for (const char *c = *value; *c; c++)
		if ((unsigned char)*c < 0x20 ? *c != '\t' : *c == 0x7f)
			return refuse(g, ERR_MALFORMED, "a header value holds a control character");
	return 0;
}

static int fields_end(struct guard *g)
{
	if (g->http11 && !g->has_host)
		return refuse(g, ERR_MALFORMED, "HTTP/1.1 asks for a Host");
	if (g->has_length && g->has_coding)
		return refuse(g, ERR_MALFORMED, "both Content-Length and Transfer-Encoding");
	if ((g->left || g->has_coding) && !g->may_have_body)
		return refuse(g, ERR_MALFORMED, "this method has no body");
	if (g->left > g->body_max)
		return refuse(g, ERR_TOO_BIG, "the body is longer than is allowed here");
	if (g->has_coding) {
		g->state = GUARD_CHUNK_SIZE;
		return 0;
	}
	g->state = GUARD_BODY;
	return g->left ? 0 : message_end(g);
}

static int field_line(struct guard *g, char *line)
{
	char *value;

	if (!*line)
		return fields_end(g);
	if (field_split(g, line, &value))
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (!strcasecmp(line, fields[i].name))
			return fields[i].see(g, value);
	return 0;
}

static int trailer_line(struct guard *g, char *line)
{
	char *value;

	return *line ? field_split(g, line, &value) : message_end(g);
}

static int chunk_size_line(struct guard *g, char *line)
{
	if (!number(&g->left, line, 8, 16))
		return refuse(g, ERR_MALFORMED, "a chunk size is not plain hex");
	g->body += g->left;
	if (g->body > g->body_max)
		return refuse(g, ERR_TOO_BIG, "the body is longer than is allowed here");
	g->state = g->left ? GUARD_CHUNK : GUARD_TRAILER;
	g->head = 0;
	return 0;
}

static int chunk_end_line(struct guard *g, char *line)
{
	if (*line)
		return refuse(g, ERR_MALFORMED, "a chunk is longer than its size");
	g->state = GUARD_CHUNK_SIZE;
	return 0;
}

static int (*const on_line[])(struct guard *g, char *line) = {
	[GUARD_START] = request_line,
	[GUARD_FIELDS] = field_line,
	[GUARD_CHUNK_SIZE] = chunk_size_line,
	[GUARD_CHUNK_END] = chunk_end_line,
	[GUARD_TRAILER] = trailer_line,
	[GUARD_REFUSED] = NULL,
};

/* Take what is there of one line. */
static int feed_line(struct guard *g, const char **at, size_t *n)
{
	const char *lf = memchr(*at, '\n', *n);
	size_t take = lf ? (size_t)(lf - *at) + 1 : *n;

	if (guard_between(g))
		g->head = 0;
	g->head += take;
	if (g->head > GUARD_HEAD_MAX && g->state != GUARD_CHUNK_SIZE)
		return refuse(g, ERR_TOO_BIG, "the request head is longer than 16 KiB");
	if (g->line.len + take > GUARD_HEAD_MAX)
		return refuse(g, ERR_TOO_BIG, "a line is longer than 16 KiB");
	buf_add(&g->line, *at, take);
	*at += take;
	*n -= take;
	if (!lf)
		return 0;
	char *line = g->line.data;
	size_t len = g->line.len - 1;

	if (len == 0 || line[len - 1] != '\r')
		return refuse(g, ERR_MALFORMED, "a line does not end in CRLF");
	line[--len] = '\0';
	if (strlen(line) != len || memchr(line, '\r', len))
		return refuse(g, ERR_MALFORMED, "a line holds a NUL or a bare CR");
	g->line.len = 0;
	return on_line[g->state](g, line);
}

static int feed_body(struct guard *g, const char **at, size_t *n)
{
	size_t take = g->left < *n ? (size_t)g->left : *n;

	*at += take;
	*n -= take;
	g->left -= take;
	if (g->left)
		return 0;
	if (g->state == GUARD_BODY)
		return message_end(g);
	g->state = GUARD_CHUNK_END;
	return 0;
}

int guard_feed(struct guard *g, const void *bytes, size_t n)
{
	const char *at = bytes;

	while (n > 0 && g->state != GUARD_REFUSED) {
		bool body = g->state == GUARD_BODY || g->state == GUARD_CHUNK;

		if (body ? feed_body(g, &at, &n) : feed_line(g, &at, &n))
			return -1;
	}
	return g->state == GUARD_REFUSED ? -1 : 0;
}
