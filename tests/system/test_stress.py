#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_stress.py: every stressor of stress-ng in a box, and the machine as the witness.

    test_stress.py [STRESSOR...]         TALKOOT_STRESS_SECONDS=N: so long each, in place of 1

Runs in mount, IPC and UTS namespaces of its own, with /tmp and /dev/shm of its own, and is the reaper of
whatever its boxes would leave, so that no other program of the machine disturbs the comparison. Several
boxes at once, in profile `files`: as who runs it, and as root also as `nobody`. After each batch the
machine must be as before (class Host), and each box must have told its end, in time.

stress-ng is a dynamic program, so `compute` cannot run it. It begins with MAP_SHARED | MAP_ANONYMOUS, which
the box refuses; payload/shared.c stands in.
"""
import collections
import concurrent.futures
import ctypes
import hashlib
import json
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time

from test_escape import cgroups_of, until

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.path.abspath(os.environ.get("TALKOOT_BIN", "build/bin"))
SECONDS = int(os.environ.get("TALKOOT_STRESS_SECONDS", "1"))
INSIDE = "TALKOOT_STRESS_INSIDE"
USER = "nobody"
TIMEOUT = 120
AT_ONCE = 12
BATCH = 60
WALL_S, CPU_S = SECONDS + 5, SECONDS + 2
LIMITS = ["--memory", "64", "--disk", "24", "--max-output", "1", "--processes", "24", "--threads", "8",
          "--cpu", str(CPU_S), "--wall", str(WALL_S), "--priority", "normal"]  # idle ones wait for the rest of the machine
# An ordinary user has rights here, to mount; the box gets none of them.
NO_RIGHTS = [] if os.geteuid() == 0 else ["setpriv", "--ambient-caps=-all", "--inh-caps=-all"]
REASONS = {"exited", "signaled", "cpu", "wall", "memory", "disk", "output", "processes"}
# stress-ng's own: 3 lacks a resource, 4 not implemented; and what it says when it runs nothing.
DID_NOT = {3: "it lacks a resource", 4: "it is not implemented"}
SKIPS = re.compile(rb"stressor will be skipped,? *(.*)|skipped, (.*)|skipping stressor,? *(.*)")
MEMORY_SLACK_KIB = 512 << 10  # others use the machine, too
CLOCK_SLACK_S = 1
# Values that change by themselves.
RESTLESS = re.compile(r"/proc/sys/(fs/(dentry-state|inode-nr|inode-state|file-nr|aio-nr|quota/.*|binfmt_misc/.*)|"
                      r"kernel/(random/.*|pty/nr|ns_last_pid|sched_domain/.*|pid_max|hostname|domainname)|"
                      r"net/netfilter/.*|vm/stat_refresh)$")
OOPS = re.compile(r"(?<!traps: )\b(BUG:|Oops|kernel BUG|KASAN|double fault|soft lockup|hung_task|refcount_t:|"
                  r"list_(add|del) corruption|general protection fault, )")
COUNTS = {"passed": 0, "failed": 0, "skipped": 0}


def equal(got, want, what):
    if got != want and isinstance(want, (dict, set)):
        a, b = (set(x.items()) if isinstance(x, dict) else x for x in (want, got))
        raise AssertionError("%s: gone %s, new %s" % (what, sorted(a - b)[:5], sorted(b - a)[:5]))
    assert got == want, "%s: got %r, want %r" % (what, got, want)


# --- the machine -----------------------------------------------------------------------------

def text(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def tree(top):
    """{path: what it is} of all below `top`."""
    found = {}
    for at, folders, names in os.walk(top):
        for name in folders + names:
            path = os.path.join(at, name)
            st = os.lstat(path)
            found[path] = (st.st_mode, st.st_uid, st.st_gid, st.st_nlink if not stat.S_ISDIR(st.st_mode) else 0,
                           0 if stat.S_ISDIR(st.st_mode) else st.st_size)
    return found


def digests(top):
    return {path: hashlib.sha256(text(path)).hexdigest() for path, what in tree(top).items() if stat.S_ISREG(what[0])}


def settings_of_kernel():
    """{path: value} of what is to be read below /proc/sys."""
    found = {}
    for top in "kernel", "vm", "fs", "net/core", "net/ipv4", "user":
        for at, _, names in os.walk("/proc/sys/" + top):
            paths = (os.path.join(at, n) for n in names)
            found.update((p, text(p)) for p in paths if not RESTLESS.match(p) and os.lstat(p).st_mode & 0o444)
    return found


def memory_kib():
    """(available, swap in use)"""
    m = dict(re.findall(r"^(\w+): *(\d+) kB", text("/proc/meminfo").decode(), re.M))
    return int(m["MemAvailable"]), int(m["SwapTotal"]) - int(m["SwapFree"])


def children_of(pid):
    """All below it, zombies too."""
    parents = collections.defaultdict(list)
    for p in filter(str.isdigit, os.listdir("/proc")):
        line = text("/proc/%s/stat" % p)
        if line:
            parents[int(line.rsplit(b")", 1)[1].split()[1])].append(int(p))
    found, todo = [], [pid]
    while todo:
        for child in parents[todo.pop()]:
            found.append(child)
            todo.append(child)
    return found


def kernel_log():
    p = subprocess.run(["dmesg"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return p.stdout.decode(errors="replace").splitlines() if p.returncode == 0 else None


def since_start():
    """The wall clock less the time since boot: what setting the clock changes."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


