#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_sandbox.py: the box, through its door: what a program in it can reach, and what ends it.

Runs the real talkoot-sandbox (TALKOOT_BIN, default build/bin) on payloads built here with
`gcc -static`. As root it runs everything twice: as root and as the user `nobody`.
"""
import ctypes
import json
import os
import pwd
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.path.abspath(os.environ.get("TALKOOT_BIN", "build/bin"))
USER = "nobody"
TIMEOUT = 60
NAMESPACES = ["userns", "pidns", "mountns", "netns", "ipcns", "utsns"]
ALWAYS = ["landlock", "seccomp", "rlimits"]
COUNTS = {"passed": 0, "failed": 0, "skipped": 0}


class Skip(Exception):
    pass


class World:
    """A temp dir with the program and the payloads, and who runs them."""

    def __init__(self, top, user):
        self.top, self.user = top, user
        self.dir = os.path.join(top, user or "me")
        os.mkdir(self.dir)
        os.chmod(self.dir, 0o755)
        self.uid = pwd.getpwnam(user).pw_uid if user else os.geteuid()
        if user:
            os.chown(self.dir, self.uid, pwd.getpwnam(user).pw_gid)
        self.use = os.path.join(top, "use")
        self.probe = os.path.join(top, "probe")
        self.box = os.path.join(top, "talkoot-sandbox")
        self.n = 0

    def path(self, name=None):
        self.n += 1
        return os.path.join(self.dir, name or "f%d" % self.n)

    def write(self, data, mode=0o644):
        path = self.path()
        with open(path, "wb") as f:
            f.write(data)
        os.chmod(path, mode)
        os.chown(path, self.uid, -1)
        return path

    def start(self, *argv, **more):
        if self.user:
            more.update(user=self.user, group=pwd.getpwnam(self.user).pw_gid, extra_groups=[])
        return subprocess.Popen(argv, cwd=self.dir, stdout=more.pop("stdout", subprocess.PIPE),
                                stderr=more.pop("stderr", subprocess.PIPE), **more)

    def run(self, *options, before=(), input=None, **more):
        """Run the box; gives (exit, stdout, stderr, report or None)."""
        report = self.path()
        more.setdefault("stdin", subprocess.PIPE if input is not None else subprocess.DEVNULL)
        p = self.start(*before, self.box, "--report", report, *options, **more)
        out, err = p.communicate(input, timeout=TIMEOUT)
        r = None
        if os.path.exists(report) and os.path.getsize(report):
            with open(report) as f:
                r = json.load(f)
        return p.returncode, out, err, r


def equal(got, want, what):
    assert got == want, "%s: got %r, want %r" % (what, got, want)


def ended(result, reason, code, what=""):
    rc, out, err, r = result
    assert r is not None, "%s: no report, exit %s, %r" % (what, rc, err)
    equal((r["reason"], rc), (reason, code), "%s reason and exit (%r)" % (what, err[-300:]))
    if code != 124:  # at a limit it may have come to an end of its own
        equal(r["exit"], code if reason == "exited" else 0, "%s exit in the report" % what)
    return r


def limited(result, reason):
    return ended(result, reason, 124)


FILES = ("--profile", "files")


# --- what it is --------------------------------------------------------------------------------

def its_own_exit_code_passes(w):
    for profile in "compute", "files":
        rc, out, err, r = w.run("--profile", profile, "--", w.use, "leave", "7")
        ended((rc, out, err, r), "exited", 7)
        equal(err, b"", "stderr")
        want = NAMESPACES + ALWAYS
        equal([l for l in r["layers"] if l != "cgroup"], want, "layers")
        assert re.fullmatch("sha256:[0-9a-f]{64}", r["policy"])
        assert r["signal"] == 0 and r["max_rss_kib"] > 0 and r["wall_s"] > 0


def its_own_signal_passes(w):
    for n in signal.SIGSEGV, signal.SIGKILL, signal.SIGTERM, signal.SIGABRT:
        r = ended(w.run("--", w.use, "die", str(int(n))), "signaled", 128 + n)
        equal(r["signal"], n, "signal")


def usage_names_the_flag(w):
    cases = [
        (["--wobble", "1", "--", w.use], "--wobble"),
        (["--cpu", "0", "--", w.use], "--cpu"),
        (["--memory", "12x", "--", w.use], "--memory"),
        (["--memory", "-1", "--", w.use], "--memory"),
        (["--deterministic", "maybe", "--", w.use], "--deterministic"),
        (["--profile", "image", "--", w.use], "--root"),
        (["--profile", "files", "--env", "A=b", "--", w.use], "--env"),
        (["--profile", "image", "--root", "/", "--env", "=b", "--", w.use], "--env"),
        (["--profile", "image", "--root", "/", "--cwd", "x", "--", w.use], "--cwd"),
        (["--profile", "none", "--", w.use], "--profile"),
        (["--bits", "jit", "--", w.use], "--bits"),
        (["--profile", "files", "--bits", "jit,net", "--", w.use], "--bits"),
        (["--in", "a=/etc/hostname", "--", w.use], "--in"),
        (["--profile", "files", "--in", "../a=/etc/hostname", "--", w.use], "--in"),
        (["--profile", "files", "--in", "a=x", "--in", "a=y", "--", w.use], "--in"),
        (["--wall"], "--wall"),
        ([], "PROGRAM"),
    ]
    for argv, word in cases:
        p = w.start(w.box, *argv, stdin=subprocess.DEVNULL)
        out, err = p.communicate(timeout=TIMEOUT)
        equal(p.returncode, 2, argv)
        assert err.startswith(b"talkoot-sandbox: ") and word.encode() in err, err
        equal(out, b"", argv)


def help_and_version(w):
    for flag, word in ("--help", b"--max-output"), ("--version", b"talkoot-sandbox "):
        p = w.start(w.box, flag)
        out, err = p.communicate(timeout=TIMEOUT)
        equal((p.returncode, err), (0, b""), flag)
        assert word in out


def what_cannot_run_is_125(w):
    dynamic = shutil.which("true")
    script = w.write(b"#!/bin/sh\necho hi\n", 0o755)
    text = w.write(b"hello\n", 0o755)
    foreign = w.write(b"\x7fELF\x01\x01\x01" + bytes(100), 0o755)
    plain = w.write(open(w.use, "rb").read(), 0o644)
    for what, argv in {
        "dynamic": [dynamic], "script": [script], "text": [text], "foreign": [foreign],
        "not executable": [plain], "missing": [w.dir + "/none"], "a folder": [w.dir],
    }.items():
        for profile in "compute", "files":
            rc, out, err, r = w.run("--profile", profile, "--", *argv)
            ended((rc, out, err, r), "setup", 125, what)
            assert r["why"] and out == b"", r
    for flag in "--stdin", "--root", "--in":
        value = ("x=" if flag == "--in" else "") + w.dir + "/none"
        rc, out, err, r = w.run("--profile", "files", flag, value, "--", w.use, "leave", "0")
        ended((rc, out, err, r), "setup", 125, flag)
        assert flag.encode() in err, err


def check_says_what_works(w):
    p = w.start(w.box, "--check")
    out, err = p.communicate(timeout=TIMEOUT)
    got = json.loads(out)
    equal((p.returncode, got["compute"], got["files"]), (0, True, True), out)
    equal([l for l in NAMESPACES + ALWAYS if got["layers"][l] != "ok"], [], "layers")
    equal(sorted(got["bits"]), ["jit", "proc"], "bits")
    equal(got["bits"]["jit"], "ok", "the bit jit")


# --- what it can reach --------------------------------------------------------------------------

def a_hostile_program_reaches_nothing(w):
    for profile in "compute", "files":
        result = w.run("--profile", profile, "--", w.probe, profile)
        ended(result, "exited", 0, profile)
        equal(result[1], b"done\n", profile)


def inherited_descriptors_are_invisible(w):
    secret = os.open("/etc/passwd", os.O_RDONLY)
    for fd in 9, 77:
        os.dup2(secret, fd, inheritable=True)
    try:
        for profile in "compute", "files":
            result = w.run("--profile", profile, "--", w.probe, profile, close_fds=False)
            equal(result[1], b"done\n", profile)
    finally:
        for fd in secret, 9, 77:
            os.close(fd)


def the_environment_is_built_from_nothing(w):
    env = dict(os.environ, TALKOOT_SECRET="leak", LD_PRELOAD="", LANG="fi_FI.UTF-8")
    _, out, _, _ = w.run("--threads", "3", "--", w.use, "environment", env=env)
    lines = out.decode().splitlines()
    assert not any("leak" in l or "fi_FI" in l or l.startswith("LD_") for l in lines), lines
    for want in ("LANG=C", "TZ=UTC0", "HOME=/tmp", "PYTHONHASHSEED=0", "OMP_NUM_THREADS=3",
                 "host box uid 1000 pid 2"):
        assert want in lines, (want, lines)
    assert any(l.startswith("GLIBC_TUNABLES=") and "-FMA" in l for l in lines), lines
    _, out, _, _ = w.run("--deterministic", "off", "--", w.use, "environment")
    assert b"GLIBC_TUNABLES" not in out and b"LANG=C\n" in out


def addresses_are_the_same_twice(w):
    for profile in "compute", "files":
        got = {w.run("--profile", profile, "--", w.use, "addresses")[1] for _ in range(3)}
        equal(len(got), 1, got)
    got = {w.run("--deterministic", "off", "--", w.use, "addresses")[1] for _ in range(3)}
    assert len(got) > 1, got


def chance_comes_from_the_seed(w):
    seeds = "0" * 63 + "1", "0" * 63 + "2"
    for profile in "compute", "files":
        drawn = {s: {w.run("--profile", profile, "--seed", s, "--", w.use, "chance", "700")[1] for _ in range(2)}
                 for s in seeds}
        for s in seeds:
            equal(len(drawn[s]), 1, "the same seed, %s" % profile)
            assert len(next(iter(drawn[s]))) == 1401 + (400 if profile == "files" else 0), drawn[s]
        assert drawn[seeds[0]] != drawn[seeds[1]], "another seed"
        free = {w.run("--profile", profile, "--deterministic", "off", "--", w.use, "chance", "32")[1]
                for _ in range(2)}
        equal(len(free), 2, "without determinism, %s" % profile)
    for bad in "", "12", "G" * 64, "0" * 65:
        p = w.start(w.box, "--seed", bad, "--", w.use)
        _, err = p.communicate(timeout=TIMEOUT)
        assert p.returncode == 2 and b"--seed" in err, (bad, p.returncode, err)


# Two that differ in what libraries look for. Without F16C, whose emulation is wrong in some versions of qemu.
PROCESSORS = "Nehalem", "max,-f16c"
EMULATED = {}  # once for all users: what on_two_processors gave


def need_qemu():
    qemu = shutil.which("qemu-x86_64-static")
    if not qemu or os.uname().machine != "x86_64":
        raise Skip("no qemu-x86_64-static, or another machine")
    return qemu


def on_two_processors(w, *argv):
    """{(deterministic, processor): what it prints}, with the environment that the box gives its programs."""
    qemu, running, printed = need_qemu(), {}, EMULATED.setdefault(argv, {})
    if len(printed) == 4:
        return printed
    for mode in "on", "off":
        env = dict(l.split("=", 1) for l in w.run("--deterministic", mode, "--", w.use, "environment")[1]
                   .decode().splitlines() if "=" in l)
        for cpu in PROCESSORS:
            running[mode, cpu] = w.start(qemu, "-cpu", cpu, *argv, env=env)
    for key, p in running.items():
        printed[key], err = p.communicate(timeout=TIMEOUT)
        equal((p.returncode, err), (0, b""), "%s, %s" % (key, printed[key][-100:]))
    return printed


def mathematics_does_not_depend_on_the_processor(w):
    program = os.path.join(w.top, "libm")
    digests = on_two_processors(w, program)
    one, other = PROCESSORS
    equal(len(digests["on", one]), 17, "a digest")
    equal(digests["on", one], digests["on", other], "deterministic")
    assert digests["off", one] != digests["off", other], "without it they differ, else this shows nothing"
    _, boxed, _, _ = w.run("--", program)
    equal(boxed, digests["on", other], "in the box on this processor")


def arrays_do_not_depend_on_the_processor(w):
    """numpy and OpenBLAS, which choose by the processor themselves."""
    python, program = "/usr/bin/python3", os.path.join(w.top, "arrays.py")
    if subprocess.run([python, "-c", "import numpy"], stderr=subprocess.DEVNULL).returncode:
        raise Skip("%s has no numpy" % python)
    # numpy warns where it is told to do without what the processor lacks; images of `talkoot pack` say so too
    python = [python, "-W", "ignore:During parsing environment variable:RuntimeWarning"]
    digests = {key: dict(l.split() for l in text.decode().splitlines())
               for key, text in on_two_processors(w, *python, program).items()}
    one, other = PROCESSORS
    equal(digests["on", one], digests["on", other], "deterministic")
    differ = {what for what in digests["off", one] if digests["off", one][what] != digests["off", other][what]}
    print("%d of %d results of numpy differ between %s and %s without --deterministic: %s" % (
        len(differ), len(digests["off", one]), one, other, " ".join(sorted(differ))))
    for what in "sin", "dgemm":  # numpy's own choice, and OpenBLAS's
        assert what in differ, "without it they differ, else this shows nothing: %s" % what
    rc, out, err, r = w.run(*FILES, "--root", "/", "--in", "arrays.py=" + program, "--", *python, "/in/arrays.py")
    ended((rc, out, err, r), "exited", 0)
    equal((dict(l.split() for l in out.decode().splitlines()), err), (digests["on", other], b""),
          "in the box on this processor")


def it_runs_idle_unless_asked(w):
    for priority, policy in (None, os.SCHED_IDLE), ("idle", os.SCHED_IDLE), ("normal", os.SCHED_OTHER):
        marker = "marker-%d-priority-%s-%s" % (os.getpid(), w.user, priority)
        p = started(w, marker, *(("--priority", priority) if priority else ()))
        pids = [pid for pid in alive(marker) if pid != p.pid]
        found = [os.sched_getscheduler(pid) for pid in pids]
        idle_io = [subprocess.run(["ionice", "-p", str(pid)], stdout=subprocess.PIPE).stdout.startswith(b"idle") for pid in pids]
        first_to_go = []
        for pid in pids:
            with open("/proc/%d/oom_score_adj" % pid) as f:
                first_to_go.append(int(f.read()))
        p.terminate()
        p.communicate(timeout=TIMEOUT)
        # the init, the guard of its cgroup where there is one, and the program
        equal(set(found), {os.SCHED_OTHER, policy}, "init and program, %s" % priority)
        equal(any(idle_io), policy == os.SCHED_IDLE, "the program's place at the disk, %s: %s" % (priority, idle_io))
        assert 1000 in first_to_go, "the kernel is to end the box first: %s" % first_to_go


def need_cgroup(w):
    why = json.loads(w.start(w.box, "--check").communicate(timeout=TIMEOUT)[0])["layers"]["cgroup"]
    if why != "ok":
        raise Skip("no cgroup: " + why)


def boxes_cgroups(marker):
    """Folders of the cgroups, made for a box, that hold who bears the marker."""
    with open("/proc/self/mounts") as f:
        tops = [line.split()[1] for line in f if line.split()[2].startswith("cgroup")]
    own = set()
    for pid in alive(marker):
        with open("/proc/%d/cgroup" % pid) as f:
            own |= {line.rstrip("\n").split(":", 2)[2] for line in f if "/talkoot-" in line}
    return [top + path for top in tops for path in own if os.path.isdir(top + path)]


def an_idle_box_stands_last_where_cgroups_share_the_processor(w):
    need_cgroup(w)
    seen = 0
    for options in ("--profile", "compute"), FILES:
        for priority, want in ("idle", "1"), ("normal", "0"):
            marker = "marker-%d-share-%s-%s-%s" % (os.getpid(), w.user, priority, options[1])
            p = started(w, marker, *options, "--priority", priority)
            until("a cgroup", lambda: boxes_cgroups(marker))
            files = [f for f in (d + "/cpu.idle" for d in boxes_cgroups(marker)) if os.path.exists(f)]
            seen += len(files)
            for f in files:
                until("%s to say %s" % (f, want), lambda: open(f).read().strip() == want)
            p.terminate()
            p.communicate(timeout=TIMEOUT)
    if not seen:
        raise Skip("the box's cgroup does not share the processor out here, or not before Linux 5.15")


def another_has_used_up(w, seconds, before=()):
    """Wait until a box that is not held has come to a wall limit of `seconds`."""
    r = limited(w.run("--wall", str(seconds), "--", w.use, "sleep", "50", before=before), "wall")
    assert r["wall_s"] >= seconds, r


def without(*names):
    """In front of a launcher: none of these below /sys/fs/cgroup."""
    hide = "".join("test ! -d %s || mount -t tmpfs none %s; " % (p, p) for p in ("/sys/fs/cgroup/" + n for n in names))
    return ["unshare", "-m", "sh", "-c", hide + 'exec "$@"', "sh"]


def no_cgroup():
    return without("")


def stopped_time_is_no_wall_time(w):
    """Ctrl-Z stops the box with the launcher, `fg` lets both go on."""
    wall_s, running = 6, []
    for profile in "compute", "files":
        report = w.path()
        p = w.start(w.box, "--profile", profile, "--wall", str(wall_s), "--report", report, "--", w.use, "ticks", "60",
                    stdin=subprocess.DEVNULL)
        equal(p.stdout.readline(), b"tick\n", "it runs")
        p.send_signal(signal.SIGTSTP)
        until("the launcher to stop", lambda: os.waitid(os.P_PID, p.pid, os.WSTOPPED | os.WNOHANG) is not None)
        running.append((profile, report, p))
    another_has_used_up(w, wall_s + 1)
    for profile, report, p in running:
        os.set_blocking(p.stdout.fileno(), False)
        heard = p.stdout.read() or b""
        assert len(heard) < 40 * 5, heard
        os.set_blocking(p.stdout.fileno(), True)
        p.send_signal(signal.SIGCONT)
        rest, _ = p.communicate(timeout=TIMEOUT)
        r = json.load(open(report))
        equal((p.returncode, r["reason"]), (0, "exited"), "it goes on to its end, %s" % profile)
        equal((b"tick\n" + heard + rest).count(b"tick"), 60, "nothing is lost")
        assert r["wall_s"] < wall_s, r


class Keeper:
    """`talkoot-sandbox --serve`, asked as box.h says."""

    def __init__(self, w, profile, before=()):
        self.w, self.profile, self.n = w, profile, 0
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(TIMEOUT)
        self.p = w.start(*before, w.box, "--serve", "--profile", profile, stdin=theirs)
        theirs.close()
        equal(self.say()[0], 0, "ready")

    def say(self):
        return struct.unpack("IIi", self.sock.recv(64))

    def ask(self, kind, number, words=(), fds=()):
        data = struct.pack("II", kind, number) + b"".join(x.encode() + b"\0" for x in words)
        socket.send_fds(self.sock, [data], fds)

    def run(self, *argv, options=(), named=(), program=None):
        """Start one; gives its number and the file of its output and report. `named`: what the options name, opened."""
        self.n += 1
        out, report = open(self.w.path(), "w+b"), open(self.w.path(), "w+b")
        program = [] if self.profile == "image" else [os.open(program or self.w.use, os.O_RDONLY)]
        fds = [report.fileno()] + program + list(named) + [os.open("/dev/null", os.O_RDONLY)]
        self.ask(0, self.n, ["--profile", self.profile, "--report", "r"] + list(options) + ["--"] +
                 ["use"] * len(program) + list(argv),
                 fds + [out.fileno()] * 2)
        for fd in fds[1:]:
            os.close(fd)
        return self.n, out, report

    def ended(self, want):
        kind, number, code = self.say()
        equal((kind, number), (1, want), "the word of its end")
        return code

    def end(self):
        self.sock.close()
        _, err = self.p.communicate(timeout=TIMEOUT)
        return self.p.returncode, err


def a_keeper_makes_one_box_after_another(w):
    for profile in "compute", "files":
        k = Keeper(w, profile)
        for code in 0, 7, 3:
            n, out, report = k.run("leave", str(code))
            equal(k.ended(n), code, "exit")
            report.seek(0)
            r = json.load(report)
            equal((r["reason"], r["exit"]), ("exited", code), "report")
            equal([l for l in r["layers"] if l != "cgroup"], NAMESPACES + ALWAYS, "layers")
        n, out, report = k.run("environment")
        equal(k.ended(n), 0, "exit")
        out.seek(0)
        assert b"host box uid 1000 pid 2\n" in out.read()
        n, out, report = k.run("burn", "1", options=("--cpu", "1"))
        equal(k.ended(n), 124, "a limit")
        equal(k.end(), (0, b""), "the keeper's own end")


def a_keeper_takes_inputs_and_gives_outputs(w):
    k = Keeper(w, "files")
    taken = w.path("taken-%s" % w.n)
    os.mkdir(taken)
    os.chown(taken, w.uid, -1)
    n, out, report = k.run("out", options=("--out", "o"), named=[os.open(taken, os.O_RDONLY)])
    equal(k.ended(n), 0, "exit")
    equal(sorted(os.listdir(taken)), ["d", "good.txt", "locked"], "outputs")
    n, out, report = k.run("in", options=("--in", "data=x"), named=[os.open(w.write(b"hello\n"), os.O_RDONLY)])
    equal(k.ended(n), 0, "exit")
    out.seek(0)
    equal(out.read(), b"hello\n", "input")
    equal(k.end(), (0, b""), "its end")


def a_box_that_stood_by_for_the_like_of_the_last_task_is_as_any_other(w):
    for profile in "compute", "files":
        k = Keeper(w, profile)

        def says(*argv, options=(), named=(), code=0):
            n, out, report = k.run(*argv, options=options, named=named)
            equal(k.ended(n), code, "%s %s" % (profile, argv))
            report.seek(0)
            r = json.load(report)
            equal([l for l in r["layers"] if l != "cgroup"], NAMESPACES + ALWAYS, "layers")
            out.seek(0)
            return out.read()

        seeded, free = ("--seed", "5" * 64), ("--deterministic", "off")
        zero = says("chance", "32")
        equal(says("chance", "32"), zero, "the usual seed")
        five = says("chance", "32", options=seeded)
        equal(says("chance", "32", options=seeded), five, "another seed")
        assert five != zero
        assert says("chance", "32", options=free) != says("chance", "32", options=free), "no seed"
        equal(says("chance", "32"), zero, "the usual seed again")
        for _ in range(2):
            says("burn", "1", options=("--cpu", "1"), code=124)
            assert b"host box uid 1000 pid 2\n" in says("environment")
        if profile == "files":
            for text in b"one\n", b"two\n", b"three\n":
                fd = os.open(w.write(text), os.O_RDONLY)
                equal(says("in", options=("--in", "data=x"), named=[fd]), text, "each its own input")
                says("disk", "9", options=("--disk", "2"), code=124)
        equal(k.end(), (0, b""), "its end")


def a_keeper_refuses_what_it_does_not_understand(w):
    k = Keeper(w, "compute")
    null = os.open("/dev/null", os.O_RDWR)
    for words, fds, code in ((["--wobble"], [], 2), (["--profile", "files", "--", "x"], [], 2), (["--check"], [], 2),
                             (["--", "x"], [], 125), (["--", "x"], [null] * 4, 125), (["--", "x"], [null] * 9, 125)):
        k.n += 1
        k.ask(0, k.n, words, fds)
        equal(k.ended(k.n), code, words)
    with open(w.path(), "w+b") as report:
        k.n += 1
        k.ask(0, k.n, ["--report", "r", "--wobble", "--", "x"], [report.fileno()])
        equal(k.ended(k.n), 2, "a wrong word")
        report.seek(0)
        assert "wobble" in json.load(report)["why"], "the report says why"
    k.ask(9, 1)
    k.ask(1, 77)
    n, out, report = k.run("leave", "5")
    equal(k.ended(n), 5, "it goes on")
    k.sock.send(b"abc")
    equal(k.sock.recv(64), b"", "who does not know the language is left")
    equal(k.end()[0], 0, "its end")
    os.close(null)


def a_keeper_stops_and_holds_boxes(w):
    k = Keeper(w, "files")
    n, out, report = k.run("ticks", "60", options=("--wall", "6"))
    until("a tick", lambda: os.fstat(out.fileno()).st_size > 0)
    k.ask(2, n)
    size = until_still(out)
    another_has_used_up(w, 7)
    equal(os.fstat(out.fileno()).st_size, size, "held")
    k.ask(3, n)
    equal(k.ended(n), 0, "it goes on to its end")
    equal(os.fstat(out.fileno()).st_size, 300, "ticks")
    n, out, report = k.run("sleep", "100")
    k.ask(1, n)
    equal(k.ended(n), 137, "killed")
    equal(k.end(), (0, b""), "its end")


def processes_that_wake_each_other_are_held(w):
    """Frozen where a cgroup does that, stopped by signals where there is none. Held, a box can be ended."""
    for before in ([], no_cgroup()) if os.geteuid() == 0 and not w.user else ([],):
        k = Keeper(w, "files", before)
        n, out, report = k.run("wakers", "100000", options=("--wall", "100"))
        until("ticks", lambda: os.fstat(out.fileno()).st_size > 100)
        k.ask(2, n)
        size = until_still(out)
        another_has_used_up(w, 1)
        equal(os.fstat(out.fileno()).st_size, size, "held")
        k.ask(3, n)
        until("more ticks", lambda: os.fstat(out.fileno()).st_size > size + 100)
        k.ask(2, n)
        until_still(out)
        k.ask(1, n)
        equal(k.ended(n), 137, "killed while it was held")
        equal(k.end(), (0, b""), "its end")


def a_held_box_dies_with_its_keeper(w):
    for before in ([], no_cgroup()) if os.geteuid() == 0 and not w.user else ([],):
        k = Keeper(w, "files", before)
        marker = "marker-%d-held-%s-%d" % (os.getpid(), w.user, len(before))
        n, out, report = k.run("wakers", "100000", marker)
        until("ticks", lambda: os.fstat(out.fileno()).st_size > 100)
        k.ask(2, n)
        until_still(out)
        equal(len(alive(marker)), 2, "both are there")
        k.p.kill()
        k.end()
        until("nothing is left", lambda: not alive(marker))


def cgroups_of(pid):
    """Cgroups named for this keeper, wherever they are."""
    return sorted(os.path.join(d, name) for d, names, _ in os.walk("/sys/fs/cgroup") for name in names
                  if name.startswith("talkoot-%d-" % pid))


def below(pid):
    """All processes below this one."""
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            children = [int(word) for word in f.read().split()]
    except OSError:
        return []
    return children + [p for child in children for p in below(child)]


def has_now(k):
    """What a keeper holds: descriptors, its cgroups' three each aside, processes, mounts; and what the machine has
    mounted for it. The cgroups themselves come and go by one: that of the box that stands by."""
    with open("/proc/%d/mountinfo" % k.p.pid) as f:
        seen = f.read().count("\n")
    with open("/proc/self/mountinfo") as f:
        ours = sum(k.w.dir in line or "talkoot" in line for line in f)
    cgroups = len(cgroups_of(k.p.pid))
    return len(os.listdir("/proc/%d/fd" % k.p.pid)) - 3 * cgroups, len(below(k.p.pid)), seen, ours


def at_rest(k):
    """What it has once that stays the same: a box stands by, and what ended is gone."""
    last = [None, 0]

    def still():
        now = has_now(k)
        last[1] = last[1] + 1 if now == last[0] else 0
        last[0] = now
        time.sleep(0.02)
        return last[1] >= 10

    until("a keeper at rest", still)
    return last[0]


LAUNCHES = 300
AT_ONCE = 24  # more than a keeper keeps cgroups, tasks and plans for
CGROUPS_MAX = 9  # LIMIT_CGROUPS_IDLE, and one of the box that stands by


def launches_leave_nothing(w):
    """From the most that a keeper keeps for reuse nothing grows."""
    for profile in "compute", "files":
        k = Keeper(w, profile)
        for _ in range(AT_ONCE):
            k.run("sleep", "1000")
        until("all of them", lambda: len(below(k.p.pid)) >= 2 * AT_ONCE)
        for n in range(AT_ONCE):
            k.ask(1, n + 1)
        equal({k.say()[2] for _ in range(AT_ONCE)}, {137}, "killed")
        before = at_rest(k)
        with open("/dev/null", "r+b") as null, open(w.use, "rb") as program:
            fds = [null.fileno(), program.fileno()] + [null.fileno()] * 3
            for _ in range(LAUNCHES):
                k.n += 1
                k.ask(0, k.n, ["--profile", profile, "--report", "r", "--", "use", "leave", "0"], fds)
                equal(k.ended(k.n), 0, "exit")
        equal(at_rest(k), before, "%s: descriptors, processes, mounts after %d launches" % (profile, LAUNCHES))
        assert len(cgroups_of(k.p.pid)) <= CGROUPS_MAX, cgroups_of(k.p.pid)
        processes = below(k.p.pid)
        equal(k.end(), (0, b""), "its end")
        until("its processes to end", lambda: not any(os.path.exists("/proc/%d" % p) for p in processes))
        equal(cgroups_of(k.p.pid), [], "%s: cgroups once it has ended" % profile)


def guard_of(k):
    """The process that waits for its end to remove its cgroups (sandbox/guard.c): of our pid namespace, and in a session
    of its own."""
    here = os.readlink("/proc/self/ns/pid")
    found = [p for p in below(k.p.pid) if os.getsid(p) == p and os.readlink("/proc/%d/ns/pid" % p) == here]
    equal(len(found), 1, "guards")
    return found[0]


def what_a_killed_keeper_left_the_next_removes(w):
    """Its guard does; when that is killed too, the next keeper. What a living one has is not touched, also by one that
    cannot see it."""
    if w.uid != 0:
        raise Skip("another pid namespace needs root")

    def begun(*before):
        k = Keeper(w, "files", before)
        n, out, report = k.run("leave", "0")
        equal(k.ended(n), 0, "exit")
        at_rest(k)
        return k

    living = begun()
    kept = cgroups_of(living.p.pid)
    if not kept:
        living.end()
        raise Skip("no cgroup is granted here")
    guarded = begun()
    guarded.p.kill()
    guarded.end()
    until("its guard to remove them", lambda: not cgroups_of(guarded.p.pid))
    left = begun()
    os.kill(guard_of(left), signal.SIGKILL)
    left.p.kill()
    left.end()
    assert cgroups_of(left.p.pid), "some are left, else this shows nothing"
    apart = Keeper(w, "files", ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc"))
    equal(cgroups_of(left.p.pid), [], "what the killed one left")
    equal(cgroups_of(living.p.pid), kept, "what the living one has")
    for k in apart, living:
        equal(k.end(), (0, b""), "its end")
    equal(cgroups_of(living.p.pid), [], "once it has ended")


def who_comes_after_a_held_box_that_was_killed_is_not_held(w):
    """A regression: it was in the same cgroup, which was still frozen."""
    for profile in "compute", "files":
        k = Keeper(w, profile)
        for code in 3, 4, 5:
            n, out, report = k.run("ticks", "100000", options=("--wall", "100"))
            until("a tick", lambda: os.fstat(out.fileno()).st_size > 0)
            k.ask(2, n)
            until_still(out)
            k.ask(1, n)
            equal(k.ended(n), 137, "killed while it was held")
            n, out, report = k.run("leave", str(code))
            equal(k.ended(n), code, "exit of the next")
        equal(k.end(), (0, b""), "its end")


def until_still(f):
    """The file's size once it has not grown for a while."""
    last = [-1, 0]

    def still():
        size = os.fstat(f.fileno()).st_size
        last[1] = last[1] + 1 if size == last[0] else 0
        last[0] = size
        time.sleep(0.02)
        return last[1] > 20

    until("no more output", still)
    return last[0]


