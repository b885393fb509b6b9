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
#include "sandbox/place.h"
#include "sandbox/plan.h"
#include "sandbox/raw.h"
#include "sandbox/space.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define COPY_PIECE (1 << 20)

#define MNT_DETACH 2 /* of umount2; only in sys/mount.h, which does not go with linux/mount.h */

/* --- small ones ------------------------------------------------------------------------------------ */

static long mount_at(
	const char *what, const char *where, const char *type, long flags, const char *options)
{
	return raw5(SYS_mount, RAW(what), RAW(where), RAW(type), flags, RAW(options));
}

static long make_folder(const char *path)
{
	return raw3(SYS_mkdirat, AT_FDCWD, RAW(path), 0755);
}

static long open_file(const char *path, int how, int mode)
{
	return raw4(SYS_openat, AT_FDCWD, RAW(path), how | O_CLOEXEC, mode);
}

static long look_at(int fd, struct stat *st)
{
	return raw4(SYS_newfstatat, fd, RAW(""), RAW(st), AT_EMPTY_PATH);
}

/* As open_file, with a number that the program's descriptors do not need. */
static long open_away(const char *path, int how)
{
	long fd = open_file(path, how, 0), away;

	if (fd < 0)
		return fd;
	away = raw3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, PLACE_FD_AWAY);
	raw1(SYS_close, fd);
	return away;
}

static void shut(int fd)
{
	if (fd >= 0)
		raw1(SYS_close, fd);
}

/* dir + "/" + name; false: does not fit. */
static bool join(char *path, size_t room, const char *dir, const char *name)
{
	size_t a = strlen(dir), b = strlen(name);

	if (a + b + 2 > room)
		return false;
	memcpy(path, dir, a);
	path[a] = '/';
	memcpy(path + a + 1, name, b + 1);
	return true;
}

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

/* --- taking from the old root ------------------------------------------------------------------------ */

/* A private clone of what is at `path` of the host, with `attributes` set on it and all below; or -errno.
 * Never anything of /proc: it would show the host's processes. */
static int clone_tree(const struct plan *p, const char *path, uint64_t attributes)
{
	struct mount_attr a = { .attr_set = attributes };
	bool secret = strcmp(path, "/proc") == 0 || strncmp(path, "/proc/", 6) == 0;
	long fd, rc;

	if (secret)
		return -2; /* ENOENT */
	fd = raw3(SYS_open_tree, p->host, RAW(path[1] ? path + 1 : "."),
		OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW);
	if (fd < 0)
		return (int)fd;
	rc = raw5(SYS_mount_setattr, fd, RAW(""), AT_EMPTY_PATH | AT_RECURSIVE, RAW(&a), sizeof(a));
	if (rc >= 0)
		return (int)fd;
	shut((int)fd);
	return (int)rc;
}

/* A read-only clone of the very file that was opened, if we can read it by path; else -1. */
static int clone_opened(const struct plan *p, const struct plan_input *in, uint64_t more)
{
	const uint64_t attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | more;
	int tree = in->path ? clone_tree(p, in->path, attributes) : -1;
	struct stat st;

	if (tree < 0)
		return -1;
	if (look_at(tree, &st) == 0 && st.st_dev == in->dev && st.st_ino == in->ino &&
		raw4(SYS_faccessat2, tree, RAW(""), 4 /* R_OK */, AT_EMPTY_PATH | AT_EACCESS) == 0)
		return tree;
	shut(tree);
	return -1;
}

/* --- the new root, built at `.` ---------------------------------------------------------------------- */

static long touch(const char *path)
{
	long fd = open_file(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0444);

	return fd < 0 ? fd : raw1(SYS_close, fd);
}

/* Move `tree` (used up) to `path`, made to fit. */
static long place(int tree, const char *path)
{
	struct stat st;
	long rc = look_at(tree, &st);

	if (rc >= 0)
		rc = S_ISDIR(st.st_mode) ? make_folder(path) : touch(path);
	if (rc >= 0)
		rc = raw5(SYS_move_mount, tree, RAW(""), AT_FDCWD, RAW(path),
			MOVE_MOUNT_F_EMPTY_PATH);
	shut(tree);
	return rc;
}

static long copy_input(int from, const struct plan_input *in)
{
	off_t at = 0;
	long to, n = 1;

	if (!in->regular)
		return -13; /* EACCES: a folder that nobody may reach */
	to = open_file(in->show, O_WRONLY | O_CREAT | O_EXCL, 0444);
	if (to < 0)
		return to;
	while (at < in->bytes && n > 0)
		n = raw4(SYS_sendfile, to, from, RAW(&at), COPY_PIECE);
	shut((int)to);
	return n < 0 ? n : at == in->bytes ? 0 : -5; /* EIO: it became shorter */
}

static int place_inputs(struct plan *p, const int *inputs)
{
	for (size_t i = 0; i < p->n_inputs; i++) {
		const struct plan_input *in = &p->inputs[i];
		int tree = clone_opened(p, in, MOUNT_ATTR_NOEXEC);
		long rc = tree >= 0 ? place(tree, in->show) : copy_input(inputs[i], in);

		if (plan_fails(p, STEP_INPUT, (int)i, rc))
			return -1;
	}
	return 0;
}

/* --- standard input ---------------------------------------------------------------------------------- */

/* Its owner is who runs the program: by the descriptor that we were given it could change the host's
 * file's mode and times, which no open mode forbids. Whose file it is not, or whose has no name, it
 * may keep; the latter not beside a /proc, where it could be opened anew: of a file in memory Landlock does not
 * know the place. */
static bool could_change(const struct plan *p)
{
	struct stat st;

	if (!p->in.regular || look_at(0, &st) < 0)
		return false;
	if (st.st_nlink == 0)
		return p->bits & BOX_PROC;
	return st.st_uid == (uid_t)raw0(SYS_geteuid);
}

