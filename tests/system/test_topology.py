# SPDX-License-Identifier: Apache-2.0
"""Who cannot reach the coordinator: machines of the test's own (netns.py), cabled so that the coordinator C sees
only some of them."""
import base64
import http.client
import json
import os
import socket
import ssl
import subprocess
import threading

import netns
from grid import Grid, Proc, any_tls, compile_static, program, run, seed, wait_for

# reads its standard input, and writes 200 KB that depend on it and on the task
WORK = r"""
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	static unsigned char b[65536];
	struct timespec t = { argc > 2 ? atol(argv[2]) : 0, 0 };
	unsigned long h = 14695981039346656037ul;
	long n;

	nanosleep(&t, NULL);
	while ((n = read(0, b, sizeof(b))) > 0)
		for (long i = 0; i < n; i++)
			h = (h ^ b[i]) * 1099511628211ul;
	for (int i = 0; i < 200000 / 17; i++)
		printf("%016lx\n", h = (h ^ atol(argv[1])) * 1099511628211ul);
	return 0;
}
"""

# networks that are nobody's (RFC 5737), so that they are not exempt as private ones are
CA, CD, AB = "198.51.100.%d", "203.0.113.%d", "192.0.2.%d"
CB = "198.18.7.%d"  # RFC 2544


class HostGrid(Grid):
    """A grid whose coordinator and workers are on hosts."""

    def __init__(self, c, address, listen_port=0, **options):
        self.c, self.address, self.listen_port = c, address, listen_port
        super().__init__(**options)

    def coordinator_listens(self):
        return "%s:%d" % (self.address, self.listen_port or self.port)

    def at_coordinator(self, argv):
        return self.c.argv(argv)

    def status(self):
        with self.c.inside():
            return super().status()

    def job(self, job):
        with self.c.inside():
            return super().job(job)

    def cli(self, *args, code=0, stdin=None, host=None):
        return run((host or self.c).argv([program("talkoot")] + list(args)), self.env, code, stdin, cwd=self.dir)

    def worker(self, host, name, join, listen="0.0.0.0:0", args=(), ready=True):
        argv = host.argv([program("talkoot-worker"), "--data", self.path(name), "--join", join, "--listen", listen,
                          "--slots", "2", "--disk", "1024", "--log-level", "debug"] + list(args))
        w = Proc(argv, self.path(name + ".log"), self.env)
        w.name, w.host = name, host
        self.procs.append(w)
        self.workers.append(w)
        if ready:
            w.wait_ready()
            w.id, w.link = w.ready[0], w.ready[1]
        return w

    def ask(self, w, *words):
        return run([program("talkoot-worker"), "--data", self.path(w.name)] + list(words), self.env)

    def results_of(self, worker):
        return self.db("SELECT count(*) FROM result r JOIN worker w ON w.n = r.worker WHERE w.id = ? AND r.state = "
                       "'received'", bytes.fromhex(worker))[0][0]

    def counted(self, job):
        """index -> the workers whose results made the verdict."""
        by_envelope = {d.hex(): a.hex() for d, a in self.db("SELECT digest, author FROM envelope WHERE type = 'result'")}
        found = {}
        for (line,) in self.db("SELECT v.line FROM verdict v JOIN job j ON j.n = v.job WHERE j.id = ?",
                               bytes.fromhex(job)):
            for t in payload(line)["tasks"]:
                found[t["index"]] = sorted(by_envelope[c["envelope"][7:]] for c in t["counted"])
        return found


def payload(line):
    return json.loads(base64.b64decode(json.loads(line)["payload"]))


def work(g):
    path = g.path("work")
    return path if os.path.exists(path) else compile_static(WORK, path)


def hosts(net):
    """C -- A -- B, and D at C."""
    c, a, b, d = (net.host(n) for n in "cabd")
    net.link(c, a, CA % 1 + "/24", CA % 2 + "/24")
    net.link(c, d, CD % 1 + "/24", CD % 2 + "/24")
    net.link(a, b, AB % 1 + "/24", AB % 2 + "/24")
    return c, a, b, d


