/* SPDX-License-Identifier: Apache-2.0
 *
 * test_pack.c: what of a run goes into its image, in a file system that is a table.
 */
#include "jobs/exec_head.h"
#include "jobs/pack_env.h"
#include "jobs/pack_tell.h"
#include "jobs/difference.h"
#include "jobs/pack_try.h"
#include "jobs/trace_calls.h"

#include "common/buf.h"

#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

struct there {
	const char *path;
	enum file_kind kind;
	unsigned mode;
	const char *text;
};

#define DIR_(path_)                                                                                \
	{                                                                                          \
		path_, FILE_FOLDER, 0755, NULL                                                     \
	}
#define FILE_(path_)                                                                               \
	{                                                                                          \
		path_, FILE_REGULAR, 0644, NULL                                                    \
	}
#define TOOL(path_)                                                                                \
	{                                                                                          \
		path_, FILE_REGULAR, 0755, NULL                                                    \
	}
#define LINK_(path_, text_)                                                                        \
	{                                                                                          \
		path_, FILE_LINK, 0777, text_                                                      \
	}

static const struct there world[] = {
	DIR_("/home"),
	{ "/home/ann", FILE_FOLDER, 0700, NULL },
	DIR_("/home/ann/proj"),
	FILE_("/home/ann/proj/sim.py"),
	FILE_("/home/ann/proj/data.csv"),
	FILE_("/home/ann/proj/out.txt"),
	{ "/home/ann/proj/key", FILE_REGULAR, 0600, NULL },
	DIR_("/home/ann/proj/sub"),
	LINK_("/home/ann/proj/big.csv", "/data/big.csv"),
	LINK_("/home/ann/proj/sub/up", "../data.csv"),
	LINK_("/home/ann/proj/away", "../lab/x.csv"),
	LINK_("/home/ann/proj/loop", "loop"),
	DIR_("/home/ann/lab"),
	FILE_("/home/ann/lab/x.csv"),
	LINK_("/home/ann/lab/home", "../proj/data.csv"),
	DIR_("/home/ann/.ssh"),
	FILE_("/home/ann/.ssh/id"),
	DIR_("/home/ann/.config"),
	FILE_("/home/ann/.config/rc"),
	DIR_("/home/ann/.local"),
	DIR_("/home/ann/.local/lib"),
	DIR_("/home/ann/.local/lib/python3.11"),
	FILE_("/home/ann/.local/lib/python3.11/numpy.py"),
	DIR_("/home/ann/.local/lib/python3.11/numpy"),
	FILE_("/home/ann/.local/lib/python3.11/numpy/__init__.py"),
	FILE_("/home/ann/.local/lib/python3.11/scipy.py"),
	{ "/home/ann/.local/lib/python3.11/token", FILE_REGULAR, 0600, NULL },
	DIR_("/home/ann/.local/share"),
	FILE_("/home/ann/.local/share/keys"),
	DIR_("/home/ann/venv"),
	FILE_("/home/ann/venv/pyvenv.cfg"),
	DIR_("/home/ann/venv/lib"),
	FILE_("/home/ann/venv/lib/a.py"),
	DIR_("/home/ann/code"),
	FILE_("/home/ann/code/m.py"),
	TOOL("/home/ann/lab/tool"),
	FILE_("/home/ann/lab/libq.so.1.2"),
	FILE_("/home/ann/lab/notes.sock"),
	DIR_("/usr"),
	DIR_("/usr/bin"),
	TOOL("/usr/bin/python3.11"),
	LINK_("/usr/bin/python3", "python3.11"),
	DIR_("/usr/lib"),
	DIR_("/usr/lib/x"),
	LINK_("/lib", "usr/lib"),
	LINK_("/bin", "usr/bin"),
	FILE_("/usr/lib/x/libc.so.6.1"),
	LINK_("/usr/lib/x/libc.so.6", "libc.so.6.1"),
	DIR_("/etc"),
	FILE_("/etc/passwd"),
	{ "/etc/shadow", FILE_REGULAR, 0640, NULL },
	{ "/etc/private", FILE_FOLDER, 0700, NULL },
	FILE_("/etc/private/open"),
	DIR_("/data"),
	FILE_("/data/big.csv"),
	DIR_("/proc"),
	FILE_("/proc/cpuinfo"),
	DIR_("/tmp"),
	FILE_("/tmp/x"),
	DIR_("/dev"),
	{ "/dev/null", FILE_OTHER, 0666, NULL },
	{ "/dev/tty", FILE_OTHER, 0666, NULL },
	{ "/data/pipe", FILE_OTHER, 0666, NULL },
	DIR_("/work"),
	FILE_("/work/data.csv"),
	LINK_("/run", "/tmp"),
};

