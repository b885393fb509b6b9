#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_escape.py: programs that try to get out of the box, and what is left of them.

    test_escape.py [-v] [NAME...]        -v: say each run as it ends; NAME: of a row or of a group of rows

tests/escape holds the programs, as rows of tables (hostile.h); this runs each row

    in a box of each profile in which it makes sense (what is about limits not in `image` again, which has those
    of `files`; the image lies as well as it can): as root and as `nobody`, `compute` also without
    namespaces, `files` and `image` also with the bits jit and proc (what those are for aside), as root also where no cgroup can be had, as `nobody` also where
    cgroups are delegated to it, and what is about limits also where neither a cgroup nor the kernel's counters can be had;
    outside of a box, once, to show that the row bites: see bite_*().

A boxed row is right when the report gives the reason that its table names, it did not say "BROKE", no
process of it is left, the host's files are as before, and the output folder holds only what may be
there. Then launchers are killed at random moments, and nothing may be left.
"""
import concurrent.futures
import hashlib
import json
import os
import pty
import pwd
import random
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.path.abspath(os.environ.get("TALKOOT_BIN", "build/bin"))
USER = "nobody"
TIMEOUT = 90
WORKERS = 2
KILLS = 30          # launchers killed, per profile and user
KILL_WITHIN = 0.06  # seconds after their start: a box is made and its program runs well before
SECRET = b"secret of the host\n"
ENVIRONMENT = "TALKOOT_ESCAPE_SECRET"
# What a kernel says that lacks something, whoever asks.
LACKS = {"ENOSYS", "ENODEV", "ENXIO", "ENOENT", "EAFNOSUPPORT", "ESOCKTNOSUPPORT", "EPROTONOSUPPORT", "EOPNOTSUPP",
         "ENOTSUP"}
COMPUTE, FILES = 1, 2
IMAGED = {"files", "links", "kernel", "rights", "namespaces", "leaks", "outputs", "proc"} # groups that may differ in an image
LIMITS = {"resources", "kernel_memory", "sideways", "threads"}  # groups of rows that are about limits
DELEGATION = "with a cgroup of its own"  # of settings
NAMESPACED, TERMINAL, NO_OUT, MAY_LACK, SHARED_NET, STDIN_FILE, BY_BITS = 1, 2, 4, 8, 16, 32, 64
# The box's own bounds: sandbox/box.h
NAME = re.compile(rb"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
OUTPUTS_MAX, LEVELS_MAX = 4096, 4
COUNTS = {"passed": 0, "failed": 0, "skipped": 0}
DELEGATED = []  # folders of cgroups that were made here and given away
LOCK = threading.Lock()
VERBOSE = False


class Skip(Exception):
    pass


class Row:
    def __init__(self, line):
        self.group, self.name, profiles, self.bite, how, ends, options = line.split("\t")
        self.profiles, self.how = int(profiles), int(how)
        self.ends, self.options = ends.split(), options.split()

    def leaves_nothing(self, profile):
        """Whether it can share a box: it only asks for things, and is refused them."""
        groups = ("kernel", "rights", "namespaces", "leaks") + (("files", "links") if profile == "compute" else ())
        return (self.group in groups and self.ends == ["exited"] and not self.options and not self.how & (TERMINAL | STDIN_FILE))

    def disk_mib(self):
        return int(self.options[self.options.index("--disk") + 1]) if "--disk" in self.options else 256


class World:
    """Who runs things, and a folder with an input, a secret beside it and room for what comes out."""

    def __init__(self, top, user):
        self.top, self.user = top, user
        self.uid = pwd.getpwnam(user).pw_uid if user else os.geteuid()
        self.gid = pwd.getpwnam(user).pw_gid if user else os.getegid()
        self.dir = os.path.join(top, user or "me")
        self.tmp = os.path.join(self.dir, "tmp")
        for path in self.dir, self.tmp:
            os.mkdir(path, 0o755)
            os.chown(path, self.uid, self.gid)
        self.box = os.path.join(top, "talkoot-sandbox")
        self.hostile = os.path.join(top, "hostile")
        self.image = os.path.join(top, "image")
        self.input = self.write("data", b"input\n" * 100)
        self.secret = self.write("secret", SECRET)
        self.stdin = self.write("stdin", b"standard input\n")
        self.fd = os.open(self.secret, os.O_RDONLY)
        os.set_inheritable(self.fd, True)
        self.env = dict(os.environ, TMPDIR=self.tmp, **{ENVIRONMENT: "leaked"})
        self.n = 0
        self.launched = set()

    def write(self, name, data):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as f:
            f.write(data)
        os.chmod(path, 0o644)
        os.chown(path, self.uid, self.gid)
        return path

    def path(self, kind):
        with LOCK:
            self.n += 1
            return os.path.join(self.dir, "%s%d" % (kind, self.n))

    def start(self, argv, **more):
        if self.user:
            more.update(user=self.user, group=self.gid, extra_groups=[])
        more.setdefault("stdin", subprocess.DEVNULL)
        p = subprocess.Popen(argv, cwd=self.tmp, env=self.env, close_fds=False, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, **more)
        with LOCK:
            self.launched.add(p.pid)
        return p

    def arguments(self, name, mark):
        return [name, mark, os.uname().nodename, self.secret, ENVIRONMENT, "talkoot-escape-%d" % os.getpid(),
                str(self.uid)]

    def state_of_host(self):
        """What no row may change: the input, the secret, a few files that everybody has."""
        state = []
        for path in self.input, self.secret, "/etc/passwd", "/dev/null", self.dir:
            st = os.stat(path)
            state.append((path, st.st_mode, st.st_uid, st.st_gid) + (() if path in ("/dev/null", self.dir) else (
                st.st_ino, st.st_nlink, st.st_size, st.st_mtime_ns, st.st_ctime_ns)))
        for path in self.input, self.secret:
            with open(path, "rb") as f:
                state.append(hashlib.sha256(f.read()).digest())
            state.append(tuple(os.listxattr(path)))
        return state


# --- what is left ----------------------------------------------------------------------------

def state(pid):
    """The letter that ps(1) shows; X when there is no such process."""
    try:
        with open("/proc/%s/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "X"


def alive(mark):
    """Processes, zombies aside, whose command line holds `mark`."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                if mark.encode() not in f.read():
                    continue
        except OSError:
            continue
        if state(pid) not in "ZX":
            found.append(int(pid))
    return found