def test_who_knows_only_a_peer_computes_and_is_counted():
    with netns.Net() as net:
        c, a, b, _ = hosts(net)
        with HostGrid(c, CA % 1) as g:
            names = ["input%d" % i for i in range(6)]
            for name in names:
                with open(g.path(name), "wb") as f:
                    f.write(os.urandom(500000))
            wa = g.worker(a, "a", g.link, AB % 1 + ":0")
            wb = g.worker(b, "b", wa.link)
            g.ask(wa, "pause")
            wait_for("A to be told as paused", lambda: g.status()["workers"]["online"] == 2)
            job = g.submit("--each", *names, "--quorum", "1", "--", work(g), "{index}")
            end = g.wait_done(job)
            assert end["tasks"]["valid"] == 6, end
            assert g.results_of(wb.id) == 6, "B computed all of it"
            g.verify(g.results(job))
            way = g.worker_status(wb)["coordinator"]
            assert way["via"] == wa.id and way["answers"], way
            # what a relay lends is seen by its owner, and the coordinator knows who was relayed
            assert g.worker_status(wa)["relay"]["bytes"] > 3000000 + 6 * 200000, g.worker_status(wa)["relay"]
            assert g.db("SELECT relay <> 0 FROM worker WHERE id = ?", bytes.fromhex(wb.id)) == [(1,)]
            assert g.db("SELECT relay FROM worker WHERE id = ?", bytes.fromhex(wa.id)) == [(0,)]
            # outputs of 200 KB went up in parts, through the tunnel
            assert g.db("SELECT count(*) FROM upload WHERE author = ? AND state = 'done'",
                        bytes.fromhex(wb.id))[0][0] == 6


def test_a_worker_and_its_relay_never_complete_a_quorum():
    with netns.Net() as net:
        c, a, b, d = hosts(net)
        with HostGrid(c, CA % 1) as g:
            wa = g.worker(a, "a", g.link, AB % 1 + ":0")
            wb = g.worker(b, "b", wa.link)
            job = g.submit("--range", "6", "--quorum", "2", "--", work(g), "{index}")
            wait_for("one result of each task", lambda: g.job(job)["tasks"]["checking"] == 6)
            wait_for("the reason to be said", lambda: g.job(job).get("waiting") == "needs 2 independent workers, has 1")
            assert g.results_of(wa.id) + g.results_of(wb.id) == 6
            assert g.db("SELECT count(*) FROM lease")[0][0] == 6, "no second copy was leased to either"
            # D can be reached by C's other cable only; C listens on the first, and D has a route to it
            d.run("ip", "route", "add", CA % 1 + "/32", "via", CD % 1)
            wd = g.worker(d, "d", g.link)
            end = g.wait_done(job)
            assert end["tasks"]["valid"] == 6, end
            for index, pair in g.counted(job).items():
                assert wd.id in pair and len(set(pair)) == 2, (index, pair)
            g.verify(g.results(job))


def test_a_relayed_worker_comes_directly_when_it_can():
    with netns.Net() as net:
        c, a, b, _ = hosts(net)
        with HostGrid(c, CA % 1) as g:
            wa = g.worker(a, "a", g.link, AB % 1 + ":0")
            wb = g.worker(b, "b", wa.link)
            wait_for("B to come through A", lambda: g.worker_status(wb)["coordinator"]["answers"])
            assert g.worker_status(wb)["coordinator"]["via"] == wa.id
            net.link(c, b, CB % 1 + "/24", CB % 2 + "/24")
            b.run("ip", "route", "add", CA % 1 + "/32", "via", CB % 1)
            wait_for("B to come directly", lambda: g.worker_status(wb)["coordinator"]["via"] == "")
            wait_for("C to know it", lambda: g.db("SELECT relay FROM worker WHERE id = ?",
                                                  bytes.fromhex(wb.id)) == [(0,)])


