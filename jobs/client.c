/* SPDX-License-Identifier: Apache-2.0
 *
 * client.c: talk to one grid, one question at a time.
 */
#include "jobs/client.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/ticket.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE_MAX ((size_t)(64 * MIB)) /* of NDJSON: up to 64 envelopes of 1 MiB */
#define PAGES_MAX 1000000
#define SEQ_TRIES 3
#define REACH_MS 5000 /* for each way to a coordinator that may be away */

/* --- opening --------------------------------------------------------------------------------- */
static int read_grid(struct client *c, int64_t timeout_ms, struct err *e)
{
	struct fetch_spec spec = { .method = "GET", .to = &c->to, .via = client_via(c), .path = "/v1/grid",
		.timeout_ms = timeout_ms };
	struct answer a;
	struct msg m;
	int bad = -1;

	if (!fetch_wait(c->fetcher, &spec, &a, e) &&
		!msg_open(&m, a.body.data ? a.body.data : "", a.body.len, &c->to.grid, e)) {
		bad = grid_read(&c->grid, &m, e);
		free(c->grid_line);
		c->grid_line = xmemdup(a.body.data, a.body.len);
		msg_release(&m);
	}
	answer_release(&a);
	return bad;
}

static bool is_coordinator(const struct grid *g, const struct id *node)
{
	for (size_t i = 0; i < g->n_keys; i++)
		if (id_equal(&g->keys[i].id, node) && (g->keys[i].roles & ROLE_COORDINATOR))
			return true;
	return false;
}

/* Each of the coordinator's addresses with each of its keys; *known: the descriptor that names them. */
static bool reach(struct client *c, const struct grid *known, struct err *e)
{
	for (size_t i = 0; i < known->n_addresses; i++)
		for (size_t k = 0; k < known->n_keys; k++) {
			if (!(known->keys[k].roles & ROLE_COORDINATOR))
				continue;
			c->to.node = known->keys[k].id;
			c->to.port = known->addresses[i].port;
			memcpy(c->to.host, known->addresses[i].host, sizeof(c->to.host));
			if (!read_grid(c, REACH_MS, e))
				return true;
		}
	return false;
}

/* The link is a worker's: find the coordinator, directly, then through that worker. */
static void find_coordinator(struct client *c)
{
	auto_free struct grid *known = xcalloc(1, sizeof(*known)); /* 20 KiB */
	struct link worker = c->to;
	struct err e = { 0 };

	*known = c->grid;
	if (reach(c, known, &e))
		return;
	c->via = worker;
	c->relayed = true;
	if (reach(c, known, &e))
		return;
	c->to = worker;
	c->relayed = false;
	if (!c->silent)
		log_warn("the coordinator cannot be reached (%s): this is what one worker knows", e.msg);
	c->silent = true;
}

void client_look_again(struct client *c)
{
	struct link worker = c->to;

	if (!c->silent)
		return;
	find_coordinator(c);
	c->silent = id_equal(&c->to.node, &worker.node);
}

int client_open(struct client *c, const struct cmd *cmd, struct err *e)
{
	*c = (struct client){ 0 };
	if (!cmd->grid)
		return err_set(e, ERR_USAGE,
			"no grid: give --grid LINK, set TALKOOT_GRID, or write `grid = LINK` into "
			"~/.config/talkoot/config");
	if (link_parse(&c->to, cmd->grid, e)) {
		e->code = ERR_USAGE;
		return err_wrap(e, "--grid");
	}
	if (!loop_new(&c->loop, e) && !fetcher_new(&c->fetcher, c->loop, e) && !read_grid(c, 0, e)) {
		if (!is_coordinator(&c->grid, &c->to.node))
			find_coordinator(c);
		return 0;
	}
	err_wrap(e, "grid %s", cmd->grid);
	client_close(c);
	return -1;
}

const struct link *client_via(const struct client *c)
{
	return c->relayed ? &c->via : NULL;
}

void client_close(struct client *c)
{
	if (c->fetcher)
		fetcher_free(c->fetcher);
	if (c->loop)
		loop_free(c->loop);
	if (c->key)
		key_free(c->key);
	free(c->grid_line);
	*c = (struct client){ 0 };
}

int key_of_cmd(struct key **key, const struct cmd *cmd, bool make, struct err *e)
{
	auto_free char *path = cmd_identity_path(cmd);
	auto_free char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');

	*key = NULL;
	if (!make && access(path, F_OK))
		return 0;
	if (slash && slash != dir && access(path, F_OK)) {
		*slash = '\0';
		if (make_dirs(dir, 0700, e))
			return err_wrap(e, "your key cannot be kept in %s (--identity FILE keeps it elsewhere)", path);
	}
	return key_load_or_make(key, path, NULL, e);
}

int client_key(struct client *c, const struct cmd *cmd, bool make, struct err *e)
{
	return c->key ? 0 : key_of_cmd(&c->key, cmd, make, e);
}

