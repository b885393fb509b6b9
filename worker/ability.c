/* SPDX-License-Identifier: Apache-2.0
 *
 * ability.c: what the box can do on this machine.
 */
#include "worker/ability.h"
#include "worker/place.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "jobs/job.h"

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MAX 65536
#define WAIT_MS 10000

extern char **environ;

/* --- asking ------------------------------------------------------------------------------------------------ */

static pid_t spawn(const char *sandbox, int out)
{
	char *path = xstrdup(sandbox), check[] = "--check";
	char *argv[] = { path, check, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
	if (posix_spawn(&pid, sandbox, &actions, &attr, argv, environ))
		pid = -1;
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	base_free(&path);
	return pid;
}

/* What comes from fd until its end, for WAIT_MS at most. */
static void read_some(struct buf *b, int fd)
{
	int64_t end = clock_mono_ms() + WAIT_MS;
	char part[4096];

	while (b->len < ANSWER_MAX && clock_mono_ms() < end) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, (int)(end - clock_mono_ms())) <= 0)
			return;
		n = read(fd, part, sizeof(part));
		if (n <= 0)
			return;
		buf_add(b, part, (size_t)n);
	}
}

static void run(struct buf *b, const char *sandbox)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return;
	pid = spawn(sandbox, ends[1]);
	close(ends[1]);
	if (pid > 0) {
		read_some(b, ends[0]);
		kill(-pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	close(ends[0]);
}

static const char *const bit_names[] = BOX_BITS_NAMES;

static void take_bits(struct ability *a, const json_t *bits)
{
	for (size_t i = 0; i < BOX_N_BITS; i++) {
		const char *why = json_string_value(json_object_get(bits, bit_names[i]));

		if (why && !strcmp(why, "ok"))
			a->bits |= 1u << i;
		else
			snprintf(a->no_bit[i], sizeof(a->no_bit[i]), "%s", why ? why : "");
	}
}

static void take(struct ability *a, const json_t *j)
{
	const json_t *layers = json_object_get(j, "layers");

	a->answered = true;
	a->compute = json_is_true(json_object_get(j, "compute"));
	a->files = json_is_true(json_object_get(j, "files"));
	a->image = json_is_true(json_object_get(j, "image"));
	take_bits(a, json_object_get(j, "bits"));
	for (size_t i = 0; i < BOX_N_LAYERS; i++) {
		const char *why = json_string_value(json_object_get(layers, a->layers[i].name));

		snprintf(a->layers[i].why, sizeof(a->layers[i].why), "%s", why ? why : "");
	}
}

void ability_read(struct ability *a, const char *text, size_t n)
{
	static const char *const names[] = {
#define X(id, name) name,
		BOX_LAYER_TABLE(X)
#undef X
	};
	json_t *j = json_loadb(text, n, 0, NULL);

	*a = (struct ability){ .compute = true, .files = true };
	for (size_t i = 0; i < BOX_N_LAYERS; i++)
		a->layers[i].name = names[i];
	if (json_is_boolean(json_object_get(j, "compute")))
		take(a, j);
	json_decref(j);
}

void ability_ask(struct ability *a, const char *sandbox)
{
	auto_buf struct buf b = { 0 };

	run(&b, sandbox);
	ability_read(a, b.data ? b.data : "", b.len);
}

void ability_image(struct ability *a, const char *dir, const char *tool)
{
	struct err e;

	if (!a->image || !place_check(dir, tool, &e))
		return;
	a->image = false;
	snprintf(a->no_image, sizeof(a->no_image), "%.399s", e.msg);
}

unsigned ability_profiles(const struct ability *a)
{
	return (unsigned)a->compute << PROFILE_COMPUTE | (unsigned)a->files << PROFILE_FILES |
	       (unsigned)a->image << PROFILE_IMAGE;
}

/* --- saying ------------------------------------------------------------------------------------------------- */

static void print_layer(const struct ability *a, const struct facts *f, enum box_layer i, FILE *out)
{
	const char *why = a->layers[i].why;
	bool ok = !strcmp(why, "ok");
	auto_free char *safe = text_safe(why, strlen(why));

	fprintf(out, "  %-9s %s\n", a->layers[i].name, ok ? "ok" : *why ? safe : "not reported");
	if (ok)
		return;
	auto_free char *what = mend(f, i, why);
	fprintf(out, "  %-9s mend: %s\n", "", what);
}

/* Where `files` itself does not work, its layers say why. */
static void print_bit(const struct ability *a, const struct facts *f, unsigned i, FILE *out)
{
	auto_free char *safe = text_safe(a->no_bit[i], strlen(a->no_bit[i]));
	bool ok = a->bits & 1u << i;

	fprintf(out, "bit %-12s %s%s%s\n", bit_names[i], ok ? "works, where --bits allows it" : "does not work",
		*safe ? ": " : "", safe);
	if (!ok && a->files && 1u << i == BOX_PROC)
		fprintf(out, "  %-14s mend: %s\n", "", mend_proc(f));
}

bool ability_print(const struct ability *a, const struct facts *f, const char *sandbox, FILE *out)
{
	fprintf(out, "sandbox %s\n", sandbox);
	if (!a->answered) {
		bool there = !access(sandbox, X_OK);

		fprintf(out, there ? "  does not answer --check; it is trusted to work\n" :
				     "  is missing or not executable: build or install talkoot-sandbox, or name it "
				     "with --sandbox\n");
		return there;
	}
	for (int i = 0; i < BOX_N_LAYERS; i++)
		print_layer(a, f, (enum box_layer)i, out);
	fprintf(out, "profile compute: %s\n", a->compute ? "works" : "does not work; no task can run here");
	fprintf(out, "profile files:   %s\n",
		a->files ? "works" : "does not work; only tasks of profile compute will come");
	fprintf(out, "profile image:   %s%s%s\n", a->image ? "works" : "does not work; no task with an image will come",
		*a->no_image ? ": " : "", a->no_image);
	for (unsigned i = 0; i < BOX_N_BITS; i++)
		print_bit(a, f, i, out);
	return a->compute;
}
