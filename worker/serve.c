/* SPDX-License-Identifier: Apache-2.0
 *
 * serve.c: the peer port.
 */
#include "worker/serve.h"
#include "common/have.h"

#include <stdlib.h>

struct serve {
	struct httpd *httpd;
	struct ssl_ctx_st *tls;
	struct share *share;
	const struct home *home;
};

static void get_blob(void *arg, struct req *r)
{
	struct serve *s = arg;

	share_blob(s->share, r);
}

static void post_swarm(void *arg, struct req *r)
{
	struct serve *s = arg;

	share_swarm(s->share, r);
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

static const struct route routes[] = {
	{ "GET", "/v1/blobs/*", get_blob, 0 },
	{ "GET", "/v1/grid", get_grid, 0 },
	{ "POST", "/v1/swarm", post_swarm, SWARM_TEXT_MAX },
};

int serve_new(struct serve **out, struct loop *l, const struct key *k, const struct endpoint *listen,
	struct cache *cache, const struct home *h, int64_t upload_kib, struct err *e)
{
	struct serve *s = xcalloc(1, sizeof(*s));
	struct httpd_spec spec = { .listen = *listen, .routes = routes, .n_routes = ARRAY_LEN(routes), .arg = s };

	s->share = share_new(l, cache, h, upload_kib);
	s->home = h;
	spec.send_bytes_s = upload_kib > 0 ? upload_kib * KIB : 0;
	if (key_tls_server(&s->tls, k, e)) {
		share_free(s->share);
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

void serve_free(struct serve *s)
{
	if (!s)
		return;
	if (s->httpd)
		httpd_free(s->httpd);
	share_free(s->share);
	key_tls_free(s->tls);
	free(s);
}
