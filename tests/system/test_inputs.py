#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_inputs.py: jobs whose inputs are other jobs' outputs, submitted before these are there."""
import hashlib
import json
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import grid as g

SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* count I: the number; squares: reads numbers, writes squares; cat FILE…; fail I: exit 3 for task I; leave I: a file */
int main(int argc, char **argv)
{
	long n;
	if (!strcmp(argv[1], "count")) { printf("%s\n", argv[2]); return 0; }
	if (!strcmp(argv[1], "fail")) { printf("%s\n", argv[2]); return atoi(argv[2]) == atoi(argv[3]) ? 3 : 0; }
	if (!strcmp(argv[1], "squares")) { while (scanf("%ld", &n) == 1) printf("%ld\n", n * n); return 0; }
	if (!strcmp(argv[1], "name")) { while (scanf("%ld", &n) == 1) printf("%s: %ld\n", argv[2], n); return 0; }
	if (!strcmp(argv[1], "leave")) {
		FILE *f = fopen("/out/part", "w");
		fprintf(f, "part %s\n", argv[2]);
		return fclose(f) || puts("left") < 0;
	}
	if (!strcmp(argv[1], "big")) { for (n = 0; n < 800000; n++) printf("%s %ld\n", argv[2], n); return 0; }
	for (int i = 2; i < argc; i++) {
		FILE *f = fopen(argv[i], "r");
		for (int c; f && (c = getc(f)) != EOF;) putchar(c);
		if (!f) return 9;
	}
	return 0;
}
"""
TMP = tempfile.mkdtemp(prefix="talkoot-inputs-")
TOOL = g.compile_static(SOURCE, os.path.join(TMP, "tool"))


def texts(out):
    lines = g.lines_of(os.path.join(out, "results.ndjson"))
    return [open(os.path.join(out, str(line["index"]), "stdout")).read() for line in lines]


def test_chain_of_three_submitted_at_once():
    with g.Grid() as t:
        a = t.submit("--range", "5", "--", TOOL, "count", "{index}")
        b = t.submit("--each", a[:10] + "/*/stdout", "--", TOOL, "squares")
        c = t.submit("--file", "all=" + b + "/*/stdout", "--file", "one=" + a[:8] + "/3/stdout", "--after", a[:9],
                     "--", TOOL, "cat", "/in/all", "/in/one")
        assert t.job(b)["waiting"] == "for job %s (0 of 5 done)" % a[:12], t.job(b)
        assert t.job(c)["waiting"].endswith("and 1 more job"), t.job(c)
        assert t.job(b)["tasks"]["pending"] == 5
        t.add_worker(), t.add_worker()
        assert t.wait_done(c)["state"] == "done", t.job(c)
        assert t.job(b)["state"] == "done"
        out = t.results(c)
        assert texts(out) == ["0\n1\n4\n9\n16\n3\n"]
        t.verify(out)
        assert "inputs of job " + b + " not checked" in g.run.stderr, g.run.stderr
        t.results(a, "out-a"), t.results(b, "out-b")
        said = t.verify(out, "--source", t.path("out-a"), "--source", t.path("out-b"))
        assert "not checked" not in g.run.stderr and "checked against" in said, said
        t.verify(out, "--source", t.path("out-a"), "--source", t.path("out-b"), "--rerun", "1")
        assert texts(t.path("out-b")) == ["0\n", "1\n", "4\n", "9\n", "16\n"]
        told = t.submit("--each", b + "/*/stdout", "--", TOOL, "name", "{index}")
        t.wait_done(told)
        assert texts(t.results(told, "out-t")) == ["%d: %d\n" % (i, i * i) for i in range(5)]
        t.verify(t.path("out-b"), "--source", t.path("out-a"), "--rerun", "3")
        forge(t, out)


def forge(t, out):
    """A source's folder that is not what it was: the dependent results are not verified by it."""
    with open(t.path("out-b", "2", "stdout"), "w") as f:
        f.write("5\n")
    t.verify(out, "--source", t.path("out-a"), "--source", t.path("out-b"), code=1)