class Host:
    """What the machine is like; `check` compares."""

    def __init__(self, top):
        self.top = top
        self.root = digests(os.path.join(top, "root"))
        self.still = self.look()
        self.clock, self.memory, self.log = since_start(), memory_kib(), kernel_log()

    def look(self):
        return {
            "mounts": set(text("/proc/self/mountinfo").splitlines()),
            "namespaces": {n: os.readlink("/proc/self/ns/" + n) for n in os.listdir("/proc/self/ns")},
            "System V objects": {n: text("/proc/sysvipc/" + n) for n in ("shm", "sem", "msg")},
            "message queues": set(os.listdir(os.path.join(self.top, "mqueue"))),
            "files": tree("/tmp"), "shared memory": tree("/dev/shm"), "names": os.uname()[:2],
            "kernel settings": settings_of_kernel(), "processors": text("/sys/devices/system/cpu/online"),
            "limits": {str(n): os.sysconf(n) for n in ("SC_OPEN_MAX", "SC_NPROCESSORS_ONLN")},
        }

    def check(self, launched, patience_s=20):
        # only the boxes' own: they are gone, and what they left would be ours by now
        assert until(lambda: not children_of(os.getpid()), patience_s), "processes are left: %s" % [
            text("/proc/%d/cmdline" % p) for p in children_of(os.getpid())]
        now = self.look()
        for what, before in self.still.items():
            equal(now[what], before, what)
        equal(digests(os.path.join(self.top, "root")), self.root, "the root's files")
        left = [path for pid in launched for path in cgroups_of(pid)]
        assert not left, "cgroups are left: %s" % left
        assert abs(since_start() - self.clock) < CLOCK_SLACK_S, "the clock was set: %+.3f s" % (since_start() - self.clock)
        assert until(lambda: memory_kib()[0] > self.memory[0] - MEMORY_SLACK_KIB
                     and memory_kib()[1] < self.memory[1] + MEMORY_SLACK_KIB, 30), \
            "memory: %s, it was %s (available and swapped, KiB)" % (memory_kib(), self.memory)
        if self.log is not None:
            bad = [l for l in kernel_log() if OOPS.search(l) and l not in self.log]
            assert not bad, "the kernel says: %s" % bad[:3]


