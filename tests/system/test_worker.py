# SPDX-License-Identifier: Apache-2.0
"""The worker through its doors: joining, its commands, its peer port, its endings, and what it keeps."""
import hashlib
import json
import os
import signal
import stat
import time

from grid import BIN, Grid, Proc, main, port_of, program, run, tls_connect, wait_for
from test_faults import boxes_of, sleeper


def worker(g, *args, code=0):
    return run([program("talkoot-worker")] + list(args), g.env, code)


def peer_get(link, path, header=""):
    s = tls_connect(port_of(link))
    s.sendall(("GET %s HTTP/1.1\r\nHost: peer\r\nConnection: close\r\n%s\r\n" % (path, header)).encode())
    answer = b""
    while True:
        part = s.recv(65536)
        if not part:
            break
        answer += part
    s.close()
    head, body = answer.split(b"\r\n\r\n", 1)
    return int(head.split()[1]), body


def test_it_joins_by_the_coordinator_and_by_any_worker():
    with Grid(workers=1) as g:
        assert len(g.workers[0].id) == 64
        job = g.submit("--range", "2", "--", sleeper(g), "{index}", "1")
        wait_for("words for people", lambda: "\nwaiting: needs 2 independent workers, has 1\n" in g.cli("status", job))
        second = g.add_worker(join=g.workers[0].ready[1])
        assert g.wait_done(job)["tasks"]["valid"] == 2
        assert g.worker_status(second)["coordinator"]["answers"]
        g.admin("ban", second.id)
        wait_for("the refusal in words", lambda: "is banned" in g.worker_status(second)["why"])


def test_usage_errors_name_what_is_wrong():
    with Grid(submitter=False) as g:
        for args, word in ((["--join", "talkoot://nonsense"], "--join"), ([], "--join"),
                           (["--join", g.link, "--listen", "x"], "--listen"),
                           (["--join", g.link, "--slots", "0"], "slots"),
                           (["--join", g.link, "--submitters", "me"], "--submitters"),
                           (["--join", g.link, "--profiles", "vm"], "--profiles"),
                           (["--join", g.link, "--bits", "root"], "--bits"),
                           (["--join", g.link, "--sandbox", "/nonexistent"], "--sandbox"),
                           (["--nonsense"], "nonsense"), (["dance"], "dance")):
            worker(g, "--data", g.path("u"), *args, code=2)
            assert word in run.stderr, (args, run.stderr)
        worker(g, "status", code=2)
        assert "--data" in run.stderr
        worker(g, "--data", g.path("u"), "status", code=3)
        assert "no worker runs" in run.stderr, run.stderr


def test_the_volunteer_chooses_whose_jobs_and_which_profiles():
    with Grid() as g:
        mine = g.cli("id").strip()
        stranger = g.path("stranger.key")
        other = g.cli("id", "--identity", stranger).strip()
        g.allow(other)
        w = g.add_worker(args=("--submitters", mine, "--profiles", "compute"))
        wait_for("its first ask", lambda: g.worker_status(w)["coordinator"]["answers"])
        assert g.worker_status(w)["lends"]["profiles"] == ["compute"]
        theirs = ["submit", "--identity", stranger, "--quorum", "1", "--", sleeper(g), "0", "0"]
        g.cli(*theirs, code=4)
        assert "takes its submitter's jobs" in run.stderr, run.stderr
        g.cli("submit", "--quorum", "1", "--profile", "files", "--", sleeper(g), "0", "0", code=4)
        assert "profile" in run.stderr, run.stderr
        assert g.wait_done(g.submit("--quorum", "1", "--", sleeper(g), "0", "0"))["tasks"]["valid"] == 1
        g.add_worker()
        wait_for("one who takes anybody's", lambda: g.status()["workers"]["online"] == 2)
        job = g.cli(*theirs).strip()
        done = g.wait_done(job)
        assert done["tasks"]["valid"] == 1, done
        story = g.db("SELECT worker.id FROM lease JOIN worker ON lease.worker = worker.n JOIN job ON lease.job = job.n "
                     "WHERE job.id = ?", bytes.fromhex(job))
        assert [bytes(row[0]).hex() for row in story] != [w.id] and len(story) == 1, story


