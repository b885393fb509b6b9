# SPDX-License-Identifier: Apache-2.0
"""Whether a node can be reached, learned by dial-back: only who got through is published, and a call back goes
nowhere but to who asked."""
import http.client
import json
import socket

import grid
from grid import Grid, free_port, get_json, log_of, port_of, tls_connect, wait_for


def ask(port, body):
    c = http.client.HTTPConnection("127.0.0.1", port)
    c.sock = tls_connect(port)
    c.request("POST", "/v1/dial-back", body if isinstance(body, bytes) else json.dumps(body).encode(),
              {"Content-Type": "application/json"})
    r = c.getresponse()
    text = r.read()
    c.close()
    return r.status, json.loads(text), r


def address_of(g, w):
    return [x["address"] for x in get_json(g.admin_url + "/v1/workers")["workers"] if x["id"] == w.id]


def start(g, listen, *args):
    return g.add_worker(listen=listen, args=["--local-discovery", "off", *args])


def test_an_advertised_address_is_published_once_it_was_reached():
    with Grid() as g:
        port = free_port()
        w = start(g, "0.0.0.0:%d" % port, "--advertise", "127.0.0.1:%d" % port)
        wait_for("it to be published", lambda: address_of(g, w) == ["127.0.0.1:%d" % port])
        assert "reachable at 127.0.0.1:%d" % port in log_of(w)
        o = g.worker_status(w)
        assert (o["published"], o["reachable"]) == ("127.0.0.1:%d" % port, "yes"), o


def test_one_that_nobody_gets_through_to_is_not_published():
    """The port is shut; or somebody else is there, plain or with another key."""
    with Grid() as g:
        plain = socket.create_server(("127.0.0.1", 0))
        for port in (free_port(), plain.getsockname()[1], g.port):
            w = start(g, "0.0.0.0:0", "--advertise", "127.0.0.1:%d" % port)
            wait_for("it to be told", lambda: "not reachable" in log_of(w))
            wait_for("it to be known", lambda: address_of(g, w))
            assert address_of(g, w) == [""], address_of(g, w)
            out = grid.run([grid.program("talkoot-worker"), "--data", g.path(w.name), "status"], g.env)
            assert "no address (reachable: no)" in out, out
        plain.close()


def test_without_advertise_nothing_but_loopback_is_published():
    with Grid(workers=1) as g:
        w, v = g.workers[0], start(g, "0.0.0.0:0")
        wait_for("both to be known", lambda: address_of(g, w) and address_of(g, v))
        assert address_of(g, w) == ["127.0.0.1:%d" % port_of(w.ready[1])]
        assert address_of(g, v) == [""]


def test_coordinator_and_worker_call_back_who_asks():
    with Grid(workers=2) as g:
        a, b = g.workers
        for asked, node, port in ((g.port, a.id, port_of(a.ready[1])), (port_of(b.ready[1]), a.id, port_of(a.ready[1])),
                                  (port_of(a.ready[1]), g.link.rsplit("/", 1)[1], g.port)):
            status, o, _ = ask(asked, {"node": node, "port": port})
            assert status == 200 and o == {"reached": True, "address": "127.0.0.1:%d" % port}, o
            # soon again: not called
            status, o, r = ask(asked, {"node": node, "port": port})
            assert status == 429 and r.getheader("Retry-After") == "10", o


def test_a_call_back_goes_to_the_asker_alone_and_tells_no_more_than_yes_or_no():
    with Grid(workers=1) as g:
        w = g.workers[0]
        elsewhere = socket.create_server(("127.9.9.9", 0))
        elsewhere.settimeout(0.3)
        plain = socket.create_server(("127.0.0.1", 0))
        port = elsewhere.getsockname()[1]
        # fields that name another address are not looked at
        status, o, _ = ask(g.port, {"node": w.id, "port": port, "host": "127.9.9.9", "address": "127.9.9.9:%d" % port})
        assert status == 200 and o == {"reached": False, "address": "127.0.0.1:%d" % port}, o
        try:
            elsewhere.accept()
            raise AssertionError("called")
        except socket.timeout:
            pass
        # a port that is shut, one where no node is, and one where another node is: the same answer
        for port in (free_port(), plain.getsockname()[1], g.port):
            status, o, _ = ask(port_of(w.ready[1]), {"node": "ab" * 32, "port": port})
            assert (status, o) == (200, {"reached": False, "address": "127.0.0.1:%d" % port}), o
        for bad, field in (({}, "node"), ({"node": w.id}, "port"), ({"node": w.id, "port": 0}, "port"),
                           ({"node": "x", "port": 1}, "node")):
            status, o, _ = ask(g.port, bad)
            assert status == 400 and o["field"] == field, o
        assert ask(g.port, b"not json")[0] == 400
        assert ask(g.port, b" " * 2000)[0] == 413


def test_who_asks_for_many_gets_few():
    with Grid(workers=1) as g:
        got = [ask(g.port, {"node": "ab" * 32, "port": p})[0] for p in range(1, 120)]
        assert got.count(200) <= 64 and got.count(429) >= 55 and set(got) == {200, 429}, got
        assert ask(g.port, {"node": g.workers[0].id, "port": port_of(g.workers[0].ready[1])})[0] == 429


grid.main(globals())