static void look_world(void *arg, const char *path, struct look *out)
{
	(void)arg;
	for (size_t i = 0; i < ARRAY_LEN(world); i++)
		if (!strcmp(world[i].path, path))
			*out = (struct look){ world[i].kind, world[i].mode,
				world[i].kind == FILE_REGULAR ? 1000 + (int64_t)i : 0,
				world[i].text ? xstrdup(world[i].text) : NULL };
}

static struct pack_where ann(void)
{
	return (struct pack_where){ .cwd = "/home/ann/proj",
		.homes = { "/home/ann" },
		.bytes_max = GIB,
		.look = look_world };
}

struct run {
	struct touches touched;
	struct pack_plan plan;
	struct err e;
	int bad;
};

/* Touches are "PATH", and how: a list that ends with NULL. */
static void plan(struct run *r, const struct pack_where *w, const struct touch *touched)
{
	*r = (struct run){ 0 };
	for (; touched->path; touched++)
		touches_add(&r->touched, touched->path, touched->how);
	r->bad = pack_plan_make(&r->plan, w, &r->touched, &r->e);
}

static void release(struct run *r)
{
	pack_plan_release(&r->plan);
	touches_release(&r->touched);
}

#define PLAN(r, w, ...) plan(r, w, (const struct touch[]){ __VA_ARGS__, { NULL, 0 } })
#define READ(path_)                                                                                \
	{                                                                                          \
		(char[]){ path_ }, TOUCH_READ                                                      \
	}

static const struct pack_entry *entry(const struct run *r, const char *to)
{
	for (size_t i = 0; i < r->plan.n; i++)
		if (!strcmp(r->plan.entries[i].to, to))
			return &r->plan.entries[i];
	return NULL;
}

static void assert_file(const struct run *r, const char *to, const char *from)
{
	assert_non_null(entry(r, to));
	assert_int_equal(entry(r, to)->kind, FILE_REGULAR);
	assert_string_equal(entry(r, to)->from, from);
}

static void assert_link(const struct run *r, const char *to, const char *text)
{
	assert_non_null(entry(r, to));
	assert_int_equal(entry(r, to)->kind, FILE_LINK);
	assert_string_equal(entry(r, to)->text, text);
}

/* The note about a path, and why. */
static void assert_noted(const struct run *r, const char *path, enum pack_why why)
{
	for (size_t i = 0; i < r->plan.n_notes; i++)
		if (!strcmp(r->plan.notes[i].path, path)) {
			assert_int_equal(r->plan.notes[i].why, why);
			return;
		}
	fail_msg("%s is not told of", path);
}

/* --- what goes in ----------------------------------------------------------------------------- */
static void the_working_folder_comes_to_work(void **s)
{
	struct pack_where w = ann();
	struct run r;

	(void)s;
	PLAN(&r, &w, READ("/home/ann/proj/./sim.py"), READ("/home/ann/proj/sub/../data.csv"),
		READ("/home/ann/proj/key"));
	assert_int_equal(r.bad, 0);
	assert_file(&r, "/work/sim.py", "/home/ann/proj/sim.py");
	assert_file(&r, "/work/data.csv", "/home/ann/proj/data.csv");
	assert_file(&r, "/work/key", "/home/ann/proj/key");
	assert_int_equal(entry(&r, "/work/sim.py")->layer, LAYER_WORK);
	assert_int_equal(r.plan.files, 3);
	assert_int_equal(r.plan.n_notes, 0);
	assert_link(&r, "/home/ann/proj", "/work");
	assert_int_equal(entry(&r, "/home/ann/proj")->layer, LAYER_SYSTEM);
	release(&r);
}

