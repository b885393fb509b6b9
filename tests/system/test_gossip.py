# SPDX-License-Identifier: Apache-2.0
"""Gossip between real workers and a real coordinator, on loopback."""
import base64
import http.client
import json
import os
import threading
import time

from grid import Grid, any_tls, get_json, main, program, run, wait_for
from proxy import Proxy
from test_protocol import Node, sha256

HOLD_S, SLOTS = 44, 4           # of worker/peers.h
PACKET = 52                     # TCP and IPv4 headers with timestamps, a segment
BUDGET = 300                    # bytes a second, idle
ZERO = "0" * 16


def peers(g, w):
    return g.worker_status(w)["peers"]


def tell(g, w, word):
    run([program("talkoot-worker"), "--data", g.path(w.name), word], g.env)


def chain(g, n):
    """Each worker knows only the one before it, the first one the coordinator."""
    before = g.link
    for _ in range(n):
        w = g.add_worker(join=before)
        before = w.ready[1]
        tell(g, w, "pause")  # so that a job stays active until it is cancelled
    for w in g.workers:
        wait_for("%s to have a neighbour" % w.name, lambda w=w: peers(g, w)["neighbours"] > 0)


def submit(g, name):
    program_file = g.path("true")
    if not os.path.exists(program_file):
        with open(program_file, "wb") as f, open("/bin/busybox", "rb") as b:
            f.write(b.read())
        os.chmod(program_file, 0o755)
    return g.submit("--name", name, "--range", "3", "--", program_file, "true").split()[-1]


def text(path):
    if not os.path.exists(path):
        return ""
    with open(path) as f:
        return f.read()


def all_know(g, workers, jobs):
    for w in workers:
        wait_for("%s to know %d jobs" % (w.name, jobs), lambda w=w: peers(g, w)["jobs"] == jobs)


def gossip(port, grid, body, node=None):
    """One question by Python: (status, answer)."""
    c = http.client.HTTPSConnection("127.0.0.1", port, context=any_tls(), timeout=60)
    c.request("POST", "/v1/gossip", json.dumps(dict({"grid": grid}, **body)).encode())
    r = c.getresponse()
    answer = r.read()
    c.close()
    return r.status, json.loads(answer)


def parts(link):
    """node, port, grid of talkoot://NODE@127.0.0.1:PORT/GRID"""
    _, _, where, grid = link.split("/")
    node, at = where.split("@") if "@" in where else (grid, where)
    return node, int(at.rsplit(":", 1)[1]), grid


def test_a_chain_of_five_hears_of_a_job_and_survives_the_middle():
    with Grid() as g:
        chain(g, 5)
        first = submit(g, "first")
        all_know(g, g.workers, 1)
        g.workers[2].kill()
        submit(g, "second")
        living = [w for w in g.workers if w is not g.workers[2]]
        all_know(g, living, 2)
        g.cli("cancel", first)
        all_know(g, living, 1)
        back = g.restart_worker(g.workers[2])
        all_know(g, [back], 1)


def test_the_peers_are_enough_when_the_coordinator_is_gone():
    with Grid() as g:
        chain(g, 3)
        submit(g, "job")
        all_know(g, g.workers, 1)
        wait_for("the job to be on w0's disk", lambda: '"fact"' in text(g.path("w0", "peers")))
        g.coordinator.kill()
        new = g.add_worker(join=g.workers[1].ready[1])  # descriptor, peers and job come from a worker alone
        all_know(g, [new], 1)
        assert peers(g, new)["known"] >= 2, peers(g, new)
        g.workers[0].kill()
        again = g.restart_worker(g.workers[0])  # it has nothing but DIR/peers and the others
        all_know(g, [again], 1)


