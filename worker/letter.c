/* SPDX-License-Identifier: Apache-2.0
 *
 * letter.c: see letter.h.
 */
#include "worker/letter.h"
#include "common/buf.h"
#include "common/codec.h"
#include "common/shape.h"

#include <stdlib.h>
#include <string.h>

/* --- writing ---------------------------------------------------------------------------------------------- */

static bool pieces_before(const struct product *const *products, size_t i, size_t k)
{
	const struct digest *d = &products[i]->pieces[k].digest;

	for (size_t p = 0; p <= i; p++)
		for (size_t q = 0; q < (p == i ? k : products[p]->n_pieces); q++)
			if (digest_equal(&products[p]->pieces[q].digest, d))
				return true;
	return false;
}

char *letter_write(const char *line, const struct product *const *products, size_t n)
{
	struct buf b = { 0 };
	char text[DIGEST_TEXT + 1];
	const char *comma = "";

	buf_text(&b, "{\"envelope\":");
	buf_text(&b, line);
	buf_text(&b, ",\"blobs\":{");
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < products[i]->n_pieces; k++) {
			const struct piece *piece = &products[i]->pieces[k];

			if (pieces_before(products, i, k))
				continue;
			auto_free char *base64 = base64_encode(piece->bytes, piece->n);
			digest_text(text, &piece->digest);
			buf_printf(&b, "%s\"%s\":\"", comma, text);
			buf_text(&b, base64);
			buf_text(&b, "\"");
			comma = ",";
		}
	buf_text(&b, "}}");
	return buf_take(&b);
}

int letter_sign(char **line, const struct digest *job, const char *platform_class,
	const char *agent, const struct product *const *products, size_t n, const struct id *grid,
	const struct key *k, int64_t time_ms, struct err *e)
{
	struct results r = { .policy = products[0]->policy, .n = n };
	int bad;

	memcpy(r.job.b, job->b, sizeof(r.job.b));
	snprintf(r.platform, sizeof(r.platform), "%s", platform_here());
	snprintf(r.platform_class, sizeof(r.platform_class), "%s", platform_class);
	snprintf(r.agent, sizeof(r.agent), "%s", agent);
	r.items = xcalloc(n, sizeof(*r.items));
	for (size_t i = 0; i < n; i++)
		r.items[i] = products[i]->result; /* its outputs stay the product's */
	bad = results_seal(line, &r, grid, k, time_ms, e);
	free(r.items);
	return bad;
}

/* --- reading ---------------------------------------------------------------------------------------------- */

static void note_uploads(struct letter_says *s, const struct results *r, const json_t *blobs)
{
	char text[DIGEST_TEXT + 1];

	for (size_t i = 0; i < r->n; i++)
		for (size_t k = 0; k < r->items[i].n_outputs; k++) {
			const struct output *o = &r->items[i].outputs[k];

			digest_text(text, &o->digest);
			if (json_object_get(blobs, text))
				continue;
			s->uploads = xrealloc(s->uploads, s->n_uploads + 1, sizeof(*s->uploads));
			s->uploads[s->n_uploads++] = (struct blob){
				.digest = o->digest, .root = o->root, .size = o->size
			};
		}
}

static int read_envelope(
	struct letter_says *s, const json_t *body, const struct id *grid, struct err *e)
{
	const json_t *envelope = json_object_get(body, "envelope");
	auto_free char *line = envelope ? shape_dump(envelope) : NULL;
	struct results r;
	struct msg m;

	if (!line)
		return err_field(e, "envelope", "is missing");
	if (msg_open(&m, line, strlen(line), grid, e))
		return -1;
	if (results_read(&r, &m, e)) {
		msg_release(&m);
		return -1;
	}
	s->digest = m.sealed.digest;
	s->time_ms = m.time_ms;
	s->leases = xcalloc(r.n, sizeof(*s->leases));
	for (; s->n_leases < r.n; s->n_leases++)
		memcpy(s->leases[s->n_leases], r.items[s->n_leases].lease, sizeof(*s->leases));
	note_uploads(s, &r, json_object_get(body, "blobs"));
	results_release(&r);
	msg_release(&m);
	return 0;
}

int letter_read(
	struct letter_says *s, const char *text, size_t n, const struct id *grid, struct err *e)
{
	auto_json json_t *body = shape_load(text, n, e);

	*s = (struct letter_says){ .n_leases = 0 };
	return body ? read_envelope(s, body, grid, e) : -1;
}

void letter_says_release(struct letter_says *s)
{
	free(s->leases);
	free(s->uploads);
}
