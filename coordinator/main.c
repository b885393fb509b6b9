/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c: talkoot-coordinator: read the options, then serve, or do one command.
 */
#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "coordinator/admin.h"
#include "coordinator/routes.h"
#include "coordinator/spread.h"

#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STOP_MS 5000          /* what is in flight may take this long to end */
#define CHECKPOINT_MS 2000    /* how often the journal's length is looked at */
#define CHECKPOINT_PAGES 4000 /* 16 MiB */
#define TOKEN_MAX 1024

static const char *data, *listen_at = "0.0.0.0:7070", *admin_at = "127.0.0.1:7071", *advertise,
			 *token_file, *web_at;
static const char *name = "", *about = "", *contact = "", *submit = "listed", *work = "open",
		  *independence = "network", *comparators = "on", *level = "info";
static int64_t disk_mib;

static const struct knob knobs[] = {
	{ "data", 0, KNOB_TEXT, &data, "DIR", "where the key and the database are (required)", 0, 0,
		NULL, false },
	{ "listen", 0, KNOB_TEXT, &listen_at, "ADDR:PORT",
		"the grid port, TLS (default 0.0.0.0:7070; port 0: any)", 0, 0, NULL, false },
	{ "admin", 0, KNOB_TEXT, &admin_at, "ADDR:PORT",
		"the admin port, plain HTTP (default 127.0.0.1:7071)", 0, 0, NULL, false },
	{ "advertise", 0, KNOB_TEXT, &advertise, "HOST:PORT",
		"where others reach the grid port (goes into the link)", 0, 0, NULL, false },
	{ "web-seed", 0, KNOB_TEXT, &web_at, "ADDR:PORT",
		"serve blobs by plain HTTP too, for BitTorrent clients (default: off)", 0, 0, NULL,
		false },
	{ "name", 0, KNOB_TEXT, &name, "TEXT", "the grid's name, shown to whoever joins", 0, 0,
		NULL, false },
	{ "about", 0, KNOB_TEXT, &about, "TEXT", "what the grid is for", 0, 0, NULL, false },
	{ "contact", 0, KNOB_TEXT, &contact, "TEXT", "whom to write to", 0, 0, NULL, false },
	{ "submit", 0, KNOB_CHOICE, &submit, "open|listed", "who may submit jobs (default listed)",
		0, 0, "open|listed", false },
	{ "work", 0, KNOB_CHOICE, &work, "open|invited", "who may work (default open)", 0, 0,
		"open|invited", false },
	{ "independence", 0, KNOB_CHOICE, &independence, "key|network|owner",
		"what two results of a task must not share (default network)", 0, 0,
		"key|network|owner", false },
	{ "comparators", 0, KNOB_CHOICE, &comparators, "on|off",
		"run submitters' programs that compare outputs, in the box (default on)", 0, 0, "on|off", false },
	{ "admin-token-file", 0, KNOB_TEXT, &token_file, "FILE",
		"the admin port's bearer token (required when it is not on loopback)", 0, 0, NULL,
		false },
	{ "disk", 0, KNOB_INT, &disk_mib, "MIB",
		"what uploaded blobs may use (default 0: no limit)", 0, 1 << 30, NULL, false },
	{ "log-level", 0, KNOB_CHOICE, &level, "LEVEL", "error, warn, info or debug (default info)",
		0, 0, "error|warn|info|debug", false },
	{ .name = NULL },
};

static struct conf conf = {
	.program = "talkoot-coordinator",
	.usage = "talkoot-coordinator --data DIR [OPTION]... [COMMAND]",
	.about = "Runs a talkoot grid: one program, one SQLite file.\n"
		 "Commands, while it serves or not: allow|disallow submitter KEYID,\n"
		 "list, cancel JOB, ban|unban WORKER, drain.",
	.env_prefix = "TALKOOT_COORDINATOR_",
	.knobs = knobs,
};

struct program {
	struct loop *loop;
	struct coord *c;
	struct httpd *grid, *admin, *web; /* web: NULL without --web-seed */
	struct fetcher *fetcher;
	struct dialback *dialback;
	struct admin *socket;
	struct turn_end *turn_end;
	struct timer *due, *checkpoint, *stop;
	struct ssl_ctx_st *tls;
	struct door grid_door, admin_door;
	struct endpoint listen, admin_listen, advertise, web_listen;
	char *token;
	int64_t stop_by;
};

static int fail(const struct err *e)
{
	complain("%s", e->msg);
	return err_exit(e->code);
}

