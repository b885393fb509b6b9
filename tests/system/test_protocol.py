# SPDX-License-Identifier: Apache-2.0
"""Another program speaks the protocol: a submitter and a worker in Python, written from docs/protocol.md alone
(openssl signs), against the real coordinator, with a real worker for the second opinion.

`python3 tests/system/test_protocol.py --examples` prints section 12 of docs/protocol.md from one run of it."""
import base64
import hashlib
import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time

from grid import Grid, compile_static, main, run

MESSAGE = "application/vnd.talkoot+json"
STATEMENT = "application/vnd.in-toto+json"
SQUARE = """#include <stdio.h>
#include <stdlib.h>
int main(int n, char **a) { long i = atol(a[1]); printf("%ld\\n", i * i); }
"""


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def blob(data):
    """A blob descriptor; BEP 52's root of one file."""
    leaves = [hashlib.sha256(data[i:i + 16384]).digest() for i in range(0, len(data), 16384)]
    while len(leaves) & (len(leaves) - 1):
        leaves.append(bytes(32))
    while len(leaves) > 1:
        leaves = [hashlib.sha256(leaves[i] + leaves[i + 1]).digest() for i in range(0, len(leaves), 2)]
    return {"digest": "sha256:" + sha256(data), "size": len(data), "pieces_root": (leaves or [bytes(32)])[0].hex()}


class Node:
    """A key and a connection to the coordinator."""

    def __init__(self, g, name):
        self.pem = g.path(name + ".pem")
        run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", self.pem])
        der = subprocess.check_output(["openssl", "pkey", "-in", self.pem, "-pubout", "-outform", "DER"])
        self.id = der[12:].hex()
        self.grid = g.link.rsplit("/", 1)[1]
        self.port = g.port
        self.seq = 0
        self.sent = {}  # type -> the last line

    def sign(self, data):
        path = self.pem + ".data"
        with open(path, "wb") as f:
            f.write(data)
        return subprocess.check_output(["openssl", "pkeyutl", "-sign", "-inkey", self.pem, "-rawin", "-in", path])

    def header(self, kind, request=False):
        h = {"v": 1, "type": kind, "grid": self.grid, "author": self.id, "time": int(time.time() * 1000)}
        if request:
            self.seq += 1
            h["seq"] = self.seq
        return h

    def seal(self, payload):
        kind = STATEMENT if "_type" in payload else MESSAGE
        body = compact(payload)
        sig = self.sign(b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(body), body))
        line = compact({"payload": base64.b64encode(body).decode(), "payloadType": kind,
                        "signatures": [{"keyid": self.id, "sig": base64.b64encode(sig).decode()}]})
        self.sent[payload.get("type", "result")] = line.decode()
        return line

    def http(self, method, path, body=None, **headers):
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ctx.check_hostname = False
        ctx.verify_mode = ssl.CERT_NONE
        ctx.minimum_version = ssl.TLSVersion.TLSv1_3
        c = http.client.HTTPSConnection("127.0.0.1", self.port, context=ctx, timeout=60)
        c.connect()
        assert bytes.fromhex(self.grid) in c.sock.getpeercert(True), "another key than the link names"
        c.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        r = c.getresponse()
        answer = r.read()
        c.close()
        assert r.status < 300, "%s %s: %d %s" % (method, path, r.status, answer[:500])
        return r, answer

    def say(self, body):
        return json.loads(self.http("POST", "/v1/messages", body)[1])

    def upload(self, data):
        d = blob(data)
        ticket = self.seal(dict(self.header("ticket"), digest=d["digest"], size=d["size"]))
        r, _ = self.http("POST", "/v1/uploads", ticket, Tus_Resumable="1.0.0", Upload_Length=str(len(data)))
        at = int(r.headers["Upload-Offset"])
        where = r.headers["Location"]
        while at < len(data):
            r, _ = self.http("PATCH", where, data[at:at + 1048576], Tus_Resumable="1.0.0", Upload_Offset=str(at),
                             Content_Type="application/offset+octet-stream")
            at = int(r.headers["Upload-Offset"])
        return d


