/* SPDX-License-Identifier: Apache-2.0
 *
 * key.c: Ed25519 by OpenSSL; key files; TLS made of a key.
 */
#include "common/key.h"
#include "common/buf.h"
#include "common/codec.h"
#include "common/digest.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE_MAX 4096

struct key {
	EVP_PKEY *pkey;
	struct id id;
};

static struct key *wrap(EVP_PKEY *pkey)
{
	struct key *k = xcalloc(1, sizeof(*k));
	size_t n = ID_BYTES;

	k->pkey = pkey;
	int ok = EVP_PKEY_get_raw_public_key(pkey, k->id.b, &n);
	assert(ok == 1 && n == ID_BYTES);
	return k;
}

struct key *key_new(void)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	assert(pkey);
	return wrap(pkey);
}

static int check_private(int fd, const char *path, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_sys(e, "looking at key %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_REFUSED, "key %s is not a regular file", path);
	if (st.st_mode & 077)
		return err_set(e, ERR_REFUSED,
			"key %s can be read by others (mode %03o); run: chmod 600 %s", path,
			(unsigned)(st.st_mode & 0777), path);
	if (st.st_uid != geteuid())
		return err_set(e, ERR_REFUSED, "key %s belongs to another user", path);
	return 0;
}

/* An encrypted file is no key of ours; without this OpenSSL would ask at the terminal. */
static int no_password(char *out, int size, int writing, void *arg)
{
	(void)out, (void)size, (void)writing, (void)arg;
	return -1;
}

int key_load(struct key **out, const char *path, struct err *e)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char *text;
	size_t n;

	*out = NULL;
	if (fd < 0)
		return err_sys(e, "opening key %s", path);
	if (check_private(fd, path, e))
		return -1;
	if (fd_read_all(&text, &n, fd, KEY_FILE_MAX, e))
		return err_wrap(e, "reading key %s", path);
	BIO *bio = BIO_new_mem_buf(text, (int)n);
	EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
	BIO_free(bio);
	OPENSSL_cleanse(text, n);
	free(text);
	ERR_clear_error();
	if (!pkey || EVP_PKEY_get_id(pkey) != EVP_PKEY_ED25519) {
		EVP_PKEY_free(pkey);
		return err_set(e, ERR_MALFORMED, "%s is not an Ed25519 private key in PEM", path);
	}
	*out = wrap(pkey);
	return 0;
}

/* fsync the folder of a new file, so that the name lasts as the bytes do. */
static int sync_folder(const char *path, struct err *e)
{
	auto_free char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');

	if (slash)
		slash[slash == dir] = '\0';
	auto_close int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) ? err_sys(e, "syncing the folder of %s", path) : 0;
}

int key_save(const struct key *k, const char *path, struct err *e)
{
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char *pem;

	if (fd < 0)
		return err_sys(e, "creating key %s", path);
	BIO *bio = BIO_new(BIO_s_mem());
	int ok = bio && PEM_write_bio_PKCS8PrivateKey(bio, k->pkey, NULL, NULL, 0, NULL, NULL);
	assert(ok == 1);
	long n = BIO_get_mem_data(bio, &pem);
	int bad = fd_write_all(fd, pem, (size_t)n, e) || (fsync(fd) && err_sys(e, "syncing")) ||
		sync_folder(path, e);
	OPENSSL_cleanse(pem, (size_t)n);
	BIO_free(bio);
	if (bad) {
		unlink(path);
		if (e->code == ERR_FULL)
			e->code = ERR_SYSTEM; /* it is this disk: nobody refused anything */
		return err_wrap(e, "writing key %s", path);
	}
	return 0;
}

int key_load_or_make(struct key **out, const char *path, bool *made, struct err *e)
{
	bool fresh = access(path, F_OK) != 0 && errno == ENOENT;

	if (made)
		*made = fresh;
	if (!fresh)
		return key_load(out, path, e);
	*out = key_new();
	if (key_save(*out, path, e)) {
		key_free(*out);
		*out = NULL;
		return -1;
	}
	return 0;
}

void key_free(struct key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->pkey);
	free(k);
}