def until(test, seconds=20):
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def end_all(mark):
    """Only what bears the mark, which is ours."""
    def none_left():
        for pid in alive(mark):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return not alive(mark)
    until(none_left)


def check_nothing_runs(mark):
    if not until(lambda: not alive(mark), 10):
        left = alive(mark)
        end_all(mark)
        raise AssertionError("%d processes are left" % len(left))


def check_outputs(top, disk_mib, uids):
    """The rules for what was taken; raises AssertionError, or OSError where not even looking is possible."""
    files, total = 0, 0
    todo = [(os.fsencode(top), 1)]
    while todo:
        at, level = todo.pop()
        for e in os.scandir(at):
            st = e.stat(follow_symlinks=False)
            assert NAME.fullmatch(e.name), "output name %r" % e.name
            assert level <= LEVELS_MAX, "output at level %d" % level
            assert st.st_uid in uids, "output %r belongs to %d" % (e.name, st.st_uid)
            assert not os.listxattr(e.path, follow_symlinks=False), "output %r has attributes" % e.name
            if stat.S_ISDIR(st.st_mode):
                assert stat.S_IMODE(st.st_mode) == 0o700, "folder %r has mode %o" % (e.name, st.st_mode)
                todo.append((e.path, level + 1))
                continue
            assert st.st_mode == 0o100600, "output %r has mode %o" % (e.name, st.st_mode)
            assert st.st_nlink == 1, "output %r has %d links" % (e.name, st.st_nlink)
            with open(e.path, "rb") as f:
                head = f.read(4096)
            assert SECRET not in head and b"root:" not in head, "output %r holds what is the host's" % e.name
            files, total = files + 1, total + st.st_size
    assert files <= OUTPUTS_MAX, "%d outputs" % files
    assert total <= disk_mib << 20, "%d bytes of outputs" % total


def remove(path):
    subprocess.run(["chmod", "-R", "u+rwx", path], stderr=subprocess.DEVNULL)
    subprocess.run(["rm", "-rf", path])


