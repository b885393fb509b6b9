# SPDX-License-Identifier: Apache-2.0
"""Nodes of a grid find each other on the local network, here on loopback: workers whose link leads nowhere
join by whoever is near, and nothing that is heard is believed before TLS says who it is."""
import os
import socket
import struct
import time

import grid
from grid import Grid, wait_for

GROUP, PORT = "239.255.84.75", 7072
LOOPBACK = socket.inet_aton("0.0.0.0") + socket.inet_aton("127.0.0.1") + struct.pack("i", socket.if_nametoindex("lo"))


def mouth(ttl=255):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, LOOPBACK)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
    return s


def ear():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((GROUP, PORT))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                 socket.inet_aton(GROUP) + LOOPBACK[4:])
    return s


def text(kind, grid_id, node, port):
    return ("TALKOOT-%s 1\r\nGrid: %s\r\nNode: %s\r\nPort: %05d\r\n\r\n" % (kind, grid_id, node, port)).encode()


def hear(s, seconds, wanted=lambda data: True):
    """The next wanted datagram and its sender, or None."""
    end = time.monotonic() + seconds
    while True:
        s.settimeout(max(0.001, end - time.monotonic()))
        try:
            data, at = s.recvfrom(1000)
        except socket.timeout:
            return None
        if wanted(data):
            return data, at
        if time.monotonic() > end:
            return None


def dead_link(g):
    """A link of this grid where nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return "talkoot://127.0.0.1:%d/%s" % (s.getsockname()[1], g.link.rsplit("/", 1)[1])


def grid_id(g):
    return g.link.rsplit("/", 1)[1]


def log_of(g, name):
    with open(g.path(name + ".log"), errors="replace") as f:
        return f.read()


def start_worker(g, name, *args, join=None):
    """As add_worker, but does not wait until it is ready."""
    argv = [grid.program("talkoot-worker"), "--data", g.path(name), "--listen", "127.0.0.1:0", "--slots", "1",
            "--disk", "1024", "--log-level", "debug"] + (["--join", join] if join else []) + list(args)
    w = grid.Proc(argv, g.path(name + ".log"), g.env)
    g.procs.append(w)
    return w


def test_a_worker_whose_link_leads_nowhere_joins_by_one_nearby():
    with Grid(workers=1) as g:
        w = start_worker(g, "b", join=dead_link(g)).wait_ready()
        true = grid.compile_static("int main(void){return 0;}", g.path("t"))
        job = g.submit("--range", "3", "--", true)
        assert g.wait_done(job)["state"] == "done"  # two workers, so both worked
        assert "nearby" in log_of(g, "b")
        assert w.ready[0] != g.workers[0].id


def test_a_worker_that_was_away_when_the_grid_moved_finds_it_again():
    with Grid(workers=1) as g:
        b = start_worker(g, "b", join=g.link).wait_ready()
        assert b.stop() == 0
        # the grid moves, and one worker is told where to
        g.workers[0].stop()
        g.coordinator.stop()
        g.port = 0
        old, c = g.link, g.start_coordinator()
        assert g.link != old and c
        g.add_worker(name="w0")
        b = start_worker(g, "b").wait_ready()  # knows its grid, and the old address
        wait_for("both to be online", lambda: g.status()["workers"]["online"] == 2)


def test_off_means_silent_and_deaf():
    with Grid() as g:
        group = ear()
        ours = lambda data: grid_id(g).encode() in data
        w = g.add_worker(args=("--local-discovery", "off"))
        m = mouth()
        m.sendto(text("SEARCH", grid_id(g), "0" * 64, 9), (GROUP, PORT))
        assert hear(group, 5, ours)[1] == m.getsockname()  # our own, so the group works
        on = g.add_worker(args=("--local-discovery", "on"))  # this one is heard, so the other one would have been
        data, _ = hear(group, grid.PATIENCE, ours)
        assert on.id.encode() in data and w.id.encode() not in data
        m.sendto(text("SEARCH", grid_id(g), "1" * 64, 9), (GROUP, PORT))
        got = hear(m, grid.PATIENCE)
        assert on.id.encode() in got[0], got
        assert hear(m, 0.5) is None


def test_an_answer_is_short_goes_to_the_sender_and_comes_once_a_minute():
    with Grid(workers=1) as g:
        w = g.workers[0]
        m, group = mouth(), ear()
        question = text("SEARCH", grid_id(g), "ab" * 32, 0)
        # not ours, not well spelled, not to the group: no answer to any of these
        for wrong in (text("SEARCH", "0" * 64, "ab" * 32, 0), question[:-1], question + b"\n", question.upper(),
                      b"", b"\0" * 190, os.urandom(190), b"x" * 60000, text("HERE", grid_id(g), "ab" * 32, 0)):
            m.sendto(wrong, (GROUP, PORT))
        m.sendto(question, ("127.0.0.1", PORT))
        m.sendto(question, (GROUP, PORT))
        data, at = hear(m, grid.PATIENCE)
        assert data == text("HERE", grid_id(g), w.id, grid.port_of(w.ready[1])), data
        assert len(data) <= len(question) and at[0] == "127.0.0.1"
        for _ in range(20):
            m.sendto(question, (GROUP, PORT))
        assert hear(m, 0.5) is None
        assert hear(group, 0.2, lambda d: d.startswith(b"TALKOOT-HERE") and w.id.encode() in d) is None


def test_a_liar_nearby_costs_a_try_and_no_more():
    """It names itself as it likes; TLS finds out, and the honest one that comes later is found all the same."""
    with Grid() as g:
        group, liar = ear(), mouth()
        far = mouth(ttl=64)
        fake = socket.socket()
        fake.bind(("127.0.0.1", 0))
        fake.listen(8)
        w = start_worker(g, "b", join=dead_link(g))
        data, at = hear(group, grid.PATIENCE, lambda d: grid_id(g).encode() in d)
        # from beyond a router: not even tried
        far.sendto(text("HERE", grid_id(g), "ef" * 32, 9), at)
        liar.sendto(text("HERE", grid_id(g), "cd" * 32, fake.getsockname()[1]), at)
        fake.settimeout(grid.PATIENCE)
        c, _ = fake.accept()  # it is tried
        c.close()
        g.add_worker()
        w.wait_ready()
        wait_for("it to work", lambda: g.status()["workers"]["online"] == 2)
        log = log_of(g, "b")
        assert "found cdcdcdcd" in log and "found efefefef" not in log


grid.main(globals())
