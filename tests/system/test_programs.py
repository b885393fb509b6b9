#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_programs.py: programs as people have them, packed here and run by three workers of which two must agree.

README's section "A scientist's program" is run as it stands, but for its number of rows (TALKOOT_ROWS: 60; `make bench-programs`
takes 5,000), and so are the examples' READMEs. What each program gives is compared with what it gives here, outside of any box."""
import csv
import json
import os
import random
import re
import shutil
import subprocess
import time

import grid
from grid import Skip, TOP

ROWS = int(os.environ.get("TALKOOT_ROWS", "60"))
SAMPLE = 5  # rows that are computed here too
EXAMPLES = os.path.join(TOP, "jobs/examples")
# Debian's programs: the python that runs this may be another, without numpy
PATH = grid.BIN + ":/usr/bin:/bin:/usr/games"


class ProgramGrid(grid.Grid):
    """Three workers and an empty folder to work in; root's boxes are nobody's, who must get to the workers' images."""

    def __init__(self, *packages):
        for word, package in packages:
            if not shutil.which(word, path=PATH):
                raise Skip("%s is not here: install the package %s" % (word, package))
        super().__init__(0)
        os.chmod(self.dir, 0o711)
        for _ in range(3):
            w = self.add_worker()
            status = self.worker_status(w)
            if "image" not in status["lends"]["profiles"]:
                self.close()
                raise Skip("the box has no profile image here: " + grid.log_of(w)[-400:])
        self.desk = self.path("desk")
        os.mkdir(self.desk)
        self.env.update(PATH=PATH)

    def shell(self, text, seconds=None):
        """Its standard output; what it said besides is in .said."""
        p = subprocess.run(["sh", "-euc", text], cwd=self.desk, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, timeout=seconds or grid.PATIENCE * 3)
        self.said = p.stderr.decode(errors="replace")
        assert p.returncode == 0, "exit %d of\n%s\n%s" % (p.returncode, text, self.said[-4000:])
        return p.stdout

    def pinned(self, command):
        """As the box has it: of mathematics' variants, those that every processor has."""
        env = grid.run([grid.program("talkoot-sandbox"), "--", "/bin/busybox", "env"]).split("\n")
        return self.shell("export '%s'; %s" % ("' '".join(v for v in env if "=" in v and not v.startswith("PATH=")), command))

    def write(self, name, text):
        with open(os.path.join(self.desk, name), "w") as f:
            f.write(text)

    def read(self, *names):
        with open(os.path.join(self.desk, *names), "rb") as f:
            return f.read()


def check_evidence(folder, tasks):
    lines = grid.lines_of(os.path.join(folder, "results.ndjson"))
    assert len(lines) == tasks and all(l["state"] == "valid" and len(l["workers"]) == 2 for l in lines), lines[:3]


def commands_of(section):
    """The `$ ` lines of README's section, with the `> ` lines that go with them."""
    with open(os.path.join(TOP, "README.md")) as f:
        text = re.search(r"^### %s\n(.*?)^#" % section, f.read(), re.S | re.M).group(1)
    found = []
    for line in "\n".join(re.findall(r"^```console\n(.*?)^```", text, re.S | re.M)).splitlines():
        if line.startswith("$ "):
            found.append(line[2:])
        elif line.startswith("> "):
            found[-1] += "\n" + line[2:]
    return found


def numpy_here():
    if subprocess.run(["/usr/bin/python3", "-c", "import numpy"], stderr=subprocess.DEVNULL).returncode:
        raise Skip("/usr/bin/python3 has no numpy: install the package python3-numpy")


