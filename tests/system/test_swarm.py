# SPDX-License-Identifier: Apache-2.0
"""Blobs from peers: sixteen workers on slow lines and a coordinator on a slower one, a peer that sends wrong bytes,
peers that are killed, a coordinator that is, and a node that only dials out."""
import base64
import http.server
import json
import os
import signal
import ssl
import threading
import time

import netns
from grid import program, run, seed, wait_for
from swarmnet import MIB, SwarmGrid, checksum, https, pieces_in, swarm_post

SIZE = 8 * MIB  # `make bench-swarm` has the 32 MiB
PIECE = 256 * 1024
PIECES = SIZE // PIECE
WORKERS = 16
SLOW, LESS_SLOW = "8mbit", "16mbit"


def within_one_and_a_half(g, before):
    copies = (g.seed_sent() - before) / SIZE
    print("     the coordinator sent %.2f copies" % copies)
    assert copies <= 1.5, copies


def test_sixteen_workers_have_it_from_each_other():
    with netns.Net() as net, SwarmGrid(net, WORKERS, SLOW, LESS_SLOW) as g:
        g.make_input(SIZE, seed().randrange(1 << 30))
        for i in range(WORKERS - 1):
            g.start_worker(i)
        g.start_worker(WORKERS - 1, listen=False)  # it only dials out, and has it from the others all the same
        g.start_workers(first=WORKERS)
        before = g.seed_sent()
        job = g.submit_readers(4 * WORKERS)
        g.wait_spread(g.workers)
        within_one_and_a_half(g, before)
        g.check_digests(g.workers)
        brought = g.hosts[-1].counters("eth0")[1]
        print("     the one that only dials out sent %d bytes" % brought)
        assert brought > PIECE  # it was offered pieces like all, and nobody could fetch them there
        assert g.wait_done(job)["tasks"]["valid"] == 4 * WORKERS
        out = g.results(job)
        with open(os.path.join(out, "0", "stdout")) as f:
            assert f.read() == checksum(g.data)


