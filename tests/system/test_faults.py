# SPDX-License-Identifier: Apache-2.0
"""Failure is normal: killed coordinators and workers, outages, full disks, connections that wear down."""
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import grid as programs
from grid import Grid, Skip, compile_static, get_json, main, program, run, seed, tls_connect, wait_for

SLEEPER = r"""
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int main(int argc, char **argv)
{
	struct timespec t = { 0, atol(argv[2]) * 1000000L };

	if (argc > 3)
		t.tv_sec = atol(argv[3]);
	nanosleep(&t, NULL);
	printf("task %s\n", argv[1]);
	return 0;
}
"""


def sleeper(g):
    path = g.path("sleeper")
    return path if os.path.exists(path) else compile_static(SLEEPER, path)


def verdicts(g, job):
    """index -> (state, outcome) of what is final now."""
    return {i: (s, o) for i, s, o in g.db(
        "SELECT t.idx, t.state, t.outcome FROM task t JOIN job j ON j.n = t.job WHERE j.id = ? AND t.state IN "
        "('valid', 'failed', 'cancelled')", bytes.fromhex(job))}


def acked_by_workers(g):
    """The digests of the envelopes that workers logged as acknowledged."""
    found = set()
    for name in os.listdir(g.dir):
        if re.match(r"w\d+\.log$", name):
            with open(g.path(name), errors="replace") as f:
                found.update(re.findall(r"acknowledged sha256:([0-9a-f]{64})", f.read()))
    return found


def stored_envelopes(g):
    return {d.hex() for (d,) in g.db("SELECT digest FROM envelope WHERE type = 'result'")}


def check_nothing_lost(g, job, count):
    end = g.job(job)
    assert end["tasks"]["valid"] == count, end
    acked, stored = acked_by_workers(g), stored_envelopes(g)
    assert acked, "workers log what was acknowledged"
    assert acked <= stored, "acknowledged and not stored: %r" % (acked - stored)
    out = g.results(job)
    g.verify(out)


def test_coordinator_killed_at_20_random_moments():
    chance = seed()
    with Grid(workers=3) as g:
        job = g.submit("--range", "300", "--", sleeper(g), "{index}", "40")
        seen = {}
        for _ in range(20):
            time.sleep(chance.uniform(0.0, 0.5))  # the moment of the fault is the test's subject
            g.coordinator.kill()
            now = verdicts(g, job)
            changed = {i for i, v in seen.items() if now.get(i) != v}
            assert not changed, "verdicts changed: %r" % changed
            seen = now
            g.start_coordinator()
        g.wait_done(job)
        now = verdicts(g, job)
        assert all(now[i] == v for i, v in seen.items()), "a verdict changed"
        check_nothing_lost(g, job, 300)
        assert g.db("PRAGMA integrity_check") == [("ok",)]
        assert g.db("PRAGMA foreign_key_check") == []


def test_workers_killed_at_20_random_moments():
    chance = seed()
    with Grid(workers=3) as g:
        job = g.submit("--range", "200", "--", sleeper(g), "{index}", "40")
        for _ in range(20):
            time.sleep(chance.uniform(0.0, 0.4))  # the moment of the fault is the test's subject
            w = chance.choice(g.workers)
            w.kill()
            g.restart_worker(w)
        g.wait_done(job)
        check_nothing_lost(g, job, 200)


