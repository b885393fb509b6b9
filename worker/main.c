/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c: talkoot-worker: its knobs and commands.
 */
#include "worker/host.h"
#include "worker/place.h"
#include "worker/worker.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>


struct options {
	struct worker_conf conf;
	const char *listen, *advertise, *relay, *carry, *web_seed, *sandbox, *log_level, *discovery;
	const char *profiles, *bits;
	struct texts submitters;
	double exit_when_idle;
	bool json;
	char *found_sandbox, *found_tool;
};

/* --- the box's program ------------------------------------------------------------------------------------- */

static char *in_path(const char *name)
{
	const char *path = getenv("PATH");
	auto_free char *copy = xstrdup(path ? path : "/usr/local/bin:/usr/bin:/bin");

	for (char *save = NULL, *dir = strtok_r(copy, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
		char *file = xprintf("%s/%s", dir, name);

		if (!access(file, X_OK))
			return file;
		free(file);
	}
	return NULL;
}

/* Beside this program, else in PATH; NULL: in neither. Yours. */
static char *find_program(const char *name)
{
	auto_free char *dir = host_program_dir();
	auto_free char *beside = dir ? xprintf("%s/%s", dir, name) : NULL;

	return beside && !access(beside, X_OK) ? TAKE(beside) : in_path(name);
}

/* What --sandbox names, else the one beside this program, else the one in PATH. */
static int find_sandbox(struct options *o, struct err *e)
{
	if (o->sandbox && access(o->sandbox, X_OK))
		return err_set(e, ERR_USAGE, "--sandbox %s: is not there or not executable", o->sandbox);
	o->found_sandbox = o->sandbox ? xstrdup(o->sandbox) : find_program("talkoot-sandbox");
	o->conf.image_tool = o->found_tool = find_program("talkoot-image");
	o->conf.own_sandbox = !o->sandbox;
	o->conf.sandbox = o->found_sandbox;
	if (!o->conf.sandbox)
		return err_set(e, ERR_NOT_FOUND,
			"talkoot-sandbox is neither beside this program nor in PATH; name it with --sandbox");
	return 0;
}

/* --- what was not said ---------------------------------------------------------------------------------------- */

static void fill_defaults(struct options *o)
{
	int64_t cpus = host_cpus();

	if (!o->conf.slots)
		o->conf.slots = cpus > 1 ? cpus - 1 : 1;
	if (!o->conf.memory_mib)
		o->conf.memory_mib = host_memory_mib() / 2;
	if (!o->conf.disk_mib)
		o->conf.disk_mib = host_lent_mib(host_free_mib(o->conf.dir));
	if (o->exit_when_idle >= 0)
		o->conf.exit_idle_ms = (int64_t)(o->exit_when_idle * 1000) + 1;
}

static int read_endpoints(struct options *o, struct err *e)
{
	struct err why;

	o->conf.listens = strcmp(o->listen, "none") != 0;
	if (o->conf.listens && endpoint_parse(&o->conf.listen, o->listen, &why))
		return err_set(e, ERR_USAGE, "--listen %s: %s", o->listen, why.msg);
	o->conf.relays = o->conf.listens && !strcmp(o->relay, "on");
	o->conf.carries = o->conf.listens && !strcmp(o->carry, "on");
	o->conf.advertises = o->advertise != NULL;
	if (o->advertise && endpoint_parse(&o->conf.advertise, o->advertise, &why))
		return err_set(e, ERR_USAGE, "--advertise %s: %s", o->advertise, why.msg);
	if (o->conf.gateway && !mapport_gateway_ok(o->conf.gateway))
		return err_set(e, ERR_USAGE, "--gateway %.80s: is neither an IPv4 address nor an http:// URL", o->conf.gateway);
	if (o->conf.maps_port && (!o->conf.listens || endpoint_is_loopback(&o->conf.listen)))
		return err_set(e, ERR_USAGE, "--map-port: no router reaches --listen %s", o->listen);
	o->conf.discovers = !strcmp(o->discovery, "on");
	o->conf.web_seeds = o->web_seed != NULL;
	if (o->web_seed && endpoint_parse(&o->conf.web_seed, o->web_seed, &why))
		return err_set(e, ERR_USAGE, "--web-seed %s: %s", o->web_seed, why.msg);
	if (o->web_seed && !o->conf.listens)
		return err_set(e, ERR_USAGE, "--web-seed: with --listen none nobody would find it");
	if (o->advertise && !o->conf.advertise.port)
		return err_set(e, ERR_USAGE, "--advertise %s: needs a port", o->advertise);
	return 0;
}

/* --- commands ---------------------------------------------------------------------------------------------------- */

static int need_data(const struct options *o, struct err *e)
{
	return o->conf.dir ? 0 : err_set(e, ERR_USAGE, "--data is missing: the folder of this worker");
}

/* Before anything is made in DIR. */
static int check_links(const struct texts *join, struct err *e)
{
	struct link l;
	struct err why;

	for (size_t i = 0; i < join->n; i++)
		if (link_parse(&l, join->at[i], &why))
			return err_set(e, ERR_USAGE, "--join %s: %s", join->at[i], why.msg);
	return 0;
}

static int work(struct options *o, const char *word, struct err *e)
{
	(void)word;
	if (need_data(o, e) || read_endpoints(o, e) || check_links(&o->conf.join, e) ||
		terms_read(&o->conf.terms, &o->submitters, o->profiles, o->bits, e) || find_sandbox(o, e))
		return -1;
	fill_defaults(o);
	base_raise_files();
	return worker_run(&o->conf, e);
}

static int tell(struct options *o, const char *word, struct err *e)
{
	auto_free char *answer = NULL;

	if (need_data(o, e) || control_ask(&answer, o->conf.dir, word, e))
		return -1;
	fputs(answer, stdout);
	return 0;
}

static int status(struct options *o, const char *word, struct err *e)
{
	auto_free char *answer = NULL;

	if (need_data(o, e) || control_ask(&answer, o->conf.dir, word, e))
		return -1;
	if (o->json)
		printf("%s\n", answer);
	else
		status_print(answer, stdout);
	return 0;
}

static int check(struct options *o, const char *word, struct err *e)
{
	struct ability a;
	struct facts f;

	(void)word;
	if (find_sandbox(o, e))
		return -1;
	bool away;
	auto_free char *images = o->conf.dir ? place_new(o->conf.dir, &away) : NULL;
	ability_ask(&a, o->conf.sandbox);
	ability_image(&a, images, o->conf.image_tool);
	facts_read(&f, o->conf.sandbox);
	printf("platform %s (%s), %d CPUs, %lld MiB memory\n", platform_here(), host_platform_class(), host_cpus(),
		(long long)host_memory_mib());
	if (ability_print(&a, &f, o->conf.sandbox, stdout))
		return 0;
	return err_set(e, ERR_SYSTEM, "the box does not work here"); /* it ran, and the answer is no */
}

static const struct {
	const char *word;
	int (*run)(struct options *o, const char *word, struct err *e);
} commands[] = {
	{ "status", status }, { "pause", tell }, { "suspend", tell }, { "resume", tell }, { "finish", tell }, { "check", check },
};

static int run(struct options *o, const struct texts *words, struct err *e)
{
	if (words->n == 0)
		return work(o, NULL, e);
	for (size_t i = 0; words->n == 1 && i < ARRAY_LEN(commands); i++)
		if (!strcmp(words->at[0], commands[i].word))
			return commands[i].run(o, words->at[0], e);
	return err_set(e, ERR_USAGE, "\"%s\" is not a command; there are status, pause, suspend, resume, finish and check",
		words->at[words->n - 1]);
}

int main(int argc, char **argv)
{
	struct options o = { .listen = "0.0.0.0:0", .relay = "on", .carry = "on", .log_level = "info", .discovery = "on",
		.exit_when_idle = -1, .conf.upload_kib = -1 };
	const struct knob knobs[] = {
		{ "data", 0, KNOB_TEXT, &o.conf.dir, "DIR", "the folder of this worker: key, blobs, results", 0, 0, NULL, false },
		{ "join", 0, KNOB_TEXTS, &o.conf.join, "LINK", "the grid: its coordinator's or any worker's link; may be repeated", 0, 0, NULL, false },
		{ "listen", 0, KNOB_TEXT, &o.listen, "ADDR:PORT", "the peer port (default 0.0.0.0:0); none: outbound only", 0, 0, NULL, false },
		{ "advertise", 0, KNOB_TEXT, &o.advertise, "HOST:PORT", "publish this address of the peer port", 0, 0, NULL, false },
		{ "map-port", 0, KNOB_FLAG, &o.conf.maps_port, NULL, "open a port at the router (NAT-PMP, UPnP) and publish it", 0, 0, NULL, false },
		{ "gateway", 0, KNOB_TEXT, &o.conf.gateway, "ADDR|URL", "the router for --map-port: its address (NAT-PMP) or description (UPnP)", 0, 0, NULL, false },
		{ "local-discovery", 0, KNOB_CHOICE, &o.discovery, "on|off", "find nodes of the grid on the local network, and be found (default on)", 0, 0, "on|off", false },
		{ "web-seed", 0, KNOB_TEXT, &o.web_seed, "ADDR:PORT", "serve blobs by plain HTTP too, for BitTorrent clients (default: off)", 0, 0, NULL, false },
		{ "relay", 0, KNOB_CHOICE, &o.relay, "on|off", "lend others of the grid a tunnel to its coordinator (default on, when it listens)", 0, 0, "on|off", false },
		{ "carry", 0, KNOB_CHOICE, &o.carry, "on|off", "take jobs for the coordinator while it is silent (default on, when it listens)", 0, 0, "on|off", false },
		{ "slots", 0, KNOB_INT, &o.conf.slots, "N", "tasks at once (default: CPUs - 1, at least 1)", 1, 1024, NULL, false },
		{ "memory", 0, KNOB_INT, &o.conf.memory_mib, "MIB", "of all tasks together (default: half the RAM)", 16, 1 << 24, NULL, false },
		{ "disk", 0, KNOB_INT, &o.conf.disk_mib, "MIB", "for programs and inputs (default: 10 GiB or a tenth of what is free)", HOST_DISK_LEAST_MIB, 1 << 30, NULL, false },
		{ "upload", 0, KNOB_INT, &o.conf.upload_kib, "KIB", "a second, for serving blobs to peers (default: no limit; 0: serve none)", 0, 1 << 24, NULL, false },
		{ "submitters", 0, KNOB_TEXTS, &o.submitters, "any|KEY,...", "take only these submitters' jobs (default any); may be repeated", 0, 0, NULL, false },
		{ "profiles", 0, KNOB_TEXT, &o.profiles, "WORD,...", "offer only these of compute, files, image (default: all that the box can do)", 0, 0, NULL, false },
		{ "bits", 0, KNOB_TEXT, &o.bits, "WORD,...", "allow jobs to ask for jit (memory written may be executed) or proc (a masked /proc; it tells paths of this machine); default: none", 0, 0, NULL, false },
		{ "allow-local", 0, KNOB_TEXTS, &o.conf.allow_local, "NAME=PATH", "a file or folder that tasks may read here as /in/NAME; may be repeated", 0, 0, NULL, false },
		{ "local-for", 0, KNOB_TEXTS, &o.conf.local_for, "KEY", "the submitter whose tasks may; everybody sees what these make of it", 0, 0, NULL, false },
		{ "sandbox", 0, KNOB_TEXT, &o.sandbox, "PATH", "run this once a task instead of talkoot-sandbox", 0, 0, NULL, false },
		{ "exit-when-idle", 0, KNOB_REAL, &o.exit_when_idle, "SECONDS", "exit 0 after so long without work", 0, 1e8, NULL, false },
		{ "log-level", 0, KNOB_CHOICE, &o.log_level, "LEVEL", "error, warn, info (default) or debug", 0, 0, "error|warn|info|debug", false },
		{ "json", 0, KNOB_FLAG, &o.json, NULL, "status: as one JSON document", 0, 0, NULL, true },
		{ NULL, 0, KNOB_FLAG, NULL, NULL, NULL, 0, 0, NULL, false },
	};
	struct conf conf = { .program = "talkoot-worker",
		.usage = "talkoot-worker --data DIR --join LINK [OPTION]...\n"
			 "       talkoot-worker --data DIR status|pause|suspend|resume|finish|check [--json]",
		.about = "Lends this machine to a grid: runs its tasks in a box, at idle priority.",
		.env_prefix = "TALKOOT_WORKER_", .knobs = knobs };
	struct err e = { 0 };
	int bad;

	log_open("talkoot-worker", LOG_INFO);
	bad = conf_read(&conf, argc - 1, argv + 1, &e);
	if (!bad && !conf.helped) {
		log_open("talkoot-worker", (enum log_level)log_level_by_name(o.log_level));
		bad = run(&o, &conf.words, &e);
	}
	free(o.found_sandbox);
	free(o.found_tool);
	free(o.conf.join.at);
	free(o.submitters.at);
	free(o.conf.allow_local.at);
	free(o.conf.local_for.at);
	free(conf.words.at);
	free(conf.rest.at);
	if (bad)
		complain("%s", e.msg);
	return bad ? err_exit(e.code) : 0;
}