def mounts():
    with open("/proc/self/mountinfo") as f:
        return {line.split()[4] for line in f if " - tmpfs " in line or "talkoot" in line}


def cgroup_folders():
    """Where a launcher that we start may make one: below our own (version 1) or beside it (2)."""
    with open("/proc/self/cgroup") as f:
        own = {line.rstrip("\n").split(":", 2)[2] for line in f}
    with open("/proc/self/mounts") as f:
        tops = [line.split()[1] for line in f if line.split()[2].startswith("cgroup")]
    return {top + path for top in tops for p in own for path in (p, os.path.dirname(p)) if os.path.isdir(top + path)} | set(DELEGATED)


def cgroups_of(pid):
    """Cgroups that are named for this launcher. Others' may bear its number, from when it was theirs."""
    return [os.path.join(top, d) for top in cgroup_folders() for d in os.listdir(top)
            if re.fullmatch(r"talkoot\D*%d-\d+" % pid, d)]


def temporary_files_of(w, pids):
    found = os.listdir(w.tmp)
    for top in "/tmp", "/var/tmp", "/dev/shm", "/run":
        try:
            names = os.listdir(top)
        except OSError:
            continue
        found += [os.path.join(top, n) for n in names
                  if any(int(i) in pids for i in re.findall(r"\d+", n)) and re.search("box|sandbox|talkoot-work", n)]
    return found


# --- in a box --------------------------------------------------------------------------------

class Setting:
    """How a row is boxed. `before` is put in front of the launcher."""

    def __init__(self, what, world, profile, before=(), without=0, groups=None, bits=""):
        self.what, self.w, self.profile, self.before, self.without = what, world, profile, list(before), without
        self.groups = groups  # None: all
        self.bits = bits
        self.name = "%s%s as %s" % (profile, " " + what if what else "", world.user or "me")

    def program(self):
        return "/bin/hostile" if self.profile == "image" else self.w.hostile

    def fits(self, row):
        return (row.profiles & (COMPUTE if self.profile == "compute" else FILES) and not row.how & self.without and
                (self.groups is None or row.group in self.groups) and
                not (self.profile == "image" and row.name == "list_root"))  # an image has folders of its own


