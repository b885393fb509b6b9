# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: what a stopped task had reached is not lost, on the same worker and, where the job says so, on another."""
import base64
import glob
import json
import os
import re
import time

from grid import Grid, compile_static, main, program, run, wait_for

REST_S = 61  # of a suspended task

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


def inherited(g, out):
    """The results in the evidence that name a checkpoint."""
    found = []
    with open(g.path(out, "attestations.ndjson")) as f:
        for line in f:
            statement = json.loads(base64.b64decode(json.loads(line)["payload"]))
            found += [r for r in statement["predicate"]["results"] if "inherited" in r]
    return found


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
        g.verify(g.path("out"))


def test_a_manifest_that_asks_for_checkpoints_has_files():
    with Grid() as g:
        shown = json.loads(g.cli("submit", "--dry-run", "--checkpoint", "local", "--", counter(g), "1"))
        assert shown.pop("profile") == "files", shown
        with open(g.path("manifest.json"), "w") as f:
            json.dump(shown, f)
        assert json.loads(g.cli("submit", "--dry-run", g.path("manifest.json")))["profile"] == "files"


def steps(g, w):
    """How far the worker's task has come."""
    (name,) = glob.glob(g.path(w.name, "tasks", "*", "stderr"))
    with open(name) as f:
        return f.read()


def test_a_suspended_task_stands_still_and_goes_on_or_is_taken_up_later():
    with Grid(workers=1) as g:
        w = g.workers[0]
        owner = [program("talkoot-worker"), "--data", g.path(w.name)]
        job = g.submit("--quorum", "1", "--checkpoint", "local", "--wall", "60", "--", counter(g), "250")
        running(g, w, 20)
        run(owner + ["suspend"], g.env)
        assert "suspended: 1 task" in run(owner + ["status"], g.env)
        still = wait_for("all of it to stand", lambda: (lambda a: a if (time.sleep(0.2), steps(g, w))[1] == a else None)(steps(g, w)))
        time.sleep(2)  # what is looked for is that nothing happens
        assert steps(g, w) == still
        run(owner + ["resume"], g.env)
        running(g, w, 40)
        run(owner + ["suspend"], g.env)
        assert w.stop() == 0
        assert kept(g, w) == [job + "-0"], kept(g, w)
        w = g.restart_worker(w)
        assert g.wait_done(job)["tasks"]["valid"] == 1
        start, total = began_at(g, job, "out")
        assert start >= 40 and total == 250, (start, total)


def resting(g, job):
    """Suspend the only worker, in the middle of its task."""
    w = g.workers[0]
    running(g, w, 20)
    run([program("talkoot-worker"), "--data", g.path(w.name), "suspend"], g.env)
    return wait_for("all of it to stand", lambda: (lambda a: a if (time.sleep(0.2), steps(g, w))[1] == a else None)(steps(g, w)))


def test_a_minutes_rest_is_no_time_of_the_task_and_it_is_finished_here_or_elsewhere():
    """The task may take 30 s, and rests for longer than a lease lasts. Then its worker stops: it is taken up there, or by another."""
    with Grid(workers=1) as here, Grid(workers=1) as there:
        jobs, still = {}, {}
        for g, kind in ((here, "local"), (there, "travels")):
            jobs[g] = g.submit("--quorum", "1", "--checkpoint", kind, "--wall", "30", "--", counter(g), "250")
            still[g] = resting(g, jobs[g])
        time.sleep(REST_S)  # what is looked for is that nothing happens
        for g in here, there:
            w = g.workers[0]
            assert steps(g, w) == still[g]
            assert g.job(jobs[g])["state"] == "active" and not g.db("SELECT 1 FROM result"), g.job(jobs[g])
            run([program("talkoot-worker"), "--data", g.path(w.name), "resume"], g.env)
            running(g, w, 60)
            assert steps(g, w).startswith(still[g]), "it went on, and did not begin anew"
            run([program("talkoot-worker"), "--data", g.path(w.name), "suspend"], g.env)
        there.add_worker()
        for g in here, there:
            assert g.workers[0].stop() == 0
        assert kept(here, here.workers[0]) == [jobs[here] + "-0"]
        here.restart_worker(here.workers[0])
        for g in here, there:
            assert g.wait_done(jobs[g])["tasks"]["valid"] == 1
            start, total = began_at(g, jobs[g], "out")
            assert start >= 60 and total == 250, (start, total)
            g.verify(g.path("out"))
        (digest,) = [r["inherited"] for r in inherited(there, "out")]
        there.cli("blob", "get", digest, "-o", there.path("checkpoint"))
        with open(there.path("checkpoint")) as f:
            assert int(f.read()) == start
        with open(there.path("out", "results.ndjson")) as f:
            assert json.loads(f.read())["workers"] == [there.workers[1].id]


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


