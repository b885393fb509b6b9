/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_tree.c: the tree stream: what is read whole and written again is the same, byte by byte.
 */
#include "image/tree.h"
#include "tests/fuzz/fuzz.h"

static void write_again(struct tree_writer *w, struct tree_reader *r, const struct tree_record *rec)
{
	char bytes[100];
	struct err e;
	ssize_t n;

	switch (rec->kind) {
	case TREE_FOLDER:
		tree_folder(w, rec->mode, rec->path);
		return;
	case TREE_LINK:
		tree_link(w, rec->path, rec->text);
		return;
	case TREE_NAME:
		tree_name(w, rec->path, rec->text);
		return;
	case TREE_FILE:
		tree_file(w, rec->mode, rec->mtime_s, rec->size, rec->path);
		while ((n = tree_read(r, bytes, sizeof(bytes), &e)) > 0)
			tree_bytes(w, bytes, (size_t)n);
		w->owed = 0; /* when it was cut short */
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct tree_record rec;
	struct tree_reader r;
	struct tree_writer w;
	struct err e = { 0 };
	char *again = NULL;
	size_t len = 0;
	FILE *in = n ? fmemopen((void *)(uintptr_t)data, n, "r") : NULL;
	FILE *out = in ? open_memstream(&again, &len) : NULL;
	int more;

	if (!out)
		return 0;
	tree_begin(&w, out);
	more = tree_open(&r, in, MIB, &e) ? -1 : 1;
	while (more > 0 && (more = tree_next(&r, &rec, &e)) > 0) {
		assert(name_ok(rec.path, strlen(rec.path)) && rec.mode <= 0777);
		write_again(&w, &r, &rec);
	}
	int bad = more == 0 && tree_end(&w, &e);
	fclose(out);
	fclose(in);
	assert(!bad && (more == 0 || e.msg[0]));
	assert(more < 0 || (len == n && !memcmp(again, data, n)));
	free(again);
	return 0;
}
