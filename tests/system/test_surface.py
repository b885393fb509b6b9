#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_surface.py: how many system calls a boxed program can reach, counted by trying them all.

Runs payload/surface.c in the real talkoot-sandbox (TALKOOT_BIN, default build/bin), which makes each
call from 0 to 1023, and holds what was not refused against policy.h.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BIN = os.path.abspath(os.environ.get("TALKOOT_BIN", "build/bin"))
TIMEOUT = 60
MOST = {"compute": 60, "files": 130}
WHO = {"compute": {"COMPUTE", "ROOTED", "BOTH"}, "files": {"FILES", "BOTH"}}


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


def reached(top, profile):
    argv = [os.path.join(BIN, "talkoot-sandbox"), "--profile", profile, "--", os.path.join(top, "surface")]
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=TIMEOUT)
    lines = p.stdout.decode().split()
    assert p.returncode == 0 and lines[-1:] == ["done"], "exit %d, %r, %r" % (p.returncode, lines[-1:], p.stderr)
    return {int(nr) for nr in lines[:-1]}


def surface(top, profile):
    listed = numbers(top, {call for kind, who, call in rows() if who in WHO[profile] and "NOSYS" not in kind})
    got = reached(top, profile)
    names = {listed.get(nr, str(nr)) for nr in got}
    print("%s: %d system calls reachable of %d listed, at most %d" % (profile, len(got), len(listed), MOST[profile]))
    assert got <= set(listed), "reachable and not listed: %s" % sorted(got - set(listed))
    assert len(got) <= MOST[profile], "%d are reachable" % len(got)
    missing = set(listed.values()) - names
    assert not missing, "listed and not reachable: %s" % sorted(missing)


def main():
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    top = tempfile.mkdtemp(prefix="talkoot-surface-")
    os.chmod(top, 0o755)
    try:
        subprocess.run(["gcc", "-static", "-O1", "-w", "-pthread", "-I" + ROOT, "-o", os.path.join(top, "surface"),
                        os.path.join(HERE, "payload", "surface.c")], check=True)
        for profile in "compute", "files":
            try:
                surface(top, profile)
                counts["passed"] += 1
            except Exception as e:  # an AssertionError tells the difference; anything else is a failure too
                counts["failed"] += 1
                print("FAILED: %s: %s: %s" % (profile, type(e).__name__, e))
    finally:
        shutil.rmtree(top, ignore_errors=True)
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % counts)
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
