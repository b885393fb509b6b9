/* SPDX-License-Identifier: Apache-2.0
 *
 * client.h: one grid, seen from the command line: its descriptor, who we are, and questions one at a time.
 *
 * The link may be the coordinator's or any worker's. From a worker we learn the descriptor, then reach the
 * coordinator directly or through that worker as relay. Where it answers neither way it is `silent`: then we talk to
 * the worker itself (`peer`), which tells what it knows and carries what is submitted.
 *
 * Whatever a coordinator signs is opened and its role looked up before it is used. Answers to plain GETs are
 * only shown.
 */
#ifndef JOBS_CLIENT_H
#define JOBS_CLIENT_H

#include "common/fetch.h"
#include "common/grid.h"
#include "jobs/cmd.h"

struct client {
	struct link to;  /* the coordinator; the worker when silent */
	struct link via; /* the worker that lends a tunnel to it; when relayed */
	bool relayed, silent;
	bool carried; /* what was sent is with the worker, and not acknowledged by the coordinator */
	struct loop *loop;
	struct fetcher *fetcher;
	struct grid grid;
	char *grid_line; /* the descriptor's envelope */
	struct key *key; /* NULL until client_key() */
	bool interrupted; /* after client_on_interrupt(): Ctrl-C came */
	int64_t seq;
};

/* Find the grid, reach it and check its descriptor. ERR_UNREACHABLE, ERR_USAGE without a link. */
int client_open(struct client *c, const struct cmd *cmd, struct err *e);
void client_close(struct client *c);
/* When it was silent: whether the coordinator answers now. */
void client_look_again(struct client *c);
/* What fetch_spec.via wants. */
const struct link *client_via(const struct client *c);
/* Load the key; make it (folders 0700) where `make`. Without a file and without `make` c->key stays NULL. */
int client_key(struct client *c, const struct cmd *cmd, bool make, struct err *e);
int key_of_cmd(struct key **key, const struct cmd *cmd, bool make, struct err *e);
/* From now on Ctrl-C and SIGTERM end what waits (ERR_CANCELLED) instead of the program. */
int client_on_interrupt(struct client *c, struct err *e);
/* Wait, or until interrupted. */
void client_sleep(struct client *c, int64_t ms);

/* GET `path` as JSON. */
json_t *client_get(struct client *c, const char *path, struct err *e) MUST_USE;
/* GET all pages of {"KEY":[…],"next":…} as one array. `path` has its "?limit=N" already. At most max items. */
json_t *client_get_all(struct client *c, const char *path, const char *key, size_t max, struct err *e)
	MUST_USE;
/* GET all pages of NDJSON below `path`; fn has each line. */
typedef int client_line_fn(void *arg, const char *line, size_t n, struct err *e);
int client_get_lines(struct client *c, const char *path, client_line_fn *fn, void *arg, struct err *e);

/* POST a fact; its ack must be the coordinator's and name it. While the coordinator is silent a worker may take it
 * to deliver it later: then c->carried is set. */
int client_send(struct client *c, const char *line, struct err *e);
/* Ask a signed question; the answer's `body` is yours. index -1: none. */
json_t *client_query(struct client *c, const char *what, const char *job, int64_t index, struct err *e)
	MUST_USE;

/* A job id from an id or a unique prefix of it. */
int client_job_id(struct client *c, char out[DIGEST_HEX + 1], const char *text, struct err *e);
/* The job as we may see it: in full when it is ours. */
json_t *client_job(struct client *c, const char *id, struct err *e) MUST_USE;

/* A signed ticket for an upload. The line is yours. */
int client_ticket(struct client *c, char **line, const struct digest *d, int64_t size, struct err *e);
/* When `e` is a refusal to submit: say how to be allowed, unless the coordinator did. */
void client_explain_refusal(const struct client *c, struct err *e);

#endif
