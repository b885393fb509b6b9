/* SPDX-License-Identifier: Apache-2.0
 *
 * furnish.c: the init's half of space.h: the root, built from inside. Raw system calls only (raw.h).
 *
 * The new root is a tmpfs; it becomes the root with the host's still mounted behind it, what the box may
 * see is moved from there into it, then the host's is unmounted. What does not depend on
 * the task is made before it is known. A descriptor opened outside cannot be mounted in here (its
 * mount belongs to another namespace), so the path is walked again and the result compared
 * with what was opened; what nobody may reach by path is copied.
 *
 *	/in/NAME  read-only, noexec    /out, /tmp  one tmpfs, sized    /dev  null zero urandom
 *	/usr …    --root's folders, read-only                           no /sys; /proc only with its bit
 */
#include "sandbox/space.h"
#include "sandbox/take.h"

#include <linux/mount.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* --- ids and name ---------------------------------------------------------------------------------- */

static long write_proc(int proc, const char *name, const char *text)
{
	long fd = raw4(SYS_openat, proc, RAW(name), O_WRONLY | O_CLOEXEC, 0), n;

	if (fd < 0)
		return fd;
	n = raw3(SYS_write, fd, RAW(text), (long)strlen(text));
	shut((int)fd);
	return n;
}

int space_map(struct plan *p)
{
	if (plan_fails(p, STEP_MAPS, 0, write_proc(p->proc, "self/setgroups", "deny")) ||
		plan_fails(p, STEP_MAPS, 0, write_proc(p->proc, "self/uid_map", p->uid_map)))
		return -1;
	return plan_fails(p, STEP_MAPS, 0, write_proc(p->proc, "self/gid_map", p->gid_map));
}

int space_name(struct plan *p)
{
	if (plan_fails(p, STEP_HOSTNAME, 0, raw2(SYS_sethostname, RAW("box"), 3)))
		return -1;
	return plan_fails(p, STEP_HOSTNAME, 0, raw2(SYS_setdomainname, RAW(""), 0));
}

/* All at once is the usual case; one by one only to find which is refused. */
int space_unshare(struct plan *p)
{
	unsigned left = p->layers & ~p->born;
	long rc, flags = 0;

	if (p->inherits_name)
		left &= ~(BOX_BIT(NETNS) | BOX_BIT(IPCNS) | BOX_BIT(UTSNS));
	p->told.layers = p->layers & (p->born | ~(BOX_BIT(USERNS) | BOX_BIT(PIDNS)));
	if (!(p->born & BOX_BIT(USERNS))) { /* without its rights there are no others */
		p->told.layers = 0;
		return 0;
	}
	left &= ~(BOX_BIT(USERNS) | BOX_BIT(PIDNS));
	for (int i = 0; i < SPACE_KINDS; i++)
		flags |= left & (1u << space_kinds[i].layer) ? space_kinds[i].flag : 0;
	if (raw1(SYS_unshare, flags) == 0)
		return 0;
	for (int i = 0; i < SPACE_KINDS; i++) {
		if (!(left & (1u << space_kinds[i].layer)))
			continue;
		rc = raw1(SYS_unshare, space_kinds[i].flag);
		if (rc >= 0)
			continue;
		p->told.layers &= ~(1u << space_kinds[i].layer);
		if (p->profile != BOX_COMPUTE)
			return plan_fails(p, STEP_LAYER, (int)space_kinds[i].layer, rc);
	}
	return 0;
}

/* --- the new root, built at `.` ---------------------------------------------------------------------- */

static int place_inputs(struct plan *p, const int *inputs)
{
	for (size_t i = 0; i < p->n_inputs; i++) {
		const struct plan_input *in = &p->inputs[i];

		if (plan_fails(p, STEP_INPUT, (int)i, take_input(p, inputs[i], in)))
			return -1;
	}
	return 0;
}

static int place_roots(struct plan *p)
{
	const uint64_t attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

	for (size_t i = 0; i < p->n_roots; i++) {
		const struct plan_root *r = &p->roots[i];
		long rc = r->link ? raw3(SYS_symlinkat, RAW(r->link), AT_FDCWD, RAW(r->name))
		                  : take_tree(p, r->path, attributes, true);

		if (rc >= 0 && !r->link)
			rc = take_to((int)rc, r->name);
		if (plan_fails(p, STEP_ROOT, (int)i, rc))
			return -1;
	}
	return 0;
}

/* A missing device is no loss of safety. */
static void place_device(const struct plan *p, const char *name)
{
	char from[32], to[32];
	int tree;

	if (!join(from, sizeof(from), "/dev", name) || !join(to, sizeof(to), "dev", name))
		return;
	tree = take_tree(p, from, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, false);
	if (tree >= 0)
		(void)take_to(tree, to);
}

static long make_skeleton(struct plan *p)
{
	static const char *const folders[] = { "in", "dev", "out", "tmp" };
	static const char *const devices[] = { "null", "zero", "urandom" };
	long rc = 0;

	for (size_t i = 0; i < LEN(folders) && rc >= 0; i++)
		rc = make_folder(folders[i]);
	for (size_t i = 0; i < LEN(devices) && rc >= 0; i++)
		place_device(p, devices[i]);
	return rc;
}

/* --- what is each box's own, mounted on the skeleton -------------------------------------------------- */

/* In a seeded box, the usual kind, /dev/urandom is a pipe that the init fills; it holds both ends of
 * it, so that it never ends. */
