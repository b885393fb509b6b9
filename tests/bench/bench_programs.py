#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench_programs.py: the start of a program of an image that is already unpacked, beside the same program's bare start.

    bench_programs.py [ROUNDS]      (TALKOOT_BIN, default build/bin; TALKOOT_SEED)

Each round starts each program once bare (posix_spawn) and once by a warm keeper of the profile image, in random
order, and waits for its end. Printed: medians and least in milliseconds, and their ratios: on a machine that has other
things to do the medians tell of these. It asserts no time.
"""
import array
import os
import random
import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

BIN = os.path.abspath(os.environ.get("TALKOOT_BIN", "build/bin"))
WARM = 20  # rounds that do not count


def put(root, path, to=None):
    """A file or a folder of this machine, at the same path, and what a program of it is linked with."""
    linked = subprocess.run(["ldd", path], capture_output=True, text=True).stdout if os.path.isfile(path) else ""
    for source, at in [(path, to or path)] + [(l, l) for l in re.findall(r"(/\S+) \(0x", linked)]:
        os.makedirs(os.path.dirname(root + at), exist_ok=True)
        if os.path.isdir(source):
            shutil.copytree(source, root + at, dirs_exist_ok=True, symlinks=True,
                            ignore=shutil.ignore_patterns("test", "tests", "dist-packages", "site-packages"))
        elif not os.path.exists(root + at):
            shutil.copy(source, root + at)


def make_image(root):
    put(root, os.path.realpath(shutil.which("true")), "/bin/true")
    python = shutil.which("python3", path="/usr/bin:/bin:/usr/local/bin")
    script = {"true": ["/bin/true"]}
    if python:
        python = os.path.realpath(python)
        library = subprocess.run([python, "-S", "-c", "import os; print(os.path.dirname(os.__file__))"],
                                 capture_output=True, text=True).stdout.strip()
        put(root, python)
        put(root, library)
        subprocess.run(["chmod", "-R", "a+rX", root], check=True)
        script["python3 -S -c pass"] = [python, "-S", "-c", "pass"]
    for name in "usr", "etc", "var", "opt", "home", "root", "run", "srv", "mnt", "media", "in", "out", "tmp", "dev", "proc":
        os.makedirs(os.path.join(root, name), exist_ok=True)  # as many as a usual root has
    os.chmod(root, 0o755)
    return script


class Keeper:
    def __init__(self, root):
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.p = subprocess.Popen([os.path.join(BIN, "talkoot-sandbox"), "--serve", "--profile", "image"], stdin=theirs)
        theirs.close()
        self.sock.recv(64)
        self.root = os.open(root, os.O_RDONLY)
        self.null, self.n = os.open("/dev/null", os.O_RDWR), 0

    def run(self, argv):
        self.n += 1
        words = ["--profile", "image", "--root", "r", "--deterministic", "off", "--priority", "normal", "--"] + argv
        data = struct.pack("II", 0, self.n) + b"".join(w.encode() + b"\0" for w in words)
        fds = array.array("i", [self.root, self.null, self.null, self.null])
        self.sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        kind, number, code = struct.unpack("IIi", self.sock.recv(64))
        assert (kind, number, code) == (1, self.n, 0), (kind, number, code)

    def end(self):
        self.sock.close()
        self.p.wait()


def bare(argv):
    pid = os.posix_spawn(argv[0], argv, {"PATH": "/usr/bin:/bin"})
    assert os.waitpid(pid, 0)[1] == 0


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    seed = int(os.environ.get("TALKOOT_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    chance = random.Random(seed)
    root = tempfile.mkdtemp(prefix="talkoot-bench-")
    try:
        os.chmod(root, 0o755)
        programs = make_image(root)
        keeper = Keeper(root)
        print("TALKOOT_SEED=%d, %d rounds" % (seed, rounds))
        for name, argv in programs.items():
            took = {"bare": [], "image": []}
            for n in range(rounds + WARM):
                for what in chance.sample(sorted(took), 2):
                    began = time.perf_counter()
                    keeper.run(argv) if what == "image" else bare(argv)
                    if n >= WARM:
                        took[what].append(time.perf_counter() - began)
            for what, of in ("median", statistics.median), ("least", min):
                a, b = (of(took[w]) * 1000 for w in ("bare", "image"))
                print("%-18s %-6s bare %7.3f ms   in a warm box of profile image %7.3f ms   ratio %.2f" % (name, what, a, b, b / a))
        keeper.end()
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
