/* SPDX-License-Identifier: Apache-2.0
 *
 * key.h: Ed25519 keys (RFC 8032): files, signatures, and the TLS that stands on them.
 *
 * A node's TLS certificate is made from its own key at start and carries nothing else; a peer
 * pins the public key, never a name or an authority.
 */
#ifndef COMMON_KEY_H
#define COMMON_KEY_H

#include "common/base.h"
#include "common/err.h"
#include "common/id.h"

#define SIG_BYTES 64
#define PIN_TEXT 52 /* "sha256//" and 44 base64 characters, without the NUL */

struct key;
struct ssl_ctx_st;

struct key *key_new(void); /* a fresh one */
/* The file is PKCS#8 PEM (what `openssl genpkey -algorithm ed25519` writes), 0600 or narrower:
 * wider is ERR_REFUSED, as is a file of somebody else's. */
int key_load(struct key **out, const char *path, struct err *e);
int key_save(const struct key *k, const char *path, struct err *e); /* 0600, never overwrites */
/* Load, or make and save when there is no file. *made (may be NULL) says which. */
int key_load_or_make(struct key **out, const char *path, bool *made, struct err *e);
void key_free(struct key *k);

const struct id *key_id(const struct key *k); /* borrowed from k */
void key_sign(const struct key *k, const void *bytes, size_t n, unsigned char sig[SIG_BYTES]);
bool key_verify(const struct id *id, const void *bytes, size_t n, const unsigned char sig[SIG_BYTES]);

/* The public key of `id` as PEM (SubjectPublicKeyInfo), for people with openssl. Yours. */
char *key_public_pem(const struct id *id) MUST_USE;

/* What libcurl's CURLOPT_PINNEDPUBLICKEY wants: sha256//BASE64 of the SubjectPublicKeyInfo. */
void key_pin(char out[PIN_TEXT + 1], const struct id *id);
/* A TLS 1.3 server context with a self-made certificate of this key. Freed by key_tls_free(). */
int key_tls_server(struct ssl_ctx_st **out, const struct key *k, struct err *e);
void key_tls_free(struct ssl_ctx_st *ctx);

#endif