def payload_of(envelope):
    """What an envelope says, once openssl has held its signature against its key."""
    kind, body = envelope["payloadType"], base64.b64decode(envelope["payload"])
    (s,) = envelope["signatures"]
    der = bytes.fromhex("302a300506032b6570032100" + s["keyid"])
    with tempfile.TemporaryDirectory() as d:
        for name, data in (("key", der), ("sig", base64.b64decode(s["sig"])),
                           ("in", b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(body), body))):
            with open(os.path.join(d, name), "wb") as f:
                f.write(data)
        run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key", "-rawin", "-in", "in",
             "-sigfile", "sig"], cwd=d)
    payload = json.loads(body)
    header = payload.get("predicate", payload)
    assert header["author"] == s["keyid"] and header["v"] == 1
    return payload


def submit(me, program):
    job = dict(me.header("job"), nonce=os.urandom(16).hex(), name="squares",
               programs=[{"platform": "x86_64-linux", "name": "square", "blob": me.upload(program)}],
               profile="compute", args=["{index}"], tasks={"range": {"count": 2}}, files=[], outputs=[],
               limits={"cpu_s": 60, "wall_s": 120, "memory_mib": 64, "disk_mib": 16, "max_output_mib": 1,
                       "processes": 1},
               threads=1, assurance="quorum:2", max_results=6, compare="exact", deterministic=True,
               platform_class="any", priority=0)
    line = me.seal(job)
    me.say(line)
    return sha256(base64.b64decode(json.loads(line)["payload"]))


def ask(me, want):
    body = dict(me.header("ask", True), want=want, held=[], returned=[], wait_ms=0, slots=2, cpus=2, memory_mib=1024,
                disk_mib=1024, profiles=["compute"], platform="x86_64-linux", platform_class="x86_64-v3",
                agent="example/1", state="run")
    line = me.seal(body)
    answer = me.say(line)
    ack = payload_of(answer["ack"])
    assert ack["of"] == "sha256:" + sha256(line), ack
    return answer


def gossip(me, job):
    """One exchange from the text: the worker's record goes, the job comes, with the coordinator's note of it."""
    now = int(time.time() * 1000)
    peer = me.seal(dict(me.header("peer", True), addresses=["192.0.2.7:4000"], slots=2, profiles=["compute"],
                        platform="x86_64-linux", platform_class="x86_64-v3", relay=False, expires=now + 86400000))
    question = {"grid": me.grid, "node": me.id, "hash": "0" * 16, "summary": {"serial": 0, "origins": []},
                "peers": [json.loads(peer)], "want": 8}
    answer = json.loads(me.http("POST", "/v1/gossip", compact(question))[1])
    (item,) = answer["facts"]
    note = payload_of(item["note"])
    assert compact(item["fact"]) == job.encode() and note["of"] == "sha256:" + sha256(job.encode()), note
    assert note["author"] == me.grid and not note["over"] and payload_of(answer["descriptor"])["type"] == "grid"
    # who says what it has is told nothing twice
    question["summary"] = {"serial": 1, "origins": [{"id": note["author"], "held": str(note["seq"])}]}
    again = json.loads(me.http("POST", "/v1/gossip", compact(question))[1])
    assert again["hash"] == answer["hash"] and not set(again) & {"facts", "descriptor", "summary"}, again
    return compact(item["note"]).decode()


def statement(me, job, leases, answers, policy):
    subject, results = [], []
    for lease in leases:
        d = blob(answers[lease["index"]])
        hexes = d["digest"][7:]
        subject.append({"name": "%d/stdout" % lease["index"], "digest": {"sha256": hexes},
                        "annotations": {"size": d["size"], "pieces_root": d["pieces_root"]}})
        lines = "talkoot-outcome-v1\nexit 0\nsignal 0\nstdout %s\n" % d["digest"]
        results.append({"index": lease["index"], "lease": lease["id"], "outcome": "sha256:" + sha256(lines.encode()),
                        "exit": 0, "signal": 0, "reason": "exited", "cpu_ms": 1, "wall_ms": 2, "rss_kib": 1024})
    predicate = dict(me.header("result"), job=job, policy=policy, platform="x86_64-linux",
                     platform_class="x86_64-v3", agent="example/1", results=results)
    return {"_type": "https://in-toto.io/Statement/v1", "subject": subject,
            "predicateType": "urn:talkoot:result:v1", "predicate": predicate}


