#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The real coordinator on port 0, spoken to in the real protocol by an implementation that shares
no code with it: python3, its ssl, and the openssl command for Ed25519."""
import base64, hashlib, http.client, json, os, resource, secrets, shutil, signal, sqlite3, ssl
import subprocess, sys, tempfile, threading, time

BIN = os.path.join(os.environ.get("TALKOOT_BIN", "build/bin"), "talkoot-coordinator")
try:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
except ImportError:
    Ed25519PrivateKey = None

MESSAGE, STATEMENT = "application/vnd.talkoot+json", "application/vnd.in-toto+json"
compact = lambda o: json.dumps(o, separators=(",", ":"), ensure_ascii=False)
sha = lambda b: hashlib.sha256(b).hexdigest()


class Key:
    def __init__(self):
        if Ed25519PrivateKey:
            self.k = Ed25519PrivateKey.generate()
            self.id = self.k.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
            return
        self.path = tempfile.mktemp()
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", self.path], check=True)
        der = subprocess.run(["openssl", "pkey", "-in", self.path, "-pubout", "-outform", "DER"],
                             check=True, capture_output=True).stdout
        self.id = der[-32:].hex()

    def sign(self, data):
        if Ed25519PrivateKey:
            return self.k.sign(data)
        with tempfile.NamedTemporaryFile() as f:
            f.write(data), f.flush()
            return subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.path, "-in", f.name],
                                  check=True, capture_output=True).stdout

    def seal(self, payload, kind=MESSAGE):
        p = payload if isinstance(payload, bytes) else compact(payload).encode()
        pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(p), p)
        b64 = lambda b: base64.b64encode(b).decode()
        return compact({"payload": b64(p), "payloadType": kind,
                        "signatures": [{"keyid": self.id, "sig": b64(self.sign(pae))}]})


def blob(data):
    assert len(data) <= 16384
    return {"digest": "sha256:" + sha(data), "size": len(data),
            "pieces_root": sha(data) if data else "0" * 64}


def opened(envelope):
    return json.loads(base64.b64decode((json.loads(envelope) if isinstance(envelope, (str, bytes)) else envelope)["payload"]))


MACHINE = os.uname().machine
PROGRAM = (b"\x7fELF\x02\x01\x01" + bytes(9) + (2).to_bytes(2, "little") +
           {"x86_64": 62, "aarch64": 183}[MACHINE].to_bytes(2, "little") + (1).to_bytes(4, "little") +
           bytes(8) + (64).to_bytes(8, "little") + bytes(12) + (64).to_bytes(2, "little") +
           (56).to_bytes(2, "little") + (1).to_bytes(2, "little") + bytes(6) + bytes(56))


class Grid:
    started = []

    def __init__(self, *args, dir=None, **popen):
        self.dir = dir or tempfile.mkdtemp(prefix="talkoot-")
        self.err = open(os.path.join(self.dir, "stderr"), "ab")
        self.p = subprocess.Popen([BIN, "--data", self.dir, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
                                   *args], stdout=subprocess.PIPE, stderr=self.err, **popen)
        Grid.started.append(self.p)
        line = self.p.stdout.readline().decode().split()
        assert line and line[0] == "ready", "not ready: " + open(self.err.name).read()
        self.link, self.admin = line[1], line[2]
        self.port = int(self.link.split("/")[2].rsplit(":", 1)[1])
        self.admin_port = int(self.admin.rsplit(":", 1)[1])
        self.id = self.link.rsplit("/", 1)[1]

    def request(self, method, path, body=None, headers={}, admin=False, timeout=40):
        if admin:
            c = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=timeout)
        else:
            ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
            c = http.client.HTTPSConnection("127.0.0.1", self.port, context=ctx, timeout=timeout)
        c.request(method, path, body, headers)
        r = c.getresponse()
        r.body = r.read()
        c.close()
        return r

    def post(self, line, path="/v1/messages", **kw):
        return self.request("POST", path, line.encode() if isinstance(line, str) else line, **kw)

    def get(self, path, admin=False, **kw):
        r = self.request("GET", path, admin=admin, **kw)
        assert r.status == 200, (path, r.status, r.body)
        return json.loads(r.body)

    def header(self, key, kind, **more):
        return {"v": 1, "type": kind, "grid": self.id, "author": key.id, "time": int(time.time() * 1000), **more}

    def command(self, *words):
        return subprocess.run([BIN, "--data", self.dir, *words], capture_output=True, text=True)

    def upload(self, key, data, part=1 << 20):
        ticket = key.seal({**self.header(key, "ticket"), "digest": "sha256:" + sha(data), "size": len(data)})
        tus = {"Tus-Resumable": "1.0.0"}
        r = self.post(ticket, "/v1/uploads", headers={**tus, "Upload-Length": str(len(data))})
        assert r.status == 201, (r.status, r.body)
        at, where = int(r.getheader("Upload-Offset")), r.getheader("Location")
        while at < len(data):
            r = self.request("PATCH", where, data[at:at + part],
                             {**tus, "Upload-Offset": str(at), "Content-Type": "application/offset+octet-stream"})
            assert r.status == 204, (r.status, r.body)
            at = int(r.getheader("Upload-Offset"))
        return where

    def manifest(self, key, count=1, **more):
        return {**self.header(key, "job"), "nonce": secrets.token_hex(16), "name": "test",
                "programs": [{"platform": MACHINE + "-linux", "name": "prog", "blob": blob(PROGRAM)}],
                "profile": "compute", "args": [], "tasks": {"range": {"count": count}}, "files": [], "outputs": [],
                "limits": {"cpu_s": 10, "wall_s": 20, "memory_mib": 64, "disk_mib": 1, "max_output_mib": 1,
                           "processes": 1},
                "threads": 1, "deterministic": True, "platform_class": "any", "priority": 0,
                "assurance": "quorum:2", "max_results": 6, "compare": "exact", **more}

    def submit(self, key, count=1, **more):
        self.upload(key, PROGRAM)
        payload = compact(self.manifest(key, count, **more)).encode()
        r = self.post(key.seal(payload))
        assert r.status == 200, (r.status, r.body)
        return sha(payload)

    def stop(self, sig=signal.SIGTERM):
        self.p.send_signal(sig)
        code = self.p.wait(20)
        self.p.stdout.close()
        return code

    def again(self, *args):
        return Grid(*args, dir=self.dir)


class Worker:
    def __init__(self, grid):
        self.g, self.key, self.seq = grid, Key(), 0

    def ask(self, want=8, wait_ms=0, held=(), returned=(), **more):
        self.seq += 1
        self.last = self.key.seal({**self.g.header(self.key, "ask", seq=self.seq), "want": want, "held": list(held),
                                   "returned": list(returned), "wait_ms": wait_ms, "slots": 4, "cpus": 4,
                                   "memory_mib": 4096, "disk_mib": 4096, "profiles": ["compute", "files"],
                                   "platform": MACHINE + "-linux", "platform_class": "x", "agent": "test",
                                   "state": "run", **more})
        return self.g.post(self.last)

    def leases(self, **kw):
        r = self.ask(**kw)
        assert r.status == 200, (r.status, r.body)
        self.ack = opened(json.loads(r.body)["ack"])
        return [(m["job"], l["index"], l["id"]) for m in map(opened, json.loads(r.body)["leases"]) for l in m["leases"]]

    def result(self, job, done, out=b"out\n", exit=0, reason="exited"):
        results, subject = [], []
        for index, lease in done:
            text = "talkoot-outcome-v1\nexit %d\nsignal 0\nstdout sha256:%s\n" % (exit, sha(out))
            results.append({"index": index, "lease": lease, "outcome": "sha256:" + sha(text.encode()), "exit": exit,
                            "signal": 0, "reason": reason, "cpu_ms": 1, "wall_ms": 1, "rss_kib": 1})
            subject.append({"name": "%d/stdout" % index, "digest": {"sha256": sha(out)},
                            "annotations": {"size": len(out), "pieces_root": blob(out)["pieces_root"]}})
        return self.key.seal({"_type": "https://in-toto.io/Statement/v1", "subject": subject,
                              "predicateType": "urn:talkoot:result:v1",
                              "predicate": {**self.g.header(self.key, "result"), "job": job,
                                            "policy": "sha256:" + "0" * 64, "platform": MACHINE + "-linux",
                                            "platform_class": "x", "agent": "test", "results": results}}, STATEMENT)

    def send(self, envelope, *outs):
        inside = {"sha256:" + sha(o): base64.b64encode(o).decode() for o in outs}
        return self.g.post('{"envelope":%s,"blobs":%s}' % (envelope, compact(inside)))

    def work(self, out=b"out\n", **kw):
        n = 0
        for job, index, lease in self.leases(**kw):
            r = self.send(self.result(job, [(index, lease)], out), out)
            assert r.status == 200, (r.status, r.body)
            n += 1
        return n


def problem(r, status, name):
    assert r.status == status, (r.status, r.body)
    p = json.loads(r.body)
    assert r.getheader("Content-Type") == "application/problem+json", r.getheader("Content-Type")
    assert p["type"] == "urn:talkoot:problem:" + name, p
    return p


def eventually(what, seconds=15):
    end = time.time() + seconds
    while time.time() < end:
        v = what()
        if v:
            return v
        time.sleep(0.02)
    raise AssertionError("it did not come to pass")


# --- tests: each gets a fresh open grid ---------------------------------------------------------------
def test_serves_and_shows_its_status(g):
    assert g.request("GET", "/healthz", admin=True).status == 200
    s = g.get("/v1/status", admin=True)
    want = {"grid": 0, "name": 0, "version": 0, "uptime_s": 0, "jobs": {"active", "done", "failed", "cancelled"},
            "tasks": {"pending", "running", "checking", "provisional", "valid", "failed"},
            "workers": {"known", "online", "trusted", "banned"},
            "results": {"received", "agreed", "disagreed", "rejected"}, "rates": {"results_per_s", "tasks_per_s"},
            "store": {"db_bytes", "blob_bytes"}}
    for k, v in want.items():
        assert k in s, k
        assert not v or v <= set(s[k]), (k, s[k])
    assert s["grid"] == g.id and s["jobs"]["active"] == 0
    d = opened(g.request("GET", "/v1/grid").body)
    assert d["type"] == "grid" and d["author"] == g.id and "coordinator" in d["keys"][0]["roles"]
    assert open(g.dir + "/grid.link").read().strip() == g.link
    assert g.get("/v1/jobs") == {"jobs": [], "next": None} and g.get("/v1/workers", admin=True)["workers"] == []


def test_foreign_hosts_and_unknown_paths_are_refused(g):
    assert g.request("GET", "/v1/status", admin=True, headers={"Host": "evil.example"}).status in (400, 403, 421)
    problem(g.request("GET", "/v1/nothing"), 404, "not-found")
    problem(g.request("DELETE", "/v1/grid"), 405, "method")
    assert problem(g.request("GET", "/v1/jobs?limit=zero"), 400, "bad-field")["field"] == "limit"
    assert problem(g.request("GET", "/v1/jobs?after=" + "0" * 64), 400, "bad-field")["field"] == "after"
    problem(g.request("GET", "/v1/jobs/" + "0" * 64), 404, "unknown-job")
    problem(g.request("GET", "/v1/blobs/sha256:" + "0" * 64), 404, "unknown-blob")
    assert problem(g.request("GET", "/v1/blobs/sha256:zz"), 400, "bad-field")["field"] == "digest", "as at a worker"


def test_garbage_is_refused_by_name(g):
    k = Key()
    problem(g.post("{not json"), 400, "malformed")
    problem(g.post('{"envelope":3}'), 400, "bad-field")
    assert g.post(b"x" * (1 << 20 | 1)).status == 413
    good = k.seal({**g.header(k, "cancel"), "job": "0" * 64})
    problem(g.post(good), 404, "unknown-job")
    assert g.post(good.replace('"payload":"e', '"payload":"f')).status in (400, 403)
    problem(g.post(k.seal({**g.header(k, "cancel"), "grid": "1" * 64, "job": "0" * 64})), 403, "wrong-grid")
    forged = json.loads(good)
    forged["signatures"][0]["sig"] = base64.b64encode(bytes(64)).decode()
    problem(g.post(compact(forged)), 403, "bad-signature")
    problem(g.post(k.seal({**g.header(k, "cancel"), "job": "0" * 64, "crit": ["moon"]})), 400, "not-understood")
    problem(g.post(k.seal({**g.header(k, "cancel")})), 400, "bad-field")
    assert problem(g.post(k.seal({**g.manifest(k), "threads": 1.5})), 400, "malformed")["field"] == "threads"


def test_a_state_that_is_none_gets_no_work(g):
    w = Worker(g)
    for state in ("sleep", "Run", "", 1):
        assert problem(w.ask(state=state), 400, "bad-field")["field"] == "state", state
    assert w.ask(want=0, state="pause").status == 200


def test_who_sends_too_much_is_told_when_to_come_again(g):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
    c = http.client.HTTPSConnection("127.0.0.1", g.port, context=ctx, timeout=20)
    k = Key()
    bad = k.seal({**g.header(k, "ticket"), "digest": "sha256:" + "1" * 64, "size": "big"})
    for path, body, headers in (("/v1/messages", "{bad", {}),
                                ("/v1/uploads", bad, {"Tus-Resumable": "1.0.0", "Upload-Length": "1"})):
        for _ in range(5000):
            c.request("POST", path, body, headers)
            r = c.getresponse()
            r.body = r.read()
            if r.status != 400:
                break
        problem(r, 429, "too-many")
        assert int(r.getheader("Retry-After")) >= 1
    time.sleep(0.2)
    assert Worker(g).ask().status == 200, "an honest neighbour is served when the flood is over"


def test_a_submitter_who_is_not_listed_is_told_the_command(g):
    g.stop()
    g = g.again("--submit", "listed")
    k = Key()
    p = problem(g.post(k.seal(g.manifest(k))), 403, "refused")
    command = "talkoot-coordinator --data %s allow submitter %s" % (g.dir, k.id)
    assert command in p["detail"], p
    assert g.command("allow", "submitter", k.id).returncode == 0
    g.submit(k)
    assert "submitter " + k.id in g.command("list").stdout
    assert g.command("disallow", "submitter", k.id[:12]).returncode == 0
    problem(g.post(k.seal(g.manifest(k))), 403, "refused")
    assert g.stop() == 0
    assert g.command("allow", "submitter", k.id).returncode == 0, "while it does not serve"
    assert "submitter " + k.id in g.command("list").stdout


def test_a_job_needs_its_blobs_and_a_real_program(g):
    k = Key()
    p = problem(g.post(k.seal(g.manifest(k))), 409, "missing-blob")
    assert sha(PROGRAM) in p["detail"] and p["field"]
    g.upload(k, PROGRAM)
    script = b"#!/bin/sh\n"
    g.upload(k, script)
    bad = g.manifest(k)
    bad["programs"][0]["blob"] = blob(script)
    problem(g.post(k.seal(bad)), 422, "bad-program")
    line = k.seal(g.manifest(k))
    first, second = g.post(line), g.post(line)
    assert first.status == second.status == 200 and first.body == second.body
    assert g.get("/v1/status", admin=True)["jobs"]["active"] == 1
    job = g.get("/v1/jobs")["jobs"][0]
    assert job["waiting"] == "needs 2 independent workers, has 0", job
    assert "checking" not in job["tasks"]
    assert g.request("GET", "/v1/jobs/%s/manifest" % job["id"]).body.decode() == line
    assert g.request("GET", "/v1/blobs/" + blob(PROGRAM)["digest"]).body == PROGRAM
    r = g.request("GET", "/v1/blobs/" + blob(PROGRAM)["digest"], headers={"Range": "bytes=1-3"})
    assert r.status == 206 and r.body == b"ELF"


def test_too_demanding_only_when_no_worker_could(g):
    k = Key()
    limits = {**g.manifest(k)["limits"], "memory_mib": 1 << 20}
    job = g.submit(k, limits=limits)
    assert g.get("/v1/jobs/" + job)["waiting"]
    Worker(g).leases()
    problem(g.post(k.seal(g.manifest(k, limits=limits))), 422, "too-demanding")
    # what it prints is a file on the volunteer's disk, too
    limits = dict(g.manifest(k)["limits"], disk_mib=1, max_output_mib=4097)
    problem(g.post(k.seal(g.manifest(k, limits=limits))), 422, "too-demanding")


def test_a_result_brings_no_ballast(g):
    k, w = Key(), Worker(g)
    job = g.submit(k, 3)
    (_, index, lease), (_, index2, lease2) = w.leases(want=2)
    padded = opened(w.result(job, [(index, lease)]))
    padded["predicate"]["unknown"] = "x" * 20000
    problem(w.send(w.key.seal(padded, STATEMENT), b"out\n"), 413, "too-big")
    padded["predicate"]["unknown"] = "x" * 100  # a later version's word
    r = w.send(w.key.seal(padded, STATEMENT), b"out\n")
    assert r.status == 200 and opened(json.loads(r.body))["outcomes"] == ["received"], r.body


def test_what_is_given_back_leaves_no_row(g):
    k, w, back = Key(), Worker(g), []
    job = g.submit(k, 1000)
    for _ in range(20):
        given = w.leases(want=64, returned=[{"lease": l, "why": "no"} for l in back])
        assert given and not set(back) & {l for _, _, l in given}
        back = [l for _, _, l in given]
    w.leases(want=0, returned=[{"lease": l, "why": "no"} for l in back])
    db = sqlite3.connect("file:%s/grid.db?mode=ro" % g.dir, uri=True)
    assert db.execute("SELECT count(*) FROM lease").fetchone()[0] == 0  # who asks all day fills no disk
    db.close()
    r = w.send(w.result(job, [(given[0][1], back[0])]), b"out\n")
    assert r.status == 200 and opened(json.loads(r.body))["outcomes"] == ["unknown"], r.body


def test_two_workers_make_a_task_valid(g):
    k, a, b = Key(), Worker(g), Worker(g)
    job = g.submit(k, 3)
    out = b"the answer\n"
    digest = "/v1/blobs/sha256:" + sha(out)
    assert a.work(out) == 3
    assert a.work(out) == 0, "one worker never gets a second copy"
    j = g.get("/v1/jobs/" + job)
    assert j["tasks"]["running"] == 3 and j["waiting"] == "needs 2 independent workers, has 1", j
    assert g.get("/v1/jobs/" + job, admin=True)["tasks"]["checking"] == 3
    problem(g.request("GET", digest), 404, "unknown-blob")
    assert g.request("GET", "/v1/jobs/%s/attestations" % job).body == b""
    assert b.work(out) == 3
    j = g.get("/v1/jobs/" + job)
    assert j["state"] == "done" and j["tasks"]["valid"] == 3 and j["finished"], j
    assert g.request("GET", digest).body == out
    tasks = [t for l in g.request("GET", "/v1/jobs/%s/verdicts" % job).body.splitlines() for t in opened(l)["tasks"]]
    assert sorted(t["index"] for t in tasks) == [0, 1, 2]
    assert all(t["state"] == "valid" and len(t["counted"]) == 2 and t["basis"] == "agreement" for t in tasks)
    lines = g.request("GET", "/v1/jobs/%s/attestations" % job).body.splitlines()
    assert {c["envelope"] for t in tasks for c in t["counted"]} == {"sha256:" + sha(l) for l in lines}
    r = g.request("GET", "/v1/jobs/%s/attestations?limit=4" % job)
    rest = g.request("GET", "/v1/jobs/%s/attestations?after=%s" % (job, r.getheader("Talkoot-Next")))
    assert len(r.body.splitlines()) == 4 and len(rest.body.splitlines()) == 2
    s = g.get("/v1/status", admin=True)
    assert s["results"]["received"] == 6 and s["results"]["agreed"] == 6 and s["jobs"]["done"] == 1, s
    r = g.command("cancel", job)
    assert r.returncode == 1 and "done already" in r.stderr, r


def test_a_liar_is_outvoted_and_named(g):
    k, a, b, c = Key(), Worker(g), Worker(g), Worker(g)
    job = g.submit(k)
    a.work(b"lie"), b.work(b"true"), c.work(b"true")
    t = opened(g.request("GET", "/v1/jobs/%s/verdicts" % job).body)["tasks"][0]
    assert t["state"] == "valid" and len(t["counted"]) == 2 and len(t["dissent"]) == 1
    assert g.get("/v1/status", admin=True)["results"]["disagreed"] == 1


def test_an_agreed_bad_exit_is_failed_with_why(g):
    k, a, b = Key(), Worker(g), Worker(g)
    job = g.submit(k)
    for w in (a, b):
        (j, index, lease), = w.leases()
        assert w.send(w.result(j, [(index, lease)], b"", exit=3)).status == 200
    t = opened(g.request("GET", "/v1/jobs/%s/verdicts" % job).body)["tasks"][0]
    assert t["state"] == "failed" and t["why"] == "exit 3", t


def test_requests_are_answered_once_by_seq(g):
    w = Worker(g)
    Key(), g.submit(Key(), 10)
    first = w.ask(want=2)
    assert g.post(w.last).body == first.body, "the same ask, the same answer"
    w.seq -= 1
    p = problem(w.ask(want=3), 409, "old-seq")
    assert p["detail"].endswith(" 1"), p


def test_results_are_facts(g):
    k, w, v = Key(), Worker(g), Worker(g)
    g.submit(k, 4)
    (job, index, lease), *_ = w.leases(want=1)
    line = w.result(job, [(index, lease)])
    p = problem(w.send(line), 409, "missing-blob")
    assert p["field"] == "stdout"
    first = w.send(line, b"out\n")
    assert opened(first.body)["outcomes"] == ["received"], first.body
    assert w.send(line).body == first.body and g.post(line).body == first.body
    other = w.result(job, [(index, lease)], b"other")
    problem(w.send(other, b"other"), 409, "conflict")
    problem(w.send(other, b"other"), 409, "conflict")
    stolen = v.result(job, [(index, lease)])
    assert v.leases(want=0) == []
    assert opened(v.send(stolen, b"out\n").body)["outcomes"] == ["unknown"]
    (job, index, lease), *_ = w.leases(want=1)
    wrong = w.result(job, [((index + 1) % 4, lease)])
    problem(w.send(wrong, b"out\n"), 400, "bad-field")
    problem(w.g.post('{"envelope":%s,"blobs":{"sha256:%s":"AAAA"}}' % (w.result(job, [(index, lease)]), "0" * 64)),
            422, "digest-mismatch")
    w.leases(want=0, returned=[{"lease": lease, "why": "test"}])
    assert opened(w.send(w.result(job, [(index, lease)]), b"out\n").body)["outcomes"] == ["unknown"]  # it was to be unrun
    (job, index, lease), *_ = w.leases(want=1)
    assert g.post(k.seal({**g.header(k, "cancel"), "job": job})).status == 200
    assert opened(w.send(w.result(job, [(index, lease)]), b"out\n").body)["outcomes"] == ["late"]
    problem(w.send(w.result("1" * 64, [(0, lease)]), b"out\n"), 404, "unknown-job")


def test_a_result_brings_all_that_it_names(g):
    """stderr too, and a claim of no bytes cannot take the place of somebody's bytes."""
    g.submit(Key(), 1)
    w = Worker(g)
    (job, index, lease), *_ = w.leases(want=1)

    def said(stderr, size, out=b"out\n", out_size=None):
        change = json.loads(w.result(job, [(index, lease)], out))
        statement = json.loads(base64.b64decode(change["payload"]))
        statement["predicate"]["results"][0]["stderr"] = {"digest": "sha256:" + sha(stderr), "size": size}
        if out_size is not None:
            statement["subject"][0]["annotations"]["size"] = out_size
        return w.key.seal(statement, STATEMENT)
    p = problem(w.send(said(b"err\n", 4), b"out\n"), 409, "missing-blob")
    assert p["field"] == "stderr", p
    problem(w.send(said(PROGRAM, 0), b"out\n"), 400, "bad-field")
    problem(w.send(said(b"", 0, PROGRAM, 0)), 400, "bad-field")
    got = g.request("GET", "/v1/blobs/sha256:" + sha(PROGRAM))
    assert got.status == 200 and got.body == PROGRAM, got.status
    r = w.send(said(b"", 0), b"out\n")
    assert r.status == 200 and opened(r.body)["outcomes"] == ["received"], r.body