static void links_stay_links_all_the_way(void **s)
{
	struct pack_where w = ann();
	struct run r;

	(void)s;
	PLAN(&r, &w, READ("/bin/python3"), READ("/lib/x/libc.so.6"));
	assert_link(&r, "/bin", "usr/bin");
	assert_link(&r, "/usr/bin/python3", "python3.11");
	assert_file(&r, "/usr/bin/python3.11", "/usr/bin/python3.11");
	assert_true(entry(&r, "/usr/bin/python3.11")->executable);
	assert_link(&r, "/lib", "usr/lib");
	assert_link(&r, "/usr/lib/x/libc.so.6", "libc.so.6.1");
	assert_file(&r, "/usr/lib/x/libc.so.6.1", "/usr/lib/x/libc.so.6.1");
	assert_int_equal(entry(&r, "/usr/lib/x")->kind, FILE_FOLDER);
	release(&r);
}

static void folders_come_before_what_is_in_them(void **s)
{
	struct pack_where w = ann();
	struct run r;

	(void)s;
	PLAN(&r, &w, READ("/lib/x/libc.so.6"), READ("/home/ann/proj/sub/up"),
		READ("/data/big.csv"));
	for (size_t i = 0; i < r.plan.n; i++) {
		auto_free char *above = xstrdup(r.plan.entries[i].to);
		char *slash = strrchr(above, '/');

		if (slash == above)
			continue;
		*slash = '\0';
		bool before = false;
		for (size_t k = 0; k < i; k++)
			before |= !strcmp(r.plan.entries[k].to, above);
		assert_true(before);
	}
	release(&r);
}

static void links_that_cross_the_working_folders_edge_are_mended(void **s)
{
	struct pack_where w = ann();
	struct run r;

	(void)s;
	w.asked.at = (const char *[]){ "/home/ann/lab" };
	w.asked.n = 1;
	PLAN(&r, &w, READ("/home/ann/proj/big.csv"), READ("/home/ann/proj/sub/up"),
		{ (char[]){ "/home/ann/lab/x.csv" }, TOUCH_ASKED }, READ("/home/ann/proj/away"),
		READ("/home/ann/lab/home"));
	assert_link(&r, "/work/big.csv", "/data/big.csv");
	assert_file(&r, "/data/big.csv", "/data/big.csv");
	assert_noted(&r, "/data/big.csv", TOOK_OUTSIDE);
	assert_link(&r, "/work/sub/up", "../data.csv");
	assert_link(&r, "/work/away", "/home/ann/lab/x.csv");
	assert_file(&r, "/home/ann/lab/x.csv", "/home/ann/lab/x.csv");
	assert_link(&r, "/home/ann/lab/home", "/work/data.csv");
	release(&r);
}

static void a_home_looked_at_is_no_loss(void **s)
{
	struct pack_where w = ann();
	struct run r;

	(void)s;
	PLAN(&r, &w, { (char[]){ "/home/ann" }, TOUCH_STAT },
		{ (char[]){ "/home/ann/lab" }, TOUCH_STAT });
	assert_int_equal(r.plan.n_notes, 0);
	assert_null(entry(&r, "/home/ann/lab"));
	release(&r);
}

static void what_is_not_there_and_what_goes_round_is_passed_over(void **s)
{
	struct pack_where w = ann();
	struct run r;

	(void)s;
	PLAN(&r, &w, READ("/home/ann/proj/loop"), READ("/nowhere"), READ("/etc/passwd/x"),
		READ("/"), READ("/.."));
	assert_int_equal(r.bad, 0);
	assert_int_equal(r.plan.files, 0);
	assert_int_equal(r.plan.n_notes, 0);
	release(&r);
}

static void a_folder_looked_at_is_an_empty_folder(void **s)
{
	struct pack_where w = ann();
	struct run r;

	(void)s;
	PLAN(&r, &w, { (char[]){ "/home/ann/proj/sub" }, TOUCH_STAT },
		{ (char[]){ "/usr/lib/x" }, TOUCH_LIST });
	assert_int_equal(entry(&r, "/work/sub")->kind, FILE_FOLDER);
	assert_int_equal(entry(&r, "/usr/lib/x")->kind, FILE_FOLDER);
	assert_int_equal(r.plan.files, 0);
	release(&r);
}

