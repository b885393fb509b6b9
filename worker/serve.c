/* SPDX-License-Identifier: Apache-2.0
 *
 * serve.c: the peer port.
 */
#include "worker/serve.h"

#include "common/tus.h"

#include <assert.h>
#include <stdlib.h>

struct serve {
	struct httpd *httpd;
	struct ssl_ctx_st *tls;
	struct blobs *blobs;
	const struct home *home;
	struct relay *relay;
	struct carry *carry; /* NULL: none */
	const struct id *self;
	struct teller tellers[TELLERS_MAX];
	size_t n_tellers;
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
	{ "GET", "/v1/grid", get_grid, 0 },
	{ "GET", "/v1/jobs", get_jobs, 0 },
	{ "GET", "/v1/jobs/*", get_job, 0 },
	{ "GET", "/v1/jobs/*/manifest", get_manifest, 0 },
	{ "POST", "/v1/messages", post_message, 128 * KIB },
	{ "POST", "/v1/uploads", post_upload, 16 * KIB },
	{ "HEAD", "/v1/uploads/*", head_upload, 0 },
	{ "PATCH", "/v1/uploads/*", patch_upload, TUS_PART_MAX },
	{ "CONNECT", "*", make_tunnel, 0 }, /* the last one: left out when there is no relay */
};

int serve_new(struct serve **out, struct loop *l, const struct key *k, const struct endpoint *listen,
	struct blobs *blobs, const struct home *h, struct relay *relay, struct err *e)
{
	struct serve *s = xcalloc(1, sizeof(*s));
	struct httpd_spec spec = { .listen = *listen, .routes = routes, .n_routes = ARRAY_LEN(routes) - !relay, .arg = s };

	s->blobs = blobs;
	s->home = h;
	s->relay = relay;
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

void serve_free(struct serve *s)
{
	if (!s)
		return;
	if (s->httpd)
		httpd_free(s->httpd);
	key_tls_free(s->tls);
	free(s);
}
