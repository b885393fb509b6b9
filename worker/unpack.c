/* SPDX-License-Identifier: Apache-2.0
 *
 * unpack.c: see unpack.h.
 *
 *	DIR/NAME.report, .errors   of the box      DIR/NAME.stream   what it wrote      DIR/NAME.new   the tree
 */
#include "worker/unpack.h"
#include "worker/collect.h"
#include "worker/guard.h"
#include "worker/runner.h"
#include "worker/spawn.h"
#include "common/buf.h"
#include "common/codec.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define CPU_S 1800 /* of a flattening: a large image takes a minute */
#define WALL_S 7200
#define MEMORY_MIB 512
#define DISK_MIB 16 /* it writes no files */
#define REPORT_MAX 65536
#define TAIL_BYTES 32 /* of a stream: its last line is shorter */
#define FULL_BYTES MIB /* less free than this is a full disk */

extern char **environ;

struct unpack {
	const struct unpack_conf *conf;
	char *name;
	struct box *box;
	pid_t plant;     /* 0: none */
	int64_t counted; /* bytes beside the cache's blobs */
	int64_t stream;  /* of these, the stream's */
	unpack_fn *fn;
	void *arg;
};

static char *path_of(const struct unpack *u, const char *suffix)
{
	return xprintf("%s/%s%s", u->conf->dir, u->name, suffix);
}

static void forget(const struct unpack *u, const char *suffix)
{
	auto_free char *path = path_of(u, suffix);

	unlink(path);
}

/* All but the tree. */
static void clean(struct unpack *u)
{
	static const char *const suffixes[] = { ".report", ".errors", ".stream" };

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
		forget(u, suffixes[i]);
}

static void count(struct unpack *u, int64_t less)
{
	struct err e;

	cache_beside(u->conf->cache, -less, &e);
	u->counted -= less;
}

static void over(struct unpack *u, const struct err *e, int64_t bytes)
{
	unpack_fn *fn = u->fn;
	void *arg = u->arg;

	clean(u);
	if (e)
		count(u, u->counted);
	free(u->name);
	free(u);
	fn(arg, e, bytes);
}

/* --- what it means ------------------------------------------------------------------------------------------ */

int unpacked_judge(const struct unpacked *u, struct err *e)
{
	static const char *const ours[] = { "setup", "wall", "disk", "policy" };
	bool killed = u->signal == SIGKILL || u->signal == SIGTERM; /* by who has the machine */

	if (!u->reason)
		return err_set(
			e, ERR_SYSTEM, "unpacking the image: the box left no report: %s", u->said);
	if (!strcmp(u->reason, "output"))
		return err_set(e, ERR_TOO_DEMANDING,
			"unpacking the image: it is larger than this machine has room for");
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (!strcmp(u->reason, ours[i]))
			return err_set(e, ERR_SYSTEM,
				"unpacking the image: its box ended with %s: %s", u->reason,
				u->said);
	if (killed)
		return err_set(e, ERR_SYSTEM,
			"unpacking the image: its box was ended by signal %lld",
			(long long)u->signal);
	if (u->signal)
		return err_set(e, ERR_PROGRAM,
			"the image is refused: whoever unpacks it crashes (signal %lld)",
			(long long)u->signal);
	if (strcmp(u->reason, "exited") != 0)
		return err_set(e, ERR_PROGRAM,
			"the image is refused: unpacking it takes more %s than any may", u->reason);
	if (u->exit)
		return err_set(e, ERR_PROGRAM, "the image is refused: %s",
			*u->said ? u->said : "it cannot be unpacked");
	return 0;
}

static char *last_said(const struct unpack *u)
{
	auto_free char *path = path_of(u, ".errors");

	return file_last_said(path, "talkoot-image");
}

static bool disk_is_full(const struct unpack *u)
{
	struct statvfs fs;

	return !statvfs(u->conf->dir, &fs) &&
	       (fs.f_bavail * fs.f_frsize < FULL_BYTES || (fs.f_files && !fs.f_favail));
}

static int judge_box(const struct unpack *u, const char *why, struct err *e)
{
	auto_free char *path = path_of(u, ".report"), *text = NULL, *said = last_said(u);
	struct product p = { 0 };
	struct unpacked made = { .said = why ? why : said };
	size_t n;

	if (!why && !file_read(&text, &n, path, REPORT_MAX, e) &&
		product_read_report(&p, text, n)) {
		made.reason = p.result.reason;
		made.exit = p.result.exit;
		made.signal = p.result.signal;
		if (!*said)
			made.said = p.why;
	}
	return unpacked_judge(&made, e);
}

/* --- what a tree takes ---------------------------------------------------------------------------------------- */

int64_t unpacked_bytes(int64_t stream_bytes, const char *tail)
{
	const char *end = strrchr(tail, 'e');
	int64_t entries;

	if (!end || end[1] != ' ')
		return stream_bytes;
	auto_free char *number = xmemdup(end + 2, strcspn(end + 2, "\n"));
	return int_parse(&entries, number, 0, UNPACKED_ENTRIES_MAX) ? stream_bytes + entries * UNPACKED_ENTRY_BYTES
	                                                            : stream_bytes;
}