/* --- what stays ------------------------------------------------------------------------------- */
static void of_a_home_only_code_travels(void **s)
{
	struct pack_where w = ann();
	struct run r;

	(void)s;
	w.code.at = (const char *[]){ "/home/ann/code", "/home/ann" };
	w.code.n = 2;
	PLAN(&r, &w, READ("/home/ann/.ssh/id"), READ("/home/ann/.config/rc"),
		READ("/home/ann/.local/share/keys"),
		READ("/home/ann/.local/lib/python3.11/numpy.py"),
		READ("/home/ann/.local/lib/python3.11/scipy.py"), READ("/home/ann/venv/lib/a.py"),
		READ("/home/ann/code/m.py"), READ("/home/ann/lab/libq.so.1.2"),
		READ("/home/ann/lab/x.csv"), READ("/home/ann/lab/notes.sock"),
		{ (char[]){ "/home/ann/lab/tool" }, TOUCH_EXEC | TOUCH_READ });
	assert_noted(&r, "/home/ann/.ssh/id", LEFT_HOME);
	assert_noted(&r, "/home/ann/.config/rc", LEFT_HOME);
	assert_noted(&r, "/home/ann/.local/share/keys", LEFT_HOME);
	assert_noted(&r, "/home/ann/lab/x.csv", LEFT_HOME);
	assert_noted(&r, "/home/ann/lab/notes.sock", LEFT_HOME);
	assert_null(entry(&r, "/home/ann/.ssh"));
	assert_null(entry(&r, "/home/ann/.config"));
	assert_noted(&r, "/home/ann/.local/lib", TOOK_HOME);
	assert_noted(&r, "/home/ann/venv", TOOK_HOME);
	assert_noted(&r, "/home/ann/code", TOOK_HOME);
	assert_noted(&r, "/home/ann/lab/libq.so.1.2", TOOK_HOME);
	assert_noted(&r, "/home/ann/lab/tool", TOOK_HOME);
	assert_int_equal(r.plan.files, 6);
	auto_free char *text = tell_notes(&r.plan, TOOK_HOME);
	assert_non_null(strstr(text, "/home/ann/.local/lib (2 files)"));
	release(&r);
}

static void standing_in_the_home_makes_no_dot_files_travel(void **s)
{
	struct pack_where w = ann();
	struct run r;

	(void)s;
	w.cwd = "/home/ann";
	PLAN(&r, &w, READ("/home/ann/.ssh/id"), READ("/home/ann/lab/x.csv"),
		READ("/home/ann/.local/lib/python3.11/numpy.py"));
	assert_noted(&r, "/home/ann/.ssh/id", LEFT_HOME);
	assert_file(&r, "/work/lab/x.csv", "/home/ann/lab/x.csv");
	release(&r);
	w.cwd = "/home";
	PLAN(&r, &w, READ("/home/ann/.ssh/id"), READ("/home/ann/lab/x.csv"));
	assert_noted(&r, "/home/ann/.ssh/id", LEFT_HOME);
	assert_file(&r, "/work/ann/lab/x.csv", "/home/ann/lab/x.csv");
	release(&r);
}

static void what_the_run_made_or_changed_stays(void **s)
{
	struct pack_where w = ann();
	struct run r;

	(void)s;
	PLAN(&r, &w, { (char[]){ "/home/ann/proj/out.txt" }, TOUCH_WRITE | TOUCH_MADE },
		{ (char[]){ "/home/ann/proj/sub/up" }, TOUCH_WRITE },
		READ("/home/ann/proj/data.csv"));
	assert_noted(&r, "/home/ann/proj/out.txt", LEFT_WRITTEN);
	/* by the link's name it was written, by its own only read */
	assert_noted(&r, "/home/ann/proj/data.csv", LEFT_WRITTEN);
	assert_int_equal(r.plan.files, 0);
	release(&r);
}