def test_owner_commands():
    with Grid(workers=1) as g:
        w = g.workers[0]
        data = g.path(w.name)
        for name, mode in (("identity.key", 0o600), ("control.sock", 0o600)):
            assert stat.S_IMODE(os.stat(os.path.join(data, name)).st_mode) == mode, name
        worker(g, "--data", data, "--join", g.link, code=1)
        assert "another worker" in run.stderr
        wait_for("the first answer", lambda: g.worker_status(w)["coordinator"]["answers"])
        assert "no work" in g.worker_status(w)["why"]
        worker(g, "--data", data, "pause")
        assert "paused" in g.worker_status(w)["why"] and g.worker_status(w)["state"] == "pause"
        job = g.submit("--range", "1", "--quorum", "1", "--", sleeper(g), "{index}", "0", "1")
        worker(g, "--data", data, "resume")
        wait_for("a running task", lambda: g.worker_status(w)["running"])
        assert g.worker_status(w)["running"][0]["job"] == job
        assert "running 1 task" in worker(g, "--data", data, "status")
        worker(g, "--data", data, "finish")
        assert w.p.wait(30) == 0
        assert g.job(job)["tasks"]["valid"] == 1
        worker(g, "--data", data, "check")
        os.chmod(os.path.join(data, "identity.key"), 0o640)
        worker(g, "--data", data, "--join", g.link, code=4)
        assert "chmod 600" in run.stderr, run.stderr


def test_it_waits_for_a_coordinator_that_is_not_there_yet():
    with Grid(submitter=False) as g:
        g.coordinator.stop()
        w = Proc([program("talkoot-worker"), "--data", g.path("w9"), "--join", g.link, "--listen", "none"],
                 g.path("w9.log"), g.env)
        g.procs.append(w)
        wait_for("a line that says so", lambda: "trying again" in open(g.path("w9.log")).read())
        g.start_coordinator()
        w.wait_ready()
        assert w.ready[1] == "none"
        assert w.stop() == 0
        g.coordinator.kill()  # with a stored descriptor it is ready at once
        again = Proc(["talkoot-worker", "--data", g.path("w9"), "--listen", "none"], g.path("w9.log"),
                     dict(g.env, PATH=BIN + ":" + os.environ["PATH"]))
        g.procs.append(again)
        again.wait_ready()
        began = time.monotonic()
        assert again.stop() == 0
        assert time.monotonic() - began < 5


def test_the_peer_port_serves_inputs_and_no_outputs():
    with Grid(workers=2) as g:
        job = g.submit("--range", "2", "--", sleeper(g), "{index}", "1")
        g.wait_done(job)
        with open(sleeper(g), "rb") as f:
            code = f.read()
        name = "sha256:" + hashlib.sha256(code).hexdigest()
        link = g.workers[0].ready[1]
        assert peer_get(link, "/v1/blobs/" + name) == (200, code)
        assert peer_get(link, "/v1/blobs/" + name, "Range: bytes=10-19\r\n") == (206, code[10:20])
        output = "sha256:" + hashlib.sha256(b"task 0\n").hexdigest()
        assert peer_get(link, "/v1/blobs/" + output)[0] == 404
        assert peer_get(link, "/v1/blobs/nonsense")[0] == 400
        status_, body = peer_get(link, "/v1/grid")
        assert status_ == 200 and b"payload" in body
        g.submit("--range", "2", "--", sleeper(g), "{index}", "600")  # of a job that is over nothing is told
        jobs = wait_for("the worker to hear of the job", lambda: json.loads(peer_get(link, "/v1/jobs")[1])["jobs"])
        assert [set(j) for j in jobs] == [{"id", "name", "submitter", "count", "state", "age_ms"}], jobs
        assert peer_get(link, "/v1/jobs/%s/attestations" % jobs[0]["id"])[0] == 404
        assert peer_get(link, "/v1/status")[0] == 404