def story():
    """One job from submission to verdict; the lines that were said, by name."""
    said = {}
    with Grid(submitter=False) as g:
        submitter, worker = Node(g, "submitter"), Node(g, "worker")
        g.allow(submitter.id)
        said["grid"] = submitter.http("GET", "/v1/grid")[1].decode()
        with open(compile_static(SQUARE, g.path("square")), "rb") as f:
            job = submit(submitter, f.read())
        said["announce"] = gossip(worker, submitter.sent["job"])
        answer = ask(worker, 2)
        lease = payload_of(answer["leases"][0])
        assert lease["job"] == job and lease["worker"] == worker.id and len(lease["leases"]) == 2, lease
        answers = {i: b"%d\n" % (i * i) for i in range(2)}
        made = worker.seal(statement(worker, job, lease["leases"], answers, "sha256:" + sha256(b"no box at all")))
        beside = {"sha256:" + sha256(v): base64.b64encode(v).decode() for v in answers.values()}
        letter = b'{"envelope":' + made + b',"blobs":' + compact(beside) + b"}"
        result_ack = worker.say(letter)
        assert payload_of(result_ack)["of"] == "sha256:" + sha256(made)
        assert worker.say(letter) == result_ack, "the same bytes get the same answer"
        query = submitter.seal(dict(submitter.header("query", True), what="task", job=job, index=1))
        said["answer"] = compact(submitter.say(query)).decode()
        g.add_worker()
        said["outcome"] = g.wait_done(job)
        submitter.say(submitter.seal(dict(submitter.header("cancel"), job=job)))
        lines = submitter.http("GET", "/v1/jobs/%s/verdicts" % job)[1].decode().splitlines()
        for line in lines:
            payload_of(json.loads(line))
        said.update({k: submitter.sent[k] for k in ("ticket", "job", "cancel", "query")})
        said.update(peer=worker.sent["peer"], ask=worker.sent["ask"],
                    lease=compact(answer["leases"][0]).decode(), result=made.decode(),
                    verdict=lines[-1])
        said["ack, to an ask"] = compact(answer["ack"]).decode()
        said["ack, to a result"] = compact(result_ack).decode()
    return said


def test_a_submitter_and_a_worker_written_from_the_text_are_understood():
    said = story()
    assert said["outcome"]["tasks"]["valid"] == 2, said["outcome"]
    task = payload_of(json.loads(said["verdict"]))["tasks"][0]
    mine = "sha256:" + sha256(said["result"].encode())
    assert task["basis"] == "agreement" and mine in [c["envelope"] for c in task["counted"]], task
    body = payload_of(json.loads(said["answer"]))["body"]
    assert body["state"] == "checking" and body["results"][0]["lease_state"] == "received", body


# --- section 12 of docs/protocol.md ---------------------------------------------------------
def pretty(value, indent=0):
    """JSON with what fits on a line on one line."""
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or not value or len(flat) + indent <= 110:
        return flat
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        items = [json.dumps(k) + ": " + pretty(v, indent + 2) for k, v in value.items()]
        return "{\n" + ",\n".join(pad + i for i in items) + "\n" + " " * indent + "}"
    return "[\n" + ",\n".join(pad + pretty(v, indent + 2) for v in value) + "\n" + " " * indent + "]"


def examples():
    said = story()
    for name in ("grid", "ticket", "job", "cancel", "ask", "ack, to an ask", "lease", "result", "ack, to a result",
                 "verdict", "query", "answer", "peer", "announce"):
        payload = json.loads(base64.b64decode(json.loads(said[name])["payload"]))
        print("### %s\n\n```envelope\n%s\n```\n\n```json\n%s\n```\n" % (name, said[name], pretty(payload)))


if __name__ == "__main__":
    if sys.argv[1:] == ["--examples"]:
        examples()
    else:
        main(globals())