def test_a_scientists_program_is_five_commands():
    numpy_here()
    commands = commands_of("A scientist's program")
    ours = [c for c in commands if "talkoot" in c]
    before = [re.sub(r"^rows=\d+$", "rows=%d" % ROWS, c) for c in commands if c not in ours]
    assert 0 < len(ours) <= 5 and "rows=%d" % ROWS in before, commands
    with ProgramGrid() as g:
        g.shell("\n".join(before))
        began = time.monotonic()
        g.shell("\n".join(ours), 60 + ROWS * 10)
        seconds = time.monotonic() - began
        assert "printed the same" in g.said, g.said
        with open(os.path.join(g.desk, "sim.csv")) as f:
            rows = list(csv.DictReader(f))
        with open(os.path.join(g.desk, "params.csv")) as f:
            asked = list(csv.DictReader(f))
        assert len(rows) == len(asked) == ROWS and all(r["state"] == "valid" for r in rows)
        check_evidence(os.path.join(g.desk, "out"), ROWS)
        for i in random.Random(ROWS).sample(range(ROWS), SAMPLE):
            here = json.loads(g.shell("python3 sim.py %s %s" % (asked[i]["a"], asked[i]["b"])))
            # here mathematics may choose by the processor, in the box it does not: the last bits are free
            for name in here:
                assert abs(here[name] - float(rows[i][name])) <= 1e-9 * max(1, abs(here[name])), (i, here, rows[i])
            # and where it may not choose, all bytes are the same
            assert g.read("out", str(i), "stdout") == g.pinned("python3 sim.py %s %s" % (asked[i]["a"], asked[i]["b"])), i
        print("%d rows, quorum 2, three workers: %.1f s from pack to verify, %.1f results/s" % (ROWS, seconds, 2 * ROWS / seconds))


def run_example(g, name):
    with open(os.path.join(EXAMPLES, name, "README.md")) as f:
        text = "\n".join(re.findall(r"```sh\n(.*?)```", f.read(), re.S))
    out = g.shell(text.replace("jobs/examples", EXAMPLES))
    assert "printed the same" in g.said and "cannot agree" not in g.said, g.said
    return out


def test_the_example_of_a_sweep():
    numpy_here()
    with ProgramGrid() as g:
        run_example(g, "sweep")
        check_evidence(os.path.join(g.desk, "swept"), 12)
        rows = list(csv.DictReader(g.read("sim.csv").decode().splitlines()))
        assert len(rows) == 12 and len({r["area"] for r in rows}) == 12, rows


def test_autodock_vina_docks_a_folder_of_ligands():
    with ProgramGrid(("vina", "autodock-vina")) as g:
        best = run_example(g, "vina").decode().splitlines()
        check_evidence(os.path.join(g.desk, "docked"), 3)
        names = sorted(os.listdir(os.path.join(EXAMPLES, "vina/ligands")))
        best = [l for l in best if re.match(r"docked/\d/stdout:REMARK VINA RESULT", l)]
        assert len(best) == len(names) == 3 and all(float(l.split()[-3]) < 0 for l in best), best
        for i, name in enumerate(names):
            here = g.pinned("sh dock.sh receptor.pdbqt <ligands/" + name)
            assert g.read("docked", str(i), "stdout") == here, name


def test_povray_renders_the_frames_of_a_film():
    with ProgramGrid(("povray", "povray")) as g:
        run_example(g, "povray")
        check_evidence(os.path.join(g.desk, "frames"), 6)
        frames = [g.read("frames", str(i), "stdout") for i in range(6)]
        assert len(set(frames)) == 6
        for i in range(6):
            assert frames[i] == g.shell("sh frame.sh %d 6" % i), i
        strip = g.read("strip.bmp")
        assert strip[:2] == b"BM" and int.from_bytes(strip[2:6], "little") == len(strip) == 54 + 6 * 57600
        assert int.from_bytes(strip[22:26], "little") == 720 and strip[-57600:] == frames[0][54:]


def test_stockfish_counts_the_same_nodes_everywhere():
    with ProgramGrid(("stockfish", "stockfish")) as g:
        # what it thinks of on the way has times in it, and so has its summary, but for one line
        g.write("bench.sh", "stockfish bench 16 1 $1 2>&1 >/dev/null | grep '^Nodes searched'\n")
        g.shell("""talkoot pack -o chess.img -- sh bench.sh 4
            job=$(talkoot submit --image chess.img --param depth=1..6 -- sh bench.sh {depth})
            talkoot wait $job; talkoot results $job --output out; talkoot verify out""")
        check_evidence(os.path.join(g.desk, "out"), 6)
        for i in range(6):
            assert g.read("out", str(i), "stdout") == g.shell("sh bench.sh %d" % (i + 1)), i


