# SPDX-License-Identifier: Apache-2.0
"""Blobs for everybody: layers on both ports, web seeds, and a stock BitTorrent client that completes an
exported torrent from our nodes."""
import hashlib
import http.client
import json
import os
import sys
import urllib.error
import urllib.request

import grid
from grid import Grid, Skip, port_of, tls_connect, wait_for

VECTORS = os.environ.get("TALKOOT_VECTORS", os.path.join(grid.TOP, "../shared/vectors"))
LEAF = 16384
WEB = ("--web-seed", "127.0.0.1:0")


def content(n):
    """The vectors' bytes: byte i is (i*31 + i/251) mod 256."""
    return bytes((i * 31 + i // 251) & 255 for i in range(n))


def layer(data, piece):
    """BEP 52 by the book, sharing nothing with the programs."""
    pair = lambda a, b: hashlib.sha256(a + b).digest()
    level = [hashlib.sha256(data[i:i + LEAF]).digest() for i in range(0, len(data), LEAF)]
    zero, height = bytes(32), LEAF
    while height < piece and not (len(level) == 1 and len(data) <= piece):
        level = [pair(level[i], level[i + 1] if i + 1 < len(level) else zero)
                 for i in range(0, len(level), 2)]
        zero, height = pair(zero, zero), height * 2
    return level


def root(data):
    return layer(data, 1 << 60)[0]


def ask(port, path, method="GET"):
    """(status, body) of a TLS port."""
    c = http.client.HTTPConnection("127.0.0.1", port)
    c.sock = tls_connect(port)
    c.request(method, path)
    r = c.getresponse()
    body = r.read()
    c.close()
    return r.status, body


def put(g, data, name="blob.bin"):
    with open(g.path(name), "wb") as f:
        f.write(data)
    return g.cli("blob", "put", g.path(name)).strip()


def seeds(port, digest):
    status, body = ask(port, "/v1/blobs/%s/seeds" % digest)
    assert status == 200, body
    return json.loads(body)


def a_worker_with(g, data, *args):
    """A worker that has fetched `data`, as an input of all of a job's tasks: a task's own is there for no peer."""
    w = g.add_worker(args=args)
    with open(g.path("in.bin"), "wb") as f:
        f.write(data)
    nothing = grid.compile_static("int main(void){return 0;}", g.path("nothing"))
    job = g.submit("--file", "in=" + g.path("in.bin"), "--assurance", "quorum:1", "--", nothing)
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    wait_for("the worker to have it",
             lambda: ask(port_of(w.ready[1]), "/v1/blobs/%s/seeds" % digest)[0] == 200)
    g.wait_done(job)
    return w, digest


def test_layers_are_served_on_both_ports():
    data = content(5 * 256 * 1024 + 77)
    with Grid() as g:
        w, digest = a_worker_with(g, data)
        for port in (g.port, port_of(w.ready[1])):
            for piece in (16384, 65536, 262144, 524288, 2 << 20, 64 << 30):
                status, body = ask(port, "/v1/blobs/%s/layer?piece=%d" % (digest, piece))
                assert status == 200, body
                assert body == b"".join(layer(data, piece)), piece
            for wrong in ("", "?piece=", "?piece=0", "?piece=8192", "?piece=16385", "?piece=-16384", "?piece=x",
                          "?piece=%d" % (128 << 30)):
                status, body = ask(port, "/v1/blobs/%s/layer%s" % (digest, wrong))
                assert status == 400 and json.loads(body)["field"] == "piece", (wrong, body)
            for path in ("layer?piece=262144", "seeds"):
                status, body = ask(port, "/v1/blobs/sha256:%s/%s" % ("0" * 64, path))
                assert status == 404 and json.loads(body)["type"].endswith("unknown-blob"), body


def test_a_layer_is_as_hidden_as_its_blob():
    """A worker's upload, and anything not yet public, is not there."""
    with Grid() as g:
        data = content(300000)
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        with open(g.path("x"), "wb") as f:
            f.write(data)
        for path in ("", "/layer?piece=262144", "/seeds"):
            assert ask(g.port, "/v1/blobs/%s%s" % (digest, path))[0] == 404
        assert put(g, data, "x") == digest
        for path in ("", "/layer?piece=262144", "/seeds"):
            assert ask(g.port, "/v1/blobs/%s%s" % (digest, path))[0] == 200
        # small ones live in the database; an empty one has no hashes
        small = put(g, b"small", "s")
        assert ask(g.port, "/v1/blobs/%s/layer?piece=16384" % small) == (200, hashlib.sha256(b"small").digest())
        assert ask(g.port, "/v1/blobs/%s/layer?piece=16384" % put(g, b"", "e")) == (200, b"")


def test_fine_layers_of_a_large_blob_are_refused_with_a_sentence():
    with Grid() as g:
        digest = put(g, bytes(8 * 1024 * 1024 + 1))
        status, body = ask(g.port, "/v1/blobs/%s/layer?piece=131072" % digest)
        assert status == 404 and json.loads(body)["type"].endswith("not-found"), body
        assert "262144" in json.loads(body)["detail"], body
        assert len(ask(g.port, "/v1/blobs/%s/layer?piece=262144" % digest)[1]) == 33 * 32


def test_a_web_seed_is_off_unless_asked_for_and_serves_blobs_alone():
    data = content(300000)
    with Grid() as g:
        assert seeds(g.port, put(g, data))["web"] == []
    with Grid(coordinator_args=WEB) as g:
        digest = put(g, data)
        told = seeds(g.port, digest)
        assert told["size"] == 300000 and told["digest"] == digest and len(told["web"]) == 1
        url = told["web"][0]
        assert url.startswith("http://127.0.0.1:") and url.endswith("/v1/blobs/" + digest)
        with urllib.request.urlopen(url) as r:
            assert r.read() == data
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Range": "bytes=100-199"})) as r:
            assert r.status == 206 and r.read() == data[100:200]
        base = url[:url.index("/v1/")]
        for method, path in (("GET", "/v1/grid"), ("GET", "/v1/jobs"), ("GET", "/v1/workers"), ("GET", "/v1/status"),
                             ("POST", "/v1/messages"), ("POST", "/v1/uploads"), ("POST", "/v1/blobs/" + digest),
                             ("GET", "/v1/blobs/sha256:" + "0" * 64)):
            try:
                urllib.request.urlopen(urllib.request.Request(base + path, method=method))
                raise AssertionError("answered: " + path)
            except urllib.error.HTTPError as e:
                assert e.code in (404, 405), (path, e.code)
        assert g.coordinator.stop() == 0


def libtorrent():
    """Debian's module, whichever python3 runs this."""
    sys.path.append("/usr/lib/python3/dist-packages")
    try:
        import libtorrent as lt
    except ImportError as why:
        raise Skip("python3-libtorrent is not usable here: %s" % why)
    finally:
        sys.path.pop()
    return lt


def session(lt):
    """A client as it comes, but for what would talk to others than our nodes."""
    return lt.session({"listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False,
                       "enable_upnp": False, "enable_natpmp": False, "alert_mask": 0})


def complete(lt, torrent, out, name, digest):
    """Let the client fetch it, and compare with the digest."""
    os.makedirs(out)
    ti = lt.torrent_info(torrent)
    s = session(lt)
    h = s.add_torrent({"ti": ti, "save_path": out})
    wait_for("the client to complete it", lambda: h.status().is_seeding)
    st = h.status()
    assert st.total_failed_bytes == 0, st.total_failed_bytes
    s.pause()
    with open(os.path.join(out, name), "rb") as f:
        assert "sha256:" + hashlib.sha256(f.read()).hexdigest() == digest
    return ti


def test_a_stock_client_completes_the_torrent_from_the_coordinator():
    lt = libtorrent()
    with Grid(coordinator_args=WEB) as g:
        for n in (1, 16385, 262144, 262145, 5000003):
            data = content(n)
            digest = put(g, data)
            torrent = g.path("t%d.torrent" % n)
            magnet = g.cli("blob", "torrent", digest, "-o", torrent).strip()
            ti = complete(lt, torrent, g.path("out%d" % n), digest[7:], digest)
            assert magnet == "magnet:?xt=urn:btmh:1220" + str(ti.info_hashes().v2), magnet
            assert not ti.info_hashes().has_v1()
            assert ti.piece_length() == 262144
            # the torrent that libtorrent makes of these bytes itself has the same root and layers
            path = g.path("made%d" % n, digest[7:])
            os.makedirs(os.path.dirname(path))
            with open(path, "wb") as f:
                f.write(data)
            fs = lt.file_storage()
            lt.add_files(fs, path)
            ct = lt.create_torrent(fs, 262144, lt.create_torrent.v2_only)
            lt.set_piece_hashes(ct, os.path.dirname(path))
            theirs, ours = ct.generate(), lt.bdecode(open(torrent, "rb").read())
            assert theirs[b"piece layers"] == ours[b"piece layers"]
            assert theirs[b"info"][b"file tree"] == ours[b"info"][b"file tree"]
            node = ours[b"info"][b"file tree"][digest[7:].encode()][b""]
            assert node[b"pieces root"] == root(data) and node[b"length"] == n


def test_roots_are_those_of_the_vectors():
    lt = libtorrent()
    path = os.path.join(VECTORS, "bep52/roots.json")
    if not os.path.exists(path):
        raise Skip("%s is not here" % path)
    with Grid() as g:
        checked = 0
        for row in json.load(open(path))["files"]:
            if row["size"] > 6000000:
                continue
            digest = put(g, content(row["size"]))
            assert digest == "sha256:" + row["sha256"]
            g.cli("blob", "torrent", digest, "-o", g.path("t"))
            tree = lt.bdecode(open(g.path("t"), "rb").read())[b"info"][b"file tree"]
            assert tree[digest[7:].encode()][b""][b"pieces root"].hex() == row["pieces_root"]
            checked += 1
        assert checked > 5


def test_a_stock_client_completes_it_from_workers_when_the_coordinator_is_gone():
    lt = libtorrent()
    data = content(2000000)
    with Grid() as g:
        w, digest = a_worker_with(g, data, *WEB)
        g.cli("blob", "torrent", digest, "-o", g.path("t"))
        urls = [u.decode() for u in lt.bdecode(open(g.path("t"), "rb").read())[b"url-list"]]
        assert urls[0].startswith("http://127.0.0.1:"), urls
        assert sorted(urls[1:]) == sorted("https://127.0.0.1:%d/v1/blobs/%s" % (p, digest)
                                          for p in (g.port, port_of(w.ready[1]))), urls
        g.coordinator.kill()
        complete(lt, g.path("t"), g.path("out"), digest[7:], digest)
        # a worker's link is enough to make the same torrent
        g.cli("blob", "torrent", digest, "-o", g.path("t2"), "--grid", w.ready[1])
        one, two = lt.torrent_info(g.path("t")), lt.torrent_info(g.path("t2"))
        assert one.info_hashes().v2 == two.info_hashes().v2


def test_what_cannot_be_exported_says_so():
    with Grid() as g:
        g.cli("blob", "torrent", "sha256:" + "0" * 64, "-o", g.path("t"), code=1)
        assert not os.path.exists(g.path("t"))
        g.cli("blob", "torrent", put(g, b"", "e"), "-o", g.path("t"), code=2)
        assert "empty" in grid.run.stderr
        g.cli("blob", "torrent", put(g, b"x"), code=2)
        assert "-o FILE" in grid.run.stderr
        g.cli("blob", "torrent", "bafkreix", "-o", g.path("t"), code=2)


def test_a_cid_names_a_blob_too():
    with Grid() as g:
        digest = put(g, b"hello world")
        cid = g.cli("blob", "cid", digest).strip()
        assert cid == "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
        g.cli("blob", "get", cid, "-o", g.path("back"))
        assert open(g.path("back"), "rb").read() == b"hello world"
        assert g.cli("blob", "cid", cid).strip() == cid
    # no grid is asked
    out = grid.run([grid.program("talkoot"), "blob", "cid", "sha256:" + hashlib.sha256(b"").hexdigest()],
                   {"PATH": os.environ["PATH"], "HOME": "/nonexistent"})
    assert out.strip() == "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


grid.main(globals())