/* The same file by a read-only mount of its own, which is let go as soon as it is open. */
static long open_guarded(int tree, const char *path)
{
	long fd = place(tree, path);

	if (fd >= 0)
		fd = open_file(path, O_RDONLY | O_NOCTTY, 0);
	raw2(SYS_umount2, RAW(path), MNT_DETACH);
	raw3(SYS_unlinkat, AT_FDCWD, RAW(path), 0);
	return fd;
}

/* What it holds, in memory, never to be changed: for where its path does not lead to it. */
static long copy_stdin(const struct plan_input *in)
{
	off_t at = 0;
	long n = 1, fd = raw2(SYS_memfd_create, RAW("stdin"), MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return fd;
	while (at < in->bytes && n > 0)
		n = raw4(SYS_sendfile, fd, 0, RAW(&at), COPY_PIECE);
	if (n >= 0)
		n = raw3(SYS_fcntl, fd, F_ADD_SEALS,
			F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	if (n >= 0)
		return fd;
	shut((int)fd);
	return n;
}

/* The same as a file of the new root, which becomes read-only: it can be opened anew by /proc, but no more
 * than read (and executed, when `mode` says so). */
static long copy_below(int from, const struct plan_input *in, int mode)
{
	long rc = copy_input(from, in);

	if (rc >= 0)
		rc = raw4(SYS_fchmodat, AT_FDCWD, RAW(in->show), mode, 0);
	if (rc >= 0)
		rc = open_file(in->show, O_RDONLY | O_NOCTTY, 0);
	raw3(SYS_unlinkat, AT_FDCWD, RAW(in->show), 0);
	return rc;
}

static int guard_stdin(struct plan *p)
{
	long fd, at = raw3(SYS_lseek, 0, 0, SEEK_CUR);
	int tree;

	if (!could_change(p))
		return 0;
	tree = clone_opened(p, &p->in, MOUNT_ATTR_NOEXEC);
	if (tree >= 0)
		fd = open_guarded(tree, p->in.show);
	else
		fd = p->bits & BOX_PROC ? copy_below(0, &p->in, 0444) : copy_stdin(&p->in);
	if (plan_fails(p, STEP_STDIN, 0, fd))
		return -1;
	raw3(SYS_lseek, fd, at, SEEK_SET);
	raw3(SYS_dup3, fd, 0, 0);
	shut((int)fd);
	return 0;
}

/* --- the program beside a /proc --------------------------------------------------------------------------- */

/* Its link in there leads to the file that it was started from: by a mount of the host's its owner, who runs it,
 * could change the file's mode and times. So it is started by a read-only one; where its path does not lead to it and
 * it is ours, from a copy. */
static int guard_program(struct plan *p)
{
	struct stat st;
	long fd;
	int tree;

	if (!(p->bits & BOX_PROC) || p->profile != BOX_FILES)
		return 0;
	tree = clone_opened(p, &p->program, 0);
	if (tree < 0 && look_at(PLAN_PROGRAM, &st) == 0 && st.st_uid != (uid_t)raw0(SYS_geteuid))
		return 0;
	fd = tree >= 0 ? open_guarded(tree, p->program.show)
	               : copy_below(PLAN_PROGRAM, &p->program, 0555);
	if (fd >= 0)
		fd = raw3(SYS_dup3, fd, PLAN_PROGRAM, O_CLOEXEC);
	return plan_fails(p, STEP_PROGRAM, 0, fd);
}

static int place_roots(struct plan *p)
{
	const uint64_t attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

	for (size_t i = 0; i < p->n_roots; i++) {
		const struct plan_root *r = &p->roots[i];
		long rc = r->link ? raw3(SYS_symlinkat, RAW(r->link), AT_FDCWD, RAW(r->name))
		                  : clone_tree(p, r->path, attributes);

		if (rc >= 0 && !r->link)
			rc = place((int)rc, r->name);
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
	tree = clone_tree(p, from, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	if (tree >= 0)
		(void)place(tree, to);
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
		4096);              /* what is not asked for need not be made */
	(void)touch("dev/urandom"); /* where the machine has none */
	return mount_at("tmp/urandom", "dev/urandom", NULL, MS_BIND, NULL);
}

static long drop_urandom(struct plan *p)
{
	shut(p->urandom);
	p->urandom = -1;
	return raw2(SYS_umount2, RAW("dev/urandom"), MNT_DETACH);
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

static int leave_host(struct plan *p)
{
	const long flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV;
	long rc = raw2(SYS_umount2, RAW("."), MNT_DETACH);

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
	return new_root(p) || enter(p) || leave_host(p) ? -1 : 0;
}

int space_bare(struct plan *p)
{
	if (new_root(p) || plan_fails(p, STEP_DEVICES, 0, make_skeleton(p)))
		return -1;
	return enter(p) || leave_host(p) ? -1 : 0;
}

int space_prepare(struct plan *p)
{
	if (!p->inherits_root &&
		(new_root(p) || plan_fails(p, STEP_DEVICES, 0, make_skeleton(p)) || enter(p)))
		return -1;
	if (plan_fails(p, STEP_WORK, 0, make_work(p)))
		return -1;
	return p->alone && p->host >= 0 ? leave_host(p) : 0;
}

int space_furnish(struct plan *p, const int *inputs)
{
	if (!p->seeded && p->urandom >= 0 && plan_fails(p, STEP_DEVICES, 0, drop_urandom(p)))
		return -1;
	if (guard_stdin(p) || guard_program(p) || place_inputs(p, inputs) || place_roots(p) ||
		make_proc(p) || size_work(p))
		return -1;
	return p->host >= 0 ? leave_host(p) : 0;
}