def test_a_waiting_ask_is_answered_when_a_job_comes(g):
    w = Worker(g)
    got = []
    t = threading.Thread(target=lambda: got.append((w.leases(wait_ms=20000), time.time())))
    t.start()
    eventually(lambda: g.get("/v1/status", admin=True)["waiting_asks"] == 1)
    g.submit(Key(), 1)
    at = time.time()
    t.join(10)
    assert got and len(got[0][0]) == 1 and got[0][1] - at < 1, got
    start = time.time()
    assert w.leases(wait_ms=300, want=8) == [] and time.time() - start >= 0.25


def test_an_older_waiting_ask_is_answered_when_a_newer_comes(g):
    w = Worker(g)
    got = []
    t = threading.Thread(target=lambda: got.append(w.ask(wait_ms=20000).status))
    t.start()
    eventually(lambda: g.get("/v1/status", admin=True)["waiting_asks"] == 1)
    assert w.ask(wait_ms=0).status == 200
    t.join(5)
    assert got == [200]


def test_cancel_ends_leases_and_tasks(g):
    k, w = Key(), Worker(g)
    job = g.submit(k, 5000)
    (_, index, lease), *_ = w.leases(want=1)
    other = Key()
    problem(g.post(other.seal({**g.header(other, "cancel"), "job": job})), 403, "refused")
    line = k.seal({**g.header(k, "cancel"), "job": job})
    assert g.post(line).status == 200 and g.post(line).status == 200
    eventually(lambda: g.get("/v1/jobs/" + job)["finished"])
    j = g.get("/v1/jobs/" + job)
    assert j["state"] == "cancelled" and j["tasks"]["cancelled"] == 5000, j
    w.leases(want=0, held=[lease])
    assert w.ack["ended"] == [{"lease": lease, "why": "cancelled"}], w.ack
    assert opened(w.send(w.result(job, [(index, lease)]), b"out\n").body)["outcomes"] == ["late"]
    assert g.command("cancel", job[:10]).returncode == 0
    assert g.command("cancel", "1" * 64).returncode == 1


