/* SPDX-License-Identifier: Apache-2.0
 *
 * test_key.c: Ed25519 against Wycheproof; key files; what openssl says of the same key.
 */
#include "common/key.h"
#include "common/codec.h"
#include "tests/unit/vectors.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

/* Hex of any length into bytes (yours). */
static unsigned char *unhex(const char *hex, size_t *n)
{
	unsigned char *out = xmalloc(strlen(hex) / 2 + 1);

	*n = strlen(hex) / 2;
	assert_true(hex_decode(out, *n, hex));
	return out;
}

static bool vector_verifies(const struct id *id, const json_t *test)
{
	size_t n, sig_n;
	auto_free unsigned char *msg = unhex(json_string_value(json_object_get(test, "msg")), &n);
	auto_free unsigned char *sig =
		unhex(json_string_value(json_object_get(test, "sig")), &sig_n);

	return sig_n == SIG_BYTES && key_verify(id, msg, n, sig);
}

static void every_wycheproof_case_gives_its_result(void **state)
{
	(void)state;
	auto_json_unit json_t *all = vectors_json("wycheproof/testvectors_v1/ed25519_test.json");
	json_t *group, *test;
	size_t g, t;
	int n = 0;

	if (!all)
		skip();
	json_array_foreach (json_object_get(all, "testGroups"), g, group) {
		struct id id;

		assert_true(id_parse(&id, json_string_value(json_object_get(
						  json_object_get(group, "publicKey"), "pk"))));
		json_array_foreach (json_object_get(group, "tests"), t, test) {
			bool valid = !strcmp(
				json_string_value(json_object_get(test, "result")), "valid");

			if (vector_verifies(&id, test) != valid)
				fail_msg("tcId %lld must be %s",
					json_integer_value(json_object_get(test, "tcId")),
					json_string_value(json_object_get(test, "result")));
			n++;
		}
	}
	assert_int_equal(n, json_integer_value(json_object_get(all, "numberOfTests")));
	assert_int_equal(n, 151);
}

static void what_a_key_signs_it_alone_verifies(void **state)
{
	(void)state;
	struct key *k = key_new(), *other = key_new();
	unsigned char sig[SIG_BYTES];

	key_sign(k, "message", 7, sig);
	assert_true(key_verify(key_id(k), "message", 7, sig));
	assert_false(key_verify(key_id(other), "message", 7, sig));
	assert_false(key_verify(key_id(k), "messagf", 7, sig));
	assert_false(key_verify(key_id(k), "message", 6, sig));
	for (size_t i = 0; i < SIG_BYTES * 8; i++) {
		sig[i / 8] ^= (unsigned char)(1 << i % 8);
		assert_false(key_verify(key_id(k), "message", 7, sig));
		sig[i / 8] ^= (unsigned char)(1 << i % 8);
	}
	key_sign(k, "", 0, sig);
	assert_true(key_verify(key_id(k), "", 0, sig));
	key_free(k);
	key_free(other);
	key_free(NULL);
}

static void a_key_that_nobody_holds_signs_nothing(void **state)
{
	(void)state;
	/* The neutral element as key: without a look at it, R = A, S = 0 holds for every message.
	 */
	struct id id = { { 1 } };
	unsigned char sig[SIG_BYTES] = { 1 };

	assert_false(key_verify(&id, "anything", 8, sig));
	id.b[31] = 0x80; /* the same point with the other sign */
	assert_false(key_verify(&id, "anything", 8, sig));
	/* order 2: y = -1; it would hold for every second message. And 1 spelled p + 1 */
	for (int low = 0xec; low <= 0xee; low++) {
		memset(id.b, 0xff, ID_BYTES);
		id.b[0] = (unsigned char)low;
		id.b[31] = 0x7f;
		for (int i = 0; i < 32; i++)
			assert_false(key_verify(&id, &i, sizeof(i), sig));
	}
}

struct files {
	char *dir, *path;
};