def planted(top):
    """(what `check` must name, do it, undo it): each is something a box might leave behind."""
    mark, mount = "/tmp/planted", os.path.join(top, "planted")
    root, libc, children = os.path.join(top, "root", "lib", "shared.so"), ctypes.CDLL(None), []
    kept, name = text(root), os.uname().nodename.encode()

    def rewrite(data):
        with open(root, "wb") as f:
            f.write(data)

    yield "files", lambda: os.mkdir(mark), lambda: os.rmdir(mark)
    yield "shared memory", lambda: os.mkdir("/dev/shm/planted"), lambda: os.rmdir("/dev/shm/planted")
    yield "mounts", lambda: (os.mkdir(mount), subprocess.run(["mount", "-t", "tmpfs", "none", mount], check=True)), \
        lambda: (subprocess.run(["umount", mount], check=True), os.rmdir(mount))
    yield "root", lambda: rewrite(kept[:-1] + b"!"), lambda: rewrite(kept)
    yield "System V", lambda: children.append(libc.shmget(77, 4096, 0o1600)), \
        lambda: libc.shmctl(children.pop(), 0, None)
    yield "names", lambda: libc.sethostname(b"planted", 7), lambda: libc.sethostname(name, len(name))
    yield "processes", lambda: children.append(subprocess.Popen(["sleep", "100"])), \
        lambda: (children[0].kill(), children[0].wait())


def the_witness_sees(top):
    for what, do, undo in planted(top):
        host = Host(top)
        do()
        try:
            host.check((), patience_s=0.1)
            failed("%s were planted, and the comparison did not see it" % what)
        except AssertionError as e:
            if what in str(e):
                COUNTS["passed"] += 1
            else:
                failed("%s were planted, and the comparison saw: %s" % (what, e))
        undo()


# --- the boxes -------------------------------------------------------------------------------