def test_a_checkpoint_travels_with_the_lease():
    with Grid(workers=1) as g:
        first = g.workers[0]
        job = g.submit("--quorum", "1", "--checkpoint", "travels", "--", counter(g), "400")
        running(g, first, 30)
        g.add_worker()
        assert first.stop() == 0
        assert g.wait_done(job)["tasks"]["valid"] == 1
        start, total = began_at(g, job, "out")
        assert start >= 30 and total == 400, (start, total)
        names = [r["inherited"] for r in inherited(g, "out")]
        assert len(names) == 1, names
        g.cli("blob", "get", names[0], "-o", g.path("checkpoint"))
        with open(g.path("checkpoint")) as f:
            assert int(f.read()) == start
        g.verify(g.path("out"))


def test_who_wrote_a_checkpoint_is_an_author_of_what_rests_on_it():
    with Grid(workers=2) as g:
        job = g.submit("--quorum", "2", "--checkpoint", "travels", "--", counter(g), "300")
        holder = wait_for("a holder", lambda: next((w for w in g.workers if glob.glob(g.path(w.name, "tasks", "*", "stderr"))), None))
        other = next(w for w in g.workers if w is not holder)
        running(g, holder, 30)
        assert holder.stop() == 0
        wait_for("the other's result", lambda: g.db("SELECT 1 FROM result"))
        # whose work is in the first result may not check it: the task waits for a third
        g.restart_worker(holder)
        wait_for("words", lambda: "independent" in g.cli("status", job))
        assert [bytes(row[0]).hex() for row in g.db(
            "SELECT worker.id FROM lease JOIN worker ON lease.worker = worker.n WHERE lease.state = 'live'")] == []
        third = g.add_worker()
        assert g.wait_done(job)["tasks"]["valid"] == 1
        g.results(job, "out")
        with open(g.path("out", "results.ndjson")) as f:
            assert sorted(json.loads(f.read())["workers"]) == sorted([other.id, third.id])


# A checkpoint of argv[1] bytes, all of it a hole; and a second.
SPARSE = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	const struct timespec pause = { 2, 500000000 };
	int fd = open("/out/checkpoint", O_WRONLY | O_CREAT, 0600);

	(void)argc;
	return fd < 0 || ftruncate(fd, atol(argv[1])) || nanosleep(&pause, NULL) || unlink("/out/checkpoint");
}
"""


def test_a_checkpoint_is_copied_out_only_up_to_the_limit_of_outputs():
    """What is a hole in the box is bytes on the volunteer's disk."""
    with Grid(workers=0) as g:
        probe = compile_static(SPARSE, g.path("sparse"))
        for n, there in ((1 << 20, True), ((1 << 20) + 1, False)):
            out = g.path("out%d" % n)
            run([program("talkoot-sandbox"), "--profile", "files", "--checkpoint", "1", "--disk", "64", "--max-output", "1",
                 "--out", out, "--", probe, str(n)], g.env)
            assert os.path.exists(os.path.join(out, ".checkpoint")) == there, n


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