def test_max_failures_cancels(g):
    k, a, b = Key(), Worker(g), Worker(g)
    job = g.submit(k, 20, max_failures=1)
    for w in (a, b):
        for j, index, lease in w.leases(want=2 if w is a else 8):
            w.send(w.result(j, [(index, lease)], b"", exit=1))
    for w in (b, a, b, a, b):
        for j, index, lease in w.leases():
            w.send(w.result(j, [(index, lease)], b"", exit=1))
    j = eventually(lambda: (lambda j: j["finished"] and j)(g.get("/v1/jobs/" + job)))
    assert j["state"] == "cancelled" and j["tasks"]["failed"] >= 2, j


def test_query_shows_its_submitter_more(g):
    k, a = Key(), Worker(g)
    job = g.submit(k, 1)
    a.work()
    q = {"what": "job", "job": job}
    r = g.post(k.seal({**g.header(k, "query", seq=1), **q}))
    assert opened(r.body)["body"]["tasks"]["checking"] == 1, r.body
    r = g.post(k.seal({**g.header(k, "query", seq=2), **q, "what": "task", "index": 0}))
    assert opened(r.body)["body"]["results"][0]["worker"] == a.key.id
    problem(g.post(k.seal({**g.header(k, "query", seq=2), **q})), 409, "old-seq")
    o = Key()
    problem(g.post(o.seal({**g.header(o, "query", seq=1), **q})), 403, "refused")