class World:
    def __init__(self, top, user):
        self.top, self.user = top, user
        self.dir = os.path.join(top, "run-" + (user or "me"))
        os.mkdir(self.dir)
        os.chmod(self.dir, 0o755)
        if user:
            os.chown(self.dir, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        self.launched = set()

    def run(self, stressor):
        """(stressor, exit, what it said, report)"""
        report, said = (os.path.join(self.dir, stressor + end) for end in (".report", ".said"))
        root = os.path.join(self.top, "root")
        argv = [*NO_RIGHTS, os.path.join(self.top, "talkoot-sandbox"), "--profile", "files", "--root", root, "--report", report,
                *LIMITS, "--", root + "/lib64/ld-linux-x86-64.so.2", "--preload", "/lib/shared.so",
                "/usr/bin/stress-ng", "--temp-path", "/tmp", "--pathological", "--oomable", "--no-rand-seed",
                "--timeout", str(SECONDS), "--" + stressor, "1"]
        as_user = {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid, "extra_groups": []} if self.user else {}
        p = subprocess.Popen(argv, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, **as_user)
        self.launched.add(p.pid)
        out, _ = p.communicate(timeout=TIMEOUT)
        got = json.loads(text(report) or b"null")
        if got is not None:
            os.unlink(report)
        return stressor, p.returncode, out, got


def judge(stressor, rc, out, report):
    """What became of it, in a word."""
    assert report is not None, "no report, exit %d, %r" % (rc, out[-200:])
    reason = report["reason"]
    assert reason in REASONS, "ended by %s: %r" % (reason, out[-300:])
    want = {"exited": report["exit"], "signaled": 128 + report["signal"]}.get(reason, 124)
    equal(rc, want, "exit, %s" % reason)
    assert report["wall_s"] <= WALL_S + 1, "it ran for %.2f s" % report["wall_s"]
    assert len(out) <= (1 << 20) + 4096, "%d bytes of output" % len(out)
    if reason == "exited" and report["exit"] in DID_NOT:
        return "skipped"
    return reason if reason != "exited" else "exited 0" if rc == 0 else "exited with an error"


def why_not(out, code):
    found = SKIPS.search(out)
    why = next((g for g in found.groups() if g), b"") if found else b""
    return why.decode(errors="replace").strip() or DID_NOT[code]


def batch(w, host, stressors, ends, skips):
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for stressor, rc, out, report in pool.map(w.run, stressors):
            try:
                end = judge(stressor, rc, out, report)
                if end == "skipped":
                    skips[why_not(out, rc)].append(stressor)
                ends[end].append(stressor)
                COUNTS["skipped" if end == "skipped" else "passed"] += 1
            except AssertionError as e:
                failed("%s as %s: %s" % (stressor, w.user or "me", e))
    try:
        host.check(w.launched)
        COUNTS["passed"] += 1
    except AssertionError as e:
        failed("the machine after %s..%s as %s: %s" % (stressors[0], stressors[-1], w.user or "me", e))


def failed(what):
    COUNTS["failed"] += 1
    print("FAILED: " + what)


def stress(top, user, stressors):
    w = World(top, user)
    host = Host(top)
    ends, skips = collections.defaultdict(list), collections.defaultdict(list)
    for i in range(0, len(stressors), BATCH):
        batch(w, host, stressors[i:i + BATCH], ends, skips)
    print("as %s: %d stressors, %d at once: %s" % (user or "me", len(stressors), AT_ONCE, "; ".join(
        "%s %d" % (end, len(names)) for end, names in sorted(ends.items()))))
    for end, names in sorted(ends.items()):
        if end not in ("exited 0", "exited with an error", "skipped"):
            print("  %s: %s" % (end, " ".join(names)))
    for why, names in sorted(skips.items()):
        print("skipped: stress-ng as %s: %s: %s" % (user or "me", why, " ".join(names)))
    did = sum(len(names) for end, names in ends.items() if end not in ("skipped", "exited with an error"))
    if did * 2 < len(stressors):
        failed("only %d of %d did anything as %s: this shows little" % (did, len(stressors), user or "me"))


# --- all of it -------------------------------------------------------------------------------

def build(top, things):
    """The box, and a root that holds stress-ng and its libraries."""
    root = os.path.join(top, "root")
    for name, (data, mode) in things.items():
        path = os.path.join(top, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        os.chmod(path, mode)
    subprocess.run(["gcc", "-O1", "-w", "-shared", "-fPIC", "-o", root + "/lib/shared.so", top + "/shared.c"], check=True)
    for at, _, _ in os.walk(top):
        os.chmod(at, 0o755)


def gather(stress_ng):
    """{name: (data, mode)}, read before /tmp is covered."""
    files = {"talkoot-sandbox": (os.path.join(BIN, "talkoot-sandbox"), 0o755),
             "shared.c": (os.path.join(HERE, "payload", "shared.c"), 0o644),
             "root/usr/bin/stress-ng": (stress_ng, 0o755)}
    listing = subprocess.run(["ldd", stress_ng], stdout=subprocess.PIPE, check=True, text=True).stdout
    files.update(("root" + path, (path, 0o755)) for path in re.findall(r"(/\S+) \(0x", listing))
    things = {}
    for name, (path, mode) in files.items():
        with open(path, "rb") as f:
            things[name] = (f.read(), mode)
    return things


def inside(wanted):
    stress_ng = shutil.which("stress-ng")
    stressors = subprocess.run([stress_ng, "--stressors"], stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    things = gather(stress_ng)
    for at in "/tmp", "/dev/shm":
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "stress", at], check=True)
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    top = tempfile.mkdtemp(prefix="talkoot-stress-")
    build(top, things)
    os.mkdir(os.path.join(top, "mqueue"))
    subprocess.run(["mount", "-t", "mqueue", "none", os.path.join(top, "mqueue")], check=True)
    the_witness_sees(top)
    users = [None] + ([USER] if real_root() else [])
    for user in users:
        stress(top, user, [s for s in stressors if not wanted or s in wanted])
    COUNTS["skipped"] += 1
    print("skipped: profile compute: it takes static programs only, and stress-ng is dynamic")
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % COUNTS)
    return 1 if COUNTS["failed"] else 0


def real_root():
    return os.geteuid() == 0 and text("/proc/self/uid_map").split() == [b"0", b"0", b"4294967295"]


def main():
    if INSIDE in os.environ:
        return inside(sys.argv[1:])
    if not shutil.which("stress-ng"):
        print("skipped: all: there is no stress-ng here\n0 passed, 0 failed, 1 skipped")
        return 0
    own = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", *own, "--mount", "--ipc", "--uts", sys.executable, os.path.abspath(__file__),
                          *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
