/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_box_report.c: the worker's reader of the box's report. A report that it takes can be sealed as
 * a result which everybody reads as the same; and whatever the box itself writes, it takes.
 */
#include "common/digest.h"
#include "sandbox/filter.h"
#include "sandbox/report.h"
#include "tests/fuzz/fuzz.h"
#include "worker/collect.h"

/* Instead of the filter's, so that nothing of the filter is linked. */
const char filter_policy[] = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/* One attempt with this report, sealed and opened. */
static void seal_it(const struct result *from)
{
	struct digest empty = digest_of("", 0), root = { { 0 } };
	struct results r = { .author = *key_id(fuzz_key()), .n = 1 }, back;
	auto_free char *line = NULL;
	struct msg m;
	struct err e;

	snprintf(r.platform, sizeof(r.platform), "p");
	snprintf(r.platform_class, sizeof(r.platform_class), "p");
	snprintf(r.agent, sizeof(r.agent), "a");
	r.items = xcalloc(1, sizeof(*r.items));
	r.items[0] = *from;
	snprintf(r.items[0].lease, sizeof(r.items[0].lease), "%032d", 7);
	result_add_output(&r.items[0], "stdout", &empty, &root, 0);
	int bad = results_seal(&line, &r, key_id(fuzz_key()), fuzz_key(), 1, &e) ||
		msg_open(&m, line, strlen(line), NULL, &e) || results_read(&back, &m, &e);
	assert(!bad && back.n == 1);
	assert(back.items[0].exit == from->exit && back.items[0].signal == from->signal &&
		!strcmp(back.items[0].reason, from->reason) &&
		back.items[0].cpu_ms == from->cpu_ms && back.items[0].wall_ms == from->wall_ms &&
		back.items[0].rss_kib == from->rss_kib);
	results_release(&back);
	msg_release(&m);
	results_release(&r);
}

static void as_text(const char *text, size_t n)
{
	static const struct product untouched;
	struct product p = { 0 };

	if (!product_read_report(&p, text, n)) {
		assert(!memcmp(&p, &untouched, sizeof(p)));
		return;
	}
	assert(p.result.exit == 0 || p.result.signal == 0);
	seal_it(&p.result);
}

struct draw {
	const uint8_t *at;
	size_t n;
};

static int64_t draw(struct draw *d, size_t bytes)
{
	uint64_t v = 0;

	for (; bytes > 0 && d->n > 0; bytes--, d->n--)
		v = v << 8 | *d->at++;
	return (int64_t)v;
}

/* An ending drawn from the input, told by the box. */
static void as_ending(const uint8_t *data, size_t n)
{
	struct draw d = { data, n };
	const struct box_limits limits = { 10, 20, 64, 2, 1, 8, 1, true };
	static struct ending e;
	struct product p = { 0 };
	char *text = NULL, *name;
	size_t size;
	int bits = (int)draw(&d, 1);

	e = (struct ending){ .failed = bits & 1, .known = bits & 2, .starved = bits & 4,
		.full = bits & 8, .limit = (enum box_reason)(draw(&d, 1) % BOX_N_REASONS),
		.asked = bits & 16 ? 15 : 0 };
	e.status = bits & 32 ? (int)draw(&d, 1) << 8 : (int)(draw(&d, 1) % 65);
	e.cpu_us = draw(&d, 5);
	e.wall_us = draw(&d, 5);
	e.rss_kib = draw(&d, 3);
	e.layers = (unsigned)draw(&d, 2);
	name = xmemdup(d.at, d.n);
	e.out.not_taken = 1;
	e.out.names[0] = name;
	struct verdict v = report_judge(&e, &limits);
	FILE *f = open_memstream(&text, &size);
	assert(f);
	int bad = report_write(f, &e, &v);
	assert(!bad);
	fclose(f);
	assert(product_read_report(&p, text, size));
	assert(p.result.exit == (v.signal ? 0 : v.exit) && p.result.signal == v.signal);
	assert(p.result.rss_kib == e.rss_kib &&
		llabs(p.result.cpu_ms - e.cpu_us / 1000) <= 1); /* rounded */
	free(text);
	free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_buf struct buf b = fuzz_fill(data, n);

	as_text(b.data, b.len);
	as_ending(data, n);
	return 0;
}
