/* SPDX-License-Identifier: Apache-2.0
 *
 * admin.c: allow, disallow, list, cancel, ban, unban, drain.
 *
 * On the socket a request is one line of words, the answer is a line with the exit code and then
 * text; who may open the socket is who may read DIR. A command is a call like any other: it is
 * answered when it is durable.
 */
#include "coordinator/admin.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_MAX_BYTES 512
#define WORDS_MAX 4
#define CONNS_MAX 16
#define ANSWER_MAX (64 * MIB)

/* --- the commands ------------------------------------------------------------------------- */
typedef int command_fn(struct coord *c, const char *const *word, struct buf *out, struct err *e);

static int find_key(struct coord *c, const char *text, struct id *id, struct err *e)
{
	if (id_parse(id, text))
		return 0;
	if (!id_is_prefix(text))
		return err_set(e, ERR_USAGE, "\"%s\" is no key id: 64 hex digits, as `talkoot id` prints them", text);
	if (store_match(c->store, ID_SUBMITTER, text, id) != 1)
		return err_set(e, ERR_NOT_FOUND, "no one submitter's id begins with %s", text);
	return 0;
}

static int allow(struct coord *c, const char *const *word, struct buf *out, struct err *e)
{
	bool allowed = !strcmp(word[0], "allow");
	char hex[ID_TEXT + 1];
	struct id id;

	if (strcmp(word[1], "submitter") != 0)
		return err_set(
			e, ERR_USAGE, "%s what? It is: %s submitter KEYID", word[0], word[0]);
	if (find_key(c, word[2], &id, e))
		return -1;
	store_allow(c->store, &id, allowed);
	id_text(hex, &id);
	log_info("submitter %.16s is %s", hex, allowed ? "allowed" : "no longer allowed");
	buf_printf(out, "%s submitter %s\n", allowed ? "allowed" : "disallowed", hex);
	return 0;
}

static void list_submitter(void *arg, const struct id *id)
{
	char hex[ID_TEXT + 1];

	id_text(hex, id);
	buf_printf(arg, "submitter %s\n", hex);
}

static void list_jobs(struct coord *c, struct buf *out)
{
	struct job_row rows[64];
	int64_t after = 0;
	size_t n;

	while ((n = store_jobs(c->store, after, true, rows, ARRAY_LEN(rows))) > 0) {
		for (size_t i = 0; i < n; i++) {
			auto_free char *name = text_safe(rows[i].name, strlen(rows[i].name));
			char hex[DIGEST_HEX + 1];

			digest_hex(hex, &rows[i].id);
			buf_printf(out, "job %s %s %s\n", hex, rows[i].state, name);
		}
		after = rows[n - 1].n;
	}
}

static int list(struct coord *c, const char *const *word, struct buf *out, struct err *e)
{
	(void)word, (void)e;
	store_each_submitter(c->store, list_submitter, out);
	for (size_t i = 0; i < c->sched.n_workers; i++) {
		const struct worker *w = &c->sched.workers[i];
		char hex[ID_TEXT + 1];

		id_text(hex, &w->id);
		buf_printf(out, "worker %s %s\n", hex,
			w->banned                        ? "banned"
			: worker_online(w, coord_now(c)) ? "online"
							 : "offline");
	}
	list_jobs(c, out);
	return 0;
}

static int cancel(struct coord *c, const char *const *word, struct buf *out, struct err *e)
{
	struct job_row row;
	struct digest d;
	struct id id;
	int n = 1;

	if (!digest_from_hex(&d, word[1])) {
		if (!id_is_prefix(word[1]))
			return err_set(e, ERR_USAGE,
				"\"%s\" is no job id, nor 8 or more digits of one", word[1]);
		n = store_match(c->store, ID_JOB, word[1], &id);
		memcpy(d.b, id.b, sizeof(d.b));
	}
	if (n != 1)
		return err_set(e, ERR_UNKNOWN_JOB,
			n ? "more than one job's id begins with %s" : "no job's id begins with %s",
			word[1]);
	if (store_job(c->store, &d, &row) && !strcmp(row.state, "done"))
		return err_set(e, ERR_CONFLICT, "job %s is done already", word[1]);
	if (cancel_job(c, &d, "by the admin", e))
		return -1;
	buf_printf(out, "cancelled %s\n", word[1]);
	return 0;
}

static int ban(struct coord *c, const char *const *word, struct buf *out, struct err *e)
{
	if (ban_worker(c, word[1], !strcmp(word[0], "ban"), e))
		return -1;
	buf_printf(out, "%sned %s\n", word[0], word[1]);
	return 0;
}

