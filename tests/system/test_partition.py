# SPDX-License-Identifier: Apache-2.0
"""A grid that is cut into two halves and heals: six workers and a coordinator on machines of the test's own, on two
switches joined by one cable. And a job that is given to a worker while the coordinator is dead."""
import hashlib
import json
import os
import socket
import threading
import time

import netns
from grid import compile_static, program, run, wait_for
from swarmnet import SwarmGrid, https
from test_topology import WORK, HostGrid, payload

TERM_S = 60  # of a lease, coordinator/sched.h


class Halves(SwarmGrid):
    """Workers 0, 2, 4 are on the coordinator's switch, 1, 3, 5 on the other."""

    def __init__(self, net, workers):
        self.far = net.switch("far")
        super().__init__(net, 0, None, None, worker_args=["--log-level", "debug"])
        self.trunk = net.trunk(self.switch, self.far)
        self.work = compile_static(WORK, self.path("work"))
        for _ in range(workers):
            self.add_host()
        self.start_workers()
        self.near, self.cut_off = self.workers[::2], self.workers[1::2]
        for w in self.workers:
            wait_for("%s to have neighbours" % w.name, lambda w=w: self.worker_status(w)["peers"]["neighbours"] >= 3)

    def add_host(self):
        i = len(self.hosts)
        host = self.net.host("w%d" % i)
        self.net.plug(host, self.far if i % 2 else self.switch, "10.9.0.%d/16" % (i + 2))
        self.hosts.append(host)
        return host

    def live_of(self, workers):
        """How many leases these workers hold, as the coordinator knows."""
        ids = [bytes.fromhex(w.ready[0]) for w in workers]
        return self.db("SELECT count(*) FROM lease l JOIN worker w ON w.n = l.worker WHERE l.state = 'live' AND w.id IN "
                       "(%s)" % ",".join("?" * len(ids)), *ids)[0][0]

    def come_back(self, w):
        """Kill a worker without a word and start it again; gives it anew."""
        w.kill()
        new = self.start_worker(w.index).wait_ready()
        self.workers.remove(new)
        self.workers[self.workers.index(w)] = new
        self.cut_off = self.workers[1::2]
        return new

    def told(self, w, job):
        """What w's peer port tells of a job; None: nothing."""
        return told(w.host, w.at, job)

    def submit_work(self, tasks, seconds, name="job", quorum=2):
        return self.submit("--range", str(tasks), "--quorum", str(quorum), "--name", name, "--", self.work, "{index}",
                           str(seconds))

    def leases(self, job, state):
        """index -> how many leases of it are in that state."""
        return dict(self.db("SELECT l.idx, count(*) FROM lease l JOIN job j ON j.n = l.job WHERE j.id = ? AND l.state = ? "
                            "GROUP BY l.idx", bytes.fromhex(job), state))

    def results_by_state(self, job):
        """state -> index -> how many results."""
        found = {"received": {}, "late": {}, "void": {}}
        for state, index, n in self.db("SELECT r.state, r.idx, count(*) FROM result r JOIN job j ON j.n = r.job WHERE j.id "
                                       "= ? GROUP BY r.state, r.idx", bytes.fromhex(job)):
            found[state][index] = n
        return found

    def check(self, job, tasks, quorum=2):
        """Every task has exactly `quorum` results that counted, in the verdicts, in the database and in the
        attestations; others only where a lease expired. Gives those others."""
        results, expired = self.results_by_state(job), self.leases(job, "expired")
        extra = {}
        for i in range(tasks):
            n = results["received"].get(i, 0) + results["late"].get(i, 0)
            leases = self.db("SELECT count(*) FROM lease l JOIN job j ON j.n = l.job WHERE j.id = ? AND l.idx = ? AND "
                             "l.state <> 'given-back'", bytes.fromhex(job), i)[0][0]
            assert quorum <= n <= quorum + expired.get(i, 0), (i, n, expired.get(i, 0))
            assert leases <= quorum + expired.get(i, 0), (i, leases, expired.get(i, 0))
            if n > quorum:
                extra[i] = n - quorum
        assert not results["void"]
        verdicts = [payload(line) for (line,) in self.db("SELECT v.line FROM verdict v JOIN job j ON j.n = v.job WHERE "
                                                         "j.id = ?", bytes.fromhex(job))]
        counted = {}
        for v in verdicts:
            for t in v["tasks"]:
                assert t["index"] not in counted, "two verdicts on task %d" % t["index"]
                counted[t["index"]] = [c["envelope"] for c in t["counted"]]
        assert sorted(counted) == list(range(tasks)), sorted(counted)
        assert all(len(set(c)) == quorum for c in counted.values()), counted
        attested = self.attestations(job)
        for i, envelopes in counted.items():
            assert set(envelopes) <= attested.get(i, set()), (i, envelopes)
            assert len(attested[i]) == results["received"].get(i, 0) + results["late"].get(i, 0), (i, attested[i])
        return extra

    def attestations(self, job):
        """index -> digests of the envelopes that the coordinator shows everybody."""
        with self.chost.inside():
            c = https(self.port, "10.9.0.1")
            c.request("GET", "/v1/jobs/%s/attestations?limit=1000" % job)
            r = c.getresponse()
            lines = r.read().splitlines()
            assert r.status == 200 and not r.headers["Talkoot-Next"]
        return by_index(lines)

    def verify_all(self, job):
        self.verify(self.results(job, "out-" + job[:8]), "--job", job)