def all_boxes_end_with_their_keeper_or_its_asker(w):
    for kill in True, False:
        k = Keeper(w, "files")
        marker = "marker-%d-keeper-%s-%s" % (os.getpid(), w.user, kill)
        for _ in range(3):
            k.run("stubborn", "1", marker)
        until("three boxes", lambda: len(alive(marker)) >= 6)
        if kill:
            k.p.kill()
        k.end()
        until("no process to be left", lambda: not alive(marker))


def a_foreign_call_is_killed(w):
    ended(w.run("--", w.use, "foreign", "39"), "policy", 128 + signal.SIGSYS)


# --- what it is for ------------------------------------------------------------------------------

def standard_input_to_standard_output(w):
    busybox = shutil.which("busybox")
    if not busybox:
        raise Skip("no busybox")
    data = os.urandom(300000)
    want = subprocess.run(["sha256sum"], input=data, capture_output=True, check=True).stdout
    for profile in "compute", "files":
        _, out, err, _ = w.run("--profile", profile, "--stdin", w.write(data), "--", busybox, "sha256sum")
        equal((out, err), (want, b""), profile)
    _, out, _, _ = w.run("--stdin", "-", "--", busybox, "sha256sum", input=data)
    equal(out, want, "through a pipe")
    _, out, _, _ = w.run("--", busybox, "wc", "-c")
    equal(out, b"0\n", "standard input is empty by default")


