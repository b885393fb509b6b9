# SPDX-License-Identifier: Apache-2.0
"""bench_grid.py: how fast tasks that do nothing go through a real grid on this machine, and beside it, measured in
the same run, what the machine could do at most: launches, boxed launches, signatures, durable commits.

Nothing here asserts a time. TASKS, WORKERS, SLOTS, QUORUM and SECONDS_EACH (of a limit) come from the environment."""
import os
import re
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
from grid import Grid, compile_static, program, run  # noqa: E402

TASKS = int(os.environ.get("TASKS", "400"))
WORKERS = int(os.environ.get("WORKERS", "3"))
SLOTS = int(os.environ.get("SLOTS", "1"))
QUORUM = int(os.environ.get("QUORUM", "2"))
SECONDS = float(os.environ.get("SECONDS_EACH", "2"))
CPUS = len(os.sched_getaffinity(0))

NOTHING = "int main(void) { return 0; }\n"
# launch MS COMMAND…: start it and wait for it, again and again; prints how often
LAUNCH = r"""#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
extern char **environ;
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1e3 + t.tv_nsec / 1e6; }
int main(int argc, char **argv)
{
	double end = now() + atof(argv[1]);
	long n = 0;
	int status;
	pid_t pid;
	for (; now() < end; n++)
		if (argc < 3 || posix_spawn(&pid, argv[2], NULL, NULL, argv + 2, environ) || waitpid(pid, &status, 0) != pid || status)
			return 1;
	printf("%ld\n", n);
	return 0;
}
"""


def launches(launch, *command):
    """A second, by as many launchers as there are processors."""
    all_ = [subprocess.Popen([launch, str(SECONDS * 1000)] + list(command), stdout=subprocess.PIPE)
            for _ in range(CPUS)]
    counts = [int(p.communicate()[0] or 0) for p in all_]
    if any(p.returncode for p in all_):
        raise AssertionError("%s does not run here" % " ".join(command))
    return sum(counts) / SECONDS


def signatures():
    """(sign/s, verify/s) of one processor."""
    said = run(["openssl", "speed", "-seconds", "1", "ed25519"])
    sign, verify = re.findall(r"Ed25519\).*?([\d.]+)\s+([\d.]+)\s*$", said, re.M)[-1]
    return float(sign), float(verify)


def commits(path):
    """Durable transactions a second, of one row as long as an envelope."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE t (line TEXT)")
    line, n, end = "x" * 2000, 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO t VALUES (?)", (line,))
        db.execute("COMMIT")
        n += 1
    db.close()
    return n / SECONDS


def limits(g, exe):
    launch = compile_static(LAUNCH, g.path("launch"))
    sign, verify = signatures()
    return [("fork + exec", launches(launch, exe)),
            ("boxed launches", launches(launch, program("talkoot-sandbox"), "--", exe)),
            ("Ed25519 sign (1 cpu)", sign), ("Ed25519 verify (1 cpu)", verify),
            ("SQLite commits, FULL", commits(g.path("limit.db")))]


def until(g, began, what):
    while not what(g.status()):
        time.sleep(0.005)
    return time.monotonic() - began


def measure(g, exe):
    """Seconds: the submit command, to the first result, to the last verdict."""
    have = g.status()
    began = time.monotonic()
    g.submit("--quorum", str(QUORUM), "--range", str(TASKS), "--", exe)
    submitted = time.monotonic() - began
    first = until(g, began, lambda s: s["results"]["received"] > have["results"]["received"])
    last = until(g, began, lambda s: s["tasks"]["valid"] >= have["tasks"]["valid"] + TASKS)
    return submitted, first, last


def latency(g, exe, times=5):
    """The median of the way of one task through a grid that waits: submit to first result."""
    took = []
    for _ in range(times):
        have, began = g.status(), time.monotonic()
        g.submit("--quorum", str(QUORUM), "--range", "1", "--", exe)
        took.append(until(g, began, lambda s: s["results"]["received"] > have["results"]["received"]))
        until(g, began, lambda s: s["tasks"]["valid"] > have["tasks"]["valid"])
    return sorted(took)[times // 2]


def main():
    with Grid(workers=WORKERS, slots=SLOTS) as g:
        exe = compile_static(NOTHING, g.path("nothing"))
        most = limits(g, exe)
        one = latency(g, exe)
        submitted, first, last = measure(g, exe)
    results = TASKS * QUORUM
    print("%d tasks of nothing, quorum %d, %d workers of %d slots, %d cpus" % (TASKS, QUORUM, WORKERS, SLOTS, CPUS))
    print("  %-28s %9.1f /s" % ("tasks", TASKS / last))
    print("  %-28s %9.1f /s" % ("results", results / last))
    print("  %-28s %9.1f ms" % ("the submit command", submitted * 1e3))
    print("  %-28s %9.1f ms" % ("submit to first result", first * 1e3))
    print("  %-28s %9.1f ms" % ("the same, one task, median", one * 1e3))
    print("this machine, in the same run            results are")
    for name, rate in most:
        print("  %-28s %9.1f /s   %6.1f %%" % (name, rate, 100 * results / last / rate))


if __name__ == "__main__":
    main()
