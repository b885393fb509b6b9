/* SPDX-License-Identifier: Apache-2.0
 *
 * ask_job.c: manifest, list and verdicts, each checked by evidence.c before the next is asked for.
 */
#include "jobs/ask_job.h"

#include <stdlib.h>
#include <string.h>

#define LIST_TIMEOUT_MS (3600 * 1000) /* 256 MiB over a slow line */

int ask_manifest(struct client *c, const char *id, struct evidence *ev, char **line, struct err *e)
{
	auto_free char *path = xprintf("/v1/jobs/%s/manifest", id);
	struct fetch_spec spec = {
		.method = "GET", .to = &c->to, .via = client_via(c), .path = path
	};
	char hex[DIGEST_HEX + 1];
	struct answer a;

	int bad = fetch_wait(c->fetcher, &spec, &a, e) ||
	          evidence_grid(ev, c->grid_line, strlen(c->grid_line), e) ||
	          evidence_job(ev, a.body.data ? a.body.data : "", a.body.len, e);
	if (!bad) {
		*line = xmemdup(a.body.data, a.body.len);
		digest_hex(hex, &ev->job.id);
		if (strcmp(hex, id) != 0)
			bad = err_set(e, ERR_DIGEST, "the manifest that came is of job %s", hex);
	}
	answer_release(&a);
	return bad ? err_wrap(e, "job %.12s", id) : 0;
}

static int ask_list(struct client *c, struct evidence *ev, struct err *e)
{
	char text[DIGEST_TEXT + 1], path[DIGEST_TEXT + 16];
	struct fetch_spec spec = { .method = "GET",
		.to = &c->to,
		.via = client_via(c),
		.path = path,
		.answer_max = (size_t)JOB_LIST_MAX,
		.timeout_ms = LIST_TIMEOUT_MS };
	struct answer a;

	if (ev->job.tasks != TASKS_LIST)
		return 0;
	digest_text(text, &ev->job.list.digest);
	snprintf(path, sizeof(path), "/v1/blobs/%s", text);
	int bad = fetch_wait(c->fetcher, &spec, &a, e) ||
	          evidence_list(ev, a.body.data ? a.body.data : "", a.body.len, e);
	answer_release(&a);
	return bad ? err_wrap(e, "the list of tasks") : 0;
}

static int take_verdict(void *arg, const char *line, size_t n, struct err *e)
{
	return evidence_verdict(arg, line, n, e);
}

int ask_verdicts(struct client *c, const char *id, struct evidence *ev, struct err *e)
{
	auto_free char *path = xprintf("/v1/jobs/%s/verdicts", id);

	return ask_list(c, ev, e) || client_get_lines(c, path, take_verdict, ev, e) ? -1 : 0;
}
