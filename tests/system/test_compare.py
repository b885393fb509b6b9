# SPDX-License-Identifier: Apache-2.0
"""test_compare.py: results that differ in their last digits: exactly they fail, within a tolerance they agree, and anyone
can check that afterwards; a comparator of the submitter's; large outputs; all copies on one class."""
import glob
import json
import os
import signal

import grid
from grid import Grid, compile_static, lines_of, log_of, main, wait_for

NOISE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
/* argv: SIZE of the noise, HOW MANY numbers, [a file below /out] */
int main(int argc, char **argv)
{
	double size = atof(argv[1]);
	int n = atoi(argv[2]);
	FILE *f = argc > 3 ? fopen(argv[3], "w") : stdout;

	for (int i = 0; i < n; i++) {
		unsigned r;
		if (getrandom(&r, sizeof(r), 0) != sizeof(r))
			return 9;
		fprintf(f, "%.15g%c", 3.5 + i + size * (r / 4294967296.0), i % 4 == 3 ? '\n' : ' ');
	}
	return fclose(f) != 0;
}
"""

# Says whether both have as many lines; "crash", "odd" and "spin" in the name of the output do that instead.
LINES = r"""
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static int lines(const char *path)
{
	FILE *f = fopen(path, "r");
	int c, n = 0;

	while (f && (c = getc(f)) != EOF)
		n += c == '\n';
	return f ? n : -1;
}
int main(int argc, char **argv)
{
	if (argc != 2 || getchar() != EOF || strcmp(argv[0], "lines"))
		return 7;
	if (strstr(argv[1], "crash"))
		*(volatile int *)0 = 1;
	if (strstr(argv[1], "odd"))
		return 5;
	while (strstr(argv[1], "spin"))
		;
	return lines("/in/a") != lines("/in/b") || lines("/in/a") < 0;
}
"""


def children(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return [int(word) for word in f.read().split()]
    except FileNotFoundError:
        return []


class World(Grid):
    def __init__(self, workers=3, **more):
        super().__init__(workers, **more)
        self.noise = compile_static(NOISE, self.path("noise"))
        self.lines = compile_static(LINES, self.path("lines"))

    def run(self, *words, args=("1e-9", "8")):
        job = self.submit("--deterministic", "off", "--max-results", "3", *words, "--", self.noise, *args)
        return job, self.wait_done(job)

    def valid(self, *words, **more):
        job, done = self.run(*words, **more)
        assert done["tasks"]["valid"] == done["count"], done
        return job

    def failed(self, *words, **more):
        job, done = self.run(*words, **more)
        assert done["tasks"]["failed"] == done["count"], done
        return job


def test_results_that_differ_in_their_last_digits():
    with World() as g:
        out = g.results(g.failed("--range", "3"), "exact")
        assert {r["why"] for r in lines_of(os.path.join(out, "results.ndjson"))} == {"no agreement"}
        assert "verified" in g.verify(out)

        g.failed("--compare", "numeric:rtol=1e-15,atol=0")

        out = g.results(g.valid("--range", "3", "--compare", "numeric:rtol=1e-6,atol=0"), "numeric")
        evidence = glob.glob(os.path.join(out, "evidence", "*"))
        assert len(evidence) == 3, evidence
        said = g.verify(out)
        assert "3 pairs of outputs that differ agree" in said and "verified" in said, said
        told = json.loads(g.verify(out, "--json"))
        assert told["ok"] and told["compared"] == 3 and told["left_to_comparator"] == 0

        # what is run again here has other bytes too, and is held against the shown ones by the same tolerance
        assert "3 run again here" in g.verify(out, "--rerun", "3")

        # an output that was changed beyond the tolerance, shown or not, and one that is gone
        for path in evidence[0], os.path.join(out, "1", "stdout"):
            with open(path) as f:
                text = f.read()
            os.chmod(path, 0o644)
            with open(path, "w") as f:
                f.write(text.replace("3.5", "4.5", 1))
            g.verify(out, code=1)
            assert "task" in grid.run.stderr, grid.run.stderr
            with open(path, "w") as f:
                f.write(text)
        g.verify(out)
        os.rename(evidence[0], evidence[0] + ".away")
        g.verify(out, code=1)
        os.rename(evidence[0] + ".away", evidence[0])
        g.verify(out)


def test_outputs_that_are_uploaded_are_compared_by_a_process():
    with World() as g:
        many = ("1e-9", "20000", "/out/big.txt")
        job = g.valid("--outputs", "*.txt", "--compare", "files/*.txt=numeric:rtol=1e-6,atol=0", args=many)
        out = g.results(job)
        assert os.path.getsize(os.path.join(out, "0", "files", "big.txt")) > 200000
        assert "1 pair of outputs that differ agrees" in g.verify(out)
        # the glob leaves standard output to the job's `exact`
        g.failed("--outputs", "*.txt", "--compare", "stdout=numeric:rtol=1e-6,atol=0", args=many)
        g.failed("--outputs", "*.txt", "--compare", "numeric:rtol=1e-15,atol=0", args=many)


def test_a_comparator_of_the_submitter():
    with World() as g:
        out = g.results(g.valid("--range", "2", "--compare", "program:" + g.lines), "judged")
        said = g.verify(out)
        assert "2 pairs of outputs that differ agree by the submitter's comparator (not run" in said, said
        told = json.loads(g.verify(out, "--run-comparator", "--json"))
        assert told["ok"] and told["compared"] == 2 and told["left_to_comparator"] == 0
        g.verify(out, "--rerun", "1", code=1)  # it gives other bytes, and only the comparator can judge them
        assert "--run-comparator" in grid.run.stderr
        g.verify(out, "--rerun", "2", "--run-comparator")
        for path in glob.glob(os.path.join(out, "inputs", "*")):
            with open(path, "rb") as f:
                if b"/in/a" in f.read():
                    os.rename(path, path + "x")
                    g.verify(out, "--run-comparator", code=1)
                    os.rename(path + "x", path)

        # what is no answer counts as different, and is logged
        for name, why in ("crash", "signal 11 killed it"), ("odd", "exit 5"):
            g.failed("--outputs", "*", "--compare", "files/*=program:" + g.lines, args=("1e-9", "8", "/out/" + name))
            assert why in log_of(g.coordinator), log_of(g.coordinator)[-2000:]
        # one that does not end holds up nothing else, and is ended by its limit
        spins = g.submit("--deterministic", "off", "--max-results", "2", "--outputs", "*", "--compare",
                         "files/*=program:" + g.lines, "--", g.noise, "1e-9", "8", "/out/spin")
        boxes = wait_for("the comparator's box", lambda: [b for child in children(g.coordinator.pid) for b in children(child)])
        for pid in boxes:
            os.kill(pid, signal.SIGSTOP)  # so that its limits wait for us
        g.valid("--compare", "numeric:rtol=1e-6,atol=0")
        assert g.job(spins)["state"] == "active"
        for pid in boxes:
            os.kill(pid, signal.SIGCONT)
        assert g.wait_done(spins)["tasks"]["failed"] == 1
        assert "a limit ended it" in log_of(g.coordinator)
        assert not glob.glob(g.path("c", "compare", "*")), "what a comparison wrote stays"


def test_a_comparator_is_refused_where_it_cannot_run():
    with Grid() as g:
        exe = compile_static("int main(void) { return 0; }", g.path("exe"))
        script = g.path("script")
        with open(script, "w") as f:
            f.write("#!/bin/sh\n")
        g.cli("submit", "--compare", "program:" + script, "--", exe, code=2)
        assert "script" in grid.run.stderr
        g.coordinator.stop()
        g.coordinator_args.append("--comparators=off")
        g.start_coordinator()
        g.cli("submit", "--compare", "program:" + exe, "--", exe, code=1)
        assert "runs no comparators" in grid.run.stderr, grid.run.stderr
        for how in ("nearly", "numeric", "program", "numeric:rtol=1,atol=0", "=exact", "files/*=close"):
            g.cli("submit", "--compare", how, "--", exe, code=2)
            assert "--compare" in grid.run.stderr, grid.run.stderr
        m = json.loads(g.cli("submit", "--dry-run", "--compare", "numeric:rtol=1e-6,atol=0", "--compare",
                             "files/*.x=program:" + exe, "--class", "same", "--", exe))
        assert m["compare"] == "numeric:rtol=1e-6,atol=0" and m["platform_class"] == "same"
        assert m["compare_by"] == [{"glob": "files/*.x", "how": "program"}] and m["comparator"]["name"] == "exe"
        with open(g.path("m.json"), "w") as f:
            json.dump(m, f)
        again = json.loads(g.cli("submit", "--dry-run", g.path("m.json")))
        assert again["comparator"] == m["comparator"] and again["compare_by"] == m["compare_by"]


def test_a_kill_while_results_are_being_compared_loses_nothing():
    with World() as g:
        job = g.submit("--deterministic", "off", "--range", "30", "--compare", "program:" + g.lines, "--", g.noise, "1e-9", "8")
        for _ in range(3):
            wait_for("some results", lambda: g.job(job)["tasks"]["valid"] > 2 or g.job(job)["state"] != "active")
            g.coordinator.kill()
            g.start_coordinator()
        assert g.wait_done(job)["tasks"]["valid"] == 30
        g.verify(g.results(job), "--run-comparator")


def test_all_copies_on_one_class():
    """Of this machine there is one class only; that others are kept apart is tests/unit/test_coord.c's."""
    with World(2) as g:
        out = g.results(g.valid("--range", "4", "--class", "same", "--compare", "numeric:rtol=1e-6,atol=0"))
        g.verify(out)


main(globals())
