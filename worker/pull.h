/* SPDX-License-Identifier: Apache-2.0
 *
 * pull.h: one blob's download from whoever has it: swarm.h's decisions, done.
 *
 * The coordinator is one source (a first seed: it offers what to take from it) and names others; every node's links
 * pin its key. Each piece is checked against the layer on arrival, the layer against the job's root.
 * What is verified can be read, and served, before the whole is here; it is still here after kill -9.
 */
#ifndef WORKER_PULL_H
#define WORKER_PULL_H

#include "worker/deed.h"
#include "worker/home.h"
#include "common/blob.h"
#include "common/fetch.h"
#include "common/have.h"
#include "common/loop.h"

struct pull;

/* What all downloads of a worker share. All borrowed; set before the first one starts. */
struct pull_env {
	struct loop *loop;
	struct fetcher *fetcher;
	struct blobs *blobs;
	struct home *home;
	const struct id *self;
	const char *address;    /* HOST:PORT of our peer port; NULL: none */
	struct sources sources; /* list and report may be NULL */
	/* Room for so many more bytes in the store, or -1. */
	int (*make_room)(void *arg, int64_t bytes, struct err *e);
	/* One more piece is here. */
	void (*changed)(void *arg, const struct digest *blob);
	/* A guest (see below) is wanted to bring something: pull_wants() says what. */
	void (*wanted)(void *arg, const struct digest *blob, const struct id *guest);
	int64_t upload_kib; /* as --upload: for what we bring to others */
	void *arg;
};

/* e NULL: the blob is here, whole. Called once, from the loop, never from within pull_start(). */
typedef void pull_fn(void *arg, const struct err *e);

struct pull *pull_start(const struct pull_env *env, const struct blob *b, pull_fn *fn, void *arg);
void pull_free(struct pull *p); /* what is here stays for the next one; NULL is fine */
/* Something was heard from the coordinator: what waits for a retry is tried now. */
void pull_hurry(struct pull *p);

/* Whether a node that a stranger named may be called: of this grid, not us, not the coordinator (its bytes are counted and
 * offered, so nobody shall name it as a peer like others), at an address that dial.h allows. */
bool pull_may_call(const struct pull_env *env, const struct link *l);
const struct blob *pull_blob(const struct pull *p);
/* What is here, borrowed; NULL while not even the layer is. */
const unsigned char *pull_map(const struct pull *p, size_t *n_pieces);
/* The hashes of the pieces; NULL while there are none. */
const struct digest *pull_layer(const struct pull *p, size_t *n);
/* A descriptor for reading n bytes at `at`, all of verified pieces; yours. */
int pull_reader(const struct pull *p, int64_t at, int64_t n, int *fd, struct err *e);
/* --- guests: nodes that only dial out. They poll us, and bring what we want from them ------- */
/* A node without an address has told what it has. */
void pull_heed(struct pull *p, const struct swarm_ask *ask);
/* What it shall bring now, at most SWARM_WANT_MAX pieces; each is told once. out NULL: only how many. */
size_t pull_wants(struct pull *p, const struct id *guest, uint16_t out[SWARM_WANT_MAX]);
/* It has brought a piece. ERR_CONFLICT: it was not wanted from it; ERR_DIGEST: other bytes. */
int pull_take(struct pull *p, const struct id *guest, size_t piece, const void *bytes, size_t n,
	struct err *e);
/* The blob is here whole, and we are such a node: go on polling the peers, and bring what they want. fn is called when
 * nobody wants anything any more, or it has been PULL_LEND_MS. */
#define PULL_LEND_MS 600000
void pull_lend(struct pull *p, pull_fn *fn, void *arg);

/* Links of the nodes it has from, at most max. */
size_t pull_peers(const struct pull *p, struct link *out, size_t max);

#endif
