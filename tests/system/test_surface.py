#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_surface.py: how many system calls a boxed program can reach, counted by trying them all.

Runs payload/surface.c in the real talkoot-sandbox (TALKOOT_BIN, default build/bin), which makes each
call from 0 to 1023, and holds what was not refused against policy.h. Then each value of each argument
that policy.h tests, against the lists below, written a second time; numbers that no table has; and
the conventions of other machines that this one's kernel may serve.
"""
import errno
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BIN = os.path.abspath(os.environ.get("TALKOOT_BIN", "build/bin"))
TIMEOUT = 60
JIT = "files with jit"
OPTIONS = {"compute": ["--profile", "compute"], "files": ["--profile", "files"],
           JIT: ["--profile", "files", "--bits", "jit"]}
MOST = {"compute": 60, "files": 130, JIT: 130}
WHO = {"compute": {"COMPUTE", "ROOTED", "BOTH"}, "files": {"FILES", "BOTH"}, JIT: {"FILES", "BOTH", "JIT"}}
# What policy.h lets through of calls whose arguments it tests: {call: values}. `files` has both.
CLONE = {0x200: "FS", 0x4000: "VFORK", 0x40000: "SYSVSEM", 0x80000: "SETTLS", 0x100000: "PARENT_SETTID",
         0x400000: "DETACHED", 0x80000000: "IO"}
MODES = {1 << bit for bit in range(16)} - {0o4000, 0o2000, 0o1000}
COMPUTE_ARGUMENTS = {
    "fcntl": {fcntl.F_GETFD, fcntl.F_GETFL},
    "prctl": {15, 16},                                     # PR_SET_NAME, PR_GET_NAME
    "madvise": {0, 1, 2, 3, 4, 8, 14, 15, 102, 103},       # to DONTNEED, FREE, (NO)HUGEPAGE, guards
    "mprotect": {p for p in range(16) if not p & 4},       # never PROT_EXEC
    "futex": {op | private for op in (0, 1, 4, 5, 9) for private in (0, 0x80)} | {3, 0x83, 10, 0x8a, 0x109, 0x189},
    "arch_prctl": {0x1002, 0x1003},                        # ARCH_SET_FS, ARCH_GET_FS
    "clock_gettime": set(range(12)),
    "prlimit64": set(range(32)),                           # its own, reading only
    "clone-thread": set(CLONE),
}
FILES_ARGUMENTS = dict(
    COMPUTE_ARGUMENTS,
    fcntl={fcntl.F_GETFD, fcntl.F_GETFL, fcntl.F_DUPFD, fcntl.F_DUPFD_CLOEXEC, fcntl.F_SETFD, fcntl.F_SETFL},
    ioctl={0x5401, 0x5413, 0x541b, 0x5421, 0x5450, 0x5451},  # TCGETS TIOCGWINSZ FIONREAD FIONBIO FIONCLEX FIOCLEX
    socketpair={socket.AF_UNIX},
    clock_gettime=set(range(16)) | {(1 << 32) - n for n in range(1, 65)},  # of its processes
    fchmod=MODES, fchmodat=MODES, mknodat={0o010000},      # never set-user-id; a FIFO
)
FILES_ARGUMENTS["clone-thread"] = set(CLONE) | {0x1000}    # CLONE_PIDFD
FILES_ARGUMENTS["clone-without"] = {0x10000}              # what is no thread is a process
FILES_ARGUMENTS["clone-process"] = set(CLONE) | {0x400, 0x800, 0x1000, 0x200000, 0x1000000}
ARGUMENTS = {"compute": COMPUTE_ARGUMENTS, "files": FILES_ARGUMENTS,
             JIT: dict(FILES_ARGUMENTS, mprotect=COMPUTE_ARGUMENTS["mprotect"] | set(range(8)))}  # and PROT_EXEC
PRIVATE, SHARED, ANONYMOUS, HUGETLB = 2, 1, 0x20, 0x40000
# What these two do when called from elsewhere than the kernel's own trampoline; no filter is asked.
PROBES = {335: {(signal.SIGILL, 0)}, 336: {(0, errno.ENXIO), (0, errno.EPROTO), (signal.SIGILL, 0)}}
REFUSED = {(0, errno.EPERM)}
# The kernel's words about a call by another convention: the filter kills; or there is no such convention.
KILLED = {128 + signal.SIGSYS}
NONE_SUCH = {128 + signal.SIGILL, 128 + signal.SIGSEGV}
FOREIGN = {"x32": KILLED, "own": KILLED, "i386": KILLED | NONE_SUCH, "entry": KILLED | NONE_SUCH, "compat": KILLED | NONE_SUCH}
NUMBERS = {"x32": [0, 1, 2, 39, 57, 59, 101, 231, 335, 336, 512, 520, 521, 547, 600, 1023],
           "own": [-2, -39, -1000, -4096, -(1 << 30) - 1, -(1 << 31)]}  # the bit of x32 is set in nearly all negative ones


def rows():
    """(kind, who, call) of each line of policy.h."""
    with open(os.path.join(ROOT, "sandbox", "policy.h")) as f:
        return re.findall(r"^([A-Z_]+)\(([A-Z]+), (\w+),", f.read(), re.M)


def numbers(top, calls):
    """{number: name}, as this machine's C library has them; calls that it lacks are left out."""
    source, program = os.path.join(top, "numbers.c"), os.path.join(top, "numbers")
    with open(source, "w") as f:
        f.write("#include <stdio.h>\n#include <sys/syscall.h>\nint main(void)\n{\n")
        for call in calls:
            f.write('#ifdef SYS_%s\n\tprintf("%%d %s\\n", (int)SYS_%s);\n#endif\n' % (call, call, call))
        f.write("\treturn 0;\n}\n")
    subprocess.run(["gcc", "-o", program, source], check=True)
    out = subprocess.run([program], stdout=subprocess.PIPE, check=True).stdout.decode()
    return {int(nr): name for nr, name in (line.split() for line in out.splitlines())}


