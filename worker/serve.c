/* SPDX-License-Identifier: Apache-2.0
 *
 * serve.c: the peer port.
 */
#include "worker/serve.h"

#include <stdlib.h>

struct serve {
	struct httpd *httpd;
	struct ssl_ctx_st *tls;
	struct blobs *blobs;
	const struct home *home;
	struct gossip *gossip; /* NULL: not yet */
};

static void get_blob(void *arg, struct req *r)
{
	struct serve *s = arg;
	const char *name = req_part(r, 0);
	struct digest d;
	struct err e;
	int64_t size;
	int fd;

	if (!digest_from_text(&d, name))
		err_field(&e, "digest", "must be sha256: and 64 lowercase hex digits");
	else if (!blob_open(s->blobs, &d, &fd, &size, &e)) {
		req_answer_fd(r, "application/octet-stream", fd, size, name);
		return;
	}
	req_problem(r, &e);
}

static void get_grid(void *arg, struct req *r)
{
	const struct serve *s = arg;
	struct err e;

	if (s->home->known) {
		req_answer_json(r, 200, s->home->line);
		return;
	}
	err_set(&e, ERR_NOT_FOUND, "this worker has not joined yet");
	req_problem(r, &e);
}

static void post_gossip(void *arg, struct req *r)
{
	const struct serve *s = arg;
	struct err e;

	if (s->gossip) {
		gossip_serve(s->gossip, r);
		return;
	}
	err_set(&e, ERR_UNREACHABLE, "this worker is starting");
	req_problem(r, &e);
}

static const struct route routes[] = {
	{ "GET", "/v1/blobs/*", get_blob, 0 },
	{ "GET", "/v1/grid", get_grid, 0 },
	{ "POST", "/v1/gossip", post_gossip, SAY_BODY_MAX },
};

int serve_new(struct serve **out, struct loop *l, const struct key *k, const struct endpoint *listen,
	struct blobs *blobs, const struct home *h, struct err *e)
{
	struct serve *s = xcalloc(1, sizeof(*s));
	struct httpd_spec spec = { .listen = *listen, .routes = routes, .n_routes = ARRAY_LEN(routes), .arg = s };

	s->blobs = blobs;
	s->home = h;
	if (key_tls_server(&s->tls, k, e)) {
		free(s);
		return -1;
	}
	spec.tls = s->tls;
	if (httpd_new(&s->httpd, l, &spec, e)) {
		serve_free(s);
		return err_wrap(e, "--listen");
	}
	*out = s;
	return 0;
}

uint16_t serve_port(const struct serve *s)
{
	return httpd_port(s->httpd);
}

void serve_gossip(struct serve *s, struct gossip *g)
{
	s->gossip = g;
}

void serve_free(struct serve *s)
{
	if (!s)
		return;
	if (s->httpd)
		httpd_free(s->httpd);
	key_tls_free(s->tls);
	free(s);
}