static void a_source_has_its_compiled_file_in_the_plan(void **s)
{
	struct pack_entry entries[] = {
		{ .to = (char[]){ "/l/__pycache__/re.cpython-311.pyc" } },
		{ .to = (char[]){ "/l/__pycache__/sub.mod.cpython-311.pyc" } },
		{ .to = (char[]){ "/l/r.py" } },
		{ .to = (char[]){ "/l/re.py" } },
	};
	struct pack_plan p = { .entries = entries, .n = 4 }, none = { .n = 0 };

	(void)s;
	assert_true(pack_plan_compiled(&p, "/l/re.py"));
	assert_true(pack_plan_compiled(&p, "/l/sub.mod.py"));
	assert_false(pack_plan_compiled(&p, "/l/r.py"));
	assert_false(pack_plan_compiled(&p, "/l/z.py"));
	assert_false(pack_plan_compiled(&p, "/l/re.pyc"));
	assert_false(pack_plan_compiled(&p, "/re.py"));
	assert_false(pack_plan_compiled(&p, "/l.py/re"));
	assert_false(pack_plan_compiled(&none, "/l/re.py"));
}

static struct difference differ(const char *a, const char *b)
{
	char x[] = "/tmp/talkoot-unit-XXXXXX", y[] = "/tmp/talkoot-unit-XXXXXX";
	auto_close int f = mkstemp(x), g = mkstemp(y);

	assert_int_equal(write(f, a, strlen(a)), strlen(a));
	assert_int_equal(write(g, b, strlen(b)), strlen(b));
	struct difference d = files_differ(x, y);

	unlink(x);
	unlink(y);
	return d;
}

static void the_first_line_that_differs_is_found(void **s)
{
	char long_line[400];

	(void)s;
	memset(long_line, 'x', sizeof(long_line));
	long_line[sizeof(long_line) - 1] = '\0';
	assert_int_equal(differ("", "").line, 0);
	assert_int_equal(differ("a\nb\n", "a\nb\n").line, 0);
	struct difference d = differ("a\nb 12:00\nc\n", "a\nb 12:01\nd\n");

	assert_int_equal(d.line, 2);
	assert_string_equal(d.a, "b 12:00");
	assert_string_equal(d.b, "b 12:01");
	d = differ("a\n", "a\nmore\n");
	assert_int_equal(d.line, 2);
	assert_string_equal(d.a, "");
	assert_string_equal(d.b, "more");
	assert_int_equal(strlen(differ(long_line, "").a), DIFFERENCE_SHOWN);
}

static void secrets_kernels_and_the_boxs_own_stay(void **s)
{
	struct pack_where w = ann();
	struct run r;

	(void)s;
	PLAN(&r, &w, READ("/etc/shadow"), READ("/etc/private/open"),
		READ("/home/ann/.local/lib/python3.11/token"), READ("/proc/cpuinfo"),
		READ("/proc/self/maps"), { (char[]){ "/proc/self/exe" }, TOUCH_STAT },
		READ("/dev/shm/a"), READ("/dev/shm/b"), READ("/tmp/x"), READ("/run/x"),
		READ("/dev/null"), READ("/dev/tty"), READ("/data/pipe"), READ("/etc/passwd"));
	assert_noted(&r, "/etc/shadow", LEFT_SECRET);
	assert_noted(&r, "/etc/private/open", LEFT_SECRET);
	assert_noted(&r, "/home/ann/.local/lib/python3.11/token", LEFT_SECRET);
	assert_noted(&r, "/proc/cpuinfo", LEFT_KERNEL);
	assert_noted(&r, "/dev/tty", LEFT_KERNEL);
	assert_noted(&r, "/tmp/x", LEFT_BOX);
	assert_noted(&r, "/data/pipe", LEFT_KIND);
	assert_noted(&r, "/proc/self/maps", LEFT_KERNEL);
	assert_noted(&r, "/dev/shm", LEFT_KERNEL);
	assert_int_equal(
		r.plan.n_notes, 9); /* /dev/null is no loss, /tmp/x and /dev/shm are told once */
	assert_file(&r, "/etc/passwd", "/etc/passwd");
	assert_int_equal(r.plan.files, 1);
	release(&r);
}