static int drain(struct coord *c, const char *const *word, struct buf *out, struct err *e)
{
	(void)word, (void)e;
	c->draining = true;
	buf_printf(
		out, "draining: no new leases until the next start; %zu are live\n", c->sched.live);
	return 0;
}

static const struct command {
	const char *name;
	size_t words;    /* with its name */
	command_fn *run; /* NULL: belongs to a later version */
	const char *usage;
} commands[] = {
	{ "allow", 3, allow, "allow submitter KEYID" },
	{ "disallow", 3, allow, "disallow submitter KEYID" },
	{ "list", 1, list, "list" },
	{ "cancel", 2, cancel, "cancel JOB" },
	{ "ban", 2, ban, "ban WORKER" },
	{ "unban", 2, ban, "unban WORKER" },
	{ "drain", 1, drain, "drain" },
	{ "invite", 0, NULL, "invitations are" },
	{ "arbiter", 0, NULL, "arbiters are" },
	{ "backup", 0, NULL, "backups are" },
	{ "check", 0, NULL, "checking the database is" },
};

static const struct command *find(const char *const *word, size_t n, struct err *e)
{
	for (size_t i = 0; n > 0 && i < ARRAY_LEN(commands); i++) {
		const struct command *k = &commands[i];

		if (strcmp(word[0], k->name) != 0)
			continue;
		if (!k->run)
			err_set(e, ERR_USAGE, "%s: %s not part of this version yet", k->name,
				k->usage);
		else if (n != k->words)
			err_set(e, ERR_USAGE, "it is: %s", k->usage);
		else
			return k;
		return NULL;
	}
	err_set(e, ERR_USAGE, "unknown command \"%s\" (see --help)", n ? word[0] : "");
	return NULL;
}

int admin_check(const struct texts *words, struct err *e)
{
	return find(words->at, words->n, e) ? 0 : -1;
}

static void run_command(struct call *call, const char *const *word, size_t n)
{
	const struct command *k;
	struct buf out = { 0 };
	struct err e;

	k = find(word, n, &e);
	if (!k || k->run(call->c, word, &out, &e)) {
		buf_release(&out);
		reply_error(call, &e);
		return;
	}
	size_t len = out.len;
	reply_text(call, 200, "text/plain", buf_take(&out), len);
}

/* --- the socket, serving ------------------------------------------------------------------ */
struct conn {
	struct admin *a;
	int fd;
	struct watch *watch;
	char line[LINE_MAX_BYTES];
	size_t n;
	bool asked;
};

struct admin {
	struct coord *c;
	struct loop *loop;
	int fd;
	char *path;
	struct watch *watch;
	struct conn conns[CONNS_MAX];
};

static void hang_up(struct conn *k)
{
	watch_free(k->watch);
	if (k->fd >= 0)
		close(k->fd);
	*k = (struct conn){ .a = k->a, .fd = -1 };
}

static void answer(void *arg, struct reply *r)
{
	struct conn *k = arg;
	auto_buf struct buf b = { 0 };
	struct timeval soon = { .tv_sec = 2 };
	struct err e;

	buf_printf(&b, "%d\n", r->e.code == ERR_NONE ? 0 : err_exit(r->e.code));
	if (r->e.code == ERR_NONE)
		buf_add(&b, r->body, r->n);
	else
		buf_text(&b, r->e.msg);
	/* whoever may use this socket is trusted to read; two seconds are the most it can cost */
	fcntl(k->fd, F_SETFL, 0);
	setsockopt(k->fd, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon));
	if (fd_write_all(k->fd, b.data, b.len, &e))
		log_warn("the admin socket: %s", e.msg);
	hang_up(k);
}

static void obey(struct conn *k)
{
	const char *word[WORDS_MAX + 1];
	size_t n = 0;
	char *save = NULL;

	for (char *w = strtok_r(k->line, " \n", &save); w && n <= WORDS_MAX;
		w = strtok_r(NULL, " \n", &save))
		word[n++] = w;
	k->asked = true;
	watch_free(k->watch);
	k->watch = NULL;
	run_command(coord_call(k->a->c, answer, k), word, n);
}

static void hear(void *arg)
{
	struct conn *k = arg;
	ssize_t got = read(k->fd, k->line + k->n, sizeof(k->line) - 1 - k->n);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		hang_up(k);
		return;
	}
	k->n += (size_t)got;
	k->line[k->n] = '\0';
	if (strchr(k->line, '\n'))
		obey(k);
	else if (k->n + 1 >= sizeof(k->line))
		hang_up(k);
}