const struct id *key_id(const struct key *k)
{
	return &k->id;
}

void key_sign(const struct key *k, const void *bytes, size_t n, unsigned char sig[SIG_BYTES])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = SIG_BYTES;
	int ok = ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, k->pkey) == 1 &&
		EVP_DigestSign(ctx, sig, &len, bytes, n) == 1;

	assert(ok && len == SIG_BYTES);
	EVP_MD_CTX_free(ctx);
}

static EVP_PKEY *public_key(const struct id *id)
{
	return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, id->b, ID_BYTES);
}

/* The y of the eight points of small order, in every spelling (libsodium's list). Such a "key" has no
 * holder: OpenSSL takes R = key, S = 0 as its signature under all messages, or every eighth. */
static bool nobodys(const struct id *id)
{
	static const char *const points[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	struct id y = *id;
	char text[ID_TEXT + 1];

	y.b[ID_BYTES - 1] &= 0x7f; /* the sign of x */
	id_text(text, &y);
	for (size_t i = 0; i < ARRAY_LEN(points); i++)
		if (!strcmp(points[i], text))
			return true;
	return false;
}

bool key_verify(const struct id *id, const void *bytes, size_t n, const unsigned char sig[SIG_BYTES])
{
	if (nobodys(id))
		return false;
	EVP_PKEY *pkey = public_key(id);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = pkey && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
		EVP_DigestVerify(ctx, sig, SIG_BYTES, bytes, n) == 1;

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	ERR_clear_error();
	return ok;
}

char *key_public_pem(const struct id *id)
{
	EVP_PKEY *pkey = public_key(id);
	BIO *bio = BIO_new(BIO_s_mem());
	char *text, *copy;

	int ok = pkey && bio && PEM_write_bio_PUBKEY(bio, pkey);
	assert(ok);
	long n = BIO_get_mem_data(bio, &text);
	copy = xmemdup(text, (size_t)n);
	BIO_free(bio);
	EVP_PKEY_free(pkey);
	return copy;
}

void key_pin(char out[PIN_TEXT + 1], const struct id *id)
{
	/* RFC 8410: the SubjectPublicKeyInfo of Ed25519 is these twelve bytes and the key. */
	unsigned char spki[12 + ID_BYTES] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70,
		0x03, 0x21, 0x00 };

	memcpy(spki + 12, id->b, ID_BYTES);
	struct digest d = digest_of(spki, sizeof(spki));
	auto_free char *b64 = base64_encode(d.b, DIGEST_BYTES);
	snprintf(out, PIN_TEXT + 1, "sha256//%s", b64);
}

/* A self-made certificate that carries the key and nothing else anyone should look at. */
static X509 *make_certificate(const struct key *k)
{
	X509 *x = X509_new();

	if (!x || !X509_set_version(x, 2) || !ASN1_INTEGER_set(X509_get_serialNumber(x), 1) ||
		!X509_gmtime_adj(X509_getm_notBefore(x), -86400) ||
		!X509_time_adj_ex(X509_getm_notAfter(x), 36500, 0, NULL) ||
		!X509_set_pubkey(x, k->pkey) ||
		!X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
			(const unsigned char *)"talkoot", -1, -1, 0) ||
		!X509_set_issuer_name(x, X509_get_subject_name(x)) || !X509_sign(x, k->pkey, NULL)) {
		X509_free(x);
		return NULL;
	}
	return x;
}

int key_tls_server(struct ssl_ctx_st **out, const struct key *k, struct err *e)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	X509 *x = make_certificate(k);
	bool ok = ctx && x && SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) &&
		SSL_CTX_use_certificate(ctx, x) == 1 && SSL_CTX_use_PrivateKey(ctx, k->pkey) == 1;

	X509_free(x);
	if (!ok) {
		SSL_CTX_free(ctx);
		return err_set(e, ERR_INTERNAL, "making the TLS certificate");
	}
	/* 16 KiB less an idle connection; no renegotiation state, no tickets to keep */
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 0);
	*out = ctx;
	return 0;
}

void key_tls_free(struct ssl_ctx_st *ctx)
{
	SSL_CTX_free(ctx);
}