static long make_urandom(struct plan *p)
{
	long fd = raw4(SYS_mknodat, AT_FDCWD, RAW("tmp/urandom"), S_IFIFO | 0444, 0);

	if (fd >= 0)
		fd = open_away("tmp/urandom", O_RDWR | O_NONBLOCK);
	if (fd < 0)
		return fd;
	p->urandom = (int)fd;
	raw3(SYS_fcntl, p->urandom, F_SETPIPE_SZ,
		4096);                   /* what is not asked for need not be made */
	(void)take_touch("dev/urandom"); /* where the machine has none */
	return mount_at("tmp/urandom", "dev/urandom", NULL, MS_BIND, NULL);
}

static long drop_urandom(struct plan *p)
{
	shut(p->urandom);
	p->urandom = -1;
	return raw2(SYS_umount2, RAW("dev/urandom"), TAKE_DETACH);
}

/* The bit `proc`: the processes of the box that its program could trace, which leaves out the init, and none of
 * the files that are about the machine (Linux 5.8). The kernel grants it only where an unmasked /proc can be seen,
 * here the host's, which still stands behind. Read-only twice, as a mount and as a file system; so nothing of it
 * can be changed, whatever its files allow. */
static int make_proc(struct plan *p)
{
	const long flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
	long rc;

	if (!(p->bits & BOX_PROC))
		return 0;
	rc = make_folder("proc");
	if (rc >= 0)
		rc = mount_at("proc", "proc", "proc", flags, "subset=pid,hidepid=ptraceable");
	return plan_fails(p, STEP_PROC, 0, rc);
}

/* /out and /tmp are two folders of one tmpfs, so that one size limits both. It stands whole at /tmp, opened
 * there, until its own folder `tmp` covers it. */
static const long work_flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

static long make_work(struct plan *p)
{
	long rc = mount_at("work", "tmp", "tmpfs", work_flags, p->work_usual);

	if (rc >= 0)
		rc = open_away("tmp", O_RDONLY | O_DIRECTORY);
	p->work = (int)rc;
	if (rc >= 0)
		rc = make_folder("tmp/out");
	if (rc >= 0)
		rc = make_folder("tmp/tmp");
	if (rc >= 0 && (p->seeded || !p->ahead))
		rc = make_urandom(p);
	if (rc >= 0)
		rc = mount_at("tmp/out", "out", NULL, MS_BIND, NULL);
	return rc < 0 ? rc : mount_at("tmp/tmp", "tmp", NULL, MS_BIND, NULL);
}

static int size_work(struct plan *p)
{
	long rc = 0;

	if (strcmp(p->work_options, p->work_usual) != 0)
		rc = mount_at(NULL, "out", NULL, MS_REMOUNT | work_flags, p->work_options);
	return plan_fails(p, STEP_WORK, 0, rc);
}

/* --- the way there ----------------------------------------------------------------------------------- */

/* Mount the tmpfs that becomes the root, and go there. Over /proc, which every system has. */
static int new_root(struct plan *p)
{
	long rc = mount_at(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);

	if (plan_fails(p, STEP_PRIVATE, 0, rc))
		return -1;
	rc = open_away("/", O_PATH | O_DIRECTORY);
	p->host = (int)rc;
	if (rc >= 0)
		rc = mount_at("box", "/proc", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
	if (rc >= 0)
		rc = raw1(SYS_chdir, RAW("/proc"));
	return plan_fails(p, STEP_TMPFS, 0, rc);
}

/* pivot_root(".", ".") puts the old root over the new one (pivot_root(2)), where no path begins. */
static int enter(struct plan *p)
{
	return plan_fails(p, STEP_PIVOT, 0, raw2(SYS_pivot_root, RAW("."), RAW(".")));
}

int space_leave(struct plan *p)
{
	const long flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV;
	long rc = raw2(SYS_umount2, RAW("."), TAKE_DETACH);

	if (rc >= 0)
		rc = raw1(SYS_chdir, RAW("/"));
	shut(p->host);
	p->host = -1;
	if (plan_fails(p, STEP_PIVOT, 0, rc))
		return -1;
	return plan_fails(p, STEP_READ_ONLY, 0, mount_at(NULL, "/", NULL, flags, NULL));
}

int space_empty(struct plan *p)
{
	if (new_root(p) == 0 && enter(p) == 0)
		return 0;
	shut(p->host);
	p->host = -1;
	return -1;
}

int space_bare(struct plan *p)
{
	if (new_root(p) || plan_fails(p, STEP_DEVICES, 0, make_skeleton(p)))
		return -1;
	return enter(p) || space_leave(p) ? -1 : 0;
}

int space_prepare(struct plan *p)
{
	if (!p->inherits_root &&
		(new_root(p) || plan_fails(p, STEP_DEVICES, 0, make_skeleton(p)) || enter(p)))
		return -1;
	if (plan_fails(p, STEP_WORK, 0, make_work(p)))
		return -1;
	return p->alone && p->host >= 0 ? space_leave(p) : 0;
}

int space_furnish(struct plan *p, const int *inputs)
{
	if (!p->seeded && p->urandom >= 0 && plan_fails(p, STEP_DEVICES, 0, drop_urandom(p)))
		return -1;
	return take_stdin(p) || take_program(p) || place_inputs(p, inputs) || place_roots(p) || make_proc(p) || size_work(p) ? -1 : 0;
}