def streams_go_to_files(w):
    out, err = w.path(), w.path()
    ended(w.run("--stdout", out, "--stderr", err, "--", w.use, "flood", "2"), "exited", 0)
    equal((os.path.getsize(out), os.path.getsize(err)), (1 << 20, 1 << 20), "sizes")


def threads_in_compute(w):
    rc, out, err, r = w.run("--threads", "8", "--processes", "1", "--", w.use, "threads", "7")
    equal(out, b"7 threads, sum 700000\n", err)


def standard_input_is_the_file_from_where_it_stands(w):
    """In `files` it is opened again, or copied where no path leads to it."""
    data = b"".join(b"line %d\n" % i for i in range(40000))
    path, closed = w.write(data), w.path("closed-stdin")
    os.mkdir(closed)
    os.chown(closed, w.uid, -1)
    hidden = os.path.join(closed, "data")
    shutil.copy(path, hidden)
    os.chown(hidden, w.uid, -1)
    for what, name in ("a path", path), ("no path", hidden), ("no name", path):
        fd = os.open(name, os.O_RDONLY)
        if what == "no path":
            os.chmod(closed, 0)
        if what == "no name":
            os.unlink(name)
        for skip in (70, 0):
            os.lseek(fd, skip, os.SEEK_SET)
            rc, out, err, r = w.run(*FILES, "--root", "/", "--stdin", "-", "--", "/bin/cat", stdin=fd)
            ended((rc, out, err, r), "exited", 0, what)
            assert out == data[skip:], "%s: %d bytes of %d" % (what, len(out), len(data) - skip)
        os.close(fd)
        os.chmod(closed, 0o700)