def test_a_worker_that_only_dials_out_hears_over_what_it_holds_open():
    with Grid() as g:
        chain(g, 2)
        w = g.add_worker(join=g.workers[1].ready[1], args=("--listen", "none"))
        tell(g, w, "pause")
        wait_for("a neighbour", lambda: peers(g, w)["neighbours"] > 0)
        submit(g, "job")
        all_know(g, [w], 1)
        for other in g.workers[:2]:  # and nobody has its address
            assert all(w.id not in link for link in peers(g, other)["links"])


def test_the_news_itself_goes_down_a_held_question():
    """A question without a summary, whose answer is held: had it not been ended by the news, it would carry no fact."""
    with Grid(workers=1) as g:
        tell(g, g.workers[0], "pause")
        _, port, grid = parts(g.workers[0].ready[1])
        wait_for("the coordinator to be a neighbour", lambda: peers(g, g.workers[0])["neighbours"] > 0)
        known, got = gossip(port, grid, {"hash": ZERO})[1]["hash"], []
        asker = threading.Thread(target=lambda: got.append(gossip(port, grid, {"hash": known, "wait_ms": HOLD_S * 1000})))
        asker.start()
        wait_for("the question to be held", lambda: peers(g, g.workers[0])["held"] > 0)
        job = submit(g, "hinted")
        asker.join()
        (code, answer), = got
        assert code == 200 and answer["hash"] != known, answer
        assert [sha256(base64.b64decode(f["fact"]["payload"])) for f in answer["facts"]] == [job], answer


def test_a_manifest_that_peers_told_is_not_fetched_from_the_coordinator():
    with Grid(coordinator_args=("--log-level", "debug")) as g:
        chain(g, 3)
        job = submit(g, "heard")
        all_know(g, g.workers, 1)
        for w in g.workers:
            tell(g, w, "resume")
        assert g.wait_done(job)["tasks"]["valid"] == 3
        fetched = "the manifest of %s… is fetched" % job[:16]
        assert fetched not in text(g.path("coordinator.log"))
        g.results(job)  # a submitter's command is told of nothing, and asks
        wait_for("a fetch to be seen in the log", lambda: fetched in text(g.path("coordinator.log")))


def test_what_is_forged_costs_its_sender_its_hearing():
    with Grid(workers=1) as g:
        node, port, grid = parts(g.workers[0].ready[1])
        code, answer = gossip(port, grid, {"hash": ZERO, "wait_ms": 0})
        assert code == 200 and len(answer["hash"]) == 16, answer
        assert gossip(port, "1" * 64, {"hash": ZERO})[0] == 403
        assert gossip(port, grid, {"hash": "x"})[0] == 400
        assert gossip(port, grid, {"hash": ZERO, "facts": [{"note": {}}] * 65})[0] == 400
        for at in (g.port, port):  # what is no envelope: the sender is not listened to for a while
            code, answer = gossip(at, grid, {"hash": ZERO, "facts": [{"note": {"payload": "x"}}]})
            assert code in (400, 429), (code, answer)
        wait_for("the address to be refused", lambda: gossip(port, grid, {"hash": ZERO})[0] == 429)
        assert g.job and g.worker_status(g.workers[0])["coordinator"]["answers"]


def test_a_job_told_to_a_worker_is_accepted_by_the_coordinator_and_cancelled_by_its_submitter():
    with Grid() as g:
        chain(g, 3)
        me, liar = Node(g, "me"), Node(g, "liar")
        g.allow(me.id)
        with open("/bin/busybox", "rb") as f:
            data = f.read()
        for who in (me, liar):
            blob = me.upload(data)
            job = who.seal(dict(who.header("job"), nonce=os.urandom(16).hex(), name="told",
                                programs=[{"platform": "x86_64-linux", "name": "true", "blob": blob}],
                                profile="compute", args=[], tasks={"range": {"count": 2}}, files=[], outputs=[],
                                limits={"cpu_s": 60, "wall_s": 120, "memory_mib": 64, "disk_mib": 16,
                                        "max_output_mib": 1, "processes": 1},
                                threads=1, assurance="quorum:1", max_results=6, compare="exact", deterministic=True,
                                platform_class="any", priority=0))
            assert push(g, who, job)[0] == 200
        mine = wait_for("the coordinator to take the job", lambda: get_json(g.admin_url + "/v1/jobs")["jobs"])
        assert [j["submitter"] for j in mine] == [me.id], mine
        wait_for("the other one to be kept out", lambda: "kept out" in text(g.path("coordinator.log")))
        all_know(g, g.workers, 2)
        job = mine[0]["id"]
        assert push(g, liar, liar.seal(dict(liar.header("cancel"), job=job)))[0] == 200
        assert push(g, me, me.seal(dict(me.header("cancel"), job=job)))[0] == 200
        wait_for("the job to be cancelled", lambda: g.job(job)["state"] == "cancelled")