FAKE_BOX = """#!/bin/sh
if [ "$1" = --check ]; then
	cat %(dir)s/answer
	exit
fi
echo "$@" >>%(dir)s/started
exec %(box)s "$@"
"""


def fake_box(g, **can):
    """A box that answers --check as we like, and else is the real one."""
    with open(g.path("box"), "w") as f:
        f.write(FAKE_BOX % {"dir": g.path("."), "box": program("talkoot-sandbox")})
    os.chmod(g.path("box"), 0o755)
    answers(g, **can)
    return g.path("box")


def answers(g, compute, files):
    with open(g.path("answer"), "w") as f:
        json.dump({"compute": compute, "files": files, "layers": {"userns": "ok" if files else "not granted"}}, f)


def test_it_gets_only_what_its_box_can():
    with Grid(workers=0) as g:
        box = fake_box(g, compute=True, files=False)
        with open(g.path("input"), "w") as f:
            f.write("x")
        # submitted while no worker is known: later it would be refused as too demanding
        files = g.submit("--range", "2", "--quorum", "1", "--file", "x=" + g.path("input"), "--", sleeper(g), "{index}", "1")
        w = g.add_worker(args=("--sandbox", box))
        for _ in range(2):  # the older job goes first, if it may
            job = g.submit("--range", "3", "--quorum", "1", "--", sleeper(g), "{index}", "1")
            assert g.wait_done(job)["tasks"]["valid"] == 3
        assert g.job(files)["tasks"] == dict(g.job(files)["tasks"], pending=2, running=0, valid=0), g.job(files)
        with open(g.path("started")) as f:
            assert "--profile files" not in f.read()
        said = worker(g, "--data", g.path(w.name), "--sandbox", box, "check")
        assert "only tasks of profile compute" in said and "mend:" in said, said
        answers(g, compute=True, files=True)
        worker(g, "--data", g.path(w.name), "pause")
        worker(g, "--data", g.path(w.name), "resume")
        assert g.wait_done(files)["tasks"]["valid"] == 2, "its owner mended it"


def test_a_box_that_can_nothing_gets_nothing():
    with Grid(workers=0) as g:
        box = fake_box(g, compute=False, files=False)
        job = g.submit("--range", "1", "--quorum", "1", "--", sleeper(g), "{index}", "1")
        w = g.add_worker(args=("--sandbox", box))
        wait_for("an ask", lambda: g.worker_status(w)["coordinator"]["answers"])
        said = worker(g, "--data", g.path(w.name), "--sandbox", box, "check", code=1)
        assert "no task can run here" in said, said
        assert "the box does not work here" in open(g.path(w.name + ".log")).read()
        assert g.job(job)["tasks"]["pending"] == 1 and not os.path.exists(g.path("started"))
        wait_for("the submitter to be told",
                 lambda: "1 worker is online, but none can set up a box" in g.cli("status", job))
        answers(g, compute=True, files=False)
        assert w.stop() == 0
        g.add_worker(args=("--sandbox", box), name=w.name)
        assert g.wait_done(job)["tasks"]["valid"] == 1


def test_sigterm_ends_it_with_0_within_5_seconds():
    with Grid(workers=1, slots=2) as g:
        job = g.submit("--range", "4", "--quorum", "1", "--", sleeper(g), "{index}", "0", "600")
        wait_for("two boxes", lambda: len(boxes_of(g)) >= 2)
        began = time.monotonic()
        assert g.workers[0].stop(10) == 0
        assert time.monotonic() - began < 5.5
        assert not boxes_of(g)
        assert not os.listdir(g.path("w0", "tasks"))
        assert g.job(job)["tasks"]["running"] == 0, "its leases were given back"


def test_a_second_sigterm_ends_it_at_once():
    with Grid(workers=1) as g:
        g.submit("--range", "1", "--quorum", "1", "--", sleeper(g), "{index}", "0", "600")
        wait_for("a box", lambda: boxes_of(g))
        began = time.monotonic()
        g.workers[0].signal(signal.SIGTERM)
        wait_for("the first to be heard", lambda: "ending:" in open(g.path("w0.log")).read())
        g.workers[0].stop(10)
        assert time.monotonic() - began < 2
        wait_for("no box to be left", lambda: not boxes_of(g))


