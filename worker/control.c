/* SPDX-License-Identifier: Apache-2.0
 *
 * control.c: the owner's door.
 *
 * A question is a word and a newline; the answer is "ok\n" or "no\n", the text, and the end of the connection.
 * The socket is reached through /proc/self/fd, since a path in sockaddr_un holds 107 bytes and DIR may be
 * longer.
 */
#include "worker/control.h"
#include "common/buf.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define WORD_MAX 64
#define CLIENTS_MAX 16
#define CLIENT_MS 5000 /* to say the word; then it is cut */
#define SOCKET "control.sock"

struct client {
	struct control *control;
	int fd;
	char word[WORD_MAX];
	size_t n;
	struct watch *watch;
	struct timer *timer;
	struct client *next;
};

struct control {
	struct loop *loop;
	char *path;
	int fd;
	struct watch *watch;
	control_fn *fn;
	void *arg;
	struct client *clients;
	int n_clients;
};

/* --- a client --------------------------------------------------------------------------------------------- */

static void client_free(struct client *c)
{
	struct client **at = &c->control->clients;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->control->n_clients--;
	watch_free(c->watch);
	timer_free(c->timer);
	close(c->fd);
	free(c);
}

static void on_late(void *arg)
{
	client_free(arg);
}

/* The answer fits the socket's buffer, so one send is all. */
static void reply(struct client *c)
{
	struct err e = { 0 };
	auto_free char *text = c->control->fn(c->control->arg, c->word, &e);
	auto_free char *all = xprintf("%s\n%s", text ? "ok" : "no", text ? text : e.msg);

	if (send(c->fd, all, strlen(all), MSG_NOSIGNAL) < 0)
		log_debug("answering `%s`: %s", c->word, strerror(errno));
	client_free(c);
}

static void on_word(void *arg)
{
	struct client *c = arg;
	ssize_t n = recv(c->fd, c->word + c->n, sizeof(c->word) - 1 - c->n, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_free(c);
		return;
	}
	c->n += (size_t)n;
	char *end = memchr(c->word, '\n', c->n);
	if (end) {
		*end = '\0';
		reply(c);
	} else if (c->n == sizeof(c->word) - 1) {
		client_free(c);
	}
}

static void on_client(void *arg)
{
	struct control *control = arg;
	int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), room = CONTROL_ANSWER_MAX;
	struct client *c;

	if (fd < 0)
		return;
	if (control->n_clients >= CLIENTS_MAX) {
		close(fd);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	c = xcalloc(1, sizeof(*c));
	c->control = control;
	c->fd = fd;
	c->watch = watch_read(control->loop, fd, on_word, c);
	c->timer = timer_new(control->loop, on_late, c);
	timer_in(c->timer, CLIENT_MS);
	c->next = control->clients;
	control->clients = c;
	control->n_clients++;
}

/* --- the door ------------------------------------------------------------------------------------------------ */

typedef int attach_fn(int fd, const struct sockaddr *a, socklen_t n);

static int attach(int fd, const char *dir, attach_fn *fn)
{
	auto_close int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (at < 0)
		return -1;
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/" SOCKET, at);
	return fn(fd, (const struct sockaddr *)&a, sizeof(a));
}

int control_new(struct control **out, struct loop *l, const char *dir, control_fn *fn, void *arg, struct err *e)
{
	struct control *c = xcalloc(1, sizeof(*c));
	mode_t old;

	*c = (struct control){ .loop = l, .fn = fn, .arg = arg };
	c->path = xprintf("%s/" SOCKET, dir);
	unlink(c->path); /* of a worker that was killed: DIR is locked, so none runs */
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	old = umask(0177);
	if (c->fd < 0 || attach(c->fd, dir, bind) || listen(c->fd, CLIENTS_MAX)) {
		err_sys(e, "opening %s", c->path);
		umask(old);
		if (c->fd >= 0)
			close(c->fd);
		free(c->path);
		free(c);
		return -1;
	}
	umask(old);
	c->watch = watch_read(l, c->fd, on_client, c);
	*out = c;
	return 0;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	while (c->clients)
		client_free(c->clients);
	watch_free(c->watch);
	close(c->fd);
	unlink(c->path);
	free(c->path);
	free(c);
}

/* --- the other side -------------------------------------------------------------------------------------------- */

int control_ask(char **answer, const char *dir, const char *word, struct err *e)
{
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval patience = { .tv_sec = 10 };
	auto_free char *question = xprintf("%s\n", word);
	auto_free char *text = NULL;
	size_t n;

	if (fd < 0)
		return err_sys(e, "a socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (attach(fd, dir, connect))
		return err_set(e, ERR_UNREACHABLE, "no worker runs on %s (%s)", dir, strerror(errno));
	if (fd_write_all(fd, question, strlen(question), e) || fd_read_all(&text, &n, fd, CONTROL_ANSWER_MAX, e))
		return err_wrap(e, "asking the worker on %s", dir);
	if (n < 3)
		return err_set(e, ERR_UNREACHABLE, "the worker on %s gave no answer", dir);
	if (strncmp(text, "ok\n", 3) != 0)
		return err_set(e, ERR_REFUSED, "%s", text + 3);
	*answer = xstrdup(text + 3);
	return 0;
}