def process(pid):
    """(parent, state, start, command line, path of what it executes) or None."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            line = f.read()
        with open("/proc/%d/stat" % pid) as f:
            stat = f.read().rsplit(")", 1)[1].split()
    except OSError:
        return None
    try:
        exe = os.readlink("/proc/%d/exe" % pid)
    except OSError:
        exe = ""
    return int(stat[1]), stat[0], int(stat[19]), line, exe


def processes():
    """pid -> the same, of all that live."""
    found = {int(pid): process(int(pid)) for pid in os.listdir("/proc") if pid.isdigit()}
    return {pid: p for pid, p in found.items() if p and p[1] not in "ZX"}


def boxes_of(g):
    """Tasks' programs that run from this test's folder, and boxes whose command line names it."""
    return [pid for pid, (_, _, _, line, exe) in processes().items()
            if re.match(re.escape(g.dir) + r"/w\d+/(tasks|blobs)/", exe) or
            (g.dir.encode() in line and b"talkoot-sandbox" in line.split(b"\0")[0])]


def family(pid):
    """(pid, start) of all its descendants: keepers, their boxes, the guard."""
    all_ = processes()
    found, new = [], [pid]
    while new:
        new = [p for p in all_ if all_[p][0] in new]
        found += new
    return [(p, all_[p][2]) for p in found]


def left_of(those):
    now = processes()
    return [pid for pid, start in those if pid in now and now[pid][2] == start]


def test_a_killed_worker_leaves_no_box():
    with Grid(workers=1, slots=2) as g:
        job = g.submit("--range", "4", "--", sleeper(g), "{index}", "0", "600")
        wait_for("two boxes", lambda: len(boxes_of(g)) >= 2)
        those = family(g.workers[0].pid)
        assert set(boxes_of(g)) <= {pid for pid, _ in those}, "the boxes are the worker's"
        g.workers[0].kill()
        wait_for("no box to be left", lambda: not boxes_of(g))
        wait_for("nothing else either", lambda: not left_of(those))
        g.cli("cancel", job)


def test_coordinator_down_for_30_s_while_workers_hold_leases():
    with Grid(workers=2, slots=2) as g:
        job = g.submit("--range", "8", "--", sleeper(g), "{index}", "0", "5")
        wait_for("leases", lambda: g.job(job)["tasks"]["running"] >= 4)
        before = g.db("SELECT count(*) FROM result")[0][0]
        held = g.db("SELECT count(*) FROM lease WHERE state = 'live'")[0][0]
        assert held >= 4, held
        g.coordinator.kill()
        time.sleep(30)  # the length of the outage is the test's subject
        g.start_coordinator()
        wait_for("what was finished meanwhile",
                 lambda: g.db("SELECT count(*) FROM result")[0][0] >= before + 4)
        late = g.db("SELECT count(*) FROM result WHERE state = 'late'")[0][0]
        assert late == 0, "results of leases held through an outage count"
        g.wait_done(job)
        check_nothing_lost(g, job, 8)


def test_a_job_given_to_a_worker_in_an_outage_survives_its_kills_and_is_done():
    chance = seed()
    with Grid(workers=2) as g:
        first = g.workers[0].ready[1]
        g.workers[0].argv[g.workers[0].argv.index("--listen") + 1] = first.split("@")[1].split("/")[0]
        with open(g.path("big"), "wb") as f:
            f.write(os.urandom(3000000))
        g.coordinator.kill()
        job = g.cli("submit", "--range", "6", "--file", "big=big", "--grid", first, "--", sleeper(g), "{index}", "10").strip()
        for _ in range(3):
            time.sleep(chance.uniform(0.0, 0.2))  # the moment of the fault is the test's subject
            g.workers[0].kill()
            g.restart_worker(g.workers[0])
        g.start_coordinator()
        for _ in range(3):
            time.sleep(chance.uniform(0.0, 0.3))
            g.workers[0].kill()
            g.restart_worker(g.workers[0])
        wait_for("the coordinator to have it", lambda: g.db("SELECT count(*) FROM job")[0][0] == 1)
        g.wait_done(job)
        check_nothing_lost(g, job, 6)


def test_who_waits_at_a_worker_for_a_carried_job_sees_its_end():
    with Grid(workers=2) as g:
        g.coordinator.kill()
        argv = [program("talkoot"), "submit", "--range", "4", "--wait", "--output", g.path("out"), "--grid",
                g.workers[0].ready[1], "--", sleeper(g), "{index}", "10"]
        p = subprocess.Popen(argv, env=g.env, cwd=g.dir, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        try:
            job = p.stdout.readline().decode().strip()
            assert len(job) == 64, job
            g.start_coordinator()
            err = p.communicate(timeout=programs.PATIENCE)[1].decode()
            assert p.returncode == 0, err
            assert "not acknowledged yet" in err, err
        finally:
            p.kill()
            p.wait()
        g.verify(g.path("out"), "--job", job)


def test_a_worker_stopped_by_sigterm_gives_back_what_it_holds():
    with Grid(workers=2) as g:
        job = g.submit("--range", "4", "--quorum", "1", "--", sleeper(g), "{index}", "0", "600")
        wait_for("leases", lambda: g.job(job)["tasks"]["running"] >= 2)
        assert g.workers[0].stop(15) == 0
        wait_for("its leases to be given back",
                 lambda: not g.db("SELECT l.id FROM lease l JOIN worker w ON w.n = l.worker WHERE w.id = ?",
                                  bytes.fromhex(g.workers[0].id)))  # one that expires leaves a row
        g.cli("cancel", job)


def test_a_thousand_idle_connections_do_not_stop_a_worker():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2500:
        raise Skip("RLIMIT_NOFILE is %d; 2,500 are needed" % hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2500), hard))
    with Grid(workers=2) as g:
        idle = [socket.create_connection(("127.0.0.1", g.port)) for _ in range(1000)]
        job = g.submit("--range", "20", "--", sleeper(g), "{index}", "1")
        g.wait_done(job)
        for s in idle:
            s.close()


def test_http_limits():
    with Grid() as g:
        s = tls_connect(g.port)
        s.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n")
        answer = s.recv(65536)
        assert b" 413 " in answer.split(b"\r\n")[0], answer
        s.close()
        for text, status in ((b"[" * 100000, 400), (b"{", 400), (b"\xff\xfe", 400), (b"", 400)):
            s = tls_connect(g.port)
            s.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
                      % len(text) + text)
            answer = b""
            while True:
                part = s.recv(65536)
                if not part:
                    break
                answer += part
            head, body = answer.split(b"\r\n\r\n", 1)
            assert b" %d " % status in head.split(b"\r\n")[0], head
            assert b"application/problem+json" in head, head
            assert json.loads(body)["type"].startswith("urn:talkoot:problem:"), body
            s.close()
        assert get_json(g.admin_url + "/v1/status")["version"]


def test_a_trickling_client_is_cut():
    with Grid() as g:
        s = tls_connect(g.port)
        began = time.monotonic()
        try:
            for byte in b"POST /v1/messages HTTP/1.1\r\nHost: trickle\r\nContent-Length: 1000\r\n\r\n" + b"x" * 900:
                s.send(bytes([byte]))
                s.settimeout(0.25)
                try:
                    if not s.recv(1):
                        break
                except socket.timeout:
                    pass
                if time.monotonic() - began > 100:
                    raise AssertionError("still connected after 100 s of a byte each quarter second")
        except OSError:
            pass  # cut
        print("     cut after %.0f s" % (time.monotonic() - began))


def test_a_full_disk_at_the_coordinator_loses_nothing_acknowledged():
    """Its data on a tmpfs of 24 MiB: filled from outside, then given room again."""
    if subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode != 0:
        raise Skip("user and mount namespaces are forbidden here")
    with Grid(workers=2) as g:
        g.coordinator.stop()
        wrapped = ["unshare", "-Urm", "--", "sh", "-c",
                   'mkdir -p "$1.full" && mount -t tmpfs -o size=24m tmpfs "$1.full" && cp -a "$1/." "$1.full/" && '
                   'chmod 700 "$1.full" && shift && exec "$@"', "sh", g.path("c"),
                   program("talkoot-coordinator"), "--data", g.path("c.full"), "--listen", "127.0.0.1:%d" % g.port,
                   "--admin", "127.0.0.1:%d" % g.admin_port]
        c = programs.Proc(wrapped, g.path("coordinator.log"), g.env)
        g.procs.append(c)
        c.wait_ready()
        inside = "/proc/%d/root%s" % (c.pid, g.path("c.full"))
        job = g.submit("--range", "60", "--", sleeper(g), "{index}", "30")
        wait_for("first results", lambda: g.job(job)["tasks"]["valid"] > 5)
        filler = os.path.join(inside, "filler")
        fill(filler)
        refused = g.cli("submit", "--range", "1", "--", program("fold"), code=None)
        assert run.code in (1, 4) and not refused.strip(), (run.code, refused, run.stderr)
        assert "room" in run.stderr.lower() or "full" in run.stderr.lower() or "space" in run.stderr.lower(), run.stderr
        assert get_json(g.admin_url + "/v1/status")["version"], "it still answers"
        os.unlink(filler)
        g.wait_done(job)
        end = g.job(job)
        assert end["tasks"]["valid"] == 60, end
        out = g.results(job)
        g.verify(out)


def fill(path):
    """Write zeros to `path` until there is no room."""
    try:
        with open(path, "wb", buffering=0) as f:
            while True:
                f.write(b"\0" * 4096)
    except OSError:
        pass


def test_a_full_disk_at_a_worker_loses_nothing_and_goes_on_when_there_is_room():
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Um", "--map-current-user", "--keep-caps"]
    if subprocess.run(unshare + ["true"], capture_output=True).returncode != 0:
        raise Skip("mount namespaces are forbidden here")
    with Grid(workers=1) as g:
        argv = unshare + ["--", "sh", "-c",
                          'mkdir -p "$1" && mount -t tmpfs -o size=12m,mode=0700 tmpfs "$1" && shift && exec "$@"',
                          "sh", g.path("small"), program("talkoot-worker"), "--data", g.path("small"), "--join", g.link,
                          "--listen", "127.0.0.1:0", "--slots", "1", "--disk", "64"]
        w = programs.Proc(argv, g.path("w1.log"), g.env)
        g.procs.append(w)
        w.wait_ready()
        inside = "/proc/%d/root%s" % (w.pid, g.path("small"))
        # enough that it has something to store when the disk is full
        job = g.submit("--range", "150", "--disk", "1", "--", sleeper(g), "{index}", "30")
        wait_for("first verdicts", lambda: g.job(job)["tasks"]["valid"] > 3)
        filler = os.path.join(inside, "filler")
        fill(filler)

        def said():
            with open(g.path("w1.log")) as f:
                text = f.read().lower()
            return "no space" in text or "no room" in text or "full" in text

        wait_for("the worker to say that its disk is full", lambda: said() or g.job(job)["state"] != "active")
        assert said(), "it said so"
        assert w.p.poll() is None, "it runs on"
        os.unlink(filler)
        end = g.wait_done(job)
        assert end["tasks"]["valid"] == 150, end
        g.verify(g.results(job))


if __name__ == "__main__":
    main(globals())
