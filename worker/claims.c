/* SPDX-License-Identifier: Apache-2.0
 *
 * claims.c: checkpoints on their way to the coordinator.
 */
#include "worker/claims.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/ticket.h"
#include "common/tus.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 3

struct claim {
	char lease[LEASE_HEX + 1];
	struct blob blob;
	bool listed; /* in the ask that was built last */
};

struct claims {
	struct loop *loop;
	struct fetcher *fetcher;
	struct home *home;
	const struct key *key;
	struct blobs *store;
	void (*news)(void *arg);
	void *arg;
	struct claim at[CLAIMS_MAX];
	size_t n;
};

struct sending {
	struct claims *all;
	char lease[LEASE_HEX + 1];
	struct blob blob;
	struct tus *tus;
	int fd;
	void (*done)(void *arg, bool told);
	void *arg;
};

struct claims *claims_new(struct loop *l, struct fetcher *f, struct home *h, const struct key *k, struct blobs *store,
	void (*news)(void *arg), void *arg)
{
	struct claims *c = xcalloc(1, sizeof(*c));

	*c = (struct claims){ .loop = l, .fetcher = f, .home = h, .key = k, .store = store, .news = news, .arg = arg };
	return c;
}

void claims_free(struct claims *c)
{
	free(c);
}

/* --- what is to be told --------------------------------------------------------------------------------------- */

/* A newer one of the same lease takes its place. */
static bool add(struct claims *c, const struct sending *s)
{
	size_t i = 0;

	while (i < c->n && strcmp(c->at[i].lease, s->lease) != 0)
		i++;
	if (i == CLAIMS_MAX)
		return false;
	c->n += i == c->n;
	c->at[i] = (struct claim){ .blob = s->blob };
	memcpy(c->at[i].lease, s->lease, sizeof(s->lease));
	return true;
}

json_t *claims_json(struct claims *c)
{
	json_t *all = c->n ? json_array() : NULL;

	for (size_t i = 0; i < c->n; i++) {
		c->at[i].listed = true;
		json_array_append_new(all,
			json_pack("{s:s, s:o}", "lease", c->at[i].lease, "blob", blob_to_json(&c->at[i].blob)));
	}
	return all;
}

void claims_heard(struct claims *c)
{
	size_t left = 0;

	for (size_t i = 0; i < c->n; i++)
		if (!c->at[i].listed)
			c->at[left++] = c->at[i];
	c->n = left;
}

/* --- the upload ----------------------------------------------------------------------------------------------- */

void sending_cancel(struct sending *s)
{
	if (!s)
		return;
	if (s->tus)
		tus_cancel(s->tus);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

static void on_sent(void *arg, const struct err *e)
{
	struct sending *s = arg;
	struct claims *c = s->all;
	void (*done)(void *arg, bool told) = s->done;
	void *done_arg = s->arg;
	bool told = !e && add(c, s);

	s->tus = NULL;
	if (e)
		log_debug("a checkpoint could not be sent: %s", e->msg);
	sending_cancel(s);
	if (told)
		c->news(c->arg);
	done(done_arg, told);
}

static int keep(struct sending *s, const char *path, struct err *e)
{
	auto_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int64_t size;

	if (fd < 0 || fstat(fd, &st))
		return err_sys(e, "opening %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > CLAIM_BYTES_MAX)
		return err_set(e, ERR_TOO_BIG, "%s is larger than %d MiB", path, (int)(CLAIM_BYTES_MAX / MIB));
	return blob_put_fd(s->all->store, fd, &s->blob, e) || blob_open(s->all->store, &s->blob.digest, &s->fd, &size, e)
		? -1
		: 0;
}

static int begin(struct sending *s, const char *path, struct err *e)
{
	const struct way *way = home_way(s->all->home);

	if (!way)
		return err_set(e, ERR_UNREACHABLE, "no way to the coordinator is known");
	if (keep(s, path, e))
		return -1;
	auto_free char *ticket = NULL;
	if (ticket_seal(&ticket, &s->all->home->grid_id, s->all->key, &s->blob.digest, s->blob.size, clock_now_ms(), e))
		return -1;
	s->tus = tus_start(s->all->fetcher, s->all->loop, &way->to, way_via(way), ticket, strlen(ticket), s->fd, s->blob.size,
		TRIES, on_sent, s);
	return 0;
}

struct sending *claims_send(
	struct claims *c, const char *lease, const char *path, void (*done)(void *arg, bool told), void *arg)
{
	struct sending *s = xcalloc(1, sizeof(*s));
	struct err e;

	*s = (struct sending){ .all = c, .fd = -1, .done = done, .arg = arg };
	snprintf(s->lease, sizeof(s->lease), "%s", lease);
	if (!begin(s, path, &e))
		return s;
	log_debug("a checkpoint is not sent: %s", e.msg);
	sending_cancel(s);
	return NULL;
}
