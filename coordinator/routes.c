/* SPDX-License-Identifier: Apache-2.0
 *
 * routes.c: HTTP on one side, calls on the other. Every request becomes a call, whose reply is sent
 * when the turn it was made in is durable.
 */
#include "coordinator/routes.h"
#include "common/have.h"
#include "common/log.h"
#include "common/say.h"
#include "common/tus.h"
#include "common/tus_serve.h"
#include "coordinator/gossip.h"
#include "coordinator/spread.h"
#include "coordinator/sources.h"
#include "coordinator/status.h"
#include "coordinator/uploads.h"

#include <string.h>
#include <strings.h>

#define TICKET_MAX 8192

/* --- the reply ---------------------------------------------------------------------------- */
static void number_header(struct req *r, const char *name, int64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)n);
	req_out_header(r, name, text);
}

static void headers(struct req *r, const struct reply *p)
{
	if (p->location[0])
		req_out_header(r, "Location", p->location);
	if (p->offset >= 0) {
		req_out_header(r, "Tus-Resumable", TUS_VERSION);
		number_header(r, "Upload-Offset", p->offset);
	}
	if (p->length >= 0)
		number_header(r, "Upload-Length", p->length);
	if (p->next > 0)
		number_header(r, "Talkoot-Next", p->next);
}

static void send_reply(void *arg, struct reply *p)
{
	struct req *r = arg;

	if (p->e.code != ERR_NONE) {
		if (p->retry_s)
			number_header(r, "Retry-After", p->retry_s);
		req_problem(r, &p->e);
		return;
	}
	headers(r, p);
	if (p->fd >= 0) {
		int fd = p->fd;

		p->fd = -1;
		req_answer_fd(r, p->type, fd, p->size, p->etag);
	} else if (p->ranged) {
		req_answer_range(r, p->type, p->body, p->n, p->etag);
	} else {
		req_answer(r, p->status, p->type, p->body, p->n);
	}
}

static void gone(void *arg)
{
	coord_gone(arg);
}

static struct call *begin(void *arg, struct req *r)
{
	struct door *d = arg;
	struct call *call = coord_call(d->c, send_reply, r);

	req_on_gone(r, gone, call);
	return call;
}

/* --- the grid port ------------------------------------------------------------------------ */
static void grid_get(void *arg, struct req *r)
{
	struct door *d = arg;

	reply_json(begin(arg, r), 200, xstrdup(d->c->grid_line));
}

static void messages_post(void *arg, struct req *r)
{
	size_t n;
	const char *body = req_body(r, &n);

	coord_message(begin(arg, r), body, n, req_address(r));
}

static void gossip_post(void *arg, struct req *r)
{
	size_t n;
	const char *body = req_body(r, &n);

	gossip_message(begin(arg, r), body, n, req_address(r));
}

static void uploads_post(void *arg, struct req *r)
{
	struct call *call = begin(arg, r);
	int64_t size;
	size_t n;
	const char *body = req_body(r, &n);
	struct err e;

	if (tus_check_version(r, &e) || tus_read_length(&size, r, &e))
		reply_error(call, &e);
	else
		upload_create(call, body, n, size, req_address(r));
}

static void upload_head(void *arg, struct req *r)
{
	struct call *call = begin(arg, r);
	struct err e;

	if (tus_check_version(r, &e))
		reply_error(call, &e);
	else
		upload_tell(call, req_part(r, 0));
}

static void upload_patch(void *arg, struct req *r)
{
	struct call *call = begin(arg, r);
	int64_t at;
	size_t n;
	const char *body = req_body(r, &n);
	struct err e;

	if (tus_check_version(r, &e) || tus_check_part(r, &e) || tus_read_offset(&at, r, &e))
		reply_error(call, &e);
	else
		upload_add(call, req_part(r, 0), at, body, n);
}

static void blob_get(void *arg, struct req *r)
{
	show_blob(begin(arg, r), req_part(r, 0));
}

static void layer_get(void *arg, struct req *r)
{
	show_layer(begin(arg, r), req_part(r, 0), req_query(r, "piece"));
}

static void seeds_get(void *arg, struct req *r)
{
	show_seeds(begin(arg, r), req_part(r, 0));
}

static void swarm_post(void *arg, struct req *r)
{
	struct door *d = arg;

	spread_post(d->spread, r);
}

static void public_jobs(void *arg, struct req *r)
{
	show_jobs(begin(arg, r), req_query(r, "limit"), req_query(r, "after"), true);
}

static void public_job(void *arg, struct req *r)
{
	show_job(begin(arg, r), req_part(r, 0), true);
}

static void manifest_get(void *arg, struct req *r)
{
	log_debug("the manifest of %.16s… is fetched by %s", req_part(r, 0), req_address(r));
	show_manifest(begin(arg, r), req_part(r, 0));
}

static void inputs_get(void *arg, struct req *r)
{
	show_inputs(begin(arg, r), req_part(r, 0));
}

static void verdicts_get(void *arg, struct req *r)
{
	show_verdicts(begin(arg, r), req_part(r, 0), req_query(r, "limit"), req_query(r, "after"));
}

