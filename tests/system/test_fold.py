#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# test_fold.py: the example job and its report, through their doors: fold by
# standard input and output, fold-report by a results directory made here.
# Programs from TALKOOT_BIN (default build/bin). Nothing is shared between runs.
"""System test of fold and fold-report."""

import json
import os
import random
import subprocess
import sys
import tempfile
import traceback
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("TALKOOT_BIN") or ROOT / "build/bin").resolve()
JOB = ROOT / "jobs/examples/fold"
PATIENCE = 120  # seconds; the slowest call takes one under a sanitizer, much less else

BENCHMARK = [line.split() for line in (JOB / "sequences.txt").read_text().splitlines()
             if line and not line.startswith("#")]
SEQUENCE = {name: sequence for name, _, _, sequence in BENCHMARK}
BEST = {name: int(best) for name, _, best, _ in BENCHMARK}

# What these inputs gave when this test was written, with gcc and clang on x86-64 and gcc for aarch64.
# Another machine or compiler must give the same bytes, or honest workers will not agree.
GOLDEN = [
    ("S1-1 HPHPPHHPHPPHPHHPPHPH 7 20000",
     '{"name":"S1-1","sequence":"HPHPPHHPHPPHPHHPPHPH","seed":7,"energy":-9,'
     '"fold":"RUULDLULULDDRDLDRRU","steps":20000,"found":3486}\n'),
    ("S1-4 PPPHHPPHHPPPPPHHHHHHHPPHHPPPPHHPPHPP 3 200000",
     '{"name":"S1-4","sequence":"PPPHHPPHHPPPPPHHHHHHHPPHHPPPPHHPPHPP","seed":3,"energy":-13,'
     '"fold":"RURRDRUURRRULLLULDDLLURULUURDRURDRU","steps":200000,"found":60620}\n'),
    ("S1-8 HHHHHHHHHHHHPHPHPPHHPPHHPPHPPHHPPHHPPHPPHHPPHHPPHPHPHHHHHHHHHHHH "
     "9223372036854775807 100000",
     '{"name":"S1-8","sequence":"HHHHHHHHHHHHPHPHPPHHPPHHPPHPPHHPPHHPPHPPHHPPHHPPHPHPHHHHHHHHHHHH",'
     '"seed":9223372036854775807,"energy":-28,'
     '"fold":"RULLDDRRDLLLUUULURRURDRRRURRRRUURURRRDRURDRURDRURUULDLULDLLLURR",'
     '"steps":100000,"found":76878}\n'),
]


def run(program, *args, stdin=b""):
    """Run one of our programs; its exit code must be its own, never a signal's or a sanitizer's."""
    done = subprocess.run([BIN / program, *map(str, args)], input=stdin, capture_output=True,
                          timeout=PATIENCE, check=False)
    assert done.returncode in (0, 1, 2), f"{program} ended with {done.returncode}: {done.stderr}"
    assert b"Sanitizer" not in done.stderr and b"runtime error" not in done.stderr, done.stderr
    return done


def fold(line):
    done = run("fold", stdin=line.encode())
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def recount(sequence, steps):
    """The energy of a fold, counted with nothing of the C's."""
    way = {"R": 1, "L": -1, "U": 1j, "D": -1j}
    at = [0]
    for step in steps:
        at.append(at[-1] + way[step])
    assert len(at) == len(sequence), "a fold of another length than its sequence"
    bead = {place: i for i, place in enumerate(at)}
    assert len(bead) == len(at), "the fold crosses itself"
    pairs = ((i, bead.get(place + side)) for i, place in enumerate(at) for side in (1, 1j))
    return -sum(1 for i, j in pairs if j is not None and abs(i - j) > 1
                and sequence[i] == sequence[j] == "H")


# --- fold -----------------------------------------------------------------------------------------

def same_input_gives_the_same_bytes():
    line = f"S1-6 {SEQUENCE['S1-6']} 42 300000\n"
    assert fold(line) == fold(line)
    assert fold(line) != fold(line.replace(" 42 ", " 43 "))


def bytes_are_those_of_every_other_machine():
    for line, answer in GOLDEN:
        assert fold(line + "\n") == answer, line