def no_namespaces():
    return ["unshare", "-Ur", "sh", "-c", 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"', "sh"]


def no_cgroup():
    return ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /sys/fs/cgroup; exec "$@"', "sh"]


def blind(w):
    return [w.hostile, "--blind"]


def version_1(controller):
    """The folder of our own cgroup in the hierarchy of this controller, or None."""
    with open("/proc/self/mounts") as f:
        tops = [m[1] for m in map(str.split, f) if m[2] == "cgroup" and controller in m[3].split(",")]
    with open("/proc/self/cgroup") as f:
        paths = [c[2] for c in (line.rstrip("\n").split(":", 2) for line in f) if controller in c[1].split(",")]
    path = tops[0] + paths[0].rstrip("/") if tops and paths else None
    return path if path and os.path.isdir(path) else None


def delegated(w):
    """Begins a command line that runs the rest in cgroups which belong to `w.user`, as an administrator would give
    them (cgroups(7), "delegation"): version 1, whose process may move itself."""
    for controller in "memory", "freezer", "pids", "cpuacct":
        top = version_1(controller)
        if not top or not os.access(top, os.W_OK):
            if controller == "memory":
                raise Skip("no hierarchy of version 1 with `memory` in which we may make a cgroup")
            continue
        path = "%s/talkoot-escape-%d" % (top, os.getpid())
        if path in DELEGATED:  # two controllers in one hierarchy
            continue
        try:
            os.mkdir(path)
        except OSError as e:
            raise Skip("%s: %s" % (path, e.strerror))
        DELEGATED.append(path)
        for name in "", "cgroup.procs", "tasks":
            os.chown(os.path.join(path, name), w.uid, w.gid)
    join = "".join("echo $$ >%s/cgroup.procs; " % d for d in DELEGATED)
    return ["sh", "-ec", join + 'exec "$@"', "sh"]


def take_back():
    for path in DELEGATED:
        until(lambda: not os.path.isdir(path) or rmdir(path), 10)


def rmdir(path):
    try:
        os.rmdir(path)
    except OSError:
        return False
    return True


def the_cgroup_is_used(setting):
    """What was delegated is what holds a box that lives long enough to be looked at; else the setting shows nothing."""
    w, report = setting.w, setting.w.path("report")
    mark = "mark-%d-used-%s" % (os.getpid(), setting.profile)
    image = ["--root", w.image] if setting.profile == "image" else []
    p = w.start(setting.before + [w.box, "--profile", setting.profile, "--wall", "1", "--report", report, *image, "--",
                                  setting.program()] + w.arguments("linger", mark), stdin=subprocess.DEVNULL)
    _, err = p.communicate(timeout=TIMEOUT)
    with open(report) as f:
        got = json.load(f)
    assert got["reason"] == "wall" and "cgroup" in got["layers"], "%s, %r" % (got, err[-300:])


def terminal(before):
    """A new session whose terminal is standard input: (beginning of a command line, both ends)."""
    master, slave = pty.openpty()
    return ["setsid", "-c"] + before, master, slave


class Batch:
    """Rows that share a box."""

    def __init__(self, rows):
        self.rows, self.name = rows, ",".join(r.name for r in rows)
        self.ends, self.options, self.how = ["exited"], [], 0

    def disk_mib(self):
        return 256


def judge(row, rc, out, err, report):
    assert report is not None, "no report, exit %s, %r" % (rc, err[-200:])
    broke = [l for l in out.split(b"\n") if l.startswith(b"BROKE")]
    assert not broke, "%s (reason %s)" % (b"; ".join(broke[:3]).decode(errors="replace"), report["reason"])
    for want in row.ends:
        reason, _, number = want.partition("=")
        if report["reason"] != reason:
            continue
        if reason == "exited":
            ran = [l[4:].decode() for l in out.split(b"\n") if l.startswith(b"row ")]
            assert ran == row.name.split(","), "ran only up to %s" % ran[-1:]
            assert (rc, report["exit"]) == (int(number or 0),) * 2, "exit %s, in the report %s: %r" % (
                rc, report["exit"], out[-200:])
        elif reason == "signaled":
            assert (rc, report["signal"]) == (128 + int(number), int(number)), "exit %s, signal %s" % (
                rc, report["signal"])
        elif reason == "policy":
            assert rc == 128 + signal.SIGSYS, "exit %s" % rc
        else:
            assert rc == 124, "exit %s" % rc
        return
    raise AssertionError("ended by %s (exit %s), not by %s; %r %r" % (
        report["reason"], rc, " or ".join(row.ends), out[-200:], err[-200:]))


def boxed(row, setting):
    w, profile = setting.w, setting.profile
    mark, report, taken = "mark-%d-%s" % (os.getpid(), w.path("m").rsplit("/", 1)[1]), w.path("report"), w.path("out")
    argv, before, ends = [w.box, "--profile", profile, "--report", report] + row.options, setting.before, []
    if setting.bits:
        argv += ["--bits", setting.bits]
    if profile == "image":
        argv += ["--root", w.image]
    if profile != "compute":
        argv += ["--in", "data=" + w.input] + ([] if row.how & NO_OUT else ["--out", taken])
    if row.how & TERMINAL:
        before, *ends = terminal(before)
        argv += ["--stdin", "-"]
    if row.how & STDIN_FILE:
        argv += ["--stdin", w.stdin]
    host = w.state_of_host()
    p = w.start(before + argv + ["--", setting.program()] + w.arguments(row.name, mark + "-" + (w.user or "me")),
                stdin=ends[1] if ends else subprocess.DEVNULL)
    try:
        out, err = p.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        p.kill()
        end_all(mark)
        p.communicate()
        raise AssertionError("no end within %d s" % TIMEOUT)
    finally:
        for fd in ends:
            os.close(fd)
    got = None
    if os.path.exists(report) and os.path.getsize(report):
        with open(report) as f:
            got = json.load(f)
    try:
        check_nothing_runs(mark)
        judge(row, p.returncode, out, err, got)
        assert w.state_of_host() == host, "the host's files have changed"
        if os.path.exists(taken):
            check_outputs(taken, row.disk_mib(), {w.uid, 65534})
    finally:
        if os.path.exists(report):
            os.unlink(report)
        if os.path.exists(taken):
            remove(taken)


def boxed_together(rows, setting):
    """When anything is wrong, each has a box of its own, and what is wrong gets a name."""
    try:
        boxed(Batch(rows), setting)
    except AssertionError:
        for row in rows:
            run_one("%s (%s)" % (row.name, setting.name), boxed, row, setting)
        return 0
    return len(rows)


# --- outside of a box ------------------------------------------------------------------------

def weak(w, row, *flags, copy=""):
    """Run the row in a throw-away place (weak.c); gives its lines."""
    mark, root = "mark-%d-weak-%s" % (os.getpid(), row.name), w.path("weak")
    os.mkdir(root)
    before, ends = [], []
    if row.how & TERMINAL:
        before, *ends = terminal([])
    if row.how & STDIN_FILE:
        ends = [os.open("/dev/null", os.O_RDONLY), os.open(w.stdin, os.O_RDONLY)]
    net = [] if row.how & SHARED_NET else ["--net"]
    argv = ["unshare", *flags, "--mount", "--pid", "--fork", "--kill-child", *net, "--ipc", "--uts",
            w.hostile, "--weak", root, w.hostile, w.secret, copy]
    p = w.start(before + argv + w.arguments(row.name, mark), stdin=ends[1] if ends else subprocess.DEVNULL)
    try:
        out, err = p.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        p.kill()
        out, err = p.communicate()
    finally:
        for fd in ends:
            os.close(fd)
        os.rmdir(root)
    return out.decode(errors="replace").splitlines(), err, p.returncode


def need_broke(row, lines, err, rc):
    if any(l.startswith("BROKE") for l in lines):
        return
    why = [l.rsplit(": ", 1)[-1] for l in lines if l.startswith("denied")]
    if why and (set(why) <= LACKS or row.how & MAY_LACK):
        raise Skip("this kernel says " + ", ".join(sorted(set(why))))
    if row.how & MAY_LACK and not why:
        raise Skip("this kernel ends it (%d)" % rc)
    raise AssertionError("got nothing outside of a box: exit %d, %r, %r" % (rc, [l[:200] for l in lines[-5:]], err[-300:]))


def bite_weak(w, row):
    need_broke(row, *weak(w, row, "--user", "--map-root-user"))


def bite_root(w, row):
    if w.uid != 0:
        raise Skip("needs root")
    need_broke(row, *weak(w, row))


def bite_copied(w, row):
    copy = w.path("copy")
    os.mkdir(copy)
    try:
        lines, err, rc = weak(w, row, "--user", "--map-root-user", copy=copy)
        assert os.path.lexists(copy + "/out"), "no copy: %r" % err[-300:]
        try:
            check_outputs(copy + "/out", row.disk_mib(), {w.uid})
        except (AssertionError, OSError):
            return
        if all(l.rsplit(": ", 1)[-1] in LACKS | {"EXDEV"} for l in lines) and lines:
            raise Skip("; ".join(lines[:3]))
        raise AssertionError("a plain copy of its outputs breaks no rule: %r" % lines[:5])
    finally:
        remove(copy)


def bare(w, row):
    mark = "mark-%d-bare-%s" % (os.getpid(), row.name)
    return mark, w.start([w.hostile] + w.arguments(row.name, mark), start_new_session=True)


def bite_bare(w, row):
    mark, p = bare(w, row)
    out, err = p.communicate(timeout=TIMEOUT)
    need_broke(row, out.decode().splitlines(), err, p.returncode)


def bite_left(w, row):
    mark, p = bare(w, row)
    p.wait(TIMEOUT)
    left = until(lambda: alive(mark), 5)
    end_all(mark)
    p.communicate()
    assert left, "nothing was left outside of a box"


def bite_stays(w, row):
    mark, p = bare(w, row)
    line = p.stdout.readline(), p.stdout.readline()
    until(lambda: state(p.pid) in "ST", 5)
    p.terminate()
    time.sleep(0.2)  # for a signal to end it; longer would show no more
    left = alive(mark)
    end_all(mark)
    p.communicate()
    assert line[1] == b"here\n" and left, "it ended when asked to: %r" % line


def bite_status(w, row):
    mark, p = bare(w, row)
    p.communicate(timeout=TIMEOUT)
    kind, number = row.ends[0].split("=")
    assert p.returncode == (int(number) if kind == "exited" else -int(number)), "exit %d" % p.returncode


def bite_none(w, row):
    raise Skip("nothing to get")


BITES = {"weak": bite_weak, "root": bite_root, "bare": bite_bare, "left": bite_left, "stays": bite_stays,
         "status": bite_status, "copied": bite_copied, "none": bite_none}


# --- launchers killed at any moment ----------------------------------------------------------

def launcher_killed(setting):
    w, seed = setting.w, random.randrange(1 << 32)
    chance, pids, before = random.Random(seed), set(), mounts()
    try:
        for i in range(KILLS):
            mark = "mark-%d-killed-%s-%d" % (os.getpid(), w.path("k").rsplit("/", 1)[1], i)
            argv, taken, name = [w.box, "--profile", setting.profile], w.path("out"), "linger"
            if setting.bits:
                argv += ["--bits", setting.bits]
            if setting.profile == "image":
                argv += ["--root", w.image]
            if setting.profile != "compute":  # every second one while its outputs are taken
                name = ("linger_children", "out_many_5000")[i % 2]
                argv += ["--in", "data=" + w.input, "--out", taken]
            p = w.start(setting.before + argv + ["--", setting.program()] + w.arguments(name, mark))
            time.sleep(chance.uniform(0, KILL_WITHIN * (4 if name == "out_many_5000" else 1)))
            p.kill()
            p.communicate(timeout=TIMEOUT)
            pids.add(p.pid)
            check_nothing_runs(mark)
            left = until(lambda: not cgroups_of(p.pid), 10) or cgroups_of(p.pid)
            assert left is True, "cgroups are left: %s" % left
            if os.path.exists(taken):
                remove(taken)
        assert mounts() <= before, "mounts are left: %s" % (mounts() - before)
        assert not temporary_files_of(w, pids), "files are left: %s" % temporary_files_of(w, pids)
    except AssertionError as e:
        raise AssertionError("%s (round %d, seed %d)" % (e, i, seed))


# --- all of it -------------------------------------------------------------------------------

def report(kind, what, text="", n=1):
    with LOCK:
        COUNTS[kind] += n
        if kind == "failed":
            print("FAILED: %s: %s" % (what, text))
        elif VERBOSE:
            print("%s: %s%s" % (kind, what, ": " + text if text else ""))
        sys.stdout.flush()


def run_one(what, function, *args):
    began = time.monotonic()
    try:
        n = function(*args)
        report("passed", what, "%.2f s" % (time.monotonic() - began), 1 if n is None else n)
    except Skip as e:
        report("skipped", what, str(e))
        return what, str(e)
    except Exception as e:  # anything is a failure; an AssertionError says which
        report("failed", what, "%s: %s" % (type(e).__name__, e))
    return None


def settings(top):
    me = World(top, None)
    plain = [Setting("", me, "compute"), Setting("", me, "files"), Setting("", me, "image", groups=IMAGED),
             Setting("with jit and proc", me, "files", without=BY_BITS, bits="jit,proc"),
             Setting("with jit and proc", me, "image", without=BY_BITS, groups=IMAGED, bits="jit,proc"),
             Setting("without namespaces", me, "compute", no_namespaces(), NAMESPACED)]
    if me.uid != 0:
        plain.append(Setting("without counters", me, "files", blind(me), 0, LIMITS))
        return me, plain, ["all as root and as another user: not root"]
    plain += [Setting("without a cgroup", me, p, no_cgroup()) for p in ("compute", "files")]
    try:
        other = World(top, USER)
    except KeyError:
        return me, plain, ["all as an ordinary user: there is no user " + USER]
    given, missing = [], []
    try:
        before = delegated(other)
        given = [Setting(DELEGATION, other, "compute", before), Setting(DELEGATION, other, "files", before),
                 Setting(DELEGATION, other, "image", before, groups=IMAGED),
                 Setting(DELEGATION + ", jit and proc", other, "files", before, BY_BITS, IMAGED, "jit,proc")]
    except Skip as e:
        missing = ["all as an ordinary user to whom a cgroup is delegated: %s" % e]
    return me, plain + given + [Setting("", other, "compute"), Setting("", other, "files"),
                        Setting("", other, "image", groups=IMAGED),
                        Setting("with jit and proc", other, "files", without=BY_BITS, bits="jit,proc"),
                        Setting("without counters", other, "files", blind(other), 0, LIMITS),
                        Setting("without namespaces", other, "compute", no_namespaces(), NAMESPACED)], missing


def batches(rows, s):
    """Rows that leave nothing share a box, by group."""
    shared = {}
    for row in filter(s.fits, rows):
        if row.leaves_nothing(s.profile):
            shared.setdefault(row.group, []).append(row)
        else:
            yield [row]
    yield from shared.values()


def jobs(rows, me, all_settings, wanted):
    rows = [r for r in rows if not wanted or r.name in wanted or r.group in wanted]
    for row in rows:
        yield ("bites: " + row.name, BITES[row.bite], me, row)
    for s in all_settings:
        for some in batches(rows, s):
            if len(some) == 1:
                yield ("%s (%s)" % (some[0].name, s.name), boxed, some[0], s)
            else:
                yield ("%d of %s (%s)" % (len(some), some[0].group, s.name), boxed_together, some, s)
    for s in all_settings:
        if not wanted or "launcher_killed" in wanted:
            yield ("launcher_killed (%s)" % s.name, launcher_killed, s)
        if s.what.startswith(DELEGATION):
            yield ("the_cgroup_is_used (%s)" % s.name, the_cgroup_is_used, s)


def build_image(top):
    """The program, and around it what would lead out of a root that is not one."""
    image = os.path.join(top, "image")
    os.makedirs(image + "/bin")
    shutil.copy(top + "/hostile", image + "/bin/hostile")
    for name, target in {"in": "/etc", "out": "/etc", "tmp": "../../../../../../../tmp", "dev": "/dev", "proc": "/proc",
                         "etc": "/proc/1/root/etc", "up": "../../../../../../../..", "self": "/proc/self/root",
                         "var": top, "sys": "/sys", "run": "/run", "dev2": "/proc/self/fd"}.items():
        os.symlink(target, os.path.join(image, name))


def build(top):
    source = os.path.join(HERE, "..", "escape")
    subprocess.run(["gcc", "-static", "-O1", "-w", "-pthread", "-o", os.path.join(top, "hostile")] +
                   [os.path.join(source, n) for n in sorted(os.listdir(source)) if n.endswith(".c")], check=True)
    # a copy, for the checkout may lie where another user cannot reach it
    shutil.copy(os.path.join(BIN, "talkoot-sandbox"), top)
    build_image(top)
    lines = subprocess.run([top + "/hostile", "--list"], check=True, capture_output=True, text=True).stdout
    return [Row(line) for line in lines.splitlines()]


def print_skips(skips):
    """One line a reason; the names are what a reader looks for."""
    by_reason = {}
    for what, why in skips:
        by_reason.setdefault(why, []).append(what.replace("bites: ", ""))
    for why, names in sorted(by_reason.items()):
        print("skipped: not shown to bite: %s: %s" % (why, ", ".join(names)))


def main():
    global VERBOSE
    wanted = sys.argv[1:]
    VERBOSE = "-v" in wanted
    wanted = [n for n in wanted if n != "-v"]
    top = tempfile.mkdtemp(prefix="talkoot-escape-")
    os.chmod(top, 0o755)
    os.umask(0o022)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("\0talkoot-escape-%d" % os.getpid())
    listener.listen(64)
    try:
        rows = build(top)
        me, all_settings, missing = settings(top)
        for why in missing:
            COUNTS["skipped"] += 1
            print("skipped: " + why)
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            done = list(pool.map(lambda job: run_one(*job), jobs(rows, me, all_settings, wanted)))
        print_skips([s for s in done if s])
    finally:
        take_back()
        subprocess.run(["chmod", "-R", "u+rwx", top], stderr=subprocess.DEVNULL)
        shutil.rmtree(top, ignore_errors=True)
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % COUNTS)
    return 1 if COUNTS["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