def inputs_are_read_only(w):
    rc, out, err, r = w.run(*FILES, "--in", "data=" + w.write(b"hello\n"), "--", w.use, "in")
    ended((rc, out, err, r), "exited", 0)
    equal(out, b"hello\n", "the input")


def a_dynamic_program_with_a_root(w):
    rc, out, err, r = w.run(*FILES, "--root", "/", "--", "/bin/sh", "-c",
                            "echo a | cat; echo b > /tmp/x && cat /tmp/x; ls /proc 2>&1; : > /usr/x")
    assert out.startswith(b"a\nb\n") and b"No such file" in out, (out, err)
    assert b"Read-only" in err, err


# --- its optional bits ------------------------------------------------------------------------------

LUA = b"local s = 0 for i = 1, 1e6 do s = (s * 31 + i) % 1000003 end print(s, jit.status())"


def a_compiler_at_run_time_needs_its_bit(w):
    if not shutil.which("luajit"):
        raise Skip("there is no luajit")
    script = ("--in", "s.lua=" + w.write(LUA), "--root", "/")
    want = 0
    for i in range(1, 1000001):
        want = (want * 31 + i) % 1000003
    luajit = ("--", shutil.which("luajit"), "/in/s.lua")
    for bits in "jit", "proc,jit":
        rc, out, err, r = w.run(*FILES, "--bits", bits, *script, *luajit)
        ended((rc, out, err, r), "exited", 0)
        equal((out.split()[:2], r["bits"]), ([b"%d" % want, b"true"], sorted(bits.split(","))), "it compiles")
    for options in (), ("--bits", "proc"):
        rc, out, err, r = w.run(*FILES, *options, *script, *luajit)
        ended((rc, out, err, r), "exited", 1)
        assert b"runtime code generation failed" in err, err
        assert "bits" not in r or r["bits"] == ["proc"], r