def told(host, at, job):
    """What the peer port at `at` tells of a job in its list; None: nothing."""
    name, port = at.rsplit(":", 1)
    with host.inside():
        c = https(int(port), name)
        c.request("GET", "/v1/jobs")
        r = c.getresponse()
        jobs = json.loads(r.read())["jobs"]
        c.close()
    assert r.status == 200, jobs
    return next((j for j in jobs if j["id"] == job), None)


def by_index(lines):
    found = {}
    for line in lines:
        for r in payload(line)["predicate"]["results"]:
            found.setdefault(r["index"], set()).add("sha256:" + hashlib.sha256(line).hexdigest())
    return found


class Meter:
    """Counts a host's bytes on the wire, from Ethernet's head on, by whom they are exchanged with."""

    def __init__(self, host, coordinator):
        self.coordinator = socket.inet_aton(coordinator)
        self.bytes = {"coordinator": 0, "peers": 0, "datagrams": 0, "else": 0}
        with host.inside():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.socket.bind(("eth0", 0))
        self.began = time.monotonic()
        threading.Thread(target=self.count, daemon=True).start()

    def count(self):
        try:
            while True:
                p = self.socket.recv(65536)
                tcp = p[12:14] == b"\x08\x00" and p[23] == 6
                udp = p[12:14] == b"\x08\x00" and p[23] == 17 or p[12:14] == b"\x86\xdd" and p[20] == 17
                who = ("datagrams" if udp else "else" if not tcp else
                       "coordinator" if self.coordinator in (p[26:30], p[30:34]) else "peers")
                self.bytes[who] += len(p)
        except OSError:
            pass

    def rates(self):
        """name -> bytes a second since the last call, and how many seconds that was."""
        now, self.bytes, was = time.monotonic(), dict.fromkeys(self.bytes, 0), self.bytes
        span, self.began = now - self.began, now
        return {name: n / span for name, n in was.items()}, span

    def close(self):
        self.socket.close()


def say_rates(what, meters):
    """Print them; gives the last meter's rates by name, of each."""
    found = []
    for w, m in meters:
        rates, span = m.rates()
        print("     %s, %s: %s bytes/s over %.0f s" % (what, w.name, ", ".join(
            "%s %.0f" % (name, n) for name, n in rates.items()), span))
        found.append(rates)
    return found


def test_two_halves_that_were_apart_for_a_while_have_lost_nothing_and_done_nothing_twice():
    tasks = 18
    with netns.Net() as net, Halves(net, 6) as g:
        first = g.submit_work(tasks, 2, "first")
        for w in g.workers:
            wait_for(w.name + " to run", lambda w=w: g.worker_status(w)["running"])
        wait_for("a result", lambda: sum(g.results_by_state(first)["received"].values()))
        net.cut(g.trunk)
        for w in g.cut_off:  # what they do meanwhile waits on their disks
            wait_for("results to wait at " + w.name, lambda w=w: g.worker_status(w)["results"]["unsent"])
        back = g.come_back(g.cut_off[2])
        assert g.worker_status(back)["results"]["unsent"] >= 1, g.worker_status(back)
        # both halves go on telling each other: of a job that the coordinator has, and of one that a worker was given
        near = g.submit_work(2, 15, "near")  # long enough to be told of: who hears that a job is over forgets it
        far = run(g.cut_off[1].host.argv([program("talkoot"), "submit", "--range", "2", "--quorum", "2", "--name", "far",
                                          "--grid", g.cut_off[0].ready[1], "--", g.work, "{index}", "1"]),
                  g.env, cwd=g.dir).strip()
        for w in g.near:
            wait_for(w.name + " to tell of the near job", lambda w=w: g.told(w, near))
        for w in g.cut_off[1:]:
            state = wait_for(w.name + " to tell of the far job", lambda w=w: g.told(w, far))["state"]
            assert state == "heard", state
        assert g.told(g.cut_off[0], far)["state"] == "carried"
        assert not any(g.told(w, far) for w in g.near) and not any(g.told(w, near) for w in g.cut_off), "they are apart"
        net.mend(g.trunk)
        for job, n in ((first, tasks), (near, 2), (far, 2)):
            wait_for("the coordinator to have it", lambda: g.db("SELECT 1 FROM job WHERE id = ?", bytes.fromhex(job)))
            end = g.wait_done(job)
            assert end["state"] == "done" and end["tasks"]["valid"] == n, end
        for w in g.workers:
            wait_for("nothing to wait at " + w.name, lambda w=w: g.worker_status(w)["results"]["unsent"] == 0)
        for job, n in ((first, tasks), (near, 2), (far, 2)):
            extra = g.check(job, n)
            if extra:
                print("     leases expired on this slow machine, and were done again: %r" % extra)
            g.verify_all(job)


