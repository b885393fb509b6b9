/* SPDX-License-Identifier: Apache-2.0
 *
 * notes.c: the ask's seq and the leases held, in two small files.
 */
#include "worker/notes.h"
#include "worker/agent.h"
#include "common/buf.h"
#include "common/codec.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int reserve(struct notes *n, int64_t upto, struct err *e)
{
	auto_free char *path = xprintf("%s/seq", n->dir);
	char text[32];

	snprintf(text, sizeof(text), "%lld\n", (long long)upto);
	if (file_write_atomic(path, text, strlen(text), 0600, e))
		return err_wrap(e, "reserving sequence numbers");
	n->reserved = upto;
	return 0;
}

int notes_open(struct notes *n, const char *dir, struct err *e)
{
	auto_free char *path = xprintf("%s/seq", dir);
	auto_free char *text = NULL;
	size_t len;

	*n = (struct notes){ .dir = xstrdup(dir), .seq = 1, .reserved = 1 };
	if (access(path, F_OK)) /* the first start */
		return 0;
	if (file_read(&text, &len, path, 32, e))
		return -1;
	text[strcspn(text, "\n")] = '\0';
	if (!int_parse(&n->seq, text, 1, INT64_MAX / 2)) {
		log_warn("%s is damaged; the coordinator will say how far we were", path);
		n->seq = 1;
	}
	n->reserved = n->seq;
	return 0;
}

void notes_close(struct notes *n)
{
	free(n->dir);
	*n = (struct notes){ 0 };
}

int notes_next_seq(struct notes *n, int64_t *seq, struct err *e)
{
	if (n->seq >= n->reserved && reserve(n, n->seq + SEQ_BLOCK, e))
		return -1;
	*seq = n->seq++;
	return 0;
}

void notes_adopt_seq(struct notes *n, int64_t known)
{
	if (known >= n->seq)
		n->seq = known + 1;
}

void notes_save_leases(const struct notes *n, const char *ids, size_t stride, size_t count)
{
	auto_free char *path = xprintf("%s/leases", n->dir);
	auto_free char *fresh = xprintf("%s/leases.new", n->dir);
	auto_file FILE *f = fopen(fresh, "we");

	for (size_t i = 0; f && i < count; i++)
		fprintf(f, "%s\n", ids + i * stride);
	if (!f || fflush(f) || rename(fresh, path))
		log_debug("cannot note the leases in %s", path);
}

void notes_each_lease(const struct notes *n, void (*fn)(void *arg, const char *lease), void *arg)
{
	auto_free char *path = xprintf("%s/leases", n->dir);
	auto_free char *text = NULL;
	unsigned char id[LEASE_HEX / 2];
	struct err e;
	size_t len;

	if (file_read(&text, &len, path, AGENT_TASKS_MAX * (LEASE_HEX + 2), &e))
		return;
	for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (hex_decode(id, sizeof(id), line))
			fn(arg, line);
}