def need_proc(w):
    out, _ = w.start(w.box, "--check").communicate(timeout=TIMEOUT)
    why = json.loads(out)["bits"]["proc"]
    if why != "ok":
        raise Skip("no /proc of its own can be mounted here: " + why)


def sh(w, script, *options, **more):
    return w.run(*FILES, "--root", "/", *options, "--", "/bin/sh", "-c", script, **more)


def a_proc_shows_the_box_alone(w):
    need_proc(w)
    rc, out, err, r = sh(w, "cd /proc; echo *; echo $$; read a < self/stat; echo ${a%% *}; cat self/maps | grep -c stack; "
                         "readlink self/cwd; grep -c 'proc ro,' self/mounts", "--bits", "proc")
    ended((rc, out, err, r), "exited", 0)
    lines = out.split(b"\n")
    equal((lines[:6], err), ([b"2 self thread-self", b"2", b"2", b"1", b"/proc", b"1"], b""), "what there is")
    rc, out, err, r = sh(w, "ls /proc", "--bits", "jit")
    assert rc == 2 and b"No such file" in err, (rc, out, err)


def beside_a_proc_streams_are_as_ever(w):
    need_proc(w)
    report = ("--bits", "proc", "--max-output", "1")
    rc, out, err, r = sh(w, "head -c 900000 /dev/zero; echo e >&2; exit 3", *report)
    ended((rc, out, err, r), "exited", 3)
    equal((len(out), err), (900000, b"e\n"), "both are whole")
    limited(sh(w, "head -c 3000000 /dev/zero; sleep 60", *report), "output")
    # a child that holds them longer, and what nobody may open again
    rc, out, err, r = sh(w, "sleep 0.2 && echo late & cat < /proc/self/fd/1; true > /proc/self/fd/1; wait", *report)
    equal((out, err.count(b"/proc/self/fd/1")), (b"late\n", 2), "late output, and two refusals: %r" % err)


def beside_a_proc_standard_input_stays_what_it_was(w):
    need_proc(w)
    again = "cat; for how in '>>' '<>'; do sh -c \"echo lost $how /proc/self/fd/0\"; done; exit 0"
    path = w.write(b"kept\n")
    rc, out, err, r = sh(w, again, "--bits", "proc", "--stdin", path)
    equal((rc, out), (0, b"kept\n" if b"lost" not in out else out), "it is read")
    with open(path, "rb") as f:
        equal(f.read(), b"kept\n", "the file")
    for name in "memory", "removed":  # no place that Landlock could know
        fd = os.memfd_create(name) if name == "memory" else os.open(w.dir, os.O_TMPFILE | os.O_RDWR, 0o666)
        os.write(fd, b"kept\n")
        os.fchmod(fd, 0o777)
        os.fchown(fd, w.uid, -1)
        os.lseek(fd, 0, os.SEEK_SET)
        other = os.open("/proc/self/fd/%d" % fd, os.O_RDONLY)
        rc, out, err, r = sh(w, again + "; exec /proc/self/fd/0", "--bits", "proc", "--stdin", "-", stdin=other)
        equal((rc, out.split(b"\n")[0]), (0, b"kept"), "%s: it is read (%r)" % (name, err))
        equal(os.pread(fd, 100, 0), b"kept\n", name)
        os.close(fd)
        os.close(other)
    rc, out, err, r = sh(w, "cat", "--bits", "proc", "--stdin", "-", input=b"x")
    ended((rc, out, err, r), "setup", 125)
    assert b"--stdin" in err and b"pipe" in err, err


def beside_a_proc_its_own_file_stays_what_it_was(w):
    """Also when who runs it owns it; by path, from a folder that only root may pass, and from memory."""
    need_proc(w)
    closed = w.path()
    os.mkdir(closed, 0o700)
    for path in w.path(), closed + "/use":
        shutil.copy(w.use, path)
        os.chmod(path, 0o555)
        os.chown(path, w.uid, -1)
        before = os.stat(path)
        for profile, keeper in (FILES, False), (FILES, True):
            if keeper:
                k = Keeper(w, "files")
                said = []
                for _ in range(3):
                    n, out, report = k.run("own-file", options=("--bits", "proc"), program=path)
                    equal(k.ended(n), 0, "exit")
                    out.seek(0)
                    said.append(out.read())
                k.end()
            else:
                if w.user and path.startswith(closed):
                    continue  # it cannot be opened
                rc, out, err, r = w.run(*FILES, "--bits", "proc", "--", path, "own-file")
                ended((rc, out, err, r), "exited", 0)
                said = [out]
            for text in said:
                lines = text.split(b"\n")
                assert lines[0].startswith(b"at /") and lines[1:] == [b"read", b""], (path, keeper, text)
                assert w.top.encode() not in text or path.startswith(closed), text
        after = os.stat(path)
        equal((after.st_mode, after.st_mtime_ns, after.st_size, after.st_nlink),
              (before.st_mode, before.st_mtime_ns, before.st_size, before.st_nlink), "the file")


def masked_proc():
    """Begins a command line that runs the rest where parts of /proc are covered, as container programs do it."""
    return ["unshare", "-Urm", "sh", "-c", 'mount --bind /dev/null /proc/version && exec unshare -Um --map-user=1000 --map-group=1000 "$@"', "sh"]


def where_proc_is_covered_there_is_no_bit(w):
    p = w.start(*masked_proc(), w.box, "--check")
    out, err = p.communicate(timeout=TIMEOUT)
    got = json.loads(out)
    equal((got["files"], got["bits"]["jit"]), (True, "ok"), "the rest works: %r %r" % (out, err))
    assert "--bits proc" in got["bits"]["proc"], out
    rc, out, err, r = sh(w, "echo ran", "--bits", "proc", before=masked_proc())
    ended((rc, out, err, r), "setup", 125)
    assert out == b"" and b"--bits proc: mounting a /proc of its own" in err, (out, err)
    rc, out, err, r = sh(w, "echo ran", "--bits", "jit", before=masked_proc())
    equal((rc, out), (0, b"ran\n"), "without it: %r" % err)