static void attestations_get(void *arg, struct req *r)
{
	show_attestations(
		begin(arg, r), req_part(r, 0), req_query(r, "limit"), req_query(r, "after"));
}

static void public_workers(void *arg, struct req *r)
{
	show_workers(begin(arg, r), req_query(r, "limit"), req_query(r, "after"), true);
}

static void dial_back_post(void *arg, struct req *r)
{
	struct door *d = arg;

	dialback_handle(d->dialback, r);
}

const struct route grid_routes[] = {
	{ "GET", "/v1/grid", grid_get, 0 },
	{ "POST", "/v1/messages", messages_post, MSG_LINE_MAX },
	{ "POST", "/v1/gossip", gossip_post, SAY_BODY_MAX },
	{ "POST", "/v1/uploads", uploads_post, TICKET_MAX },
	{ "HEAD", "/v1/uploads/*", upload_head, 0 },
	{ "PATCH", "/v1/uploads/*", upload_patch, TUS_PART_MAX },
	{ "GET", "/v1/blobs/*", blob_get, 0 },
	{ "GET", "/v1/blobs/*/layer", layer_get, 0 },
	{ "GET", "/v1/blobs/*/seeds", seeds_get, 0 },
	{ "POST", "/v1/dial-back", dial_back_post, DIALBACK_BODY_MAX },
	{ "POST", "/v1/swarm", swarm_post, SWARM_TEXT_MAX },
	{ "GET", "/v1/jobs", public_jobs, 0 },
	{ "GET", "/v1/jobs/*", public_job, 0 },
	{ "GET", "/v1/jobs/*/manifest", manifest_get, 0 },
	{ "GET", "/v1/jobs/*/inputs", inputs_get, 0 },
	{ "GET", "/v1/jobs/*/verdicts", verdicts_get, 0 },
	{ "GET", "/v1/jobs/*/attestations", attestations_get, 0 },
	{ "GET", "/v1/workers", public_workers, 0 },
};
const size_t n_grid_routes = ARRAY_LEN(grid_routes);

/* --- the web seed: plain HTTP, for stock BitTorrent clients --------------------------------- */
const struct route web_routes[] = {
	{ "GET", "/v1/blobs/*", blob_get, 0 },
	{ "GET", "/v1/blobs/*/*", blob_get, 0 }, /* BEP 19: some clients put the file's name behind the URL */
};
const size_t n_web_routes = ARRAY_LEN(web_routes);

/* --- the admin port ----------------------------------------------------------------------- */
/* Compares all of it whatever differs, so that time tells nothing. */
static bool same_token(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	unsigned char different = n != m;

	for (size_t i = 0; i < n; i++)
		different |= (unsigned char)(a[i] ^ b[m ? i % m : 0]);
	return !different;
}

/* The call, or NULL when who asks was refused. */
static struct call *admit(void *arg, struct req *r)
{
	struct door *d = arg;
	const char *given = req_header(r, "Authorization");
	struct call *call = begin(arg, r);
	struct err e;

	if (!d->token ||
		(given && !strncasecmp(given, "Bearer ", 7) && same_token(given + 7, d->token)))
		return call;
	req_out_header(r, "WWW-Authenticate", "Bearer");
	err_set(&e, ERR_TOKEN, "the admin port asks for its token: Authorization: Bearer TOKEN");
	reply_error(call, &e);
	return NULL;
}

static void status_get(void *arg, struct req *r)
{
	struct call *call = admit(arg, r);

	if (!call)
		return;
	auto_json json_t *o = status_json(call->c);
	reply_json(call, 200, json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(6)));
}

static void jobs_get(void *arg, struct req *r)
{
	struct call *call = admit(arg, r);

	if (call)
		show_jobs(call, req_query(r, "limit"), req_query(r, "after"), false);
}

static void job_get(void *arg, struct req *r)
{
	struct call *call = admit(arg, r);

	if (call)
		show_job(call, req_part(r, 0), false);
}

static void workers_get(void *arg, struct req *r)
{
	struct call *call = admit(arg, r);

	if (call)
		show_workers(call, req_query(r, "limit"), req_query(r, "after"), false);
}

static void worker_get(void *arg, struct req *r)
{
	struct call *call = admit(arg, r);

	if (call)
		show_worker(call, req_part(r, 0));
}

static void healthz_get(void *arg, struct req *r)
{
	reply_text(begin(arg, r), 200, "text/plain; charset=utf-8", xstrdup("ok\n"), 3);
}

const struct route admin_routes[] = {
	{ "GET", "/v1/status", status_get, 0 },
	{ "GET", "/v1/jobs", jobs_get, 0 },
	{ "GET", "/v1/jobs/*", job_get, 0 },
	{ "GET", "/v1/workers", workers_get, 0 },
	{ "GET", "/v1/workers/*", worker_get, 0 },
	{ "GET", "/healthz", healthz_get, 0 },
};
const size_t n_admin_routes = ARRAY_LEN(admin_routes);
