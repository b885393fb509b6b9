/* SPDX-License-Identifier: Apache-2.0
 *
 * httpd_answer.c: answers of the HTTP server: bytes, problems (RFC 9457), ranges (RFC 9110, 14),
 * and files that are streamed: the next part is read when the last one has left, so memory does
 * not grow with the file.
 */
#include "common/httpd_in.h"
#include "common/problem.h"
#include "common/range.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define JOINED_MAX ((size_t)(16 * KIB))    /* a TLS record */
#define STREAM_PART ((int64_t)(128 * KIB)) /* what one download holds in memory */

/* --- the head ---------------------------------------------------------------------------------- */
void req_out_header(struct req *r, const char *name, const char *value)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(r->ev);

	evhttp_remove_header(headers, name);
	evhttp_add_header(headers, name, value); /* drops a value that holds CR or LF */
}

static void header_default(struct req *r, const char *name, const char *value)
{
	if (!evhttp_find_header(evhttp_request_get_output_headers(r->ev), name))
		req_out_header(r, name, value);
}

static bool is_head(const struct req *r)
{
	return evhttp_request_get_command(r->ev) == EVHTTP_REQ_HEAD;
}

static void head(struct req *r, int status, const char *type, int64_t length)
{
	char text[24];

	header_default(r, "X-Content-Type-Options", "nosniff");
	header_default(r, "Cache-Control", "no-store");
	if (status != 204 && status != 304) {
		snprintf(text, sizeof(text), "%lld", (long long)length);
		req_out_header(r, "Content-Length", text);
		if (type)
			req_out_header(r, "Content-Type", type);
	}
	if (!r->conn->h->bound || r->connect) /* whoever is refused a tunnel may have begun to speak in it */
		req_out_header(r, "Connection", "close");
}

/* --- whole answers ------------------------------------------------------------------------------ */
/* Head and body as one record, and one packet: an idle exchange is counted in bytes. */
static void join_parts(struct conn *c)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);

	if (evbuffer_get_length(out) <= JOINED_MAX)
		evbuffer_pullup(out, -1);
}

static void answer_whole(struct req *r, int status, const void *bytes, size_t n)
{
	struct evbuffer *out = evhttp_request_get_output_buffer(r->ev);
	struct conn *c = r->conn;
	struct evhttp_request *ev = r->ev;

	/* evhttp would send a body even where there must be none */
	if (!is_head(r) && status != 204 && status != 304)
		evbuffer_add(out, bytes, n);
	req_free(r);
	evhttp_send_reply(ev, status, NULL, NULL);
	join_parts(c);
	conn_answering(c);
}

void req_answer(struct req *r, int status, const char *type, const void *bytes, size_t n)
{
	assert(!r->answered);
	head(r, status, type, (int64_t)n);
	answer_whole(r, status, bytes, n);
}

void req_answer_bare(struct req *r, int status, const void *json, size_t n)
{
	char text[24];

	assert(!r->answered);
	snprintf(text, sizeof(text), "%zu", n);
	req_out_header(r, "Content-Length", text);
	if (!r->conn->h->bound)
		req_out_header(r, "Connection", "close");
	answer_whole(r, status, json, n);
}

void req_answer_json(struct req *r, int status, const char *text)
{
	req_answer(r, status, "application/json", text, strlen(text));
}

void req_problem(struct req *r, const struct err *e)
{
	auto_free char *text = problem_json(e);

	if (e->code == ERR_RATE)
		header_default(r, "Retry-After", "1");
	req_answer(r, err_status(e->code), "application/problem+json", text, strlen(text));
}

/* --- ranges ------------------------------------------------------------------------------------- */
bool req_range(const struct req *r, int64_t size, int64_t *from, int64_t *n)
{
	return range_parse(req_header(r, "Range"), size, from, n) == RANGE_PART;
}

/* Set the headers of an answer about `size` bytes with this etag. Says the status, and which part
 * to send; 304 and 416 have none. */
