/* SPDX-License-Identifier: Apache-2.0
 *
 * trace_see.c: see trace_see.h.
 *
 * The memory of a task is its own to change, and what is read there is only ever a path that is looked at:
 * nothing is opened for the sake of what a task says but the head of a file that the kernel has just executed.
 */
#include "jobs/trace_see.h"

#include "jobs/exec_head.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* --- a task's memory ------------------------------------------------------------------------- */
/* Up to n bytes; how many there were. */
static size_t peek(void *out, size_t n, pid_t tid, uint64_t at)
{
	struct iovec here = { out, n };
	struct iovec there = { (void *)(uintptr_t)at, n }; /* an address of that task's, not ours */
	ssize_t got = process_vm_readv(tid, &here, 1, &there, 1, 0);

	return got < 0 ? 0 : (size_t)got;
}

/* A text of at most TOUCH_PATH_MAX bytes. Read to the page's end and on, as the next page may not be there. */
static bool peek_text(char out[TOUCH_PATH_MAX + 1], pid_t tid, uint64_t at)
{
	const size_t page = 4096;
	size_t n = 0;

	while (n <= TOUCH_PATH_MAX) {
		size_t part = page - (size_t)((at + n) % page);

		part = part > TOUCH_PATH_MAX + 1 - n ? TOUCH_PATH_MAX + 1 - n : part;
		size_t got = peek(out + n, part, tid, at + n);
		if (memchr(out + n, '\0', got))
			return true;
		if (got < part)
			return false;
		n += got;
	}
	return false;
}

/* --- paths ----------------------------------------------------------------------------------- */
/* Where a link of /proc/PID leads; yours. NULL for pipes, sockets and what was removed. */
static char *proc_path(const char *link)
{
	static const char gone[] = " (deleted)";
	char text[TOUCH_PATH_MAX + 1];
	ssize_t n = readlink(link, text, sizeof(text) - 1);

	if (n <= 0 || text[0] != '/')
		return NULL;
	text[n] = '\0';
	if ((size_t)n >= sizeof(gone) && !strcmp(text + n - (sizeof(gone) - 1), gone))
		return NULL;
	return xstrdup(text);
}

/* The path of the working folder (AT_FDCWD), or of a descriptor; as proc_path(). */
static char *folder_path(pid_t tid, int fd)
{
	auto_free char *link = fd == AT_FDCWD ? xprintf("/proc/%d/cwd", (int)tid)
	                                      : xprintf("/proc/%d/fd/%d", (int)tid, fd);

	return proc_path(link);
}

/* `text` as the task means it. Yours; NULL where it is no path. */
static char *absolute(pid_t tid, int fd, const char *text)
{
	if (text[0] == '/')
		return xstrdup(text);
	if (!text[0])
		return NULL;
	auto_free char *folder = folder_path(tid, fd);
	return folder ? xprintf("%s/%s", folder, text) : NULL;
}

static char *path_of(pid_t tid, const struct call_path *p, const uint64_t *args)
{
	char text[TOUCH_PATH_MAX + 1];
	int fd = p->dir == CALL_HERE ? AT_FDCWD : (int)args[p->dir];

	return peek_text(text, tid, args[p->path]) ? absolute(tid, fd, text) : NULL;
}