/* By the stream's last line; whether that is true is what planting finds out. */
static int64_t tree_bytes(int stream, int64_t size)
{
	char tail[TAIL_BYTES + 1];
	ssize_t n = pread(stream, tail, TAIL_BYTES, size > TAIL_BYTES ? size - TAIL_BYTES : 0);

	tail[n > 0 ? n : 0] = '\0';
	return unpacked_bytes(size, tail);
}

/* --- planting ------------------------------------------------------------------------------------------------- */

static void on_planted(void *arg, pid_t pid, int status, const struct rusage *usage)
{
	struct unpack *u = arg;
	int64_t bytes = u->counted - u->stream;
	struct err e;

	(void)usage;
	u->plant = 0;
	guard_drop(u->conf->guard, pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		count(u, u->stream);
		over(u, NULL, bytes);
		return;
	}
	auto_free char *said = last_said(u);
	if (WIFSIGNALED(status))
		err_set(&e, ERR_SYSTEM, "planting the image: it was killed by signal %d",
			WTERMSIG(status));
	else if (disk_is_full(u))
		err_set(&e, ERR_FULL, "planting the image: the disk is full");
	else
		err_set(&e, ERR_PROGRAM, "the image is refused: %s", said);
	over(u, &e, 0);
}

static void end_plant(struct unpack *u)
{
	if (u->plant > 0) {
		kill(u->plant, SIGKILL);
		waitpid(u->plant, NULL, 0);
		guard_drop(u->conf->guard, u->plant);
	}
	u->plant = 0;
}

static int start_plant(struct unpack *u, struct err *e)
{
	auto_free char *stream = path_of(u, ".stream"), *errors = path_of(u, ".errors"),
		       *tree = path_of(u, ".new");
	auto_free char *tool = xstrdup(u->conf->tool);
	char word[] = "plant", *argv[] = { tool, word, tree, NULL };
	auto_close int in = open(stream, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	auto_close int err = open(errors, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct spawn s = { .argv = argv,
		.env = environ,
		.in = in,
		.out = null,
		.err = err,
		.guard = u->conf->guard,
		.death = SIGKILL,
		.idle = true };
	struct stat st;

	if (in < 0 || null < 0 || err < 0 || fstat(in, &st))
		return err_sys(e, "opening %s", in < 0 ? stream : errors);
	int64_t both = (int64_t)st.st_size + tree_bytes(in, (int64_t)st.st_size);
	if (cache_beside(u->conf->cache, both, e)) /* the stream, and the tree that it becomes */
		return err_wrap(e, "room for the image");
	u->counted = both;
	u->stream = (int64_t)st.st_size;
	u->plant = spawn(&s, e);
	if (u->plant > 0 && !loop_on_child(u->conf->loop, u->plant, on_planted, u, e))
		return 0;
	end_plant(u);
	return -1;
}

/* --- flattening --------------------------------------------------------------------------------------------------- */

static void on_flat(void *arg, const char *why)
{
	struct unpack *u = arg;
	struct err e;

	u->box = NULL;
	if (judge_box(u, why, &e) || start_plant(u, &e))
		over(u, &e, 0);
}

static struct line *compose(const struct unpack *u, const struct blob *layers, size_t n)
{
	struct line *l = line_new(u->conf->sandbox);
	int64_t most = u->conf->most_mib < 1 ? 1 : u->conf->most_mib;

	line_file(l, LINE_REPORT, "--report", path_of(u, ".report"));
	line_option(l, "--profile", xstrdup("files"));
	for (size_t i = 0; i < n; i++) {
		auto_free char *name = xprintf("layer-%zu", i);

		line_input(l, name, blob_path(cache_blobs(u->conf->cache), &layers[i].digest));
	}
	line_file(l, LINE_STDOUT, "--stdout", path_of(u, ".stream"));
	line_file(l, LINE_STDERR, "--stderr", path_of(u, ".errors"));
	line_number(l, "--cpu", CPU_S);
	line_number(l, "--wall", WALL_S);
	line_number(l, "--memory", MEMORY_MIB);
	line_number(l, "--disk", DISK_MIB);
	line_number(l, "--max-output", most);
	line_number(l, "--processes", 1);
	line_program(l, xstrdup(u->conf->tool));
	line_word(l, xstrdup("flatten"));
	for (size_t i = 0; i < n; i++)
		line_word(l, xprintf("/in/layer-%zu", i));
	return l;
}

/* In the keeper if there is one and the line fits a packet, else by itself; its own complaints go where the program's
 * would, which is not begun then. */
static int start_box(struct unpack *u, const struct blob *layers, size_t n, struct err *e)
{
	auto_free char *errors = path_of(u, ".errors");

	return box_begin(&u->box, *u->conf->keeper, u->conf->loop, u->conf->guard, compose(u, layers, n), errors, on_flat, u, e);
}

int unpack_start(struct unpack **out, const struct unpack_conf *conf, const char *name,
	const struct blob *layers, size_t n, unpack_fn *fn, void *arg, struct err *e)
{
	struct unpack *u = xcalloc(1, sizeof(*u));

	*u = (struct unpack){ .conf = conf, .name = xstrdup(name), .fn = fn, .arg = arg };
	clean(u);
	if (!start_box(u, layers, n, e)) {
		*out = u;
		return 0;
	}
	free(u->name);
	free(u);
	return -1;
}

void unpack_free(struct unpack *u)
{
	if (!u)
		return;
	box_free(u->box);
	end_plant(u);
	clean(u);
	count(u, u->counted);
	free(u->name);
	free(u);
}