static void asking_is_stronger_than_home_and_mode_and_excluding_than_asking(void **s)
{
	struct pack_where w = ann();
	struct run r;

	(void)s;
	w.exclude.at = (const char *[]){ "*.csv", "/home/ann/code" };
	w.exclude.n = 2;
	PLAN(&r, &w, { (char[]){ "/etc/shadow" }, TOUCH_ASKED },
		{ (char[]){ "/home/ann/lab/notes.sock" }, TOUCH_ASKED },
		{ (char[]){ "/home/ann/lab/x.csv" }, TOUCH_ASKED },
		{ (char[]){ "/home/ann/code/m.py" }, TOUCH_ASKED },
		{ (char[]){ "/tmp/x" }, TOUCH_ASKED },
		{ (char[]){ "/home/ann/proj/out.txt" }, TOUCH_ASKED | TOUCH_WRITE });
	assert_noted(&r, "/etc/shadow", TOOK_SECRET);
	assert_file(&r, "/home/ann/lab/notes.sock", "/home/ann/lab/notes.sock");
	assert_noted(&r, "/home/ann/lab/x.csv", LEFT_EXCLUDED);
	assert_noted(&r, "/home/ann/code/m.py", LEFT_EXCLUDED);
	assert_noted(&r, "/tmp/x", LEFT_BOX);
	assert_file(&r, "/work/out.txt", "/home/ann/proj/out.txt");
	release(&r);
}

static void globs_of_the_working_folder_need_no_path_before_them(void **s)
{
	struct pack_where w = ann();
	struct run r;

	(void)s;
	w.exclude.at = (const char *[]){ "sub" };
	w.exclude.n = 1;
	w.image = "/home/ann/proj/out.txt";
	PLAN(&r, &w, READ("/home/ann/proj/sub/up"),
		{ (char[]){ "/home/ann/proj/sub" }, TOUCH_LIST }, READ("/home/ann/proj/out.txt"));
	assert_null(entry(&r, "/work/sub"));
	assert_noted(&r, "/home/ann/proj/sub", LEFT_EXCLUDED);
	assert_noted(&r, "/home/ann/proj/out.txt", LEFT_EXCLUDED); /* the image itself */
	assert_file(&r, "/work/data.csv", "/home/ann/proj/data.csv");
	release(&r);
}

static void two_files_for_one_place_are_told(void **s)
{
	struct pack_where w = ann();
	struct run r;

	(void)s;
	PLAN(&r, &w, READ("/home/ann/proj/data.csv"), READ("/work/data.csv"));
	assert_file(&r, "/work/data.csv", "/home/ann/proj/data.csv");
	assert_int_equal(r.plan.n_notes, 2);
	assert_int_equal(r.plan.notes[1].why, LEFT_CLASH);
	release(&r);
}

static void too_much_is_refused_and_the_largest_named(void **s)
{
	struct pack_where w = ann();
	struct run r;

	(void)s;
	w.bytes_max = 1500;
	PLAN(&r, &w, READ("/home/ann/proj/data.csv"), READ("/etc/passwd"));
	assert_int_equal(r.bad, -1);
	assert_int_equal(r.e.code, ERR_TOO_BIG);
	assert_non_null(strstr(r.e.msg, "/etc/passwd"));
	touches_release(&r.touched);
}

static void more_paths_than_may_be_are_refused(void **s)
{
	struct pack_where w = ann();
	struct run r = { 0 };
	char path[32];

	(void)s;
	for (size_t i = 0; i <= TOUCH_PATHS_MAX; i++) {
		snprintf(path, sizeof(path), "/nowhere/%zu", i);
		touches_add(&r.touched, path, TOUCH_READ);
	}
	assert_int_equal(r.touched.n, TOUCH_PATHS_MAX);
	assert_int_equal(pack_plan_make(&r.plan, &w, &r.touched, &r.e), -1);
	assert_int_equal(r.e.code, ERR_TOO_BIG);
	touches_release(&r.touched);
}

/* --- beside the plan -------------------------------------------------------------------------- */
static void what_failed_runs_say_leads_to_what_was_left_out(void **s)
{
	struct pack_where w = ann();
	struct run r;

	(void)s;
	PLAN(&r, &w, READ("/home/ann/lab/x.csv"), READ("/home/ann/.config/rc"));
	auto_free char *text = tell_missing(&r.plan, "cannot open '../lab/x.csv'"),
		       *none = tell_missing(&r.plan, "no luck");
	assert_non_null(strstr(text, "/home/ann/lab/x.csv: left out"));
	assert_non_null(strstr(text, "--include"));
	assert_null(none);
	release(&r);
}