static bool is_there(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

/* --- what a call is about -------------------------------------------------------------------- */
static uint64_t open_flags(pid_t tid, const struct call *c, const uint64_t *args)
{
	struct open_how how = { 0 };

	if (c->kind == CALL_OPEN)
		return args[c->flags];
	(void)peek(&how, sizeof(how), tid, args[c->flags]);
	return how.flags;
}

static void note_peer(struct trace *t, const char *address, unsigned port)
{
	auto_free char *peer = xprintf("%s:%u", address, port);

	t->network = true;
	for (size_t i = 0; i < t->n_peers; i++)
		if (!strcmp(t->peers[i], peer))
			return;
	if (t->n_peers < TRACE_PEERS_MAX)
		t->peers[t->n_peers++] = TAKE(peer);
}

/* Port 0 is how a C library asks which of its own addresses it would use: nothing is sent. */
static void see_connect(struct trace *t, pid_t tid, const uint64_t *args)
{
	union {
		struct sockaddr any;
		struct sockaddr_in four;
		struct sockaddr_in6 six;
	} a = { .any.sa_family = AF_UNSPEC };
	size_t n = args[2] < sizeof(a) ? (size_t)args[2] : sizeof(a);
	char text[INET6_ADDRSTRLEN], inner[INET6_ADDRSTRLEN + 2];

	n = peek(&a, n, tid, args[1]);
	if (n >= sizeof(a.four) && a.any.sa_family == AF_INET && a.four.sin_port &&
		inet_ntop(AF_INET, &a.four.sin_addr, text, sizeof(text)))
		note_peer(t, text, ntohs(a.four.sin_port));
	if (n >= sizeof(a.six) && a.any.sa_family == AF_INET6 && a.six.sin6_port &&
		inet_ntop(AF_INET6, &a.six.sin6_addr, text, sizeof(text))) {
		snprintf(inner, sizeof(inner), "[%s]", text);
		note_peer(t, inner, ntohs(a.six.sin6_port));
	}
}

static void see_paths(struct seen *s, const struct call *c, const uint64_t *args)
{
	for (size_t i = 0; i < CALL_PATHS_MAX; i++) {
		s->how[i] = c->paths[i].how;
		s->path[i] = c->paths[i].how ? path_of(s->tid, &c->paths[i], args) : NULL;
	}
}

static void see_open(struct seen *s, const struct call *c, const uint64_t *args)
{
	see_paths(s, c, args);
	if (s->path[0])
		s->how[0] = call_open_how(open_flags(s->tid, c, args), is_there(s->path[0]));
}

void see_entry(struct seen *s, struct trace *t, const struct __ptrace_syscall_info *info)
{
	const struct call *c = NULL;
	const uint64_t *args = (const uint64_t *)info->entry.args;

	see_forget(s);
	if (info->arch == call_architecture())
		c = call_find(info->entry.nr);
	else
		t->foreign = true;
	if (!c)
		return;
	switch (c->kind) {
	case CALL_OPEN:
	case CALL_OPEN_HOW:
		see_open(s, c, args);
		break;
	case CALL_EXEC:
		s->exec = true;
		see_paths(s, c, args);
		break;
	case CALL_PATHS:
		see_paths(s, c, args);
		break;
	case CALL_FOLDER:
		s->path[0] = folder_path(s->tid, (int)args[0]);
		s->how[0] = TOUCH_LIST;
		break;
	case CALL_SOCKET:
		t->network |= args[0] == AF_INET || args[0] == AF_INET6;
		break;
	case CALL_CONNECT:
		see_connect(t, s->tid, args);
		break;
	}
}

void see_exit(struct seen *s, struct trace *t, bool well)
{
	for (size_t i = 0; well && !s->exec && i < CALL_PATHS_MAX; i++)
		if (s->path[i])
			touches_add(&t->touches, s->path[i], s->how[i]);
	see_forget(s);
}

static size_t read_head(char *head, const char *path)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t n = fd < 0 ? -1 : read(fd, head, EXEC_HEAD_BYTES);

	return n < 0 ? 0 : (size_t)n;
}

/* The kernel's own word on what runs now stands behind them: a program may be executed by its descriptor alone. */
void see_exec(struct seen *s, struct trace *t)
{
	auto_free char *path = s->exec ? TAKE(s->path[0]) : NULL;
	auto_free char *link = xprintf("/proc/%d/exe", (int)s->tid), *program = proc_path(link);
	char head[EXEC_HEAD_BYTES], next[EXEC_HEAD_BYTES];

	for (int depth = 0; path && depth <= EXEC_NEST_MAX; depth++) {
		touches_add(&t->touches, path, TOUCH_EXEC | TOUCH_READ);
		bool more = exec_head_names(next, head, read_head(head, path));
		free(path);
		path = more ? absolute(s->tid, AT_FDCWD, next) : NULL;
	}
	if (program)
		touches_add(&t->touches, program, TOUCH_EXEC | TOUCH_READ);
	see_forget(s);
}

void see_forget(struct seen *s)
{
	for (size_t i = 0; i < CALL_PATHS_MAX; i++)
		free(s->path[i]);
	*s = (struct seen){ .tid = s->tid };
}
