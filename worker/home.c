/* SPDX-License-Identifier: Apache-2.0
 *
 * home.c: the grid that this worker belongs to.
 */
#include "worker/home.h"
#include "common/dial.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/codec.h"
#include "common/log.h"

#include <arpa/inet.h>
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

struct draft {
	struct way at[WAYS_MAX];
	size_t n;
};

static void add_way(struct draft *d, const struct link *to, const struct link *via)
{
	if (d->n == WAYS_MAX || !to->port)
		return;
	d->at[d->n] = (struct way){ .to = *to, .relayed = via != NULL };
	if (via)
		d->at[d->n].via = *via;
	d->n++;
}

/* First the links we were given that name the coordinator, then what the descriptor says. */
static void add_direct(const struct home *h, struct draft *d)
{
	for (size_t i = 0; i < h->n_joins; i++)
		if (acts_for(&h->grid, &h->joins[i].node))
			add_way(d, &h->joins[i], NULL);
	for (size_t i = 0; i < h->grid.n_addresses; i++)
		for (size_t k = 0; k < h->grid.n_keys; k++) {
			struct link l =
				link_to(&h->grid.keys[k].id, &h->grid_id, &h->grid.addresses[i]);

			if (h->grid.keys[k].roles & ROLE_COORDINATOR)
				add_way(d, &l, NULL);
		}
}

/* The one in use, since those that others name are some of many, by chance; the workers among the links we were given; then
 * those. */
static size_t list_relays(const struct home *h, struct link out[HOME_RELAYS_MAX])
{
	const struct way *used = ways_now(&h->ways);
	size_t n = 0;

	if (used && used->relayed)
		out[n++] = used->via;
	for (size_t i = 0; i < h->n_joins && n < HOME_RELAYS_MAX; i++)
		if (!acts_for(&h->grid, &h->joins[i].node) && !(n && link_equal(&out[0], &h->joins[i])))
			out[n++] = h->joins[i];
	if (h->relays.list && n < HOME_RELAYS_MAX)
		n += h->relays.list(h->relays.arg, out + n, HOME_RELAYS_MAX - n);
	return n;
}

static void find_ways(struct home *h)
{
	auto_free struct draft *d = xcalloc(1, sizeof(*d)); /* 50 KiB */
	struct link relays[HOME_RELAYS_MAX];
	size_t n_relays = list_relays(h, relays), n_direct;

	add_direct(h, d);
	n_direct = d->n;
	for (size_t i = 0; i < n_relays; i++)
		for (size_t k = 0; k < n_direct; k++)
			add_way(d, &d->at[k].to, &relays[i]);
	ways_set(&h->ways, d->at, d->n);
}

bool home_is_coordinator(const struct home *h, const struct id *node)
{
	return h->known && acts_for(&h->grid, node);
}

static bool is_private(const struct link *l)
{
	struct endpoint at = link_at(l);

	return dial_is_private(&at);
}

bool home_is_private(const struct home *h)
{
	bool private = false;

	for (size_t i = 0; i < h->n_joins; i++)
		private |= is_private(&h->joins[i]);
	for (size_t i = 0; i < h->ways.n; i++)
		private |= is_private(&h->ways.at[i].to);
	return private;
}

bool home_may_call(const struct home *h, const struct id *self, const struct link *l)
{
	struct endpoint at = link_at(l);

	return id_equal(&l->grid, &h->grid_id) && !id_equal(&l->node, self) &&
	       !home_is_coordinator(h, &l->node) && dial_allowed(&at, home_is_private(h));
}

const struct way *home_way(const struct home *h)
{
	return h->known ? ways_now(&h->ways) : NULL;
}

unsigned home_turn(const struct home *h)
{
	return h->ways.turn;
}

bool home_failed(struct home *h, unsigned turn)
{
	return ways_failed(&h->ways, turn, clock_mono_ms());
}

/* Told when it changes, and of the first only when it is a relay. */
static void tell_reached(struct home *h, const struct way *way)
{
	if (way->relayed && h->reached != HOME_RELAYED)
		log_info("the coordinator is reached through the relay %s:%u", way->via.host, way->via.port);
	else if (!way->relayed && h->reached == HOME_RELAYED)
		log_info("the coordinator is reached directly");
	h->reached = way->relayed ? HOME_RELAYED : HOME_DIRECT;
}

static struct home_seen *seen_of(struct home *h, const struct link *to)
{
	for (size_t i = 0; i < h->n_seen; i++)
		if (h->seen[i].name.port == to->port && !strcmp(h->seen[i].name.host, to->host))
			return &h->seen[i];
	return h->n_seen < HOME_SEEN_MAX ? &h->seen[h->n_seen++] : &h->seen[0];
}

void home_worked(struct home *h, const struct way *way, const char *ip)
{
	ways_worked(&h->ways, way, clock_mono_ms());
	tell_reached(h, way);
	if (way->relayed || !ip[0])
		return;
	struct home_seen *s = seen_of(h, &way->to);
	s->name = link_at(&way->to);
	snprintf(s->ip, sizeof(s->ip), "%s", ip);
}

void home_set_relays(struct home *h, const struct relays *relays)
{
	h->relays = *relays;
	home_relays_changed(h);
}

void home_relays_changed(struct home *h)
{
	if (h->known)
		find_ways(h);
}

/* --- for those we relay ------------------------------------------------------------------------------- */

static bool is_numeric(const char *host)
{
	unsigned char any[16];

	return inet_pton(AF_INET, host, any) == 1 || inet_pton(AF_INET6, host, any) == 1;
}

static int numeric(struct endpoint *out, const struct home *h, const struct link *to, struct err *e)
{
	*out = link_at(to);
	if (is_numeric(to->host))
		return 0;
	for (size_t i = 0; i < h->n_seen; i++)
		if (h->seen[i].name.port == to->port && !strcmp(h->seen[i].name.host, to->host)) {
			snprintf(out->host, sizeof(out->host), "%s", h->seen[i].ip);
			return 0;
		}
	return err_set(e, ERR_UNREACHABLE, "this worker has not reached %s itself", to->host);
}

int home_target(struct endpoint *out, const struct home *h, const char *target, struct err *e)
{
	for (size_t i = 0; h->known && i < h->ways.n; i++) {
		const struct way *w = &h->ways.at[i];
		char text[LINK_HOST_MAX + 9];
		struct endpoint at = link_at(&w->to);

		endpoint_text(text, &at);
		if (!w->relayed && !strcmp(text, target))
			return numeric(out, h, &w->to, e);
	}
	return err_set(e, ERR_REFUSED, "this relay makes tunnels to its grid's coordinator only");
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

int home_open_ack(struct home *h, struct msg *m, const char *line, size_t n,
	const struct digest *of, struct err *e)
{
	char text[DIGEST_TEXT + 1];

	while (n && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		n--;
	if (home_open_msg(h, m, line, n, MSG_ACK, e))
		return -1;
	digest_text(text, of);
	if (!strcmp(jtext(m->body, "of"), text))
		return 0;
	msg_release(m);
	return err_field(e, "of", "the ack names another envelope");
}