class Poisoner:
    """A node with a worker's key that says it has all of everything, and sends something else."""

    def __init__(self, host, address, data_dir):
        node = self
        self.asked = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if body.get("known") == PIECES:
                    time.sleep(body["wait_ms"] / 1000)  # no news
                self.answer(200, json.dumps({"have": base64.b64encode(b"\xff" * (PIECES // 8)).decode(), "peers": [],
                                             "next_ms": 0}).encode())

            def do_GET(self):
                if "Range" not in self.headers:  # called back, or asked for the layer
                    self.answer(404, b"")
                    return
                first, last = self.headers["Range"].split("=")[1].split("-")
                n = int(last) - int(first) + 1
                node.asked[self.client_address[0]] = node.asked.get(self.client_address[0], 0) + 1
                self.answer(206, os.urandom(n))

            def answer(self, status, body):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args):
                pass  # a client that has had enough

        key, cert = os.path.join(data_dir, "identity.key"), os.path.join(data_dir, "cert.pem")
        run(["openssl", "req", "-x509", "-new", "-key", key, "-subj", "/CN=talkoot", "-days", "2", "-out", cert])
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(cert, key)
        with host.inside():
            self.server = Server(address, Handler)
        self.server.socket = ctx.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def test_a_poisoning_peer_is_left_at_its_first_piece_and_changes_nothing():
    with netns.Net() as net, SwarmGrid(net, WORKERS, SLOW, LESS_SLOW) as g:
        g.make_input(SIZE, seed().randrange(1 << 30))
        # a real worker, so that it holds leases and is named; but at its address somebody else answers
        os.mkdir(g.path("w0"), 0o700)
        run([program("talkoot"), "keygen", g.path("w0", "identity.key")])
        poisoner = Poisoner(g.hosts[0], ("10.9.0.2", 7070), g.path("w0"))
        bad = g.start_worker(0, args=["--listen", "127.0.0.1:7071"])
        bad.at = "10.9.0.2:7070"  # who calls back there finds its key
        g.start_workers(first=1)
        before = g.seed_sent()
        job = g.submit_readers(4 * WORKERS)
        g.wait_spread(g.workers)
        poisoner.close()
        within_one_and_a_half(g, before)
        g.check_digests(g.workers)
        assert poisoner.asked, "nobody asked it for anything: this test tested nothing"
        # a worker has at most two pieces on their way from a source it does not know
        assert max(poisoner.asked.values()) <= 2, poisoner.asked
        blamed = run(["sh", "-c", "grep -h 'sent wrong bytes' %s/*.log" % g.dir]).splitlines()
        assert blamed and all(bad.ready[0] in line for line in blamed), blamed
        assert g.wait_done(job)["tasks"]["valid"] == 4 * WORKERS


def bring(c, digest, node, piece, data):
    c.request("POST", "/v1/pieces/sha256:%s?piece=%d&node=%s" % (digest, piece, node), data)
    answer = c.getresponse()
    answer.read()
    return answer.status


def test_who_only_dials_out_brings_what_is_wanted_and_nothing_else():
    with netns.Net() as net, SwarmGrid(net, 2, "1mbit", None) as g:
        g.make_input(SIZE, seed().randrange(1 << 30))
        w = g.start_worker(0).wait_ready()
        g.submit_readers(1)
        liar, honest, grid, everything = "aa" * 32, "bb" * 32, g.link.rsplit("/", 1)[1], b"\xff" * (PIECES // 8)
        with g.hosts[1].inside():  # no worker is here: this test is
            c = https(7070, "10.9.0.2")
            c.connect()

        def wanted(node):
            return swarm_post(c, grid, g.digest, everything, {"node": node})[1].get("want")

        assert bring(c, g.digest, honest, 0, g.data[:PIECE]) == 409
        want = wait_for("something to be wanted", lambda: wanted(liar))
        assert bring(c, g.digest, honest, want[0], g.data[:PIECE]) == 409  # it was not asked
        assert bring(c, g.digest, liar, want[0], b"x") == 400
        want = wait_for("another to be wanted", lambda: wanted(liar))
        assert bring(c, g.digest, liar, want[0], b"x" * PIECE) == 422
        assert not wanted(liar)
        brought = 0
        while not g.has(w):
            for piece in wanted(honest) or []:
                brought += bring(c, g.digest, honest, piece, g.data[piece * PIECE:(piece + 1) * PIECE]) == 204
        assert brought > PIECES / 2, brought
        assert not wanted(liar)
        g.check_digests([w])
        c.close()


def test_half_of_them_killed_costs_time_and_nothing_else_and_they_resume():
    with netns.Net() as net, SwarmGrid(net, WORKERS, SLOW, LESS_SLOW) as g:
        g.make_input(SIZE, seed().randrange(1 << 30))
        g.start_workers()
        before = g.seed_sent()
        job = g.submit_readers(4 * WORKERS)
        wait_for("half of it to be out", lambda: g.seed_sent() - before > SIZE / 2)
        dead, alive = g.workers[::2], g.workers[1::2]
        assert not any(g.has(w) for w in dead)
        for w in dead:
            w.signal(signal.SIGKILL)
        g.wait_spread(alive)
        within_one_and_a_half(g, before)
        g.check_digests(alive)
        # what the dead held expires, and is done by the others
        assert g.wait_done(job)["tasks"]["valid"] == 4 * WORKERS
        # the dead come back and have the rest from the others, which hold no leases any more
        had = {}
        for w in dead:
            w.close()
            g.workers.remove(w)
            part = g.path(w.name, "blobs", "partial", "parts-" + g.digest)
            had[w.name] = os.stat(part).st_blocks * 512
        assert max(had.values()) >= PIECE, had
        for w in alive:
            g.worker_word(w, "pause")
        back = [g.start_worker(w.index) for w in dead]
        for w in back:
            w.wait_ready()
        got = {w.name: w.host.counters("eth0")[0] for w in back}
        again = g.submit_readers(4 * WORKERS)
        g.wait_spread(back)
        within_one_and_a_half(g, before)
        for w in back:
            came, lacked = w.host.counters("eth0")[0] - got[w.name], SIZE - had[w.name]
            print("     %s lacked %d bytes, %d came in all" % (w.name, lacked, came))
            assert came < 1.3 * lacked + 2 * MIB  # heads of packets, polls; the program; an end game
        g.check_digests(back)
        assert g.wait_done(again)["tasks"]["valid"] == 4 * WORKERS
        for which in job, again:
            with open(os.path.join(g.results(which, "out-" + which[:8]), "0", "stdout")) as f:
                assert f.read() == checksum(g.data)


def test_who_serves_nothing_holds_a_poll_all_the_same():
    """Its own pieces are no news to others when it gives none."""
    with netns.Net() as net, SwarmGrid(net, 1, SLOW, LESS_SLOW) as g:
        g.make_input(8 * MIB, seed().randrange(1 << 30))
        w = g.start_worker(0, args=["--upload", "0"]).wait_ready()
        wait_for("its address to be published", g.all_published)
        g.submit_readers(1)
        with w.host.inside():
            c = https(7070, "10.9.0.2")
            c.connect()
        grid, began, answers = g.link.rsplit("/", 1)[1], time.monotonic(), 0
        while not g.has(w):
            status, answer = swarm_post(c, grid, g.digest, more={"wait_ms": 500})
            assert status == 200 and "have" not in answer, answer
            answers += 1
        took = time.monotonic() - began
        print("     %d answers in %.1f s" % (answers, took))
        assert answers <= took / 0.5 + 1  # each was held to its end; a busy machine only makes them fewer
        c.close()


def test_when_the_pieces_are_out_they_need_no_coordinator():
    with netns.Net() as net, SwarmGrid(net, 8, SLOW, LESS_SLOW) as g:
        g.make_input(SIZE, seed().randrange(1 << 30))
        g.start_workers()
        g.submit_readers(32)
        peers = {}
        for w in g.workers:
            with w.host.inside():
                peers[w.name] = https(7070, "10.9.0.%d" % (w.index + 2))
                peers[w.name].connect()
        grid = g.link.rsplit("/", 1)[1]

        def all_out():
            seen = set()
            for c in peers.values():
                seen |= pieces_in(swarm_post(c, grid, g.digest)[1].get("have", ""))
            return len(seen) == PIECES

        wait_for("every piece to be at some worker", all_out)
        g.coordinator.kill()
        g.wait_spread(g.workers)
        g.check_digests(g.workers)
        for c in peers.values():
            c.close()


def test_sources_are_learned_by_gossip_while_the_coordinator_is_silent():
    """w0 has the input and the program, w1 neither. The coordinator, started anew, knows of no holder, gives w2 a lease and
    is gone before it has sent much. All the rest w2 has from whom its neighbours told of."""
    with netns.Net() as net, SwarmGrid(net, 3, "2mbit", LESS_SLOW, worker_args=["--log-level", "debug"]) as g:
        g.make_input(SIZE, seed().randrange(1 << 30))
        w0, w1 = g.start_worker(0).wait_ready(), g.start_worker(1).wait_ready()
        wait_for("the addresses to be published", g.all_published)
        g.worker_word(w1, "pause")
        first = g.submit_readers(1)
        g.wait_done(first)
        assert g.has(w0) and not g.has(w1)
        g.worker_word(w0, "pause")
        g.coordinator.kill()
        g.start_coordinator()
        w2 = g.start_worker(2).wait_ready()
        wait_for("w2 to have neighbours", lambda: g.worker_status(w2)["peers"]["neighbours"] >= 3)
        sent = g.seed_sent()
        job = g.submit_readers(1)
        wait_for("w2 to have heard of its lease", lambda: g.worker_status(w2)["tasks"]["fetching"])
        g.coordinator.kill()
        g.wait_spread([w2])
        g.check_digests([w2])
        assert g.seed_sent() - sent < SIZE / 2, g.seed_sent() - sent
        with open(g.path("w2.log")) as f:
            log = f.read()
        assert "10.9.0.2:7070 is said to have %d pieces of sha256:%s" % (PIECES, g.digest) in log
        g.start_coordinator()
        assert g.wait_done(job)["tasks"]["valid"] == 1


if __name__ == "__main__":
    netns.main(globals())