def test_a_banned_worker_is_out(g):
    k, a, b, c = Key(), Worker(g), Worker(g), Worker(g)
    job = g.submit(k, 1)
    a.work(b"lie")
    assert g.command("ban", a.key.id[:16]).returncode == 0
    problem(a.ask(), 403, "banned")
    b.work(b"lie")
    assert g.get("/v1/jobs/" + job)["state"] == "active"
    c.work(b"lie")
    assert g.get("/v1/jobs/" + job)["state"] == "done"
    assert g.command("unban", a.key.id).returncode == 0 and a.ask().status == 200
    assert g.get("/v1/workers/" + a.key.id, admin=True)["banned"] is False


def test_drain_gives_no_new_leases(g):
    w = Worker(g)
    job = g.submit(Key(), 5)
    assert g.command("drain").returncode == 0
    assert w.leases() == []
    assert "drained" in g.get("/v1/jobs/" + job)["waiting"]


def test_uploads_resume_and_tell_nothing(g):
    k, o = Key(), Key()
    data = secrets.token_bytes(3 << 20 | 77)
    ticket = k.seal({**g.header(k, "ticket"), "digest": "sha256:" + sha(data), "size": len(data)})
    tus = {"Tus-Resumable": "1.0.0"}
    start = {**tus, "Upload-Length": str(len(data))}
    r = g.post(ticket, "/v1/uploads", headers=start)
    where = r.getheader("Location")
    patch = {**tus, "Content-Type": "application/offset+octet-stream"}
    assert g.request("PATCH", where, data[:1 << 20], {**patch, "Upload-Offset": "0"}).status == 204
    problem(g.request("PATCH", where, data[:10], {**patch, "Upload-Offset": "5"}), 409, "wrong-offset")
    problem(g.request("PATCH", where, data[:10], patch), 400, "bad-field")
    g.stop(signal.SIGKILL)
    g = g.again("--submit", "open")
    r = g.request("HEAD", where, headers=tus)
    assert r.status == 200 and r.getheader("Upload-Offset") == str(1 << 20), r.headers
    r = g.post(ticket, "/v1/uploads", headers=start)
    assert r.getheader("Location") == where and r.getheader("Upload-Offset") == str(1 << 20)
    problem(g.request("GET", "/v1/blobs/sha256:" + sha(data)), 404, "unknown-blob")
    for at in (1 << 20, 2 << 20, 3 << 20):
        assert g.request("PATCH", where, data[at:at + (1 << 20)], {**patch, "Upload-Offset": str(at)}).status == 204
    other = o.seal({**g.header(o, "ticket"), "digest": "sha256:" + sha(data), "size": len(data)})
    assert g.post(other, "/v1/uploads", headers=start).getheader("Upload-Offset") == "0"
    # a submitter's own upload may be fetched; a worker's may not, under the very same rule of who may submit
    assert g.request("GET", "/v1/blobs/sha256:" + sha(data)).body == data
    w, output = Worker(g), b"the output of a task"
    w.ask(want=0)
    ticket = w.key.seal({**g.header(w.key, "ticket"), "digest": "sha256:" + sha(output), "size": len(output)})
    where = g.post(ticket, "/v1/uploads", headers={**tus, "Upload-Length": str(len(output))}).getheader("Location")
    assert g.request("PATCH", where, output, {**patch, "Upload-Offset": "0"}).status == 204
    problem(g.request("GET", "/v1/blobs/sha256:" + sha(output)), 404, "unknown-blob")
    bad = k.seal({**g.header(k, "ticket"), "digest": "sha256:" + "0" * 64, "size": 3})
    w = g.post(bad, "/v1/uploads", headers={**tus, "Upload-Length": "3"}).getheader("Location")
    problem(g.request("PATCH", w, b"abc", {**patch, "Upload-Offset": "0"}), 422, "digest-mismatch")
    g.stop()