static int setup(void **state)
{
	struct files *f = xcalloc(1, sizeof(*f));

	f->dir = fresh_folder();
	f->path = xprintf("%s/key", f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct files *f = *state;

	free(f->path);
	drop_folder(f->dir);
	free(f);
	return 0;
}

static void a_saved_key_loads_as_itself_and_is_private(void **state)
{
	struct files *f = *state;
	struct key *k = key_new(), *back;
	struct stat st;
	struct err e;
	mode_t old = umask(0);

	assert_int_equal(key_save(k, f->path, &e), 0);
	umask(old);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(key_load(&back, f->path, &e), 0);
	assert_true(id_equal(key_id(k), key_id(back)));
	key_free(back);
	key_free(k);
}

static void a_key_file_is_never_overwritten(void **state)
{
	struct files *f = *state;
	struct key *k = key_new(), *other = key_new(), *back;
	struct err e;

	assert_int_equal(key_save(k, f->path, &e), 0);
	assert_int_equal(key_save(other, f->path, &e), -1);
	assert_int_equal(key_load(&back, f->path, &e), 0);
	assert_true(id_equal(key_id(k), key_id(back)));
	key_free(back);
	/* not through a link that leads nowhere either */
	auto_free char *link = xprintf("%s/link", f->dir), *there = xprintf("%s/there", f->dir);
	assert_int_equal(symlink(there, link), 0);
	assert_int_equal(key_save(other, link, &e), -1);
	assert_int_not_equal(access(there, F_OK), 0);
	key_free(other);
	key_free(k);
}

static void a_key_others_can_read_is_refused(void **state)
{
	struct files *f = *state;
	static const unsigned bad[] = { 0644, 0640, 0604, 0660, 0610, 0601, 0777 };
	struct key *k = key_new();
	struct err e;

	assert_int_equal(key_save(k, f->path, &e), 0);
	key_free(k);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		chmod(f->path, bad[i]);
		assert_int_equal(key_load(&k, f->path, &e), -1);
		assert_int_equal(e.code, ERR_REFUSED);
		assert_non_null(strstr(e.msg, "chmod 600"));
		assert_null(k);
	}
	chmod(f->path, 0400);
	assert_int_equal(key_load(&k, f->path, &e), 0);
	key_free(k);
}

static void what_is_no_key_is_refused(void **state)
{
	struct files *f = *state;
	struct key *k = key_new();
	auto_free char *public = key_public_pem(key_id(k));
	char big[5000];
	struct err e;

	key_free(k);
	memset(big, 'x', sizeof(big));
	assert_int_equal(key_load(&k, f->path, &e), -1);
	assert_int_equal(e.code, ERR_SYSTEM);
	assert_int_equal(file_write_atomic(f->path, "", 0, 0600, &e), 0);
	assert_int_equal(key_load(&k, f->path, &e), -1);
	assert_int_equal(e.code, ERR_MALFORMED);
	assert_int_equal(file_write_atomic(f->path, public, strlen(public), 0600, &e), 0);
	assert_int_equal(key_load(&k, f->path, &e), -1);
	assert_int_equal(e.code, ERR_MALFORMED);
	assert_int_equal(file_write_atomic(f->path, big, sizeof(big), 0600, &e), 0);
	assert_int_equal(key_load(&k, f->path, &e), -1);
	assert_int_equal(e.code, ERR_TOO_BIG);
	chmod(f->dir, 0700);
	assert_int_equal(key_load(&k, f->dir, &e), -1); /* a folder */
	assert_null(k);
}

/* PEM of a key of another kind, or one with a passphrase. */
static void write_pem(const char *path, EVP_PKEY *pkey, const EVP_CIPHER *cipher)
{
	BIO *bio = BIO_new_file(path, "w");
	char pass[] = "secret";

	assert_int_equal(PEM_write_bio_PKCS8PrivateKey(
				 bio, pkey, cipher, pass, (int)strlen(pass), NULL, NULL),
		1);
	BIO_free(bio);
	EVP_PKEY_free(pkey);
	chmod(path, 0600);
}

static void another_kind_of_key_or_one_with_a_passphrase_is_refused_without_asking(void **state)
{
	struct files *f = *state;
	struct key *k;
	struct err e;

	write_pem(f->path, EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), NULL);
	assert_int_equal(key_load(&k, f->path, &e), -1);
	assert_int_equal(e.code, ERR_MALFORMED);
	write_pem(f->path, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), EVP_aes_128_cbc());
	assert_int_equal(key_load(&k, f->path, &e), -1); /* would hang, asking at the terminal */
	assert_int_equal(e.code, ERR_MALFORMED);
	assert_int_equal(ERR_peek_error(), 0);
}