static int select_part(struct req *r, int64_t size, const char *etag, int64_t *from, int64_t *n)
{
	bool quoted = etag && (etag[0] == '"' || etag[0] == 'W');
	auto_free char *tag = xprintf(quoted ? "%s" : "\"%s\"", etag ? etag : "");
	const char *known = req_header(r, "If-None-Match"), *same = req_header(r, "If-Range");
	const char *range = evhttp_request_get_command(r->ev) == EVHTTP_REQ_GET
		? req_header(r, "Range")
		: NULL;
	char text[80];

	*from = 0;
	*n = size;
	req_out_header(r, "Accept-Ranges", "bytes");
	if (etag)
		req_out_header(r, "ETag", tag);
	if (etag && known && !strcmp(known, tag))
		return 304;
	if (same && (!etag || strcmp(same, tag) != 0))
		return 200;
	switch (range_parse(range, size, from, n)) {
	case RANGE_WHOLE:
		return 200;
	case RANGE_NONE:
		snprintf(text, sizeof(text), "bytes */%lld", (long long)size);
		req_out_header(r, "Content-Range", text);
		return 416;
	case RANGE_PART:
		break;
	}
	snprintf(text, sizeof(text), "bytes %lld-%lld/%lld", (long long)*from,
		(long long)(*from + *n - 1), (long long)size);
	req_out_header(r, "Content-Range", text);
	return 206;
}

/* The answers of select_part() that carry no bytes. */
static bool answer_without(struct req *r, int status)
{
	struct err e;

	if (status == 416) {
		err_set(&e, ERR_RANGE, "the range lies outside");
		req_problem(r, &e);
		return true;
	}
	if (status == 304)
		req_answer(r, 304, NULL, "", 0);
	return status == 304;
}

void req_answer_range(struct req *r, const char *type, const void *bytes, size_t n, const char *etag)
{
	int64_t from, part;
	int status = select_part(r, (int64_t)n, etag, &from, &part);

	if (!answer_without(r, status))
		req_answer(r, status, type, (const char *)bytes + from, (size_t)part);
}

/* --- streams ------------------------------------------------------------------------------------ */
/* Read the next part of the stream. -1: the file is shorter than was said, or cannot be read. */
static int stream_read(struct req *r, struct evbuffer *part)
{
	struct evbuffer_iovec v;
	int64_t want = r->left < STREAM_PART ? r->left : STREAM_PART;

	if (want == 0)
		return 0;
	if (evbuffer_reserve_space(part, (ev_ssize_t)want, &v, 1) != 1)
		return -1;
	ssize_t got = pread(r->fd, v.iov_base, (size_t)want, (off_t)r->at);
	if (got <= 0)
		return -1;
	v.iov_len = (size_t)got;
	evbuffer_commit_space(part, &v, 1);
	r->at += got;
	r->left -= got;
	return 0;
}

static void stream_next(struct evhttp_connection *ec, void *arg);

/* Hand a part to evhttp; when it was the last one, the request is over. */
static void stream_send(struct req *r, struct evbuffer *part)
{
	struct conn *c = r->conn;
	struct evhttp_request *ev = r->ev;

	if (evbuffer_get_length(part) > 0)
		evhttp_send_reply_chunk_with_cb(ev, part, stream_next, r);
	conn_answering(c);
	if (r->left > 0)
		return;
	req_free(r);
	evhttp_send_reply_end(ev);
}

static void stream_next(struct evhttp_connection *ec, void *arg)
{
	struct req *r = arg;
	struct evbuffer *out = bufferevent_get_output(r->conn->bev);

	(void)ec;
	if (evbuffer_get_length(out) > 0)
		return; /* a late call for an earlier part */
	struct evbuffer *part = evbuffer_new();
	assert(part);
	if (stream_read(r, part))
		conn_cut(r->conn); /* the length was promised: the peer must see that it broke */
	else
		stream_send(r, part);
	evbuffer_free(part);
}

static void stream_start(struct req *r, int status, const char *type)
{
	struct evbuffer *part = evbuffer_new();
	struct err e;

	assert(part);
	if (is_head(r)) {
		head(r, status, type, r->left);
		r->left = 0;
	} else if (stream_read(r, part)) {
		err_set(&e, ERR_INTERNAL, "the bytes cannot be read");
		req_problem(r, &e);
		evbuffer_free(part);
		return;
	} else {
		head(r, status, type, r->left + (int64_t)evbuffer_get_length(part));
	}
	r->answered = true;
	evhttp_send_reply_start(r->ev, status, NULL);
	stream_send(r, part);
	evbuffer_free(part);
}

void req_answer_fd(struct req *r, const char *type, int fd, int64_t size, const char *etag)
{
	assert(!r->answered && r->fd < 0);
	r->fd = fd;
	int status = select_part(r, size, etag, &r->at, &r->left);
	if (!answer_without(r, status))
		stream_start(r, status, type);
}
