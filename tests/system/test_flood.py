# SPDX-License-Identifier: Apache-2.0
"""A worker's peer port under attack, from many addresses at once, while it works: its memory stays within what peers.h
names, and what honest nodes say gets through."""
import base64
import hashlib
import http.client
import json
import os
import re
import socket
import threading
import time

from grid import TOP, Grid, Skip, any_tls, compile_static, main, program, run, seed, wait_for
from test_gossip import ZERO, parts

try:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
except ImportError:
    Ed25519PrivateKey = None

MESSAGE = "application/vnd.talkoot+json"
RECORDS = 10000     # forged ones
KEYS = 40           # of throw-away keys, each with as many announcements as a node keeps of one
ADDRESSES = 16      # an attacker has so many, 127.66.0.1 and on
SLACK_KIB = 8 * 1024  # connections and their messages: not what is known of peers


def bound_kib():
    """PEERS_BYTES_MAX: the news, and 1 MiB for the view and who told what."""
    with open(os.path.join(TOP, "common/news.h")) as f:
        news = re.search(r"NEWS_BYTES_MAX \(\(size_t\)(\d+) \* 1024 \* 1024\)", f.read())
    with open(os.path.join(TOP, "worker/peers.h")) as f:
        assert "PEERS_BYTES_MAX (NEWS_BYTES_MAX + (size_t)1024 * 1024)" in f.read(), "this test knows another bound"
    return (int(news.group(1)) + 1) * 1024


def compact(o):
    return json.dumps(o, separators=(",", ":")).encode()


class Key:
    """A key that is thrown away."""

    def __init__(self, grid):
        self.key = Ed25519PrivateKey.generate()
        self.id = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
        self.grid, self.seq = grid, int(time.time() * 1000)

    def seal(self, kind, fields, seq=True, forged=False):
        body = {"v": 1, "type": kind, "grid": self.grid, "author": self.id, "time": int(time.time() * 1000)}
        if seq:
            self.seq += 1
            body["seq"] = self.seq
        body = compact(dict(body, **fields))
        sig = os.urandom(64) if forged else self.key.sign(b"DSSEv1 %d %s %d %s" % (len(MESSAGE), MESSAGE.encode(),
                                                                                  len(body), body))
        return {"payload": base64.b64encode(body).decode(), "payloadType": MESSAGE,
                "signatures": [{"keyid": self.id, "sig": base64.b64encode(sig).decode()}]}


def huge_announcement(key):
    """A job with nearly all the bytes that a message may have, and the note that announces it. Both are valid."""
    job = key.seal("job", {
        "nonce": os.urandom(16).hex(), "name": "x" * 200, "profile": "compute", "args": ["y" * 8000] * 7, "files": [],
        "programs": [{"platform": "x86_64-linux", "name": "x",
                      "blob": {"digest": "sha256:" + os.urandom(32).hex(), "size": 1000, "pieces_root": os.urandom(32).hex()}}],
        "tasks": {"range": {"count": 1}}, "outputs": [], "threads": 1, "assurance": "quorum:1", "max_results": 6,
        "limits": {"cpu_s": 60, "wall_s": 120, "memory_mib": 64, "disk_mib": 16, "max_output_mib": 1, "processes": 1},
        "compare": "exact", "deterministic": True, "platform_class": "any", "priority": 0}, seq=False)
    of = "sha256:" + sha256(compact(job))
    note = key.seal("announce", {"of": of, "over": False, "expires": int(time.time() * 1000) + 3600000})
    return {"note": note, "fact": job}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def forged_records(grid):
    """RECORDS envelopes that look like nodes' records, eight a message; no signature holds."""
    key = Key(grid)
    for i in range(0, RECORDS, 8):
        records = []
        for n in range(i, i + 8):
            key.id = os.urandom(32).hex()
            records.append(key.seal("peer", {
                "addresses": ["%d.%d.1.1:7070" % (20 + n // 200 % 200, n % 200)], "slots": 1, "profiles": ["compute"],
                "platform": "x86_64-linux", "platform_class": "x86_64-v3", "relay": True,
                "expires": int(time.time() * 1000) + 3600000}, forged=True))
        yield {"peers": records}


def announcements(grid):
    for _ in range(KEYS):
        key = Key(grid)
        for _ in range(4):
            yield {"node": key.id, "facts": [huge_announcement(key)]}


def garbage(chance):
    """What is no message: bytes, JSON that nests, JSON that is right but for one field."""
    for i in range(400):
        yield [chance.randbytes(chance.randrange(1, 60000)), b"[" * 50000, compact({"grid": "0" * 64, "hash": ZERO}),
               compact({"hash": ZERO, "facts": [{}] * 64}), b'{"hash":"' + b"x" * 60000][i % 5]


class Attacker(threading.Thread):
    """Sends bodies from one address after the other; what is answered is counted by status."""

    def __init__(self, port, grid, bodies, first, raw=False):
        super().__init__(daemon=True)
        self.port, self.grid, self.bodies, self.first, self.raw = port, grid, bodies, first, raw
        self.statuses, self.sent, self.failed = {}, 0, None

    def connect(self, n):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=any_tls(), timeout=60,
                                           source_address=("127.66.%d.%d" % (self.first, n % ADDRESSES + 1), 0))

    def run(self):
        try:
            connections = {}
            for body in self.bodies:
                n = self.sent % ADDRESSES
                self.sent += 1
                c = connections.setdefault(n, self.connect(n))
                try:
                    c.request("POST", "/v1/gossip",
                              body if isinstance(body, bytes) else compact(dict({"grid": self.grid, "hash": ZERO}, **body)))
                    r = c.getresponse()
                    r.read()
                    self.statuses[r.status] = self.statuses.get(r.status, 0) + 1
                except (OSError, http.client.HTTPException):
                    self.statuses["closed"] = self.statuses.get("closed", 0) + 1
                    c.close()
            for c in connections.values():
                c.close()
        except BaseException as e:  # told by the test
            self.failed = e


class Noise(Attacker):
    """Bytes that are no TLS, and TLS that says nothing: as many connections as one may have."""

    def run(self):
        try:
            held = []
            for i in range(200):
                s = socket.create_connection(("127.0.0.1", self.port), timeout=60,
                                             source_address=("127.66.%d.%d" % (self.first, i % ADDRESSES + 1), 0))
                self.sent += 1
                held.append(s)
                try:
                    s.sendall(os.urandom(5000) if i % 2 else b"\x16\x03\x01")
                except OSError:
                    pass
            for s in held:
                s.close()
        except BaseException as e:
            self.failed = e


def memory_kib(pid, field):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(field + r":\s+(\d+) kB", f.read()).group(1))


