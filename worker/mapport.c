/* SPDX-License-Identifier: Apache-2.0
 *
 * mapport.c: keeps a port open at the router while the worker lives.
 *
 * One socket pair: the child writes lines, and reads nothing but the end, which is the worker's end. An alarm bounds
 * every round with the router; a child that it ends is started again later.
 */
#include "worker/mapport.h"
#include "worker/gateway.h"
#include "common/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROUND_S 60                /* one round with the router, all ways, takes less */
#define RETRY_MS (10 * 60 * 1000) /* a router that does not want may have been told meanwhile */
#define RENEW_MIN_MS 1000
#define MEMORY_MAX                                                                                 \
	(256 * MIB) /* of the child, with what it has of the worker's; miniupnpc reads without a bound */
#define RENEW_MAX_MS (GATEWAY_LEASE_S * 1000 / 2)

struct mapport {
	struct mapport_spec spec;
	int fd; /* -1: no child */
	struct watch *watch;
	struct timer *again;
	char line[MAPPORT_LINE_MAX];
	size_t n;
	bool mapped;
	struct endpoint at; /* when mapped */
};

static const struct way {
	int (*map)(struct mapping *m, const char *target, uint16_t port, struct err *e);
	void (*unmap)(const struct mapping *m, const char *target, uint16_t port);
	bool url; /* its target is one */
} ways[] = {
	{ natpmp_map, natpmp_unmap, false },
	{ upnp_map, upnp_unmap, true },
};

static bool is_url(const char *gateway)
{
	return !strncmp(gateway, "http://", 7);
}

bool mapport_gateway_ok(const char *gateway)
{
	struct in_addr a;

	return strlen(gateway) <= GATEWAY_TARGET_MAX &&
	       (is_url(gateway) || inet_pton(AF_INET, gateway, &a) == 1);
}

bool mapport_read(const char *line, bool *mapped, struct endpoint *at, const char **why)
{
	struct err e;

	*mapped = !strncmp(line, "mapped ", 7);
	*why = line + 7;
	if (*mapped)
		return !endpoint_parse(at, line + 7, &e) && at->port;
	return !strncmp(line, "failed ", 7);
}

/* --- the child --------------------------------------------------------------------------------------------------- */

static void say(int fd, const char *word, const char *rest)
{
	auto_free char *line = xprintf("%s %.380s\n", word, rest);

	if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
		return; /* then its end is read soon */
}

/* Open or renew by the way that worked before, else by each. The way, or NULL. */
static const struct way *round_trip(
	const struct mapport_spec *s, const struct way *known, struct mapping *m, struct err *e)
{
	err_set(e, ERR_UNREACHABLE, "no router was asked");
	for (const struct way *w = ways; w < ways + ARRAY_LEN(ways); w++) {
		struct mapping fresh = w == known ? *m : (struct mapping){ .lease_s = 0 };

		if ((known && w != known) || (s->gateway && is_url(s->gateway) != w->url))
			continue;
		if (!w->map(&fresh, s->gateway, s->port, e)) {
			*m = fresh;
			return w;
		}
	}
	return NULL;
}

static int64_t renew_ms(const struct mapping *m)
{
	int64_t ms = m->lease_s ? m->lease_s * 500 : RENEW_MAX_MS;

	return ms < RENEW_MIN_MS ? RENEW_MIN_MS : ms > RENEW_MAX_MS ? RENEW_MAX_MS : ms;
}

/* Whether the worker is gone, after waiting for that so long. */
static bool gone(int fd, int64_t ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, (int)ms) > 0;
}

_Noreturn static void keep_open(const struct mapport_spec *s, int fd)
{
	const struct way *way = NULL;
	struct mapping m = { .lease_s = 0 };
	char text[LINK_HOST_MAX + 9];
	struct err e;

	do {
		alarm(ROUND_S);
		const struct way *now = round_trip(s, way, &m, &e);
		alarm(0);
		if (now) {
			endpoint_text(text, &m.outside);
			say(fd, "mapped", text);
		} else {
			say(fd, "failed", e.msg);
		}
		way = now;
	} while (!gone(fd, way ? renew_ms(&m) : RETRY_MS));
	alarm(ROUND_S);
	if (way)
		way->unmap(&m, s->gateway, s->port);
	_exit(0);
}

