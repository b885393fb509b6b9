# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: what a stopped task had reached is not lost, on the same worker and, where the job says so, on another."""
import glob
import os
import re
import signal

from grid import Grid, compile_static, main, run, wait_for

# Counts to argv[1], a step every 20 ms, from where the checkpoint says; what it prints does not tell how often it was stopped.
COUNTER = r"""
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int main(int argc, char **argv)
{
	const struct timespec pause = { 0, 20000000 };
	long at = 0, to = atol(argv[1]);
	FILE *f = fopen("/in/checkpoint", "r");

	(void)argc;
	if (f && fscanf(f, "%ld", &at) != 1)
		return 3;
	fprintf(stderr, "from %ld\n", at);
	for (; at < to; at++) {
		fprintf(stderr, "at %ld\n", at);
		f = fopen("/out/next", "w");
		if (!f || fprintf(f, "%ld\n", at) < 0 || fclose(f) || rename("/out/next", "/out/checkpoint"))
			return 4;
		nanosleep(&pause, NULL);
	}
	printf("%ld\n", to);
	return 0;
}
"""


def counter(g):
    path = g.path("counter")
    return path if os.path.exists(path) else compile_static(COUNTER, path)


def running(g, w, step):
    """Wait until the worker's task is at `step` or beyond."""
    def there():
        for name in glob.glob(g.path(w.name, "tasks", "*", "stderr")):
            with open(name) as f:
                if any(int(n) >= step for n in re.findall(r"^at (\d+)$", f.read(), re.M)):
                    return True
        return False
    wait_for("step %d" % step, there)


def kept(g, w):
    return os.listdir(g.path(w.name, "checkpoints"))


def began_at(g, job, out):
    """Where the run that counted began, by its stderr."""
    g.results(job, out)
    with open(g.path(out, "0", "stdout")) as f:
        total = int(f.read())
    with open(g.path(out, "0", "stderr")) as f:
        return int(re.match(r"from (\d+)\n", f.read()).group(1)), total


def test_a_stopped_workers_task_goes_on_from_its_checkpoint():
    with Grid(workers=1) as g:
        w = g.workers[0]
        job = g.submit("--quorum", "1", "--checkpoint", "local", "--outputs", "*", "--", counter(g), "150")
        running(g, w, 30)
        assert w.stop() == 0
        assert kept(g, w) == [job + "-0"], kept(g, w)
        w = g.restart_worker(w)
        assert g.wait_done(job)["tasks"]["valid"] == 1
        start, total = began_at(g, job, "out")
        assert start >= 30 and total == 150, (start, total)
        assert kept(g, w) == []
        assert not os.path.exists(g.path("out", "0", "files")), "the checkpoint is no output"
        g.verify("out")


def test_a_killed_workers_task_goes_on_from_the_last_copy():
    with Grid(workers=1) as g:
        w = g.workers[0]
        job = g.submit("--quorum", "1", "--checkpoint", "local", "--", counter(g), "800")
        wait_for("a copy while it runs", lambda: glob.glob(g.path(w.name, "tasks", "*", "out", ".checkpoint")))
        w.kill()
        w = g.restart_worker(w)
        assert kept(g, w) == [job + "-0"], kept(g, w)
        assert g.wait_done(job)["tasks"]["valid"] == 1
        start, total = began_at(g, job, "out")
        assert start > 0 and total == 800, (start, total)


def test_without_the_word_nothing_is_kept():
    with Grid(workers=1) as g:
        w = g.workers[0]
        job = g.submit("--quorum", "1", "--profile", "files", "--", counter(g), "60")
        running(g, w, 10)
        assert w.stop() == 0
        assert kept(g, w) == []
        g.restart_worker(w)
        assert g.wait_done(job)["tasks"]["valid"] == 1
        assert began_at(g, job, "out") == (0, 60)


def test_a_profile_without_files_has_none():
    with Grid(workers=0) as g:
        g.cli("submit", "--profile", "compute", "--checkpoint", "local", "--", counter(g), "1", code=2)
        assert "--checkpoint" in run.stderr, run.stderr


if __name__ == "__main__":
    main(globals())