def told_state(w, job):
    _, port, _ = parts(w.ready[1])
    c = http.client.HTTPSConnection("127.0.0.1", port, context=any_tls(), timeout=60)
    c.request("GET", "/v1/jobs/" + job)
    r = c.getresponse()
    text = r.read()
    c.close()
    return json.loads(text)["state"] if r.status == 200 else None


def test_a_flood_at_the_peer_port_costs_a_worker_no_more_memory_than_is_named_and_honest_work_goes_on():
    if not Ed25519PrivateKey:
        raise Skip("python3-cryptography is not installed")
    chance = seed()
    slow = "#include <unistd.h>\nint main(void) { usleep(500000); return write(1, \"x\", 1) != 1; }\n"
    with Grid() as g:
        honest = g.add_worker()
        run([program("talkoot-worker"), "--data", g.path(honest.name), "pause"], g.env)
        w = g.add_worker(join=honest.ready[1], args=("--memory", "600"))

        exe = compile_static(slow, g.path("slow"))
        job = g.submit("--range", "40", "--quorum", "1", "--", exe)
        wait_for("a task to be done", lambda: g.job(job)["tasks"]["valid"] >= 1)
        _, port, grid = parts(w.ready[1])
        before, done_before = memory_kib(w.pid, "VmRSS"), g.job(job)["tasks"]["valid"]
        attackers = [Attacker(port, grid, forged_records(grid), 1), Attacker(port, grid, announcements(grid), 2),
                     Attacker(port, grid, garbage(chance), 3), Noise(port, grid, None, 4)]
        for a in attackers:
            a.start()
        wait_for("the flood to be under way", lambda: all(a.sent > 20 for a in attackers))
        # more than this worker lends, so no lease of it comes: what w knows of it is gossip
        told = g.submit("--range", "1", "--quorum", "1", "--memory", "700", "--", exe)
        wait_for("the honest job to be heard of", lambda: told_state(w, told) == "announced")
        peak_own = 0
        while any(a.is_alive() for a in attackers):
            peak_own = max(peak_own, g.worker_status(w)["peers"]["memory_kib"])
            attackers[0].join(0.2)
        for a in attackers:
            if a.failed:
                raise a.failed
        done_meanwhile = g.job(job)["tasks"]["valid"] - done_before
        peak = memory_kib(w.pid, "VmHWM")
        peak_own = max(peak_own, g.worker_status(w)["peers"]["memory_kib"])
        print("     RSS %d KiB before, %d at most; of peers and news %d of %d KiB; %d tasks done meanwhile; answers %r" % (
            before, peak, peak_own, bound_kib(), done_meanwhile, [a.statuses for a in attackers]))
        assert attackers[0].sent == RECORDS // 8 and set(attackers[0].statuses) == {429}, attackers[0].statuses
        assert attackers[1].statuses.get(200), "no announcement was valid: this tested nothing"
        assert 768 < peak_own <= bound_kib()  # the MiB that strangers may have was filled
        assert peak - before <= bound_kib() + SLACK_KIB, (before, peak)
        assert done_meanwhile >= 1
        assert g.worker_status(w)["coordinator"]["answers"] and g.worker_status(w)["peers"]["neighbours"] >= 1
        g.cli("cancel", told)
        wait_for("the cancellation to be heard of", lambda: not told_state(w, told))
        assert g.wait_done(job)["tasks"]["valid"] == 40
        g.verify(g.results(job), "--job", job)


if __name__ == "__main__":
    main(globals())
