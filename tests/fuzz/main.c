/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c: a driver for the fuzz targets where there is no libFuzzer.
 *
 *	fuzz_NAME FILE|FOLDER...                    run these inputs
 *	fuzz_NAME -runs=N [-seed=S] FILE|FOLDER...  and N random mutations of them;
 *	                                            the seed is printed
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <sys/stat.h>

#define INPUT_MAX (1 << 20)

struct inputs {
	struct buf *at;
	size_t n, room;
};

static void add_file(struct inputs *all, const char *path)
{
	struct buf b = { 0 };
	struct err e;

	if (file_read(&b.data, &b.len, path, INPUT_MAX, &e)) {
		fprintf(stderr, "%s\n", e.msg);
		exit(2);
	}
	b.room = b.len + 1;
	array_room(&all->at, &all->room, all->n, sizeof(*all->at));
	all->at[all->n++] = b;
}

static void add(struct inputs *all, const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;

	if (!d) {
		add_file(all, path);
		return;
	}
	while ((entry = readdir(d))) {
		auto_free char *file = xprintf("%s/%s", path, entry->d_name);

		if (entry->d_name[0] != '.')
			add_file(all, file);
	}
	closedir(d);
}

/* Exactly n bytes on the heap, so that ASan sees a read beyond. */
static void run(const char *bytes, size_t n)
{
	uint8_t *copy = xmalloc(n);

	if (n)
		memcpy(copy, bytes, n);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

/* Change, cut, repeat or insert a little of `b`, one to eight times; or splice two. */
static void mutate(struct buf *b, const struct inputs *all, uint64_t *rng)
{
	static const char *const words[] = { "\"", "{", "}", "[", "]", ",", ":", "\\", "\\u0000",
		"-1", "0", "9007199254740993", "1.5", "null", "true", "@H", "@N", "@D", "@B", "/",
		"..", "\xff", "\n", "\n\n", "--", "=", "{index}", "**" };

	for (uint64_t k = rng_below(rng, 8) + 1; k > 0; k--) {
		size_t at = (size_t)rng_below(rng, b->len + 1);
		size_t n = (size_t)rng_below(rng, 16) + 1;
		auto_free char *tail = xmemdup(b->data + at, b->len - at);
		size_t tail_n = b->len - at;

		n = n < tail_n ? n : tail_n;
		b->len = at;
		switch (rng_below(rng, 6)) {
		case 0: /* another byte */
			if (tail_n)
				tail[0] = (char)rng_next(rng);
			buf_add(b, tail, tail_n);
			break;
		case 1: /* less */
			buf_add(b, tail + n, tail_n - n);
			break;
		case 2: /* twice */
			buf_add(b, tail, n);
			buf_add(b, tail, tail_n);
			break;
		case 3: /* a bit */
			if (tail_n)
				tail[0] = (char)(tail[0] ^ 1 << rng_below(rng, 8));
			buf_add(b, tail, tail_n);
			break;
		case 4: { /* the end of another */
			const struct buf *other = &all->at[rng_below(rng, all->n)];
			size_t from = (size_t)rng_below(rng, other->len + 1);

			buf_add(b, other->data + from, other->len - from);
			break;
		}
		default:
			buf_text(b, words[rng_below(rng, ARRAY_LEN(words))]);
			buf_add(b, tail, tail_n);
		}
	}
}

int main(int argc, char **argv)
{
	uint64_t runs = 0, seed = random_seed() >> 32;
	struct inputs all = { 0 };

	for (int i = 1; i < argc; i++)
		if (!strncmp(argv[i], "-runs=", 6))
			runs = strtoull(argv[i] + 6, NULL, 10);
		else if (!strncmp(argv[i], "-seed=", 6))
			seed = strtoull(argv[i] + 6, NULL, 10);
		else
			add(&all, argv[i]);
	if (!all.n) {
		fprintf(stderr, "usage: %s [-runs=N] [-seed=S] FILE|FOLDER...\n", argv[0]);
		return 2;
	}
	fprintf(stderr, "%s: %zu inputs, %llu mutations, -seed=%llu\n", argv[0], all.n,
		(unsigned long long)runs, (unsigned long long)seed);
	for (size_t i = 0; i < all.n; i++)
		run(all.at[i].data, all.at[i].len);
	for (; runs > 0; runs--) {
		const struct buf *from = &all.at[rng_below(&seed, all.n)];
		auto_buf struct buf b = { 0 };

		buf_add(&b, from->data, from->len);
		mutate(&b, &all, &seed);
		run(b.data, b.len);
	}
	for (size_t i = 0; i < all.n; i++)
		buf_release(&all.at[i]);
	free(all.at);
	return 0;
}
