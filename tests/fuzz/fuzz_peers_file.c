/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_peers_file.c: DIR/peers as it is found at the start. Envelopes are plain objects here, as in fuzz_gossip.c:
 * {"k":KIND,"a":author,"s":seq,"x":expires,"of":digest,"over":bool,"at":"HOST:PORT"}. What was taken is written,
 * and read again.
 */
#include "tests/fuzz/fuzz.h"
#include "worker/peers_file.h"

#define NOW ((int64_t)1800000000000)

static int open_plain(void *arg, struct heard *h, const char *line, size_t n, struct err *e)
{
	static const char *const kinds[] = { "note", "peer", "job", "cancel", "grid", "other" };
	auto_json json_t *j = shape_load(line, n, e);
	size_t kind = 0;

	(void)arg;
	*h = (struct heard){ 0 };
	while (j && kind < ARRAY_LEN(kinds) && strcmp(jtext(j, "k"), kinds[kind]) != 0)
		kind++;
	if (!j || kind == ARRAY_LEN(kinds) || !id_parse(&h->author, jtext(j, "a")))
		return err_set(e, jtext(j, "k")[0] == 'f' ? ERR_SIGNATURE : ERR_FIELD, "no");
	h->kind = (enum heard_kind)kind;
	h->line = digest_of(line, n);
	h->seq = 1 + ((jint(j, "s", 1) - 1) & (SHAPE_INT_MAX - 1));
	h->serial = h->seq;
	h->expires_ms = NOW + jint(j, "x", 1000) % (100 * (int64_t)3600000);
	h->over = jbool(j, "over", false);
	digest_from_text(&h->of, jtext(j, "of"));
	h->job = h->of;
	h->n_at = *jtext(j, "at") && !endpoint_parse(&h->at[0], jtext(j, "at"), e);
	return 0;
}

static bool is_official(void *arg, const struct id *key)
{
	(void)arg;
	return key->b[0] & 1;
}

static void fresh(void *arg, const struct heard *h, const char *line, size_t n, bool official)
{
	(void)arg, (void)h, (void)line, (void)n, (void)official;
}

static struct peers *node(void)
{
	struct peers_conf conf = { .seed = 1,
		.private_ok = true,
		.fns = { .open = open_plain,
			.coordinator = is_official,
			.admin = is_official,
			.fresh = fresh } };

	return peers_new(&conf, NOW);
}

static struct peers_counts load(struct peers *p, const char *path)
{
	peers_load(p, path, NOW);
	struct peers_counts c = peers_count(p, NOW);
	assert(c.bytes <= PEERS_BYTES_MAX && c.known <= VIEW_MAX &&
		c.news.notes <= NEWS_NOTES_MAX && c.news.facts <= c.news.notes);
	return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_buf struct buf b = fuzz_fill(data, n);
	char path[] = "/dev/shm/talkoot-fuzz-XXXXXX"; /* in memory: it is synced each time */
	struct peers *p = node(), *again = node();
	auto_close int fd = mkstemp(path);
	struct err e;
	int bad = fd < 0 || fd_write_all(fd, b.data, b.len, &e);

	assert(!bad);
	struct peers_counts one = load(p, path);
	bad = peers_save(p, path, &e);
	assert(!bad);
	struct peers_counts two = load(again, path);
	/* what is written of the nodes is all that can be read of them; of what is over nothing is written */
	assert(two.known <= one.known && two.news.facts <= one.news.facts);
	unlink(path);
	peers_free(p);
	peers_free(again);
	return 0;
}
