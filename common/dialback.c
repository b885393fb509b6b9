/* SPDX-License-Identifier: Apache-2.0
 *
 * dialback.c: the answer to "can you reach me?".
 */
#include "common/dialback.h"
#include "common/clock.h"
#include "common/recent.h"
#include "common/shape.h"

#include <stdlib.h>
#include <string.h>

struct call {
	struct dialback *d;
	struct req *r; /* NULL: who asked has gone */
	struct fetch *fetch;
	struct endpoint at;
};

struct dialback {
	struct fetcher *fetcher;
	struct recent asked;
	struct call *calls[DIALBACK_MAX]; /* NULL: free */
};

static const struct shape shape_request[] = {
	{ .name = "node", .kind = SHAPE_ID },
	{ .name = "port", .kind = SHAPE_INT, .min = 1, .max = 65535 },
	{ .name = NULL },
};

int dialback_read(struct id *node, uint16_t *port, const char *body, size_t n, struct err *e)
{
	auto_json json_t *o = shape_load(body, n, e);

	if (!o || shape_check(o, shape_request, e))
		return -1;
	id_parse(node, jtext(o, "node"));
	*port = (uint16_t)jint(o, "port", 0);
	return 0;
}

static const struct shape shape_answer[] = {
	{ .name = "reached", .kind = SHAPE_BOOL },
	{ .name = "address", .kind = SHAPE_TEXT, .min = 1, .max = LINK_HOST_MAX + 8 },
	{ .name = NULL },
};

int dialback_read_answer(
	bool *reached, struct endpoint *at, const char *body, size_t n, struct err *e)
{
	auto_json json_t *o = shape_load(body, n, e);

	if (!o || shape_check(o, shape_answer, e))
		return -1;
	if (endpoint_parse(at, jtext(o, "address"), e))
		return err_field(e, "address", "must be HOST:PORT");
	*reached = jbool(o, "reached", false);
	return 0;
}

static void drop(struct call *c)
{
	for (size_t i = 0; i < DIALBACK_MAX; i++)
		if (c->d->calls[i] == c)
			c->d->calls[i] = NULL;
	free(c);
}

static void on_gone(void *arg)
{
	struct call *c = arg;

	fetch_cancel(c->fetch);
	drop(c);
}

/* Any answer at all came from who holds the key, since TLS is pinned to it. */
static void on_answer(void *arg, struct answer *a)
{
	struct call *c = arg;
	char text[LINK_HOST_MAX + 9];

	endpoint_text(text, &c->at);
	auto_json json_t *o = json_pack("{s:b,s:s}", "reached", a->status != 0, "address", text);
	auto_free char *line = shape_dump(o);
	req_on_gone(c->r, NULL, NULL);
	req_answer_json(c->r, 200, line);
	drop(c);
}

static struct call *free_call(struct dialback *d, struct req *r)
{
	for (size_t i = 0; i < DIALBACK_MAX; i++)
		if (!d->calls[i]) {
			d->calls[i] = xcalloc(1, sizeof(*d->calls[i]));
			*d->calls[i] = (struct call){ .d = d, .r = r };
			return d->calls[i];
		}
	return NULL;
}

static void dial(struct call *c, const struct id *node, uint16_t port)
{
	struct link to = { .node = *node, .grid = *node, .port = port };
	struct fetch_spec spec = {
		.method = "GET", .to = &to, .path = "/v1/grid", .timeout_ms = DIALBACK_TIMEOUT_MS
	};

	snprintf(to.host, sizeof(to.host), "%s", req_address(c->r));
	memcpy(c->at.host, to.host, sizeof(c->at.host));
	c->at.port = port;
	req_on_gone(c->r, on_gone, c);
	c->fetch = fetch_start(c->d->fetcher, &spec, on_answer, c);
}

void dialback_handle(struct dialback *d, struct req *r)
{
	size_t n;
	const char *body = req_body(r, &n);
	char from[LINK_HOST_MAX + 9];
	struct call *c = NULL;
	struct id node;
	uint16_t port;
	struct err e;

	if (dialback_read(&node, &port, body, n, &e)) {
		req_problem(r, &e);
		return;
	}
	snprintf(from, sizeof(from), "%s %u", req_address(r), port);
	if (*req_address(r) && strlen(from) <= RECENT_KEY_MAX &&
		recent_allow(&d->asked, from, strlen(from), clock_mono_ms(), DIALBACK_EVERY_MS))
		c = free_call(d, r);
	if (!c) {
		err_set(&e, ERR_RATE,
			"an address and port is called back once in %d s, and %d at a time",
			DIALBACK_EVERY_MS / 1000, DIALBACK_MAX);
		req_out_header(r, "Retry-After", "10");
		req_problem(r, &e);
		return;
	}
	dial(c, &node, port);
}

struct dialback *dialback_new(struct fetcher *f)
{
	struct dialback *d = xcalloc(1, sizeof(*d));

	d->fetcher = f;
	return d;
}

void dialback_free(struct dialback *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < DIALBACK_MAX; i++)
		if (d->calls[i]) {
			fetch_cancel(d->calls[i]->fetch);
			req_on_gone(d->calls[i]->r, NULL, NULL);
			free(d->calls[i]);
		}
	free(d);
}