def test_a_full_blob_store_says_full(g):
    g.stop()
    g = g.again("--submit", "open", "--disk", "1")
    k = Key()
    data = secrets.token_bytes(2 << 20)
    ticket = k.seal({**g.header(k, "ticket"), "digest": "sha256:" + sha(data), "size": len(data)})
    problem(g.post(ticket, "/v1/uploads", headers={"Tus-Resumable": "1.0.0", "Upload-Length": str(len(data))}),
            507, "full")
    g.stop()


def test_a_kill_loses_nothing_acknowledged(g):
    k, a, b = Key(), Worker(g), Worker(g)
    job = g.submit(k, 8)
    mine = a.leases(want=8)
    done = [(i, l) for _, i, l in mine[:3]]
    line = a.result(job, done)
    ack = a.send(line, b"out\n").body
    g.stop(signal.SIGKILL)
    g = g.again("--submit", "open")
    a.g = b.g = g
    assert g.get("/v1/jobs/" + job, admin=True)["tasks"] == {"pending": 0, "running": 5, "checking": 3,
                                                             "provisional": 0, "valid": 0, "failed": 0, "cancelled": 0}
    assert a.send(line).body == ack
    a.leases(want=0, held=[l for _, _, l in mine])
    assert sorted(a.ack["renewed"]) == sorted(l for _, _, l in mine[3:]), "live leases have a full term"
    assert a.send(a.result(job, [(i, l) for _, i, l in mine[3:]]), b"out\n").status == 200
    assert b.work() == 8
    assert g.get("/v1/jobs/" + job)["state"] == "done"
    g.stop(signal.SIGKILL)
    g = g.again()
    j = g.get("/v1/jobs/" + job)
    assert j["state"] == "done" and j["tasks"]["valid"] == 8
    assert g.get("/v1/status", admin=True)["results"]["agreed"] == 16
    assert g.stop() == 0