def test_outputs_below_files_and_large_ones():
    with g.Grid(workers=2) as t:
        a = t.submit("--range", "3", "--outputs", "*", "--", TOOL, "leave", "{index}")
        big = t.submit("--range", "3", "--", TOOL, "big", "{index}")
        b = t.submit("--file", "parts=" + a + "/*/files/part", "--file", "large=" + big + "/*/stdout", "--", TOOL, "cat",
                     "/in/parts", "/in/large")
        each = t.submit("--each", a + "/*/files/part", "--", TOOL, "name", "{index}")
        none = t.submit("--file", "x=" + a + "/1/files/other", "--", TOOL, "cat", "/in/x")
        assert t.wait_done(b)["state"] == "done", t.job(b)
        large = "".join("%d %d\n" % (i, k) for i in range(3) for k in range(800000))
        assert texts(t.results(b)) == ["part 0\npart 1\npart 2\n" + large]
        assert t.wait_done(each)["state"] == "done", t.job(each)
        assert t.wait_done(none)["state"] == "cancelled"
        assert t.job(none)["why"] == "task 1 of job %s left no files/other" % a[:12], t.job(none)


def test_failed_and_cancelled_sources():
    with g.Grid(workers=2) as t:
        a = t.submit("--range", "4", "--", TOOL, "fail", "{index}", "2")
        good = t.submit("--file", "x=" + a + "/1/stdout", "--", TOOL, "cat", "/in/x")
        bad = t.submit("--file", "x=" + a + "/2/stdout", "--", TOOL, "cat", "/in/x")
        every = t.submit("--file", "x=" + a + "/*/stdout", "--", TOOL, "cat", "/in/x")
        after = t.submit("--after", a, "--", TOOL, "count", "1")
        chain = t.submit("--each", every + "/*/stdout", "--", TOOL, "squares")
        assert t.wait_done(good)["state"] == "done", t.job(good)
        for job in (bad, every, after, chain):
            assert t.wait_done(job)["state"] == "cancelled", t.job(job)
        assert t.job(bad)["why"] == "task 2 of job %s, whose output it needs, is not valid" % a[:12], t.job(bad)
        for job in (every, after):
            assert t.job(job)["why"] == "job %s, which it waits for, has 1 failed task" % a[:12], t.job(job)
        assert t.job(chain)["why"] == "job %s, which it waits for, was cancelled" % every[:12], t.job(chain)
        slow = t.submit("--threads", "1", "--after", a, "--", TOOL, "count", "1")
        assert t.wait_done(slow)["state"] == "cancelled"


def test_a_cancelled_source_cancels_who_waits():
    with g.Grid() as t:
        a = t.submit("--range", "4", "--", TOOL, "count", "{index}")
        b = t.submit("--each", a + "/*/stdout", "--", TOOL, "squares")
        c = t.submit("--after", b, "--", TOOL, "count", "1")
        t.cli("cancel", a)
        g.wait_for("both to be cancelled", lambda: t.job(c)["state"] == t.job(b)["state"] == "cancelled")
        assert a[:12] in t.job(b)["why"] and b[:12] in t.job(c)["why"]


def test_coordinator_killed_in_between():
    with g.Grid() as t:
        a = t.submit("--range", "6", "--", TOOL, "count", "{index}")
        b = t.submit("--file", "all=" + a + "/*/stdout", "--range", "20", "--", TOOL, "cat", "/in/all")
        c = t.submit("--each", b + "/*/stdout", "--", TOOL, "squares")
        t.coordinator.kill()
        t.start_coordinator()
        assert "for job " + a[:12] in t.job(b)["waiting"]
        t.add_worker(), t.add_worker()
        g.wait_for("the inputs to be found", lambda: t.db("SELECT inputs FROM job WHERE inputs IS NOT NULL"))
        t.coordinator.kill()
        before = t.db("SELECT inputs FROM job WHERE inputs IS NOT NULL")
        t.start_coordinator()
        assert t.wait_done(c)["state"] == "done", t.job(c)
        assert t.db("SELECT inputs FROM job WHERE inputs IS NOT NULL") == before
        want = "".join("%d\n" % i for i in range(6))
        assert texts(t.results(b)) == [want] * 20
        resolution = json.loads("[" + ",".join(open(t.path("out", "sources.ndjson"))) + "]")
        assert [p["index"] for p in resolution] == list(range(6)), resolution
        for p in resolution:
            text = b"%d\n" % p["index"]
            assert p["name"] == "all" and p["blob"]["digest"] == "sha256:" + hashlib.sha256(text).hexdigest()
        t.verify(t.path("out"), "--rerun", "2")
        t.verify(t.results(c, "out-c"), "--source", t.path("out"), "--rerun", "2")