/* --- the turn ----------------------------------------------------------------------------- */
static void want_turn(void *arg)
{
	struct program *p = arg;

	turn_end_ask(p->turn_end);
}

static void end_turn(void *arg)
{
	struct program *p = arg;

	coord_turn(p->c);
	timer_in(p->due, coord_due_in(p->c));
}

static void checkpoint(void *arg)
{
	struct program *p = arg;

	store_checkpoint(p->c->store, CHECKPOINT_PAGES);
	timer_in(p->checkpoint, CHECKPOINT_MS);
}

/* --- stopping ----------------------------------------------------------------------------- */
static void try_stop(void *arg)
{
	struct program *p = arg;

	if (httpd_in_flight(p->grid) + httpd_in_flight(p->admin) > 0 && /* a web seed may be cut */
		clock_mono_ms() < p->stop_by)
		timer_in(p->stop, 20);
	else
		loop_stop(p->loop);
}

static void stop(void *arg)
{
	struct program *p = arg;

	log_info("stopping");
	httpd_stop_accepting(p->grid);
	httpd_stop_accepting(p->admin);
	if (p->web)
		httpd_stop_accepting(p->web);
	p->c->draining = true;
	coord_release_holds(p->c);
	spread_release(p->grid_door.spread);
	p->stop_by = clock_mono_ms() + STOP_MS;
	timer_in(p->stop, 20);
}

/* --- starting ----------------------------------------------------------------------------- */
static int read_token(struct program *p, struct err *e)
{
	if (!token_file)
		return endpoint_is_loopback(&p->admin_listen)
		               ? 0
		               : err_set(e, ERR_USAGE,
					 "--admin %s is not on loopback: that needs "
		                         "--admin-token-file",
					 admin_at);
	if (file_read(&p->token, NULL, token_file, TOKEN_MAX, e)) {
		e->code = ERR_USAGE;
		return err_wrap(e, "--admin-token-file");
	}
	p->token[strcspn(p->token, "\r\n")] = '\0';
	if (strlen(p->token) < 16)
		return err_set(
			e, ERR_USAGE, "--admin-token-file: the token has fewer than 16 characters");
	return 0;
}

static int read_endpoint(struct endpoint *p, const char *option, const char *text, struct err *e)
{
	if (!endpoint_parse(p, text, e))
		return 0;
	e->code = ERR_USAGE;
	return err_wrap(e, "--%s", option);
}

static int read_options(struct program *p, struct coord_options *o, struct err *e)
{
	if (!data)
		return err_set(e, ERR_USAGE, "--data DIR is required");
	if (strlen(name) > 200 || strlen(contact) > 200 || strlen(about) > 1000)
		return err_set(
			e, ERR_USAGE, "--name and --contact have at most 200 bytes, --about 1000");
	if (read_endpoint(&p->listen, "listen", listen_at, e) ||
		read_endpoint(&p->admin_listen, "admin", admin_at, e) ||
		(advertise && read_endpoint(&p->advertise, "advertise", advertise, e)) ||
		(web_at && read_endpoint(&p->web_listen, "web-seed", web_at, e)))
		return -1;
	*o = (struct coord_options){ .dir = data,
		.name = name,
		.about = about,
		.contact = contact,
		.submit_open = !strcmp(submit, "open"),
		.work_open = !strcmp(work, "open"),
		.no_comparators = !strcmp(comparators, "off"),
		.by = (enum independence)independence_by_name(independence),
		.blobs_max = disk_mib * MIB };
	return 0;
}

/* Where others reach the grid port: as told, else the address it listens on. */
static struct endpoint reach(const struct program *p)
{
	struct endpoint at = advertise ? p->advertise : p->listen;

	if (!strcmp(at.host, "0.0.0.0"))
		snprintf(at.host, sizeof(at.host), "127.0.0.1");
	else if (!strcmp(at.host, "::"))
		snprintf(at.host, sizeof(at.host), "::1");
	if (!advertise || at.port == 0)
		at.port = httpd_port(p->grid);
	return at;
}

static int open_ports(struct program *p, struct err *e)
{
	struct httpd_spec grid = { .listen = p->listen,
		.tls = p->tls,
		.routes = grid_routes,
		.n_routes = n_grid_routes,
		.arg = &p->grid_door };
	struct httpd_spec admin = { .listen = p->admin_listen,
		.routes = admin_routes,
		.n_routes = n_admin_routes,
		.arg = &p->admin_door,
		.check_host = true };

	p->dialback = dialback_new(p->fetcher);
	p->grid_door = (struct door){ p->c, NULL, p->dialback, spread_new(p->loop, p->c) };
	p->admin_door = (struct door){ p->c, p->token, NULL, NULL };
	if (httpd_new(&p->grid, p->loop, &grid, e))
		return err_wrap(e, "--listen %s", listen_at);
	if (httpd_new(&p->admin, p->loop, &admin, e))
		return err_wrap(e, "--admin %s", admin_at);
	return 0;
}