def test_a_full_disk_acknowledges_nothing_and_passes(g):
    k, a = Key(), Worker(g)
    job = g.submit(k, 200)
    size = sum(os.path.getsize(os.path.join(g.dir, f)) for f in ("grid.db-wal",))
    resource.prlimit(g.p.pid, resource.RLIMIT_FSIZE, (size + 70000, resource.RLIM_INFINITY))
    kept, refused = [], None
    for i in range(40):
        r = a.ask(want=4)
        if r.status != 200:
            refused = r
            break
        for m in map(opened, json.loads(r.body)["leases"]):
            for l in m["leases"]:
                line = a.result(job, [(l["index"], l["id"])], b"x" * 9000 + b"%d" % l["index"])
                r = a.send(line, b"x" * 9000 + b"%d" % l["index"])
                if r.status == 200:
                    kept.append((line, r.body))
                else:
                    refused = r
    problem(refused, 507, "full")
    assert g.request("GET", "/healthz", admin=True).status == 200
    resource.prlimit(g.p.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    eventually(lambda: a.ask(want=1).status == 200)
    for line, ack in kept:
        assert a.send(line).body == ack, "what was acknowledged is there"
    assert g.get("/v1/jobs/" + job, admin=True)["tasks"]["checking"] == len(kept)


def test_one_process_a_folder_and_a_narrow_key(g):
    r = subprocess.run([BIN, "--data", g.dir, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"], capture_output=True)
    assert r.returncode == 1 and b"another talkoot-coordinator" in r.stderr, r
    assert g.stop() == 0
    os.chmod(g.dir + "/identity.key", 0o644)
    r = subprocess.run([BIN, "--data", g.dir, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"], capture_output=True)
    assert r.returncode not in (0, 2) and b"identity.key" in r.stderr, r


def test_a_command_says_that_it_made_a_grid(g):
    """Whoever mistypes --data would think that all is well."""
    wrong = os.path.join(g.dir, "mistyped")
    for said in True, False:
        r = subprocess.run([BIN, "--data", wrong, "allow", "submitter", Key().id], capture_output=True, text=True)
        assert r.returncode == 0 and ("there was no grid in " + wrong in r.stderr) is said, r


def test_wrong_usage_exits_2(g):
    for words in (["--nonsense"], ["--listen", "nowhere"], ["--submit", "maybe"], ["frobnicate"], ["allow", "x"],
                  ["backup", "f"], ["invite"], ["arbiter"], ["check"], ["--admin", "0.0.0.0:0"],
                  ["--admin-token-file", "/nonexistent"]):
        r = g.command(*words)
        assert r.returncode == 2 and r.stderr.startswith("talkoot-coordinator: "), (words, r)
    assert subprocess.run([BIN], capture_output=True).returncode == 2
    assert subprocess.run([BIN, "--help"], capture_output=True).returncode == 0


def test_the_admin_port_off_loopback_asks_for_its_token(g):
    g.stop()
    token = os.path.join(g.dir, "token")
    with open(token, "w") as f:
        f.write("0123456789abcdef0123\n")
    g = g.again("--admin", "0.0.0.0:0", "--admin-token-file", token)
    r = g.request("GET", "/v1/status", admin=True)
    problem(r, 401, "no-token")
    assert r.getheader("WWW-Authenticate") == "Bearer"
    for scheme in ("Bearer", "bearer"):
        r = g.request("GET", "/v1/status", admin=True, headers={"Authorization": scheme + " 0123456789abcdef0123"})
        assert r.status == 200, r.body
    g.stop()


def test_only_invited_workers_where_so_told(g):
    g.stop()
    g = g.again("--work", "invited")
    problem(Worker(g).ask(), 403, "refused")
    g.stop()


def main():
    passed = failed = 0
    only = sys.argv[1:]
    for name, test in [(n, t) for n, t in globals().items() if n.startswith("test_")]:
        if only and name not in only:
            continue
        g = Grid("--submit", "open", "--name", "a grid", "--log-level", "debug")
        try:
            test(g)
            passed += 1
        except Exception as e:
            import traceback
            failed += 1
            print("FAILED %s: %s" % (name, traceback.format_exc(limit=-3)))
            print("".join(open(g.err.name).readlines()[-5:]))
        finally:
            for p in Grid.started:
                if p.poll() is None:
                    p.kill()
                    p.wait()
            Grid.started.clear()
            shutil.rmtree(g.dir, ignore_errors=True)
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