def push(g, who, fact):
    """Tell the first worker a fact, as its announcer."""
    _, port, grid = parts(g.workers[0].ready[1])
    now = int(time.time() * 1000)
    note = who.seal(dict(who.header("announce", True), of="sha256:" + sha256(fact), over=False, expires=now + 3600000))
    return gossip(port, grid, {"hash": ZERO, "node": who.id, "facts": [{"note": json.loads(note),
                                                                        "fact": json.loads(fact)}]})


def test_bytes_of_an_idle_and_of_a_busy_exchange():
    """The idle span is not waited for: an exchange is counted, and the budget is computed from it. `make bench-gossip`
    counts minutes."""
    with Grid(workers=1) as g:
        tell(g, g.workers[0], "pause")
        node, port, grid = parts(g.workers[0].ready[1])
        p = Proxy(port)
        w = g.add_worker(join="talkoot://%s@127.0.0.1:%d/%s" % (node, p.port, grid))
        tell(g, w, "pause")
        wait_for("a neighbour", lambda: peers(g, w)["neighbours"] > 1)
        wait_for("a held question", lambda: peers(g, g.workers[0])["held"] > 0)
        before = p.up + p.down
        submit(g, "busy")
        all_know(g, g.workers, 1)
        busy = p.up + p.down - before
        # the answer of an idle exchange: the same hash, held for a moment
        q = Proxy(port)
        _, answer = gossip(q.port, grid, {"hash": ZERO, "wait_ms": 0})
        one, answer2 = (q.up, q.down), gossip(q.port, grid, {"hash": answer["hash"], "wait_ms": 200})[1]
        assert answer2["hash"] == answer["hash"] and set(answer2) <= {"hash", "held", "brief"}, answer2
        raw = raw_answer(port, answer["hash"])
        ask = wait_for("the question after the news", lambda: idle_ask(p))
        p.close()
        q.close()
        exchange = ask + raw + 3 * PACKET  # question, its acknowledgement, answer
        rate = SLOTS * exchange / HOLD_S
        print("     idle exchange: %d up, %d down with TLS, %d with TCP/IP: %.0f bytes/s for four neighbours, %.0f with "
              "four times as many who ask; busy: %d bytes; handshake and first: %d up, %d down" % (ask, raw, exchange, rate, 5 * rate, busy, *one))
        assert 5 * rate < BUDGET, (rate, exchange)
        assert busy < 64 * 1024, busy


def idle_ask(p):
    """The smallest question that the proxy saw."""
    with p.lock:
        asks = [n for n in p.asks[2:] if n > 0]
    return min(asks) if asks else 0


def raw_answer(port, known):
    """Bytes, TLS included, of the answer to a question that was held on a connection that is open."""
    p = Proxy(port)
    c = http.client.HTTPSConnection("127.0.0.1", p.port, context=any_tls(), timeout=60)
    n = 0
    for _ in range(2):
        n = p.down
        c.request("POST", "/v1/gossip", json.dumps({"hash": known, "wait_ms": 50}).encode())  # brief
        answer = json.loads(c.getresponse().read())
        assert set(answer) <= {"hash", "held"}, answer
    n = p.down - n
    c.close()
    p.close()
    return n


if __name__ == "__main__":
    main(globals())