def a_newline_at_the_end_is_optional():
    line = f"S1-1 {SEQUENCE['S1-1']} 1 1000"
    assert fold(line) == fold(line + "\n")


def short_sequences_reach_their_best_known_energy():
    for name in ("S1-1", "S1-2", "S1-3"):
        for seed in (1, 2, 3):
            answer = json.loads(fold(f"{name} {SEQUENCE[name]} {seed} 400000\n"))
            assert answer["energy"] == BEST[name], answer


def energies_are_true_and_never_below_the_best_known():
    for name, sequence in SEQUENCE.items():
        for seed in (1, 2):
            answer = json.loads(fold(f"{name} {sequence} {seed} 150000\n"))
            assert answer["energy"] == recount(sequence, answer["fold"]), answer
            assert answer["energy"] >= BEST[name], answer
            assert (answer["name"], answer["sequence"], answer["seed"], answer["steps"]) == \
                (name, sequence, seed, 150000)
            assert 0 <= answer["found"] <= answer["steps"]


def strange_but_lawful_chains_fold():
    for sequence in ("HHHH", "PPPP", "HPPH", "H" * 128, "P" * 128, "HP" * 64):
        answer = json.loads(fold(f"{'n' * 40} {sequence} 0 60000\n"))
        assert answer["energy"] == recount(sequence, answer["fold"]), answer
        assert answer["fold"][0] == "R" and "D" not in answer["fold"].split("U")[0]
    assert json.loads(fold("x HPPH 0 1000"))["energy"] == -1
    assert json.loads(fold("x HPPH 0 1"))["steps"] == 1


def malformed_tasks_are_refused_in_one_line():
    good = "S1-1 HPHPPHHPHPPHPHHPPHPH"
    bad = ["", "\n", " ", "S1-1", good, good + " ", good + " \n", good + " 7 ", good + " -7",
           good + " +7", good + " 7x", good + " 0x7", good + " 7 0", good + " 7 8 9", good + "  7",
           "\t" + good + " 7", " " + good + " 7", good + "\t7", good + " 7\r\n", good + " 7\n\n",
           good + " 7\n" + good + " 8\n", good + " 7 1000000000001", good + " 9223372036854775808",
           good + " 18446744073709551616", good + " 99999999999999999999999999", "S1/1 HPHP 7",
           "n" * 41 + " HPHP 7", "x HPH 7", f"x {'H' * 129} 7", "x HPXP 7", "x hphp 7", "x HPHP 7\0",
           "x HPHP\0 7", "\u00e4 HPHP 7", '" HPHP 7', "x HPHP 7 " + "1" * 300, "x" * 100000]
    for line in bad:
        done = run("fold", stdin=line.encode())
        assert done.returncode == 2 and done.stdout == b"", line[:80]
        assert done.stderr.startswith(b"fold: ") and done.stderr.count(b"\n") == 1, done.stderr


def noise_never_crashes_fold():
    chance = random.Random(1)
    for _ in range(150):
        line = bytearray(b"S1-1 HPHPPHHPHPPHPHHPPHPH 7 100\n")
        for _ in range(chance.randint(1, 4)):
            line[chance.randrange(len(line))] = chance.choice(b"HP 0179\n\0\xff.z" + bytes([chance.randrange(256)]))
        # Never long: noise may spoil the word STEPS away, but the default is short, too.
        run("fold", stdin=bytes(line))