def test_what_is_refused():
    with g.Grid() as t:
        a = t.submit("--range", "4", "--", TOOL, "count", "{index}")
        nobody = "0" * 64

        def no(text, *args, code=2):
            t.cli("submit", *args, "--", TOOL, "count", "1", code=code)
            assert text in g.run.stderr, g.run.stderr
        no("is not known here", "--after", nobody, code=None)
        no("no job begins with", "--after", "0123456789", code=None)
        no("not a job id", "--after", "nothing", code=2)
        no("neither a file here nor JOB/INDEX/FILE", "--file", "x=" + a + "/x/stdout")
        no("neither a file here nor JOB/INDEX/FILE", "--file", "x=" + a + "/0/stderr")
        no("that job has 4 tasks", "--file", "x=" + a + "/4/stdout", code=None)
        no("--each takes every task of a job", "--each", a + "/1/stdout")
        no("which are not here", "--try", "--each", a + "/*/stdout", code=None)
        os.makedirs(t.path(a[:8], "0"))
        open(t.path(a[:8], "0", "stdout"), "w").close()
        no("is a file here and an output of a job too", "--file", "x=" + a[:8] + "/0/stdout")
        t.submit("--file", "x=./" + a[:8] + "/0/stdout", "--", TOOL, "cat", "/in/x")
        again(t, a)
        big = t.submit("--range", "5000", "--", TOOL, "count", "{index}")
        no("more than 4096 outputs", "--file", "x=" + big + "/*/stdout", code=None)


def again(t, a):
    """What --dry-run prints is a job like the one that it was printed for."""
    said = t.cli("submit", "--dry-run", "--file", "x=" + a[:9] + "/*/stdout", "--after", a, "--", TOOL, "cat", "/in/x")
    manifest = json.loads(said)
    assert manifest["files"] == [{"name": "x", "from": {"job": a, "file": "stdout"}}] and manifest["after"] == [a]
    with open(t.path("manifest.json"), "w") as f:
        f.write(said)
    assert a[:12] in t.job(t.submit("manifest.json"))["waiting"]


def test_a_job_that_a_worker_carried_waits_for_its_sources():
    with g.Grid(workers=2) as t:
        a = t.submit("--range", "3", "--", TOOL, "count", "{index}")
        t.wait_done(a)
        t.coordinator.kill()
        t.env["TALKOOT_GRID"] = t.workers[0].ready[1]
        b = t.submit("--range", "2", "--", TOOL, "count", "7{index}")
        c = t.submit("--file", "a=" + a + "/*/stdout", "--file", "b=" + b + "/1/stdout", "--", TOOL, "cat", "/in/a", "/in/b")
        t.start_coordinator()
        g.wait_for("the job to be delivered", lambda: t.db("SELECT 1 FROM job WHERE id = ?", bytes.fromhex(c)))
        assert t.wait_done(c)["state"] == "done", t.job(c)
        assert texts(t.results(c)) == ["0\n1\n2\n71\n"]


def test_jobs_that_end_while_their_inputs_come():
    chance = g.seed()
    with g.Grid(workers=2, slots=3) as t:
        a = t.submit("--range", "120", "--quorum", "1", "--", TOOL, "count", "{index}")
        t.wait_done(a)
        for i in range(5):
            job = t.submit("--file", "x=" + a + "/*/stdout", "--file", "y=%s/%d/stdout" % (a, i), "--range", "40", "--", TOOL,
                           "cat", "/in/x", "/in/y")
            last = t.submit("--file", "x=" + a + "/*/stdout", "--range", "20", "--", TOOL, "cat", "/in/x")
            running = chance.randrange(2)
            g.wait_for("a lease", lambda: not running or t.status()["leases"])
            t.cli("cancel", job)
            if i == 2:
                t.workers[0].kill()
                t.restart_worker(t.workers[0])
        assert t.wait_done(last)["state"] == "done", t.job(last)
        assert texts(t.results(last)) == ["".join("%d\n" % k for k in range(120))] * 20
        for w in t.workers:
            g.wait_for("nothing to be left", lambda: not os.listdir(t.path(w.name, "tasks")))
            assert w.stop() == 0


if __name__ == "__main__":
    try:
        g.main(globals())
    finally:
        shutil.rmtree(TMP, ignore_errors=True)