def test_when_a_relay_ends_another_one_is_taken():
    with netns.Net() as net:
        c, a, b, d = hosts(net)
        net.link(d, b, CB % 1 + "/24", CB % 2 + "/24")
        d.run("ip", "route", "add", CA % 1 + "/32", "via", CD % 1)
        with HostGrid(c, CA % 1) as g:
            wa = g.worker(a, "a", g.link, AB % 1 + ":0")
            wd = g.worker(d, "d", g.link, CB % 1 + ":0")
            wb = g.worker(b, "b", wa.link, args=["--join", wd.link])
            for w in (wa, wd):
                g.ask(w, "pause")
            wait_for("B to come through A", lambda: g.worker_status(wb)["coordinator"]["via"] == wa.id)
            job = g.submit("--range", "8", "--quorum", "1", "--", work(g), "{index}", "1")
            wait_for("B to run", lambda: g.worker_status(wb)["running"])
            wa.kill()
            end = g.wait_done(job)
            assert end["tasks"]["valid"] == 8 and g.results_of(wb.id) == 8, end
            assert g.worker_status(wb)["coordinator"]["via"] == wd.id
            g.verify(g.results(job))


def record_at(g, node):
    """Whether C names this node to who asks it."""
    body = json.dumps({"grid": g.link.rsplit("/", 1)[1], "hash": "0" * 16, "want": 8}).encode()
    with g.c.inside():
        c = http.client.HTTPSConnection(g.address, g.port, context=any_tls(), timeout=30)
        c.request("POST", "/v1/gossip", body)
        answer = json.loads(c.getresponse().read())
        c.close()
    return any(json.loads(base64.b64decode(p["payload"]))["author"] == node for p in answer.get("peers", []))


def test_a_relay_that_only_gossip_named_is_taken_when_the_joined_one_dies():
    """C -- A and C -- D; A, B and D are on a switch, and B was told of A alone. The addresses are private, as A's is that
    B joined: so they are passed on."""
    with netns.Net() as net:
        c, a, b, d = (net.host(n) for n in "cabd")
        lan = net.switch("lan")
        net.link(c, a, "10.1.0.1/24", "10.1.0.2/24")
        net.link(c, d, "10.2.0.1/24", "10.2.0.2/24")
        d.run("ip", "route", "add", "10.1.0.1/32", "via", "10.2.0.1")
        for i, host in enumerate((a, b, d)):
            net.plug(host, lan, "10.3.0.%d/24" % (i + 1))
        with HostGrid(c, "10.1.0.1") as g:
            alone = ["--local-discovery", "off"]  # not by asking the switch
            wd = g.worker(d, "d", g.link, "0.0.0.0:7070", args=alone + ["--advertise", "10.3.0.3:7070"])
            wait_for("D to be reachable", lambda: g.worker_status(wd)["published"] == "10.3.0.3:7070")
            wait_for("C to have its record", lambda: record_at(g, wd.id))
            wa = g.worker(a, "a", g.link, "10.3.0.1:0", args=alone)
            wait_for("A to talk to D", lambda: any(wd.id in x for x in g.worker_status(wa)["peers"]["links"]))
            wb = g.worker(b, "b", wa.link, args=alone)
            for w in (wa, wd):
                g.ask(w, "pause")
            wait_for("B to come through A", lambda: g.worker_status(wb)["coordinator"]["via"] == wa.id and
                     g.worker_status(wb)["coordinator"]["answers"])
            wait_for("B to talk to D", lambda: any(wd.id in x for x in g.worker_status(wb)["peers"]["links"]))
            job = g.submit("--range", "6", "--quorum", "1", "--", work(g), "{index}", "1")
            wait_for("B to run", lambda: g.worker_status(wb)["running"])
            wa.kill()
            end = g.wait_done(job)
            assert end["tasks"]["valid"] == 6 and g.results_of(wb.id) == 6, end
            assert g.worker_status(wb)["coordinator"]["via"] == wd.id
            # and it finds D again by what it remembers, after a restart
            wb.kill()
            wb = g.worker(b, "b", wa.link, args=alone)
            wait_for("B to come through D", lambda: g.worker_status(wb)["coordinator"]["via"] == wd.id and
                     g.worker_status(wb)["coordinator"]["answers"])
            g.verify(g.results(job))