def test_after_kill_9_it_gives_back_what_it_held():
    with Grid(workers=1) as g:
        job = g.submit("--range", "2", "--quorum", "1", "--", sleeper(g), "{index}", "0", "600")
        wait_for("a box", lambda: boxes_of(g))
        g.workers[0].kill()
        wait_for("no box to be left", lambda: not boxes_of(g))
        assert os.listdir(g.path("w0", "tasks")), "a killed worker cleans nothing"
        old = set(os.listdir(g.path("w0", "tasks")))
        g.restart_worker(g.workers[0])
        wait_for("its tasks to run again, long before their leases expire", lambda: boxes_of(g), 20)
        assert not old & set(os.listdir(g.path("w0", "tasks")))
        g.cli("cancel", job)


def test_kill_9_leaves_no_box_behind_a_wrapper_either():
    with Grid() as g:
        wrapper = g.path("wrapper.sh")
        with open(wrapper, "w") as f:
            f.write('#!/bin/sh\n"%s" "$@"\nexit $?\n' % program("talkoot-sandbox"))
        os.chmod(wrapper, 0o755)
        w = g.add_worker(args=("--sandbox", wrapper))
        job = g.submit("--range", "1", "--quorum", "1", "--", sleeper(g), "{index}", "0", "600")
        wait_for("a box", lambda: boxes_of(g))
        w.kill()
        wait_for("no box to be left", lambda: not boxes_of(g), 10)
        g.cli("cancel", job)


def test_unsent_results_survive_an_outage_and_kill_9():
    with Grid(workers=2) as g:
        job = g.submit("--range", "2", "--", sleeper(g), "{index}", "0", "2")
        wait_for("boxes", lambda: boxes_of(g))
        g.coordinator.kill()
        outbox = lambda w: [n for n in os.listdir(g.path(w.name, "outbox")) if n.endswith(".json")]
        wait_for("results on disk", lambda: any(outbox(w) for w in g.workers))
        wait_for("no box", lambda: not boxes_of(g))
        kept = sum(len(outbox(w)) for w in g.workers)
        for w in list(g.workers):
            w.kill()
        assert sum(len(outbox(w)) for w in g.workers) == kept
        g.start_coordinator()
        for w in list(g.workers):
            g.restart_worker(w)
        assert g.wait_done(job)["tasks"]["valid"] == 2
        wait_for("empty outboxes", lambda: not any(outbox(w) for w in g.workers))


def test_it_exits_when_idle():
    with Grid(workers=0) as g:
        began = time.monotonic()
        w = g.add_worker(args=("--exit-when-idle", "1"))
        assert w.p.wait(30) == 0
        assert time.monotonic() - began >= 1


def test_a_box_that_cannot_be_set_up_is_reported_and_check_says_so():
    with Grid() as g:
        broken = g.path("broken.sh")
        with open(broken, "w") as f:
            f.write('#!/bin/sh\n[ "$1" = --check ] && { echo \'{"compute":false,"files":false,"layers":'
                    '{"userns":"forbidden here"}}\'; exit 1; }\necho "no box today" >&2\nexit 125\n')
        os.chmod(broken, 0o755)
        text = worker(g, "--data", g.path("x"), "--sandbox", broken, "check", code=1)
        assert "forbidden here" in text and "mend: " in text, text
        mute = g.path("mute.sh")
        with open(mute, "w") as f:
            f.write("#!/bin/sh\necho 'no box today' >&2\nexit 125\n")
        os.chmod(mute, 0o755)
        g.add_worker(args=("--sandbox", mute))
        job = g.submit("--range", "1", "--quorum", "1", "--max-results", "1", "--", sleeper(g), "{index}", "1")
        g.wait_done(job)
        assert g.job(job)["tasks"]["failed"] == 1
        assert "no box today" in open(g.path("w0.log")).read()


if __name__ == "__main__":
    main(globals())
