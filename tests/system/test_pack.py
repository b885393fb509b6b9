# SPDX-License-Identifier: Apache-2.0
"""test_pack.py: talkoot pack: real programs are watched, packed, and run in the box from their image."""
import hashlib
import json
import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time

from grid import BIN, PATIENCE, Skip, compile_static, main, program, run, wait_for
from test_image_job import ImageGrid

# of Debian: the python that runs this may be another
PYTHON = "/usr/bin/python3"
PATH = "/usr/local/bin:/usr/bin:/bin"


class Desk:
    """A home with a project in it, outside of /tmp: of that the box has its own."""

    def __init__(self, owner=None):
        self.dir = tempfile.mkdtemp(prefix="talkoot-pack-", dir="/var/tmp")
        os.chmod(self.dir, 0o755)
        self.owner = owner
        self.home, self.cwd = self.folder("home"), self.folder("home/proj")
        self.env = {"PATH": PATH, "HOME": self.home, "LANG": "C.UTF-8"}

    def __enter__(self):
        return self

    def __exit__(self, *why):
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def folder(self, name):
        os.makedirs(self.path(name), exist_ok=True)
        if self.owner:
            os.chown(self.path(name), self.owner, self.owner)
        return self.path(name)

    def write(self, name, text, mode=0o644):
        """A file of the project, or with a path of the desk's."""
        path = os.path.join(self.cwd, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def pack(self, *args, code=0, stdin=None, env=None):
        """stdout; what was said is in .said"""
        p = subprocess.run([program("talkoot"), "pack", "-o", "it.img", *args], env=dict(self.env, **(env or {})), cwd=self.cwd,
                           stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=PATIENCE * 2, user=self.owner, group=self.owner)
        self.said = p.stderr.decode(errors="replace")
        assert p.returncode == code, "exit %d, not %d\n%s%s" % (p.returncode, code, p.stdout, self.said)
        return p.stdout.decode(errors="replace")

    def says(self, *words):
        for word in words:
            assert word in self.said, "%r is not in\n%s" % (word, self.said)

    def line(self, word):
        lines = [l for l in self.said.splitlines() if word in l]
        assert len(lines) == 1, "%r: %d lines of\n%s" % (word, len(lines), self.said)
        return lines[0]

    def image(self):
        return Image(os.path.join(self.cwd, "it.img"))


class Image:
    """An image layout, read by the letter of the OCI specification with other tools."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.bytes = f.read()
        with tarfile.open(path) as t:
            self.files = {m.name: t.extractfile(m).read() for m in t if m.isfile()}
        for name, data in self.files.items():
            if name.startswith("blobs/sha256/"):
                assert hashlib.sha256(data).hexdigest() == os.path.basename(name), name
        assert json.loads(self.files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
        index = json.loads(self.files["index.json"])
        self.manifest = json.loads(self.blob(index["manifests"][0]))
        self.config = json.loads(self.blob(self.manifest["config"]))
        self.layers = [d["digest"] for d in self.manifest["layers"]]
        self.members = {}
        for d, diff in zip(self.manifest["layers"], self.config["rootfs"]["diff_ids"]):
            assert d["mediaType"] == "application/vnd.oci.image.layer.v1.tar+zstd"
            tar = subprocess.run(["zstd", "-dc"], input=self.blob(d), stdout=subprocess.PIPE, check=True).stdout
            assert "sha256:" + hashlib.sha256(tar).hexdigest() == diff
            with tempfile.TemporaryFile() as f:
                f.write(tar)
                f.seek(0)
                with tarfile.open(fileobj=f) as t:
                    for m in t:
                        assert m.name not in self.members and (m.uid, m.gid) == (0, 0), m.name
                        assert m.mtime == 0 or m.name.endswith(".py"), m.name
                        self.members[m.name] = m

    def blob(self, descriptor):
        data = self.files["blobs/" + descriptor["digest"].replace(":", "/")]
        assert len(data) == descriptor["size"]
        return data

    def env(self):
        return dict(word.split("=", 1) for word in self.config["config"]["Env"])


PROVEN = "it ran in the box from the image, and printed the same as here"


def test_a_shell_script_with_coreutils():
    with Desk() as d:
        d.write("words", "pear\napple\nfig\n")
        d.write("sub/deep/größe", "7\n")
        d.write("run.sh", "#!/bin/sh\nsort words | head -n 2 | tr a-z A-Z\ncat sub/deep/gr*\nexpr 6 \\* \"$1\"\n", 0o755)
        assert d.pack("--", "./run.sh", "7") == "APPLE\nFIG\n7\n42\n"
        d.says(PROVEN)
        i = d.image()
        c = i.config["config"]
        assert c["Cmd"] == ["./run.sh", "7"] and c["WorkingDir"] == "/work" and "Entrypoint" not in c
        assert {"work/run.sh", "work/words", "work/sub/deep/größe", "usr/bin/sort", "usr/bin/expr"} <= set(i.members)
        assert i.members["work/run.sh"].mode == 0o755 and i.members["work/words"].mode == 0o644
        assert i.members["bin"].issym() and i.members["lib64"].issym(), "Debian's links are links"
        assert i.members["usr/bin/dash"].isfile()
        assert d.cwd.lstrip("/") in i.members and i.members[d.cwd.lstrip("/")].linkname == "/work"
        assert "/usr/bin" in i.env()["PATH"].split(":") and "HOME" not in i.env()


def numpy_project(d):
    if subprocess.run([PYTHON, "-c", "import numpy"], stderr=subprocess.DEVNULL).returncode:
        raise Skip("%s has no numpy" % PYTHON)
    d.write("data.csv", "".join("%d,%d\n" % (n, n * n) for n in range(100)))
    d.write("model/__init__.py", "def fit(a):\n    import numpy\n    return numpy.linalg.lstsq(a[:, :1], a[:, 1], rcond=None)[0]\n")
    d.write("sim.py", "import sys, os\nimport numpy as np\nfrom model import fit\n"
            "a = np.loadtxt(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'data.csv'), delimiter=',')\n"
            "print(float(fit(a)[0]) * int(sys.argv[1]), open('data.csv').readline().strip())\n")


def test_python_with_numpy_and_a_data_file():
    with Desk() as d:
        numpy_project(d)
        out = d.pack("--", PYTHON, "sim.py", "2")
        assert out.endswith(" 0,0\n"), out
        d.says(PROVEN)
        assert "/work" not in out and "home folder" not in d.said, d.said
        i = d.image()
        assert {"work/sim.py", "work/data.csv", "work/model/__init__.py"} <= set(i.members)
        assert not any(n.endswith(".pyc") and n.startswith("work/") for n in i.members), "what the run made"
        assert i.members["usr/bin/python3"].issym()
        assert "RuntimeWarning" in i.env()["PYTHONWARNINGS"], i.env()  # of what the box sets, on another processor
        # what is compiled stays so: each start in the box would compile numpy again
        source, compiled = "usr/lib/python3.11/os.py", "usr/lib/python3.11/__pycache__/os.cpython-311.pyc"
        if compiled in i.members:
            assert i.members[source].mtime == int(os.stat("/" + source).st_mtime) > 0


def test_python_in_the_box_wants_no_more_than_here():
    with Desk() as d:
        # what the box sets must not make each start read more: PYTHONWARNINGS would want these two
        d.pack("--", PYTHON, "-c", "import sys; print([m for m in ('re', 'warnings') if m in sys.modules])")
        d.says(PROVEN)
        names = set(d.image().members)
        assert not any(n.endswith(("/warnings.py", "/re/__init__.py")) for n in names), names


def test_the_same_bytes_twice_and_a_change_changes_one_layer():
    with Desk() as d:
        numpy_project(d)
        d.pack("--no-try", "--", PYTHON, "sim.py", "2")
        one = d.image()
        os.utime(os.path.join(d.cwd, "sim.py"), (1, 1))
        d.pack("--no-try", "--", PYTHON, "sim.py", "2")  # with an image beside it now
        two = d.image()
        assert one.bytes == two.bytes, sorted(set(one.members) ^ set(two.members))
        d.write("data.csv", "1,2\n2,4\n")
        d.pack("--no-try", "--", PYTHON, "sim.py", "2")
        three = d.image()
        assert three.layers[0] == one.layers[0] and three.layers[1] != one.layers[1]


def test_what_is_left_out_is_said():
    with Desk() as d, socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        d.write("../.secret", "hunter2\n")
        d.write("../.ssh/id", "key\n", 0o600)
        d.write(d.path("shared.txt"), "shared\n")
        d.write(d.path("private.txt"), "private\n", 0o600)
        os.chmod(d.path("private.txt"), 0o600)
        d.write("go.py", "import os, socket\n"
                "def look(p):\n    try:\n        return open(p).read()\n    except OSError:\n        return 'none'\n"
                "for p in ('~/.secret', '~/.ssh/id'):\n    look(os.path.expanduser(p))\n"
                "look(%r); look(%r); look('/proc/cpuinfo')\n"
                "try:\n    socket.create_connection(('127.0.0.1', %d)).close()\nexcept OSError:\n    pass\n"
                "for p in ('out.txt', %r):\n    try:\n        open(p, 'w').write('x')\n    except OSError:\n        pass\n"
                "print('done')\n" % (d.path("shared.txt"), d.path("private.txt"), port, d.path("made.txt")))
        assert d.pack("--", PYTHON, "go.py") == "done\n"
        d.says(PROVEN, "asked for the network: 127.0.0.1:%d" % port)
        assert "home/.secret" in d.line("of your home folder only code") and "home/.ssh/id" in d.line("of your home folder only code")
        assert "private.txt" in d.line("not everybody here may read it")
        assert "out.txt" in d.line("made or changed it") and "made.txt" in d.line("made or changed it")
        assert "/proc/cpuinfo" in d.line("this machine's own")
        assert "shared.txt" in d.line("goes along from outside")
        i = d.image()
        names = " ".join(i.members)
        assert "shared.txt" in names
        for word in ".secret", ".ssh", "private.txt", "out.txt", "made.txt", "cpuinfo":
            assert word not in names, word
        assert b"hunter2" not in i.bytes


def test_a_packed_program_is_submitted_and_its_results_believed():
    with Desk() as d, ImageGrid() as g:
        g.add_worker()
        g.add_worker()
        numpy_project(d)
        here = d.pack("--", PYTHON, "sim.py", "2")
        d.says(PROVEN)
        job = g.run_job("--image", os.path.join(d.cwd, "it.img"), "--range", "3", "--", PYTHON, "sim.py", "{index}")
        out = g.results(job)
        with open(os.path.join(out, "2", "stdout")) as f:
            assert f.read() == here
        g.verify(out)


def test_code_of_the_home_goes_along():
    with Desk() as d:
        version = run([PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).strip()
        d.write("../.local/lib/python%s/site-packages/mine.py" % version, "x = 42\n")
        d.write("../.config/mine", "no\n")
        d.write("go.py", "import mine, os\nprint(mine.x, os.path.exists(os.path.expanduser('~/.config/mine')) and '')\n")
        d.pack("--", PYTHON, "go.py", code=0)
        assert "home/.local/lib" in d.line("as code") and "home/.config/mine" in d.line("only code goes along")
        i = d.image()
        assert i.env()["PYTHONUSERBASE"] == d.path("home/.local")
        assert not [n for n in i.members if ".config" in n]
        # without the pyc in site-packages, with it unreadable for others, and by a virtual environment
        run([PYTHON, "-m", "venv", "--without-pip", d.path("home/envs/v")])
        d.write("../envs/v/lib/python%s/site-packages/other.py" % version, "y = 7\n")
        d.write("go.py", "import other, sys\nprint(other.y, sys.prefix)\n")
        assert d.pack("--", d.path("home/envs/v/bin/python"), "go.py") == "7 %s\n" % d.path("home/envs/v")
        d.says(PROVEN)
        assert "home/envs/v (" in d.line("as code")


def test_a_file_that_is_missed_is_named_and_include_takes_it():
    with Desk() as d:
        d.write("../lab/ref.csv", "1\n")
        d.write("../lab/more/deep.csv", "2\n")
        ref = d.path("home/lab/ref.csv")
        assert d.pack("--", "cat", ref, code=1) == "1\n"
        d.says("here the program ended with exit 0, in the box with 1", "it may miss a file: " + ref, "--include",
               "it.img is written, and not proven")
        assert d.image().members
        d.pack("--include", "../lab", "--", "cat", ref)
        d.says(PROVEN)
        assert d.path("home/lab/more/deep.csv")[1:] in d.image().members, "whole trees"
        d.pack("--include", "../lab", "--exclude", "deep*", "--no-try", "--", "cat", ref)
        assert d.path("home/lab/more/deep.csv")[1:] not in d.image().members
        d.pack("--include", "nowhere", "--", "cat", ref, code=2)
        d.says("--include nowhere")
        d.pack("--", "sh", "-c", "echo x >out.txt; cat out.txt", code=1)
        d.says("/out (results)")


def test_links_lead_to_the_same_in_the_image():
    with Desk() as d:
        d.write(d.path("data/v2/x"), "far\n")
        os.symlink("v2", d.path("data/latest"))
        os.symlink("../../data/latest", os.path.join(d.cwd, "data"))
        os.symlink("near", os.path.join(d.cwd, "l1"))
        os.symlink("l1", os.path.join(d.cwd, "l2"))
        d.write("near", "near\n")
        assert d.pack("--", "cat", "data/x", "l2") == "far\nnear\n"
        d.says(PROVEN)
        m = d.image().members
        assert m["work/l2"].linkname == "l1" and m["work/data"].linkname == d.path("data/latest")


def test_files_of_other_tasks_are_spoken_of():
    with Desk() as d:
        for n in range(9):
            d.write("data/%d.csv" % n, "%d\n" % n)
        d.write("pick.sh", "set -- data/*.csv\nshift $(cat n)\ncat $1\n")
        d.write("n", "2\n")
        assert d.pack("--", "sh", "pick.sh", code=1) == "2\n"  # the third name is another one where there are fewer
        d.says("in the box with 2", "seen in a folder and not opened: %s/data/0.csv, " % d.cwd, "and 4 more; if another task needs them")
        d.pack("--include", "data", "--", "sh", "pick.sh")
        d.says(PROVEN)
        assert "not opened" not in d.said
        assert len([n for n in d.image().members if n.startswith("work/data/")]) == 9


def test_what_a_program_sees_of_itself_is_no_file_of_ours():
    with Desk() as d:
        d.write("go.py", "import os\nos.readlink('/proc/self/exe'); open('/proc/self/exe').close(); open('/proc/self/stat').close()\n"
                "try:\n    open('/dev/stdin').close()\nexcept OSError:\n    pass\nprint(1)\n")
        d.pack("--no-try", "--", PYTHON, "go.py")
        d.says("/proc/self/exe, /proc/self/stat")
        assert not [n for n in d.image().members if "talkoot" in n and d.path()[1:] not in n], d.said


def test_a_project_in_tmp():
    with tempfile.TemporaryDirectory(prefix="talkoot-pack-") as top:
        d = Desk.__new__(Desk)
        d.dir, d.owner, d.home, d.cwd, d.env = top, None, top, os.path.join(top, "p"), {"PATH": PATH, "HOME": top}
        os.mkdir(d.cwd)
        d.write("x", "1\n")
        assert d.pack("--", "cat", "x", "./x") == "1\n1\n"
        d.says(PROVEN)
        assert top[1:] not in d.image().members


def test_threads_forks_and_programs_executed_by_threads():
    with Desk() as d:
        d.write("a", "1\n")
        d.write("b", "2\n")
        d.write("inner.sh", "#!%s/wrap x\ncat b\n" % d.cwd, 0o755)
        d.write("wrap", "#!/bin/sh\nshift\nexec sh \"$@\"\n", 0o755)
        d.write("go.py", "import threading, subprocess, os\n"
                "def f():\n    print(subprocess.run(['./inner.sh'], stdout=subprocess.PIPE).stdout.decode().strip(), flush=True)\n"
                "t = threading.Thread(target=f); t.start(); t.join()\n"
                "if not os.fork():\n    print(open('a').read().strip(), flush=True); os._exit(0)\nos.wait()\n"
                "threading.Thread(target=lambda: os.execv('/bin/cat', ['cat', 'a', 'b'])).start()\n")
        assert d.pack("--", PYTHON, "go.py") == "2\n1\n1\n2\n"
        d.says(PROVEN)


def test_standard_input_is_read_in_both_runs():
    with Desk() as d:
        d.write("in.txt", "skip\none\ntwo\n")
        with open(os.path.join(d.cwd, "in.txt")) as f:
            os.lseek(f.fileno(), 5, os.SEEK_SET)
            assert d.pack("--", "wc", "-l", stdin=f) == "2\n"
        d.says(PROVEN)


def test_chance_is_told_and_a_failing_program_is_no_proof():
    with Desk() as d:
        d.pack("--", "date", "+%N")
        d.says("what it printed in the box differs from here, first in line 1:", "  here  | ", "  box   | ", "  again | ", "cannot agree")
        # what the box pins is the same there each time
        d.pack("--", "sh", "-c", "echo ${SOURCE_DATE_EPOCH:-none}")
        d.says("  here  | none", "  box   | 0", "the box printed the same", "results agree with each other")
        d.pack("--", "sh", "-c", "echo 1; exit 3", code=1)
        d.says("the program ended with exit 3, here as in the box")
        d.pack("--", "sh", "-c", "[ -e /proc/1 ] && exit 3; exit 4", code=1)
        d.says("here the program ended with exit 3, in the box with 4", "mend what it failed of here first")
        d.pack("--no-try", "--", "sh", "-c", "exit 3", code=1)
        d.says("exit 3 here")


def test_wrong_usage_is_exit_2():
    with Desk() as d:
        static = compile_static("int main(void) { return 0; }", d.path("static"))
        d.pack("--", static, code=2)
        d.says("it needs no image", "talkoot submit -- " + static)
        d.pack("--", "no-such-program", code=2)
        d.says("no-such-program: there is no such program")
        d.pack(code=2)
        d.says("which program?")
        d.pack("--", "./", code=2)
        d.pack("-o", d.dir, "--", "true", code=2)
        d.pack("-o", "no/folder/x.img", "--", "touch", "ran", code=1)
        d.says("no/folder/x.img")
        d.pack("--max-mib", "0", "--", "true", code=2)
        d.says("--max-mib")
        p = subprocess.run([program("talkoot"), "pack", "-o", d.path("x.img"), "--", "true"], cwd="/", env=d.env, stderr=subprocess.PIPE)
        assert p.returncode == 2 and b"working folder is /" in p.stderr, p.stderr
        assert os.listdir(d.cwd) == [], "nothing is written"


def test_too_much_is_refused():
    with Desk() as d:
        with open(os.path.join(d.cwd, "big"), "wb") as f:
            f.truncate(8 << 20)
        d.pack("--max-mib", "4", "--", "wc", "-c", "big", code=1)
        d.says("--max-mib 4", "largest is %s/big" % d.cwd)
        assert os.listdir(d.cwd) == ["big"]


def test_an_interrupt_reaches_the_program_and_leaves_the_old_image():
    with Desk() as d:
        d.write("it.img", "old")
        p = subprocess.Popen([program("talkoot"), "pack", "-o", "it.img", "--", "sh", "-c", "echo up; exec sleep 1000"], cwd=d.cwd,
                             env=d.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert p.stdout.readline() == b"up\n"
        p.send_signal(signal.SIGINT)
        _, said = p.communicate(timeout=PATIENCE)
        assert p.returncode == 1 and b"ended by signal 2 here: nothing was packed" in said, (p.returncode, said)
        with open(os.path.join(d.cwd, "it.img")) as f:
            assert f.read() == "old"
        assert os.listdir(d.cwd) == ["it.img"]


def test_what_the_program_leaves_running_ends_with_it():
    with Desk() as d:
        d.pack("--no-try", "--", "sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $! >pid")
        with open(os.path.join(d.cwd, "pid")) as f:
            pid = int(f.read())
        wait_for("pid %d to end" % pid, lambda: ended(pid))


def ended(pid):
    """Gone, or only not yet collected by whose child it became."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def read_until(fd, word):
    seen = b""
    end = time.monotonic() + PATIENCE
    while word not in seen:
        assert time.monotonic() < end, seen
        if select.select([fd], [], [], 0.2)[0]:
            try:
                seen += os.read(fd, 4096)
            except OSError:
                break
    assert word in seen, seen
    return seen


def test_on_a_terminal_the_program_has_the_keyboard():
    with Desk() as d:
        pid, fd = pty.fork()
        if not pid:
            os.chdir(d.cwd)
            os.execve(program("talkoot"), ["talkoot", "pack", "--no-try", "-o", "it.img", "--", "sh", "-c",
                      "echo ask; read x; echo got $x; trap 'echo caught; exit 0' INT; sleep 1000 & echo wait; wait"], d.env)
        try:
            read_until(fd, b"ask")
            os.write(fd, b"\x1a")  # Ctrl-Z: both stop, and go on together
            assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
            os.kill(pid, signal.SIGCONT)
            os.write(fd, b"hello\n")
            assert b"got hello" in read_until(fd, b"wait\r\n")
            os.write(fd, b"\x03")
            read_until(fd, b"caught")
            read_until(fd, b"it.img has")
        finally:
            _, status = os.waitpid(pid, 0)
            os.close(fd)
        assert os.waitstatus_to_exitcode(status) == 0


def test_as_an_ordinary_user():
    if os.geteuid():
        raise Skip("this is one: the other tests were it")
    nobody = 65534
    if subprocess.run([program("talkoot"), "--version"], user=nobody, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        raise Skip("user %d may not run %s" % (nobody, BIN))
    with Desk(owner=nobody) as d:
        d.write("x", "1\n")
        assert d.pack("--", "cat", "x") == "1\n"
        d.says(PROVEN)


if __name__ == "__main__":
    main(globals())