def run(top, profile, *argv):
    """(exit, lines, reason)"""
    report = os.path.join(top, "report")
    p = subprocess.run([os.path.join(BIN, "talkoot-sandbox"), *OPTIONS[profile], "--threads", "8", "--report", report,
                        "--", os.path.join(top, "surface"), *argv],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT)
    with open(report) as f:
        return p.returncode, p.stdout.decode().splitlines(), json.load(f)["reason"]


def lines_of(top, profile, *argv):
    rc, lines, reason = run(top, profile, *argv)
    assert rc == 0 and lines[-1:] == ["done"], "exit %d, %s, %r" % (rc, reason, lines[-1:])
    return lines[:-1]


def check_probes(lines):
    """335 and 336: refused where the kernel has none or asks the filter, else of no use."""
    for nr, sig, error in (map(int, l.split()[1:]) for l in lines):
        assert (sig, error) in PROBES[nr] | REFUSED, "%d: signal %d, error %d" % (nr, sig, error)
    return sum((sig, error) not in REFUSED for _, sig, error in (map(int, l.split()[1:]) for l in lines))


def numbers_are_those_of_the_list(top, profile):
    listed = numbers(top, {call for kind, who, call in rows() if who in WHO[profile] and "NO" not in kind})
    lines = lines_of(top, profile, "numbers")
    passed_over = check_probes([l for l in lines if l.startswith("probe ")])
    got = {int(l) for l in lines if not l.startswith("probe ")}
    names = {listed.get(nr, str(nr)) for nr in got}
    print("%s: %d system calls reachable of %d listed, at most %d; %d that no filter is asked about do nothing" % (
        profile, len(got), len(listed), MOST[profile], passed_over))
    assert got <= set(listed), "reachable and not listed: %s" % sorted(got - set(listed))
    assert len(got) <= MOST[profile], "%d are reachable" % len(got)
    missing = set(listed.values()) - names
    assert not missing, "listed and not reachable: %s" % sorted(missing)


def may_map(profile, prot, flag, kind):
    code = prot & 4
    if flag == HUGETLB:
        return False
    if profile == JIT and flag == ANONYMOUS and kind == PRIVATE and prot < 8:
        return True
    if profile != "compute" and (kind == SHARED and not code and flag != ANONYMOUS or
                               kind == PRIVATE and code and not prot & 2):
        return True
    return kind == PRIVATE and not code


def arguments_are_those_of_the_list(top, profile):
    got = {}
    for call, value in (l.split() for l in lines_of(top, profile, "arguments")):
        got.setdefault(call, set()).add(int(value, 16))
    maps = {prot << 24 | 1 << bit | kind for prot in range(16) for bit in range(4, 21) for kind in range(16)
            if may_map(profile, prot, 1 << bit, kind)}
    want = dict(ARGUMENTS[profile], mmap=maps)
    for call in sorted(set(got) | set(want)):
        more, less = got.get(call, set()) - want.get(call, set()), want.get(call, set()) - got.get(call, set())
        assert not more, "%s lets through %s" % (call, [hex(v) for v in sorted(more)][:8])
        assert not less, "%s refuses %s" % (call, [hex(v) for v in sorted(less)][:8])
    print("%s: of arguments that the filter tests, let through: %s" % (profile, ", ".join(
        "%s %d" % (call, len(values)) for call, values in sorted(got.items()))))


def numbers_of_no_table_are_refused(top, profile):
    got = lines_of(top, profile, "odd")
    assert not got, got


def foreign_conventions_are_killed(top, profile):
    for how, ends in FOREIGN.items():
        for nr in NUMBERS.get(how, (1, 11, 20)):
            rc, lines, reason = run(top, profile, "foreign", how, str(nr))
            assert rc in ends and not lines, "%s %d: exit %d, %s" % (how, nr, rc, lines)
            assert (reason == "policy") == (rc in KILLED), "%s %d: %s, exit %d" % (how, nr, reason, rc)


TESTS = [numbers_are_those_of_the_list]
OF_X86_64 = [arguments_are_those_of_the_list, numbers_of_no_table_are_refused, foreign_conventions_are_killed]


def main():
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    top = tempfile.mkdtemp(prefix="talkoot-surface-")
    os.chmod(top, 0o755)
    try:
        subprocess.run(["gcc", "-static", "-O1", "-w", "-pthread", "-I" + ROOT, "-o", os.path.join(top, "surface"),
                        os.path.join(HERE, "payload", "surface.c")], check=True)
        if os.uname().machine != "x86_64":
            counts["skipped"] += 1
            print("skipped: arguments and conventions: their lists are of x86-64")
        for test in TESTS + (OF_X86_64 if os.uname().machine == "x86_64" else []):
            for profile in OPTIONS:
                try:
                    test(top, profile)
                    counts["passed"] += 1
                except Exception as e:  # an AssertionError tells the difference; anything else is a failure too
                    counts["failed"] += 1
                    print("FAILED: %s in %s: %s: %s" % (test.__name__, profile, type(e).__name__, e))
    finally:
        shutil.rmtree(top, ignore_errors=True)
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % counts)
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
