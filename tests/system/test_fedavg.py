#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_fedavg.py: the worked examples, as their READMEs have them: federated averaging over three workers' own data, none of
which leaves them, and a word count in two jobs."""
import base64
import collections
import os
import re
import subprocess
import sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import grid as g
from tap import Tap

EXAMPLES = os.path.join(g.TOP, "jobs/examples")
CANARY = b"canary-%s-of-the-clinic"


def shell_of(example):
    """The shell lines of a README, but for those that start a worker."""
    with open(os.path.join(EXAMPLES, example, "README.md")) as f:
        blocks = re.findall(r"```sh\n(.*?)```", f.read(), re.S)
    return "\n".join(b for b in blocks if "talkoot-worker" not in b)


def run_shell(t, text):
    env = dict(t.env, PATH=g.BIN + ":" + os.environ["PATH"], TALKOOT_BIN=g.BIN)
    p = subprocess.run(["sh", "-eu", "-c", text], cwd=t.dir, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=g.PATIENCE * 3)
    assert p.returncode == 0, p.stdout.decode() + p.stderr.decode()
    return p.stdout.decode()


def write_clinic(path, number, chance):
    """Rows of one clinic; their first number lies elsewhere in each, so that none of them sees the whole."""
    with open(path, "w") as f:
        f.write("# " + (CANARY % b"abc"[number:number + 1]).decode() + "\n")
        for _ in range(150):
            x, z = chance.gauss(number - 1, 1), chance.gauss(0, 1)
            f.write("%.4f,%.4f,%d\n" % (x, z, 1.5 * x - z + 0.3 + chance.gauss(0, 0.5) > 0))


def spellings(text):
    """As it stands, and inside base64 wherever it begins."""
    yield text
    for pad in range(3):
        whole = base64.b64encode(b"x" * pad + text)
        yield whole[4 if pad else 0:len(whole) - 8]


def files_below(*dirs):
    for top in dirs:
        for where, _, names in os.walk(top):
            for name in names:
                yield os.path.join(where, name)


def contains(path, needles):
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as f:
        text = f.read()
    return any(n in text for n in needles)


class TappedGrid(g.Grid):
    """Its coordinator can be got to through a tap alone: no other address is told to anyone."""

    def __init__(self):
        self.tap = None
        super().__init__()

    def path(self, *names):
        if self.tap is None and names[:1] == ("c",):
            self.tap_it()
        return super().path(*names)

    def tap_it(self):
        self.tap, self.behind = False, g.free_port()
        os.mkdir(self.path("c"), 0o700)
        g.run([g.program("talkoot"), "keygen", self.path("c", "identity.key")])
        self.tap = Tap(self.path("c", "identity.key"), self.behind, self.dir)
        self.coordinator_args += ["--advertise", "127.0.0.1:%d" % self.tap.port]

    def coordinator_listens(self):
        return "127.0.0.1:%d" % self.behind

    def close(self):
        super().close()
        if self.tap:
            self.tap.close()


def test_federated_averaging_over_three_workers():
    chance = g.seed()
    with TappedGrid() as t:
        key = t.cli("id").strip().split()[-1]
        rows = []
        for i in range(3):
            clinic = t.path("clinic-%d" % i)
            write_clinic(clinic, i, chance)
            rows += open(clinic, "rb").read().split(b"\n")[1:-1]
            t.add_worker(args=["--allow-local", "clinic=" + clinic, "--local-for", key, "--local-discovery", "off"], listen="none")
        run_shell(t, shell_of("fedavg").replace("jobs/examples", EXAMPLES))
        losses = []
        for r in range(1, 6):
            said = open(t.path("round-%d" % r, "0", "stdout")).read().split()
            assert said[0] == "450", said
            losses.append(int(said[1]))
        # a line has the error of the model that its round began with; that of the last round's model is not in any
        last = [subprocess.check_output([g.program("fedavg"), "train", t.path("round-5", "0", "stdout"), t.path("clinic-%d" % i)])
                for i in range(3)]
        losses.append(sum(int(line.split()[1]) for line in last))
        assert len(losses) == 6 and all(b < a for a, b in zip(losses, losses[1:])), losses
        check_locals(t)
        check_nothing_left(t, rows)
        check_the_wire(t, rows)


def check_locals(t):
    """Every worker trained once in every round, and that its word stands alone is said."""
    for line in open(t.path("rounds")).read().splitlines():
        r, locals_job, average = line.split()
        out = t.results(locals_job, "locals-" + r)
        lines = g.lines_of(os.path.join(out, "results.ndjson"))
        assert sorted(x["workers"][0] for x in lines) == sorted(w.id for w in t.workers), lines
        assert all(x["local"] == ["clinic"] and x["assurance"] == "quorum:1" for x in lines)
        sources = [a for k in range(1, int(r)) for a in ("--source", t.path("round-%d" % k))][-2:]
        said = t.verify(out, *sources)
        assert "3 tasks rest on one worker's word: its data is local" in said, said
        t.verify(t.path("round-" + r), "--source", out, "--rerun", "1")
        assert "not checked" not in g.run.stderr
        assert t.job(locals_job)["local"] == ["clinic"]
        shown = t.cli("status", locals_job)
        assert "clinic (each result is one worker's word)" in shown, shown
        t.cli("results", average, "--output", t.path("again-" + r))


def needles_of(rows):
    return [n for i in range(3) for n in spellings(CANARY % b"abc"[i:i + 1])] + [n for r in rows[::7] for n in spellings(r)]


def check_the_wire(t, rows):
    """The workers take no connections, so all that they told anyone went through the tap: the weights did, and no row."""
    assert ("//127.0.0.1:%d/" % t.tap.port) in t.link, t.link
    needles, streams = needles_of(rows), [bytes(s) for s in t.tap.streams]
    for r in range(1, 6):
        for i in range(3):
            weights = open(t.path("locals-%d" % r, str(i), "stdout"), "rb").read()
            assert 10 < len(weights) < 100, weights
            assert any(n in s for s in streams for n in spellings(weights.strip())), "the tap sees what passes"
    assert not any(n in s for s in streams for n in needles)
    print("     %d connections, %d bytes, no row in them" % (len(streams) // 2, sum(map(len, streams))))


def check_nothing_left(t, rows):
    """Not a row, nor a remark, in anything that the coordinator, a worker or the submitter has on its disk."""
    needles = needles_of(rows)
    clinics = [t.path("clinic-%d" % i) for i in range(3)]
    assert all(contains(c, needles[4 * i:4 * i + 1]) for i, c in enumerate(clinics))
    for pad in range(6):  # the needles are found where a message carries them
        assert any(n in base64.b64encode(b"{" * pad + CANARY % b"a" + b"more") for n in needles[:4]), pad
    seen = 0
    for path in files_below(t.dir):
        if path in clinics:
            continue
        seen += 1
        assert not contains(path, needles), path
    assert seen > 40, seen


def test_word_count():
    texts = ["The cat sat on the mat.\n", "A cat! a dog; THE dog's bone\n", "", "naïve naïve cat\n"]
    with g.Grid(workers=2) as t:
        os.mkdir(t.path("texts"))
        want = collections.Counter()
        for i, text in enumerate(texts):
            with open(t.path("texts", "%d.txt" % i), "w") as f:
                f.write(text)
            want.update(re.findall(r"[a-zï]+", text.lower()))
        shown = run_shell(t, shell_of("wordcount").replace("-- wordcount", "-- " + g.program("wordcount")))
        got = {w: int(n) for w, n in (line.split() for line in open(t.path("counted", "0", "stdout")))}
        assert got == want, got
        assert shown.rstrip().endswith("\n".join("%s %d" % p for p in sorted(got.items(), key=lambda p: (-p[1], p[0]))[:10]))


if __name__ == "__main__":
    g.main(globals())