def a_box_that_stood_by_without_a_bit_gives_none(w):
    k = Keeper(w, "files")

    def tries(bits):
        n, out, report = k.run("bits", options=("--bits", ",".join(bits)) if bits else ())
        code = k.ended(n)
        out.seek(0)
        equal((code, out.read().split()), (0, [b.encode() for b in bits]), "asked for %s" % bits)

    out, _ = w.start(w.box, "--check").communicate(timeout=TIMEOUT)
    more = ["proc"] if json.loads(out)["bits"]["proc"] == "ok" else []
    for bits in [], [], ["jit"], ["jit"], [], ["jit"] + more, ["jit"] + more, ["jit"] + more, more, more, [], []:
        tries(bits)
    equal(k.end(), (0, b""), "its end")


def make_image(w):
    """The dynamic programs sh, cat and ls with their libraries, a script, and links that lead out of it."""
    image = w.path()
    for name in "sh", "cat", "ls":
        path = os.path.realpath(shutil.which(name))
        libraries = re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", path], capture_output=True, text=True).stdout)
        for source, to in [(path, "/bin/" + name)] + [(l, l) for l in libraries]:
            os.makedirs(os.path.dirname(image + to), exist_ok=True)
            if not os.path.exists(image + to):
                shutil.copy(source, image + to)
    os.makedirs(image + "/opt/tools")
    os.makedirs(image + "/work")
    for name, text in {"/run.sh": "#!/bin/sh\necho $0 $*\n", "/opt/tools/deep": "#!/bin/sh\npwd\necho $FOO,$TZ,$PATH\n",
                       "/opt/tools/torn": "#!/no/interpreter\n", "/opt/tools/text": "just text\n"}.items():
        with open(image + name, "w") as f:
            f.write(text)
        os.chmod(image + name, 0o755)
    os.symlink("/etc/passwd", image + "/passwd")
    os.symlink("../../../../../../etc/passwd", image + "/bin/passwd")
    os.symlink("/proc/1/root/etc/passwd", image + "/proc1")
    os.symlink(w.dir, image + "/host")
    os.chmod(image, 0o755)
    return image


def a_keeper_runs_programs_of_an_image(w):
    roots = [make_image(w), make_image(w)]
    with open(roots[1] + "/run.sh", "w") as f:
        f.write("#!/bin/sh\necho other\n")
    k = Keeper(w, "image")
    for i, want in (0, b"/run.sh a\n"), (0, b"/run.sh a\n"), (1, b"other\n"), (0, b"/run.sh a\n"):
        n, out, report = k.run("/run.sh", "a", options=("--root", "r"), named=[os.open(roots[i], os.O_RDONLY)])
        equal(k.ended(n), 0, "exit")
        out.seek(0)
        equal(out.read(), want, "output")
        report.seek(0)
        equal([l for l in json.load(report)["layers"] if l != "cgroup"], NAMESPACES + ALWAYS, "layers")
    n, out, report = k.run("none", options=("--root", "r"), named=[os.open(roots[0], os.O_RDONLY)])
    equal(k.ended(n), 127, "not in the image")
    n, out, report = k.run("/run.sh")
    equal(k.ended(n), 2, "no root")
    n, out, report = k.run("/run.sh", options=("--root", "r"), named=[os.open(roots[0] + "/run.sh", os.O_RDONLY)])
    equal(k.ended(n), 125, "a root that is a file")
    code, err = k.end()
    equal((code, err.count(b"\n")), (0, 2), "its end, and that it complained of the last two: %r" % err)


def image(w, root, *words, options=()):
    return w.run("--profile", "image", "--root", root, *options, "--", *words)


def a_program_of_an_image_is_a_path_or_a_word_of_its_path(w):
    root = make_image(w)
    path = ("--env", "PATH=/none:/opt/tools:/bin")
    for words, options, code, want in [
            (["/run.sh", "a b"], (), 0, b"/run.sh a b\n"), (["./run.sh"], (), 0, b"./run.sh\n"),
            (["sh", "-c", "echo $0"], (), 0, b"sh\n"), (["deep"], (), 127, b""),
            (["deep"], path + ("--env", "FOO=bar", "--env", "TZ=Mars"), 0, b"/\nbar,UTC0,/none:/opt/tools:/bin\n"),
            (["deep"], path + ("--cwd", "/work", "--env", "TZ=Mars", "--deterministic", "off"), 0,
             b"/work\n,Mars,/none:/opt/tools:/bin\n"),
            (["tools/deep"], ("--cwd", "/opt"), 0, b"/opt\n,UTC0,/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"),
            (["none"], (), 127, b""), (["/bin/none"], (), 127, b""), (["torn"], path, 127, b""),
            (["text"], path, 126, b""), (["/opt"], (), 126, b""), (["sh"], ("--cwd", "/none"), 127, b""),
            (["/passwd"], (), 127, b"")]:
        result = image(w, root, *words, options=options)
        ended(result, "exited", code, " ".join(words))
        equal(result[1], want, words)
        assert code == 0 or result[2].startswith(b"talkoot-sandbox: "), result[2]


def an_image_shows_nothing_of_the_machine_and_cannot_be_changed(w):
    root = make_image(w)
    rc, out, err, r = image(w, root, "sh", "-c", "for f in /passwd /bin/passwd /proc1 /host/f1; do cat $f && echo BROKE; done; "
                            "for f in /a /work/a /in/a /dev/a /bin/sh; do true > $f; done; ls /; echo a > /out/a; echo b > /tmp/b; "
                            "cat /tmp/b; cat /in/data; exit 0",
                            options=("--in", "data=" + w.write(b"hello\n"), "--out", w.path("taken-image")))
    ended((rc, out, err, r), "exited", 0)
    assert b"BROKE" not in out and out.endswith(b"b\nhello\n"), out
    equal(err.count(b"No such file"), 4, err)
    equal(err.count(b"Read-only") + err.count(b"ermission denied"), 5, err)
    assert b"proc\n" not in out and b"dev\nhost\nin\n" in out, out
    equal(r["taken"], 1, "outputs")


def the_folders_of_the_box_stand_whatever_the_image_has_there(w):
    for make in (lambda p: None, lambda p: os.symlink("/etc", p), lambda p: open(p, "w").close(), os.mkdir):
        root = make_image(w)
        for name in "in", "out", "tmp", "dev", "proc", "sys":
            make(os.path.join(root, name))
        link = w.path()
        os.symlink(root, link)
        rc, out, err, r = image(w, link, "sh", "-c", "cat /in/data && : > /out/a && : > /tmp/a && : > /dev/null && ls /dev /out",
                                options=("--in", "data=" + w.write(b"hello\n")))
        ended((rc, out, err, r), "exited", 0, err)
        equal(out, b"hello\n/dev:\nnull\nurandom\nzero\n\n/out:\na\n", "what is there")
        rc, out, err, r = image(w, link, "sh", "-c", "ls /proc/1 /sys/kernel")
        assert rc != 0 and out == b"", (rc, out)


def forks_do_not_fail_because_a_child_ended(w):
    """A regression: a fork that was held up was interrupted by SIGCHLD."""
    rc, out, err, r = w.run(*FILES, "--root", "/", "--", "/bin/sh", "-c",
                            "trap : CHLD; i=0; while [ $i -lt 200 ]; do echo a | cat; i=$((i+1)); done")
    ended((rc, out, err, r), "exited", 0)
    equal((out, err), (b"a\n" * 200, b""), "200 pipelines")


def usual_tools_do_not_complain(w):
    """A regression: ls -l asks for attributes, and said of each file that it may not."""
    rc, out, err, r = w.run(*FILES, "--root", "/", "--in", "data=" + w.write(b"hello\n"), "--", "/bin/sh", "-c",
                            "cp -a /in/data copy && ls -la /in /tmp >list && tar cf - copy list | tar xf - && "
                            "cp -p copy again && mv again moved && sed -i s/h/j/ moved && cat moved && rm -r *")
    ended((rc, out, err, r), "exited", 0)
    equal((out, err), (b"jello\n", b""), "what they say")