def tasks_are_eight_seeds_of_each_sequence():
    lines = subprocess.run([JOB / "tasks.sh"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines == [f"{n} {s} {seed}" for n, s in SEQUENCE.items() for seed in range(1, 9)]
    assert all(len(sequence) == int(length) for _, length, _, sequence in BENCHMARK)
    for bad in ("", "x", "-1", "99999"):
        assert subprocess.run([JOB / "tasks.sh", bad], capture_output=True, check=False).returncode == \
            (2 if bad else 0), bad


# --- fold-report ----------------------------------------------------------------------------------

class Results:
    """A results directory as `talkoot results` writes it, as far as the report looks."""

    def __init__(self):
        self.temp = tempfile.TemporaryDirectory(prefix="talkoot-fold-")
        self.dir = Path(self.temp.name)
        self.records = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.temp.cleanup()

    def add(self, line, answer=None, **fields):
        index = len(self.records)
        (self.dir / str(index)).mkdir()
        (self.dir / str(index) / "stdout").write_text(answer if answer is not None else fold(line + "\n"))
        self.records.append({"index": index, "state": "valid", "exit": 0, "stdout": "sha256:" + "0" * 64,
                             "files": {}, "workers": ["aa", "bb"], "assurance": "quorum:2",
                             "cpu_s": 0.1, "wall_s": 0.1, "line": line, **fields})
        return index

    def stdout(self, index):
        return self.dir / str(index) / "stdout"

    def report(self, *args):
        lines = [r if isinstance(r, str) else json.dumps(r) for r in self.records]
        (self.dir / "results.ndjson").write_text("".join(line + "\n" for line in lines))
        return run("fold-report", self.dir, *args)


def honest(results):
    for name in ("S1-1", "S1-2", "S1-3"):
        for seed in (1, 2):
            results.add(f"{name} {SEQUENCE[name]} {seed} 400000")


def row_of(done, name):
    rows = [line.split() for line in done.stdout.decode().splitlines()]
    return next(row for row in rows if row and row[0] == name)


def honest_results_make_a_table_and_a_drawing():
    with Results() as r:
        honest(r)
        svg = r.dir / "best.svg"
        done = r.report("-o", svg)
        assert done.returncode == 0 and done.stderr == b"", done.stderr
        assert row_of(done, "S1-1") == ["S1-1", "20", "2", "-9", "-9", "2", "of", "2"]
        assert row_of(done, "S1-3") == ["S1-3", "25", "2", "-8", "-8", "2", "of", "2"]
        page = ET.parse(svg).getroot()
        tag = "{http://www.w3.org/2000/svg}"
        assert page.tag == tag + "svg"
        legend = 2
        assert len(page.findall(f".//{tag}circle")) == 25 + legend
        assert len(page.findall(f".//{tag}line")) == 8 + 1
        assert "S1-3: energy \u22128" in "".join(page.itertext())


def what_is_not_final_is_counted_and_skipped():
    with Results() as r:
        honest(r)
        r.add("S1-4 X 1", "", state="failed", why="it exited with 2")
        r.add("S1-4 X 2", "", state="running")
        done = r.report()
        assert done.returncode == 0, done.stderr
        assert b"2 tasks have no believed result" in done.stdout


def report_and_sequences_file_know_the_same():
    with Results() as r:
        for name, sequence in SEQUENCE.items():
            r.add(f"{name} {sequence} 1", json.dumps({"name": name, "sequence": sequence, "seed": 1,
                                                       "energy": 0, "fold": "R" * (len(sequence) - 1)}))
        built_in = r.report()
        from_file = r.report("--sequences", JOB / "sequences.txt")
        assert built_in.returncode == from_file.returncode == 0
        assert built_in.stdout == from_file.stdout
        assert [int(row_of(built_in, name)[4]) for name in SEQUENCE] == list(BEST.values())


def an_unknown_sequence_is_drawn_without_a_best():
    with Results() as r:
        r.add("mine HPPHPPHPPH 1 1000")
        done = r.report("-o", r.dir / "x.svg")
        assert done.returncode == 0 and row_of(done, "mine")[4] == "?"
        assert "best known" not in (r.dir / "x.svg").read_text()


def each_lie_is_found():
    def edit(**change):
        def spoil(r, i):
            answer = json.loads(r.stdout(i).read_text())
            answer.update({k: v(answer) if callable(v) else v for k, v in change.items()})
            r.stdout(i).write_text(json.dumps(answer) + "\n")
        return spoil

    lies = {
        b"claims energy": edit(energy=-10),
        b"claims energy -8": edit(energy=-8),
        b"crosses itself": edit(fold=lambda a: "RULD" + a["fold"][4:]),
        b"steps other than": edit(fold=lambda a: "x" + a["fold"][1:]),
        b"another length": edit(fold="RU"),
        b"another task": edit(seed=99),
        b"another task ": edit(sequence="H" * 20),
        b"malformed": edit(name="../../x"),
        b"malformed ": edit(sequence="H" * 129),
        b"malformed  ": edit(seed=-1),
        b"not a fold's answer": edit(fold=7),
        b"not a fold's answer ": edit(energy="-9"),
        b"is not JSON": lambda r, i: r.stdout(i).write_text("Segmentation fault\n"),
        b"is not JSON ": lambda r, i: r.stdout(i).write_text(""),
        b"cannot read": lambda r, i: r.stdout(i).unlink(),
        b"no regular file": lambda r, i: (r.stdout(i).unlink(), os.mkfifo(r.stdout(i))),
        b"no regular file ": lambda r, i: (r.stdout(i).unlink(), r.stdout(i).mkdir()),
        b"too long": lambda r, i: r.stdout(i).write_text(" " * 5000),
    }
    for word, spoil in lies.items():
        with Results() as r:
            honest(r)
            spoil(r, 0)
            done = r.report()
            assert done.returncode == 1 and word.strip() in done.stderr, (word, done.stderr)
            assert row_of(done, "S1-1")[2] == "1", "the honest run of the two still counts"


def garbage_records_are_named():
    for line in ("garbage", "[]", "{}", '{"index":"0","state":"valid"}', '{"index":0,"state":"valid"}',
                 '{"index":-1,"state":"valid"}', '{"index":1e9,"state":"valid"}', "\xff\xfe", "x" * 100000,
                 '{"index":9999999999999999999999,"state":"valid"}', '{"index":7,"index":8,"state":"valid"}',
                 '{"index":7,"state":"valid","exit":"0"}', "[" * 5000, ""):
        with Results() as r:
            honest(r)
            r.records.append(line)
            done = r.report()
            assert done.returncode == 1 and done.stderr.startswith(b"fold-report: "), line[:40]
            assert row_of(done, "S1-1")[2] == "2"


def noise_never_crashes_the_report():
    chance = random.Random(2)
    with Results() as r:
        r.add(f"S1-1 {SEQUENCE['S1-1']} 1 1000")
        record, answer = json.dumps(r.records[0]), r.stdout(0).read_bytes()
        for _ in range(150):
            noisy = bytearray(answer)
            text = list(record)
            for _ in range(chance.randint(0, 3)):
                noisy[chance.randrange(len(noisy))] = chance.randrange(256)
                text[chance.randrange(len(text))] = chance.choice('{}[]",:0-9eRx\\')
            r.stdout(0).write_bytes(bytes(noisy)[:chance.choice([len(noisy), chance.randrange(len(noisy))])])
            r.records = ["".join(text)]
            r.report("-o", r.dir / "x.svg")


def wrong_usage_exits_2():
    for args in ((), ("a", "b"), ("--nonsense", "a"), ("a", "-o"), ("a", "--sequences", "/nonexistent")):
        done = run("fold-report", *args)
        assert done.returncode == 2 and done.stderr and not done.stdout, args
    assert run("fold-report", "--help").returncode == 0
    assert run("fold-report", "/nonexistent").returncode == 1
    with Results() as r:
        bad = r.dir / "bad.txt"
        for text in ("S1-1 21 -9 HPHPPHHPHPPHPHHPPHPH\n", "x\n", "x 4 0 HHHX\n", "x 4 0 HHHH more\n"):
            bad.write_text(text)
            assert r.report("--sequences", bad).returncode == 2, text


TESTS = [
    same_input_gives_the_same_bytes,
    bytes_are_those_of_every_other_machine,
    a_newline_at_the_end_is_optional,
    short_sequences_reach_their_best_known_energy,
    energies_are_true_and_never_below_the_best_known,
    strange_but_lawful_chains_fold,
    malformed_tasks_are_refused_in_one_line,
    noise_never_crashes_fold,
    tasks_are_eight_seeds_of_each_sequence,
    honest_results_make_a_table_and_a_drawing,
    what_is_not_final_is_counted_and_skipped,
    report_and_sequences_file_know_the_same,
    an_unknown_sequence_is_drawn_without_a_best,
    each_lie_is_found,
    garbage_records_are_named,
    noise_never_crashes_the_report,
    wrong_usage_exits_2,
]


def main():
    failed = 0
    for test in TESTS:
        try:
            test()
            print(f"ok {test.__name__}")
        except Exception:  # whatever went wrong, the next test is still worth running
            failed += 1
            print(f"FAILED {test.__name__}")
            traceback.print_exc()
    print(f"{len(TESTS) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