static void begin_child(const struct mapport_spec *s, int fd)
{
	struct rlimit memory = { MEMORY_MAX, MEMORY_MAX };

	setrlimit(RLIMIT_DATA, &memory);
	setsid(); /* a Ctrl-C is for the worker; its end is this one's */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGALRM, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, "talkoot-mapport");
	fd = fcntl(fd, F_DUPFD, STDERR_FILENO + 1);
	int none = open("/dev/null", O_RDWR);
	for (int i = 0; i <= STDERR_FILENO; i++) /* the libraries print what they do not like */
		dup2(none, i);
	if (fd > STDERR_FILENO + 1)
		syscall(SYS_close_range, STDERR_FILENO + 1U, (unsigned)fd - 1, 0U);
	syscall(SYS_close_range, (unsigned)fd + 1, ~0U, 0U);
	keep_open(s, fd);
}

/* --- the worker's side --------------------------------------------------------------------------------------------- */

static void tell(struct mapport *p, const char *line)
{
	struct endpoint at;
	const char *why;
	bool mapped;

	if (!mapport_read(line, &mapped, &at, &why))
		return;
	if (!mapped)
		log_warn("--map-port: %s; trying again in %d minutes", why, RETRY_MS / 60000);
	else if (!p->mapped)
		log_info("the router listens for us at %s", why);
	bool same = mapped == p->mapped &&
	            (!mapped || (at.port == p->at.port && !strcmp(at.host, p->at.host)));
	p->mapped = mapped;
	if (mapped)
		p->at = at;
	if (!same)
		p->spec.changed(p->spec.arg, mapped ? &p->at : NULL);
}

static void close_pipe(struct mapport *p)
{
	watch_free(p->watch);
	p->watch = NULL;
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

static void on_line(void *arg)
{
	struct mapport *p = arg;
	ssize_t got = recv(p->fd, p->line + p->n, sizeof(p->line) - 1 - p->n, MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	p->n += got > 0 ? (size_t)got : 0;
	p->line[p->n] = '\0';
	for (char *end; (end = strchr(p->line, '\n'));) {
		*end = '\0';
		tell(p, p->line);
		p->n -= (size_t)(end + 1 - p->line);
		memmove(p->line, end + 1, p->n + 1);
	}
	if (got > 0 && p->n < sizeof(p->line) - 1)
		return;
	close_pipe(p); /* it ended, or speaks no lines */
	tell(p, "failed the process that talks to the router ended");
	timer_in(p->again, RETRY_MS);
}

static void on_child(void *arg, pid_t pid, int status, const struct rusage *usage)
{
	(void)arg, (void)pid, (void)status, (void)usage; /* reaped; its pipe's end says the rest */
}

static int start(struct mapport *p, struct err *e)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return err_sys(e, "--map-port: a pipe");
	pid_t pid = fork();
	if (pid == 0)
		begin_child(&p->spec, ends[1]);
	close(ends[1]);
	p->fd = ends[0];
	p->n = 0;
	if (pid < 0 || loop_on_child(p->spec.loop, pid, on_child, NULL, e)) {
		close_pipe(p);
		return pid < 0 ? err_sys(e, "--map-port: starting a process") : -1;
	}
	p->watch = watch_read(p->spec.loop, p->fd, on_line, p);
	return 0;
}

static void start_again(void *arg)
{
	struct mapport *p = arg;
	struct err e;

	if (start(p, &e)) {
		log_warn("%s", e.msg);
		timer_in(p->again, RETRY_MS);
	}
}

int mapport_new(struct mapport **out, const struct mapport_spec *spec, struct err *e)
{
	struct mapport *p = xcalloc(1, sizeof(*p));

	p->spec = *spec;
	p->fd = -1;
	p->again = timer_new(spec->loop, start_again, p);
	if (start(p, e)) {
		mapport_free(p);
		return -1;
	}
	*out = p;
	return 0;
}

void mapport_free(struct mapport *p)
{
	if (!p)
		return;
	if (p->fd >= 0)
		close_pipe(p);
	timer_free(p->again);
	free(p);
}
