/* SPDX-License-Identifier: Apache-2.0
 *
 * home.c: the grid that this worker belongs to.
 */
#include "worker/home.h"
#include "common/buf.h"
#include "common/codec.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DESCRIPTOR_MAX (64 * 1024)

static char *path_in(const struct home *h, const char *name)
{
	return xprintf("%s/%s", h->dir, name);
}

/* --- ways to the coordinator ------------------------------------------------------------------------ */

static bool acts_for(const struct grid *g, const struct id *node)
{
	for (size_t i = 0; i < g->n_keys; i++)
		if (id_equal(&g->keys[i].id, node) && (g->keys[i].roles & ROLE_COORDINATOR))
			return true;
	return false;
}

static bool same_link(const struct link *a, const struct link *b)
{
	return id_equal(&a->node, &b->node) && a->port == b->port && !strcmp(a->host, b->host);
}

static void add_way(struct home *h, const struct link *l)
{
	for (size_t i = 0; i < h->n_ways; i++)
		if (same_link(&h->ways[i], l))
			return;
	if (h->n_ways < HOME_WAYS_MAX && l->port)
		h->ways[h->n_ways++] = *l;
}

/* First the links we were given that name the coordinator, then what the descriptor says. */
static void find_ways(struct home *h)
{
	h->n_ways = h->way = 0;
	for (size_t i = 0; i < h->n_joins; i++)
		if (acts_for(&h->grid, &h->joins[i].node))
			add_way(h, &h->joins[i]);
	for (size_t i = 0; i < h->grid.n_addresses; i++)
		for (size_t k = 0; k < h->grid.n_keys; k++) {
			struct link l = { .node = h->grid.keys[k].id, .grid = h->grid_id,
				.port = h->grid.addresses[i].port };

			memcpy(l.host, h->grid.addresses[i].host, sizeof(l.host));
			if (h->grid.keys[k].roles & ROLE_COORDINATOR)
				add_way(h, &l);
		}
}

const struct link *home_way(const struct home *h)
{
	return h->known && h->n_ways ? &h->ways[h->way] : NULL;
}

void home_failed(struct home *h)
{
	if (h->n_ways)
		h->way = (h->way + 1) % h->n_ways;
}

/* --- the descriptor ------------------------------------------------------------------------------------ */

static int take(struct home *h, const char *line, size_t n, struct err *e)
{
	auto_free struct grid *g = xcalloc(1, sizeof(*g)); /* 20 KiB */
	struct msg m;
	int bad;

	if (msg_open(&m, line, n, &h->grid_id, e))
		return -1;
	bad = grid_read(g, &m, e);
	if (!bad && h->known && g->serial < h->grid.serial)
		bad = err_set(e, ERR_REFUSED, "serial %lld is older than the %lld known here",
			(long long)g->serial, (long long)h->grid.serial);
	if (!bad) {
		free(h->line);
		h->line = xmemdup(line, n);
		h->grid = *g;
		h->known = true;
	}
	msg_release(&m);
	return bad;
}