static void interrupted(void *arg)
{
	struct client *c = arg;

	c->interrupted = true;
	loop_stop(c->loop);
}

int client_on_interrupt(struct client *c, struct err *e)
{
	return loop_on_signal(c->loop, SIGINT, interrupted, c, e) ||
			loop_on_signal(c->loop, SIGTERM, interrupted, c, e)
		? -1
		: 0;
}

static void wake(void *arg)
{
	loop_stop(arg);
}

void client_sleep(struct client *c, int64_t ms)
{
	if (c->interrupted)
		return;
	struct timer *t = timer_new(c->loop, wake, c->loop);
	timer_in(t, ms);
	loop_run(c->loop);
	timer_free(t);
}

/* --- reading --------------------------------------------------------------------------------- */
json_t *client_get(struct client *c, const char *path, struct err *e)
{
	struct fetch_spec spec = { .method = "GET", .to = &c->to, .via = client_via(c), .path = path, .answer_max = PAGE_MAX };
	struct answer a;
	json_t *j = NULL;

	if (!fetch_wait(c->fetcher, &spec, &a, e)) {
		j = shape_load(a.body.data ? a.body.data : "", a.body.len, e);
		if (!j)
			err_wrap(e, "GET %s", path);
	}
	answer_release(&a);
	return j;
}

json_t *client_get_all(struct client *c, const char *path, const char *key, size_t max, struct err *e)
{
	auto_json json_t *all = json_array();
	auto_free char *after = NULL;

	for (;;) {
		auto_free char *at = xprintf("%s%s%s", path, after ? "&after=" : "", after ? after : "");
		auto_json json_t *page = client_get(c, at, e);
		const json_t *items = json_object_get(page, key);
		const char *next = json_string_value(json_object_get(page, "next"));

		if (!page)
			return NULL;
		if (!json_is_array(items) || json_array_size(all) + json_array_size(items) > max) {
			err_set(e, ERR_MALFORMED, "GET %s: not the list it should be", path);
			return NULL;
		}
		json_array_extend(all, (json_t *)(uintptr_t)items);
		if (!next || !json_array_size(items))
			return json_incref(all);
		if (strspn(next, "0123456789abcdef") != strlen(next)) {
			err_set(e, ERR_MALFORMED, "GET %s: `next` is no id", path);
			return NULL;
		}
		free(after);
		after = xstrdup(next);
	}
}

static int split(const struct buf *b, client_line_fn *fn, void *arg, struct err *e)
{
	const char *at = b->data, *end = b->data + b->len;

	while (at < end) {
		const char *eol = memchr(at, '\n', (size_t)(end - at));

		if (!eol)
			return err_set(e, ERR_MALFORMED, "the last line does not end");
		if (eol > at && fn(arg, at, (size_t)(eol - at), e))
			return -1;
		at = eol + 1;
	}
	return 0;
}

int client_get_lines(struct client *c, const char *path, client_line_fn *fn, void *arg, struct err *e)
{
	int64_t after = 0;

	for (int page = 0; page < PAGES_MAX; page++) {
		auto_free char *at = xprintf("%s?after=%lld", path, (long long)after);
		struct fetch_spec spec = { .method = "GET", .to = &c->to, .via = client_via(c), .path = at,
			.answer_max = PAGE_MAX, .timeout_ms = 120000 };
		struct answer a;
		int bad = fetch_wait(c->fetcher, &spec, &a, e) || split(&a.body, fn, arg, e);
		int64_t next = a.next;

		answer_release(&a);
		if (bad)
			return err_wrap(e, "GET %s", path);
		if (next < 0)
			return 0;
		if (next <= after)
			break;
		after = next;
	}
	return err_set(e, ERR_MALFORMED, "GET %s: its pages do not end", path);
}

/* --- messages -------------------------------------------------------------------------------- */
/* Open what the coordinator answered to `line`: its type, its author's role, and what it answers. */
static int open_answer(struct client *c, struct msg *m, enum msg_type type, const struct answer *a,
	const char *line, struct err *e)
{
	struct digest of, sent = digest_of(line, strlen(line));

	if (msg_open(m, a->body.data ? a->body.data : "", a->body.len, &c->grid.id, e))
		return err_wrap(e, "the coordinator's answer");
	if (m->type != type)
		err_set(e, ERR_MALFORMED, "the coordinator answers with a message of type %s",
			msg_type_name(m->type));
	else if (!grid_allows(&c->grid, &m->author, ROLE_COORDINATOR, m->time_ms))
		err_set(e, ERR_SIGNATURE, "the answer is signed by a key that is no coordinator's");
	else if (!digest_from_text(&of, jtext(m->body, "of")) || !digest_equal(&of, &sent))
		err_set(e, ERR_MALFORMED, "the coordinator answers something else");
	else
		return 0;
	msg_release(m);
	return -1;
}