static void load_or_make_makes_once(void **state)
{
	struct files *f = *state;
	struct key *a, *b;
	struct err e;
	bool made;

	assert_int_equal(key_load_or_make(&a, f->path, &made, &e), 0);
	assert_true(made);
	assert_int_equal(key_load_or_make(&b, f->path, &made, &e), 0);
	assert_false(made);
	assert_true(id_equal(key_id(a), key_id(b)));
	key_free(a);
	key_free(b);
	auto_free char *nowhere = xprintf("%s/no/key", f->dir);
	assert_int_equal(key_load_or_make(&a, nowhere, NULL, &e), -1);
	assert_null(a);
}

/* The output of a shell command; its status must be 0. */
static char *shell(const char *command)
{
	FILE *p = popen(command, "r");
	static char line[4096];

	assert_non_null(p);
	size_t n = fread(line, 1, sizeof(line) - 1, p);
	line[n] = '\0';
	if (pclose(p) != 0)
		fail_msg("failed: %s", command);
	while (n > 0 && line[n - 1] == '\n')
		line[--n] = '\0';
	return line;
}

static void openssl_computes_the_same_pin_from_the_same_pem(void **state)
{
	struct files *f = *state;
	struct key *k = key_new();
	auto_free char *pem = key_public_pem(key_id(k)), *public = xprintf("%s/public.pem", f->dir);
	auto_free char *command = xprintf(
		"openssl pkey -pubin -in %s -outform DER | openssl dgst -sha256 -binary | base64",
		public);
	auto_free char *from_key = xprintf("openssl pkey -in %s -pubout", f->path);
	char pin[PIN_TEXT + 1];
	struct err e;

	assert_int_equal(file_write_atomic(public, pem, strlen(pem), 0600, &e), 0);
	assert_int_equal(key_save(k, f->path, &e), 0);
	key_pin(pin, key_id(k));
	assert_memory_equal(pin, "sha256//", 8);
	assert_string_equal(shell(command), pin + 8);
	pem[strlen(pem) - 1] = '\0';
	assert_string_equal(shell(from_key), pem);
	key_free(k);
}

static void a_key_made_by_openssl_loads_and_its_signature_verifies(void **state)
{
	struct files *f = *state;
	auto_free char *make = xprintf(
		"umask 077; openssl genpkey -algorithm ed25519 -out %s && printf hello > %s/msg && "
		"openssl pkeyutl -sign -rawin -inkey %s -in %s/msg -out %s/sig",
		f->path, f->dir, f->path, f->dir, f->dir);
	auto_free char *sig_path = xprintf("%s/sig", f->dir), *sig = NULL;
	struct key *k;
	struct err e;
	size_t n;

	shell(make);
	assert_int_equal(key_load(&k, f->path, &e), 0);
	assert_int_equal(file_read(&sig, &n, sig_path, 100, &e), 0);
	assert_int_equal(n, SIG_BYTES);
	assert_true(key_verify(key_id(k), "hello", 5, (unsigned char *)sig));
	key_free(k);
}

static void the_certificate_carries_the_key(void **state)
{
	(void)state;
	struct key *k = key_new();
	struct ssl_ctx_st *ctx;
	unsigned char raw[ID_BYTES];
	size_t n = sizeof(raw);
	struct err e;

	assert_int_equal(key_tls_server(&ctx, k, &e), 0);
	X509 *x = SSL_CTX_get0_certificate(ctx);
	assert_non_null(x);
	assert_int_equal(EVP_PKEY_get_raw_public_key(X509_get0_pubkey(x), raw, &n), 1);
	assert_memory_equal(raw, key_id(k)->b, ID_BYTES);
	assert_int_equal(SSL_CTX_get_min_proto_version(ctx), TLS1_3_VERSION);
	key_tls_free(ctx);
	key_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_wycheproof_case_gives_its_result),
		cmocka_unit_test(what_a_key_signs_it_alone_verifies),
		cmocka_unit_test(a_key_that_nobody_holds_signs_nothing),
		cmocka_unit_test_setup_teardown(
			a_saved_key_loads_as_itself_and_is_private, setup, teardown),
		cmocka_unit_test_setup_teardown(a_key_file_is_never_overwritten, setup, teardown),
		cmocka_unit_test_setup_teardown(a_key_others_can_read_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_key_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			another_kind_of_key_or_one_with_a_passphrase_is_refused_without_asking,
			setup, teardown),
		cmocka_unit_test_setup_teardown(load_or_make_makes_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			openssl_computes_the_same_pin_from_the_same_pem, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_key_made_by_openssl_loads_and_its_signature_verifies, setup, teardown),
		cmocka_unit_test(the_certificate_carries_the_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