static void greet(void *arg)
{
	struct admin *a = arg;
	int fd = accept4(a->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	for (size_t i = 0; fd >= 0 && i < CONNS_MAX; i++) {
		struct conn *k = &a->conns[i];

		if (k->fd >= 0)
			continue;
		k->fd = fd;
		k->watch = watch_read(a->loop, fd, hear, k);
		return;
	}
	if (fd >= 0)
		close(fd);
}

/* DIR may be longer than a socket's name can be: reach it through its descriptor. */
static int address(struct sockaddr_un *sa, const char *dir, int *dirfd, struct err *e)
{
	*dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*dirfd < 0)
		return err_sys(e, "opening %s", dir);
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(sa->sun_path, sizeof(sa->sun_path), "/proc/self/fd/%d/admin.sock", *dirfd);
	return 0;
}

static int listen_in(struct admin *a, const char *dir, struct err *e)
{
	struct sockaddr_un sa;
	auto_close int dirfd = -1;

	if (address(&sa, dir, &dirfd, e))
		return -1;
	unlink(a->path); /* DIR is locked: nobody else listens there */
	mode_t mask = umask(0177);
	a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int bad = a->fd < 0 || bind(a->fd, (const struct sockaddr *)&sa, sizeof(sa)) ||
	          listen(a->fd, CONNS_MAX);
	umask(mask);
	return bad ? err_sys(e, "listening on %s", a->path) : 0;
}

int admin_new(struct admin **out, struct loop *l, struct coord *c, struct err *e)
{
	struct admin *a = xcalloc(1, sizeof(*a));

	*a = (struct admin){
		.c = c, .loop = l, .fd = -1, .path = xprintf("%s/admin.sock", c->o.dir)
	};
	for (size_t i = 0; i < CONNS_MAX; i++)
		a->conns[i] = (struct conn){ .a = a, .fd = -1 };
	if (listen_in(a, c->o.dir, e)) {
		admin_free(a);
		return -1;
	}
	a->watch = watch_read(l, a->fd, greet, a);
	*out = a;
	return 0;
}

void admin_free(struct admin *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < CONNS_MAX; i++)
		if (a->conns[i].fd >= 0)
			hang_up(&a->conns[i]);
	watch_free(a->watch);
	if (a->fd >= 0) {
		close(a->fd);
		unlink(a->path);
	}
	free(a->path);
	free(a);
}

/* --- asking ------------------------------------------------------------------------------- */
static int say(int code, const char *text)
{
	if (code == 0)
		fputs(text, stdout);
	else
		complain("%s", text);
	return fflush(stdout) ? 1 : code;
}

/* The exit code, or -1 when nobody serves. */
static int by_socket(const char *dir, const struct texts *words)
{
	struct sockaddr_un sa;
	auto_close int dirfd = -1, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	auto_buf struct buf b = { 0 };
	auto_free char *text = NULL;
	char *rest;
	struct err e;

	if (fd < 0 || address(&sa, dir, &dirfd, &e) ||
		connect(fd, (const struct sockaddr *)&sa, sizeof(sa)))
		return -1;
	for (size_t i = 0; i < words->n; i++)
		buf_printf(&b, "%s%s", words->at[i], i + 1 < words->n ? " " : "\n");
	if (fd_write_all(fd, b.data, b.len, &e) || fd_read_all(&text, NULL, fd, ANSWER_MAX, &e))
		return say(1, e.msg);
	long code = strtol(text, &rest, 10);
	if (rest == text || *rest != '\n')
		return say(1, "the coordinator went away before it answered");
	return say((int)code, rest + 1);
}

struct spoken {
	int code;
};

static void speak(void *arg, struct reply *r)
{
	struct spoken *s = arg;

	s->code = r->e.code == ERR_NONE ? say(0, r->body) : say(err_exit(r->e.code), r->e.msg);
}

static bool has_grid(const char *dir)
{
	auto_free char *key = xprintf("%s/identity.key", dir);

	return !access(key, F_OK) || errno != ENOENT;
}

int admin_run(const struct coord_options *o, const struct texts *words)
{
	struct coord *c;
	struct spoken s = { 1 };
	struct err e;
	int code = by_socket(o->dir, words);

	if (code >= 0)
		return code;
	bool had = has_grid(o->dir);

	if (coord_open(&c, o, &e))
		return say(err_exit(e.code), e.msg);
	if (!had) /* or all would seem well where --data was typed wrong */
		complain("there was no grid in %s: one was made for this command", o->dir);
	run_command(coord_call(c, speak, &s), words->at, words->n);
	do
		coord_turn(c);
	while (c->more);
	coord_close(c);
	return s.code;
}
