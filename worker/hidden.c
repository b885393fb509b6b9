/* SPDX-License-Identifier: Apache-2.0
 *
 * hidden.c: marks beside the store.
 */
#include "worker/hidden.h"
#include "common/buf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct hidden {
	char *dir;
};

static char *mark_of(const struct hidden *h, const struct digest *d)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(hex, d);
	return xprintf("%s/%s", h->dir, hex);
}

/* What is no mark is left alone. */
static void sweep(struct hidden *h, struct blobs *s)
{
	DIR *dir = opendir(h->dir);
	struct dirent *one;

	while (dir && (one = readdir(dir))) {
		auto_free char *name = xprintf("sha256:%s", one->d_name);
		struct digest d;

		if (digest_from_text(&d, name) && blob_size(s, &d) < 0)
			hidden_drop(h, &d);
	}
	if (dir)
		closedir(dir);
}

int hidden_open(struct hidden **out, const char *dir, struct blobs *s, struct err *e)
{
	struct hidden *h = xcalloc(1, sizeof(*h));

	h->dir = xprintf("%s/hidden", dir);
	if (make_dirs(h->dir, 0700, e)) {
		hidden_free(h);
		return err_wrap(e, "the marks of hidden blobs");
	}
	sweep(h, s);
	*out = h;
	return 0;
}

void hidden_free(struct hidden *h)
{
	if (!h)
		return;
	free(h->dir);
	free(h);
}

/* The mark is needed as long as the blob is, which is written and fsynced later, in another directory of the same file
 * system; so the mark's directory is fsynced first. */
int hidden_add(struct hidden *h, const struct digest *d, struct err *e)
{
	auto_free char *path = mark_of(h, d);

	return hidden_has(h, d) ? 0 : file_write_atomic(path, "", 0, 0600, e);
}

void hidden_drop(struct hidden *h, const struct digest *d)
{
	auto_free char *path = mark_of(h, d);

	unlink(path);
}

bool hidden_has(const struct hidden *h, const struct digest *d)
{
	auto_free char *path = mark_of(h, d);

	return access(path, F_OK) == 0;
}