static int post(struct client *c, const char *line, struct answer *a, struct err *e)
{
	struct fetch_spec spec = { .method = "POST", .to = &c->to, .via = client_via(c), .path = "/v1/messages",
		.headers = { "Content-Type: application/json" }, .body = line, .n = strlen(line),
		.answer_max = 2 * (size_t)MIB };

	return fetch_wait(c->fetcher, &spec, a, e);
}

int client_send(struct client *c, const char *line, struct err *e)
{
	struct answer a;
	struct msg m;
	int bad = post(c, line, &a, e);

	if (!bad && c->silent && a.status == 202) { /* a worker's word: nothing is acknowledged yet */
		answer_release(&a);
		c->carried = true;
		return 0;
	}
	bad = bad || open_answer(c, &m, MSG_ACK, &a, line, e);
	answer_release(&a);
	if (!bad)
		msg_release(&m);
	return bad ? -1 : 0;
}

/* The number that ends a text, or 0. */
static int64_t last_number(const char *text)
{
	const char *at = text + strlen(text);

	while (at > text && at[-1] >= '0' && at[-1] <= '9')
		at--;
	return strlen(at) < 17 ? strtoll(at, NULL, 10) : 0;
}

static char *query_line(struct client *c, const char *what, const char *job, int64_t index,
	struct err *e)
{
	char *line = NULL;
	int64_t now_us = clock_now_ms() * 1000; /* increases from one run to the next */

	c->seq = c->seq >= now_us ? c->seq + 1 : now_us;
	json_t *q = msg_new_request(MSG_QUERY, &c->grid.id, key_id(c->key), clock_now_ms(), c->seq);
	json_object_set_new(q, "what", json_string(what));
	json_object_set_new(q, "job", json_string(job));
	if (index >= 0)
		json_object_set_new(q, "index", json_integer(index));
	return msg_seal(&line, q, NULL, c->key, e) ? NULL : line;
}

json_t *client_query(struct client *c, const char *what, const char *job, int64_t index, struct err *e)
{
	for (int i = 0; i < SEQ_TRIES; i++) {
		auto_free char *line = query_line(c, what, job, index, e);
		struct answer a;
		struct msg m;
		json_t *body = NULL;

		if (!line)
			return NULL;
		int bad = post(c, line, &a, e);
		if (!bad && !open_answer(c, &m, MSG_ANSWER, &a, line, e)) {
			body = json_incref(json_object_get(m.body, "body"));
			msg_release(&m);
		}
		answer_release(&a);
		if (!bad || e->code != ERR_OLD_SEQ)
			return body;
		c->seq = last_number(e->msg);
	}
	return NULL;
}

/* --- jobs ------------------------------------------------------------------------------------ */
int client_job_id(struct client *c, char out[DIGEST_HEX + 1], const char *text, struct err *e)
{
	const char *found = NULL;
	json_t *job;
	size_t i;

	if (!id_is_prefix(text))
		return err_set(e, ERR_USAGE, "%.80s is not a job id, nor 8 or more hex digits of one", text);
	if (strlen(text) == DIGEST_HEX) {
		memcpy(out, text, DIGEST_HEX + 1);
		return 0;
	}
	auto_json json_t *jobs = client_get_all(c, "/v1/jobs?limit=1000", "jobs", 1000000, e);
	if (!jobs)
		return -1;
	json_array_foreach(jobs, i, job) {
		const char *id = jtext(job, "id");

		if (strncmp(id, text, strlen(text)) != 0 || !id_is_prefix(id))
			continue;
		if (found)
			return err_set(e, ERR_UNKNOWN_JOB, "more than one job begins with %s", text);
		found = id;
	}
	if (!found || strlen(found) != DIGEST_HEX)
		return err_set(e, ERR_UNKNOWN_JOB, "no job begins with %s", text);
	memcpy(out, found, DIGEST_HEX + 1);
	return 0;
}

json_t *client_job(struct client *c, const char *id, struct err *e)
{
	auto_free char *path = xprintf("/v1/jobs/%s", id);
	char hex[ID_TEXT + 1] = "";
	json_t *job = client_get(c, path, e);

	if (c->key)
		id_text(hex, key_id(c->key));
	if (!job || c->silent || strcmp(jtext(job, "submitter"), hex) != 0)
		return job;
	json_t *ours = client_query(c, "job", id, -1, e);
	json_decref(job);
	return ours;
}

int client_ticket(struct client *c, char **line, const struct digest *d, int64_t size, struct err *e)
{
	return ticket_seal(line, &c->grid.id, c->key, d, size, clock_now_ms(), e);
}

void client_explain_refusal(const struct client *c, struct err *e)
{
	char hex[ID_TEXT + 1];

	if (e->code != ERR_REFUSED || !c->key || strstr(e->msg, "allow submitter"))
		return;
	id_text(hex, key_id(c->key));
	size_t n = strlen(e->msg);
	snprintf(e->msg + n, sizeof(e->msg) - n,
		"; the grid's admin can run: talkoot-coordinator --data DIR allow submitter %s", hex);
}