ARGON = {
    "md.mdp": "integrator = md\ndt = 0.002\nnsteps = 200\ncutoff-scheme = Verlet\nrvdw = 1.0\nrcoulomb = 1.0\nrlist = 1.0\n"
              "gen-vel = yes\ngen-temp = 90\ngen-seed = SEED\nld-seed = SEED\n",
    "argon.top": "[ defaults ]\n1 2 no 1.0 1.0\n[ atomtypes ]\nAR 39.948 0.0 A 0.3405 0.996\n[ moleculetype ]\nAR 1\n"
                 "[ atoms ]\n1 AR 1 AR AR 1 0.0 39.948\n[ system ]\nargon\n[ molecules ]\nAR 64\n",
    "md.sh": "set -eu\nhere=$PWD\ncd \"$(mktemp -d)\"\nsed \"s/SEED/$1/\" \"$here/md.mdp\" >md.mdp\n"
             "gmx -quiet grompp -f md.mdp -c \"$here/argon.gro\" -p \"$here/argon.top\" -o t.tpr -po o.mdp >&2\n"
             "gmx -quiet mdrun -nt 1 -reprod -s t.tpr -c end.gro -g l.log -e e.edr -o t.trr -cpo s.cpt >&2\ncat end.gro\n",
}


def test_gromacs_moves_sixty_four_atoms_of_argon():
    """No package of `make check`: 400 MB. Where it is, it has to work."""
    with ProgramGrid(("gmx", "gromacs")) as g:
        for name, text in ARGON.items():
            g.write(name, text)
        g.write("argon.gro", "argon\n64\n" + "".join(
            "%5d%-5s%5s%5d%8.3f%8.3f%8.3f\n" % (n + 1, "AR", "AR", n + 1, 0.3 + n // 16 * 0.6, 0.3 + n // 4 % 4 * 0.6, 0.3 + n % 4 * 0.6)
            for n in range(64)) + "2.4 2.4 2.4\n")
        g.shell("""talkoot pack -o md.img -- sh md.sh 1
            job=$(talkoot submit --image md.img --param seed=1..3 -- sh md.sh {seed})
            talkoot wait $job; talkoot results $job --output out; talkoot verify out""")
        check_evidence(os.path.join(g.desk, "out"), 3)
        for i in range(3):
            assert g.read("out", str(i), "stdout") == g.shell("sh md.sh %d" % (i + 1)), i


WANTS = """import os, socket, sys
def tries(what, fn):
    try:
        fn()
        print("BROKE", what)
    except OSError as e:
        print(what, "does not work:", e.strerror, file=sys.stderr)
if "here" not in sys.argv:
    tries("network", lambda: socket.socket(socket.AF_INET))
    tries("writing beside me", lambda: open("result.txt", "w"))
    tries("my home", lambda: open(sys.argv[1] + "/.secret").read())
print("done without")
"""


def test_a_program_that_wants_more_does_without_and_says_so():
    numpy_here()
    with ProgramGrid() as g:
        g.write("wants.py", WANTS)
        with open(g.path(".secret"), "w") as f:
            f.write("of the home\n")
        g.shell("""talkoot pack -o it.img -- python3 wants.py here
            job=$(talkoot submit --image it.img -- python3 wants.py "$HOME")
            talkoot wait $job; talkoot results $job --output out; talkoot verify out""")
        check_evidence(os.path.join(g.desk, "out"), 1)
        assert g.read("out", "0", "stdout") == b"done without\n"
        said = g.read("out", "0", "stderr").decode()
        for line in ("network does not work: Operation not permitted", "writing beside me does not work: Read-only file system",
                     "my home does not work: No such file or directory"):
            assert line in said, said


if __name__ == "__main__":
    grid.main(globals())