def test_a_slow_and_lossy_line_costs_time_and_nothing_else():
    """C listens on loopback; what is published is a proxy before it that delays and loses."""
    with netns.Net() as net:
        c, a, b, _ = hosts(net)
        line = netns.Proxy(c, (CA % 1, 7070), ("127.0.0.1", 7700), delay_s=0.04, loss=0.05, seed=7)
        try:
            with HostGrid(c, "127.0.0.1", 7700, coordinator_args=["--advertise", CA % 1 + ":7070"]) as g:
                with open(g.path("input"), "wb") as f:
                    f.write(os.urandom(1000000))
                wa = g.worker(a, "a", g.link, AB % 1 + ":0")
                wb = g.worker(b, "b", wa.link)
                g.ask(wa, "pause")
                job = g.submit("--each", "input", "--quorum", "1", "--", work(g), "{index}")
                end = g.wait_done(job)
                assert end["tasks"]["valid"] == 1 and g.results_of(wb.id) == 1, end
                assert line.passed > 1000000 + 200000, line.passed
                g.verify(g.results(job))
        finally:
            line.close()


class EvilRelay:
    """A relay on a host with a key of its own that does as it likes with what passes."""

    def __init__(self, g, host, listen, target):
        self.host, self.target, self.flip, self.descriptor = host, target, None, None
        self.asked = self.flipped = 0
        self.open = True
        key, cert = g.path("evil.key"), g.path("evil.crt")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=x", "-days", "2",
                        "-keyout", key, "-out", cert], check=True, stderr=subprocess.DEVNULL)
        public = subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"], check=True,
                                stdout=subprocess.PIPE).stdout[-32:].hex()
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(cert, key)
        with host.inside():
            self.server = socket.create_server(listen)
        self.link = "talkoot://%s@%s:%d/%s" % (public, *self.server.getsockname()[:2], g.link.rsplit("/", 1)[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while self.open:
            try:
                s, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        try:
            with self.host.inside():
                with self.tls.wrap_socket(s, server_side=True) as t:
                    head = b""
                    while b"\r\n\r\n" not in head:
                        head += t.recv(4096) or b"\r\n\r\n"
                    if head.startswith(b"CONNECT "):
                        self.asked += 1
                        self._tunnel(t)
                    elif head.startswith(b"GET /v1/grid"):
                        body = self.descriptor()
                        t.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                                  b"Connection: close\r\n\r\n" % len(body) + body)
        except (OSError, ValueError):
            pass

    def _tunnel(self, t):
        with socket.create_connection(self.target, timeout=30) as far:
            t.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            ends = [False]
            up = threading.Thread(target=self._copy, args=(t, far, "up", ends), daemon=True)
            up.start()
            self._copy(far, t, "down", ends)
            up.join(5)

    def _copy(self, source, sink, way, ends):
        at = 0
        source.settimeout(0.5)
        while self.open and not ends[0]:
            try:
                data = bytearray(source.recv(16384))
            except (TimeoutError, ssl.SSLWantReadError):
                continue
            except OSError:
                break
            if not data:
                break
            if self.flip and self.flip[0] == way and at <= self.flip[1] < at + len(data):
                data[self.flip[1] - at] ^= 1
                self.flipped += 1
            at += len(data)
            try:
                sink.sendall(data)
            except OSError:
                break
        ends[0] = True

    def close(self):
        self.open = False
        self.server.close()


def descriptor_of(g):
    """As C gives it."""
    with g.c.inside(), socket.create_connection((g.address, g.port), timeout=30) as s, any_tls().wrap_socket(s) as t:
        t.sendall(b"GET /v1/grid HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while True:
            part = t.recv(65536)
            if not part:
                return answer.split(b"\r\n\r\n", 1)[1]
            answer += part


def altered(line):
    """The descriptor with another address in it, signature and all else kept."""
    envelope = json.loads(line)
    text = base64.b64decode(envelope["payload"]).replace(b"198.51.100.1", b"192.0.2.66")
    envelope["payload"] = base64.b64encode(text).decode()
    return json.dumps(envelope, separators=(",", ":")).encode()


def test_a_relay_that_alters_anything_is_caught():
    with netns.Net() as net:
        c, a, b, _ = hosts(net)
        with HostGrid(c, CA % 1) as g:
            true = descriptor_of(g)
            assert b"198.51.100.1" in base64.b64decode(json.loads(true)["payload"])
            evil = EvilRelay(g, a, (AB % 1, 0), (CA % 1, g.port))
            try:
                evil.descriptor = lambda: altered(true)
                wb = g.worker(b, "b", evil.link, ready=False)
                wait_for("the altered descriptor to be refused", lambda: "cannot join" in read(g.path("b.log")))
                assert "signature" in read(g.path("b.log")), read(g.path("b.log"))
                evil.descriptor = lambda: true
                # bytes of the handshakes and of the ask, and any others; then of C's handshake and of its answer: these come after,
                # for of an answer that does not arrive C does not know
                chance = seed()
                up = [6, 100, 600, 1200] + [chance.randrange(1200) for _ in range(6)]
                down = [4, 40, 700] + [chance.randrange(700) for _ in range(6)]
                for flip in [("up", n) for n in up] + [("down", n) for n in down]:
                    wb.kill()
                    before, evil.flip = evil.flipped, flip
                    wb = g.worker(b, "b", evil.link)
                    wait_for("byte %d %s to be altered" % (flip[1], flip[0]), lambda: evil.flipped > before)
                    wait_for("B to notice", lambda: g.worker_status(wb)["coordinator"]["silent_s"] >= 1)
                    assert not g.worker_status(wb)["coordinator"]["answers"], flip
                    if flip[0] == "up":
                        assert not g.db("SELECT * FROM worker WHERE id = ?", bytes.fromhex(wb.id)), flip
                job = g.submit("--range", "3", "--quorum", "1", "--", work(g), "{index}")
                evil.flip = None  # it passes everything on: and B works
                end = g.wait_done(job)
                assert end["tasks"]["valid"] == 3 and g.results_of(wb.id) == 3
                g.verify(g.results(job))
            finally:
                evil.close()


def read(path):
    with open(path, errors="replace") as f:
        return f.read()


def test_a_relayed_worker_outlives_its_coordinators_silence():
    with netns.Net() as net:
        c, a, b, _ = hosts(net)
        with HostGrid(c, CA % 1) as g:
            wa = g.worker(a, "a", g.link, AB % 1 + ":0")
            wb = g.worker(b, "b", wa.link)
            g.ask(wa, "pause")
            job = g.submit("--range", "6", "--quorum", "1", "--", work(g), "{index}", "3")
            wait_for("B to run", lambda: g.worker_status(wb)["running"])
            g.coordinator.kill()
            wait_for("results to wait for C", lambda: g.worker_status(wb)["results"]["unsent"] >= 1)
            wb.kill()  # and B itself ends without a word: what it has is on its disk
            wb = g.worker(b, "b", wa.link)
            assert g.worker_status(wb)["results"]["unsent"] >= 1
            g.start_coordinator()
            end = g.wait_done(job)
            assert end["tasks"]["valid"] == 6, end
            assert g.db("SELECT count(*) FROM result WHERE state = 'late'")[0][0] == 0
            assert g.results_of(wb.id) == 6
            g.verify(g.results(job))


def test_a_workers_link_is_enough_to_submit_watch_and_fetch():
    """The submitter's machine S reaches A only: everything goes through A as relay."""
    with netns.Net() as net:
        c, a, s, _ = hosts(net)
        with HostGrid(c, CA % 1) as g:
            wa = g.worker(a, "a", g.link, AB % 1 + ":0")
            at = ["--grid", wa.link]
            job = g.cli("submit", "--range", "4", "--quorum", "1", *at, "--wait", "--output", g.path("out"), "--",
                        work(g), "{index}", host=s).strip()
            assert json.loads(g.cli("status", job, "--json", *at, host=s))["tasks"]["valid"] == 4
            assert job in g.cli("jobs", "--json", *at, host=s)
            assert wa.id in g.cli("workers", "--json", *at, host=s)
            assert json.loads(g.cli("grid", "--json", *at, host=s))["via"] == wa.link
            g.verify(g.path("out"), "--job", job)
            # and from where the coordinator can be reached, a worker's link leads to it directly
            before = g.worker_status(wa)["relay"]["bytes"]
            c.run("ip", "route", "add", AB % 1 + "/32", "via", CA % 2)
            g.cli("status", job, *at, host=c)
            assert g.worker_status(wa)["relay"]["bytes"] == before


def test_a_job_given_to_a_worker_while_the_coordinator_is_silent_is_carried_and_done():
    with netns.Net() as net:
        c, a, s, _ = hosts(net)
        with HostGrid(c, CA % 1) as g:
            wa = g.worker(a, "a", g.link, AB % 1 + ":0")
            at = ["--grid", wa.link]
            early = g.submit("--range", "2", "--quorum", "1", "--", work(g), "{index}", "1")
            wait_for("A to run", lambda: g.worker_status(wa)["running"])
            g.coordinator.kill()
            names = ["input%d" % i for i in range(3)]
            for name in names:
                with open(g.path(name), "wb") as f:
                    f.write(os.urandom(1500000))
            job = g.cli("submit", "--each", *names, "--quorum", "1", "--name", "carried job", *at, "--", work(g),
                        "{index}", host=s).strip()
            assert len(job) == 64 and "not acknowledged" in run.stderr, run.stderr
            assert g.worker_status(wa)["carried"] == 1
            known = json.loads(g.cli("status", job, "--json", *at, host=s))
            assert known["state"] == "carried" and known["count"] == 3 and known["name"] == "carried job", known
            assert "known 0 s ago" in " ".join(g.cli("status", job[:12], *at, host=s).split())
            # what it knows of other jobs has an age, and does not tell which one it works on
            other = [j for j in json.loads(g.cli("jobs", "--json", *at, host=s))["jobs"] if j["id"] == early]
            assert other and other[0]["state"] == "announced" and other[0]["age_ms"] >= 0, other
            # the worker is killed meanwhile: what it said 202 to is on its disk
            wa.kill()
            wa = g.worker(a, "a", g.link, wa.link.split("@")[1].split("/")[0])
            assert g.worker_status(wa)["carried"] == 1
            g.start_coordinator()
            wait_for("the coordinator to have it", lambda: g.db("SELECT count(*) FROM job WHERE id = ?",
                                                                bytes.fromhex(job))[0][0])
            end = g.wait_done(job)
            assert end["tasks"]["valid"] == 3, end
            g.wait_done(early)
            wait_for("nothing to be carried any more", lambda: g.worker_status(wa)["carried"] == 0)
            left = sum(len(f) for d in ("jobs", "tickets", "blobs") for _, _, f in os.walk(g.path("a", "carried", d)))
            assert left == 0, "what was delivered is forgotten"
            g.verify(g.results(job))


def test_a_carried_job_that_the_grid_does_not_take_is_put_aside():
    with netns.Net() as net:
        c, a, s, _ = hosts(net)
        with HostGrid(c, CA % 1, submitter=False) as g:
            wa = g.worker(a, "a", g.link, AB % 1 + ":0")
            g.coordinator.kill()
            off = g.worker(a, "off", wa.link, AB % 1 + ":0", args=["--carry", "off"])
            g.cli("submit", "--range", "2", "--grid", off.link, "--", work(g), "{index}", host=s, code=4)
            job = g.cli("submit", "--range", "2", "--grid", wa.link, "--", work(g), "{index}", host=s).strip()
            assert g.worker_status(wa)["carried"] == 1
            g.start_coordinator()
            wait_for("the coordinator to refuse it", lambda: g.worker_status(wa)["carried"] == 0)
            assert os.listdir(g.path("a", "carried", "refused")) == [job]
            assert not os.listdir(g.path("a", "carried", "tickets"))
            assert not g.db("SELECT * FROM job")


def test_a_relay_serves_its_coordinator_only():
    with netns.Net() as net:
        c, a, b, _ = hosts(net)
        with HostGrid(c, CA % 1) as g:
            wa = g.worker(a, "a", g.link, AB % 1 + ":0")
            off = g.worker(a, "off", g.link, AB % 1 + ":0", args=["--relay", "off"])
            good = "%s:%d" % (CA % 1, g.port)
            for w, target, status in ((wa, good, 200), (wa, "127.0.0.1:%d" % g.admin_port, 403),
                                      (wa, "%s:22" % (CA % 1), 403), (wa, "localhost:%d" % g.port, 403),
                                      (wa, AB % 1 + ":1", 403), (off, good, 400)):
                host, port = w.link.split("@")[1].split("/")[0].rsplit(":", 1)
                with b.inside(), socket.create_connection((host, int(port)), timeout=30) as s, \
                        any_tls().wrap_socket(s) as t:
                    t.sendall(b"CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\n" % target.encode())
                    answer = t.recv(4096).split(b"\r\n")[0]
                    assert b" %d " % status in answer, (target, answer)


if __name__ == "__main__":
    netns.main(globals())