def outputs_are_taken_with_care(w):
    out = w.path("taken")
    rc, text, err, r = w.run(*FILES, "--out", out, "--", w.use, "out")
    ended((rc, text, err, r), "exited", 0)
    equal(text, b"", "payload")
    found = {}
    for top, _, names in os.walk(out):
        for name in names:
            path = os.path.join(top, name)
            st = os.lstat(path)
            equal(st.st_mode, 0o100600, path)
            found[os.path.relpath(path, out)] = open(path, "rb").read()
    equal(found, {"good.txt": b"good\n", "locked": b"locked\n", "d/e/f/deep": b"deep\n"}, "files")
    equal(sorted(r["not_taken"]), sorted([".hidden", "new\nline", "sp ace", "\xff\x1b[31m", "link", "dirlink",
                                          "inner", "fifo", "d/e/f/g"]), "not taken")
    ended(w.run(*FILES, "--out", out, "--", w.use, "out"), "setup", 125, "a folder that is not empty")


def roots_own_program_and_input_are_opened_first(w):
    if w.uid != 0:
        raise Skip("not root")
    program = w.write(open(w.use, "rb").read(), 0o700)
    secret = w.write(b"for root\n", 0o600)
    closed = w.path("closed")
    os.mkdir(closed, 0o700)
    rc, out, err, r = w.run(*FILES, "--in", "data=" + secret, "--out", closed + "/out", "--", program, "in")
    ended((rc, out, err, r), "exited", 0)
    equal(out, b"for root\n", "input")


def a_keeper_for_compute_works_in_a_chroot_of_roots(w):
    """Namespaces are made there, but / is no mount that could be left: that layer is done without."""
    if w.uid != 0:
        raise Skip("not root")
    top = w.path("chroot")
    for name in "proc", "dev":
        os.makedirs(os.path.join(top, name))
    shutil.copy(w.box, os.path.join(top, "box"))
    script = """set -e; cd "$0"; mount -t proc proc proc
        for d in null zero urandom; do : >dev/$d; mount --bind /dev/$d dev/$d; done
        shift; exec chroot . /box "$@\""""
    k = Keeper(w, "compute", before=("unshare", "-m", "sh", "-c", script, top))
    n, out, report = k.run("leave", "7")
    equal(k.ended(n), 7, "exit")
    report.seek(0)
    equal(set(ALWAYS) - set(json.load(report)["layers"]), set(), "layers always needed and missing")
    k.end()


# --- what ends it ----------------------------------------------------------------------------------

def wall(w):
    r = limited(w.run("--wall", "1", "--", w.use, "sleep", "50"), "wall")
    assert 1 <= r["wall_s"] < 10, r
    limited(w.run(*FILES, "--wall", "1", "--", w.use, "stubborn", "1"), "wall")


def cpu(w):
    r = limited(w.run("--cpu", "1", "--", w.use, "burn", "1"), "cpu")
    assert 0.9 <= r["cpu_s"] < 3, r
    r = limited(w.run(*FILES, "--cpu", "1", "--", w.use, "burn", "4"), "cpu")
    assert 0.9 <= r["cpu_s"] < 3, r


def what_answers_cost_is_the_programs_cpu_time(w):
    code, out, _, r = w.run("--", w.use, "draw", "50000")
    assert code == 0 and r["cpu_s"] * 1e6 > int(out) * 1.25, (out, r)
    limited(w.run("--cpu", "1", "--", w.use, "draw", "1000000000"), "cpu")


def session_nice(pid):
    with open("/proc/%d/autogroup" % pid) as f:
        return f.read().rstrip().rsplit(" ", 1)[-1]


def an_idle_box_stands_last_where_sessions_share_the_processor(w):
    if not os.path.exists("/proc/self/autogroup"):
        print("skipped: this kernel does not share the processor out by sessions")
        return
    for priority, nice in ("idle", "19"), ("normal", "0"):
        p = started(w, "marker-%d-last-%s-%s" % (os.getpid(), w.user, priority), "--priority", priority)
        with open("/proc/%d/task/%d/children" % (p.pid, p.pid)) as f:
            inits = [int(pid) for pid in f.read().split()]
        until("nice %s in %s" % (nice, inits), lambda: nice in map(session_nice, inits))
        p.terminate()
        p.communicate(timeout=TIMEOUT)


def ways_to_count(w):
    """Without one kind of cgroup after the other; only who is root can take them away."""
    if os.geteuid() != 0 or w.user:
        return [[]]
    return [[], without("unified"), without("unified", "cpuacct", "cpu,cpuacct"), without("memory"), no_cgroup()]


def who_is_forgotten_is_counted(w):
    for before in ways_to_count(w):
        r = limited(w.run(*FILES, "--cpu", "1", "--", w.use, "forget", before=before), "cpu")
        assert 0.9 <= r["cpu_s"] < 3, (before, r)


def nobody_is_charged_more_than_they_used(w):
    for before in ways_to_count(w):
        code, out, _, r = w.run(*FILES, "--cpu", "60", "--processes", "200", "--", w.use, "families", "60", before=before)
        equal((code, r["reason"]), (0, "exited"), before)
        # its own end is not in what it says
        assert 0.9 * int(out) / 1e6 <= r["cpu_s"] <= int(out) / 1e6 + 0.1, (before, out, r)


def memory(w):
    limited(w.run("--memory", "64", "--", w.use, "memory", "800"), "memory")
    limited(w.run(*FILES, "--memory", "64", "--", w.use, "memory", "800"), "memory")
    limited(w.run(*FILES, "--memory", "64", "--", w.use, "memory-children", "6"), "memory")
    ended(w.run("--memory", "64", "--", w.use, "memory", "40"), "exited", 0)
    ended(w.run(*FILES, "--memory", "64", "--", w.use, "memory-shared", "6"), "exited", 0)


def memory_is_held_while_nobody_looks(w):
    """By the kernel, in a cgroup: the keeper stands still meanwhile."""
    need_cgroup(w)
    k = Keeper(w, "files")
    for _ in range(3):  # a cgroup is used again
        word, marker = w.write(b""), "marker-%d-held-memory-%s-%d" % (os.getpid(), w.user, k.n)
        n, out, report = k.run("memory-later", "800", marker, named=[os.open(word, os.O_RDONLY)],
                               options=("--in", "data=x", "--memory", "64", "--disk", "1"))
        until("it is ready", lambda: os.fstat(out.fileno()).st_size > 0)
        k.p.send_signal(signal.SIGSTOP)
        with open(word, "w") as f:
            f.write("go")
        until("the kernel to end it", lambda: not alive(marker), TIMEOUT)
        k.p.send_signal(signal.SIGCONT)
        equal(k.ended(n), 124, "a limit")
        report.seek(0)
        r = json.load(report)
        equal((r["reason"], "cgroup" in r["layers"]), ("memory", True), "report")
        n, out, report = k.run("memory", "40", options=("--memory", "64", "--disk", "1"))
        equal(k.ended(n), 0, "who comes after it")
    equal(k.end(), (0, b""), "its end")


def output(w):
    result = w.run("--max-output", "1", "--", w.use, "flood", "50")
    limited(result, "output")
    equal(len(result[1]) + len(result[2].replace(b"talkoot-sandbox: ", b"")), 1 << 20, "bytes of both together")
    ended(w.run("--max-output", "2", "--", w.use, "flood", "2"), "exited", 0, "exactly the limit")


def disk(w):
    limited(w.run(*FILES, "--disk", "2", "--", w.use, "disk", "9"), "disk")
    limited(w.run(*FILES, "--disk", "2", "--", w.use, "disk-two", "2"), "disk")
    limited(w.run(*FILES, "--disk", "2", "--", w.use, "inodes", "40000"), "disk")
    limited(w.run(*FILES, "--disk", "2", "--", w.use, "sparse", "100000"), "disk")
    ended(w.run(*FILES, "--disk", "2", "--", w.use, "disk", "2"), "exited", 0, "exactly the limit")


def processes(w):
    result = w.run(*FILES, "--processes", "4", "--", w.use, "processes", "3")
    ended(result, "exited", 0, "exactly the limit")
    result = w.run(*FILES, "--processes", "4", "--", w.use, "processes", "50")
    limited(result, "processes")
    assert len(result[1].split()) <= 4, result[1]
    limited(w.run(*FILES, "--processes", "30", "--wall", "20", "--", w.use, "bomb"), "processes")
    limited(w.run("--processes", "1", "--threads", "2", "--", w.use, "threads", "9"), "processes")


# --- what is left ------------------------------------------------------------------------------------