static void numpy_is_told_not_to_warn_of_what_the_box_sets(void **s)
{
	const char *const words[] = { "PATH=/usr/bin", NULL };
	struct pack_where w = ann();
	struct pack_env env;
	struct run r;

	(void)s;
	PLAN(&r, &w, READ("/usr/bin/python3"), READ("/home/ann/.local/lib/python3.11/numpy/__init__.py"));
	pack_env_make(&env, &w, &r.plan, (char *const *)(uintptr_t)words);
	assert_int_equal(env.n, 3);
	assert_string_equal(env.at[1], "PYTHONUSERBASE=/home/ann/.local");
	assert_string_equal(env.at[2], "PYTHONWARNINGS=ignore:During parsing environment variable:RuntimeWarning");
	pack_env_release(&env);
	release(&r);
}

static void an_environment_keeps_how_code_is_found(void **s)
{
	const char *const words[] = { "HOME=/home/ann", "SECRET=1",
		"PATH=/home/ann/lab:/usr/bin:/nowhere:rel:/home/ann/proj/sub",
		"PYTHONPATH=/home/ann/proj/sub:/home/ann/code", "VIRTUAL_ENV=/home/ann/proj/venv",
		NULL };
	char *const *all = (char *const *)(uintptr_t)words; /* as environ is; only read */
	struct pack_where w = ann();
	struct pack_env env;
	struct run r;

	(void)s;
	PLAN(&r, &w, READ("/usr/bin/python3"), READ("/home/ann/proj/sub/up"),
		READ("/home/ann/.local/lib/python3.11/numpy.py"));
	pack_env_make(&env, &w, &r.plan, all);
	assert_int_equal(env.n, 4);
	assert_string_equal(env.at[0], "PATH=/usr/bin:/work/sub:/usr/local/bin:/bin");
	assert_string_equal(env.at[1], "PYTHONPATH=/work/sub:/home/ann/code");
	assert_string_equal(env.at[2], "VIRTUAL_ENV=/work/venv");
	assert_string_equal(env.at[3], "PYTHONUSERBASE=/home/ann/.local");
	pack_env_release(&env);
	pack_env_code(&w.code, all);
	assert_int_equal(w.code.n, 2);
	assert_string_equal(w.code.at[1], "/home/ann/code");
	for (size_t i = 0; i < w.code.n; i++)
		free((char *)(uintptr_t)w.code.at[i]);
	free(w.code.at);
	release(&r);
}

static void open_flags_say_what_is_done(void **s)
{
	(void)s;
	assert_int_equal(call_open_how(O_RDONLY, true), TOUCH_READ);
	assert_int_equal(call_open_how(O_RDONLY | O_CREAT, true), TOUCH_READ);
	assert_int_equal(call_open_how(O_RDONLY | O_CREAT, false), TOUCH_READ | TOUCH_MADE);
	assert_int_equal(call_open_how(O_WRONLY | O_CREAT, false), TOUCH_WRITE | TOUCH_MADE);
	assert_int_equal(call_open_how(O_RDWR, true), TOUCH_READ | TOUCH_WRITE);
	assert_int_equal(call_open_how(O_RDONLY | O_TRUNC, true), TOUCH_READ | TOUCH_WRITE);
	assert_int_equal(call_open_how(O_PATH | O_DIRECTORY, true), TOUCH_STAT);
	assert_int_equal(call_open_how(O_RDWR | O_TMPFILE, true), TOUCH_STAT);
}

static void calls_name_files_by_these_arguments(void **s)
{
	const struct call *c = call_find(SYS_renameat2);

	(void)s;
	assert_int_equal(c->paths[0].dir, 0);
	assert_int_equal(c->paths[0].path, 1);
	assert_int_equal(c->paths[1].path, 3);
	assert_int_equal(c->paths[1].how, TOUCH_MADE | TOUCH_WRITE);
	assert_int_equal(call_find(SYS_execve)->kind, CALL_EXEC);
	assert_int_equal(call_find(SYS_execve)->paths[0].dir, CALL_HERE);
	assert_null(call_find(SYS_write));
	assert_null(call_find(UINT64_MAX));
}