static int open_web(struct program *p, struct err *e)
{
	struct httpd_spec web = { .listen = p->web_listen,
		.routes = web_routes,
		.n_routes = n_web_routes,
		.arg = &p->grid_door };

	if (!web_at)
		return 0;
	if (httpd_new(&p->web, p->loop, &web, e))
		return err_wrap(e, "--web-seed %s", web_at);
	seeds_base(p->c->web_seed, &p->web_listen, httpd_port(p->web), advertise ? &p->advertise : NULL);
	log_info("serving blobs at %s", p->c->web_seed[0] ? p->c->web_seed : "--web-seed");
	return 0;
}

static int announce(struct program *p, struct err *e)
{
	struct endpoint at = reach(p), admin = p->admin_listen;
	struct link l = link_to(&p->c->id, &p->c->id, &at);
	char link[LINK_TEXT_MAX + 1], admin_text[LINK_HOST_MAX + 9];
	auto_free char *path = xprintf("%s/grid.link", data);

	if (coord_publish(p->c, &at, e))
		return -1;
	link_text(link, &l);
	auto_free char *line = xprintf("%s\n", link);
	if (file_write_atomic(path, line, strlen(line), 0644, e))
		return -1;
	admin.port = httpd_port(p->admin);
	endpoint_text(admin_text, &admin);
	printf("ready %s http://%s\n", link, admin_text);
	if (fflush(stdout))
		return err_sys(e, "writing to stdout");
	log_info("serving");
	return 0;
}

static int start(struct program *p, const struct coord_options *o, struct err *e)
{
	if (read_token(p, e) || coord_open(&p->c, o, e) || loop_new(&p->loop, e) ||
		fetcher_new(&p->fetcher, p->loop, e) ||
		key_tls_server(&p->tls, p->c->key, e) || open_ports(p, e) || open_web(p, e) ||
		admin_new(&p->socket, p->loop, p->c, e) ||
		loop_on_signal(p->loop, SIGTERM, stop, p, e) ||
		loop_on_signal(p->loop, SIGINT, stop, p, e))
		return -1;
	p->turn_end = turn_end_new(p->loop, end_turn, p);
	p->due = timer_new(p->loop, end_turn, p);
	p->stop = timer_new(p->loop, try_stop, p);
	p->checkpoint = timer_new(p->loop, checkpoint, p);
	p->c->loop = p->loop;
	p->c->want_turn = want_turn;
	p->c->want_turn_arg = p;
	timer_in(p->checkpoint, CHECKPOINT_MS);
	turn_end_ask(p->turn_end);
	return announce(p, e);
}

static void finish(struct program *p)
{
	dialback_free(p->dialback);
	httpd_free(p->grid);
	httpd_free(p->admin);
	if (p->web)
		httpd_free(p->web);
	admin_free(p->socket);
	spread_free(p->grid_door.spread);
	coord_close(p->c);
	timer_free(p->due);
	timer_free(p->stop);
	timer_free(p->checkpoint);
	if (p->turn_end)
		turn_end_free(p->turn_end);
	if (p->tls)
		key_tls_free(p->tls);
	if (p->fetcher)
		fetcher_free(p->fetcher);
	if (p->loop)
		loop_free(p->loop);
	free(p->token);
}

int main(int argc, char **argv)
{
	struct program p = { 0 };
	struct coord_options o;
	struct err e;

	log_open("talkoot-coordinator", LOG_INFO);
	if (conf_read(&conf, argc - 1, argv + 1, &e))
		return fail(&e);
	if (conf.helped)
		return 0;
	log_open("talkoot-coordinator", (enum log_level)log_level_by_name(level));
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error, not a death */
	if (read_options(&p, &o, &e))
		return fail(&e);
	if (conf.words.n > 0) {
		log_open("talkoot-coordinator", LOG_WARN);
		return admin_check(&conf.words, &e) ? fail(&e) : admin_run(&o, &conf.words);
	}
	base_raise_files();
	int failed = start(&p, &o, &e);
	if (!failed)
		loop_run(p.loop);
	finish(&p);
	return failed ? fail(&e) : 0;
}
