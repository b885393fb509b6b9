/* SPDX-License-Identifier: Apache-2.0
 *
 * serve.c: the peer port.
 */
#include "worker/serve.h"
#include "common/dialback.h"
#include "common/have.h"
#include "common/seeds.h"

#include "common/tus.h"

#include <assert.h>
#include <stdlib.h>

struct serve {
	struct httpd *httpd, *web; /* web: NULL without --web-seed */
	char web_base[SEED_BASE_MAX];
	struct ssl_ctx_st *tls;
	struct share *share;
	struct blobs *blobs;
	int64_t upload_kib;
	const struct home *home;
	struct dialback *dialback;
	struct relay *relay;
	struct carry *carry; /* NULL: none */
	const struct id *self;
	struct teller tellers[TELLERS_MAX];
	size_t n_tellers;
	struct gossip *gossip; /* NULL: not yet */
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

static void post_piece(void *arg, struct req *r)
{
	struct serve *s = arg;

	share_piece(s->share, r);
}

static void get_layer(void *arg, struct req *r)
{
	struct serve *s = arg;
	struct digest d, *hashes = NULL;
	int64_t piece;
	struct err e;
	size_t n;

	if (!digest_from_text(&d, req_part(r, 0)))
		err_field(&e, "digest", "must be sha256: and 64 lowercase hex digits");
	else if (!seeds_piece(&piece, req_query(r, "piece"), &e)) {
		if (share_layer(s->share, r, &d, piece))
			return;
		if (share_size(s->share, &d) < 0)
			err_set(&e, ERR_UNKNOWN_BLOB, "%.80s is not here", req_part(r, 0));
		else if (!blob_layer(s->blobs, &d, piece, &hashes, &n, &e)) {
			req_answer(r, 200, "application/octet-stream", hashes, n * sizeof(*hashes));
			free(hashes);
			return;
		}
	}
	req_problem(r, &e);
}

static void get_seeds(void *arg, struct req *r)
{
	struct serve *s = arg;
	struct digest d;
	struct err e;
	int64_t size = digest_from_text(&d, req_part(r, 0)) ? share_size(s->share, &d) : -1;

	if (size >= 0) {
		auto_free char *text = seeds_json(&d, size, s->web_base);

		req_answer_json(r, 200, text);
		return;
	}
	err_set(&e, ERR_UNKNOWN_BLOB, "%.80s is not here", req_part(r, 0));
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

static void post_dial_back(void *arg, struct req *r)
{
	struct serve *s = arg;

	dialback_handle(s->dialback, r);
}

/* --- while the coordinator is silent ------------------------------------------------------------------- */

static void get_jobs(void *arg, struct req *r)
{
	const struct serve *s = arg;
	auto_free char *text = told_list(s->tellers, s->n_tellers);

	req_answer_json(r, 200, text);
}

static void answer_known(struct req *r, const char *text)
{
	struct err e;

	if (text) {
		req_answer_json(r, 200, text);
		return;
	}
	err_set(&e, ERR_UNKNOWN_JOB, "this worker knows no such job");
	req_problem(r, &e);
}

static void get_job(void *arg, struct req *r)
{
	const struct serve *s = arg;
	struct digest id;
	auto_free char *text =
		digest_from_hex(&id, req_part(r, 0)) ? told_one(s->tellers, s->n_tellers, &id) : NULL;

	answer_known(r, text);
}

static void get_manifest(void *arg, struct req *r)
{
	const struct serve *s = arg;
	struct digest id;
	auto_free char *text =
		s->carry && digest_from_hex(&id, req_part(r, 0)) ? carry_manifest(s->carry, &id) : NULL;

	answer_known(r, text);
}

static bool carries(const struct serve *s, struct req *r)
{
	struct err e;

	if (s->carry)
		return true;
	err_set(&e, ERR_REFUSED, "this worker carries no jobs");
	req_problem(r, &e);
	return false;
}

static void post_message(void *arg, struct req *r)
{
	const struct serve *s = arg;

	if (carries(s, r))
		carry_message(s->carry, s->self, r);
}

static void post_upload(void *arg, struct req *r)
{
	const struct serve *s = arg;

	if (carries(s, r))
		carry_upload_post(s->carry, r);
}

static void head_upload(void *arg, struct req *r)
{
	const struct serve *s = arg;

	if (carries(s, r))
		carry_upload_head(s->carry, r);
}

static void patch_upload(void *arg, struct req *r)
{
	const struct serve *s = arg;

	if (carries(s, r))
		carry_upload_patch(s->carry, r);
}

void serve_carry(struct serve *s, struct carry *c, const struct id *self)
{
	s->carry = c;
	s->self = self;
}

void serve_tell(struct serve *s, const struct teller *t)
{
	assert(s->n_tellers < TELLERS_MAX);
	s->tellers[s->n_tellers++] = *t;
}

static void make_tunnel(void *arg, struct req *r)
{
	const struct serve *s = arg;

	relay_serve(s->relay, r);
}

static const struct route routes[] = {
	{ "GET", "/v1/blobs/*", get_blob, 0 },
	{ "GET", "/v1/blobs/*/layer", get_layer, 0 },
	{ "GET", "/v1/blobs/*/seeds", get_seeds, 0 },
	{ "GET", "/v1/grid", get_grid, 0 },
	{ "POST", "/v1/gossip", post_gossip, SAY_BODY_MAX },
	{ "POST", "/v1/dial-back", post_dial_back, DIALBACK_BODY_MAX },
	{ "POST", "/v1/swarm", post_swarm, SWARM_TEXT_MAX },
	{ "POST", "/v1/pieces/*", post_piece, PIECE_POST_MAX },
	{ "GET", "/v1/jobs", get_jobs, 0 },
	{ "GET", "/v1/jobs/*", get_job, 0 },
	{ "GET", "/v1/jobs/*/manifest", get_manifest, 0 },
	{ "POST", "/v1/messages", post_message, 128 * KIB },
	{ "POST", "/v1/uploads", post_upload, 16 * KIB },
	{ "HEAD", "/v1/uploads/*", head_upload, 0 },
	{ "PATCH", "/v1/uploads/*", patch_upload, TUS_PART_MAX },
	{ "CONNECT", "*", make_tunnel, 0 }, /* the last one: left out when there is no relay */
};

static const struct route web_routes[] = {
	{ "GET", "/v1/blobs/*", get_blob, 0 },
	{ "GET", "/v1/blobs/*/*", get_blob, 0 }, /* BEP 19: some clients put the file's name behind the URL */
};

int serve_new(struct serve **out, const struct serve_parts *p, struct err *e)
{
	struct serve *s = xcalloc(1, sizeof(*s));
	struct httpd_spec spec = { .listen = p->listen, .routes = routes, .n_routes = ARRAY_LEN(routes) - !p->relay,
		.arg = s };

	s->share = share_new(p->loop, p->cache, p->home, p->upload_kib);
	s->blobs = cache_blobs(p->cache);
	s->upload_kib = p->upload_kib;
	s->home = p->home;
	s->relay = p->relay;
	s->dialback = dialback_new(p->fetcher);
	spec.send_bytes_s = p->upload_kib > 0 ? p->upload_kib * KIB : 0;
	if (key_tls_server(&s->tls, p->key, e)) {
		serve_free(s);
		return -1;
	}
	spec.tls = s->tls;
	if (httpd_new(&s->httpd, p->loop, &spec, e)) {
		serve_free(s);
		return err_wrap(e, "--listen");
	}
	*out = s;
	return 0;
}

int serve_web(struct serve *s, struct loop *l, const struct endpoint *listen, const struct endpoint *advertise,
	struct err *e)
{
	struct httpd_spec spec = { .listen = *listen, .routes = web_routes, .n_routes = ARRAY_LEN(web_routes),
		.arg = s, .paced_with = s->httpd };

	if (httpd_new(&s->web, l, &spec, e))
		return err_wrap(e, "--web-seed");
	seeds_base(s->web_base, listen, httpd_port(s->web), advertise);
	return 0;
}

uint16_t serve_port(const struct serve *s)
{
	return httpd_port(s->httpd);
}

void serve_gossip(struct serve *s, struct gossip *g)
{
	s->gossip = g;
	gossip_tells(g, share_count, s->share);
}

void serve_free(struct serve *s)
{
	if (!s)
		return;
	dialback_free(s->dialback);
	if (s->web)
		httpd_free(s->web);
	if (s->httpd)
		httpd_free(s->httpd);
	if (s->share)
		share_free(s->share);
	if (s->tls)
		key_tls_free(s->tls);
	free(s);
}