static void expect_head(const char *head, size_t n, const char *path)
{
	char out[EXEC_HEAD_BYTES] = "";

	assert_int_equal(exec_head_names(out, head, n), path != NULL);
	if (path)
		assert_string_equal(out, path);
}

static void a_script_names_its_interpreter(void **s)
{
	auto_free char *longer = xprintf("#!/%0400d\n", 0),
		       *cut = xmemdup(longer + 2, EXEC_SCRIPT_LINE_MAX - 2);

	(void)s;
	expect_head("#!/bin/sh\n", 10, "/bin/sh");
	expect_head("#! \t/usr/bin/env python3\n", 25, "/usr/bin/env");
	expect_head("#!bin/x", 7, "bin/x");
	expect_head("#!", 2, NULL);
	expect_head("#!  \n", 5, NULL);
	expect_head("# /bin/sh", 9, NULL);
	expect_head(longer, strlen(longer), cut);
}

static void a_dynamic_program_names_its_loader(void **s)
{
	struct {
		Elf64_Ehdr e;
		Elf64_Phdr p;
		char text[16];
	} f = { .e = { .e_phoff = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 1 },
		.p = { .p_type = PT_INTERP,
			.p_offset = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
			.p_filesz = 8 },
		.text = "/lib/ld" };

	(void)s;
	memcpy(f.e.e_ident, ELFMAG, SELFMAG);
	f.e.e_ident[EI_CLASS] = ELFCLASS64;
	f.e.e_ident[EI_DATA] = ELFDATA2LSB;
	expect_head((const char *)&f, sizeof(f), "/lib/ld");
	f.p.p_filesz = 5; /* without its NUL */
	expect_head((const char *)&f, sizeof(f), NULL);
	f.p.p_filesz = 8;
	f.p.p_offset = sizeof(f) - 4; /* beyond the end */
	expect_head((const char *)&f, sizeof(f), NULL);
	f.p.p_type = PT_LOAD;
	expect_head((const char *)&f, sizeof(f), NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_working_folder_comes_to_work),
		cmocka_unit_test(links_stay_links_all_the_way),
		cmocka_unit_test(folders_come_before_what_is_in_them),
		cmocka_unit_test(links_that_cross_the_working_folders_edge_are_mended),
		cmocka_unit_test(a_home_looked_at_is_no_loss),
		cmocka_unit_test(what_is_not_there_and_what_goes_round_is_passed_over),
		cmocka_unit_test(a_folder_looked_at_is_an_empty_folder),
		cmocka_unit_test(of_a_home_only_code_travels),
		cmocka_unit_test(standing_in_the_home_makes_no_dot_files_travel),
		cmocka_unit_test(what_the_run_made_or_changed_stays),
		cmocka_unit_test(a_source_has_its_compiled_file_in_the_plan),
		cmocka_unit_test(the_first_line_that_differs_is_found),
		cmocka_unit_test(secrets_kernels_and_the_boxs_own_stay),
		cmocka_unit_test(asking_is_stronger_than_home_and_mode_and_excluding_than_asking),
		cmocka_unit_test(globs_of_the_working_folder_need_no_path_before_them),
		cmocka_unit_test(two_files_for_one_place_are_told),
		cmocka_unit_test(too_much_is_refused_and_the_largest_named),
		cmocka_unit_test(more_paths_than_may_be_are_refused),
		cmocka_unit_test(what_failed_runs_say_leads_to_what_was_left_out),
		cmocka_unit_test(numpy_is_told_not_to_warn_of_what_the_box_sets),
		cmocka_unit_test(an_environment_keeps_how_code_is_found),
		cmocka_unit_test(open_flags_say_what_is_done),
		cmocka_unit_test(calls_name_files_by_these_arguments),
		cmocka_unit_test(a_script_names_its_interpreter),
		cmocka_unit_test(a_dynamic_program_names_its_loader),
	};

	return cmocka_run_group_tests_name("pack", tests, NULL, NULL);
}
