# SPDX-License-Identifier: Apache-2.0
"""What a worker's peer port gives of blobs, what --upload lets go, and what nodes say of a blob."""
import base64
import hashlib
import os
import time

from grid import Grid, main, port_of, wait_for
from swarmnet import https, pieces_in, swarm_post

PIECE = 256 * 1024


def plain_grid(*upload):
    """One worker on loopback that has a blob of four pieces, the job's other copy being nobody's."""
    g = Grid(workers=1, args=["--upload", *upload] if upload else [])
    try:
        data = os.urandom(4 * PIECE)
        with open(g.path("big"), "wb") as f:
            f.write(data)
        digest = hashlib.sha256(data).hexdigest()
        job = g.submit("--range", "1", "--quorum", "1", "--profile", "files", "--file", "big=" + g.path("big"), "--",
                       os.path.join(os.environ.get("BUSYBOX", "/bin/busybox")), "wc", "-c", "/in/big")
        g.wait_done(job)
    except BaseException:
        g.close()
        raise
    return g, https(port_of(g.workers[0].ready[1])), data, digest


def get(c, digest, first, last):
    c.request("GET", "/v1/blobs/sha256:" + digest, headers={"Range": "bytes=%d-%d" % (first, last)})
    answer = c.getresponse()
    return answer.status, answer.read()


def test_upload_0_serves_nothing():
    g, c, _, digest = plain_grid("0")
    with g:
        status, body = get(c, digest, 0, PIECE - 1)
        assert status == 403 and b"--upload" in body, (status, body)
        status, answer = swarm_post(c, g.link.rsplit("/", 1)[1], digest)
        assert status == 200 and "have" not in answer, answer


def test_upload_limits_what_goes_out_a_second():
    g, c, data, digest = plain_grid("256")
    with g:
        began = time.monotonic()
        for piece in range(4):
            status, body = get(c, digest, piece * PIECE, (piece + 1) * PIECE - 1)
            assert status == 206 and body == data[piece * PIECE:(piece + 1) * PIECE]
        # 1 MiB at 256 KiB/s: a lower bound, so no load makes it fail
        assert time.monotonic() - began > 3, time.monotonic() - began


def test_what_a_node_says_of_a_blob():
    g, c, _, digest = plain_grid()
    with g:
        grid = g.link.rsplit("/", 1)[1]
        status, answer = swarm_post(c, grid, digest)
        assert status == 200 and pieces_in(answer["have"]) == {0, 1, 2, 3} and "offer" not in answer, answer
        assert swarm_post(c, grid, "00" * 32)[1].get("have") is None
        assert swarm_post(c, "22" * 32, digest)[0] == 403
        for bad in ({"have": "/w="}, {"have": 1}, {"wait_ms": 30001}, {"want": list(range(9))}, {"address": "x"}):
            status, answer = swarm_post(c, grid, digest, more=bad)
            assert status == 400, (bad, status, answer)
        home = https(g.port)
        status, answer = swarm_post(home, grid, digest, have=b"\x00")
        assert status == 200 and answer["have"] == base64.b64encode(b"\xf0").decode(), answer
        # all of it was offered once, and a worker has it: it is had from there
        assert answer["offer"] == [] and answer["peers"] == [g.workers[0].ready[1]], answer
        # but for what nobody can be reached for
        wait_for("the last resort", lambda: swarm_post(home, grid, digest, b"\x00", {"want": [2]})[1]["offer"] == [2])
        assert swarm_post(home, grid, digest, have=b"\x00\x00")[0] == 400
        assert swarm_post(home, grid, digest, have=b"\x01")[0] == 400
        assert swarm_post(home, grid, "00" * 32, have=b"\x00")[0] == 404


def test_a_tasks_own_input_is_told_of_to_nobody():
    """Neither its bytes nor its layer nor that it is here, also after a restart; what the whole job uses is."""
    with Grid(workers=1) as g:
        w = g.workers[0]
        own, shared = os.urandom(2 * PIECE), os.urandom(2 * PIECE)
        for name, data in (("own", own), ("shared", shared)):
            with open(g.path(name), "wb") as f:
                f.write(data)
        job = g.submit("--each", g.path("own"), "--quorum", "1", "--profile", "files", "--file",
                       "big=" + g.path("shared"), "--", os.environ.get("BUSYBOX", "/bin/busybox"), "wc", "-c")
        g.wait_done(job)
        grid, secret = g.link.rsplit("/", 1)[1], hashlib.sha256(own).hexdigest()
        assert os.path.exists(g.path(w.name, "blobs", "sha256", secret[:2], secret))  # it is there

        def look(port):
            c = https(port)
            for digest, data in ((secret, None), (hashlib.sha256(shared).hexdigest(), shared)):
                status, body = get(c, digest, 0, PIECE - 1)
                assert (status, body) == (206, data[:PIECE]) if data else status == 404, (status, body[:200])
                c.request("GET", "/v1/blobs/sha256:%s/layer?piece=%d" % (digest, PIECE))
                answer = c.getresponse()
                body = answer.read()
                assert answer.status == (200 if data else 404), (answer.status, body[:200])
                status, answer = swarm_post(c, grid, digest)
                assert status == 200 and ("have" in answer) == bool(data), answer
            c.close()

        look(port_of(w.ready[1]))
        w.kill()
        look(port_of(g.restart_worker(w).ready[1]))


if __name__ == "__main__":
    main(globals())