def test_what_expired_while_they_were_apart_is_done_again_and_comes_late():
    """The term of a lease passes; what crosses the wire of the near half, which has nothing to do, is counted meanwhile."""
    tasks = 12
    with netns.Net() as net, Halves(net, 6) as g:
        meters = [(w, Meter(w.host, "10.9.0.1")) for w in g.near]
        job = g.submit_work(tasks, 2)
        for w in g.workers:
            wait_for(w.name + " to run", lambda w=w: g.worker_status(w)["running"])
        net.cut(g.trunk)
        for w in g.cut_off:
            wait_for("results to wait at " + w.name, lambda w=w: g.worker_status(w)["results"]["unsent"])
        wait_for("the near half to have nothing to do", lambda: not any(g.worker_status(w)["running"] for w in g.near) and
                 not g.live_of(g.near))
        say_rates("busy", meters)
        for w in g.near:
            print("     %s has %d neighbours" % (w.name, g.worker_status(w)["peers"]["neighbours"]))
        wait_for("the leases of the other half to expire", lambda: g.leases(job, "expired"))
        say_rates("with nothing to do, young", meters)
        end = g.wait_done(job)
        assert end["tasks"]["valid"] == tasks, end
        net.mend(g.trunk)
        for w in g.workers:
            wait_for("nothing to wait at " + w.name, lambda w=w: g.worker_status(w)["results"]["unsent"] == 0)
        extra, late = g.check(job, tasks), g.results_by_state(job)["late"]
        assert extra and late == extra, (extra, late)
        g.verify_all(job)
        for _, m in meters:
            m.close()


# networks between the machines of a chain; nobody's (RFC 5737), so that no record is made of them
FIRST, SECOND, THIRD = "198.51.100.%d", "203.0.113.%d", "192.0.2.%d"


def place(w):
    return w.link.split("@")[1].split("/")[0]


def test_a_job_given_to_a_worker_while_the_coordinator_is_dead_is_heard_of_two_hops_away():
    """C -- A -- M -- B: each sees its neighbours alone. B is no way to the coordinator at all: what it knows it has heard."""
    with netns.Net() as net:
        c, a, m, b = (net.host(n) for n in "camb")
        net.link(c, a, FIRST % 1 + "/24", FIRST % 2 + "/24")
        net.link(a, m, SECOND % 1 + "/24", SECOND % 2 + "/24")
        net.link(m, b, THIRD % 1 + "/24", THIRD % 2 + "/24")
        with HostGrid(c, FIRST % 1) as g:
            program_file = compile_static(WORK, g.path("work"))
            wa = g.worker(a, "a", g.link, SECOND % 1 + ":0")
            wm = g.worker(m, "m", wa.link, THIRD % 1 + ":0")
            wb = g.worker(b, "b", wm.link, THIRD % 2 + ":0")
            for w in (wa, wm, wb):
                wait_for(w.name + " to have a neighbour", lambda w=w: g.worker_status(w)["peers"]["neighbours"])
            g.coordinator.kill()

            def give(name, env=g.env):
                return run(a.argv([program("talkoot"), "submit", "--range", "3", "--quorum", "1", "--name", name, "--grid",
                                   wa.link, "--", program_file, "{index}"]), env, cwd=g.dir).strip()

            def heard(job):
                return told(b, place(wb), job)

            one, strange = give("one"), give("strange", dict(g.env, XDG_CONFIG_HOME=g.path("s"), XDG_DATA_HOME=g.path("s")))
            for job, name in ((one, "one"), (strange, "strange")):
                found = wait_for("B to hear of it", lambda: heard(job))
                assert (found["state"], found["name"], found["count"]) == ("heard", name, 3), found
                assert told(a, place(wa), job)["state"] == "carried"
            # nobody but A's disk has the next one, and not in what A remembers of its peers
            wm.kill()
            two = give("two")
            wa.kill()
            if os.path.exists(g.path("a", "peers")):  # it is written half a second after the news
                os.remove(g.path("a", "peers"))
            wa = g.worker(a, "a", g.link, place(wa))
            assert g.worker_status(wa)["carried"] == 3
            wm = g.worker(m, "m", wa.link, place(wm))
            found = wait_for("B to hear of what was carried over A's restart", lambda: heard(two))
            assert found["state"] == "heard", found
            for w in (wa, wm):
                g.ask(w, "pause")
            g.start_coordinator()
            for job in (one, two):
                wait_for("the coordinator to take it", lambda: g.db("SELECT 1 FROM job WHERE id = ?", bytes.fromhex(job)))
                wait_for("B to hear that it did", lambda: (heard(job) or {}).get("state") == "announced")
            wait_for("B to hear that the stranger's is not to be done", lambda: not heard(strange))
            for w in (wa, wm):
                g.ask(w, "resume")
            for job in (one, two):
                assert g.wait_done(job)["tasks"]["valid"] == 3
                g.verify(g.results(job, "out-" + job[:8]), "--job", job)
                wait_for("B to hear that it is done", lambda: not heard(job))
            assert not g.db("SELECT 1 FROM job WHERE id = ?", bytes.fromhex(strange))


if __name__ == "__main__":
    netns.main(globals())