def alive(marker):
    """Processes, zombies aside, whose command line holds `marker`."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                cmdline = f.read()
            with open("/proc/%s/stat" % pid) as f:
                state = f.read().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if marker.encode() in cmdline and state not in "ZX":
            found.append(int(pid))
    return found


def until(what, test, seconds=20):
    end = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < end, "waited %s s for: %s" % (seconds, what)
        time.sleep(0.005)


def started(w, marker, *options, before=()):
    p = w.start(*before, w.box, *options, "--", w.use, "stubborn", "1" if "files" in options else "0", marker,
                stdin=subprocess.DEVNULL)
    line = p.stdout.readline()
    assert line == b"here\n", (line, p.stderr.read() if not line else b"")
    return p


def a_crash_starts_no_program_of_the_host(w):
    """Where core_pattern is a pipe, the kernel heeds no limit but 1 (fs/coredump.c)."""
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        raise Skip("core dumps are switched off here, and cannot be limited further")
    rc, out, err, r = w.run(*FILES, "--root", "/", "--", "/usr/bin/python3", "-c",
                            "import resource; print(resource.getrlimit(resource.RLIMIT_CORE))")
    ended((rc, out, err, r), "exited", 0)
    equal(out, b"(1, 1)\n", "the limit")


def a_killed_launcher_leaves_nothing(w):
    for profile in "compute", "files":
        marker = "marker-%d-%s-%s" % (os.getpid(), profile, w.user)
        p = started(w, marker, "--profile", profile)
        assert len(alive(marker)) >= 2
        p.kill()
        p.communicate(timeout=TIMEOUT)
        until("no process to be left", lambda: not alive(marker))


def it_dies_with_who_started_it_and_asked_for_that(w):
    """As the worker does: PDEATHSIG set before the exec must hold after root has become nobody."""
    libc = ctypes.CDLL(None)
    for profile in "compute", "files":
        marker = "marker-%d-parent-%s-%s" % (os.getpid(), profile, w.user)
        argv = [w.box, "--profile", profile, "--", w.use, "stubborn", "0", marker]
        parent = os.fork()
        if parent == 0:
            p = w.start(*argv, stdin=subprocess.DEVNULL, preexec_fn=lambda: libc.prctl(1, signal.SIGKILL))
            os._exit(p.stdout.readline() != b"here\n")
        equal(os.waitpid(parent, 0)[1], 0, "it had started")
        until("no process to be left", lambda: not alive(marker))


def sigterm_ends_the_box_and_reports(w):
    for n in signal.SIGTERM, signal.SIGINT:
        report = w.path()
        marker = "marker-%d-%s-%d" % (os.getpid(), w.user, n)
        p = started(w, marker, *FILES, "--report", report)
        p.send_signal(n)
        p.communicate(timeout=TIMEOUT)
        equal(p.returncode, 128 + n, "exit")
        r = json.load(open(report))
        equal((r["reason"], r["signal"], r["exit"]), ("signaled", n, 0), "report")
        equal(alive(marker), [], "processes left")


# --- without namespaces --------------------------------------------------------------------------------

def poor():
    """Begins a command line that runs the rest where no user namespace is granted."""
    return ["unshare", "-Ur", "sh", "-c", 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"', "sh"]


def a_missing_layer_refuses_files(w):
    mark = w.path("mark")
    rc, out, err, r = w.run(*FILES, "--out", mark, "--", w.use, "out", before=poor())
    ended((rc, out, err, r), "setup", 125)
    equal((out, r["layers"], os.listdir(mark)), (b"", [], []), "not started")
    assert b"userns" in err and b"talkoot-worker check" in err, err


def compute_works_without_namespaces(w):
    rc, out, err, r = w.run("--", w.probe, "compute", before=poor())
    ended((rc, out, err, r), "exited", 0)
    equal((out, err), (b"done\n", b""), "output")
    equal([l for l in r["layers"] if l != "cgroup"], ALWAYS, "layers")
    limited(w.run("--wall", "1", "--", w.use, "stubborn", before=poor()), "wall")
    limited(w.run("--memory", "64", "--", w.use, "memory", "800", before=poor()), "memory")
    limited(w.run("--cpu", "1", "--", w.use, "burn", "1", before=poor()), "cpu")
    limited(w.run("--processes", "1", "--threads", "3", "--", w.use, "threads", "9", before=poor()), "processes")
    marker = "marker-%d-poor-%s" % (os.getpid(), w.user)
    p = started(w, marker, before=poor())
    p.kill()
    p.communicate(timeout=TIMEOUT)
    until("no process to be left", lambda: not alive(marker))
    p = w.start(*poor(), w.box, "--check")
    got = json.loads(p.communicate(timeout=TIMEOUT)[0])
    equal((got["compute"], got["files"]), (True, False), got)


TESTS = [
    its_own_exit_code_passes, its_own_signal_passes, usage_names_the_flag, help_and_version,
    what_cannot_run_is_125, check_says_what_works, a_hostile_program_reaches_nothing,
    inherited_descriptors_are_invisible, the_environment_is_built_from_nothing, addresses_are_the_same_twice,
    chance_comes_from_the_seed, mathematics_does_not_depend_on_the_processor,
    arrays_do_not_depend_on_the_processor, it_runs_idle_unless_asked, stopped_time_is_no_wall_time,
    a_keeper_makes_one_box_after_another, a_box_that_stood_by_for_the_like_of_the_last_task_is_as_any_other,
    a_keeper_takes_inputs_and_gives_outputs,
    a_keeper_refuses_what_it_does_not_understand, a_keeper_stops_and_holds_boxes,
    processes_that_wake_each_other_are_held, a_held_box_dies_with_its_keeper,
    who_comes_after_a_held_box_that_was_killed_is_not_held,
    all_boxes_end_with_their_keeper_or_its_asker, launches_leave_nothing, what_a_killed_keeper_left_the_next_removes,
    a_foreign_call_is_killed, standard_input_to_standard_output, streams_go_to_files, threads_in_compute,
    standard_input_is_the_file_from_where_it_stands, inputs_are_read_only, a_dynamic_program_with_a_root,
    beside_a_proc_its_own_file_stays_what_it_was, a_compiler_at_run_time_needs_its_bit, a_proc_shows_the_box_alone, beside_a_proc_streams_are_as_ever,
    beside_a_proc_standard_input_stays_what_it_was, where_proc_is_covered_there_is_no_bit,
    a_box_that_stood_by_without_a_bit_gives_none,
    a_program_of_an_image_is_a_path_or_a_word_of_its_path, an_image_shows_nothing_of_the_machine_and_cannot_be_changed,
    the_folders_of_the_box_stand_whatever_the_image_has_there, a_keeper_runs_programs_of_an_image,
    forks_do_not_fail_because_a_child_ended, usual_tools_do_not_complain, outputs_are_taken_with_care,
    roots_own_program_and_input_are_opened_first, a_keeper_for_compute_works_in_a_chroot_of_roots, wall, cpu, what_answers_cost_is_the_programs_cpu_time,
    an_idle_box_stands_last_where_sessions_share_the_processor,
    an_idle_box_stands_last_where_cgroups_share_the_processor, who_is_forgotten_is_counted,
    nobody_is_charged_more_than_they_used, memory,
    memory_is_held_while_nobody_looks, output, disk, processes,
    a_crash_starts_no_program_of_the_host, a_killed_launcher_leaves_nothing, it_dies_with_who_started_it_and_asked_for_that,
    sigterm_ends_the_box_and_reports, a_missing_layer_refuses_files,
    compute_works_without_namespaces,
]


def build(top):
    payload = os.path.join(HERE, "payload")
    for name in "use", "probe", "libm":
        subprocess.run(["gcc", "-static", "-O1", "-w", "-pthread", "-o", os.path.join(top, name),
                        os.path.join(payload, name + ".c"), "-lm"], check=True)
    shutil.copy(os.path.join(payload, "arrays.py"), top)
    # a copy, for the checkout may lie where another user cannot reach it
    shutil.copy(os.path.join(BIN, "talkoot-sandbox"), top)


def run_all(w, wanted):
    who = " as " + w.user if w.user else ""
    for test in TESTS:
        if wanted and test.__name__ not in wanted:
            continue
        try:
            test(w)
            COUNTS["passed"] += 1
        except Skip as e:
            COUNTS["skipped"] += 1
            print("skipped: %s%s: %s" % (test.__name__, who, e))
        except Exception as e:  # an AssertionError tells the difference; anything else is a failure too
            COUNTS["failed"] += 1
            print("FAILED: %s%s: %s: %s" % (test.__name__, who, type(e).__name__, e))


def main():
    top = tempfile.mkdtemp(prefix="talkoot-sandbox-")
    os.chmod(top, 0o755)
    try:
        build(top)
        run_all(World(top, None), sys.argv[1:])
        if os.geteuid() == 0:
            try:
                pwd.getpwnam(USER)
            except KeyError:
                COUNTS["skipped"] += 1
                print("skipped: all as an ordinary user: there is no user %s" % USER)
            else:
                run_all(World(top, USER), sys.argv[1:])
    finally:
        shutil.rmtree(top, ignore_errors=True)
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % COUNTS)
    return 1 if COUNTS["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
