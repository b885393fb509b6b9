/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_carried.c: what a worker finds in DIR/carried when it starts: tickets, marks that they are done, manifests, in files
 * that a crash, a full disk or a hand may have made anything of.
 *
 * Input: files with an empty line between them; the first byte of each tells what it is: `t` ticket, `d` ticket that is
 * done, `j` job; a capital: the rest is the file, else it is signed first. `!` before it: under a name that is not its
 * digest.
 */
#include "tests/fuzz/fuzz.h"
#include "common/log.h"
#include "worker/carry.h"

#include <sys/stat.h>

#define FILES_MAX 8

static char folder[] = "/dev/shm/talkoot-fuzz-XXXXXX";
static struct loop *loop;
static struct home home;

static void remove_folder(void)
{
	struct err e;

	remove_tree(folder, &e);
	loop_free(loop);
}

static void set_up(void)
{
	struct err e;
	int bad = !mkdtemp(folder) || loop_new(&loop, &e);

	assert(!bad);
	log_open("fuzz", LOG_ERROR);
	home.grid_id = *key_id(fuzz_key());
	atexit(remove_folder);
}

/* One file, as the input says. */
static void write_one(const char *text, size_t n)
{
	bool wrong = n && *text == '!';
	char kind = n > wrong ? text[wrong] : 't', hex[DIGEST_HEX + 1];
	const char *body = text + (n > wrong ? wrong + 1u : n);
	size_t len = n - (size_t)(body - text);
	bool plain = kind >= 'A' && kind <= 'Z', job = kind == 'j' || kind == 'J';
	auto_free char *line =
		plain ? xmemdup(body, len) : seal(fuzz_key(), SEAL_MESSAGE, body, len);
	size_t line_len = plain ? len : strlen(line);
	struct digest d = digest_of(wrong ? "" : line, wrong ? 0 : line_len);
	struct err e;

	digest_hex(hex, &d);
	auto_free char *dir = xprintf("%s/%s", folder, job ? "jobs" : "tickets");
	auto_free char *path = xprintf("%s/%s", dir, hex), *done = xprintf("%s.done", path);
	int bad = make_dirs(dir, 0700, &e) || file_write_atomic(path, line, line_len, 0600, &e) ||
	          ((kind == 'd' || kind == 'D') && file_write_atomic(done, "", 0, 0600, &e));
	assert(!bad);
}

struct count {
	size_t n;
};

static void count_one(void *arg, const struct told_job *job)
{
	struct count *c = arg;

	assert(job->count >= 0 && job->state[0]);
	c->n++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	auto_buf struct buf b = fuzz_fill(data, n);
	struct carry_fns fns = { 0 };
	struct carry *c = NULL;
	struct count told = { 0 };
	size_t files = 0;
	struct err e;

	if (!loop)
		set_up();
	for (const char *at = b.data; at && files < FILES_MAX; files++) {
		const char *gap = strstr(at, "\n\n");

		write_one(at, gap ? (size_t)(gap - at) : strlen(at));
		at = gap ? gap + 2 : NULL;
	}
	int bad = carry_open(&c, folder, &carry_defaults, loop, NULL, &home, &fns, &e);
	assert(!bad && carry_count(c) <= files);
	carry_each(c, count_one, &told);
	assert(told.n == carry_count(c));
	carry_close(c);
	bad = remove_tree(folder, &e) || mkdir(folder, 0700);
	assert(!bad);
	return 0;
}
