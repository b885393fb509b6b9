# SPDX-License-Identifier: Apache-2.0
"""bench_programs.py: what the start of an image's program costs through a worker's keeper of boxes, beside the bare program's,
both in the same run; then the README's scientist's program over a large table (TALKOOT_ROWS, 5000; 0: not).

A start is: start it, wait for its end, know how it ended. Bare is vfork and exec by the same process. The two are taken in turn, N
times, so whatever else the machine does hits both alike. A boxed start passes through three processes, so on a machine with other
work it waits more often for a processor: the fastest tenth is what a free machine has. Nothing here asserts a time."""
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
from grid import program, run  # noqa: E402

N = int(os.environ.get("BENCH_N", "200"))
ROWS = os.environ.get("TALKOOT_ROWS", "5000")
READY, ENDED = 0, 1  # sandbox/box.h: enum box_say_kind
PATH = os.path.dirname(program("talkoot")) + ":/usr/bin:/bin"
NOTHING = "int main(void) { return 0; }\n"


class Keeper:
    """talkoot-sandbox --serve, asked as a worker asks it: a packet of words, and the files that they name."""

    def __init__(self, root):
        self.root, self.id = root, 0
        self.sock, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.p = subprocess.Popen([program("talkoot-sandbox"), "--serve", "--profile", "image"], stdin=other)
        other.close()
        self.null = os.open("/dev/null", os.O_RDWR)
        self.tree = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        self.report = os.open(tempfile.gettempdir(), os.O_RDWR | os.O_TMPFILE, 0o600)
        assert struct.unpack("IIi", self.sock.recv(12))[0] == READY

    def launch(self, cwd, command):
        self.id += 1
        os.ftruncate(self.report, 0)
        os.lseek(self.report, 0, os.SEEK_SET)
        words = ["--profile", "image", "--root", self.root, "--cwd", cwd, "--report", "r", "--priority", "normal", "--"] + command
        packet = struct.pack("II", 0, self.id) + b"".join(w.encode() + b"\0" for w in words)
        socket.send_fds(self.sock, [packet], self.files())
        kind, number, code = struct.unpack("IIi", self.sock.recv(12))
        if (kind, number, code) != (ENDED, self.id, 0):
            raise AssertionError("exit %d: %s" % (code, os.pread(self.report, 4096, 0)))

    def files(self):
        return [self.report, self.tree, self.null, self.null, self.null]

    def close(self):
        self.sock.close()
        self.p.wait()


def pack(desk, name, *command):
    """The image's tree, as a worker has it."""
    def sh(text):
        run(["sh", "-euc", text], {"PATH": PATH, "HOME": desk}, cwd=desk)
    run([program("talkoot"), "pack", "-o", name + ".img", "--", *command], {"PATH": PATH, "HOME": desk}, cwd=desk)
    sh("talkoot-image split <{0}.img >s && talkoot-image plant {0}.parts <s".format(name))
    sh("talkoot-image flatten {0}.parts/layer-0 {0}.parts/layer-1 >s && talkoot-image plant {0} <s; rm s".format(name))
    return os.path.join(desk, name)


def timed(fn):
    began = time.perf_counter()
    fn()
    return (time.perf_counter() - began) * 1e3


def compare(desk, what, *command):
    root = pack(desk, what.replace(" ", "-"), *command)
    keeper = Keeper(root)
    null = os.open("/dev/null", os.O_RDWR)
    where = shutil.which(command[0], path=PATH) or command[0]

    def bare():
        pid = os.posix_spawn(where, list(command), {"PATH": PATH}, file_actions=[(os.POSIX_SPAWN_DUP2, null, n) for n in range(3)])
        if os.waitpid(pid, 0)[1]:
            raise AssertionError("%s failed" % where)

    def boxed():
        keeper.launch("/work", list(command))

    for fn in (bare, boxed) * 3:
        fn()
    times = {bare: [], boxed: []}
    for i in range(N):
        for fn in (bare, boxed) if i % 2 else (boxed, bare):
            times[fn].append(timed(fn))
    keeper.close()
    os.close(null)
    for name, of in ("median", statistics.median), ("fastest tenth", lambda all_: statistics.quantiles(all_, n=10)[0]):
        b, k = (of(times[fn]) for fn in (bare, boxed))
        print("%-18s %-14s bare %7.2f ms   cached image, warm keeper %7.2f ms   %.2f times" % (what, name, b, k, k / b), flush=True)


def main():
    desk = tempfile.mkdtemp(prefix="talkoot-bench-", dir="/var/tmp")
    os.chmod(desk, 0o711)
    try:
        with open(os.path.join(desk, "noop.c"), "w") as f:
            f.write(NOTHING)
        run(["gcc", "-O2", "-o", "noop", "noop.c"], cwd=desk)
        print("%d starts each, taken in turn; load %.1f on %d processors" % (N, os.getloadavg()[0], os.cpu_count()), flush=True)
        os.chdir(desk)
        compare(desk, "dynamic no-op", "./noop")
        compare(desk, "python3 -c pass", "python3", "-c", "pass")
        if not subprocess.run(["/usr/bin/python3", "-c", "import numpy"], stderr=subprocess.DEVNULL).returncode:
            compare(desk, "python3 and numpy", "python3", "-c", "import numpy")
    finally:
        os.chdir("/")
        shutil.rmtree(desk, ignore_errors=True)
    if ROWS != "0":
        test = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../system/test_programs.py")
        sys.exit(subprocess.run([sys.executable, test, "test_a_scientists_program_is_five_commands"],
                                env=dict(os.environ, TALKOOT_ROWS=ROWS, TALKOOT_PATIENCE="3600")).returncode)


main()
