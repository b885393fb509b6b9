/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_flatten.c: a layer, twice over itself: what comes out is a tree stream that can be read, or an error.
 */
#include "image/image.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct tree_record rec;
	struct image_options o = { .most_bytes = MIB };
	int fd = memfd_create("layer", MFD_CLOEXEC);
	char path[64], *paths[2] = { path, path }, *out = NULL;
	struct tree_reader r;
	struct err e = { 0 };
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);
	int bad = fd < 0 || fd_write_all(fd, data, n, &e);

	assert(!bad && f);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	bad = image_flatten(paths, 2, f, &o, &e);
	fclose(f);
	close(fd);
	assert(!bad || e.msg[0]);
	if (!bad) {
		f = fmemopen(out, len, "r");
		int more = tree_open(&r, f, 2 * MIB, &e) ? -1 : 1;
		while (more > 0)
			more = tree_next(&r, &rec, &e);
		fclose(f);
		assert(more == 0);
	}
	free(out);
	return 0;
}