int home_learn(struct home *h, const char *line, size_t n, struct err *e)
{
	auto_free char *path = path_in(h, "grid.json");

	while (n && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		n--;
	if (h->known && strlen(h->line) == n && !memcmp(h->line, line, n))
		return 0;
	if (take(h, line, n, e))
		return err_wrap(e, "the grid's descriptor");
	find_ways(h);
	return file_write_atomic(path, line, n, 0600, e);
}

/* --- what DIR remembers --------------------------------------------------------------------------------- */

static void forget(struct home *h)
{
	auto_free char *grid = path_in(h, "grid.json");
	auto_free char *epoch = path_in(h, "epoch");

	log_warn("%s belonged to another grid; it now joins the one of --join", h->dir);
	unlink(grid);
	unlink(epoch);
}

static void read_epoch(struct home *h)
{
	auto_free char *path = path_in(h, "epoch");
	auto_free char *text = NULL;
	struct err e;
	size_t n;

	if (!file_read(&text, &n, path, 32, &e)) {
		text[strcspn(text, "\n")] = '\0';
		int_parse(&h->epoch, text, 0, INT64_MAX);
	}
}

/* The stored descriptor; absent or damaged, it is fetched again. */
static void read_descriptor(struct home *h)
{
	auto_free char *path = path_in(h, "grid.json");
	auto_free char *line = NULL;
	struct err e;
	struct msg m;
	size_t n;

	if (file_read(&line, &n, path, DESCRIPTOR_MAX, &e) || msg_open(&m, line, n, NULL, &e))
		return;
	if (h->n_joins && !id_equal(&m.grid, &h->grid_id))
		forget(h);
	else {
		h->grid_id = m.grid;
		if (take(h, line, n, &e))
			log_warn("%s: %s", path, e.msg);
	}
	msg_release(&m);
}

static int read_links(struct home *h, const struct texts *links, struct err *e)
{
	for (size_t i = 0; i < links->n; i++) {
		struct err why;

		if (i == HOME_LINKS_MAX)
			return err_set(e, ERR_USAGE, "--join: more than %d links", HOME_LINKS_MAX);
		if (link_parse(&h->joins[i], links->at[i], &why))
			return err_set(e, ERR_USAGE, "--join %s: %s", links->at[i], why.msg);
		if (i && !id_equal(&h->joins[i].grid, &h->joins[0].grid))
			return err_set(e, ERR_USAGE, "--join %s: is of another grid than --join %s",
				links->at[i], links->at[0]);
		h->n_joins++;
	}
	if (h->n_joins)
		h->grid_id = h->joins[0].grid;
	return 0;
}

int home_open(struct home *h, const char *dir, const struct texts *links, struct err *e)
{
	*h = (struct home){ .dir = xstrdup(dir) };
	if (read_links(h, links, e))
		return -1;
	read_descriptor(h);
	if (!h->n_joins && !h->known)
		return err_set(e, ERR_USAGE,
			"--join is missing: the link of the grid, as its coordinator printed it");
	if (h->known) {
		read_epoch(h);
		find_ways(h);
	}
	return 0;
}

void home_close(struct home *h)
{
	free(h->dir);
	free(h->line);
	*h = (struct home){ 0 };
}

/* --- the coordinator's messages --------------------------------------------------------------------------- */

static int check_coordinator(struct home *h, const struct msg *m, enum msg_type type, struct err *e)
{
	char author[ID_TEXT + 1];

	if (m->type != type)
		return err_field(e, "type", "is %s; %s was expected", msg_type_name(m->type),
			msg_type_name(type));
	id_text(author, &m->author);
	if (!grid_allows(&h->grid, &m->author, ROLE_COORDINATOR, m->time_ms))
		return err_set(e, ERR_REFUSED, "%.16s… does not act as coordinator of this grid", author);
	if (m->epoch.counter < h->epoch)
		return err_set(e, ERR_REFUSED, "epoch %lld is older than the %lld known here",
			(long long)m->epoch.counter, (long long)h->epoch);
	return 0;
}

static void raise_epoch(struct home *h, int64_t counter)
{
	auto_free char *path = path_in(h, "epoch");
	char text[32];
	struct err e;

	if (counter <= h->epoch)
		return;
	h->epoch = counter;
	snprintf(text, sizeof(text), "%lld\n", (long long)counter);
	if (file_write_atomic(path, text, strlen(text), 0600, &e))
		log_warn("%s", e.msg);
}

int home_open_msg(struct home *h, struct msg *m, const char *line, size_t n, enum msg_type type, struct err *e)
{
	if (!h->known)
		return err_set(e, ERR_REFUSED, "no grid descriptor is known yet");
	if (msg_open(m, line, n, &h->grid_id, e))
		return err_wrap(e, "the coordinator's %s", msg_type_name(type));
	if (check_coordinator(h, m, type, e)) {
		msg_release(m);
		return err_wrap(e, "the coordinator's %s", msg_type_name(type));
	}
	raise_epoch(h, m->epoch.counter);
	return 0;
}
